//! The whole flow against an index and artifacts of this machine: plan, consent, commit, restore, uninstall, and what is refused.

use std::{fs, thread};

use rig_specs::{Sha256, lock::Runtime};
use serde_json::{Value, json};

use super::{
    net::fake::{Fake, run},
    test_packs::{embedded, pack},
    *,
};
use crate::project::Project;

mod machine;
use machine::Machine;

fn texts<T>(result: Result<T, InstallError>) -> (String, String) {
    let Err(error) = result else { panic!("it was not refused") };
    (error.to_string(), error.hint().unwrap_or_default())
}

#[test]
fn a_pack_is_installed_and_installing_it_again_changes_no_byte() {
    let machine = Machine::with_echo();
    let plan = machine.plan_with(&["echo"], &machine.options()).unwrap();
    let consent = &plan.consent()[0];
    assert_eq!((consent.pack.as_str(), consent.publisher.as_ref().unwrap().new_to_project), ("echo", true));
    let before = machine.files();
    assert_eq!(before.0, "", "planning changed the project");
    let done = plan.commit(&machine.root(), &mut |_| {}).unwrap();
    assert_eq!((done.changed, done.packs[0].enabled, &done.packs[0].action), (true, true, &Action::Install));

    let (locked, bytes) = (machine.locked("echo"), pack(&embedded("echo", "1.0.0")));
    assert_eq!(
        (locked.runtime, locked.integrity, locked.size),
        (Runtime::Wasm, Some(Sha256::of(&bytes)), Some(bytes.len() as u64))
    );
    let project = machine.project();
    assert_eq!(project.lock().index_url.as_deref(), Some("../index/pack_index.json"));
    assert_eq!(project.lock().index_generated_at.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert!(project.lock().created_at.ends_with('Z') && project.lock().created_at.len() == 20);
    assert_eq!(project.config().pack_metadata[&locked.pack_id].version, "1.0.0");
    assert_eq!(load_pack(&machine.home(), &locked).unwrap().0, bytes);
    assert_eq!(installed(&project)[0].id, locked.pack_id);
    assert_eq!(machine.staging(), 0);

    let files = machine.files();
    for what in ["echo", "echo@1.0.0", "echo@^1"] {
        let plan = machine.plan_with(&[what], &machine.options()).unwrap();
        assert_eq!((plan.consent(), &plan.packs[0].action), (&[][..], &Action::Keep));
        assert!(!plan.commit(&machine.root(), &mut |_| {}).unwrap().changed);
        assert_eq!(machine.files(), files, "{what}");
    }
}

#[test]
fn planning_alone_leaves_nothing_behind() {
    let machine = Machine::with_echo();
    drop(machine.plan_with(&["echo"], &machine.options()).unwrap());
    assert_eq!((machine.staging(), machine.project().has_lock()), (0, false));
    assert_eq!(fs::read_dir(machine.home().store()).unwrap().count(), 0);
}

#[test]
fn files_and_urls_are_installed_too() {
    let machine = Machine::new();
    let bytes = pack(&embedded("echo", "1.0.0"));
    fs::write(machine.root().join("echo.wasm"), &bytes).unwrap();
    machine.install(&["./echo.wasm"]).unwrap();
    assert_eq!(machine.locked("echo").source.as_deref(), Some("./echo.wasm"));

    let outside = machine.folder.path().join("two.wasm");
    fs::write(&outside, pack(&embedded("two", "1.0.0"))).unwrap();
    machine.install(&[outside.to_str().unwrap()]).unwrap();
    assert!(machine.locked("two").source.unwrap().starts_with("file:///"));

    let three = pack(&embedded("three", "1.0.0"));
    let digest = Sha256::of(&three).hex();
    machine.net.set("https://h/three", 200, three);
    machine.install(&[&format!("https://h/three#sha256={digest}")]).unwrap();
    assert_eq!(machine.locked("three").source.as_deref(), Some("https://h/three"));

    // All three come back on another machine, from where the lock says they are.
    fs::remove_dir_all(machine.home().root()).unwrap();
    let restored = machine.restore().unwrap();
    assert_eq!(restored.iter().map(|pack| pack.restored).collect::<Vec<_>>(), [Restored::Fetched; 3]);
}

#[test]
fn without_enable_a_pack_is_installed_but_not_offered() {
    let machine = Machine::with_echo();
    let options = Options { enable: false, ..machine.options() };
    let done = machine.plan_with(&["echo"], &options).unwrap().commit(&machine.root(), &mut |_| {}).unwrap();
    assert!(!done.packs[0].enabled && machine.project().config().packs.is_empty());
    let lock = machine.files().0;
    assert!(machine.install(&["echo"]).unwrap().changed);
    assert_eq!((machine.project().config().packs.len(), machine.files().0), (1, lock));
}

#[test]
fn what_cannot_be_resolved_says_why_and_what_to_do() {
    let mut machine = Machine::with_echo();
    machine.publish(&embedded("echo", "1.1.0"));
    machine.publish(&embedded("echo", "2.0.0-rc.1"));
    machine.release("1.1.0", "yanked", true.into());
    machine.index["packs"]["stripe"] = json!({
        "display_name": "", "description": "",
        "python": { "package": "rig-pack-stripe" }, "node": { "package": "@x/stripe" },
    });
    machine.write_index();
    let cases = [
        ("ecoh", "the index has no pack `ecoh`", "did you mean `echo`?"),
        ("zzzzzzz", "the index has no pack `zzzzzzz`", "`rig packs --available`"),
        ("echo@3.0.0", "`echo` has no version 3.0.0", "there is 2.0.0-rc.1, 1.0.0"),
        ("echo@^3", "`echo` has no version ^3", "there is 2.0.0-rc.1, 1.0.0"),
        ("echo@1.1.0", "`echo` 1.1.0 was withdrawn by its publisher", "install `echo@1.0.0` instead"),
        (
            "stripe",
            "`stripe` is a pack for Python and Node, and was asked for as a component",
            "add `--runtime python` or `--runtime node`",
        ),
        ("./none.wasm", "cannot read ", ""),
    ];
    for (what, message, hint) in cases {
        let (found, next) = texts(machine.install(&[what]));
        assert!(found.starts_with(message) && next.starts_with(hint), "{what}: {found} / {next}");
    }
    assert_eq!(machine.plan_with(&["echo"], &machine.options()).unwrap().packs[0].version().to_string(), "1.0.0");
    machine.release("1.0.0", "min_rig", "9.0.0".into());
    let (found, _) = texts(machine.install(&["echo"]));
    assert_eq!(found, format!("`echo` 1.0.0 needs rig 9.0.0 or later; this is rig {}", rig_version()));
    assert!(!machine.project().has_lock());
}

#[test]
fn a_component_must_be_what_the_index_says() {
    let mut machine = Machine::with_echo();
    let file = machine.folder.path().join("index/echo-1.0.0.wasm");
    // Other bytes of the same size; then another pack, and another version, with hashes that fit.
    let digest = Sha256::of(&fs::read(&file).unwrap());
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, &bytes).unwrap();
    let (found, hint) = texts(machine.install(&["echo"]));
    let expected = format!("is not what it should be: it should have {digest}, but has {}", Sha256::of(&bytes));
    assert!(found.starts_with("`echo`: file:///") && found.ends_with(&expected), "{found}");
    assert!(hint.contains("--refresh"));

    for (other, message) in [
        (embedded("other", "1.0.0"), "`echo`: the id of the component is other, but echo was expected"),
        (embedded("echo", "1.0.9"), "`echo`: the version of the component is 1.0.9, but 1.0.0 was expected"),
    ] {
        let bytes = pack(&other);
        fs::write(&file, &bytes).unwrap();
        machine.release("1.0.0", "sha256", Sha256::of(&bytes).to_string().into());
        machine.release("1.0.0", "size", bytes.len().into());
        assert_eq!(texts(machine.install(&["echo"])).0, message);
    }
    machine.publish(&embedded("echo", "1.0.0"));
    machine.release("1.0.0", "interface_hash", Sha256::of(b"").to_string().into());
    assert!(texts(machine.install(&["echo"])).0.starts_with("`echo`: the interface hash of the component is sha256:"));
    assert_eq!((machine.staging(), machine.project().has_lock()), (0, false));
    assert_eq!(fs::read_dir(machine.home().store()).unwrap().count(), 0);
}

#[test]
fn a_released_version_never_changes() {
    let mut machine = Machine::with_echo();
    machine.install(&["echo"]).unwrap();
    let (files, old) = (machine.files(), machine.locked("echo").integrity.unwrap());
    let mut changed = embedded("echo", "1.0.0");
    changed.tools[0].def.description = "Gets it, differently.".into();
    let new = machine.publish(&changed);
    fs::write(machine.root().join("new.wasm"), pack(&changed)).unwrap();
    for what in ["echo", "echo@1.0.0", "./new.wasm"] {
        let (found, hint) = texts(machine.install(&[what]));
        let message = format!("`echo` 1.0.0 is not the one in rig.lock: the lock has {old}, ");
        assert!(found.starts_with(&message) && found.ends_with(&format!(" has {new}")), "{what}: {found}");
        assert!(hint.contains("rig uninstall echo"));
    }
    assert_eq!(machine.files(), files);
    // Another version is fine, shows what is different, and leaves the comments of rig.yaml alone.
    let mut next = embedded("echo", "1.1.0");
    next.manifest.storage = Some(serde_json::from_value(json!({ "quota": 5 })).unwrap());
    machine.publish(&next);
    machine.publish(&embedded("echo", "1.0.0"));
    let kept = machine.plan_with(&["echo"], &machine.options()).unwrap();
    assert_eq!(
        (&kept.packs[0].action, kept.packs[0].newer.as_ref().unwrap().to_string().as_str()),
        (&Action::Keep, "1.1.0")
    );
    let plan = machine.plan_with(&["echo@1.1.0"], &machine.options()).unwrap();
    assert_eq!(plan.consent()[0].changes.as_ref().unwrap().added, ["storage: 5 B"]);
    assert!(!plan.consent()[0].publisher.as_ref().unwrap().new_to_project);
    plan.commit(&machine.root(), &mut |_| {}).unwrap();
    assert_eq!(machine.locked("echo").version.to_string(), "1.1.0");
    let comments = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
    assert_eq!(comments(&machine.files().1), comments(&files.1));
}

#[test]
fn a_changed_store_is_refused_and_repaired() {
    let machine = Machine::with_echo();
    machine.install(&["echo"]).unwrap();
    let (files, locked) = (machine.files(), machine.locked("echo"));
    let digest = locked.integrity.unwrap();
    let found = machine.tamper(&digest);
    let error = load_pack(&machine.home(), &locked).unwrap_err();
    let path = machine.home().component(&digest);
    let message =
        format!("the component of `echo`: {} was changed: it should have {digest}, but has {found}", path.display());
    assert_eq!((error.to_string(), error.hint().unwrap().contains("rig install")), (message, true));
    let report = &verify(&machine.home(), &machine.project())[0];
    assert_eq!((report.ok, report.expected, report.found), (false, Some(digest), Some(found)));

    assert_eq!(machine.restore().unwrap()[0].restored, Restored::Repaired);
    assert!(verify(&machine.home(), &machine.project())[0].ok);
    assert_eq!(machine.restore().unwrap()[0].restored, Restored::Present);
    // Naming the pack repairs it as well.
    machine.tamper(&digest);
    machine.install(&["echo"]).unwrap();
    assert!(load_pack(&machine.home(), &locked).is_ok());
    assert_eq!(machine.files(), files);
}

#[test]
fn restoring_takes_what_the_lock_says_or_fails() {
    let mut machine = Machine::with_echo();
    machine.install(&["echo"]).unwrap();
    let digest = machine.locked("echo").integrity.unwrap();
    let (from, to) =
        (machine.folder.path().join("index/echo-1.0.0.wasm"), machine.folder.path().join("index/moved.wasm"));
    fs::rename(&from, &to).unwrap();
    fs::remove_dir_all(machine.home().root()).unwrap();
    let (found, _) = texts(machine.restore());
    assert!(found.starts_with("`echo`: cannot fetch file:///") && found.contains("No such file"), "{found}");
    // The index knows another place with the same bytes.
    machine.release("1.0.0", "urls", json!(["moved.wasm"]));
    assert_eq!(machine.restore().unwrap()[0].restored, Restored::Fetched);
    // Where the place has other bytes now, nothing is put into the store.
    fs::remove_dir_all(machine.home().root()).unwrap();
    fs::write(&from, pack(&embedded("echo", "1.0.1"))).unwrap();
    fs::remove_file(&to).unwrap();
    let (found, _) = texts(machine.restore());
    assert!(found.contains(&digest.to_string()) || found.contains("cannot fetch"), "{found}");
    assert!(!machine.home().component(&digest).exists());

    let yaml = machine.files().1.replace("- echo", "- echo\n  - stripe");
    fs::write(machine.root().join("rig.yaml"), yaml).unwrap();
    let (found, hint) = texts(machine.restore());
    assert_eq!(found, "rig.yaml names the pack `stripe`, but rig.lock does not hold it");
    assert!(hint.starts_with("run `rig install stripe`"));
}

#[test]
fn lock_entries_that_lie_about_a_component_are_refused() {
    let machine = Machine::with_echo();
    machine.install(&["echo"]).unwrap();
    let sound = machine.files().0;
    let rewrite = |change: &dyn Fn(&mut Value)| {
        let mut lock: Value = serde_json::from_str(&sound).unwrap();
        lock.as_object_mut().unwrap().remove("digest");
        change(&mut lock["packs"]["echo"]);
        fs::write(machine.root().join("rig.lock"), lock.to_string()).unwrap();
        machine.restore()
    };
    let zero = Sha256::of(b"").to_string();
    let cases: [(&str, Value, &str); 5] = [
        ("version", json!("1.0.1"), "rig.lock says of `echo` that its version is 1.0.1, but the component says 1.0.0"),
        ("size", json!(5), "rig.lock says of `echo` that its size is 5, but the component says "),
        ("interface_hash", json!(zero), "rig.lock says of `echo` that its interface_hash is sha256:e3b0"),
        ("tools_hash", json!(zero), "rig.lock says of `echo` that its tools_hash is sha256:e3b0"),
        (
            "granted",
            json!({ "network": [{ "host": "evil.test" }] }),
            "rig.lock grants `echo` what its manifest does not ask for: network: GET https://evil.test/*",
        ),
    ];
    for (key, value, message) in cases {
        let (found, hint) = texts(rewrite(&|entry| entry[key] = value.clone()));
        assert!(found.starts_with(message), "{found}");
        assert!(hint.starts_with("restore rig.lock from version control"), "{hint}");
    }
    // The control: a lock that was edited but is true passes, and is sealed again.
    rewrite(&|_| {}).unwrap();
    assert_eq!(machine.files().0, sound);
    let (found, _) = texts(rewrite(&|entry| entry["runtime"] = "python".into()));
    assert!(found.starts_with("there is no Python on this machine"), "{found}");
}

#[test]
fn what_a_pack_needs_is_installed_with_it() {
    let mut machine = Machine::with_echo();
    let mut needing = embedded("needing", "1.0.0");
    needing.manifest.dependencies.insert("echo".parse().unwrap(), "^1".parse().unwrap());
    machine.publish(&needing);
    let plan = machine.plan_with(&["needing"], &machine.options()).unwrap();
    assert_eq!(plan.packs[1].needed_by.as_ref().map(ToString::to_string).as_deref(), Some("needing"));
    plan.commit(&machine.root(), &mut |_| {}).unwrap();
    assert_eq!(machine.locked("needing").dependencies[&"echo".parse().unwrap()], "1.0.0");

    let ids = |text: &str| [text.parse().unwrap()];
    let uninstall = |id: &str| uninstall(&machine.root(), &ids(id), None, &mut |_| {});
    assert_eq!(texts(uninstall("echo")), ("`echo` is needed by `needing`".into(), "uninstall `needing` too".into()));
    assert_eq!(texts(uninstall("ehco")).1, "did you mean `echo`?");
    uninstall("needing").unwrap();
    uninstall("echo").unwrap();
    let project = machine.project();
    assert!(
        project.lock().packs.is_empty()
            && project.config().packs.is_empty()
            && project.config().pack_metadata.is_empty()
    );

    let mut picky = embedded("picky", "1.0.0");
    picky.manifest.dependencies.insert("echo".parse().unwrap(), "^2".parse().unwrap());
    machine.publish(&picky);
    machine.install(&["echo"]).unwrap();
    let (found, hint) = texts(machine.install(&["picky"]));
    assert_eq!(
        found,
        "there are no versions that fit together:\n  `picky` 1.0.0 needs `echo` ^2\n  `echo` 1.0.0 is installed\n  \
         so `picky` 1.0.0 cannot be installed beside `echo` 1.0.0"
    );
    assert_eq!(hint, "no version that the index has fits; `rig uninstall echo` would make room");
    // The hint was tried out: with a version that fits it is another one.
    machine.publish(&embedded("echo", "2.0.0"));
    let (_, hint) = texts(machine.install(&["picky"]));
    assert_eq!(hint, "run `rig update echo`, then this command again");
    machine.publish(&embedded("echo", "3.0.0"));
    let (_, hint) = texts(machine.install(&["picky"]));
    assert_eq!(hint, "name them with versions that fit: `rig install … echo@2.0.0`");
    machine.install(&["picky", "echo@2.0.0"]).unwrap();
    assert_eq!(machine.locked("picky").dependencies[&"echo".parse().unwrap()], "2.0.0");
}

#[test]
fn installs_at_once_both_succeed_and_conflicts_are_refused() {
    let mut machine = Machine::with_echo();
    let names: Vec<String> = (0..6).map(|number| format!("pack{number}")).collect();
    for name in &names {
        machine.publish(&embedded(name, "1.0.0"));
    }
    machine.publish(&embedded("echo", "1.1.0"));
    let (home, root) = (machine.home(), machine.root());
    thread::scope(|scope| {
        for name in &names {
            let (home, root) = (&home, &root);
            scope.spawn(move || {
                let net = Fake::default();
                let request = Request::parse(name, None, root).unwrap();
                let project = Project::open(root).unwrap();
                let installer = Installer::new(home.clone(), &net);
                let plan = run(installer.plan(&project, &[request], &Options::new(root.clone()), &|_| {})).unwrap();
                assert!(plan.commit(root, &mut |_| {}).unwrap().changed);
            });
        }
    });
    let project = machine.project();
    assert_eq!((project.lock().packs.len(), project.config().packs.len()), (6, 6));
    assert!(verify(&home, &project).iter().all(|report| report.ok));

    let plan = |what: &str| machine.plan_with(&[what], &machine.options()).unwrap();
    let (first, same, other) = (plan("echo@1.0.0"), plan("echo@1.0.0"), plan("echo@1.1.0"));
    first.commit(&root, &mut |_| {}).unwrap();
    assert!(!same.commit(&root, &mut |_| {}).unwrap().changed);
    let (found, hint) = texts(other.commit(&root, &mut |_| {}));
    assert_eq!(found, "another rig process changed `echo` in this project in the meantime");
    assert_eq!(
        (hint.as_str(), machine.locked("echo").version.to_string().as_str()),
        ("run the command again", "1.0.0")
    );
}

#[test]
fn offline_uses_what_is_here() {
    let machine = Machine::new();
    let url = "https://index.test/i.json";
    let bytes = pack(&embedded("echo", "1.0.0"));
    let release = json!({ "sha256": Sha256::of(&bytes).to_string(), "size": bytes.len(), "urls": ["e.wasm"] });
    let index = json!({ "api_version": 1, "generated_at": "t", "packs": { "echo": {
        "display_name": "", "description": "", "wasm": { "versions": { "1.0.0": release } } } } });
    machine.net.set(url, 200, index.to_string());
    machine.net.set("https://index.test/e.wasm", 200, bytes);
    let trust = Trust { allow_unsigned: true, keys: Vec::new() };
    let offline = Options { index_url: Some(url.into()), mode: Mode::Offline, trust, ..machine.options() };
    let online = Options { mode: Mode::Cached, ..offline.clone() };
    let strict = Options { trust: Trust::default(), ..online.clone() };
    assert_eq!(
        texts(machine.plan_with(&["echo"], &strict)).0,
        "cannot fetch https://index.test/metadata/root.json: connection refused"
    );
    assert!(
        texts(machine.plan_with(&["echo"], &offline)).0.starts_with("there is no copy of the index https://index.test")
    );
    drop(machine.plan_with(&["echo"], &online).unwrap());
    let (found, hint) = texts(machine.plan_with(&["echo"], &offline));
    assert_eq!(found, "`echo`: https://index.test/e.wasm is not on this machine, and `--offline` was given");
    assert!(hint.contains("without `--offline`"));
    machine.plan_with(&["echo"], &online).unwrap().commit(&machine.root(), &mut |_| {}).unwrap();
    let asked = machine.net.count();
    machine.plan_with(&["echo"], &offline).unwrap().commit(&machine.root(), &mut |_| {}).unwrap();
    assert_eq!(machine.net.count(), asked);
    assert_eq!(machine.project().lock().index_url.as_deref(), Some(url));
    assert!(machine.root().join(".rig/cache/pack_index.json").exists());
}
