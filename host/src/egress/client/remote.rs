//! Requests to another rig's gateway, for commands that were given its address. The user says where it is and which token goes there;
//! no pack has a part in it.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use super::{
    super::{Error, HttpError},
    Gate, failure, is_local,
};

/// The longest answer that is taken: outputs of tools are far shorter, and their limits are the gateway's own.
const MAX_ANSWER: usize = 256 << 20;

/// A gateway somewhere else.
#[derive(Debug)]
pub struct Remote {
    gate: Gate,
    base: Url,
    /// Sent with every request, and to this gateway only: redirects are not followed.
    token: Option<HeaderValue>,
}

/// What it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why a gateway cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address cannot be that of a gateway.
    #[error("{url} is not the address of a gateway: {why}")]
    Url {
        /// The address as it was given, without what could be secret.
        url: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The token cannot be one.
    #[error("the token is not one that rig makes: it holds characters that no token has")]
    Token,
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] Error),
    /// It does not answer.
    #[error("{url}: {cause}")]
    Failed {
        /// The address.
        url: String,
        /// What happened.
        cause: HttpError,
    },
}

impl RemoteError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Url { .. } => "write it as https://rig.corp.example, or http://127.0.0.1:8787 on this machine",
            Self::Token => "set RIG_TOKEN to what `rig tenant new` printed",
            Self::Client(error) => return error.hint().map(str::to_owned),
            Self::Failed { cause: HttpError::Connect(_), .. } => "start it with `rig serve`, or check the address",
            Self::Failed { .. } => "check the address and your connection",
        };
        Some(hint.to_owned())
    }
}

impl Remote {
    /// A gateway at an address: over https anywhere, over http on this machine only, where nobody else hears the token.
    ///
    /// # Errors
    /// When address or token cannot be used.
    pub fn new(gate: Gate, address: &str, token: Option<Zeroizing<String>>) -> Result<Self, RemoteError> {
        let refuse = |why| {
            let shown = address.split(['?', '#']).next().unwrap_or_default();
            let shown = shown.rsplit_once('@').map_or(shown, |(_, rest)| rest);
            Err(RemoteError::Url { url: shown.to_owned(), why })
        };
        let Ok(mut base) = Url::parse(address) else { return refuse("it is not a URL") };
        match base.scheme() {
            "https" => {}
            "http" if base.host_str().is_some_and(is_local) => {}
            "http" => return refuse("http is used on this machine only, because others can read the token"),
            _ => return refuse("it is neither https nor http"),
        }
        if !base.username().is_empty() || base.password().is_some() {
            return refuse("it holds a user name or a password");
        }
        if base.query().is_some() || base.fragment().is_some() {
            return refuse("it holds more than a host, a port and a path");
        }
        if let Ok(mut path) = base.path_segments_mut() {
            path.pop_if_empty();
        }
        let token = token.map(|token| {
            let value = Zeroizing::new(format!("Bearer {}", *token));
            HeaderValue::from_str(&value).map(|mut value| {
                value.set_sensitive(true);
                value
            })
        });
        Ok(Self { gate, base, token: token.transpose().map_err(|_| RemoteError::Token)? })
    }

    /// `GET` of a path, given in parts.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &[&str]) -> Result<Answered, RemoteError> {
        let url = self.url(path);
        self.send(&url, self.gate.downloads()?.get(url.clone())).await
    }

    /// `POST` of JSON to a path, given in parts.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(
        &self,
        path: &[&str],
        headers: &[(&'static str, HeaderValue)],
        body: String,
    ) -> Result<Answered, RemoteError> {
        let url = self.url(path);
        let mut request = self.gate.downloads()?.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value.clone());
        }
        self.send(&url, request).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only URLs without a host have no path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        url
    }

    /// As long as it takes: a call may run for as long as the gateway's policy says.
    async fn send(&self, url: &Url, mut request: reqwest::RequestBuilder) -> Result<Answered, RemoteError> {
        let failed = |cause| RemoteError::Failed { url: url.to_string(), cause };
        self.gate.refuse_offline().map_err(failed)?;
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let host = url.host_str().unwrap_or_default();
        let broken = |error| failed(failure::describe(error, host, self.gate.proxy_shown().as_deref()));
        let mut response = request.send().await.map_err(broken)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                let cause = format!("the answer is longer than the {} MiB that are taken", MAX_ANSWER >> 20);
                return Err(failed(HttpError::TooLarge(cause)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answered { status: response.status().as_u16(), body })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::Settings, *};

    fn remote(address: &str, token: Option<&str>) -> Result<Remote, String> {
        let gate = Gate::new(&Settings::default()).unwrap();
        let token = token.map(|token| Zeroizing::new(token.to_owned()));
        Remote::new(gate, address, token).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses() {
        for (address, call) in [
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787/v1/tools/a.b%2Fc:call"),
            ("http://localhost:1/", "http://localhost:1/v1/tools/a.b%2Fc:call"),
            ("http://[::1]:8787", "http://[::1]:8787/v1/tools/a.b%2Fc:call"),
            ("https://rig.corp.example/tools/", "https://rig.corp.example/tools/v1/tools/a.b%2Fc:call"),
        ] {
            let url = remote(address, None).unwrap().url(&["v1", "tools", "a.b/c:call"]);
            assert_eq!(url.as_str(), call);
        }
        for (address, why) in [
            ("nonsense", "nonsense is not the address of a gateway: it is not a URL"),
            ("ftp://x", "ftp://x is not the address of a gateway: it is neither https nor http"),
            (
                "http://rig.corp.example",
                "http://rig.corp.example is not the address of a gateway: http is used on this machine only, because others can read the token",
            ),
            ("https://u:secret@x", "x is not the address of a gateway: it holds a user name or a password"),
            (
                "https://x/?token=secret",
                "https://x/ is not the address of a gateway: it holds more than a host, a port and a path",
            ),
        ] {
            assert_eq!(remote(address, None).unwrap_err(), why);
        }
    }

    #[test]
    fn tokens_are_not_shown() {
        let token = remote("https://x", Some("rig_secret")).unwrap();
        assert!(!format!("{token:?}").contains("rig_secret"), "{token:?}");
        assert_eq!(
            remote("https://x", Some("a\nb")).unwrap_err(),
            "the token is not one that rig makes: it holds characters that no token has"
        );
    }
}
