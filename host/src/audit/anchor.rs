//! The anchor: this machine's own note of where a log's chain ended, kept outside the project. A chain alone cannot show that its last
//! rows were cut off, or that all of it was computed anew; a log that lacks the row which the anchor names was changed that way.
//!
//! The note is authenticated by a key beside it, so that only who can read this user's private files can write a matching one. It is
//! written after each commit and not synced: after a loss of power it may be behind the log, never ahead of it.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rig_specs::Sha256;
use ring::hmac;

use super::chain::Link;
use crate::home::{private_dir, private_key, read_key};

/// `rig-anchor 1`, the number in 20 digits, the hash, the authentication: one length, so that it is written in place.
const PREFIX: &str = "rig-anchor 1";
const BODY: usize = PREFIX.len() + 1 + 20 + 1 + 64;
const LENGTH: usize = BODY + 1 + 64 + 1;
/// The key's file in the folder of anchors.
const KEY: &str = "key";

/// What is noted about a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// Nothing.
    Nothing,
    /// That the chain had this row at its end.
    Head(Link),
    /// The note is not one that this machine wrote.
    Broken,
}

/// The note of one log, open.
#[derive(Debug)]
pub(super) struct Anchor {
    file: File,
    key: hmac::Key,
    /// The note as this process last wrote it. Found unchanged, it needs no second look.
    written: Option<([u8; LENGTH], Link)>,
}

/// Where the note about a log is.
pub(super) fn path(anchors: &Path, log: &Path) -> io::Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(anchors.join(Sha256::of(log.canonicalize()?.as_os_str().as_bytes()).hex()))
}

/// Reads the note about a log without making anything.
pub(super) fn read(anchors: &Path, log: &Path) -> io::Result<Noted> {
    let open = |path: PathBuf| match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    };
    let Some(file) = open(path(anchors, log)?)? else { return Ok(Noted::Nothing) };
    match read_key(anchors, KEY) {
        Ok(key) => noted(&file, &authenticator(key)),
        // A note that cannot be checked is no note of this machine.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Noted::Broken),
        Err(error) => Err(error),
    }
}

/// The key of this machine's notes, which is made when there is none.
pub(super) fn key(anchors: &Path) -> io::Result<hmac::Key> {
    private_dir(anchors)?;
    private_key(anchors, KEY).map(authenticator)
}

impl Anchor {
    /// Opens the note about a log, which must exist, and makes folder, key and note when they are missing.
    pub(super) fn open(anchors: &Path, log: &Path) -> io::Result<Self> {
        let key = key(anchors)?;
        let path = path(anchors, log)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        Ok(Self { file, key, written: None })
    }

    /// Notes the new end of the chain, unless the log lacks what was noted before: then the note stays, for verifying to find.
    /// `before` is the end that the new rows were appended to; `hash_of` finds a row of the log.
    pub(super) fn advance(
        &mut self,
        before: Link,
        head: Link,
        hash_of: impl Fn(u64) -> Option<Sha256>,
    ) -> io::Result<()> {
        // Another process is writing its own note: this one would be as good, and the next is about to come.
        if self.file.try_lock().is_err() {
            return Ok(());
        }
        let advanced = self.advance_locked(before, head, hash_of);
        self.file.unlock()?;
        advanced
    }

    fn advance_locked(&mut self, before: Link, head: Link, hash_of: impl Fn(u64) -> Option<Sha256>) -> io::Result<()> {
        let holds = match self.look()? {
            Noted::Nothing => true,
            Noted::Broken => false,
            Noted::Head(noted) if noted.seq == before.seq => noted.hash == before.hash,
            // A process that committed later was faster with its note.
            Noted::Head(noted) if noted.seq >= head.seq => false,
            Noted::Head(noted) => hash_of(noted.seq) == Some(noted.hash),
        };
        if holds {
            let note = sealed(head, &self.key);
            self.file.write_all_at(&note, 0)?;
            self.written = Some((note, head));
        }
        Ok(())
    }

    fn look(&self) -> io::Result<Noted> {
        if let Some((written, head)) = &self.written {
            let mut found = [0; LENGTH + 1];
            let length = self.file.read_at(&mut found, 0)?;
            if found.get(..length) == Some(&written[..]) {
                return Ok(Noted::Head(*head));
            }
        }
        noted(&self.file, &self.key)
    }
}

fn sealed(head: Link, key: &hmac::Key) -> [u8; LENGTH] {
    let mut note = [b' '; LENGTH];
    let (body, rest) = note.split_at_mut(BODY);
    body[..PREFIX.len()].copy_from_slice(PREFIX.as_bytes());
    let (number, hash) = body[PREFIX.len() + 1..].split_at_mut(21);
    let mut left = head.seq;
    for digit in number[..20].iter_mut().rev() {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or_default();
        left /= 10;
    }
    // Each slice has the length of what is written.
    let _ = hex::encode_to_slice(head.hash.as_bytes(), hash);
    let tag = hmac::sign(key, body);
    let _ = hex::encode_to_slice(tag, &mut rest[1..=64]);
    rest[65] = b'\n';
    note
}

fn noted(file: &File, key: &hmac::Key) -> io::Result<Noted> {
    // One byte more than a note has, to see that nothing follows it.
    let mut bytes = [0; LENGTH + 1];
    // A note that is just being written by another process may be read half.
    for _ in 0..3 {
        let length = file.read_at(&mut bytes, 0)?;
        if length == 0 {
            return Ok(Noted::Nothing);
        }
        if let Some(head) = bytes.get(..length).and_then(|note| parse(note, key)) {
            return Ok(Noted::Head(head));
        }
        std::thread::yield_now();
    }
    Ok(Noted::Broken)
}

fn parse(note: &[u8], key: &hmac::Key) -> Option<Link> {
    let note = std::str::from_utf8(note).ok()?.strip_suffix('\n')?;
    let (body, tag) = note.rsplit_once(' ')?;
    hmac::verify(key, body.as_bytes(), &hex::decode(tag).ok()?).ok()?;
    let (seq, hash) = body.strip_prefix(PREFIX)?.strip_prefix(' ')?.split_once(' ')?;
    Some(Link { seq: seq.parse().ok()?, hash: hash.parse().ok()? })
}

fn authenticator(key: [u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &key)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn at(seq: u64) -> Link {
        Link { seq, hash: Sha256::of(&seq.to_le_bytes()) }
    }

    #[allow(clippy::unnecessary_wraps, reason = "the form in which the log is asked")]
    fn all_there(seq: u64) -> Option<Sha256> {
        Some(at(seq).hash)
    }

    fn opened(folder: &Path) -> (PathBuf, PathBuf) {
        let (anchors, log) = (folder.join("audit"), folder.join("log"));
        fs::write(&log, "").unwrap();
        (anchors, log)
    }

    #[test]
    fn moves_on_with_the_chain_only() {
        let folder = tempfile::tempdir().unwrap();
        let (anchors, log) = opened(folder.path());
        assert_eq!(read(&anchors, &log).unwrap(), Noted::Nothing);
        let mut anchor = Anchor::open(&anchors, &log).unwrap();
        assert_eq!(read(&anchors, &log).unwrap(), Noted::Nothing);
        anchor.advance(at(0), at(3), all_there).unwrap();
        assert_eq!(read(&anchors, &log).unwrap(), Noted::Head(at(3)));
        assert_eq!(fs::metadata(path(&anchors, &log).unwrap()).unwrap().len(), LENGTH as u64);
        // From where another process wrote without a note.
        anchor.advance(at(7), at(8), all_there).unwrap();
        assert_eq!(read(&anchors, &log).unwrap(), Noted::Head(at(8)));
        // Never back, and never past a row that is gone or another one.
        let other = Link { hash: Sha256::of(b"other"), ..at(8) };
        anchor.advance(at(4), at(5), all_there).unwrap();
        anchor.advance(other, at(9), all_there).unwrap();
        anchor.advance(at(10), at(11), |_| None).unwrap();
        anchor.advance(at(10), at(11), |_| Some(other.hash)).unwrap();
        assert_eq!(read(&anchors, &log).unwrap(), Noted::Head(at(8)));
    }

    #[test]
    fn a_note_of_somebody_else_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let (anchors, log) = opened(folder.path());
        let mut anchor = Anchor::open(&anchors, &log).unwrap();
        anchor.advance(at(0), at(3), all_there).unwrap();
        let path = path(&anchors, &log).unwrap();
        let good = fs::read(&path).unwrap();
        let mut changed = good.clone();
        changed[PREFIX.len() + 20] = b'2';
        let wrong_key = hmac::Key::new(hmac::HMAC_SHA256, b"guess");
        for bad in [changed, good[..50].to_vec(), [&good[..], b"x"].concat(), sealed(at(2), &wrong_key).to_vec()] {
            fs::write(&path, bad).unwrap();
            assert_eq!(read(&anchors, &log).unwrap(), Noted::Broken);
            anchor.advance(at(3), at(4), all_there).unwrap();
            assert_eq!(read(&anchors, &log).unwrap(), Noted::Broken, "evidence must stay");
        }
        fs::write(&path, good).unwrap();
        assert_eq!(read(&anchors, &log).unwrap(), Noted::Head(at(3)), "the control");
    }
}
