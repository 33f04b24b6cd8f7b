//! Questions to the person in front of an MCP client, in both eras: those of packs, and those about risky calls.

use std::time::Duration;

use rig_tests::{Project, Talk, packs};
use serde_json::{Value, json};

const SEND: &str = "echo_message_send";

fn can_ask() -> Value {
    json!({ "elicitation": {} })
}

fn with_questions() -> Project {
    let project = Project::empty();
    project.offer(&[packs::built("conformance")]);
    project.install(&["conformance"]);
    project
}

/// A call of the echo tool is a matter of money here.
fn with_money(elicitation: bool) -> Project {
    let project = Project::with(&["echo"]);
    project.configure(&format!(
        "policy:\n  raise_risk:\n    \"echo.*\": money\napprovals:\n  elicitation: {elicitation}\n"
    ));
    project
}

fn waiting(project: &Project) -> Vec<Value> {
    project.rig(&["approvals", "--json"]).ok().json().as_array().unwrap().clone()
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("a text: {answer}"))
}

/// A repeated call of the stateless era, with the answer to one question.
fn again(name: &str, arguments: &Value, key: &str, reply: &Value, state: &Value) -> Value {
    json!({ "name": name, "arguments": arguments, "inputResponses": { key: reply }, "requestState": state })
}

#[test]
fn a_tool_asks_while_it_runs() {
    let project = with_questions();
    let mut talk = Talk::legacy(&project, can_ask());
    let id = talk.ask("tools/call", json!({ "name": "test_elicitation", "arguments": { "message": "Who are you?" } }));
    let question = talk.told("elicitation/create");
    let message = question["params"]["message"].as_str().unwrap();
    assert!(message.starts_with("Who are you?\n") && message.contains("conformance.test.elicitation"), "{message}");
    assert_eq!(question["params"]["requestedSchema"]["type"], "object", "{question}");
    let content = json!({ "username": "ada", "email": "ada@example.com" });
    talk.say(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept", "content": content } }));
    let answer = talk.answer(id);
    assert!(text(&answer).contains("ada@example.com"), "{answer}");
}

#[test]
fn a_client_that_cannot_ask_is_not_asked() {
    let project = with_questions();
    for capabilities in [json!({}), json!({ "sampling": {} }), json!({ "elicitation": { "url": {} } })] {
        let mut talk = Talk::legacy(&project, capabilities);
        let answer = talk.call("test_elicitation", json!({ "message": "Who are you?" }));
        assert!(answer.to_string().contains("elicitation"), "{answer}");
        assert_eq!(talk.within(Duration::from_millis(100), |m| m["method"] == "elicitation/create"), None);
    }
}

#[test]
fn a_call_that_is_cancelled_takes_its_question_back() {
    let project = with_questions();
    let mut talk = Talk::legacy(&project, can_ask());
    let id = talk.ask("tools/call", json!({ "name": "test_elicitation", "arguments": { "message": "Who are you?" } }));
    let _ = talk.told("elicitation/create");
    talk.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }));
    assert_eq!(talk.request("ping", json!({}))["result"], json!({}));
    let (time, code) = talk.end();
    assert!(time < Duration::from_secs(4) && code == Some(0), "{time:?} {code:?}");
}

#[test]
fn in_the_stateless_era_the_call_comes_back_with_the_answer() {
    let project = with_questions();
    let mut talk = Talk::start(&project);
    let name = "test_input_required_result_multi_round";
    let none = json!({});
    let first = talk.stateless("tools/call", json!({ "name": name, "arguments": {} }), &can_ask());
    let result = &first["result"];
    assert_eq!(result["resultType"], "input_required", "{first}");
    assert_eq!(result["inputRequests"]["step1"]["method"], "elicitation/create", "{first}");
    let (one, two) = (
        json!({ "action": "accept", "content": { "name": "Ada" } }),
        json!({ "action": "accept", "content": { "color": "blue" } }),
    );

    let params = again(name, &none, "step1", &one, &result["requestState"]);
    let second = talk.stateless("tools/call", params, &can_ask());
    assert!(second["result"]["inputRequests"].get("step2").is_some(), "{second}");
    // The first answer is in the state: it is not sent again.
    let params = again(name, &none, "step2", &two, &second["result"]["requestState"]);
    let third = talk.stateless("tools/call", params, &can_ask());
    assert!(text(&third).contains("Ada") && text(&third).contains("blue"), "{third}");
}

#[test]
fn a_state_is_good_for_nothing_else() {
    let project = with_questions();
    let mut talk = Talk::start(&project);
    let name = "test_input_required_result_request_state";
    let ok = json!({ "action": "accept", "content": { "ok": true } });
    let first = talk.stateless("tools/call", json!({ "name": name, "arguments": {} }), &can_ask());
    let state = first["result"]["requestState"].as_str().unwrap().to_owned();
    let mut refused = |name: &str, arguments: Value, state: &str| {
        let params = again(name, &arguments, "confirm", &ok, &json!(state));
        let answer = talk.stateless("tools/call", params, &can_ask());
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        answer["error"]["message"].as_str().unwrap().to_owned()
    };
    assert!(refused(name, json!({}), &format!("{state}-TAMPERED")).contains("was changed"));
    assert!(refused(name, json!({}), "").contains("was changed"));
    assert!(refused(name, json!({ "x": 1 }), &state).contains("another call"));
    assert!(refused("test_input_required_result_tampered_state", json!({}), &state).contains("another call"));
    // An answer that does not fit is refused; without one the question comes again.
    let bad = json!({ "action": "accept", "content": { "ok": "perhaps" } });
    let answer = talk.stateless("tools/call", again(name, &json!({}), "confirm", &bad, &json!(state)), &can_ask());
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let other = again(name, &json!({}), "another", &ok, &json!(state));
    assert_eq!(talk.stateless("tools/call", other, &can_ask())["result"]["resultType"], "input_required");
    // The control: as it was given out, it is good.
    let answer = talk.stateless("tools/call", again(name, &json!({}), "confirm", &ok, &json!(state)), &can_ask());
    assert!(text(&answer).contains("state-ok"), "{answer}");
    // Another process knows nothing of it.
    let mut other = Talk::start(&project);
    let answer = other.stateless("tools/call", again(name, &json!({}), "confirm", &ok, &json!(state)), &can_ask());
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[test]
fn a_tool_that_needs_a_client_with_more_says_so_first() {
    let project = with_questions();
    let mut talk = Talk::start(&project);
    let params = json!({ "name": "test_missing_capability", "arguments": {} });
    let answer = talk.stateless("tools/call", params.clone(), &can_ask());
    assert_eq!(answer["error"]["code"], -32021, "{answer}");
    assert_eq!(answer["error"]["data"]["requiredCapabilities"], json!({ "sampling": {} }));
    let answer = talk.stateless("tools/call", params, &json!({ "sampling": {} }));
    assert_eq!(answer["result"]["isError"], false, "{answer}");
}

#[test]
fn a_person_approves_a_risky_call() {
    let project = with_money(true);
    let mut talk = Talk::legacy(&project, can_ask());
    let args = json!({ "message": "pay 100" });
    for (reply, runs) in [
        (json!({ "action": "accept", "content": { "approve": true } }), true),
        (json!({ "action": "accept", "content": { "approve": false } }), false),
        (json!({ "action": "accept" }), false),
        (json!({ "action": "accept", "content": { "approve": "true" } }), false),
        (json!({ "action": "decline" }), false),
    ] {
        let id = talk.ask("tools/call", json!({ "name": SEND, "arguments": args }));
        let question = talk.told("elicitation/create");
        let message = question["params"]["message"].as_str().unwrap();
        for shown in ["echo.message.send", "money", "pay 100"] {
            assert!(message.contains(shown), "{message}");
        }
        assert_eq!(waiting(&project).len(), 1, "it is stored while the person thinks");
        talk.say(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": reply }));
        let answer = talk.answer(id);
        assert_eq!(answer["result"]["isError"], !runs, "{reply}: {answer}");
        if runs {
            assert_eq!(answer["result"]["structuredContent"], args, "{answer}");
        } else {
            assert_eq!(answer["result"]["_meta"]["rig/error"]["type"], "policy_blocked", "{reply}: {answer}");
        }
        assert_eq!(waiting(&project), [] as [Value; 0], "{reply}");
    }
}

#[test]
fn a_person_who_turns_away_leaves_the_call_waiting() {
    let project = with_money(true);
    let mut talk = Talk::legacy(&project, can_ask());
    let id = talk.ask("tools/call", json!({ "name": SEND, "arguments": { "message": "pay 100" } }));
    let question = talk.told("elicitation/create");
    talk.say(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "cancel" } }));
    let answer = talk.answer(id);
    assert!(text(&answer).contains("rig approve "), "{answer}");
    let token = waiting(&project)[0]["token"].as_str().unwrap().to_owned();
    assert!(text(&answer).contains(&token), "{answer}");
    let run = project.rig(&["approve", &token]).ok().json();
    assert_eq!(run["output"], json!({ "message": "pay 100" }));
}

/// Off by default, and a client that cannot ask: the model is told where a person approves, and no question is sent.
#[test]
fn without_leave_nobody_is_asked() {
    for (elicitation, capabilities) in [(false, can_ask()), (true, json!({}))] {
        let project = with_money(elicitation);
        let mut talk = Talk::legacy(&project, capabilities.clone());
        let answer = talk.call(SEND, json!({ "message": "pay 100" }));
        assert_eq!(answer["result"]["_meta"]["rig/error"]["type"], "approval_required", "{answer}");
        assert!(text(&answer).contains("rig approve "), "{answer}");
        assert_eq!(talk.within(Duration::from_millis(100), |m| m["method"] == "elicitation/create"), None);
        let mut talk = Talk::start(&project);
        let answer =
            talk.stateless("tools/call", json!({ "name": SEND, "arguments": { "message": "x" } }), &capabilities);
        assert_eq!(answer["result"]["_meta"]["rig/error"]["type"], "approval_required", "{answer}");
        assert_eq!(waiting(&project).len(), 2);
    }
}

#[test]
fn a_person_approves_between_two_requests() {
    let project = with_money(true);
    let mut talk = Talk::start(&project);
    let args = json!({ "message": "pay 100" });
    let ask = |talk: &mut Talk| {
        let first = talk.stateless("tools/call", json!({ "name": SEND, "arguments": args }), &can_ask());
        let question = first["result"]["inputRequests"]["rig/approve"]["params"]["message"].as_str();
        assert!(question.is_some_and(|question| question.contains("pay 100")), "{first}");
        first["result"]["requestState"].clone()
    };
    let yes = json!({ "action": "accept", "content": { "approve": true } });
    let state = ask(&mut talk);
    // The answer without the state, or with other arguments, approves nothing.
    let other = json!({ "message": "pay 1000000" });
    let forged = again(SEND, &other, "rig/approve", &yes, &state);
    assert_eq!(talk.stateless("tools/call", forged, &can_ask())["error"]["code"], -32602);
    let without = json!({ "name": SEND, "arguments": args, "inputResponses": { "rig/approve": yes } });
    assert_eq!(talk.stateless("tools/call", without, &can_ask())["result"]["resultType"], "input_required");
    let asked = talk.stateless("tools/call", again(SEND, &args, "none", &yes, &state), &can_ask());
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");

    let done = talk.stateless("tools/call", again(SEND, &args, "rig/approve", &yes, &state), &can_ask());
    assert_eq!(done["result"]["structuredContent"], args, "{done}");
    // It ran once, and does not run again.
    let twice = talk.stateless("tools/call", again(SEND, &args, "rig/approve", &yes, &state), &can_ask());
    assert_eq!(
        (&twice["result"]["isError"], twice["result"].get("structuredContent")),
        (&json!(true), None),
        "{twice}"
    );

    let state = ask(&mut talk);
    let no = json!({ "action": "decline" });
    let denied = talk.stateless("tools/call", again(SEND, &args, "rig/approve", &no, &state), &can_ask());
    assert_eq!(denied["result"]["_meta"]["rig/error"]["type"], "policy_blocked", "{denied}");
    let late = talk.stateless("tools/call", again(SEND, &args, "rig/approve", &yes, &state), &can_ask());
    assert_eq!(late["result"]["isError"], true, "{late}");
}
