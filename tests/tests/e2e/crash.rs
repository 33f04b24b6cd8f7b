//! A kill at any moment of an install leaves the old state or the new one, and two installs at once both succeed.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use rig_tests::{IndexServer, Project, Reply, guest::Guest, packs};
use serde_json::json;

/// How many kills, spread evenly over the time that an undisturbed install takes.
const KILLS: u32 = 24;
/// Stretches the download, so that kills fall into it too.
const PAUSE: Duration = Duration::from_millis(4);
/// How long an uninstall takes here, and some more.
const UNINSTALL: Duration = Duration::from_millis(40);

/// A project with echo 1.0.0 installed and 2.0.0 offered by a slow server.
fn before_an_update() -> (Project, IndexServer) {
    let project = Project::new();
    let echo = packs::built("echo");
    let releases = [packs::released(&echo, "1.0.0"), packs::released(&echo, "2.0.0")];
    packs::index_of(&project.index_dir(), &releases);
    let server = IndexServer::start(&project.index_dir());
    project.set_index(&server.url(packs::INDEX));
    project.install(&["echo@1.0.0"]);
    let piece = releases[1].len() / 16;
    server.change("echo-2.0.0.wasm", move |bytes| Reply::new(200, bytes).trickle(piece, PAUSE));
    (project, server)
}

fn update(project: &Project) -> rig_tests::Child {
    project.run(["install", "echo@2.0.0", "--yes", "--refresh"]).spawn()
}

/// The installed version, after checking that everything agrees on it. Looks before and after rig had a chance to tidy up.
fn settled(project: &Project) -> String {
    let at_once = project.lock().packs[&"echo".parse().unwrap()].version.to_string();
    project.rig(&["verify", "--json"]).ok();
    let locked = project.locked("echo");
    let version = locked.version.to_string();
    // A change that was decided is completed, never taken back.
    assert!(at_once == version || at_once == "1.0.0", "{at_once} became {version}");
    let config = project.config();
    assert_eq!(config.pack_metadata[&"echo".parse().unwrap()].version, version);
    assert_eq!(config.packs.len(), 1);
    assert_eq!(Some(rig_specs::Sha256::of(&fs::read(project.stored("echo")).unwrap())), locked.integrity);
    let result = project.call("echo.message.send", json!({ "message": "x" }));
    let _ = result.output();
    assert_eq!(result.json()["pack_version"], version);
    version
}

#[test]
fn a_kill_leaves_the_old_state_or_the_new_one() {
    let (project, _server) = before_an_update();
    let start = Instant::now();
    update(&project).wait().ok();
    let whole = start.elapsed();
    assert_eq!(settled(&project), "2.0.0", "the control: undisturbed, it arrives");

    let mut killed = 0;
    let mut seen = Vec::new();
    for round in 0..KILLS {
        let (project, _server) = before_an_update();
        let child = update(&project);
        thread::sleep(whole * round / (KILLS - 1));
        killed += u32::from(child.kill());
        seen.push(settled(&project));
        // Whatever was left behind does not stand in the way.
        update(&project).wait().ok();
        assert_eq!(settled(&project), "2.0.0");
    }
    assert!(killed >= KILLS / 2, "only {killed} of {KILLS} kills hit a running process");
    assert!(seen.iter().any(|version| version == "1.0.0"), "{seen:?}");
}

/// Kills spread over time rarely fall between the two files of a project. Here each falls just after the change was decided, which
/// the journal shows.
#[test]
fn a_kill_between_the_two_files_is_completed_by_the_next_command() {
    let mut left_behind = 0;
    for round in 0..KILLS {
        let (project, _server) = before_an_update();
        let journal = project.dir().join(".rig/journal.json");
        let mut child = update(&project);
        while !journal.exists() && !child.is_done() {
            std::hint::spin_loop();
        }
        thread::sleep(Duration::from_micros(50) * (round % 6));
        child.kill();
        let decided = journal.exists();
        left_behind += u32::from(decided);
        let version = settled(&project);
        assert!(!journal.exists(), "the next command completes what was decided");
        if decided {
            assert_eq!(version, "2.0.0");
        }
    }
    assert!(left_behind >= 3, "only {left_behind} of {KILLS} kills fell between the files");
}

#[test]
fn a_kill_in_the_first_install_leaves_nothing_or_all() {
    let start = Instant::now();
    drop(Project::with(&["echo"]));
    let whole = start.elapsed();
    for round in 0..KILLS {
        let project = Project::new();
        let child = project.run(["install", "echo", "--yes"]).spawn();
        thread::sleep(whole * round / (KILLS - 1));
        child.kill();
        if project.has("rig.lock") {
            project.rig(&["verify", "--json"]).ok();
            assert_eq!(project.config().packs.len(), 1);
        } else {
            project.rig(&["packs"]).ok();
        }
        project.install(&["echo"]);
        let _ = project.call("echo.message.send", json!({ "message": "x" })).output();
    }
}

#[test]
fn a_kill_while_compiling_leaves_no_half_compiled_code() {
    let project = Project::with(&["echo"]);
    let cache = project.home().join("cache");
    for round in 0..KILLS {
        drop(fs::remove_dir_all(&cache));
        let child = project.run(["call", "echo.message.send", r#"{"message":"x"}"#]).spawn();
        thread::sleep(Duration::from_millis(10) * round);
        child.kill();
        let output = project.call("echo.message.send", json!({ "message": "x" }));
        let _ = output.output();
        assert_eq!(output.stderr, "", "a cache that a kill left behind is complete or absent");
    }
}

#[test]
fn two_installs_at_once_both_succeed() {
    for _ in 0..4 {
        let project = Project::new();
        let both = [["install", "echo", "--yes"], ["install", "github", "--yes"]].map(|args| project.run(args).spawn());
        for child in both {
            child.wait().ok();
        }
        assert_eq!(project.lock().packs.len(), 2);
        assert_eq!(project.config().packs.len(), 2);
        project.rig(&["verify"]).ok();
    }
}

#[test]
fn four_installs_at_once_all_succeed() {
    for _ in 0..2 {
        let project = Project::empty();
        let ids = ["one", "two", "three", "four"];
        project.offer(&ids.map(|id| Guest::new(id).build()));
        let all = ids.map(|id| project.run(["install", id, "--yes"]).spawn());
        for child in all {
            child.wait().ok();
        }
        let lock = project.lock();
        assert_eq!((lock.packs.len(), project.config().packs.len(), project.config().pack_metadata.len()), (4, 4, 4));
        project.rig(&["verify"]).ok();
        for id in ids {
            let _ = project.call(&format!("{id}.probe.run"), json!({})).output();
        }
    }
}

#[test]
fn the_same_pack_four_times_at_once_is_installed_once() {
    let project = Project::new();
    let all = [(); 4].map(|()| project.run(["install", "echo", "--yes"]).spawn());
    for child in all {
        child.wait().ok();
    }
    assert_eq!((project.lock().packs.len(), project.config().packs.len()), (1, 1));
    project.rig(&["verify"]).ok();
}

#[test]
fn a_kill_while_uninstalling_leaves_the_old_state_or_the_new_one() {
    let project = Project::with(&["echo", "github"]);
    let (lock, config) = (project.read("rig.lock"), project.read("rig.yaml"));
    for round in 0..KILLS {
        let child = project.run(["uninstall", "github"]).spawn();
        thread::sleep(UNINSTALL * round / (KILLS - 1));
        child.kill();
        project.rig(&["verify"]).ok();
        let (packs, offered) = (project.lock().packs.len(), project.config().packs.len());
        assert!(packs == offered && (1..=2).contains(&packs), "{packs} packs, {offered} offered");
        let _ = project.call("echo.message.send", json!({ "message": "x" })).output();
        project.write("rig.lock", &lock);
        project.write("rig.yaml", &config);
    }
}

#[test]
fn the_same_install_at_once_from_two_projects_of_one_home() {
    let one = Project::new();
    let two = Project::new();
    let home = one.home().to_str().unwrap().to_owned();
    let spawn = |project: &Project| project.run(["install", "echo", "--yes"]).env("RIG_HOME", &home).spawn();
    for child in [spawn(&one), spawn(&two), spawn(&one)] {
        child.wait().ok();
    }
    assert_eq!(one.locked("echo").integrity, two.locked("echo").integrity);
    one.rig(&["verify"]).ok();
}

#[test]
fn calls_go_on_during_an_install() {
    let (project, _server) = before_an_update();
    let child = update(&project);
    for _ in 0..10 {
        let _ = project.call("echo.message.send", json!({ "message": "x" })).output();
    }
    child.wait().ok();
    assert_eq!(settled(&project), "2.0.0");
}
