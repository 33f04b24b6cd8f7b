//! Reading a journal row by row, until its end, or until something that is no row of this machine.

use std::io;

use subtle::ConstantTimeEq as _;

use super::{HEAD, MARK, Place, RingReader, Seal, View, decode};

/// Bytes that are read at once.
const CHUNK: usize = 128 << 10;

/// Where reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) enum End {
    /// At the end of the journal.
    All,
    /// At as many rows as were asked for. Others may follow.
    Enough,
    /// At bytes that are no row: of a process that writes just now, or else changed or torn.
    Torn,
}

/// The rows of a journal from a place on.
#[derive(Debug)]
pub(in crate::audit) struct Rows<'a> {
    seal: &'a Seal,
    ring: &'a RingReader,
    at: Place,
    /// Rows that may still be given.
    left: u64,
    end: Option<End>,
    chunk: Vec<u8>,
    /// What of the chunk was given already.
    used: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(seal: &'a Seal, ring: &'a RingReader, from: Place, most: u64) -> Self {
        Self { seal, ring, at: from, left: most, end: None, chunk: Vec::new(), used: 0 }
    }

    /// The place after the rows that were given.
    pub(in crate::audit) fn place(&self) -> Place {
        self.at
    }

    /// Where reading ended, once [`Self::next`] gave none.
    pub(in crate::audit) fn end(&self) -> End {
        self.end.unwrap_or(End::Enough)
    }

    /// The next row. Not an iterator: the row lies in what was read.
    pub(in crate::audit) fn next(&mut self) -> io::Result<Option<View<'_>>> {
        if self.end.is_some() {
            return Ok(None);
        }
        let length = match self.find()? {
            Ok(length) => length,
            Err(end) => {
                self.end = Some(end);
                return Ok(None);
            }
        };
        let from = self.used + HEAD;
        let row = decode(&self.chunk[from..from + length]);
        if row.is_some() {
            (self.used, self.left) = (from + length, self.left - 1);
            self.at = Place { rows: self.at.rows + 1, bytes: self.at.bytes + (HEAD + length) as u64 };
        } else {
            self.end = Some(End::Torn);
        }
        Ok(row)
    }

    /// The length of the next row, which is in the chunk then.
    fn find(&mut self) -> io::Result<Result<usize, End>> {
        if self.left == 0 {
            return Ok(Err(End::Enough));
        }
        if !self.fill(HEAD)? {
            return Ok(Err(End::Torn));
        }
        let Some((head, _)) = self.chunk[self.used..].split_first_chunk::<HEAD>() else { return Ok(Err(End::Torn)) };
        let (head, is_mark) = (*head, head[..4] == MARK.to_le_bytes());
        if is_mark {
            let genuine: bool = self.seal.mark(self.at.rows).ct_eq(&head).into();
            return Ok(Err(if genuine { End::All } else { End::Torn }));
        }
        let (size, tagged) = head.split_at(4);
        let length = size.try_into().map_or(usize::MAX, |size| u32::from_le_bytes(size) as usize);
        if !self.fill(HEAD.saturating_add(length))? {
            return Ok(Err(End::Torn));
        }
        let payload = &self.chunk[self.used + HEAD..][..length];
        let genuine: bool = self.seal.row(self.at.rows, payload).ct_eq(tagged).into();
        Ok(if genuine { Ok(length) } else { Err(End::Torn) })
    }

    /// Sees to it that so many bytes from the place on are in the chunk. Answers false when the ring is smaller than that.
    fn fill(&mut self, needed: usize) -> io::Result<bool> {
        if self.chunk.len() - self.used >= needed {
            return Ok(true);
        }
        let size = usize::try_from(self.ring.size()).unwrap_or(usize::MAX);
        if needed > size {
            return Ok(false);
        }
        self.chunk.resize(needed.max(CHUNK).min(size), 0);
        self.used = 0;
        self.ring.read(self.at.bytes, &mut self.chunk)?;
        Ok(true)
    }
}
