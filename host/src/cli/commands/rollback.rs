//! `rig rollback`: back to an earlier lock, or the list of those that are kept.

use rig_host::{
    install::{Installer, Moved, Options, Rollback as Plan, WithBundle, rollback},
    project::{Project, Snapshot},
};
use serde_json::json;

use crate::cli::{
    args::Rollback,
    progress::Bars,
    render,
    report::{Failure, exit},
    session::{Answer, Session},
};

pub fn run(session: &Session, args: &Rollback) -> Result<u8, Failure> {
    let project = session.project()?;
    if args.list {
        return list(session, &project, args.json);
    }
    let gate = session.gate(&project)?;
    let bundle = session.bundle();
    let way = WithBundle { network: &*gate, bundle: bundle.as_ref() };
    let installer = Installer::new(session.home.clone(), &way);
    let (mode, machine) = (session.index_mode(false), Session::machine());
    let options = Options { mode, machine, ..Options::new(session.start.clone()) };
    let bars = Bars::new(session.ui);
    let planned =
        Session::block_on(installer.plan_rollback(&project, args.id, &options, &|progress| bars.show(progress)));
    bars.clear();
    let plan = planned??;
    let id = plan.snapshot.id;
    for moved in &plan.changes {
        session.ui.tell(&line(moved));
    }
    if plan.changes.is_empty() {
        session.ui.note("The same packs are installed as then.");
    }
    match session.ask(&format!("Return to the state before `{}`?", plan.snapshot.why)) {
        Answer::Yes => {}
        Answer::No => return Err(Failure::new("the project stays as it is; nothing was changed")),
        Answer::NobodyThere => {
            return Err(Failure::new("returning to an earlier state needs a yes, and there is no terminal to ask on")
                .with_hint("read the list, then run the command again with --yes"));
        }
    }
    compile(session, &plan)?;
    let packs = plan.changes.clone();
    let changed = plan.commit(project.root(), &mut |lock| session.waiting(lock))?;
    session.ui.done(&format!("returned to the state of snapshot {id}"));
    if args.json {
        render::json(&json!({ "changed": changed, "returned_to": id, "packs": packs }))?;
    }
    Ok(exit::DONE)
}

fn line(moved: &Moved) -> String {
    let pack = &moved.pack;
    match (&moved.from, &moved.to) {
        (Some(from), Some(to)) if from == to => format!("{pack} {from}: other bytes or another grant"),
        (Some(from), Some(to)) => format!("{pack} {from} → {to}"),
        (None, Some(to)) => format!("{pack} {to} comes back"),
        (Some(from), None) => format!("{pack} {from} is removed"),
        (None, None) => pack.to_string(),
    }
}

/// As before an install: what does not fit the sandbox any more is not returned to.
fn compile(session: &Session, plan: &Plan) -> Result<(), Failure> {
    if plan.components.is_empty() {
        return Ok(());
    }
    let sandbox = session.sandbox()?;
    for digest in &plan.components {
        let bytes = rig_host::install::store::read(&session.home, digest)?;
        sandbox.load(digest, &bytes).map_err(|error| Failure::from(error).context("nothing was changed"))?;
    }
    Ok(())
}

fn list(session: &Session, project: &Project, as_json: bool) -> Result<u8, Failure> {
    let mut kept: Vec<Snapshot> = Vec::new();
    for (id, snapshot) in rollback::history(project.root()) {
        match snapshot {
            Ok(snapshot) => kept.push(snapshot),
            Err(error) => session.ui.warn(&format!("snapshot {id}: {error}")),
        }
    }
    let packs = |snapshot: &Snapshot| -> Vec<String> {
        snapshot.lock.packs.iter().map(|(id, locked)| format!("{id} {}", locked.version)).collect()
    };
    if as_json {
        let entry = |snapshot: &Snapshot| {
            json!({
                "id": snapshot.id,
                "taken_at": snapshot.taken_at,
                "before": snapshot.why,
                "returned_to": snapshot.returned_to,
                "packs": snapshot.lock.packs.iter().map(|(id, locked)| (id.to_string(), locked.version.to_string())).collect::<std::collections::BTreeMap<_, _>>(),
            })
        };
        render::json(&kept.iter().map(entry).collect::<Vec<_>>())?;
    } else if kept.is_empty() {
        session.ui.note("There is no earlier state: nothing that was installed has changed yet.");
    } else {
        let row = |snapshot: &Snapshot| {
            let packs = packs(snapshot).join(", ");
            let packs = if packs.is_empty() { "none".to_owned() } else { packs };
            vec![snapshot.id.to_string(), snapshot.taken_at.clone(), snapshot.why.clone(), packs]
        };
        let rows: Vec<_> = kept.iter().map(row).collect();
        render::table(&["ID", "Replaced", "By", "Packs then"], &rows);
    }
    Ok(exit::DONE)
}
