#![allow(unused)]

use rig_sdk::{Result, tool};

/// Does it.
#[tool(name = "a.b.c", risk = "read")]
fn text() -> Result<String> {
    Ok(String::new())
}

/// Does it.
#[tool(name = "a.b.c", risk = "read")]
fn nothing() {}

/// Does it.
#[tool(name = "a.b.c", risk = "read")]
fn bare() -> Plain {
    Plain {}
}

/// Does it.
#[tool(name = "a.b.c", risk = "read")]
fn unit() -> Result<()> {
    Ok(())
}

struct Plain {}

fn main() {}
