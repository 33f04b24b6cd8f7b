//! What a pack from PyPI or npm tells of itself. It was written for another host, so what is missing gets the usual value; what is there
//! must be sound.

use rig_specs::{
    rtp::{Example, PackTool, RiskClass, ToolDef},
    schemas,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a pack tells of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// What it is.
    pub about: About,
    /// Its tools, sorted by name.
    pub tools: Vec<PackTool>,
}

/// What a pack says that it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct About {
    /// Its id.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of its package, as the ecosystem writes it.
    pub distribution: String,
}

#[derive(Deserialize)]
struct Answer {
    about: About,
    tools: Vec<Value>,
}

/// A tool as packs write it.
#[derive(Deserialize)]
struct Told {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    input_schema: Option<Value>,
    #[serde(default)]
    output_schema: Option<Value>,
    #[serde(default)]
    error_schema: Option<Value>,
    #[serde(default)]
    auth_slots: Option<Vec<String>>,
    #[serde(default)]
    risk_class: Option<Value>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    policy_defaults: Option<Map<String, Value>>,
    #[serde(default)]
    examples: Option<Vec<Value>>,
}

impl Described {
    /// Reads the answer of a runner to `start`.
    ///
    /// # Errors
    /// What is wrong, one sentence each.
    pub(super) fn read(text: &str) -> Result<Self, Vec<String>> {
        let answer: Answer = serde_json::from_str(text)
            .map_err(|error| vec![format!("what it tells of itself cannot be read: {error}")])?;
        let (mut tools, mut problems) = (Vec::new(), Vec::new());
        for (position, told) in answer.tools.into_iter().enumerate() {
            let name = told["name"].as_str().map_or_else(
                || format!("its tool {}", position + 1),
                |name| format!("tool `{}`", crate::words::plain(name)),
            );
            match serde_json::from_value::<Told>(told).map_err(|error| error.to_string()).and_then(tool) {
                Ok(tool) => tools.push(tool),
                Err(why) => problems.push(format!("{name}: {}", crate::words::plain(&why))),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        tools.sort_by(|a, b| a.def.name.cmp(&b.def.name));
        Ok(Self { about: answer.about, tools })
    }
}

fn tool(told: Told) -> Result<PackTool, String> {
    let schema =
        |schema: Option<Value>| schema.filter(|schema| *schema != json!({})).unwrap_or(json!({ "type": "object" }));
    let risk = match told.risk_class {
        None | Some(Value::Null) => RiskClass::Write,
        Some(class) => serde_json::from_value(class.clone())
            .map_err(|_| format!("its risk class {class} is none of read, write, infra, money and destructive"))?,
    };
    // Models do without an example that is not one.
    let examples = told
        .examples
        .unwrap_or_default()
        .into_iter()
        .filter_map(|example| serde_json::from_value::<Example>(example).ok());
    let mut error_schema = told.error_schema.unwrap_or_default();
    if error_schema.is_null() || error_schema == json!({}) {
        error_schema = schemas::tool_error();
    }
    Ok(PackTool {
        def: ToolDef {
            name: told.name,
            description: told.description.unwrap_or_default(),
            input_schema: schema(told.input_schema),
            output_schema: schema(told.output_schema),
            error_schema,
            auth_slots: told.auth_slots.unwrap_or_default(),
            risk_class: risk,
            tags: told.tags.unwrap_or_default(),
            policy_defaults: told.policy_defaults.unwrap_or_default(),
            examples: examples.collect(),
        },
        title: String::new(),
        idempotent: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tools: &Value) -> Result<Described, Vec<String>> {
        let about = json!({ "name": "p", "version": "1.0.0", "distribution": "1.0" });
        Described::read(&json!({ "about": about, "tools": tools }).to_string())
    }

    #[test]
    fn what_is_missing_gets_the_usual_value() {
        let found =
            read(&json!([{ "name": "p.b.x" }, { "name": "p.a.x", "risk_class": "money", "error_schema": null }]))
                .unwrap();
        let names: Vec<&str> = found.tools.iter().map(|tool| tool.def.name.as_str()).collect();
        assert_eq!(names, ["p.a.x", "p.b.x"]);
        let def = &found.tools[1].def;
        assert_eq!((&def.input_schema, def.risk_class), (&json!({ "type": "object" }), RiskClass::Write));
        assert_eq!(found.tools[0].def.error_schema, schemas::tool_error());
    }

    #[test]
    fn what_is_wrong_is_said_for_each_tool() {
        let problems =
            read(&json!([{ "name": "p.a.x", "risk_class": "scary" }, { "description": "x" }, 7])).unwrap_err();
        assert_eq!(
            problems,
            [
                "tool `p.a.x`: its risk class \"scary\" is none of read, write, infra, money and destructive",
                "its tool 2: missing field `name`",
                "its tool 3: invalid type: integer `7`, expected struct Told",
            ]
        );
    }
}
