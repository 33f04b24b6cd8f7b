//! Reads the pack index: from the network with a copy in `.rig/cache` that is good for a day, from a file of this machine, or from the
//! program itself, which is the index of a project that names none. What
//! an index says is believed about where a pack is and which hash it has; what a pack asks for is read from the pack itself.

use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use rig_specs::{
    Sha256,
    index::{API_VERSION, Index},
};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{
    bundle,
    net::{self, Downloader, NetError},
    source::{self, SourceError},
};
use crate::{project::Project, words::plain};

mod cache;

use cache::{Cache, Copy};

/// The largest index that is read. One entry takes about 1 KiB, so this is room for 30,000 packs.
pub const MAX_INDEX: u64 = 32 << 20;
/// How long a copy is used without asking again.
pub const FRESH: SignedDuration = SignedDuration::from_hours(24);

/// How an index is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// A copy that is fresh, else the network; an older copy when the network fails.
    #[default]
    Cached,
    /// The network, whatever there is.
    Refresh,
    /// A copy of any age.
    Offline,
}

/// An index that was read.
#[derive(Debug, Clone)]
pub struct LoadedIndex {
    /// What it says.
    pub index: Index,
    /// Where it is, as it is noted in `rig.lock`.
    pub location: String,
    /// What relative URLs in it are relative to.
    pub base: Url,
    /// A sentence to be shown when the index is older than it should be.
    pub warning: Option<String>,
}

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The project names none.
    #[error("no pack index is configured")]
    NotConfigured,
    /// Its place cannot be used.
    #[error(transparent)]
    Location(#[from] SourceError),
    /// It cannot be fetched.
    #[error(transparent)]
    Net(#[from] NetError),
    /// There is no copy to work offline with.
    #[error("there is no copy of the index {url} on this machine, and `--offline` was given")]
    NoCopy {
        /// The index.
        url: Url,
    },
    /// It is larger than any index.
    #[error("the index {url} is larger than {} MiB, the most that rig reads", MAX_INDEX >> 20)]
    TooLarge {
        /// The index.
        url: Url,
    },
    /// There is nothing in it.
    #[error("the index {url} is empty")]
    Empty {
        /// The index.
        url: Url,
    },
    /// It is a page for people.
    #[error("the index {url} is an HTML page, not JSON")]
    Html {
        /// The index.
        url: Url,
    },
    /// It is not JSON.
    #[error("the index {url} is not JSON: line {line}: {message}")]
    NotJson {
        /// The index.
        url: Url,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Something in it has the wrong shape.
    #[error("the index {url} is malformed: `{path}` (line {line}): {message}")]
    Shape {
        /// The index.
        url: Url,
        /// Where in the document.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// It is of a version that this rig does not know.
    #[error("the index {url} has api_version {found}; this rig reads {API_VERSION}")]
    ApiVersion {
        /// The index.
        url: Url,
        /// What it says.
        found: String,
    },
    /// The copy on this machine was changed.
    #[error("{} was changed: it should have {expected}, but has {found}", .path.display())]
    CopyChanged {
        /// The copy.
        path: PathBuf,
        /// The hash that it should have.
        expected: Sha256,
        /// The hash that it has.
        found: Sha256,
    },
    /// A URL in it cannot be used.
    #[error("the index names `{text}` as a place to fetch from: {why}")]
    Artifact {
        /// The URL as written.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

impl IndexError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotConfigured => Some(
                "set `index: { url: … }` in rig.yaml, or give `--index-url URL`; this rig carries no packs of its own"
                    .into(),
            ),
            Self::Location(error) => error.hint(),
            Self::Net(error) => error.hint(),
            Self::NoCopy { .. } => Some("run the command once without `--offline`".into()),
            Self::Html { .. } => {
                Some("check `index.url`: it must name the JSON file itself, not a page about it".into())
            }
            Self::Empty { .. } | Self::TooLarge { .. } | Self::NotJson { .. } | Self::Shape { .. } => {
                Some("check `index.url`, and tell whoever keeps the index".into())
            }
            Self::ApiVersion { .. } => Some("update rig".into()),
            Self::CopyChanged { .. } => Some("run the command with `--refresh`, which fetches the index again".into()),
            Self::Artifact { .. } => Some("tell whoever keeps the index".into()),
        }
    }
}

/// Reads the index of a project. `given` is that of `--index-url`, relative to `cwd` when it is a path.
///
/// # Errors
/// When there is none, or it is not sound.
pub async fn load(
    downloader: &dyn Downloader,
    project: &Project,
    given: Option<&str>,
    cwd: &Path,
    mode: Mode,
) -> Result<LoadedIndex, IndexError> {
    let (text, folder) = match (given, project.config().index.url.as_deref()) {
        (Some(text), _) => (text, cwd),
        (None, Some(text)) => (text, project.root()),
        (None, None) if downloader.bundle().is_some() => (bundle::LOCATION, project.root()),
        (None, None) => return Err(IndexError::NotConfigured),
    };
    let url = locate(text, folder)?;
    // A path of rig.yaml is noted as it stands there, so that the lock is the same on every machine.
    let location = match url.scheme() {
        bundle::SCHEME => bundle::LOCATION.to_owned(),
        _ if given.is_none() => text.to_owned(),
        _ => url.to_string(),
    };
    let loaded = |index, base, warning| LoadedIndex { index, location, base, warning };
    if matches!(url.scheme(), "file" | bundle::SCHEME) {
        let (bytes, base) = fetch(downloader, &url).await?;
        return Ok(loaded(parse(&bytes, &url)?, base, None));
    }
    let cache = Cache { folder: project.state_dir().join("cache"), root: project.root() };
    let copy = if mode == Mode::Refresh { None } else { cache.read(&url)? };
    let fresh = |copy: &Copy| {
        let age = Timestamp::now().duration_since(copy.fetched_at);
        (SignedDuration::ZERO..FRESH).contains(&age)
    };
    match (mode, copy) {
        (Mode::Cached | Mode::Offline, Some(copy)) if fresh(&copy) => {
            Ok(loaded(parse(&copy.bytes, &url)?, copy.base, None))
        }
        (Mode::Offline, Some(copy)) => {
            let warning = format!("working offline with the index of {}, which may be out of date", copy.fetched_at);
            Ok(loaded(parse(&copy.bytes, &url)?, copy.base, Some(warning)))
        }
        (Mode::Offline, None) => Err(IndexError::NoCopy { url }),
        (_, copy) => match (fetch(downloader, &url).await, copy) {
            (Ok((bytes, base)), _) => {
                let index = parse(&bytes, &url)?;
                cache.write(&url, &base, &bytes);
                Ok(loaded(index, base, None))
            }
            (Err(IndexError::Net(error)), Some(copy)) if is_passing(&error) => {
                let warning = format!("{error}; using the index of {}, which may be out of date", copy.fetched_at);
                Ok(loaded(parse(&copy.bytes, &url)?, copy.base, Some(warning)))
            }
            (Err(error), _) => Err(error),
        },
    }
}

/// Whether a failure says nothing about the index itself.
fn is_passing(error: &NetError) -> bool {
    matches!(error, NetError::Failed { .. } | NetError::Status { status: 429 | 500.., .. })
}

/// Where an index is: a URL, or a path relative to `folder`, of the file or of the folder that it is in.
///
/// # Errors
/// When the text is neither, or names a place that nothing is fetched from.
pub fn locate(text: &str, folder: &Path) -> Result<Url, SourceError> {
    if text == bundle::LOCATION {
        let bad = || SourceError::Url { text: plain(text), why: "it is no URL".into() };
        return bundle::index_url().ok_or_else(bad);
    }
    if text.contains("://") || text.starts_with("oci:") {
        return source::artifact_url(text);
    }
    let path = folder.join(text);
    let path = if path.is_dir() { path.join(rig_specs::index::FILE) } else { path };
    let path = std::path::absolute(path).ok().and_then(|path| Url::from_file_path(path).ok());
    path.ok_or_else(|| SourceError::Url { text: plain(text), why: "it is no usable path".into() })
}

/// The URL of an artifact, relative to its index. An index from the network never names a file of this machine, and one from
/// elsewhere never a service of this machine.
///
/// # Errors
/// [`IndexError::Artifact`].
pub fn artifact(base: &Url, text: &str) -> Result<Url, IndexError> {
    let bad = |why: String| IndexError::Artifact { text: plain(text), why };
    let url = base.join(text).map_err(|error| bad(error.to_string()))?;
    source::check_url(&url).map_err(bad)?;
    let allowed = match base.scheme() {
        "file" => true,
        bundle::SCHEME => matches!(url.scheme(), "https" | bundle::SCHEME),
        "http" => matches!(url.scheme(), "https" | "http"),
        _ => url.scheme() == "https",
    };
    if allowed {
        Ok(url)
    } else {
        Err(bad(format!("an index at {base} may not send rig to a `{}:` URL", url.scheme())))
    }
}

/// The bytes of an index, and the URL that they came from in the end.
async fn fetch(downloader: &dyn Downloader, url: &Url) -> Result<(Vec<u8>, Url), IndexError> {
    let too_large = || IndexError::TooLarge { url: url.clone() };
    let mut download = net::open(downloader, url, false).await?;
    if download
        .content_type
        .as_deref()
        .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
    {
        return Err(IndexError::Html { url: url.clone() });
    }
    if download.content_length.is_some_and(|length| length > MAX_INDEX) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = download.body.next().await {
        let chunk = chunk.map_err(|why| NetError::Failed { url: url.clone(), why, hint: None })?;
        if (bytes.len() + chunk.len()) as u64 > MAX_INDEX {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, download.url))
}

/// Reads and checks the bytes of an index.
///
/// # Errors
/// The first thing that is wrong with them.
pub fn parse(bytes: &[u8], url: &Url) -> Result<Index, IndexError> {
    let start = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match start {
        None => return Err(IndexError::Empty { url: url.clone() }),
        Some(b'<') => return Err(IndexError::Html { url: url.clone() }),
        Some(_) => {}
    }
    let message = |error: &serde_json::Error| {
        let text = error.to_string();
        plain(text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message))
    };
    // Version first: of another version, everything else may have another shape.
    let head: Head = serde_json::from_slice(bytes).map_err(|error| {
        let (url, line) = (url.clone(), error.line());
        if error.is_data() {
            return IndexError::Shape { url, path: ".".into(), line, message: message(&error) };
        }
        IndexError::NotJson { url, line, message: message(&error) }
    })?;
    if head.api_version.as_u64() != Some(API_VERSION.into()) {
        let found = if head.api_version.is_null() { "none".into() } else { plain(&head.api_version.to_string()) };
        return Err(IndexError::ApiVersion { url: url.clone(), found: found.chars().take(40).collect() });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| IndexError::Shape {
        url: url.clone(),
        path: plain(&error.path().to_string()),
        line: error.inner().line(),
        message: message(error.inner()),
    })
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    api_version: Value,
}

/// The time, in whole seconds.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
