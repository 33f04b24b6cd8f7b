//! A make-believe machine for tests: programs are shell scripts in a PATH of their own, so that no test can reach the real
//! rustup, apt-get or sudo. The scripts log how they were called.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tempfile::TempDir;

use crate::{
    Choice, LINKER, Search, Step, TARGET,
    find::{Rust, Version},
};

const HOST: &str = "x86_64-unknown-linux-gnu";

/// Held by every test that starts programs. A program that another thread starts meanwhile holds the scripts that are being
/// written open for a moment, and the kernel runs no script that is open for writing.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Machine {
    dir: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Machine {
    /// A machine with a rustc of rustup's kind, and nothing else.
    pub(crate) fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap(), _alone: alone() };
        for folder in ["bin", "root"] {
            fs::create_dir(machine.at(folder)).unwrap();
        }
        let sysroot = machine.at("sysroot");
        machine.file(&format!("sysroot/lib/rustlib/{HOST}/bin/{LINKER}"));
        machine.program("rustc", &rustc_script("1.95.0", &sysroot.display().to_string()));
        machine
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Makes an empty file and the folders above it.
    pub(crate) fn file(&self, path: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    /// Puts a program into PATH: a shell script that may use `$TOP`, this machine's folder.
    pub(crate) fn program(&self, name: &str, script: &str) {
        self.script(&format!("bin/{name}"), name, script);
    }

    fn script(&self, path: &str, name: &str, script: &str) {
        let top = self.dir.path().display();
        let text = format!("#!/bin/sh\nTOP='{top}'\necho \"{name} $*\" >> \"$TOP/log\"\n{script}\n");
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The installed packages, as dpkg-query lists them.
    pub(crate) fn packages(&self, lines: &str) {
        self.program("dpkg-query", &format!("echo '{lines}'"));
    }

    /// The files that both packages bring, with a compiler of that version.
    pub(crate) fn debian_files(&self, release: &str) {
        self.file("root/usr/lib/rustlib/src/rust/library/std/Cargo.toml");
        self.script("root/usr/bin/rustc", "/usr/bin/rustc", &rustc_script(release, "/usr"));
    }

    /// The files that rustup's target brings.
    pub(crate) fn target_files(&self) {
        self.file(&format!("sysroot/lib/rustlib/{TARGET}/lib/libstd-0123.rlib"));
    }

    pub(crate) fn search(&self, choice: Choice) -> Search {
        let mut search = Search::new(choice, self.dir.path());
        search.path = Some(self.at("bin").into());
        search.root = self.at("root");
        search
    }

    /// What the search finds, and what it told, a line each.
    pub(crate) fn find(&self, choice: Choice) -> (Result<crate::Toolchain, crate::Error>, Vec<String>) {
        let mut told = Vec::new();
        let found = self.search(choice).run(&mut |step: Step| told.push(step.to_string()));
        (found, told)
    }

    pub(crate) fn rust(&self) -> Rust {
        let version = Version { release: "1.95.0".into(), commit: "c0ffee".into(), host: HOST.into() };
        let sysroot = self.at("sysroot");
        Rust { tools: sysroot.join("lib"), sysroot, version, cargo: "cargo".into() }
    }

    /// The calls of programs that change something, in order.
    pub(crate) fn changes(&self) -> Vec<String> {
        let log = fs::read_to_string(self.at("log")).unwrap_or_default();
        let changing = |line: &&str| line.contains(" add ") || line.contains("update") || line.contains("install ");
        log.lines().filter(changing).map(str::to_owned).collect()
    }
}

fn rustc_script(release: &str, sysroot: &str) -> String {
    format!(
        "[ \"$1\" = --print ] && echo '{sysroot}' && exit 0\n\
         echo 'rustc {release}'\necho 'commit-hash: c0ffee'\necho 'host: {HOST}'\necho 'release: {release}'"
    )
}
