//! OpenAPI 3: where a document says what an operation takes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Body, Field, Operation, Place, schema::Schemas};
use crate::Recorded;

/// The operation that the request is, of those whose path fits the one with the fewest places.
pub(super) fn find(document: &Value, request: &Recorded) -> Option<Operation> {
    let paths = document["paths"].as_object()?;
    let fitting = paths.iter().filter_map(|(template, item)| {
        let method = request.method.to_ascii_lowercase();
        let operation = item.get(&method)?;
        // The nearest list of servers counts.
        let servers = [operation, item, document].into_iter().find_map(|place| place["servers"].as_array())?;
        let held = servers.iter().find_map(|server| {
            let origin = server["url"].as_str()?;
            Place { method: &method, origin, template }.holds(request)
        })?;
        Some((held.len(), item, operation))
    });
    let (_, item, operation) = fitting.min_by_key(|(places, ..)| *places)?;
    Some(read(operation, item, Schemas(document)))
}

fn read(operation: &Value, item: &Value, schemas: Schemas<'_>) -> Operation {
    let mut read = Operation::default();
    // Those of the operation stand behind those of the path, and take their places.
    let listed = [item, operation].into_iter().filter_map(|place| place["parameters"].as_array()).flatten();
    for parameter in listed.map(|parameter| schemas.resolved(parameter)) {
        let fields = match parameter["in"].as_str() {
            Some("path") => &mut read.path,
            Some("query") => &mut read.query,
            _ => continue,
        };
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        let required = parameter["required"] == true;
        fields.insert(name, Field { schema: parameter["schema"].clone(), required });
    }
    if operation["requestBody"].is_object() {
        let body = schemas.resolved(&operation["requestBody"]);
        let schemas: BTreeMap<_, _> = body["content"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(kind, content)| (kind.clone(), content["schema"].clone()))
            .collect();
        read.body = Some(Body { schemas, required: body["required"] == true });
    }
    read
}
