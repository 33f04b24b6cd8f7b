//! Machines without what packs from PyPI and npm need, and packages from npm that are no packs: each is refused with what is wrong and what
//! to do, and the project stays as it was. What is wrong with versions and names is in `python_errors` and `node`.

use std::{fs, os::unix::fs::PermissionsExt as _};

use rig_tests::{
    IndexServer, Output, Project,
    npm::{Package, registry},
    wheels::{Wheel, pack_code},
};
use serde_json::json;

/// A machine: for which packs, the programs that it has, the message and the hint.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

/// What is wrong with a refusal: it says this and this hint, and nothing has changed.
fn wrong(project: &Project, args: &[&str], message: &str, hint: &str) -> Option<Output> {
    let before = project.state();
    let output = project.rig(args);
    let said = output.stderr.replace(&format!("{}/", project.root().display()), "");
    let fits = output.code == Some(1)
        && said.contains(&format!("error: {message}"))
        && said.contains(&format!("hint: {hint}"));
    let left = [".venv", ".rig/node", "rig.lock"].into_iter().any(|name| project.has(name));
    (!fits || left || project.state() != before).then_some(output)
}

#[test]
fn a_machine_without_the_interpreter() {
    const OLD: &str = r#"echo '{"version":[3,8,1],"program":"/x","prefix":"/x"}'"#;
    let cases: [Case; 7] = [
        (
            "python",
            &[],
            "there is no Python on this machine: there is neither `python3` nor `python` in PATH",
            "install Python 3.9 or later, or name one in rig.yaml",
        ),
        (
            "python",
            &[("python3", OLD)],
            "programs/python3 cannot be used: it is Python 3.8.1, and rig needs 3.9 or later",
            "name another in rig.yaml under `python: {interpreter: …}`",
        ),
        (
            "python",
            &[("python", "echo hello")],
            "programs/python cannot be used: it does not answer as Python does",
            "name another in rig.yaml under `python: {interpreter: …}`",
        ),
        (
            "node",
            &[],
            "there is no Node on this machine: there is no `node` in PATH",
            "install Node 20 or later, with npm",
        ),
        (
            "node",
            &[("node", "echo")],
            "there is no Node on this machine: there is no `npm` in PATH",
            "install Node 20 or later, with npm",
        ),
        (
            "node",
            &[("node", "echo /x; echo 18.19.0"), ("npm", "echo")],
            "programs/node cannot be used: it is Node 18.19.0, and rig needs 20 or later",
            "install Node 20 or later, with npm",
        ),
        (
            "node",
            &[("node", "echo hello"), ("npm", "echo")],
            "programs/node cannot be used: it does not answer as Node does",
            "install Node 20 or later, with npm",
        ),
    ];
    let mut all = Vec::new();
    for (runtime, programs, message, hint) in cases {
        let mut project = Project::empty();
        project.write("rig.yaml", "python: { find_links: [wheels] }\n");
        Wheel::pack("rig-pack-demo", "1.0.0", &pack_code("demo", "1.0.0", &[("'demo.a.x'", "return {}")]))
            .write(&project.dir().join("wheels"));
        let folder = project.root().join("programs");
        fs::create_dir(&folder).unwrap();
        for (name, script) in programs {
            let path = folder.join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        project.set_env("PATH", folder.to_str().unwrap());
        let args = ["install", "rig-pack-demo", "--runtime", runtime, "--yes", "--offline"];
        all.extend(wrong(&project, &args, message, hint).map(|output| format!("{message}: {output}")));
    }
    assert!(all.is_empty(), "{}", all.join("\n\n"));
}

#[test]
fn packages_that_are_no_packs() {
    let module = |tool: &str| {
        format!(
            "exports.rigPack = () => ({{ name: 'demo', version: '1.0.0' }});\nexports.rigTools = () => [{tool}];\nexports.rigInvoke = () => ({{}});\n"
        )
    };
    let with =
        |code: &str| Package::new("rig-pack-demo", "1.0.0").with("main", json!("index.js")).file("index.js", code);
    let with_tool = |tool: &str| with(&module(tool));
    let report = "report this to the pack's author";
    let cases = [
        (
            Package::new("rig-pack-demo", "1.0.0").with("main", json!("absent.js")),
            "loading rig-pack-demo failed with Error: Cannot find package ",
            "it said: ",
        ),
        (
            with("export const rigPack = 1;").with("type", json!("module")),
            "rig-pack-demo exports no function rigPack",
            report,
        ),
        (
            with("exports.rigPack = () => { throw new TypeError('no'); };"),
            "rigPack() failed with TypeError: no",
            "it said: ",
        ),
        (
            with("exports.rigPack = () => ({ name: 'demo' });"),
            "rigPack() does not answer an object with the texts name and version",
            report,
        ),
        (
            with_tool("").file("index.js", module("").replace("=> []", "=> 'many'")),
            "rigTools() does not answer an array",
            report,
        ),
        (
            with_tool(
                "{ name: 'demo.a.x', description: 'x', input_schema: { type: 'object', properties: { n: { type: 'nonsense' } } } }",
            ),
            "\n  tool `demo.a.x`: its input schema cannot be used: ",
            report,
        ),
        (
            with_tool("{ name: 'other.a.x', description: 'x' }"),
            "\n  tool `other.a.x`: a tool of this pack is named `demo.noun.verb`",
            report,
        ),
        (with("console.error('going'); process.exit(7);"), "its process did not start: it ended by itself", ""),
    ];
    let mut all = Vec::new();
    for (package, message, hint) in cases {
        let project = Project::empty();
        let server = IndexServer::start(&project.index_dir());
        project.write("rig.yaml", format!("node: {{ registry: '{}' }}\n", server.url("")));
        for (path, reply) in registry(|path| server.url(path), &[package]) {
            server.set(&path, reply);
        }
        let message = match message.strip_prefix('\n') {
            Some(lines) => format!("`rig-pack-demo` is no pack that rig can use:\n{lines}"),
            None => format!("`rig-pack-demo` is no pack that rig can use: {message}"),
        };
        let args = ["install", "rig-pack-demo", "--runtime", "node", "--yes"];
        all.extend(wrong(&project, &args, &message, hint).map(|output| format!("{message}: {output}")));
    }
    assert!(all.is_empty(), "{}", all.join("\n\n"));
}
