mod agent;
mod client;
mod message;

use super::{ClusterId, EtcdOptions, HighAvailabilityStore, LogId};
use crate::base::JobId;
use crate::publish::{Pointer, PointerSequence};
use crate::store::documents::{log_id_at, log_id_is_gone, not_encoded, pointer_at};
use crate::store::names::{LOG_ID, POINTERS, pointer_name, pointer_sequence};
use crate::store::{Put, StorageError, encode_pointer};
use client::{Answered, Client, Failed};
use message::{Bytes, Compare, Found, Outcome, Range, Request, Transaction};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// How many keys one request lists. With a hundred bytes each they stay far below the 1.5 MB of a message of etcd.
const PAGE_KEYS: u32 = 1_000;

/// Keeps the log of pointers in etcd 3.4 or newer, under the keys `<root>/<cluster-id>/<job-id>/pointers/<sequence, 20 digits>`.
///
/// A put is a transaction that writes the key if it was never created, and reads it otherwise. Reads are linearizable: they see
/// every write that was answered before. Each request is done only where the log has the id that it had when it was opened: an
/// endpoint that leads to another cluster does nothing. It speaks to the JSON gateway that each member serves beside gRPC. Clones
/// share the connections.
#[derive(Clone, Debug)]
pub struct EtcdHighAvailabilityStore {
    client: Arc<Client>,
    /// The key of the log, without the slash behind it.
    directory: String,
    id: LogId,
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
        let drawn = LogId::draw();
        let mut store = EtcdHighAvailabilityStore { client: Arc::new(client), directory, id: drawn };
        store.id = store.id_or(drawn)?;
        Ok(store)
    }

    /// The id of the log, which is `drawn` unless it has one.
    fn id_or(&self, drawn: LogId) -> Result<LogId, StorageError> {
        let (name, key) = (format!("{}/{LOG_ID}", self.name()), self.key(LOG_ID));
        let put = Transaction {
            compare: vec![Compare::is_absent(key.clone())],
            success: vec![Request::Put { key: key.clone(), value: bytes(drawn) }],
            failure: vec![Request::read(key)],
        };
        let Answered { answer, .. } = self.client.call(&put).map_err(|failed| failed.unavailable(&name))?;
        if answer.succeeded {
            return Ok(drawn);
        }
        let Bytes(found) = answer.found().find_map(Found::value).ok_or_else(|| log_id_is_gone(&name))?;
        log_id_at(&name, &found)
    }

    fn key(&self, name: &str) -> Bytes {
        Bytes(format!("{}/{name}", self.directory).into_bytes())
    }

    /// The full name of a pointer, for messages.
    fn pointer_name(&self, sequence: PointerSequence) -> String {
        format!("{}/{}", self.name(), pointer_name(sequence))
    }

    /// This is the log that was opened: another one may lie where another endpoint leads to.
    fn is_this_log(&self) -> Compare {
        Compare::is(self.key(LOG_ID), bytes(self.id))
    }

    /// What is done with this log, and with no other one.
    fn only_here(&self, request: Request) -> Transaction {
        Transaction { compare: vec![self.is_this_log()], success: vec![request], failure: vec![] }
    }

    /// Why nothing was done: the log is not there.
    fn another_log(&self) -> io::Error {
        let what = format!(
            "{} is not the log with the id {}, which was opened: the endpoints must all be members of one cluster, whose \
             keys nobody deletes",
            self.name(),
            self.id
        );
        io::Error::new(io::ErrorKind::InvalidInput, what)
    }

    /// Carries out what can be repeated.
    fn repeatable(&self, object: &str, request: Request) -> Result<Outcome, StorageError> {
        let answered = self.client.call(&self.only_here(request));
        self.done_here(object, answered)
    }

    /// The answer to what can be repeated, unless another log was found.
    fn done_here(&self, object: &str, answered: Result<Answered, Failed>) -> Result<Outcome, StorageError> {
        match answered.map_err(|failed| failed.unavailable(object))?.answer {
            answer if answer.succeeded => Ok(answer),
            _ => Err(StorageError::unavailable(object, self.another_log())),
        }
    }
}

/// The value of the key of an id.
fn bytes(id: LogId) -> Bytes {
    Bytes(id.to_string().into_bytes())
}

impl HighAvailabilityStore for EtcdHighAvailabilityStore {
    fn name(&self) -> String {
        format!("etcd:{}{}", self.client.endpoints(), self.directory)
    }

    fn id(&self) -> Result<LogId, StorageError> {
        Ok(self.id)
    }

    fn put_pointer(&self, sequence: PointerSequence, pointer: &Pointer) -> Result<Put, StorageError> {
        let (name, key) = (self.pointer_name(sequence), self.key(&pointer_name(sequence)));
        let value = Bytes(encode_pointer(sequence, pointer).map_err(|error| not_encoded(&name, error))?);
        let put = Transaction {
            compare: vec![self.is_this_log(), Compare::is_absent(key.clone())],
            success: vec![Request::Put { key: key.clone(), value: value.clone() }],
            failure: vec![Request::read(self.key(LOG_ID)), Request::read(key)],
        };
        let answered = self.client.call(&put).map_err(|failed| failed.of_put(&name))?;
        let Answered { answer, after_doubt } = answered;
        if answer.succeeded {
            return Ok(Put::Stored);
        }
        let mut found = answer.found().map(Found::value);
        let (id, found) = (found.next().flatten(), found.next().flatten());
        match id == Some(bytes(self.id)) {
            // What is there may be what an earlier request has written whose answer was lost.
            true if after_doubt && found == Some(value) => Ok(Put::Stored),
            true => Ok(Put::Exists),
            false if after_doubt => Err(StorageError::uncertain(&name, self.another_log())),
            false => Err(StorageError::unavailable(&name, self.another_log())),
        }
    }

    fn read_pointer(&self, sequence: PointerSequence) -> Result<Option<Pointer>, StorageError> {
        let name = self.pointer_name(sequence);
        let read = self.repeatable(&name, Request::read(self.key(&pointer_name(sequence))))?;
        let found = read.found().find_map(Found::value);
        found.map(|Bytes(bytes)| pointer_at(&name, sequence, &bytes)).transpose()
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
            let page = self.repeatable(&self.name(), Request::Range(range.clone()))?;
            let revision = page.header.revision.clone();
            let Found { kvs, more } = page.found().next().unwrap_or_default();
            let names = kvs.iter().filter_map(|pair| std::str::from_utf8(&pair.key.0).ok());
            pointers.extend(names.filter_map(|key| key.strip_prefix(&prefix).and_then(pointer_sequence)));
            let Some(last) = kvs.into_iter().next_back().filter(|_| more) else { return Ok(pointers) };
            // All pages as of one moment, each from the key behind the last one.
            range.revision.get_or_insert(revision);
            range.key = last.key;
            range.key.0.push(0);
        }
    }

    fn delete_pointer(&self, sequence: PointerSequence) -> Result<(), StorageError> {
        let (name, key) = (self.pointer_name(sequence), self.key(&pointer_name(sequence)));
        // What stays does no harm (PUB-11), and who deletes has other files to write.
        let deleted = self.client.call_once(&self.only_here(Request::Delete { key }));
        self.done_here(&name, deleted).map(drop)
    }
}
