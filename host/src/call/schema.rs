//! JSON Schemas of tools, compiled once: whether a value fits, and if not, why, in words that a model can act on.
//!
//! Whether a value fits is the `jsonschema` crate's word alone. Why it does not is found here by walking schema and value together,
//! because collecting the crate's own errors takes exponential time on some recursive schemas. The walk is bounded and knows the
//! common keywords; what it does not know it names as "does not fit". References outside the schema are refused.

use std::{collections::BTreeSet, fmt::Write as _};

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use super::json::kind_of;
use crate::words::nearest;

/// Problems named in one answer: enough to mend a call in one go, short enough to read.
const MAX_PROBLEMS: usize = 5;
/// How deep the search for reasons goes; deeper values are named as a whole.
const MAX_DEPTH: usize = 32;
/// Values compared on the way, so that a large wrong value costs little.
const MAX_STEPS: usize = 10_000;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    source: Value,
    validator: Validator,
}

impl Schema {
    /// Compiles a schema. Fails when it is no schema, refers to something outside itself, or has a pattern that needs look-around.
    pub fn compile(source: &Value) -> Result<Self, String> {
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            // Linear in the text, whatever the pattern.
            .with_pattern_options(PatternOptions::regex())
            .build(source)
            .map_err(|error| error.to_string())?;
        Ok(Self { source: source.clone(), validator })
    }

    /// Whether a value fits.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// Why a value does not fit: at least one sentence, most useful first.
    #[must_use]
    pub fn explain(&self, value: &Value) -> Vec<String> {
        self.explain_at("", value)
    }

    /// The same for a value that is a part of something and has a name there.
    #[must_use]
    pub fn explain_at(&self, name: &str, value: &Value) -> Vec<String> {
        let mut search = Search { root: &self.source, problems: Vec::new(), steps: 0 };
        search.visit(&self.source, value, &mut name.to_owned(), 0);
        if search.problems.is_empty() {
            search.problem(name, "does not fit the schema");
        }
        search.problems
    }
}

struct Search<'a> {
    root: &'a Value,
    problems: Vec<String>,
    steps: usize,
}

impl<'a> Search<'a> {
    fn visit(&mut self, schema: &'a Value, value: &Value, path: &mut String, depth: usize) {
        self.steps += 1;
        if self.problems.len() >= MAX_PROBLEMS || depth > MAX_DEPTH || self.steps > MAX_STEPS {
            return;
        }
        let Value::Object(schema) = schema else {
            if *schema == Value::Bool(false) {
                self.problem(path, "is not allowed");
            }
            return;
        };
        let pointer = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        if let Some(target) = pointer.and_then(|pointer| self.root.pointer(pointer)) {
            self.visit(target, value, path, depth + 1);
        }
        if !self.fits_type(schema, value, path) || !self.fits_choice(schema, value, path) {
            return;
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.visit(part, value, path, depth + 1);
        }
        self.alternatives(schema, value, path, depth);
        match value {
            Value::Object(object) => self.object(schema, object, path, depth),
            Value::Array(items) => self.array(schema, items, path, depth),
            Value::String(text) => self.string(schema, text, path),
            Value::Number(number) => self.number(schema, number.as_f64().unwrap_or(f64::NAN), path),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn problem(&mut self, path: &str, what: &str) {
        let place = if path.is_empty() { "the value".to_owned() } else { format!("`{path}`") };
        let sentence = format!("{place} {what}");
        if self.problems.len() < MAX_PROBLEMS && !self.problems.contains(&sentence) {
            self.problems.push(sentence);
        }
    }

    fn fits_type(&mut self, schema: &Map<String, Value>, value: &Value, path: &str) -> bool {
        let wanted: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        let fits = wanted.iter().any(|kind| match *kind {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        });
        if !fits {
            let wanted = wanted.iter().map(|kind| with_article(kind)).collect::<Vec<_>>().join(" or ");
            self.problem(path, &format!("must be {wanted}, not {}", kind_of(value)));
        }
        fits
    }

    fn fits_choice(&mut self, schema: &Map<String, Value>, value: &Value, path: &str) -> bool {
        if let Some(choices) = schema.get("enum").and_then(Value::as_array)
            && !choices.contains(value)
        {
            let choices = choices.iter().take(20).map(Value::to_string).collect::<Vec<_>>().join(", ");
            self.problem(path, &format!("must be one of {choices}"));
            return false;
        }
        if let Some(constant) = schema.get("const")
            && constant != value
        {
            self.problem(path, &format!("must be {constant}"));
            return false;
        }
        true
    }

    /// With one alternative that is not null the reasons of that one are named; with more, only that none fits.
    fn alternatives(&mut self, schema: &'a Map<String, Value>, value: &Value, path: &mut String, depth: usize) {
        for keyword in ["anyOf", "oneOf"] {
            let Some(choices) = schema.get(keyword).and_then(Value::as_array) else { continue };
            let is_null = |choice: &&Value| choice.get("type").and_then(Value::as_str) == Some("null");
            let mut real = choices.iter().filter(|choice| !is_null(choice));
            match (real.next(), real.next()) {
                (Some(only), None) if !value.is_null() => self.visit(only, value, path, depth + 1),
                (Some(_), Some(_)) => {
                    let fits = |choice: &&Value| jsonschema::options().build(choice).is_ok_and(|v| v.is_valid(value));
                    let local = choices.len() <= 8 && !choices.iter().any(|choice| choice.get("$ref").is_some());
                    if local && !choices.iter().any(|choice| fits(&choice)) {
                        self.problem(path, "fits none of the forms that are allowed here");
                    }
                }
                _ => {}
            }
        }
    }

    fn object(&mut self, schema: &'a Map<String, Value>, object: &Map<String, Value>, path: &mut String, depth: usize) {
        let no_properties = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                let what =
                    properties.and_then(|p| p.get(name)).and_then(|p| p.get("description")).and_then(Value::as_str);
                let what = what.map(|text| format!(" ({})", text.trim_end_matches('.'))).unwrap_or_default();
                self.problem(&at(path, name), &format!("is required{what}"));
            }
        }
        let known: BTreeSet<&str> = properties.unwrap_or(&no_properties).keys().map(String::as_str).collect();
        for (name, value) in object {
            let length = path.len();
            if let Some(schema) = properties.and_then(|properties| properties.get(name)) {
                push(path, name);
                self.visit(schema, value, path, depth + 1);
                path.truncate(length);
            } else if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
                let name_at = at(path, &name.escape_debug().take(64).collect::<String>());
                let rest = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("; did you mean `{near}`?"),
                    None if known.is_empty() => "; there are no fields".into(),
                    None => format!("; the fields are {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
                };
                self.problem(&name_at, &format!("is not a known field{rest}"));
            } else if let Some(schema @ Value::Object(_)) = schema.get("additionalProperties") {
                push(path, name);
                self.visit(schema, value, path, depth + 1);
                path.truncate(length);
            }
        }
        self.count(schema, "minProperties", "maxProperties", object.len(), "fields", path);
    }

    fn array(&mut self, schema: &'a Map<String, Value>, items: &[Value], path: &mut String, depth: usize) {
        self.count(schema, "minItems", "maxItems", items.len(), "items", path);
        let Some(schema) = schema.get("items") else { return };
        for (position, item) in items.iter().enumerate() {
            let length = path.len();
            let _ = write!(path, "[{position}]");
            self.visit(schema, item, path, depth + 1);
            path.truncate(length);
        }
    }

    fn string(&mut self, schema: &Map<String, Value>, text: &str, path: &str) {
        self.count(schema, "minLength", "maxLength", text.chars().count(), "characters", path);
        for keyword in ["pattern", "format"] {
            let Some(rule) = schema.get(keyword) else { continue };
            let alone = Value::Object(Map::from_iter([(keyword.to_owned(), rule.clone())]));
            let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
            if options.build(&alone).is_ok_and(|validator| !validator.is_valid(&Value::String(text.to_owned()))) {
                self.problem(path, &format!("must match the {keyword} {}", rule.as_str().unwrap_or_default()));
            }
        }
    }

    fn number(&mut self, schema: &Map<String, Value>, number: f64, path: &str) {
        type Rule = (&'static str, &'static str, fn(f64, f64) -> bool);
        let rules: [Rule; 4] = [
            ("minimum", "at least", |number, bound| number >= bound),
            ("maximum", "at most", |number, bound| number <= bound),
            ("exclusiveMinimum", "more than", |number, bound| number > bound),
            ("exclusiveMaximum", "less than", |number, bound| number < bound),
        ];
        for (keyword, words, holds) in rules {
            if let Some(bound) = schema.get(keyword).and_then(Value::as_f64)
                && !holds(number, bound)
            {
                self.problem(path, &format!("must be {words} {bound}"));
            }
        }
    }

    fn count(&mut self, schema: &Map<String, Value>, min: &str, max: &str, count: usize, unit: &str, path: &str) {
        let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
        if let Some(min) = bound(min).filter(|min| (count as u64) < *min) {
            self.problem(path, &format!("must have at least {min} {unit}, not {count}"));
        }
        if let Some(max) = bound(max).filter(|max| (count as u64) > *max) {
            self.problem(path, &format!("must have at most {max} {unit}, not {count}"));
        }
    }
}

fn at(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn push(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.extend(name.escape_debug().take(64));
}

fn with_article(kind: &str) -> String {
    match kind {
        "null" => "null".into(),
        "integer" | "array" | "object" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn says_where_and_why() {
        let schema = Schema::compile(&json!({
            "type": "object",
            "required": ["repo"],
            "additionalProperties": false,
            "properties": {
                "repo": { "type": "string", "description": "Owner and name.", "minLength": 3 },
                "state": { "enum": ["open", "closed"] },
                "limit": { "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 100 }, { "type": "null" }] },
                "labels": { "type": ["array", "null"], "items": { "$ref": "#/$defs/label" } },
                "code": { "type": "string", "pattern": "^[a-z]+$" },
            },
            "$defs": { "label": { "type": "string", "maxLength": 3 } },
        }))
        .unwrap();
        for (value, expected) in [
            (json!({}), "`repo` is required (Owner and name)"),
            (json!({ "repo": 1 }), "`repo` must be a string, not an integer"),
            (json!({ "repo": "x" }), "`repo` must have at least 3 characters, not 1"),
            (json!({ "repo": "o/r", "state": "new" }), "`state` must be one of \"open\", \"closed\""),
            (json!({ "repo": "o/r", "limit": 0 }), "`limit` must be at least 1"),
            (json!({ "repo": "o/r", "limit": "9" }), "`limit` must be an integer, not a string"),
            (json!({ "repo": "o/r", "labels": ["a", 2] }), "`labels[1]` must be a string, not an integer"),
            (json!({ "repo": "o/r", "labels": ["long"] }), "`labels[0]` must have at most 3 characters, not 4"),
            (json!({ "repo": "o/r", "code": "A" }), "`code` must match the pattern ^[a-z]+$"),
            (json!({ "repo": "o/r", "sate": 1 }), "`sate` is not a known field; did you mean `state`?"),
            (json!([]), "the value must be an object, not an array"),
        ] {
            assert!(!schema.accepts(&value), "{value}");
            assert_eq!(schema.explain(&value)[0], expected);
        }
        for value in [json!({ "repo": "o/r" }), json!({ "repo": "o/r", "limit": null, "labels": null })] {
            assert!(schema.accepts(&value), "{value}");
        }
    }

    #[test]
    fn nothing_is_fetched_and_nothing_runs_wild() {
        for reference in ["http://127.0.0.1:9/x.json", "file:///etc/passwd", "https://example.com/s"] {
            assert!(Schema::compile(&json!({ "$ref": reference })).is_err(), "{reference}");
        }
        assert!(Schema::compile(&json!({ "type": "string", "pattern": "(?=a)b" })).is_err());

        let recursive = json!({
            "$defs": { "n": { "anyOf": [
                { "type": "object", "properties": { "a": { "$ref": "#/$defs/n" } }, "required": ["a"] },
                { "type": "object", "properties": { "a": { "$ref": "#/$defs/n" } }, "required": ["a", "b"] },
                { "type": "string" } ] } },
            "$ref": "#/$defs/n",
        });
        let schema = Schema::compile(&recursive).unwrap();
        let value = (0..60).fold(json!(1), |inner, _| json!({ "a": inner }));
        assert!(!schema.accepts(&value));
        assert!(!schema.explain(&value).is_empty());
    }
}
