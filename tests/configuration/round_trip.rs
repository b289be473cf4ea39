use super::{anonymous, backends};
use proptest::prelude::*;
use proptest::sample::select;
use snapline::base::{CheckpointingMode, Millis};
use snapline::coordinator::{RestartStrategy, Retention};
use snapline::publish::OnCorruption;
use snapline::runtime::{JobOptions, JobSettings};
use snapline::state::backend::StateBackend;
use snapline::store::CheckpointStorages;
use std::collections::BTreeMap;

fn millis(least: u64) -> impl Strategy<Value = Millis> {
    (least..=u64::MAX).prop_map(Millis)
}

fn state_backend() -> impl Strategy<Value = StateBackend> {
    let told = |size: u32| BTreeMap::from([("state.backend.sorted-map.size".to_owned(), size.to_string())]);
    prop_oneof![
        any::<bool>().prop_map(|asynchronous_snapshots| StateBackend::HashMap { asynchronous_snapshots }),
        any::<u32>().prop_map(move |size| backends().get("sorted-map", told(size)).unwrap()),
    ]
}

fn restart() -> impl Strategy<Value = RestartStrategy> {
    prop_oneof![
        Just(RestartStrategy::None),
        (any::<u32>(), millis(0))
            .prop_map(|(attempts, delay)| RestartStrategy::FixedDelay { attempts, delay }),
    ]
}

const RETENTIONS: [Retention; 4] = [
    Retention::RETAIN_ALWAYS,
    Retention::RETAIN_ON_CANCELLATION,
    Retention::DELETE_ON_CANCELLATION,
    Retention::NO_EXTERNALIZED_CHECKPOINTS,
];

fn count() -> impl Strategy<Value = usize> {
    1..=u32::MAX as usize
}

/// Options that contradict each other in nothing.
fn options() -> impl Strategy<Value = JobOptions> {
    let intervals = (proptest::option::of(millis(1)), proptest::option::of(Just(Millis(0))), millis(1));
    let alignment = (
        any::<bool>(),
        millis(0),
        select(&[CheckpointingMode::ExactlyOnce, CheckpointingMode::AtLeastOnce][..]),
    );
    let limits = (millis(0), count(), any::<u32>(), count(), select(&RETENTIONS[..]));
    let flags = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        select(&[OnCorruption::Fail, OnCorruption::FallBack][..]),
    );
    let rest = (restart(), state_backend(), 1..=65_536_usize, 1..=1_048_576_usize);
    let sizes = (0..=1_048_576_usize, 0..=1_073_741_824_usize);
    (intervals, alignment, limits, flags, rest, sizes).prop_map(
        |(
            (checkpoint_interval, interval_during_backlog, checkpoint_timeout),
            (unaligned, aligned_checkpoint_timeout, mode),
            (min_pause, concurrent, tolerable_failed_checkpoints, retained_checkpoints, retention),
            (force_savepoints, incremental, snapshot_compression, on_corruption),
            (restart, state_backend, channel_capacity, batch_records),
            (inline_threshold_bytes, write_buffer_bytes),
        )| JobOptions {
            mode: if unaligned { CheckpointingMode::ExactlyOnce } else { mode },
            unaligned,
            aligned_checkpoint_timeout,
            checkpoint_interval,
            interval_during_backlog,
            checkpoint_timeout,
            min_pause,
            max_concurrent_checkpoints: if unaligned || min_pause > Millis(0) { 1 } else { concurrent },
            tolerable_failed_checkpoints,
            retained_checkpoints,
            externalized_checkpoint_retention: retention,
            force_savepoints,
            on_corruption,
            restart,
            state_backend,
            incremental,
            snapshot_compression,
            inline_threshold_bytes,
            write_buffer_bytes,
            channel_capacity,
            batch_records,
            ..JobOptions::default()
        },
    )
}

proptest! {
    #[test]
    fn round_trip_of_options_through_a_configuration_changes_nothing(options in options()) {
        let written = options.to_configuration().unwrap();
        let read = JobSettings::read(&written, &backends(), &CheckpointStorages::new()).unwrap();
        prop_assert_eq!(anonymous(read.options), anonymous(options));
    }
}

#[test]
fn round_trip_of_what_no_configuration_can_say_is_refused() {
    let retention = Retention { delete_when_failed: true, ..Retention::RETAIN_ALWAYS };
    let nameless = JobOptions { externalized_checkpoint_retention: retention, ..JobOptions::default() };
    let large = JobOptions { channel_capacity: usize::MAX, ..JobOptions::default() };
    for (options, key, what) in [
        (
            nameless,
            "execution.checkpointing.externalized-checkpoint-retention",
            "it must be one of RETAIN_ALWAYS",
        ),
        (large, "snapline.channel.capacity", "it must be a whole number from 1 to 65536"),
    ] {
        let told = options.to_configuration().unwrap_err().to_string();
        assert!(told.contains(key) && told.contains(what), "{told}");
    }
}
