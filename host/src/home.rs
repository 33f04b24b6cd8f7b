//! The machine's folder of rig (`$RIG_HOME`): the store of components and the caches, shared by all projects of a user.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rig_specs::Sha256;

/// The folder and the places in it. Making the value touches nothing.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home at a path that the caller chose.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
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

    /// Where the heads of audit logs are remembered: outside the projects whose logs they are about.
    #[must_use]
    pub fn anchors(&self) -> PathBuf {
        self.root.join("audit")
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

/// Makes a folder that only this user can enter, or checks that an existing one is such a folder.
///
/// # Errors
/// When the folder cannot be made, belongs to another user, or others can enter it and that cannot be changed.
pub fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = fs::metadata(path)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        // Made by an older umask: close it. This fails for a folder of somebody else, as it should.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    // Only root can enter a closed folder of somebody else, who could open it again. A new file has the owner that this process
    // has; comparing needs no call that the standard library lacks.
    let own = tempfile::tempfile_in(path)?.metadata()?.uid();
    if own != metadata.uid() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} belongs to another user (id {}, this is {own})", path.display(), metadata.uid()),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
