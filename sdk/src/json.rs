//! JSON values in arguments and outputs.
//!
//! Typed structs are the better interface for a model. Where a tool takes or returns any object, [`Object`] passes it through as
//! the text it is, and [`Map`] or [`Value`] let the tool look inside.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

pub use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

mod fault;
mod number;
mod read;
mod scan;
mod write;

pub(crate) use read::from_str;
pub(crate) use write::to_string;

/// A value as JSON text, written by the code that answers are written with: `Value`'s own would be in the pack a second time.
#[must_use]
pub fn text(value: &Value) -> String {
    // A value has no key that is no text and no number that is none: it can be written.
    to_string(value).unwrap_or_default()
}

/// Any JSON object, kept as the text that it was written as: numbers keep their digits, keys their order, and nothing is built in
/// memory. Use it for what a tool only hands on: from its arguments, from a response, into its output, into a request. Other readers
/// and writers of serde than the SDK's own, such as a field with `#[serde(flatten)]` around it, do not know it.
#[derive(Debug, Clone)]
pub struct Object(Box<str>);

impl Object {
    /// The object's text.
    #[must_use]
    pub fn get(&self) -> &str {
        &self.0
    }

    /// The object as a value of its own type.
    ///
    /// # Errors
    /// `validation_error` when it has another shape.
    pub fn parse<'de, T: Deserialize<'de>>(&'de self) -> Result<T> {
        from_str(self.get()).map_err(|fault| Error::validation(fault.to_string()))
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(read::RAW, self.get())
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object, D::Error> {
                let text = <&str>::deserialize(deserializer)?;
                if text.starts_with('{') {
                    Ok(Object(text.into()))
                } else {
                    Err(de::Error::custom("expected a JSON object"))
                }
            }
        }

        deserializer.deserialize_newtype_struct(read::RAW, Text)
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
mod tests;
