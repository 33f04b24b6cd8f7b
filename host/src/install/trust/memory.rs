//! What rig remembers of a signed index: its root, and the newest versions that were seen. In rig's home, where nobody who only
//! changes the index or the project comes to. One file an index and set of trusted keys, replaced in one step; a process that lost a
//! race finds out and begins again with what the other one saw.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rig_specs::{
    Sha256,
    tuf::{Envelope, PublicKey, RoleName, Root},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{
    Fault,
    view::{Seen, View},
};
use crate::home::{self, Home};

/// The memory of one index.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    url: String,
    trusted: Vec<PublicKey>,
}

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    /// The index.
    url: String,
    /// The keys of `rig.yaml` that trust began with; none when a person confirmed the index's own.
    trusted_keys: Vec<PublicKey>,
    root: Envelope,
    seen: Seen,
    /// What the last complete look at the index came to.
    current: Option<Current>,
    /// Of everything else here: shows a damaged file, which is refused rather than forgotten.
    digest: Option<Sha256>,
}

/// The index that the newest accepted metadata names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Current {
    pub(super) sha256: Sha256,
    pub(super) length: u64,
    /// When one of the files that led to it expires.
    #[serde(with = "text")]
    pub(super) expires: Timestamp,
}

/// What was recalled.
#[derive(Debug, Clone)]
pub(super) struct Recalled {
    pub(super) view: View,
    pub(super) current: Option<Current>,
}

/// What came of keeping something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Written,
    /// Another process saw something newer meanwhile; nothing was written.
    Overtaken,
}

impl Memory {
    pub(super) fn of(home: &Home, url: &Url, trusted: &[PublicKey]) -> Self {
        let mut trusted = trusted.to_vec();
        trusted.sort_unstable();
        trusted.dedup();
        let mut name = url.to_string();
        for key in &trusted {
            name.push('\n');
            name += &key.to_string();
        }
        let path = home.indexes().join(format!("{}.json", Sha256::of(name.as_bytes()).hex()));
        Self { path, url: url.to_string(), trusted }
    }

    /// What is known, if anything is.
    pub(super) fn recall(&self) -> Result<Option<Recalled>, Fault> {
        let Some(stored) = read(&self.path).map_err(|why| self.fault(why))? else { return Ok(None) };
        let file = RoleName::Root.plain_file();
        let mut view = View::new(stored.root, &file)?;
        view.seen = stored.seen;
        Ok(Some(Recalled { view, current: stored.current }))
    }

    /// Keeps what was seen, unless something newer is there.
    pub(super) fn keep(&self, recalled: &Recalled) -> Result<Kept, Fault> {
        let fail = |error: io::Error| self.fault(error.to_string());
        let folder = self.path.parent().unwrap_or(Path::new("."));
        home::private_dir(folder).map_err(fail)?;
        let _held = hold(&self.path).map_err(fail)?;
        if let Some(other) = self.recall()?
            && overtaken(&recalled.view, &other.view)
        {
            return Ok(Kept::Overtaken);
        }
        let stored = Stored {
            url: self.url.clone(),
            trusted_keys: self.trusted.clone(),
            root: recalled.view.envelope.clone(),
            seen: recalled.view.seen,
            current: recalled.current.clone(),
            digest: None,
        };
        let stored = Stored { digest: Some(stored.compute_digest()), ..stored };
        let text = serde_json::to_vec_pretty(&stored).map_err(|error| self.fault(error.to_string()))?;
        // Nothing new is most of what there is to keep.
        if fs::read(&self.path).ok().as_deref() != Some(&text) {
            replace(&self.path, &text).map_err(fail)?;
        }
        Ok(Kept::Written)
    }

    fn fault(&self, why: String) -> Fault {
        Fault::Memory { path: self.path.display().to_string(), why }
    }
}

impl Stored {
    fn compute_digest(&self) -> Sha256 {
        let bare = Self { digest: None, ..self.clone() };
        Sha256::of_json(&serde_json::to_value(&bare).unwrap_or(Value::Null))
    }
}

/// Whether another process has seen something that this one has not: a newer root, or under the same root a newer file.
fn overtaken(mine: &View, other: &View) -> bool {
    match other.root.version.cmp(&mine.root.version) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => {
            other.envelope.signed != mine.envelope.signed
                || other.seen.timestamp > mine.seen.timestamp
                || other.seen.snapshot > mine.seen.snapshot
                || other.seen.targets > mine.seen.targets
        }
    }
}

fn read(path: &Path) -> Result<Option<Stored>, String> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| error.to_string())?,
    };
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let found = stored.compute_digest();
    if stored.digest != Some(found) {
        return Err(format!("it was changed: its content has {found}"));
    }
    Ok(Some(stored))
}

/// Held while the file changes. The lock file stays: removing it would let two in.
fn hold(path: &Path) -> io::Result<File> {
    let lock = path.with_extension("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(lock)?;
    file.lock()?;
    Ok(file)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // Versions that were seen must not come back after a crash of the machine.
    File::open(folder)?.sync_all()
}

/// An index that is remembered, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Known {
    /// The index.
    pub url: String,
    /// The keys of `rig.yaml` that trust began with; none when the index's own were confirmed.
    pub trusted_keys: Vec<PublicKey>,
    /// The version of its root.
    pub root: u64,
    /// The keys that sign roots.
    pub root_keys: Vec<PublicKey>,
    /// How many of them must sign.
    pub threshold: u32,
    /// The newest timestamp that was seen.
    pub version: u64,
    /// When the signatures must have been renewed.
    pub expires: Option<String>,
}

/// A time as it is written everywhere.
mod text {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The signed indexes that this machine has used, by URL.
///
/// # Errors
/// When one of them cannot be read.
pub fn known(home: &Home) -> Result<Vec<Known>, Fault> {
    let mut all = Vec::new();
    for path in files(home) {
        let fault = |why| Fault::Memory { path: path.display().to_string(), why };
        let Some(stored) = read(&path).map_err(fault)? else { continue };
        let root: Root = stored.root.read(RoleName::Root).map_err(fault)?;
        all.push(Known {
            url: stored.url,
            trusted_keys: stored.trusted_keys,
            root: root.version,
            root_keys: root.keys_of(RoleName::Root),
            threshold: root.threshold(RoleName::Root),
            version: stored.seen.timestamp,
            expires: stored.current.map(|current| current.expires.to_string()),
        });
    }
    all.sort_by(|a, b| (&a.url, &a.trusted_keys).cmp(&(&b.url, &b.trusted_keys)));
    Ok(all)
}

/// Forgets an index, in all of its forms. Says how many there were.
///
/// # Errors
/// When a file cannot be removed.
pub fn forget(home: &Home, url: &Url) -> Result<usize, Fault> {
    let mut forgotten = 0;
    for path in files(home) {
        // A damaged file says its URL too, or it could never be got rid of.
        let text = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let is_it = text.is_none_or(|text| text.get("url").and_then(Value::as_str) == Some(url.as_str()));
        if is_it {
            let fault = |error: io::Error| Fault::Memory { path: path.display().to_string(), why: error.to_string() };
            let _held = hold(&path).map_err(fault)?;
            fs::remove_file(&path).map_err(fault)?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

fn files(home: &Home) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.indexes()).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests;
