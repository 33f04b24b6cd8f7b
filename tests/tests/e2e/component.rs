//! Components that must not be installed: each refused with its file and its one fault, before any of its code runs.

use std::{fs, path::Path};

use rig_tests::{Project, packs};
use serde_json::json;

/// Files, and a fact that the refusal must name.
fn bad_components() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let echo = packs::built("echo");
    let section = |json: serde_json::Value| packs::with_section(&echo, json.to_string().as_bytes());
    let changed = |change: fn(&mut rig_specs::manifest::EmbeddedPack)| packs::repacked(&echo, change);
    vec![
        ("unknown import", packs::importing(&echo, "evil:host/steal@1.0.0"), "evil:host/steal"),
        ("newer import", packs::importing(&echo, "rig:pack/teleport@0.1.0"), "rig:pack/teleport"),
        ("a WASI of another version", packs::importing(&echo, "wasi:sockets/tcp@0.3.0"), "wasi:sockets/tcp@0.3.0"),
        ("a WASI that is not there", packs::importing(&echo, "wasi:gpu/render@0.2.3"), "wasi:gpu/render"),
        ("core module", packs::core_module(), "core WebAssembly module"),
        ("empty", Vec::new(), "empty"),
        ("text", b"(component)".to_vec(), "WebAssembly"),
        ("page", b"<!DOCTYPE html>".to_vec(), "WebAssembly"),
        ("head only", b"\0asm\x0d\0\x01\0".to_vec(), ""),
        ("cut off", echo[..echo.len() / 2].to_vec(), ""),
        ("no exports", packs::with_section(&packs::hollow_component(), &embedded_bytes(&echo)), "rig:pack/tools"),
        ("no section", packs::without_section(&echo), "rig-pack"),
        ("section is no JSON", packs::with_section(&echo, b"hello"), "rig-pack"),
        ("section of a newer rig", section(json!({ "format": 99, "manifest": {}, "tools": [] })), "99"),
        ("section with unknown keys", section(json!({ "format": 1, "surprise": true })), "surprise"),
        ("no tools", changed(|pack| pack.tools.clear()), "no tools"),
        (
            "a tool of another pack",
            changed(|pack| pack.tools[0].def.name = "github.issues.create".into()),
            "github.issues.create",
        ),
        ("an undeclared secret", changed(|pack| pack.tools[0].def.auth_slots.push("AWS_KEY".into())), "AWS_KEY"),
        (
            "a schema that is none",
            changed(|pack| pack.tools[0].def.input_schema = json!({ "type": "string" })),
            "schema",
        ),
        ("no description", changed(|pack| pack.tools[0].def.description = " ".into()), "description"),
        ("the same tool twice", changed(|pack| pack.tools.push(pack.tools[0].clone())), "twice"),
    ]
}

fn embedded_bytes(component: &[u8]) -> Vec<u8> {
    serde_json::to_vec(&packs::embedded(component)).unwrap()
}

#[test]
fn none_of_them_is_installed() {
    let project = Project::with(&["echo"]);
    let before = project.state();
    for (what, bytes, fact) in bad_components() {
        project.write("bad.wasm", bytes);
        for args in
            [&["install", "./bad.wasm", "--yes"][..], &["install", "./bad.wasm", "--dry-run"], &["inspect", "bad.wasm"]]
        {
            let output = project.rig(args);
            assert_eq!(output.code, Some(1), "{what}: {output}");
            output.says("error: ").says("bad.wasm").says(fact);
        }
        assert_eq!(project.state(), before, "{what}");
    }
    // The control: what they were made from.
    project.write("good.wasm", packs::built("echo"));
    project.rig(&["inspect", "good.wasm"]).ok().shows("echo.message.send");
    project.install(&["./good.wasm"]);
}

#[test]
fn an_index_cannot_name_another_pack() {
    let project = Project::new();
    let mut index = packs::index_of(&project.index_dir(), &[packs::built("echo")]);
    let echo = index.packs.remove(&"echo".parse().unwrap()).unwrap();
    index.packs.insert("stripe".parse().unwrap(), echo);
    packs::write_index(&project.index_dir(), &index);
    project.rig(&["install", "stripe", "--yes"]).fails_with(1).explains(&["stripe", "echo"]);
    assert!(!project.has("rig.lock"));
}

#[test]
fn an_index_cannot_name_another_version() {
    let project = Project::new();
    let mut index = packs::index_of(&project.index_dir(), &[packs::released(&packs::built("echo"), "1.0.0")]);
    let wasm = index.packs.get_mut(&"echo".parse().unwrap()).unwrap().wasm.as_mut().unwrap();
    let release = wasm.versions.remove(&"1.0.0".parse().unwrap()).unwrap();
    wasm.versions.insert("9.0.0".parse().unwrap(), release);
    packs::write_index(&project.index_dir(), &index);
    project.rig(&["install", "echo", "--yes"]).fails_with(1).explains(&["9.0.0", "1.0.0"]);
    assert!(!project.has("rig.lock"));
}

#[test]
fn texts_of_a_pack_are_shown_escaped() {
    let project = Project::new();
    let loud = packs::repacked(&packs::built("echo"), |pack| {
        pack.tools[0].def.description = "Echoes.\u{1b}[2J\u{1b}[1;31mALL FINE\u{7}\u{202e}".into();
        pack.manifest.pack.display_name = "Echo\r\u{1b}]0;title\u{7}".into();
    });
    project.write("loud.wasm", loud);
    for args in [&["inspect", "loud.wasm"][..], &["install", "./loud.wasm", "--dry-run"]] {
        let output = project.rig(args);
        for control in ["\u{1b}", "\u{7}", "\r", "\u{202e}"] {
            output.lacks(control);
        }
    }
}

#[test]
fn what_a_component_says_is_shown() {
    let project = Project::with(&["github"]);
    project.write("github.wasm", packs::built("github"));
    for target in ["github.wasm", "github"] {
        let output = project.rig(&["inspect", target]);
        output.ok();
        for text in ["github.issues.create", "api.github.com", "GITHUB_TOKEN", "rig:pack/http"] {
            output.shows(text);
        }
        let shown = project.rig(&["inspect", target, "--json"]).json().to_string();
        assert!(shown.contains("api.github.com") && shown.contains("github.pulls.list"), "{shown}");
    }
    project.rig(&["inspect", "nothing-here"]).fails_with(1).explains(&["nothing-here"]);
}

/// What a pack in Rust may weigh: 150 KB, and less for the smallest useful one. `conformance` makes schemas of its questions while
/// it runs, so it has the code for that.
#[test]
fn packs_are_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../example-packs");
    let packs = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let packs: Vec<_> = packs.filter(|pack| pack.join("Cargo.toml").is_file()).collect();
    assert!(packs.len() >= 3, "{packs:?}");
    for pack in packs {
        let id = pack.file_name().unwrap().to_str().unwrap();
        let limit = match id {
            "echo" => 80_000,
            "conformance" => 200_000,
            _ => 150_000,
        };
        let size = packs::built(id).len();
        assert!(size <= limit, "{id} has {size} bytes, which is more than {limit}");
    }
}
