//! Each invariant of a coordinator is seen failing.

use super::*;

fn broken(job: &Job, change: impl FnOnce(&mut Coordinator)) -> &'static str {
    let mut coordinator = job.coordinator.clone();
    change(&mut coordinator);
    coordinator.check().unwrap_err().requirement
}

/// A job in which checkpoint 1 is pending.
fn pending(config: Config) -> Job {
    let mut job = Job::running(config);
    job.tick(10);
    assert_eq!(job.under_way(), [1]);
    job
}

#[test]
fn coord_check_finds_more_checkpoints_under_way_than_are_allowed() {
    let job = pending(config());
    let twice = |coordinator: &mut Coordinator| {
        let again = coordinator.pending[&CheckpointId(1)].clone();
        coordinator.pending.insert(CheckpointId(0), again);
    };
    assert_eq!(broken(&job, twice), "COORD-3");
    let not_forced = Config { force_savepoints: false, ..config() };
    let mut job = Job::running(not_forced);
    job.request(1, SAVEPOINT);
    assert_eq!(broken(&job, twice), "COORD-3", "a savepoint that is not forced takes room");
    let mut job = Job::running(config());
    job.request(1, SAVEPOINT);
    let mut coordinator = job.coordinator.clone();
    twice(&mut coordinator);
    coordinator.check().unwrap();
}

#[test]
fn coord_check_finds_a_publication_that_not_everyone_has_acknowledged() {
    let mut job = pending(config());
    job.acknowledge(SOURCE, 1);
    let early = |coordinator: &mut Coordinator| {
        let early = coordinator.pending.remove(&CheckpointId(1)).unwrap();
        coordinator.publishing.insert(CheckpointId(1), early);
    };
    assert_eq!(broken(&job, early), "COORD-4");
}

#[test]
fn coord_check_finds_a_checkpoint_that_everyone_has_acknowledged_and_nobody_publishes() {
    let mut job = pending(config());
    job.acknowledge(SOURCE, 1);
    job.acknowledge(SINK, 1);
    let forgotten = |coordinator: &mut Coordinator| {
        let forgotten = coordinator.publishing.remove(&CheckpointId(1)).unwrap();
        coordinator.pending.insert(CheckpointId(1), forgotten);
    };
    assert_eq!(broken(&job, forgotten), "COORD-4");
}

#[test]
fn coord_check_finds_an_id_that_would_be_used_again() {
    let again = |coordinator: &mut Coordinator| coordinator.next_checkpoint = CheckpointId(1);
    let mut job = pending(config());
    assert_eq!(broken(&job, again), "COORD-2");
    job.acknowledge(SOURCE, 1);
    job.acknowledge(SINK, 1);
    assert_eq!(broken(&job, again), "COORD-2", "also while it is being published");
}

#[test]
fn coord_check_finds_a_queue_that_is_too_long() {
    let mut job = pending(config());
    job.request(1, RequestKind::Checkpoint { full: false });
    let shorter = Config { max_queued_requests: 0, ..config() };
    assert_eq!(broken(&job, |coordinator| coordinator.config = Settings(Arc::new(shorter))), "COORD-35");
}

#[test]
fn coord_check_finds_more_retained_checkpoints_than_are_wanted() {
    let mut job = pending(config());
    job.complete(1);
    let more = |coordinator: &mut Coordinator| coordinator.retained.push(coordinator.retained[0].clone());
    assert_eq!(broken(&job, more), "COORD-12");
}

#[test]
fn coord_check_finds_a_shared_file_that_is_not_registered() {
    let missing = shared::upload(9);
    let job = shared::with_upload_1(config());
    let retained = |coordinator: &mut Coordinator| {
        let newest = coordinator.retained.last_mut().unwrap();
        newest.shared.entry(SINK).or_default().insert(missing);
    };
    assert_eq!(broken(&job, retained), "SHARED-10");
    let under_way = |coordinator: &mut Coordinator| {
        let pending = coordinator.pending.get_mut(&CheckpointId(1)).unwrap();
        pending.shared.entry(SINK).or_default().insert(missing);
    };
    assert_eq!(broken(&pending(config()), under_way), "SHARED-10");
}
