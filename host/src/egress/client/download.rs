//! Downloads of the install flow: indexes and packs, from where the user says. No pack rule applies, no secret is sent, and what
//! comes is checked by its hash elsewhere.

use bytes::Bytes;
use futures_util::Stream;
use http::header::{
    CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
};
use url::Url;

use super::{
    super::{Error, HttpError, limits},
    Gate, failure, is_local,
};

/// A download whose head has come; the body is still on its way.
#[derive(Debug)]
pub struct Download {
    /// The status of the last answer. Only redirects are acted on: judging the rest is the caller's part.
    pub status: u16,
    /// The length of the body, when announced.
    pub length: Option<u64>,
    /// The media type, when given.
    pub content_type: Option<String>,
    /// `Content-Range`, when it is a part.
    pub content_range: Option<String>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
    /// Where it came from in the end: what relative URLs in it relate to.
    pub url: Url,
    response: reqwest::Response,
}

/// The rest of a file whose beginning is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// How many bytes are here.
    pub from: u64,
    /// What the server said of the version that the beginning is of (`If-Range`): of another one it sends the whole.
    pub validator: Option<String>,
}

impl Gate {
    /// Starts a download: over https from anywhere, over http from this machine only; up to [`limits::DOWNLOAD_REDIRECTS`]
    /// redirects, none from https to http. With `rest`, only that is asked for; a server that cannot do so sends the whole.
    ///
    /// # Errors
    /// [`Error::Url`] for a URL, or a redirect to one, that is not allowed; [`Error::Download`] when nothing can be had from it.
    pub async fn download(&self, url: &Url, rest: Option<&Rest>) -> Result<Download, Error> {
        self.refuse_offline().map_err(|cause| Error::Download { url: shown(url), cause })?;
        let client = self.downloads()?;
        let mut url = url.clone();
        for _ in 0..=limits::DOWNLOAD_REDIRECTS {
            check(&url)?;
            let failed = |cause| Error::Download { url: shown(&url), cause };
            let host = url.host_str().unwrap_or_default();
            let mut request = client.get(url.clone());
            if let Some(rest) = rest {
                request = request.header(RANGE, format!("bytes={}-", rest.from));
                let validator = rest.validator.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
                if let Some(validator) = validator {
                    request = request.header(IF_RANGE, validator);
                }
            }
            let answer = tokio::time::timeout(limits::DOWNLOAD_STALL, request.send()).await;
            let response = match answer {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => {
                    return Err(failed(failure::describe(error, host, self.proxy_shown().as_deref())));
                }
                Err(_) => return Err(failed(stalled())),
            };
            let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
            let Some(location) = location else {
                return Ok(Download::of(response, url));
            };
            let next = location.to_str().ok().and_then(|location| url.join(location).ok());
            let Some(next) = next else {
                return Err(failed(HttpError::Protocol("it redirects to something that is not a URL".into())));
            };
            if url.scheme() == "https" && next.scheme() != "https" {
                let why = format!("{} redirects to it, from https to {}", shown(&url), next.scheme());
                return Err(Error::Url { url: shown(&next), why });
            }
            url = next;
        }
        let most = limits::DOWNLOAD_REDIRECTS;
        Err(Error::Download { url: shown(&url), cause: HttpError::Protocol(format!("more than {most} redirects")) })
    }
}

impl Download {
    pub(super) fn of(response: reqwest::Response, url: Url) -> Self {
        let text = |name: HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        Self {
            status: response.status().as_u16(),
            length: response.content_length(),
            content_type: text(CONTENT_TYPE),
            content_range: text(CONTENT_RANGE),
            etag: text(ETAG),
            last_modified: text(LAST_MODIFIED),
            url,
            response,
        }
    }

    /// The next piece of the body, or nothing at its end. The caller counts: there is no limit here.
    ///
    /// # Errors
    /// [`Error::Download`] when the connection breaks, or stands still for [`limits::DOWNLOAD_STALL`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let cause = match tokio::time::timeout(limits::DOWNLOAD_STALL, self.response.chunk()).await {
            Ok(Ok(chunk)) => return Ok(chunk),
            Ok(Err(error)) => failure::describe(error, self.url.host_str().unwrap_or_default(), None),
            Err(_) => stalled(),
        };
        Err(Error::Download { url: shown(&self.url), cause })
    }

    /// The body as a stream; it ends after the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        futures_util::stream::try_unfold(self, |mut download| async move {
            Ok(download.chunk().await?.map(|chunk| (chunk, download)))
        })
    }
}

pub(super) fn stalled() -> HttpError {
    HttpError::Timeout(format!("nothing came for {} seconds", limits::DOWNLOAD_STALL.as_secs()))
}

pub(super) fn check(url: &Url) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::Url { url: shown(url), why: why.into() });
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => refuse("it holds a user name or a password"),
        "https" => Ok(()),
        "http" if url.host_str().is_some_and(is_local) => Ok(()),
        "http" => refuse("http is used on this machine only, because others can change what comes"),
        _ => refuse("it is neither https nor http"),
    }
}

/// Without user name and query, where access keys stand.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Refused by URLs without a host, which have neither.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.to_string()
}
