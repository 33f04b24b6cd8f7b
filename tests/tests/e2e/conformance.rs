//! The official conformance suite of the Model Context Protocol, at both revisions, against a project with the `conformance` pack.
//!
//! What is expected of each scenario stands in `tests/clients/conformance-expected.toml`, with a reason for everything that is not a
//! pass. A scenario that does better or worse than that, or that is not there, fails the test: the file is what rig can say about itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
    time::Duration,
};

use rig_tests::{Clients, Gateway, Project, packs};
use serde::Deserialize;
use serde_json::Value;

/// The file of expectations.
const EXPECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/conformance-expected.toml");
/// `-2026-11-21T09-55-01-023Z` at the end of a folder's name.
const STAMP: usize = 25;
/// Checks of what went over the wire, which the suite adds to every scenario. Alone, they do not show that anything was tried.
const WIRE: &str = "wire-schema-valid";

/// The expectations: for each revision, each scenario by its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectations {
    /// Why something is not a pass, by a short name.
    reasons: BTreeMap<String, String>,
    revisions: BTreeMap<String, BTreeMap<String, Expected>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    /// `"pass"`: every check succeeds, and there is one.
    Pass(String),
    /// The checks that do not succeed, each with the short name of the reason. All others do.
    Except(BTreeMap<String, String>),
}

/// What a scenario came to: the worst of each check that did not succeed, and whether any did.
#[derive(Default)]
struct Found {
    short: BTreeMap<String, String>,
    succeeded: bool,
}

impl Found {
    fn of(checks: &Value) -> Self {
        let mut found = Self::default();
        for check in checks.as_array().expect("a list of checks") {
            let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
            let (id, status) = (text("id"), text("status"));
            match &*status {
                "SUCCESS" => found.succeeded |= id != WIRE,
                // What was sent and seen, told without a verdict.
                "INFO" => {}
                _ => {
                    let why = format!("{status} {} {}", text("errorMessage"), check["details"]["message"]);
                    found.short.insert(id, why);
                }
            }
        }
        found
    }

    fn matches(&self, expected: &Expected) -> bool {
        match expected {
            Expected::Pass(_) => self.short.is_empty() && self.succeeded,
            Expected::Except(checks) => checks.keys().eq(self.short.keys()),
        }
    }
}

impl Expectations {
    fn read() -> Self {
        let text = fs::read_to_string(EXPECTED).expect("the file of expectations");
        let expectations: Self = toml::from_str(&text).unwrap_or_else(|error| panic!("{EXPECTED}: {error}"));
        let mut used = BTreeSet::new();
        for (scenario, expected) in expectations.revisions.values().flatten() {
            match expected {
                Expected::Pass(word) => assert_eq!(word, "pass", "{scenario}"),
                Expected::Except(checks) => {
                    assert!(!checks.is_empty(), "{scenario}: say \"pass\"");
                    used.extend(checks.values());
                }
            }
        }
        let known: BTreeSet<_> = expectations.reasons.keys().collect();
        assert_eq!(used, known, "every exception has a reason, and every reason an exception");
        expectations
    }
}

/// Runs the suite and returns every scenario that it ran.
fn run(revision: &str) -> Option<BTreeMap<String, Found>> {
    let clients = Clients::find()?;
    let project = Project::empty();
    project.offer(&[packs::built("conformance")]);
    project.configure("approvals:\n  elicitation: true\n");
    project.install(&["conformance"]);
    let gateway = Gateway::start(&project);
    let out = project.root().join("out");
    let suite = clients.node(&project, "node_modules/@modelcontextprotocol/conformance/dist/index.js");
    let suite = suite.args(["server", "--url", &gateway.url("/mcp"), "--requirements", revision]);
    let suite = suite.args(["-o", out.to_str().expect("a path that is text")]);
    let output = suite.timeout(Duration::from_mins(10)).output();
    let found = scenarios(&out);
    assert!(!found.is_empty(), "{output}\n{}", gateway.log());
    let _ = gateway.stop().ok();
    Some(found)
}

/// The suite leaves a folder for each scenario: `server-<name>-<time>/checks.json`.
fn scenarios(out: &Path) -> BTreeMap<String, Found> {
    let entries = fs::read_dir(out).into_iter().flatten();
    let read = |folder: fs::DirEntry| {
        let name = folder.file_name().into_string().ok()?;
        let name = name.get(..name.len().checked_sub(STAMP)?)?.strip_prefix("server-")?.to_owned();
        let checks = fs::read(folder.path().join("checks.json")).ok()?;
        Some((name, Found::of(&serde_json::from_slice(&checks).expect("the suite writes JSON"))))
    };
    entries.filter_map(|entry| read(entry.expect("an entry"))).collect()
}

fn conforms(revision: &str) {
    let mut expectations = Expectations::read();
    let expected = expectations.revisions.remove(revision).expect("expectations for the revision");
    let Some(found) = run(revision) else { return };
    let mut differences = String::new();
    for (scenario, found) in &found {
        let is_expected = expected.get(scenario).is_some_and(|expected| found.matches(expected));
        if !is_expected {
            let verdict = if found.succeeded { "succeeds but for" } else { "did not succeed anywhere" };
            writeln!(differences, "{scenario} {verdict} {:#?}", found.short).expect("a string");
        }
    }
    for scenario in expected.keys().filter(|scenario| !found.contains_key(*scenario)) {
        writeln!(differences, "{scenario} did not run").expect("a string");
    }
    assert!(differences.is_empty(), "{revision} is not as {EXPECTED} says:\n{differences}");
}

#[test]
fn the_revision_that_clients_begin_with() {
    conforms("2025-11-25");
}

#[test]
fn the_stateless_revision() {
    conforms("2026-07-28");
}

/// The control: checks that fail, warn or are left out are told apart from those that succeed.
#[test]
fn a_check_that_does_not_succeed_is_seen() {
    let check = |id: &str, status: &str| serde_json::json!({ "id": id, "status": status, "errorMessage": "why" });
    let pass = Expected::Pass("pass".into());
    let except =
        |ids: &[&str]| Expected::Except(ids.iter().map(|id| ((*id).to_owned(), "reason".to_owned())).collect());
    let of = |checks: &[Value]| Found::of(&Value::Array(checks.to_vec()));
    assert!(of(&[check("a", "SUCCESS"), check("b", "INFO")]).matches(&pass));
    assert!(!of(&[check("b", "INFO"), check(WIRE, "SUCCESS")]).matches(&pass), "nothing was tried");
    for status in ["FAILURE", "WARNING", "SKIPPED"] {
        let found = of(&[check("a", "SUCCESS"), check("b", status)]);
        assert!(!found.matches(&pass) && found.matches(&except(&["b"])), "{status}");
        assert!(!found.matches(&except(&["a"])) && !found.matches(&except(&["a", "b"])), "{status}");
    }
    assert!(!of(&[check("b", "SUCCESS")]).matches(&except(&["b"])), "what newly succeeds is seen");
}
