//! The Rust SDK for packs outside of rig's own checkout. It is on no registry: this program carries its sources and writes them to
//! `.rig/sdk`, where the `Cargo.toml` of a pack looks for them.
//!
//! Inside the pack's own folder, so that its path from the pack is the same on every machine: a path elsewhere would become part of
//! the compiled names, and with them of the pack's bytes. A file that is right already is not touched, so that nothing is compiled
//! again. Crates of others come from the registry as the pack's `Cargo.lock` says.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
};

use rig_specs::Sha256;
use serde_json::json;
use toml::{Table, Value};

use super::embedded;

/// Where a pack's `Cargo.toml` says that the SDK is: `rig-sdk = { path = ".rig/sdk" }`.
pub const FOLDER: &str = ".rig/sdk";

/// The package.
const PACKAGE: &str = "rig-sdk";

/// The places of dependencies in a manifest that come along.
const DEPENDENCIES: &str = "dependencies";

const README: &str = "Written by `rig build` and `rig test`: the SDK that this rig carries. Changes here are lost; keep the folder out \
                      of version control.\n";

/// The SDK in a pack's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provided {
    /// Where it is.
    pub folder: PathBuf,
    /// Whether the pack is compiled from nothing else of this machine's folders than itself and the SDK.
    pub alone: bool,
    /// Of all that was written.
    pub digest: Sha256,
}

/// Why the SDK is not there.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// The folder cannot be written.
    #[error("the SDK cannot be written to {}: {source}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What this program carries is damaged.
    #[error("the SDK that this rig carries cannot be used: {0}")]
    Damaged(String),
}

impl SdkError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Write { .. } => "check that the pack's folder can be written and that the disk has space",
            Self::Damaged(_) => "install rig again",
        }
    }
}

/// Writes the SDK to where a pack wants it. A pack that takes it from elsewhere is left alone, and so is a folder without a
/// `Cargo.toml` that can be read: that is cargo's to complain about.
///
/// # Errors
/// When the folder cannot be written.
pub fn provide(pack: &Path) -> Result<Option<Provided>, SdkError> {
    let Some(folder) = wanted(pack) else { return Ok(None) };
    let files = files().map_err(SdkError::Damaged)?;
    for (path, text) in &files {
        let path = folder.join(path);
        write(&path, text).map_err(|source| SdkError::Write { path, source })?;
    }
    remove_others(&folder, Path::new(""), &files).map_err(|source| SdkError::Write { path: folder.clone(), source })?;
    let text: Vec<_> = files.iter().map(|(path, text)| json!([path, text])).collect();
    Ok(Some(Provided { alone: is_alone(pack), folder, digest: Sha256::of_json(&json!(text)) }))
}

/// Whether the pack and the SDK are all that is compiled from folders of this machine.
fn is_alone(pack: &Path) -> bool {
    let Some(manifest) = read(pack) else { return false };
    let own = manifest.get("workspace").and_then(Value::as_table).is_some_and(|own| !own.contains_key("members"));
    let tables = [DEPENDENCIES, "dev-dependencies", "build-dependencies"];
    let mut local =
        tables.iter().filter_map(|name| manifest.get(*name)?.as_table()).flatten().filter(|(name, value)| {
            let is_sdk = *name == PACKAGE && value.get("path").and_then(Value::as_str) == Some(FOLDER);
            !is_sdk && (value.get("path").is_some() || value.get("workspace").is_some())
        });
    own && local.next().is_none() && !manifest.contains_key("patch") && !manifest.contains_key("target")
}

/// The folder that a pack names, when it ends as [`FOLDER`] does.
fn wanted(pack: &Path) -> Option<PathBuf> {
    let manifest = read(pack)?;
    let dependency = manifest.get(DEPENDENCIES)?.get(PACKAGE)?;
    if dependency.get("workspace").and_then(Value::as_bool) != Some(true) {
        return place(pack, dependency);
    }
    let (root, workspace) = pack.ancestors().skip(1).find_map(|dir| Some((dir, read(dir)?.remove("workspace")?)))?;
    place(root, workspace.get(DEPENDENCIES)?.get(PACKAGE)?)
}

fn read(folder: &Path) -> Option<Table> {
    fs::read_to_string(folder.join("Cargo.toml")).ok()?.parse().ok()
}

fn place(folder: &Path, dependency: &Value) -> Option<PathBuf> {
    let path = Path::new(dependency.get("path")?.as_str()?);
    path.ends_with(FOLDER).then(|| folder.join(path).components().filter(|part| *part != Component::CurDir).collect())
}

/// What is written: paths in the folder, and texts.
fn files() -> Result<BTreeMap<String, String>, String> {
    let workspace: Table = embedded::CARGO_TOML.parse().map_err(|error| format!("Cargo.toml: {error}"))?;
    let mut files = BTreeMap::from([
        ("README.md".to_owned(), README.to_owned()),
        ("LICENSE".to_owned(), embedded::LICENSE.to_owned()),
    ]);
    for (path, text) in embedded::SDK {
        let text = if path.ends_with("Cargo.toml") {
            let manifest: Table = text.parse().map_err(|error| format!("{path}: {error}"))?;
            toml::to_string(&standalone(manifest, &workspace)).map_err(|error| format!("{path}: {error}"))?
        } else {
            (*text).to_owned()
        };
        files.insert((*path).to_owned(), text);
    }
    Ok(files)
}

/// The manifest of a crate without the workspace that it stands in: what it takes over from there is written out, and what only the
/// checkout needs is left out.
fn standalone(mut manifest: Table, workspace: &Table) -> Table {
    let shared = workspace.get("workspace").and_then(Value::as_table);
    let of = |section: &str, name: &str| shared.and_then(|shared| shared.get(section)?.get(name)).cloned();
    manifest.remove("dev-dependencies");
    manifest.remove("lints");
    if let Some(package) = manifest.get_mut("package").and_then(Value::as_table_mut) {
        inherit(package, |name| of("package", name));
    }
    if let Some(dependencies) = manifest.get_mut(DEPENDENCIES).and_then(Value::as_table_mut) {
        inherit(dependencies, |name| of(DEPENDENCIES, name).map(within_sdk));
    }
    manifest
}

/// Puts what the workspace says in place of each `workspace = true`.
fn inherit(table: &mut Table, of: impl Fn(&str) -> Option<Value>) {
    for (name, value) in table.iter_mut() {
        let Some(own) = value.as_table().filter(|own| own.get("workspace") == Some(&Value::Boolean(true))) else {
            continue;
        };
        let mut own = own.clone();
        own.remove("workspace");
        let Some(shared) = of(name) else { continue };
        *value = match shared {
            shared if own.is_empty() => shared,
            Value::Table(mut shared) => {
                merge(&mut shared, own);
                Value::Table(shared)
            }
            version => {
                let mut shared = Table::from_iter([("version".to_owned(), version)]);
                merge(&mut shared, own);
                Value::Table(shared)
            }
        };
    }
}

/// Adds what a crate says beside `workspace = true`. Features add up.
fn merge(shared: &mut Table, own: Table) {
    for (key, value) in own {
        match (shared.get_mut(&key), value) {
            (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
            (_, value) => {
                shared.insert(key, value);
            }
        }
    }
}

/// A dependency of the workspace as seen from the SDK's own folder.
fn within_sdk(mut dependency: Value) -> Value {
    let inner = dependency.get("path").and_then(Value::as_str).and_then(|path| path.strip_prefix("sdk/"));
    if let (Some(inner), Some(table)) = (inner.map(str::to_owned), dependency.as_table_mut()) {
        table.insert("path".into(), inner.into());
    }
    dependency
}

/// By rename, so that a build beside this one never reads half a file.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(file.path(), text)?;
    file.persist(path)?;
    Ok(())
}

/// Removes what another version of the SDK had.
fn remove_others(root: &Path, inside: &Path, files: &BTreeMap<String, String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(inside))? {
        let entry = entry?;
        let path = inside.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            remove_others(root, &path, files)?;
        } else if path.to_str().is_none_or(|path| !files.contains_key(path)) && !is_new(&entry) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether another build writes the file just now.
fn is_new(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with(".tmp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifests_stand_alone() {
        let files = files().unwrap();
        let sdk: Table = files["Cargo.toml"].parse().unwrap();
        let macros: Table = files["macros/Cargo.toml"].parse().unwrap();
        for (path, text) in files.iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
            assert!(!text.contains("workspace"), "{path}: {text}");
        }
        let path = |name: &str| sdk["dependencies"][name].get("path").and_then(Value::as_str);
        assert_eq!(path("rig-sdk-macros"), Some("macros"));
        let json = &sdk["dependencies"]["serde_json"];
        assert!(json.is_str() || json.get("version").is_some(), "{json}");
        assert_eq!(macros["package"]["name"].as_str(), Some("rig-sdk-macros"));
        assert_eq!(sdk["package"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
        assert!(files["src/lib.rs"].contains("What a pack author uses") && files.contains_key("macros/src/lib.rs"));
    }

    #[test]
    fn what_the_workspace_says_is_written_out() {
        let workspace: Table =
            "[workspace.package]\nversion = \"1.2.3\"\n[workspace.dependencies]\na = \"1\"\nb = { version = \"2\", \
                                features = [\"x\"] }\nc = { path = \"sdk/c\" }\n"
                .parse()
                .unwrap();
        let manifest: Table = "[package]\nname = \"n\"\nversion.workspace = true\n[dependencies]\na = { workspace = true, optional = true \
                               }\nb = { workspace = true, features = [\"y\"] }\nc.workspace = true\n[dev-dependencies]\nd.workspace = \
                               true\n[lints]\nworkspace = true\n"
            .parse()
            .unwrap();
        let expected: Table =
            "[package]\nname = \"n\"\nversion = \"1.2.3\"\n[dependencies]\na = { version = \"1\", optional = true }\n\
                               b = { version = \"2\", features = [\"x\", \"y\"] }\nc = { path = \"c\" }\n"
                .parse()
                .unwrap();
        assert_eq!(standalone(manifest, &workspace), expected);
    }

    fn pack(manifest: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        folder
    }

    #[test]
    fn it_is_written_once_and_mended() {
        let folder = pack("[dependencies]\nrig-sdk = { path = \"./.rig/sdk\" }\n");
        let sdk = provide(folder.path()).unwrap().unwrap().folder;
        assert_eq!(sdk, folder.path().join(FOLDER));
        let lib = sdk.join("src/lib.rs");
        let before = fs::metadata(&lib).unwrap().modified().unwrap();
        fs::write(sdk.join("src/old.rs"), "of another version").unwrap();
        fs::write(sdk.join("src/error.rs"), "changed").unwrap();
        provide(folder.path()).unwrap().unwrap();
        assert_eq!(fs::metadata(&lib).unwrap().modified().unwrap(), before, "what is right is not touched");
        assert!(!sdk.join("src/old.rs").exists());
        assert_ne!(fs::read_to_string(sdk.join("src/error.rs")).unwrap(), "changed");
    }

    #[test]
    fn packs_that_take_it_from_elsewhere_are_left_alone() {
        for manifest in [
            "[dependencies]\nrig-sdk = { path = \"../rig/sdk\" }\n",
            "[dependencies]\nrig-sdk = \"1\"\n",
            "[dependencies]\nserde = \"1\"\n",
            "not toml",
        ] {
            let folder = pack(manifest);
            assert_eq!(provide(folder.path()).unwrap(), None, "{manifest}");
            assert!(!folder.path().join(".rig").exists());
        }
    }

    #[test]
    fn a_workspace_can_share_it() {
        let folder =
            pack("[workspace]\nmembers = [\"one\"]\n[workspace.dependencies]\nrig-sdk = { path = \".rig/sdk\" }\n");
        let one = folder.path().join("one");
        fs::create_dir(&one).unwrap();
        fs::write(one.join("Cargo.toml"), "[dependencies]\nrig-sdk.workspace = true\n").unwrap();
        let provided = provide(&one).unwrap().unwrap();
        assert_eq!((provided.folder, provided.alone), (folder.path().join(FOLDER), false));
    }

    #[test]
    fn what_stands_alone() {
        let start = "[workspace]\nexclude = [\".rig\"]\n[dependencies]\nrig-sdk = { path = \".rig/sdk\" }\n";
        for (rest, alone) in [
            ("serde = \"1\"\n", true),
            ("common = { path = \"../common\" }\n", false),
            ("[dev-dependencies]\ncommon = { path = \"../common\" }\n", false),
            ("[patch.crates-io]\nserde = { path = \"../serde\" }\n", false),
            ("[target.'cfg(unix)'.dependencies]\ncommon = { path = \"../common\" }\n", false),
        ] {
            let folder = pack(&format!("{start}{rest}"));
            assert_eq!(provide(folder.path()).unwrap().unwrap().alone, alone, "{rest}");
        }
        let folder = pack("[dependencies]\nrig-sdk = { path = \".rig/sdk\" }\n");
        assert!(!provide(folder.path()).unwrap().unwrap().alone, "part of a workspace around it, perhaps");
    }
}
