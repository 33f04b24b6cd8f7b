//! The OpenAPI 3.1 description of the HTTP API, made from the same types as the bodies. What stands here and not in a type are paths,
//! parameters and statuses; a test of the gateway compares them with what it answers.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{rgp, rtp};

mod answers;

use answers::{Answers, problems};

/// The description, as it is committed and served.
pub const TEXT: &str = include_str!("../openapi.json");

/// The longest name, id or token that a request may hold, in characters.
const MAX_NAME: u32 = 200;

/// Makes the description.
#[must_use]
pub fn description() -> Value {
    let mut schemas = Schemas::new();
    let paths = paths(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "rig gateway",
            "version": "1",
            "summary": "Call tools for AI agents, under the rules of one project.",
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "tools", "description": "What there is to call, and calling it." },
            { "name": "approvals", "description": "Risky calls that wait for a person." },
            { "name": "audit", "description": "What was called, by whom, and how it ended." },
            { "name": "gateway", "description": "The gateway itself." },
        ],
        // Without tenants in rig.yaml, calls need no token.
        "security": [{}, { "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "parameters": parameters(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "A tenant's token: `rig tenant new ID` makes one." },
            },
        },
    })
}

const ABOUT: &str = "A failed call is an answer like any other: status 200, and a result with its error. Another status means that no \
call came about; the body is then `error`, a word for programs, and `detail`, a sentence for people. Bodies are strict: a key that \
stands twice, at any depth, and a key that is not described here are refused. HEAD works where GET does.";

fn paths(schemas: &mut Schemas) -> Value {
    let [tool, tools, result] =
        [schemas.answer::<rtp::ToolDef>(), json!({ "type": "array" }), schemas.answer::<rtp::ToolResult>()];
    let tools = with(tools, "items", tool.clone());
    let listed = json!({ "anyOf": [
        tools,
        { "type": "array", "items": { "type": "object" }, "description": "`openai`, `anthropic` or `gemini`" },
        { "type": "object", "properties": { "tools": { "type": "array", "items": { "type": "object" } } }, "required": ["tools"], "description": "`mcp`" },
    ] });
    let health = with(schemas.answer::<rgp::Health>(), "examples", json!([{ "status": "ok" }]));
    let nothing = json!({ "type": "object", "additionalProperties": false, "maxProperties": 0 });
    let decided = json!({ "anyOf": [schemas.answer::<rgp::Denied>(), result.clone()] });
    let waiting = with(json!({ "type": "array" }), "items", schemas.answer::<rtp::ApprovalRequired>());
    let page = schemas.answer::<rgp::AuditPage>();
    let (call, query) = (schemas.body::<rgp::CallBody>(), schemas.body::<rgp::AuditQuery>());
    let problem = problems(&schemas.answer::<rgp::ErrorBody>());

    json!({
        "/v1/health": { "get": operation("health", "gateway", "Whether the gateway answers", OPEN, Answers::json("It does.", &health)
            .and(problem.of(&[400, 403, 431, 500])), &[], None) },
        "/openapi.json": { "get": operation("openapi", "gateway", "This description", OPEN, Answers::json("An OpenAPI 3.1 document.", &json!({ "type": "object" }))
            .and(problem.of(&[400, 403, 431, 500])), &[], None) },
        "/metrics": { "get": operation("metrics", "gateway", "Counts for Prometheus; with tenants, for approvers", TOKEN,
            Answers::text("OpenMetrics 1.0.", "application/openmetrics-text").and(problem.of(&[400, 401, 403, 431, 500])), &[], None) },
        "/v1/tools": { "get": operation("listTools", "tools", "The tools that the caller may call", TOKEN,
            Answers::json("The tools, sorted by name.", &listed).tagged().unchanged().and(problem.of(&[400, 401, 403, 422, 431, 500])),
            &["format", "ifNoneMatch"], None) },
        "/v1/tools/{name}": { "get": operation("getTool", "tools", "One tool", TOKEN,
            Answers::json("The tool.", &tool).and(problem.of(&[400, 401, 403, 404, 405, 431, 500])), &["name"], None) },
        "/v1/tools/{name}:call": { "post": operation("callTool", "tools", "Call a tool", TOKEN,
            Answers::json("How the call ended, well or not. An unknown tool is an error of the type `not_found`.", &result).correlated()
                .and(problem.of(&[400, 401, 403, 408, 413, 415, 422, 431, 500])),
            &["name"], Some(with_example(&call, &json!({ "args": { "message": "hello" }, "context": { "actor": "zoe" } })))) },
        "/v1/approvals": { "get": operation("listApprovals", "approvals", "The calls that wait, oldest first; with tenants, for approvers", TOKEN,
            Answers::json("The calls.", &waiting).and(problem.of(&[400, 401, 403, 431, 500, 503])), &[], None) },
        "/v1/approvals/{token}:approve": { "post": operation("approve", "approvals", "Run a stored call", TOKEN,
            Answers::json("How the stored call ended. An unknown token is an error of the type `not_found`.", &result).correlated()
                .and(problem.of(&[400, 401, 403, 408, 413, 415, 422, 431, 500])), &["token"], Some(optional(&nothing))) },
        "/v1/approvals/{token}:deny": { "post": operation("deny", "approvals", "Take a waiting call back", TOKEN,
            Answers::json("That it was denied; or a result with the error why it was not.", &decided)
                .and(problem.of(&[400, 401, 403, 408, 413, 415, 422, 431, 500])), &["token"], Some(optional(&nothing))) },
        "/v1/audit/query": { "post": operation("queryAudit", "audit", "The newest rows that match; with tenants, for approvers", TOKEN,
            Answers::json("The rows.", &page).and(problem.of(&[400, 401, 403, 408, 413, 415, 422, 431, 500, 503])), &[],
            Some(with_example(&query, &json!({ "ok": false, "limit": 10 })))) },
    })
}

/// Whether an operation takes a token when there are tenants.
const OPEN: bool = false;
const TOKEN: bool = true;

fn operation(
    id: &str,
    tag: &str,
    summary: &str,
    token: bool,
    answers: Answers,
    parameters: &[&str],
    body: Option<Value>,
) -> Value {
    let common = ["correlationId", "tenantId", "actorId"];
    let parameters: Vec<Value> = parameters
        .iter()
        .chain(&common)
        .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }))
        .collect();
    let mut operation = json!({
        "operationId": id,
        "tags": [tag],
        "summary": summary,
        "parameters": parameters,
        "responses": answers.finish(),
    });
    if !token {
        operation["security"] = json!([]);
    }
    if let Some(body) = body {
        operation["requestBody"] = body;
    }
    operation
}

fn optional(schema: &Value) -> Value {
    json!({ "required": false, "content": { "application/json": { "schema": schema } } })
}

fn with_example(schema: &Value, example: &Value) -> Value {
    json!({ "required": false, "content": { "application/json": { "schema": schema, "example": example } } })
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

fn parameters() -> Value {
    let header = |name: &str, description: &str, pattern: &str| {
        json!({
            "name": name, "in": "header", "required": false, "description": description,
            "schema": { "type": "string", "maxLength": MAX_NAME, "pattern": pattern },
        })
    };
    let path = |name: &str, description: &str, example: &str| {
        json!({
            "name": name, "in": "path", "required": true, "description": description, "example": example,
            "schema": { "type": "string", "minLength": 1, "maxLength": MAX_NAME },
        })
    };
    json!({
        "name": path("name", "The tool: `pack.noun.verb`, or the name that a list in another format gives it.", "echo.message.send"),
        "token": path("token", "The token of the waiting call.", "1e0c5b6c-6d3c-4f2a-9b7e-0d2f0f6f4c11"),
        "format": {
            "name": "format", "in": "query", "required": false,
            "description": "The form that a model's API takes, instead of rig's own.",
            "schema": { "type": "string", "enum": ["openai", "anthropic", "gemini", "mcp"] },
        },
        "ifNoneMatch": {
            "name": "If-None-Match", "in": "header", "required": false,
            "description": "The `ETag` of a list that the caller has: 304 when it is still the same.",
            "schema": { "type": "string" },
        },
        "correlationId": header("X-RIG-Correlation-ID", "The caller's own id, echoed; of a call, unless the body names one.", VISIBLE),
        "tenantId": header("X-RIG-Tenant-ID", "The tenant, unless the body names one. With a token, only the token's own.", VISIBLE),
        "actorId": header("X-RIG-Actor-ID", "Who calls, or decides, unless the body says it.", VISIBLE),
    })
}

/// Visible ASCII, with spaces inside.
const VISIBLE: &str = "^([!-~]([ -~]*[!-~])?)?$";
/// No control characters.
const PLAIN: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";
/// Visible ASCII, no spaces: it is echoed in a header.
const ID: &str = "^[!-~]*$";

/// The schemas that operations refer to. Bodies of requests may leave things out; answers always hold every key.
struct Schemas {
    bodies: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self { bodies: settings().into_generator(), answers: settings().for_serialize().into_generator() }
    }

    fn body<T: JsonSchema>(&mut self) -> Value {
        self.bodies.subschema_for::<T>().to_value()
    }

    fn answer<T: JsonSchema>(&mut self) -> Value {
        self.answers.subschema_for::<T>().to_value()
    }

    fn finish(mut self) -> Map<String, Value> {
        let mut all = self.bodies.take_definitions(true);
        all.extend(self.answers.take_definitions(true));
        let context = &mut all["CallContext"]["properties"];
        for (name, pattern) in [("tenant_id", PLAIN), ("actor", PLAIN), ("request_id", ID)] {
            context[name]["maxLength"] = MAX_NAME.into();
            context[name]["pattern"] = pattern.into();
        }
        for name in ["start_time", "end_time"] {
            all["AuditQuery"]["properties"][name]["format"] = "date-time".into();
        }
        all["ErrorBody"]["examples"] =
            json!([{ "error": "invalid_json", "detail": "the body cannot be used: EOF while parsing an object" }]);
        all.sort_keys();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        let description = description();
        let text = description.to_string();
        let mut used = Vec::new();
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(description.pointer(pointer).is_some(), "{pointer}");
            used.push(pointer.to_owned());
        }
        for kind in ["schemas", "parameters"] {
            for name in description["components"][kind].as_object().unwrap().keys() {
                let pointer = format!("/components/{kind}/{name}");
                assert!(used.contains(&pointer), "{pointer} is not used");
            }
        }
    }

    #[test]
    fn operations_are_complete() {
        let description = description();
        let mut ids = Vec::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                ids.push(operation["operationId"].as_str().unwrap().to_owned());
                let statuses: Vec<&String> = operation["responses"].as_object().unwrap().keys().collect();
                for status in ["200", "400", "403", "431", "500"] {
                    assert!(statuses.iter().any(|known| *known == status), "{method} {path}: {status}");
                }
                let body = operation.get("requestBody").is_some();
                assert_eq!(body, statuses.iter().any(|known| *known == "413"), "{method} {path}");
            }
        }
        ids.sort();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "an id stands twice");
    }
}
