//! The second route: Debian's Rust for browsers' builds (`rustc-web`, in the security suite) with the sources of its standard
//! library. Rustup's cargo drives it; the library is compiled from the sources once for each target folder.

use std::{process::Command, time::Duration};

use crate::{
    Route, Search, Step, Toolchain,
    find::{Rust, Version},
    process::{self, Stopped},
};

/// The compiler and the sources of the library, which must be of one version.
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// What a person would type.
pub(crate) const BY_HAND: &str = "apt-get install --no-install-recommends rustc-web rust-web-src";

/// How long fetching the package lists may take.
const UPDATE_LIMIT: Duration = Duration::from_mins(3);

/// Bounds for apt itself. The installation is not killed from outside, because that would leave packages half configured.
const APT_OPTIONS: [&str; 6] = [
    "-o",
    "Acquire::Retries=2",
    "-o",
    "Acquire::http::Timeout=30",
    // Another apt may be at work, as after the start of a fresh machine.
    "-o",
    "DPkg::Lock::Timeout=120",
];

/// The toolchain, when both packages are there and fit; else says in a sentence what is missing.
pub(crate) fn installed(search: &Search, rust: &Rust) -> Result<Toolchain, String> {
    let versions = package_versions(search)?;
    if versions[0] != versions[1] {
        return Err(format!("rustc-web is {}, but rust-web-src is {}", versions[0], versions[1]));
    }
    let rustc = search.root.join("usr/bin/rustc");
    let version = Version::of(&mut search.command(&rustc), "/usr/bin/rustc").map_err(|error| error.to_string())?;
    // The version of a package starts with that of the program: `1.96.0+dfsg1-1~deb12u2`.
    if !versions[0].strip_prefix(&version.release).is_some_and(|rest| rest.starts_with(['+', '-', '~'])) {
        return Err(format!("{} is rustc {}, not that of rustc-web {}", rustc.display(), version.release, versions[0]));
    }
    let sources = search.root.join("usr/lib/rustlib/src/rust");
    if !sources.join("library/std/Cargo.toml").is_file() {
        return Err(format!("{} has no sources of the standard library", sources.display()));
    }
    Ok(rust.toolchain(Route::Debian, &version, rustc, sources))
}

/// Installs both packages; else says in a sentence what stopped it. `missing` is why they are needed.
pub(crate) fn install(
    search: &Search,
    rust: &Rust,
    missing: &str,
    on_step: &mut dyn FnMut(Step),
) -> Result<Toolchain, String> {
    let as_root = apt_get(search).map_err(|reason| format!("{missing}, and {reason}"))?;
    let apt_get = |words: &[&str]| {
        let mut command = search.command(as_root[0]);
        command.args(&as_root[1..]).args(words).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let mut update = apt_get(&["update"]);
    update.args(APT_OPTIONS);
    // Old lists may still name packages that can be fetched, so a failure here is told and is not the end.
    if let Err(reason) = announced(&mut update, "fetching Debian's package lists", Some(UPDATE_LIMIT), on_step) {
        on_step(Step::Line(reason));
    }
    // `--no-remove`: rustc-web conflicts with Debian's own rustup and rustc, which are not ours to remove.
    let mut install = apt_get(&["install", "-y", "--no-install-recommends", "--no-remove"]);
    install.args(APT_OPTIONS).args(PACKAGES);
    announced(&mut install, &format!("installing Debian's packages, since {missing}"), None, on_step)?;
    installed(search, rust).map_err(|still| format!("after their installation {still}"))
}

/// The words before `update` and `install`, for a user who may install packages.
fn apt_get(search: &Search) -> Result<&'static [&'static str], String> {
    if ask(search.command("apt-get").arg("--version")).is_none() {
        return Err("there is no working `apt-get` in PATH".into());
    }
    if ask(search.command("id").arg("-u")).is_some_and(|uid| uid.trim() == "0") {
        return Ok(&["apt-get"]);
    }
    if ask(search.command("sudo").args(["-n", "true"])).is_some() {
        return Ok(&["sudo", "-n", "apt-get"]);
    }
    Err("installing them needs root, and `sudo -n` does not give it".into())
}

/// The versions of both packages, in the order of [`PACKAGES`].
fn package_versions(search: &Search) -> Result<[String; 2], String> {
    let mut command = search.command("dpkg-query");
    command.args(["-W", "-f=${Package} ${db:Status-Status} ${Version}\\n"]).args(PACKAGES);
    // It fails when one of the packages is unknown, and then still lists the other.
    let listed = match process::ask(&mut command) {
        Ok(ended) => ended.stdout,
        Err(Stopped::Missing) => return Err("this is no Debian (there is no `dpkg-query`)".into()),
        Err(stopped) => return Err(format!("`dpkg-query` does not run: {stopped:?}")),
    };
    let version = |package: &str| {
        listed.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [name, "installed", version] if name == package => Some(version.to_owned()),
            _ => None,
        })
    };
    match PACKAGES.map(version) {
        [Some(compiler), Some(sources)] => Ok([compiler, sources]),
        [None, Some(_)] => Err("the package rustc-web is not installed".into()),
        [Some(_), None] => Err("the package rust-web-src is not installed".into()),
        [None, None] => Err("the packages rustc-web and rust-web-src are not installed".into()),
    }
}

fn announced(
    command: &mut Command,
    why: &str,
    limit: Option<Duration>,
    on_step: &mut dyn FnMut(Step),
) -> Result<(), String> {
    let shown = process::shown(command);
    on_step(Step::Running { command: shown.clone(), why: why.to_owned() });
    match process::run(command, limit, &mut |_, line| on_step(Step::Line(line.to_owned()))) {
        Ok(ended) if ended.status.success() => Ok(()),
        Ok(ended) => Err(format!("`{shown}` failed: {}", ended.last_words())),
        Err(Stopped::TooLong(limit)) => Err(format!("`{shown}` did not end within {} s", limit.as_secs())),
        Err(Stopped::Missing) => Err(format!("`{shown}` cannot be run: no such program")),
        Err(Stopped::Io(error)) => Err(format!("`{shown}` cannot be run: {error}")),
    }
}

/// The output of a question that was answered well.
fn ask(command: &mut Command) -> Option<String> {
    process::ask(command).ok().filter(|ended| ended.status.success()).map(|ended| ended.stdout)
}
