//! Fetches packages as the files that they are, without installing them: wheels, and archives of npm. Packs that tests make need them, and
//! rig installs them from a folder and from a registry on loopback. Each is kept only if it has the hash that is pinned.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest as _, Sha512};

use crate::{fail::Fail, run};

/// What says which wheels.
pub(super) const WHEELS: &str = "requirements.txt";
/// What says which archives.
pub(super) const LOCK: &str = "package-lock.json";

/// An archive that npm's lock file names.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Archive {
    package: String,
    version: String,
    /// `sha512-` and the hash in base 64.
    integrity: String,
}

impl Archive {
    /// Where it is kept: by the name that npm gives it.
    fn kept(&self, dir: &Path) -> PathBuf {
        let name = self.package.trim_start_matches('@').replace('/', "-");
        dir.join("npm").join(format!("{name}-{}.tgz", self.version))
    }

    fn check(&self, bytes: &[u8]) -> Result<(), Fail> {
        let found = format!("sha512-{}", STANDARD.encode(Sha512::digest(bytes)));
        if found == self.integrity {
            return Ok(());
        }
        let (package, version, pinned) = (&self.package, &self.version, &self.integrity);
        Err(Fail::new(format!("{package} {version} has the hash {found}, and {LOCK} pins {pinned}")))
    }
}

/// What a lock file names, each once.
fn archives(lock: &str) -> Result<Vec<Archive>, Fail> {
    let lock: Value = serde_json::from_str(lock).map_err(|error| Fail::new(format!("{LOCK} is not JSON: {error}")))?;
    let packages = lock["packages"].as_object().ok_or_else(|| Fail::new(format!("{LOCK} names no packages")))?;
    let of = |(place, entry): (&String, &Value)| {
        let (_, package) = place.rsplit_once("node_modules/")?;
        let text = |key: &str| entry[key].as_str().map(str::to_owned);
        Some(Archive { package: package.to_owned(), version: text("version")?, integrity: text("integrity")? })
    };
    let mut found = Vec::new();
    for entry in packages.iter().filter(|(place, _)| !place.is_empty()) {
        found.push(of(entry).ok_or_else(|| Fail::new(format!("{LOCK}: {} has no version or no hash", entry.0)))?);
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Whether all is there. That each is the one that is pinned was looked at when it was fetched.
pub(super) fn are_there(dir: &Path) -> bool {
    let lock = fs::read_to_string(dir.join(LOCK)).unwrap_or_default();
    let wheels = fs::read_dir(dir.join("wheels")).is_ok_and(|mut entries| entries.next().is_some());
    wheels && archives(&lock).is_ok_and(|archives| archives.iter().all(|archive| archive.kept(dir).is_file()))
}

pub(super) fn install(dir: &Path) -> Result<(), Fail> {
    wheels(dir)?;
    from_npm(dir)
}

/// Those for this machine and its `python3`, which is the Python that rig takes in a project without another.
fn wheels(dir: &Path) -> Result<(), Fail> {
    let (venv, folder) = (dir.join("venv"), emptied(&dir.join("wheels"))?);
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&venv);
    run::ok(&mut make).map_err(|fail| fail.hint("install Python 3.10 or newer with its venv module"))?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"]);
    pip.args(["--only-binary", ":all:", "-r", WHEELS, "--dest"]).arg(folder).current_dir(dir);
    run::ok(&mut pip).map_err(|fail| fail.hint("the package index that pip uses must be in reach"))?;
    // It was there for its pip only.
    fs::remove_dir_all(&venv).map_err(Fail::io("remove", &venv))
}

fn from_npm(dir: &Path) -> Result<(), Fail> {
    let (path, folder) = (dir.join(LOCK), emptied(&dir.join("npm"))?);
    let archives = archives(&fs::read_to_string(&path).map_err(Fail::io("read", &path))?)?;
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--ignore-scripts", "--pack-destination"]).arg(folder);
    npm.args(archives.iter().map(|archive| format!("{}@{}", archive.package, archive.version)));
    // Elsewhere than in the folder of pins, so that npm takes no package there for the one that is to be packed.
    npm.current_dir(dir.join("npm"));
    run::output(&mut npm).map_err(|fail| fail.hint("install Node with npm; its registry must be in reach"))?;
    for archive in archives {
        let path = archive.kept(dir);
        archive.check(&fs::read(&path).map_err(Fail::io("read", &path))?)?;
    }
    Ok(())
}

fn emptied(folder: &Path) -> Result<PathBuf, Fail> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(Fail::io("make", folder))?;
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(integrity: &str) -> String {
        serde_json::json!({ "packages": {
            "": { "name": "all" },
            "node_modules/@a/b": { "version": "1.0.0", "integrity": integrity },
            "node_modules/c/node_modules/@a/b": { "version": "1.0.0", "integrity": integrity },
            "node_modules/c": { "version": "2.0.0", "integrity": "sha512-x" },
        }})
        .to_string()
    }

    #[test]
    fn a_lock_names_archives_and_their_bytes() {
        let hash = "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";
        let found = archives(&lock(hash)).unwrap();
        let kept: Vec<_> = found.iter().map(|archive| archive.kept(Path::new("x"))).collect();
        assert_eq!(kept, [Path::new("x/npm/a-b-1.0.0.tgz"), Path::new("x/npm/c-2.0.0.tgz")]);
        assert!(found[0].check(b"hello").is_ok());
        let error = found[0].check(b"hellp").unwrap_err().to_string();
        assert!(error.starts_with("error: @a/b 1.0.0 has the hash sha512-"), "{error}");
    }

    #[test]
    fn a_package_without_a_hash_is_refused() {
        let text = r#"{"packages": {"node_modules/a": {"version": "1.0.0"}}}"#;
        let error = archives(text).unwrap_err().to_string();
        assert_eq!(error, "error: package-lock.json: node_modules/a has no version or no hash");
    }
}
