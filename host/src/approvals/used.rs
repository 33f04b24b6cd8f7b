//! The marks of used tokens: an empty file for each decision, in the private folder outside the project. The file with the approvals
//! can be put back to what it was; the marks stay, and no token is used twice.
//!
//! A mark is needed for as long as the seal of its call says that it waits, which nobody can change.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{seal::Frame, store::State};
use crate::home::private_dir;

const FOLDER: &str = "used";
/// How long a mark is kept after its call expired, in microseconds: a week, more than a clock is ever put back.
const KEPT: i64 = 7 * 24 * 3600 * 1_000_000;

fn path(keys: &Path, frame: &Frame, decision: State) -> PathBuf {
    let name = format!("{}-{}.{}", frame.expires_at, frame.token_hash.hex(), decision.as_str());
    keys.join(FOLDER).join(name)
}

/// What was decided under a token.
pub(super) fn find(keys: &Path, frame: &Frame) -> io::Result<Option<State>> {
    for decision in [State::Approved, State::Denied] {
        if path(keys, frame, decision).try_exists()? {
            return Ok(Some(decision));
        }
    }
    Ok(None)
}

/// Marks a token as used; false when it was before. On the disk when this returns.
pub(super) fn mark(keys: &Path, frame: &Frame, decision: State) -> io::Result<bool> {
    let folder = keys.join(FOLDER);
    private_dir(&folder)?;
    if find(keys, frame)?.is_some() {
        return Ok(false);
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path(keys, frame, decision)) {
        Ok(_) => fs::File::open(folder)?.sync_all().map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes marks that are no longer needed. What cannot be removed is left for the next time.
pub(super) fn sweep(keys: &Path, now: i64) {
    let Ok(entries) = fs::read_dir(keys.join(FOLDER)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let expired = name.to_str().and_then(|name| name.split_once('-')?.0.parse::<i64>().ok());
        if expired.is_some_and(|expired| expired.saturating_add(KEPT) < now) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
