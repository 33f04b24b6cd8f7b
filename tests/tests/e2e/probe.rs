//! Every function of the host, called by a guest that the SDK built: storage, settings, clock, random numbers, log, calls to other
//! tools, and how a guest's crash, loop and hunger end.

use rig_specs::manifest::AskDecl;
use rig_tests::{Output, Project, packs};
use serde_json::{Value, json};

fn project() -> Project {
    let project = Project::with(&["echo"]);
    let file = project.write("probe.wasm", packs::built("probe"));
    project.install(&[file.to_str().expect("a path of text")]).ok();
    project
}

fn call(project: &Project, tool: &str, args: Value) -> Output {
    project.call(&format!("probe.{tool}"), args)
}

#[test]
fn files_last_from_call_to_call() {
    let project = project();
    call(&project, "file.write", json!({ "path": "a/b", "text": "one" })).ok();
    call(&project, "file.write", json!({ "path": "a/b", "text": "two" })).ok();
    assert_eq!(call(&project, "file.read", json!({ "path": "a/b" })).output()["text"], "two");
    assert_eq!(call(&project, "file.list", json!({})).output()["names"], json!(["a/b"]));

    let error =
        call(&project, "file.write", json!({ "path": "big", "text": "x".repeat(65_536) })).error("policy_blocked");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("65536 bytes")), "{error}");
    let _ = call(&project, "file.read", json!({ "path": "../../../rig.yaml" })).error("validation_error");
    let _ = call(&project, "file.read", json!({ "path": "/etc/passwd" })).error("validation_error");

    call(&project, "file.remove", json!({ "path": "a/b" })).ok();
    let _ = call(&project, "file.read", json!({ "path": "a/b" })).error("not_found");
}

#[test]
fn settings_are_the_declared_ones() {
    let mut project = project();
    let get =
        |project: &Project, name: &str| call(project, "setting.get", json!({ "name": name })).output()["text"].clone();
    assert_eq!(get(&project, "PROBE_SITE"), "main", "the default");
    assert_eq!(get(&project, "PATH"), Value::Null, "not declared");
    project.write(".env", "PROBE_SITE=from-dotenv\n");
    assert_eq!(get(&project, "PROBE_SITE"), "from-dotenv");
    project.set_env("PROBE_SITE", "from-env");
    assert_eq!(get(&project, "PROBE_SITE"), "from-env");
    project.configure("config:\n  probe:\n    PROBE_SITE: from-yaml\n");
    assert_eq!(get(&project, "PROBE_SITE"), "from-yaml");
}

#[test]
fn clock_and_random_numbers_are_real() {
    let project = project();
    let now = call(&project, "time.tell", json!({})).output()["number"].as_u64().expect("a number");
    let here = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    assert!(u128::from(now).abs_diff(here) < 60_000, "{now} and {here}");
    assert_eq!(call(&project, "random.count", json!({ "bytes": 100_000 })).output()["number"], 256);
}

#[test]
fn a_flood_of_log_lines_is_cut() {
    let project = project();
    let flood = json!({ "message": "line", "times": 20_000 }).to_string();
    let output = project.rig(&["call", "-v", "probe.log.write", &flood]);
    assert_eq!(output.ok().json()["output"]["number"], 20_000);
    assert_eq!(output.stderr.matches("probe [warn] line").count(), 10_000);
    output.says("10000 lines of the pack's log were dropped");
}

#[test]
fn tools_call_tools_they_were_granted() {
    let project = project();
    let args = json!({ "tool": "echo.message.send", "args": { "message": "inner" } });
    assert_eq!(call(&project, "tool.invoke", args).output()["output"], json!({ "message": "inner" }));

    // The inner call is checked like any other.
    let wrong = json!({ "tool": "echo.message.send", "args": { "massage": "inner" } });
    let _ = call(&project, "tool.invoke", wrong).error("validation_error");
    let other = json!({ "tool": "probe.file.list", "args": {} });
    let error = call(&project, "tool.invoke", other).error("permission_error");
    assert_eq!(error["message"], "the pack `probe` may not call `probe.file.list`");

    let nested = (0..8).fold(json!({ "message": "x" }), |args, depth| {
        let tool = if depth == 0 { "echo.message.send" } else { "probe.tool.invoke" };
        json!({ "tool": tool, "args": args })
    });
    let error = call(&project, "tool.invoke", nested).error("policy_blocked");
    assert_eq!(error["message"], "calls nest deeper than 4");
}

#[test]
fn progress_is_shown_to_who_wants_details() {
    let project = project();
    let args = json!({ "times": 3, "message": "copying\u{1b}[31m" }).to_string();
    let output = project.rig(&["call", "-v", "probe.client.report", &args]);
    assert_eq!(output.output()["number"], 3);
    let shown: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("progress")).collect();
    let message = "copying\\u{1b}[31m";
    assert_eq!(shown, [0, 1, 2].map(|done| format!("progress {done} of 3: {message}")));
    assert_eq!(project.rig(&["call", "probe.client.report", &args]).stderr, "", "only those who want details");

    let flood = project.rig(&["call", "-v", "probe.client.report", r#"{"times":50000}"#]);
    assert_eq!(flood.output()["number"], 50_000);
    let shown = flood.stderr.lines().filter(|line| line.starts_with("progress")).count();
    assert!((100..300).contains(&shown), "{shown}");
}

#[test]
fn questions_are_bounded_and_come_first() {
    let project = project();
    let good = json!({
        "key": "name", "message": "Who are you?",
        "schema": { "type": "object", "properties": { "name": { "type": "string" } } },
    });
    let unavailable = "nobody can be asked here: `rig call` has no way to fill in a form";
    // A request that is refused or fails was made all the same, unless it only reads.
    let late = |what: &str| {
        format!(
            "ask before you change anything: this call has already {what}, and may be run again from the start for the answer"
        )
    };
    for (key, value, kind, message) in [
        ("first", json!("nothing"), "permission_error", unavailable.to_owned()),
        ("first", json!("get"), "permission_error", unavailable.to_owned()),
        ("first", json!("write"), "permission_error", late("changed its storage")),
        ("first", json!("post"), "permission_error", late("sent a request with a method other than GET and HEAD")),
        ("first", json!("invoke"), "permission_error", late("called another tool")),
        ("message", json!(" "), "internal_error", "the message is 1 bytes long; it has text, and at most 4096 bytes".into()),
        (
            "key",
            json!("Name"),
            "internal_error",
            "`Name` is not a key: a lower-case letter, then lower-case letters, digits and underscores, 64 at most".into(),
        ),
        (
            "schema",
            json!({ "type": "object", "properties": { "a": { "type": "object" } } }),
            "internal_error",
            "the question `name`: `a`: a type is one of string, number, integer, boolean, and array for several choices".into(),
        ),
    ] {
        let mut args = good.clone();
        args[key] = value;
        let error = project.rig(&["--offline", "call", "probe.client.ask", &args.to_string()]).error(kind);
        assert_eq!(error["message"], message, "{args}");
    }
}

#[test]
fn a_pack_that_was_not_granted_questions_asks_nobody() {
    let project = Project::with(&["echo"]);
    let silent = packs::repacked(&packs::built("probe"), |pack| pack.manifest.ask = None);
    let file = project.write("probe.wasm", silent);
    let installed = project.install(&[file.to_str().expect("a path of text")]);
    assert!(!installed.ok().stderr.contains("may ask you"), "{installed}");
    let args = json!({ "key": "name", "message": "Who?", "schema": { "type": "object" } });
    let error = call(&project, "client.ask", args).error("permission_error");
    assert_eq!(
        error["message"],
        "this pack may not ask people: its manifest has no [ask], or the project did not grant it"
    );

    // A lock that grants what the component does not ask for is refused, and so is one that was cut down.
    project.edit_lock("probe", |pack| pack.granted.ask = Some(AskDecl::default()));
    let wider = project.call("probe.time.tell", json!({}));
    wider.fails_with(1).explains(&["rig.lock grants `probe` what its manifest does not ask for: asks you for input"]);
    project.edit_lock("probe", |pack| pack.granted.ask = None);
    assert!(call(&project, "time.tell", json!({})).output()["number"].is_u64(), "control");

    // With it, the person who installs is told, and the lock says so.
    let file = project.write("probe.wasm", packs::released(&packs::built("probe"), "0.1.1"));
    let installed = project.install(&[file.to_str().expect("a path of text")]);
    installed.ok().says("asks       may ask you for input: whatever a test wants to know");
    assert!(project.locked("probe").granted.ask.is_some());
    let info = project.rig(&["info", "probe"]);
    assert!(info.ok().stdout.contains("asks     may ask you for input: whatever a test wants to know"), "{info}");
}

#[test]
fn a_policy_holds_for_inner_calls_too() {
    let project = project();
    project.configure("policy:\n  denied_tools: [\"echo.*\"]\n");
    let args = json!({ "tool": "echo.message.send", "args": { "message": "inner" } });
    let _ = call(&project, "tool.invoke", args).error("policy_blocked");
}

#[test]
fn crashes_end_the_call_and_nothing_else() {
    let project = project();
    let output = project.rig(&["call", "-v", "probe.crash.panic", r#"{"message":"boom at noon"}"#]);
    let error = output.error("internal_error");
    assert_eq!(error["message"], "the pack crashed: it panicked or ran into code that must not be reached");
    output.says("boom at noon").says("tests/packs/probe/src/lib.rs");

    let error = call(&project, "crash.allocate", json!({ "mebibytes": 100 })).error("internal_error");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("the pack needs more memory than it may use"), "{message}");
    // Control: what fits the limit is given.
    assert_eq!(call(&project, "crash.allocate", json!({ "mebibytes": 40 })).output()["number"], 40);
    project.configure("limits:\n  memory: 160 MiB\n");
    assert_eq!(call(&project, "crash.allocate", json!({ "mebibytes": 100 })).output()["number"], 100);
}

#[test]
fn a_loop_ends_at_the_deadline() {
    let project = project();
    let output = project.rig(&["call", "probe.crash.loop", "{}", "--timeout", "1"]);
    let error = output.error("timeout");
    assert_eq!(error["message"], "the call did not finish within 1 s");
    assert_eq!(error["retryable"], true);
}
