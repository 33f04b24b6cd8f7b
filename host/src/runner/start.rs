//! The one place where the process of a pack is started. What it gets is in a [`Cell`] and nothing else: no environment, no folder of the
//! user's, no descriptors but its three pipes. This is the plain form, which stands for reduced isolation: a child process with limits
//! in a group of its own.

use std::{ffi::OsString, io, path::PathBuf, process::Stdio, sync::Arc};

use rig_specs::config::Isolation;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::process::{Child, Command};

use crate::egress::Reach;

/// What a pack's process is given.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The program: an interpreter.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// What it reads beside the system's own libraries: files and folders.
    pub read_only: Vec<PathBuf>,
    /// The one folder that it writes to. It runs there.
    pub scratch: PathBuf,
    /// The hosts that it may reach.
    pub network: Arc<Reach>,
    /// How much it may use.
    pub limits: CellLimits,
    /// How far it must be kept apart.
    pub level: Isolation,
}

/// How much the process of a pack may use, with all that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellLimits {
    /// Bytes of memory.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Open descriptors.
    pub files: u64,
    /// Bytes of one file.
    pub file_size: u64,
}

impl CellLimits {
    /// 1 GiB: an interpreter with a large SDK takes some 100 MiB, and all calls of a pack share it. 512 threads: the runner has one a
    /// call, up to the 256 calls at once, and SDKs have their own.
    pub const DEFAULT: Self = Self { memory: 1 << 30, processes: 512, files: 1024, file_size: 256 << 20 };
}

/// Why no process was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine lacks layers.
    #[error("this rig cannot keep the process of a pack apart in full on this machine: {missing}")]
    Layers {
        /// Which.
        missing: String,
    },
    /// The system refuses.
    #[error("cannot start {}: {source}", .program.display())]
    Spawn {
        /// What was to be run.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A process that was started.
#[derive(Debug)]
pub struct Started {
    /// With three pipes.
    pub child: Child,
    /// How far it is kept apart.
    pub level: Isolation,
}

/// Starts a process.
///
/// # Errors
/// When a layer is missing that the level asks for, or the system refuses.
pub fn start(cell: &Cell) -> Result<Started, StartError> {
    if cell.level == Isolation::Full {
        return Err(StartError::Layers { missing: "namespaces, Landlock and seccomp".into() });
    }
    let failed = |source| StartError::Spawn { program: cell.program.clone(), source };
    let mut command = Command::new(&cell.program);
    command.args(&cell.args).env_clear().envs(cell.env.iter().map(|(name, value)| (name, value)));
    command.current_dir(&cell.scratch).process_group(0).kill_on_drop(true);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    // Before the pack's code is there: it is loaded on request.
    if let Err(source) = limit(&child, &cell.limits) {
        kill(&child);
        return Err(failed(source));
    }
    Ok(Started { child, level: Isolation::Reduced })
}

fn limit(child: &Child, limits: &CellLimits) -> io::Result<()> {
    // Without an id it ended already; limits for nobody would be limits for rig itself.
    let pid = Some(pid(child).ok_or_else(|| io::Error::other("it ended at once"))?);
    // Of the data that it may write to, and not of its address space: engines reserve far more of that than they use. There is no limit
    // on processes: outside of a user namespace that counts all processes of the user.
    for (resource, most) in [
        (Resource::Data, limits.memory),
        (Resource::Nofile, limits.files),
        (Resource::Fsize, limits.file_size),
        (Resource::Core, 0),
    ] {
        let bound = Rlimit { current: Some(most), maximum: Some(most) };
        prlimit(pid, resource, bound)?;
    }
    Ok(())
}

fn pid(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

/// Ends a process and everything that it started in its group.
pub fn kill(child: &Child) {
    if let Some(pid) = pid(child) {
        // It may be gone already.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}
