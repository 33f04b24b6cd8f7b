//! Whether an index is what its maintainers signed, and no older than what was seen of it before.
//!
//! An index is signed as The Update Framework says: [`view`] holds the rules, without I/O; [`client`] fetches metadata and applies
//! them; [`memory`] keeps in rig's home what was seen, which is what an index cannot take back. Where trust begins is decided here:
//! with the keys in `rig.yaml`, with keys that a person gave when the index was first used, or with what was remembered then.
//!
//! Own code and not the `tough` crate: that brings a second crypto provider with a C build, a second error and PEM stack, and a cache
//! of its own that knows nothing of several processes, while the rules are a few hundred lines over the Ed25519 that is here already.

use jiff::Timestamp;
use rig_specs::{
    Sha256, lock,
    tuf::{PublicKey, RoleName},
};
use url::Url;

use crate::words::plain;

pub(crate) mod client;
mod memory;
pub(crate) mod view;

pub use memory::{Known, forget, known};

/// What a command says about trust in an index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// `--allow-unsigned`: an index from the network need not be signed.
    pub allow_unsigned: bool,
    /// `--trust-key`: the root keys of an index that is used for the first time.
    pub keys: Vec<PublicKey>,
}

/// How far an index can be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Its maintainers signed it.
    Signed(Signed),
    /// Nobody signed it: whoever can change it can change what is installed.
    Unsigned,
    /// The program carries it.
    Bundled,
}

impl Standing {
    /// As it is noted in `rig.lock`.
    #[must_use]
    pub fn kind(&self) -> lock::Standing {
        match self {
            Self::Signed(_) => lock::Standing::Signed,
            Self::Unsigned => lock::Standing::Unsigned,
            Self::Bundled => lock::Standing::Bundled,
        }
    }
}

/// What is known about a signed index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The version of its root.
    pub root: u64,
    /// The version of its timestamp.
    pub version: u64,
    /// When its signatures must have been renewed.
    pub expires: Timestamp,
    /// The keys that sign roots.
    pub keys: Vec<PublicKey>,
    /// How many of them must sign.
    pub threshold: u32,
}

/// An index that is not used.
#[derive(Debug, thiserror::Error)]
#[error("the index {url} cannot be trusted: {fault}")]
pub struct TrustError {
    /// The index.
    pub url: Url,
    /// Why.
    pub fault: Box<Fault>,
}

/// Why an index is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nobody signed it, and it is not of this machine.
    #[error("it is not signed, and an index from the network must be")]
    Unsigned,
    /// It was signed before.
    #[error("it was signed when it was used before, and is not any more: `{file}` is not there")]
    NoLongerSigned {
        /// What should be there.
        file: String,
    },
    /// It is signed, and nobody said yet that its keys are the right ones.
    #[error("it is signed, by keys that nobody has confirmed yet: {}", list(.keys))]
    FirstUse {
        /// Its root keys.
        keys: Vec<PublicKey>,
        /// How many of them must sign a root.
        threshold: u32,
    },
    /// Other keys sign it than those that were named.
    #[error("its root is signed by {found} of the keys that are trusted for it, and {needed} must; trusted are {}", list(.trusted))]
    WrongKeys {
        /// The keys that are trusted.
        trusted: Vec<PublicKey>,
        /// How many of them signed.
        found: usize,
        /// How many must.
        needed: usize,
    },
    /// Too few of the right keys signed a file.
    #[error("`{file}` is signed by {found} of its keys, and {needed} must")]
    Signatures {
        /// The file.
        file: String,
        /// How many different keys signed it.
        found: usize,
        /// How many must.
        needed: u32,
    },
    /// A file is too old.
    #[error("`{file}` expired at {at}")]
    Expired {
        /// The file.
        file: String,
        /// When.
        at: Timestamp,
    },
    /// A file is older than one that was seen.
    #[error("its {role} went back to version {found}; version {seen} was seen before")]
    Rollback {
        /// Which file.
        role: RoleName,
        /// The version that is offered.
        found: u64,
        /// The version that was seen.
        seen: u64,
    },
    /// A file has another version than it is named with.
    #[error("`{file}` has version {found} instead of {expected}: it does not belong to the others")]
    Version {
        /// The file.
        file: String,
        /// The version it should have.
        expected: u64,
        /// The version it has.
        found: u64,
    },
    /// A file has other bytes than were signed.
    #[error("`{file}` is not the file that was signed: it should have {expected}, but has {found}")]
    Hash {
        /// The file.
        file: String,
        /// The digest that was signed.
        expected: Sha256,
        /// The digest of what came.
        found: Sha256,
    },
    /// A file has another length than was signed.
    #[error("`{file}` is not the file that was signed: it should have {expected} bytes, but has {found}")]
    Length {
        /// The file.
        file: String,
        /// The length that was signed.
        expected: u64,
        /// How many came, or how many had come when the rest was refused.
        found: u64,
    },
    /// A file is larger than any of its kind.
    #[error("`{file}` is larger than {limit} bytes, the most that rig reads of it")]
    TooLarge {
        /// The file.
        file: String,
        /// The limit.
        limit: u64,
    },
    /// A file cannot be read.
    #[error("`{file}` is malformed: {why}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// A file is not among those that were signed.
    #[error("`{file}` is not among the files that were signed")]
    NotSigned {
        /// The file.
        file: String,
    },
    /// The index and the list of files say different things.
    #[error("it names `{file}` with another digest or size than was signed")]
    Disagrees {
        /// The file.
        file: String,
    },
    /// Somebody else answers.
    #[error("`{file}` is answered by another server, {place}")]
    Elsewhere {
        /// The file.
        file: String,
        /// Who answers.
        place: String,
    },
    /// What is remembered cannot be read or written.
    #[error("what rig knows about it, in {path}, cannot be used: {why}")]
    Memory {
        /// The file in rig's home.
        path: String,
        /// Why.
        why: String,
    },
}

impl TrustError {
    pub(super) fn new(url: &Url, fault: Fault) -> Self {
        Self { url: url.clone(), fault: Box::new(fault) }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        let url = &self.url;
        match &*self.fault {
            Fault::Unsigned => "ask whoever keeps the index to sign it (`rig index sign`); `--allow-unsigned` uses it as it is".into(),
            Fault::FirstUse { keys, threshold, .. } => format!(
                "compare the keys with those that the maintainers published ({threshold} of {} sign); then put them into `index.trusted_keys` in rig.yaml, or give them once with `--trust-key`",
                keys.len()
            ),
            Fault::WrongKeys { .. } => {
                "compare `index.trusted_keys` with the keys that the maintainers publish; if those are the same, somebody else made this index".into()
            }
            Fault::Expired { .. } => {
                "somebody may be holding back a newer index, or the maintainers have to renew their signatures (`rig index sign`); check this machine's clock too".into()
            }
            Fault::NoLongerSigned { .. } | Fault::Rollback { .. } => format!(
                "somebody may be offering an old index; ask its maintainers, and only if they say that they began anew: rig index forget {url}"
            ),
            Fault::Memory { .. } => {
                format!("check that you can write rig's home; to begin anew with this index: rig index forget {url}")
            }
            Fault::Elsewhere { .. } => "name the server that answers in `index.url`, if it is the right one".into(),
            _ => "nothing was installed; try again later, and if it stays so, tell whoever keeps the index".into(),
        }
    }

    /// The keys of an index that is used for the first time, when that is all that is missing.
    #[must_use]
    pub fn first_use(&self) -> Option<&[PublicKey]> {
        match &*self.fault {
            Fault::FirstUse { keys, .. } => Some(keys),
            _ => None,
        }
    }
}

fn list(keys: &[PublicKey]) -> String {
    keys.iter().map(PublicKey::to_string).collect::<Vec<_>>().join(", ")
}

/// A time as metadata has it.
fn time(file: &str, text: &str) -> Result<Timestamp, Fault> {
    let bad = |_| Fault::Malformed { file: file.to_owned(), why: format!("`{}` is not a time", plain(text)) };
    text.parse().map_err(bad)
}

#[cfg(test)]
mod tests;
