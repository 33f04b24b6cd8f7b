//! Puts a built pack into an index that is a folder: `pack_index.json` beside the components. The folder can be copied to any web
//! server; the URLs in it are relative.
//!
//! A released version never changes: its bytes are those that every lock names. What is there already with the same bytes stays.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use rig_specs::{
    PackId, Sha256,
    index::{FILE, Index, OtherBytes, Publisher, Release},
    rtp::RiskClass,
};
use semver::Version;
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use crate::install::{
    InspectError,
    index::{self, IndexError},
    inspect,
    oci::OciError,
    rig_version,
};

/// The file that is held while an index changes.
const LOCK: &str = ".pack_index.lock";

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The component is no pack.
    #[error("{} is not a pack that can be published: {error}", .path.display())]
    Inspect {
        /// The component.
        path: PathBuf,
        /// Why.
        error: InspectError,
    },
    /// The pack says that it is not to be published.
    #[error("the pack `{0}` is not meant to be published: its rig-pack.toml says `publish = false`")]
    Private(PackId),
    /// A registry does not take it.
    #[error(transparent)]
    Registry(Box<OciError>),
    /// The version is there with other bytes.
    #[error(transparent)]
    OtherBytes(#[from] OtherBytes),
    /// The index that is there cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// There is no such version to withdraw.
    #[error("the index has no {pack} {version}")]
    NoVersion {
        /// The pack.
        pack: PackId,
        /// The version.
        version: Version,
    },
    /// There is no such pack.
    #[error("the index has no pack {pack}")]
    NoPack {
        /// The pack.
        pack: PackId,
    },
    /// A file cannot be read or written.
    #[error("{} cannot be {what}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl PublishError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Inspect { error, .. } => return error.hint(),
            Self::Registry(error) => return error.hint(),
            Self::Private(_) => "take the line out if it is".into(),
            Self::OtherBytes(other) => {
                let mut next = other.version.clone();
                next.patch += 1;
                format!("raise the version in rig-pack.toml, for example to {next}: a released version never changes")
            }
            Self::Index(_) => "mend the index, or name another folder with --to".into(),
            Self::NoVersion { .. } | Self::NoPack { .. } => {
                "see what the index has: rig packs --available --index-url FOLDER/pack_index.json".into()
            }
            Self::Io { .. } => "name a folder that you can write to with --to".into(),
        })
    }
}

/// What publishing came to, or would come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The pack.
    pub pack: PackId,
    /// The version.
    pub version: Version,
    /// Of the bytes.
    pub sha256: Sha256,
    /// In bytes.
    pub size: u64,
    /// The tools with their risk classes.
    pub tools: Vec<(String, RiskClass)>,
    /// The index.
    pub index: PathBuf,
    /// The component in the folder.
    pub component: PathBuf,
    /// Whether the folder changed, or would.
    pub changed: bool,
    /// How many packs the index has now, or would have.
    pub packs: usize,
}

/// How to publish.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Who answers for the pack.
    pub publisher: Option<String>,
    /// Change nothing.
    pub dry_run: bool,
}

/// Checks a component and puts it into the index in `folder`.
///
/// # Errors
/// When it is no pack, its version is there with other bytes, or the folder cannot be written. The index is as it was, then.
pub fn publish(folder: &Path, source: &Path, options: &Options) -> Result<Published, PublishError> {
    let bytes = fs::read(source).map_err(|error| PublishError::io(source, "read", error))?;
    let found = inspect::inspect(&bytes, &rig_version())
        .map_err(|error| PublishError::Inspect { path: source.to_owned(), error })?;
    let info = &found.pack.manifest.pack;
    if !info.publish {
        return Err(PublishError::Private(info.id.clone()));
    }
    let _held = if options.dry_run { None } else { Some(hold(folder)?) };
    let (path, old) = read(folder)?;
    let mut index = old.clone().unwrap_or_else(|| Index::empty(String::new()));
    let name = format!("{}-{}.wasm", info.id, info.version);
    let component = folder.join(&name);
    let publisher = options.publisher.as_ref().map(|name| Publisher { name: name.clone(), homepage: None, key: None });
    index.add(&Release {
        pack: &found.pack,
        sha256: found.sha256,
        size: found.size,
        url: &name,
        publisher: publisher.as_ref(),
    })?;
    let present = fs::read(&component).is_ok_and(|there| Sha256::of(&there) == found.sha256);
    let said = old.as_ref() == Some(&index);
    if !options.dry_run {
        // The component first: an index never names what is not there.
        if !present {
            replace(&component, &bytes).map_err(|error| PublishError::io(&component, "written", error))?;
        }
        if !said {
            write(&path, &mut index, &info.id)?;
        }
    }
    Ok(Published {
        pack: info.id.clone(),
        version: info.version.clone(),
        sha256: found.sha256,
        size: found.size,
        tools: found.pack.tools.iter().map(|tool| (tool.def.name.clone(), tool.def.risk_class)).collect(),
        index: path,
        component,
        changed: !(present && said),
        packs: index.packs.len(),
    })
}

/// Withdraws a version: it stays for the projects that have it, and is chosen no more. Says whether it was offered before.
///
/// # Errors
/// When the index has no such version, or cannot be written.
pub fn yank(folder: &Path, pack: &PackId, version: &Version, options: &Options) -> Result<bool, PublishError> {
    let unknown = || PublishError::NoVersion { pack: pack.clone(), version: version.clone() };
    if !folder.join(FILE).is_file() {
        return Err(unknown());
    }
    let _held = if options.dry_run { None } else { Some(hold(folder)?) };
    let (path, index) = read(folder)?;
    let mut index = index.ok_or_else(unknown)?;
    let releases = index.packs.get_mut(pack).and_then(|pack| pack.wasm.as_mut());
    let release = releases.and_then(|releases| releases.versions.get_mut(version)).ok_or_else(unknown)?;
    let changed = !std::mem::replace(&mut release.yanked, true);
    if changed && !options.dry_run {
        write(&path, &mut index, pack)?;
    }
    Ok(changed)
}

/// Takes a version, or all of a pack, out of an index. Projects that have it keep it; nobody finds it any more. Its digest stays noted,
/// so that the version never comes back with other bytes. Returns the versions.
///
/// # Errors
/// When the index has no such version, or cannot be written.
pub fn remove(folder: &Path, pack: &PackId, version: Option<&Version>) -> Result<Vec<Version>, PublishError> {
    let unknown = || match version {
        Some(version) => PublishError::NoVersion { pack: pack.clone(), version: version.clone() },
        None => PublishError::NoPack { pack: pack.clone() },
    };
    if !folder.join(FILE).is_file() {
        return Err(unknown());
    }
    let _held = hold(folder)?;
    let (path, index) = read(folder)?;
    let mut index = index.ok_or_else(unknown)?;
    let gone = index.remove(pack, version);
    if gone.is_empty() {
        return Err(unknown());
    }
    write(&path, &mut index, pack)?;
    // Only after the index: it never names what is not there.
    for release in gone.values() {
        for name in release.urls.iter().filter(|name| !name.contains([':', '/', '\\']) && !name.starts_with('.')) {
            let _ = fs::remove_file(folder.join(name));
        }
    }
    Ok(gone.into_keys().collect())
}

impl From<OciError> for PublishError {
    fn from(error: OciError) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl PublishError {
    pub(super) fn io(path: &Path, what: &'static str, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), what, source }
    }
}

/// Keeps others from changing the index meanwhile. The file stays: removing it would let two in.
pub(crate) fn hold(folder: &Path) -> Result<File, PublishError> {
    let path = folder.join(LOCK);
    let open = || -> io::Result<File> {
        fs::create_dir_all(folder)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|error| PublishError::io(&path, "written", error))
}

/// The index in a folder, if there is one.
pub(crate) fn read(folder: &Path) -> Result<(PathBuf, Option<Index>), PublishError> {
    let path = folder.join(FILE);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((path, None)),
        other => other.map_err(|error| PublishError::io(&path, "read", error))?,
    };
    let url = std::path::absolute(&path).ok().and_then(|path| Url::from_file_path(path).ok());
    let url = url.ok_or_else(|| PublishError::io(&path, "read", io::Error::other("it is no usable path")))?;
    Ok((path, Some(index::parse(&bytes, &url)?)))
}

pub(crate) fn write(path: &Path, index: &mut Index, changed: &PackId) -> Result<(), PublishError> {
    index.generated_at = index::now().to_string();
    let written = || -> io::Result<()> {
        let mut new = serde_json::to_value(&*index)?;
        let old = fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        keep_unknown(&mut new, old.as_ref(), changed.as_str());
        replace(path, format!("{new:#}\n").as_bytes())
    };
    written().map_err(|error| PublishError::io(path, "written", error))
}

/// The keys of a pack that this rig writes.
const KNOWN: [&str; 8] = ["display_name", "description", "homepage", "tags", "publisher", "wasm", "python", "node"];

/// An index may hold what only newer rigs know: of all packs but the one that changed everything stays as it is, and of that one what
/// this rig does not write.
fn keep_unknown(new: &mut Value, old: Option<&Value>, changed: &str) {
    let (Some(new), Some(old)) = (new.as_object_mut(), old.and_then(Value::as_object)) else { return };
    let no_packs = Map::new();
    let before = old.get("packs").and_then(Value::as_object).unwrap_or(&no_packs);
    for (key, value) in old {
        new.entry(key.clone()).or_insert_with(|| value.clone());
    }
    let Some(packs) = new.get_mut("packs").and_then(Value::as_object_mut) else { return };
    for (id, was) in before {
        match packs.get_mut(id).and_then(Value::as_object_mut) {
            Some(is) if id == changed => {
                let unknown = was.as_object().into_iter().flatten().filter(|(key, _)| !KNOWN.contains(&key.as_str()));
                is.extend(unknown.map(|(key, value)| (key.clone(), value.clone())));
            }
            // Taken out.
            None if id == changed => {}
            _ => {
                packs.insert(id.clone(), was.clone());
            }
        }
    }
}

/// Puts bytes in the place of a file in one step.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(file.path(), bytes)?;
    // A temporary file is private; this one is for everybody.
    fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rig_specs::manifest::EmbeddedPack;
    use serde_json::json;

    use super::*;
    use crate::install::test_packs::{embedded, pack};

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn index(&self) -> PathBuf {
            self.0.path().join("packs")
        }

        fn publish(&self, what: &EmbeddedPack, options: &Options) -> Result<Published, PublishError> {
            let source = self.0.path().join("built.wasm");
            fs::write(&source, pack(what)).unwrap();
            publish(&self.index(), &source, options)
        }

        fn json(&self) -> Value {
            serde_json::from_slice(&fs::read(self.index().join(FILE)).unwrap()).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let names =
                fs::read_dir(self.index()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.filter(|name| name != LOCK).collect();
            names.sort();
            names
        }
    }

    fn by(name: &str) -> Options {
        Options { publisher: Some(name.into()), ..Options::default() }
    }

    #[test]
    fn versions_and_packs_add_up() {
        let folder = Folder::new();
        let first = folder.publish(&embedded("one", "1.0.0"), &by("Ann")).unwrap();
        assert!(first.changed && first.packs == 1);
        let again = folder.publish(&embedded("one", "1.0.0"), &Options::default()).unwrap();
        assert!(!again.changed, "the same again changes nothing");
        folder.publish(&embedded("two", "0.1.0"), &Options::default()).unwrap();
        let mut older = embedded("one", "0.9.0");
        older.manifest.pack.description = "Of old.".into();
        folder.publish(&older, &Options::default()).unwrap();

        let json = folder.json();
        assert_eq!(json["packs"]["one"]["description"], "For tests.", "the newest version speaks for the pack");
        assert_eq!(json["packs"]["one"]["publisher"]["name"], "Ann");
        assert_eq!(json["packs"]["one"]["wasm"]["versions"].as_object().unwrap().len(), 2);
        assert_eq!(json["packs"]["two"]["wasm"]["versions"]["0.1.0"]["urls"], json!(["two-0.1.0.wasm"]));
        assert_eq!(folder.names(), ["one-0.9.0.wasm", "one-1.0.0.wasm", FILE, "two-0.1.0.wasm"]);
    }

    #[test]
    fn a_released_version_never_changes() {
        let folder = Folder::new();
        folder.publish(&embedded("one", "1.0.0"), &Options::default()).unwrap();
        let before = folder.json();
        let mut other = embedded("one", "1.0.0");
        other.tools[0].def.description = "Another.".into();
        let error = folder.publish(&other, &Options::default()).unwrap_err();
        assert!(
            error.to_string().starts_with("one 1.0.0 is in the index already, with other bytes (sha256:"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("for example to 1.0.1"));
        assert_eq!(folder.json(), before);
        assert_eq!(fs::read(folder.index().join("one-1.0.0.wasm")).unwrap(), pack(&embedded("one", "1.0.0")));
    }

    #[test]
    fn a_dry_run_changes_nothing_and_damage_is_mended() {
        let folder = Folder::new();
        let dry = Options { dry_run: true, ..Options::default() };
        assert!(folder.publish(&embedded("one", "1.0.0"), &dry).unwrap().changed);
        assert!(!folder.index().exists());
        folder.publish(&embedded("one", "1.0.0"), &Options::default()).unwrap();
        fs::write(folder.index().join("one-1.0.0.wasm"), "damaged").unwrap();
        assert!(folder.publish(&embedded("one", "1.0.0"), &Options::default()).unwrap().changed);
        assert_eq!(fs::read(folder.index().join("one-1.0.0.wasm")).unwrap(), pack(&embedded("one", "1.0.0")));
    }

    #[test]
    fn what_is_not_published() {
        let folder = Folder::new();
        let mut private = embedded("one", "1.0.0");
        private.manifest.pack.publish = false;
        let error = folder.publish(&private, &Options::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the pack `one` is not meant to be published: its rig-pack.toml says `publish = false`"
        );
        let source = folder.0.path().join("x.wasm");
        fs::write(&source, "no pack").unwrap();
        let error = publish(&folder.index(), &source, &Options::default()).unwrap_err().to_string();
        assert!(error.ends_with("x.wasm is not a pack that can be published: the file is not WebAssembly"), "{error}");
        assert!(!folder.index().exists());
        fs::create_dir(folder.index()).unwrap();
        fs::write(folder.index().join(FILE), "<html>").unwrap();
        let error = folder.publish(&embedded("one", "1.0.0"), &Options::default()).unwrap_err();
        assert!(matches!(error, PublishError::Index(IndexError::Html { .. })), "{error}");
        assert_eq!(fs::read_to_string(folder.index().join(FILE)).unwrap(), "<html>");
    }

    #[test]
    fn a_version_is_withdrawn_and_stays() {
        let folder = Folder::new();
        let (id, version) = ("one".parse().unwrap(), Version::new(1, 0, 0));
        let error = yank(&folder.index(), &id, &version, &Options::default()).unwrap_err();
        assert_eq!(error.to_string(), "the index has no one 1.0.0");
        folder.publish(&embedded("one", "1.0.0"), &Options::default()).unwrap();
        assert!(yank(&folder.index(), &id, &version, &Options::default()).unwrap());
        assert!(!yank(&folder.index(), &id, &version, &Options::default()).unwrap(), "it was before");
        folder.publish(&embedded("one", "1.0.0"), &Options::default()).unwrap();
        assert_eq!(
            folder.json()["packs"]["one"]["wasm"]["versions"]["1.0.0"]["yanked"],
            true,
            "publishing does not bring it back"
        );
    }

    #[test]
    fn what_a_newer_rig_wrote_stays() {
        let folder = Folder::new();
        folder.publish(&embedded("one", "1.0.0"), &Options::default()).unwrap();
        let mut json = folder.json();
        json["new_key"] = json!(1);
        json["packs"]["one"]["ratings"] = json!([5]);
        json["packs"]["one"]["homepage"] = json!("https://old.example.com");
        json["packs"]["two"] = json!({ "display_name": "Two", "description": "d", "ruby": { "gem": "two" } });
        fs::write(folder.index().join(FILE), json.to_string()).unwrap();
        folder.publish(&embedded("one", "1.1.0"), &Options::default()).unwrap();
        let new = folder.json();
        assert_eq!((&new["new_key"], &new["packs"]["one"]["ratings"]), (&json!(1), &json!([5])));
        assert_eq!(new["packs"]["two"], json["packs"]["two"]);
        assert_eq!(new["packs"]["one"]["homepage"], json!(null), "what this rig knows is as the pack says");
    }

    #[test]
    fn many_publish_at_once() {
        let folder = Folder::new();
        std::thread::scope(|scope| {
            for id in ["a", "b", "c", "d", "e", "f"] {
                let folder = &folder;
                scope.spawn(move || {
                    let source = folder.0.path().join(format!("{id}.wasm"));
                    fs::write(&source, pack(&embedded(id, "1.0.0"))).unwrap();
                    publish(&folder.index(), &source, &Options::default()).unwrap();
                });
            }
        });
        assert_eq!(folder.json()["packs"].as_object().unwrap().len(), 6);
    }
}
