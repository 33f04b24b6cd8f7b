//! The rules of rig.yaml on real calls: limits, constraints, raised risk, tenants.

use rig_tests::{Gateway, Project};
use serde_json::json;

const SEND: &str = "echo.message.send";

fn ruled(rules: &str) -> Project {
    let project = Project::with(&["echo"]);
    project.configure(rules);
    project
}

#[test]
fn a_limit_refuses_the_call_after_it() {
    let project = ruled("policy:\n  rate_limits:\n    'echo.*': { calls: 3, per: hour, each: [tenant] }\n");
    let gateway = Gateway::start(&project);
    let call = |tenant: &str| {
        let body = json!({ "args": { "message": "x" }, "context": { "tenant_id": tenant } });
        gateway.post(&format!("/v1/tools/{SEND}:call"), body).json()
    };
    for _ in 0..3 {
        assert_eq!(call("a")["ok"], true);
    }
    let error = call("a")["error"].clone();
    assert_eq!((&error["type"], &error["retryable"]), (&json!("rate_limited"), &json!(true)), "{error}");
    assert!(error["remediation_hints"][0].as_str().unwrap().starts_with("retry after 3"), "{error}");
    assert!(error["message"].as_str().unwrap().contains("`echo.message.send` is called too often: "), "{error}");
    // Another tenant has its own count; a reload gives nobody a fresh one.
    assert_eq!(call("b")["ok"], true);
    project.configure("  retries: 1\n");
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(call("a")["error"]["type"], "rate_limited");
}

#[test]
fn a_constraint_holds_on_the_arguments() {
    let project = ruled(
        "policy:\n  constraints:\n    'echo.*':\n      message: { schema: { enum: [hello, bye] } }\n      data: { schema: { maxProperties: 1 }, optional: true }\n",
    );
    assert_eq!(project.call(SEND, json!({ "message": "hello" })).output()["message"], "hello");
    let error = project.call(SEND, json!({ "message": "pay", "data": { "a": 1, "b": 2 } })).error("policy_blocked");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("the project limits the arguments of `echo.message.send`: `"), "{error}");
    assert!(message.contains("message") && message.contains("data"), "{error}");
    let page = project.rig(&["audit", "query", "--json"]).ok().json();
    assert_eq!(page["entries"][0]["outcome"], "policy_denied");
}

#[test]
fn a_packs_own_claim_is_raised_and_never_lowered() {
    let project = ruled("policy:\n  raise_risk: { '*': read, 'echo.*': infra }\n");
    let _ = project.call(SEND, json!({ "message": "x" })).error("approval_required");
    let project = ruled("policy:\n  raise_risk: { '*': read }\n  require_approval_for: [read]\n");
    let _ = project.call(SEND, json!({ "message": "x" })).error("approval_required");
}

#[test]
fn a_tenants_rules_hold_on_the_command_line_too() {
    let project = ruled("tenants:\n  acme: { allowed_tools: ['github.*'] }\n  open: {}\n");
    let call = |tenant: &str| project.rig(&["call", SEND, "{\"message\":\"x\"}", "--tenant", tenant]);
    let _ = call("open").output();
    let error = call("acme").error("policy_blocked");
    assert!(error["message"].as_str().unwrap().contains("the tenant's `allowed_tools`"), "{error}");
    let error = call("other").error("policy_blocked");
    assert!(error["message"].as_str().unwrap().contains("does not name this tenant"), "{error}");
}

#[test]
fn a_tenant_uses_its_own_secrets_and_no_others() {
    let mut project = Project::with(&["github"]);
    project.configure(
        "policy:\n  require_approval_for: []\ntenants:\n  acme: { secrets: { GITHUB_TOKEN: ACME_GITHUB } }\n  none: { secrets: {} }\n",
    );
    project.set_secret("GITHUB_TOKEN", "ghp_of_the_project_0123456789");
    let list = |tenant: &str| project.rig(&["call", "github.pulls.list", "{\"repo\":\"a/b\"}", "--tenant", tenant]);
    let error = list("acme").error("auth_error");
    assert!(error["message"].as_str().unwrap().starts_with("the secret `ACME_GITHUB`"), "{error}");
    let error = list("none").error("permission_error");
    assert!(error["message"].as_str().unwrap().contains("which this tenant may not use"), "{error}");
}

#[test]
fn kept_arguments_are_sanitised() {
    let project = ruled("audit:\n  args: true\n");
    let _ = project.call(SEND, json!({ "message": "x", "data": { "api_key": "sk_live_0123456789abcdef" } })).output();
    let page = project.rig(&["audit", "query", "--json"]).ok().json();
    assert_eq!(page["entries"][0]["args"], json!({ "message": "x", "data": { "api_key": "[redacted]" } }));
    // Off by default.
    let project = ruled("");
    let _ = project.call(SEND, json!({ "message": "x" })).output();
    let page = project.rig(&["audit", "query", "--json"]).ok().json();
    assert_eq!(page["entries"][0]["args"], json!(null));
    assert_eq!(page["entries"][0]["input_hash"], format!("{}", rig_specs::Sha256::of(br#"{"message":"x"}"#)));
}
