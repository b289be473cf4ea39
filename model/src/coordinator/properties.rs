//! What holds in every state, and what is possible at all.

use super::keeping;
use super::observer::{Watch, Wrong};
use super::scope::{SINK, SOURCE};
use super::system::Coordination;
use super::world::{Life, Process, World};
use snapline::base::CheckpointKind;
use snapline::coordinator::Outcome;
use stateright::{Model, Property};
use std::collections::BTreeSet;

type P = Property<Coordination>;

impl World {
    /// Whether no observer has seen this go wrong.
    pub(super) fn never(&self, wrong: impl Fn(&Wrong) -> bool) -> bool {
        !self.processes.iter().any(|process| wrong(&process.watch.wrong))
    }

    pub(super) fn some(&self, seen: impl Fn(&Process) -> bool) -> bool {
        self.processes.iter().any(|process| seen(process))
    }

    pub(super) fn some_watch(&self, seen: impl Fn(&Watch) -> bool) -> bool {
        self.some(|process| seen(&process.watch))
    }

    pub(super) fn all(&self, holds: impl Fn(&Process) -> bool) -> bool {
        self.processes.iter().all(|process| holds(process))
    }

    fn has_under_way(&self, kind: CheckpointKind) -> bool {
        self.some_watch(|watch| watch.under_way.values().any(|one| one.kind == kind))
    }

    pub(super) fn ended_as(&self, outcome: Outcome) -> bool {
        self.some_watch(|watch| watch.outcome == Some(outcome))
    }

    /// Whether nothing that was asked of the storage is open, and no checkpoint is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.store.late.is_empty()
            && self.all(|it| it.asked.is_none() && it.cleaning.is_empty() && it.watch.under_way.is_empty())
    }
}

impl Process {
    /// Whether a job runs of which nobody wants anything.
    fn is_idle(&self) -> bool {
        let tasks = &self.tasks;
        tasks.life == Life::Running
            && tasks.source_has_data()
            && self.watch.under_way.is_empty()
            && self.watch.unanswered.is_empty()
    }

    /// Whether something will happen to a coordinator by itself.
    fn is_expectant(&self) -> bool {
        let tasks = &self.tasks;
        self.asked.is_some()
            || !self.cleaning.is_empty()
            || self.coordinator.deadline().is_some()
            || matches!(tasks.life, Life::Starting | Life::Stopping)
            || tasks.alive().any(|task| tasks.dismissed.contains(&task))
            || (tasks.life == Life::Running && tasks.draining && tasks.source_has_data())
    }
}

pub(super) fn properties() -> Vec<P> {
    let mut all = triggering();
    all.extend(beginning());
    all.extend(ending());
    all.extend(failing());
    all.extend(giving_up());
    all.extend(keeping::properties());
    all.extend(answering());
    all
}

fn triggering() -> Vec<P> {
    vec![
        P::always("the machines keep their invariants", |_, world| {
            world.all(|process| process.coordinator.check().is_ok())
        }),
        //= spec/coordinator.md#coord-2-ids-strictly-increase
        //= type=test
        //# Ids MUST strictly increase over the triggers of an attempt and over all publications of a job.
        P::always("COORD-2 ids increase", |_, world| {
            world.never(|wrong| wrong.id_repeated) && !world.store.id_repeated
        }),
        P::sometimes("an attempt publishes after another one", |_, world| {
            let attempts: BTreeSet<_> = world.store.published.values().collect();
            attempts.len() > 1
        }),
        //= spec/coordinator.md#coord-3-concurrency-is-bounded
        //= type=test
        //# A checkpoint that is not forced MUST NOT be triggered while the configured maximum is under way.
        P::always("COORD-3 no more are under way than allowed", |_, world| {
            world.never(|wrong| wrong.too_many)
        }),
        P::sometimes("as many are under way as allowed, and a savepoint", |model, world| {
            world.has_under_way(CheckpointKind::Savepoint)
                && world.some_watch(|watch| watch.under_way.len() > model.run(world).concurrent)
        }),
        //= spec/coordinator.md#coord-18-a-terminal-checkpoint-is-taken-alone
        //= type=test
        //# A terminal checkpoint MUST be triggered only when no other checkpoint is under way.
        //= spec/coordinator.md#coord-21-nothing-follows-a-terminal-checkpoint
        //= type=test
        //# The coordinator MUST NOT trigger a checkpoint after a terminal one was published.
        P::always("COORD-18, 21 a terminal checkpoint is alone, and the last", |_, world| {
            world.never(|wrong| wrong.beside_terminal)
        }),
        P::sometimes("a final checkpoint is under way", |_, world| {
            world.has_under_way(CheckpointKind::Final)
        }),
        //= spec/coordinator.md#coord-38-a-stop-holds-everything-else-back
        //= type=test
        //# Once a stop was requested, a checkpoint that is not terminal MUST NOT be triggered.
        P::always("COORD-38 once a stop is asked for only a terminal checkpoint begins", |_, world| {
            world.never(|wrong| wrong.after_stop)
        }),
        P::sometimes("a stop checkpoint is under way", |_, world| world.has_under_way(CheckpointKind::Stop)),
        //= spec/coordinator.md#coord-67-a-savepoint-that-cancels-holds-checkpoints-back
        //= type=test
        //# Until a savepoint has ended after which the job is to be cancelled, a checkpoint that is neither a savepoint nor
        //# terminal MUST NOT be triggered.
        P::always("COORD-67 nothing commits what a savepoint that cancels does not hold", |_, world| {
            world.never(|wrong| wrong.beside_cancelling_savepoint)
        }),
        //= spec/coordinator.md#coord-68-a-savepoint-that-cancels-ends-the-job
        //= type=test
        //# A job MUST end without another checkpoint when the savepoint is complete that was to cancel it.
        P::always("COORD-68 a job ends with the savepoint that cancels it", |_, world| {
            let ends = |process: &Process| match process.watch.outcome {
                _ if process.watch.savepoint_to_cancel != Some(true) => true,
                Some(outcome) => !matches!(outcome, Outcome::Finished | Outcome::Stopped(_)),
                None => !process.coordinator.is_running(),
            };
            world.all(ends)
        }),
        P::sometimes("a savepoint has cancelled the job", |_, world| {
            world.ended_as(Outcome::Cancelled)
                && world.some_watch(|watch| watch.savepoint_to_cancel == Some(true))
        }),
        P::sometimes(
            "a checkpoint begins after a savepoint that was to cancel the job and has failed",
            |_, world| {
                let goes_on = |watch: &Watch| {
                    watch.savepoint_to_cancel == Some(false)
                        && watch.under_way.values().any(|one| one.kind == CheckpointKind::Periodic)
                };
                world.some_watch(goes_on)
            },
        ),
    ]
}

fn beginning() -> Vec<P> {
    vec![
        //= spec/coordinator.md#coord-5-checkpoints-need-running-tasks
        //= type=test
        //# A checkpoint MUST be triggered only while every task of the attempt runs.
        P::always("COORD-5 checkpoints begin only while all tasks run", |_, world| {
            world.never(|wrong| wrong.tasks_not_running)
        }),
        //= spec/coordinator.md#coord-45-the-first-running-tasks-are-triggered
        //= type=test
        //# A checkpoint MUST be triggered at exactly the running sources and the running tasks whose inputs
        //# have all finished.
        P::always("COORD-45 checkpoints begin at the first running task", |_, world| {
            world.never(|wrong| wrong.triggered_elsewhere)
        }),
        P::sometimes("a checkpoint is under way without the source", |_, world| {
            world.some(|process| {
                process.tasks.finished.contains(&SOURCE) && !process.watch.under_way.is_empty()
            })
        }),
        //= spec/coordinator.md#coord-6-the-minimum-pause-is-kept
        //= type=test
        //# A periodic checkpoint MUST NOT be triggered within the minimum pause after a completion.
        P::always("COORD-6 no periodic checkpoint begins within the minimum pause", |_, world| {
            world.never(|wrong| wrong.within_pause)
        }),
        P::sometimes("a checkpoint is due and waits for the end of the pause", |model, world| {
            let run = model.run(world);
            run.pause
                && world.some(|process| {
                    let due = process.coordinator.next_trigger().map(|(due, _)| due);
                    process.watch.newest.is_some() && due == Some(process.watch.end_of_pause)
                })
        }),
        //= spec/coordinator.md#coord-44-cleaning-up-keeps-pace
        //= type=test
        //# A checkpoint MUST NOT be triggered while more deletions than the maximum concurrency are under way.
        P::always("COORD-44 cleaning up keeps pace", |_, world| world.never(|wrong| wrong.cleaning_behind)),
        P::sometimes("more deletions are under way than allowed", |model, world| {
            world.some(|process| process.cleaning.len() > model.run(world).concurrent)
        }),
        //= spec/coordinator.md#coord-51-the-first-own-checkpoint-is-full
        //= type=test
        //# Until a job that does not claim has published a checkpoint, each MUST refer to no file of an older
        //# one.
        P::always("COORD-51 who does not claim takes full checkpoints first", |_, world| {
            world.never(|wrong| wrong.not_full)
        }),
        P::sometimes("a full checkpoint is under way", |_, world| world.has_under_way(CheckpointKind::Full)),
    ]
}

fn ending() -> Vec<P> {
    vec![
        //= spec/coordinator.md#coord-4-complete-means-acknowledged-by-all
        //= type=test
        //# A checkpoint MUST be complete only with the acknowledgement of every subtask in its attempt that had
        //# not finished before.
        P::always("COORD-4 complete means acknowledged by all", |_, world| {
            world.never(|wrong| wrong.incomplete)
        }),
        //= spec/publish.md#pub-1-tasks-are-notified-after-the-pointer
        //= type=test
        //# Tasks MUST be notified of a checkpoint only after the pointer to it is durable.
        P::always("PUB-1 complete means durable", |_, world| world.never(|wrong| wrong.not_durable)),
        P::sometimes("three checkpoints are published", |_, world| world.store.published.len() == 3),
        //= spec/coordinator.md#coord-7-checkpoints-expire
        //= type=test
        //# A checkpoint that is not fully acknowledged when its timeout ends MUST be aborted.
        P::always("COORD-7 no checkpoint waits for tasks beyond its timeout", |_, world| {
            world.never(|wrong| wrong.expired_kept)
        }),
        //= spec/coordinator.md#coord-46-a-checkpoint-does-not-wait-for-a-task-that-is-gone
        //= type=test
        //# A checkpoint that a task has not acknowledged when it finishes MUST be aborted.
        P::always("COORD-46 no checkpoint waits for a task that is gone", |_, world| {
            world.all(|process| {
                let owing = |task| process.watch.under_way.values().any(|one| one.owing.contains(task));
                !process.tasks.finished.iter().any(owing)
            })
        }),
        P::sometimes("a task has finished before the last checkpoint", |_, world| {
            world.some(|process| process.tasks.finished.contains(&SINK) && !process.watch.is_last)
        }),
        //= spec/coordinator.md#coord-8-a-published-checkpoint-subsumes-older-ones
        //= type=test
        //# The publication of a checkpoint MUST abort every older one under way that is no savepoint.
        P::always("COORD-8 a checkpoint subsumes older ones and no savepoint", |_, world| {
            world.never(|wrong| wrong.older_kept || wrong.savepoint_subsumed)
        }),
        P::sometimes("a savepoint is under way behind a newer complete checkpoint", |_, world| {
            world.some_watch(|watch| {
                let mut all = watch.under_way.iter();
                all.any(|(id, one)| one.kind == CheckpointKind::Savepoint && Some(*id) < watch.newest)
            })
        }),
        //= spec/coordinator.md#coord-17-every-task-is-told-of-an-abort
        //= type=test
        //# Every task that has not finished MUST be told of an aborted checkpoint.
        //= spec/coordinator.md#coord-30-every-task-is-told-of-a-completion
        //= type=test
        //# Every task that has not finished MUST be told of a completed checkpoint that is no savepoint.
        P::always("COORD-17, 30 every task is told of every end, once", |_, world| {
            world.never(|wrong| wrong.notices)
        }),
    ]
}

fn failing() -> Vec<P> {
    vec![
        //= spec/coordinator.md#coord-9-which-failures-count
        //= type=test
        //# A checkpoint MUST count as failed exactly when a part failed, it expired or the storage did not take
        //# it.
        //= spec/coordinator.md#coord-10-too-many-failures-in-a-row-stop-the-tasks
        //= type=test
        //# More consecutive failures than tolerated MUST stop all tasks.
        //= spec/coordinator.md#coord-11-a-success-resets-the-count
        //= type=test
        //# A completed checkpoint that is newer than every other MUST reset the count of consecutive failures.
        //= spec/coordinator.md#coord-40-failed-savepoints-do-not-count
        //= type=test
        //# A failed savepoint MUST NOT count towards the tolerable failures.
        P::always("COORD-9, 10, 11, 40 too many failures in a row stop the tasks", |_, world| {
            world.never(|wrong| wrong.failures_ignored)
        }),
        //= spec/coordinator.md#coord-23-one-failed-task-stops-all
        //= type=test
        //# The failure of a task MUST stop all tasks of its attempt.
        //= spec/coordinator.md#coord-41-a-cancelled-job-ends-without-a-restart
        //= type=test
        //# A job that is cancelled or suspended MUST stop its tasks and end without a restart.
        P::always("COORD-23, 41 tasks are stopped for a reason", |_, world| {
            world.never(|wrong| wrong.stopped_without_reason)
        }),
        P::sometimes("a failure is tolerated", |model, world| {
            let tolerable = model.run(world).tolerable;
            world.some_watch(|watch| (1..=tolerable).contains(&watch.failures))
        }),
        P::sometimes("too many checkpoints fail", |_, world| {
            world.ended_as(Outcome::TooManyCheckpointFailures)
        }),
    ]
}

fn giving_up() -> Vec<P> {
    vec![
        //= spec/coordinator.md#coord-28-restarts-are-limited-by-the-strategy
        //= type=test
        //# The tasks MUST start again only as often as the restart strategy allows.
        P::always("COORD-28 tasks start again only as often as allowed", |model, world| {
            let allowed = 1 + model.run(world).restarts as usize;
            world.all(|process| process.watch.attempts.len() <= allowed)
        }),
        P::sometimes("a job fails for good", |_, world| world.ended_as(Outcome::RestartsExhausted)),
        //= spec/coordinator.md#coord-33-a-failure-that-would-repeat-itself-ends-the-job
        //= type=test
        //# A task failure that a restart cannot cure MUST end the job without a restart.
        //= spec/coordinator.md#coord-41-a-cancelled-job-ends-without-a-restart
        //= type=test
        //# A job that is cancelled or suspended MUST stop its tasks and end without a restart.
        P::always("COORD-33, 41 nothing starts after the end", |_, world| {
            world.never(|wrong| wrong.started_after_the_end)
        }),
        P::sometimes("a job is cancelled after a restart", |_, world| {
            world.some_watch(|watch| watch.outcome == Some(Outcome::Cancelled) && watch.attempts.len() > 1)
        }),
        //= spec/coordinator.md#coord-16-messages-of-other-attempts-change-no-checkpoint
        //= type=test
        //# A message of another attempt MUST NOT change a checkpoint or the phase of the job.
        //= spec/coordinator.md#coord-27-messages-of-unknown-tasks-change-no-checkpoint
        //= type=test
        //# A message of a task that is not part of the job MUST NOT change a checkpoint.
        P::always("COORD-16, 27 messages of others change nothing", |_, world| {
            world.never(|wrong| wrong.stray_obeyed)
        }),
        P::sometimes("a message of an old attempt is on its way to a running one", |_, world| {
            world.some(|process| {
                let tasks = &process.tasks;
                tasks.life == Life::Running && process.owed.iter().any(|part| part.attempt < tasks.attempt)
            })
        }),
        //= spec/coordinator.md#coord-22-the-job-ends-with-its-tasks
        //= type=test
        //# The job MUST end well only when every task has finished.
        P::always("COORD-22 the job ends well only with its tasks", |_, world| {
            world.never(|wrong| wrong.ended_too_well)
        }),
        P::sometimes("a job finishes", |_, world| world.ended_as(Outcome::Finished)),
    ]
}

fn answering() -> Vec<P> {
    vec![
        //= spec/coordinator.md#coord-34-every-request-is-answered-once
        //= type=test
        //# Every request MUST be answered exactly once, by the end of the job at the latest.
        P::always("COORD-34 every request is answered once", |_, world| {
            let answered = |process: &Process| process.lives() || process.watch.unanswered.is_empty();
            world.never(|wrong| wrong.answered_twice) && world.all(answered)
        }),
        P::sometimes("two requests wait", |_, world| world.some_watch(|watch| watch.unanswered.len() == 2)),
        P::always("a deadline that has come changes something", |_, world| {
            world.never(|wrong| wrong.tick_in_vain)
        }),
        P::always("nobody waits for nothing", |_, world| {
            world.all(|process| !process.lives() || process.is_expectant() || process.is_idle())
        }),
        P::always(
            "when nothing more can happen the job has ended, or only time is missing",
            |model, world| {
                let waits_for_time = |process: &Process| {
                    world.left.jumps == 0 && process.coordinator.deadline() > Some(world.now)
                };
                let is_idle =
                    |process: &Process| process.is_idle() && process.coordinator.deadline().is_none();
                let good =
                    |process: &Process| !process.lives() || is_idle(process) || waits_for_time(process);
                world.all(good) || {
                    let mut steps = Vec::new();
                    model.actions(world, &mut steps);
                    !steps.is_empty()
                }
            },
        ),
        P::sometimes("two coordinators run tasks", |_, world| {
            world.processes.len() == 2 && world.all(|process| process.tasks.life == Life::Running)
        }),
    ]
}
