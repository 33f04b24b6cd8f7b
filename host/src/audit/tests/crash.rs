//! A process that is killed: every row that it was told is committed is in the chain.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use super::*;

/// Tells the child process below where the log is.
const PLACE: &str = "RIG_TEST_AUDIT_LOG";
/// Tells it to live long.
const JOURNAL: &str = "RIG_TEST_AUDIT_JOURNAL";

/// Runs in a process of its own, started by the test after it: writes until it is killed, and says so row by row.
#[test]
#[ignore = "the part of another test that runs in a process of its own"]
fn writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let settings = Settings { path: folder.join("log"), anchors: folder.join("audit"), retention_days: None };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let audit = Audit::new(settings);
        if std::env::var_os(JOURNAL).is_some() {
            audit.start_upkeep();
        }
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..16 {
            let audit = audit.clone();
            tasks.spawn(async move {
                for n in 0.. {
                    let name = format!("row {}/{task}/{n}", std::process::id());
                    audit.record(row(&name)).await.unwrap();
                    writeln!(std::io::stdout(), "{name}").unwrap();
                }
            });
        }
        tasks.join_all().await;
    });
}

#[test]
fn rows_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut answered = Vec::new();
    for _ in 0..3 {
        let mut children: Vec<_> = (0..2)
            .map(|n| {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.args(["audit::tests::crash::writes_until_it_is_killed", "--exact", "--ignored", "--nocapture"]);
                if n == 1 {
                    command.env(JOURNAL, "1");
                }
                command.env(PLACE, folder.path()).stdout(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for child in &mut children {
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let rows = |line: String| line.contains("row ").then(|| line.split("row ").last().unwrap().to_owned());
            let mut seen: Vec<String> = lines.by_ref().map_while(Result::ok).filter_map(rows).take(500).collect();
            child.kill().unwrap();
            child.wait().unwrap();
            // What was written to the pipe before the end; the last line may be half.
            seen.extend(lines.map_while(Result::ok).filter_map(rows));
            seen.pop();
            answered.append(&mut seen);
        }
    }
    assert!(answered.len() >= 6 * 499, "{}", answered.len());
    let (path, anchors) = (folder.path().join("log"), folder.path().join("audit"));
    let report = verify::verify(&path, &anchors).unwrap();
    assert_eq!((report.problems, report.anchor), (vec![], verify::AnchorState::Matches));
    let mut out = Vec::new();
    let count = read::export::export(
        &path,
        &anchors,
        &AuditQuery::default(),
        Events::All,
        read::export::Format::JsonLines,
        &mut out,
    );
    assert_eq!(count, Ok(report.rows));
    let written: std::collections::BTreeSet<String> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["run_id"].as_str().unwrap()["row ".len()..].to_owned())
        .collect();
    let missing: Vec<_> = answered.iter().filter(|name| !written.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
