//! Brings the environment of a project in line with a lock. What is there and right stays untouched; what is missing or changed is
//! installed from the store by hash; what no pack needs any more goes, if that is asked for.

use std::collections::{BTreeMap, BTreeSet};

use rig_specs::{
    Sha256,
    lock::{Lock, LockedPack, Runtime},
};

use super::{
    LegacyError, Machine,
    command::{self, command},
    core, node,
    pip::Pip,
    python::Environment,
    wheel::{self, Wheel},
};
use crate::{home::Home, install::store, project::Project};

/// From so many files on, compiling is worth the start of a process for each processor.
const MANY: usize = 400;

/// The wheels of a pack with their bytes, from the store.
pub(super) fn wheels(home: &Home, locked: &LockedPack) -> Result<BTreeMap<String, (Vec<u8>, Wheel)>, LegacyError> {
    let broken = |why: String| LegacyError::Environment { pack: locked.pack_id.clone(), why };
    let mut found = BTreeMap::new();
    for artifact in &locked.artifacts {
        let bytes = if artifact.integrity == *core::SHA256 {
            core::WHEEL_BYTES.clone()
        } else {
            store::read(home, &artifact.integrity).map_err(|error| broken(error.to_string()))?
        };
        let wheel = Wheel::read(&artifact.file, &bytes).map_err(|why| broken(format!("{}: {why}", artifact.file)))?;
        found.insert(artifact.file.clone(), (bytes, wheel));
    }
    Ok(found)
}

/// What a lock wants to be in the environment of Python, by name: the version and the pack that wants it first.
pub(super) fn wanted(lock: &Lock) -> Result<BTreeMap<String, (String, String)>, LegacyError> {
    let mut all: BTreeMap<String, (String, String)> = BTreeMap::new();
    for locked in lock.packs.values().filter(|locked| locked.runtime == Runtime::Python) {
        for artifact in &locked.artifacts {
            let Some((name, version)) = wheel::of_file(&artifact.file) else { continue };
            let pack = locked.pack_id.to_string();
            match all.get(&name) {
                Some((other, by)) if *other != version => {
                    let fact = format!("`{by}` needs {name} {other}, and `{pack}` needs {name} {version}");
                    return Err(LegacyError::Conflict { package: pack, facts: vec![fact] });
                }
                _ => all.insert(name, (version, pack)),
            };
        }
    }
    Ok(all)
}

/// Makes the environment what `lock` wants. With `remove`, what only `before` wanted is taken out of it.
pub(crate) fn apply(
    home: &Home,
    machine: &Machine,
    project: &Project,
    (before, lock): (&Lock, &Lock),
    remove: bool,
) -> Result<(), LegacyError> {
    node::apply(home, machine, project, (before, lock), remove)?;
    let python = |lock: &Lock| lock.packs.values().any(|locked| locked.runtime == Runtime::Python);
    let concerned = python(lock) || (remove && python(before));
    if !concerned {
        return Ok(());
    }
    let environment = Environment::of(project, machine)?;
    let wants = wanted(lock)?;
    let made = environment.make(machine)?;
    let filled = fill(home, machine, project, (before, lock), (&environment, &wants), remove);
    if filled.is_err() && made {
        // What could not be filled is not left behind.
        let _ = std::fs::remove_dir_all(&environment.folder);
    }
    filled
}

fn fill(
    home: &Home,
    machine: &Machine,
    project: &Project,
    (before, lock): (&Lock, &Lock),
    (environment, wants): (&Environment, &BTreeMap<String, (String, String)>),
    remove: bool,
) -> Result<(), LegacyError> {
    let packages = environment.packages();
    let (mut install, mut files) = (BTreeMap::<String, (Sha256, Vec<u8>)>::new(), BTreeSet::new());
    for locked in lock.packs.values().filter(|locked| locked.runtime == Runtime::Python) {
        for (file, (bytes, wheel)) in wheels(home, locked)? {
            if !install.contains_key(&file) && wheel.changed(&packages).is_some() {
                files.extend(
                    wheel
                        .files
                        .keys()
                        .filter(|path| std::path::Path::new(path).extension().is_some_and(|ending| ending == "py"))
                        .map(|path| packages.join(path)),
                );
                install.insert(file, (Sha256::of(&bytes), bytes));
            }
        }
    }
    let gone: BTreeSet<String> = match wanted(before) {
        Ok(had) if remove => had.into_keys().filter(|name| !wants.contains_key(name)).collect(),
        _ => BTreeSet::new(),
    };
    if !install.is_empty() || !gone.is_empty() {
        let folder = tempfile::tempdir().map_err(|error| LegacyError::io("make", &std::env::temp_dir(), error))?;
        // Everything comes from the folder: nothing is looked up.
        let pip = Pip::new(environment, machine, project, true)?;
        if !install.is_empty() {
            pip.install(&install, folder.path())?;
        }
        pip.uninstall(&gone)?;
        check(home, lock, environment)?;
        compile(home, machine, environment, &files, folder.path());
    }
    environment.remember(home, project.root())
}

/// What was installed must be what the wheels hold.
fn check(home: &Home, lock: &Lock, environment: &Environment) -> Result<(), LegacyError> {
    for locked in lock.packs.values().filter(|locked| locked.runtime == Runtime::Python) {
        for (file, (_, wheel)) in wheels(home, locked)? {
            if let Some(path) = wheel.changed(&environment.packages()) {
                let why = format!("after it was installed, {} is not the file of {file}", path.display());
                return Err(LegacyError::Environment { pack: locked.pack_id.clone(), why });
            }
        }
    }
    Ok(())
}

/// Compiles modules ahead, into rig's own folder: the first call of a large SDK would take seconds. It goes on without when that fails.
fn compile(
    home: &Home,
    machine: &Machine,
    environment: &Environment,
    files: &BTreeSet<std::path::PathBuf>,
    folder: &std::path::Path,
) {
    if files.is_empty() {
        return;
    }
    let target = environment.compiled(home);
    let list: Vec<String> = files.iter().map(|path| format!("{}\n", path.display())).collect();
    let list_file = folder.join("compile.txt");
    let ready = crate::home::private_dir(&target).and_then(|()| std::fs::write(&list_file, list.concat()));
    if ready.is_err() {
        return;
    }
    let mut compile = command(&environment.interpreter.program, &machine.path);
    compile.args(["-I", "-S", "-X", "utf8", "-X"]).arg(format!("pycache_prefix={}", target.display()));
    compile.args(["-m", "compileall", "-q", "-j", if files.len() > MANY { "0" } else { "1" }, "-i"]).arg(list_file);
    // Modules that do not compile are not needed to be: packages carry templates and code for other versions.
    let _ = command::run(compile);
}
