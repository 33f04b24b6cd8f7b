//! The seal around a stored call: AES-256-GCM with a key that only this user can read, made once on this machine. What stands beside
//! the sealed part in the clear is bound to it.

use std::{io, path::Path};

use rig_specs::Sha256;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::home::private_key;

/// The key's file in the folder of keys.
const KEY: &str = "approvals";

/// What stands in the clear beside a sealed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) token_hash: Sha256,
    pub(super) tenant_id: String,
    /// Microseconds since 1970, as is `expires_at`.
    pub(super) requested_at: i64,
    pub(super) expires_at: i64,
}

impl Frame {
    /// Parts of fixed length first, so that no two frames give the same bytes.
    fn bytes(&self) -> Vec<u8> {
        let times = [self.requested_at.to_le_bytes(), self.expires_at.to_le_bytes()].concat();
        [b"rig-approval 1 ", &self.token_hash.as_bytes()[..], &times, self.tenant_id.as_bytes()].concat()
    }
}

#[derive(Debug)]
pub(super) struct Seal(LessSafeKey);

impl Seal {
    pub(super) fn new(keys: &Path) -> io::Result<Self> {
        let key = private_key(keys, KEY)?;
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| io::Error::other("the key cannot be used"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// None when there are no random numbers to be had, or the text is too long.
    pub(super) fn close(&self, frame: &Frame, mut text: Vec<u8>) -> Option<Vec<u8>> {
        // Random: a project has far fewer calls than would make two of 2^96 likely to be the same.
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).ok()?;
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(unique, Aad::from(frame.bytes()), &mut text).ok()?;
        Some([&nonce[..], &text].concat())
    }

    /// None when this is not what was sealed, with this frame, by this key.
    pub(super) fn open(&self, frame: &Frame, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let unique = Nonce::assume_unique_for_key(*nonce);
        let length = self.0.open_in_place(unique, Aad::from(frame.bytes()), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}
