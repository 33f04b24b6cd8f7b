//! One changed byte anywhere is refused before any code of a pack runs: with the file, both hashes and the next step, and
//! without a change to what is installed.

use std::fs;

use rig_specs::Sha256;
use rig_tests::{IndexServer, Output, Project, Reply, files, packs};
use serde_json::json;

/// Places in a file: its first and last byte and some between.
fn offsets(len: usize) -> [usize; 5] {
    [0, len / 4, len / 2, len * 3 / 4, len - 1]
}

fn hex(bytes: &[u8]) -> String {
    Sha256::of(bytes).hex()
}

fn call(project: &Project) -> Output {
    project.call("echo.message.send", json!({ "message": "hi" }))
}

#[test]
fn a_download() {
    let project = Project::new();
    let server = IndexServer::start(&project.index_dir());
    project.set_index(&server.url(packs::INDEX));
    let good = packs::built("echo");
    let index = packs::index_of(&project.index_dir(), std::slice::from_ref(&good));
    let file = &index.packs[&"echo".parse().unwrap()].wasm.as_ref().unwrap().newest().unwrap().1.urls[0];
    for offset in offsets(good.len()) {
        let mut bad = good.clone();
        bad[offset] ^= 1;
        server.set(file, Reply::new(200, bad.clone()));
        let before = project.state();
        project.rig(&["install", "echo", "--yes"]).fails_with(1).explains(&[file, &hex(&good), &hex(&bad)]);
        assert_eq!(project.state(), before);
    }
    server.restore();
    project.install(&["echo"]);
}

#[test]
fn any_byte_of_a_served_index() {
    let project = Project::new();
    let server = IndexServer::start(&project.index_dir());
    project.set_index(&server.url(packs::INDEX));
    let honest = fs::read(project.index_dir().join(packs::INDEX)).unwrap();
    let good = Sha256::of(&packs::built("echo"));
    let before = project.state();
    let mut refused = 0;
    for round in 0..48 {
        let mut bytes = honest.clone();
        bytes[honest.len() * round / 48] ^= 1 << (round % 7);
        server.set(packs::INDEX, Reply::new(200, bytes.clone()));
        let output = project.rig(&["install", "echo", "--yes", "--refresh"]);
        if output.code == Some(0) {
            // A changed description does no harm; but what is installed are the right bytes, or nothing.
            assert_eq!(project.locked("echo").integrity, Some(good), "{}", String::from_utf8_lossy(&bytes));
            project.rig(&["uninstall", "echo"]).ok();
        } else {
            refused += 1;
            output.fails_with(1).explains(&[]);
        }
        for name in ["rig.lock", "rig.yaml"] {
            drop(fs::remove_file(project.dir().join(name)));
        }
        drop(fs::remove_dir_all(project.home().join("store")));
        project.set_index(&server.url(packs::INDEX));
        assert_eq!(project.state(), before);
    }
    assert!(refused >= 12, "only {refused} of 48 changes were noticed");
    server.restore();
    project.install(&["echo", "--refresh"]);
}

#[test]
fn the_hash_in_an_index_or_in_its_cached_copy() {
    let project = Project::new();
    let server = IndexServer::start(&project.index_dir());
    project.set_index(&server.url(packs::INDEX));
    let good = hex(&packs::built("echo"));
    let first = if good.starts_with('0') { "1" } else { "0" };
    let wrong = format!("{first}{}", &good[1..]);
    let honest = fs::read_to_string(project.index_dir().join(packs::INDEX)).unwrap();
    server.set(packs::INDEX, Reply::new(200, honest.replace(&good, &wrong)));
    let before = project.state();
    project.rig(&["install", "echo", "--yes"]).fails_with(1).explains(&[&good, &wrong]);
    assert_eq!(project.state(), before);

    server.restore();
    project.install(&["echo", "--refresh"]);
    let cache = project.dir().join(".rig/cache/pack_index.json");
    let cached = fs::read_to_string(&cache).unwrap();
    assert!(cached.contains(&good), "{cached}");
    fs::write(&cache, cached.replace(&good, &wrong)).unwrap();
    let before = project.state();
    let hashes = [hex(cached.as_bytes()), hex(&fs::read(&cache).unwrap())];
    for args in [&["install", "echo", "--yes"][..], &["install", "github", "--yes"], &["packs", "--available"]] {
        project.rig(args).fails_with(1).explains(&["pack_index.json", &hashes[0], &hashes[1], "--refresh"]);
    }
    assert_eq!(project.state(), before);
    // The next step that was named mends it.
    project.install(&["github", "--refresh"]);
}

#[test]
fn the_store() {
    let good = packs::built("echo");
    for offset in offsets(good.len()) {
        let project = Project::with(&["echo"]);
        let stored = project.stored("echo");
        packs::tamper(&stored, offset);
        let bad = hex(&fs::read(&stored).unwrap());
        let before = project.state();

        let output = call(&project);
        assert_ne!(output.code, Some(0), "{output}");
        for text in [&*stored.to_string_lossy(), &hex(&good), &bad, "rig install"] {
            output.mentions(text);
        }
        let verify = project.rig(&["verify"]);
        verify.fails_with(1);
        for text in [&hex(&good), &bad] {
            verify.mentions(text);
        }
        project.rig(&["verify", "--json"]).fails_with(1).shows(&bad);
        assert_eq!(project.state(), before);

        // The next step that was named mends it.
        project.install(&[]);
        let _ = call(&project).output();
        project.rig(&["verify"]).ok();
    }
}

#[test]
fn another_component_in_the_store() {
    let project = Project::with(&["echo", "github"]);
    let other = fs::read(project.stored("github")).unwrap();
    packs::replace(&project.stored("echo"), &other);
    let output = call(&project);
    assert_ne!(output.code, Some(0), "{output}");
    output.mentions(&hex(&packs::built("echo"))).mentions(&hex(&other));
}

#[test]
fn a_store_that_lost_a_file() {
    let project = Project::with(&["echo"]);
    fs::remove_file(project.stored("echo")).unwrap();
    let output = call(&project);
    assert_ne!(output.code, Some(0), "{output}");
    output.mentions("rig install");
    project.rig(&["verify"]).fails_with(1);
    project.install(&[]);
    let _ = call(&project).output();
}

#[test]
fn the_lock() {
    let project = Project::with(&["echo", "github"]);
    let text = project.read("rig.lock");
    let recorded = project.lock().digest.unwrap().hex();
    let integrity = project.locked("echo").integrity.unwrap().hex();
    let swapped = project.locked("github").integrity.unwrap().hex();
    for (what, changed) in [
        ("a digit of a hash", text.replace(&integrity, &format!("{}{}", &integrity[1..], &integrity[..1]))),
        ("the hash of another pack", text.replace(&integrity, &swapped)),
        ("a wider grant", text.replace("api.github.com", "*.github.com")),
        ("another method", text.replacen("\"POST\"", "\"DELETE\"", 1)),
        ("a later date", text.replacen("\"updated_at\": \"2", "\"updated_at\": \"3", 1)),
    ] {
        assert_ne!(changed, text, "{what}");
        project.write("rig.lock", &changed);
        for args in
            [&["call", "echo.message.send", r#"{"message":"hi"}"#][..], &["list"], &["install", "--yes"], &["packs"]]
        {
            let output = project.rig(args);
            output.fails_with(1).explains(&["rig.lock", &recorded, "version control"]);
            assert_eq!(digests(&output.stderr).len(), 2, "both hashes: {output}");
        }
        project.rig(&["verify"]).fails_with(1);
        assert_eq!(project.read("rig.lock"), changed, "{what}: the lock is left as it was found");
    }
    project.write("rig.lock", text);
    let _ = call(&project).output();
}

#[test]
fn any_byte_of_the_lock() {
    let project = Project::with(&["echo", "github"]);
    let text = project.read("rig.lock").into_bytes();
    let config = project.read("rig.yaml");
    for round in 0..64 {
        let mut bytes = text.clone();
        bytes[text.len() * round / 64] ^= 1 << (round % 8);
        project.write("rig.lock", &bytes);
        for args in [&["call", "echo.message.send", r#"{"message":"hi"}"#][..], &["install", "github", "--yes"]] {
            project.rig(args).fails_with(1).explains(&["rig.lock"]);
        }
        assert_eq!(fs::read(project.dir().join("rig.lock")).unwrap(), bytes, "the lock is left as it was found");
    }
    assert_eq!(project.read("rig.yaml"), config);
    project.write("rig.lock", text);
    project.rig(&["verify"]).ok();
}

#[test]
fn what_is_known_about_the_cached_index() {
    let project = Project::new();
    let server = IndexServer::start(&project.index_dir());
    project.set_index(&server.url(packs::INDEX));
    project.install(&["echo"]);
    let meta = project.dir().join(".rig/cache/pack_index.meta.json");
    let text = fs::read(&meta).unwrap();
    for round in 0..24 {
        let mut bytes = text.clone();
        bytes[text.len() * round / 24] ^= 1 << (round % 7);
        fs::write(&meta, &bytes).unwrap();
        let before = project.state();
        let output = project.rig(&["install", "echo", "--yes"]);
        // Without sound facts about the copy there is no copy: the index is fetched again.
        if output.code != Some(0) {
            output.fails_with(1).explains(&["pack_index.meta.json", "--refresh"]);
            assert_eq!(digests(&output.stderr).len(), 2, "both hashes: {output}");
        }
        assert_eq!(project.state(), before);
        fs::write(&meta, &text).unwrap();
    }
    fs::write(&meta, String::from_utf8(text).unwrap().replace("index.json", "index.jsom")).unwrap();
    project.rig(&["install", "echo", "--yes"]).fails_with(1);
    project.install(&["echo", "--refresh"]);
    project.install(&["echo"]);
}

#[test]
fn a_grant_that_was_never_asked_for() {
    // Sealed anew, so that only the comparison with the manifest can tell.
    let project = Project::with(&["echo", "github"]);
    let wide = project.locked("github").granted;
    project.edit_lock("echo", |pack| pack.granted = wide);
    let output = call(&project);
    assert_ne!(output.code, Some(0), "{output}");
    output.mentions("echo").mentions("rig install");
    project.rig(&["verify"]).fails_with(1);
}

#[test]
fn compiled_code() {
    let project = Project::with(&["echo"]);
    let _ = call(&project).output();
    let folder = project.home().join("cache").join("compiled");
    let compiled: Vec<_> = files(&folder).into_keys().collect();
    assert!(!compiled.is_empty(), "nothing is cached in {}", folder.display());
    for path in compiled {
        let good = fs::read(&path).unwrap();
        for offset in offsets(good.len()) {
            packs::replace(&path, &good);
            packs::tamper(&path, offset);
            let bad = hex(&fs::read(&path).unwrap());
            let before = project.state();
            // Every caller gets a result, also here: the sandbox was never entered.
            let error = call(&project).error("internal_error");
            let (message, hints) = (error["message"].as_str().unwrap(), error["remediation_hints"].to_string());
            assert!(message.contains(path.to_str().unwrap()) && digests(message).len() == 2, "{error}");
            assert!(hints.contains(&format!("rm '{}'", path.display())), "the next step: {error}");
            // It is refused, not repaired in silence: somebody wrote there.
            assert_eq!(hex(&fs::read(&path).unwrap()), bad);
            project.rig(&["verify"]).fails_with(1).explains(&[path.to_str().unwrap(), "rm '"]);
            let verified = project.rig(&["verify", "--json"]).fails_with(1).json();
            assert_eq!(digests(verified["packs"][0]["problem"].as_str().unwrap()).len(), 2, "{verified}");
            assert_eq!(project.state(), before);
        }
        // The next step that was named mends it.
        fs::remove_file(&path).unwrap();
        assert_eq!(call(&project).output(), json!({ "message": "hi" }));
        project.rig(&["verify"]).ok();
    }
}

/// The different hashes in a text.
fn digests(text: &str) -> std::collections::BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_hexdigit())
        .filter(|word| word.len() == 64 && !text.contains(&format!("{word}-")))
        .collect()
}

#[test]
fn compiled_code_of_other_settings_is_ignored() {
    let project = Project::with(&["echo"]);
    let _ = call(&project).output();
    let folder = project.home().join("cache").join("compiled");
    let file = files(&folder).into_keys().next().unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    // The name says what the code is for: the component and the settings of the engine. Another rig's file is none of this one's.
    let (component, settings) = name.strip_suffix(".cwasm").unwrap().split_once('-').unwrap();
    assert_eq!(component, hex(&packs::built("echo")));
    let other = folder.join(format!("{component}-{}.cwasm", "0".repeat(settings.len())));
    fs::rename(&file, &other).unwrap();
    packs::tamper(&other, 100);
    let left = fs::read(&other).unwrap();
    assert_eq!(call(&project).output(), json!({ "message": "hi" }));
    project.rig(&["verify"]).ok();
    assert!(file.exists() && fs::read(&other).unwrap() == left, "compiled anew, and the other file left alone");
}

#[test]
fn compiled_code_of_another_pack() {
    let project = Project::with(&["echo"]);
    let _ = call(&project).output();
    let folder = project.home().join("cache").join("compiled");
    let echo = files(&folder);
    project.install(&["github"]);
    // Too long for a header, so that it is compiled and sends nothing.
    let args = json!({ "repo": "o/r" }).to_string();
    drop(project.run(["call", "github.pulls.list", &args]).env("GITHUB_TOKEN", "a\nb").output());
    let all = files(&folder);
    let github = all.keys().find(|path| !echo.contains_key(*path)).expect("github was compiled too");
    let target = echo.keys().next().unwrap();
    // Sound in itself, and made by rig; but not for this component.
    packs::replace(target, &fs::read(github).unwrap());
    let error = call(&project).error("internal_error");
    assert!(error["message"].as_str().unwrap().contains(target.to_str().unwrap()), "{error}");
}

#[test]
fn compiled_code_of_another_user_is_not_used() {
    // Giving a folder away needs root; as anybody else there is nothing to try, and nobody else could.
    let project = Project::with(&["echo"]);
    let folder = project.home().join("cache").join("compiled");
    if std::os::unix::fs::chown(&folder, Some(12345), None).is_err() {
        println!("skipped: only root can give a folder away");
        return;
    }
    let error = call(&project).error("internal_error");
    assert!(error["message"].as_str().unwrap().contains("belongs to another user"), "{error}");
    project.rig(&["verify"]).fails_with(1).explains(&["another user", "0700"]);
    std::os::unix::fs::chown(&folder, Some(0), None).unwrap();
    let _ = call(&project).output();
}

#[test]
fn compiled_code_that_others_can_write_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let project = Project::with(&["echo"]);
    let _ = call(&project).output();
    let folder = project.home().join("cache").join("compiled");
    let mode = || fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o700);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let output = call(&project);
    // Closed again before anything in it is believed.
    let _ = output.output();
    assert_eq!(mode(), 0o700);
}
