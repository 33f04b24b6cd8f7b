//! Schemas that a model reads: whether everything in them is described, and whether every model's interface takes them. What an
//! interface does not take is rewritten on the way to it, see [`crate::export`], and says less there.

use rig_specs::rtp::PackTool;
use serde_json::{Map, Value};

use super::{Found, Lint};
use crate::export::schema::is_local;

/// How deep properties of properties are looked at.
const DEPTH: usize = 8;

/// What a root is besides an object: OpenAI and Anthropic refuse these there, and clients of MCP leave such a tool out.
const NOT_AT_THE_ROOT: [&str; 7] = ["anyOf", "oneOf", "allOf", "not", "enum", "const", "$ref"];

pub(super) fn look(tool: &PackTool, found: &mut Found) {
    let name = &tool.def.name;
    for (which, schema, lint) in [
        ("parameter", &tool.def.input_schema, Lint::UndocumentedParameter),
        ("field", &tool.def.output_schema, Lint::UndocumentedField),
    ] {
        let mut paths = Vec::new();
        undescribed(schema, schema, "", 0, &mut paths);
        for path in paths {
            found.add(lint, format!("`{name}`: the {which} `{path}` has no description"));
        }
        let of = if which == "parameter" { "arguments" } else { "output" };
        if let Some(keyword) = NOT_AT_THE_ROOT.iter().find(|keyword| schema.get(**keyword).is_some()) {
            let message = format!(
                "`{name}`: `{keyword}` stands at the root of the schema of the {of}, where some models' interfaces \
                                   refuse it; use an object whose properties say it"
            );
            found.add(Lint::SchemaRoot, message);
        }
        if !is_local(schema) {
            found.add(
                Lint::SchemaReference,
                format!("`{name}`: the schema of the {of} refers to another document, which nobody reads"),
            );
        }
    }
    let input = &tool.def.input_schema;
    if contains_itself(input, input, &mut Vec::new()) {
        let message =
            format!("`{name}`: the schema of the arguments contains itself; interfaces without references see it cut");
        found.add(Lint::SchemaRecursion, message);
    }
    for key in properties(input).into_iter().flat_map(Map::keys).filter(|key| !is_taken(key)) {
        let message = format!(
            "`{name}`: some models' interfaces take parameters of letters, digits, `_`, `-` and `.` only, 64 at most, and not `{key}`"
        );
        found.add(Lint::ParameterName, message);
    }
}

fn is_taken(key: &str) -> bool {
    (1..=64).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// The paths of properties that say nothing about themselves, also in lists and choices.
fn undescribed(root: &Value, schema: &Value, path: &str, depth: usize, paths: &mut Vec<String>) {
    if depth > DEPTH {
        return;
    }
    for (name, property) in properties(schema).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if !is_described(root, property) {
            paths.push(path.clone());
        }
        undescribed(root, property, &path, depth + 1, paths);
    }
    if let Some(items) = schema.get("items") {
        undescribed(root, items, &format!("{path}[]"), depth + 1, paths);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for branch in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            undescribed(root, branch, path, depth + 1, paths);
        }
    }
}

/// A property that is a constant, as the tag of a choice, says what it is by that.
fn is_described(root: &Value, property: &Value) -> bool {
    let said = |schema: &Value| {
        schema.get("description").and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty())
            || schema.get("const").is_some()
    };
    said(property) || target(root, property).is_some_and(said)
}

fn target<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// Whether following the references of a schema leads back to where they came from.
fn contains_itself<'a>(root: &'a Value, schema: &'a Value, on_the_way: &mut Vec<&'a str>) -> bool {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        if on_the_way.contains(&reference) || reference == "#" {
            return true;
        }
        let Some(target) = target(root, schema) else { return false };
        on_the_way.push(reference);
        let found = contains_itself(root, target, on_the_way);
        on_the_way.pop();
        return found;
    }
    let parts: Box<dyn Iterator<Item = &Value>> = match schema {
        Value::Object(object) => Box::new(object.iter().filter(|(key, _)| *key != "$defs").map(|(_, value)| value)),
        Value::Array(items) => Box::new(items.iter()),
        _ => return false,
    };
    parts.into_iter().any(|part| contains_itself(root, part, on_the_way))
}
