//! Going back: step by step, to any earlier state, with what it needs fetched again, or not at all.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use rig_tests::{Project, packs};
use serde_json::json;

/// echo 1.0.0, then 1.1.0, then 1.2.0, with the text of `rig.lock` at each.
fn three_steps() -> (Project, Vec<String>) {
    let echo = packs::built("echo");
    let project = Project::empty();
    project.offer(&["1.0.0", "1.1.0", "1.2.0"].map(|version| packs::released(&echo, version)));
    let mut locks = Vec::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        project.install(&[&format!("echo@{version}")]);
        locks.push(project.read("rig.lock"));
    }
    (project, locks)
}

fn version(project: &Project) -> String {
    project.locked("echo").version.to_string()
}

#[test]
fn one_rollback_after_the_other_goes_back_step_by_step() {
    let (project, locks) = three_steps();
    project.rig(&["rollback", "--yes"]).ok().says("echo 1.2.0 → 1.1.0").says("returned to the state of snapshot 2");
    assert_eq!(project.read("rig.lock"), locks[1], "to the byte");
    assert_eq!(project.config().pack_metadata[&"echo".parse().unwrap()].version, "1.1.0");
    assert_eq!(project.call("echo.message.send", json!({ "message": "x" })).json()["pack_version"], "1.1.0");
    project.rig(&["rollback", "--yes"]).ok();
    assert_eq!(project.read("rig.lock"), locks[0]);
    let before = project.state();
    project.rig(&["rollback", "--yes"]).fails_with(1).explains(&["no earlier state", "rig rollback --list"]);
    assert_eq!(project.state(), before);

    // Any state can be returned to by its number, what was left by a rollback as well.
    let list = project.rig(&["rollback", "--list", "--json"]).json();
    let rows: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (row["id"].as_u64().unwrap(), row["before"].as_str().unwrap(), row["packs"]["echo"].as_str().unwrap())
        })
        .collect();
    let expected = [
        (4, "rollback 1", "1.1.0"),
        (3, "rollback 2", "1.2.0"),
        (2, "install echo", "1.1.0"),
        (1, "install echo", "1.0.0"),
    ];
    assert_eq!(rows, expected);
    project.rig(&["rollback", "3", "--yes"]).ok().says("echo 1.0.0 → 1.2.0");
    assert_eq!(project.read("rig.lock"), locks[2]);
    project.rig(&["rollback", "--list"]).ok().shows("rollback 3");
    project.rig(&["verify"]).ok();
}

#[test]
fn what_was_removed_comes_back_with_what_was_offered() {
    let project = Project::with(&["echo", "github"]);
    let (lock, yaml) = (project.read("rig.lock"), project.config());
    project.rig(&["uninstall", "github"]).ok();
    project.rig(&["rollback", "--yes"]).ok().says("github 0.1.0 comes back");
    let config = project.config();
    assert_eq!((project.read("rig.lock"), &config.packs), (lock, &yaml.packs));
    assert_eq!(config.pack_metadata, yaml.pack_metadata);
    project.rig(&["rollback", "2", "--yes"]).ok().says("github 0.1.0 is removed");
    assert_eq!(project.lock().packs.len(), 1);
}

#[test]
fn components_are_fetched_again_or_nothing_changes() {
    let (project, locks) = three_steps();
    let index = project.index_dir();
    fs::remove_dir_all(project.home()).unwrap();
    project.rig(&["rollback", "--yes"]).ok();
    assert_eq!((version(&project).as_str(), &project.read("rig.lock")), ("1.1.0", &locks[1]));
    let _ = project.call("echo.message.send", json!({ "message": "x" })).output();

    // Gone, and other bytes in its place: the project stays as it is.
    fs::remove_dir_all(project.home()).unwrap();
    for replacement in [None, Some(packs::released(&packs::built("echo"), "1.0.1"))] {
        fs::remove_file(index.join("echo-1.0.0.wasm")).unwrap();
        if let Some(bytes) = &replacement {
            fs::write(index.join("echo-1.0.0.wasm"), bytes).unwrap();
        }
        let before = (project.read("rig.lock"), project.read("rig.yaml"));
        project.rig(&["rollback", "--yes"]).fails_with(1).says("echo-1.0.0.wasm");
        assert_eq!((project.read("rig.lock"), project.read("rig.yaml")), before);
        if replacement.is_none() {
            fs::write(index.join("echo-1.0.0.wasm"), b"").unwrap();
        }
    }
    assert_eq!(project.rig(&["rollback", "--list", "--json"]).json().as_array().unwrap().len(), 3);
}

#[test]
fn a_rollback_needs_a_yes_and_a_state() {
    let (project, _) = three_steps();
    let before = project.state();
    project.rig(&["rollback"]).fails_with(1).explains(&["echo 1.2.0 → 1.1.0", "--yes"]);
    project.rig(&["rollback", "9", "--yes"]).fails_with(1).explains(&["there is no snapshot 9"]);
    project.rig(&["rollback", "one"]).fails_with(2);
    project.rig(&["rollback", "1", "--list"]).fails_with(2);
    assert_eq!(project.state(), before);
    let fresh = Project::new();
    fresh.rig(&["rollback", "--yes"]).fails_with(1).explains(&["no earlier state"]);
    fresh.rig(&["rollback", "--list"]).ok().says("no earlier state");
    fresh.install(&["echo"]);
    fresh.rig(&["rollback", "--yes"]).fails_with(1).says("no earlier state");
}

/// A snapshot is believed as little as a lock: a changed byte in it is found.
#[test]
fn a_changed_snapshot_is_not_returned_to() {
    let (project, _) = three_steps();
    let path = project.dir().join(".rig/snapshots/000002.json");
    let text = fs::read_to_string(&path).unwrap();
    let (before, sound) = (project.state(), text.clone());
    for changed in [
        text.replace("\"installed_at\": \"2", "\"installed_at\": \"3"),
        text[..text.len() / 2].to_owned(),
        String::new(),
    ] {
        assert_ne!(changed, sound);
        fs::write(&path, &changed).unwrap();
        project.rig(&["rollback", "2", "--yes"]).fails_with(1).explains(&["000002.json"]);
        project.rig(&["rollback", "--list"]).ok().says("000002.json").shows("1.0.0");
        assert_eq!(project.state(), before);
    }
    project.rig(&["rollback", "1", "--yes"]).ok();
    assert_eq!(version(&project), "1.0.0");
}

/// The lock, the settings and the history change together: a kill leaves all of them as they were, or none.
#[test]
fn a_kill_leaves_the_old_state_or_the_new_one() {
    const KILLS: u32 = 16;
    let (project, _) = three_steps();
    let start = Instant::now();
    project.rig(&["rollback", "--yes"]).ok();
    let whole = start.elapsed();
    let mut seen = Vec::new();
    for round in 0..KILLS {
        // Half of them spread over the run, half just after the change was decided.
        let (project, locks) = three_steps();
        let journal = project.dir().join(".rig/journal.json");
        let mut child = project.run(["rollback", "--yes"]).spawn();
        if round % 2 == 0 {
            thread::sleep(whole * round / KILLS);
        } else {
            while !journal.exists() && !child.is_done() {
                std::hint::spin_loop();
            }
            thread::sleep(Duration::from_micros(40) * round);
        }
        child.kill();
        project.rig(&["verify"]).ok();
        let (found, kept) = (version(&project), fs::read_dir(project.dir().join(".rig/snapshots")).unwrap().count());
        let expected = if found == "1.2.0" { (&locks[2], 2) } else { (&locks[1], 3) };
        assert_eq!((&project.read("rig.lock"), kept), expected, "{found}");
        assert_eq!(project.config().pack_metadata[&"echo".parse().unwrap()].version, found);
        seen.push(found);
    }
    assert!(seen.iter().any(|version| version == "1.1.0") && seen.iter().any(|version| version == "1.2.0"), "{seen:?}");
}
