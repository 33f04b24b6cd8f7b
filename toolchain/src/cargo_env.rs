//! The environment of the cargo that compiles a pack. It may run inside another cargo (`cargo xtask`, `cargo run -- build`),
//! whose variables would change its flags, and with them the bytes of the pack or what has to be compiled again.

use std::{ffi::OsString, process::Command};

/// Variables of cargo that say where things come from, not how they are compiled.
const KEPT: [&str; 7] = [
    "CARGO_HOME",
    "CARGO_NET_",
    "CARGO_HTTP_",
    "CARGO_REGISTRY_",
    "CARGO_REGISTRIES_",
    "CARGO_SOURCE_",
    "CARGO_BUILD_JOBS",
];

/// Takes every variable away that changes how cargo compiles.
pub(crate) fn clean(command: &mut Command) {
    for name in disturbing(std::env::vars_os().map(|(name, _)| name)) {
        command.env_remove(name);
    }
}

fn disturbing(names: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    names.filter(|name| {
        let Some(name) = name.to_str() else { return false };
        if name.starts_with("CARGO_") || name == "CARGO" {
            return !KEPT.iter().any(|kept| if kept.ends_with('_') { name.starts_with(kept) } else { name == *kept });
        }
        name.starts_with("RUSTC") || matches!(name, "RUSTFLAGS" | "RUSTDOC" | "RUSTDOCFLAGS" | "OUT_DIR")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_stay_and_flags_go() {
        let gone = "CARGO CARGO_MANIFEST_DIR CARGO_PKG_NAME CARGO_TARGET_DIR CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET \
                    CARGO_PROFILE_RELEASE_LTO CARGO_INCREMENTAL RUSTC RUSTC_WRAPPER RUSTC_BOOTSTRAP RUSTFLAGS OUT_DIR";
        let kept = "CARGO_HOME CARGO_NET_OFFLINE CARGO_HTTP_CAINFO CARGO_REGISTRIES_OURS_INDEX CARGO_BUILD_JOBS PATH HOME \
                    RUSTUP_TOOLCHAIN RUST_BACKTRACE";
        let names = gone.split(' ').chain(kept.split(' ')).map(OsString::from);
        let found: Vec<_> = disturbing(names).collect();
        assert_eq!(found, gone.split(' ').map(OsString::from).collect::<Vec<_>>());
    }
}
