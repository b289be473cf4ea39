//! What holds in every state, and what is possible at all.

use super::process::Life;
use super::scope::SEGMENT;
use super::system::{Publication, World};
use snapline::publish::{OnCorruption, PointerKind, RecoveryFailure};
use stateright::Property;

type P = Property<Publication>;

pub(super) fn properties() -> Vec<P> {
    let mut all = visibility();
    all.extend(recovery());
    all.extend(fencing());
    all.extend(endings());
    all
}

fn visibility() -> Vec<P> {
    vec![
        P::always("the machines keep their invariants", |_, world| {
            world.processes.iter().all(|process| process.publisher.check().is_ok())
        }),
        //= spec/publish.md#pub-1-tasks-are-notified-after-the-pointer
        //= type=test
        //# Tasks MUST be notified of a checkpoint only after the pointer to it is durable.
        P::always("PUB-1 whoever is told of a checkpoint is told the truth", |_, world| {
            !world.history.wrong.told_too_early
        }),
        P::sometimes("a lost answer is settled by reading", |_, world| world.history.seen.settled),
        //= spec/publish.md#pub-3-nothing-is-missing
        //= type=test
        //# Everything that the newest published checkpoint refers to MUST exist.
        P::always("PUB-3 what was published is there", |_, world| {
            let exists = |id| world.storage.metadata.contains_key(&id);
            world.history.newest.is_none_or(exists) && world.history.published.keys().copied().all(exists)
        }),
        P::sometimes("three checkpoints are published", |_, world| world.history.published.len() == 3),
        //= spec/publish.md#pub-8-a-failed-publication-is-certain
        //= type=test
        //# A publication MUST be reported as failed only if its pointer was certainly not written.
        P::always("PUB-8 what was reported as failed is not visible", |_, world| {
            !world.history.wrong.failed_but_visible
        }),
        P::sometimes("a publication fails", |_, world| !world.history.failed.is_empty()),
        //= spec/coordinator.md#coord-2-ids-strictly-increase
        //= type=test
        //# Ids MUST strictly increase over the triggers of an attempt and over all publications of a job.
        P::always("COORD-2 ids of published checkpoints increase", |_, world| {
            !world.history.wrong.id_repeated
        }),
    ]
}

fn recovery() -> Vec<P> {
    vec![
        //= spec/publish.md#pub-12-the-highest-pointer-is-the-truth
        //= type=test
        //# A recovery MUST start from the checkpoint that the pointer with the highest number names.
        //= spec/publish.md#pub-13-a-recovery-never-goes-back-by-itself
        //= type=test
        //# A recovery MUST fail when the newest pointer or its metadata cannot be read, unless told to fall back.
        //= spec/publish.md#pub-19-falling-back-is-said-before-it-is-done
        //= type=test
        //# A recovery MUST report whatever it leaves out because it cannot be read before it claims.
        P::always(
            "PUB-12 an attempt begins from the newest checkpoint, or has said that it does not",
            |_, world| !world.history.wrong.went_back,
        ),
        P::always("PUB-13 nobody goes back without consent", |_, world| {
            world.on_corruption == OnCorruption::FallBack || !world.history.seen.fell_back
        }),
        P::sometimes("an attempt falls back", |_, world| world.history.seen.fell_back),
        //= spec/publish.md#pub-22-nothing-comes-only-from-nothing
        //= type=test
        //# A recovery MUST start from nothing only if no pointer that it knows of may name a checkpoint.
        P::always("PUB-22 an attempt begins from nothing only if nothing was ever published", |_, world| {
            !world.history.wrong.began_from_nothing
        }),
        P::sometimes("a claim is written into a gap", |_, world| world.history.seen.claim_in_a_gap),
        P::sometimes("a pointer is deleted", |_, world| !world.storage.deleted.is_empty()),
        P::sometimes("an attempt begins after the last crash", |_, world| {
            world.budgets.crashes == 0
                && world.processes[0].incarnation.0 == 7
                && world.processes[0].is_ready()
        }),
    ]
}

fn fencing() -> Vec<P> {
    vec![
        //= spec/publish.md#pub-15-a-recovery-claims-before-it-answers
        //= type=test
        //# A recovery MUST claim its attempt durably before it reports what it has found.
        //= spec/publish.md#pub-6-a-foreign-pointer-fences
        //= type=test
        //# A publisher that finds another pointer under its next number MUST stop as fenced.
        P::always("PUB-15 nothing is published by an attempt after a later one has begun", |_, world| {
            !world.history.wrong.revived
        }),
        P::always("PUB-15 whoever has begun has claimed", |_, world| {
            world.processes.iter().all(|process| process.attempt <= Some(world.history.attempt))
        }),
        P::sometimes("a coordinator is fenced", |_, world| {
            world.processes.iter().any(|process| process.life == Life::Fenced)
        }),
        P::sometimes("two coordinators believe that they rule", |_, world| {
            world.processes.iter().all(|process| process.is_ready())
        }),
        //= spec/publish.md#pub-5-claims-stay-and-attempts-increase
        //= type=test
        //# A claim MUST stay in the log for ever, with an attempt above those of all pointers before it.
        P::always("PUB-5 attempts increase and claims stay", |_, world| {
            let claim_gone = world.storage.deleted.values().any(|pointer| pointer.kind == PointerKind::Claim);
            !world.history.wrong.attempt_repeated && !claim_gone
        }),
        //= spec/publish.md#pub-11-pointers-go-with-their-segment
        //= type=test
        //# A pointer MUST be deleted only if it is a publication, begins no segment, and two pointers follow
        //# that belong to later segments.
        P::always("PUB-11 what is to be deleted is a publication of an older segment", |_, world| {
            let newest = world.storage.pointers.keys().last();
            world.storage.deleting.iter().all(|number| {
                let older = newest.is_some_and(|newest| newest.segment(SEGMENT) > number.segment(SEGMENT));
                let gap = world.storage.deleted.contains_key(number);
                let object = world.storage.pointers.get(number).filter(|_| !gap);
                let claim = object.is_some_and(|object| object.content.kind == PointerKind::Claim);
                older && !number.begins_segment(SEGMENT) && !claim
            })
        }),
        P::sometimes("a put is on its way that nobody waits for", |_, world| !world.storage.late.is_empty()),
    ]
}

fn endings() -> Vec<P> {
    vec![
        P::always("nobody waits for nothing", |_, world| {
            world.processes.iter().all(|process| {
                process.life != Life::Running
                    || !process.publisher.is_busy()
                    || process.asked.is_some()
                    || process.publisher.deadline().is_some()
            })
        }),
        P::always("a recovery fails only for damage", |_, world| {
            world.processes.iter().all(|process| match process.life {
                Life::Failed(RecoveryFailure::StorageUnavailable) => false,
                Life::Failed(_) => world.damaged,
                Life::Absent | Life::Running | Life::Fenced => true,
            })
        }),
        P::sometimes("a recovery fails", |_, world| {
            world.processes.iter().any(|process| matches!(process.life, Life::Failed(_)))
        }),
        P::always("when nothing more happens someone rules, or a person must decide", |_, world| {
            let rules = |life: Life| matches!(life, Life::Running | Life::Failed(_));
            !world.is_quiet() || world.processes.iter().any(|process| rules(process.life))
        }),
        P::sometimes("nothing more happens", |_, world: &World| {
            world.is_quiet() && world.budgets.crashes == 0 && world.budgets.coordinators == 0
        }),
    ]
}
