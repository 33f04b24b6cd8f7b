//! The Python of a project: which interpreter, and which environment packs are installed into. An environment that is active is used;
//! otherwise `.venv` beside `rig.yaml`, which is made when it is first needed.
//!
//! What was found out is kept in rig's home, not in the project: a project that was fetched from elsewhere must not say which program
//! runs.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use rig_specs::lock::Runtime;
use serde::{Deserialize, Serialize};

use super::{
    LegacyError, Machine,
    command::{self, command, find},
    project_key,
};
use crate::{
    home::{Home, private_dir},
    project::Project,
};

/// The folder of the environment that rig makes.
const VENV: &str = ".venv";
/// The oldest Python that the runner is written for.
const OLDEST: (u32, u32) = (3, 9);

/// Prints what rig must know of an interpreter.
const PROBE: &str = "import json,os,sys\n\
print(json.dumps({'version':list(sys.version_info[:3]),'program':os.path.realpath(sys.executable),\
'prefix':os.path.realpath(sys.base_prefix)}))";

/// An interpreter, apart from any environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Interpreter {
    pub(super) version: [u32; 3],
    /// Without links.
    pub(super) program: PathBuf,
    /// Where its library is.
    pub(super) prefix: PathBuf,
}

/// The environment of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Environment {
    pub(super) folder: PathBuf,
    pub(super) interpreter: Interpreter,
}

impl Interpreter {
    fn probe(path: &Path, machine: &Machine) -> Result<Self, LegacyError> {
        let unusable =
            |why: String| LegacyError::Interpreter { runtime: Runtime::Python, path: path.to_path_buf(), why };
        let mut probe = command(path, &machine.path);
        // Without `-S`: a link in an environment finds its own way only with it.
        probe.args(["-I", "-c", PROBE]);
        let ran = command::run(probe).map_err(|error| unusable(error.to_string()))?;
        let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
        if !ran.ok {
            return Err(unusable(format!("it fails: {}", crate::words::plain(&last(&ran.stderr)))));
        }
        let found: Self =
            serde_json::from_str(&ran.stdout).map_err(|_| unusable("it does not answer as Python does".into()))?;
        let [major, minor, _] = found.version;
        if (major, minor) < OLDEST {
            let (version, (oldest, at_least)) = (found.shown(), OLDEST);
            return Err(unusable(format!("it is Python {version}, and rig needs {oldest}.{at_least} or later")));
        }
        Ok(found)
    }

    pub(super) fn shown(&self) -> String {
        self.version.map(|part| part.to_string()).join(".")
    }
}

impl Environment {
    /// The environment of a project, whether it is there already or not.
    pub(super) fn of(project: &Project, machine: &Machine) -> Result<Self, LegacyError> {
        let own = project.root().join(VENV);
        let set = project.config().python.interpreter.as_deref();
        let folder = match &machine.virtual_env {
            Some(active) if is_environment(active) => active.clone(),
            _ => own,
        };
        if is_environment(&folder) {
            let interpreter = Interpreter::probe(&folder.join("bin/python"), machine)?;
            return Ok(Self { folder, interpreter });
        }
        let none = |looked| LegacyError::NoInterpreter { runtime: Runtime::Python, looked };
        let program = match set {
            Some(set) => {
                let program = if set.contains('/') { Some(project.resolve(set)) } else { find(set, &machine.path) };
                let program = program.filter(|program| program.is_file());
                program.ok_or_else(|| none(format!("`python.interpreter` in rig.yaml names {set}")))?
            }
            None => ["python3", "python"]
                .into_iter()
                .find_map(|name| find(name, &machine.path))
                .ok_or_else(|| none("there is neither `python3` nor `python` in PATH".into()))?,
        };
        Ok(Self { folder, interpreter: Interpreter::probe(&program, machine)? })
    }

    /// Makes the environment when it is not there. Says whether it did.
    pub(super) fn make(&self, machine: &Machine) -> Result<bool, LegacyError> {
        if is_environment(&self.folder) {
            return Ok(false);
        }
        let program = &self.interpreter.program;
        let (tool, mut make) = if let Some(uv) = machine.uv() {
            let mut make = command(&uv, &machine.path);
            make.args(["--no-config", "--offline", "--quiet", "venv", "--python"]).arg(program);
            ("uv", make)
        } else {
            let mut make = command(program, &machine.path);
            // Without pip: that of the interpreter itself is used, and what is not there is not out of date.
            make.args(["-I", "-m", "venv", "--without-pip"]);
            ("python -m venv", make)
        };
        make.arg(&self.folder);
        let failed = |why: String| LegacyError::Tool { tool, why };
        let ran = command::run(make).map_err(|error| failed(error.to_string()))?;
        if ran.ok {
            return Ok(true);
        }
        let said = if ran.stderr.trim().is_empty() { ran.stdout } else { ran.stderr };
        Err(failed(crate::words::plain(said.lines().next().unwrap_or_default())))
    }

    /// The interpreter as it is in the environment.
    pub(super) fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// Where its packages are.
    pub(super) fn packages(&self) -> PathBuf {
        let [major, minor, _] = self.interpreter.version;
        self.folder.join(format!("lib/python{major}.{minor}/site-packages"))
    }

    /// Where compiled code of its packages is. Python's usual place is beside the source, where nothing says whether it belongs to it.
    pub(super) fn compiled(&self, home: &Home) -> PathBuf {
        home.root().join("cache").join("python").join(project_key(&self.folder))
    }

    /// Notes it for the calls of this project.
    pub(super) fn remember(&self, home: &Home, project: &Path) -> Result<(), LegacyError> {
        let path = note(home, project);
        let folder = path.parent().unwrap_or(home.root());
        let failed = |source| LegacyError::io("write", &path, source);
        private_dir(folder).map_err(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        serde_json::to_writer(&mut file, self).map_err(|error| failed(error.into()))?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The noted one.
    pub(super) fn remembered(home: &Home, project: &Path) -> Option<Self> {
        let noted: Self = serde_json::from_slice(&fs::read(note(home, project)).ok()?).ok()?;
        (is_environment(&noted.folder) && noted.interpreter.program.is_file()).then_some(noted)
    }

    /// The arguments for pip: that of the environment, else that of its interpreter, else the one that Python carries for new
    /// environments.
    pub(super) fn pip(&self, machine: &Machine) -> Result<Vec<OsString>, LegacyError> {
        const FIND: &str = "import importlib.util,sys\n\
if importlib.util.find_spec('pip'): print('-m'); print('pip'); sys.exit()\n\
import ensurepip,pathlib\n\
print(next(pathlib.Path(ensurepip.__path__[0]).glob('_bundled/pip-*.whl'))/'pip')";
        let program = &self.interpreter.program;
        let mut probe = command(program, &machine.path);
        probe.args(["-I", "-c", FIND]);
        let ran = command::run(probe).map_err(|error| LegacyError::Tool { tool: "pip", why: error.to_string() })?;
        if !ran.ok {
            let why = format!("there is no pip for {}", program.display());
            return Err(LegacyError::Tool { tool: "pip", why });
        }
        let mut args = vec![program.clone().into_os_string(), "-I".into()];
        args.extend(ran.stdout.lines().map(OsString::from));
        Ok(args)
    }
}

fn note(home: &Home, project: &Path) -> PathBuf {
    home.root().join("environments").join(format!("{}.json", project_key(project)))
}

fn is_environment(folder: &Path) -> bool {
    folder.join("pyvenv.cfg").is_file() && folder.join("bin/python").is_file()
}
