//! kill -9 at every call with which install, update, rollback, uninstall and gc change the disk: each write, fsync, rename, and the
//! rest of them. The calls are listed in a run that is left alone; then every one of them is where a run ends. Afterwards the project
//! is in the old state or in the new one, the same command comes to the new one, and nothing is left behind for good.
//!
//! What is not looked at here: loss of power, where what was written but not synced may be gone. That a file is synced before it gets
//! its name, and its folder after, stands in the list of calls and is checked there.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use regex::Regex;
use rig_tests::{Call, IndexServer, Project, SignedIndex, Strace, files, guest::Guest, packs};
use serde_json::json;

/// Takes only every so many calls, for a quick look; all when absent.
const STRIDE: &str = "RIG_TEST_KILL_STRIDE";

/// What of a project must be old or new, and never a mixture: `rig.lock`, `rig.yaml` and the history, without the times that differ
/// from run to run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State(BTreeMap<String, String>);

impl State {
    fn of(project: &Project) -> Self {
        let varies = Regex::new(r#"(\w+_at|digest)("?): "[^"]*""#).unwrap();
        let mut found = BTreeMap::new();
        let snapshots = project.dir().join(".rig/snapshots");
        for path in [project.dir().join("rig.lock"), project.dir().join("rig.yaml")]
            .into_iter()
            .chain(files(&snapshots).into_keys())
        {
            if let Ok(text) = fs::read_to_string(&path) {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                found.insert(name, varies.replace_all(&text, "$1$2: ?").into_owned());
            }
        }
        // What is about to be renamed is nobody's state yet.
        found.retain(|name, _| !name.ends_with(".rig-new"));
        Self(found)
    }

    fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|(name, text)| other.0.get(name) == Some(text))
    }
}

/// Where a project is between two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Old,
    New,
}

/// A command, and a project to run it in.
struct Scenario<'a> {
    strace: &'a Strace,
    project: &'a Project,
    args: &'a [&'a str],
    /// The command that comes to the new state from wherever a kill left the project.
    again: &'a [&'a str],
    /// A tool that can be called in both states.
    tool: &'a str,
    old: State,
    new: State,
    /// Every file after the command, and a later `rig gc`.
    listing: Vec<String>,
}

impl<'a> Scenario<'a> {
    /// The project is in the old state. Runs the command once undisturbed, to know the new one and the calls.
    fn new(
        strace: &'a Strace,
        project: &'a Project,
        args: &'a [&'a str],
        again: &'a [&'a str],
        tool: &'a str,
    ) -> (Self, Vec<Call>) {
        let old = State::of(project);
        copy(project, &["project", "home"], "", "-old");
        let calls = strace.calls(project, args);
        let new = State::of(project);
        let mut scenario = Self { strace, project, args, again, tool, old, new, listing: Vec::new() };
        assert_eq!(scenario.which().unwrap(), Which::New);
        scenario.listing = scenario.left();
        (scenario, calls)
    }

    fn restore(&self) {
        copy(self.project, &["project", "home"], "-old", "");
    }

    fn is(&self, state: &State) -> Option<Which> {
        // What a command only removes is removed one by one.
        let between = self.new.is_within(state) && state.is_within(&self.old);
        match state {
            state if *state == self.new => Some(Which::New),
            state if *state == self.old || between => Some(Which::Old),
            _ => None,
        }
    }

    /// Which state the project is in, by a fresh process, and whether all of it holds.
    fn which(&self) -> Result<Which, String> {
        let verified = self.project.rig(&["verify", "--json"]);
        if verified.code != Some(0) {
            return Err(format!("`rig verify` fails:\n{verified}"));
        }
        let state = State::of(self.project);
        let Some(which) = self.is(&state) else {
            return Err(format!("a third state: {state:#?}\nold: {:#?}\nnew: {:#?}", self.old, self.new));
        };
        if !self.project.has("rig.lock") {
            return Ok(which);
        }
        let called = self.project.call(self.tool, json!({}));
        if called.code != Some(0) {
            return Err(format!("{} cannot be called:\n{called}", self.tool));
        }
        Ok(which)
    }

    /// All files, after a `rig gc` some hours later.
    fn left(&self) -> Vec<String> {
        let then = SystemTime::now() - Duration::from_hours(3);
        let everything =
            || ["project", "home"].into_iter().flat_map(|name| files(&self.project.root().join(name)).into_keys());
        for path in everything() {
            fs::File::open(path).unwrap().set_modified(then).unwrap();
        }
        self.project.rig(&["gc", "--quiet"]).ok();
        // The audit log of the calls that the check made is no leftover.
        let name = |path: PathBuf| path.strip_prefix(self.project.root()).unwrap().display().to_string();
        let is_log = |name: &String| name.contains("audit") || name.contains("approvals");
        let mut names: Vec<String> = everything().map(name).filter(|name| !is_log(name)).collect();
        names.sort();
        names
    }

    /// One kill, and what must hold after it.
    fn kill(&self, call: &Call) -> Result<Which, String> {
        let killed = self.strace.kill_at(self.project, self.args, call, &|| self.restore());
        killed.map_err(|instead| format!("it was never killed there, but at: {instead}"))?;
        let on_disk = State::of(self.project);
        if self.is(&on_disk).is_none() && !self.project.has(".rig/journal.json") {
            return Err(format!("a mixture that nothing completes: {on_disk:#?}"));
        }
        let which = self.which()?;
        let again = self.project.rig(self.again);
        // There is nothing left to uninstall.
        if again.code != Some(0) && !(which == Which::New && again.stderr.contains("is not installed")) {
            return Err(format!("the same command fails afterwards:\n{again}"));
        }
        if self.which()? != Which::New {
            return Err("the same command does not come to the new state".into());
        }
        let left = self.left();
        if left != self.listing {
            return Err(format!("something is left behind: {left:#?}\nexpected: {:#?}", self.listing));
        }
        Ok(which)
    }

    fn kill_everywhere(&self, calls: &[Call]) {
        let stride = env::var(STRIDE).ok().and_then(|stride| stride.parse().ok()).unwrap_or(1).max(1);
        // Another part of them every day, so that all have their turn.
        let day = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 86400;
        let chosen = calls.iter().skip(usize::try_from(day).unwrap() % stride).step_by(stride);
        let (mut old, mut new, mut failures) = (0, 0, Vec::new());
        for call in chosen.clone() {
            match self.kill(call) {
                Ok(Which::Old) => old += 1,
                Ok(Which::New) => new += 1,
                Err(why) => failures.push(format!("killed at {} ({}): {why}", call.what, call.occurrence)),
            }
        }
        println!(
            "rig {}: {} calls change the disk; of {} kills {old} left the old state, {new} the new one",
            self.args.join(" "),
            calls.len(),
            chosen.count(),
        );
        assert!(failures.is_empty(), "{} kills went wrong:\n{}", failures.len(), failures.join("\n\n"));
        // Both ends are there, or the list is not that of the whole command.
        assert!(old > 0 && (new > 0 || stride > 1), "{old} old, {new} new");
    }
}

/// Copies folders of a project's root, with the times of their files. What was there is removed.
fn copy(project: &Project, names: &[&str], from: &str, to: &str) {
    for name in names {
        let [from, to] = [from, to].map(|ending| project.root().join(format!("{name}{ending}")));
        if to.exists() {
            fs::remove_dir_all(&to).unwrap();
        }
        let copied = Command::new("cp").arg("-a").arg(&from).arg(&to).status().unwrap();
        assert!(copied.success(), "copying {}", from.display());
    }
}

/// A pack that is quick to compile.
fn small(id: &str, version: &str) -> Vec<u8> {
    packs::released(&Guest::new(id).build(), version)
}

/// A project with an index of small packs, served by a web server.
fn project() -> (Project, IndexServer) {
    let project = Project::empty();
    let releases = [small("one", "1.0.0"), small("one", "1.1.0"), small("two", "1.0.0")];
    packs::index_of(&project.index_dir(), &releases);
    let server = IndexServer::start(&project.index_dir());
    project.set_index(&server.url(packs::INDEX));
    (project, server)
}

/// That a name is given to nothing but synced bytes, and that the folder follows at once.
fn is_synced(calls: &[Call], names: &[&str]) {
    for name in names {
        let renamed = calls.iter().position(|call| call.what.starts_with("rename") && call.what.ends_with(name));
        let renamed = renamed.unwrap_or_else(|| panic!("nothing gets the name {name}: {calls:#?}"));
        let from = calls[renamed].what.split(' ').nth(1).unwrap();
        let last = |call: &str| calls[..renamed].iter().rposition(|other| other.what == format!("{call} {from}"));
        assert!(last("write").is_some() && last("fsync") > last("write"), "{from} is not synced before it is {name}");
        let folder = Path::new(name).parent().unwrap().display();
        assert_eq!(calls[renamed + 1].what, format!("fsync {folder}"), "after {name}");
    }
}

#[test]
fn installing_the_first_pack() {
    let project = Project::empty();
    let Some(strace) = Strace::find(&project) else { return };
    let index = SignedIndex::new(&project, "signed");
    index.add(&project, &small("one", "1.0.0"), "Acme");
    project.set_index(&index.url()).configure(&format!("  trusted_keys: [{}]\n", index.root_key));
    let args = ["install", "one", "--yes"];
    let (scenario, calls) = Scenario::new(&strace, &project, &args, &args, "one.probe.run");
    let store = format!("/home/store/sha256/{}", project.locked("one").integrity.unwrap().hex());
    is_synced(&calls, &["/project/.rig/journal.json", "/project/rig.lock", "/project/rig.yaml", &store]);
    scenario.kill_everywhere(&calls);
}

#[test]
fn installing_beside_another_pack() {
    let (project, _server) = project();
    let Some(strace) = Strace::find(&project) else { return };
    project.install(&["two"]);
    let args = ["install", "one@1.0.0", "--yes", "--refresh"];
    let (scenario, calls) = Scenario::new(&strace, &project, &args, &args, "two.probe.run");
    is_synced(&calls, &["/project/.rig/snapshots/000001.json"]);
    scenario.kill_everywhere(&calls);
}

#[test]
fn installing_what_the_lock_names() {
    let (project, _server) = project();
    let Some(strace) = Strace::find(&project) else { return };
    project.install(&["one@1.0.0", "two"]);
    // Another machine, with another home: the state of the project is the same before and after.
    let store = project.home().join("store/sha256");
    let one = project.stored("one");
    for path in files(&store).into_keys().filter(|path| *path == one) {
        fs::remove_file(path).unwrap();
    }
    let args = ["install"];
    let old = State::of(&project);
    copy(&project, &["project", "home"], "", "-old");
    let calls = strace.calls(&project, &args);
    assert_eq!(State::of(&project), old);
    is_synced(&calls, &[&format!("/home/store/sha256/{}", one.file_name().unwrap().to_str().unwrap())]);
    for call in &calls {
        strace.kill_at(&project, &args, call, &|| copy(&project, &["project", "home"], "-old", "")).unwrap();
        // The component is there as a whole, or not at all.
        project.rig(&["call", "two.probe.run"]).ok();
        assert_eq!(project.rig(&["verify"]).code, Some(i32::from(!one.exists())), "{call:?}");
        project.rig(&args).ok();
        project.rig(&["verify"]).ok();
        assert_eq!(State::of(&project), old);
    }
    println!("rig install: {} calls change the disk, and as many kills", calls.len());
}

#[test]
fn updating() {
    let (project, _server) = project();
    let Some(strace) = Strace::find(&project) else { return };
    project.install(&["one@1.0.0", "two"]);
    let args = ["update", "one", "--yes"];
    let (scenario, calls) = Scenario::new(&strace, &project, &args, &args, "one.probe.run");
    assert_eq!(project.locked("one").version.to_string(), "1.1.0");
    is_synced(&calls, &["/project/.rig/snapshots/000001.json", "/project/rig.lock", "/project/rig.yaml"]);
    scenario.kill_everywhere(&calls);
}

#[test]
fn rolling_back() {
    let (project, _server) = project();
    let Some(strace) = Strace::find(&project) else { return };
    project.install(&["one@1.0.0"]);
    project.rig(&["update", "one"]).ok();
    // What it returns to is not on this machine any more.
    let of_one = |version: &str| rig_specs::Sha256::of(&small("one", version)).hex();
    fs::remove_file(project.home().join("store/sha256").join(of_one("1.0.0"))).unwrap();
    let args = ["rollback", "1", "--yes"];
    let (scenario, calls) = Scenario::new(&strace, &project, &args, &args, "one.probe.run");
    is_synced(&calls, &["/project/.rig/snapshots/000002.json", "/project/rig.lock", "/project/rig.yaml"]);
    scenario.kill_everywhere(&calls);
}

#[test]
fn uninstalling() {
    let (project, _server) = project();
    let Some(strace) = Strace::find(&project) else { return };
    project.install(&["one", "two"]);
    let args = ["uninstall", "one"];
    let (scenario, calls) = Scenario::new(&strace, &project, &args, &args, "two.probe.run");
    is_synced(&calls, &["/project/.rig/snapshots/000001.json", "/project/rig.lock", "/project/rig.yaml"]);
    scenario.kill_everywhere(&calls);
}

#[test]
fn pruning() {
    let (project, _server) = project();
    let Some(strace) = Strace::find(&project) else { return };
    // Three states, of which the oldest goes, and with it what only it needs.
    project.install(&["two"]);
    project.install(&["one@1.0.0"]);
    project.rig(&["uninstall", "one"]).ok();
    project.rig(&["update", "--all"]).ok();
    project.install(&["one"]);
    let home = project.home();
    // A project that is gone, a download and temporary files of a crash, compiled code of nothing.
    let gone = project.root().join("gone");
    fs::create_dir(&gone).unwrap();
    fs::write(gone.join("rig.yaml"), project.read("rig.yaml")).unwrap();
    project.run(["install", "two", "--yes"]).in_dir(&gone).output().ok();
    fs::remove_dir_all(&gone).unwrap();
    let old = home.join(format!("cache/compiled/{}-0123456789abcdef.cwasm", "0".repeat(64)));
    for path in [home.join("store/staging/fetch-aB1cD2"), home.join("cache/compiled/.tmpaB1cD2"), old] {
        fs::write(path, "left").unwrap();
    }
    let then = SystemTime::now() - Duration::from_hours(24 * 60);
    for path in files(&home).into_keys() {
        fs::File::open(path).unwrap().set_modified(then).unwrap();
    }
    let args = ["gc", "--snapshots", "1"];
    let (scenario, calls) = Scenario::new(&strace, &project, &args, &args, "two.probe.run");
    let removed =
        calls.iter().filter(|call| call.what.starts_with("unlink ")).map(|call| &call.what).collect::<Vec<_>>();
    for name in ["/sha256/", "/staging/", "/compiled/?", "/compiled/0", "/snapshots/000001", "/home/projects/"] {
        assert!(removed.iter().any(|what| what.contains(name)), "{name}: {removed:#?}");
    }
    scenario.kill_everywhere(&calls);
}

/// The controls: what a rig without its journal, or without its renames, would leave is seen.
#[test]
fn a_third_state_would_be_noticed() {
    let (project, _server) = project();
    let Some(strace) = Strace::find(&project) else { return };
    project.install(&["one@1.0.0", "two"]);
    let args = ["update", "one", "--yes"];
    let (scenario, calls) = Scenario::new(&strace, &project, &args, &args, "one.probe.run");
    let changed = calls.iter().position(|call| call.what.ends_with("/project/rig.lock")).unwrap();
    let between = calls[changed + 1..].iter().find(|call| call.what.ends_with("/rig.yaml.rig-new")).unwrap();
    assert_eq!(scenario.kill(between), Ok(Which::New));

    // Killed between the two files, with the journal gone.
    let stopped = || {
        scenario.strace.kill_at(&project, &args, between, &|| scenario.restore()).unwrap();
    };
    stopped();
    fs::remove_file(project.dir().join(".rig/journal.json")).unwrap();
    assert!(scenario.which().unwrap_err().starts_with("a third state"));
    // With the journal there, but cut off, as if it had not been written beside its place: it is not believed.
    stopped();
    let journal = project.read(".rig/journal.json");
    project.write(".rig/journal.json", &journal[..journal.len() / 2]);
    assert!(scenario.which().unwrap_err().starts_with("a third state"));
    // A lock that was written in place, and not to its end.
    scenario.restore();
    let text = project.read("rig.lock");
    project.write("rig.lock", &text[..text.len() / 2]);
    assert!(scenario.which().unwrap_err().starts_with("`rig verify` fails"));
    // A component that got its name before its bytes.
    scenario.restore();
    packs::replace(&project.stored("one"), b"\0asm");
    assert!(scenario.which().unwrap_err().starts_with("`rig verify` fails"));
    // A file that nobody removes.
    scenario.restore();
    project.rig(&args).ok();
    fs::write(project.home().join("store/left"), "x").unwrap();
    assert_ne!(scenario.left(), scenario.listing);
}
