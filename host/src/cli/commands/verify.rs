//! `rig verify`: is everything installed what rig.lock says?

use rig_host::install::{self, PackReport};
use rig_specs::lock::Runtime;
use serde_json::json;

use crate::cli::{
    args::Verify,
    render,
    report::{Failure, exit, visible},
    session::Session,
};

mod deep;

pub fn run(session: &Session, args: &Verify) -> Result<u8, Failure> {
    let project = session.project()?;
    let mut reports = install::verify(&session.home, &project);
    check_compiled(session, &mut reports)?;
    if args.deep {
        deep::check(session, &project, &mut reports)?;
    }
    // What rig.yaml offers must be in the lock.
    let unlocked: Vec<_> = project.config().packs.iter().filter(|id| project.locked(id).is_none()).collect();
    let ok = unlocked.is_empty() && reports.iter().all(|report| report.ok);
    if args.json {
        render::json(&json!({ "ok": ok, "packs": reports, "not_locked": unlocked }))?;
    } else {
        for report in &reports {
            show(session, report);
        }
        for id in &unlocked {
            session.ui.warn(&format!("rig.yaml enables {id}, which is not in rig.lock: run `rig install {id}`"));
        }
        if reports.is_empty() && unlocked.is_empty() {
            session.ui.note("No packs are installed.");
        }
    }
    match ok {
        true => Ok(exit::DONE),
        false if args.json => Ok(exit::FAILED),
        false => Err(Failure::new("what is installed is not what rig.lock says").with_hint(
            reports.iter().find_map(|report| report.hint.clone()).unwrap_or_else(|| "run `rig install`".into()),
        )),
    }
}

/// Compiled code is checked too: it is what runs.
fn check_compiled(session: &Session, reports: &mut [PackReport]) -> Result<(), Failure> {
    let sandbox = session.sandbox()?;
    for report in reports.iter_mut().filter(|report| report.ok && report.runtime == Runtime::Wasm) {
        let Some(digest) = report.expected else { continue };
        if let Err(error) = sandbox.check_compiled(&digest) {
            report.ok = false;
            report.problem = Some(error.to_string());
            report.hint = Some(error.hint());
        }
    }
    Ok(())
}

fn show(session: &Session, report: &PackReport) {
    match &report.problem {
        None => render::out(&visible(&format!("✓ {} {} is what rig.lock says", report.pack, report.version))),
        Some(problem) => session.ui.warn(&format!("{} {}: {problem}", report.pack, report.version)),
    }
}
