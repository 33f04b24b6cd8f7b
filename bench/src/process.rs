//! Whole processes: what a person waits for at a prompt.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::{Failure, measure::median, rig::Packs};

/// How often each command is run.
const RUNS: usize = 25;

/// Medians in milliseconds, from the start of the process to its end.
pub(crate) struct Start {
    pub(crate) version_ms: f64,
    pub(crate) call_ms: f64,
}

/// Measures `rig --version` and `rig call` in turn, in a project with the echo pack installed and compiled.
pub(crate) fn start(packs: &Packs) -> Result<Start, Failure> {
    let folder = tempfile::tempdir()?;
    let binary = binary()?;
    let index = packs.dir.join("pack_index.json").canonicalize()?;
    let index = index.to_str().ok_or("the path of the index is not text")?;
    let rig = |args: &[&str]| -> Result<f64, Failure> { run(&binary, folder.path(), args) };
    rig(&["init", "--index-url", index])?;
    rig(&["install", "echo", "--yes"])?;
    let call = ["call", "echo.message.send", r#"{"message":"hello"}"#];
    rig(&call)?;
    let (mut versions, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        versions.push(rig(&["--version"])?);
        calls.push(rig(&call)?);
    }
    Ok(Start { version_ms: median(versions), call_ms: median(calls) })
}

fn binary() -> Result<PathBuf, Failure> {
    match std::env::var_os("RIG_TEST_BIN") {
        Some(path) => Ok(path.into()),
        None => Ok(std::env::current_exe()?.with_file_name("rig")),
    }
}

fn run(binary: &Path, folder: &Path, args: &[&str]) -> Result<f64, Failure> {
    let started = Instant::now();
    let status = Command::new(binary)
        .args(args)
        .current_dir(folder)
        .env("RIG_HOME", folder.join("home"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("{} does not start: {error}", binary.display()))?;
    let elapsed = started.elapsed().as_secs_f64() * 1e3;
    if status.success() { Ok(elapsed) } else { Err(format!("rig {} ended with {status}", args.join(" ")).into()) }
}
