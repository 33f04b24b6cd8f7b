//! Reads `rig.yaml`: from text to a checked [`Config`]. Every complaint names the file, the line and the key. Settings that this
//! rig would not enforce are refused, because a rule that is silently ignored allows what its author meant to forbid.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use rig_specs::config::Config;
use serde_saphyr::{DuplicateKeyPolicy, Error as YamlError, MergeKeyPolicy};
use url::Url;

use crate::words::{nearest, plain};

/// The longest wall clock of one call that a project may set, in seconds: an agent that waits longer has given up.
const MAX_TIMEOUT_SECONDS: u32 = 3600;
/// More retries than this never help and may harm the service that is called.
const MAX_RETRIES: u32 = 10;

/// Where in a file something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, when it is known.
    pub line: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// What is wrong with a `rig.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A key that rig does not know.
    #[error("{place}: unknown key `{key}`")]
    UnknownKey {
        /// Where the key is.
        place: Place,
        /// The key as written.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
        /// All keys known in that place.
        known: Vec<&'static str>,
    },
    /// Text that is not YAML, or a value of the wrong type.
    #[error("{place}: {}{message}", at(path))]
    Malformed {
        /// Where it is.
        place: Place,
        /// The key, for example `policy.retries`; empty for the whole file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// A value of the right type that makes no sense.
    #[error("{place}: `{path}` {why}")]
    Invalid {
        /// Where it is.
        place: Place,
        /// The key.
        path: String,
        /// What is wrong with its value.
        why: String,
    },
    /// A setting that this rig would not act on.
    #[error("{place}: `{path}` is set, but this rig does not enforce it yet")]
    NotEnforced {
        /// Where it is.
        place: Place,
        /// The key.
        path: String,
    },
}

impl ConfigError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownKey { known, .. } => Some(format!("the keys known here are: {}", known.join(", "))),
            Self::NotEnforced { path, .. } => Some(format!(
                "take `{path}` out of rig.yaml: a rule that looks active but is not would be worse than none"
            )),
            Self::Malformed { .. } | Self::Invalid { .. } => None,
        }
    }
}

fn at(path: &str) -> String {
    if path.is_empty() || path == "." { String::new() } else { format!("`{path}`: ") }
}

/// Reads and checks the text of a `rig.yaml`. A file without content means the defaults.
///
/// # Errors
/// The first thing that is wrong with the text.
pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigError> {
    if text
        .lines()
        .all(|line| matches!(line.trim_start_matches('\u{feff}').trim(), "" | "---" | "...") || is_comment(line))
    {
        return Ok(Config::default());
    }
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
    };
    let mut path = String::new();
    let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        serde_path_to_error::deserialize::<_, Config>(deserializer).map_err(|error| {
            path = error.path().to_string();
            error.into_inner()
        })
    });
    let config = parsed.map_err(|error| explain(&error, &path, file))?;
    validate(&config).map_err(|problem| problem.locate(text, file))?;
    Ok(config)
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

fn explain(error: &YamlError, path: &str, file: &Path) -> ConfigError {
    let error = error.without_snippet();
    let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
    let place = Place { file: file.to_path_buf(), line };
    if let YamlError::SerdeUnknownField { field, expected, .. } = error {
        let nearest = nearest(field, expected.iter().copied());
        return ConfigError::UnknownKey { place, key: plain(field), nearest, known: expected.clone() };
    }
    let path = path.trim_matches(['.', '?']).to_owned();
    let shape = match error {
        YamlError::InvalidScalar { ty: "u16", .. } => Some("a whole number from 0 to 65535"),
        YamlError::InvalidScalar { ty: "u32", .. } => Some("a whole number from 0 to 4294967295"),
        YamlError::Unexpected { expected: "sequence start", .. } => Some("a list"),
        YamlError::Unexpected { expected: "mapping start", .. } => Some("a mapping (`key: value`)"),
        _ => None,
    };
    if let Some(shape) = shape {
        return ConfigError::Malformed { place, path, message: format!("expected {shape}") };
    }
    // The place is said in front; the renderer of the parser would say it again after its first line.
    let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let message = message.lines().next().unwrap_or_default();
    let message = message.split(" at line ").next().unwrap_or_default().trim_end_matches([',', ':', ' ']);
    ConfigError::Malformed { place, path, message: plain(message) }
}

enum Problem {
    Invalid(&'static [&'static str], String),
    NotEnforced(&'static [&'static str]),
}

impl Problem {
    fn locate(self, text: &str, file: &Path) -> ConfigError {
        let (Self::Invalid(keys, _) | Self::NotEnforced(keys)) = &self;
        let place = Place { file: file.to_path_buf(), line: line_of(text, keys) };
        let path = keys.join(".");
        match self {
            Self::Invalid(_, why) => ConfigError::Invalid { place, path, why },
            Self::NotEnforced(_) => ConfigError::NotEnforced { place, path },
        }
    }
}

/// The line of a key, found by indentation: good enough to point a person at it.
fn line_of(text: &str, keys: &[&str]) -> Option<u64> {
    let mut wanted = keys.iter().peekable();
    let mut found = None;
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim_start();
        let top = trimmed.len() == line.len();
        if found.is_some() && top && !trimmed.is_empty() && !is_comment(line) {
            break;
        }
        let key = wanted.peek()?;
        if top == found.is_none() && trimmed.strip_prefix(**key).is_some_and(|rest| rest.trim_start().starts_with(':'))
        {
            wanted.next();
            found = Some(number);
            if wanted.peek().is_none() {
                break;
            }
        }
    }
    found
}

fn validate(config: &Config) -> Result<(), Problem> {
    enforced(config)?;
    let invalid = |keys, why: String| Err(Problem::Invalid(keys, why));
    let policy = &config.policy;
    if !(1..=MAX_TIMEOUT_SECONDS).contains(&policy.timeout_seconds) {
        let why = format!("must be from 1 to {MAX_TIMEOUT_SECONDS}, not {}", policy.timeout_seconds);
        return invalid(&["policy", "timeout_seconds"], why);
    }
    if policy.retries > MAX_RETRIES {
        return invalid(&["policy", "retries"], format!("must be at most {MAX_RETRIES}, not {}", policy.retries));
    }
    let globs = [
        (&["policy", "allowed_tools"] as &[_], policy.allowed_tools.as_deref().unwrap_or_default()),
        (&["policy", "denied_tools"], &policy.denied_tools),
    ];
    for (keys, globs) in globs {
        if let Some(bad) = globs.iter().find(|glob| !is_glob(glob)) {
            return invalid(
                keys,
                format!("holds `{}`, which is not a pattern of tool names such as `github.*`", plain(bad)),
            );
        }
    }
    for (position, id) in config.packs.iter().enumerate() {
        if config.packs[..position].contains(id) {
            return invalid(&["packs"], format!("names `{id}` twice"));
        }
    }
    if let Some(proxy) = &config.network.proxy
        && let Err(why) = check_proxy(proxy)
    {
        return invalid(&["network", "proxy"], why);
    }
    if config.network.extra_ca.iter().any(|path| path.trim().is_empty()) {
        return invalid(&["network", "extra_ca"], "holds an empty path".into());
    }
    if let Some(bad) = config.network.allow_private.iter().find(|host| !is_host(host)) {
        return invalid(&["network", "allow_private"], format!("holds `{}`, which is not a host name", plain(bad)));
    }
    if !is_host(&config.server.host) {
        return invalid(&["server", "host"], "must be a host name or an IP address".into());
    }
    if config.audit_db_path.0.trim().is_empty() {
        return invalid(&["audit_db_path"], "must not be empty".into());
    }
    if config.index.url.as_ref().is_some_and(|url| url.trim().is_empty()) {
        return invalid(&["index", "url"], "must not be empty; leave the key out to set no index".into());
    }
    let limits = &config.limits;
    let at_least_one = [
        (&["limits", "memory"], limits.memory.0),
        (&["limits", "args"], limits.args.0),
        (&["limits", "output"], limits.output.0),
        (&["limits", "concurrency"], u64::from(limits.concurrency)),
    ];
    for (keys, value) in at_least_one {
        if value == 0 {
            return invalid(keys, "must be at least 1".into());
        }
    }
    Ok(())
}

fn enforced(config: &Config) -> Result<(), Problem> {
    let not_enforced: [(bool, &'static [&'static str]); 1] =
        [(!config.index.trusted_keys.is_empty(), &["index", "trusted_keys"])];
    not_enforced.into_iter().find(|(set, _)| *set).map_or(Ok(()), |(_, keys)| Err(Problem::NotEnforced(keys)))
}

fn is_glob(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'*'))
}

fn is_host(text: &str) -> bool {
    let name = || {
        !text.starts_with('.')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'*'))
    };
    !text.is_empty() && (text.parse::<IpAddr>().is_ok() || name())
}

fn check_proxy(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("must be an http or https URL, not `{}:`", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty)
        || url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err("must be a host and a port, such as `http://proxy.corp:3128`".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> (String, Option<String>) {
        let error = parse(text, Path::new("rig.yaml")).unwrap_err();
        (error.to_string(), error.hint())
    }

    #[test]
    fn files_without_content_mean_the_defaults() {
        for text in ["", "\n", "# nothing\n", "---\n", "\u{feff}# x\r\n", "{}", "---\n{}\n"] {
            assert_eq!(parse(text, Path::new("rig.yaml")), Ok(Config::default()), "{text:?}");
        }
    }

    #[test]
    fn unknown_keys_are_named_with_their_line_and_the_nearest_key() {
        let cases = [
            ("packs: []\npolcy:\n  retries: 1\n", "rig.yaml:2: unknown key `polcy`", "did you mean `policy`?"),
            (
                "# c\npolicy:\n  retries: 1\n  allowed_tool: []\n",
                "rig.yaml:4: unknown key `allowed_tool`",
                "did you mean `allowed_tools`?",
            ),
            ("zzzzzzzzzz: 1\n", "rig.yaml:1: unknown key `zzzzzzzzzz`", "the keys known here are: packs, "),
            ("server:\n  hots: x\n", "rig.yaml:2: unknown key `hots`", "did you mean `host`?"),
            ("server: { prot: 1 }\n", "rig.yaml:1: unknown key `prot`", "did you mean `port`?"),
        ];
        for (text, message, hint) in cases {
            let (found, next) = error(text);
            assert_eq!(found, message, "{text:?}");
            assert!(next.as_deref().is_some_and(|next| next.starts_with(hint)), "{text:?}: {next:?}");
        }
    }

    #[test]
    fn wrong_shapes_name_line_and_path() {
        let cases = [
            (
                "policy:\n  retries: many\n",
                "rig.yaml:2: `policy.retries`: expected a whole number from 0 to 4294967295",
            ),
            ("policy:\n  denied_tools: 5\n", "rig.yaml:2: `policy.denied_tools`: expected a list"),
            ("packs:\n  - Bad\n", "rig.yaml:2: `packs[0]`: `Bad` is not a pack id"),
            ("limits:\n  memory: 64 MB\n", "rig.yaml:2: `limits.memory`: `64 MB` is not a size"),
            ("policy:\n  require_approval_for: [mony]\n", "rig.yaml:2: `policy.require_approval_for[0]"),
            ("server:\n  port: 70000\n", "rig.yaml:2: `server.port`: expected a whole number from 0 to 65535"),
            ("- a\n- b\n", "rig.yaml:1: expected a mapping (`key: value`)"),
            ("just text\n", "rig.yaml:1: expected a mapping (`key: value`)"),
            ("packs: []\npacks: []\n", "rig.yaml:2: "),
            ("packs: [\n", "rig.yaml:"),
            ("a: 1\n---\nb: 2\n", "rig.yaml:"),
            ("packs: []\n---\npacks: []\n", "rig.yaml:3: only single YAML document expected"),
        ];
        for (text, message) in cases {
            let Err(found) = parse(text, Path::new("rig.yaml")) else { panic!("{text:?} passed") };
            let found = found.to_string();
            assert!(found.starts_with(message) && found.lines().count() == 1, "{text:?}: {found}");
            assert!(found.len() > "rig.yaml:1: ".len() + 5, "{text:?}: {found}");
        }
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        let cases = [
            ("policy:\n  timeout_seconds: 0\n", "rig.yaml:2: `policy.timeout_seconds` must be from 1 to 3600, not 0"),
            (
                "policy:\n  timeout_seconds: 3601\n",
                "rig.yaml:2: `policy.timeout_seconds` must be from 1 to 3600, not 3601",
            ),
            ("# a\npolicy:\n  # b\n  retries: 11\n", "rig.yaml:4: `policy.retries` must be at most 10, not 11"),
            ("packs: [a, a]\n", "rig.yaml:1: `packs` names `a` twice"),
            (
                "network: { proxy: 'socks5://x' }\n",
                "rig.yaml:1: `network.proxy` must be an http or https URL, not `socks5:`",
            ),
            ("network:\n  proxy: nonsense\n", "rig.yaml:2: `network.proxy` is not a URL: relative URL without a base"),
            (
                "policy:\n  allowed_tools: ['git hub.*']\n",
                "rig.yaml:2: `policy.allowed_tools` holds `git hub.*`, which is not a pattern of tool names such as `github.*`",
            ),
            ("limits:\n  concurrency: 0\n", "rig.yaml:2: `limits.concurrency` must be at least 1"),
            ("server:\n  host: ''\n", "rig.yaml:2: `server.host` must be a host name or an IP address"),
        ];
        for (text, message) in cases {
            assert_eq!(error(text).0, message);
        }
    }

    #[test]
    fn rules_that_would_not_be_enforced_are_refused() {
        for (text, path) in [
            ("policy:\n  rate_limits: { 'a.*': 5 }\n", "policy.rate_limits"),
            ("policy:\n\n  constraints: { 'a.*': {} }\n", "policy.constraints"),
            ("tenants: { t: {} }\n", "tenants"),
            ("index: { trusted_keys: [k] }\n", "index.trusted_keys"),
        ] {
            let (message, hint) = error(text);
            assert!(message.ends_with(&format!("`{path}` is set, but this rig does not enforce it yet")), "{message}");
            assert!(hint.unwrap().contains(path));
        }
        assert!(parse("tenants: {}\npolicy: { rate_limits: {}, constraints: {} }\n", Path::new("x")).is_ok());
    }
}
