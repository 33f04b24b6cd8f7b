//! Stripe's form encoding: fields of objects and items of lists stand in brackets, `metadata[k]` and `line_items[0][price]`.

use rig_sdk::json::{self, Value};

/// The fields of a request's body, in order.
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Adds a field. Null, an empty list and an empty object add nothing, as in Stripe's own libraries; an empty text adds an empty
    /// field, which is how Stripe is told to unset something.
    pub(crate) fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.add(name.to_owned(), &value.into());
        self
    }

    fn add(&mut self, name: String, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(flag) => self.0.push((name, if *flag { "true" } else { "false" }.to_owned())),
            // As the SDK writes it: the one way to write numbers that is in the pack anyway.
            Value::Number(_) => self.0.push((name, json::text(value))),
            Value::String(text) => self.0.push((name, text.clone())),
            Value::Array(items) => {
                for (position, item) in items.iter().enumerate() {
                    self.add(inside(&name, &position.to_string()), item);
                }
            }
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.add(inside(&name, key), value);
                }
            }
        }
    }

    pub(crate) fn into_fields(self) -> Vec<(String, String)> {
        self.0
    }
}

/// `name[key]`
fn inside(name: &str, key: &str) -> String {
    [name, "[", key, "]"].concat()
}

#[cfg(test)]
mod tests {
    use rig_sdk::json::json;

    use super::*;

    #[test]
    fn nested_values_stand_in_brackets() {
        let cases = [
            (json!("x"), &[("a", "x")][..]),
            (json!(""), &[("a", "")]),
            (json!(-3), &[("a", "-3")]),
            (json!(1.5), &[("a", "1.5")]),
            (json!(true), &[("a", "true")]),
            (json!(null), &[]),
            (json!([]), &[]),
            (json!({}), &[]),
            (json!({ "b": {}, "c": [], "d": null }), &[]),
            (json!([1, "two"]), &[("a[0]", "1"), ("a[1]", "two")]),
            (json!({ "k y": "v", "n": { "deep": [false] } }), &[("a[k y]", "v"), ("a[n][deep][0]", "false")]),
            (json!([{ "price": "p", "quantity": 2 }]), &[("a[0][price]", "p"), ("a[0][quantity]", "2")]),
        ];
        for (value, expected) in cases {
            let fields = Form::default().field("a", value.clone()).into_fields();
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(fields, expected, "{value}");
        }
    }
}
