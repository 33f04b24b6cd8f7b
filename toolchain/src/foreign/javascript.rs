//! JavaScript, by componentize-qjs: QuickJS with the pack's modules already evaluated.

use std::{path::Path, process::Command};

use crate::{Error, Step, tools::Tool};

use super::{ForeignOptions, WIT, WORLD, compile, copy, read, write};

/// The module that is compiled: it has the pack's tools by importing it.
const MAIN: &str = "import \"./pack.js\";\nexport { tools } from \"./rig-pack.js\";\n";

pub(super) fn build(
    dir: &Path,
    work: &Path,
    options: &ForeignOptions,
    on_step: &mut dyn FnMut(Step),
) -> Result<Vec<u8>, Error> {
    let folder = Tool::ComponentizeQjs.folder(&options.tools, options.offline, on_step)?;
    let modules = work.join("modules");
    // A copy, since modules are looked up below one folder, and the helper is not the pack's.
    copy(dir, &modules)?;
    let helper = include_str!("../../../sdk/js/rig-pack.js");
    let host = include_str!("../../../sdk/js/rig-host.js");
    write(&modules, &[("rig-main.js", MAIN), ("rig-pack.js", helper), ("rig-host.js", host)])?;
    write(work, &[("wit/pack.wit", WIT)])?;
    on_step(Step::Componentizing(dir.to_owned()));
    let mut command = Command::new("node");
    command.arg(folder.join("node_modules/componentize-qjs/cli.mjs"));
    command.arg("--wit").arg(work.join("wit")).args(["--world", WORLD, "--sync", "--js"]);
    command.arg(modules.join("rig-main.js")).arg("--module-root").arg(&modules);
    command.arg("--output").arg(work.join("pack.wasm"));
    command.env_remove("NODE_OPTIONS").current_dir(work);
    compile(&mut command, dir, on_step)?;
    read(&work.join("pack.wasm"))
}
