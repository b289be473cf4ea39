//! Reductions: fewer states, the same verdict.
//!
//! The graph of states has no cycle, because every budget is finite. So it is enough to offer one single step
//! where that step commutes with every other one that is possible now or later, no property can see it, and
//! a crash or a failure undoes it together with what it did. `model/tests/models/reductions.rs` compares with and without.

use super::dataflow::channel_of;
use super::message::{Element, Msg};
use super::node::SINK;
use super::scope::Reductions;
use super::system::System;
use super::world::{Budgets, InnerState, World, coordinator, flows, flows_mut, running};
use snapline::base::CheckpointId;
use snapline::publish::Operation;
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;

impl System {
    /// The one step that is enough to look at, if there is such a step.
    pub(super) fn ample<'a>(&'a self, world: &'a World) -> Option<(Id, Id, &'a Msg)> {
        let on = self.scope.reductions;
        if on == Reductions::NONE {
            return None;
        }
        let state = &world.inner;
        let calm = on.calm_first && is_calm(world);
        self.deliverable(state).find(|(src, dst, msg)| match msg {
            Msg::Data(Element::Record(_) | Element::Counted(_) | Element::EndOfData) => {
                on.data_first && self.drains(state, *dst)
            }
            Msg::Acknowledge(attempt, checkpoint, _) => {
                let current = *attempt == coordinator(state).attempt();
                let first = on.acknowledgements_first && self.none_outlives(&world.budgets, *dst);
                current && (calm || first && !self.completes(state, *checkpoint))
            }
            Msg::Abort(..) | Msg::Decline(..) => {
                on.aborts_first
                    && self.none_outlives(&world.budgets, *dst)
                    && self.means_nothing(state, *src, *dst, msg)
            }
            Msg::WriteState(..) | Msg::Perform(_, Operation::PutMetadata(_)) => calm,
            _ => false,
        })
    }

    /// Whether a message changes nothing. An abort that does nothing now never will: its checkpoint is over.
    fn means_nothing(&self, state: &InnerState, src: Id, dst: Id, msg: &Msg) -> bool {
        let now = &*state.actor_states[usize::from(dst)];
        let (mut next, mut out) = (Cow::Borrowed(now), Out::new());
        self.node().on_msg(dst, &mut next, src, msg.clone(), &mut out);
        out.is_empty() && *next == *now
    }

    /// Gives equal channels one form: keys are counted one by one, so the order of data of different
    /// keys between two barriers means nothing, nor does a cancellation marker among data.
    pub(super) fn canonicalise(&self, state: &mut InnerState) {
        if !self.scope.reductions.data_first {
            return;
        }
        for counter in self.scope.counters() {
            let Some(flow) = flows_mut(state).get_mut(&(Id::from(counter), Id::from(SINK))) else { continue };
            for at in 1..flow.len() {
                let mut at = at;
                while at > 0 && out_of_order(&flow[at - 1], &flow[at]) {
                    flow.swap(at - 1, at);
                    at -= 1;
                }
            }
        }
    }

    /// Whether one more acknowledgement completes a checkpoint.
    fn completes(&self, state: &InnerState, checkpoint: CheckpointId) -> bool {
        let all = self.scope.tasks().count();
        coordinator(state)
            .pending()
            .any(|(id, acknowledged)| id == checkpoint && acknowledged.len() + 1 == all)
    }

    /// Whether what a task emits is read at once, so that it can fill no channel.
    fn drains(&self, state: &InnerState, task: Id) -> bool {
        let sink = Id::from(SINK);
        task == sink
            || !flows(state).contains_key(&(task, sink))
                && running(state, sink)
                    .is_some_and(|reader| !reader.subtask.is_blocked(channel_of(SINK, task)))
    }
}

/// Whether nothing can go wrong any more, and nothing of what went wrong can still hurt the checkpoint that is
/// being taken: no task has declined it, and no request of an older attempt touches the same objects.
fn is_calm(world: &World) -> bool {
    let Budgets { crashes: 0, task_failures: 0, store_faults: 0, expiries: 0, .. } = world.budgets else {
        return false;
    };
    let mut pending = coordinator(&world.inner).pending().map(|(id, _)| id);
    let newest = pending.next();
    flows(&world.inner).values().flatten().all(|msg| match msg {
        Msg::Decline(_, checkpoint, _) => newest != Some(*checkpoint),
        Msg::Late(_, request) => {
            !matches!(**request, Msg::Perform(_, Operation::PutMetadata(_)) | Msg::DeleteCheckpoint(_))
        }
        _ => true,
    })
}

fn out_of_order(before: &Msg, after: &Msg) -> bool {
    match (before, after) {
        (Msg::Data(Element::Counted(before)), Msg::Data(Element::Counted(after))) => before.key > after.key,
        (Msg::Data(Element::Cancellation(_)), Msg::Data(after)) => {
            matches!(after, Element::Counted(_) | Element::EndOfData)
        }
        _ => false,
    }
}
