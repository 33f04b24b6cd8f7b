//! Runs commands in front of the user: their output goes straight to the terminal.

use std::{ffi::OsStr, path::Path, process::Command};

use crate::fail::Fail;

/// Runs a command without input and returns its exit code; a signal counts as a failure.
pub(crate) fn status(command: &mut Command) -> Result<Option<i32>, Fail> {
    command.stdin(std::process::Stdio::null());
    let status = command.status().map_err(|error| cannot_run(command, &error))?;
    Ok(status.code())
}

/// Runs a command that must succeed.
pub(crate) fn ok(command: &mut Command) -> Result<(), Fail> {
    match status(command)? {
        Some(0) => Ok(()),
        Some(code) => Err(Fail::new(format!("`{}` failed with exit code {code}", shown(command)))),
        None => Err(Fail::new(format!("`{}` was killed", shown(command)))),
    }
}

/// The output of a command that must succeed. What it says on stderr stays visible.
pub(crate) fn output(command: &mut Command) -> Result<String, Fail> {
    command.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::inherit());
    let output = command.output().map_err(|error| cannot_run(command, &error))?;
    if !output.status.success() {
        return Err(Fail::new(format!("`{}` failed: {}", shown(command), output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| Fail::new(format!("`{}` wrote no text", shown(command))))
}

/// The command as it could be typed into a shell, the program by its name only.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy);
    words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn cannot_run(command: &Command, error: &std::io::Error) -> Fail {
    Fail::new(format!("cannot run `{}`: {error}", shown(command)))
}

/// Held by every test that starts programs. A program that another thread starts meanwhile holds a script that is being written
/// open for a moment, and the kernel runs no script that is open for writing.
#[cfg(test)]
pub(crate) fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("/somewhere/rig");
        command.args(["call", "echo.message.send", r#"{"message":"it's"}"#, ""]);
        assert_eq!(shown(&command), r#"rig call echo.message.send '{"message":"it'\''s"}' ''"#);
    }

    #[test]
    fn failures_name_the_command_and_the_code() {
        let _alone = alone();
        let error = ok(Command::new("/bin/sh").args(["-c", "exit 7"])).unwrap_err();
        assert_eq!(error.to_string(), "error: `sh -c 'exit 7'` failed with exit code 7");
        let error = ok(&mut Command::new("/nonexistent/tool")).unwrap_err();
        assert!(error.to_string().starts_with("error: cannot run `tool`: "), "{error}");
    }
}
