//! `rig tenant`: what it prints is what a person needs to let a caller in, and nothing else changes.

use rig_specs::Sha256;
use rig_tests::{Output, Project};
use serde_json::json;

/// The indented lines that are to be put into rig.yaml.
fn lines(output: &Output) -> String {
    let (_, lines) = output.stderr.split_once(":\n\n").expect("lines after a sentence");
    lines.trim_end().to_owned() + "\n"
}

#[track_caller]
fn token(output: &Output) -> (String, Sha256) {
    let token = output.ok().stdout.strip_suffix('\n').expect("a line").to_owned();
    let body = token.strip_prefix("rig_").expect("a token");
    assert!(body.len() == 43 && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{token}");
    let hash = Sha256::of(token.as_bytes());
    output.says(&hash.to_string()).says("only time that the token is shown");
    assert!(!output.stderr.contains(&token), "the token is on stdout alone: {output}");
    (token, hash)
}

#[test]
fn the_lines_that_are_printed_let_the_token_in() {
    let project = Project::new();
    let state = project.state();
    let first = project.rig(&["tenant", "new", "acme"]);
    let (_, calls) = token(&first);
    assert_eq!(project.state(), state, "a person writes rig.yaml");
    project.configure(&lines(&first));

    // The tenant is there: one more token of its own kind, then the first of the other kind.
    let second = project.rig(&["tenant", "new", "acme"]);
    let (_, also_calls) = token(&second);
    second.says("is in").says("Add the hash to its `tokens`");
    project.configure(&lines(&second));
    let third = project.rig(&["tenant", "new", "acme", "--approver"]);
    let (_, approves) = token(&third);
    project.configure(&lines(&third));
    // Another tenant, whose id YAML would read as a number.
    let other = project.rig(&["tenant", "new", "7", "--approver"]);
    let (_, other_approves) = token(&other);
    other.says("Add to `tenants` in");
    project.configure(&lines(&other));

    // In the order of their lines: 7 stands below acme in the file.
    let text = project.read("rig.yaml");
    let at = |hash: Sha256| text.find(&hash.to_string()).expect("the hash");
    assert!([calls, also_calls, approves, other_approves].map(at).is_sorted());

    let listed = project.rig(&["tenant", "list", "--json"]);
    let entry = |id: &str, tokens: u32, approvers: u32| json!({ "id": id, "tokens": tokens, "approvers": approvers, "allowed_tools": null, "secrets": null });
    assert_eq!(listed.ok().json(), json!([entry("7", 0, 1), entry("acme", 2, 1)]));
    project.rig(&["tenant", "list"]).ok().shows("acme    2       1          what the policy allows  all");
}

#[test]
fn json_has_the_token_once_and_its_hash() {
    let project = Project::new();
    let output = project.rig(&["tenant", "new", "acme", "--approver", "--json"]);
    let made = output.ok().json();
    let token = made["token"].as_str().unwrap();
    assert_eq!(
        made,
        json!({
            "tenant": "acme", "approver": true, "exists": false, "token": token,
            "hash": Sha256::of(token.as_bytes()),
        })
    );
    assert_eq!(output.stderr, "");
    assert_eq!(project.rig(&["tenant", "list", "--json"]).json(), json!([]));
    project.rig(&["tenant", "list"]).ok().says("There are no tenants. Make a token for one: rig tenant new ID");
}

#[test]
fn ids_that_cannot_be_are_refused_before_a_token_is_made() {
    let project = Project::new();
    for id in ["Acme", "a b", "", "../a", &"a".repeat(65)] {
        let output = project.rig(&["tenant", "new", id]);
        output.fails_with(2).explains(&[&format!("`{id}` cannot be the id of a tenant")]);
        assert_eq!(output.stdout, "");
    }
    let output = Project::empty().rig(&["tenant", "new", "acme"]);
    output.fails_with(1).explains(&["rig.yaml"]);
    assert_eq!(output.stdout, "");
}

/// Somebody puts the token where its hash belongs: the message, which may end in a log, does not say it again.
#[test]
fn a_token_in_rig_yaml_is_not_repeated() {
    let mut project = Project::new();
    project.guard("rig_guarded0123456789");
    project.configure("tenants:\n  acme:\n    tokens:\n      - rig_guarded0123456789\n");
    let output = project.rig(&["tenant", "list"]);
    output.fails_with(1).says("`tenants.acme.tokens[0]`: expected the hash of a token, `sha256:` and 64 hex digits");
}
