//! Operator state that does not belong to one subtask alone, over restarts of a job.

use crate::common::union::{Found, job_with_union};
use crate::common::{Fault, Place, Plan, World, memory, options};

#[test]
fn operator_union_list_and_broadcast_state_reach_every_subtask_over_a_restart() {
    let world = World::with(Plan { place: Place::Process, fault: Fault::Error, after: 2, times: 1 });
    let (job, found) = job_with_union(&world, 3);
    let summary = job.start(options(1), memory()).unwrap().wait().unwrap();
    world.assert_exact(3);
    assert_eq!(summary.progress.restarts, 1);

    let mut found = found.lock().unwrap().clone();
    found.sort();
    let (first, second): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.attempt == 1);
    assert!(first.iter().all(|found| found.known.is_empty() && found.agreed.is_none()), "{first:?}");
    let expected = |subtask| Found { attempt: 2, subtask, known: vec![0, 1, 2], agreed: Some(3) };
    assert_eq!(second, (0..3).map(expected).collect::<Vec<_>>());
}
