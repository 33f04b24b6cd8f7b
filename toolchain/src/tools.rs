//! The programs that compile packs in other languages than Rust, from PyPI and npm: each of one version, checked by the hashes that
//! stand in `tools/`, and installed once into a folder of its own.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use crate::{
    Error, Step,
    process::{self, Stopped},
};

/// How long an installation may take: the largest download is 100 MB.
const INSTALL_LIMIT: Duration = Duration::from_mins(15);

/// Written when a tool is complete.
const COMPLETE: &str = "complete";

/// A tool that can be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    ComponentizePy,
    ComponentizeQjs,
    Zig,
}

impl Tool {
    const fn name(self) -> &'static str {
        match self {
            Self::ComponentizePy => "componentize-py",
            Self::ComponentizeQjs => "componentize-qjs",
            Self::Zig => "ziglang",
        }
    }

    /// What pins it: a list of requirements for pip, or a lock file for npm.
    const fn pins(self) -> &'static str {
        match self {
            Self::ComponentizePy => include_str!("../tools/componentize-py.txt"),
            Self::ComponentizeQjs => include_str!("../tools/componentize-qjs/package-lock.json"),
            Self::Zig => include_str!("../tools/ziglang.txt"),
        }
    }

    /// The version, as it stands in the pins.
    fn version(self) -> &'static str {
        let mut lines = self.pins().lines();
        let version = match self {
            Self::ComponentizeQjs => lines.find_map(|line| line.trim().strip_prefix("\"componentize-qjs\": \"")),
            _ => lines.find_map(|line| line.split_once("==").map(|(_, version)| version)),
        };
        version.unwrap_or_default().trim_end_matches(['"', ' ', '\\'])
    }

    /// The folder of the tool in `cache`, where it is installed when it is not there yet.
    pub(crate) fn folder(self, cache: &Path, offline: bool, on_step: &mut dyn FnMut(Step)) -> Result<PathBuf, Error> {
        let folder = cache.join(format!("{}-{}", self.name(), self.version()));
        let is_there = || fs::read_to_string(folder.join(COMPLETE)).is_ok_and(|pins| pins == self.pins());
        if is_there() {
            return Ok(folder);
        }
        let unusable = |source: io::Error| Error::Write { path: folder.clone(), source };
        fs::create_dir_all(cache).map_err(unusable)?;
        // Several builds may want it at once: one installs, the others wait.
        let lock = cache.join(self.name()).with_added_extension("lock");
        let held = File::create(lock).and_then(|file| file.lock().map(|()| file)).map_err(unusable)?;
        if is_there() {
            return Ok(folder);
        }
        if offline {
            return Err(Error::Offline { tool: self.name(), version: self.version() });
        }
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
            _ => fs::create_dir_all(&folder).map_err(unusable)?,
        }
        on_step(Step::Installing { tool: self.name(), version: self.version() });
        match self {
            Self::ComponentizePy | Self::Zig => self.by_pip(&folder, on_step)?,
            Self::ComponentizeQjs => self.by_npm(&folder, on_step)?,
        }
        fs::write(folder.join(COMPLETE), self.pins()).map_err(unusable)?;
        drop(held);
        Ok(folder)
    }

    fn by_pip(self, folder: &Path, on_step: &mut dyn FnMut(Step)) -> Result<(), Error> {
        let pins = folder.join("pins.txt");
        fs::write(&pins, self.pins()).map_err(|source| Error::Write { path: pins.clone(), source })?;
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(folder);
        self.run(&mut venv, "python3", on_step)?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-input"]);
        pip.args(["--disable-pip-version-check", "--no-warn-script-location", "--quiet", "--requirement"]).arg(&pins);
        self.run(&mut pip, "python3", on_step)
    }

    fn by_npm(self, folder: &Path, on_step: &mut dyn FnMut(Step)) -> Result<(), Error> {
        let files = [
            ("package.json", include_str!("../tools/componentize-qjs/package.json")),
            ("package-lock.json", self.pins()),
        ];
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|source| Error::Write { path, source })?;
        }
        // Not `npm ci`: the package names bindings for machines that the registry has none for, and so the lock file neither. What
        // is in the lock file is checked by its hash here too; nothing else may have come along.
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]);
        self.run(npm.current_dir(folder), "npm", on_step)?;
        let installed = folder.join("node_modules/.package-lock.json");
        let text = fs::read_to_string(&installed).map_err(|source| Error::Write { path: installed, source })?;
        match unpinned(&text, self.pins()) {
            None => Ok(()),
            Some(name) => Err(Error::Install {
                tool: self.name(),
                version: self.version(),
                detail: format!("npm installed {name}, which is not pinned"),
            }),
        }
    }

    /// Runs a step of an installation.
    fn run(self, command: &mut Command, program: &'static str, on_step: &mut dyn FnMut(Step)) -> Result<(), Error> {
        let ended = process::run(command, Some(INSTALL_LIMIT), &mut |_, line| on_step(Step::Line(line.to_owned())));
        let (tool, version) = (self.name(), self.version());
        let failed = |detail: String| Error::Install { tool, version, detail };
        match ended {
            Ok(ended) if ended.status.success() => Ok(()),
            Ok(ended) => {
                // Both end with where to read more, which is not what went wrong.
                let says =
                    |line: &&str| !line.is_empty() && !line.contains("complete log") && !line.starts_with("[notice]");
                let reason = ended.stderr.lines().rev().map(str::trim).find(says);
                Err(failed(reason.map_or_else(|| ended.last_words(), str::to_owned)))
            }
            Err(Stopped::Missing) => Err(Error::NoInterpreter { program, tool }),
            Err(Stopped::TooLong(limit)) => Err(failed(format!("it did not end within {} s", limit.as_secs()))),
            Err(Stopped::Io(error)) => Err(failed(error.to_string())),
        }
    }
}

/// A package that npm installed without a hash that stands in the pins.
fn unpinned(installed: &str, pins: &str) -> Option<String> {
    let Ok(installed) = serde_json::from_str::<Value>(installed) else { return Some("what it does not list".into()) };
    let packages = installed.get("packages").and_then(Value::as_object).into_iter().flatten();
    let pinned = |package: &Value| {
        let integrity = package.get("integrity").and_then(Value::as_str);
        integrity.is_some_and(|integrity| pins.contains(&format!("\"integrity\": \"{integrity}\"")))
    };
    packages.filter(|(_, package)| !pinned(package)).map(|(name, _)| name.clone()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_one_version_and_its_hashes() {
        for tool in [Tool::ComponentizePy, Tool::ComponentizeQjs, Tool::Zig] {
            let version = tool.version();
            assert!(
                version.split('.').count() == 3 && version.split('.').all(|n| n.parse::<u16>().is_ok()),
                "{version}"
            );
            let hashes = tool.pins().matches("--hash=sha256:").count() + tool.pins().matches("\"sha512-").count();
            assert!(hashes >= 4, "{tool:?} has {hashes} hashes");
        }
    }

    #[test]
    fn what_is_there_is_used_and_nothing_is_fetched_offline() {
        let cache = tempfile::tempdir().unwrap();
        let tool = Tool::Zig;
        let mut none = |step: Step| panic!("{step}");
        let error = tool.folder(cache.path(), true, &mut none).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("ziglang {} is not installed, and --offline forbids fetching it", tool.version())
        );
        let folder = cache.path().join(format!("ziglang-{}", tool.version()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(COMPLETE), "other pins").unwrap();
        assert!(tool.folder(cache.path(), true, &mut none).is_err(), "pinned otherwise");
        fs::write(folder.join(COMPLETE), tool.pins()).unwrap();
        assert_eq!(tool.folder(cache.path(), true, &mut none).unwrap(), folder);
    }

    #[test]
    fn what_npm_adds_is_found() {
        let pins = r#"{ "x": { "integrity": "sha512-AA==" } }"#;
        let cases = [
            (r#"{"packages": {"node_modules/x": {"integrity": "sha512-AA=="}}}"#, None),
            (r#"{"packages": {"node_modules/y": {"integrity": "sha512-AB=="}}}"#, Some("node_modules/y")),
            (r#"{"packages": {"node_modules/z": {}}}"#, Some("node_modules/z")),
            ("", Some("what it does not list")),
        ];
        for (installed, found) in cases {
            assert_eq!(unpinned(installed, pins).as_deref(), found, "{installed}");
        }
    }
}
