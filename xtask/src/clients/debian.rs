//! Servers that Debian has: nginx for the page on hosting an index, and a registry for packs in registries. Debian's own packages,
//! unpacked and not installed. A machine that has one, or has no `apt-get`, goes without; the test that wants it says so.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{fail::Fail, run};

/// A package, which is also the name of its program and of its folder; where the program is; and what it is for.
const SERVERS: [(&str, &str, &str); 2] = [
    ("nginx", "usr/sbin/nginx", "the test of the page on hosting an index"),
    ("docker-registry", "usr/bin/docker-registry", "the tests with a real OCI registry"),
];

/// Unpacks each into a folder of its own, unless it is there or the machine has it.
pub(super) fn provide(folder: &Path) -> Result<(), Fail> {
    SERVERS.iter().try_for_each(|(package, program, purpose)| unpack(&folder.join(package), package, program, purpose))
}

fn unpack(dir: &Path, package: &str, program: &str, purpose: &str) -> Result<(), Fail> {
    if Path::new("/").join(program).exists() || dir.join(program).exists() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(Fail::io("make", dir))?;
    let mut download = Command::new("apt-get");
    download.args(["-qq", "download", package]).current_dir(dir).stdin(Stdio::null()).stderr(Stdio::null());
    if let Err(fail) = run::ok(&mut download) {
        println!("{package} cannot be had here ({}); LEFT OUT: {purpose}", fail.message());
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
