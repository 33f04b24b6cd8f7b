//! A cell: one program with everything that it starts, cut off from the machine.
//!
//! The layers, from the outside in: user, mount, process, network, IPC, host-name and cgroup namespaces; a root of its own, made of
//! read-only pieces of the machine's; limits; no capability, now or later; Landlock; a filter of system calls. Each holds without the
//! others. The only way out is `proxy`: its listeners are made inside the cell's network and handed to rig, so no socket of rig's is
//! anywhere in the cell.
//!
//! rig does not fork. It starts itself a second time ([`enter`] reads what to do from a socket that is its stdin), which enters the
//! namespaces and starts itself a third time, as process 1 of the cell; that builds the root, confines itself, starts the program and
//! waits. When process 1 ends, the kernel ends all others in the cell; when rig ends, however it does, process 1 is ended.

use std::{collections::BTreeSet, ffi::OsString, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::egress::{Gate, Reach};

#[cfg(target_os = "linux")]
mod confine;
#[cfg(target_os = "linux")]
mod enter;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod group;
#[cfg(target_os = "linux")]
mod inside;
#[cfg(target_os = "linux")]
mod loopback;
#[cfg(target_os = "linux")]
mod message;
mod probe;
#[cfg(target_os = "linux")]
mod root;
#[cfg(target_os = "linux")]
mod start;
#[cfg(not(target_os = "linux"))]
#[path = "cell/elsewhere.rs"]
mod start;

#[cfg(target_os = "linux")]
pub use enter::enter;
pub use probe::{LayerState, probe};
pub use rig_specs::config::Isolation;
#[cfg(not(target_os = "linux"))]
pub use start::enter;
pub use start::{Held, Running};

/// The first argument of the two programs that rig starts of itself. Not a command: without the socket that comes with it, nothing
/// happens, and with it a program runs with fewer rights than whoever started it has.
pub const ARGUMENT: &str = "__cell";

/// This very program, even when its file was replaced since it was started.
pub const LAUNCHER: &str = "/proc/self/exe";

/// A program, and all that it may reach.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The program, by its absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// All of its environment but for what the cell itself says: where its scratch folder and its proxy are.
    pub env: Vec<(OsString, OsString)>,
    /// Files and folders that it can read, at the paths that they have outside. The libraries of the system are there besides.
    pub read_only: Vec<PathBuf>,
    /// Folders of which it may see what is in them by name, where `read_only` has only some of that. With a root of its own, that is all
    /// there is in them.
    pub listed: Vec<PathBuf>,
    /// An empty folder outside, of this cell alone. With a root of its own the cell's scratch folder is in memory, mounted as `/tmp` (`/scratch` when files to read are in there), and
    /// this one only marks the place where that root is made; without, this is the scratch folder.
    pub scratch: PathBuf,
    /// The hosts that it may reach.
    pub network: Arc<Reach>,
    /// The way there.
    pub gate: Arc<Gate>,
    /// Whether the program is told of the proxy in its environment. Python's SDKs go by that. Node's either do not, or send requests for
    /// https to a proxy that are not meant for one; they find granted hosts by name. Without a network of its own a program is always told.
    pub proxy_variables: bool,
    /// What it may use up.
    pub limits: CellLimits,
    /// Whether it may run where a layer is missing.
    pub level: Isolation,
    /// The rig that is started as the cell: [`LAUNCHER`], but where the library is in another program.
    pub launcher: PathBuf,
}

/// What a cell may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellLimits {
    /// Bytes of memory of all its processes together.
    pub memory: u64,
    /// Processes and threads at once.
    pub processes: u64,
    /// Open files of one process.
    pub open_files: u64,
    /// Bytes of one file.
    pub file_size: u64,
    /// Bytes of all files in the scratch folder together.
    pub scratch: u64,
}

impl Default for CellLimits {
    /// An interpreter with a service's SDK takes 50 to 150 MB and a dozen threads. All calls of a pack share it, each with a thread, up to
    /// the 256 that run at once; SDKs have threads of their own.
    fn default() -> Self {
        Self { memory: 1 << 30, processes: 512, open_files: 1024, file_size: 64 << 20, scratch: 128 << 20 }
    }
}

/// A defence that a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Processes, network, users and mounts of its own.
    Namespaces,
    /// A root folder of its own.
    Root,
    /// A limit on processes that also holds for the superuser.
    Limits,
    /// The kernel's access rules for files and ports.
    Landlock,
    /// The filter of system calls.
    Seccomp,
}

impl Layer {
    /// All of them, from the outside in.
    pub const ALL: [Self; 5] = [Self::Namespaces, Self::Root, Self::Limits, Self::Landlock, Self::Seccomp];

    /// As it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Root => "root",
            Self::Limits => "limits",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Namespaces => "processes, network and users of its own",
            Self::Root => "a root folder of its own",
            Self::Limits => "a limit on processes",
            Self::Landlock => "access rules for files",
            Self::Seccomp => "a filter of system calls",
        }
    }

    /// How a machine gets it.
    #[must_use]
    pub const fn how(self) -> &'static str {
        match self {
            Self::Namespaces => {
                "allow user namespaces: `sysctl user.max_user_namespaces` above 0, `kernel.unprivileged_userns_clone=1` on older \
                 Debian, an AppArmor profile with `userns` for rig on Ubuntu, and in a container a seccomp profile that lets `unshare` pass"
            }
            Self::Root => {
                "allow mounts in user namespaces: on Ubuntu an AppArmor profile with `userns` for rig; in a container leave /proc unmasked"
            }
            Self::Limits => {
                "run rig as an ordinary user, or on Linux 6.14 or newer, or in a cgroup of version 2 that it may divide"
            }
            Self::Landlock => {
                "run a kernel of 5.13 or newer with `landlock` in its list of security modules (`lsm=` at boot)"
            }
            Self::Seccomp => "run a kernel that is built with CONFIG_SECCOMP_FILTER",
        }
    }
}

/// How a cell ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// The program ended by itself.
    Exit(i32),
    /// The program was ended by a signal.
    Signal(i32),
    /// The processes together took more memory than allowed.
    Memory,
    /// Nobody knows: the cell was ended from outside.
    Killed,
}

/// Why there is no cell.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine lacks a layer.
    #[error("full isolation is not possible here: {} ({}) cannot be had: {why}", layer.as_str(), layer.purpose())]
    Missing {
        /// Which.
        layer: Layer,
        /// What the kernel said.
        why: String,
    },
    /// The program cannot be started.
    #[error("{} cannot be started in a cell: {why}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// Why.
        why: String,
    },
    /// Something that every machine has did not work.
    #[error("a cell cannot be set up: {0}")]
    Setup(String),
    /// Not on Linux.
    #[error("packs from PyPI and npm run in cells, which need Linux")]
    System,
}

impl Error {
    /// What to do next, about that pack.
    #[must_use]
    pub fn hint(&self, pack: &str) -> Option<String> {
        match self {
            Self::Missing { layer, .. } => Some(format!(
                "{}; or set `isolation: {{{pack}: reduced}}` in rig.yaml, which runs it with the layers that are left",
                layer.how()
            )),
            Self::System => Some("run rig on Linux, in a virtual machine for example".into()),
            Self::Program { .. } | Self::Setup(_) => None,
        }
    }
}

/// Which layers a cell has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layers(BTreeSet<Layer>);

impl Layers {
    /// Whether it has that one.
    #[must_use]
    pub fn has(&self, layer: Layer) -> bool {
        self.0.contains(&layer)
    }

    /// All that are missing, from the outside in.
    pub fn missing(&self) -> impl Iterator<Item = Layer> {
        Layer::ALL.into_iter().filter(|layer| !self.has(*layer))
    }

    /// What that is called.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        if self.missing().next().is_none() { Isolation::Full } else { Isolation::Reduced }
    }
}
