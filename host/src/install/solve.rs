//! Which versions of packs go together. Pure: the packs that are known go in, and either one version of each pack that is needed comes
//! out, or the facts that stand against it, in words for a person ([`explain`]).
//!
//! A range is taken as the set of the known versions that it matches, so that semver's own rules for pre-releases hold exactly.
//! Nothing here reads an index, a lock or a component.

use std::{
    cell::Cell,
    cmp::Reverse,
    collections::BTreeMap,
    fmt::{self, Display},
};

use pubgrub::{Dependencies, DependencyProvider, PackageResolutionStatistics, PubGrubError, Ranges};
use rig_specs::PackId;
use semver::{Version, VersionReq};

use super::source::Wanted;

mod explain;

pub(super) use explain::NoSolution;

/// How many steps are taken before giving up. A hundred packs with a hundred versions each take some thousands; only an index made
/// to keep rig busy takes more.
const MAX_STEPS: u32 = 200_000;

/// What is to be solved.
#[derive(Debug, Clone, Default)]
pub(super) struct Problem {
    /// What is known of each pack.
    pub(super) packs: BTreeMap<PackId, Known>,
    /// Packs that are named somewhere and cannot be had, with the reason as a clause.
    pub(super) absent: BTreeMap<PackId, String>,
    /// What the project is to have.
    pub(super) roots: BTreeMap<PackId, Root>,
}

/// The versions of a pack.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) versions: BTreeMap<Version, Release>,
    /// Tried first.
    pub(super) preferred: Option<Version>,
}

/// One version of a pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Release {
    /// The packs that it needs.
    pub(super) needs: BTreeMap<PackId, VersionReq>,
    /// Why it is not to be chosen.
    pub(super) barred: Option<Barred>,
}

/// Why a version is not chosen although it is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Barred {
    /// Its publisher withdrew it.
    Withdrawn,
    /// It needs a newer rig.
    NeedsRig(Version),
}

impl Display for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Withdrawn => f.write_str("withdrawn by its publisher"),
            Self::NeedsRig(version) => write!(f, "needs rig {version}"),
        }
    }
}

/// Why a pack is in the project, and in which versions it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Root {
    /// It is installed, and nobody named it: exactly that version.
    Kept(Version),
    /// It is installed and may move, because something that moves needs it.
    Movable,
    /// It was named, with or without saying which version.
    Named(Option<Wanted>),
    /// It was named to be brought up to date: that version or a later one.
    Updated(Version),
    /// It was given as a file or by URL: exactly that version.
    Given(Version),
}

impl Root {
    fn allows(&self, version: &Version) -> bool {
        match self {
            Self::Kept(only) | Self::Given(only) => version == only,
            Self::Movable | Self::Named(None) => true,
            Self::Named(Some(wanted)) => wanted.matches(version),
            Self::Updated(from) => version >= from,
        }
    }

    /// Whether a person named it.
    pub(super) fn is_named(&self) -> bool {
        !matches!(self, Self::Kept(_) | Self::Movable)
    }
}

impl Known {
    /// The versions in the order in which they are tried: the preferred one, releases from the newest on, pre-releases, and at last
    /// those that are not to be chosen, so that the reason is told.
    fn candidates(&self) -> impl Iterator<Item = &Version> {
        let usable = |pre: bool| {
            let all = self.versions.iter().rev();
            all.filter(move |(version, release)| release.barred.is_none() && version.pre.is_empty() != pre)
        };
        let barred = self.versions.iter().rev().filter(|(_, release)| release.barred.is_some());
        let rest = usable(false).chain(usable(true)).chain(barred).map(|(version, _)| version);
        self.preferred.iter().chain(rest)
    }

    fn matching(&self, matches: impl Fn(&Version) -> bool) -> Ranges<Version> {
        self.versions
            .keys()
            .filter(|version| matches(version))
            .cloned()
            .map(Ranges::singleton)
            .fold(Ranges::empty(), |all, one| all.union(&one))
    }
}

/// A package of the solver: the project, or a pack.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Package {
    Project,
    Pack(PackId),
}

impl Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project => f.write_str("the project"),
            Self::Pack(id) => id.fmt(f),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("too many steps")]
struct TooManySteps;

struct Provider<'a> {
    problem: &'a Problem,
    steps: Cell<u32>,
}

impl Provider<'_> {
    fn matching(&self, id: &PackId, matches: impl Fn(&Version) -> bool) -> Ranges<Version> {
        self.problem.packs.get(id).map_or_else(Ranges::empty, |known| known.matching(matches))
    }
}

impl DependencyProvider for Provider<'_> {
    type P = Package;
    type V = Version;
    type VS = Ranges<Version>;
    type M = Barred;
    type Err = TooManySteps;
    /// What was named is decided before what it needs, so that it gets the newest version that is possible at all.
    type Priority = (u8, u32, Reverse<usize>);

    fn prioritize(
        &self,
        package: &Package,
        range: &Ranges<Version>,
        statistics: &PackageResolutionStatistics,
    ) -> Self::Priority {
        let Package::Pack(id) = package else { return (3, 0, Reverse(0)) };
        let known = self.problem.packs.get(id);
        let count = known.map_or(0, |known| known.versions.keys().filter(|version| range.contains(version)).count());
        let rank = match self.problem.roots.get(id) {
            Some(Root::Kept(_) | Root::Given(_)) => 2,
            Some(root) if root.is_named() => 1,
            _ => 0,
        };
        (rank, statistics.conflict_count(), Reverse(count))
    }

    fn choose_version(&self, package: &Package, range: &Ranges<Version>) -> Result<Option<Version>, TooManySteps> {
        let Package::Pack(id) = package else { return Ok(Some(Version::new(0, 0, 0))) };
        let known = self.problem.packs.get(id);
        Ok(known.and_then(|known| known.candidates().find(|version| range.contains(version)).cloned()))
    }

    fn get_dependencies(
        &self,
        package: &Package,
        version: &Version,
    ) -> Result<Dependencies<Package, Ranges<Version>, Barred>, TooManySteps> {
        let Package::Pack(id) = package else {
            let roots = self.problem.roots.iter();
            let needs = roots.map(|(id, root)| (Package::Pack(id.clone()), self.matching(id, |v| root.allows(v))));
            return Ok(Dependencies::Available(needs.collect()));
        };
        let release = self.problem.packs.get(id).and_then(|known| known.versions.get(version));
        let Some(release) = release else { return Ok(Dependencies::Available([].into_iter().collect())) };
        if let Some(barred) = &release.barred {
            return Ok(Dependencies::Unavailable(barred.clone()));
        }
        let needs = release.needs.iter();
        let needs = needs.map(|(id, range)| (Package::Pack(id.clone()), self.matching(id, |v| range.matches(v))));
        Ok(Dependencies::Available(needs.collect()))
    }

    fn should_cancel(&self) -> Result<(), TooManySteps> {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > MAX_STEPS { Err(TooManySteps) } else { Ok(()) }
    }
}

/// Chooses one version of each pack that the project is to have and of each that those need.
///
/// # Errors
/// [`NoSolution`], with the reasons.
pub(super) fn solve(problem: &Problem) -> Result<BTreeMap<PackId, Version>, NoSolution> {
    let provider = Provider { problem, steps: Cell::new(0) };
    match pubgrub::resolve(&provider, Package::Project, Version::new(0, 0, 0)) {
        Ok(chosen) => {
            let pack = |(package, version)| match package {
                Package::Pack(id) => Some((id, version)),
                Package::Project => None,
            };
            Ok(chosen.into_iter().filter_map(pack).collect())
        }
        Err(PubGrubError::NoSolution(tree)) => Err(explain::explain(problem, &tree)),
        Err(_) => Err(NoSolution::gave_up(problem)),
    }
}

#[cfg(test)]
mod tests;
