//! Runs one program, line by line and not longer than allowed.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

/// How many bytes of a program's output are kept for an error: the end of a long compiler output, and no more memory than that.
const KEPT_OUTPUT: usize = 64 * 1024;

/// How often a program that closed its output is asked whether it ended.
const POLL: Duration = Duration::from_millis(20);

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// A program that ended in time.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The last line that says something, for a reason of one line.
    pub(crate) fn last_words(&self) -> String {
        let said = |text: &str| text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned);
        said(&self.stderr).or_else(|| said(&self.stdout)).unwrap_or_else(|| self.status.to_string())
    }
}

/// Why a program did not end by itself.
#[derive(Debug)]
pub(crate) enum Stopped {
    Missing,
    Io(io::Error),
    TooLong(Duration),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Missing } else { Self::Io(error) }
    }
}

/// Runs the program without input, hands over each line that it writes, and keeps the end of both streams.
///
/// After `limit` the program is killed. A process that it left behind may hold the pipes open: nothing waits for that.
pub(crate) fn run(
    command: &mut Command,
    limit: Option<Duration>,
    on_line: &mut dyn FnMut(Stream, &str),
) -> Result<Ended, Stopped> {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (sender, lines) = mpsc::channel();
    if let Some(pipe) = child.stdout.take() {
        read_lines(pipe, Stream::Out, sender.clone());
    }
    if let Some(pipe) = child.stderr.take() {
        read_lines(pipe, Stream::Err, sender);
    }
    let (mut stdout, mut stderr) = (Tail::default(), Tail::default());
    loop {
        let left = limit.map_or(Duration::MAX, |limit| limit.saturating_sub(started.elapsed()));
        match lines.recv_timeout(left) {
            Ok((stream, line)) => {
                on_line(stream, &line);
                if stream == Stream::Out { stdout.push(line) } else { stderr.push(line) }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => return Err(kill(&mut child, started.elapsed())),
        }
    }
    let status = match limit {
        None => child.wait()?,
        Some(limit) => loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if started.elapsed() >= limit {
                return Err(kill(&mut child, limit));
            }
            thread::sleep(POLL);
        },
    };
    Ok(Ended { status, stdout: stdout.text(), stderr: stderr.text() })
}

/// Runs a program that only answers a question.
pub(crate) fn ask(command: &mut Command) -> Result<Ended, Stopped> {
    run(command, None, &mut |_, _| ())
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy);
    words.collect::<Vec<_>>().join(" ")
}

fn kill(child: &mut Child, after: Duration) -> Stopped {
    // A program of another user (`sudo`) cannot be killed; then there is nothing to wait for either.
    if child.kill().is_ok()
        && let Err(error) = child.wait()
    {
        return Stopped::Io(error);
    }
    Stopped::TooLong(after)
}

fn read_lines(pipe: impl Read + Send + 'static, stream: Stream, sender: Sender<(Stream, String)>) {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            if sender.send((stream, text)).is_err() {
                break;
            }
            line.clear();
        }
    });
}

/// The last lines of a stream; one line is kept whole, however long.
#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    fn push(&mut self, line: String) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > KEPT_OUTPUT && self.lines.len() > 1 {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len() + 1);
        }
    }

    fn text(self) -> String {
        self.lines.into_iter().collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::alone;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_of_both_streams_arrive_and_are_kept() {
        let _alone = alone();
        let mut seen = Vec::new();
        let ended = run(&mut sh("echo one; echo two >&2; exit 3"), None, &mut |stream, line| {
            seen.push((stream == Stream::Err, line.to_owned()));
        });
        let ended = ended.unwrap();
        seen.sort();
        assert_eq!(seen, [(false, "one".to_owned()), (true, "two".to_owned())]);
        assert_eq!((ended.status.code(), &*ended.stdout, &*ended.stderr), (Some(3), "one", "two"));
        assert_eq!(ended.last_words(), "two");
    }

    #[test]
    fn a_long_output_keeps_its_end() {
        let _alone = alone();
        let ended = ask(&mut sh("i=0; while [ $i -lt 9000 ]; do echo line number $i; i=$((i+1)); done")).unwrap();
        assert!(ended.stdout.len() <= KEPT_OUTPUT);
        assert!(ended.stdout.ends_with("line number 8999"));
    }

    #[test]
    fn a_program_that_hangs_is_killed_even_when_its_children_hold_the_pipes() {
        let _alone = alone();
        let started = Instant::now();
        // The shell waits for a child of its own, which keeps the pipe open after the shell is killed.
        let stopped = run(&mut sh("/bin/sleep 20; echo late"), Some(Duration::from_millis(200)), &mut |_, _| ());
        assert!(matches!(stopped, Err(Stopped::TooLong(_))), "{stopped:?}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_missing_program_is_told_apart() {
        let _alone = alone();
        assert!(matches!(ask(&mut Command::new("/nonexistent/program")), Err(Stopped::Missing)));
    }
}
