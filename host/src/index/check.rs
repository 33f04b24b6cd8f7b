//! Looks for what is wrong in an index: what a change to a community index must pass before it is signed. Every component is read, and
//! asked for its tools in the sandbox, because what a model is told must be what the reviewer saw.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use rig_specs::{
    PackId, Sha256,
    index::{Index, WasmRelease},
    manifest::{Capabilities, EmbeddedPack},
    rtp::{PackTool, RiskClass},
};
use semver::Version;
use serde::Serialize;

use super::{SignError, folder::Folder, get};
use crate::{
    author::publish,
    install::{
        inspect::{self, Inspected},
        lookalike, rig_version,
        trust::client::beside,
    },
    sandbox::{CallLimits, Sandbox},
};

/// How long a pack may take to describe its tools. It only builds a list.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Whether nothing is wrong; warnings do not count.
    pub ok: bool,
    /// What is wrong, and what could be better, in the order of packs and versions.
    pub findings: Vec<Finding>,
    /// The releases that were looked at.
    pub releases: Vec<ReleaseReport>,
    /// Whether the index is signed, and as it stands: `signed`, `unsigned` or `outdated`.
    pub signatures: &'static str,
}

/// One thing that is wrong, or could be better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether the index must not be published so.
    pub error: bool,
    /// The pack.
    pub pack: Option<PackId>,
    /// The version.
    pub version: Option<Version>,
    /// What it is, as a sentence.
    pub what: String,
}

/// What a reviewer wants to know about a release.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReleaseReport {
    /// The pack.
    pub pack: PackId,
    /// The version.
    pub version: Version,
    /// Of the bytes.
    pub sha256: Sha256,
    /// In bytes.
    pub size: u64,
    /// Its licence, as the manifest says.
    pub license: Option<String>,
    /// What it asks for.
    pub capabilities: Capabilities,
    /// Its tools with their risk classes.
    pub tools: BTreeMap<String, RiskClass>,
    /// Whether it is not in the index that this one is compared with.
    pub new: bool,
}

/// Checks the index in a folder. `base` is the index before a change, if that is what is checked: released versions must be the same.
///
/// # Errors
/// When there is no index that can be read.
pub async fn check(path: &Path, base: Option<&Path>, sandbox: &Sandbox) -> Result<Report, SignError> {
    let missing = |path: &Path| SignError::io(path, "read", std::io::ErrorKind::NotFound.into());
    let read = |folder: &Path| {
        let (file, index) = publish::read(folder)?;
        index.ok_or_else(|| missing(&file))
    };
    let index = read(path)?;
    let before = base.map(read).transpose()?;
    let mut checker = Checker { path, before: before.as_ref(), findings: Vec::new(), releases: Vec::new() };
    for (id, pack) in &index.packs {
        checker.name(id, &index);
        if pack.publisher.is_none() {
            checker.warn(Some(id), None, "it names no publisher".into());
        }
        let releases = pack.wasm.iter().flat_map(|wasm| &wasm.versions);
        for (version, release) in releases {
            checker.release(id, version, release, sandbox).await?;
        }
        checker.newest(id, &index);
    }
    checker.gone(&index);
    let signatures = checker.signatures()?;
    let Checker { findings, releases, .. } = checker;
    Ok(Report { ok: !findings.iter().any(|finding| finding.error), findings, releases, signatures })
}

struct Checker<'a> {
    path: &'a Path,
    before: Option<&'a Index>,
    findings: Vec<Finding>,
    releases: Vec<ReleaseReport>,
}

impl Checker<'_> {
    fn error(&mut self, pack: Option<&PackId>, version: Option<&Version>, what: String) {
        self.findings.push(Finding { error: true, pack: pack.cloned(), version: version.cloned(), what });
    }

    fn warn(&mut self, pack: Option<&PackId>, version: Option<&Version>, what: String) {
        self.findings.push(Finding { error: false, pack: pack.cloned(), version: version.cloned(), what });
    }

    /// A name that is new must not be close to one that is there. Without an index to compare with, both are named.
    fn name(&mut self, id: &PackId, index: &Index) {
        let known = |other: &PackId| self.before.is_some_and(|before| before.packs.contains_key(other));
        if known(id) {
            return;
        }
        let close = index.packs.keys().filter(|other| lookalike::close(id, other));
        let close: Vec<String> = close.map(|other| format!("`{other}`")).collect();
        if !close.is_empty() {
            self.error(Some(id), None, format!("its name is too close to {}", close.join(", ")));
        }
    }

    async fn release(
        &mut self,
        id: &PackId,
        version: &Version,
        release: &WasmRelease,
        sandbox: &Sandbox,
    ) -> Result<(), SignError> {
        let known = self.before.and_then(|before| before.packs.get(id)?.wasm.as_ref()?.versions.get(version));
        if let Some(known) = known.filter(|known| known.sha256 != release.sha256) {
            let (was, is) = (known.sha256, release.sha256);
            let what = format!("a released version never changes: it had {was}, and has {is}");
            self.error(Some(id), Some(version), what);
        }
        if release.urls.is_empty() {
            self.error(Some(id), Some(version), "it names no place to fetch it from".into());
        }
        let Some(name) = beside(release).next() else {
            let what = "its component is elsewhere and was not looked at".into();
            self.warn(Some(id), Some(version), what);
            return Ok(());
        };
        let file = self.path.join(name);
        let Some(bytes) = get(&file)? else {
            self.error(Some(id), Some(version), format!("its component `{name}` is not in the folder"));
            return Ok(());
        };
        let found = Sha256::of(&bytes);
        if found != release.sha256 {
            let what = format!("its component `{name}` has {found}, and the index says {}", release.sha256);
            self.error(Some(id), Some(version), what);
            return Ok(());
        }
        if bytes.len() as u64 != release.size {
            let what = format!("its component `{name}` has {} bytes, and the index says {}", bytes.len(), release.size);
            self.error(Some(id), Some(version), what);
        }
        let inspected = match inspect::inspect(&bytes, &rig_version()) {
            Ok(inspected) => inspected,
            Err(error) => {
                self.error(Some(id), Some(version), format!("its component is no pack: {error}"));
                return Ok(());
            }
        };
        self.described(id, version, release, &inspected);
        match describe(sandbox, &inspected, &bytes).await {
            Err(why) => self.error(Some(id), Some(version), format!("it does not describe its tools: {why}")),
            Ok(tools) => {
                for what in differences(&inspected.pack, &tools) {
                    self.error(Some(id), Some(version), what);
                }
            }
        }
        let info = &inspected.pack.manifest;
        self.releases.push(ReleaseReport {
            pack: id.clone(),
            version: version.clone(),
            sha256: found,
            size: bytes.len() as u64,
            license: info.pack.license.clone(),
            capabilities: info.capabilities(),
            tools: inspected.pack.tools.iter().map(|tool| (tool.def.name.clone(), tool.def.risk_class)).collect(),
            new: known.is_none(),
        });
        Ok(())
    }

    /// What the index says of a release must be what the component says of itself.
    fn described(&mut self, id: &PackId, version: &Version, release: &WasmRelease, inspected: &Inspected) {
        let manifest = &inspected.pack.manifest;
        let info = &manifest.pack;
        let mut differ = |field: &str, index: String, component: String| {
            if index != component {
                let what = format!("its {field} is {index} in the index and {component} in the component");
                self.error(Some(id), Some(version), what);
            }
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "not set".into());
        differ("id", id.to_string(), info.id.to_string());
        differ("version", version.to_string(), info.version.to_string());
        let text = |version: &Option<Version>| or_none(version.as_ref().map(Version::to_string));
        differ("min_rig", text(&release.min_rig), text(&info.min_rig));
        let list = |needs: &BTreeMap<PackId, semver::VersionReq>| {
            let needs: Vec<String> = needs.iter().map(|(id, range)| format!("{id} {range}")).collect();
            if needs.is_empty() { "nothing".into() } else { needs.join(", ") }
        };
        differ("list of dependencies", list(&release.dependencies), list(&manifest.dependencies));
        if let Some(hash) = release.interface_hash {
            differ("interface hash", hash.to_string(), inspected.interface_hash.to_string());
        }
        if !info.publish {
            self.error(Some(id), Some(version), "its manifest says `publish = false`".into());
        }
        if info.license.is_none() {
            self.error(Some(id), Some(version), "its manifest names no licence".into());
        }
    }

    /// The words of an entry are those of its newest version.
    fn newest(&mut self, id: &PackId, index: &Index) {
        let Some(pack) = index.packs.get(id) else { return };
        let newest = pack.wasm.as_ref().and_then(|wasm| wasm.versions.last_key_value());
        let Some((version, release)) = newest else { return };
        let bytes = beside(release).next().and_then(|name| std::fs::read(self.path.join(name)).ok());
        let inspected = bytes.and_then(|bytes| inspect::inspect(&bytes, &rig_version()).ok());
        let Some(info) = inspected.map(|inspected| inspected.pack.manifest.pack) else { return };
        let said = [
            ("display_name", pack.display_name == info.display_name),
            ("description", pack.description == info.description),
            ("homepage", pack.homepage == info.homepage),
            ("tags", pack.tags == info.tags),
        ];
        for (field, _) in said.into_iter().filter(|(_, same)| !same) {
            let what = format!("`{field}` in the index is not that of {version}, its newest version");
            self.error(Some(id), None, what);
        }
    }

    /// What is not there any more.
    fn gone(&mut self, index: &Index) {
        let Some(before) = self.before else { return };
        for (id, pack) in &before.packs {
            for version in pack.wasm.iter().flat_map(|wasm| wasm.versions.keys()) {
                let still = index.packs.get(id).and_then(|pack| pack.wasm.as_ref());
                if still.is_none_or(|wasm| !wasm.versions.contains_key(version)) {
                    self.warn(Some(id), Some(version), "it is not in the index any more".into());
                }
            }
        }
    }

    /// A change that waits for its signatures is no fault; metadata that readers would refuse is.
    fn signatures(&mut self) -> Result<&'static str, SignError> {
        let folder = Folder::at(self.path);
        if !folder.is_signed() {
            return Ok("unsigned");
        }
        let state = match folder.state() {
            // Said of the release already.
            Err(SignError::Component { .. }) => return Ok("outdated"),
            other => other?,
        };
        match state {
            Ok(true) => Ok("signed"),
            Ok(false) => {
                self.warn(None, None, "it changed since it was signed: `rig index sign` is next".into());
                Ok("outdated")
            }
            Err(fault) => {
                self.error(None, None, format!("its signatures cannot be trusted: {fault}"));
                Ok("outdated")
            }
        }
    }
}

/// Asks a pack for its tools.
async fn describe(sandbox: &Sandbox, inspected: &Inspected, bytes: &[u8]) -> Result<Vec<PackTool>, String> {
    let program = sandbox.load(&inspected.sha256, bytes).map_err(|error| error.to_string())?;
    let mut limits = CallLimits::default();
    if let Some(memory) = inspected.pack.manifest.limits.memory {
        limits.memory = limits.memory.max(memory.as_usize());
    }
    let described = program.describe(Instant::now() + DESCRIBE_TIMEOUT, &limits).await;
    crate::build::described(described.map_err(|stop| stop.to_string())?).map_err(|error| error.to_string())
}

/// How the embedded tools differ from those that the code describes.
fn differences(pack: &EmbeddedPack, described: &[PackTool]) -> Vec<String> {
    let by_name = |tool: &PackTool| (tool.def.name.clone(), serde_json::to_value(tool).unwrap_or_default());
    let embedded: BTreeMap<_, _> = pack.tools.iter().map(by_name).collect();
    let described: BTreeMap<_, _> = described.iter().map(by_name).collect();
    let names: BTreeSet<&String> = embedded.keys().chain(described.keys()).collect();
    let difference = |name: &String| match (embedded.get(name), described.get(name)) {
        (Some(a), Some(b)) if a == b => None,
        (Some(_), Some(_)) => Some(format!("the tool `{name}` describes itself in another way than the pack says")),
        (Some(_), None) => Some(format!("the pack says that it has a tool `{name}`, which the code does not have")),
        _ => Some(format!("the code has a tool `{name}`, of which the pack does not say")),
    };
    names.into_iter().filter_map(difference).collect()
}
