//! Packs from PyPI and npm: packages of other ecosystems, chosen and fetched by those ecosystems' own installers, locked file by file,
//! and run in processes of their own ([`runner`](crate::runner)).
//!
//! The steps are those of components: a plan that changes nothing, consent, and one transition. What differs: a pack has to be run once,
//! without network and secrets, to learn its tools; and files go into an environment of the project, which [`environment::apply`] brings
//! in line with a lock. No code of a package runs before that, and none of its own installing ever.

mod command;
mod core;
pub(crate) mod environment;
mod error;
mod grant;
mod node;
mod pip;
mod plan;
mod program;
mod python;
pub(super) mod restore;
pub(crate) mod tools;
mod version;
mod wheel;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use rig_specs::{Sha256, lock::Artifact, lock::Runtime, manifest::Capabilities};
use serde_json::{Map, Value};

pub use error::LegacyError;
pub use grant::Grants;
pub(crate) use program::program;

use super::source::{SourceError, Wanted, wanted};

/// What of the machine counts, as the environment of the command says it.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// `PATH`.
    pub path: OsString,
    /// `VIRTUAL_ENV`.
    pub virtual_env: Option<PathBuf>,
}

impl Machine {
    fn uv(&self) -> Option<PathBuf> {
        command::find("uv", &self.path)
    }
}

/// What a person names to be installed from another ecosystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The pack's id in the index, or the name of a package.
    pub name: String,
    /// Which version; the newest when absent.
    pub version: Option<Wanted>,
}

impl Wish {
    /// Reads `NAME` or `NAME@VERSION`; names of npm may begin with a scope.
    ///
    /// # Errors
    /// When the text names no package, or two versions.
    pub fn parse(text: &str, version: Option<&str>, runtime: Runtime) -> Result<Self, super::InstallError> {
        let scoped = if runtime == Runtime::Node { text.strip_prefix('@') } else { None };
        let (name, at) =
            scoped.unwrap_or(text).split_once('@').map_or((scoped.unwrap_or(text), None), |(n, v)| (n, Some(v)));
        let name = if scoped.is_some() { format!("@{name}") } else { name.to_owned() };
        let error = || LegacyError::Name { text: text.to_owned(), runtime };
        let part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
                && part.len() <= 128
        };
        let good = match name.strip_prefix('@') {
            Some(rest) => rest.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
            None => part(&name),
        };
        if !good {
            return Err(error().into());
        }
        let version = match (at, version) {
            (Some(_), Some(_)) => return Err(SourceError::TwoVersions(crate::words::plain(text)).into()),
            (one, other) => one.or(other).map(wanted).transpose()?,
        };
        Ok(Self { name, version })
    }
}

/// What a part of a plan has beside a component's: where its files are, and what stands in the lock of them.
#[derive(Debug, Clone)]
pub(super) struct Legacy {
    pub(super) runtime: Runtime,
    /// The name in its ecosystem.
    pub(super) package: String,
    pub(super) granted: Capabilities,
    pub(super) artifacts: Vec<Artifact>,
    pub(super) npm: Option<Map<String, Value>>,
    /// New files for the store.
    pub(super) files: Vec<(Sha256, Vec<u8>)>,
}

/// The key of a project among those of a machine.
fn project_key(project: &Path) -> String {
    Sha256::of(project.as_os_str().as_encoded_bytes()).hex()[..32].to_owned()
}
