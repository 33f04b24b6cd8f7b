//! The order of the routes, what is told, and what happens when none leads anywhere, on make-believe machines.

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
    let install = format!("apt-get install -y --no-install-recommends --no-remove {APT_ARGS} rustc-web rust-web-src");
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
    assert_eq!(error.hint(), "on Debian, run `apt-get install --no-install-recommends rustc-web rust-web-src` as root");
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
