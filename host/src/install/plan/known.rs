//! What is known of the packs that may play a part: from the index, the lock, and the components that were seen already.

use rig_specs::{
    PackId,
    lock::{LockedPack, Runtime},
};
use semver::{Op, Version, VersionReq};

use super::{
    Planner, choose,
    resolve::{Ask, Learnt, Needs},
};
use crate::install::{
    InstallError, LoadedIndex, load_pack,
    solve::{Barred, Known, Problem, Release, Root},
};

impl Planner<'_> {
    /// What is known of every pack that may play a part. With `strict` an index that cannot be read is an error where a pack is known
    /// from nowhere else.
    pub(super) async fn problem(&mut self, ask: &Ask, learnt: &Learnt, strict: bool) -> Result<Problem, InstallError> {
        let mut problem = Problem { roots: ask.roots.clone(), ..Problem::default() };
        let mut queue: Vec<PackId> = ask.roots.keys().cloned().collect();
        let mut tried = false;
        while let Some(id) = queue.pop() {
            if problem.packs.contains_key(&id) || problem.absent.contains_key(&id) {
                continue;
            }
            let root = ask.roots.get(&id);
            if !matches!(root, Some(Root::Kept(_) | Root::Given(_))) && self.index.is_none() && !tried {
                tried = true;
                if let Err(error) = self.index().await
                    && strict
                {
                    return Err(error.into());
                }
            }
            let known = match self.known(&id, root, ask, learnt) {
                Ok(known) => known,
                Err(why) => {
                    problem.absent.insert(id, why);
                    continue;
                }
            };
            queue.extend(known.versions.values().flat_map(|release| release.needs.keys().cloned()));
            problem.packs.insert(id, known);
        }
        Ok(problem)
    }

    /// The versions of a pack; else why there are none.
    fn known(&self, id: &PackId, root: Option<&Root>, ask: &Ask, learnt: &Learnt) -> Result<Known, String> {
        if let Some((version, needs)) = learnt.given.get(id) {
            let release = Release { needs: needs.clone(), barred: None };
            return Ok(Known { versions: [(version.clone(), release)].into(), preferred: None });
        }
        let locked = self.project.locked(id);
        if let (Some(Root::Kept(version)), Some(locked)) = (root, locked)
            && *version == locked.version
        {
            let release = Release { needs: self.needs_of_kept(locked, ask, learnt), barred: None };
            return Ok(Known { versions: [(version.clone(), release)].into(), preferred: None });
        }
        let mut known = Known::default();
        let mut why = None;
        if let Some(loaded) = &self.index {
            match choose::releases(&loaded.index, id) {
                Ok(releases) => {
                    for (version, release) in releases {
                        let newer = release.min_rig.clone().filter(|needs| *needs > self.installer.rig);
                        let barred = newer.map(Barred::NeedsRig);
                        let barred = if release.yanked { Some(Barred::Withdrawn) } else { barred };
                        let learnt = learnt.needs.get(&(id.clone(), version.clone()));
                        let needs = learnt.unwrap_or(&release.dependencies).clone();
                        known.versions.insert(version.clone(), Release { needs, barred });
                    }
                }
                Err(error) => why = Some(error.to_string()),
            }
        }
        if let Some(locked) = locked.filter(|locked| locked.runtime == Runtime::Wasm) {
            let needs = self.needs_of_locked(locked);
            known.versions.insert(locked.version.clone(), Release { needs, barred: None });
            known.preferred = matches!(root, Some(Root::Movable | Root::Kept(_))).then(|| locked.version.clone());
        }
        match (known.versions.is_empty(), why) {
            (true, Some(why)) => Err(why),
            (true, None) => Err(format!("there is no pack `{id}`")),
            (false, _) => Ok(known),
        }
    }

    /// What an installed pack needs, by its own manifest where its component is there, else by the index, else by the lock.
    fn needs_of_locked(&self, locked: &LockedPack) -> Needs {
        if locked.dependencies.is_empty() {
            return Needs::new();
        }
        if let Ok((_, pack)) = load_pack(&self.installer.home, locked) {
            return pack.manifest.dependencies;
        }
        let releases = self.index.as_ref().and_then(|loaded| choose::releases(&loaded.index, &locked.pack_id).ok());
        let release = releases.and_then(|releases| releases.get(&locked.version));
        if let Some(release) = release.filter(|release| Some(release.sha256) == locked.integrity) {
            return release.dependencies.clone();
        }
        let exactly = |version: &str| {
            let version: Version = version.parse().ok()?;
            let comparator = semver::Comparator {
                op: Op::Exact,
                major: version.major,
                minor: Some(version.minor),
                patch: Some(version.patch),
                pre: version.pre,
            };
            Some(VersionReq { comparators: vec![comparator] })
        };
        locked.dependencies.iter().filter_map(|(id, version)| Some((id.clone(), exactly(version)?))).collect()
    }

    /// Of a pack that stays, only what it needs of packs that may move counts: that it fits the others that stay is not for this
    /// command to judge, and a pack that is missing is brought in only where it can be had.
    fn needs_of_kept(&self, locked: &LockedPack, ask: &Ask, learnt: &Learnt) -> Needs {
        let mut needs = self.needs_of_locked(locked);
        needs.retain(|id, _| match ask.roots.get(id) {
            Some(Root::Kept(_)) => false,
            Some(_) => true,
            None => {
                let offered = |loaded: &LoadedIndex| choose::releases(&loaded.index, id).is_ok();
                learnt.given.contains_key(id) || self.index.as_ref().is_some_and(offered)
            }
        });
        needs
    }
}
