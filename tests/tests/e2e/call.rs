//! `rig call`: arguments from everywhere, results on stdout, exit codes by outcome.

use rig_tests::Project;
use serde_json::{Value, json};

const SEND: &str = "echo.message.send";

#[test]
fn answers_come_back_whole() {
    let project = Project::with(&["echo"]);
    for args in [
        json!({ "message": "hello" }),
        json!({ "message": "" }),
        json!({ "message": "grüße 🎉 \u{0} \\ \" \n", "data": { "list": [1, 2.5, -3, 1e300, null, true, { "a": [] }] } }),
        json!({ "message": "numbers", "data": { "big": u64::MAX, "small": i64::MIN, "third": 0.1 } }),
        json!({ "message": "long", "data": { "text": "x".repeat(100_000) } }),
    ] {
        let output = project.call(SEND, args.clone());
        assert_eq!(output.output(), args);
        assert!(output.stderr.is_empty() && output.stdout.ends_with('\n'), "{output}");
    }
}

#[test]
fn a_result_says_what_it_ran_on() {
    let project = Project::with(&["echo"]);
    let result = project.rig(&[
        "call",
        SEND,
        r#"{"message":"x"}"#,
        "--request-id",
        "req-7",
        "--tenant",
        "acme",
        "--actor",
        "ann",
    ]);
    let _ = result.output();
    let result = result.json();
    assert_eq!((&result["correlation_id"], &result["pack"]), (&json!("req-7"), &json!("echo")));
    assert_eq!(result["pack_version"], project.locked("echo").version.to_string());
    assert!(result["interface_hash"].as_str().is_some_and(|hash| hash.len() >= 64), "{result}");

    // Without an id of the caller's, each call gets its own.
    let ids: Vec<Value> =
        (0..2).map(|_| project.call(SEND, json!({ "message": "x" })).json()["correlation_id"].clone()).collect();
    assert_ne!(ids[0], ids[1]);
    assert!(ids.iter().all(|id| id.as_str().is_some_and(|id| id.len() == 36)), "{ids:?}");
}

#[test]
fn arguments_from_a_file_and_from_stdin() {
    let project = Project::with(&["echo"]);
    let text = json!({ "message": "from afar" }).to_string();
    project.write("args.json", &text);
    assert_eq!(project.rig(&["call", SEND, "@args.json"]).output()["message"], "from afar");
    let run = project.run(["call", SEND, "-"]).stdin(format!("{text}\n"));
    assert_eq!(run.output().output()["message"], "from afar");
    // More than a command line takes.
    let long = json!({ "message": "x".repeat(3 << 20) }).to_string();
    assert_eq!(
        project.run(["call", SEND, "-"]).stdin(long).output().output()["message"].as_str().map(str::len),
        Some(3 << 20)
    );

    project.rig(&["call", SEND, "@absent.json"]).fails_with(1).explains(&["absent.json"]);
    project.rig(&["call", SEND, "@."]).fails_with(1).says("error: ");
    project.write("latin1.json", b"{\"message\": \"\xe9\"}");
    project.rig(&["call", SEND, "@latin1.json"]).fails_with(1).explains(&["latin1.json", "UTF-8"]);
    let _ = project.run(["call", SEND, "-"]).stdin("").output().error("validation_error");
}

#[test]
fn arguments_that_are_not_an_object() {
    let project = Project::with(&["echo"]);
    for bad in [
        "",
        " ",
        "hello",
        "{",
        r#"{"message": "x""#,
        r#"{"message": "x"} x"#,
        "[1]",
        "\"x\"",
        "null",
        "42",
        "{'message': 'x'}",
    ] {
        let error = project.rig(&["call", SEND, bad]).error("validation_error");
        assert_eq!(error["retryable"], false, "{bad:?}: {error}");
        let text = error["message"].as_str().unwrap();
        assert!(text.contains("JSON") || text.contains("object"), "{bad:?}: {error}");
    }
    let deep = format!(r#"{{"message": "x", "data": {{"a": {}1{}}}}}"#, "[".repeat(200), "]".repeat(200));
    let _ = project.rig(&["call", SEND, &deep]).error("validation_error");
    let twice = project.rig(&["call", SEND, r#"{"message": "one", "message": "two"}"#]);
    let _ = twice.error("validation_error");
}

#[test]
fn arguments_that_break_the_schema() {
    let project = Project::with(&["echo"]);
    for (args, field) in [
        (json!({}), "message"),
        (json!({ "message": 7 }), "message"),
        (json!({ "message": null }), "message"),
        (json!({ "message": "x", "data": "not an object" }), "data"),
        (json!({ "message": "x", "mesage": "y" }), "mesage"),
        (json!({ "Message": "x" }), "message"),
    ] {
        let error = project.call(SEND, args.clone()).error("validation_error");
        assert!(error["message"].as_str().unwrap().contains(field), "{args}: {error}");
    }
    // No arguments at all are an empty object.
    let _ = project.rig(&["call", SEND]).error("validation_error");
}

#[test]
fn too_much_is_refused_before_the_sandbox() {
    let project = Project::with(&["echo"]);
    let args = json!({ "message": "x".repeat(5 << 20) }).to_string();
    let error = project.run(["call", SEND, "-"]).stdin(args.clone()).output().error("validation_error");
    assert!(error["message"].as_str().unwrap().contains("4 MiB"), "{error}");

    // The limit is a setting.
    project.configure("limits:\n  args: 8 MiB\n");
    let _ = project.run(["call", SEND, "-"]).stdin(args).output().output();
    let project = Project::with(&["echo"]);
    project.configure("limits:\n  args: 100\n");
    let _ = project.call(SEND, json!({ "message": "x".repeat(100) })).error("validation_error");
}

#[test]
fn unknown_tools_are_not_found() {
    let project = Project::with(&["echo"]);
    for (tool, nearest) in
        [("echo.message.sned", SEND), ("echo.message", SEND), ("github.pulls.list", "github"), ("nothing", "")]
    {
        let error = project.call(tool, json!({})).error("not_found");
        assert!(error["message"].as_str().unwrap().contains(tool), "{error}");
        assert!(error["remediation_hints"].to_string().contains(nearest), "{tool}: {error}");
    }
    for tool in ["", "../echo", "echo.message.send\n", "\u{1b}[31m"] {
        let output = project.call(tool, json!({}));
        assert!(matches!(output.code, Some(2 | 3)), "{tool:?}: {output}");
        output.lacks("\u{1b}");
    }
    let _ = Project::new().call(SEND, json!({})).error("not_found");
}

#[test]
fn usage_is_told_apart() {
    let project = Project::with(&["echo"]);
    for args in [
        &["call"][..],
        &["call", SEND, "{}", "{}"],
        &["call", SEND, "{}", "--timeout", "soon"],
        &["call", SEND, "{}", "--timeout", "-1"],
        &["call", SEND, "{}", "--nope"],
    ] {
        let output = project.rig(args);
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{args:?}: {output}");
    }
}

#[test]
fn a_risky_call_waits_for_a_person() {
    let project = Project::with(&["echo"]);
    project.configure("policy:\n  require_approval_for: [read]\n");
    let error = project.call(SEND, json!({ "message": "x" })).error("approval_required");
    assert_eq!(error["retryable"], false, "{error}");
}

#[test]
fn calls_leave_no_state_in_the_pack() {
    let project = Project::with(&["echo"]);
    let children: Vec<_> = (0..8)
        .map(|n| (n, project.run(["call", SEND, &json!({ "message": format!("m{n}") }).to_string()]).spawn()))
        .collect();
    for (n, child) in children {
        assert_eq!(child.wait().output()["message"], format!("m{n}"));
    }
}
