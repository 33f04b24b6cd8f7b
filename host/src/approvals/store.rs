//! The SQLite file with the approvals: rows, their states, and the one transition that decides who of many is the one. Knows nothing
//! of what is sealed.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rig_specs::Sha256;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, TransactionBehavior, params};

use super::seal::Frame;

/// How long one process waits for another: many may decide at once, each with a write to the disk.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long decided and expired rows are kept, in microseconds: a week, to say what became of a token.
const KEPT: i64 = 7 * 24 * 3600 * 1_000_000;
/// Written into the file's header, so that no other database is taken for this one.
const APPLICATION: i64 = 0x7269_6770;
const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE approval (
    token_hash BLOB PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'denied', 'expired')),
    requested_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, tenant_id TEXT NOT NULL, sealed BLOB NOT NULL,
    decided_by TEXT, decided_at INTEGER
) STRICT;
CREATE INDEX approval_by_state ON approval (state, requested_at);
";

const COLUMNS: &str = "token_hash, state, requested_at, expires_at, tenant_id, sealed";

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Approved,
    Denied,
    Expired,
}

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "waiting" => Self::Waiting,
            "approved" => Self::Approved,
            "denied" => Self::Denied,
            // The table holds no fifth.
            _ => Self::Expired,
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) frame: Frame,
    pub(super) state: State,
    pub(super) sealed: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    path: PathBuf,
    /// Device and inode: a file that was moved away or replaced is opened anew.
    identity: (u64, u64),
}

/// Why a decision was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecideError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the token cannot be marked as used: {0}")]
    Mark(#[from] io::Error),
}

impl Store {
    /// Opens the file, and makes it when it is not there. The error is for people.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        create(path).map_err(|error| text(&error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(|error| text(&error))?;
        if !prepare(&mut connection).map_err(|error| text(&error))? {
            return Err("it is a database of another program or of a newer rig".into());
        }
        let identity = identity(path).map_err(|error| text(&error))?;
        Ok(Self { connection, path: path.to_owned(), identity })
    }

    pub(super) fn is_current(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }

    /// Adds a row that waits; false when there are too many. Removes what is long over.
    pub(super) fn insert(&mut self, frame: &Frame, sealed: &[u8], limit: u64) -> rusqlite::Result<bool> {
        let now = frame.requested_at;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        expire(&transaction, now)?;
        let over = "DELETE FROM approval WHERE state <> 'waiting' AND coalesce(decided_at, expires_at) < ?1";
        transaction.execute(over, [now.saturating_sub(KEPT)])?;
        let count = "SELECT count(*) FROM approval WHERE state = 'waiting'";
        let waiting: i64 = transaction.query_row(count, [], |row| row.get(0))?;
        let has_room = u64::try_from(waiting).is_ok_and(|waiting| waiting < limit);
        if has_room {
            let Frame { token_hash, tenant_id, requested_at, expires_at } = frame;
            transaction.execute(
                "INSERT INTO approval VALUES (?1, 'waiting', ?2, ?3, ?4, ?5, NULL, NULL)",
                params![token_hash.as_bytes(), requested_at, expires_at, tenant_id, sealed],
            )?;
        }
        transaction.commit()?;
        Ok(has_room)
    }

    /// The rows that wait, oldest first.
    pub(super) fn waiting(&mut self, tenant: Option<&str>, now: i64) -> rusqlite::Result<Vec<Kept>> {
        self.expire_if_needed(now)?;
        let sql = format!(
            "SELECT {COLUMNS} FROM approval WHERE state = 'waiting' AND (?1 IS NULL OR tenant_id = ?1) ORDER BY requested_at, token_hash"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        statement.query_map([tenant], kept)?.collect()
    }

    /// The row of a token.
    pub(super) fn find(&mut self, hash: &Sha256, now: i64) -> rusqlite::Result<Option<Kept>> {
        let sql = format!("SELECT {COLUMNS} FROM approval WHERE token_hash = ?1");
        let found = self.connection.prepare_cached(&sql)?.query_row([hash.as_bytes()], kept).optional()?;
        match found {
            Some(mut kept) if kept.state == State::Waiting && kept.frame.expires_at <= now => {
                // Written down, so that a clock that is put back does not let it wait again.
                self.expire_if_needed(now)?;
                kept.state = State::Expired;
                Ok(Some(kept))
            }
            found => Ok(found),
        }
    }

    /// Decides, once and for all: true for the one caller who does. `mark` must agree, and is asked last.
    pub(super) fn decide(
        &mut self,
        frame: &Frame,
        decision: State,
        by: &str,
        now: i64,
        mark: impl FnOnce() -> io::Result<bool>,
    ) -> Result<bool, DecideError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // What was asked for is not kept for longer than it is needed.
        let changed = transaction.execute(
            "UPDATE approval SET state = ?1, decided_by = ?2, decided_at = ?3, sealed = x'' \
             WHERE token_hash = ?4 AND state = 'waiting' AND expires_at > ?3 AND expires_at = ?5",
            params![decision.as_str(), by, now, frame.token_hash.as_bytes(), frame.expires_at],
        )?;
        if changed != 1 || !mark()? {
            return Ok(false);
        }
        transaction.commit()?;
        Ok(true)
    }

    fn expire_if_needed(&mut self, now: i64) -> rusqlite::Result<()> {
        let sql = "SELECT EXISTS (SELECT 1 FROM approval WHERE state = 'waiting' AND expires_at <= ?1)";
        if self.connection.prepare_cached(sql)?.query_row([now], |row| row.get(0))? {
            expire(&self.connection, now)?;
        }
        Ok(())
    }
}

fn expire(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE approval SET state = 'expired', sealed = x'' WHERE state = 'waiting' AND expires_at <= ?1";
    connection.execute(sql, [now]).map(drop)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let frame = Frame {
        token_hash: Sha256::from_bytes(row.get(0)?),
        requested_at: row.get(2)?,
        expires_at: row.get(3)?,
        tenant_id: row.get(4)?,
    };
    Ok(Kept {
        frame,
        state: State::parse(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?),
        sealed: row.get(5)?,
    })
}

/// For the owner only, with what SQLite puts beside it.
fn create(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// False when the file is not ours.
fn prepare(connection: &mut Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(PATIENCE)?;
    // What a decision says is on the disk when it is told: no approval comes back after a loss of power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    let version = |connection: &Connection| -> rusqlite::Result<(i64, i64)> {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0));
        Ok((pragma("application_id")?, pragma("user_version")?))
    };
    if version(connection)? == (APPLICATION, VERSION) {
        return Ok(true);
    }
    let blank = |connection: &Connection| {
        connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get::<_, bool>(0))
    };
    if version(connection)? != (0, 0) || !blank(connection)? {
        return Ok(version(connection)? == (APPLICATION, VERSION));
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    if version(&transaction)? == (0, 0) {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    Ok(version(connection)? == (APPLICATION, VERSION))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}
