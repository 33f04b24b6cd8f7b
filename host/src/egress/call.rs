//! One request of one call, from the guest's text to the redacted answer: the order of the gate's steps stands here and nowhere else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
        CONTENT_TYPE, COOKIE, LOCATION,
    },
};
use tokio::time::{Instant, timeout_at};

use super::{
    Gate, HttpError, Reach, Redactor, Request, Response, Sent, Tape, Traffic,
    allow::{Permit, url::Target},
    client::Answer,
    headers,
    inject::token::{Cell, CredentialError, Held},
    limits, tape,
};
use crate::secrets::CallSecrets;

mod token;

/// The way out for one call of one tool.
#[derive(Debug)]
pub struct CallEgress {
    gate: Arc<Gate>,
    reach: Arc<Reach>,
    secrets: Arc<CallSecrets>,
    known: Mutex<Known>,
    records: Mutex<Records>,
}

/// What is known of the call's secrets so far.
#[derive(Debug, Default)]
struct Known {
    /// Made when it is first needed, and anew after the call got a token.
    redactor: Option<Arc<Redactor>>,
    /// The tokens that the call's requests carried, by slot.
    tokens: Vec<(String, Cell)>,
    /// Why a secret could not be traded for a token.
    failure: Option<CredentialError>,
}

/// What one request did, for the audit. Redirects that were followed are requests of their own, and so are those for tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressRecord {
    /// The host, without the port.
    pub host: String,
    /// The method.
    pub method: String,
    /// The status of the answer, when there was one.
    pub status: Option<u16>,
    /// Bytes of the request's body.
    pub bytes_sent: u64,
    /// Bytes of the answer's body.
    pub bytes_received: u64,
    /// Why the guest got no answer: a kind of [`HttpError`], or `cancelled` when the call ended first.
    pub error: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Records {
    /// With those that never became a record because their URL could not be read.
    attempts: usize,
    list: Vec<EgressRecord>,
}

/// What goes out, between checks and redirects.
struct Outgoing {
    method: Method,
    target: Target,
    headers: HeaderMap,
    body: Option<Bytes>,
}

impl CallEgress {
    /// Allocates next to nothing: most calls never send a request. `secrets` are those of the tool's own slots.
    #[must_use]
    pub fn new(gate: Arc<Gate>, reach: Arc<Reach>, secrets: Arc<CallSecrets>) -> Self {
        Self { gate, reach, secrets, known: Mutex::default(), records: Mutex::default() }
    }

    /// Sends a request, if it is granted, and waits for the whole answer. Requests of one call may run at once.
    ///
    /// # Errors
    /// Every reason for having no answer; an answer of status 500 is an answer.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let limit = request.timeout.map_or(limits::REQUEST_TIME, |wanted| wanted.min(limits::REQUEST_TIME));
        let deadline = Instant::now() + limit;
        match self.follow(request, deadline).await {
            Ok(answer) => Ok(self.redact(answer)),
            Err(error) => Err(error.redacted(&self.redactor())),
        }
    }

    /// What was sent so far, in the order of sending.
    #[must_use]
    pub fn records(&self) -> Vec<EgressRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).list.clone()
    }

    /// Notes what went through unread, over connections that the pack's own process made: no method and no status are known of that.
    pub fn passed(&self, through: Traffic) {
        let Traffic { host, connections, refused, bytes_sent, bytes_received } = through;
        let record = |host: &str, error| EgressRecord {
            host: host.to_owned(),
            method: "CONNECT".into(),
            status: None,
            bytes_sent: 0,
            bytes_received: 0,
            error,
        };
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if connections > 0 || bytes_sent + bytes_received > 0 {
            records.list.push(EgressRecord { bytes_sent, bytes_received, ..record(&host, None) });
        }
        if refused > 0 {
            records.list.push(record(&host, Some("denied")));
        }
    }

    /// Blanks the secrets of the call, for what else comes out of it: output, errors, log lines.
    #[must_use]
    pub fn redactor(&self) -> Arc<Redactor> {
        let mut known = self.known();
        if let Some(redactor) = &known.redactor {
            return Arc::clone(redactor);
        }
        let parts: Vec<_> = self.reach.bindings.parts(&self.secrets).collect();
        let parts = parts.iter().map(|(slot, part)| (*slot, part));
        let tokens = known.tokens.iter().filter_map(|(slot, cell)| Some((slot.as_str(), cell.get()?.value())));
        let redactor = Arc::new(Redactor::with(&self.secrets, parts.chain(tokens)));
        known.redactor = Some(Arc::clone(&redactor));
        redactor
    }

    /// Why a secret could not be traded for a token since this was last asked. A tool that failed has failed for that reason, whatever
    /// it made of it.
    pub fn take_failure(&self) -> Option<CredentialError> {
        self.known().failure.take()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request and the redirects that its rules let the host follow.
    async fn follow(&self, request: Request, deadline: Instant) -> Result<Answer, HttpError> {
        self.count()?;
        let mut outgoing = read(request)?;
        let mut redirects = 0;
        let mut again = false;
        loop {
            let permit = self.permit(&outgoing);
            let tokens = match permit {
                Ok(_) => self.tokens(&outgoing.target, deadline).await,
                Err(_) => Ok(Held::default()),
            };
            let record = self.begin(&outgoing);
            let outcome = match (permit, &tokens) {
                (Ok(permit), Ok(tokens)) => {
                    self.exchange(&outgoing, tokens, deadline).await.map(|answer| (answer, permit))
                }
                (Err(error), _) => Err(error),
                (_, Err(error)) => Err(error.clone()),
            };
            record.finish(outcome.as_ref().map(|(answer, _)| answer));
            let (answer, permit) = outcome?;
            if tokens.is_ok_and(|tokens| tokens.judge(answer.status, &self.gate.tokens)) && !again {
                again = true;
            } else if !permit.follow || !outgoing.redirect(&answer, self)? {
                return Ok(answer);
            } else {
                redirects += 1;
            }
            if redirects > limits::REDIRECTS {
                return Err(HttpError::Protocol(format!(
                    "{} redirects more than {} times",
                    outgoing.target.host(),
                    limits::REDIRECTS
                )));
            }
            self.count()?;
        }
    }

    /// Allow → block private addresses, for addresses in the URL. Names are resolved, and their addresses blocked, while connecting.
    fn permit(&self, outgoing: &Outgoing) -> Result<Permit, HttpError> {
        let Self { gate, reach, .. } = self;
        let permit = reach.rules.permit(outgoing.method.as_str(), &outgoing.target).map_err(HttpError::Denied)?;
        gate.check_address(&outgoing.target)?;
        gate.refuse_offline()?;
        reach.bindings.refuse_owned(&outgoing.target, &outgoing.headers)?;
        Ok(permit)
    }

    /// Inject → send, for a request that is granted.
    async fn exchange(&self, outgoing: &Outgoing, tokens: &Held, deadline: Instant) -> Result<Answer, HttpError> {
        let Self { gate, reach, secrets, .. } = self;
        let host = outgoing.target.host();
        let mut target = outgoing.target.clone();
        let mut headers = outgoing.headers.clone();
        let injected = reach.bindings.apply(secrets, tokens, &mut target, &mut headers, gate.is_own(host))?;
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));

        let exchange = async {
            let exchange = gate.exchange(outgoing.method.clone(), &target, headers, outgoing.body.clone());
            timeout_at(deadline, exchange).await.unwrap_or_else(|_| {
                Err(HttpError::Timeout(format!("{host} did not answer within the time for the request")))
            })
        };
        let answer = match gate.tape() {
            None => exchange.await,
            Some(tape) => self.on_tape(tape, outgoing, exchange).await,
        }?;
        if injected && is_encoded(&answer.headers) {
            return Err(HttpError::Protocol(format!(
                "{host} sent a compressed answer though none was asked for; it cannot be searched for the secrets it was sent"
            )));
        }
        Ok(answer)
    }

    /// Sends and records, or answers from the recording. Neither the request nor the answer that is kept holds a secret: the request
    /// is the guest's own, before anything was put into it.
    async fn on_tape(
        &self,
        tape: &Tape,
        outgoing: &Outgoing,
        exchange: impl Future<Output = Result<Answer, HttpError>>,
    ) -> Result<Answer, HttpError> {
        let slots = self.reach.bindings.slots(&self.secrets, outgoing.target.host());
        let sent = outgoing.sent(&self.redactor(), slots);
        if let Some(answer) = tape.replay(&sent) {
            return answer.and_then(tape::answer_of);
        }
        let outcome = exchange.await;
        let kept = match &outcome {
            Ok(answer) => Ok(self.redact(answer.clone())),
            Err(error) => Err(error.clone().redacted(&self.redactor())),
        };
        tape.record(sent, kept);
        outcome
    }

    fn count(&self) -> Result<(), HttpError> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.attempts += 1;
        if records.attempts > limits::REQUESTS {
            return Err(HttpError::Denied(format!(
                "this call has made {} requests, which is all it may",
                limits::REQUESTS
            )));
        }
        Ok(())
    }

    fn begin(&self, outgoing: &Outgoing) -> Begun<'_> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.list.push(EgressRecord {
            host: outgoing.target.host().to_owned(),
            method: outgoing.method.to_string(),
            status: None,
            bytes_sent: outgoing.body.as_ref().map_or(0, |body| body.len() as u64),
            bytes_received: 0,
            // Stands when the future is dropped: the call was cancelled, or the guest ended.
            error: Some("cancelled"),
        });
        Begun { records: &self.records, index: records.list.len() - 1 }
    }

    fn redact(&self, answer: Answer) -> Response {
        let redactor = self.redactor();
        let length = answer.body.len();
        let body = redactor.bytes(answer.body);
        let mut fields = Vec::with_capacity(answer.headers.len());
        for (name, value) in &answer.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let value = match redactor.text(&value).into_owned() {
                _ if name == CONTENT_LENGTH && body.len() != length => body.len().to_string(),
                value => value,
            };
            fields.push((redactor.text(name.as_str()).into_owned(), value));
        }
        Response { status: answer.status, headers: fields, body }
    }
}

/// A record that waits for its end.
struct Begun<'a> {
    records: &'a Mutex<Records>,
    index: usize,
}

impl Begun<'_> {
    fn finish(self, outcome: Result<&Answer, &HttpError>) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = records.list.get_mut(self.index) else { return };
        record.error = outcome.err().map(HttpError::kind);
        if let Ok(answer) = outcome {
            record.status = Some(answer.status);
            record.bytes_received = answer.body.len() as u64;
        } else if record.error.is_some_and(|kind| matches!(kind, "denied" | "invalid-request" | "dns" | "connect")) {
            record.bytes_sent = 0;
        }
    }
}

/// Checks a request as far as it can be on its own.
fn read(request: Request) -> Result<Outgoing, HttpError> {
    let method = request.method;
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let is_extension = method.len() <= 32 && !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
    // CONNECT opens tunnels and TRACE echoes headers, injected ones among them.
    if !known.contains(&method.as_str()) && (!is_extension || matches!(method.as_str(), "CONNECT" | "TRACE")) {
        let shown: String = method.chars().take(32).collect();
        return Err(HttpError::InvalidRequest(format!("the method `{}` cannot be used", shown.escape_debug())));
    }
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| HttpError::InvalidRequest("the method is not an upper-case word".into()))?;
    let size = request.body.as_ref().map_or(0, Vec::len);
    if size > limits::REQUEST_BODY {
        let allowed = limits::REQUEST_BODY >> 20;
        return Err(HttpError::TooLarge(format!(
            "the body of the request has {size} bytes; {allowed} MiB are allowed"
        )));
    }
    let target = Target::parse(&request.url).map_err(|problem| {
        let shown: String = request.url.chars().take(100).collect();
        HttpError::InvalidRequest(format!("the URL `{}` is refused: {problem}", shown.escape_debug()))
    })?;
    let headers = headers::from_guest(&request.headers, size)?;
    Ok(Outgoing { method, target, headers, body: request.body.map(Bytes::from) })
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

impl Outgoing {
    /// The request as the guest made it, for a tape.
    fn sent(&self, redactor: &Redactor, slots: Vec<String>) -> Sent {
        let header = |(name, value): (&http::HeaderName, &HeaderValue)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), redactor.text(&value).into_owned())
        };
        Sent {
            method: self.method.to_string(),
            url: redactor.text(self.target.url().as_str()).into_owned(),
            headers: self.headers.iter().map(header).collect(),
            body: self.body.as_ref().map(|body| redactor.bytes(body.to_vec())).unwrap_or_default(),
            slots,
        }
    }

    /// Becomes the request that a redirect asks for; `false` when the answer is none.
    fn redirect(&mut self, answer: &Answer, call: &CallEgress) -> Result<bool, HttpError> {
        let Some(location) = answer.headers.get(LOCATION).filter(|_| matches!(answer.status, 301..=303 | 307 | 308))
        else {
            return Ok(false);
        };
        let from = self.target.host().to_owned();
        let refuse = |why: &str| HttpError::Protocol(format!("{from} redirects to a URL that is refused: {why}"));
        let location = location.to_str().map_err(|_| refuse("it is not text"))?;
        let mut target = self.target.join(location).map_err(|problem| refuse(&problem.to_string()))?;
        call.reach.bindings.strip_owned(&mut target);
        // Copied from the request by the service, it would go to a host that the secret is not bound to, or into its log.
        if call.redactor().finds(target.url().as_str().as_bytes()) {
            return Err(HttpError::Denied(format!(
                "{from} redirects to a URL that holds a secret; it is not followed"
            )));
        }
        // RFC 9110, 15.4: after 303, and by old custom after 301 and 302 of a POST, the body is not sent again.
        let becomes_get = match answer.status {
            303 => self.method != Method::HEAD,
            301 | 302 => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = None;
            for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION] {
                self.headers.remove(name);
            }
        }
        let same_origin = (target.scheme(), target.host(), target.port())
            == (self.target.scheme(), self.target.host(), self.target.port());
        if !same_origin {
            // The guest's own credentials were meant for the first host.
            self.headers.remove(AUTHORIZATION);
            self.headers.remove(COOKIE);
        }
        self.target = target;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
