//! In which language a pack is written, which its folder says.

use std::{fmt, fs, path::Path};

use crate::Error;

/// The language of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// A cargo package with a library: `Cargo.toml`.
    Rust,
    /// A module with tools: `app.py`.
    Python,
    /// A module with tools: `pack.js`.
    JavaScript,
    /// One or more `.c` files.
    C,
}

impl Language {
    /// The language of the pack in a folder.
    ///
    /// # Errors
    /// When the folder holds the source of none.
    pub fn of(dir: &Path) -> Result<Self, Error> {
        let marks = [("Cargo.toml", Self::Rust), ("app.py", Self::Python), ("pack.js", Self::JavaScript)];
        if let Some((_, language)) = marks.iter().find(|(file, _)| dir.join(file).is_file()) {
            return Ok(*language);
        }
        let mut files = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        if files.any(|path| path.extension().is_some_and(|extension| extension == "c")) {
            return Ok(Self::C);
        }
        Err(Error::NoSource(dir.to_owned()))
    }

    /// Whether the same source gives the same bytes: the runtimes of the others are snapshots, which differ from build to build.
    #[must_use]
    pub const fn is_reproducible(self) -> bool {
        matches!(self, Self::Rust | Self::C)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
            Self::C => "C",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_says_the_language() {
        let cases = [
            (&["Cargo.toml", "helper.c"][..], Some(Language::Rust)),
            (&["app.py"], Some(Language::Python)),
            (&["package.json", "pack.js"], Some(Language::JavaScript)),
            (&["weather.c", "weather.h"], Some(Language::C)),
            (&["rig-pack.toml", "main.go"], None),
        ];
        for (files, language) in cases {
            let dir = tempfile::tempdir().unwrap();
            for file in files {
                fs::write(dir.path().join(file), "").unwrap();
            }
            match (Language::of(dir.path()), language) {
                (Ok(found), Some(language)) => assert_eq!(found, language),
                (Err(error), None) => {
                    let dir = dir.path().display();
                    assert_eq!(error.to_string(), format!("{dir} holds no source of a pack"));
                }
                (found, _) => panic!("{files:?}: {found:?}"),
            }
        }
    }
}
