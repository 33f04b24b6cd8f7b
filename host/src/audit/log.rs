//! The SQLite file: opening it, making its tables, appending to its chain. Blocking, and for one thread at a time.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rig_specs::Sha256;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Row, config::DbConfig, params};

use super::{
    AuditError,
    append::{Appender, Scratch},
    chain::{Link, Stored},
    journal::{End, Journal, Left, Place},
    schema::{APPLICATION, VERSION, add_journal, is_blank, make_tables, settled_version, unknown, version},
};

/// How long a commit waits for another process. A commit takes microseconds and removing old rows some milliseconds, so this is a
/// process that was stopped with the file locked.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Every column, in the order in which [`stored`] reads them.
pub(super) const COLUMNS: &str = "seq, event, at, tenant_id, run_id, actor, tool, pack, pack_version, pack_hash, interface_hash, \
                                  input_hash, outcome, error_type, duration_us, auth, egress, decision, isolation, args, prev_hash, \
                                  hash";

/// The file, open for writing.
#[derive(Debug)]
pub(super) struct Log {
    connection: Connection,
    path: PathBuf,
    /// Device and inode: a file that was moved away or replaced is not written to any more.
    identity: (u64, u64),
    scratch: Scratch,
}

/// What a commit did to the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Appended {
    pub(super) before: Link,
    pub(super) head: Link,
}

impl Log {
    /// Opens the file, and makes it when it is not there. `wal_pages` is told the size of the write-ahead log after every commit.
    pub(super) fn open(path: &Path, wal_pages: &Arc<AtomicU64>) -> Result<Self, AuditError> {
        let wrong = |error: &rusqlite::Error| AuditError::from_sqlite(path, error);
        create(path).map_err(|error| AuditError::write(path, error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(|error| wrong(&error))?;
        configure(&mut connection, wal_pages).map_err(|error| wrong(&error))?;
        match settled_version(&mut connection).map_err(|error| wrong(&error))? {
            (APPLICATION, VERSION) => {}
            (0, 0) => make_tables(&mut connection, path)?,
            (APPLICATION, 1) => add_journal(&mut connection).map_err(|error| wrong(&error))?,
            other => return Err(unknown(path, other)),
        }
        let identity = identity(path).map_err(|error| AuditError::write(path, error))?;
        Ok(Self { connection, path: path.to_owned(), identity, scratch: Scratch::default() })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether the path still names the file that is open.
    pub(super) fn is_current(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }

    /// How long commits wait for other processes.
    pub(super) fn wait(&self, patience: Duration) -> rusqlite::Result<()> {
        self.connection.busy_timeout(patience)
    }

    /// Appends rows in one transaction, and gives each its place.
    pub(super) fn append<'a>(&mut self, rows: impl IntoIterator<Item = &'a mut Stored>) -> rusqlite::Result<Appended> {
        self.transaction(|connection, scratch| {
            let before = head(connection)?;
            let mut appender = Appender::new(connection, before, scratch)?;
            for row in rows {
                row.seq = appender.push(&row.view())?;
            }
            Ok(Appended { before, head: appender.head() })
        })
    }

    /// Appends what a journal holds after what is in the chain already, at most so many rows; `until` is a number of rows that is not
    /// passed. Forgets the journal with its last row when its process has `ended`. None when the log does not know it.
    pub(super) fn append_rest(
        &mut self,
        left: &Left,
        until: u64,
        most: u64,
        ended: bool,
    ) -> rusqlite::Result<Option<(Appended, Place, End)>> {
        let unread = |error: io::Error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
        self.transaction(|connection, scratch| {
            let Some(place) = journal(connection, left.id())? else { return Ok(None) };
            let before = head(connection)?;
            let mut rows = left.rows(place, most.min(until.saturating_sub(place.rows)));
            let mut appender = Appender::new(connection, before, scratch)?;
            while let Some(row) = rows.next().map_err(unread)? {
                appender.push_and_sum(&row)?;
            }
            let head = appender.head();
            drop(appender);
            if rows.place() != place {
                set_journal(connection, left.id(), rows.place())?;
            }
            if ended && rows.end() == End::All {
                connection.execute("DELETE FROM journal WHERE id = ?1", [left.id()])?;
            }
            Ok(Some((Appended { before, head }, rows.place(), rows.end())))
        })
    }

    /// Notes a journal that is in use, and how much of it is in the chain.
    pub(super) fn know_journal(&mut self, id: &str, place: Place) -> rusqlite::Result<()> {
        self.transaction(|connection, _| set_journal(connection, id, place))
    }

    /// Forgets one journal, all of which is in the chain, and notes another that was just begun.
    pub(super) fn change_journal(&mut self, old: Option<&Journal>, new: Option<&Journal>) -> rusqlite::Result<()> {
        self.transaction(|connection, _| {
            if let Some(old) = old {
                connection.execute("DELETE FROM journal WHERE id = ?1", [&**old.id()])?;
            }
            new.map_or(Ok(()), |new| set_journal(connection, new.id(), new.end()))
        })
    }

    /// Runs `work` in one transaction that is the only one to write.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Scratch) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let run = |sql| self.connection.prepare_cached(sql)?.execute([]);
        run("BEGIN IMMEDIATE")?;
        let done = work(&self.connection, &mut self.scratch).and_then(|done| run("COMMIT").map(|_| done));
        if done.is_err() && !self.connection.is_autocommit() {
            // The first error is the one to report; a connection that cannot roll back either is closed by the caller.
            let _ = run("ROLLBACK");
        }
        if done.is_err() {
            self.scratch.forget();
        }
        done
    }

    /// The row with that number, if the log still has it.
    pub(super) fn hash_of(&self, seq: u64) -> rusqlite::Result<Option<Sha256>> {
        let mut statement = self.connection.prepare_cached("SELECT hash FROM log WHERE seq = ?1")?;
        statement.query_row([as_sql(seq)], |row| digest(row, 0)).optional()
    }
}

/// The last row, or what the chain begins after when there is none.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Link> {
    let mut last = connection.prepare_cached("SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1")?;
    match last.query_row([], link).optional()? {
        Some(link) => Ok(link),
        None => origin(connection),
    }
}

/// How much of a journal is in the chain; none when the log does not know it.
pub(super) fn journal(connection: &Connection, id: &str) -> rusqlite::Result<Option<Place>> {
    let mut statement = connection.prepare_cached("SELECT rows, bytes FROM journal WHERE id = ?1")?;
    statement.query_row([id], |row| Ok(Place { rows: number(row, 0)?, bytes: number(row, 1)? })).optional()
}

/// The journals that the log knows.
pub(super) fn journals(connection: &Connection) -> rusqlite::Result<Vec<(String, Place)>> {
    if version(connection)? == (APPLICATION, 1) {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare("SELECT id, rows, bytes FROM journal ORDER BY id")?;
    let rows =
        statement.query_map([], |row| Ok((row.get(0)?, Place { rows: number(row, 1)?, bytes: number(row, 2)? })))?;
    rows.collect()
}

fn set_journal(connection: &Connection, id: &str, place: Place) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO journal VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute(params![id, as_sql(place.rows), as_sql(place.bytes)]).map(drop)
}

/// What the chain begins after.
pub(super) fn origin(connection: &Connection) -> rusqlite::Result<Link> {
    connection.prepare_cached("SELECT seq, hash FROM origin")?.query_row([], link)
}

fn link(row: &Row<'_>) -> rusqlite::Result<Link> {
    Ok(Link { seq: number(row, 0)?, hash: digest(row, 1)? })
}

/// A row of [`COLUMNS`], with the two hashes that stand in it.
pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<(Stored, Sha256, Sha256)> {
    let text = |column| row.get::<_, String>(column);
    let maybe = |column| row.get::<_, Option<String>>(column);
    let stored = Stored {
        seq: number(row, 0)?,
        event: text(1)?.into(),
        at: row.get(2)?,
        tenant_id: text(3)?,
        run_id: text(4)?,
        actor: text(5)?,
        tool: text(6)?,
        pack: text(7)?.into(),
        pack_version: text(8)?.into(),
        pack_hash: text(9)?.into(),
        interface_hash: text(10)?.into(),
        input_hash: text(11)?,
        outcome: maybe(12)?.map(Into::into),
        error_type: maybe(13)?.map(Into::into),
        duration_us: row.get(14)?,
        auth: text(15)?.into(),
        egress: text(16)?.into(),
        decision: maybe(17)?,
        isolation: text(18)?.into(),
        args: maybe(19)?,
    };
    Ok((stored, digest(row, 20)?, digest(row, 21)?))
}

pub(super) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Sha256> {
    row.get(column).map(Sha256::from_bytes)
}

/// SQLite's integers have a sign. A number below zero, which rig never writes, is no place in the chain.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

pub(super) fn as_sql(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// Opens the file for reading; none when there is no file.
pub(super) fn open_to_read(path: &Path) -> Result<Option<Connection>, AuditError> {
    let wrong = |error: &rusqlite::Error| AuditError::read(path, error);
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(AuditError::Read { path: path.to_owned(), why: error.to_string() }),
        // A file that was made, but not yet filled by whoever is about to write the first row.
        Ok(metadata) if metadata.len() == 0 => return Ok(None),
        Ok(_) => {}
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(|error| wrong(&error))?;
    connection.busy_timeout(PATIENCE).map_err(|error| wrong(&error))?;
    match settled_version(&mut connection).map_err(|error| wrong(&error))? {
        (APPLICATION, 1 | VERSION) => Ok(Some(connection)),
        (0, 0) if is_blank(&connection).map_err(|error| wrong(&error))? => Ok(None),
        other => Err(unknown(path, other)),
    }
}

/// Whether another connection holds the lock that is needed.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether the file is not what SQLite left there.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(
            error,
            rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..)
                | rusqlite::Error::QueryReturnedNoRows
        )
        // A table or a column that is not there.
        || error.sqlite_error_code() == Some(ErrorCode::Unknown)
}

/// The log names who did what: the file is for its owner only, and SQLite gives its companions the same mode.
fn create(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn configure(connection: &mut Connection, wal_pages: &Arc<AtomicU64>) -> rusqlite::Result<()> {
    // A process that ends must not wait for the disk: what is in the write-ahead log is committed.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let wal_pages = Arc::clone(wal_pages);
    // In the place of SQLite's own hook, which would make a checkpoint on the thread that answers a call.
    connection.wal_hook(Some(move |_: &mut _, pages: std::ffi::c_int| {
        wal_pages.store(u64::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
        Ok(())
    }))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// The file beside the log that new rows are in.
pub(super) fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Puts everything that is committed on the disk. A row is in the write-ahead log, or a checkpoint moved it, which itself syncs both
/// files first: so the former is enough. The folder is synced because the file may be new.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(wal_path(path))?.sync_data()?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
