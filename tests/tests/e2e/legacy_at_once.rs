//! Many calls of one pack from PyPI or npm at the same moment: all of them run, beside one that takes its time.

use std::{sync::Arc, thread};

use rig_tests::{
    Gateway, IndexServer, Project,
    npm::{Package, registry},
    wheels::{Wheel, pack_code},
};
use serde_json::{Value, json};

/// How many calls meet. They wait for each other, so that none is answered unless all run at once.
const CALLS: usize = 100;

const PYTHON: [(&str, &str); 3] = [
    ("'many.calls.meet'", "MEETING.wait(100)\nreturn {'n': args['n']}"),
    ("'many.calls.hang'", "HELD.set()\nreturn {'free': FREE.wait(100)}"),
    ("'many.calls.free'", "HELD.wait(100)\nFREE.set()\nreturn {}"),
];

const NODE: &str = r"
let waiting = [], free, held;
const freed = new Promise((done) => { free = done; });
const hung = new Promise((done) => { held = done; });
const tools = {
  'crowd.calls.meet': ({ n }) => new Promise((done) => {
    waiting.push(() => done({ n }));
    if (waiting.length === CALLS) for (const go of waiting.splice(0)) go();
  }),
  'crowd.calls.hang': async () => { held(); await freed; return { free: true }; },
  'crowd.calls.free': async () => { await hung; free(); return {}; },
};
exports.rigPack = () => ({ name: 'crowd', version: '1.0.0' });
exports.rigTools = () => Object.keys(tools).map((name) => ({ name, description: `Does ${name}.`, risk_class: 'read' }));
exports.rigInvoke = (name, args) => tools[name](args);
";

#[test]
fn a_slow_call_holds_up_none_of_a_hundred() {
    let project = Project::empty();
    let server = IndexServer::start(&project.index_dir());
    let settings = "python: { find_links: [wheels] }\npolicy: { timeout_seconds: 120, retries: 0 }\n";
    project.write("rig.yaml", format!("{settings}node: {{ registry: '{}' }}\n", server.url("")));
    let barrier = format!(
        "import threading\nMEETING = threading.Barrier({CALLS})\nHELD, FREE = threading.Event(), threading.Event()\n"
    );
    let python = barrier + &pack_code("many", "1.0.0", &PYTHON);
    Wheel::pack("rig-pack-many", "1.0.0", &python).write(&project.dir().join("wheels"));
    let node = format!("const CALLS = {CALLS};\n{NODE}");
    let package = Package::new("rig-pack-crowd", "1.0.0").with("main", json!("index.js")).file("index.js", node);
    for (path, reply) in registry(|path| server.url(path), &[package]) {
        server.set(&path, reply);
    }
    project.rig(&["install", "rig-pack-many", "--runtime", "python", "--yes", "--offline"]).ok();
    project.rig(&["install", "rig-pack-crowd", "--runtime", "node", "--yes"]).ok();

    let gateway = Arc::new(Gateway::start(&project));
    let call = |tool: String, args: Value| {
        let gateway = Arc::clone(&gateway);
        thread::spawn(move || gateway.call(&tool, args))
    };
    for pack in ["many", "crowd"] {
        let slow = call(format!("{pack}.calls.hang"), json!({}));
        let calls: Vec<_> = (0..CALLS).map(|n| call(format!("{pack}.calls.meet"), json!({ "n": n }))).collect();
        for (n, call) in calls.into_iter().enumerate() {
            let answer = call.join().unwrap();
            assert_eq!(answer["output"], json!({ "n": n }), "{pack}: {answer}");
        }
        assert!(!slow.is_finished(), "{pack}: it hangs until it is freed");
        assert_eq!(gateway.call(&format!("{pack}.calls.free"), json!({}))["ok"], true);
        assert_eq!(slow.join().unwrap()["output"], json!({ "free": true }));
    }
}
