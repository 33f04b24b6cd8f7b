//! The parts of components in staging that interrupted downloads left for the next one: how they are named and held, and when they are
//! given up. What is in them is the download's matter.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rig_specs::Sha256;

use super::{MAX_COMPONENT, STALE};

/// The beginning of their names; the hash that the whole must have follows.
pub(crate) const PART: &str = "part-";
/// The ending of the file beside each that says where its bytes are from.
const NOTE: &str = "json";
/// How long a part is kept. Whoever still wants it would have come by then.
pub(crate) const KEPT: Duration = Duration::from_hours(7 * 24);
/// The bytes of all parts that nobody works on: two of the largest components. The oldest go first.
const MOST: u64 = 2 * MAX_COMPONENT;
/// How often a file is opened that others take away at the same moment.
const TRIES: usize = 8;

/// Where the part of a component is.
pub(in crate::install) fn place(staging: &Path, sha256: &Sha256) -> PathBuf {
    staging.join(format!("{PART}{}", sha256.hex()))
}

/// Where it is noted what a part is from.
pub(in crate::install) fn note(part: &Path) -> PathBuf {
    part.with_extension(NOTE)
}

/// Opens a part, made when there is none, for this process alone. Nothing when another one has it, or that cannot be known here.
pub(in crate::install) fn hold(path: &Path) -> io::Result<Option<File>> {
    for _ in 0..TRIES {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        if is_at(&file, path) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Whether a file is still the one of that name. Whoever held it last may have moved it into the store, where nobody may write to it, or
/// thrown it away.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let there = fs::symlink_metadata(path).map(id);
    file.metadata().map(id).is_ok_and(|id| there.is_ok_and(|there| there == id))
}

/// Removes parts that are old, or more than are worth keeping, and notes without one. What a process works on stays.
pub(super) fn sweep(staging: &Path) {
    let Ok(entries) = fs::read_dir(staging) else { return };
    let mut parts = Vec::new();
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str().filter(|name| name.starts_with(PART)) else { continue };
        let Ok(metadata) = entry.metadata() else { continue };
        let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        let age = age.unwrap_or_default();
        if name.ends_with(NOTE) {
            if age > STALE && !path.with_extension("").exists() {
                let _ = fs::remove_file(path);
            }
        } else if metadata.is_file() {
            parts.push((age, metadata.len(), path));
        }
    }
    parts.sort();
    let mut bytes = 0;
    for (age, length, path) in parts {
        bytes += length;
        if age > KEPT || bytes > MOST || (length == 0 && age > STALE) {
            remove(&path);
        }
    }
}

/// Removes a part that nobody works on.
fn remove(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    if file.try_lock().is_ok() && is_at(&file, path) {
        let _ = fs::remove_file(note(path));
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_parts_go_and_those_in_use_stay() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, length: u64, age: Duration| {
            let path = folder.path().join(name);
            let file = File::create(&path).unwrap();
            file.set_len(length).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
            path
        };
        let old = KEPT + STALE;
        let in_use = hold(&make("part-used", 10, old)).unwrap().unwrap();
        in_use.set_modified(SystemTime::now() - old).unwrap();
        let gone = [
            make("part-old", 10, old),
            make("part-old.json", 10, old),
            make("part-lone.json", 10, 2 * STALE),
            make("part-empty", 0, 2 * STALE),
            // Sparse: nothing is written for it.
            make("part-third", MOST, 3 * STALE),
        ];
        let stay = [
            make("part-new", 10, Duration::ZERO),
            make("part-new.json", 10, 2 * STALE),
            make("part-second", MOST - 10, 2 * STALE),
            make("part-begun", 0, Duration::ZERO),
            make("other", 10, old),
            folder.path().join("part-used"),
        ];
        sweep(folder.path());
        assert_eq!(gone.iter().find(|path| path.exists()), None);
        assert_eq!(stay.iter().find(|path| !path.exists()), None);
    }

    #[test]
    fn a_part_that_was_moved_into_the_store_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part-x");
        let first = hold(&path).unwrap().unwrap();
        assert!(hold(&path).unwrap().is_none(), "held by another");
        // Opened before, locked after the move: what a second process does when the first one is just done.
        let late = File::open(&path).unwrap();
        fs::rename(&path, folder.path().join("stored")).unwrap();
        drop(first);
        assert!(late.try_lock().is_ok() && !is_at(&late, &path));
        let fresh = hold(&path).unwrap().unwrap();
        assert_ne!(fresh.metadata().unwrap().ino(), late.metadata().unwrap().ino());
    }
}
