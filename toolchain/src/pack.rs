//! Compiles one pack to a component, with flags that depend on nothing but the checkout and the toolchain.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    Error, LINKER, Route, Step, TARGET, Toolchain, cargo_env, library,
    process::{self, Stopped, Stream},
};

/// The profile that a workspace may define for its packs.
const PACK_PROFILE: &str = "pack";

/// The profile that every package has.
const FALLBACK_PROFILE: &str = "release";

/// Separates the flags in `CARGO_ENCODED_RUSTFLAGS`.
pub(crate) const FLAG_SEPARATOR: &str = "\u{1f}";

/// The variable by which the SDK's `export!` is told where the schemas of the tools come from.
const SCHEMAS: &str = "RIG_TOOL_SCHEMAS";

/// Where the schemas of a pack's tools come from. What makes schemas of types is much code, which no call needs, so a pack is best
/// compiled twice: to be asked for them, and then with the answers. Packs that do not use the SDK are the same every time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Schemas {
    /// The pack computes them whenever it is asked.
    #[default]
    Computed,
    /// The pack computes them and can do nothing else. Compiled quickly, since it will run once.
    Asked,
    /// The pack has them as constants: a JSON list with a pair for each tool, in the order in which the pack describes them. The
    /// pair is the text of the schema of the arguments and that of the output.
    Given(String),
}

/// What a caller may decide about a build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Where cargo works; `wasm` in the package's own target folder when absent. It must not be the target folder of a cargo
    /// that waits for this build: both would wait for one lock.
    pub target_dir: Option<PathBuf>,
    /// The folder of a dependency inside the package's own, relative to it, when the two are all that is compiled from folders of this
    /// machine. The flags then name no folder of the single package, so that packages which share a target folder share what they
    /// depend on.
    pub alone_with: Option<String>,
    /// Where the standard library is kept when it had to be compiled; a folder in the target folder when absent.
    pub library: Option<PathBuf>,
    /// Refuse to change `Cargo.lock`.
    pub locked: bool,
    /// Use no network.
    pub offline: bool,
    /// Have the compiler colour what it says.
    pub color: bool,
    /// Where the schemas of the tools come from.
    pub schemas: Schemas,
}

/// Compiles the package in `crate_dir` and returns the component as it was linked: not yet with a manifest in it.
///
/// # Errors
/// When the folder holds no library package, or the package does not compile.
pub fn build_pack(
    toolchain: &Toolchain,
    crate_dir: &Path,
    options: &BuildOptions,
    on_step: &mut dyn FnMut(Step),
) -> Result<PathBuf, Error> {
    let package = Package::read(toolchain, crate_dir)?;
    let target_dir = options.target_dir.clone().unwrap_or_else(|| package.target_dir.join("wasm"));
    let given = schemas_file(&package, &target_dir, options)?;
    let sysroot = match toolchain.route {
        Route::Rustup => None,
        Route::Debian => {
            let cache = options.library.clone().unwrap_or_else(|| target_dir.join("library"));
            Some(library::sysroot(toolchain, &cache, options.offline, on_step)?)
        }
    };
    let inner = options.alone_with.as_deref();
    let flags = rustflags(toolchain, &package, &target_dir, sysroot.as_deref(), inner);
    let mut command = compile_command(toolchain, &package, &target_dir, options, given.as_deref());
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join(FLAG_SEPARATOR));
    if !matches!(options.schemas, Schemas::Given(_)) {
        on_step(Step::Compiling { package: package.name.clone(), profile: package.profile.into() });
    }
    let mut component = None;
    let ended = process::run(&mut command, None, &mut |stream, line| match stream {
        Stream::Out => component = component_of(line, &package.id).or(component.take()),
        Stream::Err => on_step(Step::Line(line.to_owned())),
    });
    let ended = ended.map_err(|stopped| not_run(&command, stopped))?;
    if !ended.status.success() {
        return Err(Error::Compile { package: package.name, stderr: ended.stderr });
    }
    component.ok_or(Error::NoArtifact(package.name))
}

/// Writes given schemas to a file of the target folder, unless they are there already: a file that stays is nothing to compile for.
fn schemas_file(package: &Package, target_dir: &Path, options: &BuildOptions) -> Result<Option<PathBuf>, Error> {
    let Schemas::Given(schemas) = &options.schemas else { return Ok(None) };
    let folder = target_dir.join("rig");
    let mut name = package.name.clone();
    if options.alone_with.is_some() {
        // Packages of one name may share the target folder.
        let mut hasher = DefaultHasher::new();
        package.dir.hash(&mut hasher);
        name = format!("{name}-{:016x}", hasher.finish());
    }
    let path = folder.join(name).with_added_extension("json");
    if fs::read_to_string(&path).is_ok_and(|old| old == *schemas) {
        return Ok(Some(path));
    }
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, schemas));
    written.map_err(|source| Error::Write { path: path.clone(), source })?;
    Ok(Some(path))
}

fn compile_command(
    toolchain: &Toolchain,
    package: &Package,
    target_dir: &Path,
    options: &BuildOptions,
    given: Option<&Path>,
) -> Command {
    let mut command = cargo(toolchain, &package.dir);
    // The crate type is given here because of two others that a pack's Cargo.toml may have: with an `rlib` beside the `cdylib`,
    // which unit tests want, cargo would leave link-time optimisation out.
    command.args(["rustc", "--lib", "--crate-type", "cdylib", "--message-format", "json-render-diagnostics"]);
    command.args(["--target", TARGET, "--profile", package.profile]);
    command.arg("--manifest-path").arg(package.dir.join("Cargo.toml"));
    command.arg("--target-dir").arg(target_dir);
    command.args(["--color", if options.color { "always" } else { "never" }]);
    if options.locked {
        command.arg("--locked");
    }
    if options.offline {
        command.arg("--offline");
    }
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", LINKER);
    command.env_remove(SCHEMAS);
    let mut own = Vec::new();
    if options.schemas == Schemas::Asked {
        // Warnings are told by the build whose result stays.
        command.env(SCHEMAS, "-");
        own.extend(["-C", "opt-level=1", "--cap-lints", "allow"].map(str::to_owned));
    } else if let Some(given) = given {
        command.env(SCHEMAS, given);
    }
    if options.alone_with.is_some() {
        // For the package alone. Cargo also tells packages of one name in different folders apart by it, without letting it into the
        // compiled names.
        own.push(rename(&package.workspace, "/pack"));
    }
    if !own.is_empty() {
        command.arg("--").args(own);
    }
    command
}

/// Cargo without the environment of an outer cargo, with the toolchain's linker in reach.
pub(crate) fn cargo(toolchain: &Toolchain, dir: &Path) -> Command {
    let mut command = Command::new(&toolchain.cargo);
    cargo_env::clean(&mut command);
    let paths = env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(toolchain.tools.clone()).chain(env::split_paths(&paths));
    if let Ok(paths) = env::join_paths(paths) {
        command.env("PATH", paths);
    }
    command.env("RUSTC", &toolchain.rustc).current_dir(dir);
    command
}

/// Flags that give folders names of their own, so that a pack is the same bytes wherever it is compiled. Of several prefixes that
/// fit, the last one counts.
fn rustflags(
    toolchain: &Toolchain,
    package: &Package,
    target_dir: &Path,
    sysroot: Option<&Path>,
    inner: Option<&str>,
) -> Vec<String> {
    let first = match inner {
        // Cargo names the files of a workspace's folder relative to it.
        Some(inner) => rename(Path::new(inner), "/sdk"),
        None => rename(&package.workspace, "/pack"),
    };
    let mut flags = vec![first, rename(target_dir, "/target")];
    flags.extend(renamed(toolchain));
    flags.extend(sysroot.map(|sysroot| format!("--sysroot={}", sysroot.display())));
    flags
}

/// The flags for what is the same for every pack.
pub(crate) fn renamed(toolchain: &Toolchain) -> Vec<String> {
    // The name that the standard library of rustup bears.
    let rust = format!("/rustc/{}", toolchain.commit);
    let mut flags: Vec<String> = cargo_home().map(|home| rename(&home, "/cargo")).into_iter().collect();
    flags.push(rename(&toolchain.std_sources, &rust));
    // Debian links its folder, and cargo may follow the link.
    flags.extend(fs::canonicalize(&toolchain.std_sources).ok().map(|real| rename(&real, &rust)));
    flags
}

fn rename(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

/// Where cargo keeps the sources of dependencies.
fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))
}

/// The `.wasm` file that a message of cargo names, when it is about that package.
fn component_of(message: &str, package: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message.get("reason")? != "compiler-artifact" || message.get("package_id")? != package {
        return None;
    }
    let mut files = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str).map(PathBuf::from);
    files.find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}

/// What cargo knows about a pack's package.
#[derive(Debug)]
struct Package {
    name: String,
    id: String,
    dir: PathBuf,
    workspace: PathBuf,
    target_dir: PathBuf,
    profile: &'static str,
}

impl Package {
    fn read(toolchain: &Toolchain, crate_dir: &Path) -> Result<Self, Error> {
        let dir = fs::canonicalize(crate_dir).map_err(|_| Error::NoManifest(crate_dir.to_owned()))?;
        let manifest = dir.join("Cargo.toml");
        if !manifest.is_file() {
            return Err(Error::NoManifest(crate_dir.to_owned()));
        }
        let mut command = cargo(toolchain, &dir);
        command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(&manifest);
        // Asked as the user's own cargo would be, so that the target folder is the one that the user chose.
        for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"] {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        let ended = process::ask(&mut command).map_err(|stopped| not_run(&command, stopped))?;
        let unreadable = |detail: String| Error::Metadata { dir: dir.clone(), detail };
        if !ended.status.success() {
            return Err(unreadable(ended.stderr.trim().to_owned()));
        }
        let metadata: Value = serde_json::from_str(&ended.stdout).map_err(|error| unreadable(error.to_string()))?;
        let text = |value: &Value, key: &str| {
            let text = value.get(key).and_then(Value::as_str).map(str::to_owned);
            text.ok_or_else(|| unreadable(format!("no `{key}` in it")))
        };
        let packages = metadata.get("packages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let is_this = |package: &&Value| {
            package.get("manifest_path").and_then(Value::as_str).and_then(|path| fs::canonicalize(path).ok()).as_ref()
                == Some(&manifest)
        };
        let package = packages.iter().find(is_this).ok_or_else(|| Error::NoPackage(dir.clone()))?;
        let name = text(package, "name")?;
        if !has_library(package) {
            return Err(Error::NoLibrary(name));
        }
        let workspace = PathBuf::from(text(&metadata, "workspace_root")?);
        Ok(Self {
            name,
            id: text(package, "id")?,
            profile: profile_of(&workspace),
            target_dir: PathBuf::from(text(&metadata, "target_directory")?),
            workspace,
            dir,
        })
    }
}

fn has_library(package: &Value) -> bool {
    let targets = package.get("targets").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let kinds = targets.iter().filter_map(|target| target.get("kind")?.as_array()).flatten();
    kinds.filter_map(Value::as_str).any(|kind| matches!(kind, "lib" | "rlib" | "cdylib" | "dylib" | "staticlib"))
}

/// The workspace's profile for packs, when it has one. A manifest that cannot be read is cargo's to complain about.
fn profile_of(workspace: &Path) -> &'static str {
    let manifest = fs::read_to_string(workspace.join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap_or_default();
    let profiles = manifest.get("profile").and_then(toml::Value::as_table);
    if profiles.is_some_and(|profiles| profiles.contains_key(PACK_PROFILE)) { PACK_PROFILE } else { FALLBACK_PROFILE }
}

pub(crate) fn not_run(command: &Command, stopped: Stopped) -> Error {
    let command = process::shown(command);
    match stopped {
        Stopped::Missing => Error::NoProgram("cargo"),
        Stopped::Io(source) => Error::Run { command, source },
        Stopped::TooLong(limit) => Error::Failed { command, detail: format!("it took over {} s", limit.as_secs()) },
    }
}

#[cfg(test)]
mod tests;
