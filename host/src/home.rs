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

    /// Where the files of packs with storage are, one folder a project and pack.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.root.join("storage")
    }
}

/// Makes a folder that only this user can enter, or checks that an existing one is such a folder.
///
/// # Errors
/// When the folder cannot be made, belongs to another user, or others can write in it.
pub fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = fs::metadata(path)?;
    let parent_owner = path.parent().and_then(|parent| fs::metadata(parent).ok()).map(|m| m.uid());
    if metadata.permissions().mode() & 0o077 != 0 {
        // Made by an older umask: close it. This fails for a folder of somebody else, as it should.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    if parent_owner.is_some_and(|owner| owner != metadata.uid()) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} belongs to another user than the folder around it", path.display()),
        ));
    }
    Ok(())
}
