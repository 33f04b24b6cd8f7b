#![allow(unused)]

use rig_sdk::{Result, tool};

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Out {}

#[tool(name = "a.b.c", risk = "read")]
fn no_doc() -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "a.b.c")]
fn no_risk() -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(risk = "read")]
fn no_name() -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "a.b.c", risk = "read")]
fn no_argument_doc(query: String) -> Result<Out> {
    Ok(Out {})
}

fn main() {}
