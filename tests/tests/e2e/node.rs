//! Packs for Node: installed from a registry on loopback, for both kinds of modules, and run in processes.

use std::{
    fs,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rig_tests::{
    Gateway, IndexServer, Project, Reply,
    npm::{Package, registry},
};
use serde_json::{Value, json};

/// Puts packages into a registry; all versions of a package at once.
fn publish(server: &IndexServer, packages: &[Package]) {
    for (path, reply) in registry(|path| server.url(path), packages) {
        server.set(&path, reply);
    }
}

const TOOLS: &str = r"
const tools = {
  'demo.message.send': [{}, async (args, context) => {
    console.log('sending', args.message);
    return { message: args.message, actor: context.actor };
  }],
  'demo.secret.show': [{ auth_slots: ['DEMO_KEY'] }, (args, { auth }) => ({ slots: Object.keys(auth), value: auth.DEMO_KEY })],
  'demo.fail.raise': [{}, () => { throw { type: 'not_found', message: 'there is none', upstream_code: 'E1', remediation_hints: ['look'] }; }],
  'demo.fail.crash': [{}, () => { throw new TypeError('broken'); }],
  'demo.world.look': [{}, () => ({ env: Object.keys(process.env), pid: performance.timeOrigin, options: process.execArgv })],
  'demo.time.sleep': [{}, (args) => new Promise((done) => setTimeout(() => done({}), args.seconds * 1000))],
  'demo.time.stuck': [{}, () => { for (;;); }],
  'demo.out.write': [{}, () => { fs.writeSync(1, Buffer.from([0, 0, 0, 2, 123, 125])); return { wrote: true }; }],
};
const rigPack = () => ({ name: 'demo', version: '1.0.0' });
const rigTools = () => Object.entries(tools).map(([name, [more]]) => ({ name, description: `Does ${name}.`, risk_class: 'read', ...more }));
const rigInvoke = (name, args, context) => tools[name][1](args, context);
";

fn commonjs(version: &str) -> Package {
    Package::new("rig-pack-demo", version)
        .with("main", json!("index.js"))
        .with("dependencies", json!({ "helper": "^1.0.0" }))
        .file("index.js", format!("const fs = require('fs');\nrequire('helper');\n{TOOLS}\nmodule.exports = {{ rigPack, rigTools, rigInvoke }};\n"))
}

fn module(name: &str) -> Package {
    Package::new(name, "1.0.0")
        .with("type", json!("module"))
        .with("exports", json!({ ".": { "import": "./index.js" } }))
        .file("index.js", format!("import fs from 'node:fs';\n{TOOLS}\nexport {{ rigPack, rigTools, rigInvoke }};\n"))
}

fn helper() -> Package {
    Package::new("helper", "1.2.0").file("index.js", "module.exports = {};\n")
}

fn project() -> (Project, IndexServer) {
    let project = Project::empty();
    let server = IndexServer::start(&project.index_dir());
    project.write("rig.yaml", format!("node: {{ registry: '{}' }}\n", server.url("")));
    (project, server)
}

fn install(project: &Project, name: &str) {
    project.rig(&["install", name, "--runtime", "node", "--yes", "--slot", "DEMO_KEY"]).ok();
}

#[test]
fn both_kinds_of_modules_are_installed_and_called() {
    for name in ["rig-pack-demo", "@acme/demo"] {
        let (mut project, server) = project();
        if name == "rig-pack-demo" {
            publish(&server, &[commonjs("1.0.0"), helper()]);
        } else {
            publish(&server, &[module("@acme/demo")]);
            // Of this scope only.
            let settings =
                format!("node: {{ registry: 'http://127.0.0.1:9/', scopes: {{ '@acme': '{}' }} }}\n", server.url(""));
            project.write("rig.yaml", settings);
        }
        install(&project, name);
        let locked = project.locked("demo");
        let files: Vec<&str> = locked.artifacts.iter().map(|artifact| artifact.file.as_str()).collect();
        let expected: &[&str] =
            if name == "rig-pack-demo" { &["helper@1.2.0", "rig-pack-demo@1.0.0"] } else { &["@acme/demo@1.0.0"] };
        assert_eq!((files.as_slice(), locked.package.as_str(), locked.runtime.as_str()), (expected, name, "node"));

        let output = project.rig(&["call", "demo.message.send", r#"{"message":"hi"}"#, "--actor", "ann", "--verbose"]);
        assert_eq!(output.output(), json!({ "message": "hi", "actor": "ann" }));
        output.says("sending hi");
        let error = project.call("demo.fail.raise", json!({})).error("not_found");
        assert_eq!((&error["message"], &error["upstream_code"]), (&json!("there is none"), &json!("E1")));
        let output = project.rig(&["call", "demo.fail.crash", "{}", "--verbose"]);
        assert_eq!(output.error("internal_error")["message"], "`demo.fail.crash` failed with TypeError: broken");
        output.says("index.js");
        project.set_secret("DEMO_KEY", "canary-77aa01").set_env("NODE_OPTIONS", "--throw-deprecation");
        let output = project.call("demo.secret.show", json!({})).output();
        assert_eq!(output["slots"], json!(["DEMO_KEY"]));
        let world = project.call("demo.world.look", json!({})).output();
        let env: Vec<&str> = world["env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(env.iter().all(|name| ["HOME", "TMPDIR"].contains(name)), "{env:?}");
        assert_eq!(project.call("demo.out.write", json!({})).output(), json!({ "wrote": true }));
    }
}

#[test]
fn a_lock_restores_the_same_files_and_changed_ones_are_not_run() {
    let (project, server) = project();
    publish(&server, &[commonjs("1.0.0"), helper()]);
    install(&project, "rig-pack-demo");
    let (before, folder) = (project.read("rig.lock"), project.dir().join(".rig/node/demo"));
    let files = || rig_tests::files(&folder.join("node_modules"));
    let there = files();
    fs::remove_dir_all(project.dir().join(".rig")).unwrap();
    fs::remove_dir_all(project.home()).unwrap();
    // What came after the lock does not count.
    publish(&server, &[helper(), Package::new("helper", "1.3.0").file("index.js", "throw new Error('new')")]);
    project.rig(&["install"]).ok();
    assert_eq!((files(), project.read("rig.lock")), (there, before.clone()));
    project.call("demo.message.send", json!({ "message": "x" })).ok();

    fs::write(folder.join("node_modules/helper/index.js"), "process.exit(1)").unwrap();
    let error = project.call("demo.message.send", json!({})).error("internal_error");
    assert!(
        error["message"].as_str().unwrap().ends_with(
            "a file in [FOLDER] was changed, added or removed".replace("[FOLDER]", folder.to_str().unwrap()).as_str()
        ),
        "{error}"
    );
    project.rig(&["verify"]).fails_with(1);
    project.rig(&["install"]).ok();
    project.rig(&["verify"]).ok();

    // Other bytes under the same name and version, as whoever holds the registry could serve them.
    fs::remove_dir_all(project.dir().join(".rig")).unwrap();
    fs::remove_dir_all(project.home()).unwrap();
    let other = Package::new("helper", "1.2.0").file("index.js", "process.exit(1)").archive();
    server.set("files/helper-1.2.0.tgz", Reply::new(200, other));
    project.rig(&["install"]).fails_with(1).says("has another hash than it says, or than rig.lock");
    assert_eq!((project.read("rig.lock"), folder.exists()), (before, false));
    publish(&server, &[helper()]);
    project.rig(&["install"]).ok();
    project.rig(&["uninstall", "demo", "--remove-package"]).ok();
    assert!(!folder.exists());
}

#[test]
fn scripts_and_configuration_of_others_do_not_run() {
    let (project, server) = project();
    let trace = project.root().join("trace");
    let script = format!("node -e \"require('fs').writeFileSync('{}', '')\"", trace.display());
    let scripts = json!({ "preinstall": script, "install": script, "postinstall": script, "prepare": script });
    publish(&server, &[commonjs("1.0.0").with("scripts", scripts.clone()), helper().with("scripts", scripts)]);
    // A registry that the user's own configuration names, and one of the project's folder.
    for place in [project.root().join("user/.npmrc"), project.dir().join(".npmrc")] {
        fs::write(place, "registry=http://127.0.0.1:9/\nignore-scripts=false\n").unwrap();
    }
    install(&project, "rig-pack-demo");
    project.call("demo.message.send", json!({ "message": "x" })).ok();
    assert!(!trace.exists());
    // Control: npm by itself runs them.
    let control = project.root().join("control");
    fs::create_dir(&control).unwrap();
    let npm = Command::new("npm")
        .current_dir(&control)
        .env("HOME", &control)
        .args(["install", "rig-pack-demo", "--no-audit", "--no-fund", "--registry", &server.url("")])
        .output()
        .unwrap();
    assert!(npm.status.success() && trace.exists(), "{}", String::from_utf8_lossy(&npm.stderr));
}

#[test]
fn what_cannot_be_installed_is_refused() {
    let bad = |code: &str| Package::new("rig-pack-demo", "1.0.0").file("index.js", code);
    let good = || commonjs("1.0.0").with("dependencies", json!({}));
    let cases: Vec<(&str, Vec<Package>, &str)> = vec![
        ("not found", vec![], "there is no package `rig-pack-demo` in [REGISTRY]"),
        (
            "no such version",
            vec![commonjs("0.9.0"), helper()],
            "there is no package `rig-pack-demo` 1.0.0 in [REGISTRY]",
        ),
        ("what it needs is not found", vec![commonjs("1.0.0")], "there is no package `"),
        (
            "another Node",
            vec![good().with("engines", json!({ "node": ">=99" }))],
            "`rig-pack-demo@1.0.0` needs Node >=99, and this is ",
        ),
        (
            "an import error",
            vec![bad("require('absent')")],
            "`rig-pack-demo` is no pack that rig can use: loading rig-pack-demo failed with Error: Cannot find module 'absent'",
        ),
        (
            "nothing that a pack has",
            vec![bad("module.exports = {}")],
            "`rig-pack-demo` is no pack that rig can use: rig-pack-demo exports no function rigPack",
        ),
        (
            "the same name twice",
            vec![bad(
                "exports.rigPack = () => ({ name: 'demo', version: '1.0.0' }); exports.rigTools = () => [1, 2].map(() => ({ name: 'demo.a.x', description: 'x' })); exports.rigInvoke = () => ({});",
            )],
            "`rig-pack-demo` is no pack that rig can use:\n  tool `demo.a.x` is described twice",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, packages, message) in cases {
        let (project, server) = project();
        publish(&server, &packages);
        let before = project.state();
        let what = if name == "no such version" { "rig-pack-demo@1.0.0" } else { "rig-pack-demo" };
        let output = project.rig(&["install", what, "--runtime", "node", "--yes"]);
        let message = message.replace("[REGISTRY]", &server.url(""));
        let fits = output.code == Some(1)
            && output.stderr.contains(&format!("error: {message}"))
            && output.stderr.contains("hint: ");
        if !fits || project.state() != before || project.has(".rig/node") || project.has("rig.lock") {
            wrong.push(format!("{name}: {output}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_process_that_is_stuck_is_replaced() {
    let (project, server) = project();
    publish(&server, &[commonjs("1.0.0"), helper()]);
    install(&project, "rig-pack-demo");
    let gateway = Arc::new(Gateway::start(&project));
    let pid = || gateway.call("demo.world.look", json!({}))["output"]["pid"].clone();
    let first = pid();
    assert_eq!(first, pid());
    let slow = {
        let gateway = Arc::clone(&gateway);
        thread::spawn(move || gateway.call("demo.time.sleep", json!({ "seconds": 3 })))
    };
    assert_eq!(gateway.call("demo.message.send", json!({ "message": "quick" }))["ok"], true);
    assert!(!slow.is_finished(), "a slow call holds nobody up");
    assert_eq!(slow.join().unwrap()["ok"], true);
    project.configure("policy: { timeout_seconds: 2 }\n");
    let end = Instant::now() + Duration::from_mins(1);
    while gateway.call("demo.time.sleep", json!({ "seconds": 5 }))["error"]["type"] != "timeout" {
        assert!(Instant::now() < end, "the shorter limit does not hold");
    }
    assert_eq!(gateway.call("demo.time.stuck", json!({}))["error"]["type"], "timeout");
    while pid() == first || pid().is_null() {
        assert!(Instant::now() < end, "the process is not replaced");
    }
}
