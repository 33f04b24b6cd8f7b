//! The only place that dials out: the HTTP clients, their TLS, their proxy and their resolver.
//!
//! Two clients share TLS settings and proxy. The one for packs connects to public addresses only; the one for downloads, which the
//! user and not a pack asks for, goes where the user says. Redirects, compression, cookies and the proxy variables of the environment
//! are off in both: what is sent is exactly what was checked.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

use super::{
    Error, HttpError, Settings,
    allow::{pattern::HostPattern, url::Target},
    headers,
    inject::token::Tokens,
    limits, network,
    tape::Tape,
};

pub(super) mod download;
mod failure;
pub(super) mod registry;
pub(super) mod remote;
mod resolve;
#[cfg(feature = "otlp")]
pub(super) mod telemetry;
mod tls;
mod tunnel;

pub(super) use resolve::Lookup;
use resolve::{Names, Resolver, is_local_name};
pub use tunnel::Passage;

/// The way out. Making one checks the settings only; certificates are read and clients made when something is first sent.
#[derive(Debug)]
pub struct Gate {
    proxy: Option<Url>,
    extra_ca: Vec<PathBuf>,
    offline: bool,
    allow_private: Arc<[HostPattern]>,
    lookup: Lookup,
    tape: Option<Arc<Tape>>,
    packs: OnceLock<reqwest::Client>,
    downloads: OnceLock<reqwest::Client>,
    /// Kept here so that all calls share them.
    pub(super) tokens: Tokens,
    logins: registry::Logins,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Gate {
    /// Whether another gate leads out in the same way: a connection that one has opened could have been the other's.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let settings =
            |gate: &Self| (gate.proxy.clone(), gate.extra_ca.clone(), gate.offline, Arc::clone(&gate.allow_private));
        settings(self) == settings(other)
    }

    /// The certificate authorities that the project trusts beside the usual ones: files in PEM.
    #[must_use]
    pub fn extra_ca(&self) -> &[PathBuf] {
        &self.extra_ca
    }

    /// # Errors
    /// [`Error::Proxy`] or [`Error::AllowPrivate`] when a setting cannot be read. Files of `extra_ca` are read later; see
    /// [`Self::check`].
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        Self::with_lookup(settings, Lookup::system())
    }

    pub(super) fn with_lookup(settings: &Settings, lookup: Lookup) -> Result<Self, Error> {
        let allow_private = settings.allow_private.iter().map(|host| HostPattern::parse(host));
        Ok(Self {
            proxy: settings.proxy.as_deref().map(read_proxy).transpose()?,
            extra_ca: settings.extra_ca.clone(),
            offline: settings.offline,
            allow_private: allow_private.collect::<Result<_, _>>().map_err(Error::AllowPrivate)?,
            lookup,
            tape: None,
            packs: OnceLock::new(),
            downloads: OnceLock::new(),
            tokens: Tokens::default(),
            logins: registry::Logins::default(),
        })
    }

    /// The same gate with a tape in it: what passes is recorded, or answered from the recording in place of the network.
    #[must_use]
    pub fn with_tape(self, tape: Arc<Tape>) -> Self {
        Self { tape: Some(tape), ..self }
    }

    pub(super) fn tape(&self) -> Option<&Tape> {
        self.tape.as_deref()
    }

    /// Makes the clients now, for a report on the settings.
    ///
    /// # Errors
    /// [`Error::ExtraCa`] when a file cannot be used.
    pub fn check(&self) -> Result<(), Error> {
        self.packs().and(self.downloads()).map(drop)
    }

    /// Makes the client for packs now, so that settings which cannot be used are told apart from what a service does.
    ///
    /// # Errors
    /// [`Error::ExtraCa`] when a file cannot be used.
    pub fn prepare(&self) -> Result<(), Error> {
        self.packs().map(drop)
    }

    /// # Errors
    /// [`HttpError::Connect`] when nothing may be sent at all.
    pub(super) fn refuse_offline(&self) -> Result<(), HttpError> {
        if self.offline {
            Err(HttpError::Connect("nothing is sent, because rig runs with --offline".into()))
        } else {
            Ok(())
        }
    }

    fn packs(&self) -> Result<&reqwest::Client, Error> {
        if let Some(client) = self.packs.get() {
            return Ok(client);
        }
        let client = self.client(Names::Public { except: Arc::clone(&self.allow_private) })?;
        Ok(self.packs.get_or_init(|| client))
    }

    fn downloads(&self) -> Result<&reqwest::Client, Error> {
        if let Some(client) = self.downloads.get() {
            return Ok(client);
        }
        let client = self.client(Names::Any)?;
        Ok(self.downloads.get_or_init(|| client))
    }

    fn client(&self, names: Names) -> Result<reqwest::Client, Error> {
        let proxy_host = self.proxy.as_ref().and_then(Url::host_str).map(str::to_owned);
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&self.extra_ca)?)
            // First of all: a proxy of the environment would see every request and resolve every name.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .dns_resolver(Resolver { lookup: self.lookup.clone(), names, proxy_host })
            .connect_timeout(limits::CONNECT_TIME)
            .pool_idle_timeout(limits::IDLE_CONNECTION)
            .tcp_nodelay(true)
            // More than are allowed, so that too many are counted and named instead of breaking the connection.
            .http1_max_headers(4 * limits::HEADERS)
            // Some services refuse requests without one. A guest may set its own.
            .user_agent(concat!("rig/", env!("CARGO_PKG_VERSION")));
        if let Some(url) = &self.proxy {
            let proxy = reqwest::Proxy::all(url.clone()).map_err(|_| Error::Proxy("is not a URL of a proxy"))?;
            // What stays on the machine does not leave it through a proxy.
            builder = builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_string("localhost,127.0.0.0/8,::1")));
        }
        builder.build().map_err(|error| Error::Client(failure::innermost(&error)))
    }

    /// Whether the project named the host as one of its own.
    pub(super) fn is_own(&self, host: &str) -> bool {
        self.allow_private.iter().any(|pattern| pattern.matches(host))
    }

    /// Refuses an address in the URL that is not public. Names are checked when they are resolved.
    pub(super) fn check_address(&self, target: &Target) -> Result<(), HttpError> {
        let Some(address) = literal(target.host()) else { return Ok(()) };
        match network::refused(address, self.is_own(target.host())) {
            None => Ok(()),
            Some(special) => Err(HttpError::Denied(resolve::not_public(target.host(), special))),
        }
    }

    /// Sends a request that has passed every check and reads the whole answer.
    pub(super) async fn exchange(
        &self,
        method: Method,
        target: &Target,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, HttpError> {
        let client = self.packs().map_err(|error| HttpError::Tls(error.to_string()))?;
        let mut request = client.request(method, target.url().clone()).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let failed = |error| failure::describe(error, target.host(), self.proxy_shown().as_deref());
        let mut response = request.send().await.map_err(failed)?;
        self.check_peer(target, response.remote_addr())?;

        let headers = std::mem::take(response.headers_mut());
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        headers::check_size("response", headers.len(), bytes)?;
        let too_large = || {
            let allowed = limits::RESPONSE_BODY >> 20;
            HttpError::TooLarge(format!("the body of the response is larger than the {allowed} MiB that are allowed"))
        };
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        if announced.is_some_and(|length| length > limits::RESPONSE_BODY) && response.status() != 304 {
            return Err(too_large());
        }
        // What is announced is not trusted with memory before it comes.
        let mut body = Vec::with_capacity(announced.unwrap_or(0).min(64 << 10));
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > limits::RESPONSE_BODY {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status().as_u16(), headers, body })
    }

    /// The resolver let only checked addresses through; this holds even if the HTTP library took another way.
    fn check_peer(&self, target: &Target, peer: Option<SocketAddr>) -> Result<(), HttpError> {
        let through_proxy = self.proxy.is_some() && !is_local(target.host());
        let Some(peer) = peer.filter(|_| !through_proxy) else { return Ok(()) };
        match network::refused(peer.ip(), self.is_own(target.host())) {
            None => Ok(()),
            Some(special) => Err(HttpError::Dns(resolve::not_public(target.host(), special))),
        }
    }

    /// The proxy without its credentials.
    fn proxy_shown(&self) -> Option<String> {
        let url = self.proxy.as_ref()?;
        Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
    }
}

fn read_proxy(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text.trim()).map_err(|_| Error::Proxy("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(Error::Proxy("is not an http:// or https:// URL of a proxy"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(Error::Proxy("has a path; a proxy is only a host and a port"));
    }
    Ok(url)
}

fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// Whether the host is this machine by its very name, so that no proxy is used.
fn is_local(host: &str) -> bool {
    is_local_name(host) || literal(host).is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
