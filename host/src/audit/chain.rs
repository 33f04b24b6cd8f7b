//! What a row is in the file, and what its hash is taken over: `sha256(prev_hash + the canonical JSON of everything else)`.
//!
//! The canonical JSON is that of [`AuditEntry`] without its two hashes, so that anybody can check an exported log with nothing but
//! sha256. It is written by hand: a tree of values for each row would cost more than the insert.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use rig_specs::{
    Sha256,
    digest::canonical_json,
    rgp::{AuditEntry, Decision, Sent},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::Digest as _;

use super::{Event, Row};

pub(super) type Text = Cow<'static, str>;

/// A row as the columns of the file have it. Whatever the file holds fits in, so that a changed row can be looked at too.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub(super) seq: u64,
    pub(super) event: Text,
    /// Microseconds since 1970, UTC.
    pub(super) at: i64,
    pub(super) tenant_id: String,
    pub(super) run_id: String,
    pub(super) actor: String,
    pub(super) tool: String,
    pub(super) pack: Arc<str>,
    pub(super) pack_version: Arc<str>,
    pub(super) pack_hash: Arc<str>,
    pub(super) interface_hash: Arc<str>,
    pub(super) input_hash: String,
    pub(super) outcome: Option<Text>,
    pub(super) error_type: Option<Text>,
    pub(super) duration_us: i64,
    /// JSON, as are `egress`, `decision` and `args`.
    pub(super) auth: Text,
    pub(super) egress: Text,
    pub(super) decision: Option<String>,
    pub(super) isolation: Text,
    pub(super) args: Option<String>,
}

/// The same, borrowed, before it has its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View<'a> {
    pub(super) event: &'a str,
    pub(super) at: i64,
    pub(super) tenant_id: &'a str,
    pub(super) run_id: &'a str,
    pub(super) actor: &'a str,
    pub(super) tool: &'a str,
    pub(super) pack: &'a str,
    pub(super) pack_version: &'a str,
    pub(super) pack_hash: &'a str,
    pub(super) interface_hash: &'a str,
    pub(super) input_hash: &'a str,
    pub(super) outcome: Option<&'a str>,
    pub(super) error_type: Option<&'a str>,
    pub(super) duration_us: i64,
    pub(super) auth: &'a str,
    pub(super) egress: &'a str,
    pub(super) decision: Option<&'a str>,
    pub(super) isolation: &'a str,
    pub(super) args: Option<&'a str>,
}

/// The end of the chain, or the row before its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) seq: u64,
    pub(super) hash: Sha256,
}

impl Link {
    /// What stands before the first row of a log from which nothing was removed.
    pub(super) fn origin() -> Self {
        Self { seq: 0, hash: Sha256::of(b"") }
    }
}

impl Event {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Intent => "intent",
            Self::Canary => "canary",
        }
    }
}

/// The event of the row that says what retention removed.
pub(super) const RETENTION: &str = "retention";

impl Stored {
    /// A row with its time; its place is given when it is appended.
    pub(super) fn new(row: Row, at: Timestamp) -> Self {
        let list = |empty: bool, value: &dyn Fn() -> Value| {
            if empty { Text::Borrowed("[]") } else { Text::Owned(canonical_json(&value())) }
        };
        Self {
            seq: 0,
            event: row.event.as_str().into(),
            at: at.as_microsecond(),
            auth: list(row.auth.is_empty(), &|| json!(row.auth)),
            egress: list(row.egress.is_empty(), &|| json!(row.egress)),
            tenant_id: row.tenant_id,
            run_id: row.run_id,
            actor: row.actor,
            tool: row.tool,
            pack: row.pack,
            pack_version: row.pack_version,
            pack_hash: row.pack_hash,
            interface_hash: row.interface_hash,
            input_hash: row.input_hash,
            outcome: row.outcome.map(|outcome| outcome.as_str().into()),
            error_type: row.error_type.map(|kind| kind.as_str().into()),
            duration_us: i64::try_from(row.duration_us).unwrap_or(i64::MAX),
            decision: row.decision.map(|decision| canonical_json(&json!(decision))),
            isolation: row.isolation.into(),
            args: row.args.map(|args| canonical_json(&Value::Object(args))),
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            event: &self.event,
            at: self.at,
            tenant_id: &self.tenant_id,
            run_id: &self.run_id,
            actor: &self.actor,
            tool: &self.tool,
            pack: &self.pack,
            pack_version: &self.pack_version,
            pack_hash: &self.pack_hash,
            interface_hash: &self.interface_hash,
            input_hash: &self.input_hash,
            outcome: self.outcome.as_deref(),
            error_type: self.error_type.as_deref(),
            duration_us: self.duration_us,
            auth: &self.auth,
            egress: &self.egress,
            decision: self.decision.as_deref(),
            isolation: &self.isolation,
            args: self.args.as_deref(),
        }
    }

    /// The row's hash at its place; see [`View::hash`].
    pub(super) fn hash(&self, previous: &Sha256, buffer: &mut Vec<u8>) -> Sha256 {
        self.view().hash(self.seq, previous, buffer)
    }

    pub(super) fn duration_ms(&self) -> f64 {
        millis(self.duration_us)
    }

    /// The name of a column whose JSON is not canonical. The hash is over the columns' own bytes: were any text let through, one
    /// column could hold the bytes of its neighbours too.
    pub(super) fn malformed(&self) -> Option<&'static str> {
        let canonical = |json: &str| {
            matches!(json, "[]" | "null" | "{}")
                || serde_json::from_str::<Value>(json).is_ok_and(|value| canonical_json(&value) == json)
        };
        let columns =
            [("auth", Some(&*self.auth)), ("egress", Some(&*self.egress)), ("decision", self.decision.as_deref())];
        let mut columns = columns.into_iter().chain([("args", self.args.as_deref())]);
        columns.find_map(|(name, json)| json.is_some_and(|json| !canonical(json)).then_some(name))
    }

    /// The row as it is shown; the name of a column when it holds what rig never writes.
    pub(super) fn into_entry(self, previous: &Sha256, hash: &Sha256) -> Result<AuditEntry, &'static str> {
        fn word<T: serde::de::DeserializeOwned>(text: Option<Text>) -> Result<Option<T>, serde_json::Error> {
            text.map(|text| serde_json::from_value(Value::String(text.into_owned()))).transpose()
        }
        Ok(AuditEntry {
            duration_ms: self.duration_ms(),
            seq: self.seq,
            event: self.event.into_owned(),
            timestamp: timestamp(self.at),
            tenant_id: self.tenant_id,
            run_id: self.run_id,
            actor: self.actor,
            tool: self.tool,
            pack: self.pack.to_string(),
            pack_version: self.pack_version.to_string(),
            pack_hash: self.pack_hash.to_string(),
            interface_hash: self.interface_hash.to_string(),
            input_hash: self.input_hash,
            outcome: word(self.outcome).map_err(|_| "outcome")?,
            error_type: word(self.error_type).map_err(|_| "error_type")?,
            auth: serde_json::from_str(&self.auth).map_err(|_| "auth")?,
            egress: serde_json::from_str::<Vec<Sent>>(&self.egress).map_err(|_| "egress")?,
            decision: json::<Decision>(self.decision.as_deref()).map_err(|_| "decision")?,
            isolation: self.isolation.into_owned(),
            args: json::<Map<String, Value>>(self.args.as_deref()).map_err(|_| "args")?,
            prev_hash: previous.to_string(),
            hash: hash.to_string(),
        })
    }
}

impl View<'_> {
    /// The row's hash at a place in the chain, after that of the row before it. `buffer` is only there to be used again.
    pub(super) fn hash(&self, seq: u64, previous: &Sha256, buffer: &mut Vec<u8>) -> Sha256 {
        buffer.clear();
        buffer.extend_from_slice(b"sha256:");
        let digits = buffer.len();
        buffer.resize(digits + 64, 0);
        // Twice as many digits as bytes: it fits.
        let _ = hex::encode_to_slice(previous.as_bytes(), &mut buffer[digits..]);
        self.write_canonical(seq, buffer);
        Sha256::from_bytes(sha2::Sha256::digest(buffer).into())
    }

    /// The keys stand in the order of their names, as canonical JSON wants them.
    fn write_canonical(&self, seq: u64, out: &mut Vec<u8>) {
        let text = |out: &mut Vec<u8>, name: &str, value: &str| {
            key(out, name);
            string(out, value);
        };
        let word = |out: &mut Vec<u8>, name: &str, value: Option<&str>| {
            key(out, name);
            match value {
                Some(value) => string(out, value),
                None => out.extend_from_slice(b"null"),
            }
        };
        let nested = |out: &mut Vec<u8>, name: &str, json: Option<&str>| {
            key(out, name);
            out.extend_from_slice(json.unwrap_or("null").as_bytes());
        };
        out.push(b'{');
        text(out, "actor", self.actor);
        nested(out, "args", self.args);
        nested(out, "auth", Some(self.auth));
        nested(out, "decision", self.decision);
        key(out, "duration_ms");
        scalar(out, &millis(self.duration_us));
        nested(out, "egress", Some(self.egress));
        word(out, "error_type", self.error_type);
        text(out, "event", self.event);
        text(out, "input_hash", self.input_hash);
        text(out, "interface_hash", self.interface_hash);
        text(out, "isolation", self.isolation);
        word(out, "outcome", self.outcome);
        text(out, "pack", self.pack);
        text(out, "pack_hash", self.pack_hash);
        text(out, "pack_version", self.pack_version);
        text(out, "run_id", self.run_id);
        key(out, "seq");
        scalar(out, &seq);
        text(out, "tenant_id", self.tenant_id);
        text(out, "timestamp", &timestamp(self.at));
        text(out, "tool", self.tool);
        out.push(b'}');
    }
}

fn millis(micros: i64) -> f64 {
    micros as f64 / 1e3
}

fn json<T: serde::de::DeserializeOwned>(text: Option<&str>) -> Result<Option<T>, serde_json::Error> {
    text.map(serde_json::from_str).transpose()
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(if out.last() == Some(&b'{') { b"\"" } else { b",\"" });
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Nearly every text is plain, and is copied.
fn string(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && !matches!(byte, b'"' | b'\\')) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        scalar(out, &text);
    }
}

fn scalar(out: &mut Vec<u8>, value: &impl Serialize) {
    // Writing a number or a text to memory does not fail.
    let _ = serde_json::to_writer(out, value);
}

/// RFC 3339, UTC, with microseconds. A number that is no time, which rig never writes, stays a number.
pub(super) fn timestamp(at: i64) -> String {
    Timestamp::from_microsecond(at).map_or_else(|_| at.to_string(), |at| format!("{at:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::full_row;

    #[test]
    fn the_hash_is_over_the_canonical_json_of_the_shown_entry() {
        for row in [full_row(), Row::default()] {
            let mut stored = Stored::new(row, "2026-11-21T10:00:00.1234567Z".parse().unwrap());
            stored.seq = 7;
            let previous = Sha256::of(b"before");
            let hash = stored.hash(&previous, &mut Vec::new());
            let mut shown = json!(stored.clone().into_entry(&previous, &hash).unwrap());
            for key in ["hash", "prev_hash"] {
                shown.as_object_mut().unwrap().remove(key).unwrap();
            }
            assert_eq!(hash, Sha256::of(format!("{previous}{}", canonical_json(&shown)).as_bytes()));
            assert_eq!(shown["timestamp"], "2026-11-21T10:00:00.123456Z");
            assert_eq!(stored.malformed(), None);
        }
    }

    #[test]
    fn a_column_cannot_hold_its_neighbours() {
        let stored = Stored::new(full_row(), Timestamp::now());
        let inside = Stored { auth: r#"["a"],"decision":null"#.into(), ..stored.clone() };
        assert_eq!(inside.malformed(), Some("auth"));
        assert_eq!(Stored { args: Some("{ }".into()), ..stored }.malformed(), Some("args"));
    }
}
