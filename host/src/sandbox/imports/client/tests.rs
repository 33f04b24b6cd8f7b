//! What is passed on to a client and what is not, by the rules alone and by a component that asks.

use std::sync::Mutex;

use rig_specs::Sha256;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::sandbox::{
    CallInput, CallLimits, CallReach, Context, Failure, PoolSize, Sandbox, imports::storage::Storage, tests::component,
};

const MS: Duration = Duration::from_millis(1);

#[test]
fn progress_grows_and_is_bounded() {
    let mut said = Said::default();
    let passed: Vec<f64> = [0.0, 50.0, 50.0, 20.0, f64::NAN, f64::INFINITY, -1.0, 100.0]
        .into_iter()
        .filter(|done| said.admits(*done, MS))
        .collect();
    assert_eq!(passed, [0.0, 50.0, 100.0]);

    // A report each millisecond, for a minute and for an hour.
    for (length, most) in [(60_000, 500), (3_600_000, 1_000)] {
        let mut said = Said::default();
        let passed = (1..length).filter(|n: &u32| said.admits(f64::from(*n), MS * *n)).count();
        assert!((200..most).contains(&passed), "{passed} of {length}");
    }
}

#[test]
fn questions_are_few_and_different() {
    let mut said = Said::default();
    assert!(said.asks("one").is_ok());
    let again = said.asks("one").expect_err("it was asked");
    assert!(
        matches!(&again, Refusal::Invalid(why) if why == "the question `one` was asked before in this call"),
        "{again:?}"
    );
    for n in 1..MAX_QUESTIONS {
        assert!(said.asks(&format!("q{n}")).is_ok());
    }
    let more = said.asks("more").expect_err("that is enough");
    assert!(
        matches!(&more, Refusal::Denied(why) if why == "this call has asked 8 questions, which is all it may"),
        "{more:?}"
    );
}

#[test]
fn a_reading_request_changes_nothing() {
    for (method, changed) in [("GET", false), ("HEAD", false), ("POST", true), ("get", true), ("DELETE", true)] {
        let mut changes = Changes::default();
        changes.request(method);
        assert_eq!(changes.first().is_some(), changed, "{method}");
    }
}

#[test]
fn what_is_asked_can_be_shown() {
    assert_eq!(question("Delete\u{202e} it?\nReally\x1b[31m?"), Ok("Delete\\u{202e} it?\nReally\\u{1b}[31m?".into()));
    for wrong in [String::new(), " \n".into(), "x".repeat(MAX_QUESTION + 1)] {
        assert!(question(&wrong).is_err_and(|why| why.ends_with("it has text, and at most 4096 bytes")), "{wrong:?}");
    }
    assert_eq!((check_key("user_name"), check_key(&"x".repeat(64))), (Ok(()), Ok(())));
    for wrong in ["", "A", "1a", "a-b", "a/b", "é", &"x".repeat(65)] {
        assert!(check_key(wrong).is_err_and(|why| why.contains("is not a key")), "{wrong:?}");
    }
}

/// Remembers what it was told, and replies after a while.
struct Person {
    after: Duration,
    reply: std::result::Result<Reply, AskError>,
    seen: Mutex<Vec<Question>>,
    told: Mutex<Vec<Progress>>,
}

impl Person {
    fn who(reply: std::result::Result<Reply, AskError>) -> Arc<Self> {
        Arc::new(Self { after: Duration::ZERO, reply, seen: Mutex::default(), told: Mutex::default() })
    }

    fn says(answer: &Value) -> Arc<Self> {
        Self::who(Ok(Reply::Accepted(answer.as_object().expect("an object").clone())))
    }
}

impl Client for Person {
    fn progress(&self, progress: Progress) {
        self.told.lock().unwrap().push(progress);
    }

    fn ask(&self, question: Question) -> AskFuture<'_> {
        self.seen.lock().unwrap().push(question);
        Box::pin(async {
            tokio::time::sleep(self.after).await;
            self.reply.clone()
        })
    }
}

fn slow(after: Duration) -> Arc<Person> {
    let person = Person::says(&json!({ "name": "Ann" }));
    Arc::new(Person { after, ..Arc::into_inner(person).unwrap() })
}

const FORM: &str = r#"{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}"#;

/// A component that reports progress, does `first`, asks for a name, and answers with what it got, an error's text included.
fn asking(first: &str) -> Vec<u8> {
    let data = |at: u32, text: &str| format!(r#"(data (i32.const {at}) "{}")"#, text.replace('"', "\\22"));
    let parts = format!(
        r#"(import "rig:pack/client@0.1.0" "progress" (func $progress (param f64 i32 f64 i32 i32 i32)))
        (import "rig:pack/client@0.1.0" "ask" (func $ask (param i32 i32 i32 i32 i32 i32 i32)))
        (import "rig:pack/storage@0.1.0" "write" (func $write (param i32 i32 i32 i32 i32)))
        {}{}{}"#,
        data(128, "name"),
        data(160, "Who are you?"),
        data(256, FORM),
    );
    let body = format!(
        r"(call $progress (f64.const 1) (i32.const 1) (f64.const 2) (i32.const 1) (i32.const 160) (i32.const 12))
        {first}
        (call $ask (i32.const 128) (i32.const 4) (i32.const 160) (i32.const 12) (i32.const 256) (i32.const {}) (i32.const 512))
        (i32.store (i32.const 36) (i32.load (i32.const 520)))
        (i32.store (i32.const 40) (i32.load (i32.const 524)))
        i32.const 32",
        FORM.len()
    );
    component(&parts, &body)
}

/// Changes the storage.
const WRITE: &str = "(call $write (i32.const 128) (i32.const 4) (i32.const 160) (i32.const 4) (i32.const 600))";

async fn call(bytes: &[u8], deadline: Duration, reach: CallReach) -> std::result::Result<String, Failure> {
    let sandbox = Sandbox::new(PoolSize::SINGLE, None).unwrap();
    let program = sandbox.load(&Sha256::of(bytes), bytes).unwrap();
    let context = Context {
        request_id: "r".into(),
        tenant_id: String::new(),
        actor: String::new(),
        attempt: 1,
        idempotency_key: "r".into(),
        deadline_ms: 0,
    };
    let input = CallInput {
        tool: "p.a.b".into(),
        args: "{}".into(),
        context,
        deadline: Instant::now() + deadline,
        cancel: CancellationToken::new(),
        limits: CallLimits::DEFAULT,
        reach,
    };
    program.call(input).await.result
}

fn reach(person: &Arc<Person>) -> CallReach {
    CallReach { client: Some(person.clone()), ask: true, ..CallReach::default() }
}

#[tokio::test]
async fn a_person_is_asked_and_the_answer_is_checked() {
    let bytes = asking("");
    let ask = async |person: &Arc<Person>| call(&bytes, Duration::from_secs(5), reach(person)).await.unwrap();
    let ann = Person::says(&json!({ "name": "Ann", "more": 1 }));
    assert_eq!(ask(&ann).await, r#"{"name":"Ann"}"#);
    let seen = ann.seen.lock().unwrap().clone();
    assert_eq!((seen[0].key.as_str(), seen[0].message.as_str(), seen[0].from.clone()), ("name", "Who are you?", None));
    assert_eq!(Value::Object(seen[0].form.schema().clone()), serde_json::from_str::<Value>(FORM).unwrap());
    let told = ann.told.lock().unwrap().clone();
    assert_eq!(told, [Progress { done: 1.0, total: Some(2.0), message: Some("Who are you?".into()) }]);

    assert_eq!(
        ask(&Person::says(&json!({ "name": 7 }))).await,
        "the answer to the question `name` does not fit it: `name` is not a string"
    );
    assert_eq!(ask(&Person::who(Err(AskError::Unavailable("gone".into())))).await, "gone");
}

#[tokio::test]
async fn nobody_is_asked_without_a_grant_or_a_client() {
    let ann = Person::says(&json!({ "name": "Ann" }));
    let bytes = asking("");
    let call = async |reach: CallReach| call(&bytes, Duration::from_secs(5), reach).await.unwrap();
    let ungranted = call(CallReach { ask: false, ..reach(&ann) }).await;
    assert_eq!(ungranted, "this pack may not ask people: its manifest has no [ask], or the project did not grant it");
    assert!(ann.seen.lock().unwrap().is_empty(), "the person saw nothing");
    let alone = call(CallReach { client: None, ..reach(&ann) }).await;
    assert_eq!(alone, "nobody can be asked here: the call was not made by a client with a person");
    // Control: the grant is what was missing.
    assert_eq!(call(reach(&ann)).await, r#"{"name":"Ann"}"#);
}

#[tokio::test]
async fn nobody_is_asked_after_a_change() {
    let ann = Person::says(&json!({ "name": "Ann" }));
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(folder.path(), 1 << 10).unwrap();
    let with_storage = || CallReach { storage: Some(storage.clone()), ..reach(&ann) };
    let late = call(&asking(WRITE), Duration::from_secs(5), with_storage()).await.unwrap();
    assert_eq!(
        late,
        "ask before you change anything: this call has already changed its storage, and may be run again from the start for the answer"
    );
    assert!(folder.path().join("name").exists() && ann.seen.lock().unwrap().is_empty());
    // Control: the same component asks when the file is not written before.
    assert_eq!(call(&asking(""), Duration::from_secs(5), with_storage()).await.unwrap(), r#"{"name":"Ann"}"#);
}

#[tokio::test]
async fn the_clock_stands_still_while_a_person_thinks() {
    let found = call(&asking(""), Duration::from_millis(400), reach(&slow(Duration::from_millis(900)))).await;
    assert_eq!(found.unwrap(), r#"{"name":"Ann"}"#);
    // The rest of the time is what it was: a loop after the question ends at the deadline.
    let bytes = component(
        r#"(import "rig:pack/client@0.1.0" "ask" (func $ask (param i32 i32 i32 i32 i32 i32 i32)))
        (data (i32.const 128) "name") (data (i32.const 160) "Who?") (data (i32.const 256) "{\22type\22:\22object\22}")"#,
        "(call $ask (i32.const 128) (i32.const 4) (i32.const 160) (i32.const 4) (i32.const 256) (i32.const 17) (i32.const 512))
        (loop $again (br $again)) unreachable",
    );
    let started = Instant::now();
    let found = call(&bytes, Duration::from_millis(300), reach(&slow(Duration::from_millis(100)))).await;
    assert!(matches!(found, Err(Failure::Stopped(crate::sandbox::Stop::Timeout))), "{found:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "the pause was given back");
}

/// An inner call asks through the outer call's client: not after the outer one changed something, and with its clock stopped.
#[tokio::test]
async fn inner_calls_ask_through_the_outer_one() {
    let ann = slow(Duration::from_millis(100));
    let client: Arc<dyn Client> = ann.clone();
    let time = Duration::from_secs(10);
    let watch = Watch::new(CancellationToken::new(), Instant::now() + time);
    let question = || Question { key: "k".into(), from: None, message: "m".into(), form: Form::parse(FORM).unwrap() };
    let mut changes = Changes::default();
    let early = relay(&client, &watch, changes.first());
    changes.invoke();
    let late = relay(&client, &watch, changes.first());

    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        watch.deadline()
    };
    let (replied, deadline) = tokio::join!(early.ask(question()), meanwhile);
    assert!(matches!(replied, Ok(Reply::Accepted(_))), "{replied:?}");
    assert!(deadline > Instant::now() + time, "the outer clock stands still");
    assert!(watch.deadline() < Instant::now() + time * 2, "control: and runs again");

    let denied = late.ask(question()).await;
    assert!(matches!(&denied, Err(AskError::Denied(why)) if why.contains("already called another tool")), "{denied:?}");
    assert_eq!(ann.seen.lock().unwrap().len(), 1);
}
