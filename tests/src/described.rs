//! The descriptions that services publish of their own APIs, as a measure of what a pack sends: [`Description::problems`] says where a
//! request is not what is described.
//!
//! OpenAPI 3 and Google's discovery format are read, as far as they say what may be sent: method, host, path, fields of the query and of
//! the body with their types, and which of them must be there. Headers and answers are left out, and so are patterns and lengths.

mod discovery;
mod openapi;
mod schema;

use std::{collections::BTreeMap, fs, path::Path};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::Recorded;
use schema::{Schemas, Written};

/// What a service says about its API.
#[derive(Debug)]
pub struct Description {
    document: Value,
}

/// One thing that can be asked of a service.
#[derive(Debug, Default)]
struct Operation {
    /// What stands in the path, by the names of its places.
    path: BTreeMap<String, Field>,
    query: BTreeMap<String, Field>,
    body: Option<Body>,
}

#[derive(Debug)]
struct Field {
    schema: Value,
    required: bool,
}

#[derive(Debug)]
struct Body {
    /// By the kind of content.
    schemas: BTreeMap<String, Value>,
    required: bool,
}

/// An operation's place: the method, `https://host`, and the path with its places in braces.
struct Place<'a> {
    method: &'a str,
    origin: &'a str,
    template: &'a str,
}

impl Description {
    /// The description in a file.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::of(serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The description that is this document.
    #[must_use]
    pub fn of(document: Value) -> Self {
        Self { document }
    }

    /// Where the request is not what one of the descriptions says. Nothing when it is.
    #[must_use]
    pub fn problems(all: &[Self], request: &Recorded) -> Vec<String> {
        let found = all.iter().filter_map(|description| Some((description, description.find(request)?)));
        // Of several paths that fit, the one with the fewest places is meant.
        let Some((description, operation)) = found.min_by_key(|(_, operation)| operation.path.len()) else {
            return vec![format!(
                "{} {}://{}{} is not described",
                request.method,
                request.scheme,
                request.host,
                request.path()
            )];
        };
        operation.problems(request, Schemas(&description.document))
    }

    fn find(&self, request: &Recorded) -> Option<Operation> {
        if self.document["discoveryVersion"].is_string() {
            discovery::find(&self.document, request)
        } else {
            openapi::find(&self.document, request)
        }
    }
}

impl Place<'_> {
    /// What the request has in the places of the path, if it is this path.
    fn holds(&self, request: &Recorded) -> Option<BTreeMap<String, String>> {
        let origin = format!("{}://{}", request.scheme, request.host);
        if !self.method.eq_ignore_ascii_case(&request.method) || self.origin.trim_end_matches('/') != origin {
            return None;
        }
        let (wanted, found) = (self.template.split('/'), request.path().split('/'));
        if wanted.clone().count() != found.clone().count() {
            return None;
        }
        let mut held = BTreeMap::new();
        for (wanted, found) in wanted.zip(found) {
            let found = decode(found);
            // `{Sid}.json` is a place with a text behind it.
            let Some((before, (name, after))) =
                wanted.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
            else {
                if wanted != found {
                    return None;
                }
                continue;
            };
            let value = found.strip_prefix(before)?.strip_suffix(after)?;
            if value.is_empty() {
                return None;
            }
            held.insert(name.to_owned(), value.to_owned());
        }
        Some(held)
    }
}

impl Operation {
    fn problems(&self, request: &Recorded, schemas: Schemas<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in request.query() {
            sent.entry(form_decode(name)).or_default().push(form_decode(value));
        }
        for (name, values) in &sent {
            match self.query.get(name) {
                Some(field) => {
                    problems.extend(schemas.problems_of_texts(values, &field.schema, &format!("query {name}")));
                }
                None => problems.push(format!("query {name} is not described")),
            }
        }
        let missing = self.query.iter().filter(|(name, field)| field.required && !sent.contains_key(*name));
        problems.extend(missing.map(|(name, _)| format!("query {name} is missing")));
        problems.extend(self.problems_of_body(request, schemas));
        problems
    }

    fn problems_of_body(&self, request: &Recorded, schemas: Schemas<'_>) -> Vec<String> {
        let Some(body) = &self.body else {
            return if request.body.is_empty() { Vec::new() } else { vec!["no body is described".to_owned()] };
        };
        if request.body.is_empty() {
            return if body.required { vec!["the body is missing".to_owned()] } else { Vec::new() };
        }
        let kind = request.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let Some(schema) = body.schemas.get(kind) else { return vec![format!("a body of {kind} is not described")] };
        let (value, written) = if kind == "application/x-www-form-urlencoded" {
            (schema::form(&request.body), Written::AsText)
        } else {
            match serde_json::from_slice(&request.body) {
                Ok(value) => (value, Written::AsJson),
                Err(error) => return vec![format!("the body is no JSON: {error}")],
            }
        };
        schemas.problems(&value, schema, "body", written)
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn form_decode(text: &str) -> String {
    decode(&text.replace('+', " "))
}

#[cfg(test)]
mod tests;
