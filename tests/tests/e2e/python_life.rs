//! The life of packs for Python: private indexes, environments, updates, removal; and their processes under a gateway.

use std::{
    path::PathBuf,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rig_specs::{
    Sha256,
    index::{API_VERSION, Index, IndexPack, LegacyPackage},
};
use rig_tests::{
    Gateway, IndexServer, Project, Reply, Talk, packs,
    wheels::{Wheel, pack_code},
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(1);

fn folder() -> Project {
    let project = Project::empty();
    project.write("rig.yaml", "python: { find_links: [wheels] }\n");
    project
}

fn offer(project: &Project, wheels: &[Wheel]) {
    for wheel in wheels {
        wheel.write(&project.dir().join("wheels"));
    }
}

fn pack(id: &str, version: &str, tools: &[(&str, &str)]) -> Wheel {
    Wheel::pack(&format!("rig-pack-{id}"), version, &pack_code(id, version, tools))
}

fn install(project: &Project, name: &str) {
    project.rig(&["install", name, "--runtime", "python", "--yes", "--offline"]).ok();
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The files of a folder as the pages that pip reads.
fn simple(server: &IndexServer, wheels: &[Wheel]) {
    for name in wheels.iter().map(Wheel::project).collect::<std::collections::BTreeSet<_>>() {
        let of_it = wheels.iter().filter(|wheel| wheel.project() == name);
        let links: Vec<String> = of_it
            .map(|wheel| {
                let (file, hash) = (wheel.file_name(), Sha256::of(&wheel.bytes()).hex());
                server.set(&format!("files/{file}"), Reply::new(200, wheel.bytes()));
                format!("<a href=\"../../files/{file}#sha256={hash}\">{file}</a>\n")
            })
            .collect();
        server.set(
            &format!("simple/{name}/"),
            Reply::html(200, &format!("<!DOCTYPE html><html><body>{}</body></html>", links.concat())),
        );
    }
}

#[test]
fn rig_core_is_never_looked_up() {
    let project = Project::empty();
    let server = IndexServer::start(&project.index_dir());
    // Whoever owns the name in the registry offers a higher version with other code.
    let evil = Wheel::new("rig-core", "99.0.0").file("rig_core/__init__.py", "raise SystemExit('evil')\n");
    let demo = pack("demo", "1.0.0", &[("'demo.a.x'", "import rig_core\nreturn {'version': rig_core.__version__}")]);
    simple(&server, &[evil.clone(), demo]);
    project.write("rig.yaml", format!("python: {{ index_url: '{}' }}\n", server.url("simple/")));
    project.rig(&["install", "rig-pack-demo", "--runtime", "python", "--yes"]).ok();
    assert_eq!((server.count("simple/rig-pack-demo/"), server.count("simple/rig-core/")), (1, 0));
    assert_eq!(project.call("demo.a.x", json!({})).output(), json!({ "version": "0.1.0" }));
    let lock = project.read("rig.lock");
    assert!(lock.contains("rig_core-0.1.0-py3-none-any.whl") && !lock.contains("99.0.0"));
    // A pack that wants another one gets none.
    simple(&server, &[pack("greedy", "1.0.0", &[("'greedy.a.x'", "return {}")]).requires("rig-core>=9")]);
    let output = project.rig(&["install", "rig-pack-greedy", "--runtime", "python", "--yes"]);
    output.fails_with(1).says("what `rig-pack-greedy` needs does not go together");
    assert_eq!(server.count("simple/rig-core/"), 0);
    // Control: pip by itself takes it.
    let target = project.root().join("control");
    let pip = Command::new("python3")
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--isolated",
            "--disable-pip-version-check",
            "-q",
            "rig-core",
            "-d",
        ])
        .arg(&target)
        .args(["--index-url", &server.url("simple/")])
        .status();
    assert!(pip.unwrap().success() && target.join(evil.file_name()).is_file());
}

#[test]
fn an_index_says_what_a_pack_may_reach() {
    let project = folder();
    offer(&project, &[pack("demo", "1.2", &[("'demo.a.x', auth_slots=['DEMO_KEY']", "return {}")])]);
    let package = LegacyPackage {
        package: "rig-pack-demo".into(),
        min_rig: None,
        network: vec!["api.example.com".into(), "*.example.org:8443".into()],
    };
    let entry = IndexPack {
        display_name: "Demo".into(),
        description: "A demo.".into(),
        homepage: None,
        tags: vec![],
        publisher: None,
        wasm: None,
        python: Some(package),
        node: None,
        slots: vec!["DEMO_KEY".into()],
    };
    let index = Index {
        api_version: API_VERSION,
        generated_at: "2026-11-01T00:00:00Z".into(),
        packs: [("demo".parse().unwrap(), entry)].into(),
        removed: std::collections::BTreeMap::new(),
    };
    let place = packs::write_index(&project.index_dir(), &index);
    project.configure(&format!("index: {{ url: 'file://{}' }}\n", place.display()));
    let bare = project.rig(&["install", "demo", "--offline"]);
    bare.fails_with(1).explains(&["`demo` is a pack for Python", "add `--runtime python`"]);
    let output = project.rig(&["install", "demo", "--runtime", "python", "--offline"]);
    output.fails_with(1).says("network    https://api.example.com").says("network    https://*.example.org:8443");
    output.says("secret     DEMO_KEY → the pack's own process, for demo.a.x").says("--yes");
    assert!(!project.has("rig.lock"));
    install(&project, "demo");
    let locked = project.locked("demo");
    let hosts: Vec<_> = locked.granted.network.iter().map(|rule| rule.host.as_str()).collect();
    assert_eq!((hosts, locked.version.to_string()), (vec!["*.example.org", "api.example.com"], "1.2.0".into()));
    project.rig(&["info", "demo"]).ok().shows("isolation  full").shows("package    rig-pack-demo with 2 files");
    // Flags take the place of what the index says.
    let flags = ["install", "demo", "--runtime", "python", "--yes", "--offline", "--allow-host", "other.example.com"];
    project.rig(&flags).ok();
    let granted = project.locked("demo").granted;
    assert_eq!(
        (granted.network.len(), granted.network[0].host.as_str(), granted.secrets.len()),
        (1, "other.example.com", 0)
    );
}

#[test]
fn an_active_environment_is_used() {
    let mut project = folder();
    offer(&project, &[pack("demo", "1.0.0", &[("'demo.a.x'", "return {'path': sys.path[-1]}")])]);
    let active = project.root().join("active");
    assert!(Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&active).status().unwrap().success());
    project.set_env("VIRTUAL_ENV", active.to_str().unwrap());
    install(&project, "rig-pack-demo");
    assert!(!project.has(".venv"));
    // Without it as well: where the pack is was noted.
    project.set_env("VIRTUAL_ENV", "");
    let path = project.call("demo.a.x", json!({})).output()["path"].clone();
    assert!(PathBuf::from(path.as_str().unwrap()).starts_with(&active), "{path}");
}

#[test]
fn packs_share_what_they_need_and_take_the_rest_with_them() {
    let project = folder();
    offer(
        &project,
        &[
            pack("demo", "1.0.0", &[("'demo.a.x'", "return {}")]).requires("common").requires("own"),
            pack("other", "1.0.0", &[("'other.a.x'", "return {}")]).requires("common"),
            Wheel::new("common", "1.0").file("common.py", ""),
            Wheel::new("own", "1.0").file("own.py", ""),
        ],
    );
    install(&project, "rig-pack-demo");
    // What is installed stays as it is, though there is something newer.
    offer(&project, &[Wheel::new("common", "2.0").file("common.py", "")]);
    install(&project, "rig-pack-other");
    let files: Vec<String> = project.locked("other").artifacts.into_iter().map(|artifact| artifact.file).collect();
    assert!(files.contains(&"common-1.0-py3-none-any.whl".to_owned()), "{files:?}");
    let lib = std::fs::read_dir(project.dir().join(".venv/lib")).unwrap().next().unwrap().unwrap().path();
    let there = |name: &str| lib.join("site-packages").join(name).exists();
    project.rig(&["uninstall", "demo", "--remove-package"]).ok();
    assert_eq!(
        (there("own.py"), there("rig_pack_demo"), there("common.py"), there("rig_core")),
        (false, false, true, true)
    );
    project.call("other.a.x", json!({})).ok();
    project.rig(&["uninstall", "other"]).ok();
    assert!(there("common.py"));
}

#[test]
fn an_update_shows_what_is_different_and_a_rollback_returns() {
    let project = folder();
    offer(&project, &[pack("demo", "1.0.0", &[("'demo.a.x'", "return {'v': 1}"), ("'demo.b.x'", "return {}")])]);
    install(&project, "rig-pack-demo");
    project.rig(&["update", "demo", "--yes", "--offline"]).ok().says("demo 1.0.0 is up to date");
    offer(&project, &[pack("demo", "1.1.0", &[("'demo.a.x'", "return {'v': 2}")])]);
    let output = project.rig(&["update", "demo", "--yes", "--offline"]);
    output.fails_with(1).says("demo 1.0.0 → 1.1.0 (breaking)").says("demo.b.x").says("--accept demo");
    assert_eq!(project.call("demo.a.x", json!({})).output(), json!({ "v": 1 }));
    let outdated = project.rig(&["outdated", "--json", "--offline"]).json();
    assert_eq!((&outdated[0]["pack"], &outdated[0]["update"]), (&json!("demo"), &json!("1.1.0")), "{outdated}");
    project.rig(&["update", "demo", "--yes", "--offline", "--accept", "demo"]).ok();
    assert_eq!(project.call("demo.a.x", json!({})).output(), json!({ "v": 2 }));
    project.rig(&["rollback", "--yes", "--offline"]).ok();
    assert_eq!(project.call("demo.a.x", json!({})).output(), json!({ "v": 1 }));
    project.call("demo.b.x", json!({})).ok();
}

#[test]
fn a_gateway_serves_them_beside_components() {
    let project = Project::with(&["echo"]);
    project.configure("python: { find_links: [wheels] }\n");
    offer(
        &project,
        &[pack(
            "demo",
            "1.0.0",
            &[
                // Its number is the same in every cell; when it was started is not.
                ("'demo.a.x'", "return {'pid': int(open('/proc/self/stat').read().rsplit(')')[1].split()[19])}"),
                ("'demo.time.sleep'", "time.sleep(args['seconds'])\nreturn {}"),
                (
                    "'demo.time.stuck'",
                    "while True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass",
                ),
                ("'demo.out.write'", "os.write(1, b'\\0\\0\\0\\2{}')\nreturn {'wrote': True}"),
            ],
        )],
    );
    let gateway = Arc::new(Gateway::start(&project));
    assert_eq!(gateway.call("echo.message.send", json!({ "message": "x" }))["ok"], true);
    install(&project, "rig-pack-demo");
    until("its tools are served", || gateway.call("demo.a.x", json!({}))["ok"] == true);
    project.rig(&["list"]).ok().shows("sandbox").shows("full");
    let pid = || gateway.call("demo.a.x", json!({}))["output"]["pid"].clone();
    let first = pid();
    assert_eq!(first, pid(), "the process is kept");

    // A slow call holds nobody up.
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let gateway = Arc::clone(&gateway);
            thread::spawn(move || gateway.call("demo.time.sleep", json!({ "seconds": 4 })))
        })
        .collect();
    until("a quick call among slow ones", || gateway.call("demo.a.x", json!({}))["ok"] == true);
    assert!(slow.iter().any(|call| !call.is_finished()), "the slow ones still run");
    assert!(slow.into_iter().all(|call| call.join().unwrap()["ok"] == true));

    // What looks like an answer and comes from the pack is not one.
    assert_eq!(gateway.call("demo.out.write", json!({}))["output"], json!({ "wrote": true }));
    assert_eq!(first, pid());

    // One that does not stop is killed, and a new process takes the next call.
    project.configure("policy: { timeout_seconds: 2 }\n");
    until("the shorter limit holds", || {
        gateway.call("demo.time.sleep", json!({ "seconds": 5 }))["error"]["type"] == "timeout"
    });
    assert_eq!(gateway.call("demo.time.stuck", json!({}))["error"]["type"], "timeout");
    until("another process", || pid() != first);
    // Outside of the cells they are processes like others, which name the runner that rig wrote into its home.
    let home = project.home().to_str().unwrap().to_owned();
    let runs = |process: &std::fs::DirEntry| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains(&home) && line.contains("runner.py")
    };
    let processes = || std::fs::read_dir("/proc").unwrap().flatten().filter(runs).count();
    until("the old one is gone", || processes() == 1);

    let mut talk = Talk::legacy(&project, json!({}));
    let answer = talk.call("demo_a_x", json!({}));
    assert!(answer["result"]["structuredContent"]["pid"].is_u64(), "{answer}");
}
