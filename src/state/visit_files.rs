//! The entries of keyed states that lie in files of a backend, one after the other.

use super::backend::{BackendContext, BackendError, FetchFile, StateBackendFactory, state_name};
use super::visit::{EachRecord, StateRecord};
use super::{KeyedStateHeader, RawEntry, StateError, StateFileSummary};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

impl StateFileSummary {
    /// Has a backend of `factory`, which has left the files, take them in with these options, and shows each entry of the states
    /// that are `wanted` by their names. The files are gone again afterwards.
    ///
    /// # Errors
    /// The backend cannot be made, a file cannot be fetched or is damaged, or `each` failed.
    pub fn read_backend_files(
        &self,
        factory: &dyn StateBackendFactory,
        options: BTreeMap<String, String>,
        fetch: &dyn FetchFile,
        wanted: &dyn Fn(&str) -> bool,
        each: &mut EachRecord<'_>,
    ) -> Result<(), StateError> {
        let (Some(keyed), Some(files)) = (&self.keyed, &self.files) else { return Ok(()) };
        let failed = |state: &str, cause| StateError::Backend { state: state.to_owned(), cause };
        let mut states = keyed.states.iter().filter(|state| files.states.contains(&state.name));
        if !states.clone().any(|state| wanted(state_name(&state.name))) {
            return Ok(());
        }
        let context = BackendContext { range: keyed.range, options };
        let restored = factory.restore(&context, &[files.part(keyed.range)], fetch);
        let mut backend = restored.map_err(|cause| failed(&files.backend, cause))?;
        states.try_for_each(|state| {
            let name = state_name(&state.name);
            if !wanted(name) {
                return Ok(());
            }
            let number = backend.restored_state(&state.name).map_err(|cause| failed(name, cause))?;
            let missing = || failed(name, "it is not in its files".into());
            let number = number.ok_or_else(missing)?;
            let shown = KeyedStateHeader { name: name.to_owned(), ..state.clone() };
            let mut problem: Option<BackendError> = None;
            let mut show = |key: &[u8], value: &[u8]| {
                let shown = match RawEntry::of_backend(state.kind, key, value) {
                    Some((key_group, entry)) => {
                        let record = StateRecord::Keyed { keyed, state: &shown, key_group, entry };
                        each(record).map_err(BackendError::from)
                    }
                    None => Err("it has a key that no state has".into()),
                };
                match shown {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        problem = Some(error);
                        ControlFlow::Break(())
                    }
                }
            };
            let visited = backend.visit(number, &[], &mut show);
            visited.and_then(|()| problem.map_or(Ok(()), Err)).map_err(|cause| failed(name, cause))
        })
    }
}
