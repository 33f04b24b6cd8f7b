//! Risky calls wait for a person: what is stored, who may run it, and that it runs once and unchanged.

use rig_tests::{Output, Project, packs};
use serde_json::{Value, json};

const SEND: &str = "echo.message.send";

/// A project in which every call of the echo pack moves money.
fn risky() -> Project {
    let project = Project::with(&["echo"]);
    project.configure("policy:\n  raise_risk: { 'echo.*': money }\n");
    project
}

/// The token that an answer hands out, exactly as programs look for it.
#[track_caller]
fn token(output: &Output) -> String {
    let error = output.error("approval_required");
    let hints = error["remediation_hints"].as_array().unwrap();
    let token = hints.iter().find_map(|hint| hint.as_str()?.strip_prefix("approve token: ")).unwrap();
    assert_eq!(token.len(), 36, "{error}");
    token.to_owned()
}

fn waiting(project: &Project) -> Vec<Value> {
    project.rig(&["approvals", "--json"]).ok().json().as_array().unwrap().clone()
}

/// The rows of the audit log, oldest first: tool, outcome, error, decision.
fn rows(project: &Project) -> Vec<(String, Value, Value, Value)> {
    let page = project.rig(&["audit", "query", "--json"]).ok().json();
    let row = |row: &Value| {
        let decision = row["decision"]["decision"].clone();
        (row["tool"].as_str().unwrap().to_owned(), row["outcome"].clone(), row["error_type"].clone(), decision)
    };
    page["entries"].as_array().unwrap().iter().rev().map(row).collect()
}

#[test]
fn a_person_approves_and_the_stored_call_runs_once() {
    let project = risky();
    let args = json!({ "message": "pay", "data": { "amount": 12, "password": "hunter2-hunter2" } });
    let call = project.rig(&["call", SEND, &args.to_string(), "--actor", "agent-7", "--request-id", "req-1"]);
    let token = token(&call);

    let waiting_now = waiting(&project);
    assert_eq!(waiting_now.len(), 1, "{waiting_now:?}");
    let shown = &waiting_now[0];
    assert_eq!(
        (&shown["token"], &shown["tool_name"], &shown["risk_class"]),
        (&json!(token), &json!(SEND), &json!("money"))
    );
    assert_eq!((&shown["actor"], &shown["args"]["message"]), (&json!("agent-7"), &json!("pay")));
    assert_eq!(shown["args"]["data"]["password"], "[redacted]");

    let approved = project.rig(&["approve", &token, "--by", "ann"]);
    assert_eq!(approved.output(), args, "it runs what was stored, not what was shown");
    assert_eq!(approved.json()["correlation_id"], "req-1");
    assert!(waiting(&project).is_empty());

    let again = project.rig(&["approve", &token]).error("not_found");
    assert!(again["message"].as_str().unwrap().contains("it was approved already"), "{again}");
    let none = Value::Null;
    assert_eq!(
        rows(&project),
        [
            (SEND.to_owned(), json!("approval_required"), json!("approval_required"), none.clone()),
            (SEND.to_owned(), json!("ok"), none, json!("approved")),
            (String::new(), json!("error"), json!("not_found"), json!("attempted")),
        ]
    );
    let page = project.rig(&["audit", "query", "--json", "--tool", SEND]).ok().json();
    assert_eq!(page["entries"][0]["decision"]["by"], "ann");
    project.rig(&["audit", "verify"]).ok();
}

#[test]
fn a_denied_call_never_runs() {
    let project = risky();
    let token = token(&project.call(SEND, json!({ "message": "pay" })));
    project.rig(&["deny", &token, "--by", "bob"]).ok().says("denied by bob");
    let error = project.rig(&["approve", &token]).error("not_found");
    assert!(error["message"].as_str().unwrap().contains("it was denied"), "{error}");
    project.rig(&["deny", &token]).fails_with(1).explains(&["it was denied"]);
    let outcomes: Vec<Value> = rows(&project).into_iter().map(|row| row.1).collect();
    assert_eq!(outcomes, [json!("approval_required"), json!("policy_denied"), json!("error"), json!("error")]);
}

#[test]
fn guesses_are_not_found_and_recorded() {
    let project = risky();
    let real = token(&project.call(SEND, json!({ "message": "pay" })));
    for guess in ["6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "x", "", "'; drop table approvals; --", "../../etc/passwd"] {
        let error = project.rig(&["approve", guess]).error("not_found");
        assert!(error["message"].as_str().unwrap().contains("it was never given out"), "{guess}: {error}");
    }
    assert_eq!(rows(&project).iter().filter(|row| row.3 == "attempted").count(), 5);
    // The one that waits is untouched.
    let _ = project.rig(&["approve", &real]).output();
}

#[test]
fn an_approval_does_not_outlive_what_was_shown() {
    // Other rules.
    let project = risky();
    let token_1 = token(&project.call(SEND, json!({ "message": "pay" })));
    let rules = project.read("rig.yaml");
    project.write("rig.yaml", rules.replace("'echo.*': money", "'echo.*': destructive"));
    let error = project.rig(&["approve", &token_1]).error("conflict");
    assert!(error["message"].as_str().unwrap().contains("the rules of rig.yaml are others"), "{error}");
    // Rules that forbid it now.
    project.write("rig.yaml", rules.replace("'echo.*': money }", "'echo.*': money }\n  denied_tools: ['echo.*']"));
    let _ = project.rig(&["approve", &token_1]).error("policy_blocked");
    // Control: with the old rules it still runs.
    project.write("rig.yaml", &rules);
    let _ = project.rig(&["approve", &token_1]).output();

    // Another pack under the same name.
    let token_2 = token(&project.call(SEND, json!({ "message": "pay" })));
    let other = packs::released(&packs::built("echo"), "0.1.1");
    let path = project.index_dir().join("other.wasm");
    std::fs::write(&path, other).unwrap();
    project.rig(&["install", "--yes", path.to_str().unwrap()]).ok();
    let error = project.rig(&["approve", &token_2]).error("conflict");
    assert!(error["message"].as_str().unwrap().contains("the pack is another one"), "{error}");
}

#[test]
fn an_approval_is_not_spent_by_a_call_that_cannot_begin() {
    let mut project = Project::with(&["github"]);
    project.configure("policy:\n  require_approval_for: [read, write]\nnetwork:\n  proxy: http://127.0.0.1:9\n");
    let token = token(&project.call("github.pulls.list", json!({ "repo": "a/b" })));
    let _ = project.rig(&["approve", &token]).error("auth_error");
    assert_eq!(waiting(&project).len(), 1);
    project.set_secret("GITHUB_TOKEN", "ghp_0123456789abcdefghijklmnop");
    // Now it begins: nobody answers at the proxy, and the approval is spent.
    let output = project.rig(&["approve", &token]);
    assert_ne!(output.json()["error"]["type"], "auth_error", "{output}");
    assert!(waiting(&project).is_empty());
}

#[test]
fn what_is_stored_cannot_be_edited() {
    let project = risky();
    let token = token(&project.call(SEND, json!({ "message": "pay 1" })));
    let path = project.dir().join(".rig/approvals.sqlite");
    let stored = std::fs::read(&path).unwrap();
    let wal = std::fs::read(path.with_extension("sqlite-wal")).unwrap_or_default();
    for secret in ["pay 1", &token] {
        let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!holds(&stored) && !holds(&wal), "{secret:?} stands in the file");
    }
}

#[test]
fn racing_approvals_run_the_call_once() {
    let project = risky();
    let token = token(&project.call(SEND, json!({ "message": "pay" })));
    let racers: Vec<_> = (0..12).map(|_| project.run(["approve", &token]).spawn()).collect();
    let ended: Vec<Output> = racers.into_iter().map(rig_tests::Child::wait).collect();
    assert_eq!(ended.iter().filter(|output| output.code == Some(0)).count(), 1, "{ended:#?}");
    for output in ended.iter().filter(|output| output.code != Some(0)) {
        let _ = output.error("not_found");
    }
    assert_eq!(rows(&project).iter().filter(|row| row.1 == "ok").count(), 1);
}

#[test]
fn a_risky_call_that_cannot_be_recorded_does_not_run() {
    let project = Project::with(&["echo"]);
    project.configure(
        "policy:\n  raise_risk: { 'echo.*': money }\n  require_approval_for: []\naudit_db_path: blocked/audit.sqlite\n",
    );
    // A file where the folder should be: nothing can be written there.
    project.write("blocked", "");
    let error = project.call(SEND, json!({ "message": "pay" })).error("internal_error");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("`echo.message.send` was not run, because the audit log"), "{error}");

    // A call that only reads is answered, and says that it left no trace.
    project.write("rig.yaml", project.read("rig.yaml").replace("'echo.*': money", "'echo.*': write"));
    let output = project.call(SEND, json!({ "message": "look" }));
    assert_eq!(output.output()["message"], "look");
    output.says("warning: this call has no row in the audit log yet: the audit log");
}
