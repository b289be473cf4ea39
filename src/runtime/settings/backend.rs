//! Which state backend a configuration names, and what it is told.

use crate::configuration::unsupported::Unsupported;
use crate::configuration::{Configuration, Reader, Reason, Warning, options};
use crate::state::backend::{StateBackend, StateBackends};
use std::collections::BTreeMap;

/// With this begin the names of all options of backends.
pub(super) const PREFIX: &str = "state.backend.";

/// The state backend of a job.
pub(super) struct ChosenBackend {
    pub(super) state_backend: StateBackend,
    /// The storage that comes with the name, where that is one of the old ones.
    pub(super) implied_storage: Option<&'static str>,
}

/// The old names that stand for `hashmap` with a storage, which they are also called by, and what to write instead.
const OLD_NAMES: &[(&str, &str)] = &[
    ("jobmanager", "`hashmap`, with `execution.checkpointing.storage` as `jobmanager`"),
    ("filesystem", "`hashmap`, with `execution.checkpointing.storage` as `filesystem`"),
];

impl ChosenBackend {
    pub(super) fn read(
        read: &mut Reader<'_>,
        configuration: &Configuration,
        backends: &StateBackends,
    ) -> Self {
        let asynchronous_snapshots = read.truth(&options::ASYNCHRONOUS_SNAPSHOTS).unwrap_or(true);
        let hashmap = StateBackend::HashMap { asynchronous_snapshots };
        let name = read.text(&options::STATE_BACKEND).unwrap_or(hashmap.name()).to_owned();
        if let Some((old, _)) = old_name(&name) {
            return ChosenBackend { state_backend: hashmap, implied_storage: Some(old) };
        }
        // Names that a program has added may have large letters.
        let known = backends.names().find(|known| *known == name).map(str::to_owned);
        let name = known.unwrap_or_else(|| name.to_ascii_lowercase());
        let told = told(configuration);
        let state_backend = match backends.get(&name, told.clone()) {
            Ok(StateBackend::HashMap { .. }) => hashmap,
            Ok(StateBackend::Custom(factory, told)) => {
                for wrong in factory.check(&told) {
                    read.refuse_wrong(wrong);
                }
                StateBackend::Custom(factory, told)
            }
            Err(unknown) => {
                let what = format!("there is no such state backend; there are {}", unknown.known.join(", "));
                read.refuse(&options::STATE_BACKEND, what);
                hashmap
            }
        };
        ChosenBackend { state_backend, implied_storage: None }
    }

    pub(super) fn name(&self) -> &str {
        self.state_backend.name()
    }

    /// That the name is an old one.
    pub(super) fn warning(&self, configuration: &Configuration) -> Option<Warning> {
        let (key, entry) = configuration.find(&options::STATE_BACKEND)?;
        let (_, instead) = old_name(&entry.value)?;
        let reason = Reason::DeprecatedValue { value: entry.value.clone(), instead };
        Some(Warning { key: key.to_owned(), origin: entry.origin.clone(), reason })
    }
}

fn old_name(name: &str) -> Option<(&'static str, &'static str)> {
    OLD_NAMES.iter().find(|(old, _)| old.eq_ignore_ascii_case(name.trim())).copied()
}

/// The options of backends.
fn told(configuration: &Configuration) -> BTreeMap<String, String> {
    let of_backends = |key: &str| {
        key.starts_with(PREFIX) && options::with_key(key).is_none() && Unsupported::with_key(key).is_none()
    };
    let all = configuration.iter().filter(|(key, _)| of_backends(key));
    all.map(|(key, entry)| (key.to_owned(), entry.value.clone())).collect()
}
