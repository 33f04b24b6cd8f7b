//! nginx for the page on hosting an index: Debian's own package, unpacked and not installed. A machine that has nginx, or has no
//! `apt-get`, goes without; the test that wants it says so.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{fail::Fail, run};

/// Unpacks nginx into a folder, unless it is there or the machine has it.
pub(super) fn provide(dir: &Path) -> Result<(), Fail> {
    if Path::new("/usr/sbin/nginx").exists() || dir.join("usr/sbin/nginx").exists() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(Fail::io("make", dir))?;
    let mut download = Command::new("apt-get");
    download.args(["-qq", "download", "nginx"]).current_dir(dir).stdin(Stdio::null()).stderr(Stdio::null());
    if let Err(fail) = run::ok(&mut download) {
        println!("nginx cannot be had here ({}); the test of the page on hosting an index is left out", fail.message());
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
