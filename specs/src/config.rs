//! `rig.yaml`: the settings of a project. Unknown keys are errors, so that a misspelt rule never silently allows.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};

use crate::{ByteSize, PackId, Sha256, rtp::RiskClass, tuf::PublicKey};

/// The whole file; every key may be left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The packs whose tools are offered, by id. Installed packs that are not named here are not called.
    pub packs: Vec<PackId>,
    /// What `rig install` noted about each pack.
    pub pack_metadata: BTreeMap<PackId, PackMetadata>,
    /// A name for this set of packs, returned with every result. Computed from the lock when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pack_set_version: Option<String>,
    /// Where the audit log is, relative to this file.
    pub audit_db_path: AuditPath,
    /// What the audit log keeps.
    pub audit: AuditSettings,
    /// How approvals are asked for.
    pub approvals: ApprovalSettings,
    /// Where the gateway listens.
    pub server: Server,
    /// Where packs are found.
    pub index: IndexSource,
    /// Which calls are allowed, and how.
    pub policy: Policy,
    /// Where secrets come from.
    pub secrets: Secrets,
    /// How rig reaches the network.
    pub network: Network,
    /// Values of the packs' settings: pack, then name.
    pub config: BTreeMap<PackId, BTreeMap<String, String>>,
    /// The host's limits for one call.
    pub limits: HostLimits,
    /// Who may call the gateway, by tenant id.
    pub tenants: BTreeMap<String, Tenant>,
    /// How packs from PyPI are installed.
    pub python: Python,
    /// How packs from npm are installed.
    pub node: Node,
    /// Packs from PyPI and npm that may run with less isolation than all of it, by id.
    pub isolation: BTreeMap<PackId, Isolation>,
}

/// What `rig install` noted about a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackMetadata {
    /// The installed version.
    pub version: String,
    /// Where the pack came from.
    pub source: String,
    /// RFC 3339, UTC.
    pub installed_at: String,
}

/// A path with the audit log's default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AuditPath(pub String);

impl Default for AuditPath {
    fn default() -> Self {
        Self(".rig/rig_audit.sqlite".into())
    }
}

/// `audit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// Whether arguments are kept, with secrets and long texts taken out.
    pub args: bool,
    /// After how many days rows are removed; absent keeps them for ever.
    #[schemars(range(min = 1))]
    pub retention_days: Option<u32>,
}

/// `approvals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalSettings {
    /// How long a call waits for a person, in seconds.
    #[schemars(range(min = 10, max = 604_800))]
    pub expire_seconds: u32,
    /// Whether the person in front of an MCP client may approve there and then. Off by default: a client that answers for its user
    /// would approve its own calls.
    pub elicitation: bool,
}

impl Default for ApprovalSettings {
    fn default() -> Self {
        Self { expire_seconds: 900, elicitation: false }
    }
}

/// One tenant of the gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tenant {
    /// The hashes of the bearer tokens that call for this tenant. `rig tenant new` makes a token and its hash.
    pub tokens: Vec<Sha256>,
    /// The hashes of the bearer tokens that also see and decide this tenant's approvals, and read its audit log.
    pub approvers: Vec<Sha256>,
    /// Globs over tool names; absent allows what the policy allows.
    pub allowed_tools: Option<Vec<String>>,
    /// The slots that this tenant's calls may use, each with the name that its value is looked up by. Absent: every slot by its own
    /// name.
    pub secrets: Option<BTreeMap<String, String>>,
}

/// What one limit counts: all calls together, or separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Each {
    /// Every tool by itself.
    Tool,
    /// Every pack by itself.
    Pack,
    /// Every tenant by itself.
    Tenant,
}

/// The time over which calls are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// 1 s.
    Second,
    /// 60 s.
    #[default]
    Minute,
    /// 3,600 s.
    Hour,
    /// 86,400 s.
    Day,
}

/// A limit on calls: a number, which means so many in a minute, or its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(with = "RateLimitForm")]
pub struct RateLimit {
    /// How many calls in that time; absent does not limit the rate.
    pub calls: Option<u32>,
    /// The time. No stretch as long as this has more calls.
    pub per: Per,
    /// How many at once; absent does not limit that.
    pub concurrent: Option<u32>,
    /// What is counted separately; nothing counts all calls that the glob matches together.
    pub each: Vec<Each>,
}

/// The forms in which a limit is written, for the schema.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum RateLimitForm {
    Number(#[schemars(range(min = 1))] u32),
    Parts(RateLimitParts),
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RateLimitParts {
    /// How many calls in that time; absent does not limit the rate.
    #[schemars(range(min = 1))]
    calls: Option<u32>,
    /// The time. No stretch as long as this has more calls.
    per: Per,
    /// How many at once; absent does not limit that.
    #[schemars(range(min = 1))]
    concurrent: Option<u32>,
    /// What is counted separately; nothing counts all calls that the glob matches together.
    each: Vec<Each>,
}

impl<'de> Deserialize<'de> for RateLimit {
    /// By hand: an untagged enum would say that no form fits, and not which key is wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = RateLimit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of calls per minute, or a mapping with `calls`, `per`, `concurrent` and `each`")
            }

            fn visit_u64<E: Error>(self, calls: u64) -> Result<RateLimit, E> {
                let calls = u32::try_from(calls).map_err(|_| E::invalid_value(Unexpected::Unsigned(calls), &self))?;
                Ok(RateLimit { calls: Some(calls), ..RateLimit::default() })
            }

            fn visit_i64<E: Error>(self, calls: i64) -> Result<RateLimit, E> {
                let number = u64::try_from(calls).map_err(|_| E::invalid_value(Unexpected::Signed(calls), &self))?;
                self.visit_u64(number)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RateLimit, A::Error> {
                let RateLimitParts { calls, per, concurrent, each } =
                    RateLimitParts::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RateLimit { calls, per, concurrent, each })
            }
        }

        deserializer.deserialize_any(Forms)
    }
}

/// A rule on one argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// JSON Schema that the argument must keep, in addition to the tool's own. Keywords about one type hold for that type only:
    /// `maximum` means a number of at most so much.
    pub schema: serde_json::Value,
    /// Whether the argument may be left out or null, so that the service chooses.
    #[serde(default)]
    pub optional: bool,
}

/// `server`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// The address to listen on.
    pub host: String,
    /// The port to listen on.
    pub port: u16,
    /// Names that the gateway is reached by beside its own address, each a host or a host and a port, for example
    /// `rig.corp.example`. Requests whose `Host` is none of them are refused.
    pub allowed_hosts: Vec<String>,
    /// Web origins whose pages may call the gateway, as browsers send them, for example `https://console.corp.example`.
    pub allowed_origins: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self { host: "127.0.0.1".into(), port: 8787, allowed_hosts: Vec::new(), allowed_origins: Vec::new() }
    }
}

/// `index`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IndexSource {
    /// `https://…`, `http://` on loopback, `file://…` or a path relative to this file.
    pub url: Option<String>,
    /// The root keys of the index (`ed25519:<hex>`). At least half of them must have signed a root; empty trusts the keys that were
    /// confirmed when this machine first used the index.
    #[schemars(with = "Vec<String>")]
    pub trusted_keys: Vec<PublicKey>,
}

/// `policy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Globs over tool names; absent allows every tool.
    pub allowed_tools: Option<Vec<String>>,
    /// Globs over tool names; they win over `allowed_tools`.
    pub denied_tools: Vec<String>,
    /// Risk classes whose calls a person must approve.
    pub require_approval_for: Vec<RiskClass>,
    /// Wall clock of one call in seconds.
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: u32,
    /// How often a retryable error of a read or idempotent tool is tried again.
    #[schemars(range(max = 10))]
    pub retries: u32,
    /// Risk classes that are higher than what a pack claims, by tool glob. A class below the pack's own changes nothing.
    pub raise_risk: BTreeMap<String, RiskClass>,
    /// Calls per time and at once, by tool glob. Every limit that matches a tool holds.
    pub rate_limits: BTreeMap<String, RateLimit>,
    /// Rules on arguments, by tool glob and then by argument.
    pub constraints: BTreeMap<String, BTreeMap<String, Constraint>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            allowed_tools: None,
            denied_tools: Vec::new(),
            require_approval_for: vec![RiskClass::Infra, RiskClass::Money, RiskClass::Destructive],
            timeout_seconds: 30,
            retries: 0,
            raise_risk: BTreeMap::new(),
            rate_limits: BTreeMap::new(),
            constraints: BTreeMap::new(),
        }
    }
}

/// `secrets`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// Which provider is asked.
    pub provider: SecretProvider,
}

/// Where secrets come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretProvider {
    /// The environment, then the file `.env` beside this one.
    #[default]
    Env,
}

/// `network`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// An HTTP proxy for everything that leaves the machine, for example `http://proxy.corp:3128`.
    pub proxy: Option<String>,
    /// Files with further certificate authorities (PEM), relative to this file: one path or a list.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub extra_ca: Vec<String>,
    /// Hosts that may resolve to private addresses.
    pub allow_private: Vec<String>,
}

/// `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HostLimits {
    /// Linear memory of one call in total.
    pub memory: ByteSize,
    /// The size of the arguments of one call.
    pub args: ByteSize,
    /// The size of the output of one call.
    pub output: ByteSize,
    /// How many calls run at once.
    pub concurrency: u32,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self { memory: ByteSize::mib(64), args: ByteSize::mib(4), output: ByteSize::mib(16), concurrency: 256 }
    }
}

/// How far the process of a pack from PyPI or npm is kept apart from the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// With every layer; rig refuses where the machine has not all of them.
    #[default]
    Full,
    /// With the layers that the machine has.
    Reduced,
}

impl Isolation {
    /// As it is written in every format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Reduced => "reduced",
        }
    }
}

/// `python`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Python {
    /// The interpreter to use.
    pub interpreter: Option<String>,
    /// The registry to install from.
    pub index_url: Option<String>,
    /// Further registries.
    pub extra_index_urls: Vec<String>,
    /// Folders with wheels.
    pub find_links: Vec<String>,
    /// A file with version constraints.
    pub constraints: Option<String>,
}

/// `node`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// The registry to install from.
    pub registry: Option<String>,
    /// Registries by scope.
    pub scopes: BTreeMap<String, String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(path) => vec![path],
        OneOrMany::Many(paths) => paths,
    })
}
