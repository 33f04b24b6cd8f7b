//! What is kept and what goes, the races included.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::*;

/// A home and a project in it.
struct Machine {
    folder: tempfile::TempDir,
    home: Home,
}

/// Long enough for every default.
const LONG: Duration = Duration::from_hours(24 * 400);

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("home"));
        fs::create_dir_all(home.store()).unwrap();
        fs::create_dir_all(home.staging()).unwrap();
        fs::create_dir_all(home.compiled()).unwrap();
        Self { folder, home }
    }

    /// A project that was noted, whose lock has this text.
    fn project(&self, name: &str, lock: &str) -> PathBuf {
        let root = self.folder.path().join(name);
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("rig.yaml"), "packs: []\n").unwrap();
        fs::write(root.join("rig.lock"), lock).unwrap();
        projects::note(&self.home, &root).unwrap();
        root
    }

    fn component(&self, bytes: &str) -> (Sha256, PathBuf) {
        let digest = Sha256::of(bytes.as_bytes());
        (digest, old(&self.home.component(&digest), bytes))
    }

    fn compiled(&self, digest: &Sha256, key: &str) -> PathBuf {
        old(&self.home.compiled().join(format!("{}-{key}.cwasm", digest.hex())), "code")
    }

    fn options() -> Options {
        Options { older_than: OLDER_THAN, dry_run: false, project: None, snapshots: None }
    }

    fn gc(&self, options: &Options) -> Report {
        run(&self.home, options, &mut |_| {}).unwrap()
    }

    /// The kinds that were removed.
    fn kinds(&self, options: &Options) -> Vec<Kind> {
        let report = self.gc(options);
        assert_eq!(report.problems, []);
        report.removed.iter().map(|removed| removed.kind).collect()
    }
}

/// A file that nobody used for long.
fn old(path: &Path, text: &str) -> PathBuf {
    fs::write(path, text).unwrap();
    File::open(path).unwrap().set_modified(SystemTime::now() - LONG).unwrap();
    path.to_path_buf()
}

#[test]
fn what_a_project_names_anywhere_stays() {
    let machine = Machine::new();
    let all = ["lock", "history", "journal", "trial", "nobody"].map(|name| machine.component(name));
    let root = machine.project("p", &format!("<<<<<<< ours\n\"{}\"\n", all[0].0));
    fs::create_dir_all(root.join(".rig/snapshots")).unwrap();
    fs::write(root.join(".rig/snapshots/000001.json"), format!("{{\"x\":\"{}\"", all[1].0)).unwrap();
    fs::write(root.join(".rig/journal.json"), format!("{{\\\"{}\\\"", all[2].0)).unwrap();
    fs::create_dir_all(root.join(".rig/canary")).unwrap();
    fs::write(root.join(".rig/canary/candidate.json"), format!("{{\"{}\"", all[3].0)).unwrap();
    let young = machine.home.component(&Sha256::of(b"young"));
    fs::write(&young, "young").unwrap();

    let dry = machine.gc(&Options { dry_run: true, ..Machine::options() });
    assert!(all.iter().all(|(_, path)| path.exists()), "nothing goes when only asked");
    let report = machine.gc(&Machine::options());
    assert_eq!((&dry.removed, dry.freed, dry.kept), (&report.removed, report.freed, report.kept));
    assert_eq!(all.each_ref().map(|(_, path)| path.exists()), [true, true, true, true, false]);
    assert_eq!((report.freed, report.kept.components, report.removed[0].kind), (6, 5, Kind::Component));
    assert!(report.removed[0].unused_seconds >= LONG.as_secs());
    assert!(young.exists(), "not for long enough");
    // What was needed today is not old when its project goes.
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(machine.kinds(&Machine::options()), []);
    assert_eq!(machine.kinds(&Options { older_than: Duration::ZERO, ..Machine::options() }).len(), 6);
}

#[test]
fn what_is_in_use_stays_and_what_comes_into_use_meanwhile_is_waited_for() {
    let machine = Machine::new();
    let (digest, path) = machine.component("in use");
    let other = Home::new(machine.home.root().to_path_buf());
    crate::install::store::read(&other, &digest).unwrap();
    File::open(&path).unwrap().set_modified(SystemTime::now() - LONG).unwrap();
    let report = machine.gc(&Machine::options());
    assert_eq!((report.removed.len(), report.kept.in_use, path.exists()), (0, 1, true));
    other.release(|_| false);
    assert_eq!(machine.kinds(&Machine::options()), [Kind::Component]);
}

/// Installs write a lock and let go of the component that it names, while others prune: none of the locks names a component that is
/// gone.
#[test]
fn no_lock_names_a_component_that_was_pruned() {
    const ROUNDS: usize = 200;
    let machine = Machine::new();
    let all: Vec<_> = (0..8).map(|n| machine.project(&format!("p{n}"), "")).collect();
    let options = Options { older_than: Duration::ZERO, ..Machine::options() };
    let (mut found, mut lost) = (0, 0);
    let done = AtomicBool::new(false);
    let prune = || {
        let mut removed = 0;
        while !done.load(Ordering::Relaxed) {
            removed += machine.gc(&options).removed.len();
        }
        removed
    };
    thread::scope(|scope| {
        let pruning = [scope.spawn(prune), scope.spawn(prune)];
        let installing: Vec<_> = all
            .iter()
            .enumerate()
            .map(|(n, root)| {
                let home = Home::new(machine.home.root().to_path_buf());
                scope.spawn(move || {
                    let (mut found, mut lost) = (0, 0);
                    for round in 0..ROUNDS {
                        // In turns, so that nobody needs it, and it is there or has just been removed.
                        let bytes = format!("component {n} {}", round % 2);
                        let digest = Sha256::of(bytes.as_bytes());
                        let mut made = tempfile::NamedTempFile::new_in(home.staging()).unwrap();
                        io::Write::write_all(&mut made, bytes.as_bytes()).unwrap();
                        made.as_file().lock_shared().unwrap();
                        let staged = crate::install::store::Staged::of(made, digest);
                        crate::install::store::put(&home, staged).unwrap();
                        let written = root.join("rig.lock.new");
                        fs::write(&written, digest.to_string()).unwrap();
                        fs::rename(written, root.join("rig.lock")).unwrap();
                        home.release(|_| false);
                        match fs::read(home.component(&digest)) {
                            Ok(read) => found += usize::from(read == bytes.as_bytes()),
                            Err(_) => lost += 1,
                        }
                    }
                    (found, lost)
                })
            })
            .collect();
        for thread in installing {
            let (there, gone) = thread.join().unwrap();
            (found, lost) = (found + there, lost + gone);
        }
        done.store(true, Ordering::Relaxed);
        let removed: usize = pruning.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(removed > 0, "the control: something was pruned meanwhile");
    });
    assert_eq!((found, lost), (8 * ROUNDS, 0));
}

/// The same, step by step: an install begins and ends between the first look at what the projects need and the last one.
#[test]
fn what_an_install_writes_after_the_first_look_is_seen_by_the_last() {
    let machine = Machine::new();
    let mut both = ["one", "two"].map(|name| machine.project(name, "").canonicalize().unwrap());
    // The projects are looked at in the order of their notes. The second one's lock is a pipe, at which the look waits for us.
    let order: Vec<_> = projects::known(&machine.home).unwrap().into_iter().filter_map(|known| known.root).collect();
    both.sort_by_key(|root| order.iter().position(|other| other == root));
    let [installing, waiting] = both;
    let pipe = waiting.join("rig.lock");
    fs::remove_file(&pipe).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (digest, path) = machine.component("installed");
    let report = thread::scope(|scope| {
        let gc = scope.spawn(|| machine.gc(&Machine::options()));
        // Opens as soon as the look is there.
        let first = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        let home = Home::new(machine.home.root().to_path_buf());
        crate::install::store::read(&home, &digest).unwrap();
        File::open(&path).unwrap().set_modified(SystemTime::now() - LONG).unwrap();
        fs::write(installing.join("rig.lock"), digest.to_string()).unwrap();
        drop(home);
        // The last look is not to wait.
        fs::remove_file(&pipe).unwrap();
        fs::write(&pipe, "").unwrap();
        drop(first);
        gc.join().unwrap()
    });
    assert_eq!((report.removed, report.problems, path.exists()), (vec![], vec![], true));
}

#[test]
fn a_project_that_cannot_be_read_keeps_every_component() {
    let machine = Machine::new();
    let (_, path) = machine.component("x");
    let root = machine.project("p", "");
    fs::remove_file(root.join("rig.lock")).unwrap();
    // A folder in its place cannot be read by anybody, not even by root.
    fs::create_dir(root.join("rig.lock")).unwrap();
    let report = machine.gc(&Machine::options());
    assert_eq!((report.removed.len(), path.exists()), (0, true));
    let problem = &report.problems[0];
    assert!(
        problem.problem.contains("p/rig.lock") && problem.problem.contains("no component was removed"),
        "{problem:?}"
    );
    assert!(problem.hint.contains("rm '"), "{problem:?}");

    fs::remove_dir(root.join("rig.lock")).unwrap();
    let note = projects::known(&machine.home).unwrap()[0].note.clone();
    fs::write(&note, "/other").unwrap();
    let report = machine.gc(&Machine::options());
    assert!(report.problems[0].problem.contains("is damaged") && path.exists(), "{report:?}");
    fs::remove_file(note).unwrap();
    assert_eq!(machine.kinds(&Machine::options()), [Kind::Component]);
}

#[test]
fn a_project_that_is_gone_for_long_is_forgotten() {
    let machine = Machine::new();
    let (gone, there) = (machine.project("gone", ""), machine.project("there", ""));
    let notes = projects::known(&machine.home).unwrap();
    let age = |age: Duration| {
        for known in &notes {
            File::open(&known.note).unwrap().set_modified(SystemTime::now() - age).unwrap();
        }
    };
    fs::remove_dir_all(&gone).unwrap();
    age(OLDER_THAN / 2);
    assert_eq!(machine.kinds(&Machine::options()), [], "its disk may only be away");
    age(LONG);
    let report = machine.gc(&Machine::options());
    assert_eq!(report.removed.iter().map(|removed| removed.kind).collect::<Vec<_>>(), [Kind::Project]);
    assert_eq!(report.projects.iter().filter(|project| project.there).count(), 1);
    let left = projects::known(&machine.home).unwrap();
    assert_eq!((left.len(), left[0].root.as_deref()), (1, Some(&*there.canonicalize().unwrap())));
    assert!(left[0].seen.elapsed().unwrap() < OLDER_THAN, "seen today");
}

#[test]
fn compiled_code_goes_with_its_component_or_its_settings() {
    let machine = Machine::new();
    let (digest, _) = machine.component("x");
    machine.project("p", &digest.to_string());
    let used = machine.compiled(&digest, "0123456789abcdef");
    File::open(&used).unwrap().set_modified(SystemTime::now() - LONG / 2).unwrap();
    let (other, orphan) =
        (machine.compiled(&digest, "00000000000000ff"), machine.compiled(&Sha256::of(b"y"), "0123456789abcdef"));
    let foreign = old(&machine.home.compiled().join("notes.cwasm"), "x");
    assert_eq!(machine.kinds(&Machine::options()), [Kind::Compiled, Kind::Compiled]);
    assert_eq!([&used, &other, &orphan, &foreign].map(|path| path.exists()), [true, false, false, true]);
}

#[test]
fn what_crashes_left_goes_and_what_runs_stays() {
    let machine = Machine::new();
    let root = machine.project("p", "");
    fs::create_dir_all(root.join(".rig/cache")).unwrap();
    let left = [
        old(&machine.home.staging().join("fetch-aB1cD2"), "x"),
        old(&machine.home.compiled().join(".tmpaB1cD2"), "x"),
        old(&machine.home.projects().join(".tmpaB1cD2"), "x"),
        old(&root.join(".rig/cache/.tmpaB1cD2"), "x"),
    ];
    let running = old(&machine.home.staging().join("fetch-running"), "x");
    let held = File::open(&running).unwrap();
    held.lock_shared().unwrap();
    let young = machine.home.staging().join("fetch-young");
    fs::write(&young, "x").unwrap();
    let temporary = Kind::Temporary;
    let options = Options { older_than: Duration::ZERO, ..Machine::options() };
    assert_eq!(machine.kinds(&options), [Kind::Download, temporary, temporary, temporary]);
    assert!(left.iter().all(|path| !path.exists()) && running.exists() && young.exists());
}

#[test]
fn only_what_is_rigs_own_is_touched() {
    let machine = Machine::new();
    let outside = machine.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let (one, two) = (Sha256::of(b"1").hex(), Sha256::of(b"2").hex());
    let precious = [
        old(&outside.join(&one), "precious"),
        old(&outside.join(".tmpaB1cD2"), "precious"),
        old(&machine.home.store().join("README"), "precious"),
        old(&machine.home.store().join(one.to_uppercase()), "precious"),
        old(&machine.home.staging().join("mine"), "precious"),
        old(&machine.home.root().join("notes"), "precious"),
    ];
    symlink(outside.join(&one), machine.home.store().join(&one)).unwrap();
    fs::create_dir(machine.home.store().join(&two)).unwrap();
    let root = machine.project("p", "");
    fs::create_dir(root.join(".rig")).unwrap();
    symlink(&outside, root.join(".rig/cache")).unwrap();
    let options = Options { older_than: Duration::ZERO, ..Machine::options() };
    let report = machine.gc(&options);
    assert_eq!(report.removed, []);
    assert!(report.problems[0].problem.contains(".rig/cache is not a folder itself"), "{:?}", report.problems);
    fs::remove_file(root.join(".rig/cache")).unwrap();

    // A folder of the home that leads elsewhere is left alone as well.
    fs::remove_dir_all(machine.home.compiled()).unwrap();
    symlink(&outside, machine.home.compiled()).unwrap();
    old(&outside.join(format!("{one}-0123456789abcdef.cwasm")), "precious");
    assert_eq!(machine.gc(&options).removed, []);
    assert!(precious.iter().all(|path| path.exists()));

    // `chown` needs root; as anybody else there is nothing to try.
    let (_, theirs) = machine.component("theirs");
    if std::os::unix::fs::chown(&theirs, Some(12345), None).is_ok() {
        assert_eq!(machine.gc(&options).removed, []);
        assert!(theirs.exists());
    }
}

#[test]
fn builds_of_an_sdk_that_nobody_uses_go() {
    let machine = Machine::new();
    let (first, second) =
        (machine.home.build(&Sha256::of(b"1")).unwrap(), machine.home.build(&Sha256::of(b"2")).unwrap());
    for (folder, used) in [&first, &second] {
        fs::create_dir(folder.join("release")).unwrap();
        fs::write(folder.join("release/lib"), "12345").unwrap();
        used.set_modified(SystemTime::now() - LONG).unwrap();
    }
    let foreign = machine.home.builds().join("mine");
    fs::create_dir(&foreign).unwrap();
    old(&foreign.join(Home::USED), "");
    drop(first.1);
    let report = machine.gc(&Machine::options());
    assert_eq!((report.removed.len(), report.removed[0].kind, report.freed), (1, Kind::BuildCache, 5));
    assert_eq!((first.0.exists(), second.0.exists(), foreign.exists()), (false, true, true));
    drop(second.1);
    // Killed while it was being removed.
    fs::rename(&second.0, machine.home.builds().join(".gone-x")).unwrap();
    assert_eq!(machine.kinds(&Machine::options()), [Kind::BuildCache]);
    let again = machine.home.build(&Sha256::of(b"1")).unwrap();
    assert!(again.0.is_dir());
}

#[test]
fn a_home_that_is_not_there_has_nothing_to_prune() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join("none"));
    let report = run(&home, &Machine::options(), &mut |_| {}).unwrap();
    assert_eq!((report.removed.len(), home.root().exists()), (0, false));
}
