//! `rig test`: cases recorded once and replayed for ever, and what a recording never holds.

use std::{fs, path::PathBuf};

use rig_tests::{Output, Project, Reply, Run, Upstream, packs, snapshot};
use serde_json::{Value, json};

use crate::{
    canary::{CANARY, forms, leaks},
    github::HOST,
};

/// A pack's folder with cases of the github pack, in a project that leads to stand-ins.
struct Pack {
    project: Project,
    upstream: Upstream,
    component: PathBuf,
}

const CASES: &str = r#"
[[cases]]
name = "an issue is created"
tool = "github.issues.create"
args = { repo = "octo/hello", title = "Unicode ✓ and \"quotes\"" }
includes = { number = 7, state = "open" }
"#;

impl Pack {
    fn new(cases: &str) -> Self {
        let (project, upstream) = (Project::empty(), Upstream::start());
        project.write("rig.yaml", upstream.yaml());
        fs::create_dir_all(project.dir().join("pack/tests")).unwrap();
        let pack = Self { component: project.write("github.wasm", packs::built("github")), project, upstream };
        pack.write(cases);
        pack
    }

    fn write(&self, cases: &str) {
        self.project.write("pack/tests/cases.toml", cases);
    }

    fn run(&self, args: &[&str]) -> Run {
        let component = self.component.to_str().unwrap();
        self.project.run(["test", "pack", "--component", component]).args(args)
    }

    fn record(&self, args: &[&str]) -> Output {
        self.run(args).args(["--record"]).env("GITHUB_TOKEN", CANARY).output()
    }

    fn recording(&self) -> Value {
        serde_json::from_str(&self.project.read("pack/tests/recorded/cases.json")).unwrap()
    }
}

fn issue(text: &str) -> Value {
    json!({
        "id": 1, "number": 7, "title": text, "body": null, "state": "open", "html_url": "https://github.com/octo/hello/issues/7",
        "url": "https://api.github.com/x", "user": { "login": "octo" }, "labels": [], "created_at": "2026-11-01T10:00:00Z"
    })
}

#[test]
fn recorded_once_and_replayed_for_ever() {
    let mut pack = Pack::new(CASES);
    pack.upstream.on(HOST, |_| Reply::json(201, issue("made")));
    pack.run(&[])
        .output()
        .fails_with(1)
        .shows("the request `POST https://api.github.com/repos/octo/hello/issues` was not expected");
    pack.upstream.assert_untouched();

    pack.record(&[]).ok().shows("✓ an issue is created (recorded 1 request)");
    let sent = pack.upstream.request();
    assert_eq!(sent.header("authorization"), Some(&*format!("Bearer {CANARY}")));
    let recording = pack.recording();
    let request = &recording["cases"]["an issue is created"]["exchanges"][0]["request"];
    assert_eq!(request["url"], "https://api.github.com/repos/octo/hello/issues");
    assert_eq!(request["secrets"], json!(["GITHUB_TOKEN"]));
    assert_eq!(request["body"]["json"]["title"], "Unicode ✓ and \"quotes\"");

    // Without the service, the token and the way there.
    pack.upstream.stop();
    pack.project.write("rig.yaml", "packs: []\n");
    for _ in 0..2 {
        pack.run(&["--offline"]).output().ok().shows("1 case passed");
    }
    assert_eq!(pack.recording(), recording, "a replay changes nothing");

    // Another request than the recorded one, and one too few.
    pack.write(&CASES.replace("octo/hello", "octo/other"));
    let output = pack.run(&[]).output();
    output.fails_with(1).shows("- POST https://api.github.com/repos/octo/hello/issues");
    output
        .shows("+ POST https://api.github.com/repos/octo/other/issues")
        .shows("record the case again: rig test --record");
    pack.write(&CASES.replace("title = ", "titel = "));
    pack.run(&[])
        .output()
        .fails_with(1)
        .shows("the request `POST https://api.github.com/repos/octo/hello/issues` was not made");
}

#[test]
fn a_recording_holds_no_secret_in_any_form() {
    let pack = Pack::new(CASES);
    for (name, form) in forms() {
        let text = form.clone();
        pack.upstream.on(HOST, move |_| {
            Reply::json(201, issue(&format!("before {text} after")))
                .header("X-Echo", &text)
                .header("Set-Cookie", "session=cookie-canary-1; HttpOnly")
                .header("X-Api-Key", "key-canary-1")
        });
        let cases = CASES.replace("title = ", &format!("body = {}, title = ", json!(form)));
        pack.write(&cases);
        let output = pack.record(&[]);
        output.ok();
        assert!(!format!("{output}").contains(&form), "{name} is shown");
        let sent = pack.upstream.requests().pop().unwrap();
        assert!(sent.json()["body"] == json!(form), "what the author wrote was sent: {name}");
        pack.write(CASES);
        assert_eq!(leaks(pack.project.root()), [], "{name}");
        let text = pack.project.read("pack/tests/recorded/cases.json");
        assert!(text.contains("before [redacted:GITHUB_TOKEN"), "{name}: {text}");
        for canary in ["cookie-canary-1", "key-canary-1"] {
            assert!(!text.contains(canary), "{canary}: {text}");
        }
    }
}

#[test]
fn what_came_of_a_call_can_be_recorded_too() {
    let pack = Pack::new(&CASES.replace("includes = { number = 7, state = \"open\" }\n", ""));
    pack.run(&[]).output().fails_with(1).shows("the case does not say what must come of it");
    pack.upstream.reply(HOST, Reply::json(404, json!({ "message": "Not Found" })));
    pack.record(&[]).ok();
    let recording = pack.recording();
    assert_eq!(recording["cases"]["an issue is created"]["error"]["type"], "not_found");
    pack.run(&[]).output().ok();

    // A recording that is not what the case expects does not replace one that was.
    pack.write(CASES);
    pack.record(&[]).fails_with(1).shows("the call failed");
    assert_eq!(pack.recording(), recording);
}

#[test]
fn a_secret_too_short_to_be_found_is_not_sent() {
    let pack = Pack::new(CASES);
    pack.upstream.on(HOST, |_| Reply::json(201, issue("made")));
    let output = pack.run(&["--record"]).env("GITHUB_TOKEN", "short").output();
    output.fails_with(1).shows("the secret `GITHUB_TOKEN` has fewer than 8 characters");
    pack.upstream.assert_untouched();
    // And without one the pipeline says what is missing.
    pack.run(&["--record"]).output().fails_with(1).shows("the secret `GITHUB_TOKEN`");
    assert!(!pack.project.has("pack/tests/recorded"));
}

#[test]
fn what_is_printed() {
    let pack = Pack::new(
        r#"
[[cases]]
name = "a moved repository"
tool = "github.pulls.list"
args = { repo = "octo/hello" }
error = { type = "not_found" }
[[cases.http]]
request = { url = "https://api.github.com/repos/octo/hello/pulls?state=open&per_page=30&page=1" }
response = { status = 404, json = { message = "Not Found" } }

[[cases]]
name = "too many requests"
tool = "github.pulls.list"
args = { repo = "octo/hello" }
error = { type = "rate_limited", retryable = false }
[[cases.http]]
request = { url = "https://api.github.com/repos/octo/hello/pulls?state=open&per_page=30&page=1" }
response = { status = 429, headers = { retry-after = "30" }, json = { message = "slow down" } }

[[cases]]
name = "no such tool"
tool = "github.pulls.lists"
error = { type = "not_found" }

[[cases]]
name = "wrong arguments never reach the network"
tool = "github.pulls.list"
args = { repo = "octo" }
error = { type = "validation_error" }
"#,
    );
    let component = pack.component.to_str().unwrap();
    snapshot!(pack.project, ["test", "pack", "--component", component], @r##"
    exit code: 1
    ----- stdout -----
    tests/cases.toml
      ✓ a moved repository
      ✗ too many requests
          the error is not the one that was expected:
            {
          -   "retryable": false,
          +   "retryable": true,
              "type": "rate_limited"
            }
      ✗ no such tool
          the pack has no tool `github.pulls.lists`; it has github.issues.comment, github.issues.create, github.pulls.create, github.pulls.list
      ✓ wrong arguments never reach the network
    2 cases passed, 2 failed

    ----- stderr -----
    "##);
    snapshot!(pack.project, ["test", "pack", "moved", "--component", component], @r##"
    exit code: 0
    ----- stdout -----
    tests/cases.toml
      ✓ a moved repository
    1 case passed

    ----- stderr -----
    "##);
    let output = pack.run(&["--json"]).output();
    output.fails_with(1);
    let json = output.json();
    assert_eq!((&json["ok"], &json["passed"], &json["failed"]), (&json!(false), &json!(2), &json!(2)));
    assert_eq!(json["cases"][0]["name"], "a moved repository");
    assert!(json["cases"][1]["problems"][0].as_str().unwrap().contains("-   \"retryable\": false"));
    pack.write("[[cases]]\nname = \"x\"\ntool = \"a.b.c\"\noutptu = {}\n");
    snapshot!(pack.project, ["test", "pack", "--component", component], @r##"
    exit code: 1
    ----- stdout -----

    ----- stderr -----
    error: [PROJECT]/pack/tests/cases.toml: TOML parse error at line 4, column 1
      |
    4 | outptu = {}
      | ^^^^^^
    unknown field `outptu`, expected one of `name`, `tool`, `args`, `config`, `output`, `includes`, `error`, `http`, `ignore`
    hint: mend the file; what a case is made of stands in docs/testing-packs.md
    "##);
    fs::remove_file(pack.project.dir().join("pack/tests/cases.toml")).unwrap();
    snapshot!(pack.project, ["test", "pack", "--component", component], @r##"
    exit code: 1
    ----- stdout -----

    ----- stderr -----
    error: there are no cases in [PROJECT]/pack/tests
    hint: write the first one into cases.toml there: a name, a tool, its args, and the output
    "##);
}

/// Files of one case are not there in the next, and settings come from the case.
#[test]
fn cases_do_not_see_each_other() {
    let project = Project::empty();
    fs::create_dir_all(project.dir().join("pack/tests")).unwrap();
    let component = project.write("probe.wasm", packs::built("probe"));
    let case = |name: &str, tool: &str, args: Value, rest: &str| {
        format!("- name: {name}\n  tool: {tool}\n  args: {args}\n{rest}")
    };
    let cases = [
        case("a file is written", "probe.file.write", json!({ "path": "a", "text": "hello" }), "  includes: {}\n"),
        case("it is gone", "probe.file.read", json!({ "path": "a" }), "  error: { type: not_found }\n"),
        case(
            "a setting",
            "probe.setting.get",
            json!({ "name": "PROBE_SITE" }),
            "  config: { PROBE_SITE: there }\n  includes: { text: there }\n",
        ),
        case("its default", "probe.setting.get", json!({ "name": "PROBE_SITE" }), "  includes: { text: main }\n"),
    ];
    project.write("pack/tests/all.yaml", format!("cases:\n{}", cases.concat()));
    let args = ["test", "pack", "--component", component.to_str().unwrap()];
    project.rig(&args).ok().shows("4 cases passed");
}
