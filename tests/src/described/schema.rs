//! Values against the schemas of a description. Stricter than JSON Schema: a field is only right if it is described, for a name that the
//! service does not know is what the comparison is to find.

use serde_json::{Map, Value};

/// The document that references lead into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schemas<'a>(pub(super) &'a Value);

/// How a request wrote a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    AsJson,
    /// In a query or a form, where numbers and booleans are texts.
    AsText,
}

impl Schemas<'_> {
    /// What a reference stands for: a pointer into the document, or in Google's format the name of a schema.
    pub(super) fn resolved(self, schema: &Value) -> Value {
        let Some(to) = schema["$ref"].as_str() else { return schema.clone() };
        let found = match to.strip_prefix('#') {
            Some(pointer) => self.0.pointer(pointer),
            None => self.0["schemas"].get(to),
        };
        self.resolved(found.unwrap_or_else(|| panic!("the description has no {to}")))
    }

    /// Where the value is not what the schema says.
    pub(super) fn problems(self, value: &Value, schema: &Value, at: &str, written: Written) -> Vec<String> {
        let mut schema = self.resolved(schema);
        let fields = schema.as_object_mut();
        if let Some(parts) = fields.and_then(|fields| fields.remove("allOf")) {
            let whole = parts.as_array().into_iter().flatten().fold(schema, |whole, part| self.both(whole, part));
            return self.problems(value, &whole, at, written);
        }
        if value.is_null() && schema["nullable"] == true {
            return Vec::new();
        }
        let choices = ["anyOf", "oneOf"].into_iter().find_map(|word| schema.as_object_mut()?.remove(word));
        if let Some(choices) = choices {
            let choices = choices.as_array().into_iter().flatten();
            let tried = choices.map(|choice| self.problems(value, &self.both(schema.clone(), choice), at, written));
            return tried.min_by_key(Vec::len).unwrap_or_default();
        }
        self.problems_of_one(value, &schema, at, written)
    }

    /// As [`Self::problems`] for the values of a field that a query may have several times.
    pub(super) fn problems_of_texts(self, values: &[String], schema: &Value, at: &str) -> Vec<String> {
        let schema = self.resolved(schema);
        let is_list = schema["type"] == "array" || schema["repeated"] == true;
        let schema = if schema["type"] == "array" { &schema["items"] } else { &schema };
        if values.len() > 1 && !is_list {
            return vec![format!("{at} stands there {} times", values.len())];
        }
        let each = values.iter().map(|value| Value::String(value.clone()));
        each.flat_map(|value| self.problems(&value, schema, at, Written::AsText)).collect()
    }

    /// The schema of what fits both.
    fn both(self, one: Value, other: &Value) -> Value {
        let (mut one, other) = (one, self.resolved(other));
        let (Some(fields), Some(more)) = (one.as_object_mut(), other.as_object()) else { return other };
        for (name, value) in more {
            match (fields.get_mut(name), value) {
                (Some(Value::Object(old)), Value::Object(new)) if name == "properties" => old.extend(new.clone()),
                (Some(Value::Array(old)), Value::Array(new)) if name == "required" => old.extend(new.clone()),
                _ => {
                    fields.insert(name.clone(), value.clone());
                }
            }
        }
        one
    }

    fn problems_of_one(self, value: &Value, schema: &Value, at: &str, written: Written) -> Vec<String> {
        let kinds: Vec<&str> = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            Value::String(kind) if kind != "any" => vec![kind],
            _ => Vec::new(),
        };
        if !kinds.is_empty() && !kinds.iter().any(|kind| is_kind(value, kind, written)) {
            return vec![format!("{at} is described as {}, not {value}", kinds.join(" or "))];
        }
        let words = schema["enum"].as_array().map(Vec::as_slice).or(schema.get("const").map(std::slice::from_ref));
        if words.is_some_and(|words| !words.iter().any(|word| is_same(value, word, written))) {
            return vec![format!("{at} is not described to be {value}")];
        }
        match value {
            Value::Object(fields) => self.problems_of_fields(fields, schema, at, written),
            Value::Array(items) if schema["items"].is_object() => {
                let each = items.iter().enumerate();
                each.flat_map(|(n, item)| self.problems(item, &schema["items"], &format!("{at}[{n}]"), written))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn problems_of_fields(
        self,
        fields: &Map<String, Value>,
        schema: &Value,
        at: &str,
        written: Written,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let more = &schema["additionalProperties"];
        for (name, value) in fields {
            let at = format!("{at} {name}");
            match schema["properties"].get(name) {
                Some(schema) => problems.extend(self.problems(value, schema, &at, written)),
                None if more.is_object() => problems.extend(self.problems(value, more, &at, written)),
                // An object of which nothing is said may hold anything.
                None if *more == true || (more.is_null() && schema["properties"].is_null()) => {}
                None => problems.push(format!("{at} is not described")),
            }
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let missing = required.filter(|name| !fields.contains_key(*name));
        problems.extend(missing.map(|name| format!("{at} {name} is missing")));
        problems
    }
}

fn is_kind(value: &Value, kind: &str, written: Written) -> bool {
    match (value, kind) {
        (Value::String(text), "integer") => written == Written::AsText && text.parse::<i64>().is_ok(),
        (Value::String(text), "number") => written == Written::AsText && text.parse::<f64>().is_ok(),
        (Value::String(text), "boolean") => written == Written::AsText && matches!(text.as_str(), "true" | "false"),
        (Value::String(_), kind) => kind == "string",
        (Value::Number(number), "integer") => !number.is_f64(),
        (Value::Number(_), kind) => kind == "number",
        (Value::Bool(_), kind) => kind == "boolean",
        (Value::Null, kind) => kind == "null",
        (Value::Array(_), kind) => kind == "array",
        (Value::Object(_), kind) => kind == "object",
    }
}

fn is_same(value: &Value, word: &Value, written: Written) -> bool {
    value == word || (written == Written::AsText && !word.is_string() && value.as_str() == Some(&word.to_string()))
}

/// The fields of a form as a value: `a[b]` is a field of an object, `a[0]` and `a[]` are members of a list. All values are texts.
pub(super) fn form(body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(body);
    let mut whole = Value::Object(Map::new());
    for field in text.split('&').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let (name, value) = (super::form_decode(name), super::form_decode(value));
        let mut place = &mut whole;
        for step in steps(&name) {
            let is_member = step.is_empty() || step.bytes().all(|byte| byte.is_ascii_digit());
            if place.is_null() {
                *place = if is_member { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
            }
            place = match place {
                Value::Array(items) => {
                    let n = step.parse().unwrap_or(items.len()).min(items.len());
                    if n == items.len() {
                        items.push(Value::Null);
                    }
                    &mut items[n]
                }
                other => &mut other[step],
            };
        }
        *place = Value::String(value);
    }
    whole
}

/// The parts of a name like `a[b][0]`. Brackets in brackets belong to the part.
fn steps(name: &str) -> Vec<&str> {
    let (first, mut rest) = name.split_at(name.find('[').unwrap_or(name.len()));
    let mut steps = vec![first];
    while let Some(inner) = rest.strip_prefix('[') {
        let mut open = 1;
        let end = inner.find(|c| {
            open += match c {
                '[' => 1,
                ']' => -1,
                _ => 0,
            };
            open == 0
        });
        let end = end.unwrap_or(inner.len());
        steps.push(&inner[..end]);
        rest = inner.get(end + 1..).unwrap_or_default();
    }
    steps
}
