//! Answers by the key and the words of their question.

use super::*;
use crate::sandbox::Form;

const FORM: &str = r#"{"type":"object","properties":{"name":{"type":"string","minLength":1}},"required":["name"]}"#;

fn question(key: &str, message: &str) -> Question {
    Question { key: key.into(), from: None, message: message.into(), form: Form::parse(FORM).unwrap() }
}

fn given(key: &str, value: Value) -> InputResponses {
    BTreeMap::from([(key.to_owned(), value)])
}

fn accepted(name: &str) -> Reply {
    let Value::Object(answer) = json!({ "name": name }) else { unreachable!() };
    Reply::Accepted(answer)
}

#[test]
fn an_answer_is_found_by_its_key_and_kept_for_its_question() {
    let mut between = Between::new(
        Answers::new(),
        given("name", json!({ "action": "accept", "content": { "name": "Ada", "more": 1 } })),
    );
    assert_eq!(between.reply(&question("other", "Who?")).unwrap(), None);
    assert_eq!(between.reply(&question("name", "Who?")).unwrap(), Some(accepted("Ada")), "without what was not asked");

    // The next round knows it without being told again, as long as the question is the same.
    let mut next = Between::new(between.told, InputResponses::new());
    assert_eq!(next.reply(&question("name", "Who?")).unwrap(), Some(accepted("Ada")));
    assert_eq!(next.reply(&question("name", "Whom shall I pay?")).unwrap(), None);
    // What was answered before stands, whatever comes now.
    let mut again = Between::new(next.told, given("name", json!({ "action": "accept", "content": { "name": "Eve" } })));
    assert_eq!(again.reply(&question("name", "Who?")).unwrap(), Some(accepted("Ada")));
}

#[test]
fn no_is_an_answer() {
    for (action, reply) in [("decline", Reply::Declined), ("cancel", Reply::Cancelled)] {
        let mut between = Between::new(Answers::new(), given("name", json!({ "action": action })));
        assert_eq!(between.reply(&question("name", "Who?")).unwrap(), Some(reply.clone()));
        let mut next = Between::new(between.told, InputResponses::new());
        assert_eq!(next.reply(&question("name", "Who?")).unwrap(), Some(reply));
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    for (value, why) in [
        (json!(12345), "is not the result of an elicitation"),
        (json!({ "action": "maybe" }), "is not the result of an elicitation"),
        (json!({ "action": "accept" }), "`name` is missing"),
        (json!({ "action": "accept", "content": [1] }), "is not an object"),
        (json!({ "action": "accept", "content": { "name": "" } }), "`name`"),
        (json!({ "action": "accept", "content": { "name": 7 } }), "`name`"),
    ] {
        let mut between = Between::new(Answers::new(), given("name", value.clone()));
        let error = between.reply(&question("name", "Who?")).unwrap_err();
        assert_eq!(error.code, rmcp::model::ErrorCode::INVALID_PARAMS, "{value}");
        assert!(error.message.contains(why), "{value}: {}", error.message);
        assert!(between.told.is_empty());
    }
}

#[test]
fn the_person_is_told_which_tool_asks() {
    let message = |question: &Question| json!(request(question, "pack.a.b").unwrap())["params"]["message"].clone();
    assert_eq!(message(&question("name", "Who?")), "Who?\n\n(asked by the tool pack.a.b)");
    let inner = Question { from: Some("inner.c.d".into()), ..question("name", "Who?") };
    assert_eq!(message(&inner), "Who?\n\n(asked by the tool inner.c.d)");
    let request = json!(request(&question("name", "Who?"), "pack.a.b").unwrap());
    assert_eq!(request["method"], "elicitation/create");
    assert_eq!(request["params"]["requestedSchema"], serde_json::from_str::<Value>(FORM).unwrap());
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_now_ends_the_request_and_not_the_wait() {
    let (said, mut says) = mpsc::unbounded_channel();
    let person = Person::Between(Between::new(Answers::new(), InputResponses::new()).into());
    let link = Link { said, progress: false, person };
    let asked = tokio::time::timeout(std::time::Duration::from_millis(20), link.ask(question("name", "Who?"))).await;
    assert!(asked.is_err(), "the tool gets no answer");
    assert!(matches!(says.recv().await, Some(Said::Waits(asked)) if asked.key == "name"));

    let (said, mut says) = mpsc::unbounded_channel();
    let link = Link { said, progress: false, person: Person::Nobody("nobody") };
    assert_eq!(link.ask(question("name", "Who?")).await, Err(AskError::Unavailable("nobody".into())));
    link.progress(Progress { done: 1.0, total: None, message: None });
    assert!(says.try_recv().is_err(), "nobody wants to know");
}
