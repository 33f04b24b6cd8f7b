//! `rig canary`: what is on trial, and its end.

use rig_host::{
    install::store,
    project::{
        Project,
        canary::{self, Candidate, Moved},
    },
};
use serde_json::json;

use crate::cli::{
    args::{Canary, CanaryWhat},
    render,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &Canary) -> Result<u8, Failure> {
    let project = session.project()?;
    let ended = match args.what {
        None => return status(session, &project, args.json),
        Some(CanaryWhat::Promote) => promote(session, &project)?,
        Some(CanaryWhat::Withdraw) => withdraw(session, &project)?,
    };
    if args.json {
        render::json(&json!({ "ended": ended.0, "packs": ended.1.moved }))?;
    }
    Ok(exit::DONE)
}

fn status(session: &Session, project: &Project, as_json: bool) -> Result<u8, Failure> {
    let candidate = canary::read(project.root())?;
    let last = canary::last(project.root())?;
    let fits = |candidate: &Candidate| candidate.base == project.lock_digest();
    if as_json {
        let on_trial = candidate.as_ref().map(|candidate| {
            json!({
                "share_percent": candidate.share,
                "begun_at": candidate.begun_at,
                "by": candidate.why,
                "packs": candidate.moved,
                "fits": fits(candidate),
            })
        });
        render::json(&json!({ "on_trial": on_trial, "last": last }))?;
        return Ok(exit::DONE);
    }
    match &candidate {
        Some(candidate) => {
            render::table(&["Pack", "Installed", "On trial", "Share", "Since"], &rows(candidate));
            if !fits(candidate) {
                session.ui.warn("rig.lock has changed since the trial began: the candidate does not fit any more");
            }
        }
        None => session.ui.note("Nothing is on trial: `rig update PACK --canary 10%` begins one."),
    }
    if let Some(last) = last {
        let packs: Vec<String> = last.moved.iter().map(line).collect();
        let how = last.how.replace('_', " ");
        session.ui.note(&format!("The last trial ({}) was {how} at {}: {}", packs.join(", "), last.at, last.reason));
    }
    Ok(exit::DONE)
}

fn rows(candidate: &Candidate) -> Vec<Vec<String>> {
    let row = |moved: &Moved| {
        let Moved { pack, from, to } = moved;
        let (share, since) = (candidate.share.to_string(), candidate.begun_at.clone());
        vec![pack.to_string(), from.to_string(), to.to_string(), share, since]
    };
    candidate.moved.iter().map(row).collect()
}

fn line(moved: &Moved) -> String {
    format!("{} {} → {}", moved.pack, moved.from, moved.to)
}

fn candidate(project: &Project) -> Result<Candidate, Failure> {
    canary::read(project.root())?
        .ok_or_else(|| Failure::new("nothing is on trial").with_hint("`rig update PACK --canary 10%` begins a trial"))
}

fn promote(session: &Session, project: &Project) -> Result<(&'static str, Candidate), Failure> {
    let (project, guard) = Project::lock_for_change(project.root(), &mut |lock| session.waiting(lock))?;
    let candidate = candidate(&project)?;
    // What is damaged is not promoted; and what was read stays in the store as long as this process lives.
    for digest in candidate.lock.packs.values().filter_map(|locked| locked.integrity) {
        store::read(&session.home, &digest)?;
    }
    guard.promote(&project, &candidate)?;
    for moved in &candidate.moved {
        session.ui.done(&format!("updated {} {} to {}", moved.pack, moved.from, moved.to));
    }
    Ok(("promoted", candidate))
}

fn withdraw(session: &Session, project: &Project) -> Result<(&'static str, Candidate), Failure> {
    let candidate = candidate(project)?;
    if !canary::end(project.root(), &candidate, "withdrawn", "somebody withdrew it")? {
        return Err(Failure::new("the trial has just ended").with_hint("`rig canary` says how"));
    }
    for moved in &candidate.moved {
        session.ui.done(&format!("{} stays at {}", moved.pack, moved.from));
    }
    Ok(("withdrawn", candidate))
}
