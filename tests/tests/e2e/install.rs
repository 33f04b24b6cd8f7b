//! Installing, reinstalling, restoring and removing packs: what the lock, the settings and the store hold afterwards.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use rig_specs::{PackId, Sha256, lock::Runtime};
use rig_tests::{Output, Project, files, packs};
use serde_json::json;

/// Releases 1.0.0, 1.1.0, a withdrawn 1.2.0 and a pre-release of the echo pack.
fn several_releases() -> Project {
    let project = Project::empty();
    let echo = packs::built("echo");
    let releases = ["1.0.0", "1.1.0", "1.2.0", "2.0.0-rc.1"].map(|version| packs::released(&echo, version));
    let mut index = project.offer(&releases);
    let echo = index.packs.get_mut(&"echo".parse().unwrap()).unwrap();
    let releases = &mut echo.wasm.as_mut().unwrap().versions;
    releases.get_mut(&"1.2.0".parse().unwrap()).unwrap().yanked = true;
    packs::write_index(&project.index_dir(), &index);
    project
}

#[test]
fn by_name_pins_the_exact_bytes() {
    let project = Project::new();
    project.install(&["echo"]);

    let component = packs::built("echo");
    let described = packs::embedded(&component).manifest.pack;
    let locked = project.locked("echo");
    assert_eq!(locked.integrity, Some(Sha256::of(&component)));
    assert_eq!(locked.size, Some(component.len() as u64));
    assert_eq!((locked.version.clone(), locked.runtime), (described.version, Runtime::Wasm));
    assert!(locked.interface_hash.is_some() && locked.tools_hash.is_some(), "{locked:?}");
    assert!(locked.source.as_ref().is_some_and(|source| source.contains("echo-")), "{locked:?}");
    assert!(locked.granted.is_empty(), "echo asks for nothing: {:?}", locked.granted);

    let lock = project.lock();
    assert_eq!(lock.index_generated_at.as_deref(), Some("2026-11-01T00:00:00Z"));
    assert!(lock.index_url.is_some_and(|url| url.ends_with(packs::INDEX)));
    let config = project.config();
    assert_eq!(config.packs.iter().map(PackId::as_str).collect::<Vec<_>>(), ["echo"]);
    assert_eq!(config.pack_metadata[&"echo".parse().unwrap()].version, locked.version.to_string());

    assert_eq!(fs::read(project.stored("echo")).unwrap(), component);
    let mode = fs::metadata(project.stored("echo")).unwrap().permissions().mode();
    assert_eq!(mode & 0o222, 0, "the store is read-only, not {mode:o}");
    assert_eq!(project.call("echo.message.send", json!({ "message": "hi" })).output(), json!({ "message": "hi" }));
}

#[test]
fn what_was_there_in_the_settings_stays() {
    let project = Project::new();
    project.configure("# why we retry\npolicy:\n  retries: 1 # once\n");
    project.install(&["echo", "github"]);
    let text = project.read("rig.yaml");
    assert!(text.contains("# why we retry\npolicy:\n  retries: 1 # once\n"), "{text}");
    assert_eq!(project.config().packs.len(), 2);
}

#[test]
fn the_newest_release_is_chosen_unless_one_is_named() {
    for (args, version) in [
        (&["echo"][..], "1.1.0"),
        (&["echo@1.0.0"], "1.0.0"),
        (&["echo", "--version", "1.0.0"], "1.0.0"),
        (&["echo@2.0.0-rc.1"], "2.0.0-rc.1"),
    ] {
        let project = several_releases();
        project.install(args);
        assert_eq!(project.locked("echo").version.to_string(), version, "{args:?}");
    }
}

#[test]
fn what_cannot_be_resolved_says_what_could() {
    let project = several_releases();
    for (args, texts) in [
        (&["echo@9.9.9"][..], &["9.9.9", "1.1.0"][..]),
        (&["ecko"], &["ecko", "echo"]),
        (&["nothing-like-it"], &["nothing-like-it"]),
        (&["echo@1.2.0"], &["1.2.0", "withdrawn"]),
    ] {
        let before = project.state();
        project.run(["install", "--yes"]).args(args).output().fails_with(1).explains(texts);
        assert_eq!(project.state(), before, "{args:?}");
    }
    for bad in ["Echo", "../echo", "echo@", "echo@one", "e cho", ""] {
        let output = project.rig(&["install", "--yes", bad]);
        assert!(matches!(output.code, Some(1 | 2)), "{bad:?}: {output}");
        assert!(!project.has("rig.lock"), "{bad:?}");
    }
}

#[test]
fn another_release_takes_the_place_of_the_old_one() {
    let project = several_releases();
    project.install(&["echo@1.0.0"]);
    // Named again without a version it stays what it is, and the newer one is told.
    let before = project.state();
    project.install(&["echo"]).says("rig install echo@1.1.0");
    assert_eq!(project.state(), before);

    project.install(&["echo@1.1.0"]).says("replaced echo 1.0.0 by 1.1.0");
    assert_eq!(project.locked("echo").version.to_string(), "1.1.0");
    assert_eq!(project.config().pack_metadata[&"echo".parse().unwrap()].version, "1.1.0");
    assert_eq!(project.call("echo.message.send", json!({ "message": "x" })).json()["pack_version"], "1.1.0");
}

#[test]
fn the_same_again_changes_no_byte() {
    let project = Project::with(&["echo", "github"]);
    let (before, compiled) = (project.state(), files(&project.home().join("cache")));
    project.install(&["echo", "github"]);
    project.install(&[]);
    assert_eq!(project.state(), before);
    assert_eq!(files(&project.home().join("cache")), compiled);
}

#[test]
fn without_names_the_lock_is_restored_exactly() {
    let project = several_releases();
    project.install(&["echo@1.0.0"]);
    let lock = project.read("rig.lock");
    let (before, stored) = (project.state(), project.stored("echo"));
    fs::remove_dir_all(project.home()).unwrap();
    project.install(&[]);
    assert_eq!(project.state(), before, "the older release, though a newer one is offered");

    // A release that was replaced under its version is not what the lock says.
    let expected = stored.file_name().unwrap().to_str().unwrap();
    let good = packs::released(&packs::built("echo"), "1.0.0");
    let same_size = packs::repacked(&good, |pack| {
        let text = &mut pack.manifest.pack.description;
        *text = "x".repeat(text.len());
    });
    let shorter = packs::repacked(&good, |pack| pack.manifest.pack.description = "Something else.".into());
    assert!(same_size.len() == good.len() && shorter.len() < good.len());
    let size = format!("has {} bytes", shorter.len());
    for (other, found) in [(&same_size, Sha256::of(&same_size).hex()), (&shorter, size)] {
        fs::remove_dir_all(project.home()).unwrap();
        project.offer_again(std::slice::from_ref(other));
        project.rig(&["install", "--yes"]).fails_with(1).explains(&[expected, &found, "echo-1.0.0.wasm"]);
        assert_eq!(project.read("rig.lock"), lock);
        assert!(!stored.exists());
    }
}

/// Offers other components without touching `rig.yaml`, and forgets the cached index.
trait OfferAgain {
    fn offer_again(&self, components: &[Vec<u8>]);
}

impl OfferAgain for Project {
    fn offer_again(&self, components: &[Vec<u8>]) {
        packs::index_of(&self.index_dir(), components);
        drop(fs::remove_dir_all(self.dir().join(".rig").join("cache")));
    }
}

#[test]
fn a_lock_alone_is_enough_to_restore() {
    let project = Project::with(&["echo"]);
    let yaml = project.read("rig.yaml");
    let fresh = Project::empty();
    fresh.write("rig.lock", project.read("rig.lock"));
    fresh.write("rig.yaml", yaml);
    fresh.install(&[]);
    assert_eq!(fresh.read("rig.lock"), project.read("rig.lock"));
    let _ = fresh.call("echo.message.send", json!({ "message": "x" })).output();
}

#[test]
fn a_dry_run_shows_the_plan_and_does_nothing() {
    let project = Project::new();
    let before = project.state();
    let output = project.rig(&["install", "github", "--dry-run"]);
    output.ok();
    for text in ["github", "api.github.com", "GITHUB_TOKEN"] {
        output.mentions(text);
    }
    assert_eq!(project.state(), before);
    assert!(!project.has("rig.lock"));
}

#[test]
fn consent_shows_all_that_is_asked_for_and_is_refused_without_a_person() {
    let project = Project::new();
    let before = project.state();
    let output = project.rig(&["install", "github"]);
    output.fails_with(1).explains(&["--yes"]);
    let tools = ["github.issues.create", "github.issues.comment", "github.pulls.create", "github.pulls.list"];
    for text in tools.iter().chain(&["api.github.com", "GITHUB_TOKEN", "read", "write"]) {
        output.mentions(text);
    }
    // A pipe with a yes in it is not a person either.
    project.run(["install", "github"]).stdin("y\n").output().fails_with(1);
    assert_eq!(project.state(), before);

    project.install(&["github"]);
    let granted = project.locked("github").granted;
    assert!(!granted.network.is_empty() && granted.network.iter().all(|rule| rule.host == "api.github.com"));
    assert_eq!(granted.secrets.keys().collect::<Vec<_>>(), ["GITHUB_TOKEN"]);
}

#[test]
fn not_enabled_means_installed_but_not_called() {
    let project = Project::new();
    project.install(&["echo", "--no-enable"]);
    assert!(project.locked("echo").integrity.is_some());
    assert_eq!(project.config().packs, []);
    let error = project.call("echo.message.send", json!({ "message": "x" })).error("not_found");
    assert!(error["remediation_hints"].to_string().contains("echo"), "{error}");

    project.install(&["echo"]);
    let _ = project.call("echo.message.send", json!({ "message": "x" })).output();
}

#[test]
fn other_runtimes_and_newer_packs_are_refused_with_the_reason() {
    let project = Project::new();
    for runtime in ["python", "node"] {
        // A component is no package: its name is looked for among those of the ecosystem, here only on this machine.
        project
            .rig(&["install", "echo", "--yes", "--offline", "--runtime", runtime])
            .fails_with(1)
            .says("package `echo`");
    }
    project.rig(&["install", "echo", "--yes", "--runtime", "ruby"]).fails_with(2);
    project.rig(&["install", "echo", "--yes", "--runtime", "wasm"]).ok();

    let newer = packs::repacked(&packs::built("echo"), |pack| {
        pack.manifest.pack.min_rig = Some("99.0.0".parse().unwrap());
    });
    let project = Project::empty();
    project.offer(&[newer]);
    project.rig(&["install", "echo", "--yes"]).fails_with(1).explains(&["99.0.0"]);
    assert!(!project.has("rig.lock"));
}

#[test]
fn one_bad_pack_of_several_installs_none() {
    let project = Project::new();
    let before = project.state();
    project.rig(&["install", "echo", "nothing-like-it", "--yes"]).fails_with(1).says("nothing-like-it");
    assert_eq!(project.state(), before);
}

#[test]
fn uninstalled_packs_leave_the_lock_and_the_settings() {
    let project = Project::with(&["echo", "github"]);
    project.rig(&["uninstall", "echo"]).ok();
    assert_eq!(project.lock().packs.keys().map(PackId::as_str).collect::<Vec<_>>(), ["github"]);
    let config = project.config();
    assert_eq!((config.packs.len(), config.pack_metadata.len()), (1, 1));
    let _ = project.call("echo.message.send", json!({ "message": "x" })).error("not_found");

    let before = project.state();
    project.rig(&["uninstall", "echo"]).fails_with(1).explains(&["echo"]);
    project.rig(&["uninstall", "github", "nothing"]).fails_with(1).says("nothing");
    assert_eq!(project.state(), before);
    project.rig(&["uninstall"]).fails_with(2);
}

#[test]
fn nothing_is_left_behind_in_other_places() {
    let project = Project::with(&["echo"]);
    let _ = project.call("echo.message.send", json!({ "message": "x" })).output();
    for folder in ["user", "tmp"] {
        let found = files(&project.root().join(folder));
        assert!(found.is_empty(), "{folder}: {found:?}");
    }
    let staging = project.home().join("store").join("staging");
    assert!(files(&staging).is_empty(), "{:?}", files(&staging));
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let project = Project::new();
    let blocked = project.root().join("blocked");
    fs::write(&blocked, "a file where a folder should be").unwrap();
    let install = |home: &Path| -> Output {
        project.run(["install", "echo", "--yes"]).env("RIG_HOME", home.to_str().unwrap()).output()
    };
    install(&blocked).fails_with(1).says("blocked");
    install(&blocked.join("below")).fails_with(1).says("blocked");
    assert!(!project.has("rig.lock"));
}
