//! Random scripts against naive references: plain sets of what is reachable.

use super::*;
use crate::shared::incremental::{self, Restored};
use crate::shared::registry::{self, Input, Output};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What is done to a registry; checkpoints and contents are numbered from a small range.
#[derive(Clone, Debug)]
enum Step {
    Acknowledge {
        checkpoint: u64,
        sharing: Sharing,
        new: BTreeSet<u128>,
        reused: BTreeSet<u128>,
    },
    AcknowledgeTooLate(BTreeSet<u128>),
    Drop(u64),
    CompleteSavepoint(u64),
    Subsume(u64),
    /// The job restarts and lists the storage.
    RestartAndList,
    FailNextDeletions(usize),
}

fn contents() -> impl Strategy<Value = BTreeSet<u128>> {
    btree_set(0..5_u128, 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let sharing = prop_oneof![5 => Just(Sharing::ForwardBackward), 1 => Just(Sharing::Forward), 2 => Just(Sharing::NoSharing)];
    let acknowledge =
        (1..9_u64, sharing, contents(), contents()).prop_map(|(checkpoint, sharing, new, reused)| {
            Step::Acknowledge { checkpoint, sharing, new, reused }
        });
    prop_oneof![
        6 => acknowledge,
        1 => contents().prop_map(Step::AcknowledgeTooLate),
        2 => (1..9_u64).prop_map(Step::Drop),
        1 => (1..9_u64).prop_map(Step::CompleteSavepoint),
        2 => (1..9_u64).prop_map(Step::Subsume),
        1 => Just(Step::RestartAndList),
        1 => (1..4_usize).prop_map(Step::FailNextDeletions),
    ]
}

/// A registry, a storage that does what it says, and a naive account of what each checkpoint needs.
struct Job {
    registry: SharedStateRegistry,
    attempt: Attempt,
    uploads: u64,
    stored: BTreeSet<SharedObject>,
    failing: usize,
    needed: BTreeMap<CheckpointId, BTreeSet<SharedObject>>,
    savepoints: BTreeSet<CheckpointId>,
    handed_over: BTreeSet<SharedObject>,
}

impl Job {
    fn new() -> Job {
        let config = registry::Config { job: JOB, retry_pause: Millis(1) };
        let mut job = Job {
            registry: SharedStateRegistry::new(config),
            attempt: Attempt(0),
            uploads: 0,
            stored: BTreeSet::new(),
            failing: 0,
            needed: BTreeMap::new(),
            savepoints: BTreeSet::new(),
            handed_over: BTreeSet::new(),
        };
        job.restart();
        job
    }

    fn restart(&mut self) {
        self.attempt = self.attempt.next();
        self.on(Input::Restored { attempt: self.attempt, checkpoints: vec![] });
    }

    fn upload(&mut self, digests: BTreeSet<u128>) -> BTreeSet<SharedObject> {
        let mut uploaded = BTreeSet::new();
        for digest in digests {
            uploaded.insert(object(digest, self.uploads));
            self.uploads += 1;
        }
        self.stored.extend(&uploaded);
        uploaded
    }

    fn needs(&self, object: &SharedObject) -> bool {
        self.needed.values().any(|objects| objects.contains(object))
    }

    fn on(&mut self, input: Input) {
        let mut out = Vec::new();
        self.registry.on(Millis(0), input, &mut out).unwrap();
        self.registry.check().unwrap();
        for output in out {
            match output {
                Output::Registered { checkpoint, objects, .. } => {
                    assert!(objects.iter().all(|object| self.stored.contains(object)));
                    self.needed.entry(checkpoint).or_default().extend(objects);
                }
                Output::Refused { checkpoint, missing, .. } => {
                    let shared = self.needed.iter().filter(|(id, _)| !self.savepoints.contains(id));
                    let mut known = shared.flat_map(|(_, objects)| objects).map(|object| object.file);
                    let is_savepoint = self.savepoints.contains(&checkpoint);
                    assert!(is_savepoint || !known.any(|file| missing.contains(&file)), "refused in vain");
                }
                Output::Delete(object) => {
                    assert!(!self.needs(&object), "{object:?} is deleted and needed");
                    let fails = self.failing > 0;
                    self.failing = self.failing.saturating_sub(1);
                    if !fails {
                        self.stored.remove(&object);
                    }
                    self.on(if fails { Input::DeletionFailed(object) } else { Input::Deleted(object) });
                }
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Acknowledge { checkpoint, sharing, new, reused } => {
                let known = self.needed.contains_key(&id(checkpoint));
                let is_savepoint = sharing == Sharing::NoSharing;
                // A checkpoint is of one kind, and a full one is not asked to share.
                if known && self.savepoints.contains(&id(checkpoint)) != is_savepoint {
                    return;
                }
                if is_savepoint {
                    self.savepoints.insert(id(checkpoint));
                } else {
                    self.savepoints.remove(&id(checkpoint));
                }
                let uploaded = self.upload(new);
                let reused = if sharing == Sharing::ForwardBackward { reused } else { BTreeSet::new() };
                let state = state(sharing, uploaded, reused.into_iter().map(file));
                self.on(Input::Acknowledged { checkpoint: id(checkpoint), subtask: SUBTASK, state });
            }
            Step::AcknowledgeTooLate(new) => {
                let state = increment(self.upload(new), []);
                self.on(Input::AcknowledgedTooLate { state });
            }
            Step::Drop(checkpoint) => {
                self.needed.remove(&id(checkpoint));
                self.on(Input::Dropped { checkpoint: id(checkpoint) });
            }
            Step::CompleteSavepoint(savepoint) if self.savepoints.contains(&id(savepoint)) => {
                self.handed_over.extend(self.needed.remove(&id(savepoint)).into_iter().flatten());
                self.on(Input::SavepointCompleted { savepoint: id(savepoint) });
            }
            Step::CompleteSavepoint(_) => {}
            Step::Subsume(lowest) => {
                let savepoints = &self.savepoints;
                self.needed
                    .retain(|checkpoint, _| *checkpoint >= id(lowest) || savepoints.contains(checkpoint));
                self.on(Input::Subsumed { lowest_retained: id(lowest) });
            }
            Step::RestartAndList => {
                self.restart();
                let objects = self.stored.difference(&self.handed_over).copied().collect();
                self.on(Input::ObjectsFound { objects });
            }
            Step::FailNextDeletions(times) => self.failing = times,
        }
    }

    /// Exactly what is needed, handed over or waiting to be deleted again is stored.
    fn assert_nothing_is_missing_or_left(&self) {
        let needed = self.needed.values().flatten().copied();
        let mut expected: BTreeSet<SharedObject> = needed.chain(self.handed_over.iter().copied()).collect();
        assert!(expected.is_subset(&self.stored), "{:?}", expected.difference(&self.stored));
        expected.extend(self.registry.deletions());
        assert_eq!(self.stored, expected);
    }
}

/// What happens to one task and its coordinator.
#[derive(Clone, Debug)]
enum Event {
    Snapshot(BTreeSet<u128>),
    /// The oldest or newest pending checkpoint completes, and the task hears of it or not.
    Complete {
        newest: bool,
        noticed: bool,
    },
    Abort {
        newest: bool,
        noticed: bool,
    },
    Notice,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => contents().prop_map(Event::Snapshot),
        3 => any::<(bool, bool)>().prop_map(|(newest, noticed)| Event::Complete { newest, noticed }),
        1 => any::<(bool, bool)>().prop_map(|(newest, noticed)| Event::Abort { newest, noticed }),
        2 => Just(Event::Notice),
        1 => Just(Event::Restart),
    ]
}

/// One task and its coordinator, whose acknowledgements arrive at once and whose notices may never.
struct Pair {
    registry: SharedStateRegistry,
    task: IncrementalSnapshots,
    attempt: Attempt,
    next: u64,
    retained: usize,
    pending: BTreeSet<CheckpointId>,
    completed: Vec<CheckpointId>,
    unheard: Vec<incremental::Input>,
    deleted: BTreeSet<SharedObject>,
    contents: BTreeMap<CheckpointId, BTreeSet<ContentId>>,
}

impl Pair {
    fn new(retained: usize) -> Pair {
        let config = registry::Config { job: JOB, retry_pause: Millis(1) };
        let task = incremental::Config { job: JOB, subtask: SUBTASK, attempt: Attempt(1) };
        let mut pair = Pair {
            registry: SharedStateRegistry::new(config),
            task: IncrementalSnapshots::new(task, None),
            attempt: Attempt(0),
            next: 1,
            retained,
            pending: BTreeSet::new(),
            completed: Vec::new(),
            unheard: Vec::new(),
            deleted: BTreeSet::new(),
            contents: BTreeMap::new(),
        };
        pair.restart();
        pair
    }

    fn restart(&mut self) {
        for checkpoint in std::mem::take(&mut self.pending) {
            self.registry(Input::Dropped { checkpoint });
        }
        self.attempt = self.attempt.next();
        let newest = self.completed.last().and_then(|newest| self.registry.objects_of(*newest));
        let files = newest.into_iter().flatten().map(|object| object.file).collect();
        let config = incremental::Config { job: JOB, subtask: SUBTASK, attempt: self.attempt };
        self.task = IncrementalSnapshots::new(config, Some(Restored { files, ownership: Ownership::Owned }));
        self.unheard.clear();
        self.registry(Input::Restored { attempt: self.attempt, checkpoints: vec![] });
    }

    fn registry(&mut self, input: Input) {
        let mut out = Vec::new();
        self.registry.on(Millis(0), input, &mut out).unwrap();
        self.registry.check().unwrap();
        for output in out {
            match output {
                Output::Registered { checkpoint, objects, .. } => {
                    let meant = &self.contents[&checkpoint];
                    assert_eq!(*meant, objects.iter().map(|object| object.file.content).collect());
                    assert!(objects.is_disjoint(&self.deleted));
                }
                Output::Refused { .. } => panic!("{output:?}"),
                Output::Delete(object) => drop(self.deleted.insert(object)),
            }
        }
    }

    fn task(&mut self, input: incremental::Input) {
        let mut out = Vec::new();
        self.task.on(Millis(0), input, &mut out).unwrap();
        self.task.check().unwrap();
        for output in out {
            match output {
                incremental::Output::Upload(object) => self.task(incremental::Input::UploadFinished(object)),
                incremental::Output::Ready { checkpoint, state } => {
                    self.registry(Input::Acknowledged { checkpoint, subtask: SUBTASK, state });
                }
                other => panic!("no upload fails: {other:?}"),
            }
        }
    }

    fn notice(&mut self, input: incremental::Input, noticed: bool) {
        if noticed { self.task(input) } else { self.unheard.push(input) }
    }

    fn event(&mut self, event: Event) {
        let choose = |pending: &BTreeSet<CheckpointId>, newest: bool| {
            if newest { pending.last().copied() } else { pending.first().copied() }
        };
        match event {
            Event::Snapshot(digests) => {
                let checkpoint = id(self.next);
                self.next += 1;
                let files: BTreeSet<ContentId> = digests.into_iter().map(content).collect();
                self.contents.insert(checkpoint, files.clone());
                self.pending.insert(checkpoint);
                let sharing = Sharing::ForwardBackward;
                self.task(incremental::Input::SnapshotBegan { checkpoint, sharing, files });
            }
            Event::Complete { newest, noticed } => {
                let Some(checkpoint) = choose(&self.pending, newest) else { return };
                let later = self.pending.split_off(&checkpoint.next());
                let mut older = std::mem::replace(&mut self.pending, later);
                older.remove(&checkpoint);
                for checkpoint in older {
                    self.registry(Input::Dropped { checkpoint });
                }
                self.completed.push(checkpoint);
                let lowest = self.completed[self.completed.len().saturating_sub(self.retained)];
                self.registry(Input::Subsumed { lowest_retained: lowest });
                self.notice(incremental::Input::CheckpointCompleted { checkpoint }, noticed);
            }
            Event::Abort { newest, noticed } => {
                let Some(checkpoint) = choose(&self.pending, newest) else { return };
                self.pending.remove(&checkpoint);
                self.registry(Input::Dropped { checkpoint });
                self.notice(incremental::Input::CheckpointAborted { checkpoint }, noticed);
            }
            Event::Notice => {
                if let Some(late) = self.unheard.pop() {
                    self.task(late.clone());
                    self.task(late);
                }
            }
            Event::Restart => self.restart(),
        }
    }
}

proptest! {
    #[test]
    fn shared_random_scripts_keep_exactly_what_is_reachable(steps in vec(step(), 0..60)) {
        let mut job = Job::new();
        for step in steps {
            job.step(step);
            job.assert_nothing_is_missing_or_left();
        }
        job.failing = 0;
        let mut out = Vec::new();
        job.registry.on(Millis(1), Input::Tick, &mut out).unwrap();
        prop_assert_eq!(out.len(), job.registry.deletions().count(), "all failed deletions are repeated");
    }

    #[test]
    fn shared_random_notices_never_make_a_task_refer_to_what_is_gone(
        retained in 1..3_usize,
        events in vec(event(), 0..60),
    ) {
        let mut pair = Pair::new(retained);
        for event in events {
            pair.event(event);
        }
    }
}
