//! Fetches a component to staging and hashes it in flight. What has another hash or size than expected is never kept.

use std::io::Write as _;

use bytes::Bytes;
use futures_util::StreamExt as _;
use rig_specs::Sha256;
use sha2::Digest as _;
use url::Url;

use super::{
    net::{self, Downloader, NetError},
    oci,
    store::{self, MAX_COMPONENT, Staged, StoreError},
};
use crate::home::Home;

/// What the bytes must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Their hash.
    pub sha256: Sha256,
    /// Their number, when the index says so.
    pub size: Option<u64>,
}

/// Why a component was not fetched. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There are no bytes.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The bytes have another hash.
    #[error("{url} is not what it should be: it should have {expected}, but has {found}")]
    Hash {
        /// Where the bytes came from.
        url: Url,
        /// The hash that they should have.
        expected: Sha256,
        /// The hash that they have.
        found: Sha256,
    },
    /// There are more or fewer bytes than there should be. They are not fetched to the end only to be hashed.
    #[error("{url} is not what it should be: it should have {sha256} and {expected} bytes, but has {found} bytes")]
    Size {
        /// Where the bytes came from.
        url: Url,
        /// The hash that they should have.
        sha256: Sha256,
        /// How many there should be.
        expected: u64,
        /// How many there are, or how many had come when the rest was refused.
        found: u64,
    },
    /// There are more bytes than any component has.
    #[error("{url} is larger than {} MiB, the most that rig installs", MAX_COMPONENT >> 20)]
    TooLarge {
        /// Where the bytes came from.
        url: Url,
    },
    /// There is no place to fetch from.
    #[error("the index names no place to fetch the component from")]
    NoPlace,
    /// The bytes cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes cannot be written.
    #[error("cannot write the download of {url}: {why}")]
    Write {
        /// Where the bytes came from.
        url: Url,
        /// Why.
        why: String,
    },
}

impl FetchError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Net(error) => error.hint(),
            Self::Hash { .. } | Self::Size { .. } => {
                Some("nothing was installed; run it again with `--refresh`, and if it stays so, tell the publisher of the pack".into())
            }
            Self::Store(error) => error.hint(),
            Self::Write { .. } => Some("check that there is space on the disk".into()),
            Self::TooLarge { .. } => Some("check what the URL names, and tell the publisher of the pack".into()),
            Self::NoPlace => Some("tell whoever keeps the index".into()),
        }
    }
}

/// How far a download is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// What is fetched: the id of a pack, or a URL.
    pub what: &'a str,
    /// How many bytes have come.
    pub received: u64,
    /// How many there will be, when that is known.
    pub total: Option<u64>,
}

/// Fetches from the first place that has the right bytes. Returns the place too.
///
/// # Errors
/// What went wrong in the last place; when bytes were wrong somewhere, that, because it matters more than a server that is down.
pub(super) async fn fetch(
    downloader: &dyn Downloader,
    home: &Home,
    urls: &[Url],
    expected: Expected,
    offline: bool,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<(Staged, Url), FetchError> {
    let mut worst = FetchError::NoPlace;
    for url in urls {
        match fetch_one(downloader, home, url, expected, offline, progress).await {
            Ok(fetched) => return Ok(fetched),
            Err(error @ (FetchError::Store(_) | FetchError::Write { .. })) => return Err(error),
            Err(error) if matches!(worst, FetchError::Net(_) | FetchError::NoPlace) => worst = error,
            Err(_) => {}
        }
    }
    Err(worst)
}

async fn fetch_one(
    downloader: &dyn Downloader,
    home: &Home,
    url: &Url,
    expected: Expected,
    offline: bool,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<(Staged, Url), FetchError> {
    let too_large = || FetchError::TooLarge { url: url.clone() };
    let wrong_size = |found| {
        let (url, size) = (url.clone(), expected.size.unwrap_or_default());
        FetchError::Size { url, sha256: expected.sha256, expected: size, found }
    };
    if expected.size.is_some_and(|size| size > MAX_COMPONENT) {
        return Err(too_large());
    }
    let mut download = net::open(downloader, url, offline).await?;
    match (download.content_length, expected.size) {
        (Some(found), Some(size)) if found != size => return Err(wrong_size(found)),
        (Some(found), None) if found > MAX_COMPONENT => return Err(too_large()),
        _ => {}
    }
    // What a tag named is noted by its digest; of other places the name counts, not where it led.
    let place = if url.scheme() == oci::SCHEME { download.url.clone() } else { url.clone() };
    let total = expected.size.or(download.content_length);
    let mut file = store::stage(home)?;
    let mut hasher = sha2::Sha256::new();
    let mut received = 0;
    while let Some(chunk) = download.body.next().await {
        let chunk: Bytes = chunk.map_err(|why| NetError::Failed { url: url.clone(), why, hint: None })?;
        received += chunk.len() as u64;
        if expected.size.is_some_and(|size| received > size) {
            return Err(wrong_size(received));
        }
        if received > MAX_COMPONENT {
            return Err(too_large());
        }
        hasher.update(&chunk);
        file.write_all(&chunk).map_err(|error| FetchError::Write { url: url.clone(), why: error.to_string() })?;
        progress(received, total);
    }
    let found = Sha256::from_bytes(hasher.finalize().into());
    if found != expected.sha256 {
        return Err(FetchError::Hash { url: url.clone(), expected: expected.sha256, found });
    }
    if expected.size.is_some_and(|size| size != received) {
        return Err(wrong_size(received));
    }
    Ok((Staged { file, sha256: found }, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::net::fake::{Fake, run};
    use std::fs;

    struct Setup {
        folder: tempfile::TempDir,
        home: Home,
        net: Fake,
    }

    fn setup() -> Setup {
        let folder = tempfile::tempdir().unwrap();
        Setup { home: Home::new(folder.path().join("rig")), folder, net: Fake::default() }
    }

    impl Setup {
        fn fetch(&self, urls: &[&str], expected: Expected) -> Result<(Staged, Url), FetchError> {
            let urls: Vec<Url> = urls.iter().map(|url| url.parse().unwrap()).collect();
            run(fetch(&self.net, &self.home, &urls, expected, false, &|_, _| {}))
        }

        fn staging_is_empty(&self) -> bool {
            fs::read_dir(self.home.staging()).is_ok_and(|mut entries| entries.next().is_none())
        }
    }

    fn of(bytes: &[u8]) -> Expected {
        Expected { sha256: Sha256::of(bytes), size: Some(bytes.len() as u64) }
    }

    #[test]
    fn mirrors_are_tried_in_order_and_files_work() {
        let setup = setup();
        setup.net.set("https://b/x", 503, "");
        setup.net.set("https://c/x", 200, "bytes");
        let (staged, url) = setup.fetch(&["https://a/x", "https://b/x", "https://c/x"], of(b"bytes")).unwrap();
        assert_eq!((staged.sha256(), url.as_str()), (Sha256::of(b"bytes"), "https://c/x"));
        let path = setup.folder.path().join("x.wasm");
        fs::write(&path, "bytes").unwrap();
        let url = Url::from_file_path(&path).unwrap();
        assert!(setup.fetch(&[url.as_str()], of(b"bytes")).is_ok());
        drop(staged);
        assert!(setup.staging_is_empty());
    }

    #[test]
    fn wrong_bytes_are_never_kept() {
        let setup = setup();
        setup.net.set("https://a/x", 200, "evilx");
        setup.net.set("https://a/long", 200, "bytesbytes");
        setup.net.set("https://a/short", 200, "byte");
        let cut = vec![Ok(Bytes::from("by")), Err("connection reset".into())];
        setup.net.set_answer("https://a/cut", (200, None, cut));
        let (wanted, evil) = (Sha256::of(b"bytes"), Sha256::of(b"evilx"));
        let cases = [
            ("https://a/x", format!("https://a/x is not what it should be: it should have {wanted}, but has {evil}")),
            (
                "https://a/long",
                format!(
                    "https://a/long is not what it should be: it should have {wanted} and 5 bytes, but has 10 bytes"
                ),
            ),
            ("https://a/cut", "cannot fetch https://a/cut: connection reset".into()),
            ("https://a/none", "cannot fetch https://a/none: connection refused".into()),
        ];
        for (url, message) in cases {
            let error = setup.fetch(&[url], of(b"bytes")).unwrap_err();
            assert_eq!((error.to_string(), error.hint().is_some()), (message, true));
        }
        assert!(matches!(setup.fetch(&["https://a/short"], of(b"bytes")), Err(FetchError::Hash { .. })));
        assert!(setup.staging_is_empty());
        // Wrong bytes at one mirror are what is reported, even when another is down.
        let error = setup.fetch(&["https://a/none", "https://a/x", "https://a/none"], of(b"bytes")).unwrap_err();
        assert!(matches!(error, FetchError::Hash { .. }), "{error}");
        assert!(matches!(setup.fetch(&[], of(b"bytes")), Err(FetchError::NoPlace)));
    }

    #[test]
    fn sizes_beyond_the_limit_are_refused_before_a_byte_is_fetched() {
        let setup = setup();
        let expected = Expected { sha256: Sha256::of(b""), size: Some(MAX_COMPONENT + 1) };
        let error = setup.fetch(&["https://a/x"], expected).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), setup.net.count()),
            ("https://a/x is larger than 256 MiB, the most that rig installs", 0)
        );
    }

    #[test]
    fn offline_asks_nobody() {
        let setup = setup();
        let url: Url = "https://a/x".parse().unwrap();
        let error = run(fetch(&setup.net, &setup.home, &[url], of(b""), true, &|_, _| {})).unwrap_err();
        assert_eq!(error.to_string(), "https://a/x is not on this machine, and `--offline` was given");
        assert_eq!(setup.net.count(), 0);
    }
}
