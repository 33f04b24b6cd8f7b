//! The copy of an index in `.rig/cache`, with a description of where it came from and when. Both are sealed: a changed byte is
//! refused, not believed. How old a copy may be is not decided here.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use rig_specs::Sha256;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::{FRESH, IndexError, MAX_INDEX, now};
use crate::project;

/// The copy of an index in a project.
pub(super) struct Cache<'a> {
    pub(super) folder: PathBuf,
    pub(super) root: &'a Path,
}

/// A copy that is what its description says.
pub(super) struct Copy {
    pub(super) bytes: Vec<u8>,
    pub(super) base: Url,
    pub(super) fetched_at: Timestamp,
}

impl Copy {
    /// Whether it is used without asking again. One from the future, when a clock was wrong, is not.
    pub(super) fn is_fresh(&self) -> bool {
        let age = Timestamp::now().duration_since(self.fetched_at);
        (SignedDuration::ZERO..FRESH).contains(&age)
    }
}

/// What is known about the copy.
#[derive(Serialize, Deserialize)]
pub(super) struct Meta {
    /// What was asked for.
    url: String,
    /// Where it came from in the end, after redirects.
    pub(super) base: String,
    /// RFC 3339, UTC.
    pub(super) fetched_at: String,
    sha256: Sha256,
    /// Of the canonical JSON of everything else here: a copy does not become fresh, or another server's, by a changed byte.
    digest: Sha256,
}

impl Meta {
    fn seal(&self) -> Sha256 {
        let Self { url, base, fetched_at, sha256, digest: _ } = self;
        Sha256::of_json(&json!({ "url": url, "base": base, "fetched_at": fetched_at, "sha256": sha256 }))
    }

    pub(super) fn sealed(self) -> Self {
        Self { digest: self.seal(), ..self }
    }
}

impl Cache<'_> {
    fn index(&self) -> PathBuf {
        self.folder.join("pack_index.json")
    }

    fn meta(&self) -> PathBuf {
        self.folder.join("pack_index.meta.json")
    }

    /// The copy of that index. Without its description, or with one that cannot be read, there is none.
    pub(super) fn read(&self, url: &Url) -> Result<Option<Copy>, IndexError> {
        let held = project::hold_shared(self.root);
        let found = self.read_once(url);
        // In a project where nothing was ever changed there is nothing to hold. The first change may have begun while the files were
        // read: then they are read again, and held.
        match held.is_none().then(|| project::hold_shared(self.root)).flatten() {
            Some(_held) => self.read_once(url),
            None => found,
        }
    }

    fn read_once(&self, url: &Url) -> Result<Option<Copy>, IndexError> {
        let meta = fs::read(self.meta()).ok().and_then(|bytes| serde_json::from_slice::<Meta>(&bytes).ok());
        let Some(meta) = meta else { return Ok(None) };
        let found = meta.seal();
        if found != meta.digest {
            return Err(IndexError::CopyChanged { path: self.meta(), expected: meta.digest, found });
        }
        if meta.url != url.as_str() {
            return Ok(None);
        }
        let Ok(fetched_at) = meta.fetched_at.parse() else { return Ok(None) };
        // A copy is always of the network, and has no more rights than that.
        let base = Url::parse(&meta.base).ok().filter(|base| base.scheme() == url.scheme());
        let Some(base) = base else { return Ok(None) };
        let path = self.index();
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MAX_INDEX) {
            return Err(IndexError::TooLarge { url: url.clone() });
        }
        let Ok(bytes) = fs::read(&path) else { return Ok(None) };
        let found = Sha256::of(&bytes);
        if found != meta.sha256 {
            return Err(IndexError::CopyChanged { path, expected: meta.sha256, found });
        }
        Ok(Some(Copy { bytes, base, fetched_at }))
    }

    /// Keeps a copy. A project that cannot be written works without.
    pub(super) fn write(&self, url: &Url, base: &Url, bytes: &[u8]) {
        let write = || -> io::Result<()> {
            let Some(_held) = project::hold_exclusive(self.root) else { return Ok(()) };
            fs::create_dir_all(&self.folder)?;
            let meta = Meta {
                url: url.to_string(),
                base: base.to_string(),
                fetched_at: now().to_string(),
                sha256: Sha256::of(bytes),
                digest: Sha256::from_bytes([0; 32]),
            };
            let meta = meta.sealed();
            // The description last: a crash in between leaves a copy that nobody describes, not one that looks changed.
            let _ = fs::remove_file(self.meta());
            replace(&self.index(), bytes)?;
            replace(&self.meta(), &serde_json::to_vec_pretty(&meta)?)
        };
        let _ = write();
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(file.path(), bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
