//! The headers that a guest may set on a request.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT_ENCODING, CONTENT_LENGTH},
};

use super::{HttpError, limits};

/// Whether a header belongs to the connection or its framing, which are the host's. Set by a guest, they could make a proxy or a
/// server see another request, or another end of it, than the one that was checked.
pub(super) fn is_hosts_own(name: &HeaderName) -> bool {
    rig_specs::manifest::is_hosts_own(name.as_str())
}

/// Reads a guest's headers.
///
/// Two are taken out silently, since HTTP libraries in guests set them by themselves: a `Content-Length` that is right, and
/// `Accept-Encoding`: answers come uncompressed, or secrets in them would not be found.
pub(super) fn from_guest(fields: &[(String, String)], body: usize) -> Result<HeaderMap, HttpError> {
    let size: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    check_size("request", fields.len(), size)?;
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let shown = name.escape_debug();
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| HttpError::InvalidRequest(format!("`{shown}` is not the name of a header")))?;
        if is_hosts_own(&header) {
            return Err(HttpError::InvalidRequest(format!("the header `{shown}` is set by rig; leave it out")));
        }
        if header == CONTENT_LENGTH {
            if value.trim().parse() == Ok(body) {
                continue;
            }
            return Err(HttpError::InvalidRequest(format!(
                "the header `{shown}` does not say how long the body is ({body} bytes); leave it out"
            )));
        }
        if header == ACCEPT_ENCODING {
            continue;
        }
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| HttpError::InvalidRequest(format!("the header `{shown}` holds a control character")))?;
        headers.append(header, value);
    }
    Ok(headers)
}

/// Checks the headers of a request or of a response.
pub(super) fn check_size(of: &str, count: usize, bytes: usize) -> Result<(), HttpError> {
    if count > limits::HEADERS {
        return Err(HttpError::TooLarge(format!("the {of} has {count} headers; {} are allowed", limits::HEADERS)));
    }
    if bytes > limits::HEADER_BYTES {
        let allowed = limits::HEADER_BYTES >> 10;
        return Err(HttpError::TooLarge(format!(
            "the headers of the {of} take {bytes} bytes; {allowed} KiB are allowed"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<HeaderMap, HttpError> {
        let fields: Vec<(String, String)> = fields.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        from_guest(&fields, 3)
    }

    #[test]
    fn ordinary_headers_pass_in_order() {
        let fields = [
            ("Accept", "application/json"),
            ("X-A", "1"),
            ("x-a", "2"),
            ("Content-Length", "3"),
            ("Accept-Encoding", "gzip"),
            ("X-Name", "Zoë"),
            ("X-Empty", ""),
        ];
        let headers = read(&fields).unwrap();
        assert_eq!(headers.len(), 5);
        assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert!(!headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(ACCEPT_ENCODING));
        assert_eq!(headers["x-name"].as_bytes(), "Zoë".as_bytes());
    }

    #[test]
    fn the_hosts_own_are_refused() {
        for name in [
            "Host",
            "host",
            "Connection",
            "Keep-Alive",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
            "Expect",
            "HTTP2-Settings",
            "Proxy-Authorization",
            "proxy-connection",
            "Proxy-Anything",
        ] {
            let expected = HttpError::InvalidRequest(format!("the header `{name}` is set by rig; leave it out"));
            assert_eq!(read(&[(name, "x")]), Err(expected));
        }
        for (field, why) in [
            (("Content-Length", "4"), "does not say how long the body is (3 bytes)"),
            (("Content-Length", "3, 3"), "does not say how long the body is"),
            (("Content-Length", "+3x"), "does not say how long the body is"),
            (("", "x"), "is not the name of a header"),
            (("a b", "x"), "is not the name of a header"),
            (("a\r\nHost: evil", "x"), "`a\\r\\nHost: evil` is not the name of a header"),
            (("Host ", "x"), "is not the name of a header"),
            (("x-a", "1\r\nHost: evil"), "the header `x-a` holds a control character"),
            (("x-a", "1\0"), "holds a control character"),
        ] {
            match read(&[field]) {
                Err(HttpError::InvalidRequest(text)) => assert!(text.contains(why), "{field:?}: {text}"),
                other => panic!("{field:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn sizes() {
        assert!(read(&[("x", "y"); limits::HEADERS]).is_ok());
        assert_eq!(
            read(&[("x", "y"); limits::HEADERS + 1]),
            Err(HttpError::TooLarge("the request has 101 headers; 100 are allowed".into()))
        );
        let long = "y".repeat(limits::HEADER_BYTES);
        assert!(read(&[("", &long[1..])]).is_err_and(|error| error.kind() == "invalid-request"));
        assert_eq!(
            read(&[("x", &long)]),
            Err(HttpError::TooLarge("the headers of the request take 65537 bytes; 64 KiB are allowed".into()))
        );
    }
}
