//! Random bytes, from the host's cryptographically secure source.

use crate::host;

/// The most that the host gives at once.
const CHUNK: u32 = 64 * 1024;

/// That many random bytes.
#[must_use]
pub fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let wanted = u32::try_from(len - bytes.len()).map_or(CHUNK, |rest| rest.min(CHUNK));
        bytes.extend(host::random::bytes(wanted));
    }
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn long_requests_are_made_in_parts() {
        for len in [0, 1, 65536, 65537, 200_000] {
            assert_eq!(super::bytes(len).len(), len);
        }
        assert_ne!(super::bytes(16), super::bytes(16));
    }
}
