//! Components that no project needs, and downloads that were not finished.

use std::{collections::BTreeSet, fs::File};

use rig_specs::Sha256;

use super::{Kind, Needed, Pruning, digest, entries::Entry};
use crate::{
    home::hold::{self, Taken},
    install::store::{
        STAGED, STALE,
        parts::{KEPT, PART},
    },
};

/// How many components are taken at once, each an open file, before the projects are looked at again.
const BATCH: usize = 64;

impl Pruning<'_> {
    /// Says which digests are not in the store afterwards.
    pub(super) fn components(&mut self, needed: &Needed) -> BTreeSet<Sha256> {
        let (mut there, mut old) = (BTreeSet::new(), Vec::new());
        for entry in self.files(&self.home.store()) {
            let Some(digest) = digest(&entry.name) else { continue };
            there.insert(digest);
            self.report.kept.components += 1;
            self.report.kept.size += entry.found.len();
            if needed.digests.contains(&digest) {
                if !self.options.dry_run
                    && let Ok(file) = File::open(&entry.path)
                {
                    // Should its project go, its time begins now.
                    hold::mark(&file);
                }
            } else if self.age(&entry.found) >= self.options.older_than {
                old.push((digest, entry));
            }
        }
        if needed.unknown.is_empty() {
            for batch in old.chunks(BATCH) {
                for digest in self.batch(batch) {
                    there.remove(&digest);
                }
            }
        }
        there
    }

    fn batch(&mut self, batch: &[(Sha256, Entry)]) -> Vec<Sha256> {
        let mut alone = Vec::new();
        for (digest, entry) in batch {
            match hold::take(&entry.path, &entry.found) {
                Ok(Taken::Alone(file)) => alone.push((digest, entry, file)),
                // Without locks nobody can be kept from beginning to use it: only what is old enough not to have been put there
                // by an install that still runs.
                Ok(Taken::Unlocked(file)) if self.age(&entry.found) >= STALE => alone.push((digest, entry, file)),
                Ok(Taken::InUse) => self.report.kept.in_use += 1,
                Ok(Taken::Unlocked(_) | Taken::Gone) => {}
                Err(error) => self.cannot("open", &entry.path, &error),
            }
        }
        if alone.is_empty() {
            return Vec::new();
        }
        // Whoever let go of one of them since the first look has written a lock that names it.
        let now = self.needed();
        if !now.unknown.is_empty() {
            self.report.problems.extend(now.unknown);
            return Vec::new();
        }
        let mut gone = Vec::new();
        for (digest, entry, _taken) in &alone {
            if !now.digests.contains(digest) && self.remove(Kind::Component, &entry.path, &entry.found) {
                self.report.kept.components -= 1;
                self.report.kept.size -= entry.found.len();
                gone.push(**digest);
            }
        }
        gone
    }

    /// What downloads left. A running one holds its file.
    pub(super) fn downloads(&mut self) {
        for entry in self.files(&self.home.staging()) {
            let age = match &*entry.name {
                name if name.starts_with(STAGED) => STALE,
                name if name.starts_with(PART) => KEPT,
                _ => continue,
            };
            let old = |pruning: &Self, found: &std::fs::Metadata| pruning.age(found) >= age;
            self.take_away(Kind::Download, &entry.path, age, &old);
        }
    }
}
