//! Finds what `cargo xtask test` built: the binary and the packs.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The `rig` to test: `RIG_TEST_BIN`, else the one built beside the test.
#[must_use]
pub fn rig() -> PathBuf {
    let path = env::var_os("RIG_TEST_BIN").map_or_else(|| profile_dir().join("rig"), PathBuf::from);
    assert!(path.is_file(), "there is no rig at {}: run `cargo xtask test`", path.display());
    path
}

/// The built component of a pack: `<id>.wasm` or the only `<id>-<version>.wasm` in `RIG_TEST_PACKS`, else in `packs` of the
/// target folder.
pub(crate) fn pack(id: &str) -> PathBuf {
    let dir = packs();
    let plain = dir.join(format!("{id}.wasm"));
    if plain.is_file() {
        return plain;
    }
    let found = releases(&dir, id);
    assert_eq!(
        found.len(),
        1,
        "expected one component of `{id}` in {}, found {found:?}: run `cargo xtask test`",
        dir.display()
    );
    found.into_iter().next().expect("counted above")
}

/// Whether the pack was built: those in other languages are not, on a machine without what compiles them.
pub(crate) fn has_pack(id: &str) -> bool {
    let dir = packs();
    !releases(&dir, id).is_empty()
}

fn releases(dir: &Path, id: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path()).filter(|path| is_release_of(path, id)).collect()
}

fn is_release_of(path: &Path, id: &str) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_prefix(id)?.strip_prefix('-')?.strip_suffix(".wasm"))
        .is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

fn packs() -> PathBuf {
    env::var_os("RIG_TEST_PACKS")
        .map_or_else(|| profile_dir().parent().expect("a target folder").join("packs"), PathBuf::from)
}

/// Where `cargo xtask clients` installs the outside programs.
pub(crate) fn clients() -> PathBuf {
    profile_dir().parent().expect("a target folder").join("clients")
}

/// What `cargo xtask` keeps of what compiles packs.
pub(crate) fn toolchains() -> PathBuf {
    profile_dir().parent().expect("a target folder").join("toolchains")
}

/// `target/<profile>`: tests run from `target/<profile>/deps`.
fn profile_dir() -> PathBuf {
    let exe = env::current_exe().expect("the path of this test");
    exe.ancestors().nth(2).expect("a test runs from target/<profile>/deps").to_owned()
}
