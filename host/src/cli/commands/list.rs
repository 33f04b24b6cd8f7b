//! `rig list`: the tools that can be called.

use rig_host::{
    call::{Snapshot, catalog::SANDBOX, open},
    install,
    project::Project,
};
use rig_specs::rtp::ToolDef;
use serde_json::json;

use crate::cli::{
    args::List,
    remote::Gateway,
    render,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &List) -> Result<u8, Failure> {
    if let Some(url) = &args.remote.url {
        let tools: Vec<ToolDef> = Gateway::new(session, url)?.get(&["v1", "tools"])?;
        return tools_of(session, &tools, &|_| None, args.json).map(|()| exit::DONE);
    }
    let project = session.project()?;
    let (snapshot, broken) = open::snapshot(&project, &session.home);
    show(session, &project, &snapshot, args)?;
    let mut broken = broken.into_iter();
    let first = broken.next();
    for (_, error) in broken {
        session.ui.warn(&error.to_string());
    }
    first.map_or(Ok(exit::DONE), |(_, error)| Err(error.into()))
}

fn show(session: &Session, project: &Project, snapshot: &Snapshot, args: &List) -> Result<(), Failure> {
    if args.packs {
        return by_pack(session, project, snapshot, args.json);
    }
    let tools: Vec<ToolDef> = snapshot.tools().map(|tool| tool.tool.def.clone()).collect();
    let isolation = |tool: &str| snapshot.get(tool).map(|tool| tool.pack.verified.isolation());
    tools_of(session, &tools, &isolation, args.json)
}

/// How calls are kept apart from the machine is shown where not all of them are in the sandbox.
fn tools_of(
    session: &Session,
    tools: &[ToolDef],
    isolation: &dyn Fn(&str) -> Option<&'static str>,
    json: bool,
) -> Result<(), Failure> {
    if json {
        return render::json(&tools);
    }
    let mixed = tools.iter().filter_map(|tool| isolation(&tool.name)).any(|level| level != SANDBOX);
    let row = |tool: &ToolDef| {
        let mut row = vec![tool.name.clone(), tool.risk_class.as_str().to_owned()];
        row.extend(isolation(&tool.name).filter(|_| mixed).map(str::to_owned));
        row.push(first_sentence(&tool.description));
        row
    };
    let rows: Vec<Vec<String>> = tools.iter().map(row).collect();
    if rows.is_empty() {
        session.ui.note("There are no tools yet. See what there is: rig packs --available");
    } else if mixed {
        render::table(&["Tool", "Risk", "Isolation", "What it does"], &rows);
    } else {
        render::table(&["Tool", "Risk", "What it does"], &rows);
    }
    Ok(())
}

fn by_pack(session: &Session, project: &Project, snapshot: &Snapshot, json: bool) -> Result<(), Failure> {
    let count = |id: &str| snapshot.tools().filter(|tool| tool.pack.id().as_str() == id).count();
    let packs: Vec<_> = install::installed(project).into_iter().filter(|pack| pack.enabled).collect();
    if json {
        let entry = |pack: &install::InstalledPack| {
            json!({
                "id": pack.id,
                "version": pack.version,
                "runtime": pack.runtime,
                "isolation": pack.isolation,
                "tools": count(pack.id.as_str()),
            })
        };
        render::json(&packs.iter().map(entry).collect::<Vec<_>>())?;
    } else if packs.is_empty() {
        session.ui.note("There are no packs yet. See what there is: rig packs --available");
    } else {
        let mixed = packs.iter().any(|pack| pack.isolation != SANDBOX);
        let row = |pack: &install::InstalledPack| {
            let mut row = vec![pack.id.to_string(), pack.version.to_string(), pack.runtime.as_str().to_owned()];
            row.extend(mixed.then(|| pack.isolation.to_owned()));
            row.push(count(pack.id.as_str()).to_string());
            row
        };
        let rows: Vec<_> = packs.iter().map(row).collect();
        if mixed {
            render::table(&["ID", "Version", "Runtime", "Isolation", "Tools"], &rows);
        } else {
            render::table(&["ID", "Version", "Runtime", "Tools"], &rows);
        }
        let total = render::count(snapshot.tools().count(), "tool");
        session.ui.note(&format!("{} with {total}", render::count(packs.len(), "pack")));
    }
    Ok(())
}

/// The first sentence of a description, for a table.
fn first_sentence(text: &str) -> String {
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    line.split_once(". ").map_or(line, |(first, _)| first).trim_end_matches('.').to_owned()
}
