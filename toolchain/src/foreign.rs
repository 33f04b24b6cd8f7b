//! Packs in Python, JavaScript and C: from a folder with source to a component. What their authors use, `sdk/python`, `sdk/js` and
//! `sdk/c`, and the interface that they implement stand in this program, and beside the source only while it is compiled.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Error, Language, Step,
    process::{self, Stopped},
    tools::Tool,
};

mod c;
mod javascript;
mod python;

/// The interface of packs.
const WIT: &str = include_str!("../../wit/0.1.0/pack.wit");

/// The world of it that a pack implements.
const WORLD: &str = "pack";

/// What a caller may decide.
#[derive(Debug, Clone)]
pub struct ForeignOptions {
    /// Where the tools that compile are kept.
    pub tools: PathBuf,
    /// Use no network.
    pub offline: bool,
}

/// Compiles the pack in a folder; answers its component, not yet with a manifest in it.
///
/// # Errors
/// When the language is Rust, a tool cannot be had, or the source is not accepted.
pub fn build_foreign(
    language: Language,
    dir: &Path,
    options: &ForeignOptions,
    on_step: &mut dyn FnMut(Step),
) -> Result<Vec<u8>, Error> {
    let work = tempfile::Builder::new().prefix("rig-build-").tempdir();
    let work = work.map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    let dir = &fs::canonicalize(dir).map_err(|_| Error::NoSource(dir.to_owned()))?;
    match language {
        Language::Python => python::build(dir, work.path(), options, on_step),
        Language::JavaScript => javascript::build(dir, work.path(), options, on_step),
        Language::C => c::build(dir, work.path(), options, on_step),
        Language::Rust => Err(Error::NoSource(dir.clone())),
    }
}

/// Whether what compiles the pack in a folder is installed in `tools`; so it is for Rust, which needs nothing of it.
///
/// # Errors
/// When the folder holds the source of no pack.
pub fn has_tools(dir: &Path, tools: &Path) -> Result<bool, Error> {
    let tool = match Language::of(dir)? {
        Language::Rust => return Ok(true),
        Language::Python => Tool::ComponentizePy,
        Language::JavaScript => Tool::ComponentizeQjs,
        Language::C => Tool::Zig,
    };
    Ok(tool.folder(tools, true, &mut |_| ()).is_ok())
}

/// Writes files into a folder.
fn write(folder: &Path, files: &[(&str, &str)]) -> Result<(), Error> {
    for (name, text) in files {
        let path = folder.join(name);
        let written = fs::create_dir_all(path.parent().unwrap_or(folder)).and_then(|()| fs::write(&path, text));
        written.map_err(|source| Error::Write { path, source })?;
    }
    Ok(())
}

/// Folders that are no part of a pack.
const LEFT_OUT: [&str; 5] = [".git", ".rig", "target", "tests", "__pycache__"];

/// Copies a pack's folder: compilers that look modules up below one folder find the helper there as well, and write nothing into the
/// author's.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    copy_all(from, to).map_err(|source| Error::Write { path: to.to_owned(), source })
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|folder| name == *folder) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to.join(name))?;
        } else if entry.path().is_file() {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

/// Runs a compiler, whose complaints are about the pack.
fn compile(command: &mut Command, dir: &Path, on_step: &mut dyn FnMut(Step)) -> Result<(), Error> {
    let package = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let shown = process::shown(command);
    // What the tool was doing inside says nothing about the pack.
    command.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
    let ended = match process::run(command, None, &mut |_, line| on_step(Step::Line(line.to_owned()))) {
        Ok(ended) => ended,
        Err(Stopped::Missing) => {
            return Err(Error::Run { command: shown, source: io::ErrorKind::NotFound.into() });
        }
        Err(Stopped::Io(source)) => return Err(Error::Run { command: shown, source }),
        Err(Stopped::TooLong(_)) => return Err(Error::Failed { command: shown, detail: "it took too long".into() }),
    };
    if ended.status.success() {
        return Ok(());
    }
    let said = [ended.stdout, ended.stderr].join("\n");
    Err(Error::Compile { package, stderr: said.trim().to_owned() })
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Write { path: path.to_owned(), source })
}
