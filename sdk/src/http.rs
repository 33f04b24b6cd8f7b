//! HTTP requests to the hosts that the manifest declares.
//!
//! ```no_run
//! use rig_sdk::{Result, http};
//!
//! fn title(owner: &str, repo: &str, number: u64) -> Result<String> {
//!     #[derive(serde::Deserialize)]
//!     struct Issue {
//!         title: String,
//!     }
//!     let response = http::get("https://api.github.com")
//!         .path(&["repos", owner, repo, "issues", &number.to_string()])
//!         .header("accept", "application/vnd.github+json")
//!         .send()?;
//!     if !response.is_success() {
//!         return Err(response.failure(format!("GitHub answered {}", response.status())));
//!     }
//!     Ok(response.json::<Issue>()?.title)
//! }
//! ```
//!
//! There is nothing here for credentials: the host adds them where the manifest says so. Nor does anything here follow
//! redirects, retry or stream; the host retries calls whose errors allow it.

mod encode;
mod response;

use std::{fmt::Display, time::Duration};

use serde::Serialize;

pub use self::encode::path;
pub use self::response::Response;
pub use crate::bindings::rig::pack::http::HttpError;
use crate::{
    bindings::rig::pack::http as wire,
    error::{Error, Result},
    host, json,
};

/// A request being built. A mistake on the way, such as a path segment that would change the URL, is kept and answered by
/// [`Request::send`].
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until `send` is called"]
pub struct Request {
    wire: wire::Request,
    query: String,
    problem: Option<Error>,
}

/// A `GET` request. The URL is absolute and has no query: see [`Request::query`].
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// A `POST` request.
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// A `PUT` request.
pub fn put(url: impl Into<String>) -> Request {
    request("PUT", url)
}

/// A `PATCH` request.
pub fn patch(url: impl Into<String>) -> Request {
    request("PATCH", url)
}

/// A `DELETE` request.
pub fn delete(url: impl Into<String>) -> Request {
    request("DELETE", url)
}

/// A request with any method, in capitals.
pub fn request(method: &str, url: impl Into<String>) -> Request {
    let wire =
        wire::Request { method: method.into(), url: url.into(), headers: Vec::new(), body: None, timeout_ms: None };
    Request { wire, query: String::new(), problem: None }
}

impl Request {
    /// Appends path segments to the URL, each percent-encoded, so that no argument can change which resource is meant. What has no
    /// place in a path, such as an empty text or `..`, is refused: `send` answers a `validation_error`. See [`path`].
    pub fn path(mut self, segments: &[&str]) -> Self {
        match path(segments) {
            Ok(path) => {
                while self.wire.url.ends_with('/') {
                    self.wire.url.pop();
                }
                self.wire.url.push_str(&path);
            }
            Err(error) => self.keep(error),
        }
        self
    }

    /// Adds a field to the query.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        encode::field(&mut self.query, name, &value.to_string());
        self
    }

    /// Adds a field to the query when there is a value.
    pub fn query_opt(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.wire.headers.push((name.into(), value.into()));
        self
    }

    /// Sends a value as JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        match json::to_string(body) {
            Ok(body) => self.bytes("application/json", body.into_bytes()),
            Err(error) => {
                self.keep(Error::internal(format!("the body of a request cannot be written as JSON: {error}")));
                self
            }
        }
    }

    /// Sends fields as `application/x-www-form-urlencoded`. Brackets in names, as in `metadata[key]`, stay as they are.
    pub fn form<N: AsRef<str>, V: AsRef<str>>(self, fields: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut body = String::new();
        for (name, value) in fields {
            encode::field(&mut body, name.as_ref(), value.as_ref());
        }
        self.bytes("application/x-www-form-urlencoded", body.into_bytes())
    }

    /// Sends bytes of a content type. A `content-type` header that was set before is kept.
    pub fn bytes(mut self, content_type: &str, body: Vec<u8>) -> Self {
        if !self.wire.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            self.wire.headers.push(("content-type".into(), content_type.into()));
        }
        self.wire.body = Some(body);
        self
    }

    /// How long the whole exchange may take; the host's own limit applies when it is shorter.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.wire.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Sends the request and waits for the whole response. A response with an error status is a response: see
    /// [`Response::failure`].
    ///
    /// # Errors
    /// A mistake made while building the request, or why there is no response: `permission_error` for what is not granted,
    /// `timeout`, `transient` when the host is not reached, `upstream_error` for faults of TLS and protocol.
    pub fn send(mut self) -> Result<Response> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        if !self.query.is_empty() {
            self.wire.url.push(if self.wire.url.contains('?') { '&' } else { '?' });
            self.wire.url.push_str(&self.query);
        }
        Ok(Response::new(host::http::send(&self.wire)?))
    }

    fn keep(&mut self, error: Error) {
        self.problem.get_or_insert(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock;

    #[test]
    fn a_request_goes_out_as_it_was_built() {
        let mock = mock::http(|_| Ok(mock::Response::new(204)));
        post("https://api.example.com/v1/")
            .path(&["items", "a/b c"])
            .query("q", "x&y=z")
            .query_opt("page", Some(2))
            .query_opt("none", None::<u8>)
            .header("x-test", "1")
            .json(&crate::json::json!({ "a": 1 }))
            .timeout(Duration::from_secs(3))
            .send()
            .unwrap();
        let sent = &mock.requests()[0];
        assert_eq!(sent.method, "POST");
        assert_eq!(sent.url, "https://api.example.com/v1/items/a%2Fb%20c?q=x%26y%3Dz&page=2");
        assert_eq!(sent.header("Content-Type"), Some("application/json"));
        assert_eq!(sent.header("x-test"), Some("1"));
        assert_eq!(sent.text(), r#"{"a":1}"#);
        assert_eq!(sent.timeout_ms, Some(3000));
    }

    #[test]
    fn a_form_keeps_brackets_in_names() {
        let mock = mock::http(|_| Ok(mock::Response::new(200)));
        post("https://h").form([("metadata[a b]", "1+1=2"), ("empty", "")]).send().unwrap();
        assert_eq!(mock.requests()[0].text(), "metadata[a+b]=1%2B1%3D2&empty=");
    }

    #[test]
    fn an_own_content_type_wins() {
        let mock = mock::http(|_| Ok(mock::Response::new(200)));
        post("https://h").header("Content-Type", "application/merge-patch+json").json(&1).send().unwrap();
        assert_eq!(mock.requests()[0].headers.len(), 1);
    }

    #[test]
    fn a_segment_that_would_change_the_url_is_never_sent() {
        let mock = mock::http(|_| Ok(mock::Response::new(200)));
        let error = get("https://h").path(&["repos", "..", "x"]).path(&["", "y"]).send().unwrap_err();
        assert_eq!(error.to_string(), "validation_error: `..` cannot be part of a URL's path");
        assert_eq!(mock.requests().len(), 0);
    }
}
