//! Schemas as model APIs take them.

use super::*;

#[test]
fn a_plain_object_stays_as_it_is() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "a": { "anyOf": [{ "type": "string" }, { "type": "null" }] } },
        "properties": { "x": { "$ref": "#/$defs/a" } },
        "additionalProperties": false,
        "if": { "required": ["x"] }, "then": true,
    });
    assert_eq!(object_root(&schema), schema);
    assert_eq!(object_root(&json!(true)), json!({ "type": "object" }));
    assert_eq!(object_root(&json!({})), json!({ "type": "object" }));
    assert_eq!(object_root(&json!({ "type": ["object", "null"] })), json!({ "type": "object" }));
}

#[test]
fn choices_at_the_root_are_folded_into_it() {
    let schema = json!({
        "type": "object",
        "description": "d",
        "properties": { "id": { "type": "string" } },
        "required": ["id"],
        "allOf": [{ "properties": { "all": true }, "required": ["all"] }],
        "oneOf": [
            { "properties": { "kind": { "const": "a" }, "a": { "type": "integer" } }, "required": ["kind", "a"] },
            { "properties": { "kind": { "const": "b" }, "b": { "type": "integer" } }, "required": ["kind", "b"] },
        ],
        "not": { "required": ["c"] },
        "additionalProperties": false,
    });
    let folded = json!({
        "type": "object",
        "description": "d",
        "properties": {
            "id": { "type": "string" }, "all": true,
            "kind": { "anyOf": [{ "const": "a" }, { "const": "b" }] },
            "a": { "type": "integer" }, "b": { "type": "integer" },
        },
        "required": ["all", "id", "kind"],
        "additionalProperties": false,
    });
    assert_eq!(object_root(&schema), folded);
}

#[test]
fn references_at_the_root_are_followed_within_the_schema_only() {
    let defs = json!({ "args": { "properties": { "x": { "type": "string" } }, "required": ["x"] } });
    let folded = object_root(&json!({ "type": "object", "$ref": "#/$defs/args", "$defs": defs }));
    assert_eq!((&folded["properties"]["x"], &folded["required"]), (&json!({ "type": "string" }), &json!(["x"])));
    assert_eq!(folded["$defs"], defs, "other references may still need them");
    assert!(folded.get("$ref").is_none());

    for remote in ["https://example.com/s.json", "file:///etc/passwd", "other.json"] {
        let nested = json!({ "type": "object", "properties": { "x": { "items": [{ "$ref": remote }] } } });
        assert_eq!(object_root(&nested), json!({ "type": "object" }), "{remote}");
        assert!(!is_local(&nested));
    }
    // A circle ends.
    let circle = object_root(&json!({ "type": "object", "$ref": "#", "properties": { "x": {} } }));
    assert_eq!(circle, json!({ "type": "object", "properties": { "x": {} } }));
}

/// Whatever a schema accepts, its folded form accepts.
#[test]
fn folding_never_allows_less() {
    let schema = json!({
        "type": "object",
        "anyOf": [
            { "properties": { "x": { "type": "string" } }, "required": ["x"] },
            { "properties": { "x": { "type": "integer" }, "y": {} }, "required": ["y"] },
        ],
        "enum": [{ "x": "a" }, { "x": 1, "y": 2 }, { "x": "b", "y": null }],
    });
    let (exact, folded) = (compile(&schema), compile(&object_root(&schema)));
    for value in [json!({ "x": "a" }), json!({ "x": 1, "y": 2 }), json!({ "x": "b", "y": null })] {
        assert!(exact.is_valid(&value) && folded.is_valid(&value), "{value}");
    }
    assert!(!folded.is_valid(&json!({ "x": [] })) && !folded.is_valid(&json!("a")));
}

fn compile(schema: &Value) -> jsonschema::Validator {
    jsonschema::validator_for(schema).unwrap()
}

#[test]
fn gemini_gets_its_own_words() {
    let schema = json!({
        "$schema": "x", "type": "object", "additionalProperties": false,
        "$defs": { "node": { "type": "object", "description": "A node.", "properties": {
            "name": { "type": "string" }, "next": { "$ref": "#/$defs/node" } } } },
        "properties": {
            "when": { "type": ["string", "null"], "format": "date-time" },
            "mail": { "type": "string", "format": "email", "pattern": "@" },
            "kind": { "const": "a" },
            "level": { "enum": [1, 2] , "type": "integer" },
            "color": { "enum": ["red", null] },
            "either": { "anyOf": [{ "type": "string" }, { "type": "integer" }] },
            "maybe": { "oneOf": [{ "type": "null" }, { "type": "boolean", "title": "t" }] },
            "tags": { "type": "array", "items": { "type": "string", "additionalProperties": false }, "uniqueItems": true },
            "free": { "type": "array" },
        },
        "required": ["kind"],
    });
    assert_eq!(
        gemini(&schema).unwrap(),
        json!({
            "type": "object",
            "properties": {
                "when": { "type": "string", "nullable": true, "format": "date-time" },
                "mail": { "type": "string", "pattern": "@" },
                "kind": { "type": "string", "enum": ["a"] },
                "level": { "type": "integer" },
                "color": { "type": "string", "enum": ["red"] },
                "either": { "anyOf": [{ "type": "string" }, { "type": "integer" }] },
                "maybe": { "nullable": true, "type": "boolean", "title": "t" },
                "tags": { "type": "array", "items": { "type": "string" } },
                "free": { "type": "array", "items": {} },
            },
            "required": ["kind"],
        })
    );
    assert_eq!(gemini(&json!({ "type": "object", "properties": {} })), None);
}

#[test]
fn gemini_gets_no_references_and_circles_end() {
    let schema = json!({
        "type": "object",
        "properties": { "tree": { "$ref": "#/$defs/tree" } },
        "$defs": { "tree": { "type": "object", "properties": {
            "left": { "$ref": "#/$defs/tree" }, "right": { "$ref": "#/$defs/tree" } } } },
    });
    let text = gemini(&schema).unwrap().to_string();
    assert!(!text.contains("$ref") && !text.contains("$defs") && text.len() < 1 << 20, "{} bytes", text.len());
    assert!(text.contains(r#""left":{"properties":"#) || text.contains(r#""left":{"#), "{}", &text[..200]);
}
