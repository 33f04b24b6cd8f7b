//! The cache of compiled code.
//!
//! Loading compiled code means running it, so a file is used only when all of this holds: it lies in a folder that only this user
//! can enter, its name is the digest of the component and of everything that shaped the code (engine version and settings), and
//! its first 32 bytes are the sha256 of that name and the rest. A file of other settings has another name and is simply not found.
//! A file of the right name with other bytes was changed after rig wrote it: it is refused, not repaired in silence. Nothing is
//! ever taken into this folder from a pack.

use std::{
    fs::File,
    hash::{Hash, Hasher},
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use rig_specs::Sha256;
use sha2::Digest as _;
use wasmtime::{Engine, component::Component};

use crate::home;

/// What the digest in a file starts with, so that it is never equal to a digest made for another purpose.
const DOMAIN: &[u8] = b"rig compiled component 1\0";

/// The length of the digest that stands before the code.
const HEADER: usize = 32;

/// Why a component could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bytes are no component that the engine accepts.
    #[error("the component does not compile: {0:#}")]
    Compile(wasmtime::Error),
    /// The component imports something that the sandbox does not have, or with other types.
    #[error("the component does not fit the sandbox: {0:#}")]
    Link(wasmtime::Error),
    /// A file of the cache was changed.
    #[error("the compiled code {} was changed: it should have {expected}, but has {found}", .path.display())]
    Tampered {
        /// The file.
        path: PathBuf,
        /// The digest that the file itself claims.
        expected: Sha256,
        /// The digest of what it holds.
        found: Sha256,
    },
    /// The folder is not private, or cannot be used.
    #[error("the cache of compiled code cannot be used: {}: {source}", .path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl LoadError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Compile(_) => "reinstall the pack; if that does not help, report it to the pack's author".into(),
            Self::Link(_) => {
                "the pack was built for another version of rig: look for a newer one with `rig info`".into()
            }
            Self::Tampered { path, .. } => format!(
                "nothing was run; remove the file and rig compiles it anew from the verified component: rm '{}'. Find out who \
                 wrote there: only your own programs can",
                path.display()
            ),
            Self::Folder { path, .. } => {
                format!("make {} a folder that belongs to you and that only you can enter (mode 0700)", path.display())
            }
        }
    }
}

/// A folder of compiled components for one engine.
pub(super) struct Cache {
    dir: PathBuf,
    engine_key: Sha256,
}

impl Cache {
    pub(super) fn new(dir: PathBuf, engine: &Engine) -> Self {
        Self { dir, engine_key: engine_key(engine) }
    }

    /// Takes the compiled form from the cache, or compiles and keeps it.
    pub(super) fn load(&self, engine: &Engine, digest: &Sha256, component: &[u8]) -> Result<Component, LoadError> {
        if let Some(component) = self.find(engine, digest)? {
            return Ok(component);
        }
        let path = self.path(digest);
        let compiled = Component::new(engine, component).map_err(LoadError::Compile)?;
        let code = compiled.serialize().map_err(LoadError::Compile)?;
        self.write(digest, &path, &code).map_err(|source| LoadError::Folder { path, source })?;
        Ok(compiled)
    }

    /// Takes the compiled form from the cache, if it is there.
    pub(super) fn find(&self, engine: &Engine, digest: &Sha256) -> Result<Option<Component>, LoadError> {
        let Some(file) = self.read(digest, &self.path(digest))? else { return Ok(None) };
        // SAFETY: the bytes are those that rig's own compiler wrote for this component and these settings: the digest that
        // covers both was just checked, over the same buffer, in a folder that only this user can write.
        #[allow(unsafe_code, reason = "the one place that loads compiled code; see the module's documentation")]
        let loaded = unsafe { Component::deserialize(engine, &file[HEADER..]) };
        Ok(loaded.ok())
    }

    /// Whether there is a compiled form, checked against its digest.
    pub(super) fn check(&self, digest: &Sha256) -> Result<bool, LoadError> {
        Ok(self.read(digest, &self.path(digest))?.is_some())
    }

    fn path(&self, digest: &Sha256) -> PathBuf {
        self.dir.join(format!("{}-{}.cwasm", digest.hex(), &self.engine_key.hex()[..16]))
    }

    fn read(&self, digest: &Sha256, path: &Path) -> Result<Option<Vec<u8>>, LoadError> {
        let folder_error = |source| LoadError::Folder { path: self.dir.clone(), source };
        let mut opened = match File::open(path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(folder_error(error)),
        };
        let mut file = Vec::new();
        opened.read_to_end(&mut file).map_err(folder_error)?;
        home::private_dir(&self.dir).map_err(folder_error)?;
        let found = self.seal(digest, file.get(HEADER..).unwrap_or_default());
        let expected =
            file.first_chunk().map_or_else(|| Sha256::from_bytes([0; 32]), |bytes| Sha256::from_bytes(*bytes));
        if found == expected {
            home::hold::mark(&opened);
            Ok(Some(file))
        } else {
            Err(LoadError::Tampered { path: path.to_owned(), expected, found })
        }
    }

    fn write(&self, digest: &Sha256, path: &Path, code: &[u8]) -> io::Result<()> {
        home::private_dir(&self.dir)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(self.seal(digest, code).as_bytes())?;
        file.write_all(code)?;
        // On disk before it has its name: a file that a power cut truncated would look changed.
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    fn seal(&self, digest: &Sha256, code: &[u8]) -> Sha256 {
        let mut hasher = sha2::Sha256::new();
        hasher.update(DOMAIN);
        hasher.update(self.engine_key.as_bytes());
        hasher.update(digest.as_bytes());
        hasher.update(code);
        Sha256::from_bytes(hasher.finalize().into())
    }
}

/// Over everything that shapes compiled code: wasmtime's own compatibility key, its version and ours.
fn engine_key(engine: &Engine) -> Sha256 {
    struct Feed(sha2::Sha256);
    impl Hasher for Feed {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            0
        }
    }
    let mut feed = Feed(sha2::Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut feed);
    feed.0.update(env!("CARGO_PKG_VERSION"));
    Sha256::from_bytes(feed.0.finalize().into())
}
