//! A machine to install on: home, project, and an index with artifacts as files.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use rig_specs::{Sha256, lock::LockedPack, manifest::EmbeddedPack};
use serde_json::{Value, json};

use crate::{
    home::Home,
    install::{
        Committed, InstallError, Installer, Options, Plan, Request, RestoredPack,
        net::fake::{Fake, run},
        test_packs::{embedded, pack},
    },
    project::Project,
};

/// A machine with a home, a project, and an index as files.
pub(super) struct Machine {
    pub(super) folder: tempfile::TempDir,
    pub(super) net: Fake,
    pub(super) index: Value,
}

impl Machine {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["project", "index"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        crate::project::init(&folder.path().join("project"), Some("../index/pack_index.json")).unwrap();
        let index = json!({ "api_version": 1, "generated_at": "2026-01-01T00:00:00Z", "packs": {} });
        let machine = Self { folder, net: Fake::default(), index };
        machine.write_index();
        machine
    }

    /// A machine whose index has the pack `echo` 1.0.0.
    pub(super) fn with_echo() -> Self {
        let mut machine = Self::new();
        machine.publish(&embedded("echo", "1.0.0"));
        machine
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    pub(super) fn home(&self) -> Home {
        Home::new(self.folder.path().join("home"))
    }

    pub(super) fn project(&self) -> Project {
        Project::open(&self.root()).unwrap()
    }

    pub(super) fn write_index(&self) {
        fs::write(self.folder.path().join("index/pack_index.json"), self.index.to_string()).unwrap();
    }

    pub(super) fn publish(&mut self, what: &EmbeddedPack) -> Sha256 {
        let (info, bytes) = (&what.manifest.pack, pack(what));
        let file = format!("{}-{}.wasm", info.id, info.version);
        fs::write(self.folder.path().join("index").join(&file), &bytes).unwrap();
        let entry = &mut self.index["packs"][info.id.as_str()];
        if entry.is_null() {
            *entry = json!({ "display_name": "", "description": "", "publisher": { "name": "Acme" }, "wasm": { "versions": {} } });
        }
        let digest = Sha256::of(&bytes);
        entry["wasm"]["versions"][info.version.to_string()] =
            json!({ "sha256": digest.to_string(), "size": bytes.len(), "urls": [file] });
        self.write_index();
        digest
    }

    pub(super) fn release(&mut self, version: &str, key: &str, value: Value) {
        self.index["packs"]["echo"]["wasm"]["versions"][version][key] = value;
        self.write_index();
    }

    pub(super) fn options(&self) -> Options {
        Options::new(self.root())
    }

    pub(super) fn plan_with(&self, what: &[&str], options: &Options) -> Result<Plan, InstallError> {
        let requests: Result<Vec<Request>, _> =
            what.iter().map(|text| Request::parse(text, None, &options.cwd)).collect();
        let installer = Installer::new(self.home(), &self.net);
        run(installer.plan(&self.project(), &requests?, options, &|_| {}))
    }

    pub(super) fn install(&self, what: &[&str]) -> Result<Committed, InstallError> {
        self.plan_with(what, &self.options())?.commit(&self.root(), &mut |_| {})
    }

    pub(super) fn restore(&self) -> Result<Vec<RestoredPack>, InstallError> {
        let installer = Installer::new(self.home(), &self.net);
        run(installer.restore(&self.project(), &self.options(), &|_| {}))
    }

    pub(super) fn files(&self) -> (String, String) {
        let read = |name| fs::read_to_string(self.root().join(name)).unwrap_or_default();
        (read("rig.lock"), read("rig.yaml"))
    }

    pub(super) fn locked(&self, id: &str) -> LockedPack {
        self.project().locked(&id.parse().unwrap()).unwrap().clone()
    }

    pub(super) fn staging(&self) -> usize {
        fs::read_dir(self.home().staging()).map_or(0, Iterator::count)
    }

    /// Changes a byte of a component in the store.
    pub(super) fn tamper(&self, digest: &Sha256) -> Sha256 {
        let path = self.home().component(digest);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        Sha256::of(&bytes)
    }
}
