//! What to do when no versions go together: a next step that was tried out, and what stands in the way of one version.

use std::collections::{BTreeMap, BTreeSet};

use rig_specs::PackId;
use semver::Version;

use super::{
    Planner,
    resolve::{Ask, Learnt},
};
use crate::install::{
    InstallError,
    solve::{NoSolution, Root, solve},
    source::Wanted,
};

impl Planner<'_> {
    /// The error for a person, with a next step that was tried out.
    pub(super) async fn unsolved(&mut self, none: NoSolution, ask: &Ask, learnt: &Learnt) -> InstallError {
        let mut told = none.clone();
        let next = self.next_step(none, &mut told, ask, learnt).await;
        InstallError::NoSolution { facts: told.facts, conclusion: told.conclusion, next }
    }

    /// `told` becomes the reason behind the first one: that an installed pack stays matters less than who keeps it there.
    async fn next_step(&mut self, none: NoSolution, told: &mut NoSolution, ask: &Ask, learnt: &Learnt) -> String {
        fn list(ids: impl IntoIterator<Item = impl ToString>) -> String {
            ids.into_iter().map(|id| id.to_string()).collect::<Vec<_>>().join(" ")
        }
        if none.kept.is_empty() {
            return "name other versions, or tell whoever keeps the packs; `--refresh` reads the index again".into();
        }
        let uninstall = |ids: &BTreeSet<PackId>| {
            format!("no version that the index has fits; `rig uninstall {}` would make room", list(ids))
        };
        // Would it work if what stands in the way could move, and what then stands in the way of that?
        let (mut freed, mut in_the_way) = (ask.clone(), none.kept);
        let together = loop {
            for id in &in_the_way {
                freed.roots.insert(id.clone(), Root::Movable);
            }
            let Ok(problem) = self.problem(&freed, learnt, false).await else { return uninstall(&in_the_way) };
            match solve(&problem) {
                Ok(together) => break together,
                Err(none) if none.kept.is_subset(&in_the_way) => return uninstall(&in_the_way),
                Err(none) => {
                    in_the_way.extend(none.kept.iter().cloned());
                    *told = none;
                }
            }
        };
        let moved: Vec<(&PackId, &Version)> = in_the_way
            .iter()
            .filter_map(|id| Some((id, together.get(id)?)))
            .filter(|(id, version)| self.project.locked(id).is_some_and(|locked| locked.version != **version))
            .collect();
        // Does bringing them up to date do? What another of them needs moves along without being named.
        let needed = |id: &PackId| {
            let by = |other: &&PackId| {
                *other != id && self.project.locked(other).is_some_and(|locked| locked.dependencies.contains_key(id))
            };
            moved.iter().map(|(other, _)| *other).any(|other| by(&other))
        };
        let ids: Vec<PackId> = moved.iter().map(|(id, _)| *id).filter(|id| !needed(id)).cloned().collect();
        if let Some(updated) = self.would_choose(&ids).await {
            let mut after = ask.clone();
            for (id, version) in updated {
                if matches!(after.roots.get(&id), None | Some(Root::Kept(_))) {
                    after.roots.insert(id, Root::Kept(version));
                }
            }
            if self.solved(&after, learnt).await.is_some() {
                return format!("run `rig update {}`, then this command again", list(&ids));
            }
        }
        let versions = moved.iter().map(|(id, version)| format!("{id}@{version}"));
        format!("name them with versions that fit: `rig install … {}`", list(versions))
    }

    async fn solved(&mut self, ask: &Ask, learnt: &Learnt) -> Option<BTreeMap<PackId, Version>> {
        let problem = self.problem(ask, learnt, false).await.ok()?;
        solve(&problem).ok()
    }

    /// The versions that an update of these packs would choose, by what is known without fetching anything.
    pub(in crate::install) async fn would_choose(&mut self, ids: &[PackId]) -> Option<BTreeMap<PackId, Version>> {
        let ask = self.updating(ids, None);
        self.solved(&ask, &Learnt::default()).await
    }

    /// What stands against a version of an installed pack.
    pub(in crate::install) async fn why_not(&mut self, id: &PackId, version: &Version) -> Vec<String> {
        let wanted = Wanted::Exact(version.clone());
        let ask = self.updating(std::slice::from_ref(id), Some(&wanted));
        match self.problem(&ask, &Learnt::default(), false).await.map(|problem| solve(&problem)) {
            Ok(Err(mut none)) => {
                // That is what rig tried, not what anybody asked for.
                let tried = format!("`{id}` {version} was asked for");
                none.facts.retain(|fact| *fact != tried);
                none.facts
            }
            // It would fit alone, but not with all that moves at once.
            _ => vec![format!("`{id}` {version} does not fit what is updated with it")],
        }
    }
}
