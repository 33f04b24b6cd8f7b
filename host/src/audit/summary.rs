//! Summaries: what queries look at instead of the rows. One stands for some thousands of rows and holds, column by column, what can
//! be asked for: tenant, actor, tool, kind and success, and the times beside them.
//!
//! This is instead of indexes. An index on each column would change five pages of the file for each row where one is enough, and
//! would still not count the rows that match two conditions at once. A million rows are 245 summaries, which are read in some
//! milliseconds whatever is asked. The rows after the last summary are few, and are looked at themselves.
//!
//! A summary only repeats what the chain holds: verifying compares them, so that nobody hides a row from queries.

use rig_specs::rgp::Outcome;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Event,
    log::{as_sql, number},
};

/// Rows in one summary: large enough that a million rows are read in few pieces, small enough that what follows the last one can be
/// looked at row by row.
pub(super) const ROWS: u64 = 4096;
/// The first byte of `columns`.
const FORMAT: u8 = 1;

const CALL: u8 = 1;
const OK: u8 = 2;

/// One row as a summary has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) at: i64,
    /// Tenant, actor, tool.
    pub(super) names: [&'a str; 3],
    pub(super) is_call: bool,
    pub(super) is_ok: bool,
}

impl<'a> Line<'a> {
    /// From the words that the log has for the event and the outcome.
    pub(super) fn new(at: i64, names: [&'a str; 3], event: &str, outcome: Option<&str>) -> Self {
        Self { at, names, is_call: event == Event::Call.as_str(), is_ok: outcome == Some(Outcome::Ok.as_str()) }
    }
}

/// Puts a summary together, one row after the other.
#[derive(Debug, Default)]
pub(super) struct Builder {
    first: Option<u64>,
    last: u64,
    names: [Names; 3],
    flags: Vec<u8>,
    times: Vec<i64>,
}

/// The different names of one column, in the order of their first use, and which of them each row has.
#[derive(Debug, Default)]
struct Names {
    known: std::collections::BTreeMap<String, u16>,
    order: Vec<String>,
    rows: Vec<u16>,
}

impl Names {
    fn push(&mut self, name: &str) {
        // Rows beside each other mostly have the same name.
        let same = self.rows.last().filter(|id| self.order.get(usize::from(**id)).is_some_and(|last| last == name));
        let known = same.or_else(|| self.known.get(name)).copied();
        let id = known.unwrap_or_else(|| {
            let next = u16::try_from(self.order.len()).unwrap_or(u16::MAX);
            self.order.push(name.to_owned());
            self.known.insert(name.to_owned(), next);
            next
        });
        self.rows.push(id);
    }
}

/// A summary as its row of the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) min_at: i64,
    pub(super) max_at: i64,
    pub(super) columns: Vec<u8>,
    pub(super) times: Vec<u8>,
}

impl Builder {
    pub(super) fn len(&self) -> u64 {
        self.flags.len() as u64
    }

    pub(super) fn push(&mut self, seq: u64, line: &Line<'_>) {
        self.first.get_or_insert(seq);
        self.last = seq;
        for (names, name) in self.names.iter_mut().zip(line.names) {
            names.push(name);
        }
        self.flags.push(u8::from(line.is_call) * CALL + u8::from(line.is_ok) * OK);
        self.times.push(line.at);
    }

    /// The summary of the rows so far; none when there were none.
    pub(super) fn finish(self) -> Option<Summary> {
        let mut columns = vec![FORMAT];
        columns.extend(self.len().to_le_bytes());
        columns.extend(&self.flags);
        for names in &self.names {
            names.rows.iter().for_each(|id| columns.extend(id.to_le_bytes()));
            let length: usize = names.order.iter().map(|name| 8 + name.len()).sum();
            columns.extend((length as u64).to_le_bytes());
            for name in &names.order {
                columns.extend((name.len() as u64).to_le_bytes());
                columns.extend(name.as_bytes());
            }
        }
        Some(Summary {
            first: self.first?,
            last: self.last,
            min_at: *self.times.iter().min()?,
            max_at: *self.times.iter().max()?,
            columns,
            times: self.times.iter().flat_map(|at| at.to_le_bytes()).collect(),
        })
    }
}

/// What to look for: every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// At or after, in microseconds.
    pub(super) from: Option<i64>,
    /// Before.
    pub(super) to: Option<i64>,
    /// Tenant, actor, tool.
    pub(super) names: [Option<String>; 3],
    pub(super) ok: Option<bool>,
    /// Rows that are no calls too.
    pub(super) all_events: bool,
}

/// The columns of a summary, read in place.
struct Columns<'a> {
    flags: &'a [u8],
    names: [Column<'a>; 3],
}

/// For each row the number of its name, and the names one after the other, each with its length before it.
#[derive(Clone, Copy, Default)]
struct Column<'a> {
    rows: &'a [u8],
    names: &'a [u8],
}

impl<'a> Columns<'a> {
    /// None when rig never wrote these bytes.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[FORMAT])?;
        let rows = take_number(&mut rest)?;
        let flags = take(&mut rest, rows)?;
        let mut names = [Column::default(); 3];
        for column in &mut names {
            column.rows = take(&mut rest, rows.checked_mul(2)?)?;
            let length = take_number(&mut rest)?;
            column.names = take(&mut rest, length)?;
        }
        rest.is_empty().then_some(Self { flags, names })
    }
}

/// Bytes that rig never wrote.
struct NotOurs;

impl Column<'_> {
    /// The number of a name, if a row has it.
    fn find(self, wanted: &str) -> Result<Option<[u8; 2]>, NotOurs> {
        let mut rest = self.names;
        let mut id = 0_u16;
        while !rest.is_empty() {
            let length = take_number(&mut rest).ok_or(NotOurs)?;
            if take(&mut rest, length).ok_or(NotOurs)? == wanted.as_bytes() {
                return Ok(Some(id.to_le_bytes()));
            }
            id = id.checked_add(1).ok_or(NotOurs)?;
        }
        Ok(None)
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn take_number(rest: &mut &[u8]) -> Option<usize> {
    let (number, after) = rest.split_first_chunk::<8>()?;
    *rest = after;
    usize::try_from(u64::from_le_bytes(*number)).ok()
}

/// The rows of a summary that match.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matches {
    /// The positions of the newest, newest first.
    pub(super) newest: Vec<usize>,
    pub(super) count: u64,
}

impl Wanted {
    /// The rows that match, of which `room` are named; none when rig never wrote these bytes. `times` is given only when some of the
    /// rows may lie outside the wanted time.
    pub(super) fn matches(&self, columns: &[u8], times: Option<&[u8]>, room: usize) -> Option<Matches> {
        let columns = Columns::read(columns)?;
        if times.is_some_and(|times| times.len() != columns.flags.len() * 8) {
            return None;
        }
        let mut named = Vec::new();
        for (column, wanted) in columns.names.iter().zip(&self.names) {
            if let Some(wanted) = wanted {
                let Some(id) = column.find(wanted).ok()? else { return Some(Matches::default()) };
                named.push((column.rows, id));
            }
        }
        let (mask, flags) = self.flags();
        let mut found = Matches::default();
        for (position, row) in columns.flags.iter().enumerate().rev() {
            let has_names =
                || named.iter().all(|(rows, id)| rows.get(position * 2..position * 2 + 2).is_some_and(|row| row == id));
            if row & mask == flags && has_names() && times.is_none_or(|times| self.in_time(times, position)) {
                found.count += 1;
                if found.newest.len() < room {
                    found.newest.push(position);
                }
            }
        }
        Some(found)
    }

    /// Which flags must have which values.
    fn flags(&self) -> (u8, u8) {
        let (call, ok) = (u8::from(!self.all_events) * CALL, u8::from(self.ok.is_some()) * OK);
        (call | ok, call | (u8::from(self.ok == Some(true)) * OK))
    }

    fn in_time(&self, times: &[u8], position: usize) -> bool {
        let at = times.get(position * 8..).and_then(<[u8]>::first_chunk::<8>).map(|at| i64::from_le_bytes(*at));
        at.is_some_and(|at| self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to))
    }

    /// Whether rows between these times may lie outside the wanted time.
    pub(super) fn cuts(&self, min_at: i64, max_at: i64) -> bool {
        self.from.is_some_and(|from| min_at < from) || self.to.is_some_and(|to| max_at >= to)
    }
}

/// The last row that a summary stands for.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT max((SELECT coalesce(max(last_seq), 0) FROM summary), seq) FROM origin";
    connection.prepare_cached(sql)?.query_row([], |row| number(row, 0))
}

/// The summary of some rows of the log.
pub(super) fn of_rows(connection: &Connection, first: u64, last: u64) -> rusqlite::Result<Option<Summary>> {
    let sql =
        "SELECT seq, at, tenant_id, actor, tool, event, outcome FROM log WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([as_sql(first), as_sql(last)])?;
    let mut builder = Builder::default();
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        let outcome = row.get_ref(6)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        let names = [text(2)?, text(3)?, text(4)?];
        builder.push(number(row, 0)?, &Line::new(row.get(1)?, names, text(5)?, outcome));
    }
    Ok(builder.finish())
}

pub(super) fn insert(connection: &Connection, summary: &Summary) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("INSERT INTO summary VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let Summary { first, last, min_at, max_at, columns, times } = summary;
    statement.execute(params![as_sql(*last), as_sql(*first), min_at, max_at, columns, times]).map(drop)
}

/// Makes the next summary when there are rows enough for it. `alone` keeps the others of this process from writing, as long as what it
/// answers lives: SQLite would let them overtake for ever. Whether one was made.
///
/// The rows are read before the transaction, which is therefore short; they cannot change, and whether another process was faster is
/// looked at within it.
pub(super) fn make_next<T>(log: &mut super::log::Log, alone: impl FnOnce() -> T) -> rusqlite::Result<bool> {
    let before = last(log.connection())?;
    let head = super::log::head(log.connection())?.seq;
    if head < before + ROWS {
        return Ok(false);
    }
    let Some(summary) = of_rows(log.connection(), before + 1, before + ROWS)? else { return Ok(false) };
    let _alone = alone();
    log.transaction(|connection, _| {
        if last(connection)? != before {
            return Ok(true);
        }
        insert(connection, &summary).map(|()| true)
    })
}

/// The last row of the summary that a row is in the middle of, if there is one: when what is before goes, it must be made anew.
pub(super) fn across(connection: &Connection, seq: u64) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT last_seq FROM summary WHERE first_seq <= ?1 AND last_seq > ?1";
    connection.prepare_cached(sql)?.query_row([as_sql(seq)], |row| number(row, 0)).optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(lines: &[Line<'_>]) -> Summary {
        let mut builder = Builder::default();
        (1..).zip(lines).for_each(|(seq, line)| builder.push(seq, line));
        builder.finish().unwrap()
    }

    fn line<'a>(at: i64, tenant: &'a str, tool: &'a str, event: &str, outcome: &str) -> Line<'a> {
        Line::new(at, [tenant, "ann", tool], event, Some(outcome))
    }

    /// Names of tools, for lines to borrow.
    fn tools() -> Vec<String> {
        (0..500).map(|n| format!("p.x.{n}")).collect()
    }

    fn lines(tools: &[String]) -> Vec<Line<'_>> {
        let names = ["t0", "t1", "t2"].into_iter().cycle().zip(tools.iter().cycle());
        let mut lines: Vec<Line<'_>> =
            (0..3000).zip(names).map(|(at, (tenant, tool))| line(at, tenant, tool, "call", "ok")).collect();
        lines.push(line(5, "t0", "", "intent", ""));
        lines.push(line(9000, "t0", "p.x.0", "call", "error"));
        lines
    }

    #[test]
    fn finds_what_a_look_at_every_row_finds() {
        let tools = tools();
        let lines = lines(&tools);
        let summary = built(&lines);
        assert_eq!((summary.min_at, summary.max_at, summary.first, summary.last), (0, 9000, 1, 3002));
        let name = |name: &str| Some(name.to_owned());
        let wanted = |names, ok, from, to, all_events| Wanted { from, to, names, ok, all_events };
        for (wanted, count) in [
            (wanted([None, None, None], None, None, None, false), 3001),
            (wanted([None, None, None], None, None, None, true), 3002),
            (wanted([name("t0"), None, None], None, None, None, false), 1001),
            (wanted([name("t0"), name("ann"), name("p.x.0")], None, None, None, false), 3),
            (wanted([name("t0"), name("ann"), name("p.x.0")], Some(false), None, None, false), 1),
            (wanted([name("t9"), None, None], None, None, None, true), 0),
            (wanted([None, None, None], Some(true), Some(10), Some(20), false), 10),
            (wanted([None, None, name("")], None, None, None, true), 1),
        ] {
            let by_hand = lines.iter().enumerate().filter(|(_, line)| {
                wanted
                    .names
                    .iter()
                    .zip(&line.names)
                    .all(|(wanted, name)| wanted.as_deref().is_none_or(|wanted| wanted == *name))
                    && wanted.ok.is_none_or(|ok| ok == line.is_ok)
                    && (wanted.all_events || line.is_call)
                    && wanted.from.is_none_or(|from| line.at >= from)
                    && wanted.to.is_none_or(|to| line.at < to)
            });
            let mut newest: Vec<usize> = by_hand.map(|(position, _)| position).collect();
            newest.reverse();
            assert_eq!(newest.len(), count, "{wanted:?}");
            let times = wanted.cuts(summary.min_at, summary.max_at).then_some(&*summary.times);
            for room in [0, 2, 5000] {
                let newest = newest[..room.min(count)].to_vec();
                let expected = Matches { newest, count: count as u64 };
                assert_eq!(wanted.matches(&summary.columns, times, room), Some(expected), "{wanted:?}");
            }
        }
    }

    #[test]
    fn bytes_that_rig_never_wrote_are_noticed() {
        let summary = built(&lines(&tools()));
        let wanted = Wanted { from: Some(1), ..Wanted::default() };
        for end in [0, 1, 5, 9, 100, 3100, summary.columns.len() - 1] {
            assert_eq!(wanted.matches(&summary.columns[..end], None, 1), None, "{end}");
        }
        assert_eq!(wanted.matches(&summary.columns, Some(&summary.times[1..]), 1), None);
        let huge = [&[FORMAT][..], &u64::MAX.to_le_bytes()].concat();
        assert_eq!(wanted.matches(&huge, None, 1), None);
    }
}
