//! Each tool answers what the suite looks for.

use rig_sdk::{
    ErrorKind, Tool,
    client::Answer,
    json::{Value, json},
    mock,
};

use super::{content::*, questions::*, running::*, schemas::*};

fn call<T: Tool>(args: &Value) -> rig_sdk::Result<Value> {
    T::call(&args.to_string(), &mock::context()).map(|output| output.parse().unwrap())
}

fn text<T: Tool>() -> String {
    call::<T>(&json!({})).unwrap()["text"].as_str().unwrap().to_owned()
}

fn output_schema<T: Tool>(property: &str) -> Value {
    T::output_schema().parse::<Value>().unwrap()["properties"][property].clone()
}

#[test]
fn content_says_what_it_is() {
    assert_eq!(text::<simple_text>(), "This is a simple text response for testing.");
    assert_eq!(output_schema::<simple_text>("text")["format"], "mcp-text");

    let image = output_schema::<image_content>("image");
    assert_eq!((&image["contentEncoding"], &image["contentMediaType"]), (&json!("base64"), &json!("image/png")));
    assert_eq!(image, output_schema::<multiple_content_types>("image"));
    let audio = output_schema::<audio_content>("audio");
    assert_eq!((&audio["contentEncoding"], &audio["contentMediaType"]), (&json!("base64"), &json!("audio/wav")));

    let embedded = call::<embedded_resource>(&json!({})).unwrap();
    let resource = json!({
        "uri": "test://embedded-resource", "mimeType": "text/plain", "text": "This is an embedded resource content.",
    });
    assert_eq!(embedded, json!({ "resource": resource }));
    assert_eq!(output_schema::<embedded_resource>("resource")["format"], "mcp-resource");

    let mixed = call::<multiple_content_types>(&json!({})).unwrap();
    assert_eq!(mixed["text"], "Multiple content types test:");
    assert_eq!(mixed["resource"]["text"], r#"{"test":"data","value":123}"#);
}

/// The beginnings of the files, in base64.
#[test]
fn pictures_and_sounds_are_files_of_their_kind() {
    let image = image_content().unwrap().image;
    assert!(image.starts_with("iVBORw0KGgo"), "the signature of PNG: {image}");
    let audio = audio_content().unwrap().audio;
    assert!(audio.starts_with("UklGR") && audio[8..].starts_with("AABXQVZF"), "RIFF and WAVE: {audio}");
}

#[test]
fn an_error_is_an_error() {
    let error = call::<error_handling>(&json!({})).unwrap_err();
    assert_eq!(error.to_string(), "internal_error: This tool intentionally returns an error for testing");
    assert!(!error.is_retryable());
}

#[test]
fn signs_of_life_come_in_order() {
    let client = mock::client(|_| Answer::Declined);
    tool_with_progress().unwrap();
    let seen: Vec<_> = client.progress().iter().map(|report| (report.done, report.total)).collect();
    assert_eq!(seen, [(0.0, Some(100.0)), (50.0, Some(100.0)), (100.0, Some(100.0))]);

    let log = mock::log();
    tool_with_logging().unwrap();
    let lines: Vec<String> = log.lines().into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, ["Tool execution started", "Tool processing data", "Tool execution completed"]);
    logging_tool().unwrap();
    assert_eq!(log.lines().len(), 4);
    assert_eq!(reconnection().unwrap().text, "The answer came after a moment.");
}

#[test]
fn a_question_is_answered_declined_or_cancelled() {
    let ask = || call::<elicitation>(&json!({ "message": "Please provide your information" })).unwrap()["text"].clone();
    let client = mock::client(|_| Answer::Accepted(json!({ "username": "testuser", "email": "test@example.com" })));
    assert_eq!(ask(), r#"User response: action=accept, content={"email":"test@example.com","username":"testuser"}"#);
    let asked = client.questions();
    assert_eq!(asked[0].message, "Please provide your information");
    assert_eq!(asked[0].schema["required"], json!(["username", "email"]));
    drop(client);
    for (answer, expected) in [(Answer::Declined, "decline"), (Answer::Cancelled, "cancel")] {
        let _client = mock::client(move |_| answer.clone());
        assert_eq!(ask(), format!("User response: action={expected}, content={{}}"));
    }
}

#[test]
fn forms_have_every_default_and_every_choice() {
    let client = mock::client(|_| Answer::Accepted(json!({})));
    assert_eq!(text::<elicitation_sep1034_defaults>(), "Elicitation completed: action=accept, content={}");
    assert_eq!(text::<elicitation_sep1330_enums>(), "Elicitation completed: action=accept, content={}");
    let asked = client.questions();
    let defaults = &asked[0].schema["properties"];
    for (name, value) in [
        ("name", json!("John Doe")),
        ("age", json!(30)),
        ("score", json!(95.5)),
        ("status", json!("active")),
        ("verified", json!(true)),
    ] {
        assert_eq!(defaults[name]["default"], value, "{name}");
    }
    let choices = &asked[1].schema["properties"];
    let first = json!({ "const": "value1", "title": "First Option" });
    assert_eq!(choices["titledSingle"]["oneOf"][0], first);
    assert_eq!(choices["titledMulti"]["items"]["anyOf"][0]["title"], "First Choice");
    assert_eq!(choices["legacyEnum"]["enumNames"].as_array().map(Vec::len), Some(3));
    assert_eq!(choices["untitledMulti"]["items"]["enum"], choices["untitledSingle"]["enum"]);
}

#[test]
fn rounds_follow_each_other() {
    let client = mock::client(|question| match question.key.as_str() {
        "user_name" | "step1" => Answer::Accepted(json!({ "name": "Alice" })),
        "step2" => Answer::Accepted(json!({ "color": "blue" })),
        "confirm" => Answer::Accepted(json!({ "ok": true })),
        other => panic!("{other}"),
    });
    assert_eq!(text::<input_required_result_elicitation>(), "Hello, Alice!");
    assert_eq!(text::<input_required_result_multi_round>(), "Alice likes blue.");
    assert!(text::<input_required_result_request_state>().contains("state-ok"));
    assert_eq!(text::<input_required_result_tampered_state>(), "Confirmed: true");
    assert_eq!(text::<input_required_result_capabilities>(), "Confirmed: true");
    assert_eq!(text::<streaming_elicitation>(), "The question was answered.");
    let keys: Vec<String> = client.questions().into_iter().map(|question| question.key).collect();
    assert_eq!(keys, ["user_name", "step1", "step2", "confirm", "confirm", "confirm", "confirm"]);
    let name = &client.questions()[0].schema;
    assert_eq!((&name["properties"]["name"]["type"], &name["required"]), (&json!("string"), &json!(["name"])));
}

#[test]
fn without_a_person_a_question_fails_unless_it_is_not_needed() {
    let error = call::<input_required_result_elicitation>(&json!({})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionError);
    assert_eq!(text::<input_required_result_capabilities>(), "The client cannot ask, and was not asked.");
}

#[test]
fn schemas_are_as_the_suite_has_them() {
    let schema = |text: String| text.parse::<Value>().unwrap();
    let needs = schema(missing_capability::input_schema());
    assert_eq!(needs["x-mcp-client-capabilities"], json!({ "sampling": {} }));
    let headers = schema(custom_headers::input_schema());
    let header = |name: &str| headers["properties"][name]["x-mcp-header"].clone();
    assert_eq!(
        [header("region"), header("priority"), header("verbose")],
        [json!("Region"), json!("Priority"), json!("Verbose")]
    );
    assert_eq!((header("query"), &headers["properties"]["verbose"]["type"]), (Value::Null, &json!("boolean")));
    let given = call::<custom_headers>(&json!({ "region": "eu", "priority": 1, "query": "q" })).unwrap();
    let expected = r#"Custom headers test completed: {"priority":1,"query":"q","region":"eu","verbose":false}"#;
    assert_eq!(given["text"], expected);

    let mut full = schema(schema_2020_12_tool::input_schema());
    // The suite's own has no descriptions and no names for the whole.
    for property in full["properties"].as_object_mut().unwrap().values_mut() {
        assert!(property.as_object_mut().unwrap().remove("description").is_some());
    }
    assert_eq!(
        full,
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "$anchor": "addressDef",
                    "type": "object",
                    "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
                },
            },
            "properties": {
                "name": { "type": "string" },
                "address": { "$ref": "#/$defs/address" },
                "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                "phone": { "type": "string" },
                "email": { "type": "string" },
            },
            "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
            "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
            "then": { "required": ["phone"] },
            "else": { "required": ["email"] },
            "additionalProperties": false,
        })
    );
    let contact = json!({ "name": "Ann", "contactMethod": "phone", "phone": "1", "email": "a@example.com", "address": { "city": "Oslo" } });
    assert_eq!(call::<schema_2020_12_tool>(&contact).unwrap(), json!({ "reached_by": "Ann, Oslo, 1" }));
}
