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

    let run = toolchains::for_builds(project.run(["build", "somewhere/else/example-packs/echo", "-o", "echo.wasm"]));
    let output = run.timeout(LIMIT).output();
    output.ok();
    let built = fs::read(project.dir().join("echo.wasm")).unwrap();
    output.shows(&format!("{} bytes", built.len()));
    assert!(built == packs::built("echo"), "{} and {} bytes that differ", built.len(), packs::built("echo").len());
    let named = project.root().to_str().unwrap();
    assert!(!String::from_utf8_lossy(&built).contains(named), "it names a folder of this machine");
}

#[test]
fn a_pack_in_c_is_the_same_bytes_from_another_folder() {
    if !toolchains::has_built("stars-c") {
        return;
    }
    let project = Project::new();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    copy(&checkout.join("example-packs/languages/c"), &project.dir().join("somewhere/else"));
    let run = toolchains::for_builds(project.run(["build", "somewhere/else", "-o", "c.wasm", "--offline"]));
    run.timeout(LIMIT).output().ok();
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
    let output = project.rig(&["build", "empty"]);
    output.fails_with(1).explains(&["holds no source of a pack", "app.py (Python)", "pack.js (JavaScript)"]);
    project.write("empty/app.py", "import nothing_of_that_name\n");
    if toolchains::has_built("stars-python") {
        let output = toolchains::for_builds(project.run(["build", "empty"])).timeout(LIMIT).output();
        output.fails_with(1).explains(&["the package `empty` does not compile", "nothing_of_that_name"]);
    }
}
