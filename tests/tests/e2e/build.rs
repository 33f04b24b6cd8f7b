//! `rig build`: what it makes of the source of a pack.

use std::{fs, path::Path, time::Duration};

use rig_tests::{Project, packs, toolchains};

/// How long a build may take on a busy machine where everything has to be compiled.
const LIMIT: Duration = Duration::from_mins(10);

/// What a pack of this checkout is made of, beside the manifest of the workspace.
const SOURCES: [&str; 4] = ["example-packs/echo", "sdk", "Cargo.lock", "wit"];

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

#[test]
fn a_pack_is_the_same_bytes_from_another_folder() {
    let project = Project::new();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let other = project.dir().join("somewhere/else");
    for source in SOURCES {
        fs::create_dir_all(other.join(source).parent().unwrap()).unwrap();
        copy(&checkout.join(source), &other.join(source));
    }
    let manifest = fs::read_to_string(checkout.join("Cargo.toml")).unwrap();
    let (before, rest) = manifest.split_once("members = [").unwrap();
    let (_, rest) = rest.split_once("]\ndefault-members = [\"host\"]").unwrap();
    let manifest = format!("{before}members = [\"example-packs/echo\", \"sdk\", \"sdk/macros\"]{rest}");
    fs::write(other.join("Cargo.toml"), manifest).unwrap();

    let run = project.run(["build", "somewhere/else/example-packs/echo", "-o", "echo.wasm"]);
    let output = toolchains::for_builds_of_another(run, project.root()).timeout(LIMIT).output();
    output.ok();
    let built = fs::read(project.dir().join("echo.wasm")).unwrap();
    output.shows(&format!("{} bytes", built.len()));
    assert!(built == packs::built("echo"), "{} and {} bytes that differ", built.len(), packs::built("echo").len());
    let named = project.root().to_str().unwrap();
    assert!(!String::from_utf8_lossy(&built).contains(named), "it names a folder of this machine");
}

/// What an author and whoever checks their pack do: both have a folder, a user and a home of their own, and no checkout of rig.
#[test]
fn a_new_pack_is_the_same_bytes_for_somebody_else() {
    let built = ["ann/a", "users/somebody with a longer name/b"].map(|folder| {
        let project = Project::empty();
        let dir = project.dir().join(folder);
        fs::create_dir_all(&dir).unwrap();
        project.run(["new", "pack"]).in_dir(&dir).output().ok();
        let home = dir.join("home");
        let run = project.run(["build", "pack", "-o", "pack.wasm"]).in_dir(&dir);
        let run = toolchains::for_builds_of_another(run, &dir).env("HOME", home.to_str().unwrap());
        run.env("RIG_HOME", home.join("rig").to_str().unwrap()).timeout(LIMIT).output().ok();
        let bytes = fs::read(dir.join("pack.wasm")).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // In the messages of panics, and by a name that is the same everywhere.
        assert!(text.contains("/sdk/src/"), "the name of a source file is in it, so that a folder could be");
        assert!(!text.contains(project.root().to_str().unwrap()), "it names a folder of this machine");
        bytes
    });
    assert!(built[0] == built[1], "{} and {} bytes that differ", built[0].len(), built[1].len());
}

#[test]
fn a_pack_in_c_is_the_same_bytes_from_another_folder() {
    if !toolchains::has_built("stars-c") {
        return;
    }
    let project = Project::new();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    copy(&checkout.join("example-packs/languages/c"), &project.dir().join("somewhere/else"));
    let run = project.run(["build", "somewhere/else", "-o", "c.wasm", "--offline"]);
    toolchains::for_builds_of_another(run, project.root()).timeout(LIMIT).output().ok();
    let built = fs::read(project.dir().join("c.wasm")).unwrap();
    assert!(built == packs::built("stars-c"), "{} and {} bytes", built.len(), packs::built("stars-c").len());
}

#[test]
fn what_is_no_pack_is_told() {
    let project = Project::new();
    fs::create_dir(project.dir().join("empty")).unwrap();
    project.write(
        "empty/rig-pack.toml",
        "[pack]\nid = \"x\"\nversion = \"1.0.0\"\ndisplay-name = \"X\"\ndescription = \"x\"\n",
    );
    for command in ["build", "test"] {
        project.rig(&[command, "."]).fails_with(1).explains(&["rig-pack.toml cannot be read", "rig new"]);
    }
    let output = project.rig(&["build", "empty"]);
    output.fails_with(1).explains(&["holds no source of a pack", "app.py (Python)", "pack.js (JavaScript)"]);
    project.write("empty/app.py", "import nothing_of_that_name\n");
    if toolchains::has_built("stars-python") {
        let output = toolchains::for_builds(project.run(["build", "empty"])).timeout(LIMIT).output();
        output.fails_with(1).explains(&["the package `empty` does not compile", "nothing_of_that_name"]);
    }
}

/// Mistakes that only a running pack shows are told when it is built, and where they are.
#[test]
fn what_is_wrong_in_a_definition_is_told() {
    let cases = [
        (
            "js",
            "pack.js",
            "risk: \"read\"",
            "risk: \"reed\"",
            "`risk` is read, write, infra, money, destructive, not reed",
        ),
        (
            "python",
            "app.py",
            "risk=\"read\"",
            "risk=\"reed\"",
            "risk is read, write, infra, money, destructive, not reed",
        ),
        (
            "c",
            "pack.c",
            "static bool get",
            "__attribute__((constructor)) static void early(void) { __builtin_trap(); }\nstatic bool get",
            "the pack was run to ask it for its tools, and did not tell them",
        ),
    ];
    for (language, file, from, to, told) in cases {
        if !toolchains::has_built(&format!("stars-{language}")) {
            continue;
        }
        let project = Project::empty();
        project.rig(&["new", "pack", "--lang", language]).ok();
        let path = project.dir().join("pack").join(file);
        let source = fs::read_to_string(&path).unwrap();
        assert!(source.contains(from), "{source}");
        fs::write(path, source.replacen(from, to, 1)).unwrap();
        let run = project.run(["build", "pack"]).env("RUST_BACKTRACE", "1");
        let output = toolchains::for_builds(run).timeout(LIMIT).output();
        output.fails_with(1).says(told);
        assert!(!output.stderr.contains("tack backtrace"), "{output}");
    }
}

/// A pack in C, since it is compiled in a second.
fn in_c(change: impl FnOnce(String, String) -> (String, String)) -> Option<Project> {
    if !toolchains::has_built("stars-c") {
        return None;
    }
    let project = Project::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../example-packs/languages/c");
    let read = |name: &str| fs::read_to_string(source.join(name)).unwrap();
    let (manifest, code) = change(read("rig-pack.toml"), read("pack.c"));
    fs::create_dir(project.dir().join("stars")).unwrap();
    project.write("stars/rig-pack.toml", manifest);
    project.write("stars/pack.c", code);
    Some(project)
}

fn build(project: &Project, args: &[&str]) -> rig_tests::Output {
    let run = project.run(["build", "stars", "--offline"]).args(args);
    toolchains::for_builds(run).timeout(LIMIT).output()
}

#[test]
fn what_could_be_better_is_a_warning_with_a_name() {
    let changed = in_c(|manifest, code| {
        let manifest =
            manifest.replace("\"/repos/*/*\"", "\"/*\"") + "\n[config.UNUSED]\n\n[storage]\nquota = \"1MiB\"\n";
        (manifest, code.replace(", \\\"description\\\": \\\"The name of the repository\\\"", ""))
    });
    let Some(project) = changed else { return };
    let warnings = [
        "warning: [config.UNUSED] is read by no code, and named by no host and no secret [unused-capability]",
        "warning: [storage] is asked for, and the component does not import rig:pack/storage [unused-capability]",
        "warning: [[network]] api.github.com: every path can be reached, also where `paths` is left out; name the paths [wide-path]",
        "warning: `stars-c.repo.get`: the parameter `name` has no description [undocumented-parameter]",
    ];
    let output = build(&project, &[]);
    for warning in warnings {
        output.says(warning);
    }
    output.ok();

    fs::remove_file(project.dir().join("stars/stars-c-0.1.0.wasm")).unwrap();
    build(&project, &["--deny-warnings"]).fails_with(1).explains(&["4 warnings", "--allow"]);
    assert!(!project.has("stars/stars-c-0.1.0.wasm"), "nothing is written");
    let allowed = ["--deny-warnings", "--allow", "wide-path", "--allow", "unused-capability"];
    build(&project, &allowed).fails_with(1).explains(&["1 warning"]);
    build(&project, &[&allowed[..], &["--allow", "undocumented-parameter"]].concat()).ok();
    build(&project, &["--allow", "wide-paths"]).fails_with(2).says("the lints are undocumented-tool, ");
}

/// Of each kind of lint a pack that it was made for; the rest is in the tests of `build::lint`.
#[test]
fn what_a_model_or_a_grant_could_not_bear_is_told() {
    type Change = (&'static str, &'static str, &'static str, &'static str);
    let cases: [Change; 4] = [
        ("code", "Tells how many people starred a repository on GitHub.", "Stars", "[undocumented-tool]"),
        ("manifest", "\"api.github.com\"", "\"*.github.com\"", "every host below github.com"),
        (
            "code",
            "\"{\\\"type\\\": \\\"object\\\", \\\"additionalProperties\\\"",
            "\"{\\\"type\\\": \\\"object\\\", \\\"anyOf\\\": [{}], \\\"additionalProperties\\\"",
            "[schema-root]",
        ),
        ("manifest", "methods = [\"GET\"]", "methods = [\"GET\", \"DELETE\"]", "[wide-method]"),
    ];
    for (file, from, to, told) in cases {
        let changed = in_c(|manifest, code| match file {
            "code" => (manifest, code.replace(from, to)),
            _ => (manifest.replace(from, to), code),
        });
        let Some(project) = changed else { return };
        build(&project, &["--deny-warnings"]).fails_with(1).says(told).explains(&["1 warning"]);
    }
}

#[test]
fn programs_read_what_was_built() {
    let Some(project) = in_c(|manifest, code| (manifest, code)) else { return };
    let output = build(&project, &["--json", "--deny-warnings"]);
    let told: serde_json::Value = serde_json::from_str(&output.ok().stdout).unwrap();
    let built = fs::read(project.dir().join("stars/stars-c-0.1.0.wasm")).unwrap();
    assert_eq!(told["sha256"], rig_specs::Sha256::of(&built).to_string());
    assert_eq!(told["size"], built.len());
    let said = (&told["id"], &told["language"], &told["reproducible"], &told["warnings"]);
    assert_eq!(said, (&"stars-c".into(), &"C".into(), &true.into(), &serde_json::json!([])));
    assert_eq!(told["tools"], serde_json::json!(["stars-c.repo.get"]));
}
