//! The tools that can be called: a snapshot of the enabled packs, built once and never changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use rig_specs::{
    PackId, Sha256,
    config::Isolation,
    lock::LockedPack,
    manifest::EmbeddedPack,
    rtp::{self, PackTool},
};

use super::contract::Contract;
use crate::{runner, sandbox::Program};

/// One installed pack as it was verified: what the lock says, what the component embeds, and where the component is.
#[derive(Debug, Clone)]
pub struct VerifiedPack {
    /// The lock's entry.
    pub locked: LockedPack,
    /// The manifest and the tools.
    pub embedded: EmbeddedPack,
    /// The component's digest. Its bytes are checked against it again when they are loaded from the store.
    pub digest: Sha256,
    /// How far its process is kept apart; nothing for components, which run in the sandbox.
    pub isolation: Option<Isolation>,
}

impl VerifiedPack {
    /// How its calls are kept apart from the machine, as listings and the audit log write it.
    #[must_use]
    pub fn isolation(&self) -> &'static str {
        self.isolation.map_or(SANDBOX, Isolation::as_str)
    }
}

/// How components are kept apart from the machine and from each other.
pub const SANDBOX: &str = "sandbox";

/// What calls of a pack run on.
#[derive(Clone)]
pub(super) enum Runnable {
    /// A component.
    Component(Program),
    /// A package of another ecosystem.
    Process(Arc<runner::Program>),
}

/// All tools of all enabled packs.
#[derive(Debug, Default)]
pub struct Snapshot {
    tools: BTreeMap<String, Arc<Tool>>,
    slots: BTreeSet<String>,
    /// Over every tool of every pack.
    pub interface_hash: Arc<str>,
    /// The name of this set of packs.
    pub pack_set_version: Arc<str>,
}

/// One tool with what a call of it needs.
#[derive(Debug)]
pub struct Tool {
    /// The tool as its pack describes it.
    pub tool: PackTool,
    /// The pack it belongs to.
    pub pack: Arc<Pack>,
    /// What its arguments must be.
    pub input: Contract,
    /// What its outputs must be.
    pub output: Contract,
}

/// One pack with what its calls share.
pub struct Pack {
    /// What was verified.
    pub verified: VerifiedPack,
    /// What every answer and every row says about the pack.
    pub labels: Labels,
    /// The compiled component, made at the first call.
    pub(super) program: tokio::sync::OnceCell<Runnable>,
    /// What its calls may reach, made at the first call.
    pub(super) reach: OnceLock<super::reach::PackReach>,
}

/// A pack's name, version and digest as texts.
#[derive(Debug, Clone)]
pub struct Labels {
    /// The id.
    pub id: Arc<str>,
    /// The version.
    pub version: Arc<str>,
    /// `sha256:` of the component.
    pub digest: Arc<str>,
    /// How its calls are kept apart from the machine.
    pub isolation: &'static str,
}

impl Default for Labels {
    /// Of a tool that there is not.
    fn default() -> Self {
        Self { id: "".into(), version: "".into(), digest: "".into(), isolation: SANDBOX }
    }
}

impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pack").field("verified", &self.verified.locked.pack_id).finish_non_exhaustive()
    }
}

impl Pack {
    /// The pack's id.
    #[must_use]
    pub fn id(&self) -> &PackId {
        &self.verified.locked.pack_id
    }
}

impl Snapshot {
    /// From the enabled packs. `name` is the project's own name for the set, when it gives one.
    #[must_use]
    pub fn new(packs: Vec<VerifiedPack>, name: Option<String>) -> Self {
        let interface_hash =
            rtp::interface_hash(packs.iter().flat_map(|pack| &pack.embedded.tools).map(|tool| &tool.def));
        let pack_set_version = name.unwrap_or_else(|| set_version(&packs));
        let slots = packs.iter().flat_map(|pack| pack.embedded.manifest.secrets.keys().cloned()).collect();
        let mut tools = BTreeMap::new();
        for verified in packs {
            let described = verified.embedded.tools.clone();
            let labels = Labels {
                id: verified.locked.pack_id.as_str().into(),
                version: verified.locked.version.to_string().into(),
                digest: verified.digest.to_string().into(),
                isolation: verified.isolation(),
            };
            let pack =
                Arc::new(Pack { verified, labels, program: tokio::sync::OnceCell::new(), reach: OnceLock::new() });
            for tool in described {
                let name = tool.def.name.clone();
                let pack = Arc::clone(&pack);
                let (input, output) = (Contract::new(&tool.def.input_schema), Contract::new(&tool.def.output_schema));
                tools.insert(name, Arc::new(Tool { tool, pack, input, output }));
            }
        }
        Self {
            tools,
            slots,
            interface_hash: interface_hash.to_string().into(),
            pack_set_version: pack_set_version.into(),
        }
    }

    /// Takes these names for secrets too: those of packs that are installed but offer no tools here, because they are not enabled or
    /// are damaged. Their secrets are set on the machine all the same.
    #[must_use]
    pub fn with_slots(mut self, slots: impl IntoIterator<Item = String>) -> Self {
        self.slots.extend(slots);
        self
    }

    /// Takes over the compiled code of packs that an older snapshot has with the same bytes.
    pub fn adopt(&self, older: &Self) {
        let compiled: BTreeMap<_, _> =
            older.tools().filter_map(|tool| Some((tool.pack.verified.digest, tool.pack.program.get()?))).collect();
        for tool in self.tools() {
            // What is granted to a process may have changed: that is put together again, which is quick.
            if let Some(program @ Runnable::Component(_)) = compiled.get(&tool.pack.verified.digest) {
                // Set already for another tool of the same pack.
                let _ = tool.pack.program.set((*program).clone());
            }
        }
    }

    /// The tool of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Tool>> {
        self.tools.get(name)
    }

    /// Whether a pack has tools here.
    #[must_use]
    pub fn offers(&self, pack: &PackId) -> bool {
        self.tools.values().any(|tool| tool.pack.id() == pack)
    }

    /// Whether a pack of the project has a secret of that name.
    #[must_use]
    pub fn is_slot(&self, name: &str) -> bool {
        self.slots.contains(name)
    }

    /// All tools, sorted by name.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools.values()
    }

    /// Up to three names that are most like one that does not exist.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Vec<&str> {
        let mut scored: Vec<(f64, &str)> =
            self.tools.keys().map(|known| (strsim::jaro_winkler(known, name), known.as_str())).collect();
        scored.retain(|(score, _)| *score > 0.7);
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        scored.into_iter().take(3).map(|(_, name)| name).collect()
    }
}

/// The same packs always give the same name: the first 16 hex digits over ids, versions and digests.
fn set_version(packs: &[VerifiedPack]) -> String {
    let mut lines: Vec<String> =
        packs.iter().map(|pack| format!("{} {} {}\n", pack.locked.pack_id, pack.locked.version, pack.digest)).collect();
    lines.sort_unstable();
    Sha256::of(lines.concat().as_bytes()).hex()[..16].to_owned()
}
