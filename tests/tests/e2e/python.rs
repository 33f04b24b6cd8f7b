//! Packs for Python: installed from folders of wheels, run in processes, under the same lock, policy and audit as components.

use std::fs;

use rig_tests::{
    Project,
    wheels::{Wheel, pack_code},
};
use serde_json::{Value, json};

/// A pack with a tool for each thing that is tested.
const TOOLS: &[(&str, &str)] = &[
    (
        "'demo.message.send'",
        "print('sending', args.get('message'))\nreturn {'message': args.get('message'), 'attempt': ctx['attempt'], 'actor': ctx['actor']}",
    ),
    (
        "'demo.secret.show', auth_slots=['DEMO_KEY']",
        "return {'slots': sorted(secrets), 'length': len(secrets['DEMO_KEY']), 'value': secrets['DEMO_KEY']}",
    ),
    (
        "'demo.fail.raise'",
        "raise RigToolRaised(ToolError(type='conflict', message='it is there already', retryable=False, upstream_code='E17', remediation_hints=['look first']))",
    ),
    ("'demo.fail.crash'", "return {'x': {}['missing']}"),
    ("'demo.fail.exit'", "os._exit(3)"),
    ("'demo.money.send', risk_class='money'", "return {}"),
    ("'demo.async.wait'", "async def later():\n    await asyncio.sleep(0)\n    return {'later': True}\nreturn later()"),
    ("'demo.time.sleep'", "time.sleep(args['seconds'])\nreturn {}"),
    (
        "'demo.world.look'",
        "return {'env': sorted(os.environ), 'cwd': os.getcwd(), 'path': sys.path, 'flags': [sys.flags.isolated, sys.flags.no_site]}",
    ),
];

/// A project whose wheels are in its folder `wheels`, and which looks nowhere else.
fn project() -> Project {
    let project = Project::empty();
    project.write("rig.yaml", "python: { find_links: [wheels] }\n");
    project
}

fn offer(project: &Project, wheel: &Wheel) {
    wheel.write(&project.dir().join("wheels"));
}

fn demo(version: &str) -> Wheel {
    Wheel::pack("rig-pack-demo", version, &pack_code("demo", version, TOOLS))
}

fn installed() -> Project {
    let project = project();
    offer(&project, &demo("1.0.0").requires("helper>=1"));
    offer(&project, &Wheel::new("helper", "1.5").file("helper.py", "X = 1\n"));
    project.rig(&INSTALL).ok();
    project
}

const INSTALL: [&str; 8] =
    ["install", "rig-pack-demo", "--runtime", "python", "--yes", "--offline", "--slot", "DEMO_KEY"];

#[test]
fn a_pack_is_installed_and_called() {
    let project = installed();
    let locked = project.locked("demo");
    let files: Vec<&str> = locked.artifacts.iter().map(|artifact| artifact.file.as_str()).collect();
    assert_eq!(
        files,
        ["helper-1.5-py3-none-any.whl", "rig_core-0.1.0-py3-none-any.whl", "rig_pack_demo-1.0.0-py3-none-any.whl"]
    );
    assert_eq!((locked.package.as_str(), locked.runtime.as_str()), ("rig-pack-demo", "python"));
    assert!(project.dir().join(".venv/pyvenv.cfg").is_file());

    let output = project.rig(&["call", "demo.message.send", r#"{"message":"hello"}"#, "--actor", "ann", "--verbose"]);
    assert_eq!(output.output(), json!({ "message": "hello", "attempt": 1, "actor": "ann" }));
    output.says("sending hello");
    assert_eq!(project.call("demo.async.wait", json!({})).output(), json!({ "later": true }));

    let rows = project.rig(&["audit", "query", "--json"]).json();
    let row = &rows["entries"][0];
    assert_eq!((&row["isolation"], &row["pack"]), (&json!("full"), &json!("demo")), "{rows}");
}

#[test]
fn secrets_go_to_the_tools_own_slots_and_do_not_come_back() {
    let mut project = installed();
    project.set_secret("DEMO_KEY", "canary-8f2b61d04c").set_env("OTHER", "x");
    let output = project.call("demo.secret.show", json!({})).output();
    assert_eq!((&output["slots"], &output["length"]), (&json!(["DEMO_KEY"]), &json!(17)));
    assert_ne!(output["value"], "canary-8f2b61d04c");
    // Another tool of the same pack gets none, and nothing of the environment is in the process.
    let world = project.call("demo.world.look", json!({})).output();
    let env: Vec<&str> = world["env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(
        env.iter()
            .all(|name| ["HOME", "TMPDIR", "LC_CTYPE"].contains(name) || name.to_ascii_uppercase().ends_with("_PROXY")),
        "{env:?}"
    );
    assert_eq!(world["flags"], json!([1, 1]));
}

#[test]
fn errors_of_a_pack() {
    let project = installed();
    let error = project.call("demo.fail.raise", json!({})).error("conflict");
    assert_eq!(
        (&error["message"], &error["upstream_code"], &error["remediation_hints"]),
        (&json!("it is there already"), &json!("E17"), &json!(["look first"]))
    );
    let output = project.rig(&["call", "demo.fail.crash", "{}", "--verbose"]);
    let error = output.error("internal_error");
    assert_eq!(error["message"], "`demo.fail.crash` failed with KeyError: 'missing'");
    output.says("Traceback (most recent call last)");
    let error = project.call("demo.fail.exit", json!({})).error("transient");
    assert_eq!(error["message"], "the process of the pack ended during the call: it ended by itself with exit code 3");
    let _ = project.call("demo.money.send", json!({})).error("approval_required");
    let _ = project.rig(&["call", "demo.time.sleep", r#"{"seconds":60}"#, "--timeout", "1"]).error("timeout");
}

#[test]
fn a_lock_restores_the_same_files() {
    let project = installed();
    let before = project.read("rig.lock");
    let packages = || {
        let lib = fs::read_dir(project.dir().join(".venv/lib")).unwrap().next().unwrap().unwrap().path();
        let mut files = rig_tests::files(&lib.join("site-packages"));
        // What the installer notes about itself.
        files.retain(|path, _| !path.to_string_lossy().contains(".dist-info/"));
        files
    };
    let files = packages();
    fs::remove_dir_all(project.dir().join(".venv")).unwrap();
    let _ = project.rig(&["call", "demo.message.send"]).error("internal_error");
    project.rig(&["install", "--offline"]).ok();
    assert_eq!((packages(), project.read("rig.lock")), (files.clone(), before.clone()));
    // Another machine: neither environment nor store.
    fs::remove_dir_all(project.dir().join(".venv")).unwrap();
    fs::remove_dir_all(project.home()).unwrap();
    project.rig(&["install", "--offline"]).ok();
    assert_eq!((packages(), project.read("rig.lock")), (files, before));
    project.rig(&["call", "demo.message.send", r#"{"message":"x"}"#]).ok();
    project.rig(&["verify"]).ok();
}

#[test]
fn changed_files_are_not_run() {
    let project = installed();
    let lib = fs::read_dir(project.dir().join(".venv/lib")).unwrap().next().unwrap().unwrap().path();
    let file = lib.join("site-packages/helper.py");
    fs::write(&file, "X = 2\n").unwrap();
    let error = project.call("demo.message.send", json!({})).error("internal_error");
    let message = error["message"].as_str().unwrap();
    assert!(message.ends_with("helper.py is not the file of helper-1.5-py3-none-any.whl"), "{message}");
    project.rig(&["verify"]).fails_with(1).says("helper.py is not the file of");
    project.rig(&["install", "--offline"]).ok();
    project.rig(&["verify"]).ok();
    project.call("demo.message.send", json!({})).ok();
}

#[test]
fn full_isolation_is_not_claimed_where_it_is_not_had() {
    // A machine without namespaces: the kernel's own switch, in a user namespace.
    let without = |project: &Project, args: &[&str]| {
        let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
        let rig = rig_tests::rig_path();
        let lead = ["--user", "--map-root-user", "sh", "-c", script, "sh", rig.to_str().unwrap()];
        project.run_other("unshare".as_ref()).args(lead.iter().chain(args)).output()
    };
    let project = installed();
    let call = ["call", "demo.message.send", "{}"];
    let error = without(&project, &call).error("internal_error");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("the pack `demo` cannot be run: full isolation is not possible here: namespaces"),
        "{message}"
    );
    let hints = error["remediation_hints"].to_string();
    assert!(hints.contains("set `isolation: {demo: reduced}` in rig.yaml"), "{hints}");
    without(&project, &["install", "rig-pack-demo", "--runtime", "python", "--yes", "--offline", "--slot", "X"])
        .fails_with(1)
        .says("full isolation is not possible here");

    project.write("rig.yaml", format!("{}isolation: {{ demo: reduced }}\n", project.read("rig.yaml")));
    without(&project, &call).ok();
    project.rig(&["list"]).ok().shows("reduced");
    let rows = project.rig(&["audit", "query", "--json"]).json();
    assert_eq!(rows.to_string().matches("\"isolation\":\"reduced\"").count(), 1, "{rows}");
}
