//! `rig build`: compile, ask the component for its tools, embed both manifest and tools.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rig_host::build;
use rig_specs::Sha256;

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
    pub bytes: Vec<u8>,
}

pub fn run(session: &Session, args: &Build) -> Result<u8, Failure> {
    let Built { path, bytes } = make(session, &args.dir, args.output.as_deref())?;
    render::out(&format!("{}\n{} bytes\n{}", path.display(), bytes.len(), Sha256::of(&bytes)));
    Ok(exit::DONE)
}

/// Builds the pack in a folder.
pub fn make(session: &Session, dir: &Path, output: Option<&Path>) -> Result<Built, Failure> {
    let dir: PathBuf = session.start.join(dir).components().collect();
    let manifest = read_manifest(&dir)?;
    let output = match output {
        Some(path) => session.start.join(path),
        None => dir.join(format!("{}-{}.wasm", manifest.pack.id, manifest.pack.version)),
    };
    let (component, described) = compile::pack(session, &dir, &manifest)?;
    let (bytes, pack) = build::assemble(&component, manifest, described)?;
    write(&output, &bytes)?;

    let tools = render::count(pack.tools.len(), "tool");
    session.ui.done(&format!("built {} {} with {tools}", pack.manifest.pack.id, pack.manifest.pack.version));
    Ok(Built { path: output, bytes })
}

pub fn read_manifest(dir: &Path) -> Result<rig_specs::manifest::Manifest, Failure> {
    let path = dir.join("rig-pack.toml");
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::of(&error, "give the folder of a pack: it holds rig-pack.toml beside Cargo.toml")
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
