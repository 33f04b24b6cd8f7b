//! The pack manifest, `rig-pack.toml`: what a pack is and what it asks for. `rig build` embeds it in the component, together with
//! the pack's own description of its tools, so that both are covered by the component's hash and read without running it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use crate::{ByteSize, PackId, rtp::PackTool};

mod check;
mod shared;

pub use check::{is_env_name, is_hosts_own, token_host};

/// The name of the component's custom section that holds an [`EmbeddedPack`] as JSON.
pub const SECTION: &str = "rig-pack";

/// `rig-pack.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the pack is.
    pub pack: PackInfo,
    /// Which requests the pack may make.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<NetworkRule>,
    /// The secrets that the pack's requests carry, by slot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretDecl>,
    /// Settings that are not secret, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, ConfigDecl>,
    /// Files of the pack's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageDecl>,
    /// Other tools that the pack calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoke: Option<InvokeDecl>,
    /// Questions to the person who makes a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<AskDecl>,
    /// Limits that differ from the host's defaults.
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
    /// Other packs that this one needs, with semver ranges.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<PackId, String>")]
    pub dependencies: BTreeMap<PackId, VersionReq>,
}

/// `[pack]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PackInfo {
    /// The id; the first part of every tool's name.
    pub id: PackId,
    /// The version (semver).
    #[schemars(with = "String")]
    pub version: Version,
    /// The name shown to people.
    pub display_name: String,
    /// What the pack is for, in a sentence.
    pub description: String,
    /// A page about the pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// An SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Words to find the pack by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The oldest rig that can run the pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub min_rig: Option<Version>,
    /// Whether the pack may be put into an index.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub publish: bool,
}

/// One `[[network]]` entry: a request passes when one entry matches it in every part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkRule {
    /// An exact host, or `*.example.com` for every name below `example.com`. May use `{config.NAME}`.
    pub host: String,
    /// `https`, or `http` for hosts that have no TLS.
    #[serde(default = "default_scheme")]
    pub scheme: Scheme,
    /// The port; that of the scheme when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Upper-case methods.
    #[serde(default = "default_methods")]
    pub methods: Vec<String>,
    /// Patterns of paths: `*` stands for characters other than `/`, at the end of a pattern for anything.
    #[serde(default = "default_paths")]
    pub paths: Vec<String>,
    /// Whether redirects are followed by the host, each hop under the same rules. Otherwise the pack gets the redirect.
    #[serde(default, skip_serializing_if = "is_false")]
    pub follow: bool,
}

/// The scheme of a URL that a pack may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// HTTP in the clear.
    Http,
}

impl Scheme {
    /// The scheme as it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    /// The port that the scheme stands for.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

/// One secret, `[secrets.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretDecl {
    /// What the secret is and where to get one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The hosts that the secret is sent to, written as in `[[network]]`.
    pub hosts: Vec<String>,
    /// Where in a request the host puts it: one place or several.
    #[serde(with = "one_or_many")]
    #[schemars(with = "one_or_many::Shape")]
    pub inject: Vec<Inject>,
}

/// A place in a request where the host puts a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Inject {
    /// `Authorization: Bearer <secret>`.
    Bearer,
    /// A header of that name, with a prefix before the secret.
    Header {
        /// The name of the header.
        name: String,
        /// What stands before the secret.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
    },
    /// `Authorization: Basic base64(user:secret)`.
    Basic {
        /// The user name; may use `{config.NAME}`.
        user: String,
    },
    /// A field of the query.
    Query {
        /// The name of the field.
        name: String,
    },
    /// `Authorization: Bearer <access token>`. The secret is the JSON key of a service account; the host signs a request with it,
    /// trades that for access tokens, and keeps them until shortly before they expire (RFC 7523).
    Oauth2ServiceAccount {
        /// What the tokens are for.
        scopes: Vec<String>,
        /// Where the host gets the tokens, an https URL. The key must name the same one: nothing is signed for another place.
        #[serde(rename = "token-url", default = "default_token_url", skip_serializing_if = "is_default_token_url")]
        token_url: String,
    },
}

/// The token endpoint that the keys of Google's service accounts name.
pub const GOOGLE_TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// One setting, `[config.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigDecl {
    /// What the setting is and where to find its value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether calls fail without it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// The value when none is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// `[storage]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageDecl {
    /// How many bytes all files together may take.
    pub quota: ByteSize,
}

/// `[invoke]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvokeDecl {
    /// The names of the tools that the pack may call.
    pub tools: Vec<String>,
}

/// `[ask]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskDecl {
    /// What the pack asks people for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// `[limits]`. Absent values leave the host's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Linear memory in total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Wall clock of one call with all its attempts, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// The size of one output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<ByteSize>,
}

impl Limits {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a pack can reach: asked for in its manifest, consented to in `rig.lock`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    /// Which requests the pack may make.
    #[serde(default)]
    pub network: Vec<NetworkRule>,
    /// The secrets that the pack's requests carry, by slot.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretDecl>,
    /// Settings that the pack reads.
    #[serde(default)]
    pub config: BTreeMap<String, ConfigDecl>,
    /// Files of the pack's own.
    #[serde(default)]
    pub storage: Option<StorageDecl>,
    /// Other tools that the pack calls.
    #[serde(default)]
    pub invoke: Option<InvokeDecl>,
    /// Questions to the person who makes a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<AskDecl>,
    /// Limits that differ from the host's defaults.
    #[serde(default)]
    pub limits: Limits,
}

impl Capabilities {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The token endpoints that the host itself posts to for the pack's secrets: host and path, each once.
    #[must_use]
    pub fn token_endpoints(&self) -> BTreeSet<(&str, &str)> {
        let injects = self.secrets.values().flat_map(|decl| &decl.inject);
        let urls = injects.filter_map(|inject| match inject {
            Inject::Oauth2ServiceAccount { token_url, .. } => token_host(token_url),
            _ => None,
        });
        urls.collect()
    }

    /// Whether everything here is also in `asked`: a grant may be narrower than the manifest, never wider.
    #[must_use]
    pub fn is_within(&self, asked: &Self) -> bool {
        let limits_within = |granted: Option<u64>, asked: Option<u64>| granted.is_none() || granted <= asked;
        self.network.iter().all(|rule| asked.network.contains(rule))
            && self.secrets.iter().all(|(slot, decl)| asked.secrets.get(slot) == Some(decl))
            && self.config.iter().all(|(name, decl)| asked.config.get(name) == Some(decl))
            && limits_within(self.storage.as_ref().map(|s| s.quota.0), asked.storage.as_ref().map(|s| s.quota.0))
            && self
                .invoke
                .iter()
                .flat_map(|invoke| &invoke.tools)
                .all(|tool| asked.invoke.as_ref().is_some_and(|asked| asked.tools.contains(tool)))
            && (self.ask.is_none() || self.ask == asked.ask)
            && limits_within(self.limits.memory.map(|m| m.0), asked.limits.memory.map(|m| m.0))
            && limits_within(self.limits.timeout.map(u64::from), asked.limits.timeout.map(u64::from))
            && limits_within(self.limits.output.map(|o| o.0), asked.limits.output.map(|o| o.0))
    }
}

impl Manifest {
    /// Everything that the pack asks for.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            network: self.network.clone(),
            secrets: self.secrets.clone(),
            config: self.config.clone(),
            storage: self.storage.clone(),
            invoke: self.invoke.clone(),
            ask: self.ask.clone(),
            limits: self.limits.clone(),
        }
    }
}

/// What `rig build` embeds in a component: the manifest and the pack's description of its tools. In the component itself, what tools
/// have in common stands once: see [`EmbeddedPack::to_section`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedPack {
    /// The version of this shape; 1.
    pub format: u32,
    /// The manifest.
    pub manifest: Manifest,
    /// What `describe` answered when the pack was built, sorted by name.
    pub tools: Vec<PackTool>,
}

impl EmbeddedPack {
    /// The version of the shape that this code reads and writes.
    pub const FORMAT: u32 = 1;
}

const fn yes() -> bool {
    true
}

// `skip_serializing_if` hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_true(value: &bool) -> bool {
    *value
}

// `skip_serializing_if` hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_false(value: &bool) -> bool {
    !*value
}

const fn default_scheme() -> Scheme {
    Scheme::Https
}

fn default_token_url() -> String {
    GOOGLE_TOKEN_URL.into()
}

fn is_default_token_url(url: &str) -> bool {
    url == GOOGLE_TOKEN_URL
}

fn default_methods() -> Vec<String> {
    vec!["GET".into()]
}

fn default_paths() -> Vec<String> {
    vec!["/*".into()]
}

/// `inject` may be one table or a list of them.
mod one_or_many {
    use super::{Deserialize, Inject, JsonSchema, Serialize};
    use serde::{Deserializer, Serializer, de::Error};
    use serde_json::Value;

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code, reason = "only its schema is used")]
    pub(super) enum Shape {
        One(Inject),
        Many(Vec<Inject>),
    }

    pub(super) fn serialize<S: Serializer>(injects: &[Inject], serializer: S) -> Result<S::Ok, S::Error> {
        match injects {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Inject>, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let items = if let Value::Array(items) = value { items } else { vec![value] };
        items.into_iter().map(|item| serde_json::from_value(item).map_err(D::Error::custom)).collect()
    }
}
