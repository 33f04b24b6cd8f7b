//! Why no versions go together, in words: one fact a line, then what follows from them. Ranges are named as the authors of the packs
//! wrote them; the sets that the solver works on are never shown.

use std::collections::{BTreeMap, BTreeSet};

use pubgrub::{DerivationTree, External, Ranges};
use rig_specs::PackId;
use semver::Version;

use super::{Barred, Package, Problem, Root};
use crate::install::source::Wanted;

/// How many versions of one pack are listed one by one.
const MAX_LISTED: usize = 3;

/// That no versions go together, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::install) struct NoSolution {
    /// One sentence each, without a stop: who needs what, and what is not to be had.
    pub(in crate::install) facts: Vec<String>,
    /// What follows from them.
    pub(in crate::install) conclusion: String,
    /// The installed packs that stand in the way because they stay as they are.
    pub(in crate::install) kept: BTreeSet<PackId>,
}

impl NoSolution {
    pub(super) fn gave_up(problem: &Problem) -> Self {
        let named = problem.roots.iter().filter(|(_, root)| root.is_named());
        let named: Vec<String> = named.map(|(id, _)| format!("`{id}`")).collect();
        Self {
            facts: vec![format!(
                "too many versions of packs were tried without finding a set that fits ({})",
                super::MAX_STEPS
            )],
            conclusion: format!("so no versions of {} were chosen", and(&named)),
            kept: BTreeSet::new(),
        }
    }
}

type Tree = DerivationTree<Package, Ranges<Version>, Barred>;
type Fact<'a> = &'a External<Package, Ranges<Version>, Barred>;

/// The facts at the leaves, left before right.
fn leaves<'a>(tree: &'a Tree, found: &mut Vec<Fact<'a>>) {
    // Not by recursion: the tree of a long search is deep.
    let mut rest = vec![tree];
    while let Some(tree) = rest.pop() {
        match tree {
            DerivationTree::External(fact) => found.push(fact),
            DerivationTree::Derived(derived) => rest.extend([&*derived.cause2, &*derived.cause1]),
        }
    }
}

pub(super) fn explain(problem: &Problem, tree: &Tree) -> NoSolution {
    let mut found = Vec::new();
    leaves(tree, &mut found);
    let mut telling = Telling { problem, needs: BTreeMap::new(), barred: BTreeMap::new() };
    for fact in found {
        telling.take(fact);
    }
    telling.tell()
}

/// The facts, sorted by what they are about.
struct Telling<'a> {
    problem: &'a Problem,
    /// Who needs what: by pack and needed pack, the versions by the range that they name.
    needs: BTreeMap<(PackId, PackId), BTreeMap<String, BTreeSet<Version>>>,
    barred: BTreeMap<(PackId, Barred), BTreeSet<Version>>,
}

impl Telling<'_> {
    fn take(&mut self, fact: Fact<'_>) {
        let problem = self.problem;
        let known = |id: &PackId| problem.packs.get(id).into_iter().flat_map(|known| &known.versions);
        match fact {
            External::FromDependencyOf(Package::Pack(id), versions, Package::Pack(needed), _) => {
                for (version, release) in known(id).filter(|(version, _)| versions.contains(version)) {
                    let Some(range) = release.needs.get(needed) else { continue };
                    let by_range = self.needs.entry((id.clone(), needed.clone())).or_default();
                    by_range.entry(range.to_string()).or_default().insert(version.clone());
                }
            }
            External::Custom(Package::Pack(id), versions, barred) => {
                let versions = known(id).map(|(version, _)| version).filter(|version| versions.contains(version));
                self.barred.entry((id.clone(), barred.clone())).or_default().extend(versions.cloned());
            }
            // What the project is to have is known, and that a set of versions is empty follows from the rest.
            External::NotRoot(..)
            | External::NoVersions(..)
            | External::FromDependencyOf(..)
            | External::Custom(..) => {}
        }
    }

    fn kept(&self, id: &PackId) -> Option<&Version> {
        match self.problem.roots.get(id) {
            Some(Root::Kept(version)) => Some(version),
            _ => None,
        }
    }

    /// Whether only one version of a pack counts, which is told as such.
    fn is_one(&self, id: &PackId) -> bool {
        matches!(self.problem.roots.get(id), Some(Root::Kept(_) | Root::Given(_)))
    }

    fn tell(self) -> NoSolution {
        let mut facts = Vec::new();
        // What was asked for comes first, what is installed after it.
        let (theirs, ours): (Vec<_>, Vec<_>) = self.needs.iter().partition(|((id, _), _)| self.kept(id).is_none());
        for ((id, needed), by_range) in theirs {
            for (range, versions) in by_range {
                let verb = if versions.len() == 1 { "needs" } else { "need" };
                facts.push(format!("{} {verb} `{needed}` {range}", self.versions(id, versions)));
            }
        }
        for ((id, needed), by_range) in ours {
            for (range, versions) in by_range {
                let version = versions.first().map(Version::to_string).unwrap_or_default();
                facts.push(format!("`{id}` {version}, which is installed, needs `{needed}` {range}"));
            }
        }
        let needed: BTreeSet<&PackId> = self.needs.keys().map(|(_, needed)| needed).collect();
        for (id, root) in &self.problem.roots {
            match root {
                Root::Kept(version) if needed.contains(id) => facts.push(format!("`{id}` {version} is installed")),
                Root::Given(version) if needed.contains(id) => facts.push(format!("`{id}` {version} was given")),
                Root::Named(Some(wanted)) if needed.contains(id) => {
                    facts.push(format!("`{id}` {wanted} was asked for"));
                }
                _ => {}
            }
        }
        for ((id, why), versions) in &self.barred {
            let text = self.versions(id, versions);
            let one = versions.len() == 1;
            facts.push(match why {
                Barred::Withdrawn => {
                    format!(
                        "{text} {} withdrawn by {} publisher",
                        if one { "was" } else { "were" },
                        if one { "its" } else { "their" }
                    )
                }
                Barred::NeedsRig(rig) => {
                    let this = crate::install::rig_version();
                    format!("{text} {} rig {rig} or later, and this is rig {this}", if one { "needs" } else { "need" })
                }
            });
        }
        facts.extend(self.missing());
        let kept = self.in_the_way();
        NoSolution { facts, conclusion: self.conclusion(&kept), kept }
    }

    /// What is needed and not there in any version that would do.
    fn missing(&self) -> Vec<String> {
        let mut facts = Vec::new();
        for ((_, needed), by_range) in &self.needs {
            let Some(known) = self.problem.packs.get(needed) else {
                let why = self.problem.absent.get(needed).cloned();
                facts.push(why.unwrap_or_else(|| format!("there is no pack `{needed}`")));
                continue;
            };
            let ranges = by_range.keys().filter_map(|range| range.parse::<semver::VersionReq>().ok());
            for range in ranges {
                if !known.versions.keys().any(|version| range.matches(version)) && !self.is_one(needed) {
                    let there: BTreeSet<Version> = known.versions.keys().cloned().collect();
                    facts.push(format!("there is no `{needed}` {range}, only {}", self.list(needed, &there)));
                }
            }
        }
        facts.sort();
        facts.dedup();
        facts
    }

    /// The installed packs that the facts are about.
    fn in_the_way(&self) -> BTreeSet<PackId> {
        let all = self.needs.keys().flat_map(|(id, needed)| [id, needed]);
        all.filter(|id| self.kept(id).is_some()).cloned().collect()
    }

    fn conclusion(&self, kept: &BTreeSet<PackId>) -> String {
        let about: BTreeSet<&PackId> = self
            .needs
            .keys()
            .flat_map(|(id, needed)| [id, needed])
            .chain(self.barred.keys().map(|(id, _)| id))
            .collect();
        let named: Vec<_> = self.problem.roots.iter().filter(|(_, root)| root.is_named()).collect();
        let involved: Vec<_> = named.iter().filter(|(id, _)| about.contains(id)).copied().collect();
        let named = if involved.is_empty() { named } else { involved };
        let several = named.len() > 1;
        let named: Vec<String> = named.into_iter().map(|(id, root)| self.with_version(id, root)).collect();
        let beside: Vec<String> = kept.iter().filter_map(|id| Some(format!("`{id}` {}", self.kept(id)?))).collect();
        let tail = match (beside.is_empty(), several) {
            (false, _) => format!(" beside {}", and(&beside)),
            (true, true) => " together".to_owned(),
            (true, false) => String::new(),
        };
        format!("so {} cannot be installed{tail}", and(&named))
    }

    /// A pack that was named, with its version when only one is meant.
    fn with_version(&self, id: &PackId, root: &Root) -> String {
        match root {
            Root::Given(version) | Root::Named(Some(Wanted::Exact(version))) => return format!("`{id}` {version}"),
            Root::Named(Some(Wanted::Range(range))) => return format!("`{id}` {range}"),
            _ => {}
        }
        let told = self.needs.iter().filter(|((other, _), _)| other == id).flat_map(|(_, by)| by.values().flatten());
        let told: BTreeSet<&Version> = told.collect();
        match (told.len(), told.first()) {
            (1, Some(version)) => format!("`{id}` {version}"),
            _ => format!("`{id}`"),
        }
    }

    /// Versions of a pack as the subject of a sentence.
    fn versions(&self, id: &PackId, versions: &BTreeSet<Version>) -> String {
        let all = self.problem.packs.get(id).map_or(0, |known| known.versions.len());
        if versions.len() > 1 && versions.len() == all {
            return format!("all versions of `{id}`");
        }
        format!("`{id}` {}", self.list(id, versions))
    }

    fn list(&self, id: &PackId, versions: &BTreeSet<Version>) -> String {
        let texts: Vec<String> = versions.iter().map(Version::to_string).collect();
        if texts.len() <= MAX_LISTED {
            return and(&texts);
        }
        let (Some(first), Some(last)) = (versions.first(), versions.last()) else { return String::new() };
        let between = self.problem.packs.get(id).into_iter().flat_map(|known| known.versions.keys());
        let whole = between.filter(|version| (first..=last).contains(version)).count() == versions.len();
        if whole {
            return format!("{first} to {last}");
        }
        let others = texts.len() - MAX_LISTED;
        format!("{} and {others} others", texts[..MAX_LISTED].join(", "))
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(in crate::install) fn and(texts: &[String]) -> String {
    match texts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
