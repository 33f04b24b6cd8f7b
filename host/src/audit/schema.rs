//! What makes a SQLite file a log: its tables, the version in its header, and how an older one becomes a newer one.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

use super::{AuditError, chain::Link};

/// Written into the file's header, so that no other database is taken for a log.
pub(super) const APPLICATION: i64 = 0x7269_6741;
/// The version of the tables below.
pub(super) const VERSION: i64 = 2;

/// There is no index: keeping four would cost more than the row itself. `summary` answers queries instead, one row for some
/// thousands of the log; see [`super::summary`]. `origin` is what the chain begins after, and `journal` says how
/// much of each process's journal is in it. The triggers stop accidents; whoever means it is caught by the chain.
const SCHEMA: &str = "
CREATE TABLE log (
    seq INTEGER PRIMARY KEY, event TEXT NOT NULL, at INTEGER NOT NULL, tenant_id TEXT NOT NULL, run_id TEXT NOT NULL,
    actor TEXT NOT NULL, tool TEXT NOT NULL, pack TEXT NOT NULL, pack_version TEXT NOT NULL, pack_hash TEXT NOT NULL,
    interface_hash TEXT NOT NULL, input_hash TEXT NOT NULL, outcome TEXT, error_type TEXT, duration_us INTEGER NOT NULL,
    auth TEXT NOT NULL, egress TEXT NOT NULL, decision TEXT, isolation TEXT NOT NULL, args TEXT,
    prev_hash BLOB NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TABLE origin (only INTEGER PRIMARY KEY CHECK (only = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE summary (
    last_seq INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, min_at INTEGER NOT NULL, max_at INTEGER NOT NULL,
    columns BLOB NOT NULL, times BLOB NOT NULL
) STRICT;
CREATE TRIGGER log_no_update BEFORE UPDATE ON log BEGIN
    SELECT RAISE(ABORT, 'rows of the audit log never change');
END;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log WHEN OLD.seq > (SELECT seq FROM origin) BEGIN
    SELECT RAISE(ABORT, 'only retention removes rows of the audit log');
END;
CREATE TRIGGER origin_no_return BEFORE UPDATE ON origin WHEN NEW.seq < OLD.seq BEGIN
    SELECT RAISE(ABORT, 'the audit log never begins earlier again');
END;
CREATE TRIGGER origin_no_delete BEFORE DELETE ON origin BEGIN
    SELECT RAISE(ABORT, 'the audit log has one beginning');
END;
";

/// How much of each process's journal is in the chain.
const JOURNAL: &str =
    "CREATE TABLE journal (id TEXT PRIMARY KEY, rows INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;";

/// The names of the triggers above; a log without them lost a part of its schema.
pub(super) const TRIGGERS: [&str; 4] = ["log_no_delete", "log_no_update", "origin_no_delete", "origin_no_return"];

/// Which program's file it is, and in which version.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((pragma("application_id")?, pragma("user_version")?))
}

/// The same, read in one state of the file: another process may just be making it.
pub(super) fn settled_version(connection: &mut Connection) -> rusqlite::Result<(i64, i64)> {
    version(&*connection.transaction()?)
}

/// Logs of the first version had no journals.
pub(super) fn add_journal(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version(&transaction)? == (APPLICATION, 1) {
        transaction.execute_batch(JOURNAL)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

pub(super) fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

pub(super) fn unknown(path: &Path, (application, version): (i64, i64)) -> AuditError {
    let why = if application == APPLICATION {
        format!("it was written by a newer rig (version {version} of the log, this one knows {VERSION})")
    } else {
        "it is a database of another program".to_owned()
    };
    AuditError::Unknown { path: path.to_owned(), why }
}

pub(super) fn make_tables(connection: &mut Connection, path: &Path) -> Result<(), AuditError> {
    let make = |connection: &mut Connection| -> rusqlite::Result<bool> {
        // Before anything of it is changed.
        if version(connection)? != (APPLICATION, VERSION) && !is_blank(connection)? {
            return Ok(false);
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been faster.
        if version(&transaction)? == (APPLICATION, VERSION) {
            return Ok(true);
        }
        transaction.execute_batch(SCHEMA)?;
        transaction.execute_batch(JOURNAL)?;
        let origin = Link::origin();
        transaction.execute("INSERT INTO origin VALUES (1, ?1, ?2)", params![0, origin.hash.as_bytes()])?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
        Ok(true)
    };
    match make(connection) {
        Ok(true) => Ok(()),
        Ok(false) => Err(unknown(path, (0, 0))),
        Err(error) => Err(AuditError::from_sqlite(path, &error)),
    }
}
