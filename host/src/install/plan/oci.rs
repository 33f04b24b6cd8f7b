//! Packs of OCI registries: what a person named, and what there is newer than an installed one.
//!
//! The repository is to such a pack what the index is to others: its recorded origin, so that the same id from another repository is
//! another pack. A tag that is a version is one release; newer ones are looked for among the other tags. Any other tag, such as
//! `latest`, is followed to where it leads now, and nothing moves before a person has seen what that changes.

use rig_specs::{
    Sha256,
    lock::{LockedPack, Origin, Standing},
};
use semver::Version;

use super::{
    Planner,
    find::{Component, Sought},
};
use crate::{
    install::{
        InstallError, Installer, Options, Progress,
        fetch::{Expected, FetchError, Fetcher},
        net::{Downloader, NetError},
        oci::{self, Found, OciError, Reference, Tried},
        source::Wanted,
    },
    project::Project,
};

/// Where an installed pack came from, if that is a registry.
pub(in crate::install) fn of_registry(locked: &LockedPack) -> Option<Reference> {
    let origin = locked.origin.as_ref()?;
    let reference = Reference::parse(locked.source.as_deref()?).ok()?;
    (origin.index == reference.bare().to_string()).then_some(reference)
}

/// Whether an installed pack came from a registry, and so is not expected in an index.
#[must_use]
pub fn is_of_registry(locked: &LockedPack) -> bool {
    of_registry(locked).is_some()
}

/// What a registry has for an installed pack.
#[derive(Debug)]
enum Look {
    /// The installed one.
    Same,
    /// The tag of the installed version names another component now.
    Moved {
        tag: String,
        sha256: Sha256,
    },
    Other(Found),
}

/// What an installed pack of a registry may be replaced by.
pub(in crate::install) enum Successor {
    /// There is nothing else.
    None,
    /// A sentence about why what there is does not take its place.
    Refused(String),
    /// Another version.
    Found(Version, Box<Component>),
}

impl Planner<'_> {
    /// What a person named in a registry.
    pub(super) async fn oci(
        &self,
        reference: &Reference,
        version: Option<&Wanted>,
        sha256: Option<Sha256>,
    ) -> Result<Sought, InstallError> {
        self.refuse_offline(Tried::Pull, reference)?;
        let found = named(self.installer.downloader, reference, version).await?;
        if let (Some(expected), Some(url)) =
            (sha256.filter(|expected| *expected != found.sha256), found.reference.url())
        {
            let error = FetchError::Hash { url, expected, found: found.sha256 };
            return Err(InstallError::Fetch { what: reference.to_string(), error });
        }
        Ok(sought(&found))
    }

    fn refuse_offline(&self, tried: Tried, reference: &Reference) -> Result<(), OciError> {
        let refuse = || Err(OciError::Offline { tried, reference: reference.to_string() });
        if self.options.offline() { refuse() } else { Ok(()) }
    }

    async fn look(&self, locked: &LockedPack, at: &Reference, wanted: Option<&Wanted>) -> Result<Look, InstallError> {
        let net = self.installer.downloader;
        self.refuse_offline(Tried::List, at)?;
        let same = |found: &Found| Some(found.sha256) == locked.integrity;
        let released = at.tag.as_deref().is_none_or(|tag| oci::version_of(tag).is_some());
        if wanted.is_some() {
            let tag = oci::choose(net, at, wanted).await?;
            let found = oci::resolve(net, &at.tagged(&tag)).await?;
            return Ok(if same(&found) { Look::Same } else { Look::Other(found) });
        }
        if !released {
            let found = oci::resolve(net, &at.unpinned()).await?;
            return Ok(if same(&found) { Look::Same } else { Look::Other(found) });
        }
        let installed = &locked.version;
        let newer = |(version, _): &(&Version, &String)| {
            *version > installed && (version.pre.is_empty() || !installed.pre.is_empty())
        };
        let versions = oci::list(net, at).await?;
        if let Some((_, tag)) = versions.iter().rev().find(newer) {
            return Ok(Look::Other(oci::resolve(net, &at.tagged(tag)).await?));
        }
        let moved = self.moved(locked, at).await?;
        Ok(moved.map_or(Look::Same, |(tag, sha256)| Look::Moved { tag, sha256 }))
    }

    /// The tag of an installed version, when it names another component now, and which.
    async fn moved(&self, locked: &LockedPack, at: &Reference) -> Result<Option<(String, Sha256)>, InstallError> {
        let net = self.installer.downloader;
        let Some(tag) = at.tag.clone().filter(|tag| oci::version_of(tag).is_some()) else { return Ok(None) };
        let now = match oci::digest_of(net, at, &tag).await {
            // One that was taken away names nothing else.
            Err(OciError::Refused { refusal, .. }) if refusal.status == 404 => return Ok(None),
            other => other?,
        };
        if Some(now) == at.digest {
            return Ok(None);
        }
        let found = oci::resolve(net, &at.tagged(&tag)).await?;
        Ok((Some(found.sha256) != locked.integrity).then_some((tag, found.sha256)))
    }

    /// What an installed pack may be replaced by: the newest version, or the one that is wanted.
    pub(in crate::install) async fn successor(
        &self,
        locked: &LockedPack,
        at: &Reference,
        wanted: Option<&Wanted>,
    ) -> Result<Successor, InstallError> {
        let (id, installed) = (&locked.pack_id, &locked.version);
        let found = match self.look(locked, at, wanted).await? {
            Look::Same => return Ok(Successor::None),
            Look::Moved { tag, sha256 } => return Ok(Successor::Refused(moved(locked, &at.tagged(&tag), sha256))),
            Look::Other(found) => found,
        };
        let mut components = self.obtain(vec![sought(&found)]).await?;
        let Some(component) = components.pop() else { return Ok(Successor::None) };
        let info = &component.inspected.pack.manifest.pack;
        if info.id != *id {
            let (expected, found) = (id.to_string(), info.id.to_string());
            return Err(InstallError::NotAsIndexed { pack: id.clone(), field: "id", expected, found });
        }
        let named = found.reference.tag.as_deref().and_then(oci::version_of);
        if let Some(expected) = named.filter(|named| *named != info.version) {
            let (expected, found) = (expected.to_string(), info.version.to_string());
            return Err(InstallError::NotAsIndexed { pack: id.clone(), field: "version", expected, found });
        }
        let at = found.reference.unpinned();
        if info.version == *installed {
            return Ok(Successor::Refused(moved(locked, &at, found.sha256)));
        }
        if wanted.is_none() && info.version < *installed {
            return Ok(Successor::Refused(format!("{at} is version {} now, which is older", info.version)));
        }
        let version = info.version.clone();
        Ok(Successor::Found(version, Box::new(component)))
    }
}

impl Installer<'_> {
    /// The component that a reference names now, and that reference with its digest. Nothing is kept.
    ///
    /// # Errors
    /// When the registry does not have it.
    pub async fn look_at(
        &self,
        reference: &Reference,
        offline: bool,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<(Reference, Vec<u8>), InstallError> {
        let what = reference.to_string();
        if offline {
            return Err(OciError::Offline { tried: Tried::Pull, reference: what }.into());
        }
        let found = named(self.downloader, reference, None).await?;
        let urls: Vec<_> = found.reference.url().into_iter().collect();
        let expected = Expected { sha256: found.sha256, size: Some(found.size) };
        let fetcher = Fetcher { downloader: self.downloader, home: &self.home, offline: false, progress };
        let bytes = fetcher.fetch(&what, &urls, expected).await;
        let (staged, _) = bytes.map_err(|error| plainly(InstallError::Fetch { what: what.clone(), error }))?;
        Ok((found.reference, staged.read()?))
    }

    /// A sentence about the tag of an installed pack, when it is a version and names another component now.
    ///
    /// # Errors
    /// When the registry does not say.
    pub async fn moved_tag(
        &self,
        project: &Project,
        locked: &LockedPack,
        options: &Options,
    ) -> Result<Option<String>, InstallError> {
        let Some(at) = of_registry(locked) else { return Ok(None) };
        let planner = Planner::new(self, project, options, &|_| {});
        planner.refuse_offline(Tried::Pull, &at)?;
        let found = planner.moved(locked, &at).await?;
        Ok(found.map(|(tag, sha256)| moved(locked, &at.tagged(&tag), sha256)))
    }
}

/// What a reference names, as the component of a plan.
fn sought(found: &Found) -> Sought {
    let origin = Origin { index: found.reference.bare().to_string(), standing: Standing::Unsigned };
    Sought {
        what: found.reference.unpinned().to_string(),
        urls: found.reference.url().into_iter().collect(),
        expected: Expected { sha256: found.sha256, size: Some(found.size) },
        source: Some(found.reference.to_string()),
        publisher: None,
        newer: None,
        origin: Some(origin),
        from_index: false,
    }
}

/// What goes wrong with a registry names the reference itself.
pub(super) fn plainly(error: InstallError) -> InstallError {
    match error {
        InstallError::Fetch { error: FetchError::Net(NetError::Registry(error)), .. } => InstallError::Oci(error),
        other => other,
    }
}

/// What a reference names, the newest version where it names neither tag nor digest.
async fn named(net: &dyn Downloader, reference: &Reference, version: Option<&Wanted>) -> Result<Found, OciError> {
    if reference.tag.is_some() || reference.digest.is_some() {
        return oci::resolve(net, reference).await;
    }
    let tag = oci::choose(net, reference, version).await?;
    oci::resolve(net, &reference.tagged(&tag)).await
}

fn moved(locked: &LockedPack, at: &Reference, sha256: Sha256) -> String {
    format!(
        "{at} names another component now ({sha256}), with the same version {}; rig.lock keeps the one that was agreed to",
        locked.version
    )
}
