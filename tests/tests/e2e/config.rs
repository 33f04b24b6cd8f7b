//! `rig.yaml` and `rig.lock` as people and other versions of rig leave them: what is wrong, where, and what to do.

use std::{fmt::Write as _, fs};

use rig_tests::Project;
use serde_json::json;

#[test]
fn a_bad_setting_is_named_with_its_line() {
    for (sections, line, texts) in [
        ("polcy:\n  retries: 1\n", 3, &["polcy", "policy"][..]),
        ("policy:\n  denied_tool: []\n", 4, &["denied_tool", "denied_tools"]),
        ("policy:\n  retries: 1\n  timeout_second: 3\n", 5, &["timeout_second", "timeout_seconds"]),
        ("network:\n  extra_cas: [a.pem]\n", 4, &["extra_cas", "extra_ca"]),
        ("policy:\n  timeout_seconds: soon\n", 4, &["timeout_seconds"]),
        ("policy:\n  require_approval_for: [reed]\n", 4, &["reed", "read"]),
        ("policy: [\n", 3, &[]),
        ("policy:\n\t retries: 1\n", 4, &[]),
        ("packs:\n  - ../evil\n", 4, &["../evil"]),
        ("limits:\n  memory: 1.5 MiB\n", 4, &["1.5 MiB"]),
        ("index:\n  url: twice\n", 3, &["index"]),
    ] {
        let project = Project::new();
        project.configure(sections);
        let before = project.state();
        for args in [&["list"][..], &["install", "echo", "--yes"], &["call", "echo.message.send", "{}"], &["packs"]] {
            let output = project.rig(args);
            output.fails_with(1).says("error: ");
            // A parser may notice what is left open only on the next line.
            let named = [line, line + 1].iter().any(|line| output.stderr.contains(&format!("rig.yaml:{line}")));
            assert!(named, "expected rig.yaml:{line} for {sections:?}:\n{output}");
            for text in texts {
                output.says(text);
            }
        }
        assert_eq!(project.state(), before);
    }
}

#[test]
fn settings_that_are_not_text_or_not_settings() {
    for bytes in [&b"\xff\xfe\x00p"[..], b"just words", b"- a\n- list\n", b"42", b"a: &a [*a]\n", b"\0"] {
        let project = Project::new();
        project.write("rig.yaml", bytes);
        let output = project.rig(&["list"]);
        output.fails_with(1).says("rig.yaml");
    }
    // Nothing but comments is a project with all defaults.
    for text in ["", "# nothing yet\n"] {
        let project = Project::new();
        project.write("rig.yaml", text);
        project.rig(&["list", "--json"]).ok();
    }
}

#[test]
fn a_bomb_of_aliases_is_refused_quickly() {
    let mut text = "a: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(text, "b{level}: &a{level} [{below}]").unwrap();
    }
    let project = Project::new();
    project.write("rig.yaml", text);
    project.rig(&["list"]).fails_with(1).says("rig.yaml");
}

#[test]
fn no_project_says_how_to_make_one() {
    let project = Project::empty();
    for args in [&["list"][..], &["install", "echo", "--yes"], &["packs"], &["verify"]] {
        project.rig(args).fails_with(1).explains(&["rig.yaml", "rig init"]);
    }
    project.rig(&["--project", "/nowhere/at/all", "list"]).fails_with(2).says("/nowhere/at/all");
}

#[test]
fn the_project_is_found_from_below_and_by_option() {
    let project = Project::with(&["echo"]);
    let below = project.dir().join("src/deep");
    fs::create_dir_all(&below).unwrap();
    let args = ["call", "echo.message.send", r#"{"message":"x"}"#];
    let _ = project.run(args).in_dir(&below).output().output();
    let dir = project.dir();
    let elsewhere = project.run(["--project", dir.to_str().unwrap()]).args(args).in_dir(project.root());
    let _ = elsewhere.output().output();
    assert!(!below.join(".rig").exists());
}

#[test]
fn an_older_lock_loads() {
    let project = Project::new();
    let lock = json!({
        "version": 1,
        "rig_version": "0.0.9",
        "packs": { "stripe": { "pack_id": "stripe", "package": "rig-pack-stripe", "version": "1.2.0" } }
    });
    project.write("rig.lock", lock.to_string());
    let listed = project.rig(&["packs", "--json"]);
    listed.ok();
    assert!(listed.stdout.contains("rig-pack-stripe") || listed.stdout.contains("stripe"), "{listed}");
    // Installing beside it keeps it.
    project.install(&["echo"]);
    let lock = project.lock();
    assert_eq!(lock.packs.len(), 2);
    assert_eq!(project.locked("stripe").package, "rig-pack-stripe");
    let _ = project.call("echo.message.send", json!({ "message": "x" })).output();
}

#[test]
fn a_lock_without_seal_is_checked_entry_by_entry() {
    let project = Project::with(&["echo"]);
    let mut lock: serde_json::Value = serde_json::from_str(&project.read("rig.lock")).unwrap();
    lock.as_object_mut().unwrap().remove("digest");
    project.write("rig.lock", lock.to_string());
    let _ = project.call("echo.message.send", json!({ "message": "x" })).output();

    lock["packs"]["echo"]["pack_id"] = json!("other");
    project.write("rig.lock", lock.to_string());
    project.rig(&["list"]).fails_with(1).explains(&["rig.lock", "echo"]);
}

#[test]
fn a_lock_that_cannot_be_read_stops_everything_and_stays() {
    let project = Project::with(&["echo"]);
    let whole = project.read("rig.lock");
    let newer = whole.replacen("\"version\": 1", "\"version\": 2", 1);
    let newer = if newer == whole { whole.replace("\"version\": 1\n", "\"version\": 2\n") } else { newer };
    let mut bad = vec![
        ("newer", newer, "newer"),
        ("not JSON", "version: 1\n".into(), "rig.lock"),
        ("wrong type", whole.replacen("\"packs\": {", "\"packs\": [], \"x\": {", 1), "packs"),
        ("empty", String::new(), "rig.lock"),
        ("merge markers", format!("<<<<<<< HEAD\n{whole}"), "rig.lock"),
    ];
    for part in 1..8 {
        bad.push(("truncated", whole[..whole.len() * part / 8].to_owned(), "rig.lock"));
    }
    for (what, text, fact) in bad {
        assert_ne!(text, whole, "{what}");
        project.write("rig.lock", &text);
        let before = project.state();
        for args in [&["list"][..], &["install", "--yes"], &["install", "github", "--yes"], &["uninstall", "echo"]] {
            let output = project.rig(args);
            output.fails_with(1).explains(&["rig.lock", fact]);
        }
        assert_eq!(project.state(), before, "{what}");
    }
}

#[test]
fn the_policy_of_the_project_is_kept() {
    let send = json!({ "message": "x" });
    let project = Project::with(&["echo"]);
    project.configure("policy:\n  denied_tools: [\"echo.*\"]\n");
    let error = project.call("echo.message.send", send.clone()).error("policy_blocked");
    assert_eq!(error["retryable"], false);

    let project = Project::with(&["echo"]);
    project.configure("policy:\n  allowed_tools: [\"github.*\"]\n");
    let _ = project.call("echo.message.send", send.clone()).error("policy_blocked");

    let project = Project::with(&["echo"]);
    project.configure("policy:\n  allowed_tools: [\"echo.message.*\"]\n  denied_tools: [\"github.*\"]\n");
    let _ = project.call("echo.message.send", send.clone()).output();
}

#[test]
fn a_rule_that_would_not_be_kept_is_refused() {
    let project = Project::with(&["echo"]);
    project.configure("policy:\n  constraints:\n    \"echo.*\": { max: 1 }\n");
    let output = project.call("echo.message.send", json!({ "message": "x" }));
    assert_ne!(output.code, Some(0), "{output}");
    output.mentions("constraints");
}

#[test]
fn a_link_in_place_of_the_lock_is_not_cut() {
    let project = Project::with(&["echo"]);
    let outside = project.root().join("outside.json");
    fs::rename(project.dir().join("rig.lock"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, project.dir().join("rig.lock")).unwrap();
    let before = fs::read(&outside).unwrap();
    // Reading through a link is fine; a rename must not silently cut it.
    drop(project.rig(&["install", "github", "--yes"]));
    let is_link = fs::symlink_metadata(project.dir().join("rig.lock")).unwrap().is_symlink();
    assert!(is_link, "the link was replaced by a file");
    assert_eq!(fs::read(&outside).unwrap(), before);
}
