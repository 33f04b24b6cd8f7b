//! Reading JSON that somebody else wrote, strictly: one object, no key twice, nothing after it.
//!
//! A key that stands twice is refused because two readers could take different values of it: what was checked must be what runs.
//! Nesting is bounded by serde_json (128 levels).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// Reads a JSON object. The error says what is wrong and where, in one line.
pub fn object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str::<Strict>(text) {
        Ok(Strict(Value::Object(object))) => Ok(object),
        Ok(Strict(other)) => Err(format!("expected a JSON object, found {}", kind_of(&other))),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a text is certainly what [`object`] takes, found in one pass that builds nothing. `false` means only that a closer look is
/// needed.
#[must_use]
pub fn is_plain_object(text: &str) -> bool {
    super::scan::is_plain_object(text)
}

/// What a value is, with its article, for messages.
#[must_use]
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AnyValue.deserialize(deserializer).map(Self)
    }
}

struct AnyValue;

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(AnyValue)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key `{}` stands twice", key.escape_debug())));
            }
            let value = entries.next_value_seed(AnyValue)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serde_json_reads() {
        let text = r#"{"a":[1,-2,3.5,"x\n",null,true,{"b":{}}],"c":18446744073709551615}"#;
        assert_eq!(Value::Object(object(text).unwrap()), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for (text, expected) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("[1]", "expected a JSON object, found an array"),
            ("\"x\"", "expected a JSON object, found a string"),
            ("{\"a\":1} x", "trailing characters at line 1 column 9"),
            ("{\"a\":1,\"a\":2}", "the key `a` stands twice at line 1 column"),
            ("{\"o\":{\"k\":1,\"\\u006b\":2}}", "the key `k` stands twice at line 1 column"),
            ("{\"a\":1e999}", "number out of range at line 1 column 10"),
            (&deep, "recursion limit exceeded at line 1 column 132"),
        ] {
            // Where exactly a map's reader stands when it stops is serde_json's matter.
            let error = object(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
