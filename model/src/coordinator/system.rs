//! The checked system: what can happen next, and what follows from it.

use super::faults::Fault;
use super::observer::Scene;
use super::scope::{Run, SINK, SOURCE, Scope, TASKS, handle};
use super::store::How;
use super::world::{Life, Part, Process, Step, Stray, Tasks, World};
use snapline::base::{Attempt, CheckpointId, SubtaskId};
use snapline::coordinator::{Coordinator, Input, Outcome, Output, RequestId};
use snapline::publish::{Answer, Operation};
use std::sync::Arc;

/// One or two processes with a coordinator each, and the storage.
#[derive(Clone, Debug)]
pub struct Coordination {
    pub(super) scope: Scope,
    fault: Option<Fault>,
}

impl Coordination {
    /// The system within `scope`.
    pub fn new(scope: Scope, fault: Option<Fault>) -> Self {
        Coordination { scope, fault }
    }

    pub(super) fn run(&self, world: &World) -> &Run {
        &self.scope.runs[world.run]
    }

    pub(super) fn plants(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(super) fn start(&self, world: &mut World) {
        let config = self.run(world).config(world.processes.len());
        let coordinator = Coordinator::new(config).expect("the configuration makes sense");
        world.processes.push(Arc::new(Process::new(coordinator)));
        self.tell(world, world.processes.len() - 1, Input::JobStarted);
    }

    /// Tells a coordinator what happened, and carries out what it says.
    fn tell(&self, world: &mut World, who: usize, input: Input) {
        self.tell_wrongly(world, who, input.clone(), Some(input));
    }

    /// What happens is one thing, and what a coordinator is told, if anything, may be another.
    fn tell_wrongly(&self, world: &mut World, who: usize, happened: Input, told: Option<Input>) {
        let run = self.run(world);
        let World { now, processes, store, .. } = world;
        let process = Arc::make_mut(&mut processes[who]);
        let scene = |process: &Process| (process.coordinator.publisher().is_fenced(), process.cleaning.len());
        let (is_fenced, cleaning) = scene(process);
        let mut watch = std::mem::take(&mut process.watch);
        let (now, tasks) = (*now, &process.tasks);
        watch.saw_input(&Scene { run, now, tasks, store, cleaning, is_fenced }, &happened);
        let mut outputs = Vec::new();
        if let Some(told) = told {
            process.coordinator.on(now, told, &mut outputs).expect("the driver keeps to the protocol");
        }
        outputs.retain(|output| !self.drops(output));
        let (is_fenced, _) = scene(process);
        let tasks = &process.tasks;
        watch.saw_outputs(&Scene { run, now, tasks, store, cleaning, is_fenced }, &happened, &outputs);
        process.watch = watch;
        for output in outputs {
            self.carry_out(world, who, output);
        }
        Self::forget_what_nobody_delivers(world, who);
    }

    fn drops(&self, output: &Output) -> bool {
        match output {
            Output::DiscardState(_) => self.plants(Fault::DiscardForgotten),
            Output::NotifyAborted { .. } => self.plants(Fault::AbortNotPassedOn),
            _ => false,
        }
    }

    fn carry_out(&self, world: &mut World, who: usize, output: Output) {
        let process = Arc::make_mut(&mut world.processes[who]);
        let tasks = &mut process.tasks;
        match output {
            Output::Perform { ticket, operation } => process.asked = Some((ticket, operation)),
            Output::StartTasks(recovered) => {
                let attempt = recovered.attempt;
                let newest = recovered.newest.as_ref();
                let had_finished = |task: &SubtaskId| newest.is_some_and(|newest| newest.had_finished(*task));
                let finished = TASKS.into_iter().filter(had_finished).collect();
                *tasks = Tasks { attempt, life: Life::Starting, finished, ..Tasks::default() };
                if self.plants(Fault::StartingTakenForRunning) {
                    self.tell(world, who, Input::TasksRunning { attempt });
                }
            }
            Output::CancelTasks { .. } => tasks.life = Life::Stopping,
            Output::Trigger { attempt, checkpoint, options, .. } => {
                let is_savepoint = options.kind().is_savepoint();
                let part = |subtask| Part { attempt, checkpoint, subtask, is_savepoint };
                process.owed.extend(tasks.alive().map(part));
                if self.plants(Fault::TriggerTakenForAcknowledgement) {
                    let confirmed = Input::AcknowledgeArrived {
                        attempt,
                        subtask: SOURCE,
                        checkpoint,
                        handle: None,
                        shared: None,
                    };
                    self.tell_wrongly(world, who, Input::Tick, Some(confirmed));
                }
            }
            Output::NotifyComplete { subtask, .. } if process.watch.is_last => {
                tasks.dismissed.insert(subtask);
            }
            Output::Completed(savepoint)
                if savepoint.kind.is_savepoint() && self.plants(Fault::SavepointSubsumes) =>
            {
                let older = world.store.metadata.keys().copied().collect::<Vec<_>>();
                older.into_iter().for_each(|id| world.store().delete(id));
            }
            Output::DiscardState(file) => drop(world.store().discard(file)),
            Output::DeleteCheckpoint(id) => drop(process.cleaning.insert(id)),
            Output::DrainSource { .. } => tasks.draining = true,
            Output::JobEnded(outcome) => {
                tasks.life = Life::Absent;
                let put = process.asked.take().map(|(_, operation)| operation).filter(is_put);
                world.store().late.extend(put);
                if outcome == Outcome::Fenced && self.plants(Fault::FencedCleansUp) {
                    world.store().metadata.clear();
                }
            }
            _ => {}
        }
    }

    /// What is on its way and can no longer arrive makes no difference.
    fn forget_what_nobody_delivers(world: &mut World, who: usize) {
        let may_come_late = world.left.late > 0;
        let process = world.process(who);
        if !process.lives() {
            process.owed.clear();
            process.again.clear();
        } else if !may_come_late {
            let mut owed = std::mem::take(&mut process.owed);
            owed.retain(|part| process.awaits(*part));
            process.owed = owed;
        }
    }

    fn answer(&self, world: &mut World, who: usize, how: How) {
        let Some((ticket, operation)) = world.process(who).asked.take() else { return };
        if self.plants(Fault::PutTakenForDurable) && matches!(operation, Operation::PutPointer(..)) {
            let answer = Answer::Stored;
            self.tell(world, who, Input::StorageAnswered { ticket, answer });
            world.store().perform(&operation);
            return;
        }
        let is_last_claim = matches!(&operation, Operation::PutPointer(_, pointer)
            if pointer.newest.is_none() && !world.processes[who].coordinator.retained().is_empty());
        let answer = match world.store().answer(&operation, how) {
            Answer::Unknown if self.plants(Fault::LostTakenForFailed) => Answer::Failed,
            Answer::Exists if self.plants(Fault::RetiredUnproven) && is_last_claim => Answer::Stored,
            answer => answer,
        };
        self.tell(world, who, Input::StorageAnswered { ticket, answer });
    }

    fn acknowledge(&self, world: &mut World, who: usize, part: Part, is_first: bool) {
        let Part { attempt, checkpoint, subtask, is_savepoint } = part;
        let file = part.file();
        if is_first {
            let store = world.store();
            let files = if is_savepoint { &mut store.savepoint_files } else { &mut store.files };
            files.insert(file);
        }
        let happened = Input::AcknowledgeArrived {
            attempt,
            subtask,
            checkpoint,
            handle: Some(handle(file)),
            shared: None,
        };
        let is_awaited = world.processes[who].awaits(part);
        let told = if self.plants(Fault::LateAcknowledgementIgnored) && !is_awaited {
            None
        } else if self.plants(Fault::AcknowledgementsCounted) && !is_first {
            let subtask = if subtask == SOURCE { SINK } else { SOURCE };
            Some(Input::AcknowledgeArrived {
                attempt,
                subtask,
                checkpoint,
                handle: Some(handle(file)),
                shared: None,
            })
        } else {
            Some(happened.clone())
        };
        self.tell_wrongly(world, who, happened, told);
    }

    /// A message that changes nothing, as the observer makes sure.
    fn stray(&self, world: &mut World, who: usize, stray: Stray) {
        let process = &world.processes[who];
        let (attempt, old) = (process.tasks.attempt, Attempt(0));
        let unknown = SubtaskId::new(7, 7);
        let newest = process.watch.triggered.unwrap_or(CheckpointId::FIRST);
        let (handle, unrecoverable) = (None, false);
        let input = match stray {
            Stray::UnknownTask => Input::AcknowledgeArrived {
                attempt,
                subtask: unknown,
                checkpoint: newest,
                handle,
                shared: None,
            },
            Stray::UnknownCheckpoint => {
                let checkpoint = CheckpointId(newest.0 + 7);
                Input::AcknowledgeArrived { attempt, subtask: SINK, checkpoint, handle, shared: None }
            }
            Stray::OldFailure if self.plants(Fault::OldFailureObeyed) => {
                let happened = Input::TaskFailed { attempt: old, subtask: SINK, unrecoverable };
                let told = Input::TaskFailed { attempt, subtask: SINK, unrecoverable };
                return self.tell_wrongly(world, who, happened, Some(told));
            }
            Stray::OldFailure => Input::TaskFailed { attempt: old, subtask: SINK, unrecoverable },
            Stray::OldEnd => Input::TaskFinished { attempt: old, subtask: SINK },
        };
        let before = world.processes[who].coordinator.clone();
        self.tell(world, who, input);
        let is_late = before.deadline().is_some_and(|deadline| deadline <= world.now);
        let process = world.process(who);
        process.watch.wrong.stray_obeyed |= !is_late && process.coordinator != before;
    }

    fn task_step(&self, world: &mut World, step: Step) {
        match step {
            Step::Running(who) => {
                world.process(who).tasks.life = Life::Running;
                let attempt = world.processes[who].tasks.attempt;
                self.tell(world, who, Input::TasksRunning { attempt });
            }
            Step::Stopped(who) => {
                world.process(who).tasks.life = Life::Absent;
                let attempt = world.processes[who].tasks.attempt;
                self.tell(world, who, Input::TasksStopped { attempt });
            }
            Step::Acknowledge(who, part) | Step::AcknowledgeTwice(who, part) => {
                let process = world.process(who);
                process.owed.remove(&part);
                if matches!(step, Step::AcknowledgeTwice(..)) {
                    process.again.insert(part);
                }
                self.acknowledge(world, who, part, true);
            }
            Step::Again(who, part) => {
                world.process(who).again.remove(&part);
                self.acknowledge(world, who, part, false);
            }
            Step::Decline(who, part, reason) => {
                world.process(who).owed.remove(&part);
                let Part { attempt, checkpoint, subtask, .. } = part;
                self.tell(world, who, Input::DeclineArrived { attempt, subtask, checkpoint, reason });
            }
            Step::EndOfData(who) => {
                let tasks = &mut world.process(who).tasks;
                tasks.at_end = true;
                let attempt = tasks.attempt;
                self.tell(world, who, Input::EndOfDataReported { attempt, subtask: SOURCE });
            }
            Step::Backlog(who) => {
                let tasks = &mut world.process(who).tasks;
                tasks.backlog = !tasks.backlog;
                let (attempt, has_backlog) = (tasks.attempt, tasks.backlog);
                self.tell(world, who, Input::BacklogReported { attempt, subtask: SOURCE, has_backlog });
            }
            Step::Finish(who, subtask) => {
                let tasks = &mut world.process(who).tasks;
                tasks.finished.insert(subtask);
                let happened = Input::TaskFinished { attempt: tasks.attempt, subtask };
                let is_reported = !self.plants(Fault::FinishNotReported);
                self.tell_wrongly(world, who, happened.clone(), Some(happened).filter(|_| is_reported));
            }
            Step::Fail(who, subtask, unrecoverable) => {
                let attempt = world.processes[who].tasks.attempt;
                self.tell(world, who, Input::TaskFailed { attempt, subtask, unrecoverable });
            }
            _ => unreachable!("no task does {step:?}"),
        }
    }

    pub(super) fn apply(&self, world: &mut World, step: Step) {
        match step {
            Step::Start => self.start(world),
            Step::Answer(who, how) => self.answer(world, who, how),
            Step::Late(index) => {
                let put = world.store.late.iter().nth(index).cloned().expect("it is on its way");
                world.store().late.remove(&put);
                world.store().perform(&put);
            }
            Step::Stray(who, stray) => self.stray(world, who, stray),
            Step::Request(who, kind) => {
                world.requests += 1;
                let request = RequestId(world.requests);
                self.tell(world, who, Input::CheckpointRequested { request, kind });
            }
            Step::Switch(who, on) => self.tell(world, who, Input::PeriodicCheckpointsSwitched { on }),
            Step::Cancel(who) => {
                let attempt = world.processes[who].tasks.attempt;
                let failed = Input::TaskFailed { attempt, subtask: SINK, unrecoverable: false };
                let is_taken_for_failure = self.plants(Fault::CancelTakenForFailure);
                let told = if is_taken_for_failure { failed } else { Input::CancelRequested };
                self.tell_wrongly(world, who, Input::CancelRequested, Some(told));
            }
            Step::Suspend(who) => self.tell(world, who, Input::SuspendRequested),
            Step::Delete(who, checkpoint) => {
                world.store().delete(checkpoint);
                world.process(who).cleaning.remove(&checkpoint);
                self.cleanup_ended(world, who, checkpoint);
            }
            Step::DeletionFails(who, checkpoint) => {
                let kept = world.store.files.iter().filter(|file| file.checkpoint == checkpoint);
                let kept: Vec<_> = kept.copied().collect();
                world.process(who).watch.left_behind.extend(kept);
                world.process(who).cleaning.remove(&checkpoint);
                if !self.plants(Fault::FailedDeletionNotReported) {
                    self.cleanup_ended(world, who, checkpoint);
                }
            }
            Step::Tick(who) => {
                let deadline = world.processes[who].coordinator.deadline().unwrap_or_default();
                world.now = world.now.max(deadline);
                self.tell(world, who, Input::Tick);
                let next = world.processes[who].coordinator.deadline();
                world.process(who).watch.wrong.tick_in_vain |= next <= Some(deadline) && next.is_some();
            }
            step => self.task_step(world, step),
        }
    }

    fn cleanup_ended(&self, world: &mut World, who: usize, checkpoint: CheckpointId) {
        if world.processes[who].lives() {
            self.tell(world, who, Input::CleanupEnded { checkpoint });
        }
    }

    pub(super) fn spend(world: &mut World, step: Step) {
        let left = &mut world.left;
        match step {
            Step::Start => left.coordinators -= 1,
            Step::Answer(_, How::Refused) | Step::DeletionFails(..) => left.refusals -= 1,
            Step::Answer(_, How::Lost) => left.losses -= 1,
            Step::Acknowledge(who, part) if !world.processes[who].awaits(part) => left.late -= 1,
            Step::Decline(who, part, _) if !world.processes[who].awaits(part) => left.late -= 1,
            Step::AcknowledgeTwice(..) => left.repetitions -= 1,
            Step::Decline(..) => left.declines -= 1,
            Step::EndOfData(who) if !world.processes[who].tasks.draining => left.ends -= 1,
            Step::Backlog(_) => left.backlogs -= 1,
            Step::Finish(who, task) if !world.processes[who].tasks.dismissed.contains(&task) => {
                left.finishes -= 1;
            }
            Step::Fail(..) => left.task_failures -= 1,
            Step::Stray(..) => left.strays -= 1,
            Step::Request(..) => left.requests -= 1,
            Step::Switch(..) => left.switches -= 1,
            Step::Cancel(_) | Step::Suspend(_) => left.endings -= 1,
            Step::Tick(who) if world.processes[who].coordinator.deadline() > Some(world.now) => {
                left.jumps -= 1;
            }
            _ => {}
        }
    }
}

/// Whether an operation can arrive late.
pub(super) fn is_put(operation: &Operation) -> bool {
    matches!(operation, Operation::PutMetadata(_) | Operation::PutPointer(..))
}
