mod agent;
mod client;
mod message;

use super::{ClusterId, EtcdOptions, HighAvailabilityStore};
use crate::base::JobId;
use crate::publish::{Pointer, PointerSequence};
use crate::store::documents::{not_encoded, pointer_at};
use crate::store::names::{POINTERS, pointer_name, pointer_sequence};
use crate::store::{Put, StorageError, encode_pointer};
use client::{Answered, Client};
use message::{Bytes, Delete, Found, PutAnswer, PutIfAbsent, Range};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many keys one request lists. With a hundred bytes each they stay far below the 1.5 MB of a message of etcd.
const PAGE_KEYS: u32 = 1_000;

/// Keeps the log of pointers in etcd 3.4 or newer, under the keys `<root>/<cluster-id>/<job-id>/pointers/<sequence, 20 digits>`.
///
/// A put is a transaction that writes the key if it was never created, and reads it otherwise. Reads are linearizable: they see
/// every write that was answered before. It speaks to the JSON gateway that each member serves beside gRPC. Clones share the
/// connections.
#[derive(Clone, Debug)]
pub struct EtcdHighAvailabilityStore {
    client: Arc<Client>,
    /// The key of the log, without the slash behind it.
    directory: String,
}

impl EtcdHighAvailabilityStore {
    /// Opens the log of `job`.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when the options are wrong, or no endpoint answers.
    pub fn open(options: &EtcdOptions, cluster: &ClusterId, job: JobId) -> Result<Self, StorageError> {
        let directory = format!("/{}/{cluster}/{job}/{POINTERS}", options.root.trim_matches('/'));
        let directory = directory.replacen("//", "/", 1);
        let client =
            Client::new(options.clone()).map_err(|error| StorageError::unavailable("etcd", error))?;
        let store = EtcdHighAvailabilityStore { client: Arc::new(client), directory };
        // Whoever answers says which cluster it is, which is part of the name.
        store.read(PointerSequence::FIRST)?;
        Ok(store)
    }

    fn key(&self, sequence: PointerSequence) -> Bytes {
        Bytes(format!("{}/{}", self.directory, pointer_name(sequence)).into_bytes())
    }

    /// The full name of a pointer, for messages.
    fn pointer_name(&self, sequence: PointerSequence) -> String {
        format!("{}/{}", self.name(), pointer_name(sequence))
    }

    fn read(&self, sequence: PointerSequence) -> Result<Option<Bytes>, StorageError> {
        let range = Range { key: self.key(sequence), ..Range::default() };
        let found: Result<Answered<Found>, _> = self.client.call("kv/range", &range);
        let found = found.map_err(|failed| failed.unavailable(&self.pointer_name(sequence)))?;
        Ok(found.answer.kvs.into_iter().next().map(|pair| pair.value))
    }
}

impl HighAvailabilityStore for EtcdHighAvailabilityStore {
    /// With the id of the cluster: one that was put back from a copy has another id, and may have lost pointers.
    fn name(&self) -> String {
        format!("etcd:{}{}", self.client.cluster(), self.directory)
    }

    fn put_pointer(&self, sequence: PointerSequence, pointer: &Pointer) -> Result<Put, StorageError> {
        let name = self.pointer_name(sequence);
        let value = Bytes(encode_pointer(sequence, pointer).map_err(|error| not_encoded(&name, error))?);
        let request = PutIfAbsent::new(&self.key(sequence), &value);
        let answered: Result<Answered<PutAnswer>, _> = self.client.call("kv/txn", &request);
        let Answered { answer, after_doubt } = answered.map_err(|failed| failed.of_put(&name))?;
        // What is there may be what an earlier request has written whose answer was lost.
        let is_own = answer.succeeded || (after_doubt && answer.found() == Some(value));
        Ok(if is_own { Put::Stored } else { Put::Exists })
    }

    fn read_pointer(&self, sequence: PointerSequence) -> Result<Option<Pointer>, StorageError> {
        let found = self.read(sequence)?;
        found.map(|Bytes(bytes)| pointer_at(&self.pointer_name(sequence), sequence, &bytes)).transpose()
    }

    fn list_pointers(&self) -> Result<BTreeSet<PointerSequence>, StorageError> {
        let prefix = format!("{}/", self.directory);
        // The first key behind all that begin so: `0` follows `/`.
        let end = Bytes(format!("{}0", self.directory).into_bytes());
        let mut range = Range {
            key: Bytes(prefix.clone().into_bytes()),
            range_end: Some(end),
            keys_only: true,
            limit: PAGE_KEYS,
            revision: None,
        };
        let mut pointers = BTreeSet::new();
        loop {
            let found: Result<Answered<Found>, _> = self.client.call("kv/range", &range);
            let Found { header, kvs, more } =
                found.map_err(|failed| failed.unavailable(&self.name()))?.answer;
            let names = kvs.iter().filter_map(|pair| std::str::from_utf8(&pair.key.0).ok());
            pointers.extend(names.filter_map(|key| key.strip_prefix(&prefix).and_then(pointer_sequence)));
            let Some(last) = kvs.into_iter().next_back().filter(|_| more) else { return Ok(pointers) };
            // All pages as of one moment, each from the key behind the last one.
            range.revision.get_or_insert(header.revision);
            range.key = last.key;
            range.key.0.push(0);
        }
    }

    fn delete_pointer(&self, sequence: PointerSequence) -> Result<(), StorageError> {
        let deleted: Result<Answered<serde::de::IgnoredAny>, _> =
            self.client.call("kv/deleterange", &Delete { key: self.key(sequence) });
        deleted.map(drop).map_err(|failed| failed.unavailable(&self.pointer_name(sequence)))
    }
}
