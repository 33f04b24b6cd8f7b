//! Programs that are in no package index of Python or Node: Debian's own packages, unpacked and not installed. nginx for the page on
//! hosting an index, strace for killing rig at every system call. A machine that has a program, or has no `apt-get`, goes without
//! unpacking it; the test that wants it says so.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{fail::Fail, run};

/// A program and what it is for.
struct Program {
    name: &'static str,
    /// Where it is in its package.
    path: &'static str,
    /// The package, and those of libraries that a machine without it may lack.
    packages: &'static [&'static str],
    wanted_by: &'static str,
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "nginx",
        path: "usr/sbin/nginx",
        packages: &["nginx"],
        wanted_by: "the test of the page on hosting an index",
    },
    Program {
        name: "docker-registry",
        path: "usr/bin/docker-registry",
        packages: &["docker-registry"],
        wanted_by: "the tests with a real OCI registry",
    },
    Program {
        name: "strace",
        path: "usr/bin/strace",
        packages: &["strace", "libunwind8"],
        wanted_by: "the tests that kill rig at every system call",
    },
];

/// Unpacks each program into a folder of its name, unless it is there or the machine has it.
pub(super) fn provide(clients: &Path) -> Result<(), Fail> {
    PROGRAMS.iter().try_for_each(|program| program.provide(&clients.join(program.name)))
}

impl Program {
    fn provide(&self, dir: &Path) -> Result<(), Fail> {
        if self.is_on_this_machine() || dir.join(self.path).exists() {
            return Ok(());
        }
        fs::create_dir_all(dir).map_err(Fail::io("make", dir))?;
        let mut download = Command::new("apt-get");
        download.args(["-qq", "download"]).args(self.packages);
        download.current_dir(dir).stdin(Stdio::null()).stderr(Stdio::null());
        if let Err(fail) = run::ok(&mut download) {
            let Self { name, wanted_by, .. } = self;
            println!("{name} cannot be had here ({}); left out: {wanted_by}", fail.message());
            return Ok(());
        }
        let entries = fs::read_dir(dir).map_err(Fail::io("read", dir))?;
        for package in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            if package.extension().is_some_and(|ending| ending == "deb") {
                run::ok(Command::new("dpkg").arg("-x").arg(&package).arg(dir))?;
            }
        }
        Ok(())
    }

    fn is_on_this_machine(&self) -> bool {
        let path = env::var_os("PATH").unwrap_or_default();
        Path::new("/").join(self.path).exists()
            || env::split_paths(&path).any(|folder| folder.join(self.name).is_file())
    }
}
