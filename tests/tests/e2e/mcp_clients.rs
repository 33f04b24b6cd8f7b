//! The official MCP clients against rig, over both transports, with the revision that each chooses by itself.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use rig_tests::{Client, Clients, Gateway, Project, Seen, Server, guest::Guest, packs};
use serde_json::{Value, json};

/// How long to wait for what must happen; generous, because nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Has every client do the steps over both transports, and looks at what each saw.
fn each(project: &Project, more: &Value, steps: &Value, look: impl Fn(Client, &Seen)) {
    let Some(clients) = Clients::find() else { return };
    for client in Client::ALL {
        let gateway = Gateway::start(project);
        for server in [Server::Http(&gateway), Server::Stdio] {
            let seen = clients.run(client, project, server, more, steps);
            assert_eq!(seen.seen["protocolVersion"], client.revision(), "{seen:#?}");
            let errors = seen.seen["errors"].as_array().expect("a list");
            assert!(errors.iter().all(is_of_the_client), "{seen:#?}");
            look(client, &seen);
        }
        let _ = gateway.stop().ok();
    }
}

/// The TypeScript clients take an answer at once and a notice a moment later: progress that arrives in one piece with the answer
/// finds nobody who waits for it, although it was sent first, as it must be.
fn is_of_the_client(error: &Value) -> bool {
    error.as_str().is_some_and(|error| error.contains("a progress notification for an unknown token"))
}

fn call(name: &str, arguments: &Value) -> Value {
    json!({ "call": { "name": name, "arguments": arguments } })
}

#[test]
fn every_client_lists_and_calls() {
    let project = Project::with(&["echo", "github"]);
    let args = json!({ "message": "é\n\"", "data": { "n": [1, 2.5], "deep": { "a": null } } });
    let steps = json!([
        { "list": true },
        call("echo_message_send", &args),
        call("echo.message.send", &args),
        call("echo_message_send", &json!({ "massage": "hi" })),
        call("echo_message_sned", &args),
        call("echo_message_send", &args),
    ]);
    each(&project, &json!({}), &steps, |_, seen| {
        let names = seen.tools(0);
        assert!(names.contains(&"echo_message_send") && names.contains(&"github_pulls_list"), "{names:?}");
        let tools = seen.step(0)["tools"].as_array().expect("a list");
        let echo = tools.iter().find(|tool| tool["name"] == "echo_message_send").expect("the tool");
        assert_eq!(echo["inputSchema"]["type"], "object", "{echo}");
        assert_eq!(echo["outputSchema"]["type"], "object", "{echo}");
        assert_eq!(echo["annotations"]["readOnlyHint"], true, "{echo}");
        // By either name, the same answer in both forms; and the session goes on after errors.
        for n in [1, 2, 5] {
            let result = seen.result(n);
            assert_eq!(result["structuredContent"], args, "{result}");
            assert_ne!(result["isError"], true, "{result}");
            let text = result["content"][0]["text"].as_str().expect("the answer as text");
            assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), args);
        }
        // A mistake in the arguments is for the model to read; a tool that is not there is a mistake of the client.
        let wrong = seen.result(3);
        assert_eq!(wrong["isError"], true, "{wrong}");
        let text = wrong["content"][0]["text"].as_str().unwrap_or_default();
        assert!(text.contains("massage") && text.contains("message"), "{text}");
        assert_eq!(seen.step(4)["error"]["code"], -32602, "{}", seen.step(4));
    });
}

/// A project with a tool that never ends by itself, beside the echo tool.
fn with_a_loop() -> Project {
    let project = Project::empty();
    let endless = Guest::new("endless").body("(loop $again (br $again)) unreachable").build();
    project.offer(&[packs::built("echo"), endless]);
    project.install(&["echo", "endless"]);
    project
}

#[test]
fn a_call_that_a_client_cancels_ends() {
    let project = with_a_loop();
    let mut cancelled = call("endless_probe_run", &json!({}));
    cancelled["cancelAfterMs"] = json!(400);
    let steps = json!([cancelled, call("echo_message_send", &json!({ "message": "still here" }))]);
    each(&project, &json!({}), &steps, |client, seen| {
        assert_eq!(seen.step(0)["cancelled"], true, "{client:?}: {}", seen.step(0));
        assert_eq!(seen.result(1)["structuredContent"]["message"], "still here");
    });
}

/// A client that only stops waiting would see the same as above. Here the gateway's own time tells: while the tool runs it has a core
/// for itself, and after the cancel it rests, long before the tool's time is up.
#[test]
fn a_cancel_stops_the_sandbox() {
    let Some(clients) = Clients::find() else { return };
    let project = with_a_loop();
    for client in Client::ALL {
        let gateway = Gateway::start(&project);
        let stat = format!("/proc/{}/stat", gateway.id());
        let mut step = call("endless_probe_run", &json!({}));
        step["cancelAfterMs"] = json!(2500);
        // A client that is closed at once takes the notice of its cancel with it: this one stays a moment.
        let steps = json!([step, { "exec": ["sleep", "1"] }]);
        let busy = thread::scope(|scope| {
            let run = || clients.run(client, &project, Server::Http(&gateway), &json!({}), &steps);
            let call = scope.spawn(run);
            let busy = until(|| busy(&stat) > 0.2);
            assert_eq!(call.join().expect("the client's run").step(0)["cancelled"], true);
            busy
        });
        assert!(busy, "{client:?}: the control: the tool keeps the gateway busy");
        assert!(until(|| busy_at_rest(&stat)), "{client:?}: the tool went on after the cancel");
        let _ = gateway.stop().ok();
    }
}

/// Whether a condition comes true in time.
fn until(mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if is_so() {
            return true;
        }
    }
    false
}

fn busy_at_rest(stat: &str) -> bool {
    busy(stat) < 0.1
}

/// How much of one core a process uses, over a short while.
fn busy(stat: &str) -> f64 {
    /// The kernel's clock ticks here, on every Linux there is.
    const PER_SECOND: f64 = 100.0;
    let ticks = || -> f64 {
        let text = fs::read_to_string(stat).expect("the process is there");
        let (_, fields) = text.rsplit_once(')').expect("the name in brackets");
        // utime and stime are the 14th and 15th field; two come before the bracket.
        let fields: Vec<f64> = fields.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        fields[10] + fields[11]
    };
    let (before, began) = (ticks(), Instant::now());
    thread::sleep(Duration::from_millis(300));
    (ticks() - before) / PER_SECOND / began.elapsed().as_secs_f64()
}

#[test]
fn clients_are_told_when_the_tools_change() {
    let Some(clients) = Clients::find() else { return };
    for client in Client::ALL {
        let project = Project::with(&["echo"]);
        let gateway = Gateway::start(&project);
        let rig = rig_tests::rig_path();
        let change = |words: &[&str]| {
            let command: Vec<&str> = [rig.to_str().expect("text")].iter().chain(words).copied().collect();
            json!({ "exec": command, "cwd": project.dir(), "env": project.env() })
        };
        for server in [Server::Http(&gateway), Server::Stdio] {
            let steps = json!([
                { "list": true },
                change(&["install", "github", "--yes"]),
                { "waitListChanged": 1, "withinMs": PATIENCE.as_millis() },
                { "list": true },
                change(&["uninstall", "github"]),
                { "waitListChanged": 2, "withinMs": PATIENCE.as_millis() },
                { "list": true },
            ]);
            let seen = clients.run(client, &project, server, &json!({}), &steps);
            let has_github = |n| seen.tools(n).iter().any(|name| name.starts_with("github_"));
            assert_eq!([has_github(0), has_github(3), has_github(6)], [false, true, false], "{client:?}: {seen:#?}");
            assert!(seen.step(2)["listChanged"].as_u64() >= Some(1), "{client:?}: {}", seen.step(2));
            assert!(seen.step(5)["listChanged"].as_u64() >= Some(2), "{client:?}: {}", seen.step(5));
        }
        let _ = gateway.stop().ok();
    }
}

#[test]
fn many_calls_at_once_get_their_own_answers() {
    let project = Project::with(&["echo"]);
    let calls: Vec<Value> = (0..40).map(|n| call("echo_message_send", &json!({ "message": n.to_string() }))).collect();
    each(&project, &json!({}), &json!([{ "together": calls }]), |_, seen| {
        for (n, one) in seen.step(0)["together"].as_array().expect("a list").iter().enumerate() {
            assert_eq!(one["result"]["structuredContent"]["message"], n.to_string(), "{one}");
        }
    });
}

/// A project in which a call of the echo tool moves money, as far as the policy is concerned.
fn with_a_risky_tool() -> Project {
    let project = Project::with(&["echo"]);
    project.configure("policy:\n  raise_risk:\n    \"echo.*\": money\napprovals:\n  elicitation: true\n");
    project
}

fn waiting(project: &Project) -> usize {
    project.rig(&["approvals", "--json"]).ok().json().as_array().expect("a list").len()
}

#[test]
fn a_person_in_front_of_the_client_approves() {
    let project = with_a_risky_tool();
    let args = json!({ "message": "pay 100" });
    let yes = json!({ "elicitation": { "action": "accept", "yes": true } });
    each(&project, &yes, &json!([call("echo_message_send", &args)]), |_, seen| {
        assert_eq!(seen.result(0)["structuredContent"], args, "{seen:#?}");
        let asked = seen.seen["elicitations"].as_array().expect("a list");
        assert_eq!(asked.len(), 1, "{asked:?}");
        let message = asked[0]["message"].as_str().unwrap_or_default();
        assert!(message.contains("echo.message.send") && message.contains("money"), "{message}");
        assert!(message.contains("pay 100"), "the person sees what is to be done: {message}");
    });
    assert_eq!(waiting(&project), 0);
}

#[test]
fn a_person_in_front_of_the_client_declines() {
    let project = with_a_risky_tool();
    let steps = json!([call("echo_message_send", &json!({ "message": "pay 100" }))]);
    for action in ["decline", "cancel"] {
        each(&project, &json!({ "elicitation": { "action": action } }), &steps, |_, seen| {
            let result = seen.result(0);
            assert_eq!(result["isError"], true, "{result}");
            assert_ne!(result["structuredContent"]["message"], "pay 100", "{result}");
            assert_eq!(seen.seen["elicitations"].as_array().map(Vec::len), Some(1), "{seen:#?}");
        });
    }
}

/// A client that cannot ask, and a project that does not let clients ask: the model is told where a person approves, and nothing runs.
#[test]
fn without_a_person_to_ask_the_call_waits() {
    let project = with_a_risky_tool();
    let steps = json!([call("echo_message_send", &json!({ "message": "pay 100" }))]);
    let waits = |_: Client, seen: &Seen| {
        let result = seen.result(0);
        assert_eq!((&result["isError"], &seen.seen["elicitations"]), (&json!(true), &json!([])), "{result}");
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        assert!(text.contains("rig approve"), "{text}");
    };
    each(&project, &json!({}), &steps, waits);
    if Clients::find().is_some() {
        assert_eq!(waiting(&project), 2 * Client::ALL.len());
    }
    let strict = Project::with(&["echo"]);
    strict.configure("policy:\n  raise_risk:\n    \"echo.*\": money\n");
    each(&strict, &json!({ "elicitation": { "action": "accept", "yes": true } }), &steps, waits);
}

#[test]
fn progress_and_questions_of_a_pack_reach_the_client() {
    let project = Project::empty();
    project.offer(&[packs::built("conformance")]);
    project.install(&["conformance"]);
    let mut reports = call("test_tool_with_progress", &json!({}));
    reports["progress"] = json!(true);
    let steps = json!([reports, call("test_elicitation", &json!({ "message": "Who are you?" }))]);
    let ada = json!({ "username": "ada", "email": "ada@example.com" });
    let answer = json!({ "elicitation": { "action": "accept", "content": ada } });
    each(&project, &answer, &steps, |_, seen| {
        let progress = seen.step(0)["progress"].as_array().expect("a list");
        let done: Vec<_> = progress.iter().filter_map(|notice| notice["progress"].as_f64()).collect();
        let all = [0.0, 50.0, 100.0];
        let late = seen.seen["errors"].as_array().map_or(0, Vec::len);
        assert_eq!(done, all[..all.len().saturating_sub(late)], "{seen:#?}");
        let result = seen.result(1);
        assert_ne!(result["isError"], true, "{result}");
        assert!(result.to_string().contains("ada@example.com"), "{result}");
        let asked = seen.seen["elicitations"][0]["message"].as_str().unwrap_or_default();
        assert!(asked.starts_with("Who are you?"), "{asked}");
        assert!(asked.contains("conformance.test.elicitation"), "the person is told who asks: {asked}");
    });
}
