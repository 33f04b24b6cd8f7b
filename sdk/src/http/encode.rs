//! Percent-encoding of paths and of form and query fields.

use crate::error::{Error, Result};

/// Joins segments to an absolute path, each percent-encoded: `/ ? # %` and everything else that is not a letter, a digit or one
/// of `-._~` is written as `%XX`.
///
/// ```
/// assert_eq!(rig_sdk::http::path(&["repos", "a/b", "issues"])?, "/repos/a%2Fb/issues");
/// # Ok::<(), rig_sdk::Error>(())
/// ```
///
/// # Errors
/// `validation_error` for an empty segment, which would name another resource (`/customers/` lists what `/customers/7` shows),
/// and for `.` and `..`, which every reader of URLs resolves even when they are percent-encoded. So do some for the parts between
/// encoded slashes, as in `a/../b`, and the host refuses such URLs: they are refused here, where the fault can still be told.
pub fn path(segments: &[&str]) -> Result<String> {
    let mut path = String::new();
    for segment in segments {
        if segment.is_empty() {
            return Err(Error::validation("an empty text cannot be part of a URL's path"));
        }
        if let Some(dots) = segment.split(['/', '\\']).find(|part| matches!(*part, "." | "..")) {
            return Err(Error::validation(format!("`{dots}` cannot be part of a URL's path")));
        }
        path.push('/');
        percent(&mut path, segment, |_| false, false);
    }
    Ok(path)
}

/// Appends `name=value` in the form encoding, after `&` when something stands before it. Brackets in the name stay: services
/// with nested fields document them so.
pub(super) fn field(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push('&');
    }
    percent(out, name, |byte| matches!(byte, b'[' | b']'), true);
    out.push('=');
    percent(out, value, |_| false, true);
}

fn percent(out: &mut String, text: &str, also_literal: fn(u8) -> bool, plus_for_space: bool) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || also_literal(byte) {
            out.push(char::from(byte));
        } else if byte == b' ' && plus_for_space {
            out.push('+');
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cannot_change_the_url() {
        let cases = [
            ("plain", "/plain"),
            ("a/b", "/a%2Fb"),
            ("a?b#c", "/a%3Fb%23c"),
            ("100%", "/100%25"),
            ("%2e%2e", "/%252e%252e"),
            ("a\\b", "/a%5Cb"),
            ("a..b/.c", "/a..b%2F.c"),
            ("...", "/..."),
            ("a b", "/a%20b"),
            ("é", "/%C3%A9"),
            ("@;=&+$,:!", "/%40%3B%3D%26%2B%24%2C%3A%21"),
            ("\r\n", "/%0D%0A"),
        ];
        for (segment, expected) in cases {
            assert_eq!(path(&[segment]).unwrap(), expected, "{segment}");
        }
    }

    #[test]
    fn segments_that_vanish_are_refused() {
        for (segment, message) in [
            ("", "an empty text cannot be part of a URL's path"),
            (".", "`.` cannot be part of a URL's path"),
            ("..", "`..` cannot be part of a URL's path"),
            ("../x", "`..` cannot be part of a URL's path"),
            ("a/./b", "`.` cannot be part of a URL's path"),
            ("a\\..", "`..` cannot be part of a URL's path"),
        ] {
            let error = path(&["a", segment]).unwrap_err();
            assert_eq!((error.kind(), error.message()), (crate::ErrorKind::ValidationError, message));
        }
    }
}
