//! Commands that ask a running gateway instead of the project here: `--url`. The gateway decides everything; what is here asks and
//! reads the answer.

use std::env;

use http::HeaderValue;
use rig_host::egress::{Answered, Gate, Remote, Settings};
use rig_specs::{
    rgp::ErrorBody,
    rtp::{CallContext, ErrorKind, ToolResult},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    render,
    report::{Failure, exit},
    session::Session,
};

/// The bearer token for the gateway: in the environment, because everybody on a machine can read command lines.
const TOKEN: &str = "RIG_TOKEN";
/// The header that says who decides.
const ACTOR: &str = "x-rig-actor-id";

/// The gateway that a command asks.
pub struct Gateway(Remote);

impl Gateway {
    pub fn new(session: &Session, url: &str) -> Result<Self, Failure> {
        let gate = Gate::new(&Settings { offline: session.offline, ..Settings::default() })?;
        let token = env::var(TOKEN).ok().filter(|token| !token.is_empty()).map(Zeroizing::new);
        Ok(Self(Remote::new(gate, url, token)?))
    }

    /// What a path holds.
    pub fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Failure> {
        read(&Session::block_on(ended(self.0.get(path)))??)
    }

    /// Calls a tool. `args` is one JSON object; it is sent as it stands.
    pub fn call(&self, tool: &str, args: &str, context: &CallContext) -> Result<ToolResult, Failure> {
        let context =
            json!({ "tenant_id": context.tenant_id, "request_id": context.request_id, "actor": context.actor });
        let body = format!("{{\"context\":{context},\"args\":{args}}}");
        let path = format!("{tool}:call");
        read(&Session::block_on(ended(self.0.post(&["v1", "tools", &path], &[], body)))??)
    }

    /// Approves or denies a waiting call.
    pub fn decide(&self, token: &str, what: &str, by: &str) -> Result<Value, Failure> {
        let by = HeaderValue::from_str(by).ok().filter(|by| by.to_str().is_ok());
        let by = by.ok_or_else(|| {
            Failure::usage("the name of who decides is sent in a header and can hold ASCII only")
                .with_hint("give another one: --by NAME")
        })?;
        let path = format!("{token}:{what}");
        let (path, headers) = (["v1", "approvals", &path], [(ACTOR, by)]);
        read(&Session::block_on(ended(self.0.post(&path, &headers, "{}".into())))??)
    }
}

/// Shows the result of a call, and says it in the exit code, as for a call in this process.
pub fn show(result: &ToolResult) -> Result<u8, Failure> {
    render::json(result)?;
    Ok(match &result.error {
        None => exit::DONE,
        Some(error) if error.kind == ErrorKind::ApprovalRequired => exit::APPROVAL_REQUIRED,
        Some(_) => exit::TOOL_ERROR,
    })
}

/// Ctrl-C hangs up, and the gateway ends the call.
async fn ended<E>(asked: impl Future<Output = Result<Answered, E>>) -> Result<Answered, Failure>
where
    Failure: From<E>,
{
    tokio::select! {
        answered = asked => Ok(answered?),
        _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted; the gateway was told by hanging up")),
    }
}

fn read<T: DeserializeOwned>(answered: &Answered) -> Result<T, Failure> {
    let strange = || {
        Failure::new(format!("what answers there (status {}) is not a gateway of rig", answered.status))
            .with_hint("check the address; `rig serve` prints the one it listens on")
    };
    if answered.status == 200 {
        return serde_json::from_slice(&answered.body).map_err(|_| strange());
    }
    let body: ErrorBody = serde_json::from_slice(&answered.body).map_err(|_| strange())?;
    let failure = Failure::new(format!("the gateway refuses: {}", body.detail));
    Err(match answered.status {
        401 => failure.with_hint(format!("set {TOKEN} to a token of your tenant")),
        403 if body.detail.contains("approvers") => {
            failure.with_hint(format!("set {TOKEN} to a token that `rig tenant new ID --approver` made"))
        }
        _ => failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let answered = |status, body: &str| Answered { status, body: body.as_bytes().to_vec() };
        assert_eq!(read::<Value>(&answered(200, "[1]")).unwrap(), json!([1]));
        for (answer, message) in [
            (answered(200, "<html>"), "what answers there (status 200) is not a gateway of rig"),
            (answered(302, ""), "what answers there (status 302) is not a gateway of rig"),
            (answered(401, r#"{"error":"unauthorized","detail":"no"}"#), "the gateway refuses: no"),
        ] {
            assert_eq!(read::<Value>(&answer).unwrap_err().to_string(), message);
        }
    }
}
