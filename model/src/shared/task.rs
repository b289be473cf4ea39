//! A task: local files, uploads, and the machine that decides about them.

use super::faults::Fault;
use super::system::SharedFiles;
use super::world::{Complete, Content, JOB, Message, Task, World};
use snapline::base::{Attempt, CheckpointId, ContentId, Millis, Ownership, SharedObject, Sharing, SubtaskId};
use snapline::shared::IncrementalSnapshots;
use snapline::shared::incremental::{Config, Input, Output, Restored};
use std::collections::{BTreeMap, BTreeSet};

/// How many files an attempt can write without repeating a content.
const FILES_PER_ATTEMPT: u128 = 16;

impl SharedFiles {
    /// A task that starts with the files of its part of a checkpoint.
    pub(super) fn task(
        &self,
        world: &World,
        subtask: SubtaskId,
        from: Option<(&Complete, Ownership)>,
    ) -> (Task, bool) {
        let attempt = if self.plants(Fault::AttemptLeftOut) { Attempt(1) } else { world.attempt };
        let ownership = match from {
            Some((_, ownership)) if !self.plants(Fault::NotOwnedTakenForOwned) => ownership,
            _ => Ownership::Owned,
        };
        let part = from.and_then(|(complete, _)| complete.parts.get(&subtask)).cloned().unwrap_or_default();
        let found: BTreeSet<Content> =
            part.objects.iter().filter_map(|object| world.store.get(object)).copied().collect();
        let is_lost = found != part.meant;
        let files = part.objects.iter().map(|object| object.file).collect();
        let machine = IncrementalSnapshots::new(
            Config { job: JOB, subtask, attempt },
            Some(Restored { files, ownership }),
        );
        let local = (0..).zip(found).collect();
        (Task { machine, local, written: 0, newest: None, uploads: BTreeMap::new() }, is_lost)
    }

    /// What the task takes for the content of a local file.
    fn content_id(&self, name: u8, content: Content) -> ContentId {
        let digest = if self.plants(Fault::NameTakenForContent) { u128::from(name) } else { content };
        ContentId { digest, bytes: 1 }
    }

    pub(super) fn snapshot(
        &self,
        world: &mut World,
        subtask: SubtaskId,
        checkpoint: CheckpointId,
        compacts: bool,
    ) {
        let attempt = u128::from(world.attempt.0);
        let Some(pending) = world.pending.get_mut(&checkpoint) else { return };
        let Some(task) = world.tasks.get_mut(&subtask) else { return };
        task.newest = Some(checkpoint);
        if compacts && let Some((name, _)) = task.local.iter().min_by_key(|(_, content)| **content) {
            let name = *name;
            task.local.remove(&name);
        }
        task.written += 1;
        let name = (0..).find(|name| !task.local.contains_key(name)).expect("a name is free");
        let new = FILES_PER_ATTEMPT * attempt + u128::from(task.written);
        task.local.insert(name, new + 1_000 * u128::from(subtask.index));
        pending.meant.insert(subtask, task.local.values().copied().collect());
        let files = task.local.iter().map(|(name, content)| self.content_id(*name, *content)).collect();
        let sharing = match pending.is_savepoint {
            true if !self.plants(Fault::SavepointShares) => Sharing::NoSharing,
            _ => Sharing::ForwardBackward,
        };
        self.tell_task(world, subtask, Input::SnapshotBegan { checkpoint, sharing, files });
    }

    /// An upload ends, whole or half.
    pub(super) fn upload(&self, world: &mut World, subtask: SubtaskId, object: SharedObject, succeeds: bool) {
        let upload = world.tasks.get_mut(&subtask).and_then(|task| task.uploads.remove(&object));
        let Some(content) = upload else { return };
        if succeeds {
            self.write(world, object, content);
            self.tell_task(world, subtask, Input::UploadFinished(object));
        } else {
            self.write(world, object, super::world::HALF_A_FILE);
            self.tell_task(world, subtask, Input::UploadFailed(object));
        }
    }

    /// Drives the machine of a task and carries out what it says.
    pub(super) fn tell_task(&self, world: &mut World, subtask: SubtaskId, input: Input) {
        let mut outputs = Vec::new();
        let Some(task) = world.tasks.get_mut(&subtask) else { return };
        // Only a planted bug can make a task misuse its machine; nothing has happened then.
        let misuse = task.machine.on(Millis(0), input, &mut outputs);
        assert!(misuse.is_ok() || self.fault.is_some(), "{misuse:?}");
        for output in outputs {
            self.carry_out(world, subtask, output);
        }
    }

    fn carry_out(&self, world: &mut World, subtask: SubtaskId, output: Output) {
        match output {
            Output::Upload(object) => {
                let Some(task) = world.tasks.get_mut(&subtask) else { return };
                let of_object = |(name, content): (&u8, &Content)| {
                    (self.content_id(*name, *content) == object.file.content).then_some(*content)
                };
                let content = task.local.iter().find_map(of_object).expect("a local file is uploaded");
                if self.plants(Fault::AcknowledgedBeforeDurable) {
                    world.orphans.insert(object, content);
                    self.tell_task(world, subtask, Input::UploadFinished(object));
                } else {
                    task.uploads.insert(object, content);
                }
            }
            Output::CancelUpload(_) => {}
            Output::Discard(_) if self.plants(Fault::DiscardForgotten) => {}
            Output::Discard(object) => drop(world.deletions.insert(object)),
            Output::Ready { checkpoint, state } => {
                world.messages.insert(Message::Acknowledge(world.attempt, checkpoint, subtask, state));
                if self.plants(Fault::AcknowledgedTakenForComplete) {
                    self.tell_task(world, subtask, Input::CheckpointCompleted { checkpoint });
                }
            }
            Output::Failed { checkpoint } => self.abort(world, checkpoint),
        }
    }
}
