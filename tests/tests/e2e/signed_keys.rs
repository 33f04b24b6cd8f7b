//! `rig index`: keys, roots that wait for signatures, rotation, and the check of a change to an index.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rig_specs::tuf::{Envelope, PublicKey, Signature};
use rig_tests::{Clients, Project, SignedIndex, packs};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

/// Changes a file of an index and signs it with one of its keys: what a maintainer, or whoever stole the key, can do.
pub(crate) fn resign(index: &SignedIndex, name: &str, key: &str, change: impl FnOnce(&mut Value)) {
    let path = index.folder.join(name);
    let mut envelope: Envelope = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut envelope.signed);
    let pem = fs::read_to_string(index.keys.join(format!("{key}.pem"))).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let pair = Ed25519KeyPair::from_pkcs8(&STANDARD.decode(der).unwrap()).unwrap();
    let public = PublicKey::from_bytes(pair.public_key().as_ref().try_into().unwrap());
    let sig = hex::encode(pair.sign(&envelope.message().unwrap()));
    envelope.signatures = vec![Signature { keyid: public.id(), sig }];
    fs::write(path, envelope.to_text()).unwrap();
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn keys_are_made_once_and_for_their_owner() {
    let project = Project::empty();
    let made = project.rig(&["index", "key", "k.pem", "--json"]).ok().json();
    assert_eq!(made["made"], true);
    let key = made["key"].as_str().unwrap();
    assert_eq!(key.parse::<PublicKey>().unwrap().id(), made["id"].as_str().unwrap());
    let bytes = project.read("k.pem");
    assert!(bytes.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    project.rig(&["index", "key", "k.pem"]).ok().shows(key);
    assert_eq!(project.read("k.pem"), bytes, "never written over");
    let permit =
        |bits| fs::set_permissions(project.dir().join("k.pem"), std::os::unix::fs::PermissionsExt::from_mode(bits));
    permit(0o644).unwrap();
    project.rig(&["index", "key", "k.pem"]).fails_with(1).explains(&["others can read or change it"]);
    permit(0o600).unwrap();
    project.write("k.pem", "no key");
    project.rig(&["index", "key", "k.pem"]).fails_with(1).explains(&["it holds no `PRIVATE KEY`"]);
}

#[test]
fn an_index_is_begun_once_and_its_keys_are_elsewhere() {
    let project = Project::empty();
    let init = |keys: &str| project.rig(&["index", "init", "packs", "--keys", keys]);
    init("packs/keys").fails_with(2).says("private keys must not be in the folder that is served");
    init("keys").ok().shows("trusted_keys: [\"ed25519:");
    init("keys").fails_with(1).explains(&["is a signed index already"]);
    project.rig(&["index", "sign", "none", "--keys", "keys"]).fails_with(1).explains(&["is not a signed index"]);
    project.rig(&["index", "sign", "packs"]).fails_with(2).says("--keys");
    fs::create_dir(project.dir().join("empty")).unwrap();
    project
        .rig(&["index", "sign", "packs", "--keys", "empty"])
        .fails_with(1)
        .explains(&["`timestamp` needs signatures of 1 of its keys, and 0 are here"]);
    project.rig(&["index", "sign", "packs", "--keys", "keys", "--days", "0"]).fails_with(2).says("0");
}

#[test]
fn a_root_waits_until_enough_have_signed_it() {
    let project = Project::empty();
    let key = |name: &str| -> String {
        let made = project.rig(&["index", "key", &format!("{name}/root.pem"), "--json"]).ok().json();
        made["key"].as_str().unwrap().to_owned()
    };
    let (ann, ben, cy) = (key("ann"), key("ben"), key("cy"));
    let init =
        ["index", "init", "packs", "--keys", "ci", "--root-key", &ann, "--root-key", &ben, "--root-key", &cy, "--json"];
    let begun = project.rig(&init).ok().json();
    assert_eq!(begun["pending"], json!({ "version": 1, "found": 0, "needed": 2 }));
    assert!(!project.has("packs/metadata/root.json") && !project.has("packs/metadata/timestamp.json"));
    let sign = |keys: &[&str]| {
        let keys = keys.iter().flat_map(|keys| ["--keys", keys]);
        project.run(["index", "sign", "packs", "--json"]).args(keys).output()
    };
    assert_eq!(sign(&["ann"]).ok().json()["pending"]["found"], 1);
    assert_eq!(sign(&["ann"]).ok().json()["pending"]["found"], 1, "one key twice is one");
    assert!(!project.has("packs/metadata/root.json"));
    let done = sign(&["ben", "ci"]).ok().json();
    assert_eq!((&done["pending"], &done["root"], &done["threshold"]), (&Value::Null, &json!(1), &json!(2)));
    project.rig(&["index", "check", "packs"]).ok().shows("signed");

    // One of three leaves: the others say so, and nothing changes before both have.
    project.write(
        "rig.yaml",
        format!("index:\n  url: packs/pack_index.json\n  trusted_keys: [\"{ann}\", \"{ben}\", \"{cy}\"]\n"),
    );
    project.rig(&["packs", "--available"]).ok().shows("Index: packs/pack_index.json (signed)").says("no packs");
    let rotate = ["index", "rotate", "packs", "root", "--remove", &cy, "--keys", "ann", "--keys", "ci", "--json"];
    let waiting = project.rig(&rotate).ok().json();
    assert_eq!((&waiting["root"], &waiting["pending"]["found"]), (&json!(1), &json!(1)));
    project.rig(&rotate).fails_with(1).explains(&["the root 2 waits for signatures already"]);
    project.rig(&["packs", "--available"]).ok();
    assert_eq!(sign(&["ben", "ci"]).ok().json()["root"], 2);
    project.rig(&["packs", "--available"]).ok().shows("(signed)");
    let known = project.rig(&["index", "show", "--json"]).ok().json();
    assert_eq!((&known[0]["root"], known[0]["root_keys"].as_array().unwrap().len()), (&json!(2), 2));
    project
        .rig(&["index", "rotate", "packs", "root", "--remove", &cy, "--keys", "ann"])
        .fails_with(1)
        .explains(&["`root` has no key"]);
}

#[test]
fn a_key_that_was_replaced_counts_no_more() {
    let project = Project::empty();
    let index = SignedIndex::new(&project, "signed");
    index.add(&project, &packs::built("echo"), "Acme");
    project.write("rig.yaml", format!("index:\n  url: {}\n  trusted_keys: [\"{}\"]\n", index.url(), index.root_key));
    project.install(&["echo"]);
    // Whoever has the timestamp's key can go ahead of all honest versions, until the key is replaced.
    resign(&index, "metadata/timestamp.json", "timestamp", |signed| signed["version"] = json!(1_u64 << 50));
    project.rig(&["packs", "--available", "--refresh"]).ok();
    let stolen = index.snapshot();
    resign(&index, "metadata/timestamp.json", "timestamp", |signed| signed["version"] = json!(2));
    let output = project.rig(&["packs", "--available", "--refresh"]);
    output.fails_with(1).explains(&["its timestamp went back to version 2; version 1125899906842624 was seen before"]);
    index.rig(&project, "rotate", &["timestamp"]).ok();
    project.rig(&["packs", "--available", "--refresh"]).ok().shows("echo");
    // The key that was stolen is worth nothing to who has seen the new root.
    let good = index.snapshot();
    resign(&index, "metadata/timestamp.json", "timestamp", |signed| signed["version"] = json!(1_u64 << 50));
    let output = project.rig(&["packs", "--available", "--refresh"]);
    output.fails_with(1).explains(&["`timestamp.json` is signed by 0 of its keys, and 1 must"]);
    // The control: who has not, and is shown only the old files, still believes it.
    index.restore(&stolen);
    let other = Project::empty();
    other.set_index(&index.url());
    other.rig(&["packs", "--available"]).ok().shows("echo");
    index.restore(&good);
    // Root keys too: whoever trusted the first ones follows.
    index.rig(&project, "rotate", &["root"]).ok();
    index.rig(&project, "rotate", &["root"]).ok();
    project.rig(&["packs", "--available", "--refresh"]).ok().shows("echo");
    let fresh = Project::empty();
    fresh.write("rig.yaml", project.read("rig.yaml"));
    fresh.install(&["echo"]);
}

/// What others make of what rig signs: the reference implementation accepts it, follows the roots, and refuses what rig refuses.
#[test]
fn the_reference_client_reads_what_rig_signs() {
    let Some(clients) = Clients::find() else { return };
    let project = Project::empty();
    let index = SignedIndex::new(&project, "signed");
    let echo = packs::built("echo");
    index.add(&project, &echo, "Acme");
    let url = index.url();
    let url = url.trim_end_matches("/pack_index.json");
    let first = index.folder.join("metadata/1.root.json");
    let read = || {
        let output = clients.tuf(&project).args([url, text(&first), "pack_index.json", "echo-0.1.0.wasm"]).output();
        output.ok().json()
    };
    let accepted = read();
    assert_eq!(accepted["targets"]["echo-0.1.0.wasm"], json!(rig_specs::Sha256::of(&echo).hex()), "{accepted}");
    for role in ["timestamp", "targets", "root", "root"] {
        index.rig(&project, "rotate", &[role]).ok();
        assert_eq!(read()["ok"], true, "{role}");
    }
    resign(&index, "metadata/timestamp.json", "timestamp", |signed| signed["version"] = json!(99));
    assert_eq!(read(), json!({ "ok": false, "error": "UnsignedMetadataError" }));
}

#[test]
fn a_pack_is_taken_out_and_never_comes_back_as_another() {
    let project = Project::empty();
    let index = SignedIndex::new(&project, "signed");
    let echo = packs::built("echo");
    index.add(&project, &echo, "Acme");
    index.add(&project, &packs::released(&echo, "0.2.0"), "Acme");
    project.set_index(&index.url());
    project.install(&["echo@0.1.0"]);
    index.rig(&project, "remove", &["echo@9.9.9"]).fails_with(1).explains(&["the index has no echo 9.9.9"]);
    index.rig(&project, "remove", &["echo@0.1.0"]).ok();
    assert!(!index.folder.join("echo-0.1.0.wasm").exists());
    // Who has it keeps it.
    project.install(&["echo"]);
    project.rig(&["verify"]).ok();
    project.rig(&["install", "echo@0.1.0", "--refresh", "--yes"]).ok();
    Project::empty().set_index(&index.url()).rig(&["install", "echo@0.1.0", "--yes"]).fails_with(1).says("0.2.0");
    let evil = packs::repacked(&echo, |pack| pack.tools[0].def.description = "Another.".into());
    let file = project.root().join("tmp/evil.wasm");
    fs::write(&file, evil).unwrap();
    index
        .rig(&project, "add", &[text(&file)])
        .fails_with(1)
        .explains(&["echo 0.1.0 is in the index already, with other bytes"]);
    index.add(&project, &echo, "Acme");
    index.rig(&project, "remove", &["echo"]).ok();
    project.rig(&["packs", "--available", "--refresh"]).ok().says("no packs");
    project.rig(&["index", "check", text(&index.folder)]).ok().shows("0 releases, 0 errors, 0 warnings; signed");
}

#[test]
fn the_check_of_a_change_finds_what_is_wrong() {
    let project = Project::empty();
    let index = SignedIndex::new(&project, "signed");
    let echo = packs::built("echo");
    index.add(&project, &echo, "Acme");
    let folder = text(&index.folder).to_owned();
    let base = project.root().join("base");
    fs::create_dir(&base).unwrap();
    for name in ["pack_index.json", "echo-0.1.0.wasm"] {
        fs::copy(index.folder.join(name), base.join(name)).unwrap();
    }
    let check = || project.rig(&["index", "check", &folder, "--base", text(&base), "--json"]);
    let report = check().ok().json();
    assert_eq!(
        (&report["ok"], &report["signatures"], &report["findings"]),
        (&json!(true), &json!("signed"), &json!([]))
    );
    assert_eq!(
        (&report["releases"][0]["license"], &report["releases"][0]["new"]),
        (&json!("Apache-2.0"), &json!(false))
    );
    let good = index.snapshot();

    let described = |pack: &mut rig_specs::manifest::EmbeddedPack| pack.tools[0].def.description = "Another.".into();
    let cases: [(&str, Vec<u8>, &[&str]); 5] = [
        (
            "tools that are described in another way than before, in the same version",
            packs::repacked(&echo, described),
            &[
                "a released version never changes: it had sha256:",
                "the tool `echo.message.send` describes itself in another way than the pack says",
            ],
        ),
        (
            "tools that are described in another way than the code does",
            packs::repacked(&packs::released(&echo, "0.2.0"), described),
            &["the tool `echo.message.send` describes itself in another way than the pack says"],
        ),
        (
            "no licence",
            packs::repacked(&packs::released(&echo, "0.2.0"), |pack| pack.manifest.pack.license = None),
            &["its manifest names no licence"],
        ),
        (
            "a name too close to another",
            super::signed_names::renamed(&echo, "ech0"),
            &["its name is too close to `echo`"],
        ),
        ("no pack", packs::hollow_component(), &[]),
    ];
    for (what, component, expected) in cases {
        index.restore(&good);
        if expected.is_empty() {
            fs::write(index.folder.join("echo-0.1.0.wasm"), component).unwrap();
            check().fails_with(1).shows("its component `echo-0.1.0.wasm` has sha256:");
            continue;
        }
        index.smuggle(&component);
        let mut json: Value = serde_json::from_slice(&fs::read(index.folder.join("pack_index.json")).unwrap()).unwrap();
        if what.starts_with("a name") {
            let was: Value = serde_json::from_slice(&fs::read(base.join("pack_index.json")).unwrap()).unwrap();
            json["packs"]["echo"] = was["packs"]["echo"].clone();
            fs::write(index.folder.join("pack_index.json"), json.to_string()).unwrap();
        }
        let output = check();
        output.fails_with(1);
        let report = output.json();
        let found: Vec<&str> =
            report["findings"].as_array().unwrap().iter().filter_map(|f| f["what"].as_str()).collect();
        for text in expected {
            assert!(found.iter().any(|found| found.starts_with(text)), "{what}: {found:?}");
        }
        assert_eq!(report["signatures"], "outdated", "{what}");
    }
    // The control: a new version of the pack, as it is.
    index.restore(&good);
    index.add(&project, &packs::released(&echo, "0.2.0"), "Acme");
    let report = check().ok().json();
    assert_eq!((&report["releases"][1]["new"], &report["findings"]), (&json!(true), &json!([])));
}
