//! The framing of messages between rig and a runner: each message is JSON after its length as four bytes, big-endian. Pure: bytes in,
//! messages out. Whatever the bytes are, the memory used is bounded by the largest frame that is allowed.

/// The bytes before each message.
const HEAD: usize = 4;

/// A frame that is longer than allowed. The stream is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of {size} bytes, more than the {limit} that are allowed")]
pub struct TooLong {
    /// What the head says.
    pub size: usize,
    /// What is allowed.
    pub limit: usize,
}

/// Cuts a stream of bytes into messages.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    pending: Vec<u8>,
    /// Bytes at the beginning of `pending` that were handed out already.
    read: usize,
}

impl Decoder {
    /// For messages of up to so many bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, pending: Vec::new(), read: 0 }
    }

    /// Takes in what came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.pending.drain(..self.read);
            self.read = 0;
        }
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    /// [`TooLong`], as soon as the head of such a frame has come.
    pub fn take(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let rest = &self.pending[self.read..];
        let Some((head, rest)) = rest.split_first_chunk::<HEAD>() else { return Ok(None) };
        let size = u32::from_be_bytes(*head) as usize;
        if size > self.limit {
            return Err(TooLong { size, limit: self.limit });
        }
        if rest.len() < size {
            return Ok(None);
        }
        let start = self.read + HEAD;
        self.read = start + size;
        Ok(Some(&self.pending[start..start + size]))
    }
}

/// A message as it is sent.
///
/// # Errors
/// [`TooLong`].
pub fn encode(message: &[u8], limit: usize) -> Result<Vec<u8>, TooLong> {
    let size = message.len();
    let head = u32::try_from(size).ok().filter(|_| size <= limit).ok_or(TooLong { size, limit })?;
    let mut frame = Vec::with_capacity(HEAD + size);
    frame.extend_from_slice(&head.to_be_bytes());
    frame.extend_from_slice(message);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All messages of a stream that comes in pieces of that size.
    fn decode(bytes: &[u8], piece: usize, limit: usize) -> Result<Vec<Vec<u8>>, TooLong> {
        let (mut decoder, mut found) = (Decoder::new(limit), Vec::new());
        for piece in bytes.chunks(piece) {
            decoder.push(piece);
            while let Some(message) = decoder.take()? {
                found.push(message.to_vec());
            }
        }
        Ok(found)
    }

    #[test]
    fn messages_come_out_whole_however_they_come_in() {
        let messages: Vec<Vec<u8>> = vec![b"{}".to_vec(), Vec::new(), vec![b'x'; 300], b"[1]".to_vec()];
        let stream: Vec<u8> = messages.iter().flat_map(|message| encode(message, 300).unwrap()).collect();
        for piece in [1, 2, 3, 5, 64, stream.len()] {
            assert_eq!(decode(&stream, piece, 300), Ok(messages.clone()), "{piece}");
        }
        // What is cut off is not a message.
        assert_eq!(decode(&stream[..stream.len() - 1], 7, 300), Ok(messages[..3].to_vec()));
    }

    #[test]
    fn long_frames_are_refused_at_their_head() {
        let too_long = TooLong { size: 0xffff_ffff, limit: 300 };
        assert_eq!(decode(&[0xff; 4], 1, 300), Err(too_long));
        assert_eq!(encode(&[0; 301], 300), Err(TooLong { size: 301, limit: 300 }));
        assert_eq!(too_long.to_string(), "a message of 4294967295 bytes, more than the 300 that are allowed");
    }

    #[test]
    fn any_bytes_end_in_messages_or_a_refusal() {
        // A generator without state outside of the test: the same bytes on every run.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..2_000 {
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Mostly small numbers, so that heads are often believable.
                if state.is_multiple_of(4) { state.to_le_bytes()[5] } else { state.to_le_bytes()[5] & 7 }
            })
            .take(64)
            .collect();
            if let Ok(found) = decode(&bytes, 3, 40) {
                assert!(found.iter().all(|message| message.len() <= 40));
            }
        }
    }
}
