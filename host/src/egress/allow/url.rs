//! One strict reading of a URL, which then serves the rules, the name lookup, TLS and the `Host` header.
//!
//! URL parsers repair what they are given: they drop tabs, read `\` as `/`, turn `0x7f.1` into `127.0.0.1`. What was checked is
//! then not what is reached. Here a text that needs repair is refused instead.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;
use rig_specs::manifest::Scheme;
use url::{Host, Url};

use super::super::limits;

/// Why a URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::egress) enum UrlProblem {
    /// Longer than [`limits::URL`].
    #[error("it is longer than {} KiB", limits::URL >> 10)]
    TooLong,
    /// A control character or any white space.
    #[error("it holds a space or a control character; percent-encode it")]
    Control,
    /// A backslash, which some parsers read as `/`.
    #[error("it holds a backslash; percent-encode it as %5C")]
    Backslash,
    /// Not `https://` or `http://` and then a host.
    #[error("it does not start with https:// or http://")]
    Scheme,
    /// No host.
    #[error("it names no host")]
    NoHost,
    /// `user:password@host`.
    #[error("it holds a user name before the host; credentials belong to the secrets of the manifest")]
    UserInfo,
    /// An international name in its readable form.
    #[error("its host is not ASCII; write international names as xn--…")]
    NotAscii,
    /// `example.com.`, which is another host to some programs and the same to others.
    #[error("its host ends in a dot")]
    TrailingDot,
    /// A host that would be read as another one than the text shows, or that is no host name at all.
    #[error("its host is not written plainly: a lower-case name, four decimal numbers, or an IPv6 address in brackets")]
    HostForm,
    /// No number, or an empty one.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// A `#`, which would never be sent.
    #[error("it holds a fragment, which is never sent; write a literal `#` as %23")]
    Fragment,
    /// `.` or `..` in the path, plain or percent-encoded.
    #[error("its path holds a `.` or `..` segment")]
    DotSegment,
}

/// A URL that passed.
#[derive(Debug, Clone)]
pub(in crate::egress) struct Target {
    url: Url,
    scheme: Scheme,
    host: String,
    port: u16,
}

impl Target {
    /// Reads a URL as a guest or a setting wrote it.
    pub(in crate::egress) fn parse(raw: &str) -> Result<Self, UrlProblem> {
        if raw.len() > limits::URL {
            return Err(UrlProblem::TooLong);
        }
        refuse_characters(raw)?;
        let (written_scheme, rest) = raw.split_once("://").ok_or(UrlProblem::Scheme)?;
        let scheme = match written_scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err(UrlProblem::Scheme),
        };
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let (host, port) = split_authority(authority)?;
        let port = match port {
            Some(digits) => read_port(digits)?,
            None => scheme.default_port(),
        };
        if raw.contains('#') {
            return Err(UrlProblem::Fragment);
        }
        let url = Url::parse(raw).map_err(|_| UrlProblem::HostForm)?;
        let read_as_written = match url.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case(host) && is_host_name(name),
            Some(Host::Ipv4(ip)) => ip.to_string() == host,
            Some(Host::Ipv6(ip)) => bracketed(host) == Some(ip),
            None => false,
        };
        if !read_as_written || url.port_or_known_default() != Some(port) {
            return Err(UrlProblem::HostForm);
        }
        // The parser has resolved dot segments; the text still shows them.
        let path = &rest[authority.len()..];
        if has_dot_segment(&path[..path.find('?').unwrap_or(path.len())]) {
            return Err(UrlProblem::DotSegment);
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Self { url, scheme, host, port })
    }

    /// Where a redirect from here leads. A relative location and a fragment are resolved as RFC 9110 says; all else is as strict.
    pub(in crate::egress) fn join(&self, location: &str) -> Result<Self, UrlProblem> {
        refuse_characters(location)?;
        let mut url = self.url.join(location).map_err(|_| UrlProblem::HostForm)?;
        url.set_fragment(None);
        Self::parse(url.as_str())
    }

    pub(in crate::egress) const fn url(&self) -> &Url {
        &self.url
    }

    /// The URL, to change its query. Scheme, host, port and path are what was checked: leave them.
    pub(in crate::egress) const fn url_mut(&mut self) -> &mut Url {
        &mut self.url
    }

    pub(in crate::egress) const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// In lower case; an IPv6 address in brackets.
    pub(in crate::egress) fn host(&self) -> &str {
        &self.host
    }

    pub(in crate::egress) const fn port(&self) -> u16 {
        self.port
    }

    pub(in crate::egress) fn path(&self) -> &str {
        self.url.path()
    }

    /// The URL without its query, short enough for a message.
    pub(in crate::egress) fn shown(&self) -> String {
        const LONGEST: usize = 200;
        let port = if self.port == self.scheme.default_port() { String::new() } else { format!(":{}", self.port) };
        let path: String = self.path().chars().take(LONGEST).collect();
        let more = if path.len() < self.path().len() { "…" } else { "" };
        format!("{}://{}{port}{path}{more}", self.scheme.as_str(), self.host)
    }
}

fn refuse_characters(raw: &str) -> Result<(), UrlProblem> {
    if raw.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(UrlProblem::Control);
    }
    if raw.contains('\\') {
        return Err(UrlProblem::Backslash);
    }
    Ok(())
}

fn split_authority(authority: &str) -> Result<(&str, Option<&str>), UrlProblem> {
    if authority.contains('@') {
        return Err(UrlProblem::UserInfo);
    }
    if !authority.is_ascii() {
        return Err(UrlProblem::NotAscii);
    }
    let host_end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None if authority.starts_with('[') => return Err(UrlProblem::HostForm),
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(host_end);
    if host.is_empty() {
        return Err(UrlProblem::NoHost);
    }
    if host.ends_with('.') {
        return Err(UrlProblem::TrailingDot);
    }
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err(UrlProblem::HostForm),
    }
}

fn read_port(digits: &str) -> Result<u16, UrlProblem> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain).ok_or(UrlProblem::Port)
}

fn bracketed(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// DNS allows more in a name than any host that serves HTTP uses.
fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

/// Servers that decode before they split would see a `%2e%2e%2f` as a way up.
fn has_dot_segment(path: &str) -> bool {
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    decoded.split(|b| matches!(b, b'/' | b'\\')).any(|segment| matches!(segment, b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_urls_pass() {
        for (raw, host, port, path) in [
            ("https://api.github.com", "api.github.com", 443, "/"),
            ("https://api.github.com/repos/o/r/issues?state=open", "api.github.com", 443, "/repos/o/r/issues"),
            ("HTTPS://API.GitHub.com/", "api.github.com", 443, "/"),
            ("http://localhost:8080/a", "localhost", 8080, "/a"),
            ("https://example.com:443/", "example.com", 443, "/"),
            ("https://example.com?x=1", "example.com", 443, "/"),
            ("https://1.2.3.4/", "1.2.3.4", 443, "/"),
            ("https://[2606:4700::1111]/", "[2606:4700::1111]", 443, "/"),
            ("https://[2606:4700:0:0::1111]:8443/", "[2606:4700::1111]", 8443, "/"),
            ("https://[::FFFF:1.2.3.4]/", "[::ffff:102:304]", 443, "/"),
            ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/"),
            ("https://my_host.example.com/", "my_host.example.com", 443, "/"),
            ("https://example.com/a@b", "example.com", 443, "/a@b"),
            ("https://example.com/a%2Fb", "example.com", 443, "/a%2Fb"),
            ("https://example.com/ä", "example.com", 443, "/%C3%A4"),
            ("https://example.com/a..b/.well-known/...", "example.com", 443, "/a..b/.well-known/..."),
            ("https://example.com/?next=../x", "example.com", 443, "/"),
        ] {
            let target = Target::parse(raw).unwrap_or_else(|problem| panic!("{raw}: {problem}"));
            assert_eq!((target.host(), target.port(), target.path()), (host, port, path), "{raw}");
        }
    }

    #[test]
    fn what_parsers_repair_is_refused() {
        use UrlProblem as P;
        for (raw, problem) in [
            ("", P::Scheme),
            ("example.com/", P::Scheme),
            ("//example.com/", P::Scheme),
            ("https:example.com", P::Scheme),
            ("https:/example.com", P::Scheme),
            ("ftp://example.com/", P::Scheme),
            ("file:///etc/passwd", P::Scheme),
            ("data:text/plain,x", P::Scheme),
            ("javascript://example.com/", P::Scheme),
            ("https://", P::NoHost),
            ("https:///example.com/", P::NoHost),
            ("https://:443/", P::NoHost),
            ("https://?x", P::NoHost),
            ("https://user@example.com/", P::UserInfo),
            ("https://user:pw@example.com/", P::UserInfo),
            ("https://@example.com/", P::UserInfo),
            ("https://good.example%40evil.example/", P::HostForm),
            ("https://evil.example\\@good.example/", P::Backslash),
            ("https://good.example\\.evil.example/", P::Backslash),
            ("https://example.com/a\\..\\b", P::Backslash),
            ("https://exa\tmple.com/", P::Control),
            ("https://example.com/a b", P::Control),
            ("https://example.com/\r\nHost: evil.example", P::Control),
            (" https://example.com/", P::Control),
            ("https://example.com/\u{0}", P::Control),
            ("https://example.com/\u{a0}", P::Control),
            ("https://example.com./", P::TrailingDot),
            ("https://127.0.0.1./", P::TrailingDot),
            ("https://bücher.example/", P::NotAscii),
            ("https://１２７.0.0.1/", P::NotAscii),
            ("https://example。com/", P::NotAscii),
            ("https://2130706433/", P::HostForm),
            ("https://0x7f.1/", P::HostForm),
            ("https://0177.0.0.1/", P::HostForm),
            ("https://127.1/", P::HostForm),
            ("https://127.0.0.01/", P::HostForm),
            ("https://%31%32%37.0.0.1/", P::HostForm),
            ("https://exam%70le.com/", P::HostForm),
            ("https://example..com/", P::HostForm),
            ("https://.example.com/", P::HostForm),
            ("https://*.example.com/", P::HostForm),
            ("https://exa;mple.com/", P::HostForm),
            ("https://[::1/", P::HostForm),
            ("https://[::1%25eth0]/", P::HostForm),
            ("https://[::1]x/", P::HostForm),
            ("https://example.com:/", P::Port),
            ("https://example.com:0/", P::Port),
            ("https://example.com:0443/", P::Port),
            ("https://example.com:65536/", P::Port),
            ("https://example.com:+443/", P::Port),
            ("https://example.com:443:80/", P::Port),
            ("https://example.com/#top", P::Fragment),
            ("https://example.com#@evil.example/", P::Fragment),
            ("https://example.com/a/../b", P::DotSegment),
            ("https://example.com/..", P::DotSegment),
            ("https://example.com/./a", P::DotSegment),
            ("https://example.com/%2e%2E/a", P::DotSegment),
            ("https://example.com/a/..%2fb", P::DotSegment),
            ("https://example.com/a%5c..%5cb", P::DotSegment),
        ] {
            assert_eq!(Target::parse(raw).err(), Some(problem), "{raw:?}");
        }
        let long = format!("https://example.com/{}", "a".repeat(limits::URL));
        assert_eq!(Target::parse(&long).err(), Some(P::TooLong));
    }

    #[test]
    fn redirects_are_read_as_strictly() {
        let from = Target::parse("https://example.com/a/b?x=1").unwrap();
        for (location, to) in [
            ("/c", "https://example.com/c"),
            ("c?y=2", "https://example.com/a/c?y=2"),
            ("../c", "https://example.com/c"),
            ("//other.example/c#top", "https://other.example/c"),
            ("http://other.example/", "http://other.example/"),
        ] {
            assert_eq!(from.join(location).map(|t| t.url().to_string()), Ok(to.to_owned()), "{location}");
        }
        for (location, problem) in [
            ("https://user:pw@example.com/", UrlProblem::UserInfo),
            ("https:\\\\evil.example", UrlProblem::Backslash),
            ("/a\tb", UrlProblem::Control),
            ("ftp://example.com/", UrlProblem::Scheme),
            ("https://example.com./", UrlProblem::TrailingDot),
        ] {
            assert_eq!(from.join(location).err(), Some(problem), "{location}");
        }
        // A repaired address is checked in its repaired form.
        assert_eq!(from.join("https://2130706433/").unwrap().host(), "127.0.0.1");
    }
}
