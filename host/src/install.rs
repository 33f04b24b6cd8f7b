//! The install flow: resolve in the index → fetch to staging, hashed in flight → verify → inspect → consent → commit.
//!
//! [`Installer::plan`] does everything up to consent and changes nothing in the project; [`Plan::commit`] does the rest. Between
//! the two the caller shows [`Plan::consent`] to a person. [`Installer::restore`] puts exactly what `rig.lock` names into the store.
//! [`load_pack`] is how a call gets at an installed pack: by hash, cross-checked with the lock. Nothing here runs guest code,
//! compiles it, prints, or asks.

use std::path::PathBuf;

use rig_specs::lock::Runtime;
use semver::Version;

use crate::home::Home;

mod apply;
pub mod bundle;
pub mod consent;
mod error;
pub mod fetch;
mod gate;
pub mod index;
pub mod inspect;
mod installed;
pub mod legacy;
pub(crate) mod lookalike;
mod net;
pub mod oci;
mod plan;
mod restore;
pub mod rollback;
mod shape;
mod solve;
pub mod source;
pub mod store;
pub mod trust;
mod update;

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
pub(crate) mod test_packs;

pub use apply::{Committed, Done, uninstall};
pub use bundle::{Bundle, WithBundle};
pub use consent::ConsentRequest;
pub use error::{InstallError, LoadError};
pub use fetch::{Event, FetchError, Progress};
pub use index::{LoadedIndex, Mode};
pub use inspect::{InspectError, Inspected};
pub use installed::{InstalledPack, PackReport, installed, isolation, load_pack, verify};
pub use legacy::LegacyError;
pub use net::{Download, Downloader, FromRegistry, NetError, NoAnswer, Rest};
pub use plan::{Action, Plan, Planned, is_of_registry, similar};
pub use restore::{Restored, RestoredPack};
pub use rollback::{Moved, Rollback};
pub use shape::{Part, ToolChange};
pub use source::{Request, SourceError, Wanted, reference, wanted};
pub use store::StoreError;
pub use trust::{Standing, Trust, TrustError};
pub use update::{Held, Outdated, Review, Targets, Update};

/// The version of this rig.
#[must_use]
pub fn rig_version() -> Version {
    // The build gives a sound version; a rig that cannot read its own is older than everything.
    Version::parse(env!("CARGO_PKG_VERSION")).unwrap_or(Version::new(0, 0, 0))
}

/// The time as it is written in files (RFC 3339, UTC).
pub(crate) fn now() -> String {
    index::now().to_string()
}

/// What the flags of a command say.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--index-url`.
    pub index_url: Option<String>,
    /// How the index is read: `--refresh`, `--offline`.
    pub mode: Mode,
    /// `--runtime`.
    pub runtime: Option<Runtime>,
    /// Whether the pack is added to `packs` in `rig.yaml`: not with `--no-enable`.
    pub enable: bool,
    /// What relative paths on the command line are relative to.
    pub cwd: PathBuf,
    /// `--allow-unsigned`, `--trust-key`.
    pub trust: Trust,
    /// What packs from PyPI and npm need of the machine.
    pub machine: legacy::Machine,
}

impl Options {
    /// No flags.
    #[must_use]
    pub fn new(cwd: PathBuf) -> Self {
        Self {
            index_url: None,
            mode: Mode::Cached,
            runtime: None,
            enable: true,
            cwd,
            trust: Trust::default(),
            machine: legacy::Machine::default(),
        }
    }

    pub(crate) fn offline(&self) -> bool {
        self.mode == Mode::Offline
    }
}

/// Installs packs: into the store of this machine, and into projects.
pub struct Installer<'a> {
    home: Home,
    downloader: &'a dyn Downloader,
    rig: Version,
}

impl<'a> Installer<'a> {
    /// An installer with the machine's home and a way to the network.
    #[must_use]
    pub fn new(home: Home, downloader: &'a dyn Downloader) -> Self {
        Self { home, downloader, rig: rig_version() }
    }

    /// Reads the index of a project, for listings.
    ///
    /// # Errors
    /// When there is none, or it is not sound.
    pub async fn index(
        &self,
        project: &crate::project::Project,
        options: &Options,
    ) -> Result<LoadedIndex, index::IndexError> {
        index::load(self.downloader, &self.home, project, options).await
    }
}
