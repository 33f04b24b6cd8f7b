//! The lists as each API takes them.

use super::*;
use rig_specs::rtp::ToolDef;
use serde_json::Map;

fn tool(name: &str, risk: RiskClass) -> PackTool {
    PackTool {
        def: ToolDef {
            name: name.into(),
            description: "Does it.".into(),
            input_schema: json!({ "type": "object", "properties": { "x": { "type": "string" } }, "additionalProperties": false }),
            output_schema: json!({ "type": "object", "properties": { "y": { "type": "string" } } }),
            error_schema: json!({}),
            auth_slots: vec![],
            risk_class: risk,
            tags: vec![],
            policy_defaults: Map::new(),
            examples: vec![],
        },
        title: String::new(),
        idempotent: false,
    }
}

fn offered(tool: &PackTool) -> Offered<'_> {
    Offered { tool, risk: tool.def.risk_class, open_world: false }
}

#[test]
fn each_api_gets_its_own_form() {
    let tool = tool("shop.orders.list", RiskClass::Read);
    let names = Names::of(["shop.orders.list"]);
    let list = |format| tools(&names, [offered(&tool)], format);
    let schema = &tool.def.input_schema;
    assert_eq!(
        list(Format::Openai),
        json!([{ "type": "function", "function": {
            "name": "shop_orders_list", "description": "Does it.", "parameters": schema } }])
    );
    assert_eq!(
        list(Format::Anthropic),
        json!([{ "name": "shop_orders_list", "description": "Does it.", "input_schema": schema }])
    );
    assert_eq!(
        list(Format::Gemini),
        json!([{ "functionDeclarations": [{ "name": "shop_orders_list", "description": "Does it.",
            "parameters": { "type": "object", "properties": { "x": { "type": "string" } } } }] }])
    );
    assert_eq!(
        list(Format::Mcp),
        json!({ "tools": [{
            "name": "shop_orders_list", "title": "shop.orders.list", "description": "Does it.",
            "inputSchema": schema, "outputSchema": tool.def.output_schema,
            "annotations": { "title": "shop.orders.list", "readOnlyHint": true, "destructiveHint": false,
                "idempotentHint": true, "openWorldHint": false },
            "_meta": { "rig/tool": "shop.orders.list", "rig/risk_class": "read" },
        }] })
    );
}

#[test]
fn no_tools_are_an_empty_list() {
    let none = |format| tools(&Names::default(), [], format);
    assert_eq!(none(Format::Openai), json!([]));
    assert_eq!(none(Format::Anthropic), json!([]));
    assert_eq!(none(Format::Gemini), json!([]));
    assert_eq!(none(Format::Mcp), json!({ "tools": [] }));
    for format in Format::ALL {
        assert_eq!(Format::parse(format.as_str()), Some(format));
    }
    assert_eq!(Format::parse("OpenAI"), None);
}

#[test]
fn hints_follow_the_risk_class_that_counts() {
    let mut tool = tool("shop.orders.delete", RiskClass::Write);
    tool.title = "Delete an order".into();
    tool.idempotent = true;
    let hints = |risk, open_world| mcp("n", Offered { tool: &tool, risk, open_world })["annotations"].clone();
    for (risk, read_only, destructive) in [
        (RiskClass::Read, true, false),
        (RiskClass::Write, false, false),
        (RiskClass::Infra, false, true),
        (RiskClass::Money, false, true),
        (RiskClass::Destructive, false, true),
    ] {
        let hints = hints(risk, true);
        assert_eq!((&hints["readOnlyHint"], &hints["destructiveHint"]), (&json!(read_only), &json!(destructive)));
        assert_eq!((&hints["idempotentHint"], &hints["openWorldHint"]), (&json!(true), &json!(true)));
        assert_eq!(hints["title"], "Delete an order");
    }
    tool.idempotent = false;
    assert_eq!(mcp("n", offered(&tool))["annotations"]["idempotentHint"], false);
}

#[test]
fn output_schemas_are_advertised_only_where_answers_keep_them() {
    let mut tool = tool("a.b.c", RiskClass::Read);
    assert!(mcp("n", offered(&tool)).get("outputSchema").is_some());
    let picture = json!({ "type": "string", "contentEncoding": "base64", "contentMediaType": "image/png" });
    for schema in [
        json!({ "type": "object", "properties": { "p": picture } }),
        json!({ "type": ["object", "null"] }),
        json!({ "type": "object", "properties": { "p": { "$ref": "https://example.com/x" } } }),
    ] {
        tool.def.output_schema = schema;
        assert_eq!(mcp("n", offered(&tool)).get("outputSchema"), None);
    }
}

#[test]
fn long_descriptions_are_cut_where_they_must_be() {
    let mut tool = tool("a.b.c", RiskClass::Read);
    tool.def.description = "ü".repeat(1000);
    let shown = openai("n", &tool)["function"]["description"].as_str().unwrap().to_owned();
    assert!(shown.len() <= 1024 && shown.ends_with("ü…"), "{}", shown.len());
    assert_eq!(anthropic("n", &tool)["description"].as_str().unwrap().len(), 2000);
}
