//! Verifies a log: reads every row once, in order, and compares it with its hash, its neighbours, what retention said, the summaries
//! and this machine's anchor.
//!
//! Found is any row that was changed, added, removed or moved, by whatever means, unless all rows after it were computed anew; and
//! that as well on a machine whose anchor knows one of those rows. Not found is what happens after the anchor was written by whoever
//! can write the user's own private files.

use std::{collections::BTreeMap, path::Path, time::Duration};

use rig_specs::Sha256;
use rusqlite::Connection;
use serde::Serialize;

use crate::audit::{
    AuditError, Event,
    anchor::{self, Noted},
    chain::{Link, RETENTION, Stored, timestamp},
    left::{self, Finding},
    log::{self, COLUMNS, number},
    schema::TRIGGERS,
    summary::{self, Builder, Line, Summary},
};

/// Problems that are reported one by one; a log that was replaced has one in every row.
const MAX_PROBLEMS: usize = 100;
/// Intents without an outcome that are remembered. Rig itself leaves one for each call that a crash ended.
const MAX_OPEN: usize = 10_000;

/// How long after a note that does not match it is read again.
const SECOND_LOOK: Duration = Duration::from_millis(50);

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether the log is what rig wrote.
    pub ok: bool,
    /// How many rows there are.
    pub rows: u64,
    /// The first of them, and the last.
    pub first: Option<u64>,
    /// The last row.
    pub last: Option<u64>,
    /// How many rows retention removed before the first.
    pub removed: u64,
    /// What is wrong, in the order of the rows; the first hundred.
    pub problems: Vec<Problem>,
    /// How many problems there are beside those.
    pub more_problems: u64,
    /// What this machine remembers of the log.
    pub anchor: AnchorState,
    /// Risky calls that began and of which no outcome was written: they run now, or a crash ended them.
    pub open_intents: Vec<OpenIntent>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The row, when it is about one.
    pub seq: Option<u64>,
    /// What is wrong with it.
    pub what: String,
}

/// Whether the end of the log could be compared with what this machine noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnchorState {
    /// The log has the row that was noted.
    Matches,
    /// This machine wrote nothing to the log, or does not know it under this path: rows cut off at its end would not be noticed.
    None,
    /// The log is not the one that was noted.
    Differs,
}

/// A risky call without an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenIntent {
    /// The row.
    pub seq: u64,
    /// When it began.
    pub timestamp: String,
    /// Its correlation id.
    pub run_id: String,
    /// The tool.
    pub tool: String,
    /// The tenant.
    pub tenant_id: String,
}

/// Verifies the log at a path; `anchors` is where this machine's notes are.
///
/// # Errors
/// When there is no log, or it cannot be read. That something is wrong with it is no error, but in the report.
pub fn verify(path: &Path, anchors: &Path) -> Result<Report, AuditError> {
    let unmoved = unmoved(left::take_in(path, anchors));
    let mut report = look(path, anchors)?;
    if report.anchor == AnchorState::Differs {
        // Retention may have removed the row that was noted between the look at the note and the look at the rows. Not twice.
        std::thread::sleep(SECOND_LOOK);
        report = look(path, anchors)?;
    }
    report.ok &= unmoved.is_empty();
    report.problems.extend(unmoved.into_iter().map(|what| Problem { seq: None, what }));
    Ok(report)
}

/// What is wrong with rows that wait in journals.
fn unmoved(findings: Result<Vec<Finding>, AuditError>) -> Vec<String> {
    match findings {
        Ok(findings) => findings.iter().map(Finding::to_string).collect(),
        // The rows themselves are whole; they are looked at when the log can be written again.
        Err(error) => {
            tracing::warn!(%error, "rows that wait in journals are not verified");
            Vec::new()
        }
    }
}

fn look(path: &Path, anchors: &Path) -> Result<Report, AuditError> {
    let missing = || AuditError::Missing { path: path.to_owned() };
    if !path.exists() {
        return Err(missing());
    }
    // Before the rows: the log may grow meanwhile, and the note with it.
    let noted = anchor::read(anchors, path)
        .map_err(|error| AuditError::Read { path: anchors.to_owned(), why: error.to_string() })?;
    let Some(mut connection) = log::open_to_read(path)? else {
        return match noted {
            Noted::Nothing => Err(missing()),
            _ => Err(AuditError::damaged(path, "it is empty, and this machine has written rows to it")),
        };
    };
    let read = |error: rusqlite::Error| AuditError::read(path, &error);
    let snapshot = connection.transaction().map_err(read)?;
    let mut check = Check::new(&snapshot, noted).map_err(read)?;
    check.schema(&snapshot).map_err(read)?;
    let mut statement = snapshot.prepare(&format!("SELECT {COLUMNS} FROM log ORDER BY seq")).map_err(read)?;
    let mut rows = statement.query([]).map_err(read)?;
    while let Some(row) = rows.next().map_err(read)? {
        match log::stored(row) {
            Ok((stored, previous, hash)) => check.row(&snapshot, stored, previous, hash).map_err(read)?,
            Err(error) => check.unreadable(number(row, 0).ok(), &error),
        }
    }
    check.finish(&snapshot).map_err(read)
}

struct Check {
    report: Report,
    origin: Link,
    last: Link,
    noted: Noted,
    /// What the newest retention row says: how many were removed up to which row, and that row's hash.
    said: Option<Link>,
    open: BTreeMap<(String, String, String), OpenIntent>,
    summary: Option<(Summary, Builder)>,
    buffer: Vec<u8>,
}

impl Check {
    fn new(connection: &Connection, noted: Noted) -> rusqlite::Result<Self> {
        let origin = log::origin(connection)?;
        let report = Report {
            ok: false,
            rows: 0,
            first: None,
            last: None,
            removed: origin.seq,
            problems: Vec::new(),
            more_problems: 0,
            anchor: AnchorState::None,
            open_intents: Vec::new(),
        };
        let (last, said, open, summary, buffer) = (origin, None, BTreeMap::new(), None, Vec::new());
        Ok(Self { report, origin, last, noted, said, open, summary, buffer })
    }

    fn problem(&mut self, seq: Option<u64>, what: impl Into<String>) {
        if self.report.problems.len() < MAX_PROBLEMS {
            self.report.problems.push(Problem { seq, what: what.into() });
        } else {
            self.report.more_problems += 1;
        }
    }

    fn schema(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name";
        let found: Vec<String> = connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        if found != TRIGGERS {
            self.problem(None, "the triggers that keep rows from being changed are not those that rig made");
        }
        Ok(())
    }

    fn unreadable(&mut self, seq: Option<u64>, error: &rusqlite::Error) {
        self.problem(seq, format!("the row cannot be read: {error}"));
        if let Some(seq) = seq {
            self.last = Link { seq, ..self.last };
            self.report.rows += 1;
            self.report.last = Some(seq);
        }
    }

    fn row(&mut self, connection: &Connection, row: Stored, previous: Sha256, hash: Sha256) -> rusqlite::Result<()> {
        let seq = row.seq;
        if seq <= self.origin.seq {
            // Retention is at work: the row is no part of the log any more.
            return Ok(());
        }
        self.report.rows += 1;
        self.report.first.get_or_insert(seq);
        self.report.last = Some(seq);
        if seq != self.last.seq + 1 {
            let (from, to) = (self.last.seq + 1, seq - 1);
            let what =
                if from == to { format!("row {from} is missing") } else { format!("rows {from} to {to} are missing") };
            self.problem(Some(seq), what);
        } else if previous != self.last.hash {
            self.problem(Some(seq), "the row does not follow the row before it");
        }
        if row.hash(&previous, &mut self.buffer) != hash {
            self.problem(Some(seq), "the row was changed");
        } else if let Some(column) = row.malformed() {
            self.problem(Some(seq), format!("the row was changed: {column} is not what rig writes"));
        }
        if let Noted::Head(noted) = self.noted
            && noted.seq == seq
        {
            self.report.anchor = if noted.hash == hash { AnchorState::Matches } else { AnchorState::Differs };
        }
        self.last = Link { seq, hash };
        if row.event == RETENTION {
            self.said = said(&row);
        }
        self.summarise(connection, &row)?;
        self.follow(row);
        Ok(())
    }

    /// Computes the summary that the row is in, and compares it with the one that queries look at.
    fn summarise(&mut self, connection: &Connection, row: &Stored) -> rusqlite::Result<()> {
        if self.summary.is_none() {
            let sql = "SELECT first_seq, last_seq, min_at, max_at, columns, times FROM summary WHERE last_seq >= ?1 \
                       ORDER BY last_seq LIMIT 1";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([log::as_sql(row.seq)])?;
            let Some(found) = rows.next()? else { return Ok(()) };
            let summary = Summary {
                first: number(found, 0)?,
                last: number(found, 1)?,
                min_at: found.get(2)?,
                max_at: found.get(3)?,
                columns: found.get(4)?,
                times: found.get(5)?,
            };
            if summary.first != row.seq {
                self.problem(Some(row.seq), "the row is missing in what queries look at");
            }
            self.summary = Some((summary, Builder::default()));
        }
        let Some((summary, builder)) = &mut self.summary else { return Ok(()) };
        let names = [&*row.tenant_id, &*row.actor, &*row.tool];
        builder.push(row.seq, &Line::new(row.at, names, &row.event, row.outcome.as_deref()));
        // As many rows as a summary has at most, in case its last row is missing.
        if row.seq >= summary.last || builder.len() > summary::ROWS {
            self.compare_summary();
        }
        Ok(())
    }

    fn compare_summary(&mut self) {
        let Some((summary, builder)) = self.summary.take() else { return };
        let (first, last) = (summary.first, summary.last);
        if builder.finish().as_ref() != Some(&summary) {
            self.problem(
                Some(last),
                format!("what queries look at for rows {first} to {last} is not what these rows say"),
            );
        }
    }

    fn follow(&mut self, row: Stored) {
        let key = (row.tenant_id.clone(), row.run_id.clone(), row.tool.clone());
        if row.event == Event::Call.as_str() {
            self.open.remove(&key);
        } else if row.event == Event::Intent.as_str() && self.open.len() < MAX_OPEN {
            let Stored { seq, at, run_id, tool, tenant_id, .. } = row;
            self.open.insert(key, OpenIntent { seq, timestamp: timestamp(at), run_id, tool, tenant_id });
        }
    }

    fn finish(mut self, connection: &Connection) -> rusqlite::Result<Report> {
        self.compare_summary();
        let sql = "SELECT count(*) FROM summary WHERE last_seq > ?1 OR last_seq <= ?2";
        let stray = connection
            .query_row(sql, [log::as_sql(self.last.seq), log::as_sql(self.origin.seq)], |row| number(row, 0))?;
        if stray > 0 {
            self.problem(None, "queries look at rows that are not there");
        }
        self.check_origin();
        self.check_anchor();
        let mut open: Vec<OpenIntent> = self.open.into_values().collect();
        open.sort_by_key(|intent| intent.seq);
        let ok = self.report.problems.is_empty();
        Ok(Report { ok, open_intents: open, ..self.report })
    }

    fn check_origin(&mut self) {
        let said = self.said.unwrap_or_else(Link::origin);
        if said != self.origin {
            let (from, said) = (self.origin.seq + 1, said.seq + 1);
            let what = format!("the log begins with row {from}, but by what retention wrote it begins with row {said}");
            self.problem(None, what);
        }
    }

    fn check_anchor(&mut self) {
        let what = match (self.noted, self.report.anchor) {
            (Noted::Nothing, _) | (Noted::Head(_), AnchorState::Matches) => return,
            (Noted::Broken, _) => {
                "what this machine noted about the log was changed: whether rows are missing at its end cannot be known"
                    .into()
            }
            (Noted::Head(noted), AnchorState::Differs) => {
                format!("row {} is not the one that this machine wrote: rows were computed anew", noted.seq)
            }
            (Noted::Head(noted), AnchorState::None) if noted.seq <= self.origin.seq => {
                let seq = noted.seq;
                format!(
                    "row {seq}, which this machine noted, was removed by another one: whether the log is the same cannot be known"
                )
            }
            (Noted::Head(noted), AnchorState::None) => {
                let (last, seq) = (self.last.seq, noted.seq);
                if last < seq {
                    format!("the log ends with row {last}, but this machine has written row {seq}: rows were cut off")
                } else {
                    format!("row {seq}, which this machine has written, is missing")
                }
            }
        };
        self.report.anchor = AnchorState::Differs;
        self.problem(None, what);
    }
}

/// What a retention row says about the beginning of the log.
fn said(row: &Stored) -> Option<Link> {
    let args: serde_json::Value = serde_json::from_str(row.args.as_deref()?).ok()?;
    Some(Link { seq: args["up_to"].as_u64()?, hash: args["hash"].as_str()?.parse().ok()? })
}
