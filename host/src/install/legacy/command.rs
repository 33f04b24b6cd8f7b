//! Runs the installers of other ecosystems: with an environment that rig makes, no terminal, and an end in any case. Nothing of the
//! user's own configuration or environment reaches them.

use std::{
    ffi::OsStr,
    io::{self, Read},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long an installer may take: large wheels over slow networks take minutes.
const TIME: Duration = Duration::from_mins(10);
/// How often a running installer is looked at.
const TICK: Duration = Duration::from_millis(5);
/// The most that is kept of what an installer says.
const MAX_OUTPUT: u64 = 8 << 20;

/// What a command did.
pub(super) struct Ran {
    pub(super) ok: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// A command with nothing in its environment but `PATH` and what is added.
pub(super) fn command(program: &Path, path: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", path).env("LANG", "C.UTF-8").env("LC_ALL", "C.UTF-8");
    command
}

impl Ran {
    /// All that it said.
    pub(super) fn said(&self) -> String {
        format!("{}\n{}", self.stderr, self.stdout)
    }
}

/// Runs it to its end.
///
/// # Errors
/// When it cannot be started, or takes too long.
pub(super) fn run(mut command: Command) -> io::Result<Ran> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let end = Instant::now() + TIME;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("it did not end within {} s", TIME.as_secs())));
        }
        thread::sleep(TICK);
    };
    let text = |reader: thread::JoinHandle<Vec<u8>>| {
        let bytes = reader.join().unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let ran = Ran { ok: status.success(), stdout: text(stdout), stderr: text(stderr) };
    tracing::debug!(ok = ran.ok, stdout = %ran.stdout, stderr = %ran.stderr, "an installer ended");
    Ok(ran)
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before an error counts.
            let _ = pipe.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
            let _ = io::copy(&mut pipe, &mut io::sink());
        }
        bytes
    })
}

/// The program of that name in `PATH`. Relative folders there are left out: which program they name depends on where rig runs.
pub(super) fn find(name: &str, path: &OsStr) -> Option<std::path::PathBuf> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}
