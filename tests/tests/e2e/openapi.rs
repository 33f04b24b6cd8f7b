//! schemathesis, a tester of HTTP APIs that reads the served description and tries what it says and what it forbids.
//!
//! The examples are bounded and the seed is fixed, so that a run takes seconds and finds the same each time.

use rig_tests::{Clients, Gateway, IndexServer, Output, Project, Reply};
use serde_json::json;

/// How many cases each operation gets.
const EXAMPLES: &str = "60";

/// Everything that schemathesis can look for is wanted, but for what compares two users of one object: see the tests of tenants.
const UNWANTED: &str = "object_level_authorization";

fn schemathesis(clients: &Clients, project: &Project, url: &str) -> Output {
    let fixed = ["--checks", "all", "--exclude-checks", UNWANTED, "--max-examples", EXAMPLES, "--seed", "1"];
    let run = clients.python(project, "schemathesis").args(["run", url]).args(fixed);
    // Nothing is remembered from run to run, and every problem is told, not the first alone.
    let run = run.args(["--generation-database", "none", "--continue-on-failure", "--no-color", "--workers", "1"]);
    run.timeout(std::time::Duration::from_mins(5)).output()
}

#[test]
fn the_api_does_what_its_description_says() {
    let Some(clients) = Clients::find() else { return };
    let project = Project::with(&["echo"]);
    let mut gateway = Gateway::start(&project);
    let found = schemathesis(&clients, &project, &gateway.url("/openapi.json"));
    assert_eq!(found.code, Some(0), "{found}\n{}", gateway.log());
    // It did try: an empty description would pass too.
    found.shows("Test cases:");
    for operation in ["/v1/health", "/v1/tools", "/v1/tools/{name}", "/v1/approvals", "/v1/audit/query"] {
        let description = gateway.get("/openapi.json").json();
        assert!(description["paths"][operation].is_object(), "{operation} is not in {description}");
    }
    assert!(!gateway.is_done(), "the gateway is still there");
    let _ = gateway.stop().ok();
}

/// The control: on an API that breaks its description, the same run fails and says what is wrong.
#[test]
fn an_api_that_breaks_its_description_is_found_out() {
    let Some(clients) = Clients::find() else { return };
    let project = Project::empty();
    let server = IndexServer::start(&project.index_dir());
    let answer = json!({ "description": "fine", "content": { "application/json": { "schema": { "type": "array" } } } });
    let get = json!({ "get": { "responses": { "200": answer } } });
    let paths = json!({ "/wrong-shape": get, "/undocumented": get, "/broken": get });
    let description = json!({ "openapi": "3.1.0", "info": { "title": "t", "version": "1" }, "paths": paths });
    server.set("openapi.json", Reply::json(200, description));
    server.set("wrong-shape", Reply::json(200, json!({})));
    server.set("undocumented", Reply::json(418, json!([])));
    server.set("broken", Reply::json(500, json!([])));
    let found = schemathesis(&clients, &project, &server.url("openapi.json"));
    found.fails_with(1);
    for problem in ["ST101 Server error: 1", "ST103 Undocumented status code: ", "ST108 Response violates schema: 1"] {
        found.shows(problem);
    }
}
