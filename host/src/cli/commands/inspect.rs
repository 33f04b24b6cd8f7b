//! `rig inspect`: what a component is and asks for, without running it.

use rig_host::install::{InstallError, Installer, Progress, inspect, reference, rig_version, store};
use rig_specs::PackId;
use serde_json::json;

use super::info::{show_capabilities, show_tools};
use crate::cli::{
    args::Inspect,
    progress::Bars,
    render,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &Inspect) -> Result<u8, Failure> {
    let (path, bytes) = read(session, &args.target)?;
    let found = inspect::inspect(&bytes, &rig_version())
        .map_err(|error| Failure::from(error).context(&format!("{path} is not a pack that rig runs")))?;
    if args.json {
        render::json(&json!({
            "path": path,
            "sha256": found.sha256,
            "size": found.size,
            "interface_hash": found.interface_hash,
            "tools_hash": found.tools_hash,
            "imports": found.imports,
            "manifest": found.pack.manifest,
            "tools": found.pack.tools,
        }))?;
        return Ok(exit::DONE);
    }
    let pack = &found.pack.manifest.pack;
    render::line(&format!("{} {} ({})", pack.id, pack.version, pack.display_name));
    render::line(&format!("  {}", pack.description));
    let place = if path.starts_with("oci:") { "from" } else { "file" };
    render::line(&format!("  {place}       {path}"));
    render::line(&format!("  size       {} bytes", found.size));
    render::line(&format!("  digest     {}", found.sha256));
    render::line(&format!("  interface  {}", found.interface_hash));
    let imports = if found.imports.is_empty() { "none".into() } else { found.imports.join(", ") };
    render::line(&format!("  imports    {imports}"));
    show_capabilities(&found.pack.manifest.capabilities());
    show_tools(found.pack.tools.iter().map(|tool| &tool.def));
    Ok(exit::DONE)
}

/// What a registry has under a reference, a file if there is one, else the component of an installed pack; and where it is.
fn read(session: &Session, target: &str) -> Result<(String, Vec<u8>), Failure> {
    if target.starts_with("oci:") {
        let reference = reference(target).map_err(|error| Failure::from(error).into_usage())?;
        let gate = session.gate_anywhere()?;
        let installer = Installer::new(session.home.clone(), &gate);
        let bars = Bars::new(session.ui);
        let progress = |progress: Progress<'_>| bars.show(progress);
        let (reference, bytes) = Session::block_on(installer.look_at(&reference, session.offline, &progress))??;
        bars.clear();
        return Ok((reference.to_string(), bytes));
    }
    let path = session.start.join(target);
    if path.is_file() {
        let bytes = std::fs::read(&path).map_err(|error| {
            Failure::of(&error, "give a file that you can read").context(&format!("{} cannot be read", path.display()))
        })?;
        return Ok((path.display().to_string(), bytes));
    }
    let Ok(id) = target.parse::<PackId>() else {
        return Err(Failure::new(format!("there is no file {}", path.display()))
            .with_hint("give a component file (*.wasm), the id of an installed pack, or oci://registry/name:tag"));
    };
    let project = session.project()?;
    let locked = project.locked(&id).ok_or_else(|| InstallError::NotInstalled { pack: id.clone(), nearest: None })?;
    let digest = locked.integrity.ok_or_else(|| rig_host::install::LoadError::NoHash { pack: id.clone() })?;
    Ok((session.home.component(&digest).display().to_string(), store::read(&session.home, &digest)?))
}
