//! Reads a log: queries, verifying, export. Opens the file for reading only, beside whoever writes. Blocking.

use std::path::Path;

use jiff::Timestamp;
use rig_specs::{
    Sha256,
    rgp::{AuditEntry, AuditPage, AuditQuery},
};
use rusqlite::{Connection, OptionalExtension as _, ToSql};

use super::{
    AuditError,
    chain::Stored,
    left,
    log::{self, COLUMNS, as_sql, number},
    summary::{self, Wanted},
};

pub mod export;
pub mod verify;

/// How many entries a query answers when it does not say.
pub const DEFAULT_LIMIT: u32 = 100;
/// How many entries a query may ask for.
pub const MAX_LIMIT: u32 = 1000;

/// Which rows are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Events {
    /// The outcomes of calls: one row for each call.
    #[default]
    Calls,
    /// Intents and what retention removed too: every row of the chain.
    All,
}

/// The newest rows that match, newest first, and how many match in all. A log that is not there yet has no rows.
/// `anchors` is where this machine's notes are.
///
/// # Errors
/// When the question makes no sense, or the file cannot be read.
pub fn query(path: &Path, anchors: &Path, query: &AuditQuery, events: Events) -> Result<AuditPage, AuditError> {
    let wanted = wanted(query, events)?;
    let limit = match query.limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => limit as usize,
        other => {
            let why = format!("limit is {other}: it must be between 1 and {MAX_LIMIT}");
            return Err(AuditError::Query { why });
        }
    };
    take_in(path, anchors);
    let Some(mut connection) = log::open_to_read(path)? else {
        return Ok(AuditPage { entries: Vec::new(), total: 0, has_more: false });
    };
    // One state of the log for all that follows.
    let snapshot = connection.transaction().map_err(|error| AuditError::read(path, &error))?;
    let reader = Reader { path, connection: &snapshot };
    let (newest, total) = reader.find(&wanted, limit)?;
    let entries = newest.into_iter().map(|seq| reader.entry(seq)).collect::<Result<Vec<_>, _>>()?;
    Ok(AuditPage { has_more: total > entries.len() as u64, entries, total })
}

/// Moves rows into the log that wait in journals. What cannot be moved, as on a disk that is full, is not seen: verifying says so.
fn take_in(path: &Path, anchors: &Path) {
    if let Err(error) = left::take_in(path, anchors) {
        tracing::debug!(%error, "rows that wait in journals are not in what is read");
    }
}

/// Checks a query and makes of it what rows are compared with.
fn wanted(query: &AuditQuery, events: Events) -> Result<Wanted, AuditError> {
    let (from, to) = (time("start_time", query.start_time.as_deref())?, time("end_time", query.end_time.as_deref())?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        let why = "start_time is after end_time: no row can match".to_owned();
        return Err(AuditError::Query { why });
    }
    Ok(Wanted {
        from,
        to,
        names: [query.tenant_id.clone(), query.actor.clone(), query.tool_name.clone()],
        ok: query.ok,
        all_events: events == Events::All,
    })
}

/// Microseconds. A bound between two of them counts as the later one, both for `at or after` and for `before`.
fn time(name: &str, text: Option<&str>) -> Result<Option<i64>, AuditError> {
    let Some(text) = text else { return Ok(None) };
    let parsed: Timestamp = text.parse().map_err(|_| AuditError::Query {
        why: format!(
            "{name} is `{}`, which is no RFC 3339 time such as 2026-11-21T10:00:00Z",
            crate::words::plain(text)
        ),
    })?;
    let rest = i64::from(parsed.subsec_nanosecond().rem_euclid(1000) != 0);
    let floor = parsed.as_nanosecond().div_euclid(1000);
    Ok(Some(i64::try_from(floor).unwrap_or(i64::MAX).saturating_add(rest)))
}

struct Reader<'a> {
    path: &'a Path,
    connection: &'a Connection,
}

impl Reader<'_> {
    /// The numbers of the newest rows that match, newest first, and how many match.
    fn find(&self, wanted: &Wanted, limit: usize) -> Result<(Vec<u64>, u64), AuditError> {
        let summarised = summary::last(self.connection).map_err(|error| self.failed(&error))?;
        let (mut newest, mut total) = self.after(summarised, wanted, limit).map_err(|error| self.failed(&error))?;
        let sql = "SELECT first_seq, last_seq, min_at, max_at, columns, times FROM summary \
                   WHERE max_at >= ?1 AND min_at < ?2 ORDER BY last_seq DESC";
        let mut run = || -> rusqlite::Result<Option<u64>> {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([wanted.from.unwrap_or(i64::MIN), wanted.to.unwrap_or(i64::MAX)])?;
            while let Some(row) = rows.next()? {
                let first = number(row, 0)?;
                let cut = wanted.cuts(row.get(2)?, row.get(3)?);
                let times = if cut { Some(row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?) } else { None };
                let columns = row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?;
                let room = limit.saturating_sub(newest.len());
                let Some(found) = wanted.matches(columns, times, room) else { return Ok(Some(number(row, 1)?)) };
                total += found.count;
                newest.extend(found.newest.iter().map(|position| first + *position as u64));
            }
            Ok(None)
        };
        match run().map_err(|error| self.failed(&error))? {
            None => Ok((newest, total)),
            Some(last) => {
                Err(AuditError::damaged(self.path, format!("the summary of the rows up to {last} is not one")))
            }
        }
    }

    /// The same for the rows after a row, looked at one by one.
    fn after(&self, seq: u64, wanted: &Wanted, limit: usize) -> rusqlite::Result<(Vec<u64>, u64)> {
        let (condition, values) = condition(wanted);
        let sql = format!("SELECT seq FROM log WHERE seq > {seq} AND {condition} ORDER BY seq DESC");
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(values.as_slice())?;
        let (mut newest, mut total) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            total += 1;
            if newest.len() < limit {
                newest.push(number(row, 0)?);
            }
        }
        Ok((newest, total))
    }

    fn entry(&self, seq: u64) -> Result<AuditEntry, AuditError> {
        let row = || {
            let mut statement = self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM log WHERE seq = ?1"))?;
            statement.query_row([as_sql(seq)], log::stored).optional()
        };
        let found = row().map_err(|error| self.failed(&error))?;
        let found = found.ok_or_else(|| AuditError::damaged(self.path, format!("row {seq} is missing")))?;
        entry(self.path, found)
    }

    fn failed(&self, error: &rusqlite::Error) -> AuditError {
        AuditError::read(self.path, error)
    }
}

fn entry(path: &Path, (row, previous, hash): (Stored, Sha256, Sha256)) -> Result<AuditEntry, AuditError> {
    let seq = row.seq;
    let shown = row.into_entry(&previous, &hash);
    shown.map_err(|column| AuditError::damaged(path, format!("row {seq} holds no {column} that rig writes")))
}

/// The condition in SQL, with its values in order.
fn condition(wanted: &Wanted) -> (String, Vec<&dyn ToSql>) {
    let mut parts = vec!["TRUE".to_owned()];
    let mut values: Vec<&dyn ToSql> = Vec::new();
    let mut push = |text: &str, value| {
        values.push(value);
        parts.push(format!("{text} ?{}", values.len()));
    };
    if let Some(from) = &wanted.from {
        push("at >=", from);
    }
    if let Some(to) = &wanted.to {
        push("at <", to);
    }
    for (column, name) in ["tenant_id", "actor", "tool"].into_iter().zip(&wanted.names) {
        if let Some(name) = name {
            push(&format!("{column} ="), name);
        }
    }
    match wanted.ok {
        Some(true) => parts.push("outcome = 'ok'".into()),
        Some(false) => parts.push("outcome IS NOT 'ok'".into()),
        None => {}
    }
    if !wanted.all_events {
        parts.push("event = 'call'".into());
    }
    (parts.join(" AND "), values)
}
