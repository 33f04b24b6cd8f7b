//! Values of rig.yaml that have the right type and make no sense. Whoever reads a checked [`Config`] need not look again.

mod gateway;
mod policy;

use std::net::IpAddr;

use rig_specs::config::Config;
use url::Url;

use super::place::Problem;
use crate::words::plain;

/// Checks everything; the first problem is the one that is said.
pub(super) fn check(config: &Config) -> Result<(), Problem> {
    let keys = &config.index.trusted_keys;
    if let Some(twice) = keys.iter().enumerate().find(|(position, key)| keys[..*position].contains(key)) {
        return invalid(&["index", "trusted_keys"], format!("names `{}` twice", twice.1));
    }
    if !keys.is_empty() && config.index.url.is_none() {
        return invalid(&["index", "trusted_keys"], "says who signs the index, but `index.url` names none");
    }
    policy::check(&config.policy)?;
    gateway::check(config)?;
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
        return invalid(&["network", "extra_ca"], "holds an empty path");
    }
    if let Some(bad) = config.network.allow_private.iter().find(|host| !is_host_pattern(host)) {
        return invalid(&["network", "allow_private"], format!("holds `{}`, which is not a host name", plain(bad)));
    }
    if config.index.url.as_ref().is_some_and(|url| url.trim().is_empty()) {
        return invalid(&["index", "url"], "must not be empty; leave the key out to set no index");
    }
    let limits = &config.limits;
    for (key, value) in [
        ("memory", limits.memory.0),
        ("args", limits.args.0),
        ("output", limits.output.0),
        ("concurrency", u64::from(limits.concurrency)),
    ] {
        if value == 0 {
            return invalid(&["limits", key], "must be at least 1");
        }
    }
    Ok(())
}

fn invalid(keys: &[&str], why: impl Into<String>) -> Result<(), Problem> {
    Err(Problem::new(keys, why))
}

/// Patterns of tool names, in a list or as keys.
fn check_globs<'a>(keys: &[&str], globs: impl IntoIterator<Item = &'a String>) -> Result<(), Problem> {
    let is_glob = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'*'))
    };
    match globs.into_iter().find(|glob| !is_glob(glob)) {
        None => Ok(()),
        Some(bad) => {
            invalid(keys, format!("holds `{}`, which is not a pattern of tool names such as `github.*`", plain(bad)))
        }
    }
}

/// A host name, an address or a name with `*` in it.
fn is_host_pattern(text: &str) -> bool {
    is_host(&text.replace('*', "x"))
}

fn is_host(text: &str) -> bool {
    let name =
        || !text.starts_with('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
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
    use std::path::Path;

    use super::super::parse;

    fn error(text: &str) -> (String, Option<String>) {
        let error = parse(text, Path::new("rig.yaml")).unwrap_err();
        (error.to_string(), error.hint())
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        let cases = [
            ("packs: [a, a]\n", "rig.yaml:1: `packs` names `a` twice"),
            (
                "network: { proxy: 'socks5://x' }\n",
                "rig.yaml:1: `network.proxy` must be an http or https URL, not `socks5:`",
            ),
            ("network:\n  proxy: nonsense\n", "rig.yaml:2: `network.proxy` is not a URL: relative URL without a base"),
            (
                "network:\n  allow_private: ['a b']\n",
                "rig.yaml:2: `network.allow_private` holds `a b`, which is not a host name",
            ),
            ("limits:\n  concurrency: 0\n", "rig.yaml:2: `limits.concurrency` must be at least 1"),
            ("index:\n  url: ' '\n", "rig.yaml:2: `index.url` must not be empty; leave the key out to set no index"),
        ];
        for (text, message) in cases {
            assert_eq!(error(text).0, message);
        }
        assert!(parse("network: { allow_private: ['*.corp.example', '10.0.0.1'] }\n", Path::new("x")).is_ok());
    }

    #[test]
    fn trusted_keys_are_keys_of_an_index() {
        let key = format!("ed25519:{}", "0a".repeat(32));
        let cases = [
            (
                "index: { url: x, trusted_keys: [k] }\n".to_owned(),
                "rig.yaml:1: `index.trusted_keys[0]`: `k` is not a public key: expected `ed25519:` and 64 lower-case hex digits".to_owned(),
            ),
            (
                format!("index: {{ url: x, trusted_keys: ['{key}', '{key}'] }}\n"),
                format!("rig.yaml:1: `index.trusted_keys` names `{key}` twice"),
            ),
            (
                format!("index:\n  trusted_keys: ['{key}']\n"),
                "rig.yaml:2: `index.trusted_keys` says who signs the index, but `index.url` names none".to_owned(),
            ),
        ];
        for (text, message) in cases {
            assert_eq!(error(&text).0, message);
        }
        assert!(parse(&format!("index: {{ url: x, trusted_keys: ['{key}'] }}\n"), Path::new("x")).is_ok());
    }
}
