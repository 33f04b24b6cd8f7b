//! Removes rows by age so that the chain can still be verified: only from its beginning, and with a row in the chain that says what
//! was removed. `origin`, where verifying begins, must say the same as the newest such row; who removes rows without the chain knowing
//! is noticed.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::{Map, json};

use super::{
    AuditError, Row, Settings,
    anchor::Anchor,
    append,
    chain::{RETENTION, Stored},
    log::{self, Appended, Log, as_sql, number},
    summary,
};

/// Rows removed in one transaction: other processes wait for some milliseconds at most.
const BATCH: u64 = 1000;
/// In microseconds.
const DAY: i64 = 24 * 3600 * 1_000_000;

/// Removes every row from the beginning that is older than so many days, up to the first that is not; how many.
pub(super) fn retain(log: &mut Log, settings: &Settings, now: Timestamp, days: u32) -> Result<u64, AuditError> {
    let cutoff = now.as_microsecond().saturating_sub(DAY.saturating_mul(days.into()));
    let mut anchor = Anchor::open(&settings.anchors, &settings.path).ok();
    let removed = decide(log, cutoff, now).and_then(|(removed, appended)| {
        if let Some(anchor) = &mut anchor {
            // While the rows are still there: the one that is noted may be among them.
            let advanced = anchor.advance(appended.before, appended.head, |seq| log.hash_of(seq).ok().flatten());
            if let Err(error) = advanced {
                tracing::warn!(%error, "the end of the audit log cannot be noted outside the project");
            }
        }
        while remove(log)? > 0 {}
        Ok(removed)
    });
    removed.map_err(|error| AuditError::from_sqlite(&settings.path, &error))
}

/// Moves the beginning of the chain and says so in the chain. The rows themselves are removed after it; an earlier run may have been
/// interrupted between the two.
fn decide(log: &mut Log, cutoff: i64, now: Timestamp) -> rusqlite::Result<(u64, Appended)> {
    log.transaction(|connection, scratch| {
        let (origin, before) = (log::origin(connection)?, log::head(connection)?);
        let last = last_older(connection, origin.seq, cutoff)?;
        if last == origin.seq {
            return Ok((0, Appended { before, head: before }));
        }
        let hash =
            connection.query_row("SELECT hash FROM log WHERE seq = ?1", [as_sql(last)], |row| log::digest(row, 0))?;
        connection.execute("UPDATE origin SET seq = ?1, hash = ?2", params![as_sql(last), hash.as_bytes()])?;
        // What is left of a summary is made anew.
        let rest = summary::across(connection, last)?.map(|end| summary::of_rows(connection, last + 1, end));
        connection.execute("DELETE FROM summary WHERE first_seq <= ?1", [as_sql(last)])?;
        if let Some(rest) = rest.transpose()?.flatten() {
            summary::insert(connection, &rest)?;
        }
        let removed = last - origin.seq;
        let said = json!({ "removed": removed, "up_to": last, "hash": hash });
        let args = said.as_object().cloned().unwrap_or_else(Map::new);
        let row = Row { actor: "rig".into(), args: Some(args), ..Row::default() };
        let row = Stored { event: RETENTION.into(), ..Stored::new(row, now) };
        let head = append::one(connection, before, &row.view(), scratch)?;
        Ok((removed, Appended { before, head }))
    })
}

/// The last row before the first that is not older than the cutoff.
fn last_older(connection: &Connection, origin: u64, cutoff: i64) -> rusqlite::Result<u64> {
    // Whole summaries first.
    let sql = "SELECT coalesce((SELECT min(first_seq) - 1 FROM summary WHERE max_at >= ?1), (SELECT max(last_seq) FROM summary), 0)";
    let mut last = connection.query_row(sql, [cutoff], |row| number(row, 0))?.max(origin);
    let mut statement = connection.prepare_cached("SELECT seq, at FROM log WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = statement.query([as_sql(last)])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= cutoff {
            break;
        }
        last = number(row, 0)?;
    }
    Ok(last)
}

/// Removes some of the rows before the beginning; how many.
fn remove(log: &mut Log) -> rusqlite::Result<usize> {
    log.transaction(|connection, _| {
        let sql = "DELETE FROM log WHERE seq <= (SELECT seq FROM origin) AND seq < (SELECT min(seq) FROM log) + ?1";
        connection.prepare_cached(sql)?.execute([as_sql(BATCH)])
    })
}
