//! From a pack's files to what is run. Files are compared with the hashes that the lock vouches for, before the first process of the pack
//! starts in this rig.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use rig_specs::{
    Sha256,
    config::Isolation,
    lock::{LockedPack, Runtime},
    manifest::{Capabilities, Limits},
};

use super::{
    LegacyError,
    environment::wheels,
    node,
    python::{Environment, Interpreter},
};
use crate::{
    egress::Reach,
    home::{self, Home},
    runner::{Program, cell::CellLimits},
};

const PYTHON: &str = include_str!("../../../../runners/python/runner.py");
const NODE: &str = include_str!("../../../../runners/node/runner.mjs");

/// What runs an installed pack of a project, its files checked.
pub(crate) fn program(
    home: &Home,
    project: &Path,
    locked: &LockedPack,
    level: Isolation,
) -> Result<Program, LegacyError> {
    let mut program = match locked.runtime {
        Runtime::Node => {
            let interpreter = node::found(home, project, locked)?;
            self::node(home, &interpreter, &node::folder(project, &locked.pack_id), level)?
        }
        _ => installed_python(home, project, locked, level)?,
    };
    program.pack = locked.pack_id.to_string();
    program.package.clone_from(&locked.package);
    program.network = Arc::new(network(&locked.granted)?);
    program.limits = limits(&locked.granted.limits);
    program.tools_hash = locked.tools_hash;
    program.identity = identity(project, locked, level);
    Ok(program)
}

fn installed_python(
    home: &Home,
    project: &Path,
    locked: &LockedPack,
    level: Isolation,
) -> Result<Program, LegacyError> {
    let broken = |why: String| LegacyError::Environment { pack: locked.pack_id.clone(), why };
    let environment = Environment::remembered(home, project).ok_or_else(|| broken("it is not there".into()))?;
    let packages = environment.packages();
    let mut read_only = Vec::new();
    for (file, wheel) in wheels(home, locked)? {
        if let Some(path) = wheel.1.changed(&packages) {
            return Err(broken(format!("{} is not the file of {file}", path.display())));
        }
        read_only.extend(wheel.1.top().into_iter().map(|name| packages.join(name)));
    }
    read_only.push(environment.compiled(home));
    let compiled = environment.compiled(home);
    let mut program = python(home, &environment.interpreter, &compiled, read_only, level)?;
    program.paths = vec![packages];
    Ok(program)
}

/// Two programs that differ in anything that counts are two processes.
fn identity(project: &Path, locked: &LockedPack, level: Isolation) -> String {
    let value = serde_json::json!([
        project,
        locked.pack_id,
        locked.integrity,
        locked.artifacts,
        locked.tools_hash,
        locked.granted,
        level,
    ]);
    Sha256::of_json(&value).hex()
}

fn network(granted: &Capabilities) -> Result<Reach, LegacyError> {
    Reach::compile(granted, &BTreeMap::new()).map_err(|error| LegacyError::Host(error.to_string()))
}

fn limits(granted: &Limits) -> CellLimits {
    let memory = granted.memory.map_or(CellLimits::default().memory, |memory| memory.0);
    CellLimits { memory, ..CellLimits::default() }
}

/// A program of Python that is not yet one of a certain pack: it reaches nothing.
pub(super) fn python(
    home: &Home,
    interpreter: &Interpreter,
    compiled: &Path,
    mut read_only: Vec<PathBuf>,
    level: Isolation,
) -> Result<Program, LegacyError> {
    let runner = runner(home, "runner.py", PYTHON)?;
    read_only.extend([interpreter.prefix.clone(), runner.clone()]);
    // `-I -S`: no variables, no folder of the user's, no `.pth` files, no `sitecustomize`. Compiled code is read from rig's own folder
    // alone, and never written by a pack.
    let mut args: Vec<OsString> = ["-I", "-S", "-B", "-X", "utf8", "-X"].map(OsString::from).into();
    let mut prefix = OsString::from("pycache_prefix=");
    prefix.push(compiled);
    args.extend([prefix, runner.into()]);
    Ok(bare(home, interpreter.program.clone(), args, read_only, level))
}

/// A program of Node that is not yet one of a certain pack: it reaches nothing.
pub(super) fn node(home: &Home, node: &Path, folder: &Path, level: Isolation) -> Result<Program, LegacyError> {
    let runner = runner(home, "runner.mjs", NODE)?;
    // Of the heap alone; the process has its own limit, above it.
    let heap = format!("--max-old-space-size={}", (CellLimits::default().memory >> 20) * 3 / 4);
    let (args, read_only) =
        (vec![heap.into(), runner.clone().into()], vec![folder.to_owned(), node.to_owned(), runner]);
    let mut program = bare(home, node.to_owned(), args, read_only, level);
    program.paths = vec![folder.to_owned()];
    program.proxy_variables = false;
    Ok(program)
}

fn bare(home: &Home, program: PathBuf, args: Vec<OsString>, read_only: Vec<PathBuf>, level: Isolation) -> Program {
    Program {
        pack: String::new(),
        identity: String::new(),
        program,
        args,
        read_only,
        network: Arc::default(),
        limits: CellLimits::default(),
        level,
        proxy_variables: true,
        scratch: home.root().join("scratch"),
        paths: Vec::new(),
        package: String::new(),
        tools_hash: None,
    }
}

/// The file of a runner, in a folder that is named by its bytes.
fn runner(home: &Home, name: &str, text: &str) -> Result<PathBuf, LegacyError> {
    let folder = home.root().join("cache").join("runners").join(&Sha256::of(text.as_bytes()).hex()[..32]);
    home::keep(&folder, name, text.as_bytes()).map_err(|source| LegacyError::io("write", &folder.join(name), source))
}
