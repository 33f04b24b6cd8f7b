//! Kills rig at a chosen system call, and lists the calls there are: by strace, which stops a process at the entry of a call. So the
//! call that it names has not happened, and everything before it has.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use regex::Regex;

use crate::{Project, Run, artifacts};

/// Every call that can change what is on a disk, and those that lock. With `openat` it depends on its flags.
const CHANGING: &[&str] = &[
    "open",
    "openat",
    "openat2",
    "creat",
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "copy_file_range",
    "sendfile",
    "splice",
    "ftruncate",
    "truncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "syncfs",
    "msync",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "fchownat",
    "lchown",
    "utimensat",
    "flock",
];
/// Calls that open a file: only those that may make or empty it change anything.
const OPENING: &[&str] = &["open", "openat", "openat2"];

/// How far the number of a call without a path may be off in another run, nearest first.
const OFFSETS: [isize; 9] = [0, 1, -1, 2, -2, 3, -3, 4, -4];
/// How often all of them are tried.
const ROUNDS: usize = 6;

/// One call of a run that can change what is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// The path that it is about, when that is the same in every run.
    path: Option<String>,
    /// Which of its name and that path it is, from 1: as strace counts, in its thread. Without a path, which of its name; then there may
    /// be some more or fewer in another run, because a network wakes a process as often as it likes.
    nth: usize,
    /// Its name and paths, with what is random in them left out.
    pub what: String,
    /// Which it is of those that say the same, from 1.
    pub occurrence: usize,
}

/// The program.
pub struct Strace {
    program: PathBuf,
    libraries: Option<PathBuf>,
}

impl Strace {
    /// strace of the machine, or the one that `cargo xtask clients` unpacked. Without one that works here the reason is printed, and
    /// the test that asked is to end; with `RIG_TEST_CLIENTS=required` that is a failure instead.
    #[must_use]
    #[allow(clippy::print_stdout, reason = "what is skipped on a machine is said")]
    pub fn find(project: &Project) -> Option<Self> {
        let folders = env::var("PATH").unwrap_or_default();
        let own = env::split_paths(&folders).map(|folder| folder.join("strace")).find(|path| path.is_file());
        let unpacked = artifacts::clients().join("strace/usr");
        let found = match own {
            Some(program) => Some(Self { program, libraries: None }),
            None if unpacked.join("bin/strace").is_file() => {
                let libraries = fs::read_dir(unpacked.join("lib")).ok()?.flatten().map(|entry| entry.path());
                let libraries = libraries.filter(|path| path.is_dir()).collect::<Vec<_>>();
                Some(Self {
                    program: unpacked.join("bin/strace"),
                    libraries: env::join_paths(libraries).ok().map(PathBuf::from),
                })
            }
            None => None,
        };
        let why = match &found {
            None => {
                "there is no strace: `cargo xtask clients` unpacks Debian's, or `apt-get install strace`".to_owned()
            }
            Some(strace) => {
                // Containers may forbid it.
                let log = project.root().join("tmp/strace-works");
                let output = strace.run(project, &log, &["-e", "trace=write"], "/bin/echo", &["works"]).output();
                if output.code == Some(0) && fs::read_to_string(&log).is_ok_and(|log| log.contains("works")) {
                    return found;
                }
                format!("strace does not work here: {}", output.stderr.trim())
            }
        };
        let required = env::var_os("RIG_TEST_CLIENTS").is_some_and(|value| value == "required");
        assert!(!required, "{why}");
        println!("SKIPPED: {why}");
        None
    }

    fn run(&self, project: &Project, log: &Path, options: &[&str], program: &str, args: &[&str]) -> Run {
        let log = log.to_str().expect("temporary paths are UTF-8");
        let mut run = project.run_other(&self.program).args(["-f", "-y", "-qq", "-s", "8", "-o", log]).args(options);
        if let Some(libraries) = &self.libraries {
            // For strace itself; rig is to have its own.
            run = run.env("LD_LIBRARY_PATH", &libraries.to_string_lossy()).args(["-E", "LD_LIBRARY_PATH"]);
        }
        run.args([program]).args(args)
    }

    /// Runs rig to its end; the calls that can change what is below the project's root, in their order.
    #[must_use]
    #[track_caller]
    pub fn calls(&self, project: &Project, args: &[&str]) -> Vec<Call> {
        let log = project.root().join("tmp/strace-calls");
        let traced = format!("trace={}", CHANGING.join(","));
        let rig = artifacts::rig();
        let output = self.run(project, &log, &["-e", &traced], &rig.to_string_lossy(), args).output();
        output.ok();
        calls(&fs::read_to_string(&log).expect("strace wrote a log"), project.root())
    }

    /// Runs rig and kills it, as `kill -9` does, when it is about to make that call. `restore` makes the project what it was before,
    /// and is called before each try: it takes some until the right one of its name is hit.
    ///
    /// # Errors
    /// Where it was killed instead, if it never was there.
    pub fn kill_at(&self, project: &Project, args: &[&str], call: &Call, restore: &dyn Fn()) -> Result<(), String> {
        let log = project.root().join("tmp/strace-kill");
        let rig = artifacts::rig();
        let mut instead = Vec::new();
        let tries = if call.path.is_some() { vec![0; 3] } else { OFFSETS.repeat(ROUNDS) };
        for offset in tries {
            let Some(nth) = call.nth.checked_add_signed(offset).filter(|nth| *nth > 0) else { continue };
            let (traced, injected) =
                (format!("trace={}", call.name), format!("inject={}:signal=SIGKILL:when={nth}", call.name));
            let mut options = vec!["-e", &traced, "-e", &injected];
            options.extend(call.path.iter().flat_map(|path| ["-P", path]));
            restore();
            // strace ends as what it traced did.
            let output = self.run(project, &log, &options, &rig.to_string_lossy(), args).output();
            let text = fs::read_to_string(&log).expect("strace wrote a log");
            let killed = text.contains("+++ killed by SIGKILL +++");
            // It may have been killed at a call that is not on the list, such as one on a socket.
            let last = calls(&text, project.root()).into_iter().next_back().filter(|last| killed && last.nth == nth);
            if last.as_ref().is_some_and(|last| (&last.what, last.occurrence) == (&call.what, call.occurrence)) {
                return Ok(());
            }
            instead.push(match last {
                Some(last) => last.what,
                None if killed => "nothing below the root".to_owned(),
                None => format!("its own end:\n{output}{text}"),
            });
        }
        Err(instead.join("; "))
    }
}

/// Reads a log. `1234 name(…) = …`, or in two pieces when another thread came between, the first of which counts.
fn calls(log: &str, root: &Path) -> Vec<Call> {
    let line = Regex::new(r"^(\d+) +(\w+)\((.*)$").expect("a pattern");
    let path = Regex::new(r#"["<]([^"<>]*)[">]"#).expect("a pattern");
    let random = Regex::new(r"(fetch-|\.tmp|part-)\w{6}\b|#\d+").expect("a pattern");
    // Where relative paths begin; there are none.
    let here = Regex::new(r"AT_FDCWD<[^>]*>").expect("a pattern");
    let root = root.to_str().expect("temporary paths are UTF-8");
    let mut counts: BTreeMap<(&str, &str, Option<String>), usize> = BTreeMap::new();
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for captures in log.lines().filter_map(|text| line.captures(text)) {
        let [thread, name, rest] = [1, 2, 3].map(|n| captures.get(n).map_or("", |found| found.as_str()));
        let changes = !OPENING.contains(&name) || rest.contains("O_CREAT") || rest.contains("O_TRUNC");
        // What a call is about stands in front: the bytes that it writes may name paths too.
        // What it came to is not known where it was killed.
        let rest = rest.rsplit_once(") = ").map_or(rest, |(asked, _)| asked);
        let rest = here.replace_all(rest, "");
        let about: &str = if name.starts_with("write") || name.starts_with("pwrite") {
            rest.split_once(',').map_or(&*rest, |(first, _)| first)
        } else {
            &rest
        };
        let paths = path.captures_iter(about).filter_map(|found| found.get(1)).map(|found| found.as_str());
        let mut below = Vec::new();
        for path in paths {
            let nth = counts.entry((thread, name, Some(path.to_owned()))).or_default();
            *nth += 1;
            below.extend(path.strip_prefix(root).map(|short| (path, short, *nth)));
        }
        let nth = counts.entry((thread, name, None)).or_default();
        *nth += 1;
        if changes && !below.is_empty() {
            let short: Vec<&str> = below.iter().map(|(_, short, _)| *short).collect();
            let what = random.replace_all(&format!("{name} {}", short.join(" ")), "?").into_owned();
            let occurrence = said.entry(what.clone()).or_default();
            *occurrence += 1;
            // strace finds renames by none of their two paths.
            let (path, nth) = match below.iter().find(|(path, ..)| !random.is_match(path)) {
                Some((path, _, nth)) if !name.starts_with("rename") => (Some((*path).to_owned()), *nth),
                _ => (None, *nth),
            };
            found.push(Call { name: name.to_owned(), path, nth, what, occurrence: *occurrence });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_thread_and_only_those_below_the_root_are_listed() {
        let log = r#"7 openat(AT_FDCWD</r/p>, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 3</etc/hosts>
7 openat(AT_FDCWD</r/p>, "/r/p/rig.lock", O_RDONLY|O_CLOEXEC) = 3</r/p/rig.lock>
7 write(2<pipe:[1]>, "/r/p/x"..., 6) = 6
7 openat(AT_FDCWD</r/p>, "/r/h/.tmpAb12_9", O_RDWR|O_CREAT|O_EXCL, 0600 <unfinished ...>
8 write(5</r/h/.tmpAb1239>, "x"..., 1) = 1
7 <... openat resumed>) = 5</r/h/.tmpAb12_9>
7 write(5</r/h/.tmpAb1239>, "x"..., 1) = 1
7 renameat2(AT_FDCWD</r/p>, "/r/h/fetch-xyZ123", AT_FDCWD</r/p>, "/r/h/y", RENAME_NOREPLACE) = 0
7 openat(AT_FDCWD</r/p>, "/r/p/rig.lock", O_RDWR|O_CREAT <unfinished ...>
"#;
        let found: Vec<_> =
            calls(log, Path::new("/r")).into_iter().map(|c| (c.path, c.nth, c.what, c.occurrence)).collect();
        let expected = [
            (None, 3, "openat /h/?", 1),
            (None, 1, "write /h/?", 1),
            (None, 2, "write /h/?", 2),
            (None, 1, "renameat2 /h/? /h/y", 1),
            (Some("/r/p/rig.lock"), 2, "openat /p/rig.lock", 1),
        ];
        assert_eq!(
            found,
            expected.map(|(path, nth, what, times)| (path.map(str::to_owned), nth, what.to_owned(), times))
        );
    }
}
