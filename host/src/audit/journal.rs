//! The journal: where a process that lives long puts its rows first, each with a copy into memory that it shares with a file. A row in
//! it survives the end of the process as one in SQLite does, and costs a twentieth. Some milliseconds later it moves into the chain
//! ([`super::intake`]), and its bytes are free again.
//!
//! Each process has a journal of its own beside the log and holds a lock on it while it lives. The log's table `journal` says how much
//! of each is in the chain already, in the same transaction that put it there: whoever moves rows, the process itself or a reader that
//! wants to see them ([`super::left`]), no row moves twice and none is left out.
//!
//! Every row is authenticated with the key of this machine's notes and its number, and so is the end: rows of a process that was killed
//! cannot be changed, moved, taken out or cut off before they are in the chain, unless by who kept an older end.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{Ordering, compiler_fence},
    },
};

use ring::hmac;

use super::{
    chain::{Stored, View},
    row_bytes::{AT, decode, encode},
};
use file::{Ring, RingReader};

mod file;
mod rows;

pub(super) use rows::{End, Rows};

/// What a journal begins with; it ends the name of the format.
const MAGIC: &[u8; 12] = b"rig-journal2";
/// Bytes of an authentication: half of HMAC-SHA256, as is usual.
const TAG: usize = 16;
/// The length of the row, and its authentication.
const HEAD: usize = 4 + TAG;
/// Stands where the length of the next row will be.
const MARK: u32 = u32::MAX;
/// What stands between the name of the log and that of a journal.
const INFIX: &str = "-journal-";

/// How far into a journal: so many rows, which end at that byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// The key of a journal's authentications, with its id.
#[derive(Debug, Clone)]
pub(super) struct Seal {
    key: hmac::Key,
    id: Arc<str>,
}

impl Seal {
    pub(super) fn new(key: hmac::Key, id: &str) -> Self {
        Self { key, id: id.into() }
    }

    /// Of the row of that number.
    fn row(&self, number: u64, payload: &[u8]) -> [u8; TAG] {
        self.tag(&[self.id.as_bytes(), &number.to_le_bytes(), payload])
    }

    /// Of the end after so many rows. No row begins with this text: its time would lie in a far future.
    fn end(&self, rows: u64) -> [u8; TAG] {
        self.tag(&[self.id.as_bytes(), &rows.to_le_bytes(), b"the end"])
    }

    fn tag(&self, parts: &[&[u8]]) -> [u8; TAG] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(part);
        }
        let mut tag = [0; TAG];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG]);
        tag
    }

    fn mark(&self, rows: u64) -> [u8; HEAD] {
        head(MARK, self.end(rows))
    }
}

fn head(length: u32, tag: [u8; TAG]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&tag);
    head
}

/// The journal of this process, open.
#[derive(Debug)]
pub(super) struct Journal {
    seal: Seal,
    path: PathBuf,
    ring: Ring,
    end: Place,
}

/// Why a row is not in the journal.
#[derive(Debug)]
pub(super) enum Refused {
    /// There is no room for it before others have moved.
    Full,
    Failed(io::Error),
}

/// A row as bytes, all but its time.
#[derive(Debug)]
pub(super) struct Encoded(Vec<u8>);

impl Encoded {
    pub(super) fn new(row: &Stored) -> Self {
        let mut bytes = Vec::with_capacity(1024);
        encode(&row.view(), &mut bytes);
        Self(bytes)
    }
}

impl Journal {
    /// Makes a journal beside a log.
    pub(super) fn create(log: &Path, key: hmac::Key) -> io::Result<Self> {
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        let id = hex::encode(id);
        let path = path(log, &id);
        let seal = Seal::new(key, &id);
        let ring = Ring::create(&path, MAGIC, &seal.mark(0))?;
        Ok(Self { seal, path, ring, end: Place::default() })
    }

    /// Adds a row with its time. `moved` is how much of the journal is in the chain, and may be written over. When it fails, the next
    /// row takes its place.
    pub(super) fn append(&mut self, Encoded(row): &mut Encoded, at: i64, moved: Place) -> Result<(), Refused> {
        row[AT].copy_from_slice(&at.to_le_bytes());
        let length = row.len();
        let waits = self.end.bytes - moved.bytes;
        if waits + (HEAD + length + HEAD) as u64 > self.ring.reader().size() {
            return Err(Refused::Full);
        }
        let next = Place { rows: self.end.rows + 1, bytes: self.end.bytes + (HEAD + length) as u64 };
        let head = head(u32::try_from(length).unwrap_or(MARK), self.seal.row(self.end.rows, row));
        row.extend_from_slice(&self.seal.mark(next.rows));
        // The head is written over the old end at last: whoever is killed before that leaves the old end, and no half of a row.
        self.ring.write(self.end.bytes + HEAD as u64, row).map_err(Refused::Failed)?;
        compiler_fence(Ordering::Release);
        self.ring.write(self.end.bytes, &head).map_err(Refused::Failed)?;
        self.end = next;
        Ok(())
    }

    pub(super) fn id(&self) -> &Arc<str> {
        &self.seal.id
    }

    /// Where the next row goes.
    pub(super) fn end(&self) -> Place {
        self.end
    }

    /// The same journal, to be read without holding this.
    pub(super) fn left(&self) -> Left {
        Left { seal: self.seal.clone(), path: self.path.clone(), ring: Arc::clone(self.ring.reader()) }
    }

    /// Whether the path still names the file that is open.
    pub(super) fn is_current(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let there = fs::metadata(&self.path).map(|metadata| (metadata.dev(), metadata.ino()));
        there.is_ok_and(|there| self.ring.reader().identity().is_ok_and(|own| own == there))
    }

    /// Removes the file, when every row is in the chain or it never had one.
    pub(super) fn remove(self) {
        // One that stays is no harm: the log does not know it any more.
        let _ = fs::remove_file(&self.path);
    }
}

/// A journal that is read: one that another process made, or this one's own.
#[derive(Debug, Clone)]
pub(super) struct Left {
    seal: Seal,
    pub(super) path: PathBuf,
    ring: Arc<RingReader>,
}

impl Left {
    /// The journal of that id beside a log; none when there is no such file.
    pub(super) fn open(log: &Path, id: &str, key: hmac::Key) -> io::Result<Option<Self>> {
        let path = path(log, id);
        let ring = RingReader::open(&path, MAGIC)?;
        Ok(ring.map(|ring| Self { seal: Seal::new(key, id), path, ring: Arc::new(ring) }))
    }

    pub(super) fn id(&self) -> &str {
        &self.seal.id
    }

    /// Whether the process that wrote it has ended. If so, nobody else finds that out while this is open.
    pub(super) fn is_abandoned(&self) -> bool {
        self.ring.file().try_lock().is_ok()
    }

    /// The rows after a place, at most so many.
    pub(super) fn rows(&self, from: Place, most: u64) -> Rows<'_> {
        Rows::new(&self.seal, &self.ring, from, most)
    }

    /// Puts all of it on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.ring.file().sync_data()
    }

    pub(super) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The ids of the journals beside a log, the log knowing them or not.
#[cfg(test)]
pub(super) fn ids(log: &Path) -> Vec<String> {
    let prefix = format!("{}{INFIX}", log.file_name().unwrap().to_string_lossy());
    let names = fs::read_dir(log.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter_map(|name| name.to_str()?.strip_prefix(&prefix).map(str::to_owned)).collect()
}

/// Where the journal of that id is.
pub(super) fn path(log: &Path, id: &str) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(INFIX);
    name.push(id);
    name.into()
}

#[cfg(test)]
mod tests;
