//! The errors of the install flow as a whole. Those of its steps stand with the steps.

use std::path::PathBuf;

use rig_specs::{PackId, Sha256, lock::Runtime};
use semver::Version;

use super::{
    fetch::FetchError,
    index::IndexError,
    inspect::InspectError,
    oci::OciError,
    source::{SourceError, Wanted},
    store::StoreError,
};
use crate::{project::ProjectError, words::plain};

/// Why nothing was installed. Nothing that was installed before has changed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The project cannot be read or changed.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// What was named names nothing.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A registry is of no use.
    #[error(transparent)]
    Oci(Box<OciError>),
    /// A pack was not fetched.
    #[error("`{what}`: {error}")]
    Fetch {
        /// The pack, or where it comes from.
        what: String,
        /// Why.
        error: FetchError,
    },
    /// What was fetched is not a pack that this rig runs.
    #[error("`{what}`: {error}")]
    Inspect {
        /// The pack, or where it comes from.
        what: String,
        /// Why.
        error: InspectError,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An installed pack is not what the lock says.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A local file cannot be read.
    #[error("cannot read {}: {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The index has no such pack.
    #[error("the index has no pack `{pack}`")]
    UnknownPack {
        /// The name.
        pack: PackId,
        /// Names that look like it.
        nearest: Vec<String>,
    },
    /// The pack has no such version.
    #[error("`{pack}` has no version {wanted}")]
    NoVersion {
        /// The pack.
        pack: PackId,
        /// What was asked for.
        wanted: Wanted,
        /// What there is, newest first.
        available: Vec<Version>,
    },
    /// The version was withdrawn.
    #[error("`{pack}` {version} was withdrawn by its publisher")]
    Yanked {
        /// The pack.
        pack: PackId,
        /// The version.
        version: Version,
        /// The newest that was not.
        newest: Option<Version>,
    },
    /// The pack is not a component.
    #[error("{what}: this rig installs packs that are WebAssembly components; packs for {} come with a later version", languages(.runtimes))]
    OtherRuntime {
        /// The pack, or the flag.
        what: String,
        /// How it would run.
        runtimes: Vec<Runtime>,
    },
    /// The index says that a newer rig is needed.
    #[error("`{pack}` {version} needs rig {needs} or later; this is rig {this}")]
    NeedsNewerRig {
        /// The pack.
        pack: PackId,
        /// Its version.
        version: Version,
        /// The oldest rig that runs it.
        needs: Version,
        /// This rig.
        this: Version,
    },
    /// The component is another pack, or another version, than the index or the person said.
    #[error("`{pack}`: the {field} of the component is {found}, but {expected} was expected")]
    NotAsIndexed {
        /// The pack that was asked for.
        pack: PackId,
        /// `id`, `version` or `interface hash`.
        field: &'static str,
        /// What was expected.
        expected: String,
        /// What the component says.
        found: String,
    },
    /// The same version has other bytes than those that the project trusts.
    #[error("`{pack}` {version} is not the one in rig.lock: the lock has {locked}, {} has {offered}", plain(.place))]
    OtherBytes {
        /// The pack.
        pack: PackId,
        /// Its version.
        version: Version,
        /// The hash in the lock.
        locked: Sha256,
        /// The hash that is offered.
        offered: Sha256,
        /// Who offers it.
        place: String,
    },
    /// One pack was named with two meanings.
    #[error("`{pack}` is named twice, with different contents")]
    NamedTwice {
        /// The pack.
        pack: PackId,
    },
    /// No versions of the packs go together.
    #[error("there are no versions that fit together:\n  {}\n  {conclusion}", .facts.join("\n  "))]
    NoSolution {
        /// One sentence each: who needs what, and what there is not.
        facts: Vec<String>,
        /// What follows from them.
        conclusion: String,
        /// What to do next.
        next: String,
    },
    /// An installed pack is no release of the index.
    #[error("the installed `{pack}` {version} is not a release of the index {}", plain(.index))]
    NotOfIndex {
        /// The pack.
        pack: PackId,
        /// Its version.
        version: Version,
        /// The index.
        index: String,
    },
    /// There is no such earlier lock.
    #[error("there is no snapshot {id}")]
    NoSnapshot {
        /// The number that was named.
        id: u32,
        /// Those that there are, oldest first.
        there: Vec<u32>,
    },
    /// There is no state before the present one.
    #[error("there is no earlier state of this project to return to")]
    NothingEarlier,
    /// Another rig changed the project while this one was working.
    #[error("another rig process changed the packs of this project in the meantime")]
    LockChanged,
    /// Another rig changed the pack while this one was working.
    #[error("another rig process changed `{pack}` in this project in the meantime")]
    ChangedMeanwhile {
        /// The pack.
        pack: PackId,
    },
    /// The pack is not installed.
    #[error("`{pack}` is not installed in this project")]
    NotInstalled {
        /// The name.
        pack: PackId,
        /// The installed pack that looks like it.
        nearest: Option<String>,
    },
    /// Other packs need it.
    #[error("`{pack}` is needed by {}", names(.by))]
    Needed {
        /// The pack.
        pack: PackId,
        /// Who needs it.
        by: Vec<PackId>,
    },
    /// `rig.yaml` offers a pack that the lock does not hold.
    #[error("rig.yaml names the pack `{pack}`, but rig.lock does not hold it")]
    NotLocked {
        /// The pack.
        pack: PackId,
    },
}

fn languages(runtimes: &[Runtime]) -> String {
    let names: Vec<&str> = runtimes
        .iter()
        .map(|runtime| match runtime {
            Runtime::Wasm => "WebAssembly",
            Runtime::Python => "Python",
            Runtime::Node => "Node",
        })
        .collect();
    names.join(" and ")
}

fn names(ids: &[PackId]) -> String {
    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}

impl From<OciError> for InstallError {
    fn from(error: OciError) -> Self {
        Self::Oci(Box::new(error))
    }
}

impl InstallError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let list = |texts: &[String]| texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Oci(error) => error.hint(),
            Self::Project(error) => error.hint(),
            Self::Source(error) => error.hint(),
            Self::Index(error) => error.hint(),
            Self::Fetch { error, .. } => error.hint(),
            Self::Inspect { error, .. } => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Load(error) => error.hint(),
            Self::UnknownPack { nearest, .. } if !nearest.is_empty() => {
                Some(format!("did you mean {}?", list(nearest)))
            }
            Self::UnknownPack { .. } => {
                Some("`rig packs --available` lists what the index has; `--refresh` reads it again".into())
            }
            Self::NoVersion { available, .. } if available.is_empty() => Some("every version was withdrawn".into()),
            Self::NoVersion { available, .. } => {
                let versions: Vec<String> = available.iter().map(Version::to_string).collect();
                Some(format!("there is {}; `--refresh` reads the index again", versions.join(", ")))
            }
            Self::Yanked { newest: Some(newest), pack, .. } => Some(format!("install `{pack}@{newest}` instead")),
            Self::Yanked { newest: None, pack, .. } => {
                Some(format!("`rig info {pack}` lists the versions that the index has"))
            }
            Self::File { .. } => Some("give the path of a component that you can read".into()),
            Self::NamedTwice { pack } => Some(format!("name `{pack}` once")),
            Self::OtherRuntime { .. } => Some("`rig packs --available` shows the runtime of each pack".into()),
            Self::NeedsNewerRig { .. } => Some("update rig, or choose an older version of the pack".into()),
            Self::NotAsIndexed { .. } => Some("nothing was installed; tell whoever keeps the index".into()),
            Self::OtherBytes { pack, .. } => Some(format!(
                "a released version never changes: find out why it did; if the new bytes are wanted, run `rig uninstall {pack}` first"
            )),
            Self::NoSolution { next, .. } => Some(next.clone()),
            Self::NotOfIndex { pack, .. } => Some(format!(
                "the index may have another pack of that name: `rig install {pack}@VERSION` replaces it after asking"
            )),
            Self::NoSnapshot { there, .. } if there.is_empty() => {
                Some("nothing was changed in this project yet".into())
            }
            Self::NoSnapshot { .. } | Self::NothingEarlier => Some("`rig rollback --list` shows what there is".into()),
            Self::LockChanged | Self::ChangedMeanwhile { .. } => Some("run the command again".into()),
            Self::NotInstalled { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::NotInstalled { .. } => Some("`rig packs` lists what is installed".into()),
            Self::Needed { by, .. } => Some(format!("uninstall {} too", names(by))),
            Self::NotLocked { pack } => Some(format!("run `rig install {pack}`, or take it out of `packs`")),
        }
    }
}

/// Why an installed pack is not used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The component is missing or was changed.
    #[error("the component of `{pack}`: {error}")]
    Store {
        /// The pack.
        pack: PackId,
        /// Why.
        error: StoreError,
    },
    /// The component has the right hash but is no pack.
    #[error("the component of `{pack}`: {error}")]
    Inspect {
        /// The pack.
        pack: PackId,
        /// Why.
        error: InspectError,
    },
    /// The lock says something else than the component.
    #[error("rig.lock says of `{pack}` that its {field} is {locked}, but the component says {found}")]
    Mismatch {
        /// The pack.
        pack: PackId,
        /// What is different.
        field: &'static str,
        /// What the lock says.
        locked: String,
        /// What the component says.
        found: String,
    },
    /// The lock grants more than the pack asks for.
    #[error(
        "rig.lock grants `{pack}` what its manifest does not ask for: {}", .beyond.join("; ")
    )]
    GrantTooWide {
        /// The pack.
        pack: PackId,
        /// What the lock grants beyond what the component asks for, one line each.
        beyond: Vec<String>,
    },
    /// The lock has no hash for it.
    #[error("rig.lock has no hash for `{pack}`, and a component is never used without one")]
    NoHash {
        /// The pack.
        pack: PackId,
    },
    /// The pack is no component.
    #[error("`{pack}` is a pack for {}, and this rig runs WebAssembly components; others come with a later version", languages(&[*.runtime]))]
    OtherRuntime {
        /// The pack.
        pack: PackId,
        /// How it runs.
        runtime: Runtime,
    },
}

impl LoadError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store { error, .. } => error.hint(),
            Self::Inspect { error, .. } => error.hint(),
            Self::Mismatch { pack, .. } | Self::GrantTooWide { pack, .. } | Self::NoHash { pack } => Some(format!(
                "restore rig.lock from version control, or run `rig uninstall {pack}` and then `rig install {pack}`"
            )),
            Self::OtherRuntime { pack, .. } => Some(format!("`rig uninstall {pack}` takes it out of the project")),
        }
    }
}
