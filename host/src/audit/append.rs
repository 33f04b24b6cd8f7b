//! Rows become a part of the chain: each is hashed after the one before it and inserted, within a transaction that somebody else
//! begins and ends. Summaries that are complete on the way are written with them.

use rusqlite::{CachedStatement, Connection};

use super::{
    chain::{Link, View},
    log::as_sql,
    summary::{self, Builder, Line},
};

const INSERT: &str = "INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, \
                      ?20, ?21, ?22)";
const PARAMETERS: usize = 22;

/// What is used again from transaction to transaction.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    buffer: Vec<u8>,
    bound: [Bound; PARAMETERS + 1],
    summing: Summing,
}

impl Scratch {
    /// What was appended was not committed.
    pub(super) fn forget(&mut self) {
        self.summing = Summing::default();
    }
}

/// The text that a parameter of the statement holds. Rows beside each other have most of their texts in common, and SQLite makes a
/// copy of each that it is given.
#[derive(Debug, Default)]
struct Bound {
    held: bool,
    null: bool,
    text: String,
}

/// The summary that is put together while rows are appended.
#[derive(Debug, Default)]
struct Summing {
    /// The last row that was seen; what follows another is not in line with what is here.
    seen: u64,
    /// A row after which a summary begins.
    base: u64,
    /// The rows of the one that is begun; none until the next begins.
    builder: Option<Builder>,
}

/// Appends rows after a place in the chain.
pub(super) struct Appender<'a> {
    connection: &'a Connection,
    statement: CachedStatement<'a>,
    scratch: &'a mut Scratch,
    head: Link,
}

impl<'a> Appender<'a> {
    /// Appends after the last row.
    pub(super) fn new(connection: &'a Connection, head: Link, scratch: &'a mut Scratch) -> rusqlite::Result<Self> {
        // A statement from the cache holds nothing any more.
        scratch.bound.iter_mut().for_each(|bound| bound.held = false);
        // Looked up once: finding a prepared statement by its text costs a tenth of running it.
        Ok(Self { connection, statement: connection.prepare_cached(INSERT)?, scratch, head })
    }

    /// The last row of the chain.
    pub(super) fn head(&self) -> Link {
        self.head
    }

    /// Appends a row, and answers its number.
    pub(super) fn push(&mut self, row: &View<'_>) -> rusqlite::Result<u64> {
        let previous = self.head.hash;
        let seq = self.head.seq + 1;
        let hash = row.hash(seq, &previous, &mut self.scratch.buffer);
        self.statement.raw_bind_parameter(1, as_sql(seq))?;
        self.statement.raw_bind_parameter(3, row.at)?;
        self.statement.raw_bind_parameter(15, row.duration_us)?;
        self.statement.raw_bind_parameter(21, previous.as_bytes())?;
        self.statement.raw_bind_parameter(22, hash.as_bytes())?;
        for (parameter, text) in [
            (2, Some(row.event)),
            (4, Some(row.tenant_id)),
            (5, Some(row.run_id)),
            (6, Some(row.actor)),
            (7, Some(row.tool)),
            (8, Some(row.pack)),
            (9, Some(row.pack_version)),
            (10, Some(row.pack_hash)),
            (11, Some(row.interface_hash)),
            (12, Some(row.input_hash)),
            (13, row.outcome),
            (14, row.error_type),
            (16, Some(row.auth)),
            (17, Some(row.egress)),
            (18, row.decision),
            (19, Some(row.isolation)),
            (20, row.args),
        ] {
            let bound = &mut self.scratch.bound[parameter];
            let is_same = bound.held && bound.null == text.is_none() && bound.text == text.unwrap_or_default();
            if !is_same {
                bound.held = false;
                self.statement.raw_bind_parameter(parameter, text)?;
                bound.text.clear();
                bound.text.push_str(text.unwrap_or_default());
                (bound.held, bound.null) = (true, text.is_none());
            }
        }
        self.statement.raw_execute()?;
        self.head = Link { seq, hash };
        Ok(seq)
    }

    /// The same, and the row counts in the summary that it belongs to.
    pub(super) fn push_and_sum(&mut self, row: &View<'_>) -> rusqlite::Result<()> {
        let before = self.head.seq;
        let seq = self.push(row)?;
        let summing = &mut self.scratch.summing;
        if summing.seen != before || seq == 1 {
            *summing = Summing { base: summary::last(self.connection)?, ..Summing::default() };
        }
        summing.seen = seq;
        // Retention may have moved the beginning past this row's.
        if before.checked_sub(summing.base).is_some_and(|rows| rows.is_multiple_of(summary::ROWS)) {
            summing.builder = Some(Builder::default());
        }
        let Some(builder) = &mut summing.builder else { return Ok(()) };
        let names = [row.tenant_id, row.actor, row.tool];
        builder.push(seq, &Line::new(row.at, names, row.event, row.outcome));
        if builder.len() == summary::ROWS {
            let complete = summing.builder.take().and_then(Builder::finish);
            let last = summary::last(self.connection)?;
            match complete.filter(|summary| summary.first == last + 1) {
                Some(complete) => summary::insert(self.connection, &complete)?,
                // Those before it are not made yet, or retention changed where they begin.
                None => summing.base = last,
            }
        }
        Ok(())
    }
}

/// Appends one row within a transaction.
pub(super) fn one(
    connection: &Connection,
    before: Link,
    row: &View<'_>,
    scratch: &mut Scratch,
) -> rusqlite::Result<Link> {
    let mut appender = Appender::new(connection, before, scratch)?;
    appender.push(row)?;
    Ok(appender.head())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::audit::{Row, chain::Stored, log, log::Log};

    fn stored(n: u64) -> Stored {
        let row = Row { tenant_id: format!("t{}", n % 3), run_id: n.to_string(), ..Row::default() };
        Stored::new(row, Timestamp::now())
    }

    /// Appends as the journal's rows are, in one transaction that ends as `end` says.
    fn append(log: &mut Log, rows: std::ops::Range<u64>, end: rusqlite::Result<()>) {
        let expected = end.is_ok();
        let done = log.transaction(|connection, scratch| {
            let mut appender = Appender::new(connection, log::head(connection)?, scratch)?;
            rows.clone().try_for_each(|n| appender.push_and_sum(&stored(n).view()))?;
            end
        });
        assert_eq!(done.is_ok(), expected);
    }

    /// The summaries are those of the rows, and reach so far.
    fn check(log: &mut Log, last: u64) {
        let connection = log.connection();
        let read = "SELECT first_seq, last_seq, columns FROM summary ORDER BY last_seq";
        let mut statement = connection.prepare(read).unwrap();
        let summaries = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let summaries: Vec<(i64, i64, Vec<u8>)> = summaries.map(Result::unwrap).collect();
        for (first, last, columns) in &summaries {
            let made = summary::of_rows(connection, first.cast_unsigned(), last.cast_unsigned()).unwrap().unwrap();
            assert_eq!(
                (made.columns == *columns, *last - *first),
                (true, summary::ROWS.cast_signed() - 1),
                "{first} to {last}"
            );
        }
        assert_eq!(summary::last(connection).unwrap(), last);
    }

    #[test]
    fn summaries_are_made_on_the_way_and_hold_what_was_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let open = || Log::open(&path, &Arc::default()).unwrap();
        let mut log = open();
        for piece in 0..6 {
            append(&mut log, piece * 700..(piece + 1) * 700, Ok(()));
        }
        check(&mut log, 4096);
        // What is rolled back counts for nothing, even when others append as many rows in its place.
        append(&mut log, 90_000..91_000, Err(rusqlite::Error::InvalidQuery));
        append(&mut open(), 5000..6000, Ok(()));
        for piece in 0..6 {
            append(&mut log, piece * 700..(piece + 1) * 700, Ok(()));
        }
        check(&mut log, 4096);
        // The one that begins with the next is made on the way again, once the one before it is there.
        assert!(summary::make_next(&mut log, || ()).unwrap());
        check(&mut log, 8192);
        append(&mut log, 0..4000, Ok(()));
        check(&mut log, 12_288);
    }
}
