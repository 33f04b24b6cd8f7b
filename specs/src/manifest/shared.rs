//! The section of a component says once what its tools have in common: the schema of errors, which is 2 KB, and in most packs the
//! same for every tool. Written as `error_schema` beside `tools`; a tool without one of its own has that one.

use serde_json::{Map, Value};

use super::EmbeddedPack;

const KEY: &str = "error_schema";

impl EmbeddedPack {
    /// The pack as it is written into a component.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which does not happen to what was read from JSON.
    pub fn to_section(&self) -> serde_json::Result<Value> {
        let mut pack = serde_json::to_value(self)?;
        // The commonest one, and of those that are equally common the first.
        let schemas: Vec<&Value> = self.tools.iter().map(|tool| &tool.def.error_schema).collect();
        let count = |schema: &Value| schemas.iter().filter(|other| **other == schema).count();
        let shared = schemas.iter().rev().max_by_key(|schema| count(schema)).filter(|schema| count(schema) > 1);
        if let (Some(shared), Some(pack)) = (shared, pack.as_object_mut()) {
            for def in definitions(pack) {
                if def.get(KEY) == Some(*shared) {
                    def.remove(KEY);
                }
            }
            pack.insert(KEY.into(), (*shared).clone());
        }
        Ok(pack)
    }

    /// What is written in a component, as this type reads it. Anything else stays as it is, for the reader to complain about.
    #[must_use]
    pub fn from_section(mut pack: Value) -> Value {
        if let Some(pack) = pack.as_object_mut()
            && let Some(shared) = pack.remove(KEY)
        {
            for def in definitions(pack) {
                def.entry(KEY).or_insert_with(|| shared.clone());
            }
        }
        pack
    }
}

fn definitions(pack: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let tools = pack.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten();
    tools.filter_map(|tool| tool.get_mut("def")?.as_object_mut())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pack(schemas: &[Value]) -> Value {
        let tool = |(n, schema): (usize, &Value)| {
            json!({ "title": "", "idempotent": false, "def": {
                "name": format!("a.b.c{n}"), "description": "d", "input_schema": {}, "output_schema": {}, "error_schema": schema,
                "auth_slots": [], "risk_class": "read", "tags": [], "policy_defaults": {}, "examples": []
            }})
        };
        let tools: Vec<Value> = schemas.iter().enumerate().map(tool).collect();
        let info = json!({ "id": "a", "version": "1.0.0", "display-name": "A", "description": "d" });
        json!({ "format": 1, "manifest": { "pack": info }, "tools": tools })
    }

    #[test]
    fn what_tools_share_stands_once_and_comes_back() {
        let cases = [
            (vec![json!({"a": 1})], None),
            (vec![json!({"a": 1}), json!({"b": 1})], None),
            (vec![json!({"b": 1}), json!({"a": 1}), json!({"a": 1})], Some(json!({"a": 1}))),
            (vec![json!({"a": 1}), json!({"b": 1}), json!({"a": 1}), json!({"b": 1})], Some(json!({"a": 1}))),
        ];
        for (schemas, shared) in cases {
            let plain = pack(&schemas);
            let read: EmbeddedPack = serde_json::from_value(plain.clone()).expect("a pack");
            let section = read.to_section().expect("JSON");
            assert_eq!(section.get("error_schema"), shared.as_ref());
            let own = section.to_string().matches("error_schema").count();
            assert_eq!(
                own,
                schemas.len() - schemas.iter().filter(|s| Some(*s) == shared.as_ref()).count()
                    + usize::from(shared.is_some())
            );
            assert_eq!(EmbeddedPack::from_section(section), plain);
            assert_eq!(EmbeddedPack::from_section(plain.clone()), plain, "written before anything was shared");
        }
    }

    #[test]
    fn what_is_no_pack_stays() {
        for other in [json!(1), json!({"tools": 1}), json!({"tools": [1, {"def": 2}]})] {
            assert_eq!(EmbeddedPack::from_section(other.clone()), other);
        }
    }
}
