#![allow(unused)]

use rig_sdk::{Result, tool};

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Out {}

struct Client;

impl Client {
    /// Does it.
    #[tool(name = "a.b.c", risk = "read")]
    fn method(&self) -> Result<Out> {
        Ok(Out {})
    }
}

/// Does it.
#[tool(name = "a.b.c", risk = "read")]
fn generic<T>() -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "a.b.c", risk = "read")]
async fn waits() -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "a.b.c", risk = "read")]
fn pattern(
    /// Two numbers.
    (a, b): (u8, u8),
) -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "a.b.c", risk = "read")]
fn borrowed(
    /// What to look for.
    query: &str,
) -> Result<Out> {
    Ok(Out {})
}

/// Does it.
#[tool(name = "a.b.c", risk = "read")]
struct NotAFunction;

fn main() {}
