//! Whatever arrives in whatever order, nothing that counts is lost.

use super::shared::{object, shares};
use super::*;
use proptest::prelude::*;

fn any_input() -> impl Strategy<Value = Input> {
    let subtask = prop_oneof![Just(SOURCE), Just(SINK), Just(SubtaskId::new(9, 9))];
    (0_u8..16, 0_u32..3, subtask, 1_u64..6).prop_map(|(what, attempt, subtask, id)| {
        let (checkpoint, attempt) = (CheckpointId(id), Attempt(attempt));
        match what {
            0 => Input::TasksRunning { attempt },
            1..=3 => acknowledgement(attempt.0, subtask, id),
            4..=6 if subtask == SOURCE => {
                let reused = [object(attempt.0, SOURCE, id - 1)];
                let reused = if what == 4 { &reused[..] } else { &[] };
                shares(attempt.0, id, &[object(attempt.0, SOURCE, id)], reused)
            }
            4..=6 => acknowledgement(attempt.0, subtask, id),
            7 => {
                Input::DeclineArrived { attempt, subtask, checkpoint, reason: DeclineReason::AsyncPartFailed }
            }
            8 => Input::EndOfDataReported { attempt, subtask },
            9 => Input::TaskFinished { attempt, subtask },
            10 => failed(attempt, subtask),
            11 => Input::TasksStopped { attempt },
            12 => {
                let request = RequestId(u64::from(attempt.0) * 1_000 + id);
                let kind = match id {
                    1 => SUSPEND,
                    2 => RequestKind::Checkpoint { full: true },
                    3 => CANCEL_WITH_SAVEPOINT,
                    _ => SAVEPOINT,
                };
                Input::CheckpointRequested { request, kind }
            }
            _ => Input::Tick,
        }
    })
}

proptest! {
    #[test]
    fn coord_random_inputs_keep_the_invariants_and_every_published_file(
        inputs in prop::collection::vec((any_input(), 0_u8..8), 0..160),
        max_concurrent in 1_usize..4,
    ) {
        let restart = RestartStrategy::FixedDelay { attempts: 3, delay: Millis(7) };
        let mut job = Job::new(Config { max_concurrent, tolerable_failures: 1, restart, ..config() });
        job.on(Input::JobStarted);
        let (mut newest, mut discarded, mut triggered) = (None, BTreeSet::new(), BTreeSet::new());
        let (mut savepoints, mut deleted) = (BTreeMap::new(), BTreeSet::new());
        for (input, storage) in inputs {
            // A task can answer only to what it was sent, but as late and as often as it likes.
            if let Input::AcknowledgeArrived { attempt, checkpoint, .. } = &input
                && !triggered.contains(&(*attempt, *checkpoint))
            {
                continue;
            }
            job.now += 6;
            let mut done = job.on(input);
            let failing = match storage { 0 => Some(Answer::Failed), 1 => Some(Answer::Unknown), _ => None };
            match (failing, job.asked.first().cloned()) {
                (Some(answer), Some(_)) => done.extend(job.answer(answer)),
                (None, Some((_, operation))) => {
                    let answer = job.perform(operation);
                    done.extend(job.answer(answer));
                }
                (_, None) => {}
            }
            for output in done {
                match output {
                    Output::Trigger { attempt, checkpoint, .. } => {
                        triggered.insert((attempt, checkpoint));
                    }
                    Output::Completed(complete) if !complete.kind.is_savepoint() => {
                        prop_assert!(newest.replace(complete.id) < Some(complete.id));
                    }
                    Output::Completed(savepoint) => {
                        savepoints.insert(savepoint.id, savepoint);
                    }
                    Output::DiscardState(file) => { discarded.insert(file); }
                    Output::DeleteShared(object) => { deleted.insert(object); }
                    Output::DeleteCheckpoint(id) => {
                        prop_assert!(Some(id) < newest && !savepoints.contains_key(&id));
                    }
                    _ => {}
                }
            }
            let pointed_to = job.pointers.values().next_back().and_then(|pointer| pointer.newest);
            prop_assert!(pointed_to.is_none_or(|id| !savepoints.contains_key(&id)));
            let kept = pointed_to.and_then(|id| job.metadata.get(&id)).into_iter().chain(savepoints.values());
            for complete in kept {
                for handle in complete.states.values().flatten() {
                    prop_assert!(!discarded.contains(&handle.file), "{:?} is needed", handle.file);
                }
                for object in complete.shared.values().flatten() {
                    prop_assert!(!deleted.contains(object), "{object:?} is needed");
                }
            }
        }
    }
}
