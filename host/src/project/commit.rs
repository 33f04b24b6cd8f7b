//! Changes `rig.lock`, `rig.yaml` and the history of locks as one transition that survives a crash at any moment.
//!
//! 1. `.rig/journal.json` is written with the new texts: to a temporary file, synced, renamed, folder synced. From here on the
//!    change is decided; before, nothing has happened.
//! 2. The snapshot of the old lock is written, then each file is replaced by rename. 3. The journal is removed.
//!
//! Whoever opens the project next completes a journal that is still there. A journal never overwrites what a person changed in
//! between: it is completed only while every file is still what the journal replaces, or already what it writes.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rig_specs::Sha256;
use serde::{Deserialize, Serialize};

use super::{ProjectError, snapshots};

pub(super) const CONFIG: &str = "rig.yaml";
pub(super) const LOCK: &str = "rig.lock";
/// The folder of rig's own files in a project.
pub(super) const STATE: &str = ".rig";
const JOURNAL_VERSION: u32 = 1;
/// The largest `rig.yaml`, `rig.lock` or journal that is read: far above any real one, far below what hurts.
pub(super) const MAX_FILE: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Journal {
    version: u32,
    files: Vec<Entry>,
}

/// One file of a transition.
#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    /// Of the text that is replaced; nothing when there was no file.
    old: Option<Sha256>,
    new: Sha256,
    text: String,
}

/// The moments between which a crash can fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    JournalStaged,
    JournalInPlace,
    FileStaged(usize),
    FileReplaced(usize),
    Done,
}

/// What became of a journal that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    Nothing,
    Completed,
    /// The journal was damaged, or a person has changed the files since.
    Dropped,
}

pub(super) fn journal_path(root: &Path) -> PathBuf {
    root.join(STATE).join("journal.json")
}

/// Replaces the files. `after` is asked after each step whether to go on; a test says no where the process would have died.
pub(super) fn commit(
    root: &Path,
    changes: &[(&str, Option<&str>, &str)],
    after: &mut dyn FnMut(Step) -> bool,
) -> Result<(), ProjectError> {
    let files: Vec<Entry> = changes
        .iter()
        .map(|(name, old, new)| Entry {
            name: (*name).to_owned(),
            old: old.map(|text| Sha256::of(text.as_bytes())),
            new: Sha256::of(new.as_bytes()),
            text: (*new).to_owned(),
        })
        .collect();
    for file in &files {
        prepare(root, &file.name)?;
    }
    let journal = Journal { version: JOURNAL_VERSION, files };
    let text = serde_json::to_string(&journal).map_err(|error| {
        ProjectError::io("write", &journal_path(root), io::Error::new(io::ErrorKind::InvalidData, error))
    })?;
    if !replace(&journal_path(root), &text, 0o600, &mut || after(Step::JournalStaged))? || !after(Step::JournalInPlace)
    {
        return Ok(());
    }
    for (position, file) in journal.files.iter().enumerate() {
        let path = root.join(&file.name);
        match replace(&path, &file.text, 0o666, &mut || after(Step::FileStaged(position))) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                let before = &journal.files[..position];
                if before.iter().all(|file| is_snapshot(&file.name)) {
                    // Nothing has been replaced: take the decision back.
                    for file in before {
                        let _ = fs::remove_file(root.join(&file.name));
                    }
                    let _ = fs::remove_file(journal_path(root));
                }
                return Err(error);
            }
        }
        if !after(Step::FileReplaced(position)) {
            return Ok(());
        }
    }
    remove(&journal_path(root))?;
    after(Step::Done);
    Ok(())
}

fn is_snapshot(name: &str) -> bool {
    let file = name.strip_prefix(snapshots::FOLDER).and_then(|rest| rest.strip_prefix('/'));
    file.and_then(snapshots::number).is_some()
}

/// Whether a journal may write a file of that name.
fn is_ours(name: &str) -> bool {
    matches!(name, CONFIG | LOCK) || is_snapshot(name)
}

/// Makes sure that a file can be replaced where it is.
fn prepare(root: &Path, name: &str) -> Result<(), ProjectError> {
    if is_snapshot(name) {
        let folder = root.join(snapshots::FOLDER);
        refuse_symlink(&folder)?;
        fs::create_dir_all(&folder).map_err(|error| ProjectError::io("make", &folder, error))?;
    }
    refuse_symlink(&root.join(name))
}

/// Completes or drops a journal that a crash left behind. To be called with the project's lock held.
pub(super) fn recover(root: &Path) -> Result<Recovery, ProjectError> {
    let path = journal_path(root);
    for leftover in [&path, &root.join(CONFIG), &root.join(LOCK)] {
        remove(&staged_path(leftover))?;
    }
    snapshots::sweep(root)?;
    let Some(text) = read(&path)? else { return Ok(Recovery::Nothing) };
    let sound = |journal: &Journal| {
        journal.version == JOURNAL_VERSION
            && journal.files.iter().all(|file| is_ours(&file.name) && Sha256::of(file.text.as_bytes()) == file.new)
    };
    let recovery = match serde_json::from_str::<Journal>(&text).ok().filter(sound) {
        Some(journal) if untouched(root, &journal)? => {
            for file in &journal.files {
                prepare(root, &file.name)?;
                replace(&root.join(&file.name), &file.text, 0o666, &mut || true)?;
            }
            Recovery::Completed
        }
        _ => Recovery::Dropped,
    };
    remove(&path)?;
    Ok(recovery)
}

fn untouched(root: &Path, journal: &Journal) -> Result<bool, ProjectError> {
    for file in &journal.files {
        let found = read(&root.join(&file.name))?.map(|text| Sha256::of(text.as_bytes()));
        if found != file.old && found != Some(file.new) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn staged_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".rig-new");
    path.with_file_name(name)
}

/// Replaces one file by rename, keeping the mode of the old one. Says whether it went on after staging.
fn replace(path: &Path, text: &str, mode: u32, staged: &mut dyn FnMut() -> bool) -> Result<bool, ProjectError> {
    let temporary = staged_path(path);
    let write = || -> io::Result<()> {
        // `create_new` never follows a symbolic link that waits under the name.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        if let Ok(old) = fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    let fail = |error| {
        let _ = fs::remove_file(&temporary);
        ProjectError::io("write", path, error)
    };
    write().map_err(fail)?;
    if !staged() {
        return Ok(false);
    }
    fs::rename(&temporary, path).map_err(fail)?;
    sync_folder(path)?;
    Ok(true)
}

/// Replaces one file that stands for itself.
pub(super) fn replace_file(path: &Path, text: &str) -> Result<(), ProjectError> {
    refuse_symlink(path)?;
    remove(&staged_path(path))?;
    replace(path, text, 0o666, &mut || true).map(drop)
}

pub(super) fn remove(path: &Path) -> Result<(), ProjectError> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
        Err(error) => Err(ProjectError::io("remove", path, error)),
    }
}

/// A rename or removal is durable only once the folder is on disk.
fn sync_folder(path: &Path) -> Result<(), ProjectError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| ProjectError::io("write", folder, error))
}

/// The text of a file, or nothing when there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, ProjectError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(ProjectError::io("read", path, error)),
    };
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        let why = if metadata.is_file() { "the file is larger than 64 MiB" } else { "it is not a file" };
        return Err(ProjectError::io("read", path, io::Error::new(io::ErrorKind::InvalidData, why)));
    }
    fs::read_to_string(path).map(Some).map_err(|error| ProjectError::io("read", path, error))
}

/// A rename would replace the link, not the file that it names.
pub(super) fn refuse_symlink(path: &Path) -> Result<(), ProjectError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => Err(ProjectError::Symlink { path: path.to_path_buf() }),
        _ => Ok(()),
    }
}

/// Opens the file that all rig processes of a project lock.
fn lock_file(root: &Path, create: bool) -> Result<Option<File>, ProjectError> {
    let folder = root.join(STATE);
    let path = folder.join("lock");
    refuse_symlink(&folder)?;
    refuse_symlink(&path)?;
    if create {
        fs::create_dir_all(&folder).map_err(|error| ProjectError::io("make", &folder, error))?;
    }
    let opened = OpenOptions::new().read(true).write(create).create(create).truncate(false).open(&path);
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if !create && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ProjectError::io("open", &path, error)),
    }
}

/// Waits for the lock for changes.
pub(super) fn exclusive(root: &Path, on_wait: &mut dyn FnMut(&Path)) -> Result<File, ProjectError> {
    let path = root.join(STATE).join("lock");
    let Some(file) = lock_file(root, true)? else {
        return Err(ProjectError::io("open", &path, io::ErrorKind::NotFound.into()));
    };
    wait(file.try_lock(), &path, on_wait, || file.lock())?;
    Ok(file)
}

/// Waits for the lock for reading, if there is one: where nothing was ever changed, there is nothing to wait for.
pub(super) fn shared(root: &Path, on_wait: &mut dyn FnMut(&Path)) -> Result<Option<File>, ProjectError> {
    let Some(file) = lock_file(root, false)? else { return Ok(None) };
    wait(file.try_lock_shared(), &root.join(STATE).join("lock"), on_wait, || file.lock_shared())?;
    Ok(Some(file))
}

fn wait(
    tried: Result<(), TryLockError>,
    path: &Path,
    on_wait: &mut dyn FnMut(&Path),
    lock: impl FnOnce() -> io::Result<()>,
) -> Result<(), ProjectError> {
    let result = match tried {
        Err(TryLockError::WouldBlock) => {
            on_wait(path);
            lock()
        }
        Err(TryLockError::Error(error)) => Err(error),
        Ok(()) => Ok(()),
    };
    match result {
        // Some network file systems have no locks; working without is what people there expect of every tool.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        other => other.map_err(|error| ProjectError::io("lock", path, error)),
    }
}
