//! The private keys of signers: Ed25519 in PKCS#8, as PEM, which other programs read and make too. A key that others can read is not
//! used.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rig_specs::tuf::{Envelope, NotCanonical, PublicKey, Signature};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};

use super::SignError;
use crate::home;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// The length of a line of PEM.
const LINE: usize = 64;
/// No key file is larger.
const MAX_FILE: u64 = 4 << 10;

/// Private keys at hand.
#[derive(Default)]
pub struct Keys(BTreeMap<PublicKey, Ed25519KeyPair>);

/// Makes a key. What is there is never overwritten.
///
/// # Errors
/// When there is a file already, or it cannot be written.
pub fn generate(path: &Path) -> Result<PublicKey, SignError> {
    let written = |error| SignError::io(path, "written", error);
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|_| written(io::Error::other("the system gives no random numbers")))?;
    let public = pair(path, der.as_ref())?.0;
    let base64 = STANDARD.encode(der.as_ref());
    let mut text = format!("{BEGIN}\n");
    for line in base64.as_bytes().chunks(LINE) {
        text += &String::from_utf8_lossy(line);
        text.push('\n');
    }
    text += END;
    text.push('\n');
    let write = || -> io::Result<()> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
            home::private_dir(folder)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(written)?;
    Ok(public)
}

/// The public key of a private one.
///
/// # Errors
/// When the file holds none.
pub fn public(path: &Path) -> Result<PublicKey, SignError> {
    read(path).map(|(public, _)| public)
}

fn read(path: &Path) -> Result<(PublicKey, Ed25519KeyPair), SignError> {
    let bad = |why: &str| SignError::Key { path: path.to_owned(), why: why.into() };
    let metadata = fs::metadata(path).map_err(|error| SignError::io(path, "read", error))?;
    if metadata.len() > MAX_FILE {
        return Err(bad("it is too large for a key"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(bad("others can read or change it"));
    }
    let text = fs::read_to_string(path).map_err(|error| SignError::io(path, "read", error))?;
    let inner = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(inner, _)| inner);
    let base64: String = inner.ok_or_else(|| bad("it holds no `PRIVATE KEY`"))?.split_whitespace().collect();
    let der = STANDARD.decode(base64).map_err(|error| bad(&error.to_string()))?;
    pair(path, &der)
}

fn pair(path: &Path, der: &[u8]) -> Result<(PublicKey, Ed25519KeyPair), SignError> {
    // Others write the older form, without the public key beside the private one.
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
        .map_err(|error| SignError::Key { path: path.to_owned(), why: format!("{error}") })?;
    let bytes = <[u8; 32]>::try_from(pair.public_key().as_ref())
        .map_err(|error| SignError::Key { path: path.to_owned(), why: error.to_string() })?;
    Ok((PublicKey::from_bytes(bytes), pair))
}

impl Keys {
    /// The keys in files, and in the `*.pem` files of folders.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn load(places: &[PathBuf]) -> Result<Self, SignError> {
        let mut keys = BTreeMap::new();
        for place in places {
            let mut files = vec![place.clone()];
            if place.is_dir() {
                let entries = fs::read_dir(place).map_err(|error| SignError::io(place, "read", error))?;
                let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
                files = paths.filter(|path| path.extension().is_some_and(|ending| ending == "pem")).collect();
                files.sort();
            }
            for file in files {
                let (public, pair) = read(&file)?;
                keys.insert(public, pair);
            }
        }
        Ok(Self(keys))
    }

    /// Takes others in.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// How many of some keys are here.
    #[must_use]
    pub fn count(&self, keys: &[PublicKey]) -> usize {
        keys.iter().filter(|key| self.0.contains_key(key)).count()
    }

    /// Signs with those of some keys that are here. Other signatures stay; says whether any was added.
    ///
    /// # Errors
    /// When the document has no canonical form.
    pub fn sign(&self, envelope: &mut Envelope, keys: &[PublicKey]) -> Result<bool, NotCanonical> {
        let message = envelope.message()?;
        let mut added = false;
        for (public, pair) in keys.iter().filter_map(|key| Some((key, self.0.get(key)?))) {
            let signature = Signature { keyid: public.id(), sig: hex::encode(pair.sign(&message).as_ref()) };
            if !envelope.signatures.contains(&signature) {
                envelope.signatures.retain(|other| other.keyid != signature.keyid);
                envelope.signatures.push(signature);
                added = true;
            }
        }
        envelope.signatures.sort_by(|a, b| a.keyid.cmp(&b.keyid));
        Ok(added)
    }
}
