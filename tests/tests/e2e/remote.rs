//! `--url`: commands that ask a running gateway do and say what they do and say in the project itself, from a folder that holds none.

use rig_specs::Sha256;
use rig_tests::{Gateway, IndexServer, Project, Reply};
use serde_json::json;

const SEND: &str = "echo.message.send";

#[test]
fn calls_and_lists_are_those_of_the_project() {
    let (project, elsewhere) = (Project::with(&["echo"]), Project::empty());
    let gateway = Gateway::start(&project);
    let url = gateway.url("");
    for args in [&["list"][..], &["list", "--json"], &["approvals"], &["approvals", "--json"]] {
        let (here, there) = (project.rig(args), elsewhere.run(args).args(["--url", &url]).output());
        assert_eq!((there.code, &there.stdout, &there.stderr), (here.code, &here.stdout, &here.stderr), "{args:?}");
    }
    let call = |tool: &str, args: &str| {
        let more = ["call", tool, args, "--request-id", "r-1", "--actor", "zoe", "--tenant", "t"];
        (project.rig(&more), elsewhere.run(more).args(["--url", &url]).output())
    };
    for (tool, args) in [
        (SEND, r#"{"message":"é"}"#),
        (SEND, r#"{"message":5}"#),
        ("echo_message_send", r#"{"message":"x"}"#),
        ("no.such.tool", "{}"),
        ("a/../b?c#d%2f", "{}"),
    ] {
        let (here, there) = call(tool, args);
        assert_eq!((there.code, there.json()), (here.code, here.json()), "{tool} {args}");
    }
    let rows = project.rig(&["audit", "query", "--json", "--tool", "a/../b?c#d%2f"]).ok().json();
    assert_eq!(rows["total"], 2, "the name arrives whole: {rows}");
    assert_eq!(rows["entries"][0]["actor"], "zoe");

    let wrong = elsewhere.run(["call", SEND, "[]", "--url", &url]).output();
    wrong.fails_with(2).explains(&["the arguments are not a JSON object: expected a JSON object, found an array"]);
    for args in [&["list", "--packs"][..], &["call", SEND, "{}", "--timeout", "5"]] {
        elsewhere.run(args).args(["--url", &url]).output().fails_with(2).says("cannot be used with");
    }
    gateway.stop().ok();
}

#[test]
fn approvals_are_decided_from_elsewhere() {
    let (project, elsewhere) = (Project::with(&["echo"]), Project::empty());
    project.configure("policy:\n  raise_risk: { 'echo.*': money }\n");
    let gateway = Gateway::start(&project);
    let url = gateway.url("");
    let rig = |args: &[&str]| elsewhere.run(args).args(["--url", &url]).output();
    let ask = || {
        let error = rig(&["call", SEND, r#"{"message":"pay"}"#]).error("approval_required");
        error["remediation_hints"][0].as_str().unwrap().strip_prefix("approve token: ").unwrap().to_owned()
    };
    let token = ask();
    rig(&["approvals"]).ok().shows(&token);
    rig(&["approvals", "--tenant", "nobody"]).ok().says("No call waits for approval.");
    assert_eq!(rig(&["approve", &token, "--by", "ann"]).output()["message"], "pay");
    let _ = rig(&["approve", &token]).error("not_found");

    // The only one that waits needs no token.
    let _ = ask();
    rig(&["deny", "--yes", "--by", "bob"]).ok().says("denied by bob; the call will not run");
    rig(&["deny", "--yes"]).fails_with(1).explains(&["no call waits for approval"]);
    rig(&["deny", &token]).fails_with(1).explains(&["no call waits for approval under this token"]);
    rig(&["approve", &token, "--by", "Zoë"]).fails_with(2).explains(&["can hold ASCII only"]);
    let page = project.rig(&["audit", "query", "--json", "--tool", SEND]).ok().json();
    assert_eq!(page["entries"][0]["decision"]["by"], "bob");
    gateway.stop().ok();
}

#[test]
fn the_token_comes_from_the_environment_and_is_not_shown() {
    let (project, mut elsewhere) = (Project::with(&["echo"]), Project::empty());
    let hash = Sha256::of(b"rig_canary-of-acme");
    project.configure(&format!("tenants:\n  acme:\n    tokens: ['{hash}']\n"));
    let gateway = Gateway::start(&project);
    let url = gateway.url("");
    let refused = elsewhere.rig(&["list", "--url", &url]);
    refused.fails_with(1).explains(&["the gateway refuses: send the tenant's token", "set RIG_TOKEN"]);
    elsewhere.set_secret("RIG_TOKEN", "rig_canary-of-acme");
    elsewhere.rig(&["list", "--url", &url, "--verbose"]).ok().shows(SEND);
    elsewhere
        .rig(&["approvals", "--url", &url])
        .fails_with(1)
        .explains(&["takes a token of `approvers`", "--approver"]);
    gateway.stop().ok();
}

#[test]
fn what_is_no_gateway_is_named() {
    let mut elsewhere = Project::empty();
    elsewhere.set_secret("RIG_TOKEN", "rig_canary-for-nobody-else");
    let list = |url: &str| elsewhere.rig(&["list", "--url", url]);
    list("http://rig.corp.example").fails_with(1).explains(&["http is used on this machine only"]);
    list("https://u:p@rig.corp.example").fails_with(1).explains(&["holds a user name or a password"]);
    list("http://127.0.0.1:1").fails_with(1).explains(&["no connection to 127.0.0.1", "rig serve"]);
    let server = IndexServer::start(&elsewhere.index_dir());
    server.set("v1/tools", Reply::json(200, json!({ "hello": 1 })));
    list(&server.url("")).fails_with(1).explains(&["what answers there (status 200) is not a gateway of rig"]);
    elsewhere.run(["list", "--offline", "--url", &server.url("")]).output().fails_with(1).says("--offline");
}
