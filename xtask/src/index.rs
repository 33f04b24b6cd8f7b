//! The index of the built packs, as a publisher would write it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rig_specs::{
    PackId, Sha256,
    index::{API_VERSION, Index, IndexPack, Publisher, WasmRelease, WasmReleases},
    manifest::Manifest,
    rtp::{PackTool, interface_hash},
};
use serde::Deserialize;

use crate::{fail::Fail, run};

/// The name of the index in the folder of the packs.
pub(crate) const FILE: &str = "pack_index.json";

/// What `rig inspect --json` says about a component, as far as an index needs it.
#[derive(Debug, Deserialize)]
pub(crate) struct Inspected {
    sha256: Sha256,
    size: u64,
    manifest: Manifest,
    tools: Vec<PackTool>,
}

/// Asks the built rig what is in a component.
pub(crate) fn inspect(rig: &Path, file: &Path) -> Result<Inspected, Fail> {
    let said = run::output(Command::new(rig).args(["inspect", "--json"]).arg(file))?;
    serde_json::from_str(&said)
        .map_err(|error| Fail::new(format!("cannot read what rig says about {}: {error}", file.display())))
}

/// Writes the index of the packs into `dir`, unless the one there says the same. `packs` are file names in `dir` with what is in
/// the files.
pub(crate) fn write(dir: &Path, packs: Vec<(String, Inspected)>) -> Result<PathBuf, Fail> {
    let path = dir.join(FILE);
    let packs = entries(packs);
    let old = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Index>(&bytes).ok());
    if old.is_some_and(|old| old.api_version == API_VERSION && old.packs == packs) {
        return Ok(path);
    }
    let index = Index { api_version: API_VERSION, generated_at: now()?, packs };
    let mut text = serde_json::to_string_pretty(&index).map_err(|error| Fail::new(format!("no index: {error}")))?;
    text.push('\n');
    let new = dir.join(".pack_index.json.new");
    fs::write(&new, text).map_err(Fail::io("write", &new))?;
    fs::rename(&new, &path).map_err(Fail::io("write", &path))?;
    Ok(path)
}

fn entries(packs: Vec<(String, Inspected)>) -> BTreeMap<PackId, IndexPack> {
    let mut entries: BTreeMap<PackId, IndexPack> = BTreeMap::new();
    for (file, Inspected { sha256, size, manifest, tools }) in packs {
        let info = manifest.pack;
        let release = WasmRelease {
            sha256,
            size,
            urls: vec![file],
            min_rig: info.min_rig,
            yanked: false,
            dependencies: manifest.dependencies,
            interface_hash: Some(interface_hash(tools.iter().map(|tool| &tool.def))),
        };
        let pack = entries.entry(info.id).or_insert_with(|| IndexPack {
            display_name: info.display_name,
            description: info.description,
            homepage: info.homepage,
            tags: info.tags,
            publisher: Some(Publisher { name: "rig".into(), homepage: None, key: None }),
            wasm: None,
            python: None,
            node: None,
        });
        let wasm = pack.wasm.get_or_insert_with(|| WasmReleases { versions: BTreeMap::new() });
        wasm.versions.insert(info.version, release);
    }
    entries
}

/// The time in RFC 3339, UTC, from the one program that every Unix has for it.
fn now() -> Result<String, Fail> {
    Ok(run::output(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]))?.trim().to_owned())
}
