//! A project: the folder with `rig.yaml` and `rig.lock`. Finds it, reads both files with every check that can be made on them
//! alone, and changes them together. What a lock entry means for the component that it names is checked in
//! [`install`](crate::install).
//!
//! Readers see the two files as one transition left them: [`Project::open`] takes the project's lock for reading, and first
//! completes a change that a crash interrupted. Changes go through [`Project::lock_for_change`].

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use rig_specs::{
    PackId,
    config::Config,
    lock::{Lock, LockedPack},
};

pub mod canary;
mod commit;
mod config;
mod edit;
mod init;
mod lockfile;
pub mod snapshots;

pub use config::{ConfigError, Place, parse as parse_config};
pub use edit::EditError;
pub use init::{Initialized, init};
pub use lockfile::{LockError, parse as parse_lock};
pub use snapshots::{Change, Snapshot};

/// Why a project cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is no project here.
    #[error("there is no rig.yaml in {} or in a folder above it", .from.display())]
    NotFound {
        /// Where the search began.
        from: PathBuf,
    },
    /// There is a project already.
    #[error("{} exists already", .path.display())]
    Exists {
        /// Its `rig.yaml`.
        path: PathBuf,
    },
    /// `rig.yaml` is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `rig.lock` is wrong.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// `rig.yaml` cannot be changed.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// An earlier lock cannot be used.
    #[error("{} cannot be used: {why}", .path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A candidate cannot be used.
    #[error("{}: {why}", .path.display())]
    Canary {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file of the project is a symbolic link where rig would replace it.
    #[error("{} is a symbolic link: replacing it would leave what it points to unchanged", .path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl ProjectError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some("run `rig init` to make a project here".into()),
            Self::Exists { .. } => Some("edit it, or remove it first to start afresh".into()),
            Self::Config(error) => error.hint(),
            Self::Lock(error) => Some(error.hint()),
            Self::Edit(error) => Some(error.hint()),
            Self::Snapshot { .. } => {
                Some("`rig rollback --list` shows the others; version control has older locks".into())
            }
            Self::Canary { .. } => Some("`rig canary` shows what is on trial; `rig canary withdraw` ends it".into()),
            Self::Symlink { .. } => Some("put the file itself in the project's folder".into()),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("check who owns the project's folder and what its permissions are".into())
            }
            Self::Io { source, path, .. } if source.kind() == io::ErrorKind::InvalidData => {
                Some(format!("restore {} from version control", path.display()))
            }
            Self::Io { .. } => {
                Some("check that the disk has space and that the project's folder can be written".into())
            }
        }
    }
}

/// A project as it was when it was read.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
    config: Config,
    config_text: String,
    lock: Lock,
    lock_text: Option<String>,
    recovered: bool,
}

impl Project {
    /// The folder of the project that a folder belongs to: the nearest one upwards with a `rig.yaml`. `from` is an absolute path.
    ///
    /// # Errors
    /// [`ProjectError::NotFound`].
    pub fn discover(from: &Path) -> Result<PathBuf, ProjectError> {
        let found = from.ancestors().find(|folder| folder.join(commit::CONFIG).is_file());
        found.map(Path::to_path_buf).ok_or_else(|| ProjectError::NotFound { from: from.to_path_buf() })
    }

    /// Reads the project in a folder.
    ///
    /// # Errors
    /// When there is none, or one of its files is wrong.
    pub fn open(root: &Path) -> Result<Self, ProjectError> {
        Self::open_with(root, &mut |_| {})
    }

    /// As [`Project::open`]; `on_wait` is told the lock file when another rig process holds it.
    pub fn open_with(root: &Path, on_wait: &mut dyn FnMut(&Path)) -> Result<Self, ProjectError> {
        loop {
            let held = commit::shared(root, on_wait)?;
            if commit::journal_path(root).exists() {
                drop(held);
                return Self::lock_for_change(root, on_wait).map(|(project, _)| project);
            }
            let project = Self::read(root)?;
            // A first change may have begun while the files were read without a lock: then read again with it.
            if held.is_some() || !root.join(commit::STATE).join("lock").exists() {
                return Ok(project);
            }
        }
    }

    /// Waits until no other rig process changes the project, then reads it. `on_wait` is told the lock file when it has to wait.
    ///
    /// # Errors
    /// As [`Project::open`], and when `.rig` cannot be written.
    pub fn lock_for_change(root: &Path, on_wait: &mut dyn FnMut(&Path)) -> Result<(Self, ChangeLock), ProjectError> {
        if !root.join(commit::CONFIG).is_file() {
            return Err(ProjectError::NotFound { from: root.to_path_buf() });
        }
        let file = commit::exclusive(root, on_wait)?;
        let recovery = commit::recover(root)?;
        let project = Self { recovered: recovery == commit::Recovery::Completed, ..Self::read(root)? };
        Ok((project, ChangeLock { _file: file }))
    }

    fn read(root: &Path) -> Result<Self, ProjectError> {
        let config_path = root.join(commit::CONFIG);
        let config_text =
            commit::read(&config_path)?.ok_or_else(|| ProjectError::NotFound { from: root.to_path_buf() })?;
        let config = config::parse(&config_text, &config_path)?;
        let lock_path = root.join(commit::LOCK);
        let lock_text = commit::read(&lock_path)?;
        let lock =
            lock_text.as_ref().map_or_else(|| Ok(lockfile::empty()), |text| lockfile::parse(text, &lock_path))?;
        Ok(Self { root: root.to_path_buf(), config, config_text, lock, lock_text, recovered: false })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `rig.yaml` says.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What `rig.lock` says; a lock without packs when there is no file.
    #[must_use]
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The lock entry of a pack.
    #[must_use]
    pub fn locked(&self, id: &PackId) -> Option<&LockedPack> {
        self.lock.packs.get(id)
    }

    /// Whether `rig.yaml` offers the tools of a pack.
    #[must_use]
    pub fn is_enabled(&self, id: &PackId) -> bool {
        self.config.packs.contains(id)
    }

    /// Whether opening the project completed a change that a crash had interrupted.
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.recovered
    }

    /// Whether there is a `rig.lock`.
    #[must_use]
    pub fn has_lock(&self) -> bool {
        self.lock_text.is_some()
    }

    /// `rig.yaml`.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.root.join(commit::CONFIG)
    }

    /// `rig.lock`, whether it exists or not.
    #[must_use]
    pub fn lock_path(&self) -> PathBuf {
        self.root.join(commit::LOCK)
    }

    /// The file with secrets, whether it exists or not.
    #[must_use]
    pub fn env_path(&self) -> PathBuf {
        self.root.join(".env")
    }

    /// The folder with rig's own files.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.root.join(commit::STATE)
    }

    /// A path of `rig.yaml`, which is relative to that file.
    #[must_use]
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

/// The files that say which packs a project has, apart from its history. A change writes the last of them first.
pub(crate) fn files_with_packs(root: &Path) -> [PathBuf; 4] {
    let candidate = root.join(canary::FOLDER).join(canary::CANDIDATE);
    [root.join(commit::CONFIG), root.join(commit::LOCK), commit::journal_path(root), candidate]
}

/// Keeps others from changing rig's files of a project while they are read, where that is possible.
pub(crate) fn hold_shared(root: &Path) -> Option<File> {
    commit::shared(root, &mut |_| {}).ok().flatten()
}

/// Keeps others from reading or changing rig's files of a project, where that is possible.
pub(crate) fn hold_exclusive(root: &Path) -> Option<File> {
    commit::exclusive(root, &mut |_| {}).ok()
}

/// Held while a project is changed. Dropping it lets other rig processes go on.
#[derive(Debug)]
pub struct ChangeLock {
    _file: File,
}

impl ChangeLock {
    /// Makes the project say something else: both files or neither. A file whose text stays the same is not touched.
    ///
    /// `packs` and `metadata` are those of the new `rig.yaml`; `lock` is the new lock. When it holds other packs, the old one is kept
    /// as a snapshot, with what `change` says of the reason.
    ///
    /// # Errors
    /// When `rig.yaml` cannot be changed safely, or a file cannot be written. Nothing is changed then, unless the error says that
    /// a file could not be replaced: such a change is completed by the next rig that opens the project.
    pub fn commit(
        &self,
        project: &Project,
        packs: &[PackId],
        metadata: &std::collections::BTreeMap<PackId, rig_specs::config::PackMetadata>,
        lock: &Lock,
        change: &Change,
    ) -> Result<bool, ProjectError> {
        let changed = self.commit_until(project, packs, metadata, (lock, change), &mut |_| true)?;
        snapshots::prune(&project.root);
        Ok(changed)
    }

    #[allow(clippy::unused_self, reason = "holding the lock is what allows the change")]
    fn commit_until(
        &self,
        project: &Project,
        packs: &[PackId],
        metadata: &std::collections::BTreeMap<PackId, rig_specs::config::PackMetadata>,
        (lock, change): (&Lock, &Change),
        after: &mut dyn FnMut(commit::Step) -> bool,
    ) -> Result<bool, ProjectError> {
        let config_text = edit::apply(&project.config_text, &project.config, packs, metadata)?;
        let lock_text = if *lock == project.lock { project.lock_text.clone() } else { Some(lock.to_text()) };
        let snapshot = match &project.lock_text {
            Some(text) if lock.packs != project.lock.packs => {
                let config = (project.config.packs.as_slice(), &project.config.pack_metadata);
                let made = snapshots::file(&project.root, change, config, text);
                Some(made.map_err(|error| ProjectError::io("keep", &project.lock_path(), error.into()))?)
            }
            _ => None,
        };
        let mut changes = Vec::new();
        // First, so that no lock is replaced that is not kept.
        changes.extend(snapshot.as_ref().map(|(name, text)| (name.as_str(), None, text.as_str())));
        if let Some(text) = lock_text.as_deref().filter(|text| project.lock_text.as_deref() != Some(text)) {
            // What was written must be readable before anything relies on it.
            lockfile::parse(text, &project.lock_path())?;
            changes.push((commit::LOCK, project.lock_text.as_deref(), text));
        }
        if config_text != project.config_text {
            changes.push((commit::CONFIG, Some(project.config_text.as_str()), config_text.as_str()));
        }
        if changes.is_empty() {
            return Ok(false);
        }
        commit::commit(&project.root, &changes, after)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
