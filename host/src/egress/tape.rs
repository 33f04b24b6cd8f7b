//! A tape in the gate: it keeps what passes, or answers in place of the network. It sits where the connection would be made, so every
//! rule of the gate holds with it as without: what is not granted is refused before the tape, secrets are asked for, answers are
//! searched for them.
//!
//! What a request must be to get a recorded answer, and where recordings are kept, is decided by whoever makes the tape.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{HttpError, Response, client::Answer};

/// A request as the guest made it, without what rig adds, and with known secrets blanked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Headers with lower-case names, in order.
    pub headers: Vec<(String, String)>,
    /// The body; empty when there is none.
    pub body: Vec<u8>,
    /// The slots whose secrets go along.
    pub slots: Vec<String>,
}

/// A request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The request.
    pub sent: Sent,
    /// The answer without known secrets, or why there is none.
    pub outcome: Result<Response, HttpError>,
}

type Player = Box<dyn FnMut(&Sent) -> Result<Response, HttpError> + Send>;

/// A tape: one for each call.
pub struct Tape(Mutex<Kind>);

enum Kind {
    Record(Vec<Exchange>),
    Replay(Player),
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tape")
    }
}

impl Tape {
    /// One that keeps what passes.
    #[must_use]
    pub fn recording() -> Self {
        Self(Mutex::new(Kind::Record(Vec::new())))
    }

    /// One that answers. Nothing is sent.
    pub fn replaying(player: impl FnMut(&Sent) -> Result<Response, HttpError> + Send + 'static) -> Self {
        Self(Mutex::new(Kind::Replay(Box::new(player))))
    }

    /// Whether it answers, and nothing is sent.
    pub(super) fn replays(&self) -> bool {
        matches!(&*self.0.lock().unwrap_or_else(PoisonError::into_inner), Kind::Replay(_))
    }

    /// What was kept, in the order of the answers.
    #[must_use]
    pub fn recorded(&self) -> Vec<Exchange> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Kind::Record(exchanges) => exchanges.clone(),
            Kind::Replay(_) => Vec::new(),
        }
    }

    /// The answer, when this tape gives answers.
    pub(super) fn replay(&self, sent: &Sent) -> Option<Result<Response, HttpError>> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Kind::Record(_) => None,
            Kind::Replay(player) => Some(player(sent)),
        }
    }

    pub(super) fn record(&self, sent: Sent, outcome: Result<Response, HttpError>) {
        if let Kind::Record(exchanges) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            exchanges.push(Exchange { sent, outcome });
        }
    }
}

/// A recorded answer in the form in which one comes from the network.
pub(super) fn answer_of(response: Response) -> Result<Answer, HttpError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &response.headers {
        let bad = || HttpError::Protocol(format!("the recorded header `{}` cannot be used", name.escape_debug()));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?);
    }
    Ok(Answer { status: response.status, headers, body: response.body })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::testing::{Server, answer, call, gate, own, request},
        *,
    };

    const LOCAL: &str = r#"
        [[network]]
        host = "127.0.0.1"
        scheme = "http"
        port = PORT
        methods = ["GET", "POST"]
        paths = ["/a", "/a/*"]
        [secrets.TOKEN]
        hosts = ["127.0.0.1"]
        inject = { type = "bearer" }
    "#;

    const TOKEN: &str = "canary/token+0123456789";

    /// A gate of the tests' own with a tape in it.
    fn taped(tape: &Arc<Tape>) -> Arc<crate::egress::Gate> {
        let (gate, _) = gate(&own(&["127.0.0.1"]), &[]);
        Arc::new(Arc::into_inner(gate).unwrap().with_tape(Arc::clone(tape)))
    }

    #[tokio::test]
    async fn what_passes_is_kept_without_secrets() {
        let server = Server::http(|seen| answer(200, &[], seen.header("authorization").unwrap().to_owned())).await;
        let tape = Arc::new(Tape::recording());
        let call = call(&taped(&tape), LOCAL, server.port(), &[("TOKEN", TOKEN)]);
        // An author may well put the secret into a test's arguments.
        let url = server.url("/a/canary%2Ftoken%2B0123456789");
        call.send(request("GET", &url)).await.unwrap();
        let recorded = tape.recorded();
        let [exchange] = recorded.as_slice() else { panic!("{recorded:?}") };
        assert_eq!(exchange.sent.url, server.url("/a/[redacted:TOKEN]"));
        assert_eq!((exchange.sent.headers.len(), &exchange.sent.slots[..]), (0, &["TOKEN".to_owned()][..]));
        assert_eq!(exchange.outcome.as_ref().unwrap().body, b"Bearer [redacted:TOKEN]");
        assert!(!format!("{recorded:?}").contains("canary"));
        assert_eq!(server.seen()[0].header("authorization"), Some("Bearer canary/token+0123456789"), "and it was sent");
    }

    #[tokio::test]
    async fn a_recorded_answer_takes_the_place_of_the_network_and_of_nothing_else() {
        let server = Server::http(|_| answer(500, &[], "")).await;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let tape = Arc::new(Tape::replaying(move |sent| {
            log.lock().unwrap().push(sent.clone());
            Ok(Response { status: 201, headers: vec![("x-a".into(), "1".into())], body: TOKEN.into() })
        }));
        let gate = taped(&tape);
        let call = call(&gate, LOCAL, server.port(), &[("TOKEN", TOKEN)]);
        let response = call.send(request("POST", &server.url("/a"))).await.unwrap();
        assert_eq!((response.status, response.body.as_slice()), (201, &b"[redacted:TOKEN]"[..]));
        assert_eq!(call.records()[0].status, Some(201));

        let denied = call.send(request("DELETE", &server.url("/a"))).await.unwrap_err();
        assert_eq!(denied.kind(), "denied");
        let own_header = super::super::Request {
            headers: vec![("authorization".into(), "Bearer x".into())],
            ..request("GET", &server.url("/a"))
        };
        assert_eq!(call.send(own_header).await.unwrap_err().kind(), "invalid-request");
        assert_eq!(asked.lock().unwrap().len(), 1, "what the gate refuses never reaches the tape");
        assert!(server.seen().is_empty(), "nothing was sent");
    }
}
