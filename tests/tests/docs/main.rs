//! The documentation is true: its commands print what it says, its code compiles, its examples are valid, its links lead somewhere,
//! and its reference pages leave nothing out. `UPDATE_DOCS=1` writes what the commands print into the pages; read the difference.
//! `UPDATE_DOCS=all` also renews what differs from run to run: sizes, digests, times.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this program is tests")]

mod commands;
mod pages;
mod reference;

/// The packs that the pages show, compiled and tested as a pack's author would natively.
#[allow(unreachable_pub, clippy::needless_pass_by_value, reason = "the code of a crate of its own")]
mod packs {
    mod chat;
    pub(super) mod stars;
    mod words;
}

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Held while a page is read and perhaps written, so that no test writes over what another has written.
static PAGES: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    PAGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails when a page is not what it should be, or writes it when that is asked for.
#[track_caller]
fn hold(path: &str, found: &str, expected: &str, what: &str) {
    if found == expected {
        return;
    }
    if env::var_os("UPDATE_DOCS").is_some() {
        // By rename: other tests read the page meanwhile.
        let new = root().join(format!("{path}.new"));
        let written = fs::write(&new, expected).and_then(|()| fs::rename(&new, root().join(path)));
        return written.unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    panic!("{path} is not true any more: {what}\n\nRun this test with UPDATE_DOCS=1 and read the difference.");
}
