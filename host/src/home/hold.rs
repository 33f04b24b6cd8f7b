//! Files that are in use while others would remove them. Who uses a file has it open under a shared lock; who removes one takes the
//! lock alone first, looks again at what speaks for keeping it, and removes it while holding that lock. So a file that was got hold
//! of is there until it is let go, by the end of the process at the latest.
//!
//! How old a file is counts from when it was last used, which its time of change says to the day.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, SystemTime},
};

/// A file that was used more recently than that is not marked again: a call of a tool is to cost no write.
const MARK: Duration = Duration::from_hours(24);

/// Opens a file so that it is not removed as long as it stays open. Nothing when there is none.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn hold(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        lock_shared(&file);
        // It may have been removed, or replaced, between opening and locking.
        if file.metadata()?.nlink() > 0 {
            return Ok(Some(file));
        }
    }
}

/// Some file systems have no locks; there a file's age must do.
fn lock_shared(file: &File) {
    while file.lock_shared().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
}

/// Marks a file as used today.
pub(crate) fn mark(file: &File) {
    let marked = file.metadata().and_then(|metadata| metadata.modified());
    if marked.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > MARK)) {
        // A file of somebody else cannot be marked, nor will it be removed.
        let _ = file.set_modified(SystemTime::now());
    }
}

/// What came of taking a file alone.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Nobody else uses it, and none will begin to while this is open.
    Alone(File),
    /// As far as one can tell: there are no locks here.
    Unlocked(File),
    /// Somebody uses it.
    InUse,
    /// It is not there any more, or something else has its name.
    Gone,
}

/// Takes a file alone, in order to remove it. `seen` is what it was when it was chosen.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn take(path: &Path, seen: &fs::Metadata) -> io::Result<Taken> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Taken::Gone),
        Err(error) => return Err(error),
    };
    let locked = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => return Ok(Taken::InUse),
        Err(TryLockError::Error(_)) => false,
    };
    // Whoever replaces a file holds the one that is there, so that the name stands for this file as long as the lock is held.
    let same = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino()) == (seen.dev(), seen.ino());
    let there = fs::symlink_metadata(path).is_ok_and(|now| now.is_file() && same(&now));
    Ok(match there && same(&file.metadata()?) {
        false => Taken::Gone,
        true if locked => Taken::Alone(file),
        true => Taken::Unlocked(file),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_not_taken_and_what_is_taken_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert!(hold(&path).unwrap().is_none());
        fs::write(&path, "x").unwrap();
        let seen = fs::symlink_metadata(&path).unwrap();
        let both = (hold(&path).unwrap().unwrap(), hold(&path).unwrap().unwrap());
        assert!(matches!(take(&path, &seen).unwrap(), Taken::InUse));
        drop(both);
        let taken = take(&path, &seen).unwrap();
        assert!(matches!(taken, Taken::Alone(_)), "{taken:?}");
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || hold(&path).unwrap()
        });
        fs::remove_file(&path).unwrap();
        drop(taken);
        assert!(waiting.join().unwrap().is_none(), "a file that was removed meanwhile is not held");
    }

    #[test]
    fn what_was_replaced_meanwhile_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "old").unwrap();
        let seen = fs::symlink_metadata(&path).unwrap();
        fs::write(folder.path().join("new"), "new").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        assert!(matches!(take(&path, &seen).unwrap(), Taken::Gone));
        // Nor is what a link leads to, even when it is the very file that was seen.
        fs::rename(&path, folder.path().join("target")).unwrap();
        std::os::unix::fs::symlink("target", &path).unwrap();
        let target = fs::metadata(&path).unwrap();
        assert!(matches!(take(&path, &target).unwrap(), Taken::Gone));
        fs::remove_file(folder.path().join("target")).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(matches!(take(&path, &target).unwrap(), Taken::Gone));
    }

    #[test]
    fn use_is_marked_once_a_day() {
        let file = tempfile::tempfile().unwrap();
        for (hours, marked) in [(0, false), (23, false), (25, true), (24 * 400, true)] {
            let before = SystemTime::now() - Duration::from_hours(hours);
            file.set_modified(before).unwrap();
            mark(&file);
            assert_eq!(file.metadata().unwrap().modified().unwrap() > before, marked, "{hours} hours");
        }
    }
}
