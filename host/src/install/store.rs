//! The store: components of this machine, each under the hash of its bytes. A file gets here complete, by rename, and is read-only;
//! whoever reads it hashes it again, so that a byte changed on disk is never run.

use std::{
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

use crate::home::{Home, private_dir};

pub(super) mod parts;

/// The largest component that is installed or loaded. Components with a whole language runtime inside have about 20 MiB.
pub const MAX_COMPONENT: u64 = 256 << 20;
/// How old a file in staging must be to be taken for one that a crash left behind.
const STALE: Duration = Duration::from_hours(1);
/// How many threads sync files: a disk writes several in hardly more time than one.
const SYNCING: usize = 4;
/// The beginning of the names in staging; others are left alone.
const STAGED: &str = "fetch-";

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
    // Tells other processes that the file is in use. Where there are no locks, its age must do.
    let _ = file.as_file().try_lock();
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

/// Moves staged components into the store. Those that are there already are kept, if they are sound.
pub(super) fn put_all(home: &Home, staged: Vec<Staged>) -> Result<(), StoreError> {
    let new: Vec<Staged> = staged.into_iter().filter(|one| read(home, &one.sha256).is_err()).collect();
    let write = |sha256: &Sha256, source| StoreError::io("write", &home.component(sha256), source);
    let sync = |one: &Staged| {
        let file = one.file.as_file();
        file.set_permissions(Permissions::from_mode(0o444)).and_then(|()| file.sync_all())
    };
    let each = new.len().div_ceil(SYNCING).max(1);
    let sync_some =
        |some: &[Staged]| some.iter().try_for_each(|one| sync(one).map_err(|error| write(&one.sha256, error)));
    let sync_some = &sync_some;
    thread::scope(|scope| {
        let threads: Vec<_> = new.chunks(each).map(|some| scope.spawn(move || sync_some(some))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })?;
    if new.is_empty() {
        return Ok(());
    }
    for Staged { file, sha256 } in new {
        file.persist(home.component(&sha256)).map_err(|error| write(&sha256, error.error))?;
    }
    let store = home.store();
    File::open(&store).and_then(|folder| folder.sync_all()).map_err(|error| StoreError::io("write", &store, error))
}

/// The bytes of a component, hashed while they are read.
///
/// # Errors
/// When the component is missing, or is not what its name says.
pub fn read(home: &Home, digest: &Sha256) -> Result<Vec<u8>, StoreError> {
    let path = home.component(digest);
    let file = File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::Missing { path: path.clone() },
        _ => StoreError::io("read", &path, error),
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_COMPONENT + 1).read_to_end(&mut bytes).map_err(|error| StoreError::io("read", &path, error))?;
    let found = Sha256::of(&bytes);
    if found != *digest {
        return Err(StoreError::Corrupt { path, expected: *digest, found });
    }
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

    fn put(home: &Home, staged: Staged) -> Result<(), StoreError> {
        put_all(home, vec![staged])
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
