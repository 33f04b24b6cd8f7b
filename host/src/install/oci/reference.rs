//! What names an artifact in a registry: `oci://registry[:port]/repository/name[:tag][@sha256:…]`. Purely text.

use std::fmt;

use rig_specs::Sha256;
use url::{Host, Url};

use crate::egress::Repository;

/// The scheme of such names.
pub const SCHEME: &str = "oci";

/// The longest name of a repository that registries take.
const MAX_PATH: usize = 255;
/// The longest tag.
const MAX_TAG: usize = 128;
/// The host that docker's own registry answers on, and what the docker configuration calls it.
const DOCKER: (&str, &str, &str) = ("docker.io", "registry-1.docker.io", "https://index.docker.io/v1/");

/// A repository, and perhaps what in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    base: Url,
    repository: String,
    /// A name that may be given to something else tomorrow.
    pub tag: Option<String>,
    /// Of the manifest: what is named by it never changes.
    pub digest: Option<Sha256>,
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    /// A sentence about what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("oci://").ok_or("it does not begin with `oci://`")?;
        if rest.contains(['?', '#']) {
            return Err("it holds a `?` or a `#`".into());
        }
        let (registry, rest) = rest.split_once('/').ok_or("it names no repository: `oci://registry/repository:tag`")?;
        let registry = registry.to_ascii_lowercase();
        let base = base(&registry)?;
        let (rest, digest) = match rest.split_once('@') {
            None => (rest, None),
            Some((rest, digest)) => {
                let hex = digest.strip_prefix("sha256:").filter(|hex| !hex.starts_with("sha256:"));
                let digest = hex.and_then(|hex| hex.parse().ok());
                (rest, Some(digest.ok_or("what follows `@` is not `sha256:` and 64 lower-case hex digits")?))
            }
        };
        let (path, tag) = rest.split_once(':').map_or((rest, None), |(path, tag)| (path, Some(tag)));
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        if path.len() > MAX_PATH || !path.split('/').all(is_component) {
            return Err(
                "the repository is not lower-case letters and digits, with `.`, `_`, `-` and `/` between them".into()
            );
        }
        // Docker's own registry keeps what has no owner in a place of its own.
        let repository =
            if registry == DOCKER.0 && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        Ok(Self { registry, base, repository, tag: tag.map(str::to_owned), digest })
    }

    /// The same artifact, named by its digest too.
    #[must_use]
    pub fn pinned(&self, digest: Sha256) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// Another artifact of the same repository.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }

    /// The tag alone, wherever it leads.
    #[must_use]
    pub fn unpinned(&self) -> Self {
        Self { digest: None, ..self.clone() }
    }

    /// The repository alone.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }

    /// `host` or `host:port`, as it was written.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Whether the registry is this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.base.scheme() == "http"
    }

    /// As a URL, as it stands in locks and indexes.
    #[must_use]
    pub fn url(&self) -> Option<Url> {
        Url::parse(&self.to_string()).ok()
    }

    /// A URL of the registry's API, below the repository.
    #[must_use]
    pub(super) fn api(&self, rest: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}/{rest}", self.repository));
        url
    }

    /// The repository for requests.
    #[must_use]
    pub(super) fn repository(&self, writes: bool) -> Repository {
        let name = if self.registry == DOCKER.0 { DOCKER.2.to_owned() } else { self.registry.clone() };
        Repository { base: self.base.clone(), name, path: self.repository.clone(), writes }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}://{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Whether a text can be a tag.
///
/// # Errors
/// A sentence about what a tag is.
pub(super) fn check_tag(tag: &str) -> Result<(), String> {
    let first = tag.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let rest = tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if first && rest && tag.len() <= MAX_TAG {
        return Ok(());
    }
    Err("the tag is not up to 128 letters, digits, `_`, `.` and `-`, with a letter, digit or `_` first".into())
}

/// Lower-case words, with one of `.`, `_`, `__` or any number of `-` between two.
fn is_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.first().copied().is_some_and(is_word) || !bytes.last().copied().is_some_and(is_word) {
        return false;
    }
    let mut between =
        text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).filter(|part| !part.is_empty());
    between.all(|part| matches!(part, "." | "_" | "__") || part.bytes().all(|byte| byte == b'-'))
}

/// Where the registry answers: over https, or over http on this machine. The host is taken only if it is what a URL makes of it:
/// there are many ways to write an address.
fn base(registry: &str) -> Result<Url, String> {
    if registry.contains('@') {
        return Err("it holds a user name or password, which would end up in rig.lock; use `docker login`".into());
    }
    let host = if registry == DOCKER.0 { DOCKER.1 } else { registry };
    let bad = || format!("`{}` is not the name of a registry", crate::words::plain(registry));
    let mut url = Url::parse(&format!("https://{host}/")).map_err(|_| bad())?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let same = format!("{}{port}", url.host_str().unwrap_or_default()) == host
        || host == format!("{}:443", url.host_str().unwrap_or_default());
    let plain =
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte)) && !host.ends_with('.');
    if !same || !plain {
        return Err(bad());
    }
    let local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if local {
        // A fresh one: a URL without a port would take over the one of https.
        url = Url::parse(&format!("http://{host}/")).map_err(|_| bad())?;
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn references_and_where_they_lead() {
        let cases = [
            ("oci://r.example/a", "https://r.example/v2/a/x", "r.example"),
            ("oci://r.example:443/a/b-c/d_e__f.g:1.0.0", "https://r.example/v2/a/b-c/d_e__f.g/x", "r.example:443"),
            ("oci://127.0.0.1:5000/a:latest", "http://127.0.0.1:5000/v2/a/x", "127.0.0.1:5000"),
            ("oci://localhost/a:_x", "http://localhost/v2/a/x", "localhost"),
            ("oci://[::1]:5000/a", "http://[::1]:5000/v2/a/x", "[::1]:5000"),
            ("oci://pkg.example/o/n:1.0.0-rc.1_b", "https://pkg.example/v2/o/n/x", "pkg.example"),
            ("oci://docker.io/o/n", "https://registry-1.docker.io/v2/o/n/x", "https://index.docker.io/v1/"),
        ];
        for (text, api, name) in cases {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(reference.to_string(), text);
            assert_eq!((reference.api("x").as_str(), reference.repository(false).name.as_str()), (api, name), "{text}");
            assert_eq!(reference.url().unwrap().as_str(), text);
            let pinned = reference.pinned(DIGEST.parse().unwrap());
            assert_eq!(Reference::parse(&pinned.to_string()), Ok(pinned));
        }
        let docker = Reference::parse("oci://docker.io/n:1").unwrap();
        assert_eq!(docker.to_string(), "oci://docker.io/library/n:1");
        assert_eq!(Reference::parse("oci://R.Example/a").unwrap().to_string(), "oci://r.example/a");
    }

    #[test]
    fn everything_else_says_what_is_wrong() {
        let long = format!("oci://r.example/{}", "a".repeat(256));
        let long_tag = format!("oci://r.example/a:{}", "a".repeat(129));
        let twice = format!("oci://r.example/a@sha256:{DIGEST}");
        let upper = format!("oci://r.example/a@{}", DIGEST.to_uppercase());
        let cases = [
            ("https://r.example/a", "it does not begin with `oci://`"),
            ("oci://r.example", "it names no repository"),
            ("oci:///a", "`` is not the name of a registry"),
            ("oci://r.example/", "the repository is not"),
            ("oci://r.example/A", "the repository is not"),
            ("oci://r.example/a//b", "the repository is not"),
            ("oci://r.example/../a", "the repository is not"),
            ("oci://r.example/a/../../b", "the repository is not"),
            ("oci://r.example/a%2fb", "the repository is not"),
            ("oci://r.example/-a", "the repository is not"),
            ("oci://r.example/a___b", "the repository is not"),
            (&long, "the repository is not"),
            ("oci://r.example/a:", "the tag is not"),
            ("oci://r.example/a:-x", "the tag is not"),
            ("oci://r.example/a:x/y", "the tag is not"),
            ("oci://r.example/a:x:y", "the tag is not"),
            (&long_tag, "the tag is not"),
            ("oci://r.example/a@sha512:00", "what follows `@` is not"),
            ("oci://r.example/a@sha256:00", "what follows `@` is not"),
            (&twice, "what follows `@` is not"),
            (&upper, "what follows `@` is not"),
            ("oci://r.example/a?x", "it holds a `?`"),
            ("oci://r.example/a#x", "it holds a `?` or a `#`"),
            ("oci://u:p@r.example/a", "it holds a user name or password"),
            ("oci://r.example:99999/a", "`r.example:99999` is not the name of a registry"),
            ("oci://r.example:/a", "`r.example:` is not the name of a registry"),
            ("oci://r.example./a", "`r.example.` is not the name of a registry"),
            ("oci://2130706433/a", "`2130706433` is not the name of a registry"),
            ("oci://0x7f.1/a", "`0x7f.1` is not the name of a registry"),
            ("oci://127.0.0.1:05000/a", "`127.0.0.1:05000` is not the name of a registry"),
            ("oci://r\\evil.example/a", "`r\\evil.example` is not the name of a registry"),
            ("oci://r%2eexample/a", "`r%2eexample` is not the name of a registry"),
            ("oci://ｒ.example/a", "`ｒ.example` is not the name of a registry"),
            ("oci://a b/a", "`a b` is not the name of a registry"),
        ];
        for (text, message) in cases {
            let error = Reference::parse(text).unwrap_err();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }
}
