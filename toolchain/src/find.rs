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
mod tests {
    use super::*;
    use crate::testing::Machine;

    const BOTH: &str = "rustc-web installed 1.96.0+dfsg1-1\nrust-web-src installed 1.96.0+dfsg1-1";
    const APT_ARGS: &str = "-o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=120";
    const ANY: Choice = Choice::Any;
    const RUSTUP: Choice = Choice::Only(Route::Rustup);
    const DEBIAN: Choice = Choice::Only(Route::Debian);

    fn rustup_that_adds(machine: &Machine) {
        machine.program("rustup", "[ \"$1\" = --version ] && exit 0\n$TOP/add");
        let (folder, file) = (machine.at("sysroot/lib/rustlib").join(TARGET).join("lib"), "libstd-1.rlib");
        script_at(machine, "add", &format!("/bin/mkdir -p '{0}' && : > '{0}/{file}'", folder.display()));
    }

    fn rustup_that_fails(machine: &Machine) {
        machine.program("rustup", "[ \"$1\" = --version ] && exit 0\necho 'error: no route to host' >&2\nexit 1");
    }

    /// An apt-get that "installs": its files are there from the start, and dpkg-query lists them from then on.
    fn apt_that_installs(machine: &Machine) {
        machine.debian_files("1.96.0");
        machine.program("dpkg-query", &format!("[ -e $TOP/installed ] && echo '{BOTH}' && exit 0\nexit 1"));
        machine.program("apt-get", "case \"$*\" in install*|*' install '*) : > $TOP/installed;; esac");
        machine.program("id", "echo 0");
    }

    fn script_at(machine: &Machine, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = machine.at(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn an_installed_target_is_used_and_nothing_is_changed() {
        let machine = Machine::new();
        machine.target_files();
        rustup_that_fails(&machine);
        apt_that_installs(&machine);
        for choice in [ANY, RUSTUP] {
            let (found, told) = machine.find(choice);
            assert_eq!(found.unwrap().route, Route::Rustup);
            assert_eq!(told, [format!("packs are compiled by rustc 1.95.0 with rustup's target {TARGET}")]);
        }
        assert_eq!(machine.changes(), Vec::<String>::new());
    }

    #[test]
    fn installed_packages_come_before_any_server() {
        let machine = Machine::new();
        machine.packages(BOTH);
        machine.debian_files("1.96.0");
        rustup_that_adds(&machine);
        for choice in [ANY, DEBIAN] {
            let (found, told) = machine.find(choice);
            let found = found.unwrap();
            assert_eq!((found.route, found.rustc), (Route::Debian, machine.at("root/usr/bin/rustc")));
            assert_eq!(told, ["packs are compiled by Debian's rustc 1.96.0 with the library's sources"]);
        }
        assert_eq!(machine.changes(), Vec::<String>::new());
    }

    #[test]
    fn rustup_is_asked_before_apt() {
        let machine = Machine::new();
        rustup_that_adds(&machine);
        apt_that_installs(&machine);
        let (found, told) = machine.find(ANY);
        assert_eq!(found.unwrap().route, Route::Rustup);
        assert_eq!(told[0], format!("installing the target {TARGET}: running `rustup target add {TARGET}`"));
        assert_eq!(machine.changes(), [format!("rustup target add {TARGET}")]);
    }

    #[test]
    fn apt_follows_a_rustup_that_fails_and_the_reason_is_told() {
        let machine = Machine::new();
        rustup_that_fails(&machine);
        apt_that_installs(&machine);
        let (found, told) = machine.find(ANY);
        assert_eq!(found.unwrap().route, Route::Debian);
        let add = format!("rustup target add {TARGET}");
        let install =
            format!("apt-get install -y --no-install-recommends --no-remove {APT_ARGS} rustc-web rust-web-src");
        let expected = [
            format!("installing the target {TARGET}: running `{add}`"),
            "error: no route to host".into(),
            format!("not by rustup: `{add}` failed: error: no route to host"),
            format!("fetching Debian's package lists: running `apt-get update {APT_ARGS}`"),
            format!(
                "installing Debian's packages, since the packages rustc-web and rust-web-src are not installed: \
                 running `{install}`"
            ),
            "packs are compiled by Debian's rustc 1.96.0 with the library's sources".into(),
        ];
        assert_eq!(told, expected);
        assert_eq!(machine.changes(), [add, format!("apt-get update {APT_ARGS}"), install]);

        let (found, told) = machine.find(ANY);
        assert_eq!((found.unwrap().route, told.len()), (Route::Debian, 1), "a second run changes nothing");
    }

    #[test]
    fn a_forced_route_takes_no_other() {
        let machine = Machine::new();
        machine.packages(BOTH);
        machine.debian_files("1.96.0");
        rustup_that_fails(&machine);
        let (found, _) = machine.find(RUSTUP);
        let error = found.unwrap_err();
        let add = format!("rustup target add {TARGET}");
        assert_eq!(
            error.to_string(),
            format!("packs cannot be compiled by rustup: `{add}` failed: error: no route to host")
        );
        assert_eq!(error.hint(), format!("run `{add}` where rustup's server can be reached"));
        drop(machine);

        let machine = Machine::new();
        machine.target_files();
        let (found, _) = machine.find(DEBIAN);
        let error = found.unwrap_err();
        assert_eq!(
            error.to_string(),
            "packs cannot be compiled by Debian's packages: this is no Debian (there is no `dpkg-query`), and there is no \
             working `apt-get` in PATH"
        );
        assert_eq!(
            error.hint(),
            "on Debian, run `apt-get install --no-install-recommends rustc-web rust-web-src` as root"
        );
    }

    #[test]
    fn with_neither_the_error_names_both_and_what_to_do() {
        let machine = Machine::new();
        let (found, told) = machine.find(ANY);
        let error = found.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "nothing here can compile packs for {TARGET}: by rustup: there is no working `rustup` in PATH; by Debian's \
                 packages: this is no Debian (there is no `dpkg-query`), and there is no working `apt-get` in PATH"
            )
        );
        assert_eq!(
            error.hint(),
            format!(
                "run `rustup target add {TARGET}` where rustup's server can be reached, or on Debian `apt-get install \
                 --no-install-recommends rustc-web rust-web-src` as root"
            )
        );
        assert_eq!(told, ["not by rustup: there is no working `rustup` in PATH"]);
    }

    #[test]
    fn packages_that_do_not_fit_are_not_used() {
        let one = "rustc-web installed 1.96.0+dfsg1-1";
        let older = "rustc-web installed 1.96.0+dfsg1-1\nrust-web-src installed 1.85.0+dfsg3-1";
        let removed = "rustc-web installed 1.96.0+dfsg1-1\nrust-web-src config-files 1.96.0+dfsg1-1";
        let cases = [
            (one, "1.96.0", "the package rust-web-src is not installed"),
            (removed, "1.96.0", "the package rust-web-src is not installed"),
            (older, "1.96.0", "rustc-web is 1.96.0+dfsg1-1, but rust-web-src is 1.85.0+dfsg3-1"),
            (BOTH, "1.9", "not that of rustc-web 1.96.0+dfsg1-1"),
            (BOTH, "1.95.0", "not that of rustc-web 1.96.0+dfsg1-1"),
        ];
        for (packages, release, why) in cases {
            let machine = Machine::new();
            machine.packages(packages);
            machine.debian_files(release);
            let found = debian::installed(&machine.search(ANY), &machine.rust());
            assert!(found.as_ref().is_err_and(|reason| reason.ends_with(why)), "{found:?} for {why}");
        }
    }

    #[test]
    fn without_root_sudo_is_used_when_it_asks_nothing() {
        let machine = Machine::new();
        apt_that_installs(&machine);
        machine.program("id", "echo 1000");
        let (found, _) = machine.find(DEBIAN);
        let reason = "installing them needs root, and `sudo -n` does not give it";
        assert!(found.as_ref().is_err_and(|error| error.to_string().ends_with(reason)), "{found:?}");
        assert_eq!(machine.changes(), Vec::<String>::new());

        machine.program("sudo", "[ \"$2\" = apt-get ] || exit 0\nshift 2\n$TOP/bin/apt-get \"$@\"");
        let (found, _) = machine.find(DEBIAN);
        assert_eq!(found.unwrap().route, Route::Debian);
        assert_eq!(machine.changes()[0], format!("sudo -n apt-get update {APT_ARGS}"));
    }

    #[test]
    fn a_rust_that_is_missing_or_not_rustups_is_told() {
        let machine = Machine::new();
        std::fs::remove_file(machine.at("bin/rustc")).unwrap();
        let (found, _) = machine.find(ANY);
        assert_eq!(found.unwrap_err().to_string(), "`rustc` was not found in PATH");
        drop(machine);

        let machine = Machine::new();
        std::fs::remove_dir_all(machine.at("sysroot")).unwrap();
        let (found, _) = machine.find(ANY);
        let error = found.unwrap_err();
        let sysroot = machine.at("sysroot");
        assert_eq!(error.to_string(), format!("the Rust at {} has no {LINKER}", sysroot.display()));
        assert_eq!(error.hint(), "install Rust from https://rustup.rs and put ~/.cargo/bin first in PATH");
    }

    #[test]
    fn a_missing_folder_does_not_look_like_a_missing_program() {
        let machine = Machine::new();
        machine.target_files();
        let mut search = machine.search(ANY);
        search.dir = machine.at("nowhere");
        assert_eq!(search.run(&mut |_| ()).unwrap().route, Route::Rustup);
    }

    #[test]
    fn choices_are_read() {
        assert_eq!("".parse::<Choice>().unwrap(), ANY);
        assert_eq!("rustup".parse::<Choice>().unwrap(), RUSTUP);
        assert_eq!("debian".parse::<Choice>().unwrap(), DEBIAN);
        let error = "Debian".parse::<Choice>().unwrap_err();
        assert_eq!(error.to_string(), "`Debian` is not a way to compile packs");
        assert_eq!(error.hint(), "write `rustup` or `debian`, or leave it out to take whichever works");
    }
}
