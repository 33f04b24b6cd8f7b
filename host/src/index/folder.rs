//! The folder of an index as it is: what is in it, what was signed of it, and whether readers accept that. Nothing is signed here.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use rig_specs::{
    Sha256,
    index::FILE,
    tuf::{Envelope, Listing, METADATA, RoleName, Root, TargetFile},
};

use super::{SignError, get, put};
use crate::{
    author::publish,
    install::trust::{
        Fault,
        client::beside,
        view::{self, View},
    },
};

/// Whatever is good for less than this is signed anew on the way.
const RENEW: SignedDuration = SignedDuration::from_hours(24 * 60);

/// The folder of an index.
pub(super) struct Folder<'a> {
    pub(super) path: &'a Path,
    pub(super) now: Timestamp,
}

impl<'a> Folder<'a> {
    pub(super) fn at(path: &'a Path) -> Self {
        Self { path, now: crate::install::index::now() }
    }

    pub(super) fn metadata(&self, file: &str) -> PathBuf {
        self.path.join(METADATA).join(file)
    }

    pub(super) fn fault(&self, fault: Fault) -> SignError {
        SignError::Metadata { path: self.path.join(METADATA), fault }
    }

    pub(super) fn expires(&self, days: i64) -> String {
        (self.now + SignedDuration::from_hours(24 * days)).to_string()
    }

    /// The root that readers get.
    pub(super) fn root(&self) -> Result<Option<View>, SignError> {
        let file = RoleName::Root.plain_file();
        let Some(bytes) = get(&self.metadata(&file))? else { return Ok(None) };
        let envelope = view::parse(&bytes, &file).map_err(|fault| self.fault(fault))?;
        View::new(envelope, &file).map(Some).map_err(|fault| self.fault(fault))
    }

    /// Whether readers find signatures.
    pub(super) fn is_signed(&self) -> bool {
        self.metadata(&RoleName::Root.plain_file()).exists()
    }

    /// Whether readers accept what is signed, and it is what is in the folder now.
    pub(super) fn state(&self) -> Result<Result<bool, Fault>, SignError> {
        let mut view = self.root()?.ok_or_else(|| SignError::NotSigned(self.path.to_owned()))?;
        let signed: BTreeMap<String, TargetFile> = match self.read(&mut view) {
            Ok(accepted) => accepted.targets,
            Err(fault) => return Ok(Err(fault)),
        };
        let now = self.files()?;
        let same = |(name, (sha256, length)): (&String, &(Sha256, u64))| {
            signed.get(name).is_some_and(|file| file.hashes.sha256 == *sha256 && file.length == *length)
        };
        Ok(Ok(now.len() == signed.len() && now.iter().all(same)))
    }

    /// What readers of the folder accept.
    pub(super) fn read(&self, view: &mut View) -> Result<view::Accepted, Fault> {
        let bytes = |file: &str| {
            let missing = || Fault::NoLongerSigned { file: file.to_owned() };
            get(&self.metadata(file)).ok().flatten().ok_or_else(missing)
        };
        view.root_expires(self.now)?;
        let (snapshot, _) = view.timestamp(&bytes(&RoleName::Timestamp.file(0))?, self.now)?;
        let (targets, _) = view.snapshot(&bytes(&RoleName::Snapshot.file(snapshot.version))?, &snapshot, self.now)?;
        view.targets(&bytes(&RoleName::Targets.file(targets.version))?, &targets, self.now)
    }

    /// A root that waits for signatures. Under a name that no reader asks for.
    pub(super) fn pending(&self) -> Result<Option<(u64, PathBuf, Envelope)>, SignError> {
        let entries = fs::read_dir(self.path.join(METADATA)).into_iter().flatten().flatten();
        let pending = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "pending");
        let Some(path) = entries.map(|entry| entry.path()).find(pending) else { return Ok(None) };
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = get(&path)?.unwrap_or_default();
        let envelope = view::parse(&bytes, &file).map_err(|fault| self.fault(fault))?;
        let root: Root = envelope.read(RoleName::Root).map_err(|why| self.fault(Fault::Malformed { file, why }))?;
        Ok(Some((root.version, path, envelope)))
    }

    /// Puts down a new root, which is in force when enough have signed it.
    pub(super) fn offer(&self, root: &Root) -> Result<(), SignError> {
        if let Some((version, ..)) = self.pending()? {
            return Err(SignError::Pending(version));
        }
        let file = format!("{}.pending", RoleName::Root.file(root.version));
        let malformed = |error: serde_json::Error| SignError::BadRoot(error.to_string());
        put(&self.metadata(&file), Envelope::new(root).map_err(malformed)?.to_text().as_bytes())
    }

    /// The index and the components beside it, with their digests and sizes as they are.
    pub(super) fn files(&self) -> Result<BTreeMap<String, (Sha256, u64)>, SignError> {
        let (path, index) = publish::read(self.path)?;
        let index = index.ok_or_else(|| SignError::io(&path, "read", io::ErrorKind::NotFound.into()))?;
        let bytes = get(&path)?.unwrap_or_default();
        let mut files: BTreeMap<_, _> = [(FILE.to_owned(), (Sha256::of(&bytes), bytes.len() as u64))].into();
        let releases =
            index.packs.values().filter_map(|pack| pack.wasm.as_ref()).flat_map(|wasm| wasm.versions.values());
        for (name, release) in releases.flat_map(|release| beside(release).map(move |name| (name, release))) {
            let path = self.path.join(name);
            let bad = |why: String| SignError::Component { path: path.clone(), why };
            if name.contains('/') || name.contains('\\') || name.starts_with('.') || name == FILE {
                return Err(bad("a component beside the index has a plain name".into()));
            }
            let bytes = get(&path)?.ok_or_else(|| bad("the index names it, and it is not there".into()))?;
            let found = Sha256::of(&bytes);
            if found != release.sha256 || bytes.len() as u64 != release.size {
                return Err(bad(format!(
                    "the index says it has {} and {} bytes, but it has {found} and {}",
                    release.sha256,
                    release.size,
                    bytes.len()
                )));
            }
            files.insert(name.to_owned(), (found, release.size));
        }
        Ok(files)
    }

    pub(super) fn old<T: serde::de::DeserializeOwned>(
        &self,
        role: RoleName,
        version: u64,
    ) -> Result<Option<(Envelope, T)>, SignError> {
        let file = role.file(version);
        let Some(bytes) = get(&self.metadata(&file))? else { return Ok(None) };
        let envelope = view::parse(&bytes, &file).map_err(|fault| self.fault(fault))?;
        let malformed = |why| self.fault(Fault::Malformed { file: file.clone(), why });
        let document = envelope.read(role).map_err(malformed)?;
        Ok(Some((envelope, document)))
    }

    /// A timestamp or snapshot that is there, and whether it can stay.
    pub(super) fn listing(
        &self,
        role: RoleName,
        version: u64,
        root: &Root,
    ) -> Result<(Option<Listing>, bool), SignError> {
        let old = self.old::<Listing>(role, version)?;
        let good = old.as_ref().is_some_and(|(envelope, old)| self.good(envelope, root, role, &old.expires));
        Ok((old.map(|(_, listing)| listing), good))
    }

    /// Whether a file that is there can stay: signed by the keys of now, and for long enough.
    pub(super) fn good(&self, envelope: &Envelope, root: &Root, role: RoleName, expires: &str) -> bool {
        let lasts = expires.parse::<Timestamp>().is_ok_and(|expires| expires > self.now + RENEW);
        lasts && view::signed(envelope, root, role, role.as_str()).is_ok()
    }
}
