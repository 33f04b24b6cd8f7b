//! The answers of an operation: what it gives, and what it may refuse with.

use serde_json::{Map, Value, json};

/// The answers of one operation by status.
pub(super) struct Answers(Map<String, Value>);

impl Answers {
    /// 200 with JSON.
    pub(super) fn json(description: &str, schema: &Value) -> Self {
        Self::content(description, "application/json", schema)
    }

    /// 200 with text.
    pub(super) fn text(description: &str, kind: &str) -> Self {
        Self::content(description, kind, &json!({ "type": "string" }))
    }

    fn content(description: &str, kind: &str, schema: &Value) -> Self {
        let answer = json!({ "description": description, "content": { kind: { "schema": schema } } });
        Self(Map::from_iter([("200".to_owned(), answer)]))
    }

    fn header(mut self, name: &str, description: &str) -> Self {
        self.0["200"]["headers"][name] = json!({ "description": description, "schema": { "type": "string" } });
        self
    }

    /// The answer says the id of the call.
    pub(super) fn correlated(self) -> Self {
        self.header("X-RIG-Correlation-ID", "The id of the call.")
    }

    /// The answer says its version.
    pub(super) fn tagged(self) -> Self {
        self.header("ETag", "The version of the list.")
    }

    /// 304 without a body.
    pub(super) fn unchanged(mut self) -> Self {
        self.0.insert("304".into(), json!({ "description": "The caller has this list already." }));
        self
    }

    pub(super) fn and(mut self, more: Map<String, Value>) -> Self {
        self.0.extend(more);
        self
    }

    pub(super) fn finish(self) -> Value {
        Value::Object(self.0)
    }
}

/// The refusals, by status.
pub(super) struct Problems {
    schema: Value,
}

/// All refusals have the same body.
pub(super) fn problems(schema: &Value) -> Problems {
    Problems { schema: schema.clone() }
}

impl Problems {
    pub(super) fn of(&self, statuses: &[u16]) -> Map<String, Value> {
        statuses.iter().map(|status| (status.to_string(), self.one(*status))).collect()
    }

    fn one(&self, status: u16) -> Value {
        let description = match status {
            400 => "The request breaks a rule of HTTP or of this API, or its body is not one strict JSON object.",
            401 => "There are tenants, and the request brings none of their tokens.",
            403 => "The host, the origin or the token does not allow this.",
            404 => "The caller has no such tool.",
            405 => "This path takes other methods.",
            408 => "The request did not come in time.",
            413 => "The body is too long.",
            415 => "The body is not said to be JSON.",
            422 => "The JSON, or the query, does not say what is expected here.",
            431 => "The head of the request is too long.",
            503 => "What is asked for cannot be read or written at the moment.",
            _ => "A fault of the gateway.",
        };
        let mut answer =
            json!({ "description": description, "content": { "application/json": { "schema": self.schema } } });
        let header = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
        match status {
            401 => answer["headers"]["WWW-Authenticate"] = header("`Bearer`"),
            405 => answer["headers"]["Allow"] = header("The methods."),
            _ => {}
        }
        answer
    }
}
