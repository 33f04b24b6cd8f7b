//! Fetches the metadata of an index and applies the rules of [`view`](super::view) to it. What is fetched is bounded in size before
//! it comes, and comes from the server that was named.

use jiff::Timestamp;
use rig_specs::{
    Sha256,
    index::{Index, WasmRelease},
    tuf::{METADATA, PublicKey, RoleName, TARGETS, TargetFile},
};
use url::Url;

use super::{
    Fault, Signed, Trust, TrustError,
    memory::{Current, Kept, Memory, Recalled},
    view::{self, Accepted, View},
};
use crate::{
    home::Home,
    install::{
        index::{IndexError, MAX_INDEX},
        net::{self, Body, Downloader, NetError},
    },
};

/// The largest root: some dozens of keys.
const MAX_ROOT: u64 = 512 << 10;
/// The largest timestamp: it names one file.
const MAX_TIMESTAMP: u64 = 16 << 10;
/// The largest snapshot: it names one file too, and may one day name more.
const MAX_SNAPSHOT: u64 = 1 << 20;
/// The largest list of targets. One takes about 200 bytes, so this is room for every release of a full index.
const MAX_TARGETS: u64 = 32 << 20;
/// How many roots are followed in one go. With a new root every week this is ten years.
const MAX_ROOTS: u32 = 512;
/// How often an update is begun again because another process was faster. More often, something is wrong.
const MAX_RACES: u32 = 8;

/// A signed index, or the way to it.
pub(in crate::install) struct Client<'a> {
    pub(in crate::install) downloader: &'a dyn Downloader,
    pub(in crate::install) home: &'a Home,
    pub(in crate::install) url: &'a Url,
    /// `index.trusted_keys` of the project, when this is its index.
    pub(in crate::install) trusted: &'a [PublicKey],
    pub(in crate::install) trust: &'a Trust,
    /// Whether it is a file, or served by this machine: then its keys are taken as they are at first.
    pub(in crate::install) local: bool,
    pub(in crate::install) now: Timestamp,
}

/// An index whose bytes are those that were signed.
pub(in crate::install) struct Verified {
    pub(in crate::install) bytes: Vec<u8>,
    pub(in crate::install) signed: Signed,
    pub(in crate::install) targets: Targets,
}

/// The files that were signed with an index.
pub(in crate::install) struct Targets(Accepted);

impl Client<'_> {
    fn memory(&self) -> Memory {
        Memory::of(self.home, self.url, self.trusted)
    }

    fn fault(&self, fault: Fault) -> IndexError {
        IndexError::Trust(TrustError::new(self.url, fault))
    }

    /// Whether the index must be signed: because keys were named, or because it was signed before.
    pub(in crate::install) fn is_expected(&self) -> Result<bool, IndexError> {
        Ok(!self.trusted.is_empty() || !self.trust.keys.is_empty() || self.recall()?.is_some())
    }

    fn recall(&self) -> Result<Option<Recalled>, IndexError> {
        self.memory().recall().map_err(|fault| self.fault(fault))
    }

    /// Whether bytes that were kept are the index that was seen last, and whether its signatures are still good.
    pub(in crate::install) fn recognise(&self, bytes: &[u8]) -> Result<Option<(Signed, bool)>, IndexError> {
        let Some(Recalled { view, current: Some(current) }) = self.recall()? else { return Ok(None) };
        let same = current.length == bytes.len() as u64 && current.sha256 == Sha256::of(bytes);
        Ok(same.then(|| (signed(&view, current.expires), current.expires > self.now)))
    }

    /// Whether the index says of itself that it is signed.
    pub(in crate::install) async fn is_signed(&self) -> Result<bool, IndexError> {
        let name = RoleName::Root.plain_file();
        match self.fetch(&place(METADATA, &name), &name, MAX_ROOT).await {
            Ok(_) => Ok(true),
            Err(IndexError::Net(error)) if is_absent(&error) => Ok(false),
            Err(_) if self.local => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Brings everything up to date and fetches the index.
    pub(in crate::install) async fn update(&self) -> Result<Verified, IndexError> {
        for _ in 0..MAX_RACES {
            if let Some(verified) = self.try_update().await? {
                return Ok(verified);
            }
        }
        let why = "other processes keep changing it".to_owned();
        Err(self.fault(Fault::Memory { path: self.home.indexes().display().to_string(), why }))
    }

    /// Nothing when another process saw something newer meanwhile.
    async fn try_update(&self) -> Result<Option<Verified>, IndexError> {
        let memory = self.memory();
        let recalled = self.recall()?;
        let known = recalled.is_some();
        let (mut view, before) = match recalled {
            Some(recalled) => (recalled.view, recalled.current),
            None => (self.begin().await?, None),
        };
        let fault = |fault| self.fault(fault);
        let keep = |view: &View, current: Option<Current>| {
            let kept = memory.keep(&Recalled { view: view.clone(), current }).map_err(fault)?;
            Ok::<_, IndexError>(kept == Kept::Written)
        };
        self.roots(&mut view).await?;
        let root_expires = view.root_expires(self.now).map_err(fault)?;
        let file = RoleName::Timestamp.file(0);
        let timestamp = match self.metadata(&file, MAX_TIMESTAMP).await {
            Err(IndexError::Net(error)) if known && is_absent(&error) => {
                return Err(fault(Fault::NoLongerSigned { file }));
            }
            other => other?,
        };
        let (snapshot, timestamp_expires) = view.timestamp(&timestamp, self.now).map_err(fault)?;
        // From here on no older timestamp is accepted, whatever becomes of the rest.
        if !keep(&view, before)? {
            return Ok(None);
        }
        let limit = snapshot.length.unwrap_or(MAX_SNAPSHOT).min(MAX_SNAPSHOT);
        let bytes = self.metadata(&RoleName::Snapshot.file(snapshot.version), limit).await?;
        let (targets, snapshot_expires) = view.snapshot(&bytes, &snapshot, self.now).map_err(fault)?;
        let limit = targets.length.unwrap_or(MAX_TARGETS).min(MAX_TARGETS);
        let bytes = self.metadata(&RoleName::Targets.file(targets.version), limit).await?;
        let mut accepted = view.targets(&bytes, &targets, self.now).map_err(fault)?;
        accepted.expires = accepted.expires.min(root_expires).min(timestamp_expires).min(snapshot_expires);

        let name = self.url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
        let target = accepted.targets.get(name).ok_or_else(|| fault(Fault::NotSigned { file: name.to_owned() }))?;
        let (sha256, length) = (target.hashes.sha256, target.length);
        let bytes = self.target(name, target).await?;
        let current = Current { sha256, length, expires: accepted.expires };
        if !keep(&view, Some(current))? {
            return Ok(None);
        }
        let signed = signed(&view, accepted.expires);
        Ok(Some(Verified { bytes, signed, targets: Targets(accepted) }))
    }

    /// The root that trust begins with.
    async fn begin(&self) -> Result<View, IndexError> {
        let fault = |fault| self.fault(fault);
        let newest = RoleName::Root.plain_file();
        let bytes = match self.metadata(&newest, MAX_ROOT).await {
            Err(IndexError::Net(error)) if is_absent(&error) => return Err(fault(Fault::Unsigned)),
            other => other?,
        };
        let envelope = view::parse(&bytes, &newest).map_err(fault)?;
        let trusted = if self.trusted.is_empty() { &self.trust.keys } else { self.trusted };
        if trusted.is_empty() {
            let view = View::new(envelope, &newest).map_err(fault)?;
            if self.local {
                return Ok(view);
            }
            let (keys, threshold) = (view.root.keys_of(RoleName::Root), view.root.threshold(RoleName::Root));
            return Err(fault(Fault::FirstUse { keys, threshold }));
        }
        match View::anchored(envelope, &newest, trusted) {
            // The keys may be those of the first root, from which every newer one is reached.
            Err(wrong @ Fault::WrongKeys { .. }) => {
                let first = RoleName::Root.file(1);
                let Ok(bytes) = self.metadata(&first, MAX_ROOT).await else { return Err(fault(wrong)) };
                let envelope = view::parse(&bytes, &first).map_err(fault)?;
                View::anchored(envelope, &first, trusted).map_err(|_| fault(wrong))
            }
            other => other.map_err(fault),
        }
    }

    /// Follows the roots to the newest.
    async fn roots(&self, view: &mut View) -> Result<(), IndexError> {
        for _ in 0..MAX_ROOTS {
            let file = RoleName::Root.file(view.root.version.saturating_add(1));
            match self.metadata(&file, MAX_ROOT).await {
                Ok(bytes) => view.next_root(&bytes).map_err(|fault| self.fault(fault))?,
                Err(IndexError::Net(error)) if is_absent(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let file = RoleName::Root.file(view.root.version);
        Err(self.fault(Fault::Malformed { file, why: format!("more than {MAX_ROOTS} roots follow each other") }))
    }

    async fn metadata(&self, file: &str, limit: u64) -> Result<Vec<u8>, IndexError> {
        self.fetch(&place(METADATA, file), file, limit).await
    }

    async fn target(&self, name: &str, target: &TargetFile) -> Result<Vec<u8>, IndexError> {
        let expected = target.length;
        if expected > MAX_INDEX {
            return Err(IndexError::TooLarge { url: self.url.clone() });
        }
        let hashed = format!("{}.{name}", target.hashes.sha256.hex());
        let bytes = self.fetch(&place(TARGETS, &hashed), name, expected).await?;
        let (file, found) = (name.to_owned(), bytes.len() as u64);
        if found != expected {
            return Err(self.fault(Fault::Length { file, expected, found }));
        }
        let (expected, found) = (target.hashes.sha256, Sha256::of(&bytes));
        if found != expected {
            return Err(self.fault(Fault::Hash { file, expected, found }));
        }
        Ok(bytes)
    }

    /// Reads a file beside the index, up to a limit.
    async fn fetch(&self, path: &str, file: &str, limit: u64) -> Result<Vec<u8>, IndexError> {
        let malformed = |why: String| self.fault(Fault::Malformed { file: file.to_owned(), why });
        let url = self.url.join(path).map_err(|error| malformed(error.to_string()))?;
        let download = net::open(self.downloader, &url, false).await?;
        if (download.url.scheme(), download.url.host_str(), download.url.port_or_known_default())
            != (url.scheme(), url.host_str(), url.port_or_known_default())
        {
            let place = download.url.host_str().unwrap_or_default();
            let port = download.url.port().map(|port| format!(":{port}")).unwrap_or_default();
            return Err(self.fault(Fault::Elsewhere { file: file.to_owned(), place: format!("{place}{port}") }));
        }
        let too_large = || self.fault(Fault::TooLarge { file: file.to_owned(), limit });
        if download.content_length.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let mut body = Body::new(&url, download);
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

impl Targets {
    /// Each release that lies beside the index must be among the signed files, with the digest and size that the index gives.
    /// Releases that are only elsewhere are known by the digest in the signed index alone.
    pub(in crate::install) fn check(&self, url: &Url, index: &Index) -> Result<(), TrustError> {
        let releases =
            index.packs.values().filter_map(|pack| pack.wasm.as_ref()).flat_map(|wasm| wasm.versions.values());
        for release in releases {
            for file in beside(release) {
                let fault = match self.0.targets.get(file) {
                    None => Fault::NotSigned { file: file.to_owned() },
                    Some(target) if target.hashes.sha256 != release.sha256 || target.length != release.size => {
                        Fault::Disagrees { file: file.to_owned() }
                    }
                    Some(_) => continue,
                };
                return Err(TrustError::new(url, fault));
            }
        }
        Ok(())
    }
}

/// The places of a release that lie beside the index.
pub(crate) fn beside(release: &WasmRelease) -> impl Iterator<Item = &str> {
    release.urls.iter().map(String::as_str).filter(|url| !url.contains(':') && !url.starts_with('/'))
}

fn place(folder: &str, file: &str) -> String {
    // The `./` keeps a name with a colon in it from being read as a URL.
    format!("./{folder}/{file}")
}

fn signed(view: &View, expires: Timestamp) -> Signed {
    Signed {
        root: view.root.version,
        version: view.seen.timestamp,
        expires,
        keys: view.root.keys_of(RoleName::Root),
        threshold: view.root.threshold(RoleName::Root),
    }
}

/// Whether a server says that there is no such file. Some say so with 403, when folders cannot be listed.
fn is_absent(error: &NetError) -> bool {
    match error {
        NetError::Status { status, .. } => matches!(status, 403 | 404 | 410),
        NetError::Failed { url, .. } => url.scheme() == "file" && url.to_file_path().is_ok_and(|path| !path.exists()),
        NetError::Offline { .. } | NetError::Slow { .. } | NetError::Registry(_) => false,
    }
}
