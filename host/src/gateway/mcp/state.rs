//! What a call that waits for an answer leaves with its client, in the stateless era: which call it is, and what was answered so far.
//!
//! The client carries it and must not read or change it, so it is sealed with a key of this process. A restart ends all waiting
//! calls: they are made again.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rig_specs::Sha256;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use rmcp::ErrorData;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::sandbox::Reply;

/// For how long a person may think about one question, in seconds.
const LIFETIME: u64 = 900;
/// The longest state that is taken or given: clients carry it in a message.
const MAX_STATE: usize = 64 << 10;
/// What is sealed here is good for nothing else.
const PURPOSE: &[u8] = b"rig: state of an MCP request, version 1";

/// The call that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Call {
    /// The tool's full name.
    pub(super) tool: String,
    /// Of the arguments.
    pub(super) args: Sha256,
    /// For whom it is made.
    pub(super) tenant: Option<String>,
    /// The component that asked: another version asks something else.
    pub(super) pack: Sha256,
}

/// What was answered so far, by the question's key.
pub(super) type Answers = BTreeMap<String, Answered>;

/// One answer, and the hash of the question that it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) question: Sha256,
    reply: Stored,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Stored {
    Accepted(Map<String, Value>),
    Declined,
    Cancelled,
}

impl Answered {
    pub(super) fn new(question: Sha256, reply: &Reply) -> Self {
        let reply = match reply {
            Reply::Accepted(answer) => Stored::Accepted(answer.clone()),
            Reply::Declined => Stored::Declined,
            Reply::Cancelled => Stored::Cancelled,
        };
        Self { question, reply }
    }

    pub(super) fn reply(&self) -> Reply {
        match &self.reply {
            Stored::Accepted(answer) => Reply::Accepted(answer.clone()),
            Stored::Declined => Reply::Declined,
            Stored::Cancelled => Reply::Cancelled,
        }
    }
}

/// The state of a waiting call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) call: Call,
    pub(super) answers: Answers,
    /// The approval that a person is asked for, when that is what is waited for.
    pub(super) approval: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    /// Seconds since 1970.
    until: u64,
    state: State,
}

/// Seals and opens states.
pub(super) struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Seal {
    /// With a key of its own. None on a machine without random numbers, where nothing can be sealed.
    pub(super) fn new() -> Option<Self> {
        let random = SystemRandom::new();
        let mut key = [0; 32];
        random.fill(&mut key).ok()?;
        let key = UnboundKey::new(&AES_256_GCM, &key).ok()?;
        Some(Self { key: LessSafeKey::new(key), random })
    }

    /// The state as text for the client.
    pub(super) fn seal(&self, state: State) -> Result<String, ErrorData> {
        self.seal_until(state, now().saturating_add(LIFETIME))
    }

    fn seal_until(&self, state: State, until: u64) -> Result<String, ErrorData> {
        let broken = |_| ErrorData::internal_error("the state of the call cannot be sealed", None);
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(broken)?;
        let mut text = serde_json::to_vec(&Sealed { until, state }).map_err(|error| {
            ErrorData::internal_error(format!("the state of the call cannot be kept: {error}"), None)
        })?;
        let nonce_value = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce_value, Aad::from(PURPOSE), &mut text).map_err(broken)?;
        let sealed = URL_SAFE_NO_PAD.encode([&nonce[..], &text].concat());
        if sealed.len() > MAX_STATE {
            let why = format!("the answers to this call's questions are longer than {MAX_STATE} bytes together");
            return Err(ErrorData::invalid_params(why, None));
        }
        Ok(sealed)
    }

    /// The state that a client gives back, if it is one of this process for this call, and not too old.
    pub(super) fn open(&self, text: &str, call: &Call) -> Result<State, ErrorData> {
        self.open_at(text, call, now())
    }

    fn open_at(&self, text: &str, call: &Call, now: u64) -> Result<State, ErrorData> {
        let refused = |why: &str| {
            let message = format!("the requestState {why}; make the call again without it");
            ErrorData::invalid_params(message, None)
        };
        let foreign = || refused("is none that this server gave out, or was changed");
        if text.len() > MAX_STATE {
            return Err(foreign());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| foreign())?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN).ok_or_else(foreign)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| foreign())?;
        let mut sealed = sealed.to_vec();
        let opened = self.key.open_in_place(nonce, Aad::from(PURPOSE), &mut sealed).map_err(|_| foreign())?;
        let Sealed { until, state } = serde_json::from_slice(opened).map_err(|_| foreign())?;
        if state.call != *call {
            return Err(refused("belongs to another call"));
        }
        if now >= until {
            return Err(refused("is too old"));
        }
        Ok(state)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call() -> Call {
        Call {
            tool: "a.b.c".into(),
            args: Sha256::of(b"{}"),
            tenant: Some("acme".into()),
            pack: Sha256::of(b"component"),
        }
    }

    fn state() -> State {
        let Value::Object(answer) = json!({ "name": "Ada" }) else { unreachable!() };
        let answered = Answered::new(Sha256::of(b"q"), &Reply::Accepted(answer));
        State { call: call(), answers: BTreeMap::from([("name".into(), answered)]), approval: Some("token".into()) }
    }

    fn refusal(opened: Result<State, ErrorData>) -> String {
        let error = opened.unwrap_err();
        assert_eq!(error.code, rmcp::model::ErrorCode::INVALID_PARAMS);
        error.message.into_owned()
    }

    #[test]
    fn what_was_sealed_is_opened_and_nobody_can_read_it() {
        let seal = Seal::new().unwrap();
        let text = seal.seal(state()).unwrap();
        assert_eq!(seal.open(&text, &call()).unwrap(), state());
        assert_ne!(text, seal.seal(state()).unwrap(), "each has its own nonce");
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        assert!(!bytes.windows(3).any(|window| window == b"Ada"));
    }

    #[test]
    fn changed_and_foreign_states_are_refused() {
        let seal = Seal::new().unwrap();
        let text = seal.seal(state()).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for position in [0, NONCE_LEN, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            let why = refusal(seal.open(&URL_SAFE_NO_PAD.encode(changed), &call()));
            assert!(why.contains("was changed"), "{why}");
        }
        let other = Seal::new().unwrap().seal(state()).unwrap();
        let long = "A".repeat(MAX_STATE + 1);
        let cut = &text[..text.len() - 8];
        for text in ["", "x", "not base64!", cut, &format!("{text}-TAMPERED"), &other, &long] {
            assert!(refusal(seal.open(text, &call())).contains("was changed"), "{}", &text[..text.len().min(40)]);
        }
    }

    #[test]
    fn a_state_is_good_for_its_own_call_and_time() {
        let seal = Seal::new().unwrap();
        let text = seal.seal_until(state(), 1000).unwrap();
        assert_eq!(seal.open_at(&text, &call(), 999).unwrap(), state());
        assert!(refusal(seal.open_at(&text, &call(), 1000)).contains("too old"));
        for other in [
            Call { tool: "a.b.d".into(), ..call() },
            Call { args: Sha256::of(b"{\"x\":1}"), ..call() },
            Call { tenant: None, ..call() },
            Call { pack: Sha256::of(b"another"), ..call() },
        ] {
            assert!(refusal(seal.open_at(&text, &other, 0)).contains("another call"), "{other:?}");
        }
    }

    #[test]
    fn a_state_has_an_end() {
        let Value::Object(long) = json!({ "text": "x".repeat(MAX_STATE) }) else { unreachable!() };
        let answered = Answered::new(Sha256::of(b"q"), &Reply::Accepted(long));
        let state = State { answers: BTreeMap::from([("a".into(), answered)]), ..state() };
        assert!(refusal(Seal::new().unwrap().seal(state).map(|_| super::tests::state())).contains("longer than"));
    }
}
