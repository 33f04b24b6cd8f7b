//! Each lint against a pack that has nothing else to complain about.

use rig_specs::manifest::EmbeddedPack;
use serde_json::{Value, json};

use super::*;

const SENDS: &str = "rig:pack/http@0.1.0";
const READS_SETTINGS: &str = "rig:pack/config@0.1.0";

/// A pack without anything to complain about, changed.
fn pack(change: impl FnOnce(&mut Value)) -> EmbeddedPack {
    let mut pack = json!({
        "format": 1,
        "manifest": {
            "pack": { "id": "shop", "version": "1.0.0", "display-name": "Shop", "description": "A shop" },
            "network": [{ "host": "api.shop.com", "methods": ["GET", "POST"], "paths": ["/v1/orders/*"] }],
            "secrets": { "SHOP_KEY": { "hosts": ["api.shop.com"], "inject": { "type": "bearer" } } },
            "config": { "SHOP_ID": { "description": "The shop" } },
        },
        "tools": [{ "title": "", "idempotent": false, "def": {
            "name": "shop.orders.create", "description": "Creates an order in the shop.", "risk_class": "write",
            "input_schema": { "type": "object", "properties": { "item": { "type": "string", "description": "What" } } },
            "output_schema": { "type": "object", "properties": { "id": { "type": "string", "description": "Its id" } } },
            "error_schema": {}, "auth_slots": ["SHOP_KEY"], "tags": [], "policy_defaults": {},
            "examples": [{ "description": "One", "args": { "item": "tea" }, "output": null }],
        } }],
    });
    change(&mut pack);
    let pack: EmbeddedPack = serde_json::from_value(pack).unwrap();
    assert_eq!(pack.problems(), [""; 0]);
    pack
}

fn found_in(pack: &EmbeddedPack, imports: &[&str], component: &[u8]) -> Vec<String> {
    let imports: Vec<String> = imports.iter().map(|&import| import.to_owned()).collect();
    lint(pack, &imports, component).iter().map(ToString::to_string).collect()
}

type Change = fn(&mut Value);

#[test]
fn each_lint_finds_its_own() {
    assert_eq!(found_in(&pack(|_| ()), &[SENDS, READS_SETTINGS], b"..SHOP_ID.."), [""; 0], "the control");
    let cases: [(Lint, Change, &str); 19] = [
        (
            Lint::UndocumentedTool,
            |p| p["tools"][0]["def"]["description"] = json!("Creates orders"),
            "say what the tool does",
        ),
        (
            Lint::UndocumentedParameter,
            |p| p["tools"][0]["def"]["input_schema"]["properties"]["item"] = json!({ "type": "string" }),
            "the parameter `item`",
        ),
        (
            Lint::UndocumentedParameter,
            |p| {
                p["tools"][0]["def"]["input_schema"]["properties"]["item"]["items"] =
                    json!({ "properties": { "x": { "type": "null" } } });
            },
            "the parameter `item[].x`",
        ),
        (
            Lint::UndocumentedField,
            |p| p["tools"][0]["def"]["output_schema"]["properties"]["id"]["description"] = json!(" "),
            "the field `id`",
        ),
        (Lint::MissingExample, |p| p["tools"][0]["def"]["examples"] = json!([]), "give an example"),
        (Lint::UnusedCapability, |p| p["tools"][0]["def"]["auth_slots"] = json!([]), "[secrets.SHOP_KEY]"),
        (Lint::UnusedCapability, |p| p["manifest"]["config"]["OTHER"] = json!({}), "[config.OTHER] is read by no code"),
        (Lint::UnusedCapability, |p| p["manifest"]["storage"] = json!({ "quota": "1MiB" }), "rig:pack/storage"),
        (Lint::UnusedCapability, |p| p["manifest"]["invoke"] = json!({ "tools": ["a.b.c"] }), "rig:pack/invoke"),
        (Lint::UnusedCapability, |p| p["manifest"]["ask"] = json!({}), "rig:pack/client"),
        (
            Lint::MissingMethod,
            |p| p["manifest"]["network"][0]["methods"] = json!(["GET"]),
            "`shop.orders.create` is of risk class write",
        ),
        (
            Lint::WideHost,
            |p| {
                p["manifest"]["network"][0]["host"] = json!("*.shop.com");
                p["manifest"]["secrets"]["SHOP_KEY"]["hosts"] = json!(["*.shop.com"]);
            },
            "every host below shop.com",
        ),
        (
            Lint::WidePath,
            |p| p["manifest"]["network"][0]["paths"] = json!(["/*"]),
            "[[network]] api.shop.com: every path",
        ),
        (
            Lint::WideMethod,
            |p| {
                p["manifest"]["network"][0]["methods"] = json!(["GET", "DELETE"]);
                p["tools"][0]["def"]["risk_class"] = json!("read");
            },
            "the rule allows DELETE",
        ),
        (Lint::PlainHttp, |p| p["manifest"]["network"][0]["scheme"] = json!("http"), "use `https`"),
        (
            Lint::SchemaRoot,
            |p| p["tools"][0]["def"]["input_schema"]["anyOf"] = json!([{}]),
            "`anyOf` stands at the root",
        ),
        (
            Lint::SchemaRecursion,
            |p| {
                let schema = &mut p["tools"][0]["def"]["input_schema"];
                schema["properties"]["item"] = json!({ "$ref": "#/$defs/Item", "description": "What" });
                schema["$defs"] = json!({ "Item": { "type": "array", "items": { "$ref": "#/$defs/Item" } } });
            },
            "contains itself",
        ),
        (
            Lint::SchemaReference,
            |p| {
                p["tools"][0]["def"]["output_schema"]["properties"]["id"]["$ref"] =
                    json!("https://example.com/id.json");
            },
            "refers to another document",
        ),
        (
            Lint::ParameterName,
            |p| p["tools"][0]["def"]["input_schema"]["properties"]["größe"] = json!({ "description": "Size" }),
            "not `größe`",
        ),
    ];
    for (lint, change, message) in cases {
        let found = found_in(&pack(change), &[SENDS, READS_SETTINGS], b"..SHOP_ID..");
        assert_eq!(found.len(), 1, "{lint}: {found:#?}");
        assert!(found[0].contains(message) && found[0].ends_with(&format!("[{lint}]")), "{lint}: {found:#?}");
    }
    let long = format!("shop.orders.{}", "x".repeat(60));
    let found = found_in(&pack(|p| p["tools"][0]["def"]["name"] = json!(long)), &[SENDS, READS_SETTINGS], b"SHOP_ID");
    assert!(found.len() == 1 && found[0].ends_with("[tool-name]"), "{found:#?}");
}

#[test]
fn what_a_component_imports_is_what_it_can_use() {
    let of = |imports: &[&str], component: &[u8]| found_in(&pack(|_| ()), imports, component);
    assert!(of(&[READS_SETTINGS], b"SHOP_ID")[0].starts_with("[[network]] is asked for"));
    assert_eq!(of(&["wasi:http/outgoing-handler@0.2.3", READS_SETTINGS], b"SHOP_ID"), [""; 0]);
    assert!(of(&[SENDS, READS_SETTINGS], b"SHOP_I")[0].starts_with("[config.SHOP_ID]"));
    assert!(of(&[SENDS], b"SHOP_ID")[0].starts_with("[config.SHOP_ID]"), "it could not read it");
    let by_host = pack(|p| {
        p["manifest"]["network"][0]["host"] = json!("{config.SHOP_ID}");
        p["manifest"]["secrets"]["SHOP_KEY"]["hosts"] = json!(["{config.SHOP_ID}"]);
    });
    assert_eq!(found_in(&by_host, &[SENDS], b""), [""; 0]);
    let none = pack(|p| {
        for key in ["network", "secrets", "config"] {
            p["manifest"].as_object_mut().unwrap().remove(key);
        }
        p["tools"][0]["def"]["auth_slots"] = json!([]);
    });
    assert!(found_in(&none, &[SENDS], b"")[0].starts_with("the component sends requests"));
    assert_eq!(found_in(&none, &[SENDS, "wasi:io/poll@0.2.0"], b""), [""; 0], "a runtime imports everything");
}

#[test]
fn every_lint_has_a_name_of_its_own() {
    for lint in Lint::ALL {
        assert_eq!(lint.name().parse(), Ok(lint));
        assert_eq!(serde_json::to_value(lint).unwrap(), lint.name());
    }
    assert!(
        "wide"
            .parse::<Lint>()
            .unwrap_err()
            .starts_with("there is no lint of that name; the lints are undocumented-tool, ")
    );
}
