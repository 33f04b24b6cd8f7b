//! From functions to the exported world: what `#[tool]` says about a function, the schemas, and the dispatch of a call.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    bindings::rig::pack::types::{Example as WireExample, ToolDef},
    error::{Error, Result},
    json,
};

pub use crate::bindings::rig::pack::types::{CallContext as Context, RiskClass};

/// A tool: what `#[tool]` makes of a function, under the function's own name.
pub trait Tool {
    /// What the attribute and the doc comment say.
    const META: Meta;

    /// JSON Schema of the arguments.
    fn input_schema() -> String;

    /// JSON Schema of the output.
    fn output_schema() -> String;

    /// Calls the function with arguments as JSON; answers its output as JSON.
    ///
    /// # Errors
    /// `validation_error` when the arguments are not those of the function; else what the function answered.
    fn call(args: &str, ctx: &Context) -> Result<String>;

    /// Checks that the arguments are those of the function, without calling it.
    ///
    /// # Errors
    /// `validation_error` when they are not.
    fn check_args(args: &str) -> Result<()>;
}

/// What is said about a tool in its source. The fields are those of `tool-def` in the WIT world.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "documented in the WIT world; only the macro writes them")]
pub struct Meta {
    pub name: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    pub risk: RiskClass,
    pub tags: &'static [&'static str],
    pub slots: &'static [&'static str],
    pub idempotent: bool,
    pub policy_defaults: &'static str,
    pub examples: &'static [Example],
}

/// One example of a call.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "documented in the WIT world; only the macro writes them")]
pub struct Example {
    pub description: &'static str,
    pub args: &'static str,
    pub output: Option<&'static str>,
}

/// What the pack's `describe` answers, of tools and the schemas of their arguments and outputs.
#[must_use]
pub fn describe<S: AsRef<str>>(tools: &[(&Meta, S, S)]) -> Vec<ToolDef> {
    tools.iter().map(|(meta, input, output)| definition(meta, input.as_ref(), output.as_ref())).collect()
}

fn definition(meta: &Meta, input_schema: &str, output_schema: &str) -> ToolDef {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let example = |example: &Example| WireExample {
        description: example.description.into(),
        args: example.args.into(),
        output: example.output.map(Into::into),
    };
    ToolDef {
        name: meta.name.into(),
        title: meta.title.into(),
        description: meta.description.into(),
        input_schema: input_schema.into(),
        output_schema: output_schema.into(),
        // The host's common schema.
        error_schema: "{}".into(),
        auth_slots: owned(meta.slots),
        risk_class: meta.risk,
        tags: owned(meta.tags),
        idempotent: meta.idempotent,
        policy_defaults: meta.policy_defaults.into(),
        examples: meta.examples.iter().map(example).collect(),
    }
}

/// [`Tool::call`] of some tool.
type Call = fn(&str, &Context) -> Result<String>;

/// What the pack's `call` answers, of tools and their [`Tool::call`].
pub fn call(tools: &[(&str, Call)], name: &str, args: &str, ctx: &Context) -> Result<String> {
    match tools.iter().find(|(tool, _)| *tool == name) {
        Some((_, call)) => call(args, ctx),
        None => Err(Error::not_found(format!("the pack has no tool named {name}"))),
    }
}

/// Reads the arguments of a call.
pub fn parse_args<T: DeserializeOwned>(args: &str) -> Result<T> {
    json::from_str(args).map_err(|error| Error::validation(format!("the arguments do not fit: {error}")))
}

/// Writes the output of a call.
pub fn write_output<T: Serialize>(output: &T) -> Result<String> {
    json::to_string(output).map_err(|error| Error::internal(format!("the output cannot be written as JSON: {error}")))
}

/// JSON Schema of what is read as arguments.
#[must_use]
pub fn input_schema<T: JsonSchema>() -> String {
    schema(SchemaSettings::draft2020_12().for_deserialize(), T::json_schema)
}

/// JSON Schema of what is written as an output.
#[must_use]
pub fn output_schema<T: JsonSchema>() -> String {
    schema(SchemaSettings::draft2020_12().for_serialize(), T::json_schema)
}

/// Not generic, so that it is compiled once. Types are written in place rather than as references, which some models' interfaces
/// do not follow; only recursive types need `$defs`.
fn schema(settings: SchemaSettings, write: fn(&mut SchemaGenerator) -> schemars::Schema) -> String {
    let mut generator = settings.with(|settings| settings.inline_subschemas = true).into_generator();
    let mut schema = write(&mut generator);
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        schema.insert("$defs".into(), definitions.into());
    }
    // A tree of JSON values always serialises.
    serde_json::to_string(schema.as_value()).unwrap_or_default()
}

/// Sends panics to the pack's log; without this they would trap without a word.
pub fn install_panic_hook() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|info| crate::log::error(info.to_string())));
}

/// A tool as the test that `export!` makes looks at it.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    meta: &'static Meta,
    input_schema: fn() -> String,
    output_schema: fn() -> String,
    check_args: fn(&str) -> Result<()>,
}

#[cfg(not(target_arch = "wasm32"))]
impl Entry {
    /// The entry of a tool.
    #[must_use]
    pub const fn of<T: Tool>() -> Self {
        Self {
            meta: &T::META,
            input_schema: T::input_schema,
            output_schema: T::output_schema,
            check_args: T::check_args,
        }
    }
}

/// What is wrong with the tools of a pack, one sentence each. `export!` makes a test of it.
#[cfg(not(target_arch = "wasm32"))]
#[must_use]
pub fn problems(tools: &[Entry]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for tool in tools {
        let name = tool.meta.name;
        if names.contains(&name) {
            problems.push(format!("two tools are named {name}"));
        }
        if names.first().is_some_and(|first| first.split('.').next() != name.split('.').next()) {
            problems.push(format!("{name} and {} begin with different packs", names[0]));
        }
        names.push(name);
        for (which, schema) in [("arguments", (tool.input_schema)()), ("output", (tool.output_schema)())] {
            let schema: serde_json::Value = serde_json::from_str(&schema).unwrap_or_default();
            if schema["type"] != "object" {
                problems.push(format!("{name}: the {which} must be a JSON object: use a struct with named fields"));
            }
        }
        for example in tool.meta.examples {
            if let Err(error) = (tool.check_args)(example.args) {
                problems.push(format!("{name}: the example \"{}\": {}", example.description, error.message()));
            }
        }
    }
    problems
}
