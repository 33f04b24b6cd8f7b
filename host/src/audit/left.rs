//! What journals hold that is not in the chain yet: rows of a gateway that runs, some milliseconds old, and rows of a process that was
//! killed. Readers move them into the chain first, so that a row that was committed is a row that is found.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    AuditError, anchor,
    anchor::Anchor,
    journal::{self, End, Left, Place},
    log::{self, Log},
};

/// Rows in one transaction, so that other processes get their turn.
const BATCH: u64 = 1000;

/// What is wrong with a journal: some rows of it may never get into the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// The log knows it, and it is not there.
    Missing(PathBuf),
    /// Its process has ended, and after so many rows something stands that is no row of this machine.
    Torn { path: PathBuf, rows: u64 },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => {
                write!(f, "{} is missing: rows in it that were not in the log yet are lost", path.display())
            }
            Self::Torn { path, rows } => write!(
                f,
                "{} was changed or torn after its row {rows}: what follows in it is not in the log",
                path.display()
            ),
        }
    }
}

/// Moves what journals hold into the chain.
///
/// # Errors
/// When the log cannot be read or written. What could be moved is in the chain then.
pub(super) fn take_in(path: &Path, anchors: &Path) -> Result<Vec<Finding>, AuditError> {
    let known = known(path)?;
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let mut findings = Vec::new();
    let key = anchor::key(anchors).map_err(|error| AuditError::write(anchors, error))?;
    let mut open: Option<Log> = None;
    for (id, place) in known {
        let read = |error| AuditError::Read { path: journal::path(path, &id), why: std::io::Error::to_string(&error) };
        let Some(left) = Left::open(path, &id, key.clone()).map_err(read)? else {
            // It may have ended properly since.
            if self::known(path)?.iter().any(|(known, _)| *known == id) {
                findings.push(Finding::Missing(journal::path(path, &id)));
            }
            continue;
        };
        let abandoned = left.is_abandoned();
        // Without asking for the lock of the log, which others need: mostly nothing waits.
        if !abandoned && left.rows(place, 1).next().map_err(read)?.is_none() {
            continue;
        }
        let log = match &mut open {
            Some(log) => log,
            None => open.insert(Log::open(path, &std::sync::Arc::default())?),
        };
        let mut anchor = Anchor::open(anchors, path).ok();
        let moved = move_all(log, &left, abandoned, anchor.as_mut());
        if let Some(rows) = moved.map_err(|error| AuditError::from_sqlite(path, &error))? {
            findings.push(Finding::Torn { path: left.path, rows });
        } else if abandoned {
            left.remove();
        }
    }
    Ok(findings)
}

fn known(path: &Path) -> Result<Vec<(String, Place)>, AuditError> {
    let Some(connection) = log::open_to_read(path)? else { return Ok(Vec::new()) };
    log::journals(&connection).map_err(|error| AuditError::read(path, &error))
}

/// Moves every row of a journal; after how many there is something that is no row, if its process has ended.
fn move_all(
    log: &mut Log,
    left: &Left,
    abandoned: bool,
    mut anchor: Option<&mut Anchor>,
) -> rusqlite::Result<Option<u64>> {
    loop {
        let moved = log.append_rest(left, u64::MAX, BATCH, abandoned)?;
        let Some((appended, place, end)) = moved else { return Ok(None) };
        if let Some(anchor) = &mut anchor {
            // The chain is whole without the note.
            let _ = anchor.advance(appended.before, appended.head, |seq| log.hash_of(seq).ok().flatten());
        }
        match end {
            End::All => return Ok(None),
            End::Torn => return Ok(abandoned.then_some(place.rows)),
            End::Enough => {}
        }
    }
}
