//! MCP over stdio, as it is on the wire: what a client gets to see, that errors are told, and that what it gives up really ends.

use std::time::{Duration, Instant};

use rig_tests::{Project, Talk, guest::Guest, packs};
use serde_json::{Value, json};

const SEND: &str = "echo_message_send";

fn names(list: &Value) -> Vec<&str> {
    let tools = list["result"]["tools"].as_array().unwrap_or_else(|| panic!("a list of tools: {list}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

/// A pack with a tool that never ends.
fn endless() -> Vec<u8> {
    Guest::new("endless").body("(loop $again (br $again)) unreachable").build()
}

fn with_endless() -> Project {
    let project = Project::empty();
    project.offer(&[packs::built("echo"), endless()]);
    project.install(&["echo", "endless"]);
    project
}

#[test]
fn tools_are_listed_with_what_clients_need() {
    let project = Project::with(&["echo"]);
    let mut talk = Talk::legacy(&project, json!({}));
    let list = talk.request("tools/list", json!({}));
    let tools = list["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 1, "{list}");
    let tool = &tools[0];
    assert_eq!((&tool["name"], &tool["title"]), (&json!(SEND), &json!("Echo a message")));
    assert_eq!(tool["_meta"], json!({ "rig/tool": "echo.message.send", "rig/risk_class": "read" }));
    assert_eq!((&tool["inputSchema"]["type"], &tool["outputSchema"]["type"]), (&json!("object"), &json!("object")));
    assert_eq!(
        tool["annotations"],
        json!({ "title": "Echo a message", "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true,
            "openWorldHint": false })
    );
    // How long a list keeps is a matter of the newer era.
    assert_eq!((list["result"].get("ttlMs"), list["result"].get("resultType")), (None, None));
    let bad = talk.request("tools/list", json!({ "cursor": "2" }));
    assert_eq!(bad["error"]["code"], -32602, "{bad}");
}

#[test]
fn a_call_answers_by_every_name() {
    let project = Project::with(&["echo"]);
    let mut talk = Talk::legacy(&project, json!({}));
    let args = json!({ "message": "é\n\u{0}", "data": { "n": [1, 2.5, null] } });
    for name in [SEND, "echo.message.send", "message_send"] {
        let answer = talk.call(name, args.clone());
        let result = &answer["result"];
        assert_eq!((&result["structuredContent"], &result["isError"]), (&args, &json!(false)), "{answer}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), args);
        assert_eq!(result["content"].as_array().map(Vec::len), Some(1), "{answer}");
        assert_eq!(result["_meta"]["rig/correlation_id"].as_str().map(str::len), Some(36), "{answer}");
    }
}

#[test]
fn mistakes_are_told_apart() {
    let project = Project::with(&["echo"]);
    project.configure("policy:\n  denied_tools: []\n");
    let mut talk = Talk::legacy(&project, json!({}));
    // What a model can mend is a result.
    let wrong = talk.call(SEND, json!({ "massage": "x" }));
    let result = &wrong["result"];
    assert_eq!(result["isError"], true, "{wrong}");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("massage") && text.contains("validation_error"), "{text}");
    assert_eq!(result["_meta"]["rig/error"]["type"], "validation_error", "{wrong}");
    // What a client can mend is an error of the protocol.
    for (method, params, code) in [
        ("tools/call", json!({ "name": "echo_message_sned", "arguments": {} }), -32602),
        ("tools/call", json!({ "name": "", "arguments": {} }), -32602),
        ("tools/call", json!({ "name": "x".repeat(10_000), "arguments": {} }), -32602),
        ("tools/call", json!({ "arguments": {} }), -32602),
        ("tools/call", json!({ "name": SEND, "arguments": [] }), -32602),
        ("tools/explode", json!({}), -32601),
        ("prompts/list", json!({}), -32601),
        ("prompts/get", json!({ "name": "x" }), -32601),
        ("resources/list", json!({}), -32601),
        ("resources/templates/list", json!({}), -32601),
        ("resources/read", json!({ "uri": "file:///etc/passwd" }), -32601),
        ("resources/subscribe", json!({ "uri": "x" }), -32601),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "x" }, "argument": { "name": "a", "value": "b" } }),
            -32601,
        ),
        ("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }), -32601),
    ] {
        let answer = talk.request(method, params.clone());
        assert_eq!(answer["error"]["code"], code, "{method} {params}: {answer}");
    }
    // The talk goes on, through lines that are no messages too.
    talk.write("hello");
    let refused = talk.within(Duration::from_secs(10), |message| message.get("error").is_some());
    assert_eq!(refused.expect("an answer")["error"]["code"], -32700);
    assert_eq!(talk.call(SEND, json!({ "message": "still here" }))["result"]["isError"], false);
    assert_eq!(talk.request("ping", json!({}))["result"], json!({}));
}

#[test]
fn unknown_tools_have_their_row() {
    let project = Project::with(&["echo"]);
    let mut talk = Talk::legacy(&project, json!({}));
    let _ = talk.call("echo_message_sned", json!({}));
    let _ = talk.call(SEND, json!({ "message": "x" }));
    let (_, code) = talk.end();
    assert_eq!(code, Some(0));
    let rows = project.rig(&["audit", "query", "--json"]).ok().json();
    let rows = rows["entries"].as_array().or_else(|| rows.as_array()).unwrap_or_else(|| panic!("rows: {rows}"));
    let seen: Vec<_> =
        rows.iter().map(|row| (row["tool"].as_str(), row["outcome"].as_str(), row["actor"].as_str())).collect();
    // Without another name, the client's own says who called.
    assert!(seen.contains(&(Some("echo_message_sned"), Some("error"), Some("talk"))), "{seen:?}");
    assert!(seen.contains(&(Some("echo.message.send"), Some("ok"), Some("talk"))), "{seen:?}");
}

/// The place that a tool has among the calls that run at once is free again when the call has ended, and not before.
#[test]
fn a_cancelled_call_stops() {
    let project = with_endless();
    project.configure("policy:\n  timeout_seconds: 60\n  rate_limits:\n    \"endless.*\": { concurrent: 1 }\n");
    let mut talk = Talk::legacy(&project, json!({}));
    let limited = |answer: &Value| answer["result"]["_meta"]["rig/error"]["type"] == "rate_limited";
    let first = talk.ask("tools/call", json!({ "name": "endless_probe_run", "arguments": {} }));
    // The control: while the first runs, there is no room for another.
    std::thread::sleep(Duration::from_millis(500));
    let second = talk.call("endless_probe_run", json!({}));
    assert!(limited(&second), "{second}");
    // It holds up nobody else.
    assert_eq!(talk.call(SEND, json!({ "message": "x" }))["result"]["isError"], false);

    let began = Instant::now();
    talk.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": first } }));
    let third = loop {
        let id = talk.ask("tools/call", json!({ "name": "endless_probe_run", "arguments": {} }));
        match talk.within(Duration::from_millis(300), |message| message["id"] == id) {
            Some(answer) => assert!(limited(&answer), "{answer}"),
            None => break id,
        }
        assert!(began.elapsed() < Duration::from_secs(10), "the cancelled call goes on");
    };
    talk.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": third } }));
    // Nothing is answered to what was cancelled.
    assert_eq!(talk.within(Duration::from_millis(300), |message| message["id"] == first), None);
    assert_eq!(talk.call(SEND, json!({ "message": "x" }))["result"]["isError"], false);
}

#[test]
fn the_end_of_stdin_ends_the_server_and_what_runs() {
    let project = with_endless();
    project.configure("policy:\n  timeout_seconds: 60\n");
    // Before a word, after one, and in the middle of calls.
    let (time, code) = Talk::start(&project).end();
    assert!(time < Duration::from_secs(4) && code == Some(0), "{time:?} {code:?}");
    let (time, code) = Talk::legacy(&project, json!({})).end();
    assert!(time < Duration::from_secs(4) && code == Some(0), "{time:?} {code:?}");
    let mut talk = Talk::legacy(&project, json!({}));
    for _ in 0..3 {
        talk.ask("tools/call", json!({ "name": "endless_probe_run", "arguments": {} }));
    }
    std::thread::sleep(Duration::from_millis(300));
    let (time, code) = talk.end();
    // The promise is 2 s; the rest is for a busy machine. By itself the call would take a minute.
    assert!(time < Duration::from_secs(4) && code == Some(0), "{time:?} {code:?}");
}

#[test]
fn a_client_is_told_when_the_tools_change_and_only_then() {
    let project = Project::with(&["echo"]);
    let mut talk = Talk::legacy(&project, json!({}));
    assert_eq!(names(&talk.request("tools/list", json!({}))), [SEND]);
    project.install(&["github"]);
    let _ = talk.told("notifications/tools/list_changed");
    assert_eq!(names(&talk.request("tools/list", json!({}))).len(), 5);
    // Another setting is served, and no tool is another.
    project.configure("policy:\n  timeout_seconds: 7\n");
    let told = talk.within(Duration::from_secs(2), |message| message["method"] == "notifications/tools/list_changed");
    assert_eq!(told, None);
}

#[test]
fn denied_tools_are_not_listed_and_not_called() {
    let project = Project::with(&["echo", "github"]);
    project.configure("policy:\n  denied_tools: ['github.*']\n");
    let mut talk = Talk::legacy(&project, json!({}));
    assert_eq!(names(&talk.request("tools/list", json!({}))), [SEND]);
    let denied = talk.call("github_pulls_list", json!({ "owner": "o", "repo": "r" }));
    assert_eq!(denied["result"]["_meta"]["rig/error"]["type"], "policy_blocked", "{denied}");
}

#[test]
fn names_that_clash_or_are_too_long_are_still_names() {
    let tool = |name: &str| {
        packs::repacked(&Guest::new("clash").build(), |pack| {
            let mut second = pack.tools[0].clone();
            pack.tools[0].def.name = "clash.a_b.c".into();
            second.def.name = name.into();
            pack.tools.push(second);
        })
    };
    for (other, length) in [("clash.a.b_c".to_owned(), 20), (format!("clash.a.{}", "x".repeat(100)), 64)] {
        let project = Project::empty();
        project.offer(&[tool(&other)]);
        project.install(&["clash"]);
        let mut talk = Talk::legacy(&project, json!({}));
        let list = talk.request("tools/list", json!({}));
        let tools = list["result"]["tools"].as_array().unwrap();
        let found = tools.iter().find(|tool| tool["_meta"]["rig/tool"] == other).expect("the tool");
        let name = found["name"].as_str().unwrap();
        assert!(name.len() == length && name.starts_with("clash_a_"), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{name}");
        // The guest does not know the name that it was given here, so it answers an error of its own, and not of the protocol.
        for name in [name, &other] {
            let answer = talk.call(name, json!({}));
            assert!(answer.get("result").is_some(), "{answer}");
        }
    }
}

#[test]
fn the_log_of_a_pack_is_sent_to_who_asks_for_it() {
    let project = Project::empty();
    project.offer(&[packs::built("conformance")]);
    project.install(&["conformance"]);
    let mut talk = Talk::legacy(&project, json!({}));
    let is_log = |message: &Value| message["method"] == "notifications/message";
    let _ = talk.call("test_tool_with_logging", json!({}));
    assert_eq!(talk.within(Duration::from_millis(200), is_log), None, "nobody asked for it");
    assert_eq!(talk.request("logging/setLevel", json!({ "level": "debug" }))["result"], json!({}));
    let _ = talk.call("test_tool_with_logging", json!({}));
    let line = talk.told("notifications/message");
    assert_eq!(
        (&line["params"]["level"], &line["params"]["logger"]),
        (&json!("info"), &json!("conformance.test.tool_with_logging"))
    );
    assert_eq!(line["params"]["data"], "Tool execution started", "{line}");
    // The rest of them are taken away before the next.
    while talk.within(Duration::from_millis(200), is_log).is_some() {}
    assert_eq!(talk.request("logging/setLevel", json!({ "level": "error" }))["result"], json!({}));
    let _ = talk.call("test_tool_with_logging", json!({}));
    assert_eq!(talk.within(Duration::from_millis(200), is_log), None);
}

#[test]
fn the_stateless_era_needs_no_handshake() {
    let project = Project::with(&["echo"]);
    let mut talk = Talk::start(&project);
    let none = json!({});
    let found = talk.stateless("server/discover", json!({}), &none);
    let capabilities = &found["result"]["capabilities"];
    assert_eq!(capabilities["tools"], json!({ "listChanged": true }), "{found}");
    assert!(found["result"]["supportedVersions"].to_string().contains("2026-07-28"), "{found}");
    assert_eq!(found["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "rig", "{found}");
    let list = talk.stateless("tools/list", json!({}), &none);
    assert_eq!(names(&list), [SEND]);
    let result = &list["result"];
    assert_eq!((&result["resultType"], &result["cacheScope"]), (&json!("complete"), &json!("private")), "{list}");
    assert!(result["ttlMs"].as_u64() > Some(0), "{list}");
    let answer = talk.stateless("tools/call", json!({ "name": SEND, "arguments": { "message": "x" } }), &none);
    assert_eq!(answer["result"]["structuredContent"], json!({ "message": "x" }), "{answer}");
    // Lists are asked for without asking what there is: there is nothing on these.
    for (method, key) in [("prompts/list", "prompts"), ("resources/list", "resources")] {
        let list = talk.stateless(method, json!({}), &none);
        assert_eq!((&list["result"][key], &list["result"]["cacheScope"]), (&json!([]), &json!("public")), "{list}");
    }
    for (method, params, code) in [
        ("resources/read", json!({ "uri": "file:///etc/passwd" }), -32602),
        ("prompts/get", json!({ "name": "x" }), -32602),
        ("ping", json!({}), -32601),
        ("logging/setLevel", json!({ "level": "debug" }), -32601),
    ] {
        assert_eq!(talk.stateless(method, params, &none)["error"]["code"], code, "{method}");
    }
    // What changes is told to who listens.
    let listening = talk.ask(
        "subscriptions/listen",
        json!({ "notifications": { "toolsListChanged": true }, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "talk", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {} } }),
    );
    let _ = talk.told("notifications/subscriptions/acknowledged");
    project.install(&["github"]);
    let told = talk.told("notifications/tools/list_changed");
    assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], listening, "{told}");
}
