//! An index that is signed by the maintainers' own code, a machine that reads it, and what an attacker does in between.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use rig_specs::{
    Sha256,
    tuf::{Envelope, PublicKey, RoleName},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    author::publish,
    home::Home,
    index::{
        keys::{self, Keys},
        rotate::{Rotation, rotate},
        sign,
    },
    install::{
        LoadedIndex, Mode, Options,
        index::{self, IndexError, load},
        net::fake::{Fake, run},
        test_packs::{embedded, pack},
        trust::{Fault, Trust, client::Client},
    },
    project::{self, Project},
};

pub(super) const URL: &str = "https://index.test/packs/pack_index.json";
const BASE: &str = "https://index.test/packs/";

/// The files of an index by name.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

pub(super) fn later(hours: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(hours)
}

/// Why an index was not trusted.
#[track_caller]
pub(super) fn fault(error: &IndexError) -> Fault {
    match error {
        IndexError::Trust(error) => (*error.fault).clone(),
        other => panic!("{other}"),
    }
}

/// What maintainers have.
pub(super) struct Repository(TempDir);

impl Repository {
    pub(super) fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        sign::init(&this.folder(), &this.keys(), &sign::Init::default()).unwrap();
        this
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("index")
    }

    fn keys(&self) -> PathBuf {
        self.0.path().join("keys")
    }

    fn all_keys(&self) -> Keys {
        Keys::load(&[self.keys()]).unwrap()
    }

    pub(super) fn add(&self, id: &str, version: &str) {
        let built = self.0.path().join("built.wasm");
        fs::write(&built, pack(&embedded(id, version))).unwrap();
        publish::publish(&self.folder(), &built, &publish::Options::default()).unwrap();
        self.sign_days(14);
    }

    pub(super) fn sign_days(&self, days: u16) {
        sign::sign(&self.folder(), &self.all_keys(), Some(days)).unwrap();
    }

    pub(super) fn sign_with(&self, more: &[PathBuf]) {
        let places = [&[self.keys()], more].concat();
        sign::sign(&self.folder(), &Keys::load(&places).unwrap(), None).unwrap();
    }

    /// A key that is not in the folder of keys.
    pub(super) fn key(&self, name: &str) -> (PublicKey, PathBuf) {
        let path = self.0.path().join(format!("{name}.pem"));
        (keys::generate(&path).unwrap(), path)
    }

    pub(super) fn change(&self, role: RoleName, add: &[PublicKey], threshold: Option<u32>, remove: &[PublicKey]) {
        let rotation = Rotation { role, add: add.to_vec(), remove: remove.to_vec(), threshold, days: None };
        // The key that is added may not be here: then everything but the new root waits.
        let _ = rotate(&self.folder(), self.all_keys(), &self.keys(), &rotation);
    }

    pub(super) fn rotate(&self, role: RoleName) {
        let rotation = Rotation { role, add: Vec::new(), remove: Vec::new(), threshold: None, days: None };
        rotate(&self.folder(), self.all_keys(), &self.keys(), &rotation).unwrap();
    }

    pub(super) fn files(&self) -> Files {
        fn walk(root: &Path, folder: &Path, files: &mut Files) {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    walk(root, &entry, files);
                } else {
                    let name = entry.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    files.insert(name, fs::read(entry).unwrap());
                }
            }
        }
        let mut files = Files::new();
        walk(&self.folder(), &self.folder(), &mut files);
        files
    }

    pub(super) fn root_keys(&self) -> Vec<PublicKey> {
        let envelope: Envelope = serde_json::from_slice(&self.files()["metadata/root.json"]).unwrap();
        envelope.read::<rig_specs::tuf::Root>(RoleName::Root).unwrap().keys_of(RoleName::Root)
    }

    /// What the maintainers published: their keys.
    pub(super) fn trust(&self) -> Trust {
        Trust { allow_unsigned: false, keys: self.root_keys() }
    }

    /// Changes a file and signs it with the key of that name.
    pub(super) fn resign_as(&self, files: &mut Files, name: &str, key: &str, change: impl FnOnce(&mut Value)) {
        let mut envelope: Envelope = serde_json::from_slice(&files[name]).unwrap();
        change(&mut envelope.signed);
        envelope.signatures.clear();
        let path = self.keys().join(format!("{key}.pem"));
        let public = keys::public(&path).unwrap();
        Keys::load(&[path]).unwrap().sign(&mut envelope, &[public]).unwrap();
        files.insert(name.into(), envelope.to_text().into_bytes());
    }

    /// Changes a file and signs it with the key that its role began with.
    pub(super) fn resign(&self, files: &mut Files, name: &str, change: impl FnOnce(&mut Value)) {
        let role = name.trim_end_matches(".json").rsplit(['.', '/']).next().unwrap().to_owned();
        self.resign_as(files, name, &role, change);
    }

    /// Makes snapshot and timestamp say what the targets of that version are now.
    pub(super) fn describe_again(&self, files: &mut Files, version: u64) {
        let described = |bytes: &[u8]| json!({ "version": version, "length": bytes.len(), "hashes": { "sha256": Sha256::of(bytes).hex() } });
        let targets = described(&files[&format!("metadata/{version}.targets.json")]);
        let name = format!("metadata/{version}.snapshot.json");
        self.resign(files, &name, |signed| signed["meta"]["targets.json"] = targets);
        let snapshot = described(&files[&name]);
        self.resign(files, "metadata/timestamp.json", |signed| signed["meta"]["snapshot.json"] = snapshot);
    }

    /// Takes every signature away but that of one key.
    pub(super) fn strip(&self, files: &mut Files, name: &str, key: &str) {
        let mut envelope: Envelope = serde_json::from_slice(&files[name]).unwrap();
        let id = keys::public(&self.keys().join(format!("{key}.pem"))).unwrap().id();
        envelope.signatures.retain(|signature| signature.keyid == id);
        assert_eq!(envelope.signatures.len(), 1);
        files.insert(name.into(), envelope.to_text().into_bytes());
    }

    /// Signs targets that leave a file out.
    pub(super) fn sign_other(&self, without: &str) {
        let mut files = self.files();
        self.resign(&mut files, "metadata/2.targets.json", |signed| {
            signed["targets"].as_object_mut().unwrap().remove(without).unwrap();
        });
        self.describe_again(&mut files, 2);
        for (name, bytes) in files {
            fs::write(self.folder().join(name), bytes).unwrap();
        }
    }
}

/// What a user has.
pub(super) struct Machine {
    pub(super) folder: TempDir,
    pub(super) home: Home,
    pub(super) net: Fake,
    pub(super) now: Timestamp,
    pub(super) local: bool,
}

impl Machine {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        project::init(folder.path(), Some(URL)).unwrap();
        let home = Home::new(folder.path().join("home"));
        Self { home, folder, net: Fake::default(), now: Timestamp::now(), local: false }
    }

    pub(super) fn serve(&self, files: &Files) {
        self.net.clear();
        for (name, bytes) in files {
            self.net.set(&format!("{BASE}{name}"), 200, bytes.clone());
        }
        // What is not there is said not to be there.
        self.net.answer_the_rest(404);
    }

    pub(super) fn served(&self, repository: &Repository) -> &Self {
        self.serve(&repository.files());
        self
    }

    /// A view of this machine at another time.
    pub(super) fn at(&self, now: Timestamp) -> View<'_> {
        View { machine: self, now, local: self.local }
    }

    pub(super) fn local(&self) -> View<'_> {
        View { machine: self, now: self.now, local: true }
    }

    pub(super) fn update(&self, trust: &Trust) -> Result<Vec<String>, IndexError> {
        self.at(self.now).update(trust)
    }

    pub(super) fn unsigned(&self) -> Result<Vec<String>, IndexError> {
        self.at(self.now).unsigned()
    }

    fn project(&self) -> Project {
        Project::open(self.folder.path()).unwrap()
    }

    pub(super) fn load(&self, mode: Mode, trust: &Trust) -> Result<LoadedIndex, IndexError> {
        let options = Options { mode, trust: trust.clone(), ..Options::new(self.folder.path().to_owned()) };
        run(load(&self.net, &self.home, &self.project(), &options))
    }

    /// Puts another index into the project's copy, as a rig that fetched it would have.
    pub(super) fn forge_copy(&self, version: &str) {
        let folder = self.folder.path().join(".rig/cache");
        let path = folder.join("pack_index.json");
        let text = fs::read_to_string(&path).unwrap().replace("\"1.0.0\"", &format!("\"{version}\""));
        fs::write(&path, &text).unwrap();
        let path = folder.join("pack_index.meta.json");
        let mut meta: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        meta["sha256"] = json!(Sha256::of(text.as_bytes()));
        meta.as_object_mut().unwrap().remove("digest").unwrap();
        meta["digest"] = json!(Sha256::of_json(&meta));
        fs::write(path, meta.to_string()).unwrap();
    }
}

/// A machine at a time.
pub(super) struct View<'a> {
    machine: &'a Machine,
    now: Timestamp,
    local: bool,
}

impl View<'_> {
    pub(super) fn update(&self, trust: &Trust) -> Result<Vec<String>, IndexError> {
        let (url, machine) = (URL.parse().unwrap(), self.machine);
        let client = Client {
            downloader: &machine.net,
            home: &machine.home,
            url: &url,
            trusted: &[],
            trust,
            local: self.local,
            now: self.now,
        };
        let verified = run(client.update())?;
        Ok(releases(&index::parse(&verified.bytes, &url)?))
    }

    /// What a client without signatures makes of the same files.
    pub(super) fn unsigned(&self) -> Result<Vec<String>, IndexError> {
        let home = Home::new(self.machine.folder.path().join("careless"));
        let trust = Trust { allow_unsigned: true, keys: Vec::new() };
        let options = Options { mode: Mode::Refresh, trust, ..Options::new(self.machine.folder.path().to_owned()) };
        run(load(&self.machine.net, &home, &self.machine.project(), &options)).map(|loaded| releases(&loaded.index))
    }
}

fn releases(index: &rig_specs::index::Index) -> Vec<String> {
    let packs = index.packs.iter().filter_map(|(id, pack)| Some((id, pack.wasm.as_ref()?)));
    packs.flat_map(|(id, wasm)| wasm.versions.keys().map(move |version| format!("{id} {version}"))).collect()
}
