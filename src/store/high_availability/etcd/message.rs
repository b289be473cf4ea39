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

/// Reads the keys from `key` on, up to `range_end`, or only `key` without it. Such a read is linearizable.
#[derive(Debug, Default, Serialize)]
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
    pub(super) header: Header,
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

/// Writes a key unless it exists, and reads it otherwise, in one step.
#[derive(Debug, Serialize)]
pub(super) struct PutIfAbsent {
    compare: [Compare; 1],
    success: [Request; 1],
    failure: [Request; 1],
}

#[derive(Debug, Serialize)]
struct Compare {
    key: Bytes,
    target: &'static str,
    result: &'static str,
    create_revision: &'static str,
}

#[derive(Debug, Serialize)]
enum Request {
    #[serde(rename = "request_put")]
    Put { key: Bytes, value: Bytes },
    #[serde(rename = "request_range")]
    Range(Range),
}

impl PutIfAbsent {
    pub(super) fn new(key: &Bytes, value: &Bytes) -> Self {
        // What was never created has the revision 0.
        let compare = Compare { key: key.clone(), target: "CREATE", result: "EQUAL", create_revision: "0" };
        let put = Request::Put { key: key.clone(), value: value.clone() };
        let read = Request::Range(Range { key: key.clone(), ..Range::default() });
        PutIfAbsent { compare: [compare], success: [put], failure: [read] }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PutAnswer {
    /// Whether it was written.
    pub(super) succeeded: bool,
    responses: Vec<Response>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Response {
    response_range: Option<Found>,
}

impl PutAnswer {
    /// What was there before.
    pub(super) fn found(self) -> Option<Bytes> {
        let found = self.responses.into_iter().find_map(|response| response.response_range)?;
        found.kvs.into_iter().next().map(|pair| pair.value)
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Delete {
    pub(super) key: Bytes,
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

/// Why a request was refused.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    pub(super) error: String,
}
