//! The patterns of hosts and paths, and the values of settings in them.

use std::collections::BTreeMap;

use rig_specs::manifest::{Capabilities, Scheme};

use super::url::Target;

/// An exact host, or every name below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::egress) enum HostPattern {
    /// In lower case; an IPv6 address in brackets.
    Exact(String),
    /// With the dot that stands before it: `.example.com`.
    Below(String),
}

impl HostPattern {
    /// Reads `api.example.com`, `*.example.com`, `127.0.0.1` or `[::1]`.
    pub(in crate::egress) fn parse(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a host: write a name such as api.example.com, or *.example.com");
        let (name, below) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        if name.contains(['/', '?', '#', '@']) || (name.contains(':') && !name.starts_with('[')) {
            return Err(refuse());
        }
        let target = Target::parse(&format!("https://{name}/")).map_err(|_| refuse())?;
        let host = target.host().to_owned();
        match (below, is_address(&host)) {
            (false, _) if target.port() == Scheme::Https.default_port() => Ok(Self::Exact(host)),
            (true, false) => Ok(Self::Below(format!(".{host}"))),
            _ => Err(refuse()),
        }
    }

    /// Whether the pattern is for that host, in lower case. Names below a name are names: an address never is one.
    pub(in crate::egress) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()) && !is_address(host),
        }
    }

    /// Whether the pattern covers a whole top-level domain.
    pub(in crate::egress) fn is_too_wide(&self) -> bool {
        matches!(self, Self::Below(suffix) if !suffix[1..].contains('.'))
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(suffix) => write!(f, "*{suffix}"),
        }
    }
}

fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// A pattern of paths: `*` stands for characters other than `/`, at the end of the pattern for anything.
///
/// As no star crosses a `/`, segments match one by one, and a pattern written by a hostile pack cannot make matching slow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::egress) struct PathPattern(String);

impl PathPattern {
    pub(in crate::egress) fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// Whether the pattern is for that path, as it stands in the request line.
    pub(in crate::egress) fn matches(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        let mut patterns = self.0.split('/').peekable();
        while let Some(pattern) = patterns.next() {
            let Some(part) = parts.next() else { return false };
            if !segment_matches(pattern.as_bytes(), part.as_bytes()) {
                return false;
            }
            if patterns.peek().is_none() && pattern.ends_with('*') {
                return true;
            }
        }
        parts.next().is_none()
    }
}

impl std::fmt::Display for PathPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Going back to the last star only is enough: an earlier one could not do better.
fn segment_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            last_star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == text.get(t) {
            p += 1;
            t += 1;
        } else if let Some((star, tried)) = last_star {
            last_star = Some((star, tried + 1));
            p = star + 1;
            t = tried + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// The values of a pack's settings, with the defaults that were granted.
#[derive(Clone, Copy)]
pub(in crate::egress) struct Settings<'a> {
    pub granted: &'a Capabilities,
    pub values: &'a BTreeMap<String, String>,
}

/// Why a text with `{config.NAME}` has no value.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::egress) enum TemplateProblem {
    /// The setting has no value. What uses it is out of reach until it has one.
    Unset(String),
    /// The value, or the template, is not usable.
    Bad(String),
}

/// A host written in the manifest, with the settings filled in.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::egress) struct ExpandedHost {
    pub pattern: HostPattern,
    /// When the setting is a URL.
    pub scheme: Option<Scheme>,
    /// When the setting names one.
    pub port: Option<u16>,
}

impl Settings<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        let default = || self.granted.config.get(name)?.default.as_deref();
        self.values.get(name).map(String::as_str).or_else(default).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Replaces every `{config.NAME}` in a text.
    pub(in crate::egress) fn expand(&self, template: &str) -> Result<String, TemplateProblem> {
        let mut expanded = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{config.") {
            let unclosed = || TemplateProblem::Bad(format!("`{template}` has a `{{config.` without its `}}`"));
            let (name, after) = after.split_once('}').ok_or_else(unclosed)?;
            expanded.push_str(before);
            expanded.push_str(self.value(name).ok_or_else(|| TemplateProblem::Unset(name.to_owned()))?);
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// Reads a host of the manifest. A setting may stand for a part of it, or for all of it; then it may be a URL.
    pub(in crate::egress) fn host(&self, template: &str) -> Result<ExpandedHost, TemplateProblem> {
        let whole = template.strip_prefix("{config.").and_then(|rest| rest.strip_suffix('}'));
        if let Some(name) = whole.filter(|name| !name.contains('{')) {
            let value = self.value(name).ok_or_else(|| TemplateProblem::Unset(name.to_owned()))?;
            return host_of_setting(value).map_err(|why| TemplateProblem::Bad(format!("the setting {name}: {why}")));
        }
        let expanded = self.expand(template)?;
        // A star comes from the manifest, which was consented to, and from nowhere else.
        let stars = |text: &str| text.matches('*').count();
        if stars(&expanded) != stars(template) {
            return Err(TemplateProblem::Bad(format!("a setting in the host `{template}` holds a star")));
        }
        let pattern = HostPattern::parse(&expanded.to_ascii_lowercase()).map_err(TemplateProblem::Bad)?;
        if pattern.is_too_wide() {
            return Err(TemplateProblem::Bad(format!("`{pattern}` covers a whole top-level domain")));
        }
        Ok(ExpandedHost { pattern, scheme: None, port: None })
    }
}

fn host_of_setting(value: &str) -> Result<ExpandedHost, String> {
    let written = value.contains("://");
    let url = if written { value.to_owned() } else { format!("https://{value}/") };
    let target = Target::parse(&url).map_err(|problem| format!("its value is not a host or a URL: {problem}"))?;
    if !written && value.contains(['/', '?']) {
        return Err("its value is not a host or a URL: a URL starts with https://".into());
    }
    let names_port = written || target.port() != Scheme::Https.default_port();
    Ok(ExpandedHost {
        pattern: HostPattern::Exact(target.host().to_owned()),
        scheme: written.then(|| target.scheme()),
        port: names_port.then(|| target.port()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (pattern, host, matches) in [
            ("api.example.com", "api.example.com", true),
            ("API.example.com", "api.example.com", true),
            ("api.example.com", "xapi.example.com", false),
            ("api.example.com", "api.example.com.evil.example", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "evilexample.com", false),
            ("*.example.com", ".example.com", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("[::1]", "[::1]", true),
            ("[0:0::1]", "[::1]", true),
            ("*.a1", "127.0.0.a1", true),
        ] {
            assert_eq!(HostPattern::parse(pattern).unwrap().matches(host), matches, "{pattern} {host}");
        }
        // Made by hand: an address never lies below a name.
        assert!(!HostPattern::Below(".0.0.1".into()).matches("127.0.0.1"));
        for bad in
            ["", "*", "*.", "*.*.example.com", "a b", "a/b", "a:443", "https://a", "*.127.0.0.1", "*.[::1]", "a."]
        {
            assert!(HostPattern::parse(bad).unwrap_err().contains("is not a host"), "{bad}");
        }
        assert!(HostPattern::parse("*.com").unwrap().is_too_wide());
        assert!(!HostPattern::parse("*.example.com").unwrap().is_too_wide());
    }

    #[test]
    fn paths() {
        for (pattern, path, matches) in [
            ("/*", "/", true),
            ("/*", "/a/b/c", true),
            ("/v1/*", "/v1/", true),
            ("/v1/*", "/v1/a/b", true),
            ("/v1/*", "/v1", false),
            ("/v1/*", "/v10/a", false),
            ("/v1*", "/v1beta/a", true),
            ("/v1", "/v1", true),
            ("/v1", "/v1/", false),
            ("/v1/", "/v1/", true),
            ("/repos/*/*/issues", "/repos/o/r/issues", true),
            ("/repos/*/*/issues", "/repos/o/r/x/issues", false),
            ("/repos/*/*/issues", "/repos/o/r/issues/1", false),
            ("/repos/*/*/issues", "/repos/o/issues", false),
            ("/repos/*/*/issues", "/repos/o/r%2Fx/issues", true),
            ("/repos/*/*/issues/*", "/repos/o/r/issues/1/comments", true),
            ("/a-*-z", "/a-b-z", true),
            ("/a-*-z", "/a-b-c-z", true),
            ("/a-*-z", "/a-z", false),
            ("/a*b*c", "/axxbxxbxc", true),
            ("/a*b*c", "/axxbxxbxd", false),
            ("/x/*.json", "/x/a.json", true),
            ("/x/*.json", "/x/y/a.json", false),
            ("/**", "/a/b", true),
        ] {
            assert_eq!(PathPattern::new(pattern).matches(path), matches, "{pattern} {path}");
        }
    }

    #[test]
    fn many_stars_are_not_slow() {
        let pattern = PathPattern::new(&format!("/{}b", "*a".repeat(500)));
        let started = std::time::Instant::now();
        assert!(!pattern.matches(&format!("/{}", "a".repeat(5_000))));
        assert!(started.elapsed() < std::time::Duration::from_secs(2), "{:?}", started.elapsed());
    }

    #[test]
    fn settings_in_hosts() {
        let granted = Capabilities {
            config: BTreeMap::from([(
                "REGION".into(),
                rig_specs::manifest::ConfigDecl {
                    description: String::new(),
                    required: false,
                    default: Some("eu".into()),
                },
            )]),
            ..Capabilities::default()
        };
        let expand = |template: &str, value: &str| {
            let values = BTreeMap::from([("X".to_owned(), value.to_owned())]);
            Settings { granted: &granted, values: &values }.host(template)
        };
        let exact =
            |host: &str, scheme, port| Ok(ExpandedHost { pattern: HostPattern::Exact(host.into()), scheme, port });
        for (template, value, expected) in [
            ("{config.X}", "xyz.supabase.co", exact("xyz.supabase.co", None, None)),
            ("{config.X}", "xyz.supabase.co:8443", exact("xyz.supabase.co", None, Some(8443))),
            ("{config.X}", "https://xyz.supabase.co", exact("xyz.supabase.co", Some(Scheme::Https), Some(443))),
            ("{config.X}", "https://XYZ.supabase.co/rest", exact("xyz.supabase.co", Some(Scheme::Https), Some(443))),
            ("{config.X}", "http://127.0.0.1:54321", exact("127.0.0.1", Some(Scheme::Http), Some(54321))),
            ("{config.X}.example.com", "shop", exact("shop.example.com", None, None)),
            ("{config.X}.{config.REGION}.example.com", "shop", exact("shop.eu.example.com", None, None)),
            ("{config.NONE}", "", Err(TemplateProblem::Unset("NONE".into()))),
            ("{config.X}.example.com", "  ", Err(TemplateProblem::Unset("X".into()))),
        ] {
            assert_eq!(expand(template, value), expected, "{template} {value}");
        }
        for (template, value, why) in [
            ("{config.X}", "*.example.com", "the setting X: its value is not a host or a URL"),
            ("{config.X}", "a b", "the setting X: its value is not a host or a URL"),
            ("{config.X}", "host/path", "a URL starts with https://"),
            ("{config.X}", "https://u:p@host/", "the setting X: its value is not a host or a URL"),
            ("{config.X}.example.com", "evil.example/", "is not a host"),
            ("{config.X}.example.com", "evil.example#", "is not a host"),
            ("{config.X}.example.com", "evil.example?", "is not a host"),
            ("{config.X}.example.com", "u@evil", "is not a host"),
            ("{config.X}.example.com", "*", "holds a star"),
            ("*.{config.X}", "com", "covers a whole top-level domain"),
            ("{config.X", "a", "without its `}`"),
        ] {
            match expand(template, value) {
                Err(TemplateProblem::Bad(text)) => assert!(text.contains(why), "{template} {value}: {text}"),
                other => panic!("{template} {value}: {other:?}"),
            }
        }
    }
}
