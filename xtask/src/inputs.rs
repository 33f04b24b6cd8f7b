//! The hash over everything that a built pack depends on, to tell whether it has to be built again.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rig_toolchain::Toolchain;
use sha2::{Digest, Sha256};

use crate::{checkout::Checkout, fail::Fail};

/// What every pack depends on besides its own folder. A path that does not exist counts as absent. Of the host only what builds
/// packs is here: each change elsewhere in it would otherwise build every pack again.
const SHARED: [&str; 11] = [
    "Cargo.toml",
    "Cargo.lock",
    "wit",
    "sdk/Cargo.toml",
    "sdk/src",
    "sdk/macros",
    "specs/Cargo.toml",
    "specs/src",
    "toolchain/src",
    "host/src/build.rs",
    "host/src/build",
];

/// What packs in other languages than Rust depend on besides.
const FOREIGN: [&str; 4] = ["toolchain/tools", "sdk/python", "sdk/js", "sdk/c"];

/// The hash, in hex.
pub(crate) fn hash(checkout: &Checkout, pack: &Path, toolchain: &Toolchain) -> Result<String, Fail> {
    let mut hash = Sha256::new();
    hash.update(format!("{toolchain} {}", toolchain.commit));
    let foreign = if pack.join("Cargo.toml").is_file() { &[][..] } else { &FOREIGN };
    for path in SHARED.iter().chain(foreign).map(|path| checkout.root().join(path)).chain([pack.to_owned()]) {
        let mut files = Vec::new();
        collect(&path, &mut files).map_err(Fail::io("read", &path))?;
        files.sort();
        for file in files {
            let bytes = fs::read(&file).map_err(Fail::io("read", &file))?;
            let name = file.strip_prefix(checkout.root()).unwrap_or(&file).to_string_lossy();
            // Lengths, so that no two lists of files give the same bytes.
            hash.update(format!("\n{} {name} {} ", name.len(), bytes.len()));
            hash.update(&bytes);
        }
    }
    Ok(hex::encode(hash.finalize()))
}

/// The files below a path, without hidden ones and what cargo built.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
    } else if path.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !name.starts_with('.') && name != "target" {
                collect(&entry.path(), files)?;
            }
        }
    }
    Ok(())
}
