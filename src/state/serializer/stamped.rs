use super::{Compatibility, ReadWritten, SerializerSnapshot, StateSerializer};
use crate::codec::{CodecError, append_value};
use crate::ttl::{Stamped, split_time};
use std::sync::Arc;

/// What a snapshot calls values with their times.
const ID: &str = "with the time of its update";

/// Writes values with the times of their updates, eight bytes in front of what another serializer writes.
pub(crate) struct StampedSerializer<V> {
    value: Arc<dyn StateSerializer<V>>,
    /// The time of values that were written without one.
    now: i64,
}

impl<V> StampedSerializer<V> {
    /// Values whose times were not written count as updated at `now`.
    pub(crate) fn new(value: Arc<dyn StateSerializer<V>>, now: i64) -> Self {
        StampedSerializer { value, now }
    }
}

impl<V: 'static> StateSerializer<Stamped<V>> for StampedSerializer<V> {
    fn serialize(&self, stamped: &Stamped<V>, target: &mut Vec<u8>) -> Result<(), CodecError> {
        target.extend_from_slice(&Stamped::<V>::time_bytes(stamped.updated));
        self.value.serialize(&stamped.value, target)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Stamped<V>, String> {
        read_stamped(bytes, |value| self.value.deserialize(value))
    }

    fn snapshot(&self) -> SerializerSnapshot {
        let mut configuration = Vec::new();
        // A snapshot is a string, a number and bytes, which postcard never refuses.
        let _ = append_value(&mut configuration, &self.value.snapshot());
        SerializerSnapshot { id: ID.to_owned(), version: 0, configuration }
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<Stamped<V>> {
        let Some(value) = written.without_times() else {
            return self.compatibility_without_times(written);
        };
        match self.value.compatibility(&value) {
            Compatibility::AsIs => Compatibility::AsIs,
            Compatibility::AfterReconfiguration(value) => {
                Compatibility::AfterReconfiguration(Arc::new(StampedSerializer { value, now: self.now }))
            }
            Compatibility::AfterMigration(read) => {
                Compatibility::AfterMigration(Arc::new(move |bytes: &[u8]| read_stamped(bytes, &*read)))
            }
            Compatibility::Incompatible(what) => Compatibility::Incompatible(what),
        }
    }
}

impl<V: 'static> StampedSerializer<V> {
    fn compatibility_without_times(&self, written: &SerializerSnapshot) -> Compatibility<Stamped<V>> {
        let (now, value) = (self.now, Arc::clone(&self.value));
        let read: ReadWritten<V> = match value.compatibility(written) {
            Compatibility::AsIs => Arc::new(move |bytes: &[u8]| value.deserialize(bytes)),
            Compatibility::AfterMigration(read) => read,
            Compatibility::AfterReconfiguration(_) => {
                let what = "a serializer that must be reconfigured cannot get times in the same restore";
                return Compatibility::Incompatible(what.to_owned());
            }
            Compatibility::Incompatible(what) => return Compatibility::Incompatible(what),
        };
        Compatibility::AfterMigration(Arc::new(move |bytes: &[u8]| {
            Ok(Stamped::restored(None, read(bytes)?, now))
        }))
    }
}

/// Whether values were written with their times.
pub(in crate::state) fn has_times(written: &SerializerSnapshot) -> bool {
    written.id == ID
}

/// What wrote the values themselves, if it wrote them with their times and `own` knows none.
pub(super) fn written_with_times(
    own: &SerializerSnapshot,
    written: &SerializerSnapshot,
) -> Option<SerializerSnapshot> {
    if has_times(own) { None } else { written.without_times() }
}

fn read_stamped<V>(
    bytes: &[u8],
    read: impl FnOnce(&[u8]) -> Result<V, String>,
) -> Result<Stamped<V>, String> {
    let (updated, value) = split_time(bytes).ok_or("it is shorter than a time")?;
    Ok(Stamped { updated, value: read(value)? })
}
