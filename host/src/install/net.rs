//! The one place where the install flow reads from elsewhere. `file:` URLs are read here, and what the program carries; everything that leaves the machine goes
//! through a [`Downloader`], which the egress gate is in a real rig.

use std::{fs::File, io::Read as _};

use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use http::HeaderMap;
use url::Url;

use super::{
    bundle::{self, Bundle},
    oci::{self, OciError},
};
use crate::egress::RegistryRequest;
pub use crate::egress::Rest;

mod body;
pub(super) use body::Body;

/// How much of a local file is read at once.
const CHUNK: usize = 64 << 10;

/// Fetches over the network. The only implementation that dials is the egress gate's.
pub trait Downloader: Send + Sync {
    /// Asks for a URL (https, or http on loopback) and returns the beginning of the answer, redirects followed. With `rest`, only for
    /// that; who cannot do so answers with the whole.
    ///
    /// # Errors
    /// Why there is no answer.
    fn download<'a>(&'a self, url: &'a Url, rest: Option<&'a Rest>) -> BoxFuture<'a, Result<Download, NoAnswer>>;

    /// Sends a request to an OCI registry, as the user where the registry asks, and returns the beginning of the answer.
    ///
    /// # Errors
    /// Why there is no answer. A status that is no success is one.
    fn registry<'a>(&'a self, request: &'a RegistryRequest) -> BoxFuture<'a, Result<FromRegistry, NoAnswer>>;

    /// What the program carries itself.
    fn bundle(&self) -> Option<&Bundle> {
        None
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer {
    /// A sentence without the URL.
    pub why: String,
    /// What to do next, where that can be said.
    pub hint: Option<String>,
}

/// The beginning of an answer, and its body to be read.
pub struct Download {
    /// The status of HTTP.
    pub status: u16,
    /// `Content-Length`.
    pub content_length: Option<u64>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Range`, of a part.
    pub content_range: Option<String>,
    /// What tells this version of the file from others byte by byte: a strong `ETag`, else `Last-Modified`.
    pub validator: Option<String>,
    /// Where it came from in the end: what relative URLs in it are relative to.
    pub url: Url,
    /// The body, in pieces. An error is a sentence.
    pub body: BoxStream<'static, Result<Bytes, String>>,
}

/// The beginning of a registry's answer.
pub struct FromRegistry {
    /// The headers.
    pub headers: HeaderMap,
    /// Whether another host than the registry answered in the end.
    pub strayed: bool,
    /// Whether the user's credentials were sent to the registry.
    pub known: bool,
    /// The rest of it.
    pub download: Download,
}

/// Why nothing could be read from a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The network was not asked, because `--offline` was given.
    #[error("{url} is not on this machine, and `--offline` was given")]
    Offline {
        /// The URL.
        url: Url,
    },
    /// There is no answer, or it broke off.
    #[error("cannot fetch {url}: {why}")]
    Failed {
        /// The URL.
        url: Url,
        /// Why.
        why: String,
        /// What to do next, where that can be said.
        hint: Option<String>,
    },
    /// An answer that comes too slowly to be waited for.
    #[error("{url} is too slow: {why}")]
    Slow {
        /// The URL.
        url: Url,
        /// What came in which time.
        why: String,
    },
    /// A registry has nothing, or something else.
    #[error(transparent)]
    Registry(Box<OciError>),
    /// An answer that is not a success.
    #[error("cannot fetch {url}: the server answered with status {status}")]
    Status {
        /// The URL.
        url: Url,
        /// The status.
        status: u16,
    },
}

impl NetError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Offline { .. } => Some("run the command without `--offline`".into()),
            Self::Status { status: 404 | 410, .. } => Some("check the URL; what it names may have moved".into()),
            Self::Status { status: 401 | 403, .. } => Some("check the URL; rig sends no credentials to indexes".into()),
            Self::Status { status: 500.., .. } => Some("try again later".into()),
            Self::Failed { hint: Some(hint), .. } => Some(hint.clone()),
            Self::Failed { url, .. } if url.scheme() == "file" => {
                Some("check the path, and that you can read it".into())
            }
            Self::Failed { .. } => {
                Some("check the address, and run it again; if it stays so, tell whoever keeps the server".into())
            }
            Self::Slow { .. } => Some("check the connection, and run it again".into()),
            Self::Status { .. } => Some("check the URL, and try again later".into()),
        }
    }
}

/// Opens a URL for reading.
pub(super) async fn open(downloader: &dyn Downloader, url: &Url, offline: bool) -> Result<Download, NetError> {
    open_rest(downloader, url, offline, None).await
}

/// Opens a URL for reading what is not here yet. The answer may be the whole: its status says so.
pub(super) async fn open_rest(
    downloader: &dyn Downloader,
    url: &Url,
    offline: bool,
    rest: Option<&Rest>,
) -> Result<Download, NetError> {
    if url.scheme() == "file" {
        return open_file(url);
    }
    if url.scheme() == bundle::SCHEME {
        let failed = |answer: NoAnswer| NetError::Failed { url: url.clone(), why: answer.why, hint: answer.hint };
        let bytes = Bundle::open(downloader.bundle(), url).map_err(failed)?;
        return Ok(Download {
            status: 200,
            content_length: Some(bytes.len() as u64),
            content_type: None,
            content_range: None,
            validator: None,
            url: url.clone(),
            body: stream::once(async { Ok(Bytes::from(bytes)) }).boxed(),
        });
    }
    if offline {
        return Err(NetError::Offline { url: url.clone() });
    }
    let failed = |why, hint| NetError::Failed { url: url.clone(), why, hint };
    super::source::check_url(url).map_err(|why| failed(why, None))?;
    if url.scheme() == oci::SCHEME {
        let reference = oci::Reference::parse(url.as_str()).map_err(|why| failed(why, None))?;
        return oci::open(downloader, &reference).await.map_err(|error| NetError::Registry(Box::new(error)));
    }
    let download = downloader.download(url, rest).await.map_err(|answer| failed(answer.why, answer.hint))?;
    if download.status != 200 && !(download.status == 206 && rest.is_some()) {
        return Err(NetError::Status { url: url.clone(), status: download.status });
    }
    Ok(download)
}

fn open_file(url: &Url) -> Result<Download, NetError> {
    let failed = |why: String| NetError::Failed { url: url.clone(), why, hint: None };
    let path = url.to_file_path().map_err(|()| failed("it does not name a path of this machine".into()))?;
    let file = File::open(&path).map_err(|error| failed(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
    if !metadata.is_file() {
        return Err(failed("it is not a file".into()));
    }
    let body = stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        let mut chunk = vec![0; CHUNK];
        match file.read(&mut chunk) {
            Ok(0) => None,
            Ok(read) => {
                chunk.truncate(read);
                Some((Ok(Bytes::from(chunk)), Some(file)))
            }
            Err(error) => Some((Err(error.to_string()), None)),
        }
    });
    Ok(Download {
        status: 200,
        content_length: Some(metadata.len()),
        content_type: None,
        content_range: None,
        validator: None,
        url: url.clone(),
        body: body.boxed(),
    })
}

#[cfg(test)]
pub(crate) mod fake {
    //! A network of a few fixed answers, which counts what it is asked.

    use std::{
        collections::BTreeMap,
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::*;

    /// An answer: status, type, pieces of the body.
    pub(crate) type Answer = (u16, Option<&'static str>, Vec<Result<Bytes, String>>);

    #[derive(Default)]
    pub(crate) struct Fake {
        answers: Mutex<BTreeMap<String, Answer>>,
        /// The status for everything else; without one nothing answers.
        rest: Mutex<Option<u16>>,
        pub(crate) asked: AtomicUsize,
    }

    impl Fake {
        pub(crate) fn set(&self, url: &str, status: u16, body: impl Into<Vec<u8>>) {
            self.set_answer(url, (status, None, vec![Ok(Bytes::from(body.into()))]));
        }

        pub(crate) fn set_answer(&self, url: &str, answer: Answer) {
            self.answers.lock().unwrap().insert(url.into(), answer);
        }

        pub(crate) fn answer_the_rest(&self, status: u16) {
            *self.rest.lock().unwrap() = Some(status);
        }

        pub(crate) fn clear(&self) {
            self.answers.lock().unwrap().clear();
        }

        fn answer(&self, key: &str, url: &Url) -> Result<Download, NoAnswer> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let answer = self.answers.lock().unwrap().get(key).cloned();
            let answer = answer.or_else(|| self.rest.lock().unwrap().map(|status| (status, None, Vec::new())));
            let (status, content_type, chunks) = answer.ok_or_else(|| NoAnswer {
                why: "connection refused".into(),
                hint: Some("check the connection".into()),
            })?;
            let body = stream::iter(chunks).boxed();
            let content_type = content_type.map(Into::into);
            let (content_range, validator, url) = (None, None, url.clone());
            Ok(Download { status, content_length: None, content_type, content_range, validator, url, body })
        }

        pub(crate) fn count(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    impl Downloader for Fake {
        /// The answers of a registry are those of its URLs, those to other methods under `METHOD URL`. Types are `Content-Type`.
        fn registry<'a>(&'a self, request: &'a RegistryRequest) -> BoxFuture<'a, Result<FromRegistry, NoAnswer>> {
            Box::pin(async move {
                let key = match request.method.as_str() {
                    "GET" => request.url.to_string(),
                    method => format!("{method} {}", request.url),
                };
                let mut download = self.answer(&key, &request.url)?;
                let mut headers = HeaderMap::new();
                if let Some(kind) = download.content_type.take() {
                    headers.insert(http::header::CONTENT_TYPE, kind.parse().unwrap());
                }
                Ok(FromRegistry { headers, strayed: false, known: false, download })
            })
        }

        fn download<'a>(&'a self, url: &'a Url, _: Option<&'a Rest>) -> BoxFuture<'a, Result<Download, NoAnswer>> {
            Box::pin(async move { self.answer(url.as_str(), url) })
        }
    }

    /// Runs a future that never waits for anything outside.
    pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }
}
