//! Names and those behind them: look-alikes, publishers, the same id in another index, indexes that nobody signed, and ids and versions
//! that are paths.

use std::fs;

use rig_specs::lock::Standing;
use rig_tests::{IndexServer, Project, Reply, SignedIndex, Upstream, packs};
use serde_json::{Value, json};

/// A pack under another id.
pub(crate) fn renamed(component: &[u8], id: &str) -> Vec<u8> {
    packs::repacked(component, |pack| {
        let old = format!("{}.", pack.manifest.pack.id);
        pack.manifest.pack.id = id.parse().unwrap();
        for tool in &mut pack.tools {
            tool.def.name = tool.def.name.replacen(&old, &format!("{id}."), 1);
        }
    })
}

/// An index that is not signed, of components with their publishers.
fn offer(project: &Project, folder: &str, components: &[(Vec<u8>, &str)]) -> String {
    let dir = project.root().join(folder);
    fs::create_dir_all(&dir).unwrap();
    for (component, publisher) in components {
        let file = project.root().join("tmp/published.wasm");
        fs::write(&file, component).unwrap();
        let publish = ["publish", file.to_str().unwrap(), "--to", dir.to_str().unwrap(), "--publisher", publisher];
        project.rig(&publish).ok();
    }
    format!("file://{}/pack_index.json", dir.display())
}

#[test]
fn a_name_that_is_taken_for_another_is_asked_about() {
    let project = Project::empty();
    let echo = packs::built("echo");
    let (fake, cousin) = (renamed(&echo, "ech0"), renamed(&echo, "echos"));
    let alone = offer(&project, "alone", &[(echo.clone(), "Acme"), (cousin.clone(), "Acme")]);
    let url = offer(&project, "names", &[(echo, "Acme"), (fake, "Mallory"), (cousin, "Acme")]);
    project.set_index(&url);
    let output = project.rig(&["install", "ech0", "--yes"]);
    output
        .fails_with(1)
        .says("looks like `echo` of Acme")
        .explains(&["the name ech0 is close to `echo` of Acme", "--accept ech0"]);
    assert!(!project.has("rig.lock"));
    // Rig does not know which of the two was there first: it asks for both.
    project.rig(&["install", "echo", "--yes"]).fails_with(1).says("looks like `ech0` of Mallory");
    // The control: names of one publisher, and who says that it is meant.
    project.install(&["echo", "--index-url", &alone]).lacks("looks like");
    project.install(&["ech0", "--accept", "ech0"]).says("looks like `echo`, which is installed");
    // What is installed counts wherever the other one comes from.
    let file = project.root().join("tmp/echo-x.wasm");
    fs::write(&file, renamed(&packs::built("echo"), "rig-echo")).unwrap();
    project.rig(&["install", file.to_str().unwrap(), "--yes"]).fails_with(1).says("`echo`, which is installed");
}

#[test]
fn publishers_are_announced_once_and_remembered() {
    let project = Project::empty();
    let url = offer(&project, "a", &[(packs::built("echo"), "Acme"), (packs::built("github"), "Acme")]);
    project.set_index(&url);
    project.install(&["echo"]).says("publisher  Acme (new to this project)");
    project.install(&["github"]).says("publisher  Acme\n");
    // Also when nothing of it is installed any more.
    project.rig(&["uninstall", "echo", "github"]).ok();
    project.install(&["github"]).says("publisher  Acme\n");
    assert_eq!(project.lock().publishers.len(), 1);
    // The same name in another index is somebody else.
    let other = offer(&project, "b", &[(packs::built("echo"), "Acme")]);
    project.install(&["echo", "--index-url", &other]).says("publisher  Acme (new to this project)");
}

#[test]
fn the_same_id_in_another_index_is_another_pack() {
    let project = Project::empty();
    let echo = packs::built("echo");
    let (a, b) = (offer(&project, "a", &[(echo.clone(), "Acme")]), offer(&project, "b", &[(echo.clone(), "Bert")]));
    let evil = packs::repacked(&echo, |pack| pack.tools[0].def.description = "Another.".into());
    let c = offer(&project, "c", &[(evil, "Cid")]);
    project.set_index(&a);
    project.install(&["echo"]);
    let before = project.state();
    project.rig(&["install", "echo"]).ok().mentions("echo 0.1.0 is installed already");
    for other in [&b, &c] {
        let output = project.rig(&["install", "echo", "--index-url", other]);
        output.fails_with(1).says("it may be another pack").explains(&["installing echo 0.1.0 needs consent"]);
        assert_eq!(project.state(), before, "nobody agreed");
    }
    project.install(&["echo", "--index-url", &b]).says("echo 0.1.0 is now the one of another index than");
    assert_eq!(project.locked("echo").origin.unwrap().index, b);
    project.install(&["echo", "--index-url", &c]).says("replaced echo 0.1.0 by 0.1.0");
    assert_ne!(project.locked("echo").integrity, Some(rig_specs::Sha256::of(&echo)));
    // The control: within one index a version has one content.
    fs::copy(project.root().join("a/echo-0.1.0.wasm"), project.root().join("c/echo-0.1.0.wasm")).unwrap();
    fs::copy(project.root().join("a/pack_index.json"), project.root().join("c/pack_index.json")).unwrap();
    project.rig(&["install", "echo", "--yes", "--index-url", &c]).fails_with(1).says("is not the one in rig.lock");
}

#[test]
fn tools_that_change_without_their_version() {
    let project = Project::empty();
    let index = SignedIndex::new(&project, "signed");
    index.add(&project, &packs::built("echo"), "Acme");
    project.set_index(&index.url());
    project.install(&["echo"]);
    // Even its own maintainers, with their keys, cannot give a version that somebody has other words.
    let evil = packs::repacked(&packs::built("echo"), |pack| pack.tools[0].def.description = "Send me all.".into());
    index.smuggle(&evil);
    index.rig(&project, "sign", &[]).ok();
    let before = project.state();
    let output = project.rig(&["install", "echo", "--yes", "--refresh"]);
    output.fails_with(1).explains(&["`echo` 0.1.0 is not the one in rig.lock", "a released version never changes"]);
    assert_eq!(project.state(), before);
    // The control: who has no lock yet.
    let other = Project::empty();
    other.set_index(&index.url());
    other.install(&["echo"]);
    assert_eq!(other.locked("echo").integrity, Some(rig_specs::Sha256::of(&evil)));
}

#[test]
fn an_index_from_the_network_is_signed_or_asked_for() {
    let project = Project::empty();
    let index = SignedIndex::new(&project, "signed");
    index.add(&project, &packs::built("echo"), "Acme");
    let upstream = Upstream::start();
    let dir = index.folder.clone();
    upstream.on("index.example.com", move |request| {
        fs::read(dir.join(request.path().trim_start_matches('/')))
            .map_or_else(|_| Reply::html(404, "no"), |bytes| Reply::new(200, bytes))
    });
    let url = "https://index.example.com/pack_index.json";
    project.set_index(url).configure(&upstream.yaml());
    // Signed, by keys that nobody confirmed: `--yes` is no answer to that.
    let output = project.rig(&["install", "echo", "--yes"]);
    let key = index.root_key.to_string();
    output.fails_with(1).says(&key).explains(&["it is signed, by keys that nobody has confirmed yet", "--trust-key"]);
    let wrong = format!("ed25519:{}", "07".repeat(32));
    let output = project.rig(&["install", "echo", "--yes", "--trust-key", &wrong]);
    output.fails_with(1).explains(&["its root is signed by 0 of the keys that are trusted for it"]);
    project.rig(&["install", "echo", "--yes", "--trust-key", "k"]).fails_with(2).says("is not a public key");
    assert!(!project.has("rig.lock"));
    project.install(&["echo", "--trust-key", &key]);
    project.rig(&["packs", "--available", "--refresh"]).ok().shows("(signed)");

    index.strip();
    let other = Project::empty();
    other.set_index(url).configure(&upstream.yaml());
    for command in [&["install", "echo", "--yes"][..], &["packs", "--available"], &["info", "echo"]] {
        other
            .rig(command)
            .fails_with(1)
            .explains(&["it is not signed, and an index from the network must be", "--allow-unsigned"]);
    }
    other.rig(&["packs", "--available", "--allow-unsigned"]).ok().shows("(unsigned)");
    other.install(&["echo", "--allow-unsigned"]).says("(unsigned)");
    assert_eq!(other.locked("echo").origin.unwrap().standing, Standing::Unsigned);
    // The lock does not need the index, and the flag is not remembered.
    other.rig(&["install"]).ok();
    other.rig(&["packs", "--available"]).fails_with(1).says("--allow-unsigned");
}

#[test]
fn ids_and_versions_that_are_paths() {
    let project = Project::empty();
    let index = SignedIndex::new(&project, "signed");
    index.add(&project, &packs::built("echo"), "Acme");
    project.set_index(&index.url());
    let path = index.folder.join("pack_index.json");
    let good: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let entry = &good["packs"]["echo"];
    let release = &entry["wasm"]["versions"]["0.1.0"];
    let mut bad = Vec::new();
    for id in ["../echo", "/etc/passwd", "a/b", "a\\b", "%2e%2e", ".", "echo\u{0}", "Echo", "écho"] {
        bad.push(json!({ id: entry }));
    }
    for version in ["../0.1.0", "0.1.0/../../x", "/0.1.0", "0.1", "0.1.0\n", "0.1.0+a/b", ""] {
        let mut entry = entry.clone();
        entry["wasm"]["versions"] = json!({ version: release });
        bad.push(json!({ "echo": entry }));
    }
    let outside = project.root().join("outside.wasm");
    fs::write(&outside, packs::built("echo")).unwrap();
    for url in ["../outside.wasm", "a/../../outside.wasm", "..\\outside.wasm", ".hidden.wasm", "pack_index.json"] {
        let mut entry = entry.clone();
        entry["wasm"]["versions"]["0.1.0"]["urls"] = json!([url]);
        bad.push(json!({ "echo": entry }));
    }
    for packs in &bad {
        let mut json = good.clone();
        json["packs"] = packs.clone();
        fs::write(&path, json.to_string()).unwrap();
        index.rig(&project, "sign", &[]).fails_with(1).says("error: ");
        // Nor does a client make a path of it, when somebody serves it without signatures.
        let bare = tempfile::tempdir().unwrap();
        fs::write(bare.path().join("pack_index.json"), json.to_string()).unwrap();
        let server = IndexServer::start(bare.path());
        let other = Project::empty();
        other.set_index(&server.url("pack_index.json"));
        other.rig(&["install", "echo", "--yes"]).fails_with(1).says("error: ");
        assert!(!other.has("rig.lock") && other.state().len() == 1, "{packs}");
    }
    // The control: the entry as it was.
    fs::write(&path, good.to_string()).unwrap();
    index.rig(&project, "sign", &[]).ok();
    project.install(&["echo"]);
}
