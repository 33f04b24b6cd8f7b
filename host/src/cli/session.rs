//! What all commands share: the user's folders, the options for output, and the ways into the library.

use std::{
    env,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rig_host::{
    call::{Caller, Services, Snapshot, open},
    egress::{Gate, Settings},
    home::Home,
    install::{Bundle, Options, Trust, TrustError, legacy::Machine},
    project::Project,
    sandbox::{PoolSize, Sandbox},
};

use super::{
    args::{Global, TrustArgs},
    render::Ui,
    report::{Failure, visible},
};

/// What a person said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// There is no terminal to ask on.
    NobodyThere,
}

/// One run of the command.
pub struct Session {
    pub ui: Ui,
    pub home: Home,
    /// Where the search for rig.yaml starts.
    pub start: PathBuf,
    pub offline: bool,
    pub yes: bool,
    /// The name of whoever runs the command.
    pub user: String,
}

impl Session {
    pub fn new(global: &Global) -> Result<Self, Failure> {
        let current = env::current_dir().map_err(|error| {
            Failure::of(&error, "change into a folder that exists").context("the current folder cannot be entered")
        })?;
        let start = match &global.project {
            Some(dir) if !dir.is_dir() => {
                return Err(Failure::usage(format!("--project: there is no folder {}", dir.display())));
            }
            // Through its components, which leaves out every `.`.
            Some(dir) => current.join(dir).components().collect(),
            None => current.clone(),
        };
        Ok(Self {
            ui: Ui { quiet: global.quiet, verbose: global.verbose },
            home: Home::new(home(&current)?),
            start,
            offline: global.offline,
            yes: global.yes,
            user: user(),
        })
    }

    /// What packs from PyPI and npm need of the machine.
    pub fn machine() -> Machine {
        let active = env::var_os("VIRTUAL_ENV").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        Machine { path: env::var_os("PATH").unwrap_or_default(), virtual_env: active.filter(|path| path.is_absolute()) }
    }

    /// The project around the folder that the command runs in.
    pub fn project(&self) -> Result<Project, Failure> {
        let root = Project::discover(&self.start)?;
        let project = Project::open_with(&root, &mut |lock| self.waiting(lock))?;
        if project.recovered() {
            self.ui.note("completed a change that an earlier run of rig could not finish");
        }
        Ok(project)
    }

    /// The packs that this program carries. The kernel's link leads to the file that runs, even when another has taken its place.
    pub fn bundle(&self) -> Option<Bundle> {
        let program = Path::new("/proc/self/exe");
        let program = if program.exists() { Some(program.to_owned()) } else { env::current_exe().ok() };
        program.and_then(|program| {
            Bundle::own(&program).unwrap_or_else(|error| {
                self.ui.warn(&format!("the packs that this rig carries cannot be used: {error}"));
                None
            })
        })
    }

    /// Said when another rig works on the same project.
    pub fn waiting(&self, lock: &Path) {
        self.ui.note(&format!("another rig works on this project; waiting for {}", lock.display()));
    }

    /// The gate with the project's network settings.
    pub fn gate(&self, project: &Project) -> Result<Arc<Gate>, Failure> {
        Ok(Arc::new(open::gate(project, self.offline)?))
    }

    /// The gate with the settings of the project around, if there is one.
    pub fn gate_anywhere(&self) -> Result<Gate, Failure> {
        match Project::discover(&self.start) {
            Ok(_) => Ok(open::gate(&self.project()?, self.offline)?),
            Err(_) => Ok(Gate::new(&Settings { offline: self.offline, ..Settings::default() })?),
        }
    }

    /// The pipeline for one call of this process.
    pub fn caller(&self, project: &Project, snapshot: Snapshot) -> Result<Arc<Caller>, Failure> {
        let services = Arc::new(Services::new(project, &self.home, self.sandbox()?));
        let caller = open::caller(project, snapshot, self.gate(project)?, services);
        caller.map(Arc::new).map_err(Failure::new)
    }

    /// Asks a question on the terminal. `--yes` answers it; anything but a plain yes is a no.
    pub fn ask(&self, question: &str) -> Answer {
        if self.yes { Answer::Yes } else { Self::ask_person(question) }
    }

    /// Asks a question that `--yes` does not answer.
    pub fn ask_person(question: &str) -> Answer {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Answer::NobodyThere;
        }
        eprint!("{} [y/N] ", visible(question));
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        let yes = read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
        if yes { Answer::Yes } else { Answer::No }
    }

    /// Does something with an index. When that is signed by keys that nobody confirmed yet, a person is asked once, and it is done again.
    pub fn with_index<T, E: Into<Failure>>(
        options: &mut Options,
        unconfirmed: impl Fn(&E) -> Option<&TrustError>,
        mut act: impl FnMut(&Options) -> Result<Result<T, E>, Failure>,
    ) -> Result<Result<T, E>, Failure> {
        let first = act(options)?;
        let keys = match &first {
            Err(error) => unconfirmed(error).and_then(|error| Some((error, error.first_use()?))),
            Ok(_) => None,
        };
        let Some((error, keys)) = keys else { return Ok(first) };
        eprintln!(
            "{}",
            visible(&format!("The index {} is signed by keys that this machine does not know yet:", error.url))
        );
        for key in keys {
            eprintln!("  {key}");
        }
        match Self::ask_person("Are these the keys that its maintainers published?") {
            Answer::Yes => options.trust.keys = keys.to_vec(),
            Answer::No | Answer::NobodyThere => return Ok(first),
        }
        act(options)
    }

    /// Asks on the terminal for a word; nothing when there is none to ask on. `--yes` does not answer: the word itself is what counts.
    pub fn ask_for(&self, question: &str) -> Option<String> {
        if self.yes || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        eprint!("{} ", visible(question));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(answer.trim().to_owned())
    }

    /// Where what compiles packs is kept: `$RIG_TOOLCHAINS`, else in rig's home.
    pub fn toolchains(&self) -> PathBuf {
        let named = env::var_os("RIG_TOOLCHAINS").filter(|value| !value.is_empty());
        named.map_or_else(|| self.home.toolchains(), |named| self.start.join(named))
    }

    /// A sandbox for one call at a time.
    pub fn sandbox(&self) -> Result<Sandbox, Failure> {
        Ok(Sandbox::new(PoolSize::SINGLE, Some(self.home.compiled()))?)
    }

    /// An executor on this thread. It looks at timers and sockets after every step, so that one busy guest does not hold them up.
    pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(1).build();
        let runtime = runtime.map_err(|error| Failure::of(&error, "run `rig doctor`"))?;
        let value = runtime.block_on(future);
        // Work that nobody waits for any more, such as a name look-up, must not keep the process.
        runtime.shutdown_background();
        Ok(value)
    }
}

/// `$RIG_HOME`, else the folder for data of the user's programs.
fn home(current: &Path) -> Result<PathBuf, Failure> {
    let var = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    var("RIG_HOME")
        .or_else(|| var("XDG_DATA_HOME").map(|data| data.join("rig")))
        .or_else(|| var("HOME").map(|home| home.join(".local").join("share").join("rig")))
        .map(|home| current.join(home))
        .ok_or_else(|| {
            Failure::new("there is no folder for rig's store").with_hint("set RIG_HOME to a folder of yours")
        })
}

/// Who runs the command, as the system's own programs say it.
fn user() -> String {
    let var = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
    var("USER").or_else(|| var("LOGNAME")).unwrap_or_else(|| "unknown user".into())
}

impl From<&TrustArgs> for Trust {
    fn from(args: &TrustArgs) -> Self {
        Self { allow_unsigned: args.allow_unsigned, keys: args.trust_key.clone() }
    }
}
