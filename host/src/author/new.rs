//! The folder of a new pack, from a template that this program carries. A language is a folder in `host/templates`, and nothing here
//! knows one by name: the files are copied with what differs from pack to pack filled in.
//!
//! | In a template | becomes |
//! |---|---|
//! | `{{id}}` | the pack's id |
//! | `{{ident}}` | the id with `_` for `-` |
//! | `{{title}}` | the id as a title |
//! | `{{rig}}` | the version of this rig |
//! | a file `_name` | the file `.name` |

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use rig_specs::{PackId, PackIdError};

use super::{
    embedded,
    sdk::{self, SdkError},
};

/// Why there is no new pack. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The name is no pack id.
    #[error(transparent)]
    Name(#[from] PackIdError),
    /// There is something already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// There is no template.
    #[error("there is no template for `{0}`")]
    Language(String),
    /// The folder cannot be written.
    #[error("{} cannot be made: {source}", .path.display())]
    Write {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The SDK cannot be written.
    #[error(transparent)]
    Sdk(#[from] SdkError),
}

impl NewError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Name(_) => {
                "a pack's id is a lower-case letter and at most 63 lower-case letters, digits and hyphens: `rig new weather`"
                    .into()
            }
            Self::Exists(_) => "choose another name, or remove the folder first".into(),
            Self::Language(_) => format!("there are: {}", languages().collect::<Vec<_>>().join(", ")),
            Self::Write { .. } => "change into a folder that you can write to".into(),
            Self::Sdk(error) => error.hint().into(),
        }
    }
}

/// The languages that there are templates for.
pub fn languages() -> impl Iterator<Item = &'static str> {
    let names: BTreeSet<&str> = embedded::TEMPLATES.iter().filter_map(|(path, _)| path.split('/').next()).collect();
    names.into_iter()
}

/// Makes a folder with a new pack in `parent`, named as the pack.
///
/// # Errors
/// When the name is no id, the folder exists, or cannot be written.
pub fn create(parent: &Path, name: &str, language: &str) -> Result<PathBuf, NewError> {
    let id: PackId = name.parse()?;
    let files = files(&id, language);
    if files.is_empty() {
        return Err(NewError::Language(language.to_owned()));
    }
    let folder = parent.join(id.as_str());
    if folder.symlink_metadata().is_ok() {
        return Err(NewError::Exists(folder));
    }
    let fail = |source: io::Error| NewError::Write { path: folder.clone(), source };
    // Whole or not at all: a folder that is there is one that works.
    let making = tempfile::Builder::new().prefix(".rig-new-").tempdir_in(parent).map_err(fail)?;
    for (path, text) in files {
        let path = making.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(making.path()))
            .and_then(|()| fs::write(&path, text))
            .map_err(fail)?;
    }
    sdk::provide(making.path())?;
    // A temporary folder is private; this one is as any that the user makes.
    let mode = fs::metadata(parent).map_err(fail)?.permissions();
    fs::set_permissions(making.path(), mode).and_then(|()| fs::rename(making.path(), &folder)).map_err(fail)?;
    let _ = making.keep();
    Ok(folder)
}

/// The files of a new pack.
fn files(id: &PackId, language: &str) -> BTreeMap<String, String> {
    let of_language = embedded::TEMPLATES.iter().filter_map(|(path, text)| {
        let (first, path) = path.split_once('/')?;
        (first == language).then_some((path, *text))
    });
    of_language.map(|(path, text)| (file_name(path), rendered(id, path, text))).collect()
}

fn file_name(path: &str) -> String {
    let parts = path.split('/').map(|part| part.strip_prefix('_').map_or(part.to_owned(), |name| format!(".{name}")));
    parts.collect::<Vec<_>>().join("/")
}

fn rendered(id: &PackId, path: &str, text: &str) -> String {
    let text = text
        .replace("{{id}}", id.as_str())
        .replace("{{ident}}", &id.as_str().replace('-', "_"))
        .replace("{{title}}", &title(id))
        .replace("{{rig}}", env!("CARGO_PKG_VERSION"));
    if path.ends_with("Cargo.lock") { sorted(&text) } else { text }
}

/// `my-weather` → `My weather`.
fn title(id: &PackId) -> String {
    let words = id.as_str().replace('-', " ");
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A lock file with its packages in the order of their names, as cargo writes it: the pack's own stands where its name belongs.
fn sorted(lock: &str) -> String {
    let mut parts = lock.split("[[package]]\n");
    let head = parts.next().unwrap_or_default();
    let mut packages: Vec<&str> = parts.map(str::trim_end).collect();
    packages.sort_by_key(|package| package.lines().next().unwrap_or_default().to_owned());
    let packages: Vec<String> = packages.iter().map(|package| format!("[[package]]\n{package}\n")).collect();
    format!("{head}{}", packages.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_makes_a_whole_pack() {
        let parent = tempfile::tempdir().unwrap();
        for language in languages() {
            let id = format!("my-{language}-pack");
            let folder = create(parent.path(), &id, language).unwrap();
            for file in ["rig-pack.toml", "README.md", ".gitignore"] {
                assert!(folder.join(file).is_file(), "{language}: {file}");
            }
            assert!(folder.join("tests").is_dir(), "{language}");
            let manifest = crate::build::manifest(&fs::read_to_string(folder.join("rig-pack.toml")).unwrap()).unwrap();
            assert_eq!((manifest.pack.id.as_str(), manifest.problems()), (id.as_str(), Vec::new()), "{language}");
            for (path, text) in files(&id.parse().unwrap(), language) {
                // Braces of other meanings hold no bare word.
                let words = text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
                let open = words.map(|(word, _)| word).find(|word| word.chars().all(|c| c.is_ascii_lowercase()));
                assert_eq!(open, None, "{language}: {path} has a place that is not filled in");
            }
        }
        assert!(languages().any(|language| language == "rust"));
        assert!(
            fs::read_dir(parent.path())
                .unwrap()
                .all(|entry| { !entry.unwrap().file_name().to_string_lossy().starts_with('.') })
        );
    }

    #[test]
    fn what_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join("taken")).unwrap();
        fs::write(parent.path().join("file"), "").unwrap();
        let message = |name: &str, language: &str| create(parent.path(), name, language).unwrap_err().to_string();
        for name in ["", "Weather", "../out", "a/b", "9lives", "with space", &"x".repeat(65)] {
            assert!(message(name, "rust").contains("is not a pack id"), "{name}");
        }
        for name in ["taken", "file"] {
            assert_eq!(message(name, "rust"), format!("{} exists already", parent.path().join(name).display()));
        }
        assert_eq!(message("weather", "cobol"), "there is no template for `cobol`");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn packages_of_a_lock_are_in_order() {
        let lock = "# head\nversion = 4\n\n[[package]]\nname = \"rig-pack-zoo\"\nversion = \"1\"\n\n[[package]]\nname = \"aho\"\n";
        assert_eq!(
            sorted(lock),
            "# head\nversion = 4\n\n[[package]]\nname = \"aho\"\n\n[[package]]\nname = \"rig-pack-zoo\"\nversion = \"1\"\n"
        );
    }
}
