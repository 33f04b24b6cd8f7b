//! What a person names on the command line: a pack of the index, a file, or a URL with the hash of what is there. Purely text.

use std::path::{Path, PathBuf};

use rig_specs::{PackId, Sha256};
use semver::{Version, VersionReq};
use url::{Host, Url};

use super::oci::{self, Reference};

/// What is to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A pack of the index.
    Named {
        /// Its id.
        id: PackId,
        /// Which version; the newest when absent.
        version: Option<Wanted>,
    },
    /// A component on this machine.
    File(PathBuf),
    /// A component somewhere else, with its hash.
    Url {
        /// Where it is, without the fragment.
        url: Url,
        /// Of its exact bytes.
        sha256: Sha256,
    },
    /// A component in an OCI registry.
    Oci {
        /// What is named there. Where that is neither tag nor digest, the newest version is meant.
        reference: Reference,
        /// Which version, when the reference names none.
        version: Option<Wanted>,
        /// Of the exact bytes, when the person says so.
        sha256: Option<Sha256>,
    },
}

/// Which version of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Exactly this one.
    Exact(Version),
    /// The newest that fits.
    Range(VersionReq),
}

impl Wanted {
    /// Whether a version is one that is wanted.
    #[must_use]
    pub fn matches(&self, version: &Version) -> bool {
        match self {
            Self::Exact(exact) => exact == version,
            Self::Range(range) => range.matches(version),
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(version) => version.fmt(f),
            Self::Range(range) => range.fmt(f),
        }
    }
}

/// A text that does not name something to install.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// A name that is no pack id.
    #[error(transparent)]
    Name(#[from] rig_specs::PackIdError),
    /// A version that is neither a version nor a range.
    #[error("`{0}` is not a version: expected for example `1.2.0` or `^1.2`")]
    Version(String),
    /// Two versions for one pack.
    #[error("`{0}` names a version already; `--version` names another")]
    TwoVersions(String),
    /// `--version` beside a file or a URL.
    #[error("`--version` has no meaning for `{0}`: the file itself says its version")]
    VersionOfFile(String),
    /// A URL without a hash.
    #[error("`{0}` names no hash: rig installs from a URL only what is named by its hash")]
    NoHash(String),
    /// A fragment that is not a hash.
    #[error("`{url}`: `{fragment}` is not `sha256=` and 64 lower-case hex digits")]
    BadHash {
        /// The URL.
        url: String,
        /// What stands after `#`.
        fragment: String,
    },
    /// A URL that cannot be read.
    #[error("`{text}` is not a URL that rig can use: {why}")]
    Url {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A name of an artifact in a registry that cannot be read.
    #[error("`{text}` is not the name of an artifact in a registry: {why}")]
    Oci {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A path to something that is not a component.
    #[error("`{0}` is a path, but its name does not end in `.wasm`")]
    NotWasm(String),
}

impl SourceError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Name(_) | Self::NotWasm(_) => Some(
                "name a pack (`echo`), a version of it (`echo@1.2.0`), a file (`./echo.wasm`) or a URL with its hash"
                    .into(),
            ),
            Self::NoHash(url) => Some(format!(
                "add the hash of the file: `{url}#sha256=<64 hex digits>`; `sha256sum FILE` prints that of a copy you trust"
            )),
            Self::BadHash { url, .. } => Some(format!("write `{url}#sha256=<64 hex digits>`")),
            Self::Url { .. } => Some("use https, http on this machine, oci, or file".into()),
            Self::Oci { .. } => {
                Some("write `oci://registry/repository:tag` or `oci://registry/repository@sha256:…`".into())
            }
            Self::Version(_) => Some("`rig info NAME` lists the versions that the index has".into()),
            Self::TwoVersions(_) | Self::VersionOfFile(_) => Some("leave out `--version`".into()),
        }
    }
}

impl Request {
    /// Reads what a person named. `version` is that of `--version`; relative paths are relative to `cwd`.
    ///
    /// # Errors
    /// When the text names nothing that can be installed.
    pub fn parse(text: &str, version: Option<&str>, cwd: &Path) -> Result<Self, SourceError> {
        let only_for_names = |request: Self| match version {
            None => Ok(request),
            Some(_) => Err(SourceError::VersionOfFile(shown(text))),
        };
        if text.contains("://") || text.starts_with("oci:") {
            let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
            let digest = |url: &str| {
                let bad = || SourceError::BadHash { url: shown(url), fragment: shown(fragment) };
                fragment.strip_prefix("sha256=").and_then(|hex| hex.parse().ok()).ok_or_else(bad)
            };
            if url.starts_with("oci:") {
                let reference = reference(url)?;
                let sha256 = (!fragment.is_empty()).then(|| digest(url)).transpose()?;
                if version.is_some() && (reference.tag.is_some() || reference.digest.is_some()) {
                    return Err(SourceError::TwoVersions(shown(url)));
                }
                return Ok(Self::Oci { reference, version: version.map(wanted).transpose()?, sha256 });
            }
            let url = artifact_url(url)?;
            if fragment.is_empty() {
                return Err(SourceError::NoHash(shown(url.as_str())));
            }
            let sha256 = digest(url.as_str())?;
            return only_for_names(Self::Url { url, sha256 });
        }
        let is_path = text.contains(['/', '\\']) || text.starts_with('.');
        if Path::new(text).extension().is_some_and(|extension| extension == "wasm") {
            // Without the `.` of `./echo.wasm` in the middle of every message.
            return only_for_names(Self::File(cwd.join(text).components().collect()));
        }
        if is_path {
            return Err(SourceError::NotWasm(shown(text)));
        }
        let (name, at_version) = text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
        let id = name.parse()?;
        let version = match (at_version, version) {
            (Some(_), Some(_)) => return Err(SourceError::TwoVersions(shown(text))),
            (one, other) => one.or(other).map(wanted).transpose()?,
        };
        Ok(Self::Named { id, version })
    }
}

/// Reads a version, or a range of versions.
///
/// # Errors
/// When the text is neither.
pub fn wanted(text: &str) -> Result<Wanted, SourceError> {
    if let Ok(version) = text.parse() {
        return Ok(Wanted::Exact(version));
    }
    if text == "latest" {
        return Ok(Wanted::Range(VersionReq::STAR));
    }
    // semver reads `x` and `*` as any version; from a person that is more likely a slip.
    let range = text.parse().ok().filter(|_| text.starts_with(|c: char| c.is_ascii_digit() || "^~=<>".contains(c)));
    range.map(Wanted::Range).ok_or_else(|| SourceError::Version(shown(text)))
}

/// Reads the name of an artifact in a registry.
///
/// # Errors
/// [`SourceError::Oci`].
pub fn reference(text: &str) -> Result<Reference, SourceError> {
    Reference::parse(text).map_err(|why| SourceError::Oci { text: shown(text), why })
}

/// A URL that an artifact or an index may be fetched from: https, http on this machine, a file of it, or what rig itself carries. No credentials: they
/// would end up in `rig.lock`.
///
/// # Errors
/// [`SourceError::Url`].
pub fn artifact_url(text: &str) -> Result<Url, SourceError> {
    let bad = |why: String| SourceError::Url { text: shown(text), why };
    let url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
    check_url(&url).map_err(bad)?;
    Ok(url)
}

pub(super) fn check_url(url: &Url) -> Result<(), String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or password, which would end up in rig.lock".into());
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        "http" => Err("http is allowed only to this machine; elsewhere use https".into()),
        "file" if url.to_file_path().is_ok() => Ok(()),
        super::bundle::SCHEME if !url.has_host() && url.path().starts_with('/') => Ok(()),
        "file" => Err("a file URL names an absolute path: `file:///…`".into()),
        oci::SCHEME => Reference::parse(url.as_str()).map(drop),
        other => Err(format!("the scheme `{other}` is not supported")),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A text as it is shown: without what steers a terminal, and without the user name and password of a URL.
fn shown(text: &str) -> String {
    let authority = text.find("://").map(|at| at + 3);
    let user_info = authority.and_then(|start| {
        let end = text[start..].find(['/', '\\', '?', '#']).map_or(text.len(), |length| start + length);
        text[start..end].rfind('@').map(|length| (start, start + length))
    });
    let text = user_info.map_or_else(|| text.into(), |(start, end)| [&text[..start], "…", &text[end..]].concat());
    text.chars().take(300).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(text: &str, version: Option<&str>) -> Result<Request, SourceError> {
        Request::parse(text, version, Path::new("/home/you"))
    }

    #[test]
    fn names_versions_files_and_urls_are_told_apart() {
        let named = |version: Option<&str>| Request::Named {
            id: "echo".parse().unwrap(),
            version: version.map(|text| wanted(text).unwrap()),
        };
        assert_eq!(parse("echo", None), Ok(named(None)));
        assert_eq!(parse("echo@1.2.0", None), Ok(named(Some("1.2.0"))));
        assert_eq!(parse("echo", Some("^1.2")), Ok(named(Some("^1.2"))));
        assert!(matches!(wanted("1.2.0"), Ok(Wanted::Exact(_))));
        assert!(matches!(wanted("1.2"), Ok(Wanted::Range(_))));
        assert_eq!(parse("./a/echo.wasm", None), Ok(Request::File("/home/you/a/echo.wasm".into())));
        assert_eq!(parse("echo.wasm", None), Ok(Request::File("/home/you/echo.wasm".into())));
        assert_eq!(parse("/x/echo.wasm", None), Ok(Request::File("/x/echo.wasm".into())));
        for url in
            ["https://h/e.wasm", "http://127.0.0.1:1/e.wasm", "http://[::1]/e", "http://localhost/e", "file:///e.wasm"]
        {
            let expected = Request::Url { url: url.parse().unwrap(), sha256: HEX.parse().unwrap() };
            assert_eq!(parse(&format!("{url}#sha256={HEX}"), None), Ok(expected), "{url}");
        }
    }

    #[test]
    fn everything_else_says_what_is_wrong_and_what_to_write() {
        let cases = [
            ("Echo", None, "`Echo` is not a pack id", "name a pack"),
            ("", None, "`` is not a pack id", "name a pack"),
            ("echo@x", None, "`x` is not a version", ""),
            ("echo@1.0.0", Some("1.0.0"), "`echo@1.0.0` names a version already", ""),
            ("./echo.wasm", Some("1.0.0"), "`--version` has no meaning for `./echo.wasm`", ""),
            ("./echo", None, "`./echo` is a path, but its name does not end in `.wasm`", "name a pack"),
            ("../..", None, "`../..` is a path", "name a pack"),
            (
                "https://h/e.wasm",
                None,
                "`https://h/e.wasm` names no hash",
                "add the hash of the file: `https://h/e.wasm#sha256=<64 hex digits>`",
            ),
            (
                "https://h/e.wasm#sha256=00",
                None,
                "`https://h/e.wasm`: `sha256=00` is not",
                "write `https://h/e.wasm#sha256=",
            ),
            ("https://h/e.wasm#md5=00", None, "`https://h/e.wasm`: `md5=00` is not", "write"),
            (
                "http://h/e.wasm#x",
                None,
                "`http://h/e.wasm` is not a URL that rig can use: http is allowed only to this machine",
                "use https",
            ),
            (
                "https://u:p@h/e@.wasm#x",
                None,
                "`https://…@h/e@.wasm` is not a URL that rig can use: it holds a user name",
                "use https",
            ),
            ("ftp://h/e.wasm", None, "`ftp://h/e.wasm` is not a URL that rig can use: the scheme `ftp`", "use https"),
            (
                "oci:h/e",
                None,
                "`oci:h/e` is not the name of an artifact in a registry: it does not begin with `oci://`",
                "write `oci://registry/repository:tag`",
            ),
            (
                "oci://u:p@h/e",
                None,
                "`oci://…@h/e` is not the name of an artifact in a registry: it holds a user name",
                "write `oci://",
            ),
            ("oci://h/e:1#sha256=00", None, "`oci://h/e:1`: `sha256=00` is not", "write `oci://h/e:1#sha256="),
            ("oci://h/e:1", Some("1.0.0"), "`oci://h/e:1` names a version already", "leave out `--version`"),
            ("oci://h/e", Some("x"), "`x` is not a version", ""),
            ("https://", None, "`https://` is not a URL that rig can use: empty host", "use https"),
            (
                "file://h/e.wasm#x",
                None,
                "`file://h/e.wasm` is not a URL that rig can use: a file URL names",
                "use https",
            ),
            ("a\u{1b}[31mb", None, "`a\\u{1b}[31mb` is not a pack id", "name a pack"),
        ];
        for (text, version, message, hint) in cases {
            let error = parse(text, version).unwrap_err();
            assert!(error.to_string().starts_with(message), "{text:?}: {error}");
            assert!(error.hint().unwrap_or_default().starts_with(hint), "{text:?}: {:?}", error.hint());
        }
    }
}
