//! A project in a temporary folder, with a home and a user of its own.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use rig_specs::{
    PackId, Sha256,
    config::Config,
    index::Index,
    lock::{Lock, LockedPack},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Output, Run, artifacts,
    filters::{FILTERS, literal},
    packs,
};

/// The folders of one test. All that rig may write lies below [`Project::root`], so that a test can search it.
pub struct Project {
    root: TempDir,
    program: PathBuf,
    env: BTreeMap<String, String>,
    canaries: Vec<String>,
}

impl Project {
    /// An empty project folder: no `rig.yaml` yet.
    #[must_use]
    pub fn empty() -> Self {
        Self::running(artifacts::rig())
    }

    /// A project whose `rig.yaml` names an index (a file) of the built packs.
    #[must_use]
    pub fn new() -> Self {
        let project = Self::empty();
        project.offer(&[packs::built("echo"), packs::built("github")]);
        project
    }

    /// A project with the built packs of these names installed; its index names them and those of [`Project::new`].
    #[must_use]
    pub fn with(ids: &[&str]) -> Self {
        let project = Self::empty();
        let mut offered = vec!["echo", "github"];
        offered.extend(ids.iter().filter(|id| !["echo", "github"].contains(id)));
        project.offer(&offered.into_iter().map(packs::built).collect::<Vec<_>>());
        project.install(ids);
        project
    }

    /// A project for another program than `rig`.
    #[must_use]
    pub fn running(program: PathBuf) -> Self {
        let root = tempfile::Builder::new().prefix("rig-test-").tempdir().expect("a temporary folder");
        for name in ["project", "home", "user", "tmp", "index"] {
            fs::create_dir(root.path().join(name)).expect("a folder in a fresh folder");
        }
        let path = |name: &str| root.path().join(name).to_str().expect("temporary paths are UTF-8").to_owned();
        let env = [
            ("PATH", env::var("PATH").unwrap_or_default()),
            ("HOME", path("user")),
            ("RIG_HOME", path("home")),
            ("TMPDIR", path("tmp")),
            ("LANG", "C.UTF-8".into()),
            ("NO_COLOR", "1".into()),
        ];
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { root, program, env, canaries: Vec::new() }
    }

    /// The folder that holds everything of this test.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The project's folder, where rig runs.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.root().join("project")
    }

    /// `RIG_HOME`.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// Where the index and its components are.
    #[must_use]
    pub fn index_dir(&self) -> PathBuf {
        self.root().join("index")
    }

    /// Where the store keeps a pack that is in the lock.
    #[must_use]
    pub fn stored(&self, id: &str) -> PathBuf {
        let digest = self.locked(id).integrity.expect("a component is locked with its hash");
        self.home().join("store").join("sha256").join(digest.hex())
    }

    /// Sets a variable for every run.
    pub fn set_env(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets a variable to a secret. From then on every run fails the test when the secret shows in its output.
    pub fn set_secret(&mut self, name: &str, value: &str) -> &mut Self {
        self.guard(value).set_env(name, value)
    }

    /// Fails every later run whose output holds this text.
    pub fn guard(&mut self, value: &str) -> &mut Self {
        self.canaries.push(value.to_owned());
        self
    }

    /// Writes a new `rig.yaml` that names this index and nothing else.
    pub fn set_index(&self, url: &str) -> &Self {
        self.write("rig.yaml", format!("index:\n  url: {url}\n"));
        self
    }

    /// Adds sections to `rig.yaml`.
    pub fn configure(&self, sections: &str) -> &Self {
        self.write("rig.yaml", self.read("rig.yaml") + sections);
        self
    }

    /// Writes an index of these components into [`Project::index_dir`] and names it in a new `rig.yaml`.
    pub fn offer(&self, components: &[Vec<u8>]) -> Index {
        let index = packs::index_of(&self.index_dir(), components);
        self.set_index(&format!("file://{}", self.index_dir().join(packs::INDEX).display()));
        index
    }

    /// Installs packs and expects it to succeed.
    #[track_caller]
    pub fn install(&self, packs: &[&str]) -> Output {
        let output = self.run(["install", "--yes"]).args(packs).output();
        output.ok();
        output
    }

    /// A run of rig in the project.
    pub fn run<A: AsRef<str>>(&self, args: impl IntoIterator<Item = A>) -> Run {
        self.run_other(&self.program).args(args)
    }

    /// A run of another program in the project, in the same environment.
    pub fn run_other(&self, program: &Path) -> Run {
        Run::new(program.to_owned(), &self.dir(), self.env.clone(), self.canaries.clone())
    }

    /// The variables of every run.
    #[must_use]
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Runs rig to its end, with nothing on stdin.
    #[must_use]
    #[track_caller]
    pub fn rig(&self, args: &[&str]) -> Output {
        self.run(args).output()
    }

    /// `rig call` with these arguments.
    #[must_use]
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "callers write `json!(…)` in place")]
    pub fn call(&self, tool: &str, args: Value) -> Output {
        self.rig(&["call", tool, &args.to_string()])
    }

    /// Writes a file of the project.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir().join(name);
        fs::write(&path, bytes).unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
        path
    }

    /// Reads a text file of the project.
    #[must_use]
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.dir().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
    }

    /// Whether the project has such a file.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.dir().join(name).exists()
    }

    /// `rig.lock`, whose seal must be right.
    #[must_use]
    #[track_caller]
    pub fn lock(&self) -> Lock {
        let lock: Lock = serde_json::from_str(&self.read("rig.lock")).expect("rig.lock is a lock");
        assert_eq!(lock.digest, Some(lock.compute_digest()), "the digest in rig.lock");
        lock
    }

    /// One pack of `rig.lock`.
    #[must_use]
    #[track_caller]
    pub fn locked(&self, id: &str) -> LockedPack {
        self.lock().packs.get(&pack_id(id)).unwrap_or_else(|| panic!("`{id}` is not in rig.lock")).clone()
    }

    /// Changes one pack of `rig.lock` and seals it anew, as a rig that thinks so would have written it.
    pub fn edit_lock(&self, id: &str, edit: impl FnOnce(&mut LockedPack)) {
        let mut lock = self.lock();
        edit(lock.packs.get_mut(&pack_id(id)).unwrap_or_else(|| panic!("`{id}` is not in rig.lock")));
        self.write("rig.lock", lock.to_text());
    }

    /// `rig.yaml`.
    #[must_use]
    #[track_caller]
    pub fn config(&self) -> Config {
        let text = self.read("rig.yaml");
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("rig.yaml is not valid: {error}\n{text}"))
    }

    /// The hash of every file that says what is installed: `rig.lock`, `rig.yaml` and the store. Equal before and after a
    /// command that must change nothing.
    #[must_use]
    pub fn state(&self) -> BTreeMap<PathBuf, Sha256> {
        let mut state = files(&self.home().join("store"));
        state.retain(|path, _| !path.components().any(|part| part.as_os_str() == "staging"));
        for name in ["rig.lock", "rig.yaml"] {
            if let Ok(bytes) = fs::read(self.dir().join(name)) {
                state.insert(self.dir().join(name), Sha256::of(&bytes));
            }
        }
        state
    }

    /// The snapshot settings of this project: see [`crate::snapshot!`].
    #[must_use]
    pub fn filters(&self) -> insta::Settings {
        let mut settings = insta::Settings::clone_current();
        let real = fs::canonicalize(self.root()).expect("the folder exists");
        for root in [self.root(), &real] {
            for (name, shown) in
                [("project", "[PROJECT]"), ("home", "[HOME]"), ("user", "[USER]"), ("index", "[PACKS]")]
            {
                settings.add_filter(&literal(&root.join(name).to_string_lossy()), shown);
            }
            settings.add_filter(&literal(&root.to_string_lossy()), "[TEMP]");
        }
        for (pattern, shown) in FILTERS {
            settings.add_filter(pattern, *shown);
        }
        settings
    }
}

impl Default for Project {
    fn default() -> Self {
        Self::new()
    }
}

/// A pack id.
fn pack_id(text: &str) -> PackId {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// The hash of every file below a folder. Files that go away while we look are left out.
pub fn files(dir: &Path) -> BTreeMap<PathBuf, Sha256> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            found.insert(path, Sha256::of(&bytes));
        }
    }
    found
}
