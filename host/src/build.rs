//! Makes a pack of a linked component: asks it for its tools and embeds them, with the manifest, in a custom section.
//!
//! Compiling the source is the business of `rig-toolchain`; this part starts from the component that the linker wrote.

use rig_specs::{
    manifest::{EmbeddedPack, Manifest, SECTION},
    rtp::{self, PackTool},
    schemas,
};
use serde_json::{Map, Value, json};
use wasm_encoder::{ComponentSection, CustomSection, Encode};

use crate::{call::schema::Schema, sandbox::ToolDef};

pub mod lint;

/// Why a pack could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The manifest is not what it should be.
    #[error("rig-pack.toml cannot be read: {0}")]
    Manifest(String),
    /// The manifest and the tools do not fit together. One sentence each.
    #[error("the pack cannot be published as it is:{}", list(.0))]
    Problems(Vec<String>),
    /// The pack was asked for its tools twice, and its answers differ.
    #[error("the pack describes {0} in another way when it is asked again")]
    Unsteady(String),
}

fn list(problems: &[String]) -> String {
    let lines: Vec<&str> = problems.iter().flat_map(|problem| ["\n  - ", problem]).collect();
    lines.concat()
}

impl BuildError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Manifest(_) => {
                "mend that line; every key, with what it may be, stands in docs/pack-manifest.md of rig"
            }
            Self::Unsteady(_) => "what `describe` answers may depend on nothing but the source of the pack",
            Self::Problems(_) => "mend them in rig-pack.toml or in the source, and build again",
        }
    }
}

/// Reads a manifest.
pub fn manifest(text: &str) -> Result<Manifest, BuildError> {
    toml::from_str(text).map_err(|error| BuildError::Manifest(error.to_string().trim_end().to_owned()))
}

/// The schemas of tools, as a pack that is compiled again takes them over: pairs of texts in the order of the description.
#[must_use]
pub fn schemas(described: &[ToolDef]) -> String {
    let pairs = described.iter().map(|tool| json!([tool.input_schema, tool.output_schema]));
    pairs.collect::<Value>().to_string()
}

/// Checks that two descriptions are the same, text for text.
///
/// # Errors
/// Names the first tool that differs.
pub fn same_definitions(one: &[ToolDef], other: &[ToolDef]) -> Result<(), BuildError> {
    match one.iter().zip(other).find(|(one, other)| one != other) {
        Some((tool, _)) => Err(BuildError::Unsteady(format!("`{}`", tool.name.escape_debug()))),
        None if one.len() == other.len() => Ok(()),
        None => Err(BuildError::Unsteady("its tools".into())),
    }
}

/// Embeds the manifest and the described tools in a component.
///
/// A tool whose error schema is `{}` gets the common one here, once, so that every hash is over what is embedded.
pub fn assemble(
    component: &[u8],
    manifest: Manifest,
    described: Vec<ToolDef>,
) -> Result<(Vec<u8>, EmbeddedPack), BuildError> {
    let (tools, mut problems) = converted(described);
    let pack = EmbeddedPack { format: EmbeddedPack::FORMAT, manifest, tools };
    problems.extend(pack.problems());
    problems.extend(pack.tools.iter().flat_map(schema_problems));
    if !problems.is_empty() {
        return Err(BuildError::Problems(problems));
    }
    let json = pack.to_section().map_err(|error| BuildError::Problems(vec![error.to_string()]))?;
    let json = rig_specs::digest::canonical_json(&json);
    let section = CustomSection { name: SECTION.into(), data: json.as_bytes().into() };
    let mut bytes = component.to_vec();
    bytes.push(ComponentSection::id(&section));
    section.encode(&mut bytes);
    Ok((bytes, pack))
}

/// The tools that a component tells, as they are embedded: sorted, with the common error schema.
///
/// # Errors
/// When a schema or an example is not JSON.
pub fn described(tools: Vec<ToolDef>) -> Result<Vec<PackTool>, BuildError> {
    let (tools, problems) = converted(tools);
    if problems.is_empty() { Ok(tools) } else { Err(BuildError::Problems(problems)) }
}

fn converted(described: Vec<ToolDef>) -> (Vec<PackTool>, Vec<String>) {
    let (mut tools, mut problems) = (Vec::new(), Vec::new());
    for tool in described {
        let name = tool.name.escape_debug().to_string();
        match convert(tool) {
            Ok(tool) => tools.push(tool),
            Err(why) => problems.push(format!("tool `{name}`: {why}")),
        }
    }
    tools.sort_by(|a, b| a.def.name.cmp(&b.def.name));
    (tools, problems)
}

fn convert(tool: ToolDef) -> Result<PackTool, String> {
    let schema = |which: &str, text: &str| -> Result<Value, String> {
        serde_json::from_str(text).map_err(|error| format!("its {which} is not JSON: {error}"))
    };
    let object = |which: &str, text: &str| -> Result<Map<String, Value>, String> {
        serde_json::from_str(text).map_err(|error| format!("its {which} is not a JSON object: {error}"))
    };
    let mut examples = Vec::new();
    for example in &tool.examples {
        examples.push(rtp::Example {
            description: example.description.clone(),
            args: object("example", &example.args)?,
            output: example.output.as_deref().map(|output| object("example's output", output)).transpose()?,
        });
    }
    let mut error_schema = schema("error schema", &tool.error_schema)?;
    if error_schema == Value::Object(Map::new()) {
        error_schema = schemas::tool_error();
    }
    Ok(PackTool {
        def: rtp::ToolDef {
            input_schema: schema("input schema", &tool.input_schema)?,
            output_schema: schema("output schema", &tool.output_schema)?,
            error_schema,
            policy_defaults: object("policy defaults", &tool.policy_defaults)?,
            name: tool.name,
            description: tool.description,
            auth_slots: tool.auth_slots,
            risk_class: tool.risk_class.into(),
            tags: tool.tags,
            examples,
        },
        title: tool.title,
        idempotent: tool.idempotent,
    })
}

/// Schemas that do not compile, and examples that the tool's own schemas refuse.
fn schema_problems(tool: &PackTool) -> Vec<String> {
    let name = &tool.def.name;
    let mut problems = Vec::new();
    let mut compile = |which: &str, source: &Value| match Schema::compile(source) {
        Ok(schema) => Some(schema),
        Err(why) => {
            problems.push(format!("tool `{name}`: its {which} schema cannot be used: {why}"));
            None
        }
    };
    let (input, output) = (compile("input", &tool.def.input_schema), compile("output", &tool.def.output_schema));
    compile("error", &tool.def.error_schema);
    for example in &tool.def.examples {
        let checks = [("arguments", &input, Some(&example.args)), ("output", &output, example.output.as_ref())];
        for (which, schema, value) in checks {
            let (Some(schema), Some(value)) = (schema, value) else { continue };
            let value = Value::Object(value.clone());
            if !schema.accepts(&value) {
                let why = schema.explain(&value).join("; ");
                problems.push(format!("tool `{name}`: the {which} of its example `{}`: {why}", example.description));
            }
        }
    }
    problems
}
