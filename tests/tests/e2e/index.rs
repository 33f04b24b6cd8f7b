//! Indexes that are not what they should be: each is named with its URL and what is wrong, and nothing is changed.

use std::{
    fs,
    time::{Duration, Instant},
};

use rig_tests::{IndexServer, Project, Reply, packs};
use serde_json::{Value, json};

fn served() -> (Project, IndexServer) {
    let project = Project::new();
    let server = IndexServer::start(&project.index_dir());
    project.set_index(&server.url(packs::INDEX));
    (project, server)
}

fn index(packs: &Value) -> Value {
    json!({ "api_version": 1, "generated_at": "2026-11-01T00:00:00Z", "packs": packs })
}

/// An index with one release of echo, changed in one place.
fn with(pointer: &str, value: Value) -> Value {
    let release = json!({ "sha256": "0".repeat(64), "size": 10, "urls": ["echo.wasm"] });
    let mut index = index(&json!({
        "echo": { "display_name": "Echo", "description": "Echoes.", "wasm": { "versions": { "1.0.0": release } } }
    }));
    *index.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    index
}

#[test]
fn what_is_not_an_index() {
    let (project, server) = served();
    let url = server.url(packs::INDEX);
    for (what, reply) in [
        ("a page", Reply::html(200, "<!DOCTYPE html><title>Sign in</title>")),
        ("not found", Reply::html(404, "<h1>404</h1>")),
        ("an error", Reply::html(500, "")),
        ("empty", Reply::new(200, "")),
        ("cut off", Reply::new(200, index(&json!({})).to_string()).cut_at(20)),
        ("cut off but complete as HTTP", Reply::new(200, &index(&json!({})).to_string()[..40])),
        ("100 MB", Reply::zeros(100 << 20)),
        ("endless", Reply::endless()),
        ("no HTTP", Reply::raw("hello\r\n")),
        ("not UTF-8", Reply::new(200, vec![b'{', 0xff, b'}'])),
        ("deep", Reply::new(200, "[".repeat(100_000))),
        ("elsewhere", Reply::new(302, "").header("Location", "http://169.254.169.254/latest")),
    ] {
        server.set(packs::INDEX, reply);
        let before = project.state();
        let start = Instant::now();
        let output = project.rig(&["install", "echo", "--yes"]);
        output.fails_with(1).explains(&[&url]);
        assert!(start.elapsed() < Duration::from_secs(30), "{what} took {:?}", start.elapsed());
        assert_eq!(project.state(), before, "{what}");
        project.rig(&["packs", "--available"]).fails_with(1).says(&url);
    }
    // What was bad was not cached: the same index, mended, works.
    server.restore();
    project.install(&["echo"]);
}

#[test]
fn wrong_types_are_named_with_their_place() {
    let (project, server) = served();
    for (value, place) in [
        (json!([]), ""),
        (json!("index"), ""),
        (json!({ "packs": {} }), "api_version"),
        (with("/api_version", json!("1")), "api_version"),
        (with("/packs", json!([])), "packs"),
        (with("/packs/echo", json!(null)), "echo"),
        (with("/packs/echo/display_name", json!(7)), "display_name"),
        (with("/packs/echo/wasm/versions", json!(["1.0.0"])), "versions"),
        (with("/packs/echo/wasm/versions", json!({ "one": {} })), "versions"),
        (with("/packs/echo/wasm/versions/1.0.0/sha256", json!("abc")), "sha256"),
        (with("/packs/echo/wasm/versions/1.0.0/size", json!(-1)), "size"),
        (with("/packs/echo/wasm/versions/1.0.0/size", json!("10")), "size"),
        (with("/packs/echo/wasm/versions/1.0.0/urls", json!("echo.wasm")), "urls"),
        (with("/packs", json!({ "../evil": {} })), "../evil"),
    ] {
        server.set(packs::INDEX, Reply::json(200, value.clone()));
        let output = project.rig(&["install", "echo", "--yes"]);
        output.fails_with(1).explains(&[&server.url(packs::INDEX), place]);
        assert!(!project.has("rig.lock"), "{value}");
    }
}

#[test]
fn a_newer_format_says_to_update() {
    let (project, server) = served();
    server.set(packs::INDEX, Reply::json(200, with("/api_version", json!(2))));
    project.rig(&["install", "echo", "--yes"]).fails_with(1).explains(&["2", "update rig"]);
}

#[test]
fn keys_of_a_newer_index_are_ignored() {
    let (project, server) = served();
    server.change(packs::INDEX, |bytes| {
        let mut index: Value = serde_json::from_slice(&bytes).unwrap();
        index["signed_by"] = json!("someone");
        index["packs"]["echo"]["stars"] = json!(5);
        Reply::json(200, index)
    });
    project.install(&["echo"]);
}

#[test]
fn packs_without_components_say_so() {
    let (project, server) = served();
    let echo = json!({ "display_name": "Echo", "description": "Echoes.", "python": { "package": "rig-pack-echo" } });
    server.set(packs::INDEX, Reply::json(200, index(&json!({ "echo": echo }))));
    project.rig(&["install", "echo", "--yes"]).fails_with(1).explains(&["echo", "add `--runtime python`"]);
    let none = json!({ "display_name": "Echo", "description": "Echoes.", "wasm": { "versions": {} } });
    server.set(packs::INDEX, Reply::json(200, index(&json!({ "echo": none }))));
    project.rig(&["install", "echo", "--yes", "--refresh"]).fails_with(1).says("echo");
}

#[test]
fn urls_that_a_pack_must_not_come_from() {
    let (project, server) = served();
    for url in
        ["http://packs.example.com/echo.wasm", "ftp://packs.example.com/echo.wasm", "/etc/passwd", "file:///etc/passwd"]
    {
        let urls = with("/packs/echo/wasm/versions/1.0.0/urls", json!([url]));
        server.set(packs::INDEX, Reply::json(200, urls));
        let output = project.rig(&["install", "echo", "--yes", "--refresh"]);
        output.fails_with(1).says("error: ").lacks("root:");
        assert!(!project.has("rig.lock"), "{url}");
    }
    let urls = with("/packs/echo/wasm/versions/1.0.0/urls", json!([]));
    server.set(packs::INDEX, Reply::json(200, urls));
    project.rig(&["install", "echo", "--yes", "--refresh"]).fails_with(1).says("echo");
}

#[test]
fn places_that_are_not_there() {
    let project = Project::new();
    let free = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for url in [
        format!("http://{free}/index.json"),
        format!("file://{}/absent.json", project.root().display()),
        "absent.json".into(),
        format!("file://{}", project.root().display()),
    ] {
        project.set_index(&url);
        let name = url.rsplit('/').next().unwrap();
        project.rig(&["install", "echo", "--yes"]).fails_with(1).explains(&[name]);
    }
    for url in ["ftp://example.com/i.json", "http://", "https://user:pass@example.com/i.json"] {
        project.set_index(url);
        project.rig(&["install", "echo", "--yes"]).fails_with(1).says("error: ").lacks("pass@");
    }
    project.write("rig.yaml", "packs: []\n");
    project.rig(&["install", "echo", "--yes"]).fails_with(1).explains(&["index"]);
}

/// Makes the cached copy look as if it had been fetched at another time, as a rig of that time would have written it.
fn fetched(project: &Project, at: &str) {
    let path = project.dir().join(".rig/cache/pack_index.meta.json");
    let mut meta: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    meta["fetched_at"] = json!(at);
    meta.as_object_mut().unwrap().remove("digest").expect("it is sealed");
    meta["digest"] = json!(rig_specs::Sha256::of_json(&meta));
    fs::write(&path, meta.to_string()).unwrap();
}

#[test]
fn a_copy_is_used_for_a_day() {
    let (project, server) = served();
    project.rig(&["packs", "--available"]).ok();
    // Of another day, or of a day to come, when a clock was wrong: asked for again.
    for at in ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"] {
        let asked = server.count(packs::INDEX);
        fetched(&project, at);
        let output = project.rig(&["packs", "--available"]);
        output.ok().lacks("warning");
        assert_eq!(server.count(packs::INDEX), asked + 1, "{at}");
    }
    // The control: what was fetched now is fresh.
    let asked = server.count(packs::INDEX);
    project.rig(&["packs", "--available"]).ok();
    assert_eq!(server.count(packs::INDEX), asked);
}

#[test]
fn an_old_copy_serves_with_a_warning() {
    let (project, server) = served();
    project.install(&["echo"]);
    fetched(&project, "2020-01-01T00:00:00Z");
    // Offline because the user says so, …
    let asked = server.requests().len();
    project.rig(&["--offline", "packs", "--available"]).ok().shows("github").says("warning").says("2020-01-01");
    assert_eq!(server.requests().len(), asked);
    // … because the server is in trouble, …
    server.set(packs::INDEX, Reply::html(503, "later"));
    project.rig(&["packs", "--available"]).ok().shows("github").says("warning").says("503");
    // … or because it is gone. What is on this machine can still be installed again.
    drop(server);
    project.rig(&["packs", "--available"]).ok().shows("github").says("warning").says("2020-01-01");
    project.run(["install", "--yes", "echo"]).output().ok().says("warning");
    // A copy that is not there cannot serve.
    fs::remove_dir_all(project.dir().join(".rig/cache")).unwrap();
    project.rig(&["packs", "--available"]).fails_with(1).explains(&["127.0.0.1"]);
    project.rig(&["--offline", "packs", "--available"]).fails_with(1).explains(&["--offline"]);
}

#[test]
fn a_server_that_answers_nonsense_is_not_covered_up_by_an_old_copy() {
    let (project, server) = served();
    project.rig(&["packs", "--available"]).ok();
    fetched(&project, "2020-01-01T00:00:00Z");
    for reply in [Reply::html(200, "<h1>Sign in</h1>"), Reply::new(200, "{"), Reply::html(404, "")] {
        server.set(packs::INDEX, reply);
        project.rig(&["packs", "--available"]).fails_with(1).explains(&[&server.url(packs::INDEX)]);
    }
}

#[test]
fn a_stale_copy_serves_when_the_server_is_gone() {
    let (project, server) = served();
    project.rig(&["packs", "--available"]).ok();
    drop(server);
    project.rig(&["packs", "--available"]).ok().shows("echo");
    // Asked for a fresh one, rig says that it has none, and goes on with what it has or stops; it never goes silent.
    let output = project.rig(&["packs", "--available", "--refresh"]);
    if output.code == Some(0) {
        output.says("warning");
    } else {
        output.fails_with(1).explains(&["127.0.0.1"]);
    }
    assert!(fs::metadata(project.dir().join(".rig/cache/pack_index.json")).is_ok());
}
