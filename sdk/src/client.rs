//! Whoever made the call, while it runs: how far it is, and questions to a person.
//!
//! ```
//! use rig_sdk::{Result, client, mock};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! #[derive(Debug, Deserialize, JsonSchema)]
//! struct Target {
//!     /// The folder to write to.
//!     folder: String,
//!     /// Whether files that are there may be replaced.
//!     #[serde(default)]
//!     replace: bool,
//! }
//!
//! fn export() -> Result<String> {
//!     // Questions come first: see below.
//!     let target: Target = client::ask("target", "Where should the report go?")?.accepted()?;
//!     client::progress(1.0, Some(2.0), Some("collecting"));
//!     Ok(target.folder)
//! }
//!
//! let mock = mock::client(|question| match question.key.as_str() {
//!     "target" => client::Answer::Accepted(rig_sdk::json::json!({ "folder": "reports" })),
//!     _ => client::Answer::Declined,
//! });
//! assert_eq!(export()?, "reports");
//! assert_eq!(mock.questions()[0].schema["required"], rig_sdk::json::json!(["folder"]));
//! assert_eq!(mock.progress()[0].done, 1.0);
//! # Ok::<(), rig_sdk::Error>(())
//! ```
//!
//! Questions need `[ask]` in the manifest and the project's grant. **Ask before you change anything.** Some callers cannot wait for
//! a person: they end the call, and run the tool again from the start when they have the answer; questions that were answered are
//! then answered at once. So the host denies a question after a request with a method other than GET and HEAD, a change to storage,
//! or a call to another tool. What comes before a question must be safe to do twice.
//!
//! Never ask for a password or a key. Secrets are declared in the manifest and never reach the pack.

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{
    bindings::rig::pack::client as wire,
    error::{Error, Result},
    host,
    json::{self, Map, Value},
    tool,
};

/// Says how far the call is, in any unit: `done` of `total`, when that is known, and what is going on. Needs no grant, and is dropped
/// when nobody listens. `done` must grow from report to report; a message is one line, cut after 1 KiB. Report as often as is
/// convenient: the host drops what comes too fast.
pub fn progress(done: f64, total: Option<f64>, message: Option<&str>) {
    host::client::progress(done, total, message);
}

/// What a person did with a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// They answered.
    Accepted(T),
    /// They said no.
    Declined,
    /// They turned away without saying anything.
    Cancelled,
}

impl<T> Answer<T> {
    /// The answer, for tools that do nothing without one.
    ///
    /// # Errors
    /// `permission_error` when the person said no or turned away.
    pub fn accepted(self) -> Result<T> {
        match self {
            Self::Accepted(answer) => Ok(answer),
            Self::Declined => Err(Error::permission("the person who was asked said no")),
            Self::Cancelled => Err(Error::permission("the person who was asked did not answer")),
        }
    }
}

/// Why nobody was asked. As an [`Error`] it is a `permission_error`, or an `internal_error` for a malformed question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskError {
    /// The pack was not granted questions, has asked too many, or has changed something before it asked.
    Denied(String),
    /// There is nobody to ask, or no answer that can be used. A tool may go on without one.
    Unavailable(String),
    /// The question is malformed: a fault of the pack.
    Invalid(String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Denied(why) | Self::Unavailable(why) | Self::Invalid(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for AskError {}

impl From<AskError> for Error {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Denied(why) => Self::permission(why),
            AskError::Unavailable(why) => {
                Self::permission(why).hint("call the tool through a client that can ask a person")
            }
            AskError::Invalid(why) => Self::internal(why),
        }
    }
}

/// Asks a person to fill in a form made from a type, and waits for them.
///
/// `key` names the question within the call, for example `user_name`; each is asked once, and at most 8 in a call. `T` is a struct
/// with named fields, which are strings, numbers, booleans, enums without data, and `Vec`s of such enums; `Option` and
/// `#[serde(default)]` make a field optional. Doc comments are the descriptions that the person reads; `#[schemars(title = "…")]`,
/// `range`, `length`, `email` and `url` are passed on.
///
/// # Errors
/// When nobody could be asked.
pub fn ask<T: DeserializeOwned + JsonSchema>(key: &str, message: &str) -> Result<Answer<T>, AskError> {
    let mut schema: Value = json::from_str(&tool::input_schema::<T>()).unwrap_or_default();
    simplify(&mut schema);
    send(key, message, &schema)
}

/// Asks a person to fill in a form that is given as JSON Schema: an object whose properties are strings, numbers, booleans, and
/// choices. `wit/0.1.0/pack.wit` lists the keywords.
///
/// # Errors
/// When nobody could be asked.
pub fn ask_json(key: &str, message: &str, schema: &Value) -> Result<Answer<Map<String, Value>>, AskError> {
    send(key, message, schema)
}

fn send<T: DeserializeOwned>(key: &str, message: &str, schema: &Value) -> Result<Answer<T>, AskError> {
    let schema = json::to_string(schema).unwrap_or_default();
    match host::client::ask(key, message, &schema) {
        Ok(wire::Answer::Accepted(answer)) => json::from_str(&answer)
            .map(Answer::Accepted)
            .map_err(|error| AskError::Unavailable(format!("the answer to the question `{key}` is no use: {error}"))),
        Ok(wire::Answer::Declined) => Ok(Answer::Declined),
        Ok(wire::Answer::Cancelled) => Ok(Answer::Cancelled),
        Err(wire::AskError::Denied(why)) => Err(AskError::Denied(why)),
        Err(wire::AskError::Unavailable(why)) => Err(AskError::Unavailable(why)),
        Err(wire::AskError::Invalid(why)) => Err(AskError::Invalid(why)),
    }
}

/// Leaves of a derived schema what a form can have. Types that a form cannot have stay as they are: the host names them.
fn simplify(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    schema.retain(|key, _| matches!(key.as_str(), "type" | "properties" | "required"));
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for field in fields.into_iter().flat_map(|fields| fields.values_mut()).filter_map(Value::as_object_mut) {
        without_null(field);
        titled(field, "oneOf");
        if let Some(items) = field.get_mut("items").and_then(Value::as_object_mut) {
            titled(items, "oneOf");
            if let Some(choices) = items.remove("oneOf") {
                items.retain(|key, _| key == "enum");
                items.insert("anyOf".into(), choices);
            }
        }
        field.remove("uniqueItems");
        if matches!(field.get("type").and_then(Value::as_str), Some("integer" | "number")) {
            // `uint32` and the like.
            field.remove("format");
        }
    }
}

/// An optional field may be left out; null is nothing that a form can give.
fn without_null(field: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = field.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            field.insert("type".into(), only);
        }
    }
    if field.get("default") == Some(&Value::Null) {
        field.remove("default");
    }
    if let Some(Value::Array(values)) = field.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(any)) = field.get("anyOf") {
        let some: Vec<&Value> = any.iter().filter(|one| one["type"] != "null").collect();
        if let [Value::Object(only)] = some[..] {
            let only = only.clone();
            field.remove("anyOf");
            for (key, value) in only {
                field.entry(key).or_insert(value);
            }
        }
    }
}

/// An enum whose variants have doc comments: `const` and `description`, which a form calls the title.
fn titled(field: &mut Map<String, Value>, key: &str) {
    let Some(Value::Array(choices)) = field.get_mut(key) else { return };
    for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
        let title =
            choice.remove("title").or_else(|| choice.remove("description")).or_else(|| choice.get("const").cloned());
        choice.retain(|key, _| key == "const");
        choice.extend(title.map(|title| ("title".to_owned(), title)));
    }
    field.insert("type".into(), "string".into());
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{ErrorKind, json::json, mock};

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Plain {
        Red,
        Blue,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Told {
        /// As fast as can be
        Fast,
        /// When there is time
        Slow,
    }

    /// Everything that a form can have.
    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Form {
        /// Yours.
        #[schemars(title = "Name", length(min = 1, max = 9))]
        name: String,
        #[schemars(email)]
        mail: Option<String>,
        #[schemars(range(max = 150))]
        age: u8,
        score: Option<f64>,
        #[serde(default)]
        sure: bool,
        colour: Plain,
        other: Option<Plain>,
        speed: Told,
        again: Option<Told>,
        colours: Vec<Plain>,
        speeds: Vec<Told>,
    }

    #[test]
    fn a_type_makes_a_form() {
        let mock = mock::client(|_| {
            Answer::Accepted(json!({
                "name": "Ann", "age": 30, "colour": "red", "speed": "slow", "colours": ["blue"], "speeds": [],
            }))
        });
        let answer = ask::<Form>("all", "Fill it in.").unwrap().accepted().unwrap();
        assert_eq!((answer.name.as_str(), answer.mail, answer.speed), ("Ann", None, Told::Slow));
        let titles = json!([{ "const": "fast", "title": "As fast as can be" }, { "const": "slow", "title": "When there is time" }]);
        assert_eq!(
            mock.questions()[0].schema,
            json!({
                "type": "object",
                "properties": {
                    "name": { "type": "string", "title": "Name", "description": "Yours.", "minLength": 1, "maxLength": 9 },
                    "mail": { "type": "string", "format": "email" },
                    "age": { "type": "integer", "minimum": 0, "maximum": 150 },
                    "score": { "type": "number" },
                    "sure": { "type": "boolean", "default": false },
                    "colour": { "type": "string", "enum": ["red", "blue"] },
                    "other": { "type": "string", "enum": ["red", "blue"] },
                    "speed": { "type": "string", "oneOf": titles },
                    "again": { "type": "string", "oneOf": titles },
                    "colours": { "type": "array", "items": { "type": "string", "enum": ["red", "blue"] } },
                    "speeds": { "type": "array", "items": { "anyOf": titles } },
                },
                "required": ["name", "age", "colour", "speed", "colours", "speeds"],
            })
        );
    }

    #[test]
    fn what_a_person_does_is_told_apart() {
        let form = json!({ "type": "object", "properties": {} });
        let ask = |key: &str| ask_json(key, "Sure?", &form);
        let alone = ask("a").unwrap_err();
        assert_eq!(alone, AskError::Unavailable("no `mock::client` answers questions in this test".into()));
        assert_eq!(Error::from(alone).kind(), ErrorKind::PermissionError);
        let _mock = mock::client(|question| match question.key.as_str() {
            "yes" => Answer::Accepted(json!({})),
            "no" => Answer::Declined,
            _ => Answer::Cancelled,
        });
        assert_eq!(ask("yes"), Ok(Answer::Accepted(Map::new())));
        assert_eq!(ask("no").unwrap().accepted().unwrap_err().message(), "the person who was asked said no");
        assert_eq!(ask("else").unwrap().accepted().unwrap_err().message(), "the person who was asked did not answer");
    }

    #[test]
    fn progress_is_collected() {
        progress(0.0, None, None);
        let mock = mock::client(|_| Answer::Declined);
        progress(1.0, Some(2.0), Some("half"));
        let seen = mock.progress();
        assert_eq!(
            (seen.len(), seen[0].done, seen[0].total, seen[0].message.as_deref()),
            (1, 1.0, Some(2.0), Some("half"))
        );
    }
}
