//! Builds the example packs with the built `rig`, those only whose inputs changed, and writes their index. The packs that only tests
//! call are built beside them and stand in no index.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rig_specs::{PackId, Sha256};
use rig_toolchain::Toolchain;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::{checkout::Checkout, clients, fail::Fail, index, inputs, run, test::Outcome};

/// What is remembered about a built pack, beside it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    /// The hash over what the pack was built from.
    inputs: String,
    /// The name of the built file.
    file: String,
    /// Of the built file.
    sha256: Sha256,
}

/// The folder of the packs that go into the index.
const EXAMPLES: &str = "example-packs";

/// The folder of the packs that only tests call.
const FOR_TESTS: &str = "tests/packs";

/// The folder of the example packs in other languages than Rust, which go into no index either: most of them are large.
const LANGUAGES: &str = "example-packs/languages";

/// Builds the example packs that have changed, writes their index and returns where it is.
pub(crate) fn build_examples(checkout: &Checkout, rig: &Path, toolchain: &Toolchain) -> Result<PathBuf, Fail> {
    let packs = examples(checkout, rig, toolchain)?;
    index::write(&checkout.packs(), &packs)
}

/// Builds the example packs that have changed; answers all with the names of their files and what they say about themselves.
pub(crate) fn examples(
    checkout: &Checkout,
    rig: &Path,
    toolchain: &Toolchain,
) -> Result<Vec<(String, index::Inspected)>, Fail> {
    build_all(checkout, rig, toolchain, &sources(checkout, EXAMPLES)?)
}

/// Builds the packs for tests that have changed.
pub(crate) fn build_for_tests(checkout: &Checkout, rig: &Path, toolchain: &Toolchain) -> Result<(), Fail> {
    build_all(checkout, rig, toolchain, &sources(checkout, FOR_TESTS)?).map(drop)
}

/// Builds the packs in other languages that have changed. Where their tools cannot be installed, for want of Python, Node or a
/// network, that is the outcome, unless [`clients::is_required`].
pub(crate) fn build_languages(checkout: &Checkout, rig: &Path, toolchain: &Toolchain) -> Result<Outcome, Fail> {
    let mut without = Vec::new();
    for pack in sources(checkout, LANGUAGES)? {
        let Err(fail) = build_all(checkout, rig, toolchain, std::slice::from_ref(&pack)) else { continue };
        // What is wrong with the pack itself is a failure in any case.
        if clients::is_required() || rig_toolchain::has_tools(&pack, &checkout.toolchains())? {
            return Err(fail);
        }
        println!("{fail}\nThe tests of {} are LEFT OUT.", pack.display());
        without.push(pack.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    Ok(if without.is_empty() {
        Outcome::Passed
    } else {
        Outcome::Skipped(format!("the tools for {} cannot be installed", without.join(", ")))
    })
}

/// Builds those that have changed; answers all with what they say about themselves.
fn build_all(
    checkout: &Checkout,
    rig: &Path,
    toolchain: &Toolchain,
    sources: &[PathBuf],
) -> Result<Vec<(String, index::Inspected)>, Fail> {
    let out = checkout.packs();
    let stamps = out.join(".stamps");
    fs::create_dir_all(&stamps).map_err(Fail::io("make", &stamps))?;
    let mut packs = Vec::new();
    let mut unchanged = 0;
    for dir in sources {
        let stamp_file = stamps.join(dir.file_name().unwrap_or_default()).with_added_extension("json");
        let inputs = inputs::hash(checkout, dir, toolchain)?;
        let old = read_stamp(&stamp_file);
        let file = if let Some(old) = old.as_ref().filter(|old| old.inputs == inputs && is_intact(&out, old)) {
            unchanged += 1;
            old.file.clone()
        } else {
            let new = build(checkout, rig, toolchain, dir, inputs)?;
            if let Some(old) = old.filter(|old| old.file != new.file) {
                // A released version would stay; here nobody could say what it was built from.
                let _ = fs::remove_file(out.join(old.file));
            }
            let text = serde_json::to_string(&new).map_err(|error| Fail::new(format!("no stamp: {error}")))?;
            fs::write(&stamp_file, text).map_err(Fail::io("write", &stamp_file))?;
            new.file
        };
        let inspected = index::inspect(rig, &out.join(&file))?;
        packs.push((file, inspected));
    }
    let count = packs.len();
    println!("{count} packs in {} ({} built, {unchanged} unchanged)", out.display(), count - unchanged);
    Ok(packs)
}

/// The folders of packs below a folder, sorted.
fn sources(checkout: &Checkout, folder: &str) -> Result<Vec<PathBuf>, Fail> {
    let dir = checkout.root().join(folder);
    let entries = fs::read_dir(&dir).map_err(Fail::io("read", &dir))?;
    let mut found: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    found.retain(|path| path.join("rig-pack.toml").is_file());
    found.sort();
    if found.is_empty() {
        return Err(Fail::new(format!("no folder in {} has a rig-pack.toml", dir.display())));
    }
    Ok(found)
}

fn build(checkout: &Checkout, rig: &Path, toolchain: &Toolchain, dir: &Path, inputs: String) -> Result<Stamp, Fail> {
    let (file, is_published) = manifest(dir)?;
    let out = checkout.packs().join(&file);
    let relative = dir.strip_prefix(checkout.root()).unwrap_or(dir);
    let mut command = Command::new(rig);
    command.arg("build").arg(relative).arg("-o").arg(&out).current_dir(checkout.root());
    if is_published {
        // An example leaves nothing to be wished for. What only tests call has reasons to be odd.
        command.arg("--deny-warnings");
    }
    // The route that was found here, so that rig does not go and look for another one.
    command.env("RIG_WASM_TOOLCHAIN", toolchain.route.as_str());
    command.env("RIG_TOOLCHAINS", checkout.toolchains());
    println!("$ {}", run::shown(&command));
    run::ok(&mut command)?;
    let bytes = fs::read(&out).map_err(Fail::io("read", &out))?;
    Ok(Stamp { inputs, file, sha256: Sha256::of(&bytes) })
}

/// The name of a pack's component, `<id>-<version>.wasm`, and whether the pack may be published.
fn manifest(dir: &Path) -> Result<(String, bool), Fail> {
    let path = dir.join("rig-pack.toml");
    let text = fs::read_to_string(&path).map_err(Fail::io("read", &path))?;
    let wrong = |why: String| Fail::new(format!("{}: {why}", path.display()));
    let manifest: toml::Table = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let field = |name: &str| {
        let text = manifest.get("pack").and_then(|pack| pack.get(name)).and_then(toml::Value::as_str);
        text.ok_or_else(|| wrong(format!("no `{name}` in [pack]")))
    };
    // Both are checked, because they become part of a path.
    let id: PackId = field("id")?.parse().map_err(|error| wrong(format!("{error}")))?;
    let version: Version = field("version")?.parse().map_err(|error| wrong(format!("version: {error}")))?;
    let publish = manifest.get("pack").and_then(|pack| pack.get("publish")).and_then(toml::Value::as_bool);
    Ok((format!("{id}-{version}.wasm"), publish != Some(false)))
}

fn read_stamp(path: &Path) -> Option<Stamp> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn is_intact(dir: &Path, stamp: &Stamp) -> bool {
    fs::read(dir.join(&stamp.file)).is_ok_and(|bytes| Sha256::of(&bytes) == stamp.sha256)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rig_specs::index::Index;
    use rig_toolchain::Route;
    use tempfile::TempDir;

    use super::*;

    /// A stand-in for rig that builds a file of fixed bytes and describes a pack of that id and version.
    const RIG: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
if [ "$1" = build ]; then
    echo "$*" >> built
    printf wasm > "$4"
else
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' example-packs/one/rig-pack.toml)
    hash=$(sha256sum "$3" | cut -d' ' -f1)
    tool='{"name":"one.thing.get","description":"Gets it.","input_schema":{"type":"object"},"output_schema":{"type":"object"}'
    tool="$tool"',"error_schema":{},"auth_slots":[],"risk_class":"read","tags":[],"policy_defaults":{},"examples":[]}'
    pack='{"id":"one","version":"'$version'","display-name":"One","description":"The first.","tags":["sample"]}'
    echo '{"path":"'$3'","sha256":"sha256:'$hash'","size":4,"imports":[],"manifest":{"pack":'$pack'},"tools":[{"def":'"$tool"'}]}'
fi
"#;

    struct Scratch {
        dir: TempDir,
        _alone: std::sync::MutexGuard<'static, ()>,
    }

    impl Scratch {
        fn new() -> Self {
            let scratch = Self { dir: tempfile::tempdir().unwrap(), _alone: run::alone() };
            scratch.write("example-packs/one/rig-pack.toml", "[pack]\nid = \"one\"\nversion = \"1.2.3\"\n");
            scratch.write("example-packs/not-a-pack/notes.txt", "");
            scratch.write("sdk/src/lib.rs", "// sdk");
            scratch.write("rig", RIG);
            fs::set_permissions(scratch.dir.path().join("rig"), fs::Permissions::from_mode(0o755)).unwrap();
            scratch
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        /// Builds, and counts the runs of `rig build` so far.
        fn build(&self) -> (Result<PathBuf, Fail>, usize) {
            let root = self.dir.path().to_owned();
            let checkout = Checkout::at(root.clone(), root.join("target"));
            let toolchain = Toolchain {
                route: Route::Debian,
                release: "1.96.0".into(),
                commit: "c0ffee".into(),
                rustc: PathBuf::new(),
                cargo: PathBuf::new(),
                tools: PathBuf::new(),
                std_sources: PathBuf::new(),
            };
            let index = build_examples(&checkout, &root.join("rig"), &toolchain);
            let log = fs::read_to_string(root.join("built")).unwrap_or_default();
            (index, log.lines().count())
        }

        fn read(&self, path: &str) -> Option<String> {
            fs::read_to_string(self.dir.path().join("target/packs").join(path)).ok()
        }
    }

    #[test]
    fn packs_are_built_once_and_again_when_something_changed() {
        let scratch = Scratch::new();
        assert_eq!(scratch.build().1, 1);
        let index = scratch.read(index::FILE).unwrap();
        assert_eq!(scratch.build().1, 1, "nothing changed");
        assert_eq!(scratch.read(index::FILE).unwrap(), index, "an index that says the same stays byte for byte");

        scratch.write("sdk/src/lib.rs", "// another sdk");
        assert_eq!(scratch.build().1, 2, "the sdk changed");
        scratch.write("example-packs/one/src/lib.rs", "// code");
        assert_eq!(scratch.build().1, 3, "the pack changed");
        scratch.write("example-packs/not-a-pack/notes.txt", "more");
        assert_eq!(scratch.build().1, 3, "something else changed");
        scratch.write("target/packs/one-1.2.3.wasm", "tampered");
        assert_eq!(scratch.build().1, 4, "the built file changed");
        assert_eq!(scratch.read("one-1.2.3.wasm").as_deref(), Some("wasm"));
    }

    #[test]
    fn the_index_is_what_rig_reads() {
        let scratch = Scratch::new();
        let path = scratch.build().0.unwrap();
        let index: Index = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let (id, pack) = index.packs.first_key_value().unwrap();
        let (version, release) = pack.wasm.as_ref().unwrap().newest().unwrap();
        assert_eq!((id.as_str(), &*pack.display_name, &*pack.description), ("one", "One", "The first."));
        assert_eq!(pack.publisher.as_ref().unwrap().name, "rig");
        assert_eq!((version.to_string(), &release.urls[..]), ("1.2.3".into(), &["one-1.2.3.wasm".to_owned()][..]));
        assert_eq!((release.sha256, release.size), (Sha256::of(b"wasm"), 4));
        assert!(release.interface_hash.is_some());
        assert!(index.generated_at.len() == 20 && index.generated_at.ends_with('Z'), "{}", index.generated_at);
    }

    #[test]
    fn a_new_version_replaces_the_old_file() {
        let scratch = Scratch::new();
        scratch.build().0.unwrap();
        scratch.write("example-packs/one/rig-pack.toml", "[pack]\nid = \"one\"\nversion = \"2.0.0\"\n");
        scratch.build().0.unwrap();
        assert_eq!((scratch.read("one-1.2.3.wasm"), scratch.read("one-2.0.0.wasm").as_deref()), (None, Some("wasm")));
        assert!(scratch.read(index::FILE).unwrap().contains("\"2.0.0\""));
    }

    #[test]
    fn a_manifest_cannot_lead_out_of_the_folder() {
        let cases = [
            ("id = \"../one\"\nversion = \"1.0.0\"", "`../one` is not a pack id"),
            ("id = \"one\"\nversion = \"1/../..\"", "version: unexpected character"),
            ("id = \"one\"", "no `version` in [pack]"),
        ];
        for (fields, why) in cases {
            let scratch = Scratch::new();
            scratch.write("example-packs/one/rig-pack.toml", &format!("[pack]\n{fields}\n"));
            let (built, runs) = scratch.build();
            let message = built.unwrap_err().to_string();
            assert!(message.contains(why) && runs == 0, "{message}");
        }
    }
}
