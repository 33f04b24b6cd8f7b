//! Whole processes: what a person waits for at a prompt, and the servers that the load is put on.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use crate::{Failure, measure::median, rig::Packs};

/// How often each command is run.
const RUNS: usize = 25;

/// A project with the echo pack installed and compiled, in a folder of its own.
pub(crate) struct Scratch {
    folder: tempfile::TempDir,
    binary: PathBuf,
    probe: PathBuf,
}

impl Scratch {
    pub(crate) fn new(packs: &Packs) -> Result<Self, Failure> {
        let binary = match std::env::var_os("RIG_TEST_BIN") {
            Some(path) => path.into(),
            None => std::env::current_exe()?.with_file_name("rig"),
        };
        let scratch = Self { folder: tempfile::tempdir()?, binary, probe: packs.probe.canonicalize()? };
        let index = packs.dir.join("pack_index.json").canonicalize()?;
        let index = index.to_str().ok_or("the path of the index is not text")?;
        scratch.run(&["init", "--index-url", index])?;
        scratch.run(&["install", "echo", "--yes"])?;
        Ok(scratch)
    }

    /// Adds the pack whose tools misbehave.
    pub(crate) fn install_probe(&self) -> Result<(), Failure> {
        let probe = self.probe.to_str().ok_or("the path of the probe pack is not text")?;
        self.run(&["install", probe, "--yes"]).map(drop)
    }

    /// The project.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `rig` with these words in the project.
    pub(crate) fn rig(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(self.folder.path()).env("RIG_HOME", self.folder.path().join("home"));
        command
    }

    /// Runs `rig` to its end. The milliseconds that it took.
    pub(crate) fn run(&self, args: &[&str]) -> Result<f64, Failure> {
        let mut command = self.rig(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let status = command.status().map_err(|error| format!("{} does not start: {error}", self.binary.display()))?;
        let elapsed = started.elapsed().as_secs_f64() * 1e3;
        if status.success() { Ok(elapsed) } else { Err(format!("rig {} ended with {status}", args.join(" ")).into()) }
    }
}

/// Medians in milliseconds, from the start of the process to its end.
pub(crate) struct Start {
    pub(crate) version_ms: f64,
    pub(crate) call_ms: f64,
}

/// Measures `rig --version` and `rig call` in turn.
pub(crate) fn start(scratch: &Scratch) -> Result<Start, Failure> {
    let call = ["call", "echo.message.send", r#"{"message":"hello"}"#];
    scratch.run(&call)?;
    let (mut versions, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        versions.push(scratch.run(&["--version"])?);
        calls.push(scratch.run(&call)?);
    }
    Ok(Start { version_ms: median(versions), call_ms: median(calls) })
}

/// A server in a process of its own. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The floor: `rig-bench bare-http`.
    pub(crate) fn bare() -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare-http");
        Self::start(command)
    }

    /// The files of a folder: `rig-bench files DIR`.
    pub(crate) fn files(dir: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("files").arg(dir);
        Self::start(command)
    }

    /// `rig` with these words.
    pub(crate) fn rig(scratch: &Scratch, args: &[&str]) -> Result<Self, Failure> {
        Self::start(scratch.rig(args))
    }

    /// Starts it and waits for the line that says where it listens.
    fn start(mut command: Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut stderr = BufReader::new(child.stderr.take().ok_or("no pipe")?);
        let mut said = String::new();
        let found = loop {
            let mut line = String::new();
            if stderr.read_line(&mut line)? == 0 {
                break None;
            }
            said.push_str(&line);
            if let Some(address) = address(&line) {
                break Some(address);
            }
        };
        // What it says from now on is of no interest, but a full pipe would stop it.
        thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        let Some(address) = found else {
            let _ = child.wait();
            return Err(format!("a server ended instead of listening: {said}").into());
        };
        Ok(Self { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c))).unwrap_or(rest.len());
    rest[..end].trim_end_matches('.').parse().ok()
}
