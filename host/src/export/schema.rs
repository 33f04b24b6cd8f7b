//! Input schemas in the forms that model APIs take. The exact schema stays where calls are checked; what is made here may allow more
//! and never less, so that a model can always write what a tool takes.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// How deep references are followed; a schema that nests deeper is cut to "anything of that kind".
const MAX_DEPTH: usize = 24;
/// Nodes of one schema for APIs that take no references: a schema that refers to itself twice would double with every level.
const MAX_NODES: usize = 5_000;

/// A schema whose root is an object and no choice: `allOf`, `anyOf`, `oneOf`, `$ref` and what else APIs refuse at the root is folded
/// into the root's properties. Below the root everything stays as it is.
///
/// Every property of every branch is offered. What all branches of a choice require is required; what tells them apart is left to
/// the check of the call.
#[must_use]
pub fn object_root(schema: &Value) -> Value {
    const FOLDED: [&str; 7] = ["allOf", "anyOf", "oneOf", "$ref", "not", "enum", "const"];
    let Value::Object(root) = schema else { return json!({ "type": "object" }) };
    if !is_local(schema) {
        // Such a tool cannot be called; no client is sent to fetch what it refers to.
        return json!({ "type": "object" });
    }
    if !FOLDED.iter().any(|key| root.contains_key(*key)) {
        let mut root = root.clone();
        root.insert("type".into(), json!("object"));
        return Value::Object(root);
    }
    let mut folded = root.clone();
    let Shape { properties, required } = Shape::of(schema, schema, 0);
    folded.retain(|key, _| !FOLDED.contains(&key.as_str()));
    folded.insert("type".into(), json!("object"));
    folded.insert("properties".into(), Value::Object(properties));
    folded.remove("required");
    if !required.is_empty() {
        folded.insert("required".into(), json!(required));
    }
    Value::Object(folded)
}

/// What an object may and must have.
#[derive(Default)]
struct Shape {
    properties: Map<String, Value>,
    required: BTreeSet<String>,
}

impl Shape {
    fn of(root: &Value, schema: &Value, depth: usize) -> Self {
        let mut shape = Self::default();
        let Some(object) = schema.as_object().filter(|_| depth < MAX_DEPTH) else { return shape };
        for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            shape.offer(name, property);
        }
        let required = object.get("required").and_then(Value::as_array).into_iter().flatten();
        shape.required.extend(required.filter_map(Value::as_str).map(str::to_owned));
        let branches = |key: &str| {
            let branches = object.get(key).and_then(Value::as_array).into_iter().flatten();
            branches.map(|branch| Self::of(root, branch, depth + 1)).collect::<Vec<_>>()
        };
        let target = object.get("$ref").and_then(Value::as_str).and_then(|target| resolve(root, target));
        let all = target.map(|target| Self::of(root, target, depth + 1)).into_iter().chain(branches("allOf"));
        for part in all {
            shape.required.extend(part.required.iter().cloned());
            shape.offer_all(&part);
        }
        for key in ["anyOf", "oneOf"] {
            let choices = branches(key);
            let common = choices.iter().map(|choice| choice.required.clone()).reduce(|a, b| &a & &b);
            shape.required.extend(common.unwrap_or_default());
            for choice in &choices {
                shape.offer_all(choice);
            }
        }
        shape
    }

    fn offer_all(&mut self, other: &Self) {
        other.properties.iter().for_each(|(name, property)| self.offer(name, property));
    }

    /// A property that two branches describe differently is either.
    fn offer(&mut self, name: &str, property: &Value) {
        match self.properties.get_mut(name) {
            None => {
                self.properties.insert(name.to_owned(), property.clone());
            }
            Some(known) if known == property || *known == Value::Bool(true) => {}
            Some(known) if known == &json!({}) => {}
            Some(known) => match known.get("anyOf").and_then(Value::as_array) {
                Some(choices) if choices.contains(property) => {}
                _ => *known = json!({ "anyOf": [known.take(), property] }),
            },
        }
    }
}

/// Whether a schema refers to nothing outside itself.
#[must_use]
pub fn is_local(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => object.iter().all(|(key, value)| match (key.as_str(), value) {
            ("$ref" | "$dynamicRef", Value::String(target)) => target.starts_with('#'),
            _ => is_local(value),
        }),
        Value::Array(items) => items.iter().all(is_local),
        _ => true,
    }
}

/// What a reference within the schema points at. Others are not followed: nothing remote is ever read.
fn resolve<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    let pointer = target.strip_prefix('#')?;
    if let Some(found) = root.pointer(pointer) {
        return Some(found);
    }
    let defs = root.get("$defs").and_then(Value::as_object)?;
    defs.values().find(|schema| schema.get("$anchor").and_then(Value::as_str) == Some(pointer))
}

/// A schema in the words that Gemini's function declarations know: one type a value, no references, no `additionalProperties`.
/// None for a tool that takes no arguments: an object without properties is refused there.
#[must_use]
pub fn gemini(schema: &Value) -> Option<Value> {
    let root = object_root(schema);
    if root.get("properties").and_then(Value::as_object).is_none_or(Map::is_empty) {
        return None;
    }
    let mut nodes = MAX_NODES;
    Some(Value::Object(reduced(&root, &root, 0, &mut nodes)))
}

fn reduced(root: &Value, schema: &Value, depth: usize, nodes: &mut usize) -> Map<String, Value> {
    let mut out = Map::new();
    let Some(object) = schema.as_object() else { return out };
    if depth > MAX_DEPTH || *nodes == 0 {
        return cut(object);
    }
    *nodes -= 1;
    if let Some(target) = object.get("$ref").and_then(Value::as_str).and_then(|target| resolve(root, target)) {
        out = reduced(root, target, depth + 1, nodes);
    }
    for part in object.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        merge(&mut out, reduced(root, part, depth + 1, nodes));
    }
    merge(&mut out, own(root, object, depth, nodes));
    choice(root, object, depth, nodes, &mut out);
    out
}

/// The keywords of one schema that are known, without its references and choices.
fn own(root: &Value, object: &Map<String, Value>, depth: usize, nodes: &mut usize) -> Map<String, Value> {
    const KEPT: [&str; 13] = [
        "title",
        "description",
        "default",
        "example",
        "required",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "pattern",
        "minProperties",
    ];
    let mut out = Map::new();
    for key in KEPT {
        if let Some(value) = object.get(key) {
            out.insert(key.into(), value.clone());
        }
    }
    let (kind, nullable) = kind(object);
    if nullable {
        out.insert("nullable".into(), json!(true));
    }
    if let Some(kind) = &kind {
        out.insert("type".into(), json!(kind));
    }
    if let Some(format) =
        object.get("format").and_then(Value::as_str).filter(|format| is_known(format, kind.as_deref()))
    {
        out.insert("format".into(), json!(format));
    }
    let values = object.get("enum").and_then(Value::as_array).cloned();
    let values = values.or_else(|| object.get("const").map(|value| vec![value.clone()]));
    // Only texts are taken as choices; others stay free and are checked in the call.
    let texts: Vec<Value> = values.into_iter().flatten().filter(|value| !value.is_null()).collect();
    if !texts.is_empty() && texts.iter().all(Value::is_string) {
        out.insert("type".into(), json!("string"));
        out.insert("enum".into(), Value::Array(texts));
    }
    if let Some(properties) = object.get("properties").and_then(Value::as_object) {
        let reduce = |(name, property): (&String, &Value)| {
            (name.clone(), Value::Object(reduced(root, property, depth + 1, nodes)))
        };
        out.insert("properties".into(), Value::Object(properties.iter().map(reduce).collect()));
    }
    if kind.as_deref() == Some("array") {
        let items = object.get("items").map(|items| reduced(root, items, depth + 1, nodes)).unwrap_or_default();
        out.insert("items".into(), Value::Object(items));
    }
    out
}

/// `anyOf` and `oneOf`: a choice with null is a value that may be null; another choice stands alone.
fn choice(root: &Value, object: &Map<String, Value>, depth: usize, nodes: &mut usize, out: &mut Map<String, Value>) {
    let Some(choices) = ["anyOf", "oneOf"].iter().find_map(|key| object.get(*key).and_then(Value::as_array)) else {
        return;
    };
    let is_null = |choice: &&Value| choice.get("type").and_then(Value::as_str) == Some("null");
    let nullable = choices.iter().any(|choice| is_null(&choice));
    let mut rest: Vec<_> = choices
        .iter()
        .filter(|choice| !is_null(choice))
        .map(|choice| reduced(root, choice, depth + 1, nodes))
        .collect();
    rest.dedup();
    if nullable {
        out.insert("nullable".into(), json!(true));
    }
    if out.contains_key("properties") || rest.is_empty() {
        return;
    }
    if rest.len() == 1 {
        merge(out, rest.swap_remove(0));
    } else {
        out.remove("type");
        out.insert("anyOf".into(), json!(rest));
    }
}

/// A schema without what it holds.
fn cut(object: &Map<String, Value>) -> Map<String, Value> {
    let (kind, _) = kind(object);
    let mut out = Map::new();
    out.insert("type".into(), json!(kind.filter(|kind| kind != "array").unwrap_or_else(|| "object".into())));
    if let Some(description) = object.get("description") {
        out.insert("description".into(), description.clone());
    }
    out
}

/// The one type of a value, and whether it may be null instead.
fn kind(object: &Map<String, Value>) -> (Option<String>, bool) {
    match object.get("type") {
        Some(Value::String(kind)) => (Some(kind.clone()), false),
        Some(Value::Array(kinds)) => {
            let nullable = kinds.iter().any(|kind| kind == "null");
            let kind = kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
            (kind.map(str::to_owned), nullable)
        }
        _ if object.contains_key("properties") => (Some("object".into()), false),
        _ if object.contains_key("items") => (Some("array".into()), false),
        _ => (None, false),
    }
}

fn is_known(format: &str, kind: Option<&str>) -> bool {
    match kind {
        Some("string") => matches!(format, "date-time" | "enum"),
        Some("integer") => matches!(format, "int32" | "int64"),
        Some("number") => matches!(format, "float" | "double"),
        _ => false,
    }
}

/// Puts one schema over another: both hold.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(known)), Value::Object(new)) if key == "properties" => known.extend(new),
            (Some(Value::Array(known)), Value::Array(new)) if key == "required" => {
                known.extend(new.into_iter().filter(|name| !known.contains(name)).collect::<Vec<_>>());
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
