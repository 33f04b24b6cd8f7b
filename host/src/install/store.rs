//! The store: components of this machine, each under the hash of its bytes. A file gets here complete, by rename, and is read-only;
//! whoever reads it hashes it again, so that a byte changed on disk is never run. What a process put here or read stays until the
//! process ends, whatever `rig gc` thinks of it ([`hold`]).

use std::{
    collections::BTreeSet,
    fs::{self, File, Permissions},
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    panic::resume_unwind,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use rig_specs::Sha256;
use tempfile::NamedTempFile;

use crate::home::{Home, hold, private_dir, projects};

pub(crate) mod parts;

/// The largest component that is installed or loaded. Components with a whole language runtime inside have about 20 MiB.
pub const MAX_COMPONENT: u64 = 256 << 20;
/// How old a file in staging must be to be taken for one that a crash left behind.
pub(crate) const STALE: Duration = Duration::from_hours(1);
/// How many threads sync files: a disk writes several in hardly more time than one.
const SYNCING: usize = 4;
/// The beginning of the names in staging; others are left alone.
pub(crate) const STAGED: &str = "fetch-";

/// Why a component cannot be put into the store or read from it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The component is not there.
    #[error("{} is missing", .path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// The bytes have another hash than the name says.
    #[error("{} was changed: it should have {expected}, but has {found}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The hash that it should have.
        expected: Sha256,
        /// The hash that it has.
        found: Sha256,
    },
    /// The store cannot be used.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl StoreError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("run `rig install`, which fetches what rig.lock names".into()),
            Self::Corrupt { .. } => Some("run `rig install`, which fetches the file again".into()),
            Self::Io { .. } => None,
        }
    }

    /// Whether fetching the component again mends it.
    #[must_use]
    pub fn is_repairable(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Corrupt { .. })
    }
}

/// A complete file in staging whose bytes have that hash. Dropping it removes it.
#[derive(Debug)]
pub struct Staged {
    pub(super) file: NamedTempFile,
    pub(super) sha256: Sha256,
}

impl Staged {
    /// A file in staging that is complete. Its hash was computed while it was written.
    #[cfg(test)]
    pub(crate) fn of(file: NamedTempFile, sha256: Sha256) -> Self {
        Self { file, sha256 }
    }

    /// The hash of its bytes.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Its bytes, hashed again: the file may have been changed since it was fetched.
    pub(super) fn read(&self) -> Result<Vec<u8>, StoreError> {
        let path = self.file.path();
        let bytes = fs::read(path).map_err(|error| StoreError::io("read", path, error))?;
        let found = Sha256::of(&bytes);
        if found == self.sha256 {
            return Ok(bytes);
        }
        Err(StoreError::Corrupt { path: path.to_path_buf(), expected: self.sha256, found })
    }
}

/// A new, empty file in staging; what a crash left there long ago is removed.
pub(super) fn stage(home: &Home) -> Result<NamedTempFile, StoreError> {
    let folder = home.staging();
    prepare(home)?;
    let new = tempfile::Builder::new().prefix(STAGED).tempfile_in(&folder);
    let file = new.map_err(|error| StoreError::io("write in", &folder, error))?;
    // Tells other processes that the file is in use, here and under its name in the store: there others may use it too. Where there
    // are no locks, its age must do.
    let _ = file.as_file().try_lock_shared();
    Ok(file)
}

/// Makes the folders, and removes from staging what crashes left there long ago.
pub(super) fn prepare(home: &Home) -> Result<(), StoreError> {
    for folder in [home.staging(), home.store()] {
        private_dir(&folder).map_err(|error| StoreError::io("use", &folder, error))?;
    }
    sweep(&home.staging());
    parts::sweep(&home.staging());
    Ok(())
}

/// Removes what a crash left in staging. Failing to is no reason to stop.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let stale = || {
            let name = entry.file_name();
            let modified = entry.metadata().ok().filter(fs::Metadata::is_file)?.modified().ok()?;
            let old = SystemTime::now().duration_since(modified).is_ok_and(|age| age > STALE);
            (old && name.to_str()?.starts_with(STAGED)).then(|| File::open(entry.path()).ok()?.try_lock().ok())?
        };
        if stale().is_some() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Moves a staged component into the store, as [`put_all`] does.
#[cfg(test)]
pub(crate) fn put(home: &Home, staged: Staged) -> Result<(), StoreError> {
    put_all(home, vec![staged])
}

/// Moves staged components into the store. Those that are there already are kept, if they are sound.
pub(super) fn put_all(home: &Home, staged: Vec<Staged>) -> Result<(), StoreError> {
    // Each once: a second one would wait for the first to be let go.
    let mut seen = BTreeSet::new();
    let is_new = |one: &Staged| seen.insert(one.sha256) && read(home, &one.sha256).is_err();
    let new: Vec<Staged> = staged.into_iter().filter(is_new).collect();
    if new.is_empty() {
        return Ok(());
    }
    let sync_some = |some: &[Staged]| some.iter().try_for_each(|one| make_durable(home, one));
    let sync_some = &sync_some;
    let (first, others) = new.split_at(new.len().div_ceil(SYNCING));
    thread::scope(|scope| {
        let each = first.len();
        let threads: Vec<_> = others.chunks(each).map(|some| scope.spawn(move || sync_some(some))).collect();
        sync_some(first)?;
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })?;
    let moved = new.into_iter().map(|one| move_in(home, one)).collect::<Result<Vec<_>, _>>()?;
    let folder = home.store();
    let synced = File::open(&folder).and_then(|folder| folder.sync_all());
    for (sha256, kept) in moved.into_iter().flatten() {
        // A part is held alone until it is in the store; there others use it too.
        let _ = kept.lock_shared();
        home.keep(sha256, kept);
    }
    synced.map_err(|error| StoreError::io("write", &folder, error))
}

fn make_durable(home: &Home, staged: &Staged) -> Result<(), StoreError> {
    let file = staged.file.as_file();
    let synced = file.set_permissions(Permissions::from_mode(0o444)).and_then(|()| file.sync_all());
    synced.map_err(|error| StoreError::io("write", &home.component(&staged.sha256), error))
}

/// The file in the store. Nothing when another process was faster and what it put there is sound.
fn move_in(home: &Home, staged: Staged) -> Result<Option<(Sha256, File)>, StoreError> {
    let Staged { mut file, sha256 } = staged;
    let path = home.component(&sha256);
    let write = |source| StoreError::io("write", &path, source);
    while read(home, &sha256).is_err() {
        // What is there is damaged. It is held while it is replaced: nobody removes what takes its place, thinking it the old one.
        let damaged = hold::hold(&path).map_err(write)?;
        let moved = if damaged.is_some() { file.persist(&path) } else { file.persist_noclobber(&path) };
        match moved {
            Ok(kept) => return Ok(Some((sha256, kept))),
            // Another process was faster; what it put there is looked at.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => file = error.file,
            Err(error) => return Err(write(error.error)),
        }
    }
    Ok(None)
}

/// Notes that a project uses the store, before it comes to need anything there.
pub(super) fn used_by(home: &Home, project: &Path) -> Result<(), StoreError> {
    projects::note(home, project).map_err(|error| StoreError::io("write in", &home.projects(), error))
}

/// The bytes of a component, hashed while they are read.
///
/// # Errors
/// When the component is missing, or is not what its name says.
pub fn read(home: &Home, digest: &Sha256) -> Result<Vec<u8>, StoreError> {
    let path = home.component(digest);
    let held = hold::hold(&path).map_err(|error| StoreError::io("read", &path, error))?;
    let file = held.ok_or_else(|| StoreError::Missing { path: path.clone() })?;
    let mut bytes = Vec::new();
    (&file).take(MAX_COMPONENT + 1).read_to_end(&mut bytes).map_err(|error| StoreError::io("read", &path, error))?;
    let found = Sha256::of(&bytes);
    if found != *digest {
        return Err(StoreError::Corrupt { path, expected: *digest, found });
    }
    hold::mark(&file);
    home.keep(*digest, file);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("rig"));
        (folder, home)
    }

    fn staged(home: &Home, bytes: &[u8]) -> Staged {
        let mut file = stage(home).unwrap();
        file.write_all(bytes).unwrap();
        Staged { file, sha256: Sha256::of(bytes) }
    }

    #[test]
    fn components_are_kept_read_only_under_their_hash() {
        let (_folder, home) = home();
        let digest = Sha256::of(b"bytes");
        assert!(matches!(read(&home, &digest), Err(StoreError::Missing { .. })));
        put(&home, staged(&home, b"bytes")).unwrap();
        put(&home, staged(&home, b"bytes")).unwrap();
        assert_eq!(read(&home, &digest).unwrap(), b"bytes");
        let mode = fs::metadata(home.component(&digest)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
        assert_eq!(fs::read_dir(home.staging()).unwrap().count(), 0);
    }

    #[test]
    fn several_at_once_and_the_same_twice() {
        let (_folder, home) = home();
        let bytes: Vec<Vec<u8>> = (0..9).map(|number| vec![number; 100]).collect();
        let all = bytes.iter().chain(&bytes[..3]).map(|bytes| staged(&home, bytes)).collect();
        put_all(&home, all).unwrap();
        assert!(bytes.iter().all(|bytes| read(&home, &Sha256::of(bytes)).unwrap() == *bytes));
        assert_eq!(fs::read_dir(home.staging()).unwrap().count(), 0);
    }

    #[test]
    fn a_changed_byte_is_refused_and_mended_by_putting_it_again() {
        let (_folder, home) = home();
        let digest = Sha256::of(b"bytes");
        put(&home, staged(&home, b"bytes")).unwrap();
        let path = home.component(&digest);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, b"bytez").unwrap();
        let error = read(&home, &digest).unwrap_err();
        let found = Sha256::of(b"bytez");
        let expected = format!("{} was changed: it should have {digest}, but has {found}", path.display());
        assert_eq!((error.to_string(), error.is_repairable()), (expected, true));
        assert!(error.hint().unwrap().contains("rig install"));
        put(&home, staged(&home, b"bytes")).unwrap();
        assert_eq!(read(&home, &digest).unwrap(), b"bytes");
    }

    #[test]
    fn what_was_put_or_read_is_held_until_it_is_released() {
        let (_folder, one) = home();
        let digest = Sha256::of(b"bytes");
        put(&one, staged(&one, b"bytes")).unwrap();
        let path = one.component(&digest);
        let seen = fs::symlink_metadata(&path).unwrap();
        let in_use = || matches!(hold::take(&path, &seen).unwrap(), hold::Taken::InUse);
        assert!(in_use(), "by whoever put it there");
        let other = Home::new(one.root().to_path_buf());
        read(&other, &digest).unwrap();
        drop(one);
        assert!(in_use(), "by whoever read it");
        other.release(|held| *held == digest);
        assert!(in_use());
        other.release(|_| false);
        assert!(!in_use());
    }

    #[test]
    fn what_crashes_left_is_swept_and_nothing_else() {
        let (_folder, home) = home();
        let in_use = stage(&home).unwrap();
        let make = |name: &str, old: bool| {
            let file = File::create(home.staging().join(name)).unwrap();
            if old {
                file.set_modified(SystemTime::now() - 2 * STALE).unwrap();
            }
        };
        make("fetch-old", true);
        make("fetch-new", false);
        make("other", true);
        in_use.as_file().set_modified(SystemTime::now() - 2 * STALE).unwrap();
        let _fresh = stage(&home).unwrap();
        let exists = |name: &str| home.staging().join(name).exists();
        assert_eq!((exists("fetch-old"), exists("fetch-new"), exists("other")), (false, true, true));
        assert!(in_use.path().exists(), "a file that another process holds was removed");
    }
}
