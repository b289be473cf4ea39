//! The checked system: everything that can happen next, and what follows from it.

use super::faults::Fault;
use super::properties::properties;
use super::scope::{Run, Scope};
use super::text;
use super::world::{
    Complete, Content, FOREIGN_JOB, JOB, Message, Part, Pending, Start, Step, Task, World, Wrong,
};
use snapline::base::{
    Attempt, CheckpointId, ContentId, Millis, Ownership, RestoredFiles, SharedFile, SharedObject,
    SharedState, Sharing, SubtaskId,
};
use snapline::shared::SharedStateRegistry;
use snapline::shared::incremental;
use snapline::shared::registry::{Config, Input, Output};
use stateright::{Model, Path, Property};
use std::collections::{BTreeMap, BTreeSet};

/// Tasks, the registry and the store, within a scope.
#[derive(Clone, Debug)]
pub struct SharedFiles {
    /// Its bounds.
    pub scope: Scope,
    /// The planted bug.
    pub fault: Option<Fault>,
}

fn registry() -> SharedStateRegistry {
    SharedStateRegistry::new(Config { job: JOB, retry_pause: Millis(1) })
}

impl SharedFiles {
    /// The system within `scope`.
    pub fn new(scope: Scope, fault: Option<Fault>) -> Self {
        SharedFiles { scope, fault }
    }

    pub(super) fn plants(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The job before its first attempt, with a checkpoint to start from, if it has any.
    fn world(&self, run: Run) -> World {
        let mut world = World {
            attempt: Attempt(0),
            next_checkpoint: CheckpointId::FIRST,
            subtasks: run.subtasks,
            registry: registry(),
            tasks: BTreeMap::new(),
            pending: BTreeMap::new(),
            published: BTreeMap::new(),
            savepoints: BTreeMap::new(),
            start: None,
            messages: BTreeSet::new(),
            store: BTreeMap::new(),
            deletions: BTreeSet::new(),
            orphans: BTreeMap::new(),
            listed: true,
            ended: false,
            left: run.budgets,
            wrong: Wrong::default(),
        };
        if let Some(ownership) = run.start {
            let (checkpoint, complete) = (CheckpointId(0), self.foreign(&mut world));
            match ownership {
                Ownership::Owned => drop(world.published.insert(checkpoint, complete)),
                Ownership::NotOwned => world.start = Some(Start { ownership, checkpoint, complete }),
            }
        }
        self.begin_attempt(&mut world, true);
        world.listed = true;
        world
    }

    /// A checkpoint that another job has left, one file for each subtask.
    fn foreign(&self, world: &mut World) -> Complete {
        let mut complete = Complete::default();
        for subtask in world.subtasks() {
            let real = Content::from(subtask.index) + 1;
            let content = ContentId { digest: real, bytes: 1 };
            let file = SharedFile { job: FOREIGN_JOB, subtask, attempt: Attempt(1), content };
            let object = self.name(SharedObject { file, upload: 0, savepoint: None });
            world.store.insert(object, real);
            let part = Part { meant: BTreeSet::from([real]), objects: BTreeSet::from([object]) };
            complete.parts.insert(subtask, part);
        }
        complete
    }

    /// The name under which an object lies in the store.
    fn name(&self, object: SharedObject) -> SharedObject {
        if self.plants(Fault::UploadLeftOut) { SharedObject { upload: 0, ..object } } else { object }
    }

    pub(super) fn write(&self, world: &mut World, object: SharedObject, content: Content) {
        let before = world.store.insert(self.name(object), content);
        world.wrong.overwritten |= before.is_some();
    }

    /// Restores everything from the newest checkpoint, in this process or in a new one.
    fn begin_attempt(&self, world: &mut World, is_new_process: bool) {
        world.attempt = world.attempt.next();
        world.listed = false;
        // Only acknowledgements outlive their attempt: notices have nobody to go to.
        world.messages.retain(Message::is_acknowledgement);
        for task in std::mem::take(&mut world.tasks).into_values() {
            world.orphans.extend(task.uploads);
        }
        let mut checkpoints = Vec::new();
        if is_new_process {
            world.registry = registry();
            checkpoints.extend(world.published.iter().map(|(checkpoint, complete)| RestoredFiles {
                checkpoint: *checkpoint,
                ownership: Ownership::Owned,
                objects: complete.objects().copied().collect(),
            }));
        }
        checkpoints.extend(world.start.iter().map(Start::restored));
        if self.plants(Fault::NotOwnedTakenForOwned) {
            checkpoints.iter_mut().for_each(|checkpoint| checkpoint.ownership = Ownership::Owned);
        }
        self.tell_registry(world, Input::Restored { attempt: world.attempt, checkpoints });
        let (tasks, lost): (Vec<_>, Vec<_>) = {
            let from = Self::restore_point(world);
            let start = |subtask| {
                let (task, lost) = self.task(world, subtask, from);
                ((subtask, task), lost)
            };
            world.subtasks().map(start).unzip()
        };
        world.tasks = tasks.into_iter().collect();
        world.wrong.lost |= lost.contains(&true);
    }

    fn restore_point(world: &World) -> Option<(&Complete, Ownership)> {
        let newest = world.published.values().next_back();
        let start = world.start.as_ref().map(|start| (&start.complete, start.ownership));
        newest.map(|complete| (complete, Ownership::Owned)).or(start)
    }

    /// Drives the registry and carries out what it says.
    fn tell_registry(&self, world: &mut World, input: Input) {
        let mut outputs = Vec::new();
        let now = world.registry.deadline().unwrap_or_default();
        // Only a planted bug can make the coordinator misuse the registry; nothing has happened then.
        let misuse = world.registry.on(now, input, &mut outputs);
        assert!(misuse.is_ok() || self.fault.is_some(), "{misuse:?}");
        for output in outputs {
            match output {
                Output::Registered { checkpoint, subtask, objects } => {
                    if let Some(pending) = world.pending.get_mut(&checkpoint) {
                        pending.acknowledged.insert(subtask, objects);
                    }
                }
                Output::Refused { checkpoint, .. } => {
                    world.wrong.refused = true;
                    self.abort(world, checkpoint);
                }
                Output::Delete(object) => drop(world.deletions.insert(object)),
            }
        }
    }

    fn acknowledge(
        &self,
        world: &mut World,
        attempt: Attempt,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        state: SharedState,
    ) {
        let is_current = attempt == world.attempt || self.plants(Fault::StaleObeyed);
        match world.pending.get_mut(&checkpoint).filter(|_| is_current) {
            Some(pending) if self.plants(Fault::RegisteredAfterPublication) => {
                pending.acknowledged.insert(subtask, state.uploaded.clone());
                pending.held_back.push((subtask, state));
            }
            Some(_) => self.tell_registry(world, Input::Acknowledged { checkpoint, subtask, state }),
            None if self.plants(Fault::LateAcknowledgementIgnored) => {}
            None => self.tell_registry(world, Input::AcknowledgedTooLate { state }),
        }
    }

    fn notify(&self, world: &mut World, message: impl Fn(SubtaskId) -> Message) {
        world.messages.extend(world.tasks.keys().copied().map(message));
    }

    fn publish(&self, world: &mut World, checkpoint: CheckpointId) {
        let Some(mut pending) = world.pending.remove(&checkpoint) else { return };
        self.notify(world, |subtask| Message::Completed(checkpoint, subtask));
        let (is_savepoint, held_back) = (pending.is_savepoint, std::mem::take(&mut pending.held_back));
        if is_savepoint {
            world.savepoints.insert(checkpoint, pending.complete());
            self.tell_registry(world, Input::SavepointCompleted { savepoint: checkpoint });
            if self.plants(Fault::SavepointSubsumes) {
                self.tell_registry(world, Input::Subsumed { lowest_retained: checkpoint });
            }
            return;
        }
        world.wrong.order |= world.published.keys().any(|published| *published > checkpoint);
        world.published.insert(checkpoint, pending.complete());
        let older = world.pending.range(..checkpoint).filter(|(_, pending)| !pending.is_savepoint);
        for older in older.map(|(older, _)| *older).collect::<Vec<_>>() {
            self.abort(world, older);
        }
        while world.published.len() > self.scope.retained {
            world.published.pop_first();
        }
        let lowest_retained = *world.published.keys().next().expect("one was just published");
        self.tell_registry(world, Input::Subsumed { lowest_retained });
        for (subtask, state) in held_back {
            self.tell_registry(world, Input::Acknowledged { checkpoint, subtask, state });
        }
    }

    pub(super) fn abort(&self, world: &mut World, checkpoint: CheckpointId) {
        let Some(pending) = world.pending.remove(&checkpoint) else { return };
        self.tell_registry(world, Input::Dropped { checkpoint });
        if self.plants(Fault::AbortDeletesAll) {
            world.deletions.extend(pending.acknowledged.into_values().flatten());
        }
        self.notify(world, |subtask| Message::Aborted(checkpoint, subtask));
    }

    fn deliver(&self, world: &mut World, message: Message) {
        match message {
            Message::Acknowledge(attempt, checkpoint, subtask, state) => {
                self.acknowledge(world, attempt, checkpoint, subtask, state);
            }
            Message::Completed(checkpoint, subtask) => {
                self.tell_task(world, subtask, incremental::Input::CheckpointCompleted { checkpoint });
            }
            Message::Aborted(checkpoint, subtask) => {
                self.tell_task(world, subtask, incremental::Input::CheckpointAborted { checkpoint });
            }
        }
    }

    fn restart(&self, world: &mut World, is_new_process: bool) {
        for checkpoint in world.pending.keys().copied().collect::<Vec<_>>() {
            if is_new_process {
                world.pending.remove(&checkpoint);
            } else {
                self.abort(world, checkpoint);
            }
        }
        if is_new_process {
            // An id of which nothing durable tells may be used again.
            let newest = world.published.keys().chain(world.savepoints.keys()).max();
            world.next_checkpoint = newest.map_or(CheckpointId::FIRST, |newest| newest.next());
        }
        self.begin_attempt(world, is_new_process);
    }

    fn list(&self, world: &mut World) {
        world.ended = world.listed;
        world.listed = true;
        let objects = world.store.keys().copied().collect();
        if !self.plants(Fault::NeverListed) {
            self.tell_registry(world, Input::ObjectsFound { objects });
        }
    }

    fn owner_deletes(&self, world: &mut World) {
        let savepoints = std::mem::take(&mut world.savepoints);
        let start = world.start.take().map(|start| start.complete);
        for object in savepoints.values().chain(&start).flat_map(Complete::objects) {
            world.store.remove(&self.name(*object));
        }
    }

    fn apply(&self, world: &mut World, step: Step) {
        match step {
            Step::Trigger(sharing) => {
                let is_savepoint = sharing == Sharing::NoSharing;
                world.left.savepoints -= u8::from(is_savepoint);
                world.left.checkpoints -= 1;
                let checkpoint = world.next_checkpoint;
                world.next_checkpoint = checkpoint.next();
                let (meant, acknowledged, held_back) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
                world.pending.insert(checkpoint, Pending { is_savepoint, meant, acknowledged, held_back });
            }
            Step::Snapshot(subtask, checkpoint, compacts) => {
                self.snapshot(world, subtask, checkpoint, compacts);
            }
            Step::Upload(subtask, object) => self.upload(world, subtask, object, true),
            Step::UploadFails(subtask, object) => {
                world.left.upload_failures -= 1;
                self.upload(world, subtask, object, false);
            }
            Step::OrphanedUpload(object) => {
                if let Some(content) = world.orphans.remove(&object) {
                    self.write(world, object, content);
                }
            }
            Step::Deliver(message) => {
                world.messages.remove(&message);
                self.deliver(world, message);
            }
            Step::DeliverTwice(message) => {
                world.left.repetitions -= 1;
                self.deliver(world, message);
            }
            Step::Publish(checkpoint) => self.publish(world, checkpoint),
            Step::Abort(checkpoint) => {
                world.left.aborts -= 1;
                self.abort(world, checkpoint);
            }
            Step::Delete(object) => {
                world.deletions.remove(&object);
                world.store.remove(&self.name(object));
                self.tell_registry(world, Input::Deleted(object));
            }
            Step::DeleteTwice(object) => {
                world.left.repetitions -= 1;
                world.store.remove(&self.name(object));
                self.tell_registry(world, Input::Deleted(object));
            }
            Step::DeletionFails(object) => {
                world.left.deletion_failures -= 1;
                world.deletions.remove(&object);
                let is_taken_for_done = self.plants(Fault::DeletionNotRepeated);
                let answer = if is_taken_for_done { Input::Deleted } else { Input::DeletionFailed };
                self.tell_registry(world, answer(object));
            }
            Step::Tick => self.tell_registry(world, Input::Tick),
            Step::FailTasks => {
                world.left.task_failures -= 1;
                self.restart(world, false);
            }
            Step::Crash => {
                world.left.crashes -= 1;
                self.restart(world, true);
            }
            Step::List => self.list(world),
            Step::OwnerDeletes => self.owner_deletes(world),
        }
    }

    fn coordinator_steps(&self, world: &World, steps: &mut Vec<Step>) {
        let has_room = world.pending.len() < self.scope.concurrent;
        if has_room && world.left.checkpoints > 0 {
            steps.push(Step::Trigger(Sharing::ForwardBackward));
            if world.left.savepoints > 0 {
                steps.push(Step::Trigger(Sharing::NoSharing));
            }
        }
        for (checkpoint, pending) in &world.pending {
            if pending.acknowledged.len() == world.tasks.len() {
                steps.push(Step::Publish(*checkpoint));
            }
            if world.left.aborts > 0 {
                steps.push(Step::Abort(*checkpoint));
            }
        }
        if world.registry.deadline().is_some() {
            steps.push(Step::Tick);
        }
        if world.left.task_failures > 0 {
            steps.push(Step::FailTasks);
        }
        if world.left.crashes > 0 {
            steps.push(Step::Crash);
        }
        if !world.listed || world.is_quiet() {
            steps.push(Step::List);
        }
        let is_replaced = world.start.is_some() && !world.published.is_empty();
        if is_replaced || (world.start.is_none() && !world.savepoints.is_empty()) {
            steps.push(Step::OwnerDeletes);
        }
    }

    fn task_steps(&self, world: &World, steps: &mut Vec<Step>) {
        for (subtask, task) in &world.tasks {
            let next = world.pending.keys().find(|checkpoint| Some(**checkpoint) > task.newest);
            if let Some(checkpoint) = next {
                steps.push(Step::Snapshot(*subtask, *checkpoint, false));
                if !task.local.is_empty() {
                    steps.push(Step::Snapshot(*subtask, *checkpoint, true));
                }
            }
            for object in task.uploads.keys() {
                steps.push(Step::Upload(*subtask, *object));
                if world.left.upload_failures > 0 {
                    steps.push(Step::UploadFails(*subtask, *object));
                }
            }
        }
    }

    fn network_steps(&self, world: &World, steps: &mut Vec<Step>) {
        let repeats = world.left.repetitions > 0;
        for message in &world.messages {
            steps.push(Step::Deliver(message.clone()));
            if repeats {
                steps.push(Step::DeliverTwice(message.clone()));
            }
        }
        for object in &world.deletions {
            steps.push(Step::Delete(*object));
            if repeats {
                steps.push(Step::DeleteTwice(*object));
            }
            let is_ordered = world.registry.deletions().any(|ordered| ordered == *object);
            if world.left.deletion_failures > 0 && is_ordered {
                steps.push(Step::DeletionFails(*object));
            }
        }
        steps.extend(world.orphans.keys().copied().map(Step::OrphanedUpload));
    }
}

impl World {
    fn subtasks(&self) -> impl Iterator<Item = SubtaskId> + use<> {
        (0..self.subtasks).map(|index| SubtaskId::new(0, index))
    }

    /// Whether nothing is under way that must come to an end. Notices may be lost, and so may uploads of the dead.
    pub(super) fn is_quiet(&self) -> bool {
        self.pending.is_empty()
            && self.deletions.is_empty()
            && self.registry.deletions().next().is_none()
            && self.tasks.values().all(|task: &Task| task.uploads.is_empty())
            && !self.messages.iter().any(Message::is_acknowledgement)
    }
}

impl Model for SharedFiles {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        self.scope.runs.iter().map(|run| self.world(*run)).collect()
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.ended {
            // Only the deletions that the last listing has ordered are still carried out.
            steps.extend(world.deletions.iter().copied().map(Step::Delete));
            return;
        }
        self.coordinator_steps(world, steps);
        self.task_steps(world, steps);
        self.network_steps(world, steps);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut world = world.clone();
        self.apply(&mut world, step);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }

    fn format_action(&self, step: &Step) -> String {
        text::step(step)
    }

    fn format_step(&self, world: &World, step: Step) -> Option<String> {
        self.next_state(world, step).map(|next| text::world(&next))
    }

    fn as_svg(&self, path: Path<World, Step>) -> Option<String> {
        Some(format!("<pre>{}</pre>", text::world(path.last_state())))
    }
}
