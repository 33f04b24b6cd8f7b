//! The first route: the target's standard library, already compiled, from rustup.

use std::{path::PathBuf, time::Duration};

use crate::{
    Route, Search, Step, TARGET, Toolchain,
    find::Rust,
    process::{self, Stopped},
};

/// How long rustup may take: the download is 20 MB, and without a network rustup waits far longer than a person would.
const ADD_LIMIT: Duration = Duration::from_mins(2);

/// The toolchain, when the target is there.
pub(crate) fn installed(rust: &Rust) -> Option<Toolchain> {
    let library = rust.sysroot.join("lib/rustlib").join(TARGET).join("lib");
    let mut files = std::fs::read_dir(library).ok()?.filter_map(Result::ok);
    files.find(|file| file.file_name().to_string_lossy().starts_with("libstd-"))?;
    let rustc = rust.sysroot.join("bin").join("rustc");
    let rustc = if rustc.is_file() { rustc } else { PathBuf::from("rustc") };
    let sources = rust.sysroot.join("lib/rustlib/src/rust");
    Some(rust.toolchain(Route::Rustup, &rust.version, rustc, sources))
}

/// Has rustup install the target; else says in a sentence what stopped it.
pub(crate) fn add(search: &Search, rust: &Rust, on_step: &mut dyn FnMut(Step)) -> Result<Toolchain, String> {
    add_within(ADD_LIMIT, search, rust, on_step)
}

fn add_within(
    limit: Duration,
    search: &Search,
    rust: &Rust,
    on_step: &mut dyn FnMut(Step),
) -> Result<Toolchain, String> {
    let mut command = search.command("rustup");
    if !matches!(process::ask(search.command("rustup").arg("--version")), Ok(ended) if ended.status.success()) {
        return Err("there is no working `rustup` in PATH".into());
    }
    command.args(["target", "add", TARGET]);
    let shown = process::shown(&command);
    on_step(Step::Running { command: shown.clone(), why: format!("installing the target {TARGET}") });
    let ended = process::run(&mut command, Some(limit), &mut |_, line| on_step(Step::Line(line.to_owned())));
    match ended {
        Ok(ended) if ended.status.success() => {
            installed(rust).ok_or_else(|| format!("`{shown}` left {} without the target", rust.sysroot.display()))
        }
        Ok(ended) => Err(format!("`{shown}` failed: {}", ended.last_words())),
        Err(Stopped::TooLong(_)) => Err(format!("`{shown}` did not end within {} s", limit.as_secs())),
        Err(Stopped::Missing) => Err("there is no `rustup` in PATH".into()),
        Err(Stopped::Io(error)) => Err(format!("cannot run `{shown}`: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Choice, testing::Machine};

    #[test]
    fn a_rustup_that_hangs_is_given_up() {
        let machine = Machine::new();
        machine.program("rustup", "[ \"$1\" = --version ] && exit 0\nexec /bin/sleep 20");
        let search = machine.search(Choice::Any);
        let rust = machine.rust();
        let reason = add_within(Duration::from_secs(1), &search, &rust, &mut |_| ());
        assert_eq!(reason, Err(format!("`rustup target add {TARGET}` did not end within 1 s")));
    }
}
