//! Small valid components to install in tests.

use rig_specs::{
    manifest::{EmbeddedPack, SECTION},
    rtp::{PackTool, RiskClass, ToolDef},
};
use serde_json::json;

/// What a pack with one tool says about itself.
pub(crate) fn embedded(id: &str, version: &str) -> EmbeddedPack {
    let manifest = json!({
        "pack": { "id": id, "version": version, "display-name": id, "description": "For tests." },
    });
    let def = ToolDef {
        name: format!("{id}.thing.get"),
        description: "Gets it.".into(),
        input_schema: json!({ "type": "object" }),
        output_schema: json!({ "type": "object" }),
        error_schema: rig_specs::schemas::tool_error(),
        auth_slots: vec![],
        risk_class: RiskClass::Read,
        tags: vec![],
        policy_defaults: serde_json::Map::new(),
        examples: vec![],
    };
    EmbeddedPack {
        format: EmbeddedPack::FORMAT,
        manifest: serde_json::from_value(manifest).unwrap(),
        tools: vec![PackTool { def, title: String::new(), idempotent: true }],
    }
}

/// A component from its text, without sections.
pub(crate) fn component(imports: &str, export: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
            {imports}
            (core module $m (func (export "describe")) (func (export "call")))
            (core instance $i (instantiate $m))
            (func $d (canon lift (core func $i "describe")))
            (func $c (canon lift (core func $i "call")))
            (instance $t (export "describe" (func $d)) (export "call" (func $c)))
            (export "{export}" (instance $t)))"#
    ))
    .unwrap()
}

/// Adds a custom section at the end.
pub(crate) fn with_section(mut component: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    use wasm_encoder::{ComponentSection as _, CustomSection};
    CustomSection { name: name.into(), data: data.into() }.append_to_component(&mut component);
    component
}

/// A whole pack.
pub(crate) fn pack(embedded: &EmbeddedPack) -> Vec<u8> {
    let text = serde_json::to_vec(embedded).unwrap();
    with_section(component("", super::inspect::TOOLS), SECTION, &text)
}
