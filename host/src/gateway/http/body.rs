//! Reading the body of a request: at most so much, for at most so long, and JSON only.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;

use super::problem::Problem;

/// How long a body may take to come. Four MiB, the longest arguments by default, need little more than a megabit a second.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Reads the whole body as text; empty when there is none.
///
/// # Errors
/// When it is too long (413), too slow (408), cut off (400), no JSON by its type (415), or not UTF-8 (400).
pub(in crate::gateway) async fn text(request: Request<Body>, limit: usize) -> Result<String, Problem> {
    let (head, body) = request.into_parts();
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |length| length > limit) {
        return Err(Problem::too_large(limit));
    }
    if body.is_end_stream() {
        return Ok(String::new());
    }
    let bytes = match tokio::time::timeout(BODY_TIME, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Problem::too_large(limit)),
        Ok(Err(_)) => return Err(Problem::bad_request("the body did not come to its end")),
        Err(_) => {
            return Err(Problem::timeout(format!("the body did not come within {} s", BODY_TIME.as_secs())));
        }
    };
    if bytes.is_empty() {
        return Ok(String::new());
    }
    if !is_json(&head.headers) {
        return Err(Problem::not_json());
    }
    utf8(bytes)
}

fn utf8(bytes: Bytes) -> Result<String, Problem> {
    String::from_utf8(Vec::from(bytes)).map_err(|error| {
        Problem::invalid_json(format!("the body is not UTF-8, from byte {}", error.utf8_error().valid_up_to()))
    })
}

/// Whether the body is said to be JSON in UTF-8.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    json && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) => {
            name.trim().eq_ignore_ascii_case("charset") && value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        None => parameter.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_from_other_types() {
        let check = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_TYPE, http::HeaderValue::from_static(value));
            }
            is_json(&headers)
        };
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(check(&[good]), "{good}");
        }
        for bad in
            ["text/plain", "application/json5", "application/json; charset=latin1", "application/json; x=y", "*/*", ""]
        {
            assert!(!check(&[bad]), "{bad}");
        }
        assert!(!check(&[]));
        assert!(!check(&["application/json", "application/json"]));
    }
}
