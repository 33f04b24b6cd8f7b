//! For the maintainers of an index: a folder of static files that any web server serves, signed as The Update Framework says.
//!
//! ```text
//! pack_index.json                 the index, as people and `rig publish` change it
//! echo-1.0.0.wasm                 a component that it names
//! metadata/1.root.json …          who signs, and what was signed; the highest root stands in root.json too
//! metadata/timestamp.json         which snapshot is the newest: replaced last, and what readers ask for first
//! targets/<sha256>.<name>         the same index and components once more, under names that never change their content
//! ```
//!
//! - [`keys`] makes and reads the keys of signers. They are never in the folder.
//! - [`sign`] begins a signed index, and signs what changed in it.
//! - [`rotate`] changes who signs.
//! - [`check`] looks for what is wrong in an index; what a change to a community index must pass.
//! - [`serve`] serves a folder on this machine, to try it out.
//!
//! What readers accept is decided in [`install::trust`](crate::install::trust), and is asked there before anything is published.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use rig_specs::tuf::{NotCanonical, PublicKey, RoleName};

use crate::{author::publish::PublishError, install::trust::Fault};

pub mod check;
mod folder;
pub mod keys;
pub mod rotate;
pub mod serve;
pub mod sign;

/// Why an index was not changed. What readers see of it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// It is signed already.
    #[error("{} is a signed index already", .0.display())]
    Signed(PathBuf),
    /// It is not signed.
    #[error("{} is not a signed index: it has no {}", .0.display(), .0.join("metadata/root.json").display())]
    NotSigned(PathBuf),
    /// There are too few keys.
    #[error("`{role}` needs signatures of {needed} of its keys, and {found} are here")]
    MissingKeys {
        /// The role.
        role: RoleName,
        /// How many must sign.
        needed: u32,
        /// How many of its private keys were given.
        found: usize,
    },
    /// A new root would be unusable.
    #[error("the new root makes no sense: {0}")]
    BadRoot(String),
    /// A key that is to be removed is not there.
    #[error("`{role}` has no key {key}")]
    NoSuchKey {
        /// The role.
        role: RoleName,
        /// The key.
        key: PublicKey,
    },
    /// A root waits for signatures, and another change cannot begin before.
    #[error("the root {0} waits for signatures already")]
    Pending(u64),
    /// A component is not what the index says of it.
    #[error("{}: {why}", .path.display())]
    Component {
        /// The component.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The metadata of the folder is damaged.
    #[error("the metadata in {} cannot be used: {fault}", .path.display())]
    Metadata {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        fault: Fault,
    },
    /// Something cannot be signed.
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
    /// A key cannot be used.
    #[error("{} is not a key that rig can sign with: {why}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The index itself cannot be read or changed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A file cannot be read or written.
    #[error("{} cannot be {what}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl SignError {
    fn io(path: &Path, what: &'static str, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), what, source }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Signed(_) => {
                "sign what changed with `rig index sign`, or change who signs with `rig index rotate`".into()
            }
            Self::NotSigned(folder) => format!("begin one: rig index init {} --keys FOLDER", folder.display()),
            Self::MissingKeys { role, .. } => {
                format!("name every folder with private keys of `{role}` with `--keys`; it may be given several times")
            }
            Self::BadRoot(_) => "choose keys and a threshold that fit each other".into(),
            Self::NoSuchKey { .. } => "`rig index show FOLDER` lists the keys".into(),
            Self::Pending(_) => {
                "sign it first: rig index sign FOLDER --keys …; or remove the `.pending` file in `metadata`".into()
            }
            Self::Component { .. } => "publish the component again, or take it out: rig index remove".into(),
            Self::Metadata { .. } => "restore the folder `metadata` from where it was published".into(),
            Self::NotCanonical(_) => "take the number out".into(),
            Self::Key { .. } => "make one with `rig index key FILE`, readable for its owner only".into(),
            Self::Publish(error) => error.hint().unwrap_or_default(),
            Self::Io { .. } => "name a folder that you can write to".into(),
        }
    }
}

/// Puts a file where readers find it, in one step.
fn put(path: &Path, bytes: &[u8]) -> Result<(), SignError> {
    let write = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| SignError::io(path, "written", error))
}

/// The bytes of a file, if it is there.
fn get(path: &Path) -> Result<Option<Vec<u8>>, SignError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(|error| SignError::io(path, "read", error)),
    }
}
