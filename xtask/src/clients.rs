//! Installs the outside programs that the tests and the bench run against rig: the official MCP clients, the conformance suite,
//! schemathesis, servers of Debian's, and of the services that the packs talk to the official SDKs and the published descriptions; and
//! fetches the packages that the tests' own packs for Python and Node need. What is installed is pinned with hashes in `tests/clients/`;
//! nothing is installed outside the target folder.

mod archives;
mod debian;
mod descriptions;

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sha2::{Digest, Sha256};

use crate::{checkout::Checkout, fail::Fail, run, test::Outcome};

/// Where the pins and the programs of our own stand.
const SOURCES: &str = "tests/clients";

/// One group of outside programs.
struct Group {
    /// The folder in [`SOURCES`] and in the target folder.
    name: &'static str,
    /// The files that pin everything. Copied to where the installation is.
    pins: &'static [&'static str],
    /// Whether all is installed in the group's folder.
    is_whole: fn(&Path) -> bool,
    install: fn(&Path) -> Result<(), Fail>,
}

const GROUPS: [Group; 7] = [
    Group {
        name: "node",
        pins: &["package.json", "package-lock.json"],
        is_whole: |dir| runs(&dir.join("node_modules/.bin/node")),
        install: install_node,
    },
    Group { name: "python", pins: &["requirements.txt"], is_whole: has_python, install: install_python },
    // Apart from `python`: the SDKs hold back packages that the others need newer.
    Group { name: "sdks", pins: &["requirements.txt"], is_whole: has_python, install: install_python },
    // Apart too, and small: the reference client of signed indexes.
    Group { name: "tuf", pins: &["requirements.txt"], is_whole: has_python, install: install_python },
    // And a client of OCI registries.
    Group { name: "oras", pins: &["requirements.txt"], is_whole: has_python, install: install_python },
    Group {
        name: "descriptions",
        pins: &[descriptions::PINS],
        is_whole: descriptions::are_there,
        install: descriptions::install,
    },
    Group {
        name: "sdk-packs",
        pins: &[archives::WHEELS, archives::LOCK],
        is_whole: archives::are_there,
        install: archives::install,
    },
];

/// Where the outside programs are, for those who run them.
pub(crate) fn folder(checkout: &Checkout) -> PathBuf {
    checkout.target().join("clients")
}

/// Installs what is missing or no longer what is pinned.
pub(crate) fn install(checkout: &Checkout) -> Result<(), Fail> {
    GROUPS.iter().try_for_each(|group| group.install(checkout))?;
    debian::provide(&folder(checkout))
}

/// As [`install`] for a machine that may lack npm, Python or a network: then the reason is the outcome, unless
/// `RIG_TEST_CLIENTS=required` makes it a failure.
pub(crate) fn check(checkout: &Checkout) -> Result<Outcome, Fail> {
    match install(checkout) {
        Ok(()) => Ok(Outcome::Passed),
        Err(fail) if is_required() => Err(fail.hint("RIG_TEST_CLIENTS=required forbids going on without them")),
        Err(fail) => {
            println!("{fail}\nThe tests with outside programs are LEFT OUT.");
            Ok(Outcome::Skipped(format!("{}; the tests with outside programs are left out", fail.message())))
        }
    }
}

/// Whether nothing may be left out.
pub(crate) fn is_required() -> bool {
    env::var_os("RIG_TEST_CLIENTS").is_some_and(|value| value == "required")
}

impl Group {
    fn install(&self, checkout: &Checkout) -> Result<(), Fail> {
        let sources = checkout.root().join(SOURCES).join(self.name);
        let dir = folder(checkout).join(self.name);
        fs::create_dir_all(&dir).map_err(Fail::io("make", &dir))?;
        let pins = self.pins_hash(&sources)?;
        // Written last and removed first: a stamp stands for a whole installation.
        let stamp = dir.join(".stamp");
        if fs::read_to_string(&stamp).is_ok_and(|text| text == pins) && (self.is_whole)(&dir) {
            println!("{} is as pinned", dir.display());
        } else {
            let _ = fs::remove_file(&stamp);
            for pin in self.pins {
                let (from, to) = (sources.join(pin), dir.join(pin));
                fs::copy(&from, &to).map_err(Fail::io("copy", &from))?;
            }
            println!("installing what {} pins into {}", sources.display(), dir.display());
            (self.install)(&dir)?;
            if !(self.is_whole)(&dir) {
                return Err(Fail::new(format!("what is in {} does not run on this machine", dir.display())));
            }
            fs::write(&stamp, pins).map_err(Fail::io("write", &stamp))?;
        }
        link_programs(&sources, &dir)
    }

    fn pins_hash(&self, sources: &Path) -> Result<String, Fail> {
        let mut hash = Sha256::new();
        for pin in self.pins {
            let path = sources.join(pin);
            let bytes = fs::read(&path).map_err(Fail::io("read", &path))?;
            hash.update(format!("{pin} {} ", bytes.len()));
            hash.update(bytes);
        }
        Ok(hex::encode(hash.finalize()))
    }
}

/// Node looks for packages beside the program, so ours stand there as links.
fn link_programs(sources: &Path, dir: &Path) -> Result<(), Fail> {
    let entries = fs::read_dir(sources).map_err(Fail::io("read", sources))?;
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let is_program = path.extension().is_some_and(|ending| ending == "mjs");
        if let Some(name) = path.file_name().filter(|_| is_program) {
            let link = dir.join(name);
            if fs::read_link(&link).is_ok_and(|target| target == path) {
                continue;
            }
            let _ = fs::remove_file(&link);
            symlink(&path, &link).map_err(Fail::io("link", &link))?;
        }
    }
    Ok(())
}

fn has_python(dir: &Path) -> bool {
    runs(&dir.join("venv/bin/python"))
}

fn runs(program: &Path) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn install_node(dir: &Path) -> Result<(), Fail> {
    let mut npm = Command::new("npm");
    // Scripts of packages are not needed, and not wanted on the machine that runs the tests. npm itself runs on an older Node than
    // some packages ask for; they are run by the Node among them.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(dir);
    run::ok(&mut npm).map_err(|fail| fail.hint("install Node with npm; the registry that npm uses must be in reach"))
}

fn install_python(dir: &Path) -> Result<(), Fail> {
    let venv = dir.join("venv");
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&venv);
    run::ok(&mut make).map_err(|fail| fail.hint("install Python 3.10 or newer with its venv module"))?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"]);
    pip.args(["--only-binary", ":all:", "-r", "requirements.txt"]).current_dir(dir);
    run::ok(&mut pip).map_err(|fail| fail.hint("the package index that pip uses must be in reach"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Installs by writing down that it was asked to, and a program that runs.
    #[allow(clippy::unnecessary_wraps, reason = "as the installers of the groups have it")]
    fn note(dir: &Path) -> Result<(), Fail> {
        let log = dir.join("log");
        let runs = fs::read_to_string(&log).unwrap_or_default();
        fs::write(&log, runs + "run\n").unwrap();
        let program = dir.join("program");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Ok(())
    }

    fn is_whole(dir: &Path) -> bool {
        runs(&dir.join("program"))
    }

    #[test]
    fn what_is_pinned_is_installed_once_and_again_when_the_pins_change() {
        let _alone = run::alone();
        let scratch = tempfile::tempdir().unwrap();
        let sources = scratch.path().join(SOURCES).join("some");
        fs::create_dir_all(&sources).unwrap();
        fs::write(sources.join("pins"), "one").unwrap();
        fs::write(sources.join("client.mjs"), "// ours").unwrap();
        let checkout = Checkout::at(scratch.path().to_owned(), scratch.path().join("target"));
        let group = Group { name: "some", pins: &["pins"], is_whole, install: note };
        let dir = folder(&checkout).join("some");
        let installs = || {
            group.install(&checkout).unwrap();
            fs::read_to_string(dir.join("log")).unwrap().lines().count()
        };
        assert_eq!((installs(), installs()), (1, 1));
        assert_eq!(fs::read_to_string(dir.join("client.mjs")).unwrap(), "// ours");
        fs::write(sources.join("pins"), "two").unwrap();
        assert_eq!((installs(), installs()), (2, 2));
        assert_eq!(fs::read_to_string(dir.join("pins")).unwrap(), "two");
        fs::remove_file(dir.join("program")).unwrap();
        assert_eq!(installs(), 3, "what does not run is installed again");
    }

    #[test]
    fn an_installation_that_failed_leaves_no_stamp() {
        let _alone = run::alone();
        let scratch = tempfile::tempdir().unwrap();
        let sources = scratch.path().join(SOURCES).join("some");
        fs::create_dir_all(&sources).unwrap();
        fs::write(sources.join("pins"), "one").unwrap();
        let checkout = Checkout::at(scratch.path().to_owned(), scratch.path().join("target"));
        let install = |install| Group { name: "some", pins: &["pins"], is_whole, install }.install(&checkout);
        install(note).unwrap();
        let stamp = folder(&checkout).join("some/.stamp");
        assert!(stamp.is_file());
        fs::write(sources.join("pins"), "two").unwrap();
        let error = install(|_| Err(Fail::new("no network"))).unwrap_err();
        assert_eq!((error.to_string().as_str(), stamp.exists()), ("error: no network", false));
    }

    /// Nobody's registry is written down, and everything is pinned by a hash.
    #[test]
    fn the_pins_name_no_registry() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(SOURCES);
        for group in ["node", "sdk-packs"] {
            let lock = fs::read_to_string(sources.join(group).join("package-lock.json")).unwrap();
            assert!(!lock.contains("\"resolved\""), "{group}");
        }
        for group in ["python", "sdks", "oras", "sdk-packs"] {
            let requirements = fs::read_to_string(sources.join(group).join("requirements.txt")).unwrap();
            assert!(!requirements.contains("://"));
            let pinned = requirements.lines().filter(|line| line.contains("==") && !line.trim_start().starts_with('#'));
            for line in pinned {
                assert!(line.ends_with('\\'), "{group}: no hash follows {line}");
            }
        }
    }
}
