//! Packs inside the program: files that stand behind the end of an executable, with a directory of them. Programs are loaded from their
//! beginning, so what follows does not disturb them, and any built `rig` can be given packs without compiling it again.
//!
//! Behind the program: the files one after the other, the directory as JSON, the length of the directory (8 bytes, little-endian), and
//! [`MAGIC`]. There is one file named as an [index](crate::index::FILE), and those that it names.
//!
//! What stands behind a program is lost when the program is stripped or cut short. So [`attach`] also changes a mark among its
//! constants, which stay, and a program that is to have packs and has none can tell.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

use crate::Sha256;

/// The last bytes of a program with packs.
pub const MAGIC: [u8; 16] = *b"rig bundle 0001\n";

/// The length and the magic.
pub const TAIL: usize = 8 + MAGIC.len();

/// The most bytes that a directory has: one of a thousand packs takes a tenth.
pub const MAX_DIRECTORY: u64 = 1 << 20;

/// What a program has among its constants as long as it was given no packs.
pub const UNMARKED: [u8; 32] = *b"rig: packs behind the program: 0";

/// The place in the mark that says whether packs were given, and what stands there then.
const MARK_AT: usize = UNMARKED.len() - 1;
const MARKED: u8 = b'1';

/// Whether the mark is that of a program that was given packs. It is not held against [`UNMARKED`], which may be the same bytes in the
/// program and marked with it.
#[must_use]
pub fn is_marked(mark: &[u8; UNMARKED.len()]) -> bool {
    mark[MARK_AT] == MARKED
}

/// The program with packs behind it. None when it has no mark: it is no rig that knows of packs, or has some already.
#[must_use]
pub fn attach(mut program: Vec<u8>, files: &BTreeMap<String, Vec<u8>>) -> Option<Vec<u8>> {
    let length = UNMARKED.len();
    let starts: Vec<usize> = (0..program.len().saturating_sub(length - 1))
        .filter(|at| program[*at] == UNMARKED[0] && program[*at..at + length] == UNMARKED)
        .collect();
    for at in &starts {
        program[at + MARK_AT] = MARKED;
    }
    program.extend(encode(files));
    (!starts.is_empty()).then_some(program)
}

/// What is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// The files in the order of their bytes.
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// From the beginning of the first file.
    offset: u64,
    size: u64,
    sha256: Sha256,
}

/// The bytes to be put behind a program.
#[must_use]
pub fn encode(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Directory { files: BTreeMap::new() };
    for (name, file) in files {
        let entry = Entry { offset: bytes.len() as u64, size: file.len() as u64, sha256: Sha256::of(file) };
        directory.files.insert(name.clone(), entry);
        bytes.extend_from_slice(file);
    }
    // Texts and numbers, which cannot fail.
    let directory = serde_json::to_vec(&directory).unwrap_or_default();
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(&(directory.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&MAGIC);
    bytes
}

/// The length of the directory, when these last bytes of a program say that there is one.
#[must_use]
pub fn directory_length(tail: [u8; TAIL]) -> Option<u64> {
    let (length, magic) = tail.split_at(8);
    let length = u64::from_le_bytes(length.try_into().ok()?);
    (magic == MAGIC && length <= MAX_DIRECTORY).then_some(length)
}

/// Where the files of a bundle are in a program of that length, and their hashes. None when the directory cannot be true.
#[must_use]
pub fn places(directory: &[u8], program: u64) -> Option<BTreeMap<String, (Range<u64>, Sha256)>> {
    let end = program.checked_sub(TAIL as u64)?.checked_sub(directory.len() as u64)?;
    let Directory { files } = serde_json::from_slice(directory).ok()?;
    let total = files.values().try_fold(0_u64, |total, entry| total.checked_add(entry.size))?;
    let start = end.checked_sub(total)?;
    let place = |(name, entry): (String, Entry)| {
        let from = start.checked_add(entry.offset)?;
        let to = from.checked_add(entry.size).filter(|to| *to <= end)?;
        Some((name, (from..to, entry.sha256)))
    };
    files.into_iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(program: &[u8]) -> Option<BTreeMap<String, Vec<u8>>> {
        let tail = program.last_chunk::<TAIL>()?;
        let length = usize::try_from(directory_length(*tail)?).unwrap();
        let end = program.len() - TAIL;
        let places = places(program.get(end.checked_sub(length)?..end)?, program.len() as u64)?;
        let bytes = |range: Range<u64>| {
            program[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec()
        };
        Some(places.into_iter().map(|(name, (range, _))| (name, bytes(range))).collect())
    }

    #[test]
    fn what_is_put_behind_a_program_is_found_again() {
        let files =
            BTreeMap::from([("a".to_owned(), vec![1, 2, 3]), ("b".to_owned(), vec![]), ("c".to_owned(), vec![4])]);
        let program = [b"\x7fELF and so on".to_vec(), encode(&files)].concat();
        assert_eq!(read(&program), Some(files));
    }

    #[test]
    fn a_program_that_was_given_packs_is_marked() {
        let files = BTreeMap::from([("a".to_owned(), vec![1])]);
        let program = [&b"\x7fELF"[..], &UNMARKED, b"and so on"].concat();
        let with = attach(program.clone(), &files).unwrap();
        assert_eq!(read(&with), Some(files.clone()));
        let mark = |program: &[u8]| is_marked(program[4..4 + UNMARKED.len()].try_into().unwrap());
        assert_eq!((mark(&program), mark(&with)), (false, true));
        assert_eq!(attach(with, &files), None, "once only");
        assert_eq!(attach(b"short".to_vec(), &files), None);
    }

    #[test]
    fn what_is_not_a_bundle_is_none() {
        let files = BTreeMap::from([("a".to_owned(), vec![1, 2, 3])]);
        let bundle = encode(&files);
        assert_eq!(read(b"\x7fELF and so on, without packs"), None);
        assert_eq!(read(&bundle[..bundle.len() - 1]), None);
        // Its files would begin before the program does.
        assert_eq!(read(&bundle[1..]), None);
        let mut long = bundle.clone();
        let at = long.len() - TAIL;
        long[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(read(&long), None);
        let text = br#"{"files":{"a":{"offset":18446744073709551615,"size":2,"sha256":"sha256:0000000000000000000000000000000000000000000000000000000000000000"}}}"#;
        assert_eq!(places(text, 10_000), None);
    }
}
