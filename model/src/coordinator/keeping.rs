//! What holds of the storage in every state: what is needed is there, and what is not needed goes.

use super::scope::{GIVEN, Run};
use super::system::Coordination;
use super::world::Process;
use snapline::base::{CheckpointKind, CompletedCheckpoint, StateFile};
use snapline::coordinator::{ClaimMode, Outcome, Retention};
use stateright::Property;

type P = Property<Coordination>;

/// The table of COORD-42.
fn goes(run: &Run, outcome: Outcome) -> bool {
    let deletes_when_cancelled = run.retention == Retention::DELETE_ON_CANCELLATION
        || run.retention == Retention::NO_EXTERNALIZED_CHECKPOINTS;
    match outcome {
        Outcome::Finished | Outcome::Stopped(_) => run.retention != Retention::RETAIN_ALWAYS,
        Outcome::Cancelled => deletes_when_cancelled,
        Outcome::RestartsExhausted | Outcome::Unrecoverable | Outcome::TooManyCheckpointFailures => {
            run.retention == Retention::NO_EXTERNALIZED_CHECKPOINTS
        }
        Outcome::Suspended | Outcome::Fenced | Outcome::RecoveryFailed(_) => false,
    }
}

pub(super) fn properties() -> Vec<P> {
    let mut all = keeping();
    all.extend(accounting());
    all.extend(deleting());
    all.extend(retiring());
    all
}

fn keeping() -> Vec<P> {
    vec![
        //= spec/publish.md#pub-3-nothing-is-missing
        //= type=test
        //# Everything that the newest published checkpoint refers to MUST exist.
        P::always("PUB-3 everything of the newest checkpoint exists", |_, world| {
            let newest = world.store.newest();
            newest.is_none_or(|newest| newest == GIVEN || world.store.is_whole(newest))
        }),
        //= spec/coordinator.md#coord-13-deletion-starts-below-the-retained
        //= type=test
        //# A checkpoint MUST be deleted only when every retained checkpoint is newer.
        P::always("COORD-13 everything that is retained exists", |_, world| {
            world.all(|process| {
                let is_fenced = process.coordinator.publisher().is_fenced();
                let whole = |id| id == GIVEN || world.store.is_whole(id);
                let is_ruling = world.store.newest_pointer().map(|pointer| pointer.attempt)
                    == Some(process.coordinator.attempt());
                is_fenced || !is_ruling || process.coordinator.retained().iter().all(|kept| whole(kept.id))
            })
        }),
        P::sometimes("two checkpoints are retained and an older one is gone", |_, world| {
            world.some(|process| process.coordinator.retained().len() == 2)
                && world.store.metadata.len() < world.store.published.len()
        }),
    ]
}

fn accounting() -> Vec<P> {
    vec![
        //= spec/coordinator.md#coord-14-an-abort-discards-acknowledged-state
        //= type=test
        //# The abort of a checkpoint MUST discard the state that was acknowledged for it, unless it may have
        //# become a savepoint.
        //= spec/coordinator.md#coord-15-late-state-is-discarded
        //= type=test
        //# State that no checkpoint takes in MUST be discarded unless a checkpoint that counts may refer to it.
        P::always("COORD-14, 15 savepoints stay whole", |_, world| world.store.savepoints_are_whole()),
        P::sometimes("a savepoint is complete", |_, world| !world.store.savepoints.is_empty()),
        //= spec/coordinator.md#coord-14-an-abort-discards-acknowledged-state
        //= type=test
        //# The abort of a checkpoint MUST discard the state that was acknowledged for it, unless it may have
        //# become a savepoint.
        //= spec/coordinator.md#coord-15-late-state-is-discarded
        //= type=test
        //# State that no checkpoint takes in MUST be discarded unless a checkpoint that counts may refer to it.
        P::always("COORD-14, 15 no file is discarded twice", |_, world| {
            world.never(|wrong| wrong.discarded_twice)
        }),
        //= spec/coordinator.md#coord-14-an-abort-discards-acknowledged-state
        //= type=test
        //# The abort of a checkpoint MUST discard the state that was acknowledged for it, unless it may have
        //# become a savepoint.
        //= spec/coordinator.md#coord-15-late-state-is-discarded
        //= type=test
        //# State that no checkpoint takes in MUST be discarded unless a checkpoint that counts may refer to it.
        P::always("COORD-14, 15 what was acknowledged is needed, handed over or gone", |_, world| {
            !world.is_settled()
                || world.processes.iter().all(|process| {
                    let is_known = |file: &&StateFile| {
                        process.watch.attempts.contains(&file.attempt)
                            && !process.watch.left_behind.contains(file)
                    };
                    let mut files = world.store.files.iter().filter(is_known);
                    let mut of_savepoints = world.store.savepoint_files.iter().filter(is_known);
                    let in_savepoint = |file: &StateFile| {
                        let is_of = |savepoint: &CompletedCheckpoint| {
                            (savepoint.id, savepoint.attempt) == (file.checkpoint, file.attempt)
                        };
                        process.watch.maybe_savepoints.contains(&file.checkpoint)
                            || world.store.savepoints.iter().any(is_of)
                    };
                    let retained = process.coordinator.retained();
                    let is_kept = |file: &StateFile| {
                        world.store.is_visible(*file)
                            || retained.iter().any(|kept| kept.id == file.checkpoint)
                    };
                    files.all(is_kept) && of_savepoints.all(in_savepoint)
                })
        }),
        P::sometimes("an acknowledgement arrives that nobody awaits", |_, world| {
            world.left.late > 0
                && world.some(|process| process.owed.iter().any(|part| !process.awaits(*part)))
        }),
    ]
}

fn deleting() -> Vec<P> {
    vec![
        //= spec/coordinator.md#coord-26-a-fenced-coordinator-deletes-nothing
        //= type=test
        //# A fenced coordinator MUST NOT delete any state.
        P::always("COORD-26 who is fenced deletes nothing", |_, world| {
            world.never(|wrong| wrong.fenced_deletes)
        }),
        P::sometimes("a coordinator is fenced", |_, world| world.ended_as(Outcome::Fenced)),
    ]
}

fn retiring() -> Vec<P> {
    vec![
        //= spec/coordinator.md#coord-42-the-end-of-the-job-decides-what-stays
        //= type=test
        //# The checkpoints of a job MUST be deleted at its end exactly when its retention says so for that end,
        //# except the newest if a stop has asked for it.
        //= spec/coordinator.md#coord-43-checkpoints-go-after-the-job-has-retired
        //= type=test
        //# The newest checkpoint MUST be deleted only after the job has retired.
        P::always("COORD-42, 43 checkpoints go only at an end that deletes them", |model, world| {
            let is_retired = world.store.newest_pointer().is_some_and(|it| it.newest.is_none())
                && !world.store.published.is_empty();
            let run = model.run(world);
            let will_go = |process: &Process| process.watch.outcome.is_none_or(|outcome| goes(run, outcome));
            !is_retired || world.some(will_go)
        }),
        //= spec/coordinator.md#coord-42-the-end-of-the-job-decides-what-stays
        //= type=test
        //# The checkpoints of a job MUST be deleted at its end exactly when its retention says so for that end,
        //# except the newest if a stop has asked for it.
        P::always("COORD-42 checkpoints go at an end that deletes them", |model, world| {
            let run = model.run(world);
            // What nobody knew at the end may come, or stay.
            let knew = world.all(|process| process.watch.left_behind.is_empty());
            let is_clean =
                knew && world.left.refusals == run.left.refusals && world.left.losses == run.left.losses;
            let gone = |process: &Process| {
                let deletes = process.watch.outcome.is_some_and(|outcome| goes(run, outcome))
                    && !process.watch.gave_up_blindly;
                let is_answered = process.watch.stop_is_answered;
                let is_of_stop =
                    |kind| kind == CheckpointKind::Stop || kind == CheckpointKind::Final && is_answered;
                let kept = world.store.metadata.values().all(|it| is_of_stop(it.kind));
                !deletes || (kept && world.store.metadata.len() <= 1)
            };
            !world.is_settled() || !is_clean || world.processes.len() > 1 || world.all(gone)
        }),
        P::sometimes("a job is cancelled and its checkpoints are gone", |_, world| {
            world.ended_as(Outcome::Cancelled)
                && !world.store.published.is_empty()
                && world.store.metadata.is_empty()
        }),
        P::sometimes("a job is cancelled and its checkpoints stay", |model, world| {
            let run = model.run(world);
            !goes(run, Outcome::Cancelled)
                && world.ended_as(Outcome::Cancelled)
                && !world.store.metadata.is_empty()
        }),
        P::sometimes("a job fails for good and its checkpoints are gone", |_, world| {
            world.ended_as(Outcome::Unrecoverable)
                && !world.store.published.is_empty()
                && world.store.metadata.is_empty()
        }),
        //= spec/coordinator.md#coord-42-the-end-of-the-job-decides-what-stays
        //= type=test
        //# The checkpoints of a job MUST be deleted at its end exactly when its retention says so for that end,
        //# except the newest if a stop has asked for it.
        P::always("COORD-42 the newest stays if a stop was answered", |_, world| {
            let is_stopped = |process: &Process| {
                let is_over = process.watch.outcome.is_some_and(|outcome| outcome != Outcome::Fenced);
                is_over && process.watch.stop_is_answered
            };
            let is_kept = world.store.newest().is_some_and(|newest| world.store.is_whole(newest));
            world.processes.len() > 1 || !world.some(is_stopped) || is_kept
        }),
        P::sometimes(
            "a stop is answered with the final checkpoint, which stays at an end that deletes",
            |model, world| {
                let run = model.run(world);
                world.ended_as(Outcome::Finished)
                    && goes(run, Outcome::Finished)
                    && world.some_watch(|watch| watch.stop_is_answered)
                    && world.store.metadata.values().any(|it| it.kind == CheckpointKind::Final)
            },
        ),
        P::sometimes("a job is stopped and its checkpoint stays", |_, world| {
            world.some_watch(|watch| matches!(watch.outcome, Some(Outcome::Stopped(_))))
                && world.store.metadata.len() == 1
        }),
        //= spec/coordinator.md#coord-50-a-claimed-checkpoint-is-retained
        //= type=test
        //# A claimed checkpoint MUST be retained and deleted like one that the job has published.
        P::always("COORD-50 what is not claimed stays", |model, world| {
            model.run(world).given != Some(ClaimMode::NoClaim) || world.store.given.is_some()
        }),
        P::sometimes("what was claimed is deleted", |model, world| {
            model.run(world).given.is_some() && world.store.given.is_none()
        }),
    ]
}
