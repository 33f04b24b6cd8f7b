//! Opening and changing projects, a crash after every step included.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, thread};

use rig_specs::{Sha256, lock::Runtime, manifest::Capabilities};

use super::*;

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), None).unwrap();
    folder
}

fn id(text: &str) -> PackId {
    text.parse().unwrap()
}

fn locked(name: &str) -> LockedPack {
    LockedPack {
        pack_id: id(name),
        package: name.into(),
        version: semver::Version::new(1, 0, 0),
        runtime: Runtime::Wasm,
        integrity: Some(Sha256::of(name.as_bytes())),
        installed_at: "2026-01-01T00:00:00Z".into(),
        source: None,
        size: Some(1),
        interface_hash: None,
        tools_hash: None,
        granted: Capabilities::default(),
        dependencies: BTreeMap::new(),
        artifacts: Vec::new(),
        npm: None,
        origin: None,
    }
}

/// Adds a pack, stopping after the given number of steps. Says how many steps there were.
fn add(root: &Path, name: &str, stop_after: Option<usize>) -> usize {
    let (project, guard) = Project::lock_for_change(root, &mut |_| {}).unwrap();
    let mut lock = project.lock().clone();
    lock.packs.insert(id(name), locked(name));
    let mut packs = project.config().packs.clone();
    packs.push(id(name));
    let mut steps = 0;
    let mut after = |_| {
        steps += 1;
        stop_after != Some(steps)
    };
    let change = Change::of("install", [&id(name)]);
    guard.commit_until(&project, &packs, &BTreeMap::new(), (&lock, &change), &mut after).unwrap();
    steps
}

fn files(root: &Path) -> (String, String) {
    let read = |name| fs::read_to_string(root.join(name)).unwrap_or_default();
    (read("rig.lock"), read("rig.yaml"))
}

fn listing(root: &Path) -> Vec<String> {
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let mut all = names(root);
    all.extend(names(&root.join(".rig")));
    all.sort();
    all
}

#[test]
fn projects_are_found_upwards() {
    let folder = project();
    let deep = folder.path().join("a/b");
    fs::create_dir_all(&deep).unwrap();
    assert_eq!(Project::discover(&deep).unwrap(), folder.path());
    let none = tempfile::tempdir().unwrap();
    let error = Project::discover(none.path()).unwrap_err();
    let expected = format!("there is no rig.yaml in {} or in a folder above it", none.path().display());
    assert_eq!((error.to_string(), error.hint().unwrap().contains("rig init")), (expected, true));
}

#[test]
fn a_crash_after_any_step_leaves_the_old_state_or_the_new() {
    let reference = project();
    add(reference.path(), "a", None);
    let old = files(reference.path());
    let steps = add(reference.path(), "b", None);
    let new = files(reference.path());
    assert_eq!(steps, 9, "journal staged, in place; the old lock and two files staged and replaced; done");

    let mut seen = Vec::new();
    for stop in 1..=steps {
        let folder = project();
        add(folder.path(), "a", None);
        add(folder.path(), "b", Some(stop));
        let project = Project::open(folder.path()).unwrap();
        let found = files(folder.path());
        assert!(found == old || found == new, "a third state after step {stop}");
        assert_eq!(project.lock().packs.len(), project.config().packs.len(), "files disagree after step {stop}");
        // The history has the old lock exactly when it was replaced.
        assert_eq!(snapshots::numbers(folder.path()).len(), usize::from(found == new), "after step {stop}");
        assert!(snapshots::read(folder.path(), 1).is_ok_and(|kept| kept.lock.packs.len() == 1) == (found == new));
        seen.push(found == new);
        // What the crash left is cleared by the next change, which works as ever.
        add(folder.path(), "c", None);
        assert_eq!(
            listing(folder.path()).join(" "),
            ".gitignore .rig lock rig.lock rig.yaml snapshots",
            "after step {stop}"
        );
    }
    // The journal decides: nothing before it is in place, everything after.
    assert_eq!(seen, [false, true, true, true, true, true, true, true, true]);
}

#[test]
fn without_the_journal_a_crash_leaves_a_third_state() {
    // The control of the test above: the same crash, with the journal taken away.
    let folder = project();
    add(folder.path(), "a", Some(4));
    fs::remove_file(commit::journal_path(folder.path())).unwrap();
    let project = Project::open(folder.path()).unwrap();
    assert_ne!(project.lock().packs.len(), project.config().packs.len());
}

#[test]
fn a_damaged_journal_changes_nothing() {
    for damage in
        ["", "{", "{\"version\":1,\"files\":[{\"name\":\"../x\",\"old\":null,\"new\":\"00\",\"text\":\"\"}]}", "flip"]
    {
        let folder = project();
        add(folder.path(), "a", None);
        let old = files(folder.path());
        add(folder.path(), "b", Some(2));
        let path = commit::journal_path(folder.path());
        let text =
            if damage == "flip" { fs::read_to_string(&path).unwrap().replace("1.0.0", "1.0.1") } else { damage.into() };
        fs::write(&path, text).unwrap();
        let project = Project::open(folder.path()).unwrap();
        assert_eq!((files(folder.path()), project.recovered()), (old, false), "{damage:?}");
        assert!(!path.exists());
    }
}

#[test]
fn a_journal_never_overwrites_what_a_person_changed_since() {
    let folder = project();
    add(folder.path(), "a", Some(2));
    let edited = "packs: []\nserver: { port: 9 }\n";
    fs::write(folder.path().join("rig.yaml"), edited).unwrap();
    let project = Project::open(folder.path()).unwrap();
    assert_eq!((project.config().server.port, project.has_lock()), (9, false));
    assert_eq!(files(folder.path()).1, edited);
}

#[test]
fn changes_at_once_are_all_kept() {
    let folder = project();
    thread::scope(|scope| {
        for worker in ["a", "b", "c", "d"] {
            let root = folder.path();
            scope.spawn(move || {
                for round in 0..5 {
                    add(root, &format!("{worker}{round}"), None);
                    let project = Project::open(root).unwrap();
                    assert_eq!(project.lock().packs.len(), project.config().packs.len());
                }
            });
        }
    });
    assert_eq!(Project::open(folder.path()).unwrap().lock().packs.len(), 20);
}

#[test]
fn waiting_is_reported() {
    let folder = project();
    let (_, held) = Project::lock_for_change(folder.path(), &mut |_| {}).unwrap();
    let waited = thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let waiter = scope.spawn(move || {
            Project::lock_for_change(folder.path(), &mut |path| tell.send(path.to_path_buf()).unwrap()).map(drop)
        });
        let path = told.recv().unwrap();
        drop(held);
        waiter.join().unwrap().unwrap();
        path
    });
    assert!(waited.ends_with(".rig/lock"));
}

#[test]
fn an_unchanged_project_is_not_written() {
    let folder = project();
    add(folder.path(), "a", None);
    // The text of an older rig, in another order and without a digest, stays as it is.
    let text = r#"{ "packs": {}, "version": 1 }"#;
    fs::write(folder.path().join("rig.lock"), text).unwrap();
    let (project, guard) = Project::lock_for_change(folder.path(), &mut |_| {}).unwrap();
    let config = project.config().clone();
    assert!(!guard.commit(&project, &config.packs, &config.pack_metadata, project.lock(), &Change::default()).unwrap());
    assert_eq!(files(folder.path()).0, text);
}

#[test]
fn the_history_is_bounded_and_its_numbers_go_on() {
    let folder = project();
    for round in 0..snapshots::KEEP + 5 {
        let (project, guard) = Project::lock_for_change(folder.path(), &mut |_| {}).unwrap();
        let mut lock = project.lock().clone();
        lock.packs = [(id("a"), LockedPack { size: Some(round as u64), ..locked("a") })].into();
        guard.commit(&project, &[], &BTreeMap::new(), &lock, &Change::of("install", [&id("a")])).unwrap();
    }
    let numbers = snapshots::numbers(folder.path());
    // The first install replaced no lock.
    assert_eq!((numbers.len(), numbers.first(), numbers.last()), (snapshots::KEEP, Some(&5), Some(&54)));
    let oldest = snapshots::read(folder.path(), 5).unwrap();
    assert_eq!((oldest.why.as_str(), oldest.lock.packs[&id("a")].size), ("install a", Some(4)));
    // One that was changed is not used.
    let path = folder.path().join(".rig/snapshots/000005.json");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("1.0.0", "6.6.6")).unwrap();
    let error = snapshots::read(folder.path(), 5).unwrap_err();
    assert!(error.to_string().contains("000005.json is not as rig wrote it"), "{error}");
}

#[test]
fn modes_are_kept_and_links_are_refused() {
    let folder = project();
    let config = folder.path().join("rig.yaml");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o640)).unwrap();
    add(folder.path(), "a", None);
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o640);

    fs::rename(&config, folder.path().join("real.yaml")).unwrap();
    std::os::unix::fs::symlink("real.yaml", &config).unwrap();
    let (project, guard) = Project::lock_for_change(folder.path(), &mut |_| {}).unwrap();
    let error = guard.commit(&project, &[], &BTreeMap::new(), project.lock(), &Change::default()).unwrap_err();
    assert!(error.to_string().contains("is a symbolic link"), "{error}");

    let linked = self::project();
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), linked.path().join(".rig")).unwrap();
    let error = Project::lock_for_change(linked.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(&error, ProjectError::Symlink { path } if path.ends_with(".rig")), "{error:?}");
}

/// The other side of the next test: adds packs until it is killed.
#[test]
#[ignore = "run by `a_killed_process_leaves_one_state`, in a process of its own"]
fn adds_packs_until_it_is_killed() {
    let Some(root) = std::env::var_os("RIG_TEST_PROJECT") else { return };
    for round in 0.. {
        add(Path::new(&root), &format!("p{}-{round}", std::process::id()), None);
    }
}

#[test]
fn a_killed_process_leaves_one_state() {
    // Slower than the rest because it is the only one with real processes and real SIGKILLs.
    let folder = project();
    let start = || {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "project::tests::adds_packs_until_it_is_killed"])
            .env("RIG_TEST_PROJECT", folder.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    for round in 0..12_u64 {
        let (mut first, mut second) = (start(), start());
        thread::sleep(std::time::Duration::from_millis(40 + 7 * round));
        first.kill().unwrap();
        second.kill().unwrap();
        first.wait().unwrap();
        second.wait().unwrap();
        let project = Project::open(folder.path()).unwrap();
        let locked: Vec<&PackId> = project.lock().packs.keys().collect();
        let mut enabled: Vec<&PackId> = project.config().packs.iter().collect();
        enabled.sort();
        assert_eq!(locked, enabled, "after round {round}");
    }
    assert!(!Project::open(folder.path()).unwrap().lock().packs.is_empty(), "nothing was ever committed");
}
