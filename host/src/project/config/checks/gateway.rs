//! Values that only the gateway uses and that make no sense: addresses, tenants, approvals and the audit log.

use std::{collections::BTreeMap, net::Ipv6Addr, ops::RangeInclusive};

use rig_specs::{
    Sha256,
    config::{Config, Server, Tenant},
    manifest::is_env_name,
};
use url::Url;

use super::{check_globs, invalid, is_host};
use crate::{project::config::place::Problem, tenants, words::plain};

/// How long a call may wait for a person, in seconds: long enough to read it, and no longer than a week, after which nobody
/// remembers what it was about.
const EXPIRE_SECONDS: RangeInclusive<u32> = 10..=604_800;

pub(super) fn check(config: &Config) -> Result<(), Problem> {
    check_server(&config.server)?;
    if config.audit_db_path.0.trim().is_empty() {
        return invalid(&["audit_db_path"], "must not be empty");
    }
    if config.audit.retention_days == Some(0) {
        return invalid(&["audit", "retention_days"], "must be at least 1; leave the key out to keep rows for ever");
    }
    let seconds = config.approvals.expire_seconds;
    if !EXPIRE_SECONDS.contains(&seconds) {
        let (least, most) = (EXPIRE_SECONDS.start(), EXPIRE_SECONDS.end());
        return invalid(&["approvals", "expire_seconds"], format!("must be from {least} to {most}, not {seconds}"));
    }
    check_tenants(&config.tenants)
}

fn check_server(server: &Server) -> Result<(), Problem> {
    if !is_host(&server.host) {
        return invalid(&["server", "host"], "must be a host name or an IP address");
    }
    if let Some(bad) = server.allowed_hosts.iter().find(|host| !is_authority(host)) {
        let why = format!(
            "holds `{}`, which is not a host or a host and a port, such as `rig.corp.example` or `[::1]:8787`",
            plain(bad)
        );
        return invalid(&["server", "allowed_hosts"], why);
    }
    if let Some(bad) = server.allowed_origins.iter().find(|origin| !is_origin(origin)) {
        let why = format!(
            "holds `{}`, which is not an origin as browsers send it, such as `https://console.corp.example` or \
             `http://localhost:3000`: lower case, no path, no default port",
            plain(bad)
        );
        return invalid(&["server", "allowed_origins"], why);
    }
    Ok(())
}

fn check_tenants(all: &BTreeMap<String, Tenant>) -> Result<(), Problem> {
    // A token that stood in two places would call for whoever is found first.
    let mut seen: BTreeMap<Sha256, (&str, &str)> = BTreeMap::new();
    for (id, tenant) in all {
        if !tenants::is_id(id) {
            let why = format!(
                "holds `{}`, which is not the id of a tenant: 1 to 64 lower-case letters, digits, `_`, `.` and `-`, with a letter \
                 or a digit first",
                plain(id)
            );
            return invalid(&["tenants"], why);
        }
        for (key, hashes) in [("tokens", &tenant.tokens), ("approvers", &tenant.approvers)] {
            for hash in hashes {
                if let Some((other, list)) = seen.insert(*hash, (id, key)) {
                    let why = format!(
                        "holds {hash}, which stands in `{list}` of `{other}` already: a token is for one tenant and one purpose"
                    );
                    return invalid(&["tenants", id, key], why);
                }
            }
        }
        check_globs(&["tenants", id, "allowed_tools"], tenant.allowed_tools.iter().flatten())?;
        let names = tenant.secrets.iter().flatten().flat_map(|(slot, name)| [slot, name]);
        if let Some(bad) = names.into_iter().find(|name| !is_env_name(name)) {
            let why = format!(
                "holds `{}`, which is not the name of a secret: capitals, digits and underscores, such as `STRIPE_API_KEY`",
                plain(bad)
            );
            return invalid(&["tenants", id, "secrets"], why);
        }
    }
    Ok(())
}

/// A host, or a host and a port, as the header `Host` has it.
fn is_authority(text: &str) -> bool {
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    match text.split_once(':') {
        None => is_host(text),
        Some((host, port)) => is_host(host) && is_port(port),
    }
}

/// `scheme://host[:port]`, in the form that browsers send: the gateway compares texts.
fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let origin = url.origin();
    if origin.is_tuple() {
        return origin.ascii_serialization() == text && !text.contains('*');
    }
    // Of schemes that are not the web's own, such as `vscode-webview://…`, the library makes no origin.
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let lower =
        |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    scheme != "file" && !host.is_empty() && lower(scheme) && lower(host)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::project::config::parse;

    const HASH: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn error(text: &str) -> String {
        parse(&text.replace("HASH", HASH), Path::new("rig.yaml")).unwrap_err().to_string()
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for (text, message) in [
            ("server:\n  host: ''\n", "rig.yaml:2: `server.host` must be a host name or an IP address"),
            ("server:\n  host: '*'\n", "rig.yaml:2: `server.host` must be a host name or an IP address"),
            (
                "server:\n  allowed_hosts: ['https://rig.corp.example']\n",
                "rig.yaml:2: `server.allowed_hosts` holds `https://rig.corp.example`, which is not a host or a host and a port, such \
                 as `rig.corp.example` or `[::1]:8787`",
            ),
            (
                "server:\n  allowed_origins: ['https://x.example/']\n",
                "rig.yaml:2: `server.allowed_origins` holds `https://x.example/`, which is not an origin as browsers send it, such as \
                 `https://console.corp.example` or `http://localhost:3000`: lower case, no path, no default port",
            ),
            ("audit_db_path: ' '\n", "rig.yaml:1: `audit_db_path` must not be empty"),
            (
                "audit:\n  retention_days: 0\n",
                "rig.yaml:2: `audit.retention_days` must be at least 1; leave the key out to keep rows for ever",
            ),
            (
                "approvals:\n  expire_seconds: 9\n",
                "rig.yaml:2: `approvals.expire_seconds` must be from 10 to 604800, not 9",
            ),
            (
                "approvals:\n  expire_seconds: 604801\n",
                "rig.yaml:2: `approvals.expire_seconds` must be from 10 to 604800, not 604801",
            ),
            (
                "tenants:\n  Acme: {}\n",
                "rig.yaml:1: `tenants` holds `Acme`, which is not the id of a tenant: 1 to 64 lower-case letters, digits, `_`, `.` and \
                 `-`, with a letter or a digit first",
            ),
            (
                "tenants:\n  acme:\n    allowed_tools: ['a b']\n",
                "rig.yaml:3: `tenants.acme.allowed_tools` holds `a b`, which is not a pattern of tool names such as `github.*`",
            ),
            (
                "tenants:\n  acme:\n    secrets: { STRIPE_API_KEY: acme-key }\n",
                "rig.yaml:3: `tenants.acme.secrets` holds `acme-key`, which is not the name of a secret: capitals, digits and \
                 underscores, such as `STRIPE_API_KEY`",
            ),
            (
                "tenants:\n  acme:\n    tokens: [rig_secret]\n",
                "rig.yaml:3: `tenants.acme.tokens[0]`: expected the hash of a token, `sha256:` and 64 hex digits, as `rig tenant new` \
                 prints it",
            ),
            ("tenants:\n  acme:\n    tokens: HASH\n", "rig.yaml:3: `tenants.acme.tokens`: expected a list"),
        ] {
            assert_eq!(error(text), message);
        }
    }

    #[test]
    fn a_token_stands_in_one_place() {
        for (text, place, first) in [
            (
                "tenants:\n  a:\n    tokens:\n      - HASH\n      - HASH\n",
                "rig.yaml:3: `tenants.a.tokens`",
                "`tokens` of `a`",
            ),
            (
                "tenants:\n  a:\n    approvers: [HASH]\n    tokens: [HASH]\n",
                "rig.yaml:3: `tenants.a.approvers`",
                "`tokens` of `a`",
            ),
            (
                "tenants:\n  b: { tokens: [HASH] }\n  a:\n    approvers:\n    - HASH\n",
                "rig.yaml:2: `tenants.b.tokens`",
                "`approvers` of `a`",
            ),
        ] {
            let rest = "already: a token is for one tenant and one purpose";
            assert_eq!(error(text), format!("{place} holds {HASH}, which stands in {first} {rest}"));
        }
    }

    #[test]
    fn hosts_and_origins() {
        for good in ["rig.corp.example", "rig.corp.example:8443", "LOCALHOST", "10.0.0.1:80", "[::1]", "[::1]:8787"] {
            assert!(is_authority(good), "{good}");
        }
        for bad in [
            "", ":80", "a:", "a:0", "a:65536", "a:+80", "a:b", "a/b", "u@a", "*", "*.a", "::1", "[::1", "[::1]80",
            "[a]", "a b",
        ] {
            assert!(!is_authority(bad), "{bad}");
        }
        for good in ["https://a.example", "http://localhost:3000", "http://[::1]:8080", "vscode-webview://abc-1"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "http://[::1]:80800",
            "null",
            "a.example",
            "https://",
            "https://a.example/",
            "https://a.example/x",
            "https://a.example:443",
            "HTTPS://a.example",
            "https://A.example",
            "https://*.a.example",
            "https://u@a.example",
            "https://a.example?x",
            "file:///x",
            "data:x",
            "vscode-webview://",
            "vscode-webview://a/b",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn a_whole_gateway_is_accepted() {
        let text = format!(
            "server:\n  allowed_hosts: [rig.corp.example]\n  allowed_origins: ['https://console.corp.example']\n\
             approvals: {{ expire_seconds: 60, elicitation: true }}\naudit: {{ args: true, retention_days: 365 }}\n\
             tenants:\n  acme:\n    tokens: [{HASH}]\n    allowed_tools: ['stripe.*']\n    secrets: {{ STRIPE_API_KEY: ACME_KEY }}\n  \
             beta: {{}}\n"
        );
        let config = parse(&text, Path::new("rig.yaml")).unwrap();
        assert_eq!(config.tenants.keys().collect::<Vec<_>>(), ["acme", "beta"]);
        assert_eq!(config.tenants["acme"].tokens[0], tenants::hash("abc"));
    }
}
