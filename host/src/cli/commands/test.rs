//! `rig test`: builds a pack and runs its cases.

use std::{path::PathBuf, sync::Arc};

use owo_colors::OwoColorize;
use rig_host::{
    author::cases::{self, Bench, CasesError, Outcome, Recorder, Setup},
    call::open,
    egress,
    project::Project,
    secrets::Provider,
};
use serde_json::json;

use super::build;
use crate::cli::{
    args::Test,
    render,
    report::{Failure, exit, visible},
    session::Session,
};

pub fn run(session: &Session, args: &Test) -> Result<u8, Failure> {
    let dir: PathBuf = session.start.join(&args.dir).components().collect();
    if args.component.is_none() {
        build::read_manifest(&dir)?;
    }
    // Before the build, which takes its time.
    let files = cases::read_all(&dir)?;
    let filter = args.filter.as_deref().unwrap_or_default();
    let all = || files.iter().flat_map(|file| &file.cases);
    if !all().any(|case| case.name.contains(filter) || case.tool.contains(filter)) {
        let names = all().map(|case| format!("`{}`", case.name)).collect();
        return Err(CasesError::NoMatch { filter: filter.to_owned(), names }.into());
    }
    let component = match &args.component {
        Some(file) => session.start.join(file),
        None => build::make(session, &args.dir, None)?.path,
    };
    // A project around the pack says how the network is reached from here, and may hold the secrets.
    let project = match Project::discover(&dir) {
        Ok(root) => Some(Project::open(&root)?),
        Err(_) => None,
    };
    let env = project.as_ref().map(Project::env_path).filter(|path| path.is_file()).unwrap_or_else(|| dir.join(".env"));
    let setup = Setup {
        component,
        sandbox: session.sandbox()?,
        bundle: session.bundle(),
        index_url: args.index_url.as_deref().map(|url| absolute(session, url)).transpose()?,
        network: match &project {
            Some(project) => open::network(project, session.offline),
            None => egress::Settings { offline: session.offline, ..egress::Settings::default() },
        },
        recorder: args.record.then(|| Recorder { provider: Arc::new(Provider::new(env)) }),
    };
    let mut outcomes = Vec::new();
    Session::block_on(async {
        let bench = Bench::new(setup).await?;
        let mut shown = None;
        for file in &files {
            let mut done = |outcome: &Outcome| {
                if !args.json {
                    show(session, outcome, shown.as_ref() != Some(&outcome.file));
                    shown = Some(outcome.file.clone());
                }
            };
            outcomes.extend(bench.run(&dir, file, filter, &mut done).await?);
        }
        Ok::<_, Failure>(())
    })??;
    summary(session, args, &outcomes)
}

/// An index as a URL, because the scratch project is elsewhere.
fn absolute(session: &Session, index: &str) -> Result<String, Failure> {
    Ok(rig_host::install::index::locate(index, &session.start)?.into())
}

fn show(session: &Session, outcome: &Outcome, first: bool) {
    if first && !(session.ui.quiet && outcome.ok) {
        render::line(&outcome.file);
    }
    let recorded = outcome.recorded.map(|count| format!(" (recorded {})", render::count(count, "request")));
    if outcome.ok {
        if !session.ui.quiet {
            let name = visible(&outcome.name);
            render::out(&format!("  {} {name}{}", "✓".green().bold(), recorded.unwrap_or_default()));
        }
        return;
    }
    render::out(&format!("  {} {}", "✗".red().bold(), visible(&outcome.name)));
    for problem in &outcome.problems {
        for line in problem.lines() {
            render::out(format!("      {}", coloured(&visible(line))).trim_end());
        }
    }
    for line in &outcome.log {
        render::out(format!("      log: {}", visible(line)).trim_end());
    }
}

/// A line of a difference in the colour of its side.
fn coloured(line: &str) -> String {
    match line.as_bytes() {
        [b'-', b' ', ..] => line.red().to_string(),
        [b'+', b' ', ..] => line.green().to_string(),
        _ => line.to_owned(),
    }
}

fn summary(session: &Session, args: &Test, outcomes: &[Outcome]) -> Result<u8, Failure> {
    let failed = outcomes.iter().filter(|outcome| !outcome.ok).count();
    let passed = outcomes.len() - failed;
    if args.json {
        render::json(&json!({ "ok": failed == 0, "passed": passed, "failed": failed, "cases": outcomes }))?;
    } else {
        let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
        render::line(&format!("{} passed{failed}", render::count(passed, "case")));
        if outcomes.iter().any(|outcome| outcome.ok && outcome.recorded.is_some_and(|count| count > 0)) {
            session.ui.note("Secrets are blanked in what was recorded. Read tests/recorded before you commit it: it holds what the services answered.");
        }
    }
    Ok(if failed == 0 { exit::DONE } else { exit::FAILED })
}
