//! Arguments as people may see them: in approvals, and in the audit log where the project keeps them.
//!
//! What has the name or the form of a credential is blanked; long texts, deep nesting and many entries are cut, each with a note of
//! what is missing. The result has a bounded size whatever it is made from. This is for showing only: what runs, and what an
//! approval is bound to, are the arguments as they came. The secrets that rig itself holds never stand in arguments; those that a
//! caller writes into them are found by name and by form, so a credential without a known form under a harmless name is not.
//! Control characters stay: whoever renders escapes them.

mod credentials;

use serde_json::{Map, Value};

pub(crate) use credentials::{is_name, without};

/// What stands in the place of a credential.
pub const REDACTED: &str = "[redacted]";

/// Characters of a text that are shown: enough to recognise it, too few to fill the log with documents.
const MAX_TEXT: usize = 200;
/// Characters of a text that are looked at: what is shown, and enough after it to see where a credential ends.
const MAX_LOOK: usize = 1_000;
/// Characters of a key that are shown. Names that people give are shorter.
const MAX_KEY: usize = 64;
/// How deep values are shown. Arguments of tools are rarely deeper than four.
const MAX_DEPTH: usize = 8;
/// Fields and items that are shown, all levels together: what a person can read before deciding.
const MAX_ENTRIES: usize = 200;

/// The arguments without credentials, and short enough to read.
#[must_use]
pub fn sanitised(args: &Map<String, Value>) -> Map<String, Value> {
    let mut entries = MAX_ENTRIES;
    object(args, 1, &mut entries)
}

fn object(object: &Map<String, Value>, depth: usize, entries: &mut usize) -> Map<String, Value> {
    let mut out = Map::new();
    let pair = is_credential_pair(object);
    for (position, (key, value)) in object.iter().enumerate() {
        let mut shown = text(key, MAX_KEY);
        // Two long keys may look alike once they are cut; none may hide the other.
        while out.contains_key(&shown) {
            shown.push('…');
        }
        if *entries == 0 {
            out.insert(shown, Value::String(more(object.len() - position)));
            break;
        }
        *entries -= 1;
        let hidden = hides(key, value) || (pair && key.eq_ignore_ascii_case("value"));
        out.insert(shown, if hidden { Value::String(REDACTED.into()) } else { any(value, depth, entries) });
    }
    out
}

fn any(value: &Value, depth: usize, entries: &mut usize) -> Value {
    match value {
        Value::Object(map) if depth < MAX_DEPTH => Value::Object(object(map, depth + 1, entries)),
        Value::Array(items) if depth < MAX_DEPTH => Value::Array(array(items, depth + 1, entries)),
        Value::Object(map) if !map.is_empty() => Value::String(format!("[an object with {} fields]", map.len())),
        Value::Array(items) if !items.is_empty() => Value::String(format!("[an array of {} items]", items.len())),
        Value::String(long) => Value::String(text(long, MAX_TEXT)),
        short => short.clone(),
    }
}

fn array(items: &[Value], depth: usize, entries: &mut usize) -> Vec<Value> {
    let mut out = Vec::new();
    for (position, item) in items.iter().enumerate() {
        if *entries == 0 {
            out.push(Value::String(more(items.len() - position)));
            break;
        }
        *entries -= 1;
        out.push(any(item, depth, entries));
    }
    out
}

fn more(count: usize) -> String {
    format!("[{count} more not shown]")
}

/// Whether a field is hidden for its name. What cannot hold a credential is shown: whether there is one, and how many tokens a model
/// may use.
fn hides(key: &str, value: &Value) -> bool {
    let harmless = match value {
        Value::Null | Value::Bool(_) => true,
        Value::Number(_) => key.to_ascii_lowercase().ends_with("tokens"),
        _ => false,
    };
    !harmless && is_name(key)
}

/// Headers and variables often come as `{"name": "X-Api-Key", "value": "…"}`.
fn is_credential_pair(object: &Map<String, Value>) -> bool {
    let named = |(key, value): (&String, &Value)| {
        ["name", "key", "header"].iter().any(|word| key.eq_ignore_ascii_case(word))
            && value.as_str().is_some_and(is_name)
    };
    object.iter().any(named)
}

/// A text without credentials, cut to so many characters.
fn text(full: &str, most: usize) -> String {
    let looked = full.char_indices().nth(MAX_LOOK).map_or(full, |(end, _)| &full[..end]);
    let clean = without(looked);
    let end = clean.char_indices().nth(most).map(|(end, _)| end);
    match end {
        None if looked.len() == full.len() => clean,
        end => format!("{}… [{} characters in all]", &clean[..end.unwrap_or(clean.len())], full.chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(value: Value) -> Value {
        let Value::Object(args) = value else { panic!("{value}") };
        Value::Object(sanitised(&args))
    }

    #[test]
    fn fields_with_the_name_of_a_credential_are_blanked() {
        for key in [
            "password",
            "Password",
            "db_password",
            "PASSWD",
            "secret",
            "client-secret",
            "clientSecret",
            "token",
            "access_token",
            "api_key",
            "API-KEY",
            "x-api-key",
            "apiKey",
            "Authorization",
            "proxy authorization",
            "private.key",
            "credentials",
            "Set-Cookie",
            "cvc",
            "card_number",
        ] {
            for value in [json!("hunter2"), json!(123_456), json!(["a"]), json!({ "a": 1 })] {
                assert_eq!(shown(json!({ "a": { key: value } })), json!({ "a": { key: "[redacted]" } }), "{key}");
            }
            assert_eq!(shown(json!({ key: null })), json!({ key: null }));
            assert_eq!(shown(json!({ key: true })), json!({ key: true }));
        }
        for harmless in ["amount", "key", "passenger", "author", "pinned", "monkey", "max_tokens", "note"] {
            assert_eq!(shown(json!({ harmless: 42 })), json!({ harmless: 42 }));
        }
        let headers =
            json!({ "headers": [{ "name": "X-Api-Key", "value": "abc" }, { "name": "Accept", "value": "abc" }] });
        assert_eq!(
            shown(headers),
            json!({ "headers": [{ "name": "X-Api-Key", "value": "[redacted]" }, { "name": "Accept", "value": "abc" }] })
        );
    }

    #[test]
    fn long_texts_are_cut_and_say_so() {
        let exact = "ä".repeat(200);
        assert_eq!(shown(json!({ "a": exact })), json!({ "a": exact }));
        let long = "ä".repeat(5_000);
        assert_eq!(shown(json!({ "a": long })), json!({ "a": format!("{exact}… [5000 characters in all]") }));
        // A credential that the cut would tear apart is seen whole.
        let torn = format!("{} ghp_{}", "x".repeat(190), "A1b2".repeat(9));
        assert_eq!(
            shown(json!({ "a": torn })),
            json!({ "a": format!("{} [redacted… [231 characters in all]", "x".repeat(190)) })
        );
    }

    #[test]
    fn the_size_is_bounded_and_what_is_missing_is_said() {
        let deep = (0..100).fold(json!(1), |inner, _| json!({ "a": inner, "b": 1 }));
        let text = shown(deep).to_string();
        assert!(text.contains("[an object with 2 fields]") && text.len() < 200, "{text}");
        assert_eq!(shown(json!({ "a": (0..1_000).collect::<Vec<_>>() }))["a"][199], json!("[801 more not shown]"));

        let wide: Map<String, Value> = (0..1_000).map(|i| (format!("k{i:04}"), json!([i]))).collect();
        let shown_wide = sanitised(&wide);
        assert_eq!(shown_wide.len(), 101);
        assert_eq!(shown_wide["k0100"], json!("[900 more not shown]"));

        // Whatever comes in, what comes out is bounded.
        let huge: Map<String, Value> =
            (0..500).map(|i| (format!("{i:0100}"), json!("\u{1F600}".repeat(10_000)))).collect();
        let size = Value::Object(sanitised(&huge)).to_string().len();
        assert!(size < 300_000, "{size}");
    }

    #[test]
    fn keys_that_look_alike_once_cut_are_all_shown() {
        let (one, other) = (format!("{}1", "k".repeat(64)), format!("{}2", "k".repeat(64)));
        let out = shown(json!({ one: "first", other: "second" }));
        let start = "k".repeat(64);
        assert_eq!(
            out,
            json!({ format!("{start}… [65 characters in all]"): "first", format!("{start}… [65 characters in all]…"): "second" })
        );
        let key = format!("sk_live_{}", "a1B2".repeat(6));
        assert_eq!(shown(json!({ key: 1 })), json!({ "[redacted]": 1 }));
    }

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        let args = json!({
            "repo": "rig/rig", "limit": 5, "ratio": 0.5, "labels": ["a", "b"], "body": "line\u{1b}[2J\nline", "none": null,
            "nested": { "empty": {}, "list": [] }, "text": "", "url": "https://example.com/a?page=2#x",
        });
        assert_eq!(shown(args.clone()), args);
    }
}
