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
            for inject in &decl.inject {
                if let Inject::Header { name, .. } = inject {
                    if !is_token(name) {
                        problems.push(format!("secret `{slot}`: `{name}` is not the name of a header"));
                    } else if is_hosts_own(name)
                        || matches!(name.to_ascii_lowercase().as_str(), "content-length" | "accept-encoding")
                    {
                        problems.push(format!("secret `{slot}`: the header `{name}` is the host's own"));
                    }
                }
            }
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
        let cases: [Case; 13] = [
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
            (|m| m["config"] = json!({ "TOKEN": {} }), "`TOKEN` is both a secret and a config setting"),
        ];
        for (change, expected) in cases {
            let found = problems(change).join("\n");
            assert!(found.contains(expected), "expected {expected:?}, found {found:?}");
        }
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
