//! Attacks on a signed index, each with a control: with the defence away, the same files are taken.

mod repository;

use rig_specs::tuf::{Envelope, RoleName};
use serde_json::json;

use self::repository::{Machine, Repository, URL, fault, later};
use super::{Fault, Trust};
use crate::install::{Mode, Standing, index::IndexError};

const DAY: i64 = 24;

#[test]
fn a_signed_index_is_read_and_remembered() {
    let (repository, machine) = (Repository::new(), Machine::new());
    repository.add("one", "1.0.0");
    machine.serve(&repository.files());
    let packs = machine.update(&repository.trust()).unwrap();
    assert_eq!(packs, ["one 1.0.0"]);
    // What was confirmed once is not asked for again.
    assert_eq!(machine.update(&Trust::default()).unwrap(), ["one 1.0.0"]);
    let known = super::known(&machine.home).unwrap();
    assert_eq!((known.len(), known[0].url.as_str(), known[0].root, known[0].version), (1, URL, 1, 2));
    assert_eq!(known[0].root_keys, repository.root_keys());
}

#[test]
fn keys_are_confirmed_before_they_count() {
    let (repository, machine) = (Repository::new(), Machine::new());
    machine.serve(&repository.files());
    let error = machine.update(&Trust::default()).unwrap_err();
    assert_eq!(fault(&error), Fault::FirstUse { keys: repository.root_keys(), threshold: 1 });
    let key = repository.root_keys()[0];
    assert_eq!(
        error.to_string(),
        format!("the index {URL} cannot be trusted: it is signed, by keys that nobody has confirmed yet: {key}")
    );
    assert!(super::known(&machine.home).unwrap().is_empty(), "nothing is remembered of it");
    // The control: a local index, where unsigned ones are taken too.
    assert_eq!(machine.local().update(&Trust::default()).unwrap(), [""; 0]);
}

#[test]
fn wrong_key() {
    let (repository, imposter, machine) = (Repository::new(), Repository::new(), Machine::new());
    imposter.add("one", "6.6.6");
    machine.serve(&imposter.files());
    let error = machine.update(&repository.trust()).unwrap_err();
    assert_eq!(fault(&error), Fault::WrongKeys { trusted: repository.root_keys(), found: 0, needed: 1 });
    // The control: to whoever trusts nobody in particular, it is an index as any other.
    assert_eq!(Machine::new().served(&imposter).update(&imposter.trust()).unwrap(), ["one 6.6.6"]);
    assert_eq!(Machine::new().served(&imposter).unsigned().unwrap(), ["one 6.6.6"]);
}

#[test]
fn rollback() {
    let (repository, machine) = (Repository::new(), Machine::new());
    repository.add("one", "1.0.0");
    let old = repository.files();
    repository.add("one", "1.0.1");
    machine.served(&repository).update(&repository.trust()).unwrap();
    machine.serve(&old);
    let error = machine.update(&Trust::default()).unwrap_err();
    assert_eq!(fault(&error), Fault::Rollback { role: RoleName::Timestamp, found: 2, seen: 3 });
    // The control: who does not remember takes the old index, and so does who does not look at signatures.
    let forgetful = Machine::new();
    forgetful.serve(&old);
    assert_eq!(forgetful.update(&repository.trust()).unwrap(), ["one 1.0.0"]);
    assert_eq!(machine.unsigned().unwrap(), ["one 1.0.0"]);
}

#[test]
fn freeze_and_expiry() {
    let (repository, machine) = (Repository::new(), Machine::new());
    machine.serve(&repository.files());
    machine.update(&repository.trust()).unwrap();
    for (days, file) in [(15, "timestamp.json"), (366, "1.root.json")] {
        let error = machine.at(later(days * DAY)).update(&repository.trust()).unwrap_err();
        assert!(matches!(fault(&error), Fault::Expired { file: found, .. } if found == file), "{error}");
    }
    // Signatures of the other files expire too, whatever the timestamp says.
    repository.sign_days(365);
    machine.serve(&repository.files());
    let error = machine.at(later(181 * DAY)).update(&repository.trust()).unwrap_err();
    assert!(matches!(fault(&error), Fault::Expired { file, .. } if file == "1.snapshot.json"), "{error}");
    // The control: the same files on the day before, and on any day to who does not look.
    assert!(machine.at(later(179 * DAY)).update(&repository.trust()).is_ok());
    assert!(machine.at(later(366 * DAY)).unsigned().is_ok());
}

#[test]
fn fast_forward_and_the_way_back() {
    let (repository, machine) = (Repository::new(), Machine::new());
    repository.add("one", "1.0.0");
    machine.served(&repository).update(&repository.trust()).unwrap();
    // Whoever has the timestamp's key signs a version that no honest timestamp ever reaches.
    let mut files = repository.files();
    repository.resign(&mut files, "metadata/timestamp.json", |signed| signed["version"] = json!(1_u64 << 60));
    machine.serve(&files);
    machine.update(&Trust::default()).unwrap();
    repository.add("one", "1.0.1");
    let error = machine.served(&repository).update(&Trust::default()).unwrap_err();
    let stuck = Fault::Rollback { role: RoleName::Timestamp, found: 3, seen: 1 << 60 };
    assert_eq!(fault(&error), stuck, "the control: until the key is replaced, the attack works");
    repository.rotate(RoleName::Targets);
    let error = machine.served(&repository).update(&Trust::default()).unwrap_err();
    assert!(matches!(fault(&error), Fault::Rollback { seen, .. } if seen == 1 << 60), "{error}");
    repository.rotate(RoleName::Timestamp);
    assert_eq!(machine.served(&repository).update(&Trust::default()).unwrap(), ["one 1.0.0", "one 1.0.1"]);
}

#[test]
fn mix_and_match() {
    let (repository, machine) = (Repository::new(), Machine::new());
    repository.add("one", "1.0.0");
    let old = repository.files();
    repository.add("one", "1.0.1");
    let new = repository.files();
    let index =
        |files: &repository::Files| files.keys().find(|name| name.ends_with(".pack_index.json")).unwrap().clone();
    let new_index = new.keys().find(|name| name.ends_with(".pack_index.json") && !old.contains_key(*name)).unwrap();
    for (name, from, file) in [
        ("metadata/3.snapshot.json", "metadata/2.snapshot.json", "3.snapshot.json"),
        ("metadata/3.targets.json", "metadata/2.targets.json", "3.targets.json"),
        (new_index, &index(&old), "pack_index.json"),
    ] {
        let mut mixed = new.clone();
        mixed.insert(name.to_owned(), old[from].clone());
        machine.serve(&mixed);
        let error = machine.update(&repository.trust()).unwrap_err();
        let found = fault(&error);
        assert!(
            matches!(&found, Fault::Hash { file: f, .. } | Fault::Length { file: f, .. } if f == file),
            "{name}: {error}"
        );
    }
    // The control: without signatures nothing says that an index and what lies beside it belong together.
    let mut mixed = new.clone();
    mixed.insert("pack_index.json".into(), old["pack_index.json"].clone());
    machine.serve(&mixed);
    assert_eq!(machine.unsigned().unwrap(), ["one 1.0.0"]);
    assert_eq!(Machine::new().served(&repository).update(&repository.trust()).unwrap(), ["one 1.0.0", "one 1.0.1"]);
}

#[test]
fn a_threshold_is_not_met_by_one_key_twice() {
    let repository = Repository::new();
    let (second, extra) = repository.key("second");
    repository.change(RoleName::Timestamp, &[second], Some(2), &[]);
    repository.sign_with(&[extra]);
    let files = repository.files();
    let machine = Machine::new();
    machine.serve(&files);
    machine.update(&repository.trust()).unwrap();

    let name = "metadata/timestamp.json";
    let envelope: Envelope = serde_json::from_slice(&files[name]).unwrap();
    assert_eq!(envelope.signatures.len(), 2);
    let only = |keep: usize| vec![envelope.signatures[keep].clone(); 2];
    for keep in [0, 1] {
        let mut forged = files.clone();
        let twice = Envelope { signatures: only(keep), ..envelope.clone() };
        // The control: who counts signatures counts enough.
        assert!(twice.signatures.len() >= 2);
        forged.insert(name.into(), twice.to_text().into_bytes());
        machine.serve(&forged);
        let error = machine.update(&Trust::default()).unwrap_err();
        assert_eq!(fault(&error), Fault::Signatures { file: "timestamp.json".into(), found: 1, needed: 2 });
    }
    // Nor under another id: the keys are counted, not their names.
    let mut renamed = envelope.clone();
    renamed.signatures[1] = renamed.signatures[0].clone();
    renamed.signatures[1].keyid = second.id();
    let mut forged = files.clone();
    forged.insert(name.into(), renamed.to_text().into_bytes());
    machine.serve(&forged);
    assert!(matches!(fault(&machine.update(&Trust::default()).unwrap_err()), Fault::Signatures { found: 1, .. }));
    machine.serve(&files);
    assert!(machine.update(&Trust::default()).is_ok(), "the control: both of them");
}

#[test]
fn keys_are_rotated_and_revoked() {
    let (repository, machine) = (Repository::new(), Machine::new());
    let trust = repository.trust();
    machine.served(&repository).update(&trust).unwrap();
    let before = repository.files();
    repository.rotate(RoleName::Targets);
    repository.add("one", "1.0.0");
    // What the old key signs is worth nothing once the new root is there.
    let mut stolen = repository.files();
    let targets = "metadata/3.targets.json";
    repository.resign_as(&mut stolen, targets, "targets", |signed| {
        signed["targets"]["x"] = json!({ "length": 1, "hashes": { "sha256": "0".repeat(64) } });
    });
    repository.describe_again(&mut stolen, 3);
    machine.serve(&stolen);
    let error = machine.update(&Trust::default()).unwrap_err();
    assert_eq!(fault(&error), Fault::Signatures { file: "3.targets.json".into(), found: 0, needed: 1 });
    // The control: before the root said so, the old key counted.
    let fresh = Machine::new();
    fresh.serve(&before);
    assert!(fresh.update(&trust).is_ok());

    // Root keys: who trusted the first one follows; who only has the last one cannot make the next.
    assert_eq!(machine.served(&repository).update(&Trust::default()).unwrap(), ["one 1.0.0"]);
    repository.rotate(RoleName::Root);
    repository.rotate(RoleName::Root);
    assert_ne!(repository.root_keys(), trust.keys);
    assert_eq!(machine.served(&repository).update(&Trust::default()).unwrap(), ["one 1.0.0"]);
    assert_eq!(Machine::new().served(&repository).update(&trust).unwrap(), ["one 1.0.0"], "by way of the first root");
    let mut alone = repository.files();
    repository.strip(&mut alone, "metadata/4.root.json", "root-4");
    let skipping = Machine::new();
    skipping.serve(&before);
    skipping.update(&trust).unwrap();
    skipping.serve(&alone);
    let error = skipping.update(&Trust::default()).unwrap_err();
    assert_eq!(fault(&error), Fault::Signatures { file: "4.root.json".into(), found: 0, needed: 1 });
}

#[test]
fn truncated_endless_and_swapped_downloads() {
    let repository = Repository::new();
    repository.add("one", "1.0.0");
    let files = repository.files();
    let index = files.keys().filter(|name| name.ends_with(".pack_index.json"));
    let index = index.max_by_key(|name| files[*name].len()).unwrap();
    let all =
        ["metadata/root.json", "metadata/timestamp.json", "metadata/2.snapshot.json", "metadata/2.targets.json", index];
    for name in all {
        let machine = Machine::new();
        let length = files[name].len();
        for (what, bytes) in [
            ("cut", files[name][..length - 7].to_vec()),
            ("long", [&files[name][..], &vec![b' '; 40 << 20]].concat()),
            ("swapped", files[name].iter().rev().copied().collect()),
            ("one bit", {
                let mut bytes = files[name].clone();
                bytes[length / 2] ^= 1;
                bytes
            }),
        ] {
            let mut changed = files.clone();
            changed.insert(name.into(), bytes);
            // The way around a damaged newest root is the first one.
            changed.remove("metadata/1.root.json");
            machine.serve(&changed);
            let error = machine.update(&repository.trust()).unwrap_err();
            let found = fault(&error);
            let fits = match what {
                "long" => matches!(found, Fault::TooLarge { .. }),
                _ => matches!(
                    found,
                    Fault::Malformed { .. }
                        | Fault::Hash { .. }
                        | Fault::Length { .. }
                        | Fault::Signatures { .. }
                        | Fault::WrongKeys { .. }
                ),
            };
            assert!(fits, "{what} {name}: {error}");
        }
        machine.serve(&files);
        assert_eq!(machine.update(&repository.trust()).unwrap(), ["one 1.0.0"], "the control");
    }
    // Swapped bytes of the same size, where nobody signs: taken.
    let machine = Machine::new();
    let mut changed = files.clone();
    let swapped = String::from_utf8(changed["pack_index.json"].clone()).unwrap().replace("\"1.0.0\"", "\"6.6.6\"");
    changed.insert("pack_index.json".into(), swapped.into_bytes());
    machine.serve(&changed);
    assert_eq!(machine.unsigned().unwrap(), ["one 6.6.6"]);
}

#[test]
fn signatures_do_not_go_away() {
    let (repository, machine) = (Repository::new(), Machine::new());
    repository.add("one", "1.0.0");
    machine.served(&repository).update(&repository.trust()).unwrap();
    let mut files = repository.files();
    files.retain(|name, _| name == "pack_index.json");
    machine.serve(&files);
    let error = machine.load(Mode::Refresh, &Trust::default()).unwrap_err();
    assert_eq!(fault(&error), Fault::NoLongerSigned { file: "timestamp.json".into() });
    let fresh = Machine::new();
    fresh.serve(&files);
    let error = fresh.load(Mode::Refresh, &Trust::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the index {URL} cannot be trusted: it is not signed, and an index from the network must be")
    );
    assert!(error.hint().unwrap().contains("`--allow-unsigned` uses it as it is"), "{error}");
    // The control: a machine that never saw the signatures and does not ask for any.
    assert_eq!(fresh.unsigned().unwrap(), ["one 1.0.0"]);
    // Where it was signed, the flag changes nothing.
    let error = machine.load(Mode::Refresh, &Trust { allow_unsigned: true, keys: Vec::new() }).unwrap_err();
    assert!(matches!(fault(&error), Fault::NoLongerSigned { .. }), "{error}");
}

#[test]
fn the_copy_of_a_project_is_only_what_rig_remembers() {
    let (repository, machine) = (Repository::new(), Machine::new());
    repository.add("one", "1.0.0");
    machine.serve(&repository.files());
    let loaded = machine.load(Mode::Cached, &repository.trust()).unwrap();
    assert!(matches!(&loaded.standing, Standing::Signed(signed) if signed.version == 2), "{:?}", loaded.standing);
    let asked = machine.net.count();
    machine.load(Mode::Cached, &Trust::default()).unwrap();
    assert_eq!(machine.net.count(), asked, "fresh, and good");
    machine.load(Mode::Offline, &Trust::default()).unwrap();
    // Somebody who can write the project, and seals a copy as rig does, is not believed.
    machine.forge_copy("6.6.6");
    let error = machine.load(Mode::Offline, &Trust::default()).unwrap_err();
    assert!(matches!(error, IndexError::NoCopy { .. }), "{error}");
    assert_eq!(machine.load(Mode::Cached, &Trust::default()).unwrap().index.packs.len(), 1);
    // The control: where nothing is signed, the same copy is.
    machine.forge_copy("6.6.6");
    let unsigned = Trust { allow_unsigned: true, keys: Vec::new() };
    let other = Machine { home: crate::home::Home::new(machine.folder.path().join("other")), ..machine };
    let loaded = other.load(Mode::Offline, &unsigned).unwrap();
    assert!(loaded.index.to_text().contains("6.6.6"));
}

#[test]
fn the_index_and_the_signed_files_say_the_same() {
    let (repository, machine) = (Repository::new(), Machine::new());
    repository.add("one", "1.0.0");
    repository.sign_other("one-1.0.0.wasm");
    machine.serve(&repository.files());
    let error = machine.load(Mode::Refresh, &repository.trust()).unwrap_err();
    assert_eq!(fault(&error), Fault::NotSigned { file: "one-1.0.0.wasm".into() });
}
