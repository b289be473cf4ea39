//! What is set although other settings make it pointless.

use super::JobSettings;
use crate::base::Millis;
use crate::configuration::options::{
    ALIGNED_TIMEOUT, ASYNCHRONOUS_SNAPSHOTS, DIRECTORY, FIXED_DELAY, FIXED_DELAY_ATTEMPTS, INCREMENTAL,
    INTERVAL_DURING_BACKLOG, JOB_MANAGER_MAX_STATE, SAVEPOINT_DIRECTORY,
};
use crate::configuration::{Configuration, Entry, Origin, Reason, Warning};
use crate::coordinator::RestartStrategy;
use crate::state::backend::StateBackend;
use crate::store::CheckpointStorageChoice;

pub(super) fn without(configuration: &Configuration, settings: &JobSettings) -> Vec<Warning> {
    let JobSettings { options, storage, .. } = settings;
    let is_hashmap = matches!(options.state_backend, StateBackend::HashMap { .. });
    let is_in_memory = matches!(storage, CheckpointStorageChoice::JobManager { .. });
    let (backend, storage) = (options.state_backend.name(), storage.name());
    let in_memory = "the checkpoint storage is `jobmanager`, which keeps them in memory".to_owned();
    let never = "the job is never restarted".to_owned();
    let rules = [
        (
            &ALIGNED_TIMEOUT,
            !options.unaligned && options.aligned_checkpoint_timeout > Millis(0),
            "checkpoints are not unaligned".to_owned(),
        ),
        (
            &INTERVAL_DURING_BACKLOG,
            options.checkpoint_interval.is_none(),
            "there are no periodic checkpoints".to_owned(),
        ),
        (&INCREMENTAL, options.incremental && is_hashmap, "`hashmap` keeps no state in files".to_owned()),
        (&ASYNCHRONOUS_SNAPSHOTS, !is_hashmap, format!("the state backend is `{backend}`")),
        (&FIXED_DELAY_ATTEMPTS, options.restart == RestartStrategy::None, never.clone()),
        (&FIXED_DELAY, options.restart == RestartStrategy::None, never),
        (&DIRECTORY, is_in_memory, in_memory.clone()),
        (&SAVEPOINT_DIRECTORY, is_in_memory, in_memory),
        (&JOB_MANAGER_MAX_STATE, !is_in_memory, format!("the checkpoint storage is `{storage}`")),
    ];
    let pointless = rules.into_iter().filter(|(_, is_pointless, _)| *is_pointless);
    let warning = |(option, _, why)| {
        let (key, Entry { origin, .. }) = configuration.find(option)?;
        let reason = Reason::WithoutEffect { why };
        let is_wanted = *origin != Origin::Default;
        is_wanted.then(|| Warning { key: key.to_owned(), origin: origin.clone(), reason })
    };
    pointless.filter_map(warning).collect()
}
