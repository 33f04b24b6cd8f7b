//! The inputs: JSON objects as tools get them, of about 100 bytes, 10 KB and 1 MB.

use serde_json::{Value, json};

/// A name and the arguments of the echo tool as text.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    vec![
        (
            "100 B",
            json!({ "message": "hello", "data": { "id": 17, "tags": ["a", "b"], "name": "Ada", "ok": true } })
                .to_string(),
        ),
        ("10 KB", records(75)),
        ("1 MB", records(7_500)),
    ]
}

/// Records as an API answers them: short strings, numbers, booleans, some nesting.
fn records(count: usize) -> String {
    let record = |n: usize| -> Value {
        json!({
            "id": format!("rec_{n:06}"),
            "name": "Ada Lovelace",
            "amount": 1999 + n,
            "rate": 0.25,
            "active": n.is_multiple_of(2),
            "tags": ["new", "eu"],
            "address": { "city": "London", "zip": "N1 9GU" },
        })
    };
    json!({ "message": "records", "data": { "records": (0..count).map(record).collect::<Vec<_>>() } }).to_string()
}
