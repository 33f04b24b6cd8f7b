//! Where packs come from: files, URLs with a hash, indexes over loopback HTTP and over TLS through a proxy; caches and
//! `--offline`.

use std::{fs, time::Duration};

use rig_specs::Sha256;
use rig_tests::{Flaw, IndexServer, Project, Reply, Upstream, packs};
use serde_json::json;

/// A project whose index is served over loopback HTTP.
fn served() -> (Project, IndexServer) {
    let project = Project::new();
    let server = IndexServer::start(&project.index_dir());
    project.set_index(&server.url(packs::INDEX));
    (project, server)
}

fn echo_file(project: &Project) -> String {
    let index = packs::index_of(&project.index_dir(), &[packs::built("echo")]);
    index.packs[&"echo".parse().unwrap()].wasm.as_ref().unwrap().newest().unwrap().1.urls[0].clone()
}

fn hex_of_echo() -> String {
    Sha256::of(&packs::built("echo")).hex()
}

#[test]
fn a_file() {
    let project = Project::empty();
    project.rig(&["init"]).ok();
    let path = project.write("my-echo.wasm", packs::built("echo"));
    project.install(&["./my-echo.wasm"]);
    assert_eq!(project.locked("echo").integrity, Some(Sha256::of(&packs::built("echo"))));
    assert!(project.locked("echo").source.is_some_and(|source| source.contains("my-echo.wasm")));
    // The store has its own copy.
    fs::remove_file(path).unwrap();
    let _ = project.call("echo.message.send", json!({ "message": "x" })).output();

    project.rig(&["install", "./absent.wasm", "--yes"]).fails_with(1).explains(&["absent.wasm"]);
}

#[test]
fn a_url_with_its_hash() {
    let upstream = Upstream::start();
    upstream.on("packs.example.com", |_| Reply::new(200, packs::built("echo")));
    let project = Project::new();
    project.configure(&upstream.yaml());
    let url = "https://packs.example.com/a/echo.wasm";

    let wrong = "0".repeat(64);
    project.rig(&["install", "--yes", &format!("{url}#sha256={wrong}")]).fails_with(1).explains(&[
        url,
        &wrong,
        &hex_of_echo(),
    ]);
    assert!(!project.has("rig.lock"));

    upstream.forget();
    for bad in [url.to_owned(), format!("{url}#sha256=12"), format!("{url}#md5=12"), url.replace("https", "http")] {
        let output = project.rig(&["install", "--yes", &bad]);
        assert!(matches!(output.code, Some(1 | 2)), "{bad}: {output}");
        assert!(output.stderr.contains("sha256") || bad.starts_with("http:"), "{bad}: {output}");
    }
    upstream.assert_untouched();

    project.install(&[&format!("{url}#sha256={}", hex_of_echo())]);
    let request = upstream.request();
    assert_eq!(request.line(), format!("GET {url}"));
    assert_eq!(upstream.connects(), ["packs.example.com:443"]);
    assert_eq!(request.count("authorization"), 0);
    assert_eq!(project.locked("echo").integrity, Some(Sha256::of(&packs::built("echo"))));
}

#[test]
fn an_index_over_tls_through_the_proxy() {
    let upstream = Upstream::start();
    let project = Project::new();
    let dir = project.index_dir();
    upstream.on("index.example.com", move |request| {
        fs::read(dir.join(request.path().trim_start_matches("/v1/")))
            .map_or_else(|_| Reply::html(404, "no"), |bytes| Reply::new(200, bytes))
    });
    project.set_index("https://index.example.com/v1/index.json").configure(&upstream.yaml());
    project.install(&["echo", "--allow-unsigned"]);
    let paths: Vec<_> = upstream.requests().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert!(paths[0] == "/v1/index.json" && paths[1].starts_with("/v1/echo-"), "relative to the index: {paths:?}");
}

#[test]
fn proxies_of_the_environment_see_nothing() {
    const NAMES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let evil = Upstream::start();
    let dead = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for proxy in [evil.proxy_url(), dead] {
        // An index on loopback, one over TLS through the project's own proxy, and calls.
        let (mut local, server) = served();
        let upstream = Upstream::start();
        let mut remote = Project::new();
        let dir = remote.index_dir();
        upstream.on("index.example.com", move |request| {
            fs::read(dir.join(request.path().trim_start_matches('/')))
                .map_or_else(|_| Reply::html(404, "no"), |bytes| Reply::new(200, bytes))
        });
        remote.set_index("https://index.example.com/index.json").configure(&upstream.yaml());
        for project in [&mut local, &mut remote] {
            for name in NAMES {
                project.set_env(name, &proxy);
            }
            project.set_env("NO_PROXY", "").set_env("no_proxy", "");
            project.install(&["echo", "--allow-unsigned"]);
            let _ = project.call("echo.message.send", json!({ "message": "x" })).output();
        }
        assert!(server.count(packs::INDEX) == 1 && upstream.requests().len() == 2);
    }
    evil.assert_untouched();
}

#[test]
fn tls_that_does_not_hold_is_refused() {
    for flaw in [Flaw::WrongName, Flaw::Expired, Flaw::UnknownIssuer] {
        let upstream = Upstream::start();
        upstream.reply("index.example.com", Reply::json(200, json!({}))).flaw("index.example.com", flaw);
        let project = Project::new();
        project.set_index("https://index.example.com/index.json").configure(&upstream.yaml());
        project.rig(&["install", "echo", "--yes"]).fails_with(1).explains(&["index.example.com"]);
        assert_eq!(upstream.requests(), [], "{flaw:?}");
    }
}

#[test]
fn a_named_index_for_once() {
    let (project, server) = served();
    project.set_index("file:///nowhere/index.json");
    project.install(&["echo", "--index-url", &server.url(packs::INDEX)]);
    assert_eq!(server.count(packs::INDEX), 1);
    assert_eq!(project.config().index.url.as_deref(), Some("file:///nowhere/index.json"), "rig.yaml is not changed");

    // Relative to rig.yaml, and a plain http index that is not on loopback.
    let project = Project::new();
    project.set_index("../index/index.json");
    project.install(&["echo"]);
    project
        .rig(&["install", "github", "--yes", "--index-url", "http://index.example.com/i.json"])
        .fails_with(1)
        .explains(&["https"]);
}

#[test]
fn the_index_is_fetched_once_a_day_or_on_demand() {
    let (project, server) = served();
    project.install(&["echo"]);
    project.install(&["github"]);
    project.rig(&["packs", "--available"]).ok();
    assert_eq!(server.count(packs::INDEX), 1);
    assert!(project.has(".rig/cache/pack_index.json"));
    project.install(&["echo", "--refresh"]);
    assert_eq!(server.count(packs::INDEX), 2);
}

#[test]
fn offline_uses_what_is_here_and_asks_nobody() {
    let (project, server) = served();
    project.rig(&["install", "echo", "--yes", "--offline"]).fails_with(1).explains(&["offline"]);
    assert_eq!(server.requests(), []);

    project.install(&["echo"]);
    let asked = server.requests().len();
    fs::remove_file(project.dir().join("rig.lock")).unwrap();
    project.install(&["echo", "--offline"]);
    project.install(&["--offline"]);
    let _ = project.call("echo.message.send", json!({ "message": "x" })).output();
    project.rig(&["install", "github", "--yes", "--offline"]).fails_with(1).explains(&["github"]);
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn the_next_url_is_tried_when_one_fails() {
    let (project, server) = served();
    let mut index = packs::index_of(&project.index_dir(), &[packs::built("echo")]);
    let wasm = index.packs.get_mut(&"echo".parse().unwrap()).unwrap().wasm.as_mut().unwrap();
    let release = wasm.versions.values_mut().next().unwrap();
    release.urls.insert(0, "mirror/gone.wasm".into());
    packs::write_index(&project.index_dir(), &index);
    project.install(&["echo"]);
    assert_eq!(server.count("mirror/gone.wasm"), 1);
}

#[test]
fn bad_downloads_install_nothing() {
    let slow = Duration::from_millis(1);
    let (project, server) = served();
    let file = echo_file(&project);
    let size = packs::built("echo").len();
    for (what, reply) in [
        ("404", Reply::html(404, "<h1>gone</h1>")),
        ("500", Reply::html(500, "")),
        ("a page", Reply::html(200, "<h1>log in</h1>")),
        ("empty", Reply::new(200, "")),
        ("cut off", Reply::new(200, packs::built("echo")).cut_at(size / 2)),
        ("short", Reply::new(200, &packs::built("echo")[..size - 1])),
        ("long", Reply::new(200, [packs::built("echo"), vec![0]].concat())),
        ("huge", Reply::zeros(100 << 20)),
        ("endless", Reply::endless()),
        ("closed", Reply::raw("")),
        ("not HTTP", Reply::raw("SSH-2.0-OpenSSH_9.9\r\n")),
    ] {
        server.set(&file, reply);
        let before = project.state();
        let output = project.rig(&["install", "echo", "--yes"]);
        output.fails_with(1).explains(&[&file]);
        assert_eq!(project.state(), before, "{what}");
    }
    // The control: the same server, honest and slow.
    server.change(&file, move |bytes| Reply::new(200, bytes).trickle(16 << 10, slow));
    project.install(&["echo"]);
}
