//! What can be wrong with a manifest, and with a manifest and its tools together.

use std::collections::BTreeMap;

use super::{ConfigDecl, EmbeddedPack, Inject, Manifest};
use crate::PackId;

impl Manifest {
    /// What is wrong with the manifest taken alone, one sentence each; empty when nothing is.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for rule in &self.network {
            let host = &rule.host;
            problems.extend(host_problem(host, &self.config).map(|why| format!("network host `{host}` {why}")));
            if rule.methods.is_empty() || rule.methods.iter().any(|m| !is_method(m)) {
                problems.push(format!("network host `{host}`: methods are upper-case words such as GET, at least one"));
            }
            if rule.paths.is_empty() || rule.paths.iter().any(|p| !p.starts_with('/')) {
                problems.push(format!("network host `{host}`: every path starts with `/`, and there is at least one"));
            }
        }
        for (slot, decl) in &self.secrets {
            if !is_env_name(slot) {
                problems.push(format!("secret `{slot}`: a slot is written in capitals, digits and underscores"));
            }
            if decl.hosts.is_empty() || decl.inject.is_empty() {
                problems.push(format!("secret `{slot}` names no host or no place to inject it"));
            }
            for host in &decl.hosts {
                if !self.network.iter().any(|rule| rule.host == *host) {
                    problems.push(format!("secret `{slot}` is bound to `{host}`, which no [[network]] entry names"));
                }
            }
            problems.extend(decl.inject.iter().filter_map(|inject| inject_problem(slot, inject)));
        }
        for name in self.config.keys() {
            if !is_env_name(name) {
                problems.push(format!("config `{name}`: a name is written in capitals, digits and underscores"));
            }
            if self.secrets.contains_key(name) {
                problems.push(format!("`{name}` is both a secret and a config setting"));
            }
        }
        problems
    }
}

impl EmbeddedPack {
    /// What is wrong with the manifest and the tools together, one sentence each; empty when nothing is.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.manifest.problems();
        let id = &self.manifest.pack.id;
        if self.tools.is_empty() {
            problems.push("the pack has no tools".into());
        }
        for (position, tool) in self.tools.iter().enumerate() {
            let def = &tool.def;
            let name = def.name.escape_debug();
            if PackId::of_tool(&def.name).as_ref() != Some(id) || !is_tool_name(&def.name) {
                problems.push(format!("tool `{name}`: a tool of this pack is named `{id}.noun.verb`"));
            }
            if self.tools[..position].iter().any(|other| other.def.name == def.name) {
                problems.push(format!("tool `{name}` is described twice"));
            }
            if def.description.trim().is_empty() {
                problems.push(format!("tool `{name}` has no description"));
            }
            for (which, schema) in [("input", &def.input_schema), ("output", &def.output_schema)] {
                if schema.get("type").and_then(|t| t.as_str()) != Some("object") {
                    problems.push(format!("tool `{name}`: the root of its {which} schema must be of type object"));
                }
            }
            for slot in &def.auth_slots {
                if !self.manifest.secrets.contains_key(slot) {
                    problems
                        .push(format!("tool `{name}` uses the secret `{slot}`, which the manifest does not declare"));
                }
            }
        }
        problems
    }
}

fn host_problem(host: &str, config: &BTreeMap<String, ConfigDecl>) -> Option<String> {
    if let Some((_, rest)) = host.split_once("{config.") {
        let name = rest.split_once('}').map_or(rest, |(name, _)| name);
        return (!config.contains_key(name)).then(|| format!("uses `{name}`, which [config] does not declare"));
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    let good = !name.is_empty()
        && !name.ends_with('.')
        && (!host.starts_with("*.") || name.contains('.'))
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'));
    (!good).then(|| "is neither a lower-case host name nor `*.` and a name with a dot".into())
}

fn inject_problem(slot: &str, inject: &Inject) -> Option<String> {
    let why = match inject {
        Inject::Header { name, .. } if !is_token(name) => format!("`{name}` is not the name of a header"),
        Inject::Header { name, .. }
            if is_hosts_own(name)
                || matches!(name.to_ascii_lowercase().as_str(), "content-length" | "accept-encoding") =>
        {
            format!("the header `{name}` is the host's own")
        }
        Inject::Oauth2ServiceAccount { scopes, .. } if scopes.is_empty() || !scopes.iter().all(|s| is_scope(s)) => {
            "`scopes` holds at least one scope, each without spaces".into()
        }
        Inject::Oauth2ServiceAccount { token_url, .. } if token_host(token_url).is_none() => {
            format!("`{token_url}` is not `https://`, a lower-case host name, and a path")
        }
        _ => return None,
    };
    Some(format!("secret `{slot}`: {why}"))
}

/// RFC 6749, 3.3: printable ASCII without spaces, quotes and backslashes.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
}

/// Host and path of a token endpoint; nothing when the URL is not one that a manifest may name: https on its usual port, with
/// neither settings, query nor anything that needs encoding, so that what is shown before the install is where requests go.
#[must_use]
pub fn token_host(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://")?;
    let (host, path) = rest.split_at(rest.find('/')?);
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    };
    let good = host.contains('.')
        && !host.starts_with("*.")
        && host_problem(host, &BTreeMap::new()).is_none()
        && path[1..].split('/').all(is_segment);
    good.then_some((host, path))
}

fn is_method(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase())
}

/// Whether a text can name a secret or a setting: capitals, digits and underscores, as variables of an environment have it.
#[must_use]
pub fn is_env_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Whether a header belongs to the connection or its framing, which are the host's: no guest sets it, and no secret stands in it.
#[must_use]
pub fn is_hosts_own(name: &str) -> bool {
    const OWN: [&str; 9] = [
        "host",
        "connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "keep-alive",
        "http2-settings",
    ];
    let name = name.to_ascii_lowercase();
    OWN.contains(&name.as_str()) || name.starts_with("proxy-")
}

fn is_tool_name(text: &str) -> bool {
    text.len() <= 128
        && text.split('.').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn base() -> Value {
        json!({
            "pack": { "id": "p", "version": "1.0.0", "display-name": "P", "description": "d" },
            "network": [{ "host": "api.example.com" }],
            "secrets": { "TOKEN": { "hosts": ["api.example.com"], "inject": { "type": "bearer" } } },
            "config": { "SITE": {} },
        })
    }

    fn problems(change: impl Fn(&mut Value)) -> Vec<String> {
        let mut value = base();
        change(&mut value);
        serde_json::from_value::<Manifest>(value).expect("a manifest").problems()
    }

    type Case = (fn(&mut Value), &'static str);

    #[test]
    fn manifests_are_checked() {
        assert!(problems(|_| ()).is_empty(), "control: nothing is wrong with the manifest that is changed below");
        let cases: [Case; 16] = [
            (|m| m["network"][0]["host"] = json!("API.example.com"), "network host `API.example.com` is neither"),
            (|m| m["network"][0]["host"] = json!("*.com"), "network host `*.com` is neither"),
            (|m| m["network"][0]["host"] = json!("a.example.com."), "network host `a.example.com.` is neither"),
            (
                |m| m["network"][0]["host"] = json!("{config.NO}.example.com"),
                "uses `NO`, which [config] does not declare",
            ),
            (|m| m["network"][0]["methods"] = json!(["get"]), "methods are upper-case words"),
            (|m| m["network"][0]["methods"] = json!([]), "methods are upper-case words"),
            (|m| m["network"][0]["paths"] = json!(["v1/*"]), "every path starts with `/`"),
            (
                |m| m["secrets"] = json!({ "token": m["secrets"]["TOKEN"] }),
                "secret `token`: a slot is written in capitals",
            ),
            (|m| m["secrets"]["TOKEN"]["hosts"] = json!([]), "secret `TOKEN` names no host"),
            (|m| m["secrets"]["TOKEN"]["hosts"] = json!(["other.example.com"]), "which no [[network]] entry names"),
            (
                |m| m["secrets"]["TOKEN"]["inject"] = json!([{ "type": "header", "name": "a b" }]),
                "`a b` is not the name of a header",
            ),
            (
                |m| m["secrets"]["TOKEN"]["inject"] = json!([{ "type": "header", "name": "Host" }]),
                "the header `Host` is the host's own",
            ),
            (
                |m| m["secrets"]["TOKEN"]["inject"] = json!({ "type": "oauth2-service-account", "scopes": [] }),
                "secret `TOKEN`: `scopes` holds at least one scope",
            ),
            (
                |m| m["secrets"]["TOKEN"]["inject"] = json!({ "type": "oauth2-service-account", "scopes": ["a b"] }),
                "secret `TOKEN`: `scopes` holds at least one scope",
            ),
            (
                |m| {
                    m["secrets"]["TOKEN"]["inject"] =
                        json!({ "type": "oauth2-service-account", "scopes": ["a"], "token-url": "http://a.example/t" });
                },
                "secret `TOKEN`: `http://a.example/t` is not `https://`, a lower-case host name, and a path",
            ),
            (|m| m["config"] = json!({ "TOKEN": {} }), "`TOKEN` is both a secret and a config setting"),
        ];
        for (change, expected) in cases {
            let found = problems(change).join("\n");
            assert!(found.contains(expected), "expected {expected:?}, found {found:?}");
        }
    }

    #[test]
    fn token_endpoints() {
        let google = crate::manifest::GOOGLE_TOKEN_URL;
        assert_eq!(token_host(google), Some(("oauth2.googleapis.com", "/token")));
        for url in [
            "",
            "https://a.example",
            "https://a.example/",
            "http://a.example/token",
            "https://a.example:8443/token",
            "https://u@a.example/token",
            "https://A.example/token",
            "https://localhost/token",
            "https://*.example.com/token",
            "https://{config.HOST}/token",
            "https://a.example/token?x=1",
            "https://a.example/token#x",
            "https://a.example/../token",
            "https://a.example//token",
            "https://a.example/to ken",
            "https://a.example\\@b.example/token",
        ] {
            assert_eq!(token_host(url), None, "{url}");
        }
        let inject: Inject = serde_json::from_str(r#"{"type":"oauth2-service-account","scopes":["s"]}"#).unwrap();
        assert_eq!(
            inject,
            Inject::Oauth2ServiceAccount { scopes: vec!["s".into()], token_url: google.into() },
            "Google's is the default"
        );
        assert_eq!(
            serde_json::to_string(&inject).unwrap(),
            r#"{"type":"oauth2-service-account","scopes":["s"]}"#,
            "and is not written"
        );
    }

    #[test]
    fn tools_are_checked() {
        let tool = json!({ "def": {
            "name": "p.a.b", "description": "Does it.", "input_schema": { "type": "object" },
            "output_schema": { "type": "object" }, "error_schema": {}, "auth_slots": ["TOKEN"], "risk_class": "read",
            "tags": [], "policy_defaults": {}, "examples": [],
        }});
        let problems = |tools: &[Value]| {
            let pack = json!({ "format": 1, "manifest": base(), "tools": tools });
            serde_json::from_value::<EmbeddedPack>(pack).expect("a pack").problems().join("\n")
        };
        assert_eq!(problems(std::slice::from_ref(&tool)), "", "control");
        assert_eq!(problems(&[]), "the pack has no tools");
        assert_eq!(problems(&[tool.clone(), tool.clone()]), "tool `p.a.b` is described twice");
        let cases = [
            ("name", json!("other.a.b"), "a tool of this pack is named `p.noun.verb`"),
            ("name", json!("p.a\u{1b}[31m"), "a tool of this pack is named `p.noun.verb`"),
            ("description", json!(" "), "has no description"),
            ("input_schema", json!({ "type": "string" }), "the root of its input schema must be of type object"),
            ("output_schema", json!({}), "the root of its output schema must be of type object"),
            ("auth_slots", json!(["OTHER"]), "uses the secret `OTHER`, which the manifest does not declare"),
        ];
        for (key, value, expected) in cases {
            let mut tool = tool.clone();
            tool["def"][key] = value;
            let found = problems(&[tool]);
            assert!(found.contains(expected), "expected {expected:?}, found {found:?}");
        }
    }
}
