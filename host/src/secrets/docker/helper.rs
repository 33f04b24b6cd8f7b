//! Asks a `docker-credential-*` program for a password: the registry's name goes in, JSON comes out. The program is the user's own and
//! named by the user's own configuration; it is found in absolute folders of `PATH` only, gets no terminal, and has limited time and
//! room to answer. What it says in an error is not shown: nobody knows what it holds.

use std::{
    env,
    ffi::OsStr,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Error, Login, Secret};

/// How long a helper may take. Some unlock a keychain, for which a person types a password.
const TIME: Duration = Duration::from_secs(30);
/// The longest answer. Identity tokens have some thousand bytes.
const LARGEST: u64 = 64 << 10;
/// How often a running helper is looked at.
const TICK: Duration = Duration::from_millis(5);
/// What all helpers print when they know nothing about a registry.
const UNKNOWN: &[u8] = b"credentials not found in native keychain";
/// The user name that stands for "this is no password, but an identity token".
const TOKEN: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    secret: Option<Secret>,
}

/// What the helper of that name knows about a registry.
pub(super) fn ask(name: &str, path: &OsStr, registry: &str) -> Result<Option<Login>, Error> {
    ask_within(name, path, registry, TIME)
}

fn ask_within(name: &str, path: &OsStr, registry: &str, time: Duration) -> Result<Option<Login>, Error> {
    let program = format!("docker-credential-{name}");
    let failed = |why: &str| Error::Helper { program: crate::words::plain(&program), why: why.into() };
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(failed("has a name that no program has"));
    }
    let found = find(&program, path).ok_or_else(|| failed("is not in PATH"))?;
    let mut command = Command::new(found);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(&format!("cannot be run: {error}")))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else { return Err(failed("has no pipes")) };
    let registry = registry.to_owned();
    // On threads of their own: a helper that neither reads nor ends must not hold anybody up.
    thread::spawn(move || {
        // One that answers without reading is no failure.
        let _ = stdin.write_all(registry.as_bytes());
    });
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut out = Zeroizing::new(Vec::new());
        let read = stdout.take(LARGEST + 1).read_to_end(&mut out);
        let _ = send.send(read.map(|_| out));
    });
    let end = Instant::now() + time;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < end => thread::sleep(TICK),
            other => {
                let _ = child.kill();
                let _ = child.wait();
                let why = match other {
                    Err(error) => format!("cannot be waited for: {error}"),
                    _ => format!("did not answer for {} seconds", time.as_secs()),
                };
                return Err(failed(&why));
            }
        }
    };
    // Its pipe may be held open by what it left running.
    let out = receive.recv_timeout(end.saturating_duration_since(Instant::now()).max(TICK));
    let Ok(Ok(out)) = out else { return Err(failed("ended without a whole answer")) };
    if out.len() as u64 > LARGEST {
        return Err(failed(&format!("answered with more than {} KiB", LARGEST >> 10)));
    }
    if !status.success() {
        if out.trim_ascii().starts_with(UNKNOWN) {
            return Ok(None);
        }
        let how = status.code().map_or_else(|| "was killed".to_owned(), |code| format!("failed with exit code {code}"));
        return Err(failed(&how));
    }
    // The parser's own message may quote a value.
    let Ok(answer) = serde_json::from_slice::<Answer>(&out) else {
        return Err(failed("answered with something else than JSON"));
    };
    let secret = answer.secret.filter(|secret| !secret.is_shorter_than(1));
    Ok(secret.map(|secret| match answer.username.as_str() {
        TOKEN => Login::Identity(secret),
        _ => Login::Password { user: answer.username, password: secret },
    }))
}

/// The first program of that name in an absolute folder of `PATH`: what the current folder holds is never run.
fn find(program: &str, path: &OsStr) -> Option<PathBuf> {
    let folders = env::split_paths(path).filter(|folder| folder.is_absolute());
    let runs = |path: &PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    folders.map(|folder| folder.join(program)).find(runs)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Helper(tempfile::TempDir);

    impl Helper {
        fn new(script: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("docker-credential-test");
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            Self(folder)
        }

        fn ask(&self, time: Duration) -> Result<Option<Login>, Error> {
            ask_within("test", self.0.path().as_os_str(), "r.example", time)
        }
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn what_helpers_answer() {
        let password =
            Helper::new(r#"read host; echo "{\"ServerURL\":\"$host\",\"Username\":\"$1 $host\",\"Secret\":\"p\"}""#);
        let Some(Login::Password { user, password }) = password.ask(LONG).unwrap() else { panic!("no password") };
        assert_eq!((user.as_str(), password.expose()), ("get r.example", "p"));
        let token = Helper::new(r#"echo '{"Username":"<token>","Secret":"t"}'"#).ask(LONG).unwrap();
        assert!(matches!(token, Some(Login::Identity(token)) if token.expose() == "t"));
        for nothing in
            ["echo credentials not found in native keychain; exit 1", r#"echo '{"Username":"","Secret":""}'"#]
        {
            assert!(Helper::new(nothing).ask(LONG).unwrap().is_none());
        }
    }

    #[test]
    fn helpers_that_do_not_help_are_named_and_not_quoted() {
        let cases = [
            ("echo canary; exit 3", LONG, "failed with exit code 3"),
            ("echo canary", LONG, "answered with something else than JSON"),
            ("kill -9 $$", LONG, "was killed"),
            ("head -c 70000 /dev/zero", LONG, "answered with more than 64 KiB"),
            ("exec sleep 60", Duration::from_millis(50), "did not answer for 0 seconds"),
        ];
        for (script, time, message) in cases {
            let error = Helper::new(script).ask(time).unwrap_err();
            assert_eq!(error.to_string(), format!("the credential helper `docker-credential-test` {message}"));
            assert!(!format!("{error:?}").contains("canary"));
        }
        let nowhere = ask("test", OsStr::new("relative:.:"), "r").unwrap_err();
        assert_eq!(nowhere.to_string(), "the credential helper `docker-credential-test` is not in PATH");
        for name in ["../x", "a b", "x;y", ""] {
            let error = ask(name, OsStr::new("/bin"), "r");
            assert!(
                name.is_empty() && error.is_err() || error.unwrap_err().to_string().contains("has a name"),
                "{name}"
            );
        }
    }
}
