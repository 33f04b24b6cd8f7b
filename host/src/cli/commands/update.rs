//! `rig update`: plan, show what changes, have what breaks accepted by name, commit.

use rig_host::{
    install::{Action, Held, Installer, Options, Review, Targets, Update, WithBundle, wanted},
    project::{Project, canary::Share},
};
use rig_specs::{PackId, lock::Runtime};
use serde_json::json;

use super::install::{agree, precompile, show};
use crate::cli::{
    args::Update as Args,
    logs,
    progress::Bars,
    render,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &Args) -> Result<u8, Failure> {
    if args.version.is_some() && args.packs.len() != 1 {
        return Err(Failure::usage("--version goes with exactly one pack"));
    }
    let ids = parse(&args.packs)?;
    let accepted = parse(&args.accept)?;
    let version = args.version.as_deref().map(wanted).transpose();
    let version = version.map_err(|error| Failure::from(error).into_usage())?;
    let project = session.project()?;
    if project.lock().packs.values().any(|locked| locked.runtime != Runtime::Wasm) {
        logs::details(session.ui);
    }
    let gate = session.gate(&project)?;
    let bundle = session.bundle();
    let way = WithBundle { network: &*gate, bundle: bundle.as_ref() };
    let installer = Installer::new(session.home.clone(), &way);
    // A copy of the index that is a day old does not know what is new today.
    let (mode, machine) = (session.index_mode(true), Session::machine());
    let options = Options { mode, machine, enable: false, ..Options::new(session.start.clone()) };
    let targets = if args.all { Targets::All } else { Targets::Named(ids, version) };
    let bars = Bars::new(session.ui);
    let update =
        Session::block_on(installer.plan_update(&project, &targets, &options, &|progress| bars.show(progress)))??;
    bars.clear();
    for id in &accepted {
        // What comes in anew may have a name that must be accepted.
        let comes_in = update.plan.consent().iter().any(|request| request.pack == *id);
        if project.locked(id).is_none() && !comes_in {
            return Err(Failure::usage(format!("--accept: `{id}` is not installed in this project")));
        }
    }
    for warning in &update.plan.warnings {
        session.ui.warn(warning);
    }
    explain(session, &update);
    if args.dry_run {
        return finish(session, args, &update_json(&update, false), |session| {
            session.ui.note("Nothing was changed (--dry-run).");
        });
    }
    if update.plan.packs.is_empty() {
        return finish(session, args, &update_json(&update, false), |_| {});
    }
    if let Err(refused) = accept(session, &update.reviews, &accepted) {
        if args.json {
            render::json(&update_json(&update, false))?;
        }
        return Err(refused);
    }
    // What comes in anew is agreed to as with an install.
    if update.plan.consent().iter().any(|request| request.changes.is_none()) {
        update.plan.consent().iter().filter(|request| request.changes.is_none()).for_each(show);
        agree(session, &update.plan, &accepted)?;
    }
    let json = update_json(&update, true);
    if let Some(share) = args.canary {
        propose(session, &project, update, share)?;
        return finish(session, args, &json, |_| {});
    }
    commit(session, &project, update)?;
    finish(session, args, &json, |_| {})
}

fn parse(texts: &[String]) -> Result<Vec<PackId>, Failure> {
    let parse = |text: &String| text.parse::<PackId>().map_err(|error| Failure::usage(error.to_string()));
    texts.iter().map(parse).collect()
}

fn finish(session: &Session, args: &Args, json: &serde_json::Value, last: impl Fn(&Session)) -> Result<u8, Failure> {
    if args.json {
        render::json(json)?;
    }
    last(session);
    Ok(exit::DONE)
}

fn update_json(update: &Update, changed: bool) -> serde_json::Value {
    let new: Vec<_> = update.plan.consent().iter().filter(|request| request.changes.is_none()).collect();
    let current: Vec<_> =
        update.current.iter().map(|(id, version)| json!({ "pack": id, "version": version })).collect();
    json!({
        "changed": changed,
        "updates": update.reviews,
        "new": new,
        "held_back": update.held,
        "current": current,
        "not_of_index": update.foreign,
    })
}

/// What is different, on stderr: it is what a person agrees to, not a result.
fn explain(session: &Session, update: &Update) {
    for review in &update.reviews {
        let Review { pack, from, to, breaking, tools, reach_added, reach_removed } = review;
        let weight = if *breaking { "breaking" } else { "compatible" };
        session.ui.tell(&format!("{pack} {from} → {to} ({weight})"));
        for change in tools {
            let mark = if change.breaking { "!" } else { " " };
            session.ui.tell(&format!("{mark} {:<11} {}: {}", change.part.as_str(), change.tool, change.what));
        }
        for line in reach_added {
            session.ui.tell(&format!("! {:<11} {line}", "new reach"));
        }
        for line in reach_removed {
            session.ui.tell(&format!("  {:<11} {line}", "no longer"));
        }
        if tools.is_empty() && reach_added.is_empty() && reach_removed.is_empty() {
            session.ui.tell("  the same tools and the same reach");
        }
    }
    for Held { pack, version, newest, why } in &update.held {
        session.ui.note(&format!("{pack} stays at {version}; {newest} does not fit:"));
        for line in why {
            session.ui.note(&format!("  {line}"));
        }
    }
    for (pack, version) in &update.current {
        session.ui.note(&format!("{pack} {version} is up to date"));
    }
    for pack in &update.foreign {
        session.ui.note(&format!("{pack} does not come from the project's index and stays as it is"));
    }
}

/// What breaks must be accepted pack by pack, by its name: a yes to everything is given without reading.
fn accept(session: &Session, reviews: &[Review], accepted: &[PackId]) -> Result<(), Failure> {
    let open: Vec<&Review> =
        reviews.iter().filter(|review| review.breaking && !accepted.contains(&review.pack)).collect();
    for (position, review) in open.iter().enumerate() {
        let Review { pack, to, .. } = review;
        let question = format!("{pack} {to} breaks what was agreed to. Type its name to accept the lines with `!`:");
        match session.ask_for(&question) {
            Some(answer) if answer == pack.as_str() => {}
            Some(_) => return Err(Failure::new(format!("{pack} {to} was not accepted; nothing was changed"))),
            None => {
                let rest: Vec<String> =
                    open[position..].iter().map(|review| format!("--accept {}", review.pack)).collect();
                return Err(Failure::new(format!("{pack} {to} breaks what was agreed to; nothing was changed"))
                    .with_hint(format!(
                        "read the lines with `!`, then run the command again with {}",
                        rest.join(" ")
                    )));
            }
        }
    }
    Ok(())
}

/// The update goes on trial; what is installed stays.
fn propose(session: &Session, project: &Project, update: Update, share: Share) -> Result<(), Failure> {
    if update.reviews.is_empty() {
        return Err(Failure::new("there is nothing to compare: no installed pack changes its version"));
    }
    precompile(session, &update.plan)?;
    let committed = update.plan.propose(project.root(), share, &mut |lock| session.waiting(lock))?;
    for done in &committed.packs {
        if let Action::Replace { from } = &done.action {
            session
                .ui
                .done(&format!("{} {} is on trial beside {from}, for {share} of the calls", done.id, done.version));
        }
    }
    session
        .ui
        .note("Gateways of this project take it up by themselves. `rig canary` shows it; then `rig canary promote`.");
    Ok(())
}

fn commit(session: &Session, project: &Project, update: Update) -> Result<(), Failure> {
    precompile(session, &update.plan)?;
    let committed = update.plan.commit(project.root(), &mut |lock| session.waiting(lock))?;
    for done in &committed.packs {
        let (id, version) = (&done.id, &done.version);
        match &done.action {
            Action::Install => session.ui.done(&format!("installed {id} {version}")),
            Action::Replace { from } => session.ui.done(&format!("updated {id} {from} to {version}")),
            Action::Move { from } => {
                session.ui.done(&format!("{id} {version} is now the one of another index than {from}"));
            }
            Action::Keep => {}
        }
    }
    Ok(())
}
