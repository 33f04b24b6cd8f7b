//! The tools of a pack from PyPI or npm, as they were told when it was installed: kept in the store under their own hash, so that a
//! gateway starts without running the pack, and nobody can change them unseen.

use std::io::Write as _;

use rig_specs::{
    PackId, Sha256,
    digest::canonical_json,
    lock::{LockedPack, Runtime},
    manifest::{Capabilities, EmbeddedPack, Manifest, PackInfo},
    rtp::{self, PackTool, ToolDef},
};
use semver::Version;
use serde_json::{Value, json};

use super::error::language;
use crate::{
    call::schema::Schema,
    home::Home,
    install::store::{self, Staged, StoreError},
};

/// What a pack is and asks for, in the form that components carry.
pub(in crate::install) fn embedded(
    id: &PackId,
    version: &Version,
    (runtime, package): (Runtime, &str),
    granted: &Capabilities,
    tools: Vec<PackTool>,
) -> EmbeddedPack {
    let ecosystem = if runtime == Runtime::Node { "npm" } else { "PyPI" };
    let manifest = Manifest {
        pack: PackInfo {
            id: id.clone(),
            version: version.clone(),
            display_name: id.to_string(),
            description: format!("The {} package {package} from {ecosystem}", language(runtime)),
            homepage: None,
            license: None,
            tags: Vec::new(),
            min_rig: None,
            publish: true,
        },
        network: granted.network.clone(),
        secrets: granted.secrets.clone(),
        config: granted.config.clone(),
        storage: None,
        invoke: None,
        ask: None,
        limits: granted.limits.clone(),
        dependencies: std::collections::BTreeMap::new(),
    };
    EmbeddedPack { format: EmbeddedPack::FORMAT, manifest, tools }
}

/// What is wrong with the tools of a pack, one sentence each.
pub(super) fn problems(id: &PackId, version: &Version, tools: &[PackTool]) -> Vec<String> {
    let mut bare = tools.to_vec();
    // Slots are granted, not declared: there is no manifest that they could be missing in.
    for tool in &mut bare {
        tool.def.auth_slots.clear();
    }
    let pack = embedded(id, version, (Runtime::Python, ""), &Capabilities::default(), bare);
    let mut problems = pack.problems();
    for tool in tools {
        let def = &tool.def;
        for (which, schema) in
            [("input", &def.input_schema), ("output", &def.output_schema), ("error", &def.error_schema)]
        {
            if let Err(why) = Schema::compile(schema) {
                let name = crate::words::plain(&def.name);
                problems
                    .push(format!("tool `{name}`: its {which} schema cannot be used: {}", crate::words::plain(&why)));
            }
        }
    }
    problems
}

/// The text whose hash is `tools_hash`.
fn text(tools: &[PackTool]) -> String {
    let mut defs: Vec<&ToolDef> = tools.iter().map(|tool| &tool.def).collect();
    defs.sort_by(|a, b| a.name.cmp(&b.name));
    canonical_json(&Value::Array(defs.into_iter().map(|def| json!(def)).collect()))
}

/// Puts bytes into the store.
pub(in crate::install) fn keep_bytes(home: &Home, bytes: &[u8]) -> Result<Sha256, StoreError> {
    let mut file = store::stage(home)?;
    let path = file.path().to_path_buf();
    file.write_all(bytes).map_err(|source| StoreError::Io { action: "write", path, source })?;
    let sha256 = Sha256::of(bytes);
    store::put_all(home, vec![Staged { file, sha256 }])?;
    Ok(sha256)
}

/// Puts tools into the store.
pub(in crate::install) fn keep(home: &Home, tools: &[PackTool]) -> Result<(), StoreError> {
    keep_bytes(home, text(tools).as_bytes()).map(drop)
}

/// The tools of an installed pack, from the store.
pub(in crate::install) fn kept(home: &Home, locked: &LockedPack) -> Result<Vec<PackTool>, StoreError> {
    let digest = locked.tools_hash.unwrap_or_else(|| rtp::tools_hash([]));
    let bytes = store::read(home, &digest)?;
    let defs: Vec<ToolDef> = serde_json::from_slice(&bytes).map_err(|error| StoreError::Io {
        action: "read",
        path: home.component(&digest),
        source: error.into(),
    })?;
    Ok(defs.into_iter().map(|def| PackTool { def, title: String::new(), idempotent: false }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_kept_under_the_hash_that_the_lock_has() {
        let def: ToolDef = serde_json::from_value(json!({
            "name": "p.a.x", "description": "Does.", "input_schema": {}, "output_schema": {}, "error_schema": {},
            "auth_slots": [], "risk_class": "read", "tags": [], "policy_defaults": {}, "examples": [],
        }))
        .unwrap();
        let tools = [PackTool { def: def.clone(), title: String::new(), idempotent: false }];
        assert_eq!(Sha256::of(text(&tools).as_bytes()), rtp::tools_hash([&def]));
    }
}
