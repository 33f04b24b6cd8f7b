#![allow(unused)]

use rig_sdk::{Result, tool};

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Out {}

/// Does it.
#[tool(name = "a.b.c", risk = "dangerous")]
fn unknown_risk() -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "a.b.c", risk = "read", color = "red")]
fn unknown_key() -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "a.b.c", risk = "read", risk = "write")]
fn twice() -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "no spaces", risk = "read")]
fn bad_name() -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "a.b.c", risk = "read", slots = ["token"])]
fn bad_slot() -> Result<Out> {
    Ok(Out {})
}

fn main() {}
