//! Every input in every situation of the two machines, as tables that are reviewed when they change.

use super::*;
use crate::shared::{incremental, registry};
use crate::table_tests::{assert_committed, cell, paragraph};
use std::fmt::Debug;

const HEADING: &str = "situation [state]\n  inputs: what is done [next state]\n";

fn files(files: &BTreeSet<SharedFile>) -> String {
    let files: Vec<String> = files.iter().map(|file| file.content.digest.to_string()).collect();
    files.join(" ")
}

/// An object as file and upload.
fn short(object: &SharedObject) -> String {
    let savepoint = object.savepoint.map_or(String::new(), |savepoint| format!(" of savepoint {savepoint}"));
    format!("{}#{}{savepoint}", object.file.content.digest, object.upload)
}

fn objects<'a>(objects: impl IntoIterator<Item = &'a SharedObject>) -> String {
    objects.into_iter().map(short).collect::<Vec<_>>().join(" ")
}

mod task {
    use super::*;
    use incremental::{Config, IncrementalSnapshots, Input, Output, Restored};

    fn fresh(ownership: Option<Ownership>) -> IncrementalSnapshots {
        let config = Config { job: JOB, subtask: SUBTASK, attempt: Attempt(1) };
        let restored = ownership.map(|ownership| Restored { files: BTreeSet::from([file(1)]), ownership });
        IncrementalSnapshots::new(config, restored)
    }

    fn began(checkpoint: u64, sharing: Sharing, digests: &[u128]) -> Input {
        let files = digests.iter().copied().map(content).collect();
        Input::SnapshotBegan { checkpoint: id(checkpoint), sharing, files }
    }

    fn after(inputs: impl IntoIterator<Item = Input>) -> IncrementalSnapshots {
        let mut task = fresh(Some(Ownership::Owned));
        for input in inputs {
            task.on(Millis(0), input, &mut Vec::new()).unwrap();
        }
        task
    }

    /// Files 1 and 2, of which 1 is there already.
    fn two(checkpoint: u64) -> Input {
        began(checkpoint, Sharing::ForwardBackward, &[1, 2])
    }

    fn situations() -> Vec<(&'static str, IncrementalSnapshots)> {
        let finished = || Input::UploadFinished(object(2, 0));
        let complete = |checkpoint| Input::CheckpointCompleted { checkpoint: id(checkpoint) };
        let aborted = |checkpoint| Input::CheckpointAborted { checkpoint: id(checkpoint) };
        vec![
            ("nothing restored", fresh(None)),
            ("restored what is not owned", fresh(Some(Ownership::NotOwned))),
            ("restored", after([])),
            ("uploading", after([two(1)])),
            ("uploading two files", after([began(1, Sharing::Forward, &[1, 2])])),
            (
                "one of two uploaded",
                after([began(1, Sharing::Forward, &[1, 2]), Input::UploadFinished(object(1, 0))]),
            ),
            ("uploading a savepoint", after([began(1, Sharing::NoSharing, &[2])])),
            ("ready", after([two(1), finished()])),
            ("ready, and uploading the next", after([two(1), finished(), two(2)])),
            ("uploading, and the next too", after([two(1), two(2)])),
            ("complete", after([two(1), finished(), complete(1)])),
            ("given up while uploading", after([two(1), aborted(1)])),
            (
                "a file is gone",
                after([two(1), finished(), began(2, Sharing::ForwardBackward, &[1]), complete(1)]),
            ),
        ]
    }

    fn inputs() -> Vec<(String, Input)> {
        let named = |name: &str, input| (name.to_owned(), input);
        let mut inputs = vec![
            named("snapshot 1", two(1)),
            named("snapshot 3", two(3)),
            named("snapshot 3 of nothing", began(3, Sharing::ForwardBackward, &[])),
            named("snapshot 3 of what is there", began(3, Sharing::ForwardBackward, &[1])),
            named("full snapshot 3", began(3, Sharing::Forward, &[1, 2])),
            named("savepoint 3", began(3, Sharing::NoSharing, &[1, 2])),
        ];
        let savepoint = SharedObject { savepoint: Some(id(1)), ..object(2, 0) };
        for object in [object(1, 0), object(2, 0), object(2, 1), savepoint] {
            inputs.push((format!("{} uploaded", short(&object)), Input::UploadFinished(object)));
            inputs.push((format!("{} failed", short(&object)), Input::UploadFailed(object)));
        }
        for checkpoint in 1..=2 {
            let checkpoint = id(checkpoint);
            inputs.push((format!("{checkpoint} complete"), Input::CheckpointCompleted { checkpoint }));
            inputs.push((format!("{checkpoint} aborted"), Input::CheckpointAborted { checkpoint }));
        }
        inputs
    }

    fn name(task: &IncrementalSnapshots) -> String {
        let mut parts = vec![format!("base {}", files(&task.base().collect()))];
        for (checkpoint, snapshot) in &task.snapshots {
            parts.push(format!(
                "{checkpoint} uploads {}, has {} and {}, lasting {}",
                objects(&snapshot.uploading),
                objects(&snapshot.state.uploaded),
                files(&snapshot.state.reused),
                snapshot.lasting.len(),
            ));
        }
        parts.push(format!("abandoned {}", objects(&task.abandoned)));
        parts.push(format!("next upload {}", task.next_upload));
        parts.join("; ")
    }

    fn brief(output: &Output) -> String {
        match output {
            Output::Upload(object) => format!("upload {}", short(object)),
            Output::CancelUpload(object) => format!("cancel {}", short(object)),
            Output::Discard(object) => format!("discard {}", short(object)),
            Output::Ready { checkpoint, state } => {
                let SharedState { sharing, uploaded, reused } = state;
                format!("ready {checkpoint}: {sharing:?} {} and {}", objects(uploaded), files(reused))
            }
            Output::Failed { checkpoint } => format!("failed {checkpoint}"),
        }
    }

    fn effect(task: &IncrementalSnapshots, state: &str, input: Input) -> String {
        let (mut next, mut out) = (task.clone(), Vec::new());
        let misused = next.on(Millis(0), input, &mut out).is_err();
        next.check().unwrap();
        cell(&out.iter().map(brief).collect::<Vec<_>>(), misused, state, &name(&next))
    }

    #[test]
    fn shared_task_every_input_in_every_situation_behaves_as_in_the_committed_table() {
        let mut found = HEADING.to_owned();
        for (situation, task) in situations() {
            let state = name(&task);
            let cells = inputs().into_iter().map(|(event, input)| (event, effect(&task, &state, input)));
            paragraph(&mut found, situation, &state, cells);
        }
        assert_committed("src/shared/incremental.txt", &found);
    }
}

mod coordinator {
    use super::*;
    use registry::{Config, Input, Output, SharedStateRegistry};

    const PAUSE: Millis = Millis(100);

    fn restored(attempt: u32, checkpoints: Vec<RestoredFiles>) -> Input {
        Input::Restored { attempt: Attempt(attempt), checkpoints }
    }

    fn holding(checkpoint: u64, ownership: Ownership) -> RestoredFiles {
        RestoredFiles { checkpoint: id(checkpoint), ownership, objects: BTreeSet::from([object(1, 0)]) }
    }

    fn acknowledged(checkpoint: u64, state: SharedState) -> Input {
        Input::Acknowledged { checkpoint: id(checkpoint), subtask: SUBTASK, state }
    }

    fn after(inputs: impl IntoIterator<Item = Input>) -> SharedStateRegistry {
        let mut registry = SharedStateRegistry::new(Config { job: JOB, retry_pause: PAUSE });
        for input in inputs {
            registry.on(Millis(0), input, &mut Vec::new()).unwrap();
        }
        registry
    }

    fn situations() -> Vec<(&'static str, SharedStateRegistry)> {
        let started = || restored(2, vec![]);
        let owned = || restored(2, vec![holding(1, Ownership::Owned)]);
        let second = || acknowledged(2, increment([object(2, 1)], [file(1)]));
        let savepoint = || acknowledged(2, state(Sharing::NoSharing, [object(2, 1)], []));
        let dropped = |checkpoint| Input::Dropped { checkpoint: id(checkpoint) };
        let failed = || Input::DeletionFailed(object(2, 1));
        vec![
            ("before the first recovery", after([])),
            ("nothing restored", after([started()])),
            ("1 restored", after([owned()])),
            ("1 restored, not owned", after([restored(2, vec![holding(1, Ownership::NotOwned)])])),
            ("2 refers to 1", after([owned(), second()])),
            ("savepoint 2 beside 1", after([owned(), savepoint()])),
            ("1 subsumed by 2", after([owned(), second(), Input::Subsumed { lowest_retained: id(2) }])),
            ("2 dropped", after([owned(), second(), dropped(2)])),
            ("2 dropped, its deletion failed", after([owned(), second(), dropped(2), failed()])),
            ("fenced", after([owned(), second(), Input::Fenced])),
        ]
    }

    fn inputs() -> Vec<(String, Input)> {
        let named = |name: &str, input| (name.to_owned(), input);
        let foreign = SharedObject { file: SharedFile { job: FOREIGN, ..file(4) }, ..object(4, 4) };
        let current = SharedObject { file: SharedFile { attempt: Attempt(2), ..file(5) }, ..object(5, 5) };
        let savepoint = SharedObject { savepoint: Some(id(9)), ..object(6, 6) };
        let listing = BTreeSet::from([object(1, 0), object(2, 1), object(3, 3), foreign, current, savepoint]);
        let late = Input::AcknowledgedTooLate { state: increment([object(2, 1), object(3, 3)], [file(1)]) };
        let mut inputs = vec![
            named("attempt 2 restored", restored(2, vec![])),
            named("attempt 3 restored", restored(3, vec![holding(3, Ownership::Owned)])),
            named("3 has a new file", acknowledged(3, increment([object(3, 3)], []))),
            named("3 refers to file 1", acknowledged(3, increment([object(3, 3)], [file(1)]))),
            named("3 refers to file 2", acknowledged(3, increment([object(3, 3)], [file(2)]))),
            named("3 uploads what is there", acknowledged(3, increment([object(2, 1)], []))),
            named("full 3 refers to file 1", acknowledged(3, state(Sharing::Forward, [], [file(1)]))),
            named("too late", late),
            named("savepoint 2 complete", Input::SavepointCompleted { savepoint: id(2) }),
            named("found", Input::ObjectsFound { objects: listing }),
            named("fenced", Input::Fenced),
            named("tick", Input::Tick),
        ];
        for checkpoint in 1..=3 {
            let checkpoint = id(checkpoint);
            inputs.push((format!("{checkpoint} dropped"), Input::Dropped { checkpoint }));
            inputs.push((format!("{checkpoint} is lowest"), Input::Subsumed { lowest_retained: checkpoint }));
        }
        for object in [object(1, 0), object(2, 1)] {
            inputs.push((format!("{} deleted", short(&object)), Input::Deleted(object)));
            inputs.push((format!("{} not deleted", short(&object)), Input::DeletionFailed(object)));
        }
        inputs
    }

    fn name(registry: &SharedStateRegistry) -> String {
        let mut parts = vec![format!("attempt {:?}", registry.attempt.map(|attempt| attempt.0))];
        if registry.fenced {
            parts.push("fenced".to_owned());
        }
        for (checkpoint, registered) in &registry.checkpoints {
            let kind = if registered.is_savepoint { "savepoint " } else { "" };
            parts.push(format!("{kind}{checkpoint} has {}", objects(&registered.objects)));
        }
        for (object, deletion) in &registry.deletions {
            parts.push(format!("deletes {} {deletion:?}", short(object)));
        }
        parts.push(format!("not owned {}", objects(&registry.not_owned)));
        parts.push(format!("due {}", debug(registry.deadline())));
        parts.join("; ")
    }

    fn debug(value: Option<impl Debug>) -> String {
        value.map_or("-".to_owned(), |value| format!("{value:?}"))
    }

    fn brief(output: &Output) -> String {
        match output {
            Output::Registered { checkpoint, objects: registered, .. } => {
                format!("registered {checkpoint}: {}", objects(registered))
            }
            Output::Refused { checkpoint, missing, .. } => {
                format!("refused {checkpoint}: {}", files(missing))
            }
            Output::Delete(object) => format!("delete {}", short(object)),
        }
    }

    fn effect(registry: &SharedStateRegistry, state: &str, input: Input) -> String {
        let (mut next, mut out) = (registry.clone(), Vec::new());
        let misused = next.on(PAUSE, input, &mut out).is_err();
        next.check().unwrap();
        cell(&out.iter().map(brief).collect::<Vec<_>>(), misused, state, &name(&next))
    }

    #[test]
    fn shared_registry_every_input_in_every_situation_behaves_as_in_the_committed_table() {
        let mut found = HEADING.to_owned();
        for (situation, registry) in situations() {
            let state = name(&registry);
            let cells = inputs().into_iter().map(|(event, input)| (event, effect(&registry, &state, input)));
            paragraph(&mut found, situation, &state, cells);
        }
        assert_committed("src/shared/registry.txt", &found);
    }
}
