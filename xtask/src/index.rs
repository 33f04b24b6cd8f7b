//! The index of the built packs, as a publisher would write it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rig_specs::{
    Sha256,
    index::{Index, Publisher, Release},
    manifest::{EmbeddedPack, Manifest},
    rtp::PackTool,
};
use serde::Deserialize;

use crate::{fail::Fail, run};

pub(crate) use rig_specs::index::FILE;

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
pub(crate) fn write(dir: &Path, packs: &[(String, Inspected)]) -> Result<PathBuf, Fail> {
    let path = dir.join(FILE);
    let old = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Index>(&bytes).ok());
    let mut index = of(packs, String::new())?;
    index.generated_at = match &old {
        Some(old) if old.api_version == index.api_version && old.packs == index.packs => return Ok(path),
        _ => now()?,
    };
    let new = dir.join(".pack_index.json.new");
    fs::write(&new, index.to_text()).map_err(Fail::io("write", &new))?;
    fs::rename(&new, &path).map_err(Fail::io("write", &path))?;
    Ok(path)
}

/// An index of the packs.
pub(crate) fn of(packs: &[(String, Inspected)], generated_at: String) -> Result<Index, Fail> {
    let publisher = Publisher { name: "rig".into(), homepage: None, key: None };
    let mut index = Index::empty(generated_at);
    for (file, Inspected { sha256, size, manifest, tools }) in packs {
        let pack = EmbeddedPack { format: EmbeddedPack::FORMAT, manifest: manifest.clone(), tools: tools.clone() };
        let release = Release { pack: &pack, sha256: *sha256, size: *size, url: file, publisher: Some(&publisher) };
        index.add(&release).map_err(|error| Fail::new(error.to_string()))?;
    }
    Ok(index)
}

impl Inspected {
    /// Whether the pack is meant for others.
    pub(crate) fn is_published(&self) -> bool {
        self.manifest.pack.publish
    }
}

/// The time in RFC 3339, UTC, from the one program that every Unix has for it.
fn now() -> Result<String, Fail> {
    Ok(run::output(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]))?.trim().to_owned())
}
