//! Looking at a folder and removing from it: plain files of this user only, under names that the caller chooses. No symbolic link is
//! followed, and nothing is removed that somebody uses.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Kind, Pruning, STALE};
use crate::home::hold::{self, Taken};

/// Something in a folder.
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) found: fs::Metadata,
}

impl Pruning<'_> {
    /// The plain files of a folder that are this user's. None when there is no such folder.
    pub(super) fn files(&mut self, folder: &Path) -> Vec<Entry> {
        self.entries(folder).into_iter().filter(|entry| entry.found.is_file()).collect()
    }

    /// As [`Pruning::files`], but folders.
    pub(super) fn folders(&mut self, folder: &Path) -> Vec<Entry> {
        self.entries(folder).into_iter().filter(|entry| entry.found.is_dir()).collect()
    }

    fn entries(&mut self, folder: &Path) -> Vec<Entry> {
        match fs::symlink_metadata(folder) {
            Ok(found) if found.is_dir() && found.uid() == self.user => {}
            Ok(found) => {
                let why = if found.is_dir() { "belongs to another user" } else { "is not a folder itself" };
                self.problem(format!("{} {why}: it was left alone", folder.display()), "nothing in it was removed");
                return Vec::new();
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.cannot("read", folder, &error);
                return Vec::new();
            }
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.cannot("read", folder, &error);
                return Vec::new();
            }
        };
        let user = self.user;
        let entry = |entry: fs::DirEntry| {
            let (path, name) = (entry.path(), entry.file_name().into_string().ok()?);
            let found = fs::symlink_metadata(&path).ok().filter(|found| found.uid() == user)?;
            Some(Entry { path, name, found })
        };
        let mut all: Vec<Entry> = entries.filter_map(|found| entry(found.ok()?)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Removes a file that nobody uses, if `still` agrees once nobody can begin to. Where there are no locks it must be older than
    /// `unlocked` at least. Says whether it is gone.
    pub(super) fn take_away(
        &mut self,
        kind: Kind,
        path: &Path,
        unlocked: Duration,
        still: &dyn Fn(&Self, &fs::Metadata) -> bool,
    ) -> bool {
        let Ok(seen) = fs::symlink_metadata(path) else { return false };
        if !still(self, &seen) {
            return false;
        }
        let taken = match hold::take(path, &seen) {
            Ok(taken) => taken,
            Err(error) => {
                self.cannot("open", path, &error);
                return false;
            }
        };
        let file = match taken {
            Taken::Alone(file) => file,
            Taken::Unlocked(file) if self.age(&seen) >= unlocked.max(STALE) => file,
            Taken::Unlocked(_) | Taken::InUse | Taken::Gone => return false,
        };
        if !file.metadata().is_ok_and(|found| still(self, &found)) {
            return false;
        }
        self.remove(kind, path, &seen)
    }

    /// Removes a file. To be called while nobody can begin to use it, or where that does no harm.
    pub(super) fn remove(&mut self, kind: Kind, path: &Path, found: &fs::Metadata) -> bool {
        if !self.options.dry_run
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            self.cannot("remove", path, &error);
            return false;
        }
        self.removed(kind, path, found.len(), self.age(found));
        true
    }

    pub(super) fn cannot(&mut self, action: &str, path: &Path, error: &io::Error) {
        self.problem(
            format!("cannot {action} {}: {error}", path.display()),
            "check its owner and permissions, then run `rig gc` again",
        );
    }
}
