//! Packs for Python that cannot be installed: each is refused with what is wrong and what to do, and the project stays as it was.

use rig_tests::{
    Project,
    wheels::{Wheel, pack_code},
};

/// A case: its name, the wheels that there are, what stands in rig.yaml, the message, and the beginning of the hint.
struct Case {
    name: &'static str,
    wheels: Vec<Wheel>,
    settings: &'static str,
    message: &'static str,
    hint: &'static str,
}

const NAME: &str = "rig-pack-bad";

fn good() -> Wheel {
    Wheel::pack(NAME, "1.0.0", &pack_code("bad", "1.0.0", &[("'bad.a.x'", "return {}")]))
}

/// The good wheel, with other code.
fn with_code(code: &str) -> Wheel {
    Wheel::pack(NAME, "1.0.0", code)
}

fn with_tools(tools: &[(&str, &str)]) -> Wheel {
    with_code(&pack_code("bad", "1.0.0", tools))
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let case = |name, wheels, message, hint| Case { name, wheels, settings: "", message, hint };
    let mut cases = vec![
        case("not found", vec![], "there is no package `rig-pack-bad` in wheels", "check the name"),
        case(
            "what it needs is not found",
            vec![good().requires("absent>=2")],
            "there is no package `absent` >=2 in wheels",
            "check the name",
        ),
        case(
            "another machine",
            vec![good().tag("cp39-cp39-win_amd64")],
            "no wheel of `rig-pack-bad` fits this machine and Python [PYTHON]: there is rig_pack_bad-1.0.0-cp39-cp39-win_amd64.whl",
            "choose another version",
        ),
        case(
            "another Python",
            vec![good().metadata("Requires-Python: >=3.99")],
            "`rig-pack-bad` needs Python >=3.99, and this is [PYTHON]",
            "choose another version of the pack, or another Python",
        ),
        case(
            "needs that do not go together",
            vec![
                good().requires("a").requires("b"),
                Wheel::new("a", "1.0").requires("c==1"),
                Wheel::new("b", "1.0").requires("c==2"),
                Wheel::new("c", "1"),
                Wheel::new("c", "2"),
            ],
            "what `rig-pack-bad` needs does not go together: a 1.0 depends on c==1; b 1.0 depends on c==2",
            "choose another version of the pack",
        ),
        case(
            "no entry point",
            vec![good().entry_points("")],
            "`rig-pack-bad` is no pack that rig can use: rig-pack-bad has no entry point in the group rig.packs",
            "report this",
        ),
        case(
            "two entry points",
            vec![good().entry_points("[rig.packs]\na = rig_pack_bad:pack\nb = rig_pack_bad:pack\n")],
            "`rig-pack-bad` is no pack that rig can use: rig-pack-bad has several entry points in the group rig.packs: a, b",
            "report this",
        ),
        case(
            "an entry point to nothing",
            vec![good().entry_points("[rig.packs]\na = rig_pack_bad:absent\n")],
            "`rig-pack-bad` is no pack that rig can use: loading its entry point rig_pack_bad:absent failed with AttributeError: module 'rig_pack_bad' has no attribute 'absent'",
            "it said:",
        ),
        case(
            "an import error",
            vec![with_code("import absent_module\n")],
            "`rig-pack-bad` is no pack that rig can use: loading its entry point rig_pack_bad:pack failed with ModuleNotFoundError: No module named 'absent_module'",
            "it said:",
        ),
        case(
            "code that ends the process",
            vec![with_code("import os\nprint('going', flush=True)\nos._exit(7)\n")],
            "`rig-pack-bad` is no pack that rig can use: its process did not start: it ended by itself with exit code 7; it said: going",
            "",
        ),
        case(
            "a pack without its functions",
            vec![with_code("pack = object()\n")],
            "`rig-pack-bad` is no pack that rig can use: the object of its entry point has no function rig_pack_metadata",
            "report this",
        ),
        case(
            "a tool without an implementation",
            vec![with_code(
                &(pack_code("bad", "1.0.0", &[("'bad.a.x'", "return {}")]) + "Pack.rig_impls = lambda self: {}\n"),
            )],
            "`rig-pack-bad` is no pack that rig can use: rig_impls() has no function for the tool bad.a.x",
            "report this",
        ),
        case(
            "the same name twice",
            vec![with_code(
                &(pack_code("bad", "1.0.0", &[("'bad.a.x'", "return {}")])
                    + "Pack.rig_tools = lambda self: [tool for tool, _ in TOOLS.values()] * 2\n"),
            )],
            "`rig-pack-bad` is no pack that rig can use:\n  tool `bad.a.x` is described twice",
            "report this",
        ),
        case(
            "a schema that is none",
            vec![with_tools(&[(
                "'bad.a.x', input_schema={'type': 'object', 'properties': {'n': {'type': 'nonsense'}}}",
                "return {}",
            )])],
            "`rig-pack-bad` is no pack that rig can use:\n  tool `bad.a.x`: its input schema cannot be used: ",
            "report this",
        ),
        case(
            "a tool of another pack",
            vec![with_tools(&[("'other.a.x'", "return {}")])],
            "`rig-pack-bad` is no pack that rig can use:\n  tool `other.a.x`: a tool of this pack is named `bad.noun.verb`",
            "report this",
        ),
        case(
            "a risk that is none",
            vec![with_tools(&[("'bad.a.x', risk_class='scary'", "return {}")])],
            "`rig-pack-bad` is no pack that rig can use: tool `bad.a.x`: its risk class \"scary\" is none of read, write, infra, money and destructive",
            "report this",
        ),
        case(
            "no name",
            vec![with_code(&pack_code("Not an id", "1.0.0", &[("'bad.a.x'", "return {}")]))],
            "`rig-pack-bad` is no pack that rig can use:\n  `not an id` is not a pack id",
            "report this",
        ),
    ];
    cases.push(Case {
        name: "no such interpreter",
        wheels: vec![good()],
        settings: "python: { find_links: [wheels], interpreter: python9 }\n",
        message: "there is no Python on this machine: `python.interpreter` in rig.yaml names python9",
        hint: "install Python 3.9 or later",
    });
    cases.push(Case {
        name: "an interpreter that is none",
        wheels: vec![good()],
        settings: "python: { find_links: [wheels], interpreter: /bin/false }\n",
        message: "/bin/false cannot be used: it fails: ",
        hint: "name another in rig.yaml",
    });
    cases.push(Case {
        name: "a constraint",
        wheels: vec![good().requires("a>=2"), Wheel::new("a", "2")],
        settings: "python: { find_links: [wheels], constraints: constraints.txt }\n",
        message: "what `rig-pack-bad` needs does not go together: rig-pack-bad 1.0.0 depends on a>=2; the constraints ask for a<2",
        hint: "choose another version of the pack",
    });
    cases
}

#[test]
fn each_is_refused_with_what_is_wrong_and_nothing_changes() {
    let python = std::process::Command::new("python3")
        .args(["-c", "import platform; print(platform.python_version())"])
        .output()
        .unwrap();
    let python = String::from_utf8(python.stdout).unwrap().trim().to_owned();
    let mut wrong = Vec::new();
    for Case { name, wheels, settings, message, hint } in cases() {
        let project = Project::empty();
        let settings = if settings.is_empty() { "python: { find_links: [wheels] }\n" } else { settings };
        project.write("rig.yaml", settings);
        project.write("constraints.txt", "a<2\n");
        std::fs::create_dir(project.dir().join("wheels")).unwrap();
        for wheel in wheels {
            wheel.write(&project.dir().join("wheels"));
        }
        let before = project.state();
        let output = project.rig(&["install", NAME, "--runtime", "python", "--yes", "--offline"]);
        let said = output.stderr.replace(&python, "[PYTHON]").replace(&format!("{}/", project.dir().display()), "");
        let fits = output.code == Some(1)
            && said.contains(&format!("error: {message}"))
            && (hint.is_empty() || said.contains(&format!("hint: {hint}")));
        if !fits || project.state() != before || project.has("rig.lock") || project.has(".venv") {
            wrong.push(format!("{name}: {output}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn source_is_not_built() {
    let project = Project::empty();
    project.write("rig.yaml", "python: { find_links: [wheels] }\n");
    let folder = project.dir().join("wheels");
    std::fs::create_dir(&folder).unwrap();
    // A source distribution whose setup.py leaves a trace when it is run, with or without being installed.
    let trace = project.root().join("trace");
    let source = project.root().join("rig-pack-bad-1.0.0");
    std::fs::create_dir(&source).unwrap();
    let setup = format!(
        "open({trace:?}, 'w').close()\nfrom setuptools import setup\nsetup(name='rig-pack-bad', version='1.0.0')\n"
    );
    std::fs::write(source.join("setup.py"), setup).unwrap();
    std::fs::write(source.join("PKG-INFO"), "Metadata-Version: 2.1\nName: rig-pack-bad\nVersion: 1.0.0\n").unwrap();
    let tar = std::process::Command::new("tar")
        .args(["-czf"])
        .arg(folder.join("rig-pack-bad-1.0.0.tar.gz"))
        .args(["-C", project.root().to_str().unwrap(), "rig-pack-bad-1.0.0"])
        .status();
    assert!(tar.unwrap().success());
    let output = project.rig(&["install", NAME, "--runtime", "python", "--yes", "--offline"]);
    output
        .fails_with(1)
        .explains(&["`rig-pack-bad` is there as source only: rig-pack-bad-1.0.0.tar.gz", "build the wheel yourself"]);
    assert!(!trace.exists());
    // Control: an installer that builds from source runs it.
    let python = std::process::Command::new("python3").args(["setup.py", "--version"]).current_dir(&source).output();
    assert!(python.is_ok() && trace.exists(), "the trace is left when setup.py is run");
}
