//! What goes wrong with a registry, and what to do then.

use rig_specs::Sha256;

use super::Reference;
use crate::{install::net::NoAnswer, words::plain};

/// How much of a registry's own words is quoted.
const QUOTED: usize = 300;

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// To fetch something.
    Pull,
    /// To put something there.
    Push,
    /// To see what there is.
    List,
}

impl std::fmt::Display for Tried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pull => "cannot pull",
            Self::Push => "cannot push to",
            Self::List => "cannot list the tags of",
        })
    }
}

/// Why a registry was of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OciError {
    /// The network was not asked, because `--offline` was given.
    #[error("{tried} {reference}: it is not on this machine, and `--offline` was given")]
    Offline {
        /// What was tried.
        tried: Tried,
        /// With what.
        reference: String,
    },
    /// There is no answer.
    #[error("{tried} {reference}: {why}")]
    NoAnswer {
        /// What was tried.
        tried: Tried,
        /// With what.
        reference: String,
        /// Why.
        why: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// An answer that is no success.
    #[error("{tried} {reference}: {}", .refusal.why)]
    Refused {
        /// What was tried.
        tried: Tried,
        /// With what.
        reference: String,
        /// What the registry answered.
        refusal: Refusal,
    },
    /// The answer is longer than any such answer is.
    #[error("{tried} {reference}: the {what} is larger than {} KiB", .limit >> 10)]
    TooLarge {
        /// What was tried.
        tried: Tried,
        /// With what.
        reference: String,
        /// Of what.
        what: &'static str,
        /// The most, in bytes.
        limit: u64,
    },
    /// The bytes are others than the digest says.
    #[error("{reference} is not what it should be: the manifest should have {expected}, but has {found}")]
    Digest {
        /// What was asked for.
        reference: String,
        /// The digest that it should have.
        expected: Sha256,
        /// The digest that it has.
        found: Sha256,
    },
    /// It is something else than a pack.
    #[error("{tried} {reference}: {why}")]
    Unfit {
        /// What was tried.
        tried: Tried,
        /// With what.
        reference: String,
        /// What it is.
        why: String,
    },
    /// No tag is the version that is wanted.
    #[error("{reference} has no version {wanted}")]
    NoVersion {
        /// The repository.
        reference: String,
        /// What is wanted.
        wanted: String,
        /// The versions that there are, newest first.
        available: Vec<String>,
    },
    /// A tag is there with other bytes.
    #[error("{reference} is there already, with another component ({found})")]
    Taken {
        /// The tag.
        reference: String,
        /// Of the component that is there.
        found: Sha256,
    },
}

/// An answer that is no success, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// A sentence.
    pub why: String,
    /// What to do next.
    pub hint: String,
}

/// What a refusal is told from.
pub(super) struct Told<'a> {
    pub(super) status: u16,
    /// The host that answered, when it is not the registry.
    pub(super) strayed: Option<&'a str>,
    /// Whether the user's credentials were sent.
    pub(super) known: bool,
    pub(super) retry_after: Option<&'a str>,
    pub(super) body: &'a [u8],
}

impl OciError {
    pub(super) fn no_answer(tried: Tried, reference: &Reference, answer: NoAnswer) -> Self {
        Self::NoAnswer { tried, reference: reference.to_string(), why: answer.why, hint: answer.hint }
    }

    pub(super) fn unfit(tried: Tried, reference: &Reference, why: String) -> Self {
        Self::Unfit { tried, reference: reference.to_string(), why }
    }

    pub(super) fn refused(tried: Tried, reference: &Reference, told: &Told<'_>) -> Self {
        Self::Refused { tried, reference: reference.to_string(), refusal: refusal(tried, reference, told) }
    }

    /// Whether the registry says that there is no such thing.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { refusal: Refusal { status: 404, .. }, .. })
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Offline { .. } => "run the command without `--offline`".into(),
            Self::NoAnswer { hint: Some(hint), .. } => hint.clone(),
            Self::NoAnswer { .. } => {
                "check the name, and run it again; if it stays so, tell whoever keeps the registry".into()
            }
            Self::Refused { refusal, .. } => refusal.hint.clone(),
            Self::TooLarge { .. } => "check the name, and tell whoever keeps the registry".into(),
            Self::Digest { .. } => {
                "nothing was changed; something between you and the registry, or the registry itself, changes what you get".into()
            }
            Self::Unfit { tried: Tried::Push, .. } => "name another repository or another tag".into(),
            Self::Unfit { .. } => "name an artifact that `rig publish --to oci://…`, or another tool for Wasm artifacts, has pushed".into(),
            Self::NoVersion { available, .. } if available.is_empty() => {
                "none of its tags is a version: name a tag, `oci://registry/repository:tag`".into()
            }
            Self::NoVersion { available, .. } => format!("there is {}", available.join(", ")),
            Self::Taken { .. } => "raise the version in rig-pack.toml: a released version never changes".into(),
        })
    }
}

/// The registry's own words: `{"errors": [{"code", "message"}]}`, made safe to show.
fn said(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let first = value.get("errors")?.get(0)?;
    let text = |key: &str| first.get(key).and_then(|text| text.as_str()).unwrap_or_default().trim();
    let both = match (text("code"), text("message")) {
        ("", "") => return None,
        (code, "") => code.to_owned(),
        ("", message) => message.to_owned(),
        (code, message) => format!("{code}: {message}"),
    };
    Some(plain(&both).chars().take(QUOTED).collect())
}

fn refusal(tried: Tried, reference: &Reference, told: &Told<'_>) -> Refusal {
    let registry = reference.registry();
    let status = told.status;
    let who =
        told.strayed.map_or_else(|| "the registry".to_owned(), |host| format!("{host}, where the registry sent rig,"));
    let login = format!("log in with `docker login {registry}`; rig reads what that writes");
    let (why, hint) = match status {
        401 | 403 if told.strayed.is_some() => (
            format!("{who} answered with status {status}"),
            "rig sends no credentials there; tell whoever keeps the registry".into(),
        ),
        401 if told.known => ("the registry does not take what the docker configuration has for it".into(), login),
        401 => (
            format!(
                "the registry wants to know who you are, and the docker configuration says nothing about {registry}"
            ),
            login,
        ),
        403 => (
            "the registry does not let you do that".into(),
            format!("check the name, and what your account may do there; {login}"),
        ),
        404 if tried == Tried::Push => (
            "the registry has no such repository, and makes none".into(),
            "make the repository first, or check the name".into(),
        ),
        404 => (
            "there is no such thing".into(),
            "check the name and the tag; some registries also say so of what you may not see".into(),
        ),
        429 => {
            let when = told.retry_after.and_then(|text| text.trim().parse::<u32>().ok());
            let when = when.map_or_else(|| "later".into(), |seconds| format!("in {seconds} seconds"));
            (
                "the registry takes no more requests for now".into(),
                format!("try again {when}; those who are logged in may ask more often"),
            )
        }
        500.. => (format!("{who} answered with status {status}"), "try again later".into()),
        _ => {
            (format!("{who} answered with status {status}"), "check the name, and that this is an OCI registry".into())
        }
    };
    let why = match said(told.body) {
        Some(said) => format!("{why} (it says: {said})"),
        None => why,
    };
    Refusal { status, why, hint }
}
