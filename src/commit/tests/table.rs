//! Every input in every state of a participant, without checkpoints after a restore and with two of them from the
//! beginning, as a committed table. `SNAPLINE_BLESS=1` rewrites it.

use super::*;
use crate::table_tests::assert_committed;
use std::collections::VecDeque;
use std::fmt::Write;

/// The transaction that was restored, and one that was found and not restored.
const RESTORED: u32 = 2;
const FOUND: u32 = 3;

/// A transaction by its number: of the first attempt, or of this one.
fn numbered(number: u32) -> TransactionId {
    transaction(if number < RESTORED { 2 } else { 1 }, number)
}

/// The state, each transaction by its number.
fn name(sink: &Committer) -> String {
    let idle = if sink.started { "-" } else { "not started" };
    let open = sink.open.map(|open| format!("open {}", open.sequence));
    let prepared = sink.prepared.iter().map(|(transaction, by)| match by {
        None => format!("restored {}", transaction.sequence),
        by if *by <= sink.durable_up_to => format!("durable {}", transaction.sequence),
        _ => format!("closed {}", transaction.sequence),
    });
    let committing = sink.committing.iter().map(|(transaction, repeat_at)| match repeat_at {
        None => format!("committing {}", transaction.sequence),
        Some(_) => format!("waiting {}", transaction.sequence),
    });
    let parts: Vec<String> = open.into_iter().chain(prepared).chain(committing).collect();
    let began = sink.next_sequence;
    let durable = sink.durable_up_to.map_or("-".to_owned(), |id| id.to_string());
    format!(
        "{} (begun {began}, durable up to {durable})",
        if parts.is_empty() { idle.to_owned() } else { parts.join(", ") }
    )
}

/// Everything that can be reported: snapshots in order, answers of each kind, and time. Two transactions are enough.
fn events(sink: &Committer, restored: bool, snapshots: u64) -> Vec<(String, Input)> {
    let mut events = vec![("started".to_owned(), started([numbered(RESTORED), numbered(FOUND)]))];
    if sink.next_sequence < 2 || sink.open.is_some() {
        events.push(("needed".to_owned(), Input::TransactionNeeded));
    }
    if snapshots < 2 && !restored {
        events.push(("snapshot".to_owned(), began(snapshots + 1)));
    }
    for id in 1..=snapshots {
        events.push((format!("durable{id}"), durable(id)));
        events.push((format!("complete{id}"), completed(id)));
    }
    events.push(("undurable".to_owned(), Input::DurabilityFailed { checkpoint: CheckpointId(1) }));
    for number in if restored { 0..=RESTORED } else { 0..=1 } {
        events.push((format!("done{number}"), Input::Committed(numbered(number))));
        events.push((format!("uncertain{number}"), Input::CommitUncertain(numbered(number))));
    }
    events.push(("tick".to_owned(), Input::Tick));
    events
}

fn order(output: &Output) -> String {
    match output {
        Output::Begin(transaction) => format!("begin {}", transaction.sequence),
        Output::PreCommit(transaction) => format!("close {}", transaction.sequence),
        Output::MakeDurable { checkpoint, transactions } => {
            let numbers: Vec<String> = transactions.iter().map(|t| t.sequence.to_string()).collect();
            format!("make durable for {checkpoint}: {}", numbers.join(" "))
        }
        Output::Fail => "fail".to_owned(),
        Output::Commit(transaction) => format!("commit {}", transaction.sequence),
        Output::RollBack(transaction) => format!("roll back {}", transaction.sequence),
    }
}

/// The orders, or nothing if it is misuse.
fn step(sink: &mut Committer, input: Input) -> Option<String> {
    let mut out = Vec::new();
    let now = Millis(if input == Input::Tick { 10 } else { 0 });
    sink.on(now, input, &mut out).ok()?;
    sink.check().unwrap();
    Some(out.iter().map(order).collect::<Vec<_>>().join(", "))
}

/// One paragraph for each state: what does something, then what does nothing, then what is misuse.
fn table(restored: &[u32]) -> (usize, String) {
    let mut text = String::new();
    let mut rows = BTreeSet::new();
    let mut queue = VecDeque::from([(committer(2, restored.iter().copied().map(numbered)), 0)]);
    while let Some((state, snapshots)) = queue.pop_front() {
        if !rows.insert((name(&state), state.started, snapshots)) {
            continue;
        }
        writeln!(text, "\n{snapshots}: {}", name(&state)).unwrap();
        let (mut nothing, mut misuse) = (Vec::new(), Vec::new());
        for (event, input) in events(&state, !restored.is_empty(), snapshots) {
            let mut next = state.clone();
            let taken = u64::from(event == "snapshot");
            match step(&mut next, input) {
                None => misuse.push(event),
                Some(done) if done.is_empty() && next == state && taken == 0 => nothing.push(event),
                Some(done) => {
                    let done = if done.is_empty() { "-" } else { &done };
                    writeln!(text, "  {event:<10} {done} ({}: {})", snapshots + taken, name(&next)).unwrap();
                    queue.push_back((next, snapshots + taken));
                }
            }
        }
        for (what, events) in [("nothing", nothing), ("misuse", misuse)] {
            if !events.is_empty() {
                writeln!(text, "  {what}: {}", events.join(" ")).unwrap();
            }
        }
    }
    (rows.len(), text)
}

#[test]
fn commit_every_input_in_every_state_behaves_as_in_the_committed_table() {
    let (restored, after_restore) = table(&[RESTORED]);
    let (checkpoints, with_checkpoints) = table(&[]);
    let heading = "state after so many snapshots\n  event      what is done (next state)\n";
    let found = format!("{heading}{after_restore}\n\nNothing restored, two checkpoints\n{with_checkpoints}");
    assert_committed("src/commit/table.txt", &found);
    assert_eq!((restored, checkpoints), (7, 61));
}
