//! `rig audit` where there is nothing to show, or nothing that can be shown. What it shows of calls is tested with the calls.

use rig_tests::Project;
use serde_json::json;

const LOG: &str = ".rig/rig_audit.sqlite";

#[test]
fn a_log_that_is_not_there_is_empty() {
    let project = Project::new();
    let query = project.rig(&["audit", "query"]);
    query.ok().mentions("No rows match.");
    assert_eq!(query.stdout, "");
    let page = project.rig(&["audit", "query", "--json", "--since", "7d", "--limit", "5"]).ok().json();
    assert_eq!(page, json!({ "entries": [], "total": 0, "has_more": false }));
    assert_eq!(project.rig(&["audit", "export"]).ok().stdout, "");
    let csv = project.rig(&["audit", "export", "--format", "csv"]).ok().stdout.clone();
    assert!(
        csv.starts_with("seq,event,timestamp,tenant_id,run_id,actor,tool,pack,") && csv.lines().count() == 1,
        "{csv}"
    );
    assert!(!project.has(LOG), "asking makes no log");
}

#[test]
fn there_is_nothing_to_verify_without_a_log() {
    let project = Project::new();
    project.rig(&["audit", "verify"]).fails_with(1).explains(&[
        "there is no audit log at",
        LOG,
        "it is made by the first call; check audit_db_path in rig.yaml",
    ]);
}

#[test]
fn an_export_overwrites_nothing() {
    let project = Project::new();
    project.write("out.csv", "mine");
    let output = project.rig(&["audit", "export", "--format", "csv", "-o", "out.csv"]);
    output.fails_with(1).explains(&["the export cannot be written to", "out.csv", "name a file that is not there yet"]);
    assert_eq!(project.read("out.csv"), "mine");
    project.rig(&["audit", "export", "-o", "new.jsonl"]).ok().mentions("wrote 0 rows to");
    assert_eq!(project.read("new.jsonl"), "");
}

#[test]
fn a_file_that_is_no_log_is_said_and_left_alone() {
    let project = Project::new();
    let garbage = "x".repeat(8192);
    std::fs::create_dir_all(project.dir().join(".rig")).unwrap();
    project.write(LOG, &garbage);
    for command in ["query", "verify", "export"] {
        let output = project.rig(&["audit", command]);
        output
            .fails_with(1)
            .explains(&["is damaged: file is not a database", "move them away; a new log is begun then"]);
    }
    assert_eq!(project.read(LOG), garbage);
}

#[test]
fn questions_that_make_no_sense_say_what_would() {
    let project = Project::new();
    for (args, expected) in [
        (&["--limit", "1001"][..], "limit is 1001: it must be between 1 and 1000"),
        (&["--since", "yesterday"], "or how long ago, such as 90s, 30m, 2h, 7d or 2w"),
        (&["--since", "1h", "--until", "2h"], "start_time is after end_time: no row can match"),
    ] {
        project.rig(&[&["audit", "query"], args].concat()).fails_with(2).explains(&[expected]);
    }
}
