//! Updates on trial: a share of the calls runs on the candidate, which is taken back when it does worse, or promoted.

use std::{
    thread,
    time::{Duration, Instant},
};

use rig_tests::{Gateway, Project, guest::Guest, packs};
use serde_json::{Value, json};

const TOOL: &str = "shop.probe.run";
/// How long a condition may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A shop whose 1.1.0 works and whose 1.2.0 traps in every call, installed at 1.0.0.
fn shop() -> Project {
    let project = Project::empty();
    let sound = Guest::new("shop").build();
    let broken = Guest::new("shop").body("unreachable").build();
    project.offer(&[
        packs::released(&sound, "1.0.0"),
        packs::released(&sound, "1.1.0"),
        packs::released(&broken, "1.2.0"),
    ]);
    project.install(&["shop@1.0.0"]);
    project
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The versions that so many calls ran on: how often the candidate, and whether all succeeded.
fn versions(gateway: &Gateway, calls: usize, candidate: &str) -> (usize, bool) {
    let results: Vec<Value> = (0..calls).map(|_| gateway.call(TOOL, json!({}))).collect();
    let on_candidate = results.iter().filter(|result| result["pack_version"] == candidate).count();
    (on_candidate, results.iter().all(|result| result["ok"] == true))
}

/// The rows of the audit log about trials, oldest first.
fn trials(project: &Project) -> Vec<Value> {
    let output = project.rig(&["audit", "query", "--intents", "--limit", "1000", "--json"]);
    let page: Value = serde_json::from_str(&output.ok().stdout).unwrap();
    let mut rows: Vec<Value> =
        page["entries"].as_array().unwrap().iter().filter(|row| row["event"] == "canary").cloned().collect();
    rows.reverse();
    rows
}

fn is_on_trial(gateway: &Gateway) -> bool {
    gateway.log().contains("a candidate is on trial")
}

#[test]
fn a_candidate_that_fails_is_taken_back() {
    let project = shop();
    let gateway = Gateway::start(&project);
    let before = project.read("rig.lock");
    project
        .rig(&["update", "shop", "--canary", "20%"])
        .ok()
        .says("shop 1.2.0 is on trial beside 1.0.0, for 20 % of the calls");
    assert_eq!(project.read("rig.lock"), before);
    until("it is served", || is_on_trial(&gateway));
    let shown = project.rig(&["canary"]);
    assert!(shown.stdout.contains("1.2.0") && shown.stdout.contains("20 %"), "{}", shown.stdout);
    // Every fifth call fails, until twenty of the candidate's have.
    let (tried, _) = versions(&gateway, 100, "1.2.0");
    assert_eq!(tried, 20);
    assert_eq!(versions(&gateway, 60, "1.2.0"), (0, true), "no call runs on it any more");
    until("the end is noted", || trials(&project).len() == 2);
    let rows = trials(&project);
    assert_eq!((&rows[0]["args"]["canary"], &rows[1]["args"]["canary"]), (&json!("begun"), &json!("rolled_back")));
    assert_eq!(
        rows[1]["args"]["reason"],
        "20 of 20 calls (100.0 %) failed, against 0 of 80 calls (0.0 %) of the present version"
    );
    assert_eq!(rows[1]["args"]["packs"], json!([{ "pack": "shop", "from": "1.0.0", "to": "1.2.0" }]));
    assert_eq!(rows[1]["args"]["counted"]["candidate"]["calls"], 20);
    let metrics = gateway.get("/metrics");
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains(r#"rig_canary_calls_total{version="candidate",outcome="error"} 20"#), "{metrics}");
    project.rig(&["canary"]).ok().says("Nothing is on trial").says("was rolled back at").says("20 of 20 calls");
    assert_eq!(project.read("rig.lock"), before);
    project.rig(&["audit", "verify"]).ok();
    project.rig(&["verify"]).ok();
}

#[test]
fn a_candidate_that_does_well_is_promoted() {
    let project = shop();
    let gateway = Gateway::start(&project);
    project.rig(&["update", "shop", "--version", "1.1.0", "--canary", "25%"]).ok();
    until("it is served", || is_on_trial(&gateway));
    assert_eq!(versions(&gateway, 80, "1.1.0"), (20, true));
    // Another rule is no reason to begin anew.
    project.configure("policy:\n  timeout_seconds: 20\n");
    until("the rule is served", || gateway.log().matches("serving the changed project").count() >= 2);
    assert_eq!(versions(&gateway, 40, "1.1.0"), (10, true));
    assert_eq!(trials(&project).len(), 1);
    project
        .rig(&["update", "shop", "--canary", "10%"])
        .fails_with(1)
        .explains(&["`update shop` is on trial already", "rig canary"]);
    let output = project.rig(&["canary", "promote", "--json"]);
    let said: Value = serde_json::from_str(&output.ok().stdout).unwrap();
    assert_eq!(said, json!({ "ended": "promoted", "packs": [{ "pack": "shop", "from": "1.0.0", "to": "1.1.0" }] }));
    assert_eq!(project.locked("shop").version.to_string(), "1.1.0");
    until("all run on it", || versions(&gateway, 5, "1.1.0") == (5, true));
    project
        .rig(&["canary", "promote"])
        .fails_with(1)
        .explains(&["nothing is on trial", "rig update PACK --canary 10%"]);
    // It is a change like any other.
    project.rig(&["rollback", "--yes"]).ok();
    assert_eq!(project.locked("shop").version.to_string(), "1.0.0");
}

#[test]
fn a_trial_ends_when_somebody_says_so_or_changes_what_it_was_about() {
    let project = shop();
    let gateway = Gateway::start(&project);
    project.rig(&["update", "shop", "--version", "1.1.0", "--canary", "50%"]).ok();
    until("it is served", || is_on_trial(&gateway));
    project.rig(&["canary", "withdraw"]).ok().says("shop stays at 1.0.0");
    until("none run on it", || versions(&gateway, 10, "1.1.0") == (0, true));

    project.rig(&["update", "shop", "--version", "1.1.0", "--canary", "50%"]).ok();
    until("it is served again", || gateway.log().matches("a candidate is on trial").count() == 2);
    project.rig(&["update", "shop", "--version", "1.1.0"]).ok();
    until("the trial is over", || !project.has(".rig/canary/candidate.json"));
    until("the end is noted", || trials(&project).len() == 3);
    assert_eq!(trials(&project)[2]["args"]["canary"], "superseded");

    // What cannot be read is not served, and is no reason not to serve.
    project.write(".rig/canary/candidate.json", "{");
    until("it is refused", || gateway.log().contains("the candidate is not served"));
    assert_eq!(versions(&gateway, 5, "1.1.0"), (5, true));
    project.rig(&["canary"]).fails_with(1).explains(&["candidate.json"]);
}

/// A call that was shown to a person runs on the version that it was shown for, as long as there is one.
#[test]
fn an_approval_holds_for_the_version_that_it_was_given_for() {
    let project = shop();
    project.configure("policy:\n  require_approval_for: [read]\n");
    let gateway = Gateway::start(&project);
    project.rig(&["update", "shop", "--version", "1.1.0", "--canary", "50%"]).ok();
    until("it is served", || is_on_trial(&gateway));
    let waiting: Vec<(String, Value)> = (0..6)
        .map(|_| {
            let asked = gateway.call(TOOL, json!({}));
            let hint = asked["error"]["remediation_hints"][0].as_str().unwrap().to_owned();
            (hint.strip_prefix("approve token: ").unwrap().to_owned(), asked["pack_version"].clone())
        })
        .collect();
    assert_eq!(waiting.iter().filter(|(_, version)| version == "1.1.0").count(), 3);
    let approve = |token: &str| gateway.post(&format!("/v1/approvals/{token}:approve"), json!({})).json();
    for (token, version) in &waiting[..4] {
        let result = approve(token);
        assert_eq!((&result["ok"], &result["pack_version"]), (&json!(true), version), "{result}");
    }
    project.rig(&["canary", "withdraw"]).ok();
    until("none run on it", || (0..2).all(|_| gateway.call(TOOL, json!({}))["pack_version"] == "1.0.0"));
    for (token, version) in &waiting[4..] {
        let result = approve(token);
        if version == "1.1.0" {
            assert_eq!(result["error"]["type"], "conflict", "{result}");
        } else {
            assert_eq!(result["ok"], true, "{result}");
        }
    }
}

#[test]
fn shares_that_make_no_sense_are_refused() {
    let project = shop();
    for share in ["0%", "60%", "many"] {
        project.rig(&["update", "shop", "--canary", share]).fails_with(2);
    }
    assert!(!project.has(".rig/canary/candidate.json"));
    project.rig(&["update", "shop"]).ok();
    project.rig(&["update", "shop", "--canary", "10%"]).ok().says("shop 1.2.0 is up to date");
    assert!(!project.has(".rig/canary/candidate.json"));
}
