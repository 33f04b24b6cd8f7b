//! What the known projects need: every digest that stands in a lock, in an earlier state of one, or in a change that is under way.
//! The files are not understood but searched. So the lock of a newer rig, or one in the middle of a merge, keeps what it names;
//! a digest too many keeps a file too many, which is the right way to be wrong.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use rig_specs::Sha256;

use super::{Problem, digest};
use crate::{
    home::{Home, projects},
    project::{files_with_packs, snapshots},
};

/// No lock is that large; what is cannot be searched.
const MAX_FILE: u64 = 64 << 20;

/// What is needed, and by whom.
#[derive(Debug, Default)]
pub(super) struct Needed {
    pub(super) digests: BTreeSet<Sha256>,
    pub(super) projects: Vec<Seen>,
    /// Why it is not known what some project needs. Then every component may be needed.
    pub(super) unknown: Vec<Problem>,
}

/// A project that was noted.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) note: PathBuf,
    pub(super) root: PathBuf,
    pub(super) there: bool,
}

impl Needed {
    /// Looks at every project that was noted, but not at these earlier states.
    pub(super) fn find(home: &Home, without: &BTreeSet<PathBuf>) -> Self {
        let mut needed = Self::default();
        let known = match projects::known(home) {
            Ok(known) => known,
            Err(error) => {
                let problem = format!("cannot read {}: {error}", home.projects().display());
                needed.unknown(&problem, "check its owner and permissions".into());
                return needed;
            }
        };
        for projects::Known { note, root, .. } in known {
            let Some(root) = root else {
                let hint = format!(
                    "remove it with `rm '{}'`; the project is noted again by the next `rig install` in it",
                    note.display()
                );
                needed.unknown(&format!("{} is damaged: it should name a project", note.display()), hint);
                continue;
            };
            match needed.look(&root, without) {
                Ok(there) => needed.projects.push(Seen { note, root, there }),
                Err((path, error)) => {
                    let hint = format!(
                        "make it readable; or when the project is given up, remove its note: rm '{}'",
                        note.display()
                    );
                    needed.unknown(&format!("cannot read {}: {error}", path.display()), hint);
                }
            }
        }
        needed
    }

    fn unknown(&mut self, problem: &str, hint: String) {
        let problem = format!("{problem}; no component was removed, because some project may need it");
        self.unknown.push(Problem { problem, hint });
    }

    /// Searches the files of a project; says whether it is there. In the order of a change backwards: what a lock loses stands in the
    /// history before the lock changes, so that reading the lock first and the history last misses nothing.
    fn look(&mut self, root: &Path, without: &BTreeSet<PathBuf>) -> Result<bool, (PathBuf, io::Error)> {
        let fixed = files_with_packs(root);
        let mut there = false;
        for path in &fixed {
            there |= self.search(path)?;
        }
        let folder = snapshots::folder(root);
        let entries = match fs::read_dir(&folder) {
            Err(error) if is_absent(&error) => return Ok(there),
            other => other.map_err(|error| (folder.clone(), error))?,
        };
        for entry in entries {
            let path = entry.map_err(|error| (folder.clone(), error))?.path();
            if !without.contains(&path) {
                self.search(&path)?;
            }
        }
        Ok(there)
    }

    /// Says whether there is such a file.
    fn search(&mut self, path: &Path) -> Result<bool, (PathBuf, io::Error)> {
        let fail = |error| (path.to_path_buf(), error);
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)) {
            Ok(length) if length as u64 > MAX_FILE => {
                return Err(fail(io::Error::new(io::ErrorKind::InvalidData, "the file is larger than 64 MiB")));
            }
            Ok(_) => {}
            Err(error) if is_absent(&error) => return Ok(false),
            Err(error) => return Err(fail(error)),
        }
        self.digests.extend(digests(&bytes));
        Ok(true)
    }
}

/// Whether there is no project in a folder any more. Not being able to tell is no.
pub(super) fn is_gone(root: &Path) -> bool {
    files_with_packs(root).iter().all(|path| fs::metadata(path).is_err_and(|error| is_absent(&error)))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Every run of exactly 64 hexadecimal digits.
fn digests(bytes: &[u8]) -> impl Iterator<Item = Sha256> {
    let words = bytes.split(|byte| !byte.is_ascii_hexdigit());
    words.filter_map(|word| digest(std::str::from_utf8(word).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_in_any_text() {
        let one = Sha256::of(b"1");
        let cases = [
            (format!(r#"{{"integrity": "{one}"}}"#), true),
            (format!("<<<<<<< ours\n\"{one}\"\n=======\n"), true),
            (format!(r#"{{\"integrity\": \"{one}\"}}"#), true),
            (one.hex(), true),
            (one.hex()[1..].to_owned(), false),
            (format!("{}0", one.hex()), false),
            (String::new(), false),
        ];
        for (text, found) in cases {
            assert!(digests(text.as_bytes()).eq(found.then_some(one)), "{text}");
        }
    }
}
