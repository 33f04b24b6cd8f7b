//! `rig outdated`: which installed packs have a newer version, and what `rig update` would bring.

use rig_host::install::{Installer, Options, Outdated as Line, WithBundle};

use crate::cli::{
    args::Outdated,
    render,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &Outdated) -> Result<u8, Failure> {
    let project = session.project()?;
    let gate = session.gate(&project)?;
    let bundle = session.bundle();
    let way = WithBundle { network: &*gate, bundle: bundle.as_ref() };
    let installer = Installer::new(session.home.clone(), &way);
    let options =
        Options { mode: session.index_mode(true), machine: Session::machine(), ..Options::new(session.start.clone()) };
    let found = Session::block_on(installer.outdated(&project, &options))??;
    if args.json {
        render::json(&found)?;
    } else if found.is_empty() {
        session.ui.note("Every pack that comes from an index or a registry is up to date.");
    } else {
        let row = |line: &Line| {
            let now =
                if line.withdrawn { format!("{} (withdrawn)", line.installed) } else { line.installed.to_string() };
            let update = line.update.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            vec![line.pack.to_string(), now, update, line.newest.to_string()]
        };
        let rows: Vec<_> = found.iter().map(row).collect();
        render::table(&["ID", "Installed", "Update", "Newest"], &rows);
        for line in found.iter().filter(|line| !line.held_by.is_empty()) {
            if line.newest == line.installed {
                session.ui.note(&format!("{} stays at {}:", line.pack, line.installed));
            } else {
                session.ui.note(&format!("{} {} does not fit:", line.pack, line.newest));
            }
            line.held_by.iter().for_each(|why| session.ui.note(&format!("  {why}")));
        }
    }
    Ok(exit::DONE)
}
