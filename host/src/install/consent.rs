//! What a pack asks for, made ready to be shown to the person who decides. Pure: nothing is read, asked or printed here. Every
//! text that comes from a pack or an index is escaped, so that it cannot draw on the terminal or show itself in another order.

use std::collections::BTreeSet;

use rig_specs::{
    ByteSize, PackId,
    config::{Config, HostLimits},
    index::Publisher,
    lock::Origin,
    manifest::{Capabilities, EmbeddedPack, Inject, Limits},
    rtp::RiskClass,
};
use semver::Version;
use serde::Serialize;

use super::inspect::Inspected;
use crate::words::plain;

/// What a person is asked to agree to before a pack is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsentRequest {
    /// The pack.
    pub pack: PackId,
    /// Its version.
    pub version: Version,
    /// Its name for people.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Where it comes from.
    pub source: String,
    /// The index that names it; nothing for packs that are named by a file or an address.
    pub index: Option<Origin>,
    /// Packs whose names are easily taken for this one's, in words.
    pub looks_like: Vec<String>,
    /// Of its bytes: `sha256:<hex>`.
    pub integrity: String,
    /// In bytes.
    pub size: u64,
    /// Who the index says answers for it; nothing for packs that are not from an index.
    pub publisher: Option<PublisherView>,
    /// The hosts that it may reach.
    pub network: Vec<HostAccess>,
    /// The secrets that its requests carry.
    pub secrets: Vec<SecretUse>,
    /// The settings that it reads.
    pub config: Vec<ConfigUse>,
    /// How many bytes of files it may keep.
    pub storage: Option<u64>,
    /// Tools of other packs that it calls.
    pub invoke: Vec<String>,
    /// What it asks people for while a call runs; empty when it does not say. Nothing when it does not ask.
    pub ask: Option<String>,
    /// Limits that it asks to be higher than the project's.
    pub limits: Vec<RaisedLimit>,
    /// Its tools, sorted by name.
    pub tools: Vec<ToolSummary>,
    /// Packs that it needs, with version ranges.
    pub dependencies: Vec<String>,
    /// What is different from the installed version, when there is one.
    pub changes: Option<Changes>,
}

/// Who answers for a pack, as the index says. Not proven: keys are not checked here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublisherView {
    /// The name.
    pub name: String,
    /// A page.
    pub homepage: Option<String>,
    /// Whether nobody agreed to a pack of this publisher in this project yet.
    pub new_to_project: bool,
}

/// Requests that a pack may make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostAccess {
    /// `https://api.example.com` with the port when it is not the usual one.
    pub origin: String,
    /// The methods.
    pub methods: Vec<String>,
    /// The paths.
    pub paths: Vec<String>,
    /// Whether redirects are followed.
    pub follow: bool,
}

/// A secret and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretUse {
    /// Its name.
    pub slot: String,
    /// What it is.
    pub description: String,
    /// The hosts that it is sent to.
    pub hosts: Vec<String>,
    /// Where in a request it stands, in words.
    pub places: Vec<String>,
    /// The tools whose requests carry it.
    pub tools: Vec<String>,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigUse {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Whether calls fail without it.
    pub required: bool,
    /// The value when none is set.
    pub default: Option<String>,
}

/// A limit that a pack asks to be higher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RaisedLimit {
    /// `memory`, `timeout` or `output`.
    pub name: &'static str,
    /// What it asks for.
    pub asked: String,
    /// What the project allows without it.
    pub normal: String,
}

/// A tool in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolSummary {
    /// Its name.
    pub name: String,
    /// Its title, possibly empty.
    pub title: String,
    /// What it does.
    pub description: String,
    /// What a call can do to the world.
    pub risk: RiskClass,
}

/// What is different from the installed version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// The installed version.
    pub from: Version,
    /// What is asked for now and was not before, one line each.
    pub added: Vec<String>,
    /// What was asked for before and is not any more.
    pub removed: Vec<String>,
    /// Whether anything that a model reads is different.
    pub tools_text: bool,
    /// The index that the installed one is from, when that is another: it may be another pack.
    pub moved_from: Option<Origin>,
}

/// What stands beside a pack when consent is asked.
pub(super) struct Context<'a> {
    pub(super) source: &'a str,
    pub(super) origin: Option<&'a Origin>,
    pub(super) looks_like: Vec<String>,
    pub(super) publisher: Option<&'a Publisher>,
    pub(super) publisher_is_new: bool,
    pub(super) config: &'a Config,
    pub(super) installed: Option<Installed<'a>>,
}

/// The installed version of a pack; its tools when the component could be read.
pub(super) struct Installed<'a> {
    pub(super) version: &'a Version,
    pub(super) granted: &'a Capabilities,
    pub(super) pack: Option<&'a EmbeddedPack>,
    pub(super) tools_text: bool,
    pub(super) moved_from: Option<&'a Origin>,
}

/// Makes the request for a pack.
pub(super) fn request(inspected: &Inspected, context: &Context<'_>) -> ConsentRequest {
    let manifest = &inspected.pack.manifest;
    let asked = manifest.capabilities();
    let view = |publisher: &Publisher| PublisherView {
        name: plain(&publisher.name),
        homepage: publisher.homepage.as_deref().map(plain),
        new_to_project: context.publisher_is_new,
    };
    let tools = tools(&inspected.pack);
    let changes = context.installed.as_ref().map(|installed| {
        let before = lines(installed.granted, installed.pack.map(self::tools).as_deref());
        let after = lines(&asked, installed.pack.map(|_| tools.as_slice()));
        Changes {
            from: installed.version.clone(),
            added: after.difference(&before).cloned().collect(),
            removed: before.difference(&after).cloned().collect(),
            tools_text: installed.tools_text,
            moved_from: installed.moved_from.map(shown),
        }
    });
    ConsentRequest {
        pack: manifest.pack.id.clone(),
        version: manifest.pack.version.clone(),
        display_name: plain(&manifest.pack.display_name),
        description: plain(&manifest.pack.description),
        source: plain(context.source),
        index: context.origin.map(shown),
        looks_like: context.looks_like.clone(),
        integrity: inspected.sha256.to_string(),
        size: inspected.size,
        publisher: context.publisher.map(view),
        network: network(&asked),
        secrets: secrets(&asked, &inspected.pack),
        config: config(&asked),
        storage: asked.storage.as_ref().map(|storage| storage.quota.0),
        invoke: invoke(&asked),
        ask: asked.ask.as_ref().map(|ask| plain(&ask.description)),
        limits: raised(&asked, &context.config.limits, context.config.policy.timeout_seconds),
        tools,
        dependencies: manifest.dependencies.iter().map(|(id, range)| format!("{id} {range}")).collect(),
        changes,
    }
}

fn shown(origin: &Origin) -> Origin {
    Origin { index: plain(&origin.index), standing: origin.standing }
}

fn all_plain(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| plain(text)).collect()
}

fn network(asked: &Capabilities) -> Vec<HostAccess> {
    let access = asked.network.iter().map(|rule| {
        let port = rule.port.filter(|port| *port != rule.scheme.default_port());
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        HostAccess {
            origin: format!("{}://{}{port}", rule.scheme.as_str(), plain(&rule.host)),
            methods: all_plain(&rule.methods),
            paths: all_plain(&rule.paths),
            follow: rule.follow,
        }
    });
    // What rig itself sends on the pack's behalf, to trade a secret for tokens.
    let tokens = asked.token_endpoints().into_iter().map(|(host, path)| HostAccess {
        origin: format!("https://{}", plain(host)),
        methods: vec!["POST".into()],
        paths: vec![plain(path)],
        follow: false,
    });
    access.chain(tokens).collect()
}

fn secrets(asked: &Capabilities, pack: &EmbeddedPack) -> Vec<SecretUse> {
    let place = |inject: &Inject| match inject {
        Inject::Bearer => "the header Authorization: Bearer".to_owned(),
        Inject::Header { name, prefix } if prefix.is_empty() => format!("the header {}", plain(name)),
        Inject::Header { name, prefix } => format!("the header {}, after `{}`", plain(name), plain(prefix)),
        Inject::Basic { user } => format!("the header Authorization: Basic, as user {}", plain(user)),
        Inject::Query { name } => format!("the query field {}", plain(name)),
        Inject::Oauth2ServiceAccount { scopes, token_url } => format!(
            "the header Authorization: Bearer, as a token from {} for {}",
            plain(token_url),
            plain(&scopes.join(" "))
        ),
    };
    let used = asked.secrets.iter().map(|(slot, decl)| SecretUse {
        slot: plain(slot),
        description: plain(&decl.description),
        hosts: all_plain(&decl.hosts),
        places: decl.inject.iter().map(place).collect(),
        tools: {
            let users = pack.tools.iter().filter(|tool| tool.def.auth_slots.contains(slot));
            users.map(|tool| plain(&tool.def.name)).collect()
        },
    });
    used.collect()
}

fn config(asked: &Capabilities) -> Vec<ConfigUse> {
    let used = asked.config.iter().map(|(name, decl)| ConfigUse {
        name: plain(name),
        description: plain(&decl.description),
        required: decl.required,
        default: decl.default.as_deref().map(plain),
    });
    used.collect()
}

fn invoke(asked: &Capabilities) -> Vec<String> {
    asked.invoke.as_ref().map(|invoke| all_plain(&invoke.tools)).unwrap_or_default()
}

fn raised(asked: &Capabilities, host: &HostLimits, timeout: u32) -> Vec<RaisedLimit> {
    let size = |name, asked: Option<ByteSize>, normal: ByteSize| {
        let asked = asked.filter(|asked| *asked > normal)?;
        Some(RaisedLimit { name, asked: asked.to_string(), normal: normal.to_string() })
    };
    let time = asked.limits.timeout.filter(|asked| *asked > timeout).map(|asked| RaisedLimit {
        name: "timeout",
        asked: format!("{asked} s"),
        normal: format!("{timeout} s"),
    });
    let sizes = [size("memory", asked.limits.memory, host.memory), size("output", asked.limits.output, host.output)];
    sizes.into_iter().chain([time]).flatten().collect()
}

fn tools(pack: &EmbeddedPack) -> Vec<ToolSummary> {
    let mut tools: Vec<ToolSummary> = pack
        .tools
        .iter()
        .map(|tool| ToolSummary {
            name: plain(&tool.def.name),
            title: plain(&tool.title),
            description: plain(&tool.def.description),
            risk: tool.def.risk_class,
        })
        .collect();
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    tools
}

/// What a grant holds that is not asked for, one line each.
pub(super) fn beyond(granted: &Capabilities, asked: &Capabilities) -> Vec<String> {
    let mut granted = granted.clone();
    // A limit that was only lowered is another line, but nothing more.
    let (limits, storage) = (granted.limits.clone(), granted.storage.clone());
    if (Capabilities { limits, ..Capabilities::default() }).is_within(asked) {
        granted.limits = Limits::default();
    }
    if (Capabilities { storage, ..Capabilities::default() }).is_within(asked) {
        granted.storage = None;
    }
    let asked = lines(asked, None);
    let mut beyond: Vec<String> = lines(&granted, None).into_iter().filter(|line| !asked.contains(line)).collect();
    if beyond.is_empty() {
        // Two entries may differ in ways that no line shows.
        beyond.push("an entry that the component words differently".into());
    }
    beyond
}

/// What is asked for beyond a grant, and what was granted and is not asked for any more; one line each.
pub(super) fn moved(granted: &Capabilities, asked: &Capabilities) -> (Vec<String>, Vec<String>) {
    let more = |of: &Capabilities, than: &Capabilities| if of.is_within(than) { Vec::new() } else { beyond(of, than) };
    (more(asked, granted), more(granted, asked))
}

/// Everything that is asked for, one line each, to be compared with another version.
fn lines(asked: &Capabilities, tools: Option<&[ToolSummary]>) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for access in network(asked) {
        let follow = if access.follow { ", following redirects" } else { "" };
        for method in &access.methods {
            for path in &access.paths {
                lines.insert(format!("network: {method} {}{path}{follow}", access.origin));
            }
        }
    }
    for (slot, decl) in &asked.secrets {
        for host in &decl.hosts {
            for inject in &decl.inject {
                // The debug form is complete, and the exact words do not matter to a comparison.
                lines.insert(plain(&format!("secret: {slot} to {host} ({inject:?})")));
            }
        }
    }
    for (name, decl) in &asked.config {
        lines.insert(plain(&format!("config: {name}{}", if decl.required { " (required)" } else { "" })));
    }
    if let Some(storage) = &asked.storage {
        lines.insert(format!("storage: {}", storage.quota));
    }
    lines.extend(invoke(asked).into_iter().map(|tool| format!("calls the tool {tool}")));
    if let Some(ask) = &asked.ask {
        let what = if ask.description.is_empty() { String::new() } else { format!(": {}", ask.description) };
        lines.insert(plain(&format!("asks you for input{what}")));
    }
    let sizes = [("memory", asked.limits.memory), ("output", asked.limits.output)];
    lines.extend(sizes.into_iter().filter_map(|(name, size)| Some(format!("limit: {name} {}", size?))));
    lines.extend(asked.limits.timeout.map(|seconds| format!("limit: timeout {seconds} s")));
    for tool in tools.unwrap_or_default() {
        lines.insert(format!("tool: {} ({})", tool.name, tool.risk.as_str()));
    }
    lines
}

#[cfg(test)]
mod tests;
