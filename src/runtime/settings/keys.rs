//! What the keys of a configuration are: options, what only Flink has, what belongs to a backend or a storage, or nothing.

use super::backend::PREFIX;
use crate::configuration::unsupported::{self, Unsupported};
use crate::configuration::{Configuration, Entry, Reader, Reason, Warning, nearest, options};
use crate::state::backend::StateBackends;
use crate::store::CheckpointStorages;

/// Backends of Flink, whose options are known to be such also where they are not in the build.
const BACKENDS_OF_FLINK: [&str; 2] = ["rocksdb", "forst"];

/// Refuses what would make the job another one and is not supported, and warns of the rest that changes nothing.
pub(super) fn look_at(
    read: &mut Reader<'_>,
    configuration: &Configuration,
    backends: &StateBackends,
    storages: &CheckpointStorages,
    chosen_backend: &str,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (key, Entry { value, origin }) in configuration.iter() {
        let reason = if let Some(option) = options::with_key(key) {
            (key != option.key).then_some(Reason::Deprecated { current: option.key })
        } else if let Some(unsupported) = Unsupported::with_key(key) {
            match (unsupported.is_fine(value), unsupported.is_refused) {
                (true, _) => None,
                (false, true) => {
                    read.refuse_key(key, format!("not supported by Snapline: {}", unsupported.why));
                    None
                }
                (false, false) => Some(Reason::NotSupported { why: unsupported.why }),
            }
        } else if let Some(owner) = owner(key, backends) {
            (owner != chosen_backend)
                .then(|| Reason::WithoutEffect { why: format!("the state backend is `{chosen_backend}`") })
        } else if storages.key_prefixes().any(|prefix| key.starts_with(prefix)) {
            None
        } else {
            Some(Reason::Unknown { nearest: nearest(key, known()).map(str::to_owned) })
        };
        let origin = origin.clone();
        warnings.extend(reason.map(|reason| Warning { key: key.to_owned(), origin, reason }));
    }
    warnings
}

/// The backend to which an option belongs.
fn owner<'a>(key: &'a str, backends: &StateBackends) -> Option<&'a str> {
    let (owner, _) = key.strip_prefix(PREFIX)?.split_once('.')?;
    (BACKENDS_OF_FLINK.contains(&owner) || backends.names().any(|name| name == owner)).then_some(owner)
}

fn known() -> impl Iterator<Item = &'static str> {
    let single = unsupported::ALL.iter().map(|option| option.key).filter(|key| !key.ends_with('.'));
    options::ALL.iter().map(|option| option.key).chain(single)
}
