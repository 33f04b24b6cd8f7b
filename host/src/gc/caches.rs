//! Caches: compiled code, what cargo keeps for packs, and the temporary files that a crash left beside what it was to replace. To lose
//! one costs time, never more.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use rig_specs::Sha256;

use super::{Kind, Needed, Pruning, STALE, digest, entries::Entry};
use crate::home::{
    Home,
    hold::{self, Taken},
};

/// A folder of builds that is being removed.
const GONE: &str = ".gone-";

impl Pruning<'_> {
    /// Compiled code of components that are not in the store, and what was not used for long; but of each component the form that was
    /// used last stays.
    pub(super) fn compiled(&mut self, stored: &BTreeSet<Sha256>) {
        let mut forms: BTreeMap<Sha256, Vec<Entry>> = BTreeMap::new();
        for entry in self.files(&self.home.compiled()) {
            let of = entry.name.strip_suffix(".cwasm").and_then(|name| name.split_once('-'));
            let is_key = |key: &str| key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
            if let Some(digest) = of.and_then(|(name, key)| digest(name).filter(|_| is_key(key))) {
                forms.entry(digest).or_default().push(entry);
            }
        }
        for (digest, mut forms) in forms {
            forms.sort_by_key(|form| self.age(&form.found));
            let stays = usize::from(stored.contains(&digest));
            for form in forms.into_iter().skip(stays) {
                // An install compiles before it puts the component into the store.
                let least = if stays == 0 { STALE.min(self.options.older_than) } else { self.options.older_than };
                if self.age(&form.found) >= least {
                    self.remove(Kind::Compiled, &form.path, &form.found);
                }
            }
        }
    }

    /// Files that were to replace another when their process ended: in the folders of rig and of the projects.
    pub(super) fn temporary(&mut self, needed: &Needed) {
        let home = self.home;
        let mut folders = vec![home.compiled(), home.projects(), home.indexes(), home.keys(), home.anchors()];
        for project in needed.projects.iter().filter(|project| project.there) {
            let state = project.root.join(".rig");
            // A link in place of the folder would lead elsewhere.
            if fs::symlink_metadata(&state).is_ok_and(|found| found.is_dir()) {
                folders.push(state.join("cache"));
            }
        }
        for folder in folders {
            for entry in self.files(&folder) {
                if is_temporary(&entry.name) && self.age(&entry.found) >= STALE {
                    self.remove(Kind::Temporary, &entry.path, &entry.found);
                }
            }
        }
    }

    /// What cargo keeps for packs on an SDK that no pack was built with for long.
    pub(super) fn builds(&mut self) {
        for entry in self.folders(&self.home.builds()) {
            if entry.name.strip_prefix(GONE).is_some() {
                self.remove_build(&entry.path, &entry);
                continue;
            }
            let is_build = entry.name.len() == 16 && entry.name.bytes().all(|byte| byte.is_ascii_hexdigit());
            let used = entry.path.join(Home::USED);
            let Ok(seen) = fs::symlink_metadata(&used) else { continue };
            if !is_build || self.age(&seen) < self.options.older_than {
                continue;
            }
            match hold::take(&used, &seen) {
                Ok(Taken::Alone(_held)) => {
                    let aside = entry.path.with_file_name(format!("{GONE}{}", entry.name));
                    if self.options.dry_run {
                        self.remove_build(&entry.path, &entry);
                    } else if let Err(error) = fs::rename(&entry.path, &aside) {
                        self.cannot("remove", &entry.path, &error);
                    } else {
                        self.remove_build(&aside, &entry);
                    }
                }
                Ok(_) => {}
                Err(error) => self.cannot("open", &used, &error),
            }
        }
    }

    fn remove_build(&mut self, path: &Path, entry: &Entry) {
        let (size, age) = (size(path), self.age(&entry.found));
        // The standard library's walk follows no links.
        if !self.options.dry_run
            && let Err(error) = fs::remove_dir_all(path)
        {
            self.cannot("remove", path, &error);
            return;
        }
        self.removed(Kind::BuildCache, &entry.path, size, age);
    }
}

/// The names that the crate for temporary files gives.
fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix(".tmp");
    random.is_some_and(|random| random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Of all files in a folder.
fn size(folder: &Path) -> u64 {
    let mut total = 0;
    let mut folders: Vec<PathBuf> = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.path().symlink_metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => total += found.len(),
                Err(_) => {}
            }
        }
    }
    total
}
