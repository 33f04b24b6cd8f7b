//! What is asked of pip: to choose the versions of a pack and of all that it needs and to fetch their wheels, and later to install
//! wheels whose hashes are known. `rig-core` is given to it as a file, so that it never looks that name up.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rig_specs::{Sha256, lock::Runtime};

use super::{
    LegacyError, Machine,
    command::{self, command},
    core,
    python::Environment,
    wheel::{self, Wheel},
};
use crate::{project::Project, words::plain};

/// A wheel that was fetched.
#[derive(Debug, Clone)]
pub(super) struct Fetched {
    pub(super) file: String,
    pub(super) sha256: Sha256,
    pub(super) bytes: Vec<u8>,
    pub(super) wheel: Wheel,
}

/// Pip, as it is called for one project.
pub(super) struct Pip<'a> {
    pub(super) environment: &'a Environment,
    pub(super) machine: &'a Machine,
    pub(super) project: &'a Project,
    pub(super) offline: bool,
    args: Vec<OsString>,
}

impl<'a> Pip<'a> {
    pub(super) fn new(
        environment: &'a Environment,
        machine: &'a Machine,
        project: &'a Project,
        offline: bool,
    ) -> Result<Self, LegacyError> {
        let args = environment.pip(machine)?;
        Ok(Self { environment, machine, project, offline, args })
    }

    /// A command of pip that reads no configuration but what is given here; with `inside` it is about the environment.
    fn command(&self, name: &str, inside: bool) -> Command {
        let (program, rest) = self.args.split_first().map_or((OsString::new(), &[][..]), |(p, rest)| (p.clone(), rest));
        let mut pip = command(Path::new(&program), &self.machine.path);
        pip.env("PIP_CONFIG_FILE", "/dev/null").args(rest);
        if inside {
            pip.arg("--python").arg(self.environment.python());
        }
        pip.arg(name).args(["--isolated", "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--no-color"]);
        pip
    }

    /// A command that fetches wheels, from where the project says.
    fn download(&self) -> Command {
        let mut pip = self.command("download", false);
        pip.args(["--progress-bar", "off", "--only-binary", ":all:"]);
        self.places(&mut pip);
        pip
    }

    fn places(&self, pip: &mut Command) {
        let (python, network) = (&self.project.config().python, &self.project.config().network);
        if self.offline {
            pip.arg("--no-index");
        } else {
            if let Some(url) = &python.index_url {
                pip.args(["--index-url", url]);
            }
            for url in &python.extra_index_urls {
                pip.args(["--extra-index-url", url]);
            }
            if let Some(proxy) = &network.proxy {
                pip.args(["--proxy", proxy]);
            }
            if let Some(file) = network.extra_ca.first() {
                pip.arg("--cert").arg(self.project.resolve(file));
            }
        }
        for place in &python.find_links {
            let is_url = place.contains("://");
            pip.arg("--find-links").arg(if is_url { PathBuf::from(place) } else { self.project.resolve(place) });
        }
    }

    /// Chooses versions and fetches the wheels of a package and of all that it needs. `fixed` are versions that must stay.
    pub(super) fn fetch(
        &self,
        package: &str,
        wanted: &str,
        fixed: &BTreeMap<String, String>,
        folder: &Path,
    ) -> Result<Vec<Fetched>, LegacyError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| LegacyError::io("write", &path, source)
        };
        let (wheels, log) = (folder.join("wheels"), folder.join("pip.log"));
        fs::create_dir_all(&wheels).map_err(failed(&wheels))?;
        let own = folder.join(core::FILE);
        fs::write(&own, &*core::WHEEL_BYTES).map_err(failed(&own))?;
        let constraints = folder.join("constraints.txt");
        // That of rig itself is given as a file; a version of it would make pip look the name up.
        let fixed: BTreeMap<_, _> = fixed.iter().filter(|(name, _)| *name != core::NAME && *name != package).collect();
        let lines: Vec<String> = fixed.iter().map(|(name, version)| format!("{name}=={version}\n")).collect();
        fs::write(&constraints, lines.concat()).map_err(failed(&constraints))?;
        let mut pip = self.download();
        pip.arg("--log").arg(&log).arg("--dest").arg(&wheels).arg("--constraint").arg(&constraints);
        if let Some(file) = &self.project.config().python.constraints {
            pip.arg("--constraint").arg(self.project.resolve(file));
        }
        pip.arg(&own).arg(format!("{package}{wanted}"));
        let ran = command::run(pip).map_err(|error| LegacyError::Tool { tool: "pip", why: error.to_string() })?;
        if !ran.ok {
            let log = fs::read(&log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default();
            return Err(self.failure(package, wanted, &ran.said(), &log));
        }
        collect(&wheels)
    }

    /// Fetches exactly these wheels, without what they need.
    pub(super) fn fetch_locked(
        &self,
        pack: &str,
        files: &BTreeMap<String, Sha256>,
        folder: &Path,
    ) -> Result<Vec<Fetched>, LegacyError> {
        let failed = |source| LegacyError::io("write", folder, source);
        let (wheels, log, list) = (folder.join("wheels"), folder.join("pip.log"), folder.join("requirements.txt"));
        fs::create_dir_all(&wheels).map_err(failed)?;
        let line = |(file, sha256): (&String, &Sha256)| {
            wheel::of_file(file).map(|(name, version)| format!("{name}=={version} --hash=sha256:{}\n", sha256.hex()))
        };
        fs::write(&list, files.iter().filter_map(line).collect::<String>()).map_err(failed)?;
        let mut pip = self.download();
        pip.args(["--no-deps", "--require-hashes"])
            .arg("--log")
            .arg(&log)
            .arg("--dest")
            .arg(&wheels)
            .arg("-r")
            .arg(&list);
        let ran = command::run(pip).map_err(|error| LegacyError::Tool { tool: "pip", why: error.to_string() })?;
        if !ran.ok {
            let log = fs::read(&log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default();
            return Err(self.failure(pack, "", &ran.said(), &log));
        }
        let found = collect(&wheels)?;
        match found.iter().find(|file| files.get(&file.file) != Some(&file.sha256)) {
            None => Ok(found),
            Some(other) => Err(LegacyError::File {
                file: plain(&other.file),
                why: "it is not the file that rig.lock names".into(),
            }),
        }
    }

    /// Installs wheels into the environment: from a folder and nowhere else, each by its hash, without what they need.
    pub(super) fn install(
        &self,
        wheels: &BTreeMap<String, (Sha256, Vec<u8>)>,
        folder: &Path,
    ) -> Result<(), LegacyError> {
        let failed = |source| LegacyError::io("write", folder, source);
        let (wheels_folder, requirements) = (folder.join("links"), folder.join("requirements.txt"));
        fs::create_dir_all(&wheels_folder).map_err(failed)?;
        let mut lines = String::new();
        for (file, (sha256, bytes)) in wheels {
            let Some((name, version)) = wheel::of_file(file) else { continue };
            fs::write(wheels_folder.join(file), bytes).map_err(failed)?;
            let _ = writeln!(lines, "{name}=={version} --hash=sha256:{}", sha256.hex());
        }
        fs::write(&requirements, lines).map_err(failed)?;
        let (tool, mut install) = if let Some(uv) = self.machine.uv() {
            let mut install = command(&uv, &self.machine.path);
            install.args(["--no-config", "--offline", "--quiet", "--no-cache", "pip", "install", "--python"]);
            install.arg(self.environment.python()).args(["--only-binary", ":all:", "--reinstall"]);
            ("uv", install)
        } else {
            let mut install = self.command("install", true);
            install.args(["--progress-bar", "off", "--only-binary", ":all:"]);
            install.args(["--no-warn-script-location", "--force-reinstall", "--no-compile"]);
            ("pip", install)
        };
        install
            .args(["--no-index", "--no-deps", "--require-hashes", "--find-links"])
            .arg(&wheels_folder)
            .arg("-r")
            .arg(&requirements);
        let ran = command::run(install).map_err(|error| LegacyError::Tool { tool, why: error.to_string() })?;
        if ran.ok { Ok(()) } else { Err(LegacyError::Tool { tool, why: last_error(&ran.stderr) }) }
    }

    /// Takes distributions out of the environment.
    pub(super) fn uninstall(&self, names: &BTreeSet<String>) -> Result<(), LegacyError> {
        if names.is_empty() {
            return Ok(());
        }
        let mut pip = self.command("uninstall", true);
        pip.arg("--yes").args(names);
        let ran = command::run(pip).map_err(|error| LegacyError::Tool { tool: "pip", why: error.to_string() })?;
        if ran.ok { Ok(()) } else { Err(LegacyError::Tool { tool: "pip", why: last_error(&ran.stderr) }) }
    }

    /// What a failure means, from what pip says and from its log, which names the files that it passed over and why.
    fn failure(&self, package: &str, wanted: &str, said: &str, log: &str) -> LegacyError {
        let version = self.environment.interpreter.shown();
        let about = |line: &&str| line.split_once("Skipping link: ").is_some();
        let skipped: Vec<&str> = log.lines().filter(about).collect();
        if let Some(line) = said.lines().find(|line| line.contains("requires a different Python")) {
            // `ERROR: Package 'x' requires a different Python: 3.11.7 not in '>=3.99'`
            let part = |at: usize| line.split('\'').nth(at).map(plain);
            return LegacyError::OtherVersion {
                package: part(1).unwrap_or_else(|| package.to_owned()),
                runtime: Runtime::Python,
                needs: part(3).unwrap_or_else(|| "another".into()),
                found: version,
            };
        }
        if said.contains("ResolutionImpossible") || said.contains("conflicting dependencies") {
            let facts = said.lines().skip_while(|line| !line.contains("conflict is caused by")).skip(1);
            let facts = facts.take_while(|line| !line.trim().is_empty()).map(|line| plain(line.trim()));
            // pip does not say which of the files it is in: those of the project, or what other packs have.
            let given = self.project.config().python.constraints.is_some();
            let constraint = if given { "the constraints ask for" } else { "what is installed has" };
            let facts: Vec<String> =
                facts.map(|fact| fact.replace("The user requested (constraint)", constraint)).collect();
            return LegacyError::Conflict { package: package.to_owned(), facts };
        }
        let missing = said.lines().find_map(|line| line.split_once("No matching distribution found for "));
        if let Some((_, missing)) = missing {
            let end =
                missing.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(missing.len());
            let (name, rest) = missing.split_at(end);
            let (name, rest) = (wheel::normal(name), rest.split(" (from").next().unwrap_or_default().trim());
            let of_it = |line: &&&str| {
                let file = file_of(line);
                file.is_some_and(|file| wheel::normal(file).starts_with(&format!("{name}-")))
            };
            let skipped = || skipped.iter().filter(of_it);
            let found = |what: &str| skipped().find(|line| line.contains(what)).copied();
            if let Some(line) =
                skipped().find(|line| line.contains("requires a different Python") || line.contains("requires Python"))
            {
                let needs = line.split('\'').nth(1).map_or_else(|| "another".into(), plain);
                return LegacyError::OtherVersion { package: name, runtime: Runtime::Python, needs, found: version };
            }
            if let Some(line) = found("none of the wheel's tags") {
                let file = file_of(line).map(plain).unwrap_or_default();
                return LegacyError::OtherPlatform { package: name, python: version, file };
            }
            if let Some(line) = found("No sources permitted") {
                return LegacyError::NoWheel { package: name, file: file_of(line).map(plain).unwrap_or_default() };
            }
            let wanted = if name == wheel::normal(package) { wanted.to_owned() } else { plain(rest) };
            return LegacyError::NotFound { package: name, wanted, places: self.shown_places() };
        }
        LegacyError::Tool { tool: "pip", why: last_error(said) }
    }

    fn shown_places(&self) -> String {
        let python = &self.project.config().python;
        let mut places: Vec<String> = Vec::new();
        if !self.offline {
            places.push(python.index_url.as_deref().map_or_else(|| "PyPI".into(), plain));
            places.extend(python.extra_index_urls.iter().map(|url| plain(url)));
        }
        places.extend(python.find_links.iter().map(|place| plain(place)));
        if places.is_empty() {
            "any place: rig works offline, and rig.yaml names no folder of wheels".into()
        } else {
            places.join(", ")
        }
    }
}

/// The name of the file at the end of the address in a line of pip's log.
fn file_of(line: &str) -> Option<&str> {
    let address = line.split_whitespace().find(|word| word.contains("://"))?;
    address.split(['#', '?']).next()?.rsplit('/').next()
}

fn last_error(said: &str) -> String {
    let mut errors =
        said.lines().filter_map(|line| line.trim().strip_prefix("ERROR: ").or(line.trim().strip_prefix("error: ")));
    let last = errors.next_back().or_else(|| said.lines().rfind(|line| !line.trim().is_empty()));
    plain(last.unwrap_or("it says nothing"))
}

/// The wheels in a folder, with ours where a pack needs one.
fn collect(folder: &Path) -> Result<Vec<Fetched>, LegacyError> {
    let failed = |source| LegacyError::io("read", folder, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let bytes = fs::read(&path).map_err(failed)?;
        let wrong = |why: String| LegacyError::File { file: plain(&file), why };
        let wheel = Wheel::read(&file, &bytes).map_err(wrong)?;
        let sha256 = Sha256::of(&bytes);
        if wheel.name == core::NAME && sha256 != *core::SHA256 {
            return Err(wrong("it is not the one that rig carries, and no other is used".into()));
        }
        found.push(Fetched { file, sha256, bytes, wheel });
    }
    found.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(found)
}
