//! Which toolchain compiles packs here. What is installed is taken before anything is fetched, so that a second run asks no
//! server again: rustup's target, then Debian's packages; after those `rustup target add`, then `apt-get install`.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
};

use crate::{Error, LINKER, Step, TARGET, debian, process, process::Stopped, rustup};

/// A way to compile packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The target's standard library as rustup installs it.
    Rustup,
    /// Debian's `rustc-web`, which compiles the standard library from `rust-web-src` once.
    Debian,
}

impl Route {
    /// The name that forces the route.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::Debian => "debian",
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rustup => "rustup",
            Self::Debian => "Debian's packages",
        })
    }
}

/// Which routes may be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// Whichever works.
    #[default]
    Any,
    /// This one or none.
    Only(Route),
}

impl FromStr for Choice {
    type Err = Error;

    /// Reads the value of `RIG_WASM_TOOLCHAIN`; an empty one leaves the choice open.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "" => Ok(Self::Any),
            "rustup" => Ok(Self::Only(Route::Rustup)),
            "debian" => Ok(Self::Only(Route::Debian)),
            other => Err(Error::UnknownRoute(other.to_owned())),
        }
    }
}

/// Where to look. [`find_or_install`] uses the machine's own PATH and root.
#[derive(Debug, Clone)]
pub struct Search {
    /// Which routes may be taken.
    pub choice: Choice,
    /// The folder whose `rust-toolchain.toml`, if any, chooses among rustup's toolchains.
    pub dir: PathBuf,
    /// Where programs are looked up; the PATH of this process when absent.
    pub path: Option<OsString>,
    /// The root of the file system that Debian's packages are installed in.
    pub root: PathBuf,
}

impl Search {
    /// A search on this machine.
    #[must_use]
    pub fn new(choice: Choice, dir: &Path) -> Self {
        Self { choice, dir: dir.to_owned(), path: None, root: PathBuf::from("/") }
    }

    /// Finds a toolchain or installs one, telling each step.
    ///
    /// # Errors
    /// When Rust itself is missing, or when no route that may be taken leads to a toolchain.
    pub fn run(&self, on_step: &mut dyn FnMut(Step)) -> Result<Toolchain, Error> {
        let rust = Rust::probe(self)?;
        let toolchain = self.toolchain(&rust, on_step)?;
        on_step(Step::Using(toolchain.clone()));
        Ok(toolchain)
    }

    fn toolchain(&self, rust: &Rust, on_step: &mut dyn FnMut(Step)) -> Result<Toolchain, Error> {
        let forced = |route| move |reason| Error::Forced { route, reason };
        match self.choice {
            Choice::Only(route @ Route::Rustup) => match rustup::installed(rust) {
                Some(found) => Ok(found),
                None => rustup::add(self, rust, on_step).map_err(forced(route)),
            },
            Choice::Only(route @ Route::Debian) => match debian::installed(self, rust) {
                Ok(found) => Ok(found),
                Err(why) => debian::install(self, rust, &why, on_step).map_err(forced(route)),
            },
            Choice::Any => {
                if let Some(found) = rustup::installed(rust) {
                    return Ok(found);
                }
                let missing = match debian::installed(self, rust) {
                    Ok(found) => return Ok(found),
                    Err(why) => why,
                };
                let rustup = match rustup::add(self, rust, on_step) {
                    Ok(added) => return Ok(added),
                    Err(reason) => reason,
                };
                on_step(Step::GaveUp { route: Route::Rustup, reason: rustup.clone() });
                debian::install(self, rust, &missing, on_step).map_err(|debian| Error::NoRoute { rustup, debian })
            }
        }
    }

    /// A command that is looked up and run where the search says.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        // A folder that does not exist is for the build to complain about; here it would look like a missing program.
        if self.dir.is_dir() {
            command.current_dir(&self.dir);
        }
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        command
    }
}

/// What is installed and can compile packs; nothing is installed by asking.
#[must_use]
pub fn installed(dir: &Path) -> Option<Toolchain> {
    let search = Search::new(Choice::Any, dir);
    let rust = Rust::probe(&search).ok()?;
    rustup::installed(&rust).or_else(|| debian::installed(&search, &rust).ok())
}

/// Finds a toolchain for packs or installs one, telling each step. `dir` is the folder whose `rust-toolchain.toml` counts.
///
/// # Errors
/// As [`Search::run`].
pub fn find_or_install(choice: Choice, dir: &Path, on_step: &mut dyn FnMut(Step)) -> Result<Toolchain, Error> {
    Search::new(choice, dir).run(on_step)
}

/// What compiles packs. Its `Display` names it for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// How it came here.
    pub route: Route,
    /// The compiler's version.
    pub release: String,
    /// The commit that the compiler was built from.
    pub commit: String,
    /// The compiler.
    pub rustc: PathBuf,
    /// The cargo that drives it: rustup's in both routes.
    pub cargo: PathBuf,
    /// The folder with the linker for components.
    pub tools: PathBuf,
    /// Where the sources of the standard library are, if they are installed: they are compiled, or named in messages.
    pub std_sources: PathBuf,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.route {
            Route::Rustup => write!(f, "rustc {} with rustup's target {TARGET}", self.release),
            Route::Debian => write!(f, "Debian's rustc {} with the library's sources", self.release),
        }
    }
}

/// The Rust that PATH leads to: its cargo and its linker serve both routes.
#[derive(Debug)]
pub(crate) struct Rust {
    pub(crate) sysroot: PathBuf,
    pub(crate) version: Version,
    pub(crate) cargo: PathBuf,
    pub(crate) tools: PathBuf,
}

impl Rust {
    fn probe(search: &Search) -> Result<Self, Error> {
        let version = Version::of(&mut search.command("rustc"), "rustc")?;
        let sysroot = PathBuf::from(answer(search.command("rustc").args(["--print", "sysroot"]), "rustc")?.trim());
        let tools = sysroot.join("lib/rustlib").join(&version.host).join("bin");
        if !tools.join(LINKER).is_file() {
            return Err(Error::NoLinker(sysroot));
        }
        // The cargo of the same toolchain, past rustup's stand-in, so that another folder's settings cannot choose another one.
        let own = sysroot.join("bin").join("cargo");
        let cargo = if own.is_file() { own } else { PathBuf::from("cargo") };
        Ok(Self { sysroot, version, cargo, tools })
    }

    pub(crate) fn toolchain(&self, route: Route, version: &Version, rustc: PathBuf, std_sources: PathBuf) -> Toolchain {
        Toolchain {
            route,
            release: version.release.clone(),
            commit: version.commit.clone(),
            rustc,
            cargo: self.cargo.clone(),
            tools: self.tools.clone(),
            std_sources,
        }
    }
}

/// What `rustc -vV` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) release: String,
    pub(crate) commit: String,
    pub(crate) host: String,
}

impl Version {
    pub(crate) fn of(rustc: &mut Command, program: &'static str) -> Result<Self, Error> {
        let said = answer(rustc.arg("-vV"), program)?;
        let field = |name: &str| {
            said.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(|value| value.trim().to_owned())
        };
        match (field("release"), field("commit-hash"), field("host")) {
            (Some(release), commit, Some(host)) => {
                Ok(Self { release, commit: commit.unwrap_or_else(|| "unknown".into()), host })
            }
            _ => Err(Error::Failed {
                command: format!("{program} -vV"),
                detail: "the answer names no release and host".into(),
            }),
        }
    }
}

/// The output of a program that answers a question.
fn answer(command: &mut Command, program: &'static str) -> Result<String, Error> {
    match process::ask(command) {
        Ok(ended) if ended.status.success() => Ok(ended.stdout),
        Ok(ended) => Err(Error::Failed { command: process::shown(command), detail: ended.last_words() }),
        Err(Stopped::Missing) => Err(Error::NoProgram(program)),
        Err(Stopped::Io(source)) => Err(Error::Run { command: process::shown(command), source }),
        Err(Stopped::TooLong(limit)) => Err(Error::Failed {
            command: process::shown(command),
            detail: format!("no answer after {} s", limit.as_secs()),
        }),
    }
}

#[cfg(test)]
mod tests;
