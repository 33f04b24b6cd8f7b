//! Installing the ten packs from an index on loopback, against fetching the same files with `curl` and hashing them with `sha256sum`.
//!
//! Compiling is left out, in this way: what rig compiled when it installed the packs for the first time stays in its cache, as on a machine
//! that had them before; the store, the lock and all other files of the project are new each time, so that everything is resolved, fetched,
//! hashed, inspected, written and made durable again. That nothing was compiled is checked on the cache. The first install, which
//! compiles, is told beside it.
//!
//! The reference is one `curl` for all ten files, which keeps its connection, and one `sha256sum`. It makes nothing durable.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Instant, SystemTime},
};

use rig_specs::{Sha256, index::Index};

use crate::{
    Failure,
    figures::{Bound, Figure},
    measure::median,
    process::{Scratch, Server},
    rig::Packs,
};

/// What an install may take, over the reference.
const BOUND: Bound = Bound::AtMost(3.0);

/// How often the two take turns.
const ROUNDS: usize = 15;

/// The packs: one for each of ten services.
pub(crate) const TEN: [&str; 10] =
    ["airtable", "elevenlabs", "github", "google", "notion", "sendgrid", "slack", "stripe", "supabase", "twilio"];

/// Measures both. Nothing when there is no `curl` or `sha256sum`: the reason is printed.
pub(crate) fn measure(packs: &Packs, scratch: &Scratch) -> Result<Vec<Figure>, Failure> {
    println!("\ninstall of ten packs from loopback");
    for program in ["curl", "sha256sum"] {
        let there = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            println!("LEFT OUT: there is no `{program}` to compare with");
            return Ok(Vec::new());
        }
    }
    let server = Server::files(&packs.dir)?;
    let folder = tempfile::tempdir()?;
    let bench =
        Install { files: files(packs)?, at: format!("http://{}", server.address), folder: folder.path(), scratch };
    let first = bench.install()?;
    let compiled = bench.compiled()?;
    let (mut installs, mut references) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        installs.push(bench.install()?);
        references.push(bench.reference()?);
    }
    if bench.compiled()? != compiled || compiled.len() < TEN.len() {
        return Err("an install that should find its compiled code compiled again".into());
    }
    let bytes: u64 = bench.files.values().map(|(_, size)| size).sum();
    let (install, reference) = (median(installs), median(references));
    println!("{bytes} bytes: rig {install:.1} ms, curl and sha256sum {reference:.1} ms; with compiling {first:.0} ms");
    Ok(vec![
        Figure::told("install of ten packs, compiled before", install, "ms"),
        Figure::told("install of ten packs, first time", first, "ms"),
        Figure::told("curl and sha256sum of ten packs", reference, "ms"),
        Figure::ratio("install of ten packs / curl and sha256sum", install / reference, Some(BOUND)),
    ])
}

/// The names of the ten files, with their hashes and sizes as the index has them.
fn files(packs: &Packs) -> Result<BTreeMap<String, (Sha256, u64)>, Failure> {
    let index: Index = serde_json::from_slice(&fs::read(packs.dir.join("pack_index.json"))?)?;
    let mut files = BTreeMap::new();
    for id in TEN {
        let pack = index.packs.iter().find(|(other, _)| other.as_str() == id).and_then(|(_, pack)| pack.wasm.as_ref());
        let release = pack.and_then(|wasm| wasm.newest()).map(|(_, release)| release);
        let release = release.ok_or_else(|| format!("the index of {} has no `{id}`", packs.dir.display()))?;
        let file = release.urls.first().ok_or_else(|| format!("`{id}` is nowhere"))?;
        files.insert(file.clone(), (release.sha256, release.size));
    }
    Ok(files)
}

struct Install<'a> {
    files: BTreeMap<String, (Sha256, u64)>,
    /// Where the index is.
    at: String,
    folder: &'a Path,
    scratch: &'a Scratch,
}

impl Install<'_> {
    fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// A fresh folder of that name.
    fn fresh(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// Installs into a new project with an empty store. The milliseconds that it took.
    fn install(&self) -> Result<f64, Failure> {
        let project = self.fresh("project")?;
        fs::write(project.join("rig.yaml"), format!("index:\n  url: {}/pack_index.json\n", self.at))?;
        let store = self.home().join("store/sha256");
        for (sha256, _) in self.files.values() {
            let stored = store.join(sha256.hex());
            if stored.exists() {
                fs::remove_file(stored)?;
            }
        }
        let mut command = self.scratch.rig(&["install", "--yes", "--quiet"]);
        command.args(TEN).current_dir(&project).env("RIG_HOME", self.home());
        let took = timed(&mut command)?;
        for (sha256, _) in self.files.values() {
            if !store.join(sha256.hex()).is_file() {
                return Err(format!("{sha256} was not installed").into());
            }
        }
        Ok(took)
    }

    /// Fetches and hashes. The milliseconds that it took.
    fn reference(&self) -> Result<f64, Failure> {
        let folder = self.fresh("reference")?;
        let mut sums = String::new();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail"]).current_dir(&folder);
        for (file, (sha256, _)) in &self.files {
            curl.arg("--remote-name").arg(format!("{}/{file}", self.at));
            sums += &[&sha256.hex(), "  ", file.as_str(), "\n"].concat();
        }
        fs::write(folder.join("sums"), sums)?;
        let mut hash = Command::new("sha256sum");
        hash.args(["--check", "--strict", "--status", "sums"]).current_dir(&folder);
        Ok(timed(&mut curl)? + timed(&mut hash)?)
    }

    /// What rig compiled, and when.
    fn compiled(&self) -> Result<BTreeMap<PathBuf, SystemTime>, Failure> {
        let entry = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry?;
            Ok((entry.path(), entry.metadata()?.modified()?))
        };
        fs::read_dir(self.home().join("cache/compiled"))?.map(entry).collect()
    }
}

/// Runs a program to its end.
fn timed(command: &mut Command) -> Result<f64, Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let started = Instant::now();
    let status = command.status()?;
    let took = started.elapsed().as_secs_f64() * 1e3;
    if status.success() { Ok(took) } else { Err(format!("{command:?} ended with {status}").into()) }
}
