//! Packs from npm: npm chooses the versions and fetches the files, each pack into a folder of its own below `.rig/node`, from a lock file
//! and without running any script. What npm chose stands in rig.lock as a whole, so that the folder can be made again from that alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rig_specs::{
    PackId, Sha256,
    lock::{Artifact, Lock, LockedPack, Runtime},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    LegacyError, Machine,
    command::{self, command, find},
    project_key, version,
};
use crate::{
    home::{Home, private_dir},
    project::Project,
    words::plain,
};

/// The oldest Node that the runner is written for.
const OLDEST: u64 = 20;
/// Where the packs of a project are.
const FOLDER: &str = "node";
/// Beside the packages, so that Node finds them from here as it finds them from any program.
const ENTRY: &str = "entry.mjs";

/// Node and npm.
pub(super) struct Npm<'a> {
    pub(super) node: PathBuf,
    installer: PathBuf,
    version: String,
    machine: &'a Machine,
    project: &'a Project,
    home: &'a Home,
    offline: bool,
}

/// What npm chose for a package.
pub(super) struct Chosen {
    /// The `packages` of its lock file.
    pub(super) packages: Map<String, Value>,
    /// The version of the package itself.
    pub(super) version: String,
    /// Every file of the closure.
    pub(super) artifacts: Vec<Artifact>,
    /// Of the package's own file.
    pub(super) own: Sha256,
    pub(super) size: u64,
}

/// What rig notes about a folder that it made.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Note {
    /// Of what npm was told to install.
    packages: Sha256,
    /// Of every file that it made.
    tree: Sha256,
    /// The interpreter.
    node: PathBuf,
}

impl<'a> Npm<'a> {
    pub(super) fn find(
        machine: &'a Machine,
        project: &'a Project,
        home: &'a Home,
        offline: bool,
    ) -> Result<Self, LegacyError> {
        let absent = |name| LegacyError::NoInterpreter {
            runtime: Runtime::Node,
            looked: format!("there is no `{name}` in PATH"),
        };
        let node = find("node", &machine.path).ok_or_else(|| absent("node"))?;
        let installer = find("npm", &machine.path).ok_or_else(|| absent("npm"))?;
        let unusable = |why: String| LegacyError::Interpreter { runtime: Runtime::Node, path: node.clone(), why };
        let mut probe = command(&node, &machine.path);
        probe.args(["-p", "process.execPath + '\\n' + process.versions.node"]);
        let ran = command::run(probe).map_err(|error| unusable(error.to_string()))?;
        let mut lines = ran.stdout.lines();
        let (program, version) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default().to_owned());
        let major: u64 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
        if !ran.ok || major == 0 {
            return Err(unusable("it does not answer as Node does".into()));
        }
        if major < OLDEST {
            return Err(unusable(format!("it is Node {version}, and rig needs {OLDEST} or later")));
        }
        let node = fs::canonicalize(program).map_err(|error| unusable(error.to_string()))?;
        Ok(Self { node, installer, version, machine, project, home, offline })
    }

    /// A command of npm that reads no configuration but what is given here.
    fn command(&self, name: &str, folder: &Path) -> Result<Command, LegacyError> {
        let cache = self.home.root().join("cache").join("npm");
        private_dir(&cache).map_err(|source| LegacyError::io("make", &cache, source))?;
        let mut npm = command(&self.installer, &self.machine.path);
        npm.current_dir(folder).env("HOME", folder).arg(name).args([
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--omit=dev",
            "--loglevel=error",
            "--color=false",
            // What has another hash than the lock says is fetched again as well: without these, over a minute later.
            "--fetch-retry-mintimeout=500",
            "--fetch-retry-maxtimeout=4000",
        ]);
        // Files that there are, and are empty: npm complains of others, and of one that is both.
        for (option, file) in [("--userconfig", "user.npmrc"), ("--globalconfig", "global.npmrc")] {
            let file = cache.join(file);
            fs::write(&file, "").map_err(|source| LegacyError::io("write", &file, source))?;
            npm.arg(option).arg(file);
        }
        npm.arg("--cache").arg(cache).arg("--prefix").arg(folder).arg("--logs-max=0");
        let config = self.project.config();
        if let Some(registry) = &config.node.registry {
            npm.arg(format!("--registry={registry}"));
        }
        for (scope, registry) in &config.node.scopes {
            let scope = scope.strip_prefix('@').unwrap_or(scope);
            npm.arg(format!("--@{scope}:registry={registry}"));
        }
        if let Some(proxy) = &config.network.proxy {
            npm.arg(format!("--proxy={proxy}")).arg(format!("--https-proxy={proxy}"));
        }
        if let Some(file) = config.network.extra_ca.first() {
            npm.arg("--cafile").arg(self.project.resolve(file));
        }
        npm.arg(if self.offline { "--offline" } else { "--prefer-offline" });
        Ok(npm)
    }

    /// Chooses the versions of a package and of all that it needs, and puts them into a folder.
    pub(super) fn choose(&self, package: &str, wanted: &str, folder: &Path) -> Result<Chosen, LegacyError> {
        let wanted = if wanted.is_empty() { "*" } else { wanted };
        write_manifest(folder, package, wanted)?;
        let mut lock = self.command("install", folder)?;
        lock.arg("--package-lock-only");
        // What is new counts here, whatever the cache remembers.
        if !self.offline {
            lock.arg("--prefer-online");
        }
        self.run(lock, package, wanted)?;
        let path = folder.join("package-lock.json");
        let read = || -> Option<Map<String, Value>> {
            let text = fs::read(&path).ok()?;
            serde_json::from_slice::<Value>(&text).ok()?.get("packages")?.as_object().cloned()
        };
        let mut packages = read()
            .ok_or_else(|| LegacyError::Tool { tool: "npm", why: "it wrote no lock file that can be read".into() })?;
        // What stands for the folder itself is written again by rig.
        packages.remove("");
        check(&packages)?;
        self.fill(package, &packages, folder)?;
        let artifacts = self.files(&packages);
        let entry = packages.get(&format!("node_modules/{package}")).unwrap_or(&Value::Null);
        let bytes = self.cached(entry).ok_or_else(|| LegacyError::Tool {
            tool: "npm",
            why: format!("the file of {package} is not where npm keeps it"),
        })?;
        let (own, size) = (Sha256::of(&bytes), bytes.len() as u64);
        let version = entry["version"].as_str().unwrap_or_default().to_owned();
        // Of the pack alone: packages that it needs ask for more than they use, and npm by itself only warns.
        if let Some(needs) = entry["engines"]["node"].as_str().filter(|needs| !version::suits(needs, &self.version)) {
            let (needs, found) = (plain(needs), self.version.clone());
            let package = format!("{}@{}", plain(package), plain(&version));
            return Err(LegacyError::OtherVersion { package, runtime: Runtime::Node, needs, found });
        }
        let artifacts = artifacts.into_iter().map(|(file, integrity)| Artifact { file, integrity }).collect();
        Ok(Chosen { packages, version, artifacts, own, size })
    }

    /// Puts exactly what a lock names into an empty folder.
    pub(super) fn fill(&self, package: &str, packages: &Map<String, Value>, folder: &Path) -> Result<(), LegacyError> {
        let own = packages.get(&format!("node_modules/{package}"));
        let version = own.and_then(|entry| entry["version"].as_str()).unwrap_or_default();
        write_manifest(folder, package, version)?;
        let mut all = packages.clone();
        all.insert(String::new(), json!({ "dependencies": { package: version } }));
        let lock = json!({ "name": "rig", "lockfileVersion": 3, "requires": true, "packages": all });
        write(&folder.join("package-lock.json"), lock.to_string().as_bytes())?;
        let entry = format!("import * as pack from {};\nexport default pack;\n", Value::from(package));
        write(&folder.join(ENTRY), entry.as_bytes())?;
        self.run(self.command("ci", folder)?, package, version)
    }

    /// The files of a closure with their hashes, each named by package and version. Those that were left out on this machine, because they
    /// are for another system, are not among them.
    fn files(&self, packages: &Map<String, Value>) -> BTreeMap<String, Sha256> {
        let file = |(place, entry): (&String, &Value)| {
            let name = place.rsplit_once("node_modules/").map_or(place.as_str(), |(_, name)| name);
            let version = entry["version"].as_str().unwrap_or_default();
            Some((format!("{name}@{version}"), Sha256::of(&self.cached(entry)?)))
        };
        packages.iter().filter_map(file).collect()
    }

    fn run(&self, npm: Command, package: &str, wanted: &str) -> Result<(), LegacyError> {
        let ran = command::run(npm).map_err(|error| LegacyError::Tool { tool: "npm", why: error.to_string() })?;
        if ran.ok { Ok(()) } else { Err(self.failure(package, wanted, &ran.stderr)) }
    }

    /// The bytes of a package as they were fetched: npm keeps them under the hash that its lock file names.
    fn cached(&self, entry: &Value) -> Option<Vec<u8>> {
        let hash = entry["integrity"].as_str()?.split(' ').find_map(|hash| hash.strip_prefix("sha512-"))?;
        let hex = hex::encode(STANDARD.decode(hash).ok()?);
        let content = self.home.root().join("cache/npm/_cacache/content-v2/sha512");
        fs::read(content.join(hex.get(..2)?).join(hex.get(2..4)?).join(hex.get(4..)?)).ok()
    }

    /// What a failure means, from the code that npm gives it.
    fn failure(&self, package: &str, wanted: &str, stderr: &str) -> LegacyError {
        let lines: Vec<&str> = stderr
            .lines()
            .filter_map(|line| line.strip_prefix("npm error ").or(line.strip_prefix("npm ERR! ")))
            .collect();
        let code = lines.iter().find_map(|line| line.strip_prefix("code ")).unwrap_or_default();
        let said = || {
            let why = lines.iter().find(|line| !line.starts_with("code ")).copied();
            plain(why.or_else(|| stderr.lines().rfind(|line| !line.trim().is_empty())).unwrap_or("it says nothing"))
        };
        let wanted = if wanted == "*" { String::new() } else { plain(wanted) };
        match code {
            "E404" | "ETARGET" | "ENOVERSIONS" => {
                // `404 Not Found - GET http://…/name - …`, `notarget No matching version found for name@^9.`
                let named =
                    lines.iter().find_map(|line| line.split_once("version found for ")).and_then(|(_, rest)| {
                        let (name, version) = rest.trim_end_matches('.').rsplit_once('@')?;
                        Some((plain(name), plain(version)))
                    });
                let (package, wanted) = named.unwrap_or((package.to_owned(), wanted));
                LegacyError::NotFound { package, wanted, places: self.places() }
            }
            "ERESOLVE" => {
                let facts = lines.iter().filter(|line| line.contains("Found: ") || line.contains("peer "));
                let facts = facts.take(4).map(|line| plain(line.trim_start_matches("ERESOLVE ").trim())).collect();
                LegacyError::Conflict { package: package.to_owned(), facts }
            }
            "EINTEGRITY" => {
                // `warn tarball tarball data for name@URL (sha512-…) seems to be corrupted. Trying again.`
                let file = stderr.lines().find_map(|line| line.split_once("tarball data for "));
                let file = file.and_then(|(_, rest)| rest.split(' ').next()).map_or_else(|| plain(package), plain);
                LegacyError::File {
                    file,
                    why: "what the registry sends has another hash than it says, or than rig.lock".into(),
                }
            }
            "ENOTCACHED" => LegacyError::Offline { what: format!("the package `{package}` or what it needs") },
            _ => LegacyError::Tool { tool: "npm", why: said() },
        }
    }

    fn places(&self) -> String {
        let node = &self.project.config().node;
        let first = node.registry.as_deref().map_or_else(|| "npm".into(), plain);
        let others = node.scopes.values().map(|registry| plain(registry));
        std::iter::once(first).chain(others).collect::<Vec<_>>().join(", ")
    }
}

/// Every package must have a hash that stands for its bytes, and come from a registry.
fn check(packages: &Map<String, Value>) -> Result<(), LegacyError> {
    for (place, entry) in packages {
        let wrong = |why: &str| LegacyError::File { file: plain(place), why: why.into() };
        let inside =
            place.starts_with("node_modules/") && !place.split('/').any(|part| matches!(part, "" | "." | ".."));
        if !inside {
            return Err(wrong("npm puts it outside of the folder of packages"));
        }
        if entry["inBundle"].as_bool() == Some(true) {
            // It is in the file of another package, whose hash covers it.
            continue;
        }
        let resolved = entry["resolved"].as_str().unwrap_or_default();
        if entry["link"].as_bool() == Some(true)
            || !(resolved.starts_with("https://") || resolved.starts_with("http://"))
        {
            return Err(wrong("it does not come from a registry"));
        }
        if !entry["integrity"].as_str().unwrap_or_default().contains("sha512-") {
            return Err(wrong("the registry gives no sha512 hash for it"));
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), LegacyError> {
    fs::write(path, bytes).map_err(|source| LegacyError::io("write", path, source))
}

fn write_manifest(folder: &Path, package: &str, wanted: &str) -> Result<(), LegacyError> {
    let manifest = json!({ "name": "rig", "private": true, "dependencies": { package: wanted } });
    write(&folder.join("package.json"), manifest.to_string().as_bytes())
}

/// The folder of a pack.
pub(super) fn folder(project: &Path, pack: &PackId) -> PathBuf {
    project.join(".rig").join(FOLDER).join(pack.as_str())
}

fn note(home: &Home, project: &Path, pack: &PackId) -> PathBuf {
    home.root().join("environments").join(format!("{}-{pack}.json", project_key(project)))
}

fn hash(packages: &Map<String, Value>) -> Sha256 {
    Sha256::of_json(&Value::Object(packages.clone()))
}

/// Whether the folder of a pack is as rig made it from what the lock says; its interpreter.
pub(super) fn found(home: &Home, project: &Path, locked: &LockedPack) -> Result<PathBuf, LegacyError> {
    let broken = |why: &str| LegacyError::Environment { pack: locked.pack_id.clone(), why: why.into() };
    let packages = locked.npm.as_ref().ok_or_else(|| broken("rig.lock does not say what npm chose"))?;
    let noted = fs::read(note(home, project, &locked.pack_id)).ok();
    let noted: Note =
        noted.and_then(|text| serde_json::from_slice(&text).ok()).ok_or_else(|| broken("it is not there"))?;
    if noted.packages != hash(packages) {
        return Err(broken("it was made from another rig.lock"));
    }
    let folder = folder(project, &locked.pack_id);
    match tree(&folder) {
        Ok(tree) if tree == noted.tree => Ok(noted.node),
        Ok(_) => Err(broken(&format!("a file in {} was changed, added or removed", folder.display()))),
        Err(error) => Err(broken(&format!("{} cannot be read: {error}", folder.display()))),
    }
}

/// Over the path and the bytes of each file that a pack can load.
fn tree(folder: &Path) -> std::io::Result<Sha256> {
    fn walk(folder: &Path, at: &str, lines: &mut BTreeSet<String>) -> std::io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
            let name = format!("{at}/{}", path.file_name().unwrap_or_default().to_string_lossy());
            let kind = entry?;
            if kind.is_dir() {
                walk(&path, &name, lines)?;
            } else if kind.is_symlink() {
                lines.insert(format!("{name} -> {}\n", fs::read_link(&path)?.display()));
            } else {
                lines.insert(format!("{name} {}\n", Sha256::of(&fs::read(&path)?).hex()));
            }
        }
        Ok(())
    }
    let mut lines = BTreeSet::new();
    walk(folder, "", &mut lines)?;
    Ok(Sha256::of(lines.into_iter().collect::<String>().as_bytes()))
}

/// Makes the folders of a project's packs what a lock wants.
pub(super) fn apply(
    home: &Home,
    machine: &Machine,
    project: &Project,
    (before, lock): (&Lock, &Lock),
    remove: bool,
) -> Result<(), LegacyError> {
    let root = project.root();
    for locked in lock.packs.values().filter(|locked| locked.runtime == Runtime::Node) {
        if found(home, root, locked).is_ok() {
            continue;
        }
        let broken = |why: &str| LegacyError::Environment { pack: locked.pack_id.clone(), why: why.into() };
        let packages = locked.npm.as_ref().ok_or_else(|| broken("rig.lock does not say what npm chose"))?;
        check(packages)?;
        // What is in the cache is not fetched again.
        let npm = Npm::find(machine, project, home, false)?;
        let target = folder(root, &locked.pack_id);
        let parent = target.parent().unwrap_or(root);
        let failed = |source| LegacyError::io("write", &target, source);
        fs::create_dir_all(parent).map_err(failed)?;
        let staged = tempfile::Builder::new().prefix(".new-").tempdir_in(parent).map_err(failed)?;
        npm.fill(&locked.package, packages, staged.path())?;
        let came = npm.files(packages);
        let other = |artifact: &&Artifact| came.get(&artifact.file).is_some_and(|hash| *hash != artifact.integrity);
        if let Some(artifact) = locked.artifacts.iter().find(other) {
            return Err(broken(&format!("what came for {} is not what rig.lock names", artifact.file)));
        }
        let made =
            Note { packages: hash(packages), tree: tree(staged.path()).map_err(failed)?, node: npm.node.clone() };
        if target.exists() {
            fs::remove_dir_all(&target).map_err(failed)?;
        }
        fs::rename(staged.keep(), &target).map_err(failed)?;
        let path = note(home, root, &locked.pack_id);
        private_dir(path.parent().unwrap_or(root)).map_err(failed)?;
        write(&path, json!(made).to_string().as_bytes())?;
    }
    if remove {
        let gone = before.packs.values().filter(|l| l.runtime == Runtime::Node && !lock.packs.contains_key(&l.pack_id));
        for locked in gone {
            let target = folder(root, &locked.pack_id);
            let _ = fs::remove_file(note(home, root, &locked.pack_id));
            if target.exists() {
                fs::remove_dir_all(&target).map_err(|source| LegacyError::io("remove", &target, source))?;
            }
        }
    }
    Ok(())
}
