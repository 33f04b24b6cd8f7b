//! A pack's way from its author to whoever installs it: `rig new`, `rig publish`, and a rig that carries packs itself.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use rig_specs::{bundle, index::FILE};
use rig_tests::{Project, packs, rig_path, snapshot};
use serde_json::json;

#[test]
fn a_new_pack() {
    let project = Project::empty();
    snapshot!(project, ["new", "my-weather"], @r##"
    exit code: 0
    ----- stdout -----

    ----- stderr -----
    ✓ made [PROJECT]/my-weather
    Next: cd my-weather, then `rig test`.
    "##);
    for file in [
        "rig-pack.toml",
        "Cargo.toml",
        "Cargo.lock",
        "src/lib.rs",
        "tests/cases.toml",
        ".gitignore",
        ".rig/sdk/src/lib.rs",
    ] {
        assert!(project.has(&format!("my-weather/{file}")), "{file}");
    }
    snapshot!(project, ["new", "my-weather"], @r##"
    exit code: 1
    ----- stdout -----

    ----- stderr -----
    error: [PROJECT]/my-weather exists already
    hint: choose another name, or remove the folder first
    "##);
    snapshot!(project, ["new", "My Weather"], @r##"
    exit code: 2
    ----- stdout -----

    ----- stderr -----
    error: `My Weather` is not a pack id: an id starts with a lower-case letter and has at most 64 lower-case letters, digits and hyphens
    hint: a pack's id is a lower-case letter and at most 63 lower-case letters, digits and hyphens: `rig new weather`
    "##);
    project.rig(&["new", "x", "--lang", "cobol"]).fails_with(2).mentions("cobol").mentions("rust");
    assert!(!project.has("x") && !project.has("My Weather"));
}

#[test]
fn published_to_a_folder_and_installed_from_it() {
    let project = Project::empty();
    project.write("echo.wasm", packs::built("echo"));
    let folder = project.dir().join("packs");
    snapshot!(project, ["publish", "echo.wasm", "--to", "packs", "--publisher", "Ann", "--dry-run"], @r##"
    exit code: 0
    ----- stdout -----
    component  [PROJECT]/packs/echo-0.1.0.wasm ([SIZE])
    digest     sha256:[SHA256]
    tools      echo.message.send [read]
    install    rig install echo --index-url [PROJECT]/packs/pack_index.json

    ----- stderr -----
    would publish echo 0.1.0 to [PROJECT]/packs/pack_index.json
    Nothing was changed (--dry-run).
    "##);
    assert!(!folder.exists());
    snapshot!(project, ["publish", "echo.wasm", "--to", "packs", "--publisher", "Ann"], @r##"
    exit code: 0
    ----- stdout -----
    component  [PROJECT]/packs/echo-0.1.0.wasm ([SIZE])
    digest     sha256:[SHA256]
    tools      echo.message.send [read]
    install    rig install echo --index-url [PROJECT]/packs/pack_index.json

    ----- stderr -----
    ✓ published echo 0.1.0 to [PROJECT]/packs/pack_index.json
    "##);
    project.rig(&["publish", "echo.wasm", "--to", "packs"]).ok().says("nothing was changed");

    let newer = packs::released(&packs::built("echo"), "0.2.0");
    project.write("newer.wasm", newer);
    let published = project.rig(&["publish", "newer.wasm", "--to", "packs", "--json"]).json();
    assert_eq!((&published["version"], &published["changed"]), (&json!("0.2.0"), &json!(true)));

    project.rig(&["init", "--index-url", "packs/pack_index.json"]).ok();
    project.install(&["echo"]).mentions("publisher  Ann (new to this project)");
    assert_eq!(project.locked("echo").version.to_string(), "0.2.0");
    assert_eq!(project.call("echo.message.send", json!({ "message": "hi" })).output(), json!({ "message": "hi" }));

    // Other bytes under a version that is out.
    let other = packs::repacked(&packs::built("echo"), |pack| pack.manifest.pack.description = "Another.".into());
    project.write("other.wasm", other);
    let before = fs::read(folder.join(FILE)).unwrap();
    snapshot!(project, ["publish", "other.wasm", "--to", "packs"], @r##"
    exit code: 1
    ----- stdout -----

    ----- stderr -----
    error: echo 0.1.0 is in the index already, with other bytes (sha256:[SHA256])
    hint: raise the version in rig-pack.toml, for example to 0.1.1: a released version never changes
    "##);
    assert_eq!(fs::read(folder.join(FILE)).unwrap(), before);

    snapshot!(project, ["publish", "newer.wasm", "--to", "packs", "--yank"], @r##"
    exit code: 0
    ----- stdout -----

    ----- stderr -----
    ✓ withdrew echo 0.2.0: projects that have it keep it, and nobody gets it any more
    "##);
    project.rig(&["install", "echo@0.2.0", "--index-url", "packs/pack_index.json"]).ok();
    let fresh = Project::empty();
    fresh.set_index(&format!("file://{}", folder.join(FILE).display()));
    fresh.install(&["echo"]);
    assert_eq!(fresh.locked("echo").version.to_string(), "0.1.0", "what is withdrawn is chosen no more");
    fresh.rig(&["install", "echo@0.2.0", "--yes"]).fails_with(1);

    // What stands in the output can be passed on, and the folder is enough.
    let inner = project.dir().join("inner");
    fs::create_dir(&inner).unwrap();
    let run = project.run(["publish", "../newer.wasm", "--to", "../new/packs"]).in_dir(&inner);
    run.output().ok().shows(&format!("--index-url {}", project.dir().join("new/packs").join(FILE).display()));
    let reader = Project::empty();
    let indexes = project.dir().join("new/packs");
    reader.rig(&["init", "--index-url", indexes.to_str().unwrap()]).ok();
    reader.rig(&["install", "echo", "--yes"]).ok();
    assert_eq!(reader.locked("echo").version.to_string(), "0.2.0");
}

#[test]
fn what_is_not_meant_to_be_published_is_not() {
    let project = Project::empty();
    project.write("conformance.wasm", packs::built("conformance"));
    project.rig(&["publish", "conformance.wasm", "--to", "packs"]).fails_with(1).explains(&["publish = false"]);
    assert!(!project.has("packs"));
}

/// A rig with packs behind its end, as `cargo xtask dist` makes one.
fn carrying(project: &Project, ids: &[&str]) -> PathBuf {
    let built = project.root().join("built");
    fs::create_dir_all(&built).unwrap();
    let components: Vec<Vec<u8>> = ids.iter().map(|id| packs::built(id)).collect();
    let index = packs::index_of(&built, &components);
    let mut files = BTreeMap::from([(FILE.to_owned(), index.to_text().into_bytes())]);
    for name in
        index.packs.values().flat_map(|pack| pack.wasm.as_ref().unwrap().versions.values()).flat_map(|one| &one.urls)
    {
        files.insert(name.clone(), fs::read(built.join(name)).unwrap());
    }
    fs::remove_dir_all(&built).unwrap();
    let program = bundle::attach(fs::read(rig_path()).unwrap(), &files).unwrap();
    runnable(project, &program)
}

/// The program in a file that can be run.
fn runnable(project: &Project, program: &[u8]) -> PathBuf {
    let (path, made) = (project.root().join("rig"), project.root().join("rig.made"));
    fs::write(&made, program).unwrap();
    fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).unwrap();
    // By another process: a program that this one has open for writing, while another test starts a child, cannot be run.
    let copied = Command::new("cp").arg("--remove-destination").arg(&made).arg(&path).status().unwrap();
    assert!(copied.success());
    path
}

#[test]
fn a_rig_that_carries_packs_installs_them_at_once_and_offline() {
    let plain = Project::empty();
    let rig = carrying(&plain, &["echo", "github"]);
    let project = Project::running(rig);
    snapshot!(project, ["init"], @r##"
    exit code: 0
    ----- stdout -----

    ----- stderr -----
    ✓ wrote [PROJECT]/rig.yaml
    ✓ [PROJECT]/.gitignore keeps .rig/ and .env out of version control
    Next: `rig packs --available`, then `rig install NAME`.
    "##);
    assert_eq!(project.config().index.url.as_deref(), Some("bundled:"));
    snapshot!(project, ["packs", "--available", "--offline"], @r##"
    exit code: 0
    ----- stdout -----
    ID      Version  Runtime  Installed  Description
    echo    0.1.0    wasm                Answers what it was sent: for a first try, for tests and for measurements
    github  0.1.0    wasm                Issues and pull requests on GitHub
    Index: bundled: (bundled)

    ----- stderr -----
    "##);
    snapshot!(project, ["install", "echo", "--yes", "--offline"], @r##"
    exit code: 0
    ----- stdout -----

    ----- stderr -----
    echo 0.1.0: Answers what it was sent: for a first try, for tests and for measurements
      from       bundled:///echo-0.1.0.wasm ([SIZE])
      index      bundled: (bundled)
      digest     sha256:[SHA256]
      network    none
      tool       echo.message.send  [read]
    ✓ installed echo 0.1.0
    "##);
    let lock = project.lock();
    assert_eq!(lock.index_url.as_deref(), Some("bundled:"));
    assert_eq!(project.locked("echo").source.as_deref(), Some("bundled:///echo-0.1.0.wasm"));
    assert_eq!(project.call("echo.message.send", json!({ "message": "hi" })).output(), json!({ "message": "hi" }));
    project.rig(&["doctor"]).shows("bundled: 2 packs in this rig");

    // From the lock, with an empty store.
    fs::remove_dir_all(project.home()).unwrap();
    project.rig(&["install", "--offline"]).ok().mentions("echo 0.1.0 was fetched");
    project.rig(&["verify"]).ok();

    // A project that names no index has this one too.
    project.write("rig.yaml", "packs: []\n");
    project.rig(&["packs", "--available"]).ok().shows("github");
}

#[test]
fn a_rig_without_packs_says_so() {
    let project = Project::empty();
    project.rig(&["init", "--index-url", "bundled:"]).ok();
    snapshot!(project, ["install", "echo"], @r##"
    exit code: 1
    ----- stdout -----

    ----- stderr -----
    error: cannot fetch bundled:///pack_index.json: this rig carries no packs
    hint: use a rig that does (`cargo xtask dist` makes one of a checkout), or name another index: `index.url` in rig.yaml, or `--index-url`
    "##);
    snapshot!(project, ["packs", "--available"], @r##"
    exit code: 1
    ----- stdout -----

    ----- stderr -----
    error: cannot fetch bundled:///pack_index.json: this rig carries no packs
    hint: use a rig that does (`cargo xtask dist` makes one of a checkout), or name another index: `index.url` in rig.yaml, or `--index-url`
    "##);
    project.rig(&["doctor"]).shows("`index.url` is `bundled:`, and this rig carries no packs");
}

#[test]
fn a_lock_of_another_rigs_packs_is_explained() {
    let plain = Project::empty();
    let project = Project::running(carrying(&plain, &["echo"]));
    project.rig(&["init"]).ok();
    project.install(&["echo"]);
    fs::remove_dir_all(project.home()).unwrap();
    carrying(&plain, &["github"]);
    let before = project.state();
    project.rig(&["install"]).fails_with(1).explains(&["this rig carries no such version"]);
    assert_eq!(project.state(), before);
}

#[test]
fn damage_is_found() {
    let plain = Project::empty();
    let mut bytes = fs::read(carrying(&plain, &["echo"])).unwrap();
    let length = bytes.len();
    bytes[length - 2_000] ^= 1;
    let project = Project::running(runnable(&plain, &bytes));
    project.rig(&["init"]).ok();
    project.rig(&["install", "echo", "--yes"]).fails_with(1).explains(&["is damaged"]);
}

/// What `strip` does, and a copy that was interrupted.
#[test]
fn packs_that_were_cut_off_are_missed() {
    let plain = Project::empty();
    let bytes = fs::read(carrying(&plain, &["echo"])).unwrap();
    let without = fs::read(rig_path()).unwrap();
    let project = Project::running(runnable(&plain, &bytes[..without.len()]));
    project.rig(&["init", "--index-url", "bundled:"]).ok();
    let output = project.rig(&["install", "echo", "--yes"]);
    output.fails_with(1).says("they are gone from its end: `strip`").explains(&["this rig carries no packs"]);
    // The control: a rig that never had any misses none.
    let project = Project::running(runnable(&plain, &without));
    project.rig(&["init", "--index-url", "bundled:"]).ok();
    let output = project.rig(&["install", "echo", "--yes"]);
    output.fails_with(1).explains(&["this rig carries no packs"]);
    assert!(!output.stderr.contains("gone"), "{output}");
}

/// The journey of whoever has a release and nothing else: all packs, without a network.
#[test]
fn all_packs_of_a_release_can_be_installed_and_listed() {
    let plain = Project::empty();
    let all = [
        "airtable",
        "echo",
        "elevenlabs",
        "github",
        "google",
        "notion",
        "sendgrid",
        "slack",
        "stripe",
        "supabase",
        "twilio",
    ];
    let project = Project::running(carrying(&plain, &all));
    project.rig(&["init", "--offline"]).ok();
    for id in all {
        project.rig(&["install", id, "--yes", "--offline"]).ok().mentions(&format!("installed {id}"));
    }
    project.rig(&["verify", "--offline"]).ok();
    snapshot!(project, ["list", "--packs"], @r##"
    exit code: 0
    ----- stdout -----
    ID          Version  Runtime  Tools
    airtable    0.1.0    wasm     3
    echo        0.1.0    wasm     1
    elevenlabs  0.1.0    wasm     2
    github      0.1.0    wasm     4
    google      0.1.0    wasm     3
    notion      0.1.0    wasm     4
    sendgrid    0.1.0    wasm     2
    slack       0.1.0    wasm     4
    stripe      0.1.0    wasm     8
    supabase    0.1.0    wasm     4
    twilio      0.1.0    wasm     5

    ----- stderr -----
    11 packs with 40 tools
    "##);
    let listed = project.rig(&["list", "--json"]).json();
    let tools = listed.as_array().unwrap().iter().filter(|tool| tool["name"] != "echo.message.send");
    assert_eq!(tools.count(), 39, "{listed}");
}
