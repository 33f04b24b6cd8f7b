//! Access tokens that secrets were traded for: what the endpoint answers, and how long a token is kept. In memory only, and gone with
//! the gate.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use rig_specs::{Sha256, rtp::ErrorKind};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::super::{HttpError, Redactor, client::Answer, limits};
use crate::secrets::Secret;

/// A token that was minted.
#[derive(Debug)]
pub(in crate::egress) struct Token {
    value: Secret,
    /// Two clocks: the one stands still while a machine sleeps, the other may be set back.
    good_until: (Instant, SystemTime),
    /// Whether a service has ever taken it.
    accepted: AtomicBool,
}

/// The place of one token: empty until it is minted. Who finds it empty mints; others wait for that and use the same.
pub(in crate::egress) type Cell = Arc<OnceCell<Token>>;

/// The tokens of a gate, by what they depend on.
#[derive(Debug, Default)]
pub(in crate::egress) struct Tokens(Mutex<BTreeMap<Sha256, Cell>>);

/// The tokens that one request carries, by slot.
#[derive(Debug, Default)]
pub(in crate::egress) struct Held(Vec<(String, Sha256, Cell)>);

/// Why no token can be had, as the caller of the tool is told. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CredentialError {
    /// Whose fault it is.
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
    /// Whether the same call may succeed when made again.
    pub retryable: bool,
    /// The endpoint's own code.
    pub upstream_code: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Token {
    pub(in crate::egress) const fn value(&self) -> &Secret {
        &self.value
    }

    /// What stands for a token where nothing is sent.
    pub(in crate::egress) fn stand_in() -> Self {
        let hour = Duration::from_hours(1);
        Self {
            value: Secret::new("recorded".to_owned()),
            good_until: (Instant::now() + hour, SystemTime::now() + hour),
            accepted: AtomicBool::new(true),
        }
    }

    fn is_good(&self) -> bool {
        let (instant, time) = self.good_until;
        Instant::now() < instant && SystemTime::now() < time
    }
}

impl Tokens {
    /// The place of a token. One that has nearly expired has been replaced by an empty place.
    pub(in crate::egress) fn cell(&self, key: Sha256) -> Cell {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = cells.get(&key).filter(|cell| cell.get().is_none_or(Token::is_good)) {
            return Arc::clone(cell);
        }
        // Places that nobody waits at and that hold nothing of use.
        cells.retain(|_, cell| cell.get().map_or_else(|| Arc::strong_count(cell) > 1, Token::is_good));
        if cells.len() >= limits::TOKENS {
            cells.pop_first();
        }
        let cell = Cell::default();
        cells.insert(key, Arc::clone(&cell));
        cell
    }

    /// Drops a token that a service no longer takes, unless another has already taken its place.
    fn forget(&self, key: Sha256, cell: &Cell) {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cells.get(&key).is_some_and(|kept| Arc::ptr_eq(kept, cell)) {
            cells.remove(&key);
        }
    }
}

impl Held {
    pub(in crate::egress) fn add(&mut self, slot: &str, key: Sha256, cell: Cell) {
        self.0.push((slot.to_owned(), key, cell));
    }

    pub(super) fn token(&self, slot: &str) -> Option<&Token> {
        self.0.iter().find(|(held, ..)| held == slot)?.2.get()
    }

    /// Takes notice of how a service took the tokens. True when one of them has ended before its time: it is dropped, and as the
    /// service did not act on a request that it did not let in, that may be sent again with a new one.
    ///
    /// A token that was taken before and is refused now has ended. One that never was is refused for another reason, which a new
    /// one would not change.
    pub(in crate::egress) fn judge(&self, status: u16, tokens: &Tokens) -> bool {
        let mut stale = false;
        for (_, key, cell) in &self.0 {
            match cell.get() {
                Some(token) if status != 401 => token.accepted.store(true, Ordering::Relaxed),
                Some(token) if token.accepted.load(Ordering::Relaxed) => {
                    tokens.forget(*key, cell);
                    stale = true;
                }
                _ => {}
            }
        }
        stale
    }
}

impl CredentialError {
    pub(in crate::egress) fn key(message: String, hint: String) -> Self {
        Self { kind: ErrorKind::AuthError, message, retryable: false, upstream_code: None, hint: Some(hint) }
    }

    /// The endpoint was not reached.
    pub(in crate::egress) fn unreached(slot: &str, error: &HttpError) -> Self {
        let (kind, retryable) = match error {
            HttpError::Denied(_) => (ErrorKind::PermissionError, false),
            HttpError::InvalidRequest(_) => (ErrorKind::InternalError, false),
            HttpError::Dns(_) | HttpError::Connect(_) | HttpError::Protocol(_) => (ErrorKind::Transient, true),
            HttpError::Tls(_) | HttpError::TooLarge(_) => (ErrorKind::UpstreamError, false),
            HttpError::Timeout(_) => (ErrorKind::Timeout, true),
        };
        let message = format!("no access token for the secret `{slot}`: {error}");
        Self { kind, message, retryable, upstream_code: None, hint: None }
    }

    /// What the guest gets in place of an answer.
    pub(in crate::egress) fn for_guest(&self) -> HttpError {
        let text = self.message.clone();
        match self.kind {
            ErrorKind::Timeout => HttpError::Timeout(text),
            ErrorKind::Transient | ErrorKind::RateLimited => HttpError::Connect(text),
            ErrorKind::UpstreamError => HttpError::Protocol(text),
            _ => HttpError::Denied(text),
        }
    }
}

/// What the endpoint answers; everything may be missing or of another kind.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answered {
    access_token: Option<String>,
    token_type: Option<String>,
    /// Seconds; some endpoints send a text.
    expires_in: Value,
    error: Value,
    error_description: Value,
}

/// Reads the answer of the endpoint. `redactor` knows the key, and `assertion` is what was signed with it: neither is quoted.
pub(in crate::egress) fn read(
    slot: &str,
    host: &str,
    answer: &Answer,
    assertion: &str,
    redactor: &Redactor,
) -> Result<Token, CredentialError> {
    let answered: Answered = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status != 200 {
        return Err(refused(slot, host, answer, &answered, assertion, redactor));
    }
    let nonsense = || CredentialError {
        kind: ErrorKind::UpstreamError,
        message: format!("no access token for the secret `{slot}`: {host} answered without one"),
        retryable: true,
        upstream_code: Some("200".into()),
        hint: None,
    };
    let is_bearer = answered.token_type.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    let value = answered.access_token.map(Secret::new).filter(|value| {
        let value = value.expose();
        !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic())
    });
    let value = value.filter(|_| is_bearer).ok_or_else(nonsense)?;
    let seconds = answered.expires_in.as_u64().or_else(|| answered.expires_in.as_str()?.parse().ok());
    let good_for =
        Duration::from_secs(seconds.unwrap_or(0)).min(limits::ASSERTION_TIME).saturating_sub(limits::TOKEN_MARGIN);
    let good_until = (Instant::now() + good_for, SystemTime::now() + good_for);
    Ok(Token { value, good_until, accepted: AtomicBool::new(false) })
}

fn refused(
    slot: &str,
    host: &str,
    answer: &Answer,
    answered: &Answered,
    assertion: &str,
    redactor: &Redactor,
) -> CredentialError {
    let code = answered.error.as_str().filter(|code| is_code(code));
    let description = answered.error_description.as_str().unwrap_or_default();
    let mut message =
        format!("{host} gave no access token for the secret `{slot}`: {}", code.unwrap_or("no reason given"));
    let shown: String = description.chars().filter(|c| !c.is_control()).take(limits::QUOTED).collect();
    let clean = |text: &str| !text.contains(assertion) && !redactor.finds(text.as_bytes());
    if !shown.is_empty() && clean(description) {
        message = format!("{message} ({})", shown.trim_end_matches('.'));
    }
    let wait =
        answer.headers.get(http::header::RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.trim().parse::<u64>().ok());
    let retry = wait.map(|seconds| format!("retry after {seconds} s"));
    let (kind, retryable, hint) = match answer.status {
        400 | 401 | 403 => (ErrorKind::AuthError, false, Some(hint(slot, code, description))),
        429 => (ErrorKind::RateLimited, true, retry),
        500..=599 => (ErrorKind::Transient, true, retry),
        _ => (ErrorKind::UpstreamError, false, None),
    };
    let upstream_code = Some(code.map_or_else(|| answer.status.to_string(), str::to_owned));
    CredentialError { kind, message, retryable, upstream_code, hint }
}

/// What a person can do about a refusal. The words are those of Google's endpoint; others get the general advice.
fn hint(slot: &str, code: Option<&str>, description: &str) -> String {
    let says = |word: &str| description.contains(word);
    match code {
        Some("invalid_grant") if says("timeframe") || says("iat") || says("exp ") => {
            "set the clock of this machine: what it signs is good only within the hour that it names".into()
        }
        Some("invalid_grant") => format!(
            "the key was deleted or disabled, or its account was: make a new key for the service account and set {slot} to it"
        ),
        Some("invalid_scope" | "unauthorized_client") => {
            "the account may not have tokens for what the pack asks: check what is enabled for it".into()
        }
        _ => format!("check the service account of {slot} and its key"),
    }
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}
