//! C, by zig: clang, a linker and a small libc in one download. The linked module becomes a component here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::{Error, Step, tools::Tool};

use super::{ForeignOptions, WIT, WORLD, compile, read, write};

/// The helper, and the bindings that it is made of.
const HELPER: [(&str, &str); 7] = [
    ("rig_pack.h", include_str!("../../../sdk/c/rig_pack.h")),
    ("rig_pack.c", include_str!("../../../sdk/c/rig_pack.c")),
    ("rig_json.c", include_str!("../../../sdk/c/rig_json.c")),
    ("rig_http.c", include_str!("../../../sdk/c/rig_http.c")),
    ("rig_internal.h", include_str!("../../../sdk/c/rig_internal.h")),
    ("bindings.h", include_str!("../../../sdk/c/bindings.h")),
    ("bindings.c", include_str!("../../../sdk/c/bindings.c")),
];

/// A reactor has no `main`. Small first; nothing of this machine's folders in it.
const FLAGS: [&str; 14] = [
    "-target",
    "wasm32-wasi",
    "-mexec-model=reactor",
    "-std=c17",
    "-Oz",
    "-flto",
    "-g0",
    "-DNDEBUG",
    "-Wall",
    "-Wextra",
    // In the helper's tables, and in those of packs: what is not named is zero.
    "-Wno-missing-field-initializers",
    "-ffile-prefix-map=.=/pack",
    "-Wl,--no-entry",
    "-Wl,--strip-all",
];

pub(super) fn build(
    dir: &Path,
    work: &Path,
    options: &ForeignOptions,
    on_step: &mut dyn FnMut(Step),
) -> Result<Vec<u8>, Error> {
    let folder = Tool::Zig.folder(&options.tools, options.offline, on_step)?;
    write(&work.join("rig"), &HELPER)?;
    on_step(Step::Componentizing(dir.to_owned()));
    let mut command = Command::new(folder.join("bin/python"));
    command.args(["-m", "ziglang", "cc"]).args(FLAGS);
    // The helper's own sources by names that are the same everywhere, and those of the pack relative to its folder.
    command.arg("-I").arg(work.join("rig")).arg(format!("-ffile-prefix-map={}=/rig", work.display()));
    command.args(sources(dir));
    let helper = HELPER.iter().map(|(name, _)| work.join("rig").join(name));
    command.args(helper.filter(|path| path.extension().is_some_and(|extension| extension == "c")));
    command.arg("-o").arg(work.join("module.wasm"));
    command.env("ZIG_GLOBAL_CACHE_DIR", folder.join("cache")).env("ZIG_LOCAL_CACHE_DIR", work.join("cache"));
    command.current_dir(dir);
    compile(&mut command, dir, on_step)?;
    component(read(&work.join("module.wasm"))?)
}

/// The `.c` files of the pack, sorted, by their names in its folder.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let mut sources: Vec<PathBuf> = entries.map(|entry| PathBuf::from(entry.file_name())).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    sources
}

/// The component of a linked module. It imports those interfaces only that the module uses.
fn component(mut module: Vec<u8>) -> Result<Vec<u8>, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Encode(format!("{error:#}"));
    let mut resolve = Resolve::default();
    let package = resolve.push_str("pack.wit", WIT).map_err(|error| failed(&error))?;
    let world = resolve.select_world(&[package], Some(WORLD)).map_err(|error| failed(&error))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).map_err(|error| failed(&error))?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module).map_err(|error| failed(&error))?;
    encoder.encode().map_err(|error| failed(&error))
}
