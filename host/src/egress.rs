//! The one gate through which everything that a pack sends leaves: allow → resolve → block private addresses → inject secrets →
//! send → cap and redact the answer.
//!
//! - `allow` reads a URL once, strictly, and matches it with the rules that were granted. Pure.
//! - `network` tells public addresses from all others. Pure.
//! - `inject` puts secrets into a request, or the tokens that they are traded for. Nothing else takes a value out for sending.
//! - `client` dials out. Nothing else in rig does, the downloads of the install flow included.
//! - `redact` blanks secrets in answers and errors.
//! - `tape` records what passes, or answers from a recording in place of `client`.
//! - `tunnel` opens connections that are passed through unread, for programs in cells.
//! - `call` is the order of all that for one request, and the record of it.
//!
//! A [`Gate`] is made once; a [`Reach`] once for each pack; a [`CallEgress`] for each call, so that nothing of one call is left for
//! the next. The gate does not decide whether a call may run, asks nobody, and holds no secret itself.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use rig_specs::manifest::Capabilities;

mod allow;
mod call;
mod client;
mod headers;
mod inject;
pub mod limits;
mod network;
mod redact;
mod tape;
#[cfg(test)]
mod testing;
mod tunnel;

pub use call::{CallEgress, EgressRecord};
#[cfg(feature = "otlp")]
pub use client::telemetry::Collector;
pub use client::{
    Gate,
    download::{Download, Rest},
    registry::{RegistryAnswer, RegistryRequest, Repository},
    remote::{Answered, Remote, RemoteError},
};
pub use inject::token::CredentialError;
pub use redact::Redactor;
pub use tape::{Exchange, Sent, Tape};
pub use tunnel::{Passage, Traffic};

use crate::secrets::docker;

/// How rig reaches the network: `network` of `rig.yaml`, with its paths resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// A proxy for everything that leaves the machine: `http://proxy.corp:3128`, with `user:password@` when it wants one.
    pub proxy: Option<String>,
    /// Files with certificate authorities (PEM) that are trusted beside the public ones.
    pub extra_ca: Vec<PathBuf>,
    /// Whether nothing is sent at all.
    pub offline: bool,
    /// Hosts that may be at private addresses: names, `*.corp.example`, or addresses.
    pub allow_private: Vec<String>,
}

/// What a pack can reach, ready to match: its granted rules with the project's settings filled in.
#[derive(Debug, Default)]
pub struct Reach {
    rules: allow::Rules,
    bindings: inject::Bindings,
}

impl Reach {
    /// Prepares a grant. `config` are the values of the pack's settings; a granted default stands in for a missing one. A rule whose
    /// setting has no value is kept aside: requests to it are denied with the name of the setting.
    ///
    /// # Errors
    /// [`Error::Grant`] when a host or an injection cannot be read, for example because a setting is not a host.
    pub fn compile(granted: &Capabilities, config: &BTreeMap<String, String>) -> Result<Self, Error> {
        let settings = allow::pattern::Settings { granted, values: config };
        let rules = allow::Rules::compile(&settings).map_err(Error::Grant)?;
        let bindings = inject::Bindings::compile(&settings).map_err(Error::Grant)?;
        Ok(Self { rules, bindings })
    }

    /// Whether every request would be denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The ports of all hosts that can be reached.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.rules.ports().into_iter().collect()
    }

    /// Whether something can be reached at that host, in lower case.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        self.rules.names(host)
    }
}

/// A request as a guest makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// An upper-case method.
    pub method: String,
    /// An absolute URL.
    pub url: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// How long everything may take; [`limits::REQUEST_TIME`] when absent or longer.
    pub timeout: Option<Duration>,
}

/// An answer as a guest gets it: without the secrets that rig sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers with lower-case names, in the order received.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no answer: the variants of `http-error` in the WIT world, each with a sentence for the author of the pack. The
/// sentences of errors that come out of the gate hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Not granted; the text says what is missing.
    #[error("{0}")]
    Denied(String),
    /// The request itself is malformed.
    #[error("{0}")]
    InvalidRequest(String),
    /// The name does not resolve, or to an address that is not allowed.
    #[error("{0}")]
    Dns(String),
    /// No connection.
    #[error("{0}")]
    Connect(String),
    /// No secure connection.
    #[error("{0}")]
    Tls(String),
    /// It took too long.
    #[error("{0}")]
    Timeout(String),
    /// The request or the answer is larger than allowed.
    #[error("{0}")]
    TooLarge(String),
    /// The other side broke the protocol.
    #[error("{0}")]
    Protocol(String),
}

impl HttpError {
    /// The name of the variant, as in WIT.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::InvalidRequest(_) => "invalid-request",
            Self::Dns(_) => "dns",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Timeout(_) => "timeout",
            Self::TooLarge(_) => "too-large",
            Self::Protocol(_) => "protocol",
        }
    }

    fn text_mut(&mut self) -> &mut String {
        match self {
            Self::Denied(text)
            | Self::InvalidRequest(text)
            | Self::Dns(text)
            | Self::Connect(text)
            | Self::Tls(text)
            | Self::Timeout(text)
            | Self::TooLarge(text)
            | Self::Protocol(text) => text,
        }
    }

    fn redacted(mut self, redactor: &Redactor) -> Self {
        let text = self.text_mut();
        if redactor.finds(text.as_bytes()) {
            *text = redactor.text(text).into_owned();
        }
        self
    }
}

/// What is wrong with the settings, or with a download.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `network.proxy` cannot be used.
    #[error("network.proxy {0}")]
    Proxy(&'static str),
    /// An entry of `network.allow_private` cannot be read.
    #[error("network.allow_private: {0}")]
    AllowPrivate(String),
    /// A file of `network.extra_ca` cannot be used.
    #[error("network.extra_ca: {}: {why}", path.display())]
    ExtraCa {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    /// What a pack was granted cannot be used.
    #[error("{0}")]
    Grant(String),
    /// A URL that nothing is downloaded from.
    #[error("{url} is not downloaded: {why}")]
    Url {
        /// The URL, without user name and query.
        url: String,
        /// Why.
        why: String,
    },
    /// A registry does not let the user in.
    #[error("{registry}: {why}")]
    Login {
        /// The registry.
        registry: String,
        /// Why.
        why: String,
    },
    /// The user's docker configuration cannot be used.
    #[error(transparent)]
    Docker(#[from] docker::Error),
    /// A download failed.
    #[error("{url}: {cause}")]
    Download {
        /// The URL, without user name and query.
        url: String,
        /// What happened.
        cause: HttpError,
    },
}

impl Error {
    /// What to do next, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Proxy(_) => "write it as http://host:port in rig.yaml",
            Self::AllowPrivate(_) => "list host names, for example registry.corp.example or *.corp.example",
            Self::ExtraCa { .. } => "name a readable PEM file that holds the certificate of your authority",
            Self::Grant(_) => "correct the setting under `config` in rig.yaml, in the environment or in .env",
            Self::Url { .. } => "use an https URL; http is for this machine only (localhost, 127.0.0.1)",
            Self::Download { cause: HttpError::Tls(_), .. } => {
                "if your network opens TLS connections, name its certificate authority in network.extra_ca of rig.yaml"
            }
            Self::Download { cause: HttpError::Dns(_) | HttpError::Connect(_) | HttpError::Timeout(_), .. } => {
                "check the address and your connection; behind a proxy, set network.proxy in rig.yaml"
            }
            Self::Login { .. } => "log in with `docker login REGISTRY`; rig reads what that writes",
            Self::Docker(error) => error.hint(),
            Self::Client(_) | Self::Download { .. } => return None,
        })
    }
}
