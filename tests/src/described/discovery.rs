//! Google's discovery format: where a document says what a method takes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Body, Field, Operation, Place};
use crate::Recorded;

/// The method that the request is.
pub(super) fn find(document: &Value, request: &Recorded) -> Option<Operation> {
    let (root, service) = (document["rootUrl"].as_str()?, document["servicePath"].as_str()?);
    let mut methods = Vec::new();
    collect(document, &mut methods);
    let fitting = methods.into_iter().filter_map(|method| {
        let template = format!("/{service}{}", method["path"].as_str()?);
        let place = Place { method: method["httpMethod"].as_str()?, origin: root, template: &template };
        Some((place.holds(request)?.len(), method))
    });
    let (_, method) = fitting.min_by_key(|(places, _)| *places)?;
    Some(read(method, document))
}

/// Methods stand in resources, and resources in resources.
fn collect<'a>(resource: &'a Value, methods: &mut Vec<&'a Value>) {
    methods.extend(resource["methods"].as_object().into_iter().flatten().map(|(_, method)| method));
    for (_, inner) in resource["resources"].as_object().into_iter().flatten() {
        collect(inner, methods);
    }
}

fn read(method: &Value, document: &Value) -> Operation {
    let mut read = Operation::default();
    // Those of the document are for every method.
    for place in [document, method] {
        for (name, parameter) in place["parameters"].as_object().into_iter().flatten() {
            let is_path = parameter["location"] == "path";
            let fields = if is_path { &mut read.path } else { &mut read.query };
            // A parameter is its own schema, but for this word, which is a list in a schema.
            let mut schema = parameter.clone();
            let required =
                schema.as_object_mut().and_then(|schema| schema.remove("required")).is_some_and(|is| is == true);
            fields.insert(name.clone(), Field { schema, required });
        }
    }
    if method["request"].is_object() {
        let schemas = BTreeMap::from([("application/json".to_owned(), method["request"].clone())]);
        read.body = Some(Body { schemas, required: true });
    }
    read
}
