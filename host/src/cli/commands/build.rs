//! `rig build`: compile, ask the component for its tools, embed both manifest and tools.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rig_host::{
    build::{
        self,
        lint::{Warning, lint},
    },
    install::{inspect, rig_version},
};
use rig_specs::Sha256;
use rig_toolchain::Language;
use serde_json::json;

use crate::cli::{
    args::Build,
    render,
    report::{Failure, exit},
    session::Session,
};

mod compile;

/// A pack that was built.
pub struct Built {
    pub path: PathBuf,
}

pub fn run(session: &Session, args: &Build) -> Result<u8, Failure> {
    let made = prepare(session, &args.dir, args.output.as_deref())?;
    let Made { path, bytes, found, mut warnings, language } = made;
    warnings.retain(|warning| !args.allow.contains(&warning.lint));
    warn(session, &warnings);
    if args.deny_warnings && !warnings.is_empty() {
        let count = render::count(warnings.len(), "warning");
        return Err(Failure::new(format!("the pack was not written: {count}, and --deny-warnings forbids that"))
            .with_hint("mend what is named above, or let it pass with --allow NAME"));
    }
    write(&path, &bytes)?;
    done(session, &found.pack);
    if args.json {
        let info = &found.pack.manifest.pack;
        render::json(&json!({
            "path": path,
            "sha256": found.sha256,
            "size": found.size,
            "id": info.id,
            "version": info.version,
            "language": language.to_string(),
            "reproducible": language.is_reproducible(),
            "tools": found.pack.tools.iter().map(|tool| &tool.def.name).collect::<Vec<_>>(),
            "warnings": warnings,
        }))?;
    } else {
        render::out(&format!("{}\n{} bytes\n{}", path.display(), bytes.len(), Sha256::of(&bytes)));
    }
    Ok(exit::DONE)
}

/// Builds the pack in a folder, and shows what could be better.
pub fn make(session: &Session, dir: &Path, output: Option<&Path>) -> Result<Built, Failure> {
    let Made { path, bytes, found, warnings, .. } = prepare(session, dir, output)?;
    warn(session, &warnings);
    write(&path, &bytes)?;
    done(session, &found.pack);
    Ok(Built { path })
}

/// A pack that has been made, and not yet written.
struct Made {
    path: PathBuf,
    bytes: Vec<u8>,
    found: inspect::Inspected,
    warnings: Vec<Warning>,
    language: Language,
}

fn prepare(session: &Session, dir: &Path, output: Option<&Path>) -> Result<Made, Failure> {
    let dir: PathBuf = session.start.join(dir).components().collect();
    let manifest = read_manifest(&dir)?;
    let path = match output {
        Some(path) => session.start.join(path),
        None => dir.join(format!("{}-{}.wasm", manifest.pack.id, manifest.pack.version)),
    };
    let language = Language::of(&dir)?;
    let (component, described) = compile::pack(session, &dir, &manifest)?;
    let (bytes, _) = build::assemble(&component, manifest, described)?;
    // What an installation would refuse is better told here.
    let found = inspect::inspect(&bytes, &rig_version()).map_err(Failure::from)?;
    let warnings = lint(&found.pack, &found.imports, &component);
    Ok(Made { path, bytes, found, warnings, language })
}

fn warn(session: &Session, warnings: &[Warning]) {
    for warning in warnings {
        session.ui.warn(&warning.to_string());
    }
}

fn done(session: &Session, pack: &rig_specs::manifest::EmbeddedPack) {
    let tools = render::count(pack.tools.len(), "tool");
    session.ui.done(&format!("built {} {} with {tools}", pack.manifest.pack.id, pack.manifest.pack.version));
}

pub fn read_manifest(dir: &Path) -> Result<rig_specs::manifest::Manifest, Failure> {
    let path = dir.join("rig-pack.toml");
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::of(&error, "give the folder of a pack, which holds rig-pack.toml; `rig new NAME` makes one")
            .context(&format!("{} cannot be read", path.display()))
    })?;
    Ok(build::manifest(&text)?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder)
        .and_then(|()| tempfile::NamedTempFile::new_in(folder))
        .and_then(|mut file| std::io::Write::write_all(&mut file, bytes).map(|()| file))
        .and_then(|file| {
            // A temporary file is private; a pack is for everybody.
            fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).map(|()| file)
        })
        .and_then(|file| file.persist(path).map_err(|error| error.error));
    written.map(drop).map_err(|error| {
        Failure::of(&error, "choose another place with --output")
            .context(&format!("{} cannot be written", path.display()))
    })
}
