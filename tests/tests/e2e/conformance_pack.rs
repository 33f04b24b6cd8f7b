//! The pack for the MCP conformance suite, called without MCP: what it answers fits its own schemas, and its unusual input schemas
//! hold. What becomes of it on the wire of MCP is tested where MCP is.

use rig_tests::{Output, Project, packs};
use serde_json::{Value, json};

fn project() -> Project {
    let project = Project::new();
    let file = project.write("conformance.wasm", packs::built("conformance"));
    project.install(&[file.to_str().expect("a path of text")]).ok();
    project
}

fn call(project: &Project, tool: &str, args: Value) -> Output {
    project.call(&format!("conformance.{tool}"), args)
}

#[test]
fn every_answer_fits_its_schema() {
    let project = project();
    for tool in [
        "simple_text",
        "image_content",
        "audio_content",
        "embedded_resource",
        "multiple_content_types",
        "tool_with_progress",
        "tool_with_logging",
        "logging_tool",
        "reconnection",
        "missing_capability",
    ] {
        let output = call(&project, &format!("test.{tool}"), json!({})).output();
        assert!(output.as_object().is_some_and(|output| !output.is_empty()), "{tool}: {output}");
    }
    let error = call(&project, "test.error_handling", json!({})).error("internal_error");
    assert_eq!(error["message"], "This tool intentionally returns an error for testing");
}

#[test]
fn signs_of_life_are_seen() {
    let project = project();
    let output = project.rig(&["call", "-v", "conformance.test.tool_with_progress", "{}"]);
    output.ok().says("progress 0 of 100: Started").says("progress 50 of 100").says("progress 100 of 100: Done");
    let output = project.rig(&["call", "-v", "conformance.test.tool_with_logging", "{}"]);
    output.ok().says("conformance [info] Tool execution started").says("conformance [info] Tool execution completed");
}

#[test]
fn who_has_no_person_is_told() {
    let project = project();
    let info = project.rig(&["info", "conformance"]);
    assert!(info.ok().stdout.contains("may ask you for input: made-up names and choices"), "{info}");
    let error = call(&project, "test.elicitation", json!({ "message": "Who?" })).error("permission_error");
    assert_eq!(error["message"], "nobody can be asked here: `rig call` has no way to fill in a form");
    assert_eq!(error["remediation_hints"], json!(["call the tool through a client that can ask a person"]));
    let output = call(&project, "test.input_required_result_capabilities", json!({})).output();
    assert_eq!(output["text"], "The client cannot ask, and was not asked.");
}

#[test]
fn schemas_of_2020_12_hold() {
    let project = project();
    let full = |args: Value| call(&project, "json.schema_2020_12_tool", args);
    let ann = json!({ "name": "Ann", "contactMethod": "phone", "phone": "1", "address": { "city": "Oslo" } });
    assert_eq!(full(ann).output(), json!({ "reached_by": "Ann, Oslo, 1" }));
    for wrong in [
        json!({}),
        json!({ "contactMethod": "phone", "email": "a@example.com" }),
        json!({ "contactMethod": "email", "phone": "1" }),
        json!({ "email": "a@example.com", "address": { "city": 7 } }),
        json!({ "email": "a@example.com", "more": 1 }),
    ] {
        let _ = full(wrong).error("validation_error");
    }
    let headers = json!({ "region": "eu", "priority": 1, "query": "q" });
    assert!(call(&project, "test.custom_headers", headers).output()["text"].is_string());
}
