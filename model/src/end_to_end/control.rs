//! The coordinator's actor.

use super::faults::Fault;
use super::message::Msg;
use super::node::{COORDINATOR, Node, NodeState, SOURCES, STORE, Sends, TASKS, subtask_of, task_of};
use snapline::base::{CheckpointId, Millis};
use snapline::coordinator::{Coordinator, Input, Output};
use snapline::publish::{Answer, Operation, Recovered};
use stateright::actor::Id;

impl Node {
    /// A coordinator process that has just started.
    pub(super) fn start_coordinator(&self, incarnation: u64, o: &mut Sends) -> NodeState {
        let config = self.scope.coordinator(incarnation);
        let mut machine = Coordinator::new(config).expect("the model's configuration makes sense");
        self.drive_coordinator(&mut machine, Millis(0), Input::JobStarted, o);
        NodeState::Coordinator(Box::new(machine), Millis(0))
    }

    /// The clock moves on to the next time at which anything can change.
    pub(super) fn tick(&self, machine: &mut Coordinator, now: &mut Millis, o: &mut Sends) {
        *now = machine.deadline().unwrap_or(*now);
        self.drive_coordinator(machine, *now, Input::Tick, o);
    }

    pub(super) fn coordinator_message(
        &self,
        machine: &mut Coordinator,
        now: Millis,
        src: Id,
        msg: Msg,
        o: &mut Sends,
    ) {
        let subtask = if usize::from(src) < TASKS { subtask_of(usize::from(src)) } else { subtask_of(0) };
        let fresh = |attempt| if self.plants(Fault::StaleObeyed) { machine.attempt() } else { attempt };
        let input = match msg {
            Msg::Acknowledge(attempt, checkpoint, handle) => Input::AcknowledgeArrived {
                attempt: fresh(attempt),
                subtask,
                checkpoint,
                handle: Some(handle),
                shared: None,
            },
            Msg::Decline(attempt, checkpoint, reason) => {
                Input::DeclineArrived { attempt: fresh(attempt), subtask, checkpoint, reason }
            }
            Msg::Exhausted(attempt) => Input::EndOfDataReported { attempt: fresh(attempt), subtask },
            Msg::Finished(attempt) => Input::TaskFinished { attempt: fresh(attempt), subtask },
            Msg::Failed(attempt) => Input::TaskFailed { attempt, subtask, unrecoverable: false },
            Msg::Answered(ticket, Answer::Unknown) if self.plants(Fault::UncertainTakenForFailed) => {
                Input::StorageAnswered { ticket, answer: Answer::Failed }
            }
            Msg::Answered(ticket, answer) => Input::StorageAnswered { ticket, answer },
            Msg::Deployed(attempt) => Input::TasksRunning { attempt },
            Msg::Stopped(attempt) => Input::TasksStopped { attempt },
            other => unreachable!("the coordinator never gets {other:?}"),
        };
        self.drive_coordinator(machine, now, input, o);
    }

    fn drive_coordinator(&self, machine: &mut Coordinator, now: Millis, input: Input, o: &mut Sends) {
        let mut outputs = Vec::new();
        machine.on(now, input, &mut outputs).expect("the coordinator is never misused");
        let retained = machine.retained().last().map(|checkpoint| checkpoint.id);
        for output in outputs {
            match output {
                Output::Perform { ticket, operation } => {
                    self.plant_before(&operation, retained, o);
                    o.send(Id::from(STORE), Msg::Perform(ticket, operation));
                }
                Output::Skipping(skipped) => unreachable!("nothing is damaged, but {skipped:?}"),
                Output::StartTasks(recovered) => self.deploy_all(&recovered, o),
                Output::CancelTasks { attempt } => o.send(Id::from(COORDINATOR), Msg::Cancel(attempt)),
                Output::Trigger { subtask, attempt, checkpoint, options } => {
                    o.send(task_of(subtask), Msg::Trigger(attempt, checkpoint, options.kind()));
                }
                Output::NotifyComplete { subtask, attempt, checkpoint } => {
                    o.send(task_of(subtask), Msg::Complete(attempt, checkpoint));
                }
                Output::NotifyAborted { subtask, attempt, checkpoint, .. } => {
                    o.send(task_of(subtask), Msg::Abort(attempt, checkpoint));
                }
                Output::DiscardState(file) => o.send(Id::from(STORE), Msg::DiscardState(file)),
                Output::DeleteCheckpoint(checkpoint) => {
                    o.send(Id::from(STORE), Msg::DeleteCheckpoint(checkpoint));
                    // Nothing waits for one deletion, so when it ends makes no difference.
                    self.drive_coordinator(machine, now, Input::CleanupEnded { checkpoint }, o);
                }
                Output::DeletePointer(sequence) => o.send(Id::from(STORE), Msg::DeletePointer(sequence)),
                Output::Completed(_)
                | Output::Aborted { .. }
                | Output::JobEnded(_)
                // Users ask for nothing in this model.
                | Output::DrainSource { .. }
                | Output::PlaceSavepoint { .. }
                // No task shares files in this model.
                | Output::DeleteShared(_)
                | Output::ListShared
                | Output::RequestAnswered { .. } => {}
            }
        }
    }

    /// Plants the bugs that do something too early when a publication begins.
    fn plant_before(&self, operation: &Operation, retained: Option<CheckpointId>, o: &mut Sends) {
        let Operation::PutMetadata(checkpoint) = operation else { return };
        if self.plants(Fault::NotifyBeforePublished) {
            for task in self.scope.tasks() {
                o.send(Id::from(task), Msg::Complete(checkpoint.attempt, checkpoint.id));
            }
        }
        if let (true, Some(older)) = (self.plants(Fault::DeleteBeforePublished), retained) {
            o.send(Id::from(STORE), Msg::DeleteCheckpoint(older));
        }
    }

    fn deploy_all(&self, recovered: &Recovered, o: &mut Sends) {
        for task in self.scope.tasks() {
            let newest = recovered.newest.as_ref();
            let handle = newest.and_then(|newest| newest.states.get(&subtask_of(task))?.as_ref());
            let file = handle.map(|handle| handle.file);
            let file = file.filter(|_| task >= SOURCES || !self.plants(Fault::RestoredAtTheStart));
            o.send(Id::from(task), Msg::Deploy(recovered.attempt, file, None));
        }
        o.send(Id::from(COORDINATOR), Msg::Deployed(recovered.attempt));
    }
}
