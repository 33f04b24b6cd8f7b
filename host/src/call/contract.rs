//! What a tool's arguments or outputs must be: one strict JSON object that the tool's schema accepts.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::{json, scan::Shape, schema::Schema};

/// One schema of a tool, prepared when it is first needed.
#[derive(Debug)]
pub struct Contract {
    source: Value,
    shape: OnceLock<Option<Shape>>,
    schema: OnceLock<Result<Schema, String>>,
}

/// Why a text does not keep a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach {
    /// It is not one strict JSON object.
    NotAnObject(String),
    /// The schema refuses it. One sentence each.
    Refused(Vec<String>),
    /// The schema itself cannot be used.
    Unusable(String),
}

impl Contract {
    /// The contract of a schema.
    #[must_use]
    pub fn new(source: &Value) -> Self {
        Self { source: source.clone(), shape: OnceLock::new(), schema: OnceLock::new() }
    }

    /// Checks a text, building nothing when it is plainly right.
    pub fn check(&self, text: &str) -> Result<(), Breach> {
        let shape = self.shape.get_or_init(|| Shape::of(&self.source));
        if shape.as_ref().is_some_and(|shape| shape.fits(text)) {
            return Ok(());
        }
        self.read(text).map(drop)
    }

    /// Reads and checks a text.
    pub fn read(&self, text: &str) -> Result<Map<String, Value>, Breach> {
        let schema = self.schema.get_or_init(|| Schema::compile(&self.source)).as_ref();
        let schema = schema.map_err(|why| Breach::Unusable(why.clone()))?;
        let value = Value::Object(json::object(text).map_err(Breach::NotAnObject)?);
        if !schema.accepts(&value) {
            return Err(Breach::Refused(schema.explain(&value)));
        }
        match value {
            Value::Object(object) => Ok(object),
            _ => Ok(Map::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_ways_agree() {
        let plain = Contract::new(
            &json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] }),
        );
        // The same with a keyword that only the slow way knows.
        let slow = Contract::new(&json!({ "allOf": [plain.source.clone()], "type": "object" }));
        for contract in [&plain, &slow] {
            assert_eq!(contract.check(r#"{"a":1}"#), Ok(()));
            assert_eq!(contract.check(r#"{"a":1.0}"#), Ok(()));
            assert_eq!(contract.check("{}"), Err(Breach::Refused(vec!["`a` is required".into()])));
            let twice = Err(Breach::NotAnObject("the key `a` stands twice at line 1 column 10".into()));
            assert_eq!(contract.check(r#"{"a":1,"a":2}"#), twice);
        }
    }

    #[test]
    fn an_unusable_schema_refuses_everything() {
        let contract = Contract::new(&json!({ "type": "object", "$ref": "https://example.com/other.json" }));
        assert!(matches!(contract.check("{}"), Err(Breach::Unusable(_))));
    }
}
