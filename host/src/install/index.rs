//! Reads the pack index: from the network with a copy in `.rig/cache` that is good for a day, from a file of this machine, or from the
//! program itself, which is the index of a project that names none. A signed one is read as [`trust`](super::trust) says. What
//! an index says is believed about where a pack is and which hash it has; what a pack asks for is read from the pack itself.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rig_specs::{
    index::{API_VERSION, Index},
    lock::{self, Origin},
};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{
    Options, bundle,
    net::{self, Body, Downloader, NetError},
    oci,
    source::{self, SourceError},
    trust::{Fault, Standing, TrustError, client::Client},
};
use crate::{home::Home, project::Project, words::plain};

mod cache;
mod error;
mod signed;

use cache::{Cache, Copy};
pub use error::IndexError;

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
    /// Where it is, resolved: what tells one index from another.
    pub url: Url,
    /// A sentence to be shown when the index is older than it should be.
    pub warning: Option<String>,
    /// Who vouches for it.
    pub standing: Standing,
}

impl LoadedIndex {
    /// What is noted about a pack from here.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin { index: self.location.clone(), standing: self.standing.kind() }
    }

    /// Whether a pack with that origin is from this index. An index that nobody signs any more is not the one that was signed.
    pub(super) fn is_origin(&self, project: &Project, origin: &Origin) -> bool {
        let same = locate(&origin.index, project.root()).is_ok_and(|url| url == self.url);
        same && (origin.standing != lock::Standing::Signed || self.standing.kind() == lock::Standing::Signed)
    }
}

/// Reads the index of a project, or the one that the options name.
///
/// # Errors
/// When there is none, or it is not sound, or not to be trusted.
pub(super) async fn load(
    downloader: &dyn Downloader,
    home: &Home,
    project: &Project,
    options: &Options,
) -> Result<LoadedIndex, IndexError> {
    let given = options.index_url.as_deref();
    let (text, folder) = match (given, project.config().index.url.as_deref()) {
        (Some(text), _) => (text, options.cwd.as_path()),
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
    let loaded = |found: Found| LoadedIndex {
        index: found.index,
        location,
        url: url.clone(),
        base: found.base,
        warning: found.warning,
        standing: found.standing,
    };
    if url.scheme() == bundle::SCHEME {
        let (bytes, base) = fetch(downloader, &url).await?;
        return Ok(loaded(Found { index: parse(&bytes, &url)?, base, warning: None, standing: Standing::Bundled }));
    }
    let of_project = project.config().index.url.as_deref().and_then(|text| locate(text, project.root()).ok());
    let trusted = if of_project.as_ref() == Some(&url) { &*project.config().index.trusted_keys } else { &[] };
    // Plain http is spoken to this machine only.
    let local = matches!(url.scheme(), "file" | "http");
    let client = Client { downloader, home, url: &url, trusted, trust: &options.trust, local, now: Timestamp::now() };
    let cache = Cache { folder: project.state_dir().join("cache"), root: project.root() };
    let cache = (url.scheme() != "file").then_some(cache);
    let found = if client.is_expected()? {
        signed::load(&client, cache.as_ref(), options.mode).await?
    } else {
        unsigned(&client, cache.as_ref(), options.mode).await?
    };
    Ok(loaded(found))
}

/// What was found at the place of an index.
struct Found {
    index: Index,
    base: Url,
    warning: Option<String>,
    standing: Standing,
}

/// Reads an index that nobody expects to be signed. If it is, it is read as such.
async fn unsigned(client: &Client<'_>, cache: Option<&Cache<'_>>, mode: Mode) -> Result<Found, IndexError> {
    let url = client.url;
    let found = |index, base, warning| Found { index, base, warning, standing: Standing::Unsigned };
    let Some(cache) = cache else {
        if client.is_signed().await? {
            return signed::load(client, None, mode).await;
        }
        let (bytes, base) = fetch(client.downloader, url).await?;
        return Ok(found(parse(&bytes, url)?, base, None));
    };
    let may_be_unsigned = client.local || client.trust.allow_unsigned;
    let copy = if mode == Mode::Refresh || !may_be_unsigned { None } else { cache.read(url)? };
    match (mode, copy) {
        (Mode::Cached | Mode::Offline, Some(copy)) if copy.is_fresh() => {
            Ok(found(parse(&copy.bytes, url)?, copy.base, None))
        }
        (Mode::Offline, Some(copy)) => {
            let warning = format!("working offline with the index of {}, which may be out of date", copy.fetched_at);
            Ok(found(parse(&copy.bytes, url)?, copy.base, Some(warning)))
        }
        (Mode::Offline, None) => Err(IndexError::NoCopy { url: url.clone() }),
        (_, copy) => {
            // Who said that it need not be signed is not asked to believe in keys either.
            if !client.trust.allow_unsigned && client.is_signed().await? {
                return signed::load(client, Some(cache), mode).await;
            }
            if !may_be_unsigned {
                return Err(TrustError::new(url, Fault::Unsigned).into());
            }
            match (fetch(client.downloader, url).await, copy) {
                (Ok((bytes, base)), _) => {
                    let index = parse(&bytes, url)?;
                    cache.write(url, &base, &bytes);
                    Ok(found(index, base, None))
                }
                (Err(IndexError::Net(error)), Some(copy)) if is_passing(&error) => {
                    let warning = stale(&error, &copy);
                    Ok(found(parse(&copy.bytes, url)?, copy.base, Some(warning)))
                }
                (Err(error), _) => Err(error),
            }
        }
    }
}

fn stale(error: &NetError, copy: &Copy) -> String {
    format!("{error}; using the index of {}, which may be out of date", copy.fetched_at)
}

/// Whether a failure says nothing about the index itself.
fn is_passing(error: &NetError) -> bool {
    matches!(error, NetError::Failed { .. } | NetError::Slow { .. } | NetError::Status { status: 429 | 500.., .. })
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
    if text.starts_with("oci:") {
        let why = "an index is a file of a web server; a registry holds packs, which an index may name";
        return Err(SourceError::Url { text: plain(text), why: why.into() });
    }
    if text.contains("://") {
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
        bundle::SCHEME => matches!(url.scheme(), "https" | bundle::SCHEME) || is_elsewhere(&url),
        "http" => matches!(url.scheme(), "https" | "http" | oci::SCHEME),
        _ => url.scheme() == "https" || is_elsewhere(&url),
    };
    if allowed {
        Ok(url)
    } else {
        Err(bad(format!("an index at {base} may not send rig to a `{}:` URL", url.scheme())))
    }
}

/// Whether a URL is of a registry that is not this machine.
fn is_elsewhere(url: &Url) -> bool {
    url.scheme() == oci::SCHEME && oci::Reference::parse(url.as_str()).is_ok_and(|reference| !reference.is_local())
}

/// The bytes of an index, and the URL that they came from in the end.
async fn fetch(downloader: &dyn Downloader, url: &Url) -> Result<(Vec<u8>, Url), IndexError> {
    let too_large = || IndexError::TooLarge { url: url.clone() };
    let download = net::open(downloader, url, false).await?;
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
    let (base, mut bytes) = (download.url.clone(), Vec::new());
    let mut body = Body::new(url, download);
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if (bytes.len() + chunk.len()) as u64 > MAX_INDEX {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, base))
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
