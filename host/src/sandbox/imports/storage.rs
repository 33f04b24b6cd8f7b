//! `rig:pack/storage`: files below one folder, through cap-std, which resolves no path out of it.

use std::{
    io::{self, Write},
    path::{Component, Path},
    sync::{Arc, Mutex, PoisonError},
};

use cap_std::{ambient_authority, fs::Dir};
use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use super::client::Changes;
use crate::sandbox::{bindings::rig::pack::storage as generated, instance::State};
use generated::StorageError;

/// Files of one pack. More is a database in disguise, and listing must stay cheap.
const MAX_FILES: usize = 10_000;
/// The length of a path in bytes, and how deep it goes.
const MAX_PATH: usize = 512;
const MAX_DEPTH: usize = 16;
/// Names of files being written; no other file can have such a name.
const TEMP_PREFIX: &str = ".rig-writing-";

/// The granted folder of a pack.
#[derive(Debug, Clone)]
pub struct Storage {
    dir: Arc<Dir>,
    quota: u64,
    /// Measuring and writing are one step, so that two writes cannot pass the quota together.
    writing: Arc<Mutex<()>>,
}

impl Storage {
    /// Opens the folder, making it private to the user when it does not exist. The quota is in bytes.
    pub fn open(path: &Path, quota: u64) -> io::Result<Self> {
        crate::home::private_dir(path)?;
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self { dir: Arc::new(dir), quota, writing: Arc::default() })
    }

    fn read(&self, path: &str) -> Answer<Vec<u8>> {
        self.dir.read(checked(path)?).map_err(|error| failed(path, &error))
    }

    fn write(&self, path: &str, data: &[u8]) -> Answer<()> {
        checked(path)?;
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = Vec::new();
        collect(&self.dir, "", 0, &mut files).map_err(|error| failed(path, &error))?;
        let replaced = files.iter().find(|(name, _)| name == path).map_or(0, |(_, size)| *size);
        let others: u64 = files.iter().map(|(_, size)| size).sum::<u64>() - replaced;
        if others.saturating_add(data.len() as u64) > self.quota {
            return Err(StorageError::QuotaExceeded(format!(
                "`{}` takes {} bytes, {} of {} are free",
                path.escape_debug(),
                data.len(),
                self.quota.saturating_sub(others),
                self.quota
            )));
        }
        if files.len() >= MAX_FILES && replaced == 0 {
            return Err(StorageError::QuotaExceeded(format!("there are {MAX_FILES} files already")));
        }
        self.replace(path, data).map_err(|error| failed(path, &error))
    }

    /// Writes beside the file and renames, so that a reader sees the old file or the new one.
    fn replace(&self, path: &str, data: &[u8]) -> io::Result<()> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let dir = if folder.is_empty() {
            self.dir.try_clone()?
        } else {
            self.dir.create_dir_all(folder)?;
            self.dir.open_dir(folder)?
        };
        let temp = format!("{TEMP_PREFIX}{}", std::process::id());
        let mut file = dir.create(&temp)?;
        let written = file.write_all(data).and_then(|()| file.sync_all()).and_then(|()| dir.rename(&temp, &dir, name));
        if written.is_err() {
            // The write's own error is the one to report.
            let _ = dir.remove_file(&temp);
        }
        written
    }

    fn list(&self, prefix: &str) -> Answer<Vec<String>> {
        let mut files = Vec::new();
        collect(&self.dir, "", 0, &mut files).map_err(|error| failed(prefix, &error))?;
        let mut names: Vec<String> =
            files.into_iter().map(|(name, _)| name).filter(|name| name.starts_with(prefix)).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, path: &str) -> Answer<()> {
        self.dir.remove_file(checked(path)?).map_err(|error| failed(path, &error))
    }
}

type Answer<T> = std::result::Result<T, StorageError>;

/// Every file with its path and size, temporary ones left out.
fn collect(dir: &Dir, prefix: &str, depth: usize, files: &mut Vec<(String, u64)>) -> io::Result<()> {
    if depth > MAX_DEPTH || files.len() > MAX_FILES {
        return Ok(());
    }
    for entry in dir.entries()? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with(TEMP_PREFIX) {
            continue;
        }
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.open_dir()?, &path, depth + 1, files)?;
        } else if kind.is_file() {
            files.push((path, entry.metadata()?.len()));
        }
    }
    Ok(())
}

fn checked(path: &str) -> Answer<&str> {
    let plain = !path.is_empty()
        && path.len() <= MAX_PATH
        && !path.ends_with('/')
        && !path.bytes().any(|byte| byte < b' ' || byte == b'\\')
        && path.split('/').count() <= MAX_DEPTH
        && path.split('/').all(|part| !part.is_empty() && !part.starts_with(TEMP_PREFIX))
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
        && !path.split('/').any(|part| part == ".");
    if plain {
        Ok(path)
    } else {
        Err(StorageError::InvalidPath(format!("`{}` is not a relative path of plain names", path.escape_debug())))
    }
}

fn failed(path: &str, error: &io::Error) -> StorageError {
    let path = path.escape_debug();
    match error.kind() {
        io::ErrorKind::NotFound => StorageError::NotFound(format!("there is no file `{path}`")),
        // cap-std refuses to leave the folder, for example through a link.
        io::ErrorKind::PermissionDenied => {
            StorageError::InvalidPath(format!("`{path}` leads out of the pack's folder"))
        }
        kind => StorageError::Io(format!("`{path}`: {kind}")),
    }
}

struct Files<'a>(Option<&'a Storage>, &'a mut Changes);

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Files<'a>;
}

impl Files<'_> {
    /// Runs file work off the executor's threads.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Storage) -> Answer<T> + Send + 'static,
    ) -> Result<Answer<T>> {
        let Some(storage) = self.0.cloned() else {
            return Ok(Err(StorageError::Denied("this pack was granted no storage".into())));
        };
        Ok(tokio::task::spawn_blocking(move || work(&storage)).await?)
    }
}

impl generated::Host for Files<'_> {
    async fn read(&mut self, path: String) -> Result<Answer<Vec<u8>>> {
        self.run(move |storage| storage.read(&path)).await
    }

    async fn write(&mut self, path: String, data: Vec<u8>) -> Result<Answer<()>> {
        self.1.storage();
        self.run(move |storage| storage.write(&path, &data)).await
    }

    async fn list(&mut self, prefix: String) -> Result<Answer<Vec<String>>> {
        self.run(move |storage| storage.list(&prefix)).await
    }

    async fn remove(&mut self, path: String) -> Result<Answer<()>> {
        self.1.storage();
        self.run(move |storage| storage.remove(&path)).await
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    generated::add_to_linker::<State, HasFiles>(linker, |state| Files(state.reach.storage.as_ref(), &mut state.changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_their_folder_and_quota() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("secret"), "no").unwrap();
        let home = root.path().join("pack");
        let storage = Storage::open(&home, 10).unwrap();
        storage.write("a/b", b"12345").unwrap();
        storage.write("a/b", b"1234567890").unwrap();
        assert_eq!(storage.read("a/b").unwrap(), b"1234567890");
        assert_eq!(storage.list("").unwrap(), ["a/b"]);
        assert!(matches!(storage.write("c", b"1"), Err(StorageError::QuotaExceeded(_))));

        for path in ["", "/etc/passwd", "../secret", "a/../../secret", "a//b", "./a", "a/", "a\\b", "a\0b"] {
            let found = storage.read(path);
            assert!(matches!(found, Err(StorageError::InvalidPath(_))), "{path:?}: {found:?}");
        }
        std::os::unix::fs::symlink("../secret", home.join("link")).unwrap();
        assert!(matches!(storage.read("link"), Err(StorageError::InvalidPath(_))));
        assert_eq!(std::fs::read(home.join("link")).unwrap(), b"no", "control: the link leads there without cap-std");

        storage.remove("a/b").unwrap();
        assert!(matches!(storage.read("a/b"), Err(StorageError::NotFound(_))));
    }
}
