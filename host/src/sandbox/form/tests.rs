//! What is a form, what is none, and which answers fit one.

use serde_json::json;

use super::*;

/// Every kind of field that there is.
fn every_kind() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "name": { "type": "string", "title": "Name", "description": "Yours.", "minLength": 2, "maxLength": 5, "default": "Ann" },
            "mail": { "type": "string", "format": "email" },
            "page": { "type": "string", "format": "uri" },
            "day": { "type": "string", "format": "date" },
            "time": { "type": "string", "format": "date-time" },
            "age": { "type": "integer", "minimum": 0, "maximum": 150, "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "sure": { "type": "boolean", "default": true },
            "one": { "type": "string", "enum": ["a", "b"], "default": "a" },
            "old": { "type": "string", "enum": ["a", "b"], "enumNames": ["A", "B"] },
            "titled": { "type": "string", "oneOf": [{ "const": "a", "title": "A" }, { "const": "b", "title": "B" }] },
            "some": { "type": "array", "minItems": 1, "maxItems": 2, "items": { "type": "string", "enum": ["a", "b", "c"] }, "default": ["c"] },
            "picks": { "type": "array", "items": { "anyOf": [{ "const": "a", "title": "A" }] } },
        },
        "required": ["name"],
    })
}

fn problem(change: impl FnOnce(&mut Value)) -> String {
    let mut schema = every_kind();
    change(&mut schema);
    Form::parse(&schema.to_string()).expect_err("it is no form")
}

#[test]
fn every_kind_of_field_is_read() {
    let form = Form::parse(&every_kind().to_string()).unwrap();
    assert_eq!(Value::Object(form.schema().clone()), every_kind(), "what is shown is what was given");
    assert_eq!(form.fields.len(), 13);
    assert_eq!(Form::parse(r#"{"type":"object"}"#).unwrap().accept(Map::new()), Ok(Map::new()), "a yes alone");
}

#[test]
fn what_clients_cannot_show_is_no_form() {
    type Case = (fn(&mut Value), &'static str);
    let cases: [Case; 17] = [
        (|s| *s = json!([]), "the schema is not a JSON object"),
        (|s| s["type"] = json!("string"), "the schema must be of type object"),
        (|s| s["properties"] = json!([]), "`properties` is not an object"),
        (
            |s| s["allOf"] = json!([]),
            "the schema: `allOf` has no place there; what has: $schema, type, properties, required",
        ),
        (|s| s["required"] = json!(["who"]), "`who` is required and not among the properties"),
        (|s| s["required"] = json!("name"), "`required` is not a list of strings"),
        (|s| s["properties"]["name"] = json!(true), "`name` is not described by an object"),
        (
            |s| s["properties"]["name"]["type"] = json!("object"),
            "`name`: a type is one of string, number, integer, boolean, and array for several choices",
        ),
        (
            |s| s["properties"]["sure"]["pattern"] = json!("^x"),
            "`sure`: `pattern` has no place there; what has: type, title, description, default",
        ),
        (|s| s["properties"]["name"]["title"] = json!(1), "`name`: `title` is not a string"),
        (|s| s["properties"]["name"]["minLength"] = json!(-1), "`name`: `minLength` is not a whole number"),
        (|s| s["properties"]["age"]["maximum"] = json!("9"), "`age`: `maximum` is not a number"),
        (
            |s| s["properties"]["mail"]["format"] = json!("password"),
            "`mail`: a format is one of email, uri, date, date-time",
        ),
        (|s| s["properties"]["one"]["enum"] = json!([]), "`one`: `enum` is not a list of strings, at least one"),
        (|s| s["properties"]["old"]["enumNames"] = json!(["A"]), "`old`: `enumNames` does not name each choice"),
        (
            |s| s["properties"]["titled"]["oneOf"] = json!([{ "const": "a" }]),
            "`titled`: `oneOf` is not a list of objects with `const` and `title`, at least one",
        ),
        (
            |s| s["properties"]["some"]["items"] = json!({ "type": "string" }),
            "`some`: the items of a list have either `enum` or `anyOf`",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(problem(change), expected);
    }
    assert_eq!(
        problem(|s| s["properties"]["age"]["default"] = json!(1.5)),
        "the default of `age` is not a whole number"
    );
    assert_eq!(problem(|s| s["properties"]["one"]["default"] = json!("c")), "the default of `one` is not one of a, b");
    assert!(Form::parse("{").unwrap_err().starts_with("the schema is not JSON"));
    let long = problem(|s| s["properties"]["name"]["title"] = json!("x".repeat(MAX_SIZE)));
    assert!(long.ends_with("bytes long, the limit is 16384"), "{long}");
}

#[test]
fn answers_are_checked() {
    let form = Form::parse(&every_kind().to_string()).unwrap();
    let accept = |answer: Value| form.accept(answer.as_object().unwrap().clone());
    let good = json!({
        "name": "Jörg", "mail": "a@example.com", "page": "https://example.com/", "day": "2026-07-28",
        "time": "2026-07-28T12:00:00Z", "age": 0, "score": -1e3, "sure": false, "one": "b", "old": "a", "titled": "b",
        "some": ["a", "c"], "picks": [],
    });
    assert_eq!(accept(good.clone()).map(Value::Object), Ok(good), "control");
    let extra = accept(json!({ "name": "Ann", "other": { "deep": [] } }));
    assert_eq!(extra.map(Value::Object), Ok(json!({ "name": "Ann" })), "what was not asked for is left out");

    for (answer, expected) in [
        (json!({}), "`name` is missing"),
        (json!({ "name": null }), "`name` is not a string"),
        (json!({ "name": "A" }), "`name` has 1 characters, and needs 2"),
        (json!({ "name": "Annabel" }), "`name` has 7 characters, and may have 5"),
        (json!({ "name": "Ann", "mail": "a b@example.com" }), "`mail` is not an e-mail address"),
        (json!({ "name": "Ann", "page": "example" }), "`page` is not a URI"),
        (json!({ "name": "Ann", "day": "2026-02-30" }), "`day` is not a date such as 2026-07-28"),
        (json!({ "name": "Ann", "time": "noon" }), "`time` is not a time such as 2026-07-28T12:00:00Z"),
        (json!({ "name": "Ann", "age": 1.5 }), "`age` is not a whole number"),
        (json!({ "name": "Ann", "age": -1 }), "`age` is less than 0"),
        (json!({ "name": "Ann", "age": 151 }), "`age` is more than 150"),
        (json!({ "name": "Ann", "score": "1" }), "`score` is not a number"),
        (json!({ "name": "Ann", "sure": "true" }), "`sure` is neither true nor false"),
        (json!({ "name": "Ann", "one": "c" }), "`one` is not one of a, b"),
        (json!({ "name": "Ann", "titled": "A" }), "`titled` is not one of a, b"),
        (json!({ "name": "Ann", "some": [] }), "`some` has 0 choices, and needs 1"),
        (json!({ "name": "Ann", "some": ["a", "b", "c"] }), "`some` has 3 choices, and may have 2"),
        (json!({ "name": "Ann", "picks": ["z"] }), "`picks` is not one of a"),
        (json!({ "name": "Ann", "picks": "a" }), "`picks` is not a list of strings"),
    ] {
        assert_eq!(accept(answer.clone()), Err(expected.to_owned()), "{answer}");
    }
}
