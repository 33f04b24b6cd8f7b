//! Prunes what the machine's folder has gathered: components that no known project needs, compiled code, downloads and temporary files
//! that a crash left, caches of builds. What a project that was noted ([`projects`]) names in its lock, in its history or in a change
//! that is under way stays, and so does what a running rig uses ([`hold`]). All else goes when it was not used for some time.
//!
//! A component is removed in this order: take it alone, look again at what the projects need, remove it. Whoever comes to need a
//! component notes its project, gets hold of the component, writes the lock, and only then lets go. So a component that was taken
//! alone is needed by no lock but one that the second look finds, or one whose writer finds the component gone and fetches it.
//!
//! Left alone on purpose: keys, what was seen of signed indexes, notes about audit logs (all of them protect against changes), and
//! the files that packs stored, which are data. So is everything that rig does not name that way, that is no plain file, or that belongs
//! to somebody else.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rig_specs::Sha256;
use serde::Serialize;

use crate::{
    home::{self, Home, hold, projects},
    install::store::STALE,
    project::{Project, ProjectError, snapshots},
};

mod caches;
mod entries;
mod needed;
mod store;

use needed::Needed;

/// How long something must not have been used, unless the caller says otherwise.
pub const OLDER_THAN: Duration = Duration::from_hours(30 * 24);

/// What is to be pruned.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long something must not have been used.
    pub older_than: Duration,
    /// Whether to say only what would be removed.
    pub dry_run: bool,
    /// The project around the current folder.
    pub project: Option<PathBuf>,
    /// How many earlier states that project keeps; all when absent.
    pub snapshots: Option<usize>,
}

/// Why nothing was pruned.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// The project cannot be changed.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The machine's folder cannot be used.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl GcError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_path_buf(), source }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Project(error) => error.hint(),
            Self::Io { .. } => Some("check who owns rig's folder and what its permissions are: `rig doctor`".into()),
        }
    }
}

/// What something was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A component of the store.
    Component,
    /// Compiled code.
    Compiled,
    /// A download that was not finished.
    Download,
    /// A temporary file that a crash left.
    Temporary,
    /// What cargo kept for packs on an SDK.
    BuildCache,
    /// An earlier state of the project.
    Snapshot,
    /// The note about a project that is gone.
    Project,
}

impl Kind {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Compiled => "compiled code",
            Self::Download => "unfinished download",
            Self::Temporary => "temporary file",
            Self::BuildCache => "build cache",
            Self::Snapshot => "earlier state",
            Self::Project => "project that is gone",
        }
    }
}

/// Something that was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// What it was.
    pub kind: Kind,
    /// Where.
    pub path: PathBuf,
    /// Of all its files, in bytes.
    pub size: u64,
    /// For how many seconds it had not been used.
    pub unused_seconds: u64,
}

/// Something that could not be looked at or removed. What it may have needed was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What went wrong.
    pub problem: String,
    /// What to do next.
    pub hint: String,
}

/// What stayed in the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// How many components.
    pub components: usize,
    /// Their bytes.
    pub size: u64,
    /// How many of them no project needs, but a running rig uses.
    pub in_use: usize,
}

/// A project that was noted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownProject {
    /// Its folder.
    pub root: PathBuf,
    /// Whether it is there.
    pub there: bool,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing was removed because that was not asked for.
    pub dry_run: bool,
    /// How long something must not have been used, in seconds.
    pub older_than_seconds: u64,
    /// What was removed, or would be.
    pub removed: Vec<Removed>,
    /// The bytes of that.
    pub freed: u64,
    /// What stayed in the store.
    pub kept: Kept,
    /// The projects that were looked at.
    pub projects: Vec<KnownProject>,
    /// What could not be looked at or removed.
    pub problems: Vec<Problem>,
}

/// One run.
struct Pruning<'a> {
    home: &'a Home,
    options: &'a Options,
    now: SystemTime,
    /// The user that this process runs as.
    user: u32,
    /// Earlier states that are removed: what only they need is not needed.
    dropped: BTreeSet<PathBuf>,
    report: Report,
}

/// Prunes. `on_wait` is told the lock file when another rig has it.
///
/// # Errors
/// When the folder or the project cannot be used at all. What cannot be looked at or removed otherwise is a problem in the report.
pub fn run(home: &Home, options: &Options, on_wait: &mut dyn FnMut(&Path)) -> Result<Report, GcError> {
    let report = Report {
        dry_run: options.dry_run,
        older_than_seconds: options.older_than.as_secs(),
        removed: Vec::new(),
        freed: 0,
        kept: Kept::default(),
        projects: Vec::new(),
        problems: Vec::new(),
    };
    if !home.root().is_dir() {
        return Ok(report);
    }
    let user = home::own_id(home.root()).map_err(GcError::io("write in", home.root()))?;
    let mut pruning = Pruning { home, options, now: SystemTime::now(), user, dropped: BTreeSet::new(), report };
    // Two at once would do each other no harm, but each would report what the other removed as missing.
    let _alone = if options.dry_run { None } else { Some(alone(home, on_wait)?) };
    if let Some(root) = &options.project {
        pruning.project(root, on_wait)?;
    }
    pruning.prune();
    let mut report = pruning.report;
    report.removed.sort_by(|a, b| (a.kind, &a.path).cmp(&(b.kind, &b.path)));
    report.freed = report.removed.iter().map(|removed| removed.size).sum();
    Ok(report)
}

/// The lock file stays: removing it would let two in.
fn alone(home: &Home, on_wait: &mut dyn FnMut(&Path)) -> Result<File, GcError> {
    let path = home.root().join("gc.lock");
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(GcError::io("open", &path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            on_wait(&path);
            file.lock().map_err(GcError::io("lock", &path))?;
        }
        // Where there are no locks, two at once do no harm.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    Ok(file)
}

impl Pruning<'_> {
    fn prune(&mut self) {
        let needed = self.needed();
        self.projects(&needed);
        let gone = self.components(&needed);
        self.compiled(&gone);
        self.downloads();
        self.temporary(&needed);
        self.builds();
    }

    /// What the projects need at this moment.
    fn needed(&mut self) -> Needed {
        Needed::find(self.home, &self.dropped)
    }

    /// The project that the command runs in: it is noted, what a crash left in it is cleared away, and its oldest states go.
    fn project(&mut self, root: &Path, on_wait: &mut dyn FnMut(&Path)) -> Result<(), GcError> {
        projects::note(self.home, root).map_err(GcError::io("write in", &self.home.projects()))?;
        // Opening a project for a change completes or drops what a crash interrupted. A project whose files are wrong, as in the middle
        // of a merge, is left as it is: what it needs is found all the same.
        let mut guard = || Project::lock_for_change(root, on_wait).map(|(_, guard)| guard);
        let (guard, keep) = match (self.options.snapshots, self.options.dry_run) {
            (Some(keep), false) => (Some(guard()?), keep),
            (Some(keep), true) => (None, keep),
            (None, false) => {
                drop(guard());
                return Ok(());
            }
            (None, true) => return Ok(()),
        };
        let root = root.canonicalize().map_err(GcError::io("find", root))?;
        for path in snapshots::beyond(&root, keep) {
            let Some((size, age)) = fs::symlink_metadata(&path).ok().map(|found| (found.len(), self.age(&found)))
            else {
                continue;
            };
            if guard.is_some() {
                // On the disk before a component goes that it names.
                snapshots::remove(&path)?;
            }
            self.removed(Kind::Snapshot, &path, size, age);
            self.dropped.insert(path);
        }
        Ok(())
    }

    /// Notes about projects that have been gone for long.
    fn projects(&mut self, needed: &Needed) {
        for project in &needed.projects {
            self.report.projects.push(KnownProject { root: project.root.clone(), there: project.there });
            if project.there {
                if !self.options.dry_run
                    && let Ok(file) = File::open(&project.note)
                {
                    hold::mark(&file);
                }
                continue;
            }
            let is_gone = |pruning: &Self, found: &fs::Metadata| {
                pruning.age(found) >= pruning.options.older_than && needed::is_gone(&project.root)
            };
            self.take_away(Kind::Project, &project.note, Duration::ZERO, &is_gone);
        }
        self.report.problems.extend(needed.unknown.iter().cloned());
    }

    /// How long something has not been used.
    fn age(&self, found: &fs::Metadata) -> Duration {
        let used = found.modified().unwrap_or(self.now);
        // What is from the future was used just now.
        self.now.duration_since(used).unwrap_or_default()
    }

    fn removed(&mut self, kind: Kind, path: &Path, size: u64, age: Duration) {
        self.report.removed.push(Removed { kind, path: path.to_path_buf(), size, unused_seconds: age.as_secs() });
    }

    fn problem(&mut self, problem: String, hint: impl Into<String>) {
        self.report.problems.push(Problem { problem, hint: hint.into() });
    }
}

/// The hex of a digest, as it is in names.
fn digest(name: &str) -> Option<Sha256> {
    let plain = name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    name.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests;
