//! From what a person named to the versions of all that is needed. What is installed stays as it is, unless it was named; what was named
//! and what that needs is chosen together ([`solve`]).
//!
//! An index may leave out what a release needs: the manifest in the component counts. So when a component that was chosen needs
//! something else than was thought, the versions are chosen again with what is known then.

use std::collections::{BTreeMap, BTreeSet};

use rig_specs::{
    PackId,
    lock::{LockedPack, Runtime},
};
use semver::{Version, VersionReq};

use super::{
    Planned, Planner, choose,
    find::{Component, Sought},
    of_registry,
};
use crate::install::{
    InstallError, LoadedIndex,
    index::{IndexError, Mode},
    net::NetError,
    solve::{Root, solve},
    source::{Request, Wanted},
    update,
};

pub(super) type Needs = BTreeMap<PackId, VersionReq>;

/// What the project is to have, and what was named for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Ask {
    pub(super) roots: BTreeMap<PackId, Root>,
    /// In the order in which they were named.
    pub(super) named: Vec<PackId>,
}

impl Ask {
    fn name(&mut self, id: &PackId, root: Root) {
        if !self.named.contains(id) {
            self.named.push(id.clone());
        }
        self.roots.insert(id.clone(), root);
    }
}

/// What was learnt on the way.
#[derive(Default)]
pub(super) struct Learnt {
    /// Components that were given as files or by URL.
    pub(super) given: BTreeMap<PackId, (Version, Needs)>,
    /// What components need by their own manifests.
    pub(super) needs: BTreeMap<(PackId, Version), Needs>,
    /// Components that were fetched and inspected.
    ready: BTreeMap<(PackId, Version), Planned>,
}

impl Planner<'_> {
    /// The packs of an install.
    pub(super) async fn install(&mut self, requests: &[Request]) -> Result<Vec<Planned>, InstallError> {
        let mut ask = Ask { roots: self.kept(), named: Vec::new() };
        let mut learnt = Learnt::default();
        // What a component needs says which others are chosen, so those that were named by where they are come first.
        let mut sought = Vec::new();
        for request in requests {
            match request {
                Request::Url { url, sha256 } => sought.push(Self::url(url, *sha256)),
                Request::Oci { reference, version, sha256 } => {
                    sought.push(self.oci(reference, version.as_ref(), *sha256).await?);
                }
                Request::File(_) | Request::Named { .. } => {}
            }
        }
        let mut elsewhere = self.obtain(sought).await?.into_iter();
        for request in requests {
            match request {
                Request::File(path) => self.give(self.file(path)?, &mut ask, &mut learnt)?,
                Request::Url { .. } | Request::Oci { .. } => {
                    if let Some(component) = elsewhere.next() {
                        self.give(component, &mut ask, &mut learnt)?;
                    }
                }
                Request::Named { id, version } => self.name(id, version.as_ref(), &mut ask).await?,
            }
        }
        Ok(self.choose_all(&ask, learnt).await?.0)
    }

    /// Every installed pack as it is.
    pub(super) fn kept(&self) -> BTreeMap<PackId, Root> {
        let kept = |(id, locked): (&PackId, &LockedPack)| (id.clone(), Root::Kept(locked.version.clone()));
        self.project.lock().packs.iter().map(kept).collect()
    }

    fn give(&self, component: Component, ask: &mut Ask, learnt: &mut Learnt) -> Result<(), InstallError> {
        let planned = self.planned(component)?;
        let (id, version) = (planned.id().clone(), planned.version().clone());
        let twice = || InstallError::NamedTwice { pack: id.clone() };
        let key = (id.clone(), version.clone());
        if let Some(other) = learnt.ready.get(&key)
            && other.inspected.sha256 != planned.inspected.sha256
        {
            return Err(twice());
        }
        match ask.roots.get(&id) {
            Some(Root::Given(other)) if *other != version => return Err(twice()),
            Some(Root::Named(Some(wanted))) if !wanted.matches(&version) => return Err(twice()),
            _ => {}
        }
        learnt.given.insert(id.clone(), (version.clone(), planned.inspected.pack.manifest.dependencies.clone()));
        ask.name(&id, Root::Given(version));
        learnt.ready.insert(key, planned);
        Ok(())
    }

    async fn name(&mut self, id: &PackId, wanted: Option<&Wanted>, ask: &mut Ask) -> Result<(), InstallError> {
        // An installed pack that is named again stays what it is, unless another version is asked for, or it is another pack now.
        let locked = self.stays(id, wanted).is_some();
        let mode = self.options.mode;
        match self.index().await {
            Ok(_) => {}
            // Then the lock alone says what it is.
            Err(error) if locked && tolerable(&error, mode) => {}
            Err(error) => return Err(error.into()),
        }
        let stays = self.stays(id, wanted);
        let twice = || InstallError::NamedTwice { pack: id.clone() };
        match ask.roots.get(id) {
            Some(Root::Given(version)) => {
                let same = wanted.is_none_or(|wanted| wanted.matches(version));
                return if same { Ok(()) } else { Err(twice()) };
            }
            Some(root @ (Root::Named(_) | Root::Kept(_))) if ask.named.contains(id) => {
                let other = match root {
                    Root::Named(other) => other.clone(),
                    _ => stays.clone().map(Wanted::Exact),
                };
                match (other, wanted) {
                    (None, Some(_)) => {}
                    (Some(other), Some(wanted)) if other != *wanted => return Err(twice()),
                    (_, None) | (Some(_), Some(_)) => return Ok(()),
                }
            }
            _ => {}
        }
        if let Some(version) = stays {
            ask.name(id, Root::Kept(version));
            return Ok(());
        }
        if let Some(loaded) = &self.index {
            self.runs(loaded, id, wanted)?;
        }
        ask.name(id, Root::Named(wanted.cloned()));
        Ok(())
    }

    /// The installed version of a pack, when it is what is wanted. The same id in another index is another pack.
    pub(super) fn stays(&self, id: &PackId, wanted: Option<&Wanted>) -> Option<Version> {
        let locked = self.project.locked(id).filter(|locked| locked.runtime == Runtime::Wasm)?;
        // One of a registry stays as long as the index has none of that name.
        let elsewhere = |loaded: &LoadedIndex| of_registry(locked).is_some() && !loaded.index.packs.contains_key(id);
        if let (Some(origin), Some(loaded)) = (&locked.origin, &self.index)
            && !loaded.is_origin(self.project, origin)
            && !elsewhere(loaded)
        {
            return None;
        }
        wanted.is_none_or(|wanted| wanted.matches(&locked.version)).then(|| locked.version.clone())
    }

    /// Chooses, fetches and inspects until what was chosen is what the components themselves say they need.
    async fn choose_all(
        &mut self,
        ask: &Ask,
        mut learnt: Learnt,
    ) -> Result<(Vec<Planned>, BTreeMap<PackId, Version>), InstallError> {
        let chosen = loop {
            let problem = self.problem(ask, &learnt, true).await?;
            let chosen = match solve(&problem) {
                Ok(chosen) => chosen,
                Err(none) => return Err(self.unsolved(none, ask, &learnt).await),
            };
            let mut surprised = false;
            let keys = chosen.iter().map(|(id, version)| (id.clone(), version.clone()));
            let keys: Vec<(PackId, Version)> =
                keys.filter(|key| !learnt.ready.contains_key(key) && self.changes(ask, &key.0, &key.1)).collect();
            let sought = keys.iter().map(|(id, version)| self.sought(ask, id, version));
            let components = self.obtain(sought.collect::<Result<_, _>>()?).await?;
            for (key, component) in keys.into_iter().zip(components) {
                let (id, version, planned) = (&key.0, &key.1, self.planned(component)?);
                self.check_named(id, version, &planned)?;
                let needs = &planned.inspected.pack.manifest.dependencies;
                let thought = problem.packs.get(id).and_then(|known| Some(&known.versions.get(version)?.needs));
                if !matches!(ask.roots.get(id), Some(Root::Kept(_))) && thought != Some(needs) {
                    learnt.needs.insert(key.clone(), needs.clone());
                    surprised = true;
                }
                learnt.ready.insert(key, planned);
            }
            if !surprised {
                break chosen;
            }
        };
        Ok((self.in_order(ask, &chosen, learnt), chosen))
    }

    /// Whether a pack that was chosen belongs in the plan: what is new, what moves, and what was named to be installed.
    fn changes(&self, ask: &Ask, id: &PackId, version: &Version) -> bool {
        let same = self.project.locked(id).is_some_and(|locked| locked.version == *version);
        match ask.roots.get(id) {
            Some(Root::Kept(_)) => ask.named.contains(id),
            Some(Root::Updated(_) | Root::Movable) => !same,
            _ => true,
        }
    }

    fn sought(&self, ask: &Ask, id: &PackId, version: &Version) -> Result<Sought, InstallError> {
        match (ask.roots.get(id), self.project.locked(id)) {
            (Some(Root::Kept(_)), Some(locked)) => self.keep(locked),
            _ => self.release(id, version),
        }
    }

    /// What was named in its order, then what that needs, each after what needs it.
    fn in_order(&self, ask: &Ask, chosen: &BTreeMap<PackId, Version>, mut learnt: Learnt) -> Vec<Planned> {
        let mut packs: Vec<Planned> = Vec::new();
        let mut queue: Vec<(PackId, Option<PackId>)> = ask.named.iter().map(|id| (id.clone(), None)).collect();
        queue.extend(chosen.keys().filter(|id| self.project.locked(id).is_some()).map(|id| (id.clone(), None)));
        let (mut next, mut seen) = (0, BTreeSet::new());
        // What needs it is looked at in the order of the plan; what is left over comes last.
        while next < queue.len() {
            let (id, needed_by) = queue[next].clone();
            next += 1;
            let Some(version) = chosen.get(&id).filter(|_| seen.insert(id.clone())) else { continue };
            let Some(mut planned) = learnt.ready.remove(&(id.clone(), version.clone())) else { continue };
            let needs = planned.inspected.pack.manifest.dependencies.keys();
            let version_of = |id: &PackId| {
                let locked = || self.project.locked(id).map(|locked| &locked.version);
                chosen.get(id).or_else(locked).map(ToString::to_string)
            };
            planned.dependencies = needs.clone().filter_map(|id| Some((id.clone(), version_of(id)?))).collect();
            queue.extend(needs.map(|needed| (needed.clone(), Some(id.clone()))));
            planned.needed_by = needed_by;
            packs.push(planned);
        }
        packs
    }

    /// What is asked for when installed packs are brought up to date: they move, what they need may, all others stay.
    pub(super) fn updating(&self, ids: &[PackId], wanted: Option<&Wanted>) -> Ask {
        let mut ask = Ask { roots: self.kept(), named: ids.to_vec() };
        ask.roots.extend(update::roots(&self.project.lock().packs, ids, wanted));
        ask
    }

    /// The packs of an update that change, and the versions of all that were considered.
    pub(in crate::install) async fn update(
        &mut self,
        ids: &[PackId],
        wanted: Option<&Wanted>,
        given: Vec<Component>,
    ) -> Result<(Vec<Planned>, BTreeMap<PackId, Version>), InstallError> {
        let (mut ask, mut learnt) = (self.updating(ids, wanted), Learnt::default());
        for component in given {
            self.give(component, &mut ask, &mut learnt)?;
        }
        self.choose_all(&ask, learnt).await
    }

    /// Says when a version that was named is not there, or withdrawn.
    pub(in crate::install) fn check_wanted(&self, id: &PackId, wanted: &Wanted) -> Result<(), InstallError> {
        let stays = self.stays(id, Some(wanted)).is_some();
        match &self.index {
            Some(loaded) if !stays => self.runs(loaded, id, Some(wanted)),
            _ => Ok(()),
        }
    }

    /// Says when nothing that is meant by a name is there for this rig.
    fn runs(&self, loaded: &LoadedIndex, id: &PackId, wanted: Option<&Wanted>) -> Result<(), InstallError> {
        let (newest, release) = choose::choose(&loaded.index, id, wanted)?;
        let this = &self.installer.rig;
        // A pre-release does not take the place of a release that needs a newer rig.
        let meant = |version: &Version| match wanted {
            Some(wanted) => wanted.matches(version),
            None => version.pre.is_empty() || !newest.pre.is_empty(),
        };
        let runs = choose::releases(&loaded.index, id)?.iter().any(|(version, release)| {
            !release.yanked && meant(version) && release.min_rig.as_ref().is_none_or(|needs| needs <= this)
        });
        match release.min_rig.clone().filter(|_| !runs) {
            None => Ok(()),
            Some(needs) => {
                let (version, this) = (newest.clone(), this.clone());
                Err(InstallError::NeedsNewerRig { pack: id.clone(), version, needs, this })
            }
        }
    }
}

/// Whether an installed pack can be dealt with although the index cannot be read.
fn tolerable(error: &IndexError, mode: Mode) -> bool {
    match error {
        IndexError::NotConfigured | IndexError::NoCopy { .. } => true,
        IndexError::Net(NetError::Failed { .. } | NetError::Slow { .. }) => mode == Mode::Cached,
        _ => false,
    }
}
