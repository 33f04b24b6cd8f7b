//! The project's own rules on arguments: `policy.constraints`, compiled once.
//!
//! A rule is a JSON Schema for one argument of the tools that a pattern matches, on top of the tool's own schema. Whether the
//! arguments fit the tool at all is checked elsewhere, and earlier.
//!
//! Rules fail closed. An argument with a rule must be given, because leaving it out leaves its value to the service: a refund
//! without an amount refunds everything. `null` counts as left out, for the same reason. And a rule about numbers holds for numbers
//! only: `maximum: 100` alone would let the text `"5000"` pass, since JSON Schema does not apply it to texts.

use std::collections::BTreeMap;

use rig_specs::config::Constraint;
use serde_json::{Map, Value};

use super::{policy::matches, schema::Schema};

/// Which rule it was, so that a person knows where to look.
const SOURCE: &str = "(policy.constraints of rig.yaml)";

/// The rules, ready to be asked.
#[derive(Debug, Default)]
pub struct Constraints {
    globs: Vec<(String, Vec<Rule>)>,
}

#[derive(Debug)]
struct Rule {
    argument: String,
    schema: Schema,
    optional: bool,
}

impl Constraints {
    /// From `policy.constraints` in rig.yaml.
    ///
    /// # Errors
    /// The first rule whose schema cannot be used, with the reason.
    pub fn new(config: &BTreeMap<String, BTreeMap<String, Constraint>>) -> Result<Self, String> {
        let mut globs = Vec::with_capacity(config.len());
        for (pattern, constraints) in config {
            let mut rules = Vec::with_capacity(constraints.len());
            for (argument, constraint) in constraints {
                let schema = compile(constraint)
                    .map_err(|why| format!("the schema for `{argument}` of `{pattern}` cannot be used: {why}"))?;
                rules.push(Rule { argument: argument.clone(), schema, optional: constraint.optional });
            }
            globs.push((pattern.clone(), rules));
        }
        Ok(Self { globs })
    }

    /// Whether there is any rule for a tool. Calls of other tools need not read their arguments for this.
    #[must_use]
    pub fn applies(&self, tool: &str) -> bool {
        self.rules(tool).next().is_some()
    }

    /// Whether the arguments keep every rule for their tool.
    ///
    /// # Errors
    /// What is wrong, one sentence each, in words that a model can act on.
    pub fn check(&self, tool: &str, args: &Map<String, Value>) -> Result<(), Vec<String>> {
        let mut problems: Vec<String> = Vec::new();
        for rule in self.rules(tool) {
            let found = match args.get(&rule.argument).filter(|value| !value.is_null()) {
                Some(value) if rule.schema.accepts(value) => continue,
                Some(value) => rule.schema.explain_at(&rule.argument, value),
                None if rule.optional => continue,
                None => vec![format!("`{}` must be given", rule.argument)],
            };
            for problem in found {
                let sentence = format!("{problem} {SOURCE}");
                if !problems.contains(&sentence) {
                    problems.push(sentence);
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn rules(&self, tool: &str) -> impl Iterator<Item = &Rule> {
        self.globs.iter().filter(move |(pattern, _)| matches(pattern, tool)).flat_map(|(_, rules)| rules)
    }
}

/// The schema of one rule, ready to be asked.
pub(crate) fn compile(constraint: &Constraint) -> Result<Schema, String> {
    Schema::compile(&with_type(&constraint.schema))
}

/// The schema with the type that its keywords are about, unless it names one or its keywords are about several.
fn with_type(schema: &Value) -> Value {
    let kinds: [(&str, &[&str]); 4] = [
        ("number", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
        ("string", &["minLength", "maxLength", "pattern", "format"]),
        ("array", &["items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems"]),
        (
            "object",
            &["properties", "patternProperties", "additionalProperties", "required", "minProperties", "maxProperties"],
        ),
    ];
    let Value::Object(keywords) = schema else { return schema.clone() };
    let about = |(_, words): &&(&str, &[&str])| words.iter().any(|word| keywords.contains_key(*word));
    let mut about = kinds.iter().filter(about).map(|(kind, _)| *kind);
    match (about.next(), about.next()) {
        (Some(kind), None) if !keywords.contains_key("type") => {
            let mut typed = keywords.clone();
            typed.insert("type".into(), kind.into());
            Value::Object(typed)
        }
        _ => schema.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn constraints(rules: Value) -> Result<Constraints, String> {
        Constraints::new(&serde_json::from_value(rules).unwrap())
    }

    fn check(rules: &Constraints, tool: &str, args: Value) -> Vec<String> {
        let Value::Object(args) = args else { panic!("{args}") };
        let suffix = format!(" {SOURCE}");
        let problems = rules.check(tool, &args).err().unwrap_or_default();
        problems.iter().map(|problem| problem.strip_suffix(&suffix).expect(problem).to_owned()).collect()
    }

    #[test]
    fn every_rule_that_matches_holds_and_says_what_is_wrong() {
        let rules = constraints(json!({
            "stripe.refunds.*": { "amount": { "schema": { "maximum": 10000 } } },
            "stripe.*": {
                "amount": { "schema": { "type": "integer", "minimum": 1 } },
                "currency": { "schema": { "enum": ["eur", "usd"] }, "optional": true },
                "metadata": { "schema": false, "optional": true },
            },
            "mail.send": {
                "to": { "schema": { "items": { "pattern": "@example\\.com$", "$ref": "#/$defs/short" }, "$defs": { "short": { "maxLength": 16 } } } },
            },
        }))
        .unwrap();
        for (tool, args, expected) in [
            ("stripe.refunds.create", json!({ "amount": 10_000 }), &[][..]),
            ("stripe.refunds.create", json!({ "amount": 10_001 }), &["`amount` must be at most 10000"]),
            ("stripe.charges.create", json!({ "amount": 10_001, "currency": "eur" }), &[]),
            ("stripe.refunds.create", json!({ "amount": 0 }), &["`amount` must be at least 1"]),
            ("stripe.refunds.create", json!({}), &["`amount` must be given"]),
            ("stripe.refunds.create", json!({ "amount": null }), &["`amount` must be given"]),
            (
                "stripe.refunds.create",
                json!({ "amount": 20_000, "currency": "gbp" }),
                &["`currency` must be one of \"eur\", \"usd\"", "`amount` must be at most 10000"],
            ),
            ("stripe.charges.create", json!({ "amount": 5, "currency": null, "metadata": null }), &[]),
            ("stripe.charges.create", json!({ "amount": 5, "metadata": {} }), &["`metadata` is not allowed"]),
            ("mail.send", json!({ "to": ["a@example.com"] }), &[]),
            (
                "mail.send",
                json!({ "to": ["a@example.com", "a@example.net"] }),
                &["`to[1]` must match the pattern @example\\.com$"],
            ),
            (
                "mail.send",
                json!({ "to": ["somebody@example.com"] }),
                &["`to[0]` must have at most 16 characters, not 20"],
            ),
            ("mail.read", json!({ "to": 5 }), &[]),
        ] {
            assert_eq!(check(&rules, tool, args.clone()), expected, "{tool} {args}");
        }
        for (tool, applies) in [("stripe.refunds.create", true), ("mail.send", true), ("mail.read", false), ("", false)]
        {
            assert_eq!(rules.applies(tool), applies, "{tool}");
        }
        assert!(!Constraints::default().applies("stripe.refunds.create"));
        // A pattern without rules applies to nothing.
        assert!(!constraints(json!({ "*": {} })).unwrap().applies("a.b"));
    }

    /// A value of another type would pass, because JSON Schema applies a keyword only to the type that it is about.
    #[test]
    fn a_rule_is_not_escaped_by_another_type() {
        for (schema, value, expected) in [
            (json!({ "maximum": 10 }), json!("5000"), "`v` must be a number, not a string"),
            (json!({ "exclusiveMaximum": 10 }), json!([5000]), "`v` must be a number, not an array"),
            (json!({ "pattern": "^eu-" }), json!(["us-1"]), "`v` must be a string, not an array"),
            (json!({ "maxItems": 1 }), json!("a,b"), "`v` must be an array, not a string"),
            (json!({ "properties": { "x": { "const": 1 } } }), json!("x=2"), "`v` must be an object, not a string"),
        ] {
            assert!(
                Schema::compile(&schema).unwrap().accepts(&value),
                "without the rule's type {value} passes {schema}"
            );
            let rules = constraints(json!({ "*": { "v": { "schema": schema } } })).unwrap();
            assert_eq!(check(&rules, "a.b", json!({ "v": value })), [expected]);
        }
        // What names its types, or is about several, is meant as it is written.
        for (schema, value) in [
            (json!({ "type": ["number", "string"], "maximum": 10 }), json!("5000")),
            (json!({ "maximum": 10, "maxLength": 3 }), json!("abc")),
        ] {
            let rules = constraints(json!({ "*": { "v": { "schema": schema } } })).unwrap();
            assert_eq!(check(&rules, "a.b", json!({ "v": value })), [""; 0]);
        }
    }

    #[test]
    fn schemas_that_cannot_be_used_are_refused() {
        for (schema, start) in [
            (json!({ "type": "intger" }), "the schema for `v` of `a.*` cannot be used: "),
            (json!({ "pattern": "(?=a)b" }), "the schema for `v` of `a.*` cannot be used: "),
            (json!({ "$ref": "https://example.com/s.json" }), "the schema for `v` of `a.*` cannot be used: "),
            (json!(5), "the schema for `v` of `a.*` cannot be used: "),
        ] {
            let error = constraints(json!({ "a.*": { "v": { "schema": schema.clone() } } })).unwrap_err();
            assert!(error.starts_with(start) && error.len() > start.len(), "{schema}: {error}");
        }
    }
}
