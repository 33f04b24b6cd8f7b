//! The same pack in three other languages: each makes its request through the gate, with the secret that the host adds, and turns
//! what comes back into an output or an error as one in Rust would.
//!
//! One test a language, because compiling a language's runtime takes seconds, once for a project.

use rig_tests::{Gateway, Project, Reply, Upstream, packs, toolchains};
use serde_json::{Value, json};

const HOST: &str = "api.github.com";
const TOKEN: &str = "ghp_canary0123456789abcdefABCDEF01234567";

#[test]
fn python() {
    check("python");
}

#[test]
fn javascript() {
    check("js");
}

#[test]
fn c() {
    check("c");
}

/// A pack, installed in a project with a stand-in for the service.
struct Pack {
    project: Project,
    upstream: Upstream,
    tool: String,
}

fn check(language: &str) {
    let id = format!("stars-{language}");
    if !toolchains::has_built(&id) {
        return;
    }
    let upstream = Upstream::start();
    let mut project = Project::empty();
    project.offer(&[packs::built(&id)]);
    project.install(&[&id]);
    project.configure(&upstream.yaml());
    project.configure("policy:\n  retries: 0\n");
    project.set_secret("GITHUB_TOKEN", TOKEN);
    let pack = Pack { project, upstream, tool: format!("{id}.repo.get") };
    pack.a_request_carries_the_secret_and_its_answer_is_read();
    pack.failures_are_of_the_kind_that_the_status_stands_for();
    pack.a_busy_service_says_when_to_come_back();
    pack.no_argument_changes_the_url();
    pack.a_gateway_serves_it();
}

impl Pack {
    fn answer(&self, name: &str) -> Value {
        self.project.call(&self.tool, json!({ "owner": "octo", "name": name })).output()
    }

    fn error(&self, kind: &str) -> Value {
        self.project.call(&self.tool, json!({ "owner": "octo", "name": "hello" })).error(kind)
    }

    fn a_request_carries_the_secret_and_its_answer_is_read(&self) {
        let stars = 4_000_000_000_u64;
        let repository = json!({ "full_name": "octo/h\u{e9}\u{1f980} \"1\"\n", "stargazers_count": stars, "id": 1.5, "x": [null, {}] });
        let answer = repository.clone();
        self.upstream.on(HOST, move |_| Reply::json(200, answer.clone()));
        let output = self.answer("h\u{e9}llo");
        for field in ["full_name", "stargazers_count"] {
            assert_eq!(output[field], repository[field]);
        }
        let request = self.upstream.request();
        assert_eq!((&*request.method, &*request.target), ("GET", "/repos/octo/h%C3%A9llo"));
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
        assert_eq!((request.count("authorization"), request.count("user-agent")), (1, 1));
    }

    fn failures_are_of_the_kind_that_the_status_stands_for(&self) {
        let cases = [
            (Reply::json(401, json!({ "message": "Bad credentials" })), "auth_error", "401"),
            (Reply::json(404, json!({ "message": "Not Found" })), "not_found", "404"),
            (Reply::json(422, json!({})), "validation_error", "422"),
            (Reply::html(200, "<html>"), "upstream_error", "200"),
            (Reply::html(200, ""), "upstream_error", "200"),
            (Reply::html(200, "{\"full_name\": \"cut o"), "upstream_error", "200"),
        ];
        for (reply, kind, code) in cases {
            let shown = format!("{reply:?}");
            self.upstream.on(HOST, move |_| reply.clone());
            assert_eq!(self.error(kind)["upstream_code"], code, "{shown}");
        }
    }

    fn a_busy_service_says_when_to_come_back(&self) {
        self.upstream.on(HOST, |_| Reply::json(429, json!({})).header("retry-after", "17"));
        let error = self.error("rate_limited");
        assert_eq!((&error["retryable"], &error["upstream_code"]), (&json!(true), &json!("429")));
        assert!(error["remediation_hints"].to_string().contains("retry after 17 s"), "{error}");
    }

    fn no_argument_changes_the_url(&self) {
        self.upstream.forget();
        self.upstream.on(HOST, |_| Reply::json(200, json!({ "full_name": "f", "stargazers_count": 0 })));
        for args in [json!({ "name": "..", "owner": "o" }), json!({ "name": "", "owner": "o" }), json!({ "name": "n" })]
        {
            let error = self.project.call(&self.tool, args.clone()).error("validation_error");
            assert!(self.upstream.requests().is_empty(), "{args}: {error}");
        }
        assert_eq!(self.answer("a/b?c#d%2f\\")["full_name"], "f");
        assert_eq!(self.upstream.request().target, "/repos/octo/a%2Fb%3Fc%23d%252f%5C");
    }

    fn a_gateway_serves_it(&self) {
        self.upstream.on(HOST, |_| Reply::json(200, json!({ "full_name": "octo/hello", "stargazers_count": 7 })));
        let gateway = Gateway::start(&self.project);
        for _ in 0..3 {
            let result = gateway.call(&self.tool, json!({ "owner": "octo", "name": "hello" }));
            assert_eq!(result["output"]["stargazers_count"], 7, "{result}");
        }
        gateway.stop().ok();
    }
}
