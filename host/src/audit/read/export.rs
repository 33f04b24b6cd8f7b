//! Writes a log out, oldest row first: as JSON lines, which anybody can verify with nothing but sha256, or as CSV for a spreadsheet.
//! One row is in memory at a time.

use std::{
    io::{self, Write},
    path::Path,
};

use rig_specs::rgp::{AuditEntry, AuditQuery};

use super::{Events, condition, entry, wanted};
use crate::audit::{
    AuditError,
    log::{self, COLUMNS},
};

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// Comma-separated values, with a heading.
    Csv,
}

/// Writes every row that matches, and counts them. The query's limit counts only when it is given. A log that is not there has no rows.
///
/// # Errors
/// When the question makes no sense, the file cannot be read, or the export cannot be written.
pub fn export(
    path: &Path,
    anchors: &Path,
    query: &AuditQuery,
    events: Events,
    format: Format,
    out: &mut dyn Write,
) -> Result<u64, AuditError> {
    let wanted = wanted(query, events)?;
    let mut sink = Sink::new(format, out)?;
    super::take_in(path, anchors);
    let Some(mut connection) = log::open_to_read(path)? else {
        sink.flush()?;
        return Ok(0);
    };
    let read = |error: rusqlite::Error| AuditError::read(path, &error);
    let snapshot = connection.transaction().map_err(read)?;
    let (condition, values) = condition(&wanted);
    let limit = query.limit.map_or(String::new(), |limit| format!(" LIMIT {limit}"));
    // Rows that retention is about to remove are no part of the log any more.
    let sql =
        format!("SELECT {COLUMNS} FROM log WHERE seq > (SELECT seq FROM origin) AND {condition} ORDER BY seq{limit}");
    let mut statement = snapshot.prepare(&sql).map_err(read)?;
    let mut rows = statement.query(values.as_slice()).map_err(read)?;
    let mut count = 0;
    while let Some(row) = rows.next().map_err(read)? {
        sink.write(&entry(path, log::stored(row).map_err(read)?)?)?;
        count += 1;
    }
    sink.flush()?;
    Ok(count)
}

enum Sink<'a> {
    JsonLines(io::BufWriter<&'a mut dyn Write>),
    Csv(Box<csv::Writer<&'a mut dyn Write>>),
}

const HEADING: [&str; 22] = [
    "seq",
    "event",
    "timestamp",
    "tenant_id",
    "run_id",
    "actor",
    "tool",
    "pack",
    "pack_version",
    "pack_hash",
    "interface_hash",
    "input_hash",
    "outcome",
    "error_type",
    "duration_ms",
    "auth",
    "egress",
    "decision",
    "isolation",
    "args",
    "prev_hash",
    "hash",
];

impl<'a> Sink<'a> {
    fn new(format: Format, out: &'a mut dyn Write) -> Result<Self, AuditError> {
        match format {
            Format::JsonLines => Ok(Self::JsonLines(io::BufWriter::new(out))),
            Format::Csv => {
                let mut out = csv::Writer::from_writer(out);
                out.write_record(HEADING).map_err(|error| csv_failed(&error))?;
                Ok(Self::Csv(Box::new(out)))
            }
        }
    }

    fn write(&mut self, entry: &AuditEntry) -> Result<(), AuditError> {
        match self {
            Self::JsonLines(out) => {
                serde_json::to_writer(&mut *out, entry).map_err(|error| failed(&error.into()))?;
                out.write_all(b"\n").map_err(|error| failed(&error))
            }
            Self::Csv(out) => out.write_record(cells(entry)).map_err(|error| csv_failed(&error)),
        }
    }

    fn flush(&mut self) -> Result<(), AuditError> {
        let flushed = match self {
            Self::JsonLines(out) => out.flush(),
            Self::Csv(out) => out.flush(),
        };
        flushed.map_err(|error| failed(&error))
    }
}

fn cells(entry: &AuditEntry) -> [String; 22] {
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    let AuditEntry { seq, event, timestamp, tenant_id, run_id, actor, tool, pack, pack_version, .. } = entry;
    let AuditEntry { pack_hash, interface_hash, input_hash, outcome, error_type, duration_ms, .. } = entry;
    let AuditEntry { auth, egress, decision, isolation, args, prev_hash, hash, .. } = entry;
    [
        seq.to_string(),
        inert(event),
        inert(timestamp),
        inert(tenant_id),
        inert(run_id),
        inert(actor),
        inert(tool),
        inert(pack),
        inert(pack_version),
        inert(pack_hash),
        inert(interface_hash),
        inert(input_hash),
        outcome.map_or_else(String::new, |outcome| outcome.as_str().into()),
        error_type.map_or_else(String::new, |kind| kind.as_str().into()),
        duration_ms.to_string(),
        auth.iter().map(|marker| inert(marker)).collect::<Vec<_>>().join(" "),
        json(serde_json::to_string(egress)),
        decision.as_ref().map_or_else(String::new, |decision| json(serde_json::to_string(decision))),
        inert(isolation),
        args.as_ref().map_or_else(String::new, |args| json(serde_json::to_string(args))),
        inert(prev_hash),
        inert(hash),
    ]
}

/// Spreadsheets run a cell that begins like a formula, and an actor or a tool can be named anything.
fn inert(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text.to_owned() }
}

fn failed(error: &io::Error) -> AuditError {
    AuditError::Output { why: error.to_string(), closed: error.kind() == io::ErrorKind::BrokenPipe }
}

fn csv_failed(error: &csv::Error) -> AuditError {
    match error.kind() {
        csv::ErrorKind::Io(error) => failed(error),
        _ => AuditError::Output { why: error.to_string(), closed: false },
    }
}
