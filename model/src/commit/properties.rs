//! What must hold, and what must be seen so that it means something.

use super::system::Sinks;
use super::world::{PARTITIONS, World};
use stateright::Property;
use std::collections::BTreeSet;

pub(super) fn properties() -> Vec<Property<Sinks>> {
    let mut all = always();
    all.extend(sometimes());
    all
}

fn every_partition(holds: impl Fn(u16) -> bool) -> bool {
    (0..PARTITIONS).all(holds)
}

fn always() -> Vec<Property<Sinks>> {
    type P = Property<Sinks>;
    vec![
        P::always("the machines keep their invariants", |_, world: &World| {
            world.sinks.iter().all(|sink| sink.machine.check().is_ok())
        }),
        //= spec/commit.md#commit-4-commit-follows-completion
        //= type=test
        //# A transaction MUST be committed only after a checkpoint that covers it is complete.
        P::always("COMMIT-4 nothing is visible that no complete checkpoint covers", |_, world| {
            every_partition(|partition| {
                world.visible(partition).iter().all(|number| *number <= world.covered(partition))
            })
        }),
        P::always("OUT-1 nothing is visible twice", |_, world| {
            every_partition(|partition| {
                let visible = world.visible(partition);
                visible.iter().collect::<BTreeSet<_>>().len() == visible.len()
            })
        }),
        //= spec/commit.md#commit-12-an-uncertain-commit-is-repeated
        //= type=test
        //# A commit that did not certainly succeed MUST be repeated after the pause until it does.
        P::always("COMMIT-8, 12 what a complete checkpoint covers is never gone", |_, world| {
            every_partition(|partition| {
                (1..=world.covered(partition)).all(|number| world.is_safe((partition, number)))
            })
        }),
        //= spec/output.md#out-1-committed-output-is-a-prefix
        //= type=test
        //# Committed output MUST always be a prefix of the output without any failure.
        P::always("OUT-1 unless commits are uncertain or fall to others, output is a prefix", |_, world| {
            world.may_reorder
                || every_partition(|partition| {
                    (1..).zip(world.visible(partition)).all(|(expected, number)| expected == *number)
                })
        }),
        //= spec/output.md#out-2-committed-output-is-complete-at-the-end
        //= type=test
        //# When nothing more can happen, all of the output without any failure MUST be committed.
        P::always("OUT-2 when all is quiet, all that is covered is visible", |_, world| {
            let is_visible =
                |partition| world.visible(partition).len() == usize::from(world.covered(partition));
            !world.is_quiet() || every_partition(is_visible)
        }),
        //= spec/commit.md#commit-8-all-others-are-rolled-back
        //= type=test
        //# A participant that starts MUST roll back every unfinished transaction of earlier attempts that falls to it
        //# and was not restored.
        P::always("COMMIT-8 when all is quiet, only what a sink still holds is left outside", |_, world| {
            let is_held = |transaction| {
                world.sinks.iter().any(|sink| {
                    sink.machine.open() == Some(transaction) || sink.machine.snapshot().contains(&transaction)
                })
            };
            let mut left = world.outside.unfinished.iter().chain(world.outside.durable.keys());
            !world.is_quiet() || left.all(|transaction| is_held(*transaction))
        }),
        P::always("COMMIT-8 when the sinks are at their end, nothing is left outside", |_, world| {
            !world.is_at_the_end()
                || (world.outside.unfinished.is_empty() && world.outside.durable.is_empty())
        }),
    ]
}

fn sometimes() -> Vec<Property<Sinks>> {
    type P = Property<Sinks>;
    vec![
        P::sometimes("everything is visible and nothing else is left", |_, world: &World| {
            world.is_at_the_end() && every_partition(|partition| world.visible(partition).len() == 2)
        }),
        P::sometimes("one record is visible and the next one is durable", |_, world| {
            world.visible(0).len() == 1
                && world.outside.durable.values().flatten().any(|record| *record == (0, 2))
        }),
        P::sometimes("a checkpoint holds the transactions of an aborted one", |_, world| {
            world.complete.content.transactions.len() > world.sinks.len()
        }),
        P::sometimes("a commit waits to be repeated and is visible already", |_, world| {
            let is_waiting = world.sinks.iter().any(|sink| sink.machine.deadline().is_some());
            is_waiting && world.outside.durable.is_empty() && !world.outside.visible.is_empty()
        }),
        P::sometimes("a commit waits to be repeated and is not visible", |_, world| {
            let is_waiting = world.sinks.iter().any(|sink| sink.machine.deadline().is_some());
            is_waiting && world.outside.visible.is_empty()
        }),
        P::sometimes("a later transaction is visible before an older one", |_, world| {
            every_partition(|partition| world.visible(partition).first() == Some(&2))
        }),
        P::sometimes("a transaction of a subtask that is gone waits to be committed", |_, world| {
            let is_gone = |index: u16| index >= world.parallelism();
            world.sinks.iter().any(|sink| sink.machine.snapshot().iter().any(|id| is_gone(id.subtask.index)))
        }),
        P::sometimes("a sink of two has started again and still commits", |_, world| {
            let commits = world.sinks.iter().any(|sink| sink.started && !sink.orders.is_empty());
            world.parallelism() == 2 && world.attempt.0 > 1 && commits
        }),
        P::sometimes("an attempt has failed while it committed what it had restored", |_, world| {
            let is_older = |id: &snapline::commit::TransactionId| id.attempt.0 + 1 < world.attempt.0;
            world.outside.durable.keys().any(is_older)
        }),
    ]
}
