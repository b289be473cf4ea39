//! What must always hold, and what must be possible for that to mean anything.

use super::message::{Content, Msg};
use super::node::{COORDINATOR, NodeState, SINK, SOURCES, TASKS, Work, subtask_of};
use super::scope::{Scope, Stale};
use super::system::System;
use super::task::KEY_AT_THE_END;
use super::world::{World, coordinator, durable, external, flows, running};
use snapline::base::{Channel, CheckpointId};
use snapline::publish::PointerKind;
use stateright::Property;
use stateright::actor::Id;
use std::collections::VecDeque;

type P = Property<System>;

/// The properties, each `always` beside its `sometimes`.
pub fn all(stale: Stale) -> Vec<P> {
    let mut all = vec![
        P::always("machines keep their invariants", |_, world| machines_are_sound(world)),
        P::sometimes("a channel is blocked", |system, world| {
            let mut counters =
                system.scope.counters().filter_map(|task| running(&world.inner, Id::from(task)));
            counters.any(|task| (0..SOURCES).any(|source| task.subtask.is_blocked(Channel(source as u16))))
        }),
        //= spec/output.md#cut-1-a-published-checkpoint-is-a-consistent-cut
        //= type=test
        //# A published checkpoint MUST hold exactly the effects of the records before its barriers.
        P::always("CUT-1 a published checkpoint is a consistent cut", |system, world| {
            cut_is_consistent(system.scope, world)
        }),
        P::sometimes("a checkpoint is published between records", |system, world| {
            let total = usize::from(system.scope.records) * SOURCES;
            counted(system.scope, world)
                .is_some_and(|(counts, _)| (1..total).contains(&counts.iter().map(|n| usize::from(*n)).sum()))
        }),
        //= spec/coordinator.md#coord-4-complete-means-acknowledged-by-all
        //= type=test
        //# A checkpoint MUST be complete only with the acknowledgement of every subtask in its attempt that had not
        //# finished before.
        P::always("COORD-4 a published checkpoint has every acknowledgement", |system, world| {
            acknowledgements_are_complete(system.scope, world)
        }),
        //= spec/coordinator.md#coord-2-ids-strictly-increase
        //= type=test
        //# Ids MUST strictly increase over the triggers of an attempt and over all publications of a job.
        P::always("COORD-2 ids of published checkpoints increase", |_, world| ids_increase(world)),
        P::sometimes("two checkpoints are published one after the other", |_, world| {
            let ids = durable(&world.inner).pointers.values().filter_map(|pointer| pointer.newest);
            ids.max().is_some_and(|id| id > CheckpointId(1))
        }),
        //= spec/publish.md#pub-1-tasks-are-notified-after-the-pointer
        //= type=test
        //# Tasks MUST be notified of a checkpoint only after the pointer to it is durable.
        P::always("PUB-1 tasks are notified only of durable checkpoints", |_, world| {
            notified_after_durable(world)
        }),
        P::sometimes("a task is notified", |_, world| {
            running(&world.inner, Id::from(0)).is_some_and(|task| task.subtask.newest_completed().is_some())
        }),
        //= spec/publish.md#pub-3-nothing-is-missing
        //= type=test
        //# Everything that the newest published checkpoint refers to MUST exist.
        P::always("PUB-3 everything a published checkpoint refers to exists", |_, world| {
            nothing_is_missing(world)
        }),
        //= spec/publish.md#pub-5-claims-stay-and-attempts-increase
        //= type=test
        //# A claim MUST stay in the log for ever, with an attempt above those of all pointers before it.
        P::always("PUB-5 attempts of pointers increase", |_, world| attempts_increase(world)),
        P::sometimes("an attempt recovers a published checkpoint", |_, world| {
            let pointers = &durable(&world.inner).pointers;
            pointers.values().any(|pointer| pointer.kind == PointerKind::Claim && pointer.newest.is_some())
        }),
        //= spec/output.md#out-1-committed-output-is-a-prefix
        //= type=test
        //# Committed output MUST always be a prefix of the output without any failure.
        P::always("OUT-1 committed output is a prefix of the failure-free output", |_, world| {
            committed(world).iter().all(|counts| counts.iter().copied().eq(1..=counts.len() as u8))
        }),
        P::sometimes("output is committed before the end", |system, world| {
            let some = committed(world).iter().any(|counts| !counts.is_empty());
            some && !is_complete(system, world)
        }),
        //= spec/output.md#out-2-committed-output-is-complete-at-the-end
        //= type=test
        //# When nothing more can happen, all of the output without any failure MUST be committed.
        P::always("OUT-2 when nothing more can happen all output is committed", |system, world| {
            let done = is_complete(system, world) && coordinator(&world.inner).has_ended();
            done || !system.is_quiescent(world)
        }),
        P::sometimes("the job ends after everything that can go wrong", |system, world| {
            let left = world.budgets;
            let nothing_left = left.crashes == 0 && left.store_faults == 0 && left.task_failures == 0;
            nothing_left && is_complete(system, world) && coordinator(&world.inner).has_ended()
        }),
    ];
    if stale != Stale::Never {
        all.push(P::sometimes("a message of an older attempt is about to arrive", |_, world| {
            stale_arrives(world)
        }));
    }
    all
}

/// Tasks of a newer attempt run already. The coordinator and the store always take what comes.
fn stale_arrives(world: &World) -> bool {
    coordinator(&world.inner).is_running()
        && flows(&world.inner).values().filter_map(VecDeque::front).any(|head| matches!(head, Msg::Late(..)))
}

fn machines_are_sound(world: &World) -> bool {
    world.inner.actor_states.iter().all(|state| match &***state {
        NodeState::Task(Some(task), _) => {
            let committer_is_sound = match &task.work {
                Work::Sink { committer, .. } => committer.check().is_ok(),
                Work::Source { .. } | Work::Count { .. } => true,
            };
            committer_is_sound && task.subtask.check().is_ok()
        }
        NodeState::Coordinator(machine, _) => machine.check().is_ok(),
        NodeState::Task(None, _) | NodeState::Store(_) => true,
    })
}

/// What the newest published checkpoint has counted of each key, and whether the end of all input is in it.
fn counted(scope: Scope, world: &World) -> Option<(Vec<u8>, bool)> {
    let (mut counts, mut finished) = (vec![0; SOURCES], false);
    for counter in scope.counters() {
        let content = durable(&world.inner).newest_content(subtask_of(counter));
        let Some(Content::Counts(own, own_finished)) = content else { return None };
        counts.iter_mut().zip(own).for_each(|(all, own)| *all += own);
        finished |= *own_finished && scope.owner(KEY_AT_THE_END) == counter;
    }
    Some((counts, finished))
}

/// The operator's counts are what the sources have emitted, and the sink holds or has committed exactly as many.
fn cut_is_consistent(scope: Scope, world: &World) -> bool {
    let store = durable(&world.inner);
    // Whatever is missing breaks another property.
    let Some((counts, finished)) = counted(scope, world) else { return true };
    let positions = (0..SOURCES).map(|source| match store.newest_content(subtask_of(source)) {
        Some(Content::Position(position)) => Some(*position),
        _ => None,
    });
    let Some(positions) = positions.collect::<Option<Vec<_>>>() else { return false };
    let sources_agree = counts.iter().zip(0..).all(|(count, key)| {
        let emitted = (0..SOURCES).map(|source| scope.records_of_key(source, positions[source], key));
        *count == emitted.sum::<u8>() + u8::from(finished && key == KEY_AT_THE_END)
    });
    let Some(Content::Transactions(transactions)) = store.newest_content(subtask_of(SINK)) else {
        return false;
    };
    let external = external(&world.inner);
    sources_agree
        && (0..SOURCES).all(|key| {
            let prepared = transactions.iter().filter_map(|transaction| external.prepared.get(transaction));
            let of_key = prepared.flatten().filter(|counted| usize::from(counted.key) == key);
            let covered = external.committed[key].len() + of_key.count();
            covered == usize::from(counts[key])
        })
}

fn acknowledgements_are_complete(scope: Scope, world: &World) -> bool {
    let store = durable(&world.inner);
    store.newest().and_then(|id| store.metadata.get(&id)).is_none_or(|checkpoint| {
        scope.tasks().all(|task| {
            let handle = checkpoint.states.get(&subtask_of(task)).and_then(Option::as_ref);
            handle.is_some_and(|h| h.file.checkpoint == checkpoint.id && h.file.attempt == checkpoint.attempt)
        })
    })
}

fn ids_increase(world: &World) -> bool {
    let pointers: Vec<_> = durable(&world.inner).pointers.values().collect();
    pointers.windows(2).all(|pair| match pair[1].kind {
        PointerKind::Claim => pair[0].newest <= pair[1].newest,
        PointerKind::Publication => pair[0].newest < pair[1].newest,
    })
}

fn attempts_increase(world: &World) -> bool {
    let pointers: Vec<_> = durable(&world.inner).pointers.values().collect();
    pointers.windows(2).all(|pair| match pair[1].kind {
        PointerKind::Claim => pair[0].attempt < pair[1].attempt,
        PointerKind::Publication => pair[0].attempt == pair[1].attempt,
    })
}

fn notified_after_durable(world: &World) -> bool {
    let newest = durable(&world.inner).newest();
    (0..TASKS)
        .map(Id::from)
        .all(|task| running(&world.inner, task).is_none_or(|task| task.subtask.newest_completed() <= newest))
}

fn nothing_is_missing(world: &World) -> bool {
    let store = durable(&world.inner);
    let whole = store.newest().is_none_or(|id| {
        store.metadata.get(&id).is_some_and(|checkpoint| {
            checkpoint.states.values().flatten().all(|handle| store.states.contains_key(&handle.file))
        })
    });
    whole && !world.lost_state
}

fn committed(world: &World) -> &[Vec<u8>] {
    &external(&world.inner).committed
}

fn is_complete(system: &System, world: &World) -> bool {
    let scope = system.scope;
    let expected = |key: u8| {
        let emitted = (0..SOURCES).map(|source| scope.records_of_key(source, scope.records, key));
        emitted.sum::<u8>() + u8::from(key == KEY_AT_THE_END)
    };
    committed(world).iter().zip(0..).all(|(counts, key)| counts.len() == usize::from(expected(key)))
        && !flows(&world.inner).contains_key(&(Id::from(COORDINATOR), Id::from(SINK)))
}
