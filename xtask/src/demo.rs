//! What a newcomer sees: everything built, packs installed by hash from an index, their tools called in the sandbox. Each command
//! is shown as a user would type it, and its exit code is checked.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use crate::{checkout::Checkout, fail::Fail, packs, run};

/// What rig answers when the tool answered with an error.
const EXIT_TOOL_ERROR: i32 = 3;

/// One command of the tour.
struct Scene {
    /// What it shows.
    about: &'static str,
    /// The words after `rig`.
    words: &'static [&'static str],
    /// The exit code that it must have.
    exit: i32,
}

const fn scene(about: &'static str, words: &'static [&'static str]) -> Scene {
    Scene { about, words, exit: 0 }
}

/// The tour after `rig init`.
const SCENES: [Scene; 9] = [
    scene("A pack is fetched by its hash, checked, and pinned in rig.lock.", &["install", "echo", "--yes"]),
    scene("What is installed:", &["packs"]),
    scene("The tools of it:", &["list"]),
    scene(
        "A call runs in a fresh sandbox with no network, no files and no secrets:",
        &["call", "echo.message.send", r#"{"message":"hello"}"#],
    ),
    scene("The files on this machine are still those of rig.lock:", &["verify"]),
    Scene {
        about: "Arguments are checked against the tool's schema before any code of the pack runs:",
        words: &["call", "echo.message.send", r#"{"massage":"hello"}"#],
        exit: EXIT_TOOL_ERROR,
    },
    scene("A pack that needs something says so; the project grants it by installing:", &["install", "github", "--yes"]),
    scene("What it may reach, and which secret goes there:", &["info", "github"]),
    Scene {
        about: "Without the secret, the call ends before the sandbox starts, and says what to set:",
        words: &["call", "github.pulls.list", r#"{"repo":"rust-lang/rust"}"#],
        exit: EXIT_TOOL_ERROR,
    },
];

/// A variable of the user's that would change what the demo shows.
const UNSET: &str = "GITHUB_TOKEN";

pub(crate) fn run(checkout: &Checkout) -> Result<(), Fail> {
    let started = Instant::now();
    let toolchain = crate::toolchain(checkout)?;
    println!("building rig (the first time takes some minutes)");
    let rig = checkout.build_rig()?;
    let index = packs::build_examples(checkout, &rig, &toolchain)?;
    let built = started.elapsed();

    let stage = Stage::set(checkout, rig)?;
    println!("\nA scratch project in {}:\n", stage.project.display());
    stage.play(&["init", "--index-url", &index.to_string_lossy()], 0)?;
    for Scene { about, words, exit } in &SCENES {
        println!("\n# {about}");
        stage.play(words, *exit)?;
    }
    println!("\nDone: all set up in {:.1} s. {}", built.as_secs_f32(), stage.next());
    Ok(())
}

/// The scratch project and the rig that works in it.
struct Stage {
    rig: PathBuf,
    project: PathBuf,
    home: PathBuf,
}

impl Stage {
    /// Makes the project anew. The home stays, as on a user's machine: what is in the store is not fetched or compiled again.
    fn set(checkout: &Checkout, rig: PathBuf) -> Result<Self, Fail> {
        let demo = checkout.target().join("demo");
        let (project, home) = (demo.join("project"), demo.join("home"));
        if project.exists() {
            fs::remove_dir_all(&project).map_err(Fail::io("remove", &project))?;
        }
        fs::create_dir_all(&project).map_err(Fail::io("make", &project))?;
        Ok(Self { rig, project, home })
    }

    /// Shows a command, runs it and checks how it ends.
    fn play(&self, words: &[&str], exit: i32) -> Result<(), Fail> {
        let mut command = Command::new(&self.rig);
        command.args(words).current_dir(&self.project);
        command.env_remove(UNSET).env("RIG_HOME", &self.home);
        let shown = run::shown(&command);
        println!("$ {shown}");
        match run::status(&mut command)? {
            Some(code) if code == exit && exit == 0 => Ok(()),
            Some(code) if code == exit => {
                println!("(exit code {code})");
                Ok(())
            }
            code => {
                let ended = code.map_or("was killed".to_owned(), |code| format!("ended with exit code {code}"));
                Err(Fail::new(format!("`{shown}` {ended}, and should end with {exit}"))
                    .hint(format!("the project is in {}", self.project.display())))
            }
        }
    }

    /// What to try after the demo.
    fn next(&self) -> String {
        let bin = self.rig.parent().unwrap_or(Path::new("."));
        let here = env::current_dir().unwrap_or_default();
        let project = self.project.strip_prefix(&here).unwrap_or(&self.project);
        format!(
            "To go on from here:\n\n  export PATH={}:$PATH RIG_HOME={}\n  cd {}\n  \
             echo 'GITHUB_TOKEN=…' > .env       # a token that may read pull requests\n  \
             rig call github.pulls.list '{{\"repo\":\"rust-lang/rust\"}}'\n  \
             rig --help\n\nand `cargo xtask test` in the checkout runs every test.",
            bin.display(),
            self.home.display(),
            project.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_command_that_ends_otherwise_than_it_must_is_a_failure() {
        let _alone = run::alone();
        let dir = tempfile::tempdir().unwrap();
        let rig = dir.path().join("rig");
        fs::write(&rig, "#!/bin/sh\necho \"$RIG_HOME|${GITHUB_TOKEN-unset}|$PWD\" > log\nexit \"$1\"\n").unwrap();
        fs::set_permissions(&rig, fs::Permissions::from_mode(0o755)).unwrap();
        let checkout = Checkout::at(dir.path().to_owned(), dir.path().join("target"));
        let old = dir.path().join("target/demo/project/rig.yaml");
        fs::create_dir_all(old.parent().unwrap()).unwrap();
        fs::write(&old, "old").unwrap();

        let stage = Stage::set(&checkout, rig).unwrap();
        assert!(!old.exists(), "the project is made anew");
        stage.play(&["0"], 0).unwrap();
        stage.play(&["3"], EXIT_TOOL_ERROR).unwrap();
        let error = stage.play(&["1"], 0).unwrap_err();
        let project = stage.project.display();
        assert_eq!(
            error.to_string(),
            format!("error: `rig 1` ended with exit code 1, and should end with 0\n hint: the project is in {project}")
        );
        assert!(stage.play(&["0"], EXIT_TOOL_ERROR).is_err(), "a failure that should be seen and is not");
        let log = fs::read_to_string(stage.project.join("log")).unwrap();
        let demo = dir.path().join("target/demo");
        assert_eq!(log.trim(), format!("{0}/home|unset|{0}/project", demo.display()));
    }
}
