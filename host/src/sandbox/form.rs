//! The form of a question: the part of JSON Schema that the Model Context Protocol allows in one, read strictly, so that what a
//! client is shown is what was checked, and answers checked against it. Showing the form is the caller's part.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The size of a form as text. One that nobody can fill in by hand is no question.
const MAX_SIZE: usize = 16 << 10;

/// A form to fill in.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    schema: Map<String, Value>,
    fields: BTreeMap<String, Field>,
    required: Vec<String>,
}

/// What one property of an answer may be.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Text { min: Option<u64>, max: Option<u64>, format: Option<Format> },
    Number { whole: bool, min: Option<f64>, max: Option<f64> },
    Flag,
    One(Vec<String>),
    Several { options: Vec<String>, min: Option<u64>, max: Option<u64> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Email,
    Uri,
    Date,
    DateTime,
}

type Checked<T> = Result<T, String>;

impl Form {
    /// Reads a form.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence for the pack's author.
    pub fn parse(text: &str) -> Checked<Self> {
        if text.len() > MAX_SIZE {
            return Err(format!("the schema is {} bytes long, the limit is {MAX_SIZE}", text.len()));
        }
        let schema: Value = serde_json::from_str(text).map_err(|error| format!("the schema is not JSON: {error}"))?;
        let Value::Object(schema) = schema else { return Err("the schema is not a JSON object".into()) };
        known(&schema, "the schema", &["$schema", "type", "properties", "required"])?;
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err("the schema must be of type object".into());
        }
        let mut fields = BTreeMap::new();
        let properties = schema.get("properties").map(|value| value.as_object().ok_or("`properties` is not an object"));
        for (name, field) in properties.transpose()?.into_iter().flatten() {
            let shown = format!("`{}`", name.escape_debug());
            let described = field.as_object().ok_or_else(|| format!("{shown} is not described by an object"))?;
            fields.insert(name.clone(), Field::parse(&shown, described)?);
        }
        let required = match schema.get("required") {
            None => Vec::new(),
            Some(names) => strings(names).ok_or("`required` is not a list of strings")?,
        };
        if let Some(name) = required.iter().find(|name| !fields.contains_key(*name)) {
            return Err(format!("`{}` is required and not among the properties", name.escape_debug()));
        }
        let form = Self { schema, fields, required };
        for (name, field) in &form.fields {
            if let Some(default) = form.schema["properties"][name].get("default") {
                field.check(default).map_err(|why| format!("the default of `{}` {why}", name.escape_debug()))?;
            }
        }
        Ok(form)
    }

    /// The form as JSON Schema.
    #[must_use]
    pub fn schema(&self) -> &Map<String, Value> {
        &self.schema
    }

    /// Checks an answer, and leaves out of it what was not asked for.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence for whoever gave it.
    pub fn accept(&self, mut answer: Map<String, Value>) -> Checked<Map<String, Value>> {
        answer.retain(|name, _| self.fields.contains_key(name));
        if let Some(name) = self.required.iter().find(|name| !answer.contains_key(*name)) {
            return Err(format!("`{}` is missing", name.escape_debug()));
        }
        for (name, value) in &answer {
            self.fields[name].check(value).map_err(|why| format!("`{}` {why}", name.escape_debug()))?;
        }
        Ok(answer)
    }
}

impl Field {
    fn parse(name: &str, described: &Map<String, Value>) -> Checked<Self> {
        const COMMON: [&str; 4] = ["type", "title", "description", "default"];
        let allowed = |more: &[&str]| known(described, name, &[&COMMON, more].concat());
        for key in ["title", "description"] {
            if described.get(key).is_some_and(|text| !text.is_string()) {
                return Err(format!("{name}: `{key}` is not a string"));
            }
        }
        let count = |key: &str| whole(described, name, key);
        let bound = |key: &str| {
            let number = described.get(key).map(|value| value.as_f64().ok_or_else(|| not_a(name, key, "number")));
            number.transpose()
        };
        match described.get("type").and_then(Value::as_str) {
            Some("string") if described.contains_key("oneOf") => {
                allowed(&["oneOf"])?;
                Ok(Self::One(titled(&described["oneOf"]).ok_or_else(|| not_titled(name, "oneOf"))?))
            }
            Some("string") if described.contains_key("enum") => {
                allowed(&["enum", "enumNames"])?;
                let options = choices(name, &described["enum"])?;
                let names = |names| strings(names).is_some_and(|names| names.len() == options.len());
                if !described.get("enumNames").is_none_or(names) {
                    return Err(format!("{name}: `enumNames` does not name each choice"));
                }
                Ok(Self::One(options))
            }
            Some("string") => {
                allowed(&["minLength", "maxLength", "format"])?;
                let format = described.get("format").map(|format| match format.as_str() {
                    Some("email") => Ok(Format::Email),
                    Some("uri") => Ok(Format::Uri),
                    Some("date") => Ok(Format::Date),
                    Some("date-time") => Ok(Format::DateTime),
                    _ => Err(format!("{name}: a format is one of email, uri, date, date-time")),
                });
                Ok(Self::Text { min: count("minLength")?, max: count("maxLength")?, format: format.transpose()? })
            }
            Some(kind @ ("number" | "integer")) => {
                allowed(&["minimum", "maximum"])?;
                Ok(Self::Number { whole: kind == "integer", min: bound("minimum")?, max: bound("maximum")? })
            }
            Some("boolean") => allowed(&[]).map(|()| Self::Flag),
            Some("array") => {
                allowed(&["minItems", "maxItems", "items"])?;
                let items = described.get("items").and_then(Value::as_object);
                let items = items.ok_or_else(|| format!("{name}: a list is one of choices, given as `items`"))?;
                known(items, name, &["type", "enum", "anyOf"])?;
                let options = match (items.get("anyOf"), items.get("enum")) {
                    (Some(any), None) => titled(any).ok_or_else(|| not_titled(name, "anyOf"))?,
                    (None, Some(plain)) => choices(name, plain)?,
                    _ => return Err(format!("{name}: the items of a list have either `enum` or `anyOf`")),
                };
                Ok(Self::Several { options, min: count("minItems")?, max: count("maxItems")? })
            }
            _ => {
                Err(format!("{name}: a type is one of string, number, integer, boolean, and array for several choices"))
            }
        }
    }

    fn check(&self, value: &Value) -> Checked<()> {
        match self {
            Self::Text { min, max, format } => {
                let text = value.as_str().ok_or("is not a string")?;
                let length = text.chars().count() as u64;
                within(length, *min, *max, "character")?;
                format.map_or(Ok(()), |format| format.check(text))
            }
            Self::Number { whole, min, max } => {
                let number = value.as_f64().ok_or("is not a number")?;
                if *whole && number.fract() != 0.0 {
                    return Err("is not a whole number".into());
                }
                if let Some(min) = min.filter(|min| number < *min) {
                    return Err(format!("is less than {min}"));
                }
                max.filter(|max| number > *max).map_or(Ok(()), |max| Err(format!("is more than {max}")))
            }
            Self::Flag => value.as_bool().map(drop).ok_or_else(|| "is neither true nor false".into()),
            Self::One(options) => {
                let text = value.as_str().ok_or("is not a string")?;
                one_of(text, options)
            }
            Self::Several { options, min, max } => {
                let chosen = strings(value).ok_or("is not a list of strings")?;
                within(chosen.len() as u64, *min, *max, "choice")?;
                chosen.iter().try_for_each(|choice| one_of(choice, options))
            }
        }
    }
}

impl Format {
    fn check(self, text: &str) -> Checked<()> {
        let (good, what) = match self {
            // Whether there is such an address, only a letter to it tells.
            Self::Email => {
                let parts = text.rsplit_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
                (parts.is_some() && !text.contains(char::is_whitespace), "an e-mail address")
            }
            Self::Uri => (url::Url::parse(text).is_ok(), "a URI"),
            Self::Date => (text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10, "a date such as 2026-07-28"),
            Self::DateTime => (text.parse::<jiff::Timestamp>().is_ok(), "a time such as 2026-07-28T12:00:00Z"),
        };
        if good { Ok(()) } else { Err(format!("is not {what}")) }
    }
}

/// A form is shown by programs that know these words only, so any other would be left out without a word.
fn known(object: &Map<String, Value>, of: &str, allowed: &[&str]) -> Checked<()> {
    match object.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(key) => {
            Err(format!("{of}: `{}` has no place there; what has: {}", key.escape_debug(), allowed.join(", ")))
        }
        None => Ok(()),
    }
}

fn whole(described: &Map<String, Value>, name: &str, key: &str) -> Checked<Option<u64>> {
    described.get(key).map(|value| value.as_u64().ok_or_else(|| not_a(name, key, "whole number"))).transpose()
}

fn not_a(name: &str, key: &str, what: &str) -> String {
    format!("{name}: `{key}` is not a {what}")
}

fn not_titled(name: &str, key: &str) -> String {
    format!("{name}: `{key}` is not a list of objects with `const` and `title`, at least one")
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn choices(name: &str, value: &Value) -> Checked<Vec<String>> {
    let choices = strings(value).filter(|choices| !choices.is_empty());
    choices.ok_or_else(|| format!("{name}: `enum` is not a list of strings, at least one"))
}

fn titled(value: &Value) -> Option<Vec<String>> {
    let text = |item: &Value, key: &str| item.get(key)?.as_str().map(str::to_owned);
    let items = value.as_array().filter(|items| !items.is_empty())?.iter();
    items.map(|item| text(item, "title").and(text(item, "const"))).collect()
}

fn within(count: u64, min: Option<u64>, max: Option<u64>, what: &str) -> Checked<()> {
    if let Some(min) = min.filter(|min| count < *min) {
        return Err(format!("has {count} {what}s, and needs {min}"));
    }
    max.filter(|max| count > *max).map_or(Ok(()), |max| Err(format!("has {count} {what}s, and may have {max}")))
}

fn one_of(text: &str, options: &[String]) -> Checked<()> {
    if options.iter().any(|option| option == text) {
        return Ok(());
    }
    Err(format!(
        "is not one of {}",
        options.iter().map(|option| option.escape_debug().to_string()).collect::<Vec<_>>().join(", ")
    ))
}

#[cfg(test)]
mod tests;
