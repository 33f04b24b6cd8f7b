//! `rig gc`: removes what no project needs any more, and says what it was.

use std::time::Duration;

use rig_host::{
    gc::{self, Kept, Options, Removed, Report},
    project::Project,
};

use crate::cli::{
    args::Gc,
    render::{self, count},
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &Gc) -> Result<u8, Failure> {
    // The store can be pruned from anywhere; with a project around, that one is noted and tidied as well.
    let project = Project::discover(&session.start).ok();
    if args.snapshots.is_some() && project.is_none() {
        return Err(Failure::usage("--snapshots is about a project, and there is none here")
            .with_hint("run it in the project's folder, or name that with --project"));
    }
    let options = Options { older_than: args.older_than, dry_run: args.dry_run, project, snapshots: args.snapshots };
    let report = gc::run(&session.home, &options, &mut |lock| {
        session.ui.note(&format!("another rig is at work; waiting for {}", lock.display()));
    })?;
    if args.json {
        render::json(&report)?;
    } else {
        show(session, &report);
    }
    for problem in &report.problems {
        session.ui.warn(&format!("{}\n  {}", problem.problem, problem.hint));
    }
    if report.problems.is_empty() {
        return Ok(exit::DONE);
    }
    Err(Failure::new("not everything could be looked at or removed; what it may concern was kept")
        .with_hint("the warnings say what to do about each"))
}

fn show(session: &Session, report: &Report) {
    let row = |removed: &Removed| {
        vec![
            removed.kind.as_str().to_owned(),
            size(removed.size),
            days(Duration::from_secs(removed.unused_seconds)),
            removed.path.display().to_string(),
        ]
    };
    if !report.removed.is_empty() {
        render::table(&["What", "Size", "Unused", "Path"], &report.removed.iter().map(row).collect::<Vec<_>>());
    }
    let Kept { components, size: bytes, in_use } = report.kept;
    let there = report.projects.iter().filter(|project| project.there).count();
    let (freed, things) = (size(report.freed), count(report.removed.len(), "thing"));
    session.ui.done(&match (report.removed.is_empty(), report.dry_run) {
        (true, _) => "nothing to remove".to_owned(),
        (false, true) => format!("would free {freed}: {things}. Nothing was changed (--dry-run)."),
        (false, false) => format!("freed {freed}: {things}"),
    });
    session.ui.note(&format!(
        "kept {} ({}) for {}",
        count(components, "component"),
        size(bytes),
        count(there, "project")
    ));
    if in_use > 0 {
        session.ui.note(&format!("{} no project needs, but a running rig uses: run `rig gc` again later", in_use));
    }
}

/// To one digit after the point, in the unit that fits.
fn size(bytes: u64) -> String {
    let (mut unit, mut above) = ("B", "");
    let mut scaled = bytes;
    let mut rest = 0;
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if scaled < 1024 {
            break;
        }
        (rest, scaled, unit, above) = (scaled % 1024, scaled / 1024, next, ".");
    }
    if above.is_empty() { format!("{scaled} {unit}") } else { format!("{scaled}{above}{} {unit}", rest * 10 / 1024) }
}

fn days(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_short() {
        let cases = [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
        for (seconds, text) in [(59, "0 min"), (3600, "1 h"), (86400, "24 h"), (31 * 86400, "31 days")] {
            assert_eq!(days(Duration::from_secs(seconds)), text);
        }
    }
}
