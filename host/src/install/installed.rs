//! What is installed, and whether it is what the lock says.

use std::path::PathBuf;

use rig_specs::{
    PackId, Sha256,
    config::Isolation,
    lock::{LockedPack, Runtime},
    manifest::EmbeddedPack,
    rtp,
};
use semver::Version;
use serde::Serialize;

use super::{InspectError, LoadError, StoreError, consent, inspect, legacy, store};
use crate::{home::Home, project::Project};

/// One line of `rig packs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstalledPack {
    /// The pack.
    pub id: PackId,
    /// The name of its package in its ecosystem.
    pub package: String,
    /// Its version.
    pub version: Version,
    /// How it runs.
    pub runtime: Runtime,
    /// When it was installed (RFC 3339, UTC).
    pub installed_at: String,
    /// Whether `rig.yaml` offers its tools.
    pub enabled: bool,
    /// Of its bytes.
    pub integrity: Option<Sha256>,
    /// Where it came from.
    pub source: Option<String>,
    /// How its calls are kept apart from the machine.
    pub isolation: &'static str,
}

/// How calls of an installed pack are kept apart from the machine: `sandbox` for components.
#[must_use]
pub fn isolation(project: &Project, locked: &LockedPack) -> Option<Isolation> {
    let set = || project.config().isolation.get(&locked.pack_id).copied().unwrap_or_default();
    (locked.runtime != Runtime::Wasm).then(set)
}

/// The packs that a project has installed, by id. Reads nothing but the project.
#[must_use]
pub fn installed(project: &Project) -> Vec<InstalledPack> {
    let pack = |(id, locked): (&PackId, &LockedPack)| InstalledPack {
        id: id.clone(),
        package: locked.package.clone(),
        version: locked.version.clone(),
        runtime: locked.runtime,
        installed_at: locked.installed_at.clone(),
        enabled: project.is_enabled(id),
        integrity: locked.integrity,
        source: locked.source.clone(),
        isolation: isolation(project, locked).map_or("sandbox", Isolation::as_str),
    };
    project.lock().packs.iter().map(pack).collect()
}

/// The bytes of an installed pack and what it says about itself, checked against the lock.
///
/// Bytes with this hash were inspected in full before they were put into the store, and the engine validates what it compiles, so
/// only what the pack says is read here.
///
/// # Errors
/// When the component is missing, changed, or not what the lock says.
pub fn load_pack(home: &Home, locked: &LockedPack) -> Result<(Vec<u8>, EmbeddedPack), LoadError> {
    let pack = &locked.pack_id;
    if locked.runtime != Runtime::Wasm {
        let embedded = package(home, locked)?;
        return Ok((Vec::new(), embedded));
    }
    let digest = locked.integrity.ok_or_else(|| LoadError::NoHash { pack: pack.clone() })?;
    let bytes = store::read(home, &digest).map_err(|error| LoadError::Store { pack: pack.clone(), error })?;
    let embedded = embedded(pack, &bytes)?;
    cross_check(locked, &embedded, bytes.len() as u64)?;
    Ok((bytes, embedded))
}

/// What is installed of another ecosystem: its tools stand in the store by themselves, and what it may reach in the lock alone.
fn package(home: &Home, locked: &LockedPack) -> Result<EmbeddedPack, LoadError> {
    let pack = &locked.pack_id;
    if locked.integrity.is_none() || locked.tools_hash.is_none() {
        return Err(LoadError::NoHash { pack: pack.clone() });
    }
    let tools = legacy::tools::kept(home, locked).map_err(|error| LoadError::Store { pack: pack.clone(), error })?;
    let of = (locked.runtime, locked.package.as_str());
    let embedded = legacy::tools::embedded(pack, &locked.version, of, &locked.granted, tools);
    cross_check(locked, &embedded, locked.size.unwrap_or(0))?;
    Ok(embedded)
}

fn embedded(pack: &PackId, bytes: &[u8]) -> Result<EmbeddedPack, LoadError> {
    inspect::embedded(bytes).map_err(|error: InspectError| LoadError::Inspect { pack: pack.clone(), error })
}

/// Whether a component is the one that a lock entry is about. The hash covers the component, not what the lock says of it.
pub(super) fn cross_check(locked: &LockedPack, pack: &EmbeddedPack, size: u64) -> Result<(), LoadError> {
    let info = &pack.manifest.pack;
    let defs = || pack.tools.iter().map(|tool| &tool.def);
    let differs = |field, locked_value: String, found: String| {
        if locked_value == found {
            return Ok(());
        }
        Err(LoadError::Mismatch { pack: locked.pack_id.clone(), field, locked: locked_value, found })
    };
    differs("id", locked.pack_id.to_string(), info.id.to_string())?;
    differs("version", locked.version.to_string(), info.version.to_string())?;
    if let Some(locked_size) = locked.size {
        differs("size", locked_size.to_string(), size.to_string())?;
    }
    if let Some(hash) = locked.interface_hash {
        differs("interface_hash", hash.to_string(), rtp::interface_hash(defs()).to_string())?;
    }
    if let Some(hash) = locked.tools_hash {
        differs("tools_hash", hash.to_string(), rtp::tools_hash(defs()).to_string())?;
    }
    let asked = pack.manifest.capabilities();
    if !locked.granted.is_within(&asked) {
        let beyond = consent::beyond(&locked.granted, &asked);
        return Err(LoadError::GrantTooWide { pack: locked.pack_id.clone(), beyond });
    }
    Ok(())
}

/// What `rig verify` found out about a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackReport {
    /// The pack.
    pub pack: PackId,
    /// The version in the lock.
    pub version: Version,
    /// How it runs.
    pub runtime: Runtime,
    /// Whether `rig.yaml` offers its tools.
    pub enabled: bool,
    /// Whether it is what the lock says.
    pub ok: bool,
    /// What is wrong.
    pub problem: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// Its file in the store.
    pub file: Option<PathBuf>,
    /// The hash in the lock.
    pub expected: Option<Sha256>,
    /// The hash of the file, when it could be read.
    pub found: Option<Sha256>,
}

/// Checks every installed pack of a project: hash and lock entry.
#[must_use]
pub fn verify(home: &Home, project: &Project) -> Vec<PackReport> {
    let report = |(id, locked): (&PackId, &LockedPack)| {
        let result = load_pack(home, locked);
        let found = match &result {
            Err(LoadError::Store { error: StoreError::Corrupt { found, .. }, .. }) => Some(*found),
            Err(LoadError::Store { .. } | LoadError::NoHash { .. }) => None,
            _ => locked.integrity,
        };
        let files = || legacy::restore::problem(home, project, locked).map(|error| (error.to_string(), error.hint()));
        let problem = match result {
            Ok(_) => files(),
            Err(error) => Some((error.to_string(), error.hint())),
        };
        let (problem, hint) = problem.map_or((None, None), |(problem, hint)| (Some(problem), hint));
        PackReport {
            pack: id.clone(),
            version: locked.version.clone(),
            runtime: locked.runtime,
            enabled: project.is_enabled(id),
            ok: problem.is_none(),
            problem,
            hint,
            file: locked.integrity.filter(|_| locked.runtime == Runtime::Wasm).map(|digest| home.component(&digest)),
            expected: locked.integrity,
            found,
        }
    };
    project.lock().packs.iter().map(report).collect()
}
