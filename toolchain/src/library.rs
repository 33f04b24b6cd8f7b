//! The standard library for the second route, which brings its sources only: compiled once for a machine and a toolchain, and then
//! used by every pack as if the toolchain had brought it.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{
    Error, Step, TARGET, Toolchain,
    pack::{self, FLAG_SEPARATOR},
    process,
};

/// Goes into the name of the folder: raised when anything here changes what is compiled.
const EDITION: u32 = 1;

/// A package that has nothing, so that only the library is compiled. Small first, like the packs that it goes into.
const MANIFEST: &str = "[package]\nname = \"nothing\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[lib]\npath = \"lib.rs\"\n\
                        [profile.release]\nopt-level = \"s\"\ncodegen-units = 1\npanic = \"abort\"\n";

/// The folder that `--sysroot` names, in `cache`. Compiles the library when it is not there.
pub(crate) fn sysroot(
    toolchain: &Toolchain,
    cache: &Path,
    offline: bool,
    on_step: &mut dyn FnMut(Step),
) -> Result<PathBuf, Error> {
    let sysroot = cache.join(name(toolchain)?);
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| Error::Write { path, source }
    };
    let is_there = || sysroot.join(libraries()).is_dir();
    if is_there() {
        return Ok(sysroot);
    }
    fs::create_dir_all(cache).map_err(unusable(cache))?;
    // Several builds may want it at once: one compiles, the others wait. The lock goes with the file's handle.
    let lock = cache.join("lock");
    let held = File::create(&lock).and_then(|file| file.lock().map(|()| file)).map_err(unusable(&lock))?;
    if is_there() {
        return Ok(sysroot);
    }
    let work = cache.join("work");
    let made = compile(toolchain, &work, offline, on_step).and_then(|compiled| {
        let folder = work.join("sysroot");
        collect(&compiled, &folder.join(libraries())).map_err(unusable(&folder))?;
        // A folder that appears whole, or not at all.
        fs::rename(&folder, &sysroot).map_err(unusable(&sysroot))
    });
    let _ = fs::remove_dir_all(&work);
    drop(held);
    made.map(|()| sysroot)
}

fn libraries() -> PathBuf {
    Path::new("lib/rustlib").join(TARGET).join("lib")
}

/// One name for each compiler: a library fits the very compiler that made it. Debian's says no commit, but its file changes.
fn name(toolchain: &Toolchain) -> Result<String, Error> {
    let program = fs::metadata(&toolchain.rustc)
        .map_err(|source| Error::Run { command: toolchain.rustc.display().to_string(), source })?;
    let mut name = format!("std-{}-{EDITION}", toolchain.release);
    let _ = write!(name, "-{:x}-{:x}", program.mtime(), program.size());
    Ok(name)
}

/// Compiles the library; answers the folder with its parts.
fn compile(toolchain: &Toolchain, work: &Path, offline: bool, on_step: &mut dyn FnMut(Step)) -> Result<PathBuf, Error> {
    let _ = fs::remove_dir_all(work);
    let written = fs::create_dir_all(work)
        .and_then(|()| fs::write(work.join("Cargo.toml"), MANIFEST))
        .and_then(|()| fs::write(work.join("lib.rs"), "#![no_std]\n"));
    written.map_err(|source| Error::Write { path: work.to_owned(), source })?;
    let mut command = pack::cargo(toolchain, work);
    command.args(["build", "--release", "--target", TARGET, "--color", "never"]);
    command.arg("--target-dir").arg(work.join("target"));
    if offline {
        command.arg("--offline");
    }
    // A released compiler takes `-Z` only with this variable.
    command.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1");
    // With bitcode, for link-time optimisation in the packs.
    let mut flags = vec!["-Cembed-bitcode=yes".to_owned()];
    flags.extend(pack::renamed(toolchain));
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join(FLAG_SEPARATOR));
    on_step(Step::Library);
    let ended = process::run(&mut command, None, &mut |_, line| on_step(Step::Line(line.to_owned())));
    let ended = ended.map_err(|stopped| pack::not_run(&command, stopped))?;
    if !ended.status.success() {
        return Err(Error::Compile { package: "std".into(), stderr: ended.stderr });
    }
    Ok(work.join("target").join(TARGET).join("release").join("deps"))
}

fn collect(compiled: &Path, libraries: &Path) -> io::Result<()> {
    fs::create_dir_all(libraries)?;
    for entry in fs::read_dir(compiled)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        let is_library = path.extension().is_some_and(|extension| extension == "rlib");
        if is_library && !name.to_string_lossy().starts_with("libnothing-") {
            fs::rename(&path, libraries.join(name))?;
        }
    }
    Ok(())
}
