//! Access tokens for the secrets that are traded for one: from the gate's cache, or minted by a request of their own, which is counted
//! and recorded as the pack's requests are.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE},
};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout_at},
};

use super::{
    super::{
        HttpError, Tape,
        allow::url::Target,
        inject::{
            service_account::TokenSource,
            token::{self, Cell, CredentialError, Held, Token},
        },
    },
    CallEgress, Outgoing, is_encoded,
};
use crate::secrets::Secret;

impl CallEgress {
    /// The tokens that go to that target. Call it for requests that are granted only.
    pub(super) async fn tokens(&self, target: &Target, deadline: Instant) -> Result<Held, HttpError> {
        let mut held = Held::default();
        for (slot, source, secret) in self.reach.bindings.traded(target, &self.secrets, self.gate.is_own(target.host()))
        {
            let key = source.key(secret);
            if self.gate.tape().is_some_and(Tape::replays) {
                // Nothing is sent, so nobody has to take it.
                held.add(slot, key, Arc::new(OnceCell::new_with(Some(Token::stand_in()))));
                continue;
            }
            let cell = self.gate.tokens.cell(key);
            let minted = cell.get_or_try_init(|| self.mint(slot, source, secret, deadline)).await;
            if let Err(error) = minted {
                let guest = error.for_guest();
                self.fail(error);
                return Err(guest);
            }
            self.learn(slot, &cell);
            held.add(slot, key, cell);
        }
        Ok(held)
    }

    async fn mint(
        &self,
        slot: &str,
        source: &TokenSource,
        secret: &Secret,
        deadline: Instant,
    ) -> Result<Token, CredentialError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let body = source.request(secret, now).map_err(|problem| {
            CredentialError::key(format!("the secret `{slot}` cannot be used: {problem}"), problem.hint(slot))
        })?;
        let unreached = |error: HttpError| CredentialError::unreached(slot, &error.redacted(&self.redactor()));
        self.count().map_err(unreached)?;
        let headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
        ]);
        let target = source.target();
        let outgoing = Outgoing {
            method: Method::POST,
            target: target.clone(),
            headers,
            body: Some(Bytes::copy_from_slice(body.as_bytes())),
        };
        let record = self.begin(&outgoing);
        let answer = self.ask(outgoing, deadline).await;
        record.finish(answer.as_ref());
        let answer = answer.map_err(unreached)?;
        let assertion = body.split(['=', '&']).nth(1).unwrap_or_default();
        token::read(slot, target.host(), &answer, assertion, &self.redactor())
    }

    async fn ask(&self, outgoing: Outgoing, deadline: Instant) -> Result<super::Answer, HttpError> {
        let Outgoing { method, target, headers, body } = outgoing;
        self.gate.check_address(&target)?;
        let exchange = self.gate.exchange(method, &target, headers, body);
        let Ok(answer) = timeout_at(deadline, exchange).await else {
            return Err(HttpError::Timeout(format!(
                "{} did not answer within the time for the request",
                target.host()
            )));
        };
        let answer = answer?;
        if is_encoded(&answer.headers) {
            return Err(HttpError::Protocol(format!(
                "{} sent a compressed answer though none was asked for",
                target.host()
            )));
        }
        Ok(answer)
    }

    /// From now on the call's redactor knows the token.
    fn learn(&self, slot: &str, cell: &Cell) {
        let mut known = self.known();
        if !known.tokens.iter().any(|(_, kept)| Arc::ptr_eq(kept, cell)) {
            known.tokens.push((slot.to_owned(), Arc::clone(cell)));
            known.redactor = None;
        }
    }

    fn fail(&self, error: CredentialError) {
        self.known().failure = Some(error);
    }
}
