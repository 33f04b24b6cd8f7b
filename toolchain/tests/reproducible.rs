//! Compiles a real crate with the toolchain of this machine. Slow where the standard library has to be compiled, so it is left
//! out by default: `cargo test -p rig-toolchain -- --ignored`.

#![allow(clippy::unwrap_used, reason = "a test of its own crate: a failed step ends it")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use rig_toolchain::{BuildOptions, Choice, build_pack, find_or_install};

const MANIFEST: &str =
    "[package]\nname = \"sample\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[profile.release]\nstrip = true\n";

/// Generated code lies in the target folder, whose name its panics bear.
const BUILD_SCRIPT: &str = r#"
fn main() {
    let file = std::path::Path::new(&std::env::var_os("OUT_DIR").unwrap()).join("generated.rs");
    std::fs::write(file, "fn middle(many: &[usize]) -> usize { many[many.len() / 2] }").unwrap();
}
"#;

const SOURCE: &str = r#"
include!(concat!(env!("OUT_DIR"), "/generated.rs"));

#[unsafe(no_mangle)]
pub extern "C" fn sum(count: usize) -> usize {
    let many: Vec<usize> = (0..count).collect();
    many.iter().sum::<usize>() + middle(&many)
}
"#;

/// Beside the target folder of this test, where it is found again.
fn library() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("library")
}

fn build(dir: &Path) -> Vec<u8> {
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::write(dir.join("Cargo.toml"), MANIFEST).unwrap();
    fs::write(dir.join("build.rs"), BUILD_SCRIPT).unwrap();
    fs::write(dir.join("src/lib.rs"), SOURCE).unwrap();
    let choice = std::env::var("RIG_WASM_TOOLCHAIN").unwrap_or_default().parse::<Choice>().unwrap();
    let toolchain = find_or_install(choice, dir, &mut |_| ()).unwrap();
    let options =
        BuildOptions { target_dir: Some(dir.join("target")), library: Some(library()), ..BuildOptions::default() };
    let built = build_pack(&toolchain, dir, &options, &mut |_| ());
    fs::read(built.unwrap()).unwrap()
}

#[test]
#[ignore = "compiles the standard library where rustup's target is missing"]
fn a_pack_is_the_same_bytes_from_different_folders() {
    let dir = tempfile::tempdir().unwrap();
    let one = build(&dir.path().join("one"));
    let other = build(&dir.path().join("another/deeper/folder"));
    assert_eq!(&one[..8], b"\0asm\x0d\0\x01\0", "it is a component, not a core module");
    assert!(one == other, "{} and {} bytes that differ", one.len(), other.len());
    let contains = |text: &str| one.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!contains(dir.path().to_str().unwrap()), "it names a folder of this machine");
    assert!(contains("/generated.rs"), "the name of the generated file is in it, so that a folder could have been");
}
