//! The harness itself: what the stand-ins record and answer, and what a run of a program tells. Needs no built `rig`.

#![allow(clippy::expect_used, reason = "all of this file is tests")]

use std::{fs, os::unix::fs::PermissionsExt, sync::Once, time::Duration};

use reqwest::{Certificate, Client, Proxy};
use rig_specs::{index::Index, manifest::EmbeddedPack};
use rig_tests::{Flaw, IndexServer, Project, Reply, Upstream, packs, snapshot};
use serde_json::{Value, json};

/// A client that finds the stand-in as rig does: by proxy and authority.
fn client(upstream: &Upstream) -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        tokio_rustls::rustls::crypto::ring::default_provider().install_default().expect("the first provider");
    });
    let ca = fs::read(upstream.ca_path()).expect("the authority's file");
    Client::builder()
        .proxy(Proxy::all(upstream.proxy_url()).expect("a proxy"))
        .tls_certs_only([Certificate::from_pem(&ca).expect("a certificate")])
        .build()
        .expect("a client")
}

#[tokio::test]
async fn requests_under_real_names_are_answered_and_recorded() {
    let upstream = Upstream::start();
    upstream.on("api.github.com", |request| match request.method.as_str() {
        "POST" => Reply::json(201, json!({ "seen": request.json() })).header("X-Number", "7"),
        _ => Reply::json(200, json!([])),
    });
    let client = client(&upstream);

    let answer = client
        .post("https://api.github.com/repos/o/r/issues?a=b%20c&d")
        .header("X-One", "1")
        .header("X-Two", "2")
        .body(json!({ "title": "t" }).to_string())
        .send()
        .await
        .expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers()["x-number"].as_bytes()), (201, &b"7"[..]));
    assert_eq!(answer.text().await.expect("a body"), r#"{"seen":{"title":"t"}}"#);
    // The same connection takes another request; plain http goes through the proxy with an absolute target.
    client.get("https://api.github.com/second").send().await.expect("an answer");
    client.get("http://api.github.com/clear").send().await.expect("an answer");

    let requests = upstream.requests();
    let lines: Vec<_> = requests.iter().map(rig_tests::Recorded::line).collect();
    let expected = [
        "POST https://api.github.com/repos/o/r/issues?a=b%20c&d",
        "GET https://api.github.com/second",
        "GET http://api.github.com/clear",
    ];
    assert_eq!(lines, expected);
    assert_eq!(requests[0].path(), "/repos/o/r/issues");
    assert_eq!(requests[0].query(), [("a", "b%20c"), ("d", "")]);
    assert_eq!((requests[0].header("X-ONE"), requests[0].count("x-two")), (Some("1"), 1));
    let position = |name| requests[0].headers.iter().position(|(n, _)| n.eq_ignore_ascii_case(name));
    assert!(position("x-one") < position("x-two"), "{:?}", requests[0].headers);
    assert_eq!(upstream.connects(), ["api.github.com:443"]);

    upstream.forget();
    upstream.assert_untouched();
}

#[tokio::test]
async fn hosts_without_a_stand_in_and_bad_certificates_are_refused() {
    let upstream = Upstream::start();
    let client = client(&upstream);
    client.get("https://elsewhere.test/").send().await.expect_err("no stand-in");
    assert_eq!((upstream.connects(), upstream.requests()), (vec!["elsewhere.test:443".to_owned()], vec![]));

    upstream.reply("good.test", Reply::new(200, ""));
    client.get("https://good.test/").send().await.expect("the control");
    for flaw in [Flaw::WrongName, Flaw::Expired, Flaw::UnknownIssuer] {
        upstream.reply("bad.test", Reply::new(200, "")).flaw("bad.test", flaw);
        client.get("https://bad.test/").send().await.expect_err("a bad certificate");
    }
    assert_eq!(upstream.request().host, "good.test");
}

#[tokio::test]
async fn answers_can_be_bad() {
    let upstream = Upstream::start();
    let client = client(&upstream);
    let body = async |reply: Reply| {
        upstream.reply("api.test", reply);
        let answer = client.get("https://api.test/").timeout(Duration::from_secs(2)).send().await?;
        answer.bytes().await
    };
    assert_eq!(body(Reply::zeros(3 << 20)).await.expect("a large body").len(), 3 << 20);
    let slow = body(Reply::new(200, "abc").trickle(1, Duration::from_millis(5)).after(Duration::from_millis(5))).await;
    assert_eq!(slow.expect("a slow body"), "abc");
    let bare = body(Reply::raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi")).await;
    assert_eq!(bare.expect("a body"), "hi");
    for (what, reply) in [
        ("cut", Reply::new(200, "abcdef").cut_at(3)),
        ("garbage", Reply::raw("not HTTP\r\n\r\n")),
        ("closed", Reply::raw("")),
        ("endless", Reply::endless()),
        ("silent", Reply::silent()),
    ] {
        assert!(body(reply).await.is_err(), "{what}");
    }
    // Every request arrived, whatever became of the answer.
    assert_eq!(upstream.requests().len(), 8);
}

#[tokio::test]
async fn an_index_is_served_as_badly_as_wanted() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("index.json"), "{}").expect("a file");
    let server = IndexServer::start(dir.path());
    let get = async |name: &str| {
        let answer = reqwest::get(server.url(name)).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.unwrap_or_else(|_| "cut".into()))
    };
    drop(client(&Upstream::start())); // Installs the TLS provider that reqwest asks for.
    assert_eq!(get("index.json").await, (200, "{}".into()));
    assert_eq!(get("absent").await, (404, "<h1>404 Not Found</h1>".into()));
    server.change("index.json", |bytes| Reply::new(200, bytes).cut_at(1));
    assert_eq!(get("index.json").await, (200, "cut".into()));
    server.set("index.json", Reply::html(200, "<html>"));
    assert_eq!(get("index.json").await, (200, "<html>".into()));
    server.restore();
    assert_eq!(get("index.json").await, (200, "{}".into()));
    assert_eq!((server.count("index.json"), server.count("absent"), server.requests().len()), (4, 1, 5));
}

/// A project that runs a shell script instead of rig.
fn scripted(script: &str) -> (Project, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let program = dir.path().join("rig");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("permissions");
    (Project::running(program), dir)
}

#[test]
fn a_run_is_clean_and_a_snapshot_of_it_is_stable() {
    let (mut project, _dir) = scripted(
        r#"pwd; cat; echo "$1 $RIG_HOME $HOME $CARGO_MANIFEST_DIR$RUST_BACKTRACE" "$EXTRA" "$(date +%F)"
           echo 'error: no' >&2; exit 3"#,
    );
    project.set_env("EXTRA", "more");
    let output = snapshot!(project, ["install", "echo"], @r"
    exit code: 3
    ----- stdout -----
    [PROJECT]
    install [HOME] [USER]  more [TIME]

    ----- stderr -----
    error: no
    ");
    output.fails_with(3).says("error: no").lacks("secret");

    let fed = project.run(["call"]).stdin("from stdin\n").env("EXTRA", "other").output();
    assert!(fed.stdout.contains("from stdin\n") && fed.stdout.contains(" other "), "{fed}");
}

#[test]
#[should_panic(expected = "hung and was killed")]
fn a_run_that_hangs_is_ended() {
    let (project, _dir) = scripted("exec sleep 50");
    drop(project.run(["x"]).timeout(Duration::from_millis(100)).output());
}

#[test]
#[should_panic(expected = "was expected not to say \"s3cret\"")]
fn a_secret_in_the_output_fails_any_run() {
    let (mut project, _dir) = scripted("echo $TOKEN >&2");
    project.set_secret("TOKEN", "s3cret");
    drop(project.rig(&["x"]));
}

#[test]
#[should_panic(expected = "panicked:")]
fn a_panic_fails_any_run() {
    let (project, _dir) = scripted("exit 101");
    drop(project.rig(&["x"]));
}

#[test]
fn a_running_process_can_be_killed() {
    let (project, _dir) = scripted("[ $1 = quick ] && exit 0; exec sleep 50");
    assert!(project.run(["slow"]).spawn().kill());
    let mut quick = project.run(["quick"]).spawn();
    while !quick.is_done() {}
    assert!(!quick.kill());
}

/// A component that describes a pack, without any code.
fn described(id: &str, version: &str) -> Vec<u8> {
    let tool = json!({
        "def": {
            "name": format!("{id}.noun.verb"), "description": "Does it.", "input_schema": { "type": "object" },
            "output_schema": { "type": "object" }, "error_schema": {}, "auth_slots": [], "risk_class": "read", "tags": [],
            "policy_defaults": {}, "examples": []
        }
    });
    let pack: Value = json!({
        "format": 1,
        "manifest": { "pack": { "id": id, "version": version, "display-name": id, "description": "A pack." } },
        "tools": [tool],
    });
    packs::with_section(&packs::hollow_component(), pack.to_string().as_bytes())
}

#[test]
fn components_are_changed_in_one_respect() {
    let good = described("demo", "1.0.0");
    let pack: EmbeddedPack = packs::embedded(&good);
    assert_eq!((pack.problems(), pack.manifest.pack.id.as_str()), (vec![], "demo"));

    assert_eq!(packs::without_section(&good), packs::hollow_component());
    let next = packs::released(&good, "2.0.0-rc.1");
    assert_eq!(packs::embedded(&next).manifest.pack.version.to_string(), "2.0.0-rc.1");
    assert_eq!(packs::embedded(&packs::repacked(&next, |pack| pack.tools.clear())).tools, []);

    let importing = packs::importing(&good, "evil:host/steal@1.0.0");
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
        .validate_all(&importing)
        .expect("still a valid component");
    assert_eq!(packs::embedded(&importing), pack);
    assert!(String::from_utf8_lossy(&importing).contains("evil:host/steal@1.0.0"));
    wasmparser::Validator::new().validate_all(&packs::core_module()).expect("a valid module");
}

#[test]
fn an_index_names_what_lies_beside_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let releases = [described("demo", "1.0.0"), described("demo", "1.1.0"), described("other", "0.1.0")];
    let index = packs::index_of(dir.path(), &releases);
    let text = fs::read_to_string(dir.path().join(packs::INDEX)).expect("an index");
    assert_eq!(serde_json::from_str::<Index>(&text).expect("an index"), index);

    let demo = index.packs[&"demo".parse().expect("an id")].wasm.clone().expect("components");
    let (version, release) = demo.newest().expect("a release");
    let file = dir.path().join(&release.urls[0]);
    assert_eq!((version.to_string().as_str(), release.urls[0].as_str()), ("1.1.0", "demo-1.1.0.wasm"));
    assert_eq!(release.sha256, rig_specs::Sha256::of(&fs::read(&file).expect("a component")));

    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).expect("permissions");
    packs::tamper(&file, 20);
    assert_ne!(release.sha256, rig_specs::Sha256::of(&fs::read(&file).expect("a component")));
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o444);
}
