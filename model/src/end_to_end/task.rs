//! The actors of tasks: sources, the operator, the sink.

use super::dataflow::channel_of;
use super::faults::Fault;
use super::message::{Content, Counted, Element, Msg};
use super::node::{COORDINATOR, External, Node, Running, SINK, SOURCES, STORE, Sends, Work, subtask_of};
use snapline::base::{
    Attempt, CheckpointId, CheckpointOptions, CheckpointingMode, Millis, StateFile, StateHandle,
};
use snapline::commit::{self, Committer};
use snapline::subtask::{Config, Input, Output, Subtask};
use stateright::actor::Id;
use std::collections::{BTreeMap, BTreeSet};

/// The key of the record that its counter emits when its input is finished.
pub(super) const KEY_AT_THE_END: u8 = 0;

impl Node {
    pub(super) fn task_message(
        &self,
        id: Id,
        running: &mut Option<Box<Running>>,
        external: &mut External,
        src: Id,
        msg: Msg,
        o: &mut Sends,
    ) {
        if let Msg::Deploy(attempt, _, content) = msg {
            *running = Some(Box::new(self.deploy(id, attempt, content, external)));
            return;
        }
        let Some(running) = running else { return };
        let channel = channel_of(usize::from(id), src);
        let input = match msg {
            Msg::Data(Element::Record(key)) => return count(running, key, o),
            Msg::Data(Element::Counted(counted)) => return write(running, counted),
            Msg::Data(Element::Barrier(checkpoint, kind)) => {
                Input::BarrierArrived { channel, checkpoint, options: CheckpointOptions::aligned(kind) }
            }
            Msg::Data(Element::Cancellation(checkpoint)) => {
                Input::CancellationArrived { channel, checkpoint }
            }
            Msg::Data(Element::EndOfData) => Input::EndOfDataArrived { channel },
            Msg::Data(Element::ChannelEnd) => Input::ChannelEnded { channel },
            Msg::Trigger(attempt, checkpoint, kind) => {
                let options = CheckpointOptions::aligned(kind);
                Input::TriggerArrived { attempt, checkpoint, options }
            }
            Msg::Complete(attempt, checkpoint) => Input::CompletionArrived { attempt, checkpoint },
            // What it says of the newest completed checkpoint was said by another message.
            Msg::Abort(attempt, checkpoint) => {
                Input::AbortArrived { attempt, checkpoint, newest_completed: None }
            }
            Msg::Written(checkpoint, file, durable) => {
                running.snapshots.remove(&file);
                self.became_durable(&mut running.work, external, checkpoint, durable);
                if self.plants(Fault::AcknowledgeBeforeDurable) {
                    return;
                }
                match durable {
                    true => Input::UploadFinished { checkpoint, handle: Some(handle_of(file)) },
                    false => Input::UploadFailed { checkpoint },
                }
            }
            other => unreachable!("a task never gets {other:?}"),
        };
        self.drive(id, running, external, input, o);
    }

    fn deploy(&self, id: Id, attempt: Attempt, content: Option<Content>, external: &mut External) -> Running {
        let task = usize::from(id);
        let input_finished = matches!(content, Some(Content::Counts(_, true)));
        let work = match (task, content) {
            (SINK, content) => {
                let restored = match content {
                    Some(Content::Transactions(transactions)) => transactions,
                    _ => BTreeSet::new(),
                };
                let config = commit::Config {
                    subtask: subtask_of(SINK),
                    parallelism: 1,
                    attempt,
                    retry_pause: Millis(0),
                };
                Work::Sink {
                    committer: Committer::new(config, restored),
                    open: Vec::new(),
                    closed: BTreeMap::new(),
                    making_durable: BTreeMap::new(),
                }
            }
            (_, Some(Content::Position(position))) => Work::Source { position },
            (_, Some(Content::Counts(counts, _))) => Work::Count { counts },
            _ if task < SOURCES => Work::Source { position: 0 },
            _ => Work::Count { counts: vec![0; SOURCES] },
        };
        let subtask = Subtask::new(Config {
            id: subtask_of(task),
            attempt,
            mode: CheckpointingMode::ExactlyOnce,
            channels: self.scope.upstream(task).len() as u16,
            outputs: self.scope.downstream(task).len() as u16,
            input_finished,
        });
        let mut running = Running { subtask, work, snapshots: BTreeMap::new() };
        let found = external.prepared.keys().copied().collect();
        self.drive_sink(&mut running.work, external, commit::Input::Started { found });
        running
    }

    /// A source emits its next record, and learns with its last one that there are no more.
    pub(super) fn emit(&self, id: Id, running: &mut Running, external: &mut External, o: &mut Sends) {
        self.emit_record(id, running, o);
        if matches!(running.work, Work::Source { position } if position >= self.scope.records) {
            self.drive(id, running, external, Input::SourceExhausted, o);
        }
    }

    fn emit_record(&self, id: Id, running: &mut Running, o: &mut Sends) {
        let Work::Source { position } = &mut running.work else { return };
        if *position < self.scope.records {
            let key = self.scope.key(usize::from(id), *position);
            *position += 1;
            o.send(Id::from(self.scope.owner(key)), Msg::Data(Element::Record(key)));
        }
    }

    fn drive(&self, id: Id, running: &mut Running, external: &mut External, input: Input, o: &mut Sends) {
        let mut outputs = Vec::new();
        // Only a planted bug can make a task misuse its machine; it then goes on as if nothing had been said.
        let misuse = running.subtask.on(Millis(0), input, &mut outputs);
        assert!(misuse.is_ok() || self.fault.is_some(), "{misuse:?}");
        let emits_between = self.plants(Fault::EmitBetweenSnapshotAndBarrier) && usize::from(id) < SOURCES;
        if emits_between
            && let Some(at) = outputs.iter().position(|o| matches!(o, Output::EmitBarrier { .. }))
        {
            let barrier = outputs.remove(at);
            outputs.insert(at + 1, barrier);
        }
        for output in outputs {
            if emits_between && matches!(output, Output::EmitBarrier { .. }) {
                self.emit_record(id, running, o);
            }
            self.carry_out(id, running, external, output, o);
        }
    }

    fn carry_out(
        &self,
        id: Id,
        running: &mut Running,
        external: &mut External,
        output: Output,
        o: &mut Sends,
    ) {
        match output {
            Output::EmitBarrier { checkpoint, options } => {
                self.broadcast(id, Element::Barrier(checkpoint, options.kind()), o);
            }
            Output::EmitCancellation { checkpoint } => {
                self.broadcast(id, Element::Cancellation(checkpoint), o)
            }
            Output::EmitEndOfData => self.broadcast(id, Element::EndOfData, o),
            Output::ReportEndOfData { attempt } => o.send(Id::from(COORDINATOR), Msg::Exhausted(attempt)),
            Output::TakeSnapshot { checkpoint, .. } => {
                self.snapshot(id, running, external, checkpoint);
                self.drive(id, running, external, Input::SnapshotTaken { checkpoint }, o);
            }
            Output::StartUpload { checkpoint } => {
                let file = file_of(running, checkpoint);
                o.send(Id::from(STORE), Msg::WriteState(file, running.snapshots[&file].clone()));
                if self.plants(Fault::AcknowledgeBeforeDurable) {
                    let finished = Input::UploadFinished { checkpoint, handle: Some(handle_of(file)) };
                    self.drive(id, running, external, finished, o);
                }
            }
            Output::Acknowledge { checkpoint, attempt, handle, .. } => {
                let handle = handle.expect("every task of the model has state");
                o.send(Id::from(COORDINATOR), Msg::Acknowledge(attempt, checkpoint, handle));
            }
            Output::Decline { checkpoint, attempt, reason } => {
                o.send(Id::from(COORDINATOR), Msg::Decline(attempt, checkpoint, reason));
            }
            Output::NotifyComplete { checkpoint } => {
                let completed = commit::Input::CheckpointCompleted { checkpoint };
                self.drive_sink(&mut running.work, external, completed);
            }
            Output::DiscardState(file) => o.send(Id::from(STORE), Msg::DiscardState(file)),
            Output::FinishInput => {
                if self.scope.owner(KEY_AT_THE_END) == usize::from(id) {
                    count(running, KEY_AT_THE_END, o);
                }
            }
            Output::Finish => {
                self.broadcast(id, Element::ChannelEnd, o);
                o.send(Id::from(COORDINATOR), Msg::Finished(running.subtask.attempt()));
            }
            Output::BlockChannel(_)
            | Output::ResumeChannel(_)
            | Output::CancelUpload { .. }
            | Output::OvertakeOutput { .. }
            | Output::CaptureQueued { .. }
            | Output::DropSnapshot { .. }
            | Output::NotifyAborted { .. } => {}
        }
    }

    fn broadcast(&self, from: Id, element: Element, o: &mut Sends) {
        for downstream in self.scope.downstream(usize::from(from)) {
            o.send(Id::from(downstream), Msg::Data(element));
        }
    }

    fn snapshot(&self, id: Id, running: &mut Running, external: &mut External, checkpoint: CheckpointId) {
        let began = commit::Input::SnapshotBegan { checkpoint };
        self.drive_sink(&mut running.work, external, began);
        let content = match &running.work {
            Work::Source { position } => Content::Position(*position),
            Work::Count { counts } => {
                let finished = running.subtask.has_finished_input();
                Content::Counts(counts.clone(), finished && !self.plants(Fault::FinishNotRemembered))
            }
            Work::Sink { committer, .. } => Content::Transactions(committer.snapshot()),
        };
        debug_assert_eq!(running.subtask.id(), subtask_of(usize::from(id)));
        running.snapshots.insert(file_of(running, checkpoint), content);
    }

    fn drive_sink(&self, work: &mut Work, external: &mut External, input: commit::Input) {
        let Work::Sink { committer, open, closed, making_durable } = work else { return };
        let starting = matches!(input, commit::Input::Started { .. });
        let mut outputs = Vec::new();
        let misuse = committer.on(Millis(0), input, &mut outputs);
        assert!(misuse.is_ok() || self.fault.is_some(), "{misuse:?}");
        for output in outputs {
            match output {
                commit::Output::Begin(_) => {}
                commit::Output::PreCommit(transaction) => {
                    let written = std::mem::take(open);
                    if self.plants(Fault::CommitAtPreCommit) {
                        commit_records(external, written);
                    } else if !self.plants(Fault::PreCommitNotWritten) {
                        closed.insert(transaction, written);
                    }
                }
                commit::Output::MakeDurable { checkpoint, mut transactions } => {
                    if self.plants(Fault::EarlierTransactionsNotDurable) {
                        transactions.drain(..transactions.len() - 1);
                    }
                    making_durable.insert(checkpoint, transactions);
                }
                commit::Output::Fail => unreachable!("what cannot be made durable is tried again"),
                commit::Output::Commit(transaction) => {
                    if !(starting && self.plants(Fault::NoCommitAtRecovery))
                        && let Some(written) = external.prepared.remove(&transaction)
                    {
                        commit_records(external, written);
                    }
                    let committed = commit::Input::Committed(transaction);
                    committer.on(Millis(0), committed, &mut Vec::new()).expect("the commit was asked for");
                }
                commit::Output::RollBack(transaction) => {
                    let written = external.prepared.remove(&transaction);
                    if self.plants(Fault::CommitInsteadOfRollBack) {
                        commit_records(external, written.unwrap_or_default());
                    }
                }
            }
        }
    }
}

impl Node {
    /// The sink makes its transactions durable in the same asynchronous part as its snapshot.
    fn became_durable(
        &self,
        work: &mut Work,
        external: &mut External,
        checkpoint: CheckpointId,
        durable: bool,
    ) {
        let Work::Sink { closed, making_durable, .. } = work else { return };
        let Some(transactions) = making_durable.remove(&checkpoint) else { return };
        if durable {
            let written = |transaction| closed.remove(&transaction).map(|written| (transaction, written));
            external.prepared.extend(transactions.into_iter().filter_map(written));
            self.drive_sink(work, external, commit::Input::BecameDurable { checkpoint });
        }
    }
}

fn count(running: &mut Running, key: u8, o: &mut Sends) {
    let Work::Count { counts } = &mut running.work else { return };
    counts[usize::from(key)] += 1;
    let counted = Counted { key, count: counts[usize::from(key)] };
    o.send(Id::from(SINK), Msg::Data(Element::Counted(counted)));
}

fn write(running: &mut Running, counted: Counted) {
    let Work::Sink { committer, open, .. } = &mut running.work else { return };
    if committer.open().is_none() {
        let needed = commit::Input::TransactionNeeded;
        committer.on(Millis(0), needed, &mut Vec::new()).expect("no transaction is open");
    }
    // The order of different keys is no part of the output: one canonical order has fewer states.
    open.push(counted);
    open.sort_by_key(|counted| counted.key);
}

fn commit_records(external: &mut External, written: Vec<Counted>) {
    for counted in written {
        external.committed[usize::from(counted.key)].push(counted.count);
    }
}

fn file_of(running: &Running, checkpoint: CheckpointId) -> StateFile {
    let (subtask, attempt) = (running.subtask.id(), running.subtask.attempt());
    StateFile { checkpoint, subtask, attempt, savepoint: false }
}

fn handle_of(file: StateFile) -> StateHandle {
    StateHandle { file, bytes: 1, checksum: 0, inline: None }
}
