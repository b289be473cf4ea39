//! What must hold in every state, and what must be seen in some.

use super::system::SharedFiles;
use super::world::{Complete, Message, World};
use snapline::base::SharedObject;
use stateright::Property;
use std::collections::BTreeSet;

impl World {
    /// Whether a checkpoint could be restored from the store as it is.
    fn is_whole(&self, complete: &Complete) -> bool {
        complete.parts.values().all(|part| {
            let found = part.objects.iter().map(|object| self.store.get(object).copied());
            found.collect::<Option<BTreeSet<_>>>().is_some_and(|found| found == part.meant)
        })
    }

    /// What is stored and needed by no checkpoint or savepoint of anybody.
    fn unneeded(&self) -> impl Iterator<Item = &SharedObject> {
        let start = self.start.iter().map(|start| &start.complete);
        let complete = self.published.values().chain(self.savepoints.values()).chain(start);
        let needed: BTreeSet<&SharedObject> = complete.flat_map(Complete::objects).collect();
        self.store.keys().filter(move |object| !needed.contains(object))
    }

    /// Whether a retained checkpoint refers to a file of an attempt before the current one.
    fn refers_to_an_earlier_attempt(&self) -> bool {
        let mut objects = self.published.values().flat_map(Complete::objects);
        objects.any(|object| object.file.attempt < self.attempt)
    }

    fn stores_a_file_twice(&self) -> bool {
        let files: BTreeSet<_> = self.store.keys().map(|object| object.file).collect();
        files.len() < self.store.len()
    }
}

pub(super) fn properties() -> Vec<Property<SharedFiles>> {
    let mut all = keeping();
    all.extend(sharing());
    all.extend(deleting());
    all
}

fn keeping() -> Vec<Property<SharedFiles>> {
    type P = Property<SharedFiles>;
    vec![
        P::always("the machines keep their invariants", |_, world| {
            world.registry.check().is_ok() && world.tasks.values().all(|task| task.machine.check().is_ok())
        }),
        //= spec/shared.md#shared-11-nothing-that-is-referred-to-is-deleted
        //= type=test
        //# An object that a registered checkpoint refers to MUST NOT be deleted.
        //= spec/shared.md#shared-1-a-file-is-its-content-and-its-writer
        //= type=test
        //# The identity of a shared file MUST consist of its content and of the job, subtask and attempt that
        //# wrote it.
        P::always(
            "SHARED-11 every file of a retained checkpoint exists and holds what was meant",
            |_, world| world.published.values().all(|complete| world.is_whole(complete)),
        ),
        P::sometimes("a retained checkpoint shares files of an earlier attempt", |_, world| {
            world.refers_to_an_earlier_attempt() && world.published.keys().any(|id| id.0 > 1)
        }),
        P::always("a restored task finds its files", |_, world| !world.wrong.lost),
        //= spec/shared.md#shared-15-a-completed-savepoint-is-handed-over
        //= type=test
        //# The objects of a completed savepoint MUST be forgotten without being deleted.
        P::always("SHARED-15 a savepoint is whole until its owner deletes it", |_, world| {
            world.savepoints.values().all(|complete| world.is_whole(complete))
        }),
        P::sometimes("a savepoint is complete", |_, world| !world.savepoints.is_empty()),
        //= spec/shared.md#shared-17-what-is-not-owned-is-not-deleted
        //= type=test
        //# An object of a restored checkpoint that the job does not own MUST NOT be deleted.
        P::always("SHARED-17 what is not owned is whole until its owner deletes it", |_, world| {
            world.start.iter().all(|start| world.is_whole(&start.complete))
        }),
        P::sometimes("the job runs on a checkpoint that it does not own", |_, world| {
            world.start.is_some() && !world.published.is_empty()
        }),
        P::always("MONO checkpoints are published in the order of their ids", |_, world| !world.wrong.order),
        P::sometimes("a checkpoint is published while a newer one is under way", |_, world| {
            world.published.keys().any(|published| world.pending.keys().any(|pending| pending > published))
        }),
    ]
}

fn sharing() -> Vec<Property<SharedFiles>> {
    type P = Property<SharedFiles>;
    vec![
        //= spec/shared.md#shared-3-only-complete-checkpoints-are-referred-to
        //= type=test
        //# An incremental snapshot MUST refer only to files of the newest checkpoint that its task knows to be
        //# complete.
        P::always("SHARED-3 a task never refers to what is gone", |_, world| !world.wrong.refused),
        //= spec/shared.md#shared-4-what-has-gone-is-uploaded-again
        //= type=test
        //# A file that is missing in one snapshot MUST NOT be referred to by a later one as uploaded before
        //# that.
        P::always("SHARED-4 a task may refer to nothing that the newest checkpoint lacks", |_, world| {
            let newest = world.published.values().next_back();
            let files: BTreeSet<_> =
                newest.into_iter().flat_map(Complete::objects).map(|object| object.file).collect();
            world.tasks.values().all(|task| task.machine.base().all(|file| files.contains(&file)))
        }),
        P::sometimes("a task refers to files and has not heard of the newest completion", |_, world| {
            world.published.keys().next_back().is_some_and(|newest| {
                world.tasks.iter().any(|(subtask, task)| {
                    let notice = Message::Completed(*newest, *subtask);
                    world.messages.contains(&notice) && task.machine.base().next().is_some()
                })
            })
        }),
        //= spec/shared.md#shared-2-an-object-is-written-once
        //= type=test
        //# Every upload MUST have a name that no other upload ever has.
        P::always("SHARED-2 no name is written twice", |_, world| !world.wrong.overwritten),
        P::sometimes("a file is stored twice", |_, world| world.stores_a_file_twice()),
    ]
}

fn deleting() -> Vec<Property<SharedFiles>> {
    type P = Property<SharedFiles>;
    vec![
        //= spec/shared.md#shared-12-nothing-else-is-kept
        //= type=test
        //# An object MUST be deleted once no registered checkpoint refers to it any more.
        //= spec/shared.md#shared-8-a-snapshot-that-was-not-ready-leaves-nothing
        //= type=test
        //# A task MUST discard every upload of a snapshot that ends before it is ready.
        P::always("SHARED-12 when all is quiet only dead attempts have left anything", |_, world| {
            !world.is_quiet() || world.unneeded().all(|object| object.file.attempt < world.attempt)
        }),
        P::sometimes("a dead attempt has left something", |_, world| {
            world.unneeded().any(|object| object.file.attempt < world.attempt)
        }),
        //= spec/shared.md#shared-19-leftovers-are-those-of-earlier-attempts
        //= type=test
        //# An object that is merely found MUST be deleted only if an earlier attempt of the job wrote it and
        //# nothing refers to it.
        P::always("SHARED-19 after the last listing nothing else is left", |_, world| {
            let is_over = world.ended && world.deletions.is_empty();
            !is_over || world.unneeded().all(|object| object.savepoint.is_some())
        }),
        P::sometimes("the job ends after a restart", |_, world| {
            world.ended && world.deletions.is_empty() && world.attempt.0 > 1 && !world.published.is_empty()
        }),
        P::sometimes("a deletion is to be repeated", |_, world| world.registry.deadline().is_some()),
        P::sometimes("an acknowledgement comes too late", |_, world| {
            world.messages.iter().any(|message| match message {
                Message::Acknowledge(attempt, checkpoint, ..) => {
                    *attempt == world.attempt && !world.pending.contains_key(checkpoint)
                }
                _ => false,
            })
        }),
    ]
}
