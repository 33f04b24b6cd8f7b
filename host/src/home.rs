//! The machine's folder of rig (`$RIG_HOME`): the store of components and the caches, shared by all projects of a user; which
//! projects those are ([`projects`]), and what of it is in use at this moment ([`hold`]). What is removed again is decided in
//! [`gc`](crate::gc).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::SystemTime,
};

use rig_specs::Sha256;

pub(crate) mod hold;
pub mod projects;

/// The folder and the places in it. Making the value touches nothing.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
    /// The components that this process uses, open and locked so that no other removes them.
    held: Arc<Mutex<BTreeMap<Sha256, File>>>,
}

impl Home {
    /// The home at a path that the caller chose.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root, held: Arc::default() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where components are, each named by the hex of its sha256.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.root.join("store").join("sha256")
    }

    /// Where the component with that digest is, if it is there.
    #[must_use]
    pub fn component(&self, digest: &Sha256) -> PathBuf {
        self.store().join(digest.hex())
    }

    /// Keeps a component in the store for as long as this process uses it: until it ends, or [`Home::release`] is called.
    pub(crate) fn keep(&self, digest: Sha256, held: File) {
        self.held().insert(digest, held);
    }

    /// Lets go of the components that this process does not use any more.
    pub(crate) fn release(&self, in_use: impl Fn(&Sha256) -> bool) {
        self.held().retain(|digest, _| in_use(digest));
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<Sha256, File>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is noted which projects use this folder.
    #[must_use]
    pub fn projects(&self) -> PathBuf {
        self.root.join("projects")
    }

    /// Where downloads wait until they are verified. On the store's file system, so that a rename moves them.
    #[must_use]
    pub fn staging(&self) -> PathBuf {
        self.root.join("store").join("staging")
    }

    /// Where compiled code is: private to the user, never filled from a pack.
    #[must_use]
    pub fn compiled(&self) -> PathBuf {
        self.root.join("cache").join("compiled")
    }

    /// Where what compiles packs is kept: the standard library, and the tools of other languages.
    #[must_use]
    pub fn toolchains(&self) -> PathBuf {
        self.root.join("cache").join("toolchains")
    }

    /// Where the folders of [`Home::build`] are.
    #[must_use]
    pub fn builds(&self) -> PathBuf {
        self.root.join("cache").join("cargo")
    }

    /// The file in such a folder that whoever builds there holds.
    pub(crate) const USED: &str = ".rig-used";

    /// Where cargo keeps what packs depend on once compiled, shared by all packs on that SDK. The folder is made; it stays for as long
    /// as the file is open.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn build(&self, sdk: &Sha256) -> io::Result<(PathBuf, File)> {
        let folder = self.builds().join(&sdk.hex()[..16]);
        let path = folder.join(Self::USED);
        loop {
            fs::create_dir_all(&folder)?;
            match fs::OpenOptions::new().create(true).append(true).open(&path) {
                // It was removed just now, which is seen once it is held.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => drop(opened?),
            }
            if let Some(used) = hold::hold(&path)? {
                used.set_modified(SystemTime::now())?;
                return Ok((folder, used));
            }
        }
    }

    /// Where the heads of audit logs are remembered: outside the projects whose logs they are about.
    #[must_use]
    pub fn anchors(&self) -> PathBuf {
        self.root.join("audit")
    }

    /// Where it is remembered what was seen of signed indexes: outside of what an index or a project can change.
    #[must_use]
    pub fn indexes(&self) -> PathBuf {
        self.root.join("indexes")
    }

    /// Where keys are that never leave this machine.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// Where the files of packs with storage are, one folder a project and pack.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.root.join("storage")
    }
}

/// A file with these bytes in a private folder, written whole. Its name must follow from its bytes: one that is there and right stays, so
/// that nothing changes under a process that reads it.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn keep(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let path = folder.join(name);
    if fs::read(&path).is_ok_and(|there| there == bytes) {
        return Ok(path);
    }
    private_dir(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(&path)?;
    Ok(path)
}

/// Makes a folder that only this user can enter, or checks that an existing one is such a folder.
///
/// # Errors
/// When the folder cannot be made, belongs to another user, or others can enter it and that cannot be changed.
pub fn private_dir(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for parent in missing.iter().filter_map(|folder| folder.parent()) {
        // What is put into a new folder survives a loss of power only together with the folder.
        let _ = File::open(parent).and_then(|parent| parent.sync_all());
    }
    let metadata = fs::metadata(path)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        // Made by an older umask: close it. This fails for a folder of somebody else, as it should.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    // Only root can enter a closed folder of somebody else, who could open it again.
    let own = own_id(path)?;
    if own != metadata.uid() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} belongs to another user (id {}, this is {own})", path.display(), metadata.uid()),
        ));
    }
    Ok(())
}

/// The id of the user that this process runs as. A new file has it; finding out that way, once, needs no call that the standard library
/// lacks, but a folder that can be written.
pub(crate) fn own_id(folder: &Path) -> io::Result<u32> {
    static OWN: OnceLock<u32> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(*own);
    }
    let own = tempfile::tempfile_in(folder)?.metadata()?.uid();
    Ok(*OWN.get_or_init(|| own))
}

/// The 32 random bytes in a file of a private folder, made when there is none. The file appears whole, for this user only, and is
/// never replaced: what was made with a key can be read again as long as it is there.
///
/// # Errors
/// When the file can be neither read nor made, or is not of that length.
pub fn private_key(folder: &Path, name: &str) -> io::Result<[u8; 32]> {
    match read_key(folder, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    private_dir(folder)?;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&bytes)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(folder.join(name)) {
        // Another process was faster: its key is the one.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => read_key(folder, name),
        Err(error) => Err(error.error),
        Ok(_) => {
            File::open(folder)?.sync_all()?;
            Ok(bytes)
        }
    }
}

/// The bytes of a key that is there already.
///
/// # Errors
/// When there is none, or it is not of the right length.
pub fn read_key(folder: &Path, name: &str) -> io::Result<[u8; 32]> {
    let path = folder.join(name);
    let bytes = fs::read(&path)?;
    <[u8; 32]>::try_from(&*bytes).map_err(|_| {
        let (path, length) = (path.display(), bytes.len());
        io::Error::new(io::ErrorKind::InvalidData, format!("the key in {path} has {length} bytes instead of 32"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_for_the_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| private_key(&path, "k").unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0] && *key != [0; 32]), "all got the same");
        assert_eq!(fs::metadata(path.join("k")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(private_key(&path, "other").unwrap(), keys[0]);
        fs::write(path.join("k"), "short").unwrap();
        let error = private_key(&path, "k").unwrap_err();
        assert_eq!(error.to_string(), format!("the key in {} has 5 bytes instead of 32", path.join("k").display()));
    }

    #[test]
    fn private_folders_are_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        private_dir(&path).unwrap();
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        private_dir(&path).unwrap();
        assert_eq!(mode(), 0o700);
    }

    #[test]
    fn folders_of_others_are_refused() {
        // `chown` needs root; as anybody else there is nothing to try.
        let folder = tempfile::tempdir().unwrap();
        if std::os::unix::fs::chown(folder.path(), Some(12345), None).is_ok() {
            let error = private_dir(folder.path()).unwrap_err();
            assert!(error.to_string().contains("belongs to another user (id 12345, this is 0)"), "{error}");
        }
    }
}
