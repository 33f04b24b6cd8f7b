//! One run of the binary: a clean environment, captured output, and an end in any case.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{self, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::Output;

/// A run that lasts longer is hung. Generous: the machine may be busy with the other tests.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How often a running process is looked at.
const TICK: Duration = Duration::from_millis(2);
/// The exit code of a Rust program that panicked.
const PANICKED: i32 = 101;

/// Whether a line is the standard library's own report of a panic. A guest's panic stands in its log in other words.
fn is_panic(line: &str) -> bool {
    line.starts_with("thread '") && line.contains("panicked at")
}

/// A command that is about to be run; made by [`crate::Project::run`].
#[must_use = "nothing runs until `output` or `spawn`"]
pub struct Run {
    program: PathBuf,
    args: Vec<String>,
    dir: PathBuf,
    env: BTreeMap<String, String>,
    stdin: Option<Vec<u8>>,
    timeout: Duration,
    canaries: Vec<String>,
}

impl Run {
    pub(crate) fn new(program: PathBuf, dir: &Path, env: BTreeMap<String, String>, canaries: Vec<String>) -> Self {
        Self { program, args: Vec::new(), dir: dir.to_owned(), env, stdin: None, timeout: TIMEOUT, canaries }
    }

    /// Adds arguments.
    pub fn args<A: AsRef<str>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable for this run.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The value of a variable in this run.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str)
    }

    /// Leaves a variable out of this run.
    pub fn without_env(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// Runs in another folder than the project's.
    pub fn in_dir(mut self, dir: &Path) -> Self {
        dir.clone_into(&mut self.dir);
        self
    }

    /// What the process reads. Without this, stdin is empty.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// How long the run may take before it counts as hung.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Starts the process and returns at once.
    #[must_use]
    pub fn spawn(self) -> Child {
        let shown = [self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()];
        let command = shown.iter().chain(&self.args).map(String::as_str).collect::<Vec<_>>().join(" ");
        let mut process = Command::new(&self.program)
            .args(&self.args)
            .current_dir(&self.dir)
            .env_clear()
            .envs(&self.env)
            .stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.program.display()));
        let feed = process.stdin.take().zip(self.stdin).map(|(mut pipe, bytes)| {
            // A process that ends without reading closes the pipe; that is its right.
            thread::spawn(move || drop(pipe.write_all(&bytes)))
        });
        let stdout = drain(process.stdout.take().expect("a pipe was asked for"));
        let stderr = drain(process.stderr.take().expect("a pipe was asked for"));
        Child {
            process,
            command,
            feed,
            pipes: Some([stdout, stderr]),
            end: Instant::now() + self.timeout,
            canaries: self.canaries,
        }
    }

    /// Runs the process to its end.
    #[must_use]
    #[track_caller]
    pub fn output(self) -> Output {
        self.spawn().wait()
    }
}

/// A running process. Killed when dropped.
pub struct Child {
    process: process::Child,
    command: String,
    feed: Option<JoinHandle<()>>,
    pipes: Option<[Drain; 2]>,
    end: Instant,
    canaries: Vec<String>,
}

impl Child {
    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether the process has ended.
    pub fn is_done(&mut self) -> bool {
        self.process.try_wait().expect("look at a process of our own").is_some()
    }

    /// Kills the process as `kill -9` does and waits for its end. Says whether it was still running.
    pub fn kill(mut self) -> bool {
        drop(self.process.kill());
        let status = self.process.wait().expect("wait for a process of our own");
        status.signal().is_some()
    }

    /// What the process wrote to stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        let [_, stderr] = self.pipes.as_ref().expect("taken only by `wait`");
        String::from_utf8_lossy(&stderr.bytes.lock().expect("no thread panicked")).into_owned()
    }

    /// Sends a signal, for example `TERM`.
    pub fn signal(&self, name: &str) -> &Self {
        // A shell has `kill` built in; the standard library sends no signal but `KILL`.
        let status = Command::new("/bin/sh").args(["-c", &format!("kill -{name} {}", self.id())]).status();
        assert!(status.is_ok_and(|status| status.success()), "`{}` took no signal {name}", self.command);
        self
    }

    /// As [`Child::wait`], but the time counts from now.
    #[must_use]
    #[track_caller]
    pub fn wait_within(mut self, time: Duration) -> Output {
        self.end = Instant::now() + time;
        self.wait()
    }

    /// Waits for the end. Fails when that takes too long, when rig panicked, or when a secret shows in the output.
    #[must_use]
    #[track_caller]
    pub fn wait(mut self) -> Output {
        let status = self.status();
        if let Some(feed) = self.feed.take() {
            feed.join().expect("the thread that fed stdin");
        }
        let [stdout, stderr] = self.pipes.take().expect("taken only here");
        let text = |pipe: Drain| {
            pipe.thread.join().expect("a thread that reads a pipe");
            let bytes = std::mem::take(&mut *pipe.bytes.lock().expect("no thread panicked"));
            String::from_utf8(bytes)
                .unwrap_or_else(|error| panic!("`{}` wrote what is not UTF-8: {error}", self.command))
        };
        let output = Output {
            command: self.command.clone(),
            code: status.and_then(|s| s.code()),
            stdout: text(stdout),
            stderr: text(stderr),
        };
        assert!(status.is_some(), "`{}` hung and was killed:\n{output}", self.command);
        let panicked = output.code == Some(PANICKED) || output.stderr.lines().any(is_panic);
        assert!(!panicked, "`{}` panicked:\n{output}", self.command);
        for canary in &self.canaries {
            output.lacks(canary);
        }
        output
    }

    /// Nothing when the time was up.
    fn status(&mut self) -> Option<ExitStatus> {
        loop {
            if let Some(status) = self.process.try_wait().expect("look at a process of our own") {
                return Some(status);
            }
            if Instant::now() > self.end {
                drop(self.process.kill());
                drop(self.process.wait());
                return None;
            }
            thread::sleep(TICK);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.pipes.is_some() {
            drop(self.process.kill());
            drop(self.process.wait());
        }
    }
}

/// A pipe that is read as the process writes.
struct Drain {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

fn drain(mut pipe: impl Read + Send + 'static) -> Drain {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let filled = Arc::clone(&bytes);
    let thread = thread::spawn(move || {
        let mut piece = vec![0; 64 * 1024];
        loop {
            match pipe.read(&mut piece) {
                Ok(0) => break,
                Ok(size) => filled.lock().expect("no thread panicked").extend(&piece[..size]),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => panic!("reading the output of a process: {error}"),
            }
        }
    });
    Drain { bytes, thread }
}
