//! What is set although other settings make it pointless.

use super::JobSettings;
use crate::base::Millis;
use crate::configuration::options::{
    ALIGNED_TIMEOUT, ASYNCHRONOUS_SNAPSHOTS, CLUSTER_ID, DIRECTORY, ETCD_CA, ETCD_CERTIFICATE,
    ETCD_ENDPOINTS, ETCD_KEY, ETCD_PASSWORD, ETCD_REQUEST_TIMEOUT, ETCD_RETRY_TIMEOUT, ETCD_ROOT,
    ETCD_USERNAME, FIXED_DELAY, FIXED_DELAY_ATTEMPTS, HIGH_AVAILABILITY, HIGH_AVAILABILITY_DIRECTORY,
    INCREMENTAL, INTERVAL_DURING_BACKLOG, JOB_MANAGER_MAX_STATE, JOB_MANAGER_MAX_TOTAL, SAVEPOINT_DIRECTORY,
};
use crate::configuration::{ConfigOption, Configuration, Entry, Origin, Reason, Warning};
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
        (&JOB_MANAGER_MAX_TOTAL, !is_in_memory, format!("the checkpoint storage is `{storage}`")),
    ]
    .into_iter()
    .chain(of_other_stores(configuration));
    let pointless = rules.filter(|(_, is_pointless, _)| *is_pointless);
    let warning = |(option, _, why)| {
        let (key, Entry { origin, .. }) = configuration.find(option)?;
        let reason = Reason::WithoutEffect { why };
        let is_wanted = *origin != Origin::Default;
        is_wanted.then(|| Warning { key: key.to_owned(), origin: origin.clone(), reason })
    };
    pointless.filter_map(warning).collect()
}

/// The options of stores for the log of pointers that are not chosen.
fn of_other_stores(
    configuration: &Configuration,
) -> impl Iterator<Item = (&'static ConfigOption, bool, String)> {
    let chosen = configuration.find(&HIGH_AVAILABILITY).map_or("NONE", |(_, entry)| entry.value.trim());
    let is = |name: &str| chosen.eq_ignore_ascii_case(name);
    let why = format!("`{}` is {chosen}", HIGH_AVAILABILITY.key);
    let etcd = [
        &ETCD_ENDPOINTS,
        &ETCD_ROOT,
        &ETCD_REQUEST_TIMEOUT,
        &ETCD_RETRY_TIMEOUT,
        &ETCD_USERNAME,
        &ETCD_PASSWORD,
        &ETCD_CA,
        &ETCD_CERTIFICATE,
        &ETCD_KEY,
    ];
    let is_etcd = is("etcd");
    let others = [(&HIGH_AVAILABILITY_DIRECTORY, !is("filesystem")), (&CLUSTER_ID, is("NONE"))].into_iter();
    let says_something = |option: &ConfigOption| {
        configuration.find(option).is_some_and(|(_, entry)| entry.value.trim() != option.default)
    };
    let pointless = others.chain(etcd.map(move |option| (option, !is_etcd)));
    let nobody = (
        &ETCD_PASSWORD,
        is_etcd && configuration.find(&ETCD_USERNAME).is_none(),
        format!("`{}` is not set", ETCD_USERNAME.key),
    );
    pointless
        .map(move |(option, is_other)| (option, is_other && says_something(option), why.clone()))
        .chain([nobody])
}
