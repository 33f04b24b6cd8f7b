//! The projects that use this machine's store. One file a project, named by the hash of the project's path, which is what it holds:
//! a file is whole or is not believed. It is written before a process lets go of a component that the project came to need.
//!
//! Only what these projects need is kept for good; see [`gc`](crate::gc).

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rig_specs::Sha256;

use super::{Home, hold, private_dir};

/// A project that was noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The note.
    pub note: PathBuf,
    /// The project's folder; nothing when the note is damaged.
    pub root: Option<PathBuf>,
    /// When rig last saw the project there.
    pub seen: SystemTime,
}

/// Notes that a project uses the store. A note that is there is marked as used.
///
/// # Errors
/// When the project's folder has no path, or the note cannot be written.
pub fn note(home: &Home, project: &Path) -> io::Result<()> {
    let root = project.canonicalize()?;
    let bytes = root.as_os_str().as_bytes();
    let folder = home.projects();
    let path = folder.join(Sha256::of(bytes).hex());
    // Held, so that the note of a project that comes back is not removed as that of one that is gone.
    if let Some(mut file) = hold::hold(&path)? {
        let mut noted = Vec::new();
        file.read_to_end(&mut noted)?;
        if noted == bytes {
            hold::mark(&file);
            return Ok(());
        }
    }
    private_dir(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    // What the project needs is on the disk already; so must be that it needs it.
    File::open(&folder)?.sync_all()
}

/// The projects that were noted, by the names of their notes.
///
/// # Errors
/// When a note cannot be read: what that project needs is not known then.
pub fn known(home: &Home) -> io::Result<Vec<Known>> {
    let entries = match fs::read_dir(home.projects()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let note = entry?.path();
        let name = note.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let Ok(digest) = format!("sha256:{name}").parse::<Sha256>() else { continue };
        let bytes = match fs::read(&note) {
            // Another process removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let root = (Sha256::of(&bytes) == digest).then(|| PathBuf::from(OsStr::from_bytes(&bytes)));
        let seen = fs::metadata(&note).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::now());
        found.push(Known { note, root, seen });
    }
    found.sort_by(|a, b| a.note.cmp(&b.note));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_project_is_noted_once_under_its_real_path() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("home"));
        assert_eq!(known(&home).unwrap(), []);
        // A path that is not UTF-8 is a path.
        let root = folder.path().join(OsStr::from_bytes(b"project \xff\n"));
        fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink(&root, folder.path().join("link")).unwrap();
        for _ in 0..2 {
            note(&home, &root).unwrap();
            note(&home, &folder.path().join("link")).unwrap();
        }
        let all = known(&home).unwrap();
        let roots: Vec<_> = all.iter().map(|known| known.root.clone()).collect();
        assert_eq!(roots, [Some(root.canonicalize().unwrap())]);

        let long_ago = SystemTime::now() - Duration::from_hours(1000);
        File::open(&all[0].note).unwrap().set_modified(long_ago).unwrap();
        note(&home, &root).unwrap();
        assert!(known(&home).unwrap()[0].seen > long_ago, "used again");

        fs::write(&all[0].note, root.as_os_str().as_bytes().to_ascii_uppercase()).unwrap();
        fs::write(home.projects().join("other"), "x").unwrap();
        assert_eq!(known(&home).unwrap().iter().map(|known| &known.root).collect::<Vec<_>>(), [&None]);
        note(&home, &root).unwrap();
        assert_eq!(known(&home).unwrap()[0].root, Some(root.canonicalize().unwrap()), "mended");
    }
}
