//! Python, by componentize-py: the interpreter with the pack's modules already imported.

use std::{env, path::Path, process::Command};

use crate::{Error, Step, tools::Tool};

use super::{ForeignOptions, WIT, WORLD, compile, copy, read, write};

/// The module that is compiled: it has the pack's tools by importing it.
const MAIN: &str = "import app\nfrom rig_pack import Tools\n";

pub(super) fn build(
    dir: &Path,
    work: &Path,
    options: &ForeignOptions,
    on_step: &mut dyn FnMut(Step),
) -> Result<Vec<u8>, Error> {
    let folder = Tool::ComponentizePy.folder(&options.tools, options.offline, on_step)?;
    let helper = include_str!("../../../sdk/python/rig_pack.py");
    let modules = work.join("modules");
    // The helper last, so that a copy beside the pack, for its tests, does not count.
    copy(dir, &modules)?;
    write(&modules, &[("rig_main.py", MAIN), ("rig_pack.py", helper)])?;
    write(work, &[("wit/pack.wit", WIT)])?;
    on_step(Step::Componentizing(dir.to_owned()));
    let bin = folder.join("bin");
    let mut command = Command::new(bin.join("componentize-py"));
    command.arg("--wit-path").arg(work.join("wit")).args(["--world", WORLD, "componentize", "rig_main"]);
    command.arg("--python-path").arg(&modules);
    command.arg("--output").arg(work.join("pack.wasm"));
    // It looks for packages of the Python that PATH leads to: to this one, which has none.
    let paths = env::var_os("PATH").unwrap_or_default();
    if let Ok(paths) = env::join_paths(std::iter::once(bin).chain(env::split_paths(&paths))) {
        command.env("PATH", paths);
    }
    command.env_remove("VIRTUAL_ENV").env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    command.current_dir(work);
    compile(&mut command, dir, on_step)?;
    read(&work.join("pack.wasm"))
}
