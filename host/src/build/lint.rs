//! What is allowed in a pack and still better otherwise: what a model cannot understand, what a person has to grant for nothing, and
//! what some model's interface does not take. Each lint has a name, by which an author lets it pass.

use std::fmt;

use rig_specs::{
    manifest::{EmbeddedPack, Manifest},
    rtp::{PackTool, RiskClass},
};
use serde::Serialize;

mod reach;
mod schemas;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lint {
    /// A description too short to choose a tool by.
    UndocumentedTool,
    /// A parameter without a description.
    UndocumentedParameter,
    /// A field of an output without a description.
    UndocumentedField,
    /// A tool without an example of a call.
    MissingExample,
    /// Something is asked for that the pack cannot use.
    UnusedCapability,
    /// A tool changes something, and every rule allows reading only.
    MissingMethod,
    /// More hosts than one.
    WideHost,
    /// All paths of a host.
    WidePath,
    /// Methods that change things, for tools that only read.
    WideMethod,
    /// Requests that anybody on the way can read.
    PlainHttp,
    /// A schema whose root is more than an object with properties.
    SchemaRoot,
    /// A schema that contains itself.
    SchemaRecursion,
    /// A schema that refers to what is not in it.
    SchemaReference,
    /// A parameter whose name is not taken everywhere.
    ParameterName,
    /// The name of a tool that is cut for models.
    ToolName,
}

impl Lint {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::UndocumentedTool,
        Self::UndocumentedParameter,
        Self::UndocumentedField,
        Self::MissingExample,
        Self::UnusedCapability,
        Self::MissingMethod,
        Self::WideHost,
        Self::WidePath,
        Self::WideMethod,
        Self::PlainHttp,
        Self::SchemaRoot,
        Self::SchemaRecursion,
        Self::SchemaReference,
        Self::ParameterName,
        Self::ToolName,
    ];

    /// The name, as authors write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UndocumentedTool => "undocumented-tool",
            Self::UndocumentedParameter => "undocumented-parameter",
            Self::UndocumentedField => "undocumented-field",
            Self::MissingExample => "missing-example",
            Self::UnusedCapability => "unused-capability",
            Self::MissingMethod => "missing-method",
            Self::WideHost => "wide-host",
            Self::WidePath => "wide-path",
            Self::WideMethod => "wide-method",
            Self::PlainHttp => "plain-http",
            Self::SchemaRoot => "schema-root",
            Self::SchemaRecursion => "schema-recursion",
            Self::SchemaReference => "schema-reference",
            Self::ParameterName => "parameter-name",
            Self::ToolName => "tool-name",
        }
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Lint {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|lint| lint.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no lint of that name; the lints are {names}")
        })
    }
}

/// One thing that was found. Its `Display` is a sentence and the name of the lint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Warning {
    /// What was looked for.
    pub lint: Lint,
    /// What was found, and what to do about it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.lint)
    }
}

/// Looks at a pack that was made: at what it says about itself, at the interfaces that its component imports, and for the names of
/// settings at the component's bytes. In the order in which an author reads the manifest and the tools.
#[must_use]
pub fn lint(pack: &EmbeddedPack, imports: &[String], component: &[u8]) -> Vec<Warning> {
    let mut found = Found(Vec::new());
    reach::look(pack, &reach::Uses { imports, component }, &mut found);
    for tool in &pack.tools {
        tools(tool, &mut found);
        schemas::look(tool, &mut found);
    }
    found.0
}

/// The shortest description that can tell when to choose a tool: three words.
const WORDS: usize = 3;

/// The longest name that every model's interface takes.
const NAME: usize = 64;

fn tools(tool: &PackTool, found: &mut Found) {
    let def = &tool.def;
    let name = &def.name;
    if def.description.split_whitespace().count() < WORDS {
        found.add(
            Lint::UndocumentedTool,
            format!("`{name}`: models choose by the description; say what the tool does, and when"),
        );
    }
    if def.examples.is_empty() {
        found.add(
            Lint::MissingExample,
            format!("`{name}`: give an example of a call, which is checked against the schemas"),
        );
    }
    if name.len() > NAME {
        found.add(
            Lint::ToolName,
            format!("`{name}`: models see a name of {NAME} characters at most; choose a shorter one"),
        );
    }
}

/// Whether a tool changes something.
fn writes(tool: &PackTool) -> bool {
    tool.def.risk_class != RiskClass::Read
}

/// What the manifest's rules of the network say in words.
fn shown(manifest: &Manifest, rule: usize) -> String {
    format!("[[network]] {}", manifest.network[rule].host)
}

struct Found(Vec<Warning>);

impl Found {
    fn add(&mut self, lint: Lint, message: String) {
        self.0.push(Warning { lint, message });
    }
}

#[cfg(test)]
mod tests;
