//! A signed index as its maintainers keep it, with `rig index` itself, served on loopback.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rig_specs::tuf::PublicKey;

use crate::{IndexServer, Output, Project, packs, project::files};

/// The folder, its keys, and a server for it.
pub struct SignedIndex {
    /// The folder that is served.
    pub folder: PathBuf,
    /// Where the private keys are.
    pub keys: PathBuf,
    /// What serves it.
    pub server: IndexServer,
    /// The root key that it began with.
    pub root_key: PublicKey,
}

/// The files of an index at a time.
pub struct Snapshot(Vec<(PathBuf, Vec<u8>)>);

impl SignedIndex {
    /// An empty index in a folder of a project's root.
    #[must_use]
    pub fn new(project: &Project, name: &str) -> Self {
        let (folder, keys) = (project.root().join(name), project.root().join(format!("{name}-keys")));
        let init = project.run(["index", "init", "--json", "--keys"]).args([text(&keys), text(&folder)]).output();
        let root_key = init.ok().json()["root_keys"][0].as_str().and_then(|key| key.parse().ok()).expect("a root key");
        let server = IndexServer::start(&folder);
        Self { folder, keys, server, root_key }
    }

    /// `rig index COMMAND` with this folder and these keys.
    #[must_use]
    #[track_caller]
    pub fn rig(&self, project: &Project, command: &str, more: &[&str]) -> Output {
        project.run(["index", command, text(&self.folder), "--keys", text(&self.keys)]).args(more).output()
    }

    /// Adds a component and signs.
    #[track_caller]
    pub fn add(&self, project: &Project, component: &[u8], publisher: &str) -> Output {
        let file = project.root().join("tmp").join("to-be-added.wasm");
        fs::write(&file, component).expect("write a component");
        let output = self.rig(project, "add", &[text(&file), "--publisher", publisher]);
        output.ok();
        output
    }

    /// Puts a component and an entry for it into the folder, as somebody does who can change files and has no keys.
    pub fn smuggle(&self, component: &[u8]) {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let index = packs::index_of(scratch.path(), &[component.to_vec()]);
        for entry in fs::read_dir(scratch.path()).expect("a folder").flatten() {
            fs::copy(entry.path(), self.folder.join(entry.file_name())).expect("copy a component");
        }
        fs::write(self.folder.join("pack_index.json"), index.to_text()).expect("write an index");
    }

    /// The address of the index.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url("pack_index.json")
    }

    /// All files as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let read = |path: PathBuf| fs::read(&path).ok().map(|bytes| (path, bytes));
        Snapshot(files(&self.folder).into_keys().filter_map(read).collect())
    }

    /// Makes all files what they were.
    pub fn restore(&self, snapshot: &Snapshot) {
        for path in files(&self.folder).into_keys() {
            let _ = fs::remove_file(path);
        }
        for (path, bytes) in &snapshot.0 {
            fs::create_dir_all(path.parent().expect("it is below the folder")).expect("a folder");
            fs::write(path, bytes).expect("write a file that was there");
        }
    }

    /// Takes the signatures away.
    pub fn strip(&self) {
        for folder in ["metadata", "targets"] {
            fs::remove_dir_all(self.folder.join(folder)).expect("it is signed");
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}
