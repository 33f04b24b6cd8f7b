//! Puts a built pack into an OCI registry. What is checked before is what is checked before it goes into an index; how it gets there is
//! the business of [`oci`](crate::install::oci).

use std::{fs, path::Path};

use rig_specs::{Sha256, rtp::RiskClass};
use semver::Version;
use serde::Serialize;

use super::publish::PublishError;
use crate::install::{
    Downloader, inspect,
    oci::{self, OciError, Reference, Tag, Tried},
    rig_version,
};

/// What pushing came to, or would come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// The pack.
    pub pack: rig_specs::PackId,
    /// The version.
    pub version: Version,
    /// Of the component.
    pub sha256: Sha256,
    /// Of the component, in bytes.
    pub size: u64,
    /// The tools with their risk classes.
    pub tools: Vec<(String, RiskClass)>,
    /// The first tag, with the digest of the manifest: what names the pack for good.
    pub reference: String,
    /// Of the manifest.
    pub manifest: Sha256,
    /// The tags.
    pub tags: Vec<Tag>,
    /// Whether a tag changed, or would.
    pub changed: bool,
}

/// How to push.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Tags beside that of the reference, or of the version.
    pub tags: Vec<String>,
    /// Who answers for the pack.
    pub publisher: Option<String>,
    /// Change nothing.
    pub dry_run: bool,
    /// Ask nobody.
    pub offline: bool,
}

/// Checks a component and pushes it.
///
/// # Errors
/// When it is no pack, or not meant to be published, its version is there with other bytes, or the registry does not take it.
pub async fn push(
    net: &dyn Downloader,
    to: &Reference,
    source: &Path,
    options: &Options,
) -> Result<Pushed, PublishError> {
    let bytes = fs::read(source).map_err(|error| PublishError::io(source, "read", error))?;
    let found = inspect::inspect(&bytes, &rig_version())
        .map_err(|error| PublishError::Inspect { path: source.to_owned(), error })?;
    let info = &found.pack.manifest.pack;
    if !info.publish {
        return Err(PublishError::Private(info.id.clone()));
    }
    if options.offline {
        return Err(OciError::Offline { tried: Tried::Push, reference: to.to_string() }.into());
    }
    let publisher = options.publisher.as_deref();
    let pushed = oci::push(net, to, &options.tags, (&found, bytes), publisher, options.dry_run).await?;
    Ok(Pushed {
        pack: info.id.clone(),
        version: info.version.clone(),
        sha256: found.sha256,
        size: found.size,
        tools: found.pack.tools.iter().map(|tool| (tool.def.name.clone(), tool.def.risk_class)).collect(),
        reference: pushed.reference.to_string(),
        manifest: pushed.manifest,
        changed: pushed.tags.iter().any(|tag| tag.changed),
        tags: pushed.tags,
    })
}
