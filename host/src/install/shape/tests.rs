//! Every kind of change, in both directions.

use serde_json::{Value, json};

use super::{
    schema::{Side, compare},
    *,
};
use crate::install::test_packs::embedded;

/// Whether going from the first schema to the second breaks, for input and for output.
fn breaks(old: &Value, new: &Value) -> (bool, bool) {
    let any = |side| compare(old, new, side).iter().any(|finding| finding.breaking);
    (any(Side::Input), any(Side::Output))
}

/// A schema that allows more than another: narrowing breaks input, widening breaks output.
#[test]
fn input_may_widen_and_output_may_narrow() {
    let cases = [
        (json!({ "type": "string" }), json!({ "type": ["string", "null"] })),
        (json!({ "type": "integer" }), json!({ "type": "number" })),
        (json!({ "type": "string" }), json!({})),
        (json!({ "type": "string" }), json!(true)),
        (json!(false), json!({ "type": "string" })),
        (json!({ "enum": ["a"] }), json!({ "enum": ["a", "b"] })),
        (json!({ "const": "a" }), json!({ "enum": ["b", "a"] })),
        (json!({ "type": "string", "enum": ["a"] }), json!({ "type": "string" })),
        (json!({ "minimum": 2 }), json!({ "minimum": 1 })),
        (json!({ "minimum": 2 }), json!({})),
        (json!({ "exclusiveMinimum": 0 }), json!({})),
        (json!({ "maximum": 1 }), json!({ "maximum": 2.5 })),
        (json!({ "exclusiveMaximum": 1 }), json!({})),
        (json!({ "minLength": 1 }), json!({ "minLength": 0 })),
        (json!({ "maxLength": 1 }), json!({ "maxLength": 2 })),
        (json!({ "minItems": 1 }), json!({})),
        (json!({ "maxItems": 1 }), json!({})),
        (json!({ "minProperties": 1 }), json!({})),
        (json!({ "maxProperties": 1 }), json!({ "maxProperties": 9 })),
        (json!({ "pattern": "^a" }), json!({})),
        (json!({ "format": "email" }), json!({})),
        (json!({ "multipleOf": 2 }), json!({})),
        (json!({ "uniqueItems": true }), json!({})),
        (json!({ "items": { "type": "integer" } }), json!({ "items": { "type": "number" } })),
        (json!({ "items": { "type": "integer" } }), json!({})),
        (json!({ "required": ["a"] }), json!({ "required": [] })),
        (json!({ "type": "string" }), json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] })),
        (
            json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }),
            json!({ "anyOf": [{ "type": "null" }, { "type": "integer" }, { "type": "string" }] }),
        ),
        (
            json!({ "oneOf": [{ "const": "a" }] }),
            json!({ "oneOf": [{ "const": "a" }, { "const": "b", "description": "B" }] }),
        ),
        (
            json!({ "properties": { "a": { "properties": { "b": { "maximum": 1 } } } } }),
            json!({ "properties": { "a": { "properties": { "b": { "maximum": 2 } } } } }),
        ),
        (
            json!({ "allOf": [{ "minimum": 1 }, { "maximum": 5 }] }),
            json!({ "allOf": [{ "minimum": 1 }, { "maximum": 6 }] }),
        ),
        (
            json!({ "additionalProperties": { "type": "integer" } }),
            json!({ "additionalProperties": { "type": "number" } }),
        ),
        (
            json!({ "$defs": { "T": { "maximum": 1 } }, "properties": { "a": { "$ref": "#/$defs/T" } } }),
            json!({ "$defs": { "T": { "maximum": 2 } }, "properties": { "a": { "$ref": "#/$defs/T" } } }),
        ),
        // A schema that refers to itself.
        (
            json!({ "$defs": { "T": { "maximum": 1, "items": { "$ref": "#/$defs/T" } } }, "items": { "$ref": "#/$defs/T" } }),
            json!({ "$defs": { "T": { "maximum": 2, "items": { "$ref": "#/$defs/T" } } }, "items": { "$ref": "#/$defs/T" } }),
        ),
    ];
    for (narrow, wide) in cases {
        assert_eq!(breaks(&narrow, &wide), (false, true), "{narrow} → {wide}");
        assert_eq!(breaks(&wide, &narrow), (true, false), "{wide} → {narrow}");
        assert_eq!(breaks(&narrow, &narrow), (false, false), "{narrow}");
    }
}

type Names = &'static [&'static str];
/// Fields and required ones before and after, and whether that breaks input and output.
type Fields = (Names, Names, Names, Names, (bool, bool));

#[test]
fn fields_come_and_go() {
    let fields = |names: &[&str], required: &[&str]| {
        let fields: serde_json::Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
        json!({ "type": "object", "properties": fields, "required": required, "additionalProperties": false })
    };
    let cases: [Fields; 7] = [
        // An optional field is new; a required one; one goes; one becomes required; one becomes optional; an optional one goes.
        (&["a"], &["a"], &["a", "b"], &["a"], (false, false)),
        (&["a"], &["a"], &["a", "b"], &["a", "b"], (true, false)),
        (&["a", "b"], &["a", "b"], &["a"], &["a"], (true, true)),
        (&["a", "b"], &["a"], &["a", "b"], &["a", "b"], (true, false)),
        (&["a", "b"], &["a", "b"], &["a", "b"], &["a"], (false, true)),
        (&["a", "b"], &["a"], &["a"], &["a"], (true, true)),
        (&["a", "b"], &["a"], &["b", "a"], &["a"], (false, false)),
    ];
    for (old, old_required, new, new_required, expected) in cases {
        let (old, new) = (fields(old, old_required), fields(new, new_required));
        assert_eq!(breaks(&old, &new), expected, "{old} → {new}");
    }
    let (open, closed) = (json!({ "type": "object" }), json!({ "type": "object", "additionalProperties": false }));
    assert_eq!(breaks(&open, &closed), (true, false));
    assert_eq!(breaks(&closed, &open), (false, false), "whoever reads an output reads the fields that they know");
}

/// What is neither more nor less, and what is not understood, breaks both ways.
#[test]
fn what_is_not_understood_breaks() {
    let cases = [
        (json!({ "type": "string" }), json!({ "type": "integer" })),
        (json!({ "enum": ["a"] }), json!({ "enum": ["b"] })),
        (json!({ "pattern": "^a" }), json!({ "pattern": "^b" })),
        (json!({ "format": "email" }), json!({ "format": "uri" })),
        (json!({ "not": { "type": "string" } }), json!({})),
        (json!({ "if": { "type": "string" } }), json!({ "if": { "type": "null" } })),
        (json!({ "patternProperties": { "^a": true } }), json!({ "patternProperties": { "^b": true } })),
        (json!({ "unevaluatedProperties": false }), json!({})),
        (json!({ "x-nullable": true }), json!({})),
        (json!({ "oneOf": [{ "minimum": 1 }] }), json!({ "oneOf": [{ "minimum": 1 }, { "maximum": 0 }] })),
        (json!({ "anyOf": [{ "type": "string" }], "minLength": 1 }), json!({ "minLength": 1 })),
        (json!({ "$ref": "https://elsewhere/schema" }), json!({ "$ref": "https://elsewhere/other" })),
        (json!({ "$ref": "#/$defs/T" }), json!({ "$ref": "#/$defs/U" })),
        (json!({ "type": "text" }), json!({ "type": "string" })),
        (json!({ "$schema": "https://json-schema.org/draft-07/schema" }), json!({})),
        (json!({ "prefixItems": [true] }), json!({ "prefixItems": [true, false] })),
        // The same words, but of a definition that changed.
        (
            json!({ "$defs": { "T": { "type": "string" } }, "not": { "$ref": "#/$defs/T" } }),
            json!({ "$defs": { "T": { "type": "null" } }, "not": { "$ref": "#/$defs/T" } }),
        ),
        (json!(7), json!({})),
    ];
    for (old, new) in cases {
        assert_eq!(breaks(&old, &new), (true, true), "{old} → {new}");
    }
    let texts = json!({ "type": "string", "title": "A", "description": "b", "examples": ["c"], "default": "d" });
    assert_eq!(breaks(&json!({ "type": "string" }), &texts), (false, false));
    assert_eq!(compare(&json!({ "type": "string" }), &texts, Side::Input)[0].text, "other descriptions or defaults");
}

#[test]
fn endless_schemas_end() {
    // Each level refers to the next twice, in other words: all pairs are 2^40.
    let level = |level: usize, end: u32| {
        let next = json!({ "$ref": format!("#/$defs/L{}", level + 1) });
        (format!("L{level}"), json!({ "anyOf": [{ "items": next }, { "items": next, "maximum": end }] }))
    };
    let schema = |end: u32| {
        let mut defs: serde_json::Map<String, Value> = (0..40).map(|number| level(number, end)).collect();
        defs.insert("L40".into(), json!({ "maximum": end }));
        json!({ "$defs": defs, "items": { "$ref": "#/$defs/L0" } })
    };
    let started = std::time::Instant::now();
    assert!(breaks(&schema(1), &schema(2)).1);
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn changes_of_tools_are_told_with_their_weight() {
    type Edit = fn(&mut EmbeddedPack);
    type Told = &'static [(&'static str, Part, &'static str, bool)];
    let second = |pack: &mut EmbeddedPack| {
        let mut tool = pack.tools[0].clone();
        tool.def.name = "echo.thing.put".into();
        pack.tools.push(tool);
    };
    let cases: [(Edit, Edit, Told); 9] = [
        (|_| {}, |_| {}, &[]),
        (
            |pack| pack.tools[0].def.risk_class = RiskClass::Read,
            |pack| pack.tools[0].def.risk_class = RiskClass::Money,
            &[("echo.thing.get", Part::Risk, "raised from read to money", true)],
        ),
        (
            |pack| pack.tools[0].def.risk_class = RiskClass::Destructive,
            |pack| pack.tools[0].def.risk_class = RiskClass::Write,
            &[("echo.thing.get", Part::Risk, "lowered from destructive to write", false)],
        ),
        (
            |_| {},
            |pack| pack.tools[0].def.auth_slots = vec!["TOKEN".into()],
            &[("echo.thing.get", Part::Secrets, "uses TOKEN now", true)],
        ),
        (
            |pack| pack.tools[0].def.auth_slots = vec!["TOKEN".into()],
            |_| {},
            &[("echo.thing.get", Part::Secrets, "does not use TOKEN any more", false)],
        ),
        (
            |_| {},
            |pack| pack.tools[0].def.description = "Gets it\u{1b}[31m.".into(),
            &[("echo.thing.get", Part::Description, "another description", false)],
        ),
        (
            |_| {},
            |pack| pack.tools[0].idempotent = false,
            &[(
                "echo.thing.get",
                Part::Handling,
                "not idempotent any more: rig does not run a failed call again",
                false,
            )],
        ),
        (
            |_| {},
            |pack| {
                pack.tools[0].def.input_schema =
                    json!({ "type": "object", "properties": { "n": {} }, "required": ["n"] });
            },
            &[("echo.thing.get", Part::Input, "`n` is new and required", true)],
        ),
        (
            |pack| {
                pack.tools[0].def.output_schema =
                    json!({ "type": "object", "properties": { "n": { "type": "string" } } });
            },
            |pack| {
                pack.tools[0].def.output_schema =
                    json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
            },
            &[("echo.thing.get", Part::Output, "`n`: was string, is integer", true)],
        ),
    ];
    for (before, after, expected) in cases {
        let (mut old, mut new) = (embedded("echo", "1.0.0"), embedded("echo", "1.1.0"));
        before(&mut old);
        after(&mut new);
        let found = differences(&old, &new);
        let found: Vec<_> = found.iter().map(|c| (c.tool.as_str(), c.part, c.what.as_str(), c.breaking)).collect();
        assert_eq!(found, expected);
    }
    let (old, mut new) = (embedded("echo", "1.0.0"), embedded("echo", "1.1.0"));
    second(&mut new);
    let added = differences(&old, &new);
    assert_eq!((added[0].part, added[0].breaking, added[0].tool.as_str()), (Part::Added, false, "echo.thing.put"));
    let removed = differences(&new, &old);
    assert_eq!((removed[0].part, removed[0].breaking), (Part::Removed, true));
}
