//! `rig gc` from outside: what a person sees, and that nothing is missed by whoever installs, calls or serves at the same time.

use std::{
    fs::{self, File},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, SystemTime},
};

use rig_tests::{Gateway, Project, files, guest::Guest, packs, snapshot};
use serde_json::json;

/// Makes everything in a folder look as if nobody had used it for two months.
fn age(folder: &Path) {
    let then = SystemTime::now() - Duration::from_hours(24 * 60);
    for path in files(folder).into_keys() {
        File::open(path).unwrap().set_modified(then).unwrap();
    }
}

/// echo 1.0.0, then 1.1.0, then 1.2.0.
fn three_versions() -> Project {
    let echo = packs::built("echo");
    let project = Project::empty();
    project.offer(&["1.0.0", "1.1.0", "1.2.0"].map(|version| packs::released(&echo, version)));
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        project.install(&[&format!("echo@{version}")]);
    }
    project
}

fn stored(project: &Project) -> usize {
    files(&project.home().join("store/sha256")).len()
}

#[test]
fn what_a_rollback_needs_stays_unless_it_is_given_up() {
    let project = three_versions();
    age(&project.home());
    snapshot!(project, ["gc"], @r"
    exit code: 0
    ----- stdout -----

    ----- stderr -----
    ✓ nothing to remove
    kept 3 components ([SIZE]) for 1 project
    ");
    assert_eq!(stored(&project), 3);
    age(&project.home());
    let dry = project.rig(&["gc", "--snapshots", "1", "--dry-run"]);
    dry.ok().shows("60 days").shows("/store/sha256/").shows("compiled code").shows(".rig/snapshots/000001.json");
    dry.says("would free ").says(": 3 things. Nothing was changed (--dry-run).").says("kept 2 components");
    assert_eq!((stored(&project), project.has(".rig/snapshots/000001.json")), (3, true), "{dry}");
    let report = project.rig(&["gc", "--snapshots", "1", "--json"]).ok().json();
    let kinds: Vec<_> =
        report["removed"].as_array().unwrap().iter().map(|removed| removed["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["component", "compiled", "snapshot"]);
    assert_eq!((report["dry_run"].as_bool(), report["older_than_seconds"].as_u64()), (Some(false), Some(30 * 86400)));
    assert_eq!(
        (report["kept"]["components"].as_u64(), report["projects"][0]["there"].as_bool()),
        (Some(2), Some(true))
    );
    let sizes = report["removed"].as_array().unwrap().iter().map(|removed| removed["size"].as_u64().unwrap());
    assert_eq!(report["freed"].as_u64(), Some(sizes.sum()));
    assert_eq!((stored(&project), project.has(".rig/snapshots/000001.json")), (2, false));
    project.rig(&["verify"]).ok();
    project.rig(&["rollback", "--yes", "--offline"]).ok().says("1.2.0 → 1.1.0");
    let _ = project.call("echo.message.send", json!({ "message": "x" })).output();
}

#[test]
fn what_cannot_be_done_is_said_with_what_to_do() {
    let project = three_versions();
    age(&project.home());
    project.rig(&["gc", "--older-than", "soon"]).fails_with(2).says("30d");
    project
        .run(["gc", "--snapshots", "1"])
        .in_dir(&project.root().join("tmp"))
        .output()
        .fails_with(2)
        .explains(&["--project"]);
    // Another project, whose lock is a folder: nobody can say what it needs.
    let other = project.root().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("rig.yaml"), project.read("rig.yaml")).unwrap();
    project.run(["install", "echo@1.1.0", "--yes"]).in_dir(&other).output().ok();
    fs::remove_file(other.join("rig.lock")).unwrap();
    fs::create_dir(other.join("rig.lock")).unwrap();
    age(&project.home());
    let output = project.rig(&["gc", "--snapshots", "0"]);
    output.fails_with(1).explains(&["other/rig.lock", "no component was removed", "rm '"]);
    assert_eq!(stored(&project), 3);
    fs::remove_dir_all(&other).unwrap();
    project.rig(&["gc"]).ok();
    assert_eq!(stored(&project), 1);
}

/// A project that was copied is known as soon as one of its tools is called.
#[test]
fn a_project_is_known_by_its_calls() {
    let project = Project::with(&["echo"]);
    let copied = project.root().join("copied");
    fs::create_dir(&copied).unwrap();
    for name in ["rig.yaml", "rig.lock"] {
        fs::copy(project.dir().join(name), copied.join(name)).unwrap();
    }
    let call = || project.run(["call", "echo.message.send", r#"{"message":"x"}"#]).in_dir(&copied).output();
    call().ok();
    for name in ["rig.yaml", "rig.lock"] {
        fs::remove_file(project.dir().join(name)).unwrap();
    }
    project.run(["gc", "--older-than", "0s"]).in_dir(&copied).output().ok();
    call().ok();
    // The control: without that project it goes.
    fs::remove_dir_all(&copied).unwrap();
    project.rig(&["gc", "--older-than", "0s"]).ok();
    assert_eq!(stored(&project), 0);
}

#[test]
fn a_gateway_keeps_what_it_serves() {
    let project = Project::with(&["echo"]);
    let gateway = Gateway::start(&project);
    // A lock that cannot be served, and no history: the gateway stays with what it has, which no project names any more.
    project.write("rig.lock", "{}");
    age(&project.home());
    let report = project.rig(&["gc", "--json"]).ok().json();
    assert_eq!((&report["kept"]["components"], &report["kept"]["in_use"]), (&json!(1), &json!(1)), "{report:#}");
    // Its first call takes the component from the store.
    assert_eq!(gateway.call("echo.message.send", json!({ "message": "x" }))["ok"], true);
    assert!(gateway.kill());
    age(&project.home());
    project.rig(&["gc"]).ok();
    assert_eq!(stored(&project), 0, "the control");
}

/// Runs `rig gc --older-than 0s` over and over while something else is done.
fn beside<T>(project: &Project, act: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let pruning: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut rounds = 0;
                    while !done.load(Ordering::Relaxed) || rounds < 2 {
                        project.run(["gc", "--older-than", "0s"]).in_dir(&project.root().join("tmp")).output().ok();
                        rounds += 1;
                    }
                    rounds
                })
            })
            .collect();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        done.store(true, Ordering::Relaxed);
        for thread in pruning {
            thread.join().unwrap();
        }
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn thirty_two_installs_at_once_with_gc_beside_them() {
    let home = Project::empty();
    home.offer(&["one", "two", "three"].map(|id| Guest::new(id).build()));
    let projects: Vec<_> = (0..32)
        .map(|n| {
            let dir = home.root().join(format!("p{n}"));
            fs::create_dir(&dir).unwrap();
            fs::copy(home.dir().join("rig.yaml"), dir.join("rig.yaml")).unwrap();
            dir
        })
        .collect();
    beside(&home, || {
        let all: Vec<_> = projects
            .iter()
            .enumerate()
            .map(|(n, dir)| home.run(["install", ["one", "two", "three"][n % 3], "--yes"]).in_dir(dir).spawn())
            .collect();
        for child in all {
            child.wait().ok();
        }
    });
    for (n, dir) in projects.iter().enumerate() {
        home.run(["verify"]).in_dir(dir).output().ok();
        home.run(["call", &format!("{}.probe.run", ["one", "two", "three"][n % 3])]).in_dir(dir).output().ok();
    }
    assert_eq!(stored(&home), 3);
}

#[test]
fn calls_and_updates_go_on_beside_gc() {
    let project = three_versions();
    beside(&project, || {
        for version in ["1.0.0", "1.1.0", "1.2.0", "1.0.0", "1.2.0"] {
            project.rig(&["update", "echo", "--version", version]).ok();
            for _ in 0..5 {
                let output = project.call("echo.message.send", json!({ "message": "x" }));
                let _ = output.output();
                assert_eq!(output.stderr, "");
            }
            project.rig(&["verify"]).ok();
        }
    });
    project.rig(&["rollback", "--yes", "--offline"]).ok();
}
