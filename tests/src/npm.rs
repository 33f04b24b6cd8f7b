//! Packages for Node, made in a moment or fetched before, and what a registry answers that has them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::Reply;

/// A package to be made, or one that was fetched.
#[derive(Debug, Clone)]
pub struct Package {
    name: String,
    version: String,
    manifest: Map<String, Value>,
    files: Vec<(String, String)>,
    /// As it was fetched.
    archive: Option<Vec<u8>>,
}

impl Package {
    /// A package of that name without anything in it.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        let mut manifest = Map::new();
        manifest.insert("name".into(), name.into());
        manifest.insert("version".into(), version.into());
        Self { name: name.into(), version: version.into(), manifest, files: Vec::new(), archive: None }
    }

    /// A package that was fetched: its archive, and what a lock file of npm says of it.
    #[must_use]
    pub fn fetched(name: &str, entry: &Value, archive: Vec<u8>) -> Self {
        let version = entry["version"].as_str().expect("a lock file names versions");
        let mut package = Self::new(name, version);
        package.manifest.extend(entry.as_object().expect("an object").clone());
        Self { archive: Some(archive), ..package }
    }

    /// Sets a field of the manifest.
    #[must_use]
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.manifest.insert(key.into(), value);
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: &str, text: impl Into<String>) -> Self {
        self.files.push((name.into(), text.into()));
        self
    }

    /// Its file: the same bytes for the same contents.
    #[must_use]
    pub fn archive(&self) -> Vec<u8> {
        if let Some(archive) = &self.archive {
            return archive.clone();
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("package");
        let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("write a file of this test");
        fs::create_dir(&root).expect("make a folder of this test");
        write("package.json", &json!(self.manifest).to_string());
        for (name, text) in &self.files {
            write(name, text);
        }
        let tar =
            Command::new("tar").args(["--mtime=@0", "-czf", "-", "-C"]).arg(folder.path()).arg("package").output();
        let tar = tar.expect("tar is there");
        assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
        tar.stdout
    }
}

/// What a registry with these packages answers, by the path of the request without its first slash. `url` is that of a path.
#[must_use]
pub fn registry(url: impl Fn(&str) -> String, packages: &[Package]) -> BTreeMap<String, Reply> {
    let mut replies = BTreeMap::new();
    let names: BTreeSet<_> = packages.iter().map(|package| &package.name).collect();
    for name in names {
        let mut versions = Map::new();
        let mut latest = "";
        for package in packages.iter().filter(|package| package.name == *name) {
            let (mut manifest, bytes) = (package.manifest.clone(), package.archive());
            let file = format!("files/{}-{}.tgz", name.replace(['@', '/'], "_"), package.version);
            let made = || {
                let hash = ring::digest::digest(&ring::digest::SHA512, &bytes);
                format!("sha512-{}", STANDARD.encode(hash)).into()
            };
            // That of a fetched one is pinned.
            let integrity = manifest.remove("integrity").unwrap_or_else(made);
            manifest.insert("dist".into(), json!({ "tarball": url(&file), "integrity": integrity }));
            replies.insert(file, Reply::new(200, bytes));
            versions.insert(package.version.clone(), manifest.into());
            latest = &package.version;
        }
        let page = json!({ "name": name, "dist-tags": { "latest": latest }, "versions": versions });
        replies.insert(name.replace('/', "%2f"), Reply::json(200, page));
    }
    replies
}

/// The packages that a lock file of npm names, from the folder of their archives.
#[must_use]
pub(crate) fn of_lock(lock: &Path, archives: &Path) -> Vec<Package> {
    let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lock: Value = serde_json::from_slice(&read(lock)).expect("a lock file is JSON");
    let mut seen = BTreeSet::new();
    let mut packages = Vec::new();
    for (place, entry) in lock["packages"].as_object().expect("a lock file names packages") {
        let Some((_, name)) = place.rsplit_once("node_modules/") else { continue };
        let version = entry["version"].as_str().expect("a lock file names versions");
        if seen.insert((name, version)) {
            let file = format!("{}-{version}.tgz", name.trim_start_matches('@').replace('/', "-"));
            packages.push(Package::fetched(name, entry, read(&archives.join(file))));
        }
    }
    packages
}
