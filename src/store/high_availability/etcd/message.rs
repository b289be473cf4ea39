//! What is said to etcd's JSON gateway, and what it says: keys and values are bytes in base 64, numbers of 64 bits are texts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes, in base 64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Bytes).map_err(serde::de::Error::custom)
    }
}

/// Who answers, and as of when.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Header {
    pub(super) cluster_id: String,
    pub(super) revision: String,
}

/// Reads the keys from `key` on, up to `range_end`, or only `key` without it. Such a read is linearizable, also in a transaction.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Range {
    pub(super) key: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) range_end: Option<Bytes>,
    pub(super) keys_only: bool,
    /// How many keys at most; all of them for 0.
    pub(super) limit: u32,
    /// As of when; now, if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Found {
    pub(super) kvs: Vec<KeyValue>,
    /// Whether there are more than the limit.
    pub(super) more: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    pub(super) key: Bytes,
    pub(super) value: Bytes,
}

/// What is done in one step if all comparisons hold, and otherwise.
#[derive(Debug, Serialize)]
pub(super) struct Transaction {
    pub(super) compare: Vec<Compare>,
    pub(super) success: Vec<Request>,
    pub(super) failure: Vec<Request>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "target")]
pub(super) enum Compare {
    #[serde(rename = "CREATE")]
    Created { key: Bytes, result: &'static str, create_revision: &'static str },
    #[serde(rename = "VALUE")]
    Value { key: Bytes, result: &'static str, value: Bytes },
}

impl Compare {
    /// The key does not exist.
    pub(super) fn is_absent(key: Bytes) -> Self {
        // What was never created has the revision 0.
        Compare::Created { key, result: "EQUAL", create_revision: "0" }
    }

    /// The key has this value.
    pub(super) fn is(key: Bytes, value: Bytes) -> Self {
        Compare::Value { key, result: "EQUAL", value }
    }
}

#[derive(Debug, Serialize)]
pub(super) enum Request {
    #[serde(rename = "request_put")]
    Put { key: Bytes, value: Bytes },
    #[serde(rename = "request_range")]
    Range(Range),
    #[serde(rename = "request_delete_range")]
    Delete { key: Bytes },
}

impl Request {
    /// Reads one key.
    pub(super) fn read(key: Bytes) -> Self {
        Request::Range(Range { key, ..Range::default() })
    }
}

/// What came of a transaction.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Outcome {
    pub(super) header: Header,
    /// Whether all comparisons held.
    pub(super) succeeded: bool,
    responses: Vec<Response>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Response {
    response_range: Option<Found>,
}

impl Outcome {
    /// What was found, for each that was read.
    pub(super) fn found(self) -> impl Iterator<Item = Found> {
        self.responses.into_iter().filter_map(|response| response.response_range)
    }
}

impl Found {
    /// The value of the only key that was read; `None` when it does not exist.
    pub(super) fn value(self) -> Option<Bytes> {
        self.kvs.into_iter().next().map(|pair| pair.value)
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Authenticate<'a> {
    pub(super) name: &'a str,
    pub(super) password: &'a str,
}

#[derive(Debug, Deserialize)]
pub(super) struct Token {
    pub(super) token: String,
}

/// Why a request was refused: as etcd says it until 3.5, and since.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    pub(super) error: String,
    pub(super) message: String,
}
