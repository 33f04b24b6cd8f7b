//! JSON values in arguments and outputs.
//!
//! Typed structs are the better interface for a model. Where a tool takes or returns any object, [`Object`] passes it through as
//! the text it is, and [`Map`] or [`Value`] let the tool look inside.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::value::RawValue;

pub use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// Any JSON object, kept as the text that it was written as: numbers keep their digits, keys their order, and nothing is built in
/// memory. Use it for what a tool only hands on.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Object(Box<RawValue>);

impl Object {
    /// The object's text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The object as a value of its own type.
    ///
    /// # Errors
    /// `validation_error` when it has another shape.
    pub fn parse<'de, T: Deserialize<'de>>(&'de self) -> Result<T> {
        serde_json::from_str(self.get()).map_err(|error| Error::validation(error.to_string()))
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if raw.get().starts_with('{') { Ok(Self(raw)) } else { Err(D::Error::custom("expected a JSON object")) }
    }
}

impl JsonSchema for Object {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Object".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "object" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_keeps_its_text() {
        let text = r#"{"b": 1.0, "a":[1e2,"\u00e9"]}"#;
        let object: Object = serde_json::from_str(text).unwrap();
        assert_eq!(object.get(), text);
        assert_eq!(serde_json::to_string(&object).unwrap(), text);
        assert_eq!(object.parse::<Map<String, Value>>().unwrap()["b"], 1.0);
    }

    #[test]
    fn only_an_object_is_an_object() {
        for text in ["[]", "1", "\"{}\"", "null"] {
            let error = serde_json::from_str::<Object>(text).unwrap_err();
            assert!(error.to_string().starts_with("expected a JSON object"), "{text}: {error}");
        }
    }
}
