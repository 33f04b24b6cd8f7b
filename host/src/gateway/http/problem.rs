//! Answers of the HTTP side itself, when a request does not get as far as a tool: `{"error","detail"}` and a status.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use rig_specs::rgp::ErrorBody;

/// Why a request is not answered with what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway) struct Problem {
    status: StatusCode,
    error: &'static str,
    detail: String,
    header: Option<(HeaderName, &'static str)>,
}

impl Problem {
    fn new(status: StatusCode, error: &'static str, detail: impl Into<String>) -> Self {
        Self { status, error, detail: detail.into(), header: None }
    }

    /// The request breaks a rule of HTTP or of this API.
    pub(in crate::gateway) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// The body cannot be read as one JSON object.
    pub(in crate::gateway) fn invalid_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", detail)
    }

    /// The caller did not say who it is.
    pub(in crate::gateway) fn unauthorized(detail: impl Into<String>) -> Self {
        let header = Some((WWW_AUTHENTICATE, "Bearer realm=\"rig\""));
        Self { header, ..Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail) }
    }

    /// The caller may not do this.
    pub(in crate::gateway) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// There is nothing at this path.
    pub(in crate::gateway) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// There is something at this path, for other methods.
    pub(in crate::gateway) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this path takes {allow}");
        let header = Some((ALLOW, allow));
        Self { header, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail) }
    }

    /// As [`Self::method_not_allowed`], where the router adds what is allowed.
    pub(in crate::gateway) fn wrong_method(method: &str) -> Self {
        let detail = format!("this path does not take {method}; the `Allow` header names what it takes");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// The request did not arrive in time.
    pub(in crate::gateway) fn timeout(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail)
    }

    /// The body is longer than what can be used.
    pub(in crate::gateway) fn too_large(limit: usize) -> Self {
        let detail = format!("the body is longer than the {limit} bytes that are taken here");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
    }

    /// The head of the request is longer than what is read.
    pub(in crate::gateway) fn head_too_large() -> Self {
        let detail = "the request line and the headers are longer, or more, than what is read";
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", detail)
    }

    /// The body is of another type than JSON.
    pub(in crate::gateway) fn not_json() -> Self {
        let detail = "send the body as `Content-Type: application/json`";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// JSON that does not say what is expected here.
    pub(in crate::gateway) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
    }

    /// A fault of the gateway.
    pub(in crate::gateway) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail)
    }

    /// Something that the gateway needs is not there at the moment.
    pub(in crate::gateway) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// The status.
    #[cfg(test)]
    pub(in crate::gateway) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The body.
    pub(in crate::gateway) fn body(&self) -> String {
        let body = ErrorBody { error: self.error.to_owned(), detail: self.detail.clone() };
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// The whole answer as it goes over the wire, for when no request was understood; the connection ends after it.
    pub(in crate::gateway) fn raw(&self) -> String {
        let (body, reason) = (self.body(), self.status.canonical_reason().unwrap_or_default());
        format!(
            "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.status.as_u16(),
            body.len()
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
