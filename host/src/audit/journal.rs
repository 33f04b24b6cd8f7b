//! The journal: where a process that lives long puts its rows first, with one write each. A row in it survives the end of the process
//! as one in SQLite does, and costs a tenth. Some milliseconds later it moves into the chain ([`super::intake`]).
//!
//! Each process has a journal of its own beside the log and holds a lock on it while it lives. The log's table `journal` says how much
//! of each is in the chain already, in the same transaction that put it there: whoever moves rows, the process itself or a reader that
//! wants to see them ([`super::left`]), no row moves twice and none is left out.
//!
//! Every row is authenticated with the key of this machine's notes and its number, so that rows of a process that was killed cannot be
//! changed, moved or taken out of the middle before they are in the chain.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use ring::hmac;
use subtle::ConstantTimeEq as _;

use super::{
    chain::Stored,
    row_bytes::{decode, encode},
};

/// What a journal begins with; it ends the name of the format.
const MAGIC: &[u8; 12] = b"rig-journal1";
/// Bytes of the authentication of a row: half of HMAC-SHA256, as is usual.
const TAG: usize = 16;
/// The length of the row, and its authentication.
const HEAD: usize = 4 + TAG;
/// The longest row: arguments are at most 4 MiB, and their texts may double.
const MAX_ROW: usize = 32 << 20;
/// What stands between the name of the log and that of a journal.
const INFIX: &str = "-journal-";

/// How far into a journal: so many rows, which end at that byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Place {
    /// Before the first row.
    pub(super) const START: Self = Self { rows: 0, bytes: MAGIC.len() as u64 };
}

impl Default for Place {
    fn default() -> Self {
        Self::START
    }
}

/// The journal of this process, open.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) id: Arc<str>,
    path: PathBuf,
    file: Arc<File>,
    key: hmac::Key,
    end: Place,
    buffer: Vec<u8>,
}

impl Journal {
    /// Makes a journal beside a log.
    pub(super) fn create(log: &Path, key: hmac::Key) -> io::Result<Self> {
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        let id: Arc<str> = hex::encode(id).into();
        let path = path(log, &id);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let begun = file.try_lock().map_err(io::Error::from).and_then(|()| file.write_all_at(MAGIC, 0));
        if let Err(error) = begun {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { id, path, file: Arc::new(file), key, end: Place::START, buffer: Vec::with_capacity(2048) })
    }

    /// Adds a row. When it fails, the next row takes its place.
    pub(super) fn append(&mut self, row: &Stored) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.resize(HEAD, 0);
        encode(row, &mut self.buffer);
        let length = self.buffer.len() - HEAD;
        if length > MAX_ROW {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the row is too long for the journal"));
        }
        let tag = tag(&self.key, &self.id, self.end.rows, &self.buffer[HEAD..]);
        self.buffer[..4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        self.buffer[4..HEAD].copy_from_slice(&tag);
        self.file.write_all_at(&self.buffer, self.end.bytes)?;
        self.end = Place { rows: self.end.rows + 1, bytes: self.end.bytes + self.buffer.len() as u64 };
        Ok(())
    }

    /// Where the next row goes.
    pub(super) fn end(&self) -> Place {
        self.end
    }

    /// The file itself, to put it on the disk without holding the journal.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Whether the path still names the file that is open.
    pub(super) fn is_current(&self) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        match (fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(own)) => identity(there) == identity(own),
            _ => false,
        }
    }

    /// Removes the file, when every row is in the chain or it never had one.
    pub(super) fn remove(self) {
        // One that stays is no harm: the log does not know it any more.
        let _ = fs::remove_file(&self.path);
    }
}

/// A journal that another process made, or this one as readers see it.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) id: String,
    pub(super) path: PathBuf,
    file: File,
}

/// What a journal holds after a place.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) rows: Vec<Stored>,
    /// The place after them.
    pub(super) end: Place,
    /// Whether bytes follow that are no row: of a process that writes just now, or else changed or torn.
    pub(super) torn: bool,
    /// Whether nothing follows.
    pub(super) is_all: bool,
}

impl Left {
    /// The journal of that id beside a log; none when there is no such file.
    pub(super) fn open(log: &Path, id: &str) -> io::Result<Option<Self>> {
        let path = path(log, id);
        match File::open(&path) {
            Ok(file) => Ok(Some(Self { id: id.to_owned(), path, file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn length(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    /// Whether the process that wrote it has ended. If so, nobody else finds that out while this is open.
    pub(super) fn is_abandoned(&self) -> bool {
        self.file.try_lock().is_ok()
    }

    /// The rows after a place, at most so many.
    pub(super) fn rest(&self, key: &hmac::Key, from: Place, most: usize) -> io::Result<Rest> {
        let mut rest = Rest { rows: Vec::new(), end: from, torn: false, is_all: false };
        let length = self.length()?;
        if from.rows == 0 && length >= from.bytes {
            let mut magic = [0; MAGIC.len()];
            self.file.read_exact_at(&mut magic, 0)?;
            if magic != *MAGIC {
                rest.torn = true;
                return Ok(rest);
            }
        }
        let mut payload = Vec::new();
        while rest.end.bytes < length && rest.rows.len() < most {
            let Some(row) = self.row(key, rest.end, length, &mut payload)? else {
                rest.torn = true;
                break;
            };
            rest.rows.push(row);
            rest.end = Place { rows: rest.end.rows + 1, bytes: rest.end.bytes + (HEAD + payload.len()) as u64 };
        }
        rest.is_all = !rest.torn && rest.end.bytes >= length;
        Ok(rest)
    }

    fn row(&self, key: &hmac::Key, at: Place, length: u64, payload: &mut Vec<u8>) -> io::Result<Option<Stored>> {
        let mut head = [0; HEAD];
        if length < at.bytes + HEAD as u64 {
            return Ok(None);
        }
        self.file.read_exact_at(&mut head, at.bytes)?;
        let (size, tagged) = head.split_at(4);
        let size = size.try_into().map_or(usize::MAX, |size| u32::from_le_bytes(size) as usize);
        if size > MAX_ROW || length < at.bytes + (HEAD + size) as u64 {
            return Ok(None);
        }
        payload.resize(size, 0);
        self.file.read_exact_at(payload, at.bytes + HEAD as u64)?;
        let genuine: bool = tag(key, &self.id, at.rows, payload).ct_eq(tagged).into();
        Ok(if genuine { decode(payload) } else { None })
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

fn tag(key: &hmac::Key, id: &str, number: u64, payload: &[u8]) -> [u8; TAG] {
    let mut context = hmac::Context::with_key(key);
    context.update(id.as_bytes());
    context.update(&number.to_le_bytes());
    context.update(payload);
    let mut tag = [0; TAG];
    tag.copy_from_slice(&context.sign().as_ref()[..TAG]);
    tag
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::audit::{Row, tests::full_row};

    fn key(text: &[u8]) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, text)
    }

    fn stored(name: &str) -> Stored {
        Stored::new(Row { run_id: name.into(), ..full_row() }, Timestamp::now())
    }

    fn all(log: &Path, id: &str) -> Rest {
        Left::open(log, id).unwrap().unwrap().rest(&key(b"k"), Place::START, usize::MAX).unwrap()
    }

    #[test]
    fn rows_come_back_as_they_were_put_in() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut journal = Journal::create(&log, key(b"k")).unwrap();
        assert_eq!(ids(&log), [journal.id.to_string()]);
        let rows = [stored("1"), Stored::new(Row::default(), Timestamp::now()), stored("ü\u{0}\n")];
        for row in &rows {
            journal.append(row).unwrap();
        }
        let rest = all(&log, &journal.id);
        assert_eq!((&rest.rows[..], rest.end, rest.torn), (&rows[..], journal.end(), false));
        // From the middle, and some at a time.
        let left = Left::open(&log, &journal.id).unwrap().unwrap();
        let first = left.rest(&key(b"k"), Place::START, 1).unwrap();
        assert_eq!((&first.rows[..], first.end.rows), (&rows[..1], 1));
        let others = left.rest(&key(b"k"), first.end, usize::MAX).unwrap();
        assert_eq!((&others.rows[..], others.end), (&rows[1..], journal.end()));
        assert!(!left.is_abandoned(), "its process lives");
        drop(journal);
        assert!(left.is_abandoned());
    }

    #[test]
    fn changed_bytes_end_what_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut journal = Journal::create(&log, key(b"k")).unwrap();
        let mut ends = vec![journal.end().bytes];
        for name in ["1", "2", "3"] {
            journal.append(&stored(name)).unwrap();
            ends.push(journal.end().bytes);
        }
        let file = path(&log, &journal.id);
        let good = fs::read(&file).unwrap();
        let part = |from: usize, to: usize| {
            good[usize::try_from(ends[from]).unwrap()..usize::try_from(ends[to]).unwrap()].to_vec()
        };
        let start = good[..MAGIC.len()].to_vec();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&file, &bad).unwrap();
            let rest = all(&log, &journal.id);
            let whole = ends[1..].iter().filter(|end| **end <= at as u64).count();
            let expected = if at < MAGIC.len() { 0 } else { whole };
            assert_eq!((rest.rows.len(), rest.torn), (expected, true), "byte {at}");
        }
        for (attack, bytes, believed, torn) in [
            ("the control", good.clone(), 3, false),
            ("taken out", [start.clone(), part(0, 1), part(2, 3)].concat(), 1, true),
            ("moved", [start.clone(), part(1, 2), part(0, 1), part(2, 3)].concat(), 0, true),
            ("said twice", [start.clone(), part(0, 1), part(0, 1)].concat(), 1, true),
            ("cut in a row", good[..good.len() - 1].to_vec(), 2, true),
            // What nobody can see from the journal alone.
            ("cut off between rows", [start, part(0, 2)].concat(), 2, false),
        ] {
            fs::write(&file, bytes).unwrap();
            let rest = all(&log, &journal.id);
            assert_eq!((rest.rows.len(), rest.torn), (believed, torn), "{attack}");
        }
        fs::write(&file, &good).unwrap();
        let other = Left::open(&log, &journal.id).unwrap().unwrap();
        assert_eq!(other.rest(&key(b"guess"), Place::START, 9).unwrap().rows, [], "another key");
    }
}
