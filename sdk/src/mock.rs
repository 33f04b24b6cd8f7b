//! Stand-ins for the host, so that a tool's function is called directly in a native unit test.
//!
//! ```
//! use rig_sdk::{http, json::json, mock};
//!
//! let mock = mock::http(|request| match request.path() {
//!     "/v1/items" => Ok(mock::Response::json(200, &json!({ "items": [] }))),
//!     _ => Ok(mock::Response::new(404)),
//! });
//! assert!(http::get("https://api.example.com/v1/items").query("limit", 5).send()?.is_success());
//! assert_eq!(mock.requests()[0].query(), "limit=5");
//! # Ok::<(), rig_sdk::Error>(())
//! ```
//!
//! Each stand-in lasts until its guard is dropped and is seen by its own thread only, so tests run side by side. Without one the
//! host grants nothing: requests are denied, settings are not set, there is no storage. Time is real unless [`clock`] fixes it;
//! random bytes follow a fixed sequence.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    rc::Rc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, de::DeserializeOwned};

pub use crate::bindings::rig::pack::http::HttpError;
use crate::{
    bindings::rig::pack::storage::StorageError, client::Answer, error::Error, json::Value, log::Level, tool::Context,
};

pub(crate) mod host;

type HttpHandler = Box<dyn FnMut(&Request) -> Result<Response, HttpError>>;
type InvokeHandler = Box<dyn FnMut(&str, Value) -> Result<Value, Error>>;
type ClientHandler = Box<dyn FnMut(&Question) -> Answer<Value>>;
type Shared<T> = Rc<RefCell<Vec<T>>>;

#[derive(Default)]
struct State {
    http: Option<(HttpHandler, Shared<Request>)>,
    invoke: Option<InvokeHandler>,
    client: Option<(ClientHandler, Shared<Question>, Shared<Progress>)>,
    config: BTreeMap<String, String>,
    now_ms: Option<u64>,
    random: u64,
    storage: Option<BTreeMap<String, Vec<u8>>>,
    log: Option<Shared<(Level, String)>>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn with<T>(f: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(f)
}

/// Ends a stand-in when it is dropped.
#[must_use = "the stand-in ends when this is dropped"]
pub struct Guard(Option<End>);

type End = Box<dyn FnOnce(&mut State)>;

impl Guard {
    fn new(end: impl FnOnce(&mut State) + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            with(end);
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// Answers the requests of this thread.
pub fn http(handler: impl FnMut(&Request) -> Result<Response, HttpError> + 'static) -> Http {
    let requests = Shared::default();
    with(|state| state.http = Some((Box::new(handler), Rc::clone(&requests))));
    Http { requests, _guard: Guard::new(|state| state.http = None) }
}

/// Answers the calls to other tools; outputs and arguments are JSON objects.
pub fn invoke(handler: impl FnMut(&str, Value) -> Result<Value, Error> + 'static) -> Guard {
    with(|state| state.invoke = Some(Box::new(handler)));
    Guard::new(|state| state.invoke = None)
}

/// Answers the questions to a person, and collects reports of progress. An accepted answer is a JSON object; it is not checked
/// against the question's schema, as the host would.
pub fn client(handler: impl FnMut(&Question) -> Answer<Value> + 'static) -> Client {
    let (questions, progress) = (Shared::default(), Shared::default());
    with(|state| state.client = Some((Box::new(handler), Rc::clone(&questions), Rc::clone(&progress))));
    Client { questions, progress, _guard: Guard::new(|state| state.client = None) }
}

/// Sets a setting of the pack.
pub fn config(name: &str, value: &str) -> Guard {
    with(|state| state.config.insert(name.into(), value.into()));
    let name = name.to_owned();
    Guard::new(move |state| {
        state.config.remove(&name);
    })
}

/// Fixes the time, in milliseconds since the Unix epoch.
pub fn clock(now_ms: u64) -> Guard {
    with(|state| state.now_ms = Some(now_ms));
    Guard::new(|state| state.now_ms = None)
}

/// Gives the pack an empty storage, in memory.
pub fn storage() -> Guard {
    with(|state| state.storage = Some(BTreeMap::new()));
    Guard::new(|state| state.storage = None)
}

/// Collects what is logged.
pub fn log() -> Log {
    let lines = Shared::default();
    with(|state| state.log = Some(Rc::clone(&lines)));
    Log { lines, _guard: Guard::new(|state| state.log = None) }
}

/// A context, for tools that take one.
#[must_use]
pub fn context() -> Context {
    Context {
        request_id: "00000000-0000-4000-8000-000000000000".into(),
        tenant_id: "default".into(),
        actor: "test".into(),
        attempt: 1,
        idempotency_key: "test-key".into(),
        deadline: host::clock::now_ms().saturating_add(30_000),
    }
}

/// The guard of [`http()`], with the requests made so far.
#[derive(Debug)]
#[must_use = "the stand-in ends when this is dropped"]
pub struct Http {
    requests: Shared<Request>,
    _guard: Guard,
}

impl Http {
    /// The requests made so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }
}

/// A question as the person gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The name of the question.
    pub key: String,
    /// What is asked.
    pub message: String,
    /// The form to fill in.
    pub schema: Value,
}

/// A report of progress.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// How much is done.
    pub done: f64,
    /// What it will be in the end.
    pub total: Option<f64>,
    /// What is going on.
    pub message: Option<String>,
}

/// The guard of [`client()`], with what was asked and reported so far.
#[derive(Debug)]
#[must_use = "the stand-in ends when this is dropped"]
pub struct Client {
    questions: Shared<Question>,
    progress: Shared<Progress>,
    _guard: Guard,
}

impl Client {
    /// The questions so far, in order.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        self.questions.borrow().clone()
    }

    /// The reports so far, in order.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        self.progress.borrow().clone()
    }
}

/// The guard of [`log()`], with the lines written so far.
#[derive(Debug)]
#[must_use = "the stand-in ends when this is dropped"]
pub struct Log {
    lines: Shared<(Level, String)>,
    _guard: Guard,
}

impl Log {
    /// The lines written so far, in order.
    #[must_use]
    pub fn lines(&self) -> Vec<(Level, String)> {
        self.lines.borrow().clone()
    }
}

/// A request as the host would get it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// The body; empty when there is none.
    pub body: Vec<u8>,
    /// The timeout that the tool set.
    pub timeout_ms: Option<u32>,
}

impl Request {
    /// The first header of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The path of the URL, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let path = rest.find('/').map_or("/", |start| &rest[start..]);
        path.split(['?', '#']).next().unwrap_or_default()
    }

    /// The query of the URL, without the question mark; empty when there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.url.split_once('?').map_or("", |(_, query)| query)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When the body is not JSON of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }
}

/// A response to give.
#[derive(Debug, Clone)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    /// A response without a body.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A response with JSON.
    #[must_use]
    pub fn json(status: u16, body: &(impl Serialize + ?Sized)) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_else(|error| error.to_string().into_bytes());
        Self::new(status).header("content-type", "application/json").body(body)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}
