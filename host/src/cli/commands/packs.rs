//! `rig packs`: what is installed, or what the index offers.

use rig_host::install::{self, Installer, Mode, Options, TrustError, WithBundle, index::IndexError};
use rig_specs::index::IndexPack;
use serde_json::json;

use crate::cli::{
    args::Packs,
    render,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &Packs) -> Result<u8, Failure> {
    if args.available { available(session, args) } else { installed(session, args.json) }
}

fn installed(session: &Session, json: bool) -> Result<u8, Failure> {
    let project = session.project()?;
    let packs = install::installed(&project);
    if json {
        render::json(&packs)?;
    } else if packs.is_empty() {
        session.ui.note("No packs are installed. See what there is: rig packs --available");
    } else {
        let row = |pack: &install::InstalledPack| {
            let installed = pack.installed_at.get(..10).unwrap_or(&pack.installed_at);
            let off = if pack.enabled { "" } else { " (not enabled)" };
            vec![
                pack.id.to_string(),
                pack.package.clone(),
                pack.version.to_string(),
                pack.runtime.as_str().to_owned(),
                format!("{installed}{off}"),
            ]
        };
        let rows: Vec<_> = packs.iter().map(row).collect();
        render::table(&["ID", "Package", "Version", "Runtime", "Installed"], &rows);
    }
    Ok(exit::DONE)
}

fn available(session: &Session, args: &Packs) -> Result<u8, Failure> {
    let project = session.project()?;
    let gate = session.gate(&project)?;
    let bundle = session.bundle();
    let way = WithBundle { network: &*gate, bundle: bundle.as_ref() };
    let installer = Installer::new(session.home.clone(), &way);
    let mode = session.index_mode(args.refresh);
    let trust = (&args.trust).into();
    let mut options = Options { index_url: args.index_url.clone(), mode, trust, ..Options::new(session.start.clone()) };
    let load = |options: &Options| Session::block_on(installer.index(&project, options));
    let loaded = Session::with_index(&mut options, unconfirmed, load)??;
    if let Some(warning) = &loaded.warning {
        session.ui.warn(warning);
    }
    let packs = &loaded.index.packs;
    if args.json {
        let entry = |(id, pack)| {
            let (version, runtimes) = offered(pack);
            json!({
                "id": id,
                "display_name": pack.display_name,
                "description": pack.description,
                "homepage": pack.homepage,
                "tags": pack.tags,
                "version": version,
                "runtimes": runtimes,
                "index": loaded.origin(),
                "installed": project.locked(id).map(|locked| locked.version.to_string()),
            })
        };
        render::json(&packs.iter().map(entry).collect::<Vec<_>>())?;
    } else if packs.is_empty() {
        session.ui.note("The index offers no packs.");
    } else {
        let row = |(id, entry): (&rig_specs::PackId, &IndexPack)| {
            let (version, runtimes) = offered(entry);
            let current = project.locked(id).map(|locked| locked.version.to_string()).unwrap_or_default();
            let version = version.unwrap_or_default();
            vec![id.to_string(), version, runtimes.join(", "), current, entry.description.clone()]
        };
        let rows: Vec<_> = packs.iter().map(row).collect();
        render::table(&["ID", "Version", "Runtime", "Installed", "Description"], &rows);
    }
    if !args.json {
        let origin = loaded.origin();
        render::line(&format!("Index: {} ({})", origin.index, origin.standing.as_str()));
    }
    Ok(exit::DONE)
}

/// The newest version as a component, and the runtimes there are.
fn offered(pack: &IndexPack) -> (Option<String>, Vec<&'static str>) {
    let newest = pack.wasm.as_ref().and_then(|wasm| wasm.newest()).map(|(version, _)| version.to_string());
    let runtimes = [("wasm", pack.wasm.is_some()), ("python", pack.python.is_some()), ("node", pack.node.is_some())];
    (newest, runtimes.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect())
}

/// That keys were not confirmed yet, when that is why there is no index.
pub(super) fn unconfirmed(error: &IndexError) -> Option<&TrustError> {
    match error {
        IndexError::Trust(error) => Some(error),
        _ => None,
    }
}

impl Session {
    /// How the index is read.
    pub fn index_mode(&self, refresh: bool) -> Mode {
        match (self.offline, refresh) {
            (true, _) => Mode::Offline,
            (false, true) => Mode::Refresh,
            (false, false) => Mode::Cached,
        }
    }
}
