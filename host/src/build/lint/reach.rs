//! What a pack asks for: whether it can use it, and whether less would do.

use rig_specs::manifest::{EmbeddedPack, Inject, NetworkRule, Scheme};

use super::{Found, Lint, shown, writes};

/// What a component can do by what it imports.
pub(super) struct Uses<'a> {
    pub(super) imports: &'a [String],
    pub(super) component: &'a [u8],
}

impl Uses<'_> {
    fn interface(&self, name: &str) -> bool {
        self.imports.iter().any(|import| import.split('@').next() == Some(name))
    }

    fn sends(&self) -> bool {
        self.interface("rig:pack/http") || self.interface("wasi:http/outgoing-handler")
    }

    /// Whether a text stands in the component: the code of every language keeps the names that it asks the host for.
    fn mentions(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let first = text.first().copied();
        let mut rest = self.component;
        // The first byte is looked for before the whole is compared: a component can have many megabytes.
        while let Some(at) = rest.iter().position(|byte| Some(*byte) == first) {
            rest = &rest[at..];
            if rest.starts_with(text) {
                return true;
            }
            rest = &rest[1..];
        }
        false
    }
}

/// Methods that cannot change anything.
const READING: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// Methods that a tool which only reads has no use for. POST is how some services search.
const CHANGING: [&str; 3] = ["PUT", "PATCH", "DELETE"];

pub(super) fn look(pack: &EmbeddedPack, uses: &Uses<'_>, found: &mut Found) {
    unused(pack, uses, found);
    let writing = pack.tools.iter().any(writes);
    for (position, rule) in pack.manifest.network.iter().enumerate() {
        let rule_of = shown(&pack.manifest, position);
        wide(rule, &rule_of, found);
        let changing: Vec<&str> =
            rule.methods.iter().map(String::as_str).filter(|method| CHANGING.contains(method)).collect();
        if !writing && !changing.is_empty() {
            let methods = changing.join(", ");
            found.add(Lint::WideMethod, format!("{rule_of}: every tool only reads, and the rule allows {methods}"));
        }
    }
    let reads_only = |rule: &NetworkRule| rule.methods.iter().all(|method| READING.contains(&method.as_str()));
    if !pack.manifest.network.is_empty() && pack.manifest.network.iter().all(reads_only) {
        for tool in pack.tools.iter().filter(|tool| writes(tool)) {
            let (name, risk) = (&tool.def.name, tool.def.risk_class.as_str());
            let message = format!(
                "`{name}` is of risk class {risk}, and no rule under [[network]] allows a method that changes something; \
                 `methods` is GET where it is left out"
            );
            found.add(Lint::MissingMethod, message);
        }
    }
}

fn wide(rule: &NetworkRule, rule_of: &str, found: &mut Found) {
    if let Some(rest) = rule.host.strip_prefix("*.") {
        found.add(
            Lint::WideHost,
            format!("{rule_of}: every host below {rest} can be reached; name the hosts, or use a setting"),
        );
    }
    if rule.paths.iter().any(|path| path == "/*") {
        found.add(
            Lint::WidePath,
            format!("{rule_of}: every path can be reached, also where `paths` is left out; name the paths"),
        );
    }
    if rule.scheme == Scheme::Http && !is_loopback(&rule.host) {
        found.add(Lint::PlainHttp, format!("{rule_of}: `http` can be read and changed on the way; use `https`"));
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.")
}

fn unused(pack: &EmbeddedPack, uses: &Uses<'_>, found: &mut Found) {
    let manifest = &pack.manifest;
    let mut add = |message: String| found.add(Lint::UnusedCapability, message);
    if !manifest.network.is_empty() && !uses.sends() {
        add("[[network]] is asked for, and the component imports nothing that sends requests".into());
    }
    if manifest.network.is_empty() && uses.interface("rig:pack/http") && !is_of_a_runtime(uses) {
        add("the component sends requests, and without [[network]] each of them is refused".into());
    }
    for slot in manifest.secrets.keys() {
        if !pack.tools.iter().any(|tool| tool.def.auth_slots.contains(slot)) {
            add(format!("[secrets.{slot}] is in the slots of no tool, so it goes along with no request"));
        }
    }
    for name in manifest.config.keys() {
        let by_code = uses.interface("rig:pack/config") && uses.mentions(name);
        if !by_code && !is_in_manifest(pack, name) {
            add(format!("[config.{name}] is read by no code, and named by no host and no secret"));
        }
    }
    let asked = [
        ("[storage]", manifest.storage.is_some(), "rig:pack/storage"),
        ("[invoke]", manifest.invoke.is_some(), "rig:pack/invoke"),
        ("[ask]", manifest.ask.is_some(), "rig:pack/client"),
    ];
    for (section, _, interface) in
        asked.into_iter().filter(|(_, asked, interface)| *asked && !uses.interface(interface))
    {
        add(format!("{section} is asked for, and the component does not import {interface}"));
    }
    for tool in manifest.invoke.iter().flat_map(|invoke| &invoke.tools) {
        if uses.interface("rig:pack/invoke") && !uses.mentions(tool) {
            add(format!("[invoke] names `{tool}`, which stands nowhere in the component"));
        }
    }
}

/// Runtimes of other languages import every interface, whether the pack uses it or not.
fn is_of_a_runtime(uses: &Uses<'_>) -> bool {
    uses.imports.iter().any(|import| import.starts_with("wasi:"))
}

/// Whether a host or a secret is made with the setting.
fn is_in_manifest(pack: &EmbeddedPack, name: &str) -> bool {
    let template = format!("{{config.{name}}}");
    let hosts = pack.manifest.network.iter().map(|rule| &rule.host);
    let of_secrets = pack.manifest.secrets.values();
    let users = of_secrets.clone().flat_map(|secret| &secret.inject).filter_map(|inject| match inject {
        Inject::Basic { user } => Some(user),
        _ => None,
    });
    hosts.chain(of_secrets.flat_map(|secret| &secret.hosts)).chain(users).any(|text| text.contains(&template))
}
