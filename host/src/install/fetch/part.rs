//! What has come of a component so far: a file in staging that the next attempt, of this rig or of another one, goes on with.
//!
//! It is named by the hash that the whole must have, and held by one process at a time; whoever comes second fetches for itself. Beside it
//! stands where its bytes are from, so that the server can be asked whether it still has the same. Nothing here is believed: bytes count
//! only when the whole has its hash.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use rig_specs::Sha256;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use tempfile::{NamedTempFile, TempPath};
use url::Url;

use crate::{
    home::Home,
    install::store::{
        self, MAX_COMPONENT, Staged, StoreError,
        parts::{hold, note, place},
    },
};

/// How much is read at once of what is there already.
const CHUNK: usize = 64 << 10;

/// The beginning of a component, or all of it. Dropping it leaves it for the next attempt, if that can find it.
pub(super) struct Part {
    /// Nothing only when it is dropped.
    place: Option<Place>,
    hasher: sha2::Sha256,
    length: u64,
    origin: Option<Origin>,
    /// Whether its bytes came in more than one answer.
    pieced: bool,
}

enum Place {
    /// Others find it under its name. The lock on it tells them that it is in use.
    Shared(File, PathBuf),
    /// The shared one is in use.
    Own(NamedTempFile),
}

/// Where the bytes are from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    /// Of the URL, which may hold a key.
    url: Sha256,
    validator: String,
}

impl Part {
    /// What there is of a component with that hash. More than `most` bytes are none of it.
    pub(super) fn open(home: &Home, sha256: &Sha256, most: u64) -> Result<Self, StoreError> {
        let empty =
            |place| Self { place: Some(place), hasher: sha2::Sha256::new(), length: 0, origin: None, pieced: false };
        store::prepare(home)?;
        let path = place(&home.staging(), sha256);
        let failed = |error| StoreError::io("read", &path, error);
        let Some(file) = hold(&path).map_err(failed)? else {
            return store::stage(home).map(|file| empty(Place::Own(file)));
        };
        let mut part = empty(Place::Shared(file, path.clone()));
        part.origin = fs::read(note(&path)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        part.read().map_err(failed)?;
        if part.length > most {
            part.clear().map_err(failed)?;
        }
        part.pieced = part.length > 0;
        Ok(part)
    }

    /// How many bytes there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether its bytes came in more than one answer, which need not belong together.
    pub(super) fn is_pieced(&self) -> bool {
        self.pieced
    }

    /// The hash of what there is.
    pub(super) fn sha256(&self) -> Sha256 {
        Sha256::from_bytes(self.hasher.clone().finalize().into())
    }

    /// What that place said of the version that the bytes are of. Nothing when they are from another place: what is there is the same
    /// if both are honest, and the hash tells.
    pub(super) fn validator(&self, url: &Url) -> Option<&str> {
        let origin = self.origin.as_ref()?;
        (origin.url == of(url)).then_some(origin.validator.as_str())
    }

    /// Begins anew, with bytes from that place.
    pub(super) fn begin(&mut self, url: &Url, validator: Option<&str>) -> io::Result<()> {
        self.clear()?;
        self.origin = validator.map(|validator| Origin { url: of(url), validator: validator.to_owned() });
        match (&self.place, &self.origin) {
            (Some(Place::Shared(_, path)), Some(origin)) => fs::write(note(path), serde_json::to_vec(origin)?),
            _ => Ok(()),
        }
    }

    /// Goes on, with bytes of another answer.
    pub(super) fn go_on(&mut self) {
        self.pieced |= self.length > 0;
    }

    /// Adds bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_all(bytes)?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Throws away what there is.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        if let Some(Place::Shared(_, path)) = &self.place {
            remove(&note(path))?;
        }
        let file = self.file()?;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        (self.hasher, self.length, self.origin, self.pieced) = (sha2::Sha256::new(), 0, None, false);
        Ok(())
    }

    /// All of it is there and has the right hash. It is nobody's part any more: dropping what this returns removes it.
    pub(super) fn finish(mut self) -> io::Result<Staged> {
        let sha256 = self.sha256();
        let file = match self.place.take() {
            Some(Place::Own(file)) => file,
            Some(Place::Shared(file, path)) => {
                remove(&note(&path))?;
                NamedTempFile::from_parts(file, TempPath::try_from_path(path)?)
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Staged { file, sha256 })
    }

    fn file(&mut self) -> io::Result<&mut File> {
        match &mut self.place {
            Some(Place::Shared(file, _)) => Ok(file),
            Some(Place::Own(file)) => Ok(file.as_file_mut()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        while self.length <= MAX_COMPONENT {
            let read = self.file()?.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            self.hasher.update(&chunk[..read]);
            self.length += read as u64;
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Nothing came, or it was thrown away: there is nothing to go on with.
        if let (Some(Place::Shared(_, path)), 0) = (&self.place, self.length) {
            let _ = fs::remove_file(note(path));
            let _ = fs::remove_file(path);
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn of(url: &Url) -> Sha256 {
    Sha256::of(url.as_str().as_bytes())
}
