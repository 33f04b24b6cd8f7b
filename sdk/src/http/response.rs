//! [`Response`]: what came back, and what its status means for the caller.

use serde::de::DeserializeOwned;

use crate::{
    bindings::rig::pack::http as wire,
    error::{Error, ErrorKind, Result},
    json,
};

/// How much of a header's value is quoted in a hint: enough for any date or number, too little to bury the message.
const QUOTED_HEADER: usize = 64;

/// A response, whole.
#[derive(Debug, Clone)]
pub struct Response(wire::Response);

impl Response {
    pub(super) const fn new(wire: wire::Response) -> Self {
        Self(wire)
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.0.status
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.0.status, 200..=299)
    }

    /// The first header of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All headers, names in lower case, in the order received.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.body
    }

    /// The body, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.body
    }

    /// The body as text.
    ///
    /// # Errors
    /// `upstream_error` when it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.0.body).map_err(|_| self.nonsense("text that is not UTF-8"))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `upstream_error` when it is not JSON or not of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        json::from_str(self.text()?).map_err(|error| self.nonsense(&format!("an unexpected body: {error}")))
    }

    /// The error that the status stands for, with `message` to say what it meant.
    ///
    /// The kind follows the status (401 is `auth_error`, 404 and 410 are `not_found`, 429 is `rate_limited` and so on), the status
    /// is the upstream code, and a `Retry-After` header becomes the hint `retry after … s`. Packs whose services mean something
    /// else by a status build their own [`Error`] for it.
    #[must_use]
    pub fn failure(&self, message: impl Into<String>) -> Error {
        let (kind, retryable) = kind_of(self.status());
        let mut error = Error::new(kind, message).upstream_code(self.status());
        if retryable {
            error = error.retryable();
            if let Some(wait) = self.retry_after() {
                error = error.hint(format!("retry after {wait}"));
            }
        }
        error
    }

    /// The `Retry-After` header as text: `30 s`, or the date that was sent.
    fn retry_after(&self) -> Option<String> {
        let value = self.header("retry-after")?.trim();
        match value.parse::<u64>() {
            Ok(seconds) => Some(format!("{seconds} s")),
            Err(_) if value.is_empty() => None,
            Err(_) => Some(value.chars().filter(|c| !c.is_control()).take(QUOTED_HEADER).collect()),
        }
    }

    fn nonsense(&self, what: &str) -> Error {
        Error::upstream(format!("the service answered with status {} and {what}", self.status()))
            .upstream_code(self.status())
    }
}

/// The kind of failure that a status stands for, and whether it may pass.
const fn kind_of(status: u16) -> (ErrorKind, bool) {
    match status {
        401 | 407 => (ErrorKind::AuthError, false),
        402 | 403 | 451 => (ErrorKind::PermissionError, false),
        404 | 410 => (ErrorKind::NotFound, false),
        408 => (ErrorKind::Timeout, true),
        409 | 412 | 423 => (ErrorKind::Conflict, false),
        429 => (ErrorKind::RateLimited, true),
        425 | 502..=504 => (ErrorKind::Transient, true),
        400..=499 => (ErrorKind::ValidationError, false),
        500 => (ErrorKind::UpstreamError, true),
        _ => (ErrorKind::UpstreamError, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::kind_name;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Response::new(wire::Response { status, headers, body: body.into() })
    }

    #[test]
    fn a_status_stands_for_a_kind() {
        let cases = [
            (301, "upstream_error", false),
            (400, "validation_error", false),
            (401, "auth_error", false),
            (403, "permission_error", false),
            (404, "not_found", false),
            (408, "timeout", true),
            (409, "conflict", false),
            (410, "not_found", false),
            (422, "validation_error", false),
            (429, "rate_limited", true),
            (500, "upstream_error", true),
            (501, "upstream_error", false),
            (503, "transient", true),
        ];
        for (status, kind, retryable) in cases {
            let error = response(status, &[], "").failure("m");
            assert_eq!((kind_name(error.kind()), error.is_retryable()), (kind, retryable), "{status}");
            assert_eq!(error.code(), Some(status.to_string().as_str()));
        }
    }

    #[test]
    fn retry_after_becomes_a_hint() {
        for (status, value, hints) in [
            (429, "12", &["retry after 12 s"][..]),
            (503, " 3 ", &["retry after 3 s"]),
            (429, "Wed, 21 Oct 2026 07:28:00 GMT", &["retry after Wed, 21 Oct 2026 07:28:00 GMT"]),
            (429, "", &[]),
            (404, "12", &[]),
        ] {
            assert_eq!(response(status, &[("retry-after", value)], "").failure("m").hints(), hints, "{status} {value}");
        }
    }

    #[test]
    fn a_body_of_another_shape_is_the_services_fault() {
        let response = response(200, &[], "<html>");
        let error = response.json::<u8>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UpstreamError);
        assert_eq!(
            error.message(),
            "the service answered with status 200 and an unexpected body: expected value at line 1 column 1"
        );
        assert_eq!(response.text().unwrap(), "<html>");
    }
}
