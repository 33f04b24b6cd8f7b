//! Tools in the forms that model APIs and MCP clients take: names, schemas and descriptions as each of them wants them.
//!
//! What a model is shown is made here and nowhere else. What a call must be is not: the exact schema of the pack is checked in the
//! call itself.

use rig_specs::rtp::{PackTool, RiskClass};
use serde_json::{Value, json};

use crate::call::{
    Snapshot,
    policy::{Decision, Policy},
};

pub mod media;
mod names;
pub mod schema;

pub use names::{MAX_NAME, Names};

/// The longest description that OpenAI's API takes for a function.
const MAX_OPENAI_DESCRIPTION: usize = 1024;

/// The key under which a listed MCP tool says its id here.
pub const META_TOOL: &str = "rig/tool";
/// The key under which a listed MCP tool says its risk class.
pub const META_RISK: &str = "rig/risk_class";

/// Who the list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// OpenAI's chat completions, and the many services that take the same: a list of functions.
    Openai,
    /// Anthropic's messages: a list of tools.
    Anthropic,
    /// Gemini: a list with one set of function declarations.
    Gemini,
    /// The result of MCP's `tools/list`.
    Mcp,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Openai, Self::Anthropic, Self::Gemini, Self::Mcp];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Mcp => "mcp",
        }
    }

    /// The format that a word stands for.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }
}

/// One tool as it is offered to a caller.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    /// The tool as its pack describes it.
    pub tool: &'a PackTool,
    /// The risk class that counts in this project.
    pub risk: RiskClass,
    /// Whether it may reach beyond this machine.
    pub open_world: bool,
}

/// The tools that a tenant may call, sorted by name: those that no rule denies.
pub fn offered<'a>(
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    tenant: Option<&'a str>,
) -> impl Iterator<Item = Offered<'a>> {
    snapshot.tools().filter_map(move |tool| {
        let def = &tool.tool.def;
        let risk = policy.risk(&def.name, def.risk_class);
        let decision = policy.decide(&def.name, risk, &def.policy_defaults, tenant);
        let granted = &tool.pack.verified.locked.granted;
        let open_world = !granted.network.is_empty() || granted.invoke.is_some();
        (!matches!(decision, Decision::Deny(_))).then_some(Offered { tool: &tool.tool, risk, open_world })
    })
}

/// The list of these tools in a format. Their names are those of `names`, which also lead back.
#[must_use]
pub fn tools<'a>(names: &Names, tools: impl IntoIterator<Item = Offered<'a>>, format: Format) -> Value {
    let list = tools.into_iter().filter_map(|offered| {
        let name = names.portable(&offered.tool.def.name)?;
        Some(match format {
            Format::Openai => openai(name, offered.tool),
            Format::Anthropic => anthropic(name, offered.tool),
            Format::Gemini => gemini(name, offered.tool),
            Format::Mcp => mcp(name, offered),
        })
    });
    let list: Vec<Value> = list.collect();
    match format {
        Format::Openai | Format::Anthropic => Value::Array(list),
        Format::Gemini if list.is_empty() => json!([]),
        Format::Gemini => json!([{ "functionDeclarations": list }]),
        Format::Mcp => json!({ "tools": list }),
    }
}

fn openai(name: &str, tool: &PackTool) -> Value {
    let description = shortened(&tool.def.description, MAX_OPENAI_DESCRIPTION);
    let parameters = schema::object_root(&tool.def.input_schema);
    json!({ "type": "function", "function": { "name": name, "description": description, "parameters": parameters } })
}

fn anthropic(name: &str, tool: &PackTool) -> Value {
    let schema = schema::object_root(&tool.def.input_schema);
    json!({ "name": name, "description": tool.def.description, "input_schema": schema })
}

fn gemini(name: &str, tool: &PackTool) -> Value {
    let mut declaration = json!({ "name": name, "description": tool.def.description });
    if let Some(parameters) = schema::gemini(&tool.def.input_schema) {
        declaration["parameters"] = parameters;
    }
    declaration
}

/// One tool as MCP lists it.
#[must_use]
pub fn mcp(name: &str, offered: Offered<'_>) -> Value {
    let (def, risk) = (&offered.tool.def, offered.risk);
    let title = if offered.tool.title.trim().is_empty() { &def.name } else { &offered.tool.title };
    let mut tool = json!({
        "name": name,
        "title": title,
        "description": def.description,
        "inputSchema": schema::object_root(&def.input_schema),
        "annotations": {
            "title": title,
            "readOnlyHint": risk == RiskClass::Read,
            // What can be changed back does not destroy.
            "destructiveHint": risk > RiskClass::Write,
            "idempotentHint": risk == RiskClass::Read || offered.tool.idempotent,
            "openWorldHint": offered.open_world,
        },
        "_meta": { META_TOOL: def.name, META_RISK: risk },
    });
    // Who advertises an output schema must answer by it, and media are answered as content.
    let output = &def.output_schema;
    let is_object = output.get("type").and_then(Value::as_str) == Some("object");
    if is_object && media::of(output).is_empty() && schema::is_local(output) {
        tool["outputSchema"] = def.output_schema.clone();
    }
    tool
}

/// A text of at most so many bytes.
fn shortened(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max - "…".len());
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests;
