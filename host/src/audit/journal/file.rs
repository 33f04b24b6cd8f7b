//! The bytes of a journal: a file of one size that is written round and round. Places in it are counted from its beginning and go on
//! growing; where they lie in the file is known here alone.
//!
//! The file is full of blocks from its start, and written through a map where that is safe: no system call, and no lock held across
//! one. What is in the map is in the file for every other process, whatever becomes of this one.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
};

use memmap2::MmapRaw;

/// What is before the ring: the name of the format, and room, so that the ring begins where a cache line does.
const HEADER: usize = 64;
/// Bytes of the ring: some thousands of rows, a third of a second of a busy gateway.
const SIZE: usize = 4 << 20;

/// Filesystems that keep a block where it is. On others each write may need a new block, and a map has no way to say that there is none
/// than to end the process.
/// ext4, XFS and tmpfs, by the numbers of Linux's `magic.h`.
#[cfg(target_os = "linux")]
const IN_PLACE: [u64; 3] = [0xEF53, 0x5846_5342, 0x0102_1994];

/// The ring, for the process that made it.
#[derive(Debug)]
pub(super) struct Ring {
    reader: Arc<RingReader>,
    map: Option<MmapRaw>,
}

/// The ring, for whoever reads it.
#[derive(Debug)]
pub(super) struct RingReader {
    file: File,
    size: u64,
}

impl Ring {
    /// Makes the file, for its owner only, and locks it. `begin` is what the ring begins with.
    pub(super) fn create(path: &Path, magic: &[u8], begin: &[u8]) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let filled = || -> io::Result<Option<MmapRaw>> {
            file.try_lock()?;
            let mut bytes = vec![0; HEADER + SIZE];
            bytes[..magic.len()].copy_from_slice(magic);
            bytes[HEADER..HEADER + begin.len()].copy_from_slice(begin);
            // Zeros that are written, and not only promised, so that every block is there.
            file.write_all_at(&bytes, 0)?;
            if keeps_blocks(&file)? { MmapRaw::map_raw(&file).map(Some) } else { Ok(None) }
        };
        match filled() {
            Ok(map) => Ok(Self { reader: Arc::new(RingReader { file, size: SIZE as u64 }), map }),
            Err(error) => {
                let _ = fs::remove_file(path);
                Err(error)
            }
        }
    }

    pub(super) fn reader(&self) -> &Arc<RingReader> {
        &self.reader
    }

    /// Writes at a place. What was there a round before is gone.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let (first, second) = self.reader.parts(at, bytes.len());
        let (front, back) = bytes.split_at(first.1);
        for (offset, part) in [(first.0, front), (second.0, back)] {
            match &self.map {
                None if part.is_empty() => {}
                None => self.reader.file.write_all_at(part, offset)?,
                Some(map) => copy(map, offset, part)?,
            }
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn keeps_blocks(file: &File) -> io::Result<bool> {
    Ok(IN_PLACE.contains(&rustix::fs::fstatfs(file)?.f_type.cast_unsigned()))
}

#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "as it is where there is something to ask")]
fn keeps_blocks(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[allow(unsafe_code, reason = "the one place that writes to a map")]
fn copy(map: &MmapRaw, offset: u64, part: &[u8]) -> io::Result<()> {
    let offset = usize::try_from(offset).ok();
    let offset = offset.filter(|offset| offset.checked_add(part.len()).is_some_and(|end| end <= map.len()));
    let offset = offset.ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: the range lies in the map, which is `part`'s own nowhere, and nobody in this process has a reference into it: readers
    // read the file. Only the one who has the `Ring` gets here.
    unsafe { map.as_mut_ptr().add(offset).copy_from_nonoverlapping(part.as_ptr(), part.len()) };
    Ok(())
}

impl RingReader {
    pub(super) fn open(path: &Path, magic: &[u8]) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let mut found = vec![0; magic.len()];
        let known = length > HEADER as u64 && file.read_exact_at(&mut found, 0).is_ok() && found == magic;
        // A ring without a byte has no row and no end: whoever reads it finds it changed.
        Ok(Some(Self { file, size: if known { length - HEADER as u64 } else { 0 } }))
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Bytes that fit in at once.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Device and inode.
    pub(super) fn identity(&self) -> io::Result<(u64, u64)> {
        self.file.metadata().map(|metadata| (metadata.dev(), metadata.ino()))
    }

    /// Reads at a place. There must be a ring.
    pub(super) fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let (first, second) = self.parts(at, bytes.len());
        let (front, back) = bytes.split_at_mut(first.1);
        self.file.read_exact_at(front, first.0)?;
        self.file.read_exact_at(back, second.0)
    }

    /// Where so many bytes from a place on lie: two pieces of the file, with their lengths.
    fn parts(&self, at: u64, length: usize) -> ((u64, usize), (u64, usize)) {
        let offset = at % self.size;
        let first = usize::try_from(self.size - offset).unwrap_or(usize::MAX).min(length);
        ((HEADER as u64 + offset, first), (HEADER as u64, length - first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &[u8] = b"ring";

    #[test]
    fn what_is_written_is_read_around_the_end_too() {
        let folder = tempfile::tempdir().unwrap();
        for mapped in [true, false] {
            let path = folder.path().join(if mapped { "map" } else { "file" });
            let mut ring = Ring::create(&path, MAGIC, b"begin").unwrap();
            if !mapped {
                ring.map = None;
            }
            let reader = RingReader::open(&path, MAGIC).unwrap().unwrap();
            assert_eq!(reader.size(), SIZE as u64);
            let mut begin = [0; 6];
            reader.read(0, &mut begin).unwrap();
            assert_eq!(&begin, b"begin\0");
            for at in [0, 1, SIZE - 300, SIZE - 1, SIZE, 3 * SIZE - 2] {
                let bytes: Vec<u8> = (0..500).map(|n| u8::try_from((n + at) % 251).unwrap()).collect();
                ring.write(at as u64, &bytes).unwrap();
                let mut read = vec![0; bytes.len()];
                reader.read(at as u64, &mut read).unwrap();
                assert_eq!(read, bytes, "{at}");
            }
            let length = fs::metadata(&path).unwrap().len();
            assert_eq!(length, (HEADER + SIZE) as u64, "it does not grow");
        }
    }

    #[test]
    fn what_is_no_ring_has_no_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert!(RingReader::open(&path, MAGIC).unwrap().is_none());
        for bytes in [&b""[..], b"ring", &[b'x'; 100]] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(RingReader::open(&path, MAGIC).unwrap().unwrap().size(), 0);
        }
    }
}
