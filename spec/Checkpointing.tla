--------------------------- MODULE Checkpointing ---------------------------
(***************************************************************************)
(* How a job takes consistent checkpoints and writes its output exactly     *)
(* once: the protocol of these documents in its abstract form.              *)
(*                                                                          *)
(*   source 1 --channel[1]--> +----------+             +------+             *)
(*                            | operator | --output--> | sink | --> outside *)
(*   source 2 --channel[2]--> +----------+             +------+             *)
(*                                                                          *)
(* Records have no content: a source is the number of records it has sent.  *)
(* The operator counts the records of each source and puts out the running  *)
(* count, so without failures the output for a source is 1, 2, 3, ...  Once *)
(* all its input has ended it puts out one more for source 1, as a window   *)
(* that closes would.                                                       *)
(*                                                                          *)
(* The coordinator triggers a checkpoint. Each source sends a barrier and   *)
(* remembers its position. The operator reads nothing more from a channel   *)
(* whose barrier it has, until it has all; then it remembers its counts and *)
(* passes the barrier on. The sink closes its transaction. What a task      *)
(* remembers is volatile until the task persists it. When all have, the     *)
(* checkpoint is published, in one step, and then the sink commits.         *)
(*                                                                          *)
(* What the models in model/src have and this does not: messages between    *)
(* tasks and coordinator take no time here, a publication is one step, and  *)
(* the storage never fails.                                                 *)
(***************************************************************************)
EXTENDS FiniteSets, Integers, Sequences

CONSTANTS
    Records,      \* how many records each source has
    Periodic,     \* how many periodic checkpoints are triggered at most
    Concurrent,   \* how many checkpoints are under way at once at most
    Aborts,       \* how many checkpoints are declined or expire at most
    Restarts      \* how many times everything volatile is lost at most

VARIABLES
    source,       \* of each source: its position, whether it has ended, and its newest barrier
    channel,      \* of each source: what is on its way to the operator, oldest first
    operator,     \* its counts; which inputs have ended; which are blocked; whose barriers it aligns or aligned last
    output,       \* what is on its way to the sink, oldest first
    open,         \* the sink's open transaction: of each source, counts not yet pre-committed
    prepared,     \* the transaction that the barrier of each checkpoint has closed
    committed,    \* of each source, the counts that the world outside can see
    checkpoint,   \* all there is to know about each checkpoint
    newest,       \* the newest published checkpoint; zero if there is none
    left          \* what may still be triggered or go wrong

vars == <<source, channel, operator, output, open, prepared, committed, checkpoint, newest, left>>

Sources == {1, 2}
Operator == 3
Sink == 4
Tasks == {1, 2, 3, 4}

\* Every id is for one periodic checkpoint, or for a final one. Only aborts and restarts make a final one fail.
Ids == 1..(Periodic + Aborts + Restarts + 1)

\* What channels carry: a positive number is the barrier of that checkpoint. In the output it is <<0, id>>.
Record == 0
EndOfData == -1

Nothing == [s \in Sources |-> <<>>]
Zero == [s \in Sources |-> 0]
Untouched == [status |-> "free", final |-> FALSE, taken |-> {}, durable |-> {},
              position |-> Zero, counts |-> Zero, finished |-> FALSE]

Start(position) == [s \in Sources |-> [position |-> position[s], ended |-> FALSE, barrier |-> 0]]
Fresh(counts, finished) ==
    [counts |-> counts, finished |-> finished, ended |-> {}, blocked |-> {}, aligning |-> 0]

Init ==
    /\ source = Start(Zero)
    /\ channel = Nothing
    /\ operator = Fresh(Zero, FALSE)
    /\ output = <<>>
    /\ open = Nothing
    /\ prepared = [id \in Ids |-> Nothing]
    /\ committed = Nothing
    /\ checkpoint = [id \in Ids |-> Untouched]
    /\ newest = 0
    /\ left = [periodic |-> Periodic, aborts |-> Aborts, restarts |-> Restarts]

Pending == {id \in Ids : checkpoint[id].status = "pending"}
Free == {id \in Ids : checkpoint[id].status = "free"}
IsFinished == IF newest = 0 THEN FALSE ELSE checkpoint[newest].final
Done == IsFinished /\ \A id \in Ids : prepared[id] = Nothing

\* What the world outside is to see of a source: what it sees, and what the newest published checkpoint covers.
RECURSIVE ClosedUpTo(_, _)
ClosedUpTo(id, s) == IF id = 0 THEN <<>> ELSE ClosedUpTo(id - 1, s) \o prepared[id][s]
Covered == [s \in Sources |-> committed[s] \o ClosedUpTo(newest, s)]
Uncovered == [id \in Ids |-> IF id <= newest THEN Nothing ELSE prepared[id]]

-----------------------------------------------------------------------------
(* The coordinator. *)

\* Ids increase: the next one is the lowest that is above all used ones.
Trigger(id, final) ==
    /\ ~IsFinished
    /\ \A other \in Free : id <= other
    /\ checkpoint' = [checkpoint EXCEPT ![id].status = "pending", ![id].final = final]
    /\ UNCHANGED <<source, channel, operator, output, open, prepared, committed, newest>>

TriggerPeriodic(id) ==
    /\ left.periodic > 0
    /\ Cardinality(Pending) < Concurrent
    /\ \A other \in Pending : ~checkpoint[other].final
    /\ left' = [left EXCEPT !.periodic = @ - 1]
    /\ Trigger(id, FALSE)

\* When all data has been sent, one more checkpoint, taken alone, covers what is left.
TriggerFinal(id) ==
    /\ \A s \in Sources : source[s].ended
    /\ Pending = {}
    /\ Trigger(id, TRUE)
    /\ UNCHANGED left

\* Publication is what makes a checkpoint count. Older ones that are still under way are subsumed.
Publish(id) ==
    /\ checkpoint[id].durable = Tasks
    /\ checkpoint' = [other \in Ids |->
           IF other = id THEN [checkpoint[id] EXCEPT !.status = "published"]
           ELSE IF other \in Pending /\ other < id THEN [checkpoint[other] EXCEPT !.status = "aborted"]
           ELSE checkpoint[other]]
    /\ newest' = id
    /\ UNCHANGED <<source, channel, operator, output, open, prepared, committed, left>>

\* A task declines, or the time is over. A source gets the trigger first, and obeys it. The gate waits no longer.
Abort(id) ==
    /\ Sources \subseteq checkpoint[id].taken
    /\ left.aborts > 0
    /\ checkpoint' = [checkpoint EXCEPT ![id].status = "aborted"]
    /\ operator' = IF operator.aligning = id THEN [operator EXCEPT !.blocked = {}] ELSE operator
    /\ left' = [left EXCEPT !.aborts = @ - 1]
    /\ UNCHANGED <<source, channel, output, open, prepared, committed, newest>>

-----------------------------------------------------------------------------
(* The tasks. *)

\* With its last record a source says that there are no more. After a restart there may be none at all.
Emit(s) ==
    /\ ~source[s].ended
    /\ LET last == source[s].position + 1 >= Records
           records == IF source[s].position < Records THEN <<Record>> ELSE <<>>
       IN /\ channel' = [channel EXCEPT ![s] = @ \o records \o (IF last THEN <<EndOfData>> ELSE <<>>)]
          /\ source' = [source EXCEPT ![s].position = @ + Len(records), ![s].ended = last]
    /\ UNCHANGED <<operator, output, open, prepared, committed, checkpoint, newest, left>>

\* The barrier stands exactly between the records that the remembered position covers and all others.
SendBarrier(s, id) ==
    /\ id > source[s].barrier
    /\ \A other \in Pending : other > source[s].barrier => id <= other
    /\ channel' = [channel EXCEPT ![s] = Append(@, id)]
    /\ source' = [source EXCEPT ![s].barrier = id]
    /\ checkpoint' = [checkpoint EXCEPT ![id].position[s] = source[s].position, ![id].taken = @ \union {s}]
    /\ UNCHANGED <<operator, output, open, prepared, committed, newest, left>>

CountOne(s) ==
    /\ operator' = [operator EXCEPT !.counts[s] = @ + 1]
    /\ output' = Append(output, <<s, operator.counts[s] + 1>>)
    /\ UNCHANGED checkpoint

InputEnds(s) ==
    LET ended == operator.ended \union {s}
        finishes == ended = Sources /\ ~operator.finished
    IN /\ operator' = [operator EXCEPT !.ended = ended, !.finished = @ \/ finishes,
                                       !.counts[1] = IF finishes THEN @ + 1 ELSE @]
       /\ output' = IF finishes THEN Append(output, <<1, operator.counts[1] + 1>>) ELSE output
       /\ UNCHANGED checkpoint

\* That a checkpoint is over means nothing to a barrier of it that comes first: the gate still waits for the others.
Align(s, id) ==
    LET late == id < operator.aligning \/ (id = operator.aligning /\ operator.blocked = {})
        all == ~late /\ operator.blocked \union {s} = Sources
    IN /\ operator' = IF late THEN operator
                      ELSE [operator EXCEPT !.blocked = IF all THEN {} ELSE @ \union {s}, !.aligning = id]
       /\ IF all /\ id \in Pending
          THEN /\ output' = Append(output, <<0, id>>)
               /\ checkpoint' = [checkpoint EXCEPT ![id].counts = operator.counts,
                                     ![id].finished = operator.finished, ![id].taken = @ \union {Operator}]
          ELSE UNCHANGED <<output, checkpoint>>

OperatorReads(s) ==
    /\ channel[s] # <<>>
    /\ s \notin operator.blocked
    /\ channel' = [channel EXCEPT ![s] = Tail(@)]
    /\ IF Head(channel[s]) = Record THEN CountOne(s)
       ELSE IF Head(channel[s]) = EndOfData THEN InputEnds(s)
       ELSE Align(s, Head(channel[s]))
    /\ UNCHANGED <<source, open, prepared, committed, newest, left>>

\* The barrier closes the transaction: the first phase of the commit.
SinkReads ==
    /\ output # <<>>
    /\ output' = Tail(output)
    /\ LET s == Head(output)[1]
           n == Head(output)[2]
       IN IF s # 0
          THEN /\ open' = [open EXCEPT ![s] = Append(@, n)]
               /\ UNCHANGED <<prepared, checkpoint>>
          ELSE IF n \notin Pending THEN UNCHANGED <<open, prepared, checkpoint>>
          ELSE /\ prepared' = [prepared EXCEPT ![n] = open]
               /\ open' = Nothing
               /\ checkpoint' = [checkpoint EXCEPT ![n].taken = @ \union {Sink}]
    /\ UNCHANGED <<source, channel, operator, committed, newest, left>>

\* What a task remembers for a checkpoint becomes durable, and the task acknowledges. For the sink that is
\* every transaction which is closed and not committed, those of aborted checkpoints too.
Persist(task, id) ==
    /\ task \in checkpoint[id].taken
    /\ task \notin checkpoint[id].durable
    /\ checkpoint' = [checkpoint EXCEPT ![id].durable = @ \union {task}]
    /\ UNCHANGED <<source, channel, operator, output, open, prepared, committed, newest, left>>

\* The second phase: what the newest published checkpoint covers becomes visible, in order.
Commit ==
    /\ prepared # Uncovered
    /\ committed' = Covered
    /\ prepared' = Uncovered
    /\ UNCHANGED <<source, channel, operator, output, open, checkpoint, newest, left>>

-----------------------------------------------------------------------------
(* Failure. Everything volatile is lost; the job goes on from the newest published checkpoint. The sink     *)
(* begins with committing the transactions that it covers and rolling back all others. A job that has not   *)
(* ended takes another final checkpoint, also if it goes on from one.                                       *)

Restart ==
    /\ ~Done
    /\ left.restarts > 0
    /\ left' = [left EXCEPT !.restarts = @ - 1]
    /\ LET from == IF newest = 0 THEN Untouched ELSE checkpoint[newest]
       IN /\ source' = Start(from.position)
          /\ operator' = Fresh(from.counts, from.finished)
    /\ channel' = Nothing
    /\ output' = <<>>
    /\ open' = Nothing
    /\ prepared' = [id \in Ids |-> Nothing]
    /\ committed' = Covered
    /\ checkpoint' = [id \in Ids |-> [checkpoint[id] EXCEPT !.final = FALSE,
                          !.status = IF id \in Pending THEN "aborted" ELSE @]]
    /\ UNCHANGED newest

-----------------------------------------------------------------------------

Progress ==
    \/ \E id \in Free : TriggerFinal(id)
    \/ \E id \in Pending : Publish(id)
    \/ \E id \in Pending, s \in Sources : SendBarrier(s, id)
    \/ \E id \in Pending, task \in Tasks : Persist(task, id)
    \/ \E s \in Sources : Emit(s) \/ OperatorReads(s)
    \/ SinkReads
    \/ Commit

Next ==
    \/ Progress
    \/ \E id \in Free : TriggerPeriodic(id)
    \/ \E id \in Pending : Abort(id)
    \/ Restart
    \/ Done /\ UNCHANGED vars

\* Whoever can make progress does so at last. Nobody has to fail, nor to take a periodic checkpoint.
Spec == Init /\ [][Next]_vars /\ WF_vars(Progress)

-----------------------------------------------------------------------------
(* Safety. *)

Range(sequence) == {sequence[i] : i \in 1..Len(sequence)}

\* A published checkpoint holds exactly the effects of the records before its barriers (CUT-1).
ConsistentCut ==
    \A id \in Ids : checkpoint[id].status = "published" =>
        \A s \in Sources :
            LET extra == IF s = 1 /\ checkpoint[id].finished THEN 1 ELSE 0
            IN checkpoint[id].counts[s] = checkpoint[id].position[s] + extra

\* The transactions that the newest checkpoint covers hold all output up to its cut, and nothing else.
CoveredOutput ==
    newest # 0 => \A s \in Sources : Covered[s] = [i \in 1..checkpoint[newest].counts[s] |-> i]

\* Committed output is a prefix of 1, 2, 3, ...: nothing is lost, repeated or out of order (OUT-1).
CommittedIsPrefix == \A s \in Sources : committed[s] = [i \in 1..Len(committed[s]) |-> i]

\* The gate blocks no channel for good: the barriers that it waits for are on their way, or can still be sent.
BlockedHasReason ==
    operator.blocked # {} => \A s \in Sources \ operator.blocked :
        \/ operator.aligning \in Range(channel[s])
        \/ operator.aligning \in Pending /\ operator.aligning > source[s].barrier

\* Ids of published checkpoints increase (COORD-2).
IdsIncrease == [][newest' >= newest]_vars

(* Liveness, under the fairness above: the job ends with all of its output committed (OUT-2). *)
AllCommitted == /\ Done
                /\ Len(committed[1]) = Records + 1
                /\ Len(committed[2]) = Records
Ends == <>[]AllCommitted
=============================================================================
