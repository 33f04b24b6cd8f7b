//! Requests that are as a description says, and requests with each kind of mistake.

use serde_json::json;

use super::*;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn request(method: &str, target: &str, kind: &str, body: &str) -> Recorded {
    Recorded {
        scheme: "https",
        method: method.into(),
        host: "api.test".into(),
        target: target.into(),
        headers: vec![("Content-Type".into(), kind.into())],
        body: body.into(),
    }
}

fn openapi() -> Description {
    let thing = json!({
        "type": "object", "required": ["name"],
        "properties": {
            "name": { "oneOf": [{ "type": "string" }, { "type": "integer" }] },
            "note": { "type": "string", "nullable": true },
            "size": { "enum": ["s", "l"] },
            "tags": { "type": "array", "items": { "type": "string" } },
            "free": { "type": "object" },
            "inner": { "allOf": [{ "$ref": "#/components/schemas/Inner" }, { "properties": { "b": { "type": "boolean" } } }] }
        }
    });
    Description::of(json!({
        "servers": [{ "url": "https://api.test" }],
        "paths": {
            "/things/{id}.json": {
                "parameters": [{ "in": "path", "name": "id", "required": true, "schema": { "type": "string" } }],
                "get": { "parameters": [
                    { "$ref": "#/components/parameters/limit" },
                    { "in": "query", "name": "key", "required": true, "schema": { "type": "string" } },
                    { "in": "header", "name": "x", "schema": {} }
                ] },
                "post": { "requestBody": { "required": true, "content": {
                    JSON: { "schema": thing }, FORM: { "schema": thing }
                } } }
            },
            "/things/new.json": { "get": {} },
            "/elsewhere": { "servers": [{ "url": "https://other.test" }], "get": {} }
        },
        "components": {
            "parameters": { "limit": { "in": "query", "name": "limit", "schema": { "type": "integer" } } },
            "schemas": { "Inner": { "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] } }
        }
    }))
}

fn discovery() -> Description {
    Description::of(json!({
        "discoveryVersion": "v1", "rootUrl": "https://api.test/", "servicePath": "v1/",
        "parameters": { "alt": { "type": "string", "enum": ["json"], "location": "query" } },
        "resources": { "sheets": { "resources": { "values": { "methods": { "update": {
            "httpMethod": "PUT", "path": "sheets/{id}/values/{range}",
            "parameters": {
                "id": { "type": "string", "required": true, "location": "path" },
                "range": { "type": "string", "required": true, "location": "path" },
                "option": { "type": "string", "required": true, "location": "query" },
                "many": { "type": "string", "repeated": true, "location": "query" }
            },
            "request": { "$ref": "Range" }
        } } } } } },
        "schemas": { "Range": { "type": "object", "properties": {
            "values": { "type": "array", "items": { "type": "array", "items": { "type": "any" } } }
        } } }
    }))
}

#[track_caller]
fn check(description: Description, cases: &[(Recorded, &[&str])]) {
    let all = [description];
    for (request, expected) in cases {
        assert_eq!(Description::problems(&all, request), *expected, "{}", request.line());
    }
}

#[test]
fn requests_are_held_against_openapi() {
    let get = |target| request("GET", target, "", "");
    let post = |body| request("POST", "/things/7.json", "application/json; charset=utf-8", body);
    let form = |body| request("POST", "/things/7.json", FORM, body);
    check(
        openapi(),
        &[
            (get("/things/a%20b.json?key=1&limit=2"), &[]),
            (get("/things/new.json"), &[]),
            (get("/things/7.json?key=1&limit=x"), &[r#"query limit is described as integer, not "x""#]),
            (get("/things/7.json?key=1&key=2"), &["query key stands there 2 times"]),
            (get("/things/7.json?limit=1&x=1"), &["query x is not described", "query key is missing"]),
            (request("GET", "/things/new.json", JSON, "{}"), &["no body is described"]),
            (get("/things/7"), &["GET https://api.test/things/7 is not described"]),
            (get("/things/.json"), &["GET https://api.test/things/.json is not described"]),
            (get("/things/7/8.json"), &["GET https://api.test/things/7/8.json is not described"]),
            (get("/elsewhere"), &["GET https://api.test/elsewhere is not described"]),
            (request("PUT", "/things/7.json", "", ""), &["PUT https://api.test/things/7.json is not described"]),
            (post(r#"{"name":1,"note":null,"size":"s","tags":["x"],"free":{"a":[1]},"inner":{"a":1,"b":true}}"#), &[]),
            (post(""), &["the body is missing"]),
            (post("{}"), &["body name is missing"]),
            (
                post(r#"{"name":true,"naem":1}"#),
                &["body naem is not described", "body name is described as string, not true"],
            ),
            (post(r#"{"name":null}"#), &["body name is described as string, not null"]),
            (post(r#"{"name":"","size":"m"}"#), &[r#"body size is not described to be "m""#]),
            (post(r#"{"name":"","tags":[1]}"#), &["body tags[0] is described as string, not 1"]),
            (
                post(r#"{"name":"","inner":{"b":"true","c":1}}"#),
                &[
                    r#"body inner b is described as boolean, not "true""#,
                    "body inner c is not described",
                    "body inner a is missing",
                ],
            ),
            (form("name=&tags[]=x&tags[]=y&inner%5Ba%5D=1&inner[b]=true&free[x][y]=+"), &[]),
            (
                form("name=x&inner[a]=one&size=m"),
                &[r#"body inner a is described as integer, not "one""#, r#"body size is not described to be "m""#],
            ),
            (request("POST", "/things/7.json", "text/plain", "x"), &["a body of text/plain is not described"]),
        ],
    );
}

#[test]
fn requests_are_held_against_googles_format() {
    let put = |target, body| request("PUT", target, JSON, body);
    check(
        discovery(),
        &[
            (
                put(
                    "/v1/sheets/a/values/%27x%2Fy%27?option=RAW&alt=json&many=1&many=2",
                    r#"{"values":[[1,"x",null]]}"#,
                ),
                &[],
            ),
            (
                put("/v1/sheets/a/values/b?alt=xml", "{}"),
                &[r#"query alt is not described to be "xml""#, "query option is missing"],
            ),
            (
                put("/v1/sheets/a/values/b?option=RAW", r#"{"values":[1],"x":1}"#),
                &["body values[0] is described as array, not 1", "body x is not described"],
            ),
            (put("/v1/sheets/a/values/b/c", "{}"), &["PUT https://api.test/v1/sheets/a/values/b/c is not described"]),
            (put("/v1/sheets/a/values/b?option=RAW", ""), &["the body is missing"]),
        ],
    );
}

#[test]
fn forms_are_read_by_their_brackets() {
    let cases = [
        ("", json!({})),
        ("a=1&b=%20", json!({ "a": "1", "b": " " })),
        ("a[b][c]=1&a[d]=2", json!({ "a": { "b": { "c": "1" }, "d": "2" } })),
        ("l[0][p]=1&l[0][q]=2&l[1][p]=3", json!({ "l": [{ "p": "1", "q": "2" }, { "p": "3" }] })),
        ("l[]=1&l[]=2", json!({ "l": ["1", "2"] })),
        ("m[[x]]=1&m[a][[y]]=2", json!({ "m": { "[x]": "1", "a": { "[y]": "2" } } })),
    ];
    for (body, expected) in cases {
        assert_eq!(schema::form(body.as_bytes()), expected, "{body}");
    }
}
