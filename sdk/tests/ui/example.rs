#![allow(unused)]

use rig_sdk::{Result, tool};

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Out {}

/// Does it.
#[tool(name = "a.b.c", risk = "read", example(description = "d", args = r#"{"query": }"#))]
fn not_json(
    /// What to look for.
    query: String,
) -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "a.b.c", risk = "read", example(description = "d", args = "[]"))]
fn not_an_object() -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "a.b.c", risk = "read", example(description = "d", args = r#"{"querry": "x"}"#))]
fn misspelt(
    /// What to look for.
    query: String,
) -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "a.b.c", risk = "read", example(description = "d", args = "{}"))]
fn incomplete(
    /// What to look for.
    query: String,
) -> Result<Out> {
    Ok(Out {})
}

fn main() {}
