//! `rig audit`: who called what, is the log whole, and all of it for other programs. Reads the file; no gateway needs to run.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rig_host::audit::{
    AuditError,
    read::{
        self, Events,
        export::{Format, export},
        verify::{AnchorState, Report, verify},
    },
};
use rig_specs::rgp::{AuditEntry, AuditQuery};

use crate::cli::{
    args::{self, AuditFilter, AuditFormat},
    render,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &args::Audit) -> Result<u8, Failure> {
    let project = session.project()?;
    let path = project.resolve(&project.config().audit_db_path.0);
    match args {
        args::Audit::Query(args) => query(session, &path, args),
        args::Audit::Verify(args) => check(session, &path, args.json),
        args::Audit::Export(args) => write_out(session, &path, args),
    }
}

fn query(session: &Session, path: &Path, args: &args::AuditQuery) -> Result<u8, Failure> {
    let page =
        read::query(path, &session.home.anchors(), &question(&args.filter)?, events(&args.filter)).map_err(failure)?;
    if args.json {
        render::json(&page)?;
    } else if page.entries.is_empty() {
        session.ui.note("No rows match.");
    } else {
        let headings = ["Time", "Tool", "Outcome", "Tenant", "Actor", "ms", "Error"];
        render::table(&headings, &page.entries.iter().map(cells).collect::<Vec<_>>());
        if page.has_more {
            session.ui.note(&format!("{} of {} rows; see more with --limit", page.entries.len(), page.total));
        }
    }
    Ok(exit::DONE)
}

fn cells(entry: &AuditEntry) -> Vec<String> {
    let outcome = entry.outcome.map_or(entry.event.as_str(), |outcome| outcome.as_str());
    let milliseconds = entry.outcome.map_or_else(String::new, |_| format!("{:.1}", entry.duration_ms));
    let error = entry.error_type.map_or("", rig_specs::rtp::ErrorKind::as_str);
    vec![
        entry.timestamp.clone(),
        entry.tool.clone(),
        outcome.to_owned(),
        entry.tenant_id.clone(),
        entry.actor.clone(),
        milliseconds,
        error.to_owned(),
    ]
}

fn check(session: &Session, path: &Path, json: bool) -> Result<u8, Failure> {
    let report = verify(path, &session.home.anchors())?;
    if json {
        render::json(&report)?;
        return Ok(if report.ok { exit::DONE } else { exit::FAILED });
    }
    for intent in &report.open_intents {
        session.ui.warn(&format!(
            "row {}: {} was about to run at {} (call {}) and no outcome was written: it runs now, or a crash ended it",
            intent.seq, intent.tool, intent.timestamp, intent.run_id
        ));
    }
    if !report.ok {
        return Err(damage(session, path, &report));
    }
    render::line(&format!("✓ {}", summary(&report)));
    if report.anchor == AnchorState::None {
        session.ui.note("This machine has no anchor for the log: rows cut off at its end would not be noticed here.");
    }
    Ok(exit::DONE)
}

fn summary(report: &Report) -> String {
    let rows = render::count(usize::try_from(report.rows).unwrap_or(usize::MAX), "row");
    let range = match (report.first, report.last) {
        (Some(first), Some(last)) => format!(" ({first} to {last})"),
        _ => String::new(),
    };
    let anchor =
        if report.anchor == AnchorState::Matches { ", and the end is the one that this machine noted" } else { "" };
    let removed = match report.removed {
        0 => String::new(),
        removed => format!("; retention removed {removed} before"),
    };
    format!("{rows}{range} in one unbroken chain{anchor}{removed}")
}

fn damage(session: &Session, path: &Path, report: &Report) -> Failure {
    for problem in &report.problems {
        match problem.seq {
            Some(seq) => session.ui.warn(&format!("row {seq}: {}", problem.what)),
            None => session.ui.warn(&problem.what),
        }
    }
    if report.more_problems > 0 {
        session.ui.warn(&format!("and {} more", report.more_problems));
    }
    let path = path.display();
    Failure::new(format!("the audit log {path} is not what rig wrote")).with_hint(format!(
        "keep a copy of every file whose name begins with {path}, compare it with a backup or an earlier `rig audit export`, and find out who can write to it"
    ))
}

fn write_out(session: &Session, path: &Path, args: &args::AuditExport) -> Result<u8, Failure> {
    let (query, events) = (question(&args.filter)?, events(&args.filter));
    let format = match args.format {
        AuditFormat::Jsonl => Format::JsonLines,
        AuditFormat::Csv => Format::Csv,
    };
    let Some(output) = &args.output else {
        return match export(path, &session.home.anchors(), &query, events, format, &mut io::stdout().lock()) {
            // A reader that went away, such as `head`, is no error.
            Ok(_) | Err(AuditError::Output { closed: true, .. }) => Ok(exit::DONE),
            Err(error) => Err(failure(error)),
        };
    };
    let output: PathBuf = session.start.join(output);
    let failed = |error: io::Error| {
        Failure::of(&error, "name a file that is not there yet, in a folder that can be written")
            .context(&format!("the export cannot be written to {}", output.display()))
    };
    // The log says who did what: its copy is for its owner only, like the log itself.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&output).map_err(failed)?;
    let written = export(path, &session.home.anchors(), &query, events, format, &mut file).map_err(failure);
    let written = written.and_then(|count| file.flush().and_then(|()| file.sync_all()).map(|()| count).map_err(failed));
    if written.is_err() {
        // Half an export must not be taken for a whole one.
        let _ = std::fs::remove_file(&output);
    }
    let count = render::count(usize::try_from(written?).unwrap_or(usize::MAX), "row");
    session.ui.done(&format!("wrote {count} to {}", output.display()));
    Ok(exit::DONE)
}

fn events(filter: &AuditFilter) -> Events {
    if filter.intents { Events::All } else { Events::Calls }
}

fn question(filter: &AuditFilter) -> Result<AuditQuery, Failure> {
    let now = Timestamp::now();
    Ok(AuditQuery {
        start_time: time("--since", filter.since.as_deref(), now)?,
        end_time: time("--until", filter.until.as_deref(), now)?,
        tenant_id: filter.tenant.clone(),
        actor: filter.actor.clone(),
        tool_name: filter.tool.clone(),
        ok: (filter.ok || filter.failed).then_some(filter.ok),
        limit: filter.limit,
    })
}

/// A question that makes no sense was asked on the command line.
fn failure(error: AuditError) -> Failure {
    let is_usage = matches!(error, AuditError::Query { .. });
    let failure = Failure::from(error);
    if is_usage { failure.into_usage() } else { failure }
}

/// RFC 3339, or so long ago.
fn time(option: &str, text: Option<&str>, now: Timestamp) -> Result<Option<String>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let at = match ago(text) {
        Some(ago) => now.checked_sub(ago).ok(),
        None => text.parse().ok(),
    };
    at.map(|at: Timestamp| Some(at.to_string())).ok_or_else(|| {
        Failure::usage(format!("{option}: `{text}` is no time"))
            .with_hint("give a time such as 2026-11-21T10:00:00Z, or how long ago, such as 90s, 30m, 2h, 7d or 2w")
    })
}

/// `90s`, `30m`, `2h`, `7d`, `2w`.
pub fn ago(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        _ => return None,
    };
    // `+5` parses as a number too.
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_ago() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2h", Ok("2026-11-21T08:00:00Z")),
            ("90s", Ok("2026-11-21T09:58:30Z")),
            ("1w", Ok("2026-11-14T10:00:00Z")),
            ("2026-11-01T00:00:00+01:00", Ok("2026-10-31T23:00:00Z")),
            ("", Err("--since: `` is no time")),
            ("h", Err("--since: `h` is no time")),
            ("+2h", Err("--since: `+2h` is no time")),
            ("2 h", Err("--since: `2 h` is no time")),
            ("99999999999999999999d", Err("--since: `99999999999999999999d` is no time")),
            ("9999999999w", Err("--since: `9999999999w` is no time")),
            ("é", Err("--since: `é` is no time")),
        ] {
            let found = time("--since", Some(text), now).map(Option::unwrap).map_err(|error| error.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }
}
