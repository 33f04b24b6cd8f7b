//! `rig:pack/client`: reports of progress to whoever made the call, and questions to the person behind it. How they are shown, and
//! whether there is a person at all, is the caller's part; here is what bounds them.
//!
//! A caller that cannot wait for a person ends the call and runs the tool again when it has the answer. So a question is denied once
//! the call has, or may have, changed something: see [`Changes`].

use std::{
    collections::BTreeSet,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};
use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use crate::{
    sandbox::{bindings::rig::pack::client as generated, form::Form, instance::State, watch::Watch},
    words::plain,
};
use generated::{Answer, AskError as Refusal};

/// Questions of one call. More is an interview, and should be arguments.
const MAX_QUESTIONS: usize = 8;
/// How long one question waits for a person: long enough to look something up, short enough to give back what the call holds.
const ANSWER_TIME: Duration = Duration::from_mins(5);
/// The length of a question's key in bytes.
const MAX_KEY: usize = 64;
/// The length of a question's message in bytes: a few paragraphs.
const MAX_QUESTION: usize = 4 << 10;
/// The length of a report's message in bytes: a line.
const MAX_REPORT: usize = 1 << 10;
/// Reports that are passed on however fast they come.
const REPORTS_AT_ONCE: u32 = 100;
/// The pause between later ones: as often as an eye follows, or a hundredth of the time so far, so that a call has some hundred
/// reports however long it runs.
const REPORT_PAUSE: Duration = Duration::from_millis(100);

/// How far a call is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// How much is done, in the tool's own unit; grows from report to report of one attempt.
    pub done: f64,
    /// What `done` will be in the end.
    pub total: Option<f64>,
    /// What is going on, on one line. Safe to show.
    pub message: Option<String>,
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Names the question within the call. Those of inner calls begin with the name of their tool and a slash.
    pub key: String,
    /// The tool that asks, when it is not the one that was called.
    pub from: Option<String>,
    /// What is asked. Safe to show; line breaks are those of the pack.
    pub message: String,
    /// The form to fill in.
    pub form: Form,
}

/// What the person did with a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// They filled in the form. [`Form::accept`] is applied to it again before the pack sees it.
    Accepted(Map<String, Value>),
    /// They said no.
    Declined,
    /// They turned away.
    Cancelled,
}

/// Why nobody was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The pack may not ask, or not now.
    #[error("{0}")]
    Denied(String),
    /// There is nobody to ask, or no answer that can be used.
    #[error("{0}")]
    Unavailable(String),
}

/// The answer to a question, when it comes.
pub type AskFuture<'a> = Pin<Box<dyn Future<Output = std::result::Result<Reply, AskError>> + Send + 'a>>;

/// Whoever made a call.
pub trait Client: Send + Sync {
    /// Shows how far the call is. Must not block. A further attempt of a call, and an inner call, counts from the start again.
    fn progress(&self, progress: Progress);

    /// Asks the person. A caller that cannot wait cancels the call and never answers.
    fn ask(&self, question: Question) -> AskFuture<'_>;
}

impl fmt::Debug for dyn Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// What a call did that may have changed something, so that it must not be run again from the start.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Changes(Option<&'static str>);

impl Changes {
    pub(in crate::sandbox) fn request(&mut self, method: &str) {
        if !matches!(method, "GET" | "HEAD") {
            self.mark("sent a request with a method other than GET and HEAD");
        }
    }

    pub(in crate::sandbox) fn storage(&mut self) {
        self.mark("changed its storage");
    }

    pub(in crate::sandbox) fn invoke(&mut self) {
        self.mark("called another tool");
    }

    fn mark(&mut self, what: &'static str) {
        self.0.get_or_insert(what);
    }

    /// What it did first.
    pub(in crate::sandbox) fn first(&self) -> Option<&'static str> {
        self.0
    }
}

fn too_late(what: &str) -> String {
    format!(
        "ask before you change anything: this call has already {what}, and may be run again from the start for the answer"
    )
}

/// What was reported and asked so far.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Said {
    reports: u32,
    last_report: Duration,
    done: Option<f64>,
    asked: BTreeSet<String>,
}

impl Said {
    /// Whether a report at this time of the call is passed on.
    fn admits(&mut self, done: f64, now: Duration) -> bool {
        let grows = done.is_finite() && done >= 0.0 && self.done.is_none_or(|last| done > last);
        let pause = REPORT_PAUSE.max(now / 100);
        if !grows || (self.reports >= REPORTS_AT_ONCE && now.saturating_sub(self.last_report) < pause) {
            return false;
        }
        (self.reports, self.last_report, self.done) = (self.reports + 1, now, Some(done));
        true
    }

    /// Notes that a question is asked, unless it must not be.
    fn asks(&mut self, key: &str) -> std::result::Result<(), Refusal> {
        if self.asked.len() >= MAX_QUESTIONS {
            return Err(Refusal::Denied(format!("this call has asked {MAX_QUESTIONS} questions, which is all it may")));
        }
        if !self.asked.insert(key.to_owned()) {
            return Err(Refusal::Invalid(format!("the question `{key}` was asked before in this call")));
        }
        Ok(())
    }
}

/// The client that an inner call gets: that of the outer call, whose clock stands still as well while a person is asked.
struct Relay {
    client: Arc<dyn Client>,
    watch: Arc<Watch>,
    /// What the outer call changed before.
    changed: Option<&'static str>,
}

impl Client for Relay {
    fn progress(&self, progress: Progress) {
        self.client.progress(progress);
    }

    fn ask(&self, question: Question) -> AskFuture<'_> {
        Box::pin(async move {
            if let Some(what) = self.changed {
                return Err(AskError::Denied(too_late(what)));
            }
            let _pause = self.watch.pause(ANSWER_TIME);
            self.client.ask(question).await
        })
    }
}

/// The client for an inner call that starts now.
pub(in crate::sandbox) fn relay(
    client: &Arc<dyn Client>,
    watch: &Arc<Watch>,
    changed: Option<&'static str>,
) -> Arc<dyn Client> {
    Arc::new(Relay { client: Arc::clone(client), watch: Arc::clone(watch), changed })
}

struct Caller<'a> {
    client: Option<&'a Arc<dyn Client>>,
    may_ask: bool,
    changed: Option<&'static str>,
    said: &'a mut Said,
    started: Instant,
    watch: &'a Arc<Watch>,
}

struct HasCaller;

impl HasData for HasCaller {
    type Data<'a> = Caller<'a>;
}

impl Caller<'_> {
    async fn answer(&mut self, key: &str, message: &str, schema: &str) -> std::result::Result<Answer, Refusal> {
        if !self.may_ask {
            let why = "this pack may not ask people: its manifest has no [ask], or the project did not grant it";
            return Err(Refusal::Denied(why.into()));
        }
        if let Some(what) = self.changed {
            return Err(Refusal::Denied(too_late(what)));
        }
        check_key(key).map_err(Refusal::Invalid)?;
        let message = question(message).map_err(Refusal::Invalid)?;
        let form = Form::parse(schema).map_err(|why| Refusal::Invalid(format!("the question `{key}`: {why}")))?;
        self.said.asks(key)?;
        let Some(client) = self.client else {
            return Err(Refusal::Unavailable(
                "nobody can be asked here: the call was not made by a client with a person".into(),
            ));
        };
        let asked = client.ask(Question { key: key.to_owned(), from: None, message, form: form.clone() });
        let pause = self.watch.pause(ANSWER_TIME);
        let replied = tokio::time::timeout(ANSWER_TIME, asked).await;
        drop(pause);
        match replied {
            Ok(Ok(Reply::Accepted(answer))) => {
                let answer = form.accept(answer).map_err(|why| {
                    Refusal::Unavailable(format!("the answer to the question `{key}` does not fit it: {why}"))
                })?;
                Ok(Answer::Accepted(Value::Object(answer).to_string()))
            }
            Ok(Ok(Reply::Declined)) => Ok(Answer::Declined),
            Ok(Ok(Reply::Cancelled)) => Ok(Answer::Cancelled),
            Ok(Err(AskError::Denied(why))) => Err(Refusal::Denied(why)),
            Ok(Err(AskError::Unavailable(why))) => Err(Refusal::Unavailable(why)),
            Err(_) => Err(Refusal::Unavailable(format!(
                "nobody answered the question `{key}` within {} s",
                ANSWER_TIME.as_secs()
            ))),
        }
    }
}

fn check_key(key: &str) -> std::result::Result<(), String> {
    let good = key.len() <= MAX_KEY
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if good {
        return Ok(());
    }
    let shown: String = key.escape_debug().take(MAX_KEY).collect();
    Err(format!(
        "`{shown}` is not a key: a lower-case letter, then lower-case letters, digits and underscores, {MAX_KEY} at most"
    ))
}

fn question(message: &str) -> std::result::Result<String, String> {
    if message.trim().is_empty() || message.len() > MAX_QUESTION {
        return Err(format!(
            "the message is {} bytes long; it has text, and at most {MAX_QUESTION} bytes",
            message.len()
        ));
    }
    Ok(message.lines().map(plain).collect::<Vec<_>>().join("\n"))
}

impl generated::Host for Caller<'_> {
    fn progress(&mut self, done: f64, total: Option<f64>, message: Option<String>) -> Result<()> {
        let Some(client) = self.client else { return Ok(()) };
        if self.said.admits(done, self.started.elapsed()) {
            let message = message.map(|text| plain(&text[..text.floor_char_boundary(MAX_REPORT)]));
            client.progress(Progress { done, total: total.filter(|total| total.is_finite()), message });
        }
        Ok(())
    }

    async fn ask(
        &mut self,
        key: String,
        message: String,
        schema: String,
    ) -> Result<std::result::Result<Answer, Refusal>> {
        Ok(self.answer(&key, &message, &schema).await)
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    generated::add_to_linker::<State, HasCaller>(linker, |state| Caller {
        client: state.reach.client.as_ref(),
        may_ask: state.reach.ask,
        changed: state.changed(),
        said: &mut state.said,
        started: state.started,
        watch: &state.watch,
    })
}

#[cfg(test)]
mod tests;
