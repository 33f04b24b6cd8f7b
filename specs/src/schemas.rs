//! The JSON Schemas of all formats and the description of the HTTP API, as they are committed in this crate's folder.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::Serialize;
use serde_json::Value;

use crate::{config::Config, index::Index, lock::Lock, manifest::Manifest, openapi, rtp};

/// The error schema of a tool that declares none: the common error.
#[must_use]
pub fn tool_error() -> Value {
    schema::<rtp::ToolError>("RTP tool error").to_value()
}

/// Every schema and the description of the API: the path in the folder `specs`, and its text.
#[must_use]
pub fn all() -> Vec<(&'static str, String)> {
    vec![
        ("pack-index.schema.json", text(&schema::<Index>("rig pack index"))),
        ("rig-lock.schema.json", text(&schema::<Lock>("rig.lock"))),
        ("rig-yaml.schema.json", text(&schema::<Config>("rig.yaml"))),
        ("rig-pack.schema.json", text(&schema::<Manifest>("rig-pack.toml"))),
        ("rtp/tool-def.schema.json", text(&schema::<rtp::ToolDef>("RTP tool definition"))),
        ("rtp/tool-result.schema.json", text(&schema::<rtp::ToolResult>("RTP tool result"))),
        ("rtp/tool-error.schema.json", text(&schema::<rtp::ToolError>("RTP tool error"))),
        ("rtp/call-context.schema.json", text(&schema::<rtp::CallContext>("RTP call context"))),
        ("openapi.json", text(&openapi::description())),
        ("rtp/approval-required.schema.json", text(&schema::<rtp::ApprovalRequired>("RTP approval required"))),
    ]
}

fn schema<T: JsonSchema>(title: &str) -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    schema
}

fn text(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    /// The committed files are what the types say. `UPDATE_SCHEMAS=1` writes them.
    #[test]
    fn committed_schemas_match_the_types() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (path, expected) in all() {
            let path = root.join(path);
            if std::env::var_os("UPDATE_SCHEMAS").is_some() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &expected).unwrap();
            }
            let found = fs::read_to_string(&path).unwrap_or_default();
            assert!(found == expected, "{} is out of date: run the tests with UPDATE_SCHEMAS=1", path.display());
        }
    }
}
