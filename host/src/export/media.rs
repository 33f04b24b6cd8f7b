//! Media in outputs: which properties of a tool's output are pictures, sounds, documents or plain texts, by the tool's output schema.
//!
//! Tools answer JSON objects. A top-level property of the output schema says how a program that shows content, such as an MCP client,
//! is to take its value: a string with `contentEncoding: base64` and a `contentMediaType` of `image/…` or `audio/…`; an object with
//! `format: mcp-resource`; a string with `format: mcp-text`. Other properties are data.

use serde_json::Value;

/// What a property's value is shown as. In the order in which content is shown: first what is read, then what is looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Text for the reader.
    Text,
    /// A picture in base64, with its media type.
    Image(String),
    /// A sound in base64, with its media type.
    Audio(String),
    /// A document: `uri`, `mimeType`, and `text` or `blob`.
    Resource,
}

/// The properties of an output that are content, in the order to show them. Empty for tools that answer data.
#[must_use]
pub fn of(output_schema: &Value) -> Vec<(Kind, String)> {
    let properties = output_schema.get("properties").and_then(Value::as_object);
    let mut found: Vec<(Kind, String)> =
        properties.into_iter().flatten().filter_map(|(name, schema)| Some((kind(schema)?, name.clone()))).collect();
    found.sort_unstable();
    found
}

fn kind(schema: &Value) -> Option<Kind> {
    let word = |key: &str| schema.get(key).and_then(Value::as_str);
    match word("format") {
        Some("mcp-text") => return Some(Kind::Text),
        Some("mcp-resource") => return Some(Kind::Resource),
        _ => {}
    }
    let media = word("contentMediaType").filter(|_| word("contentEncoding") == Some("base64"))?;
    match media.split_once('/')?.0 {
        "image" => Some(Kind::Image(media.to_owned())),
        "audio" => Some(Kind::Audio(media.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_shown_comes_in_a_fixed_order() {
        let base64 = |media: &str| json!({ "type": "string", "contentEncoding": "base64", "contentMediaType": media });
        let found = of(&json!({ "type": "object", "properties": {
            "a_document": { "type": "object", "format": "mcp-resource" },
            "b_sound": base64("audio/wav"),
            "c_picture": base64("image/png"),
            "d_caption": { "type": "string", "format": "mcp-text" },
            "e_count": { "type": "integer" },
            "f_archive": base64("application/zip"),
            "g_unencoded": { "type": "string", "contentMediaType": "image/svg+xml" },
            "h_date": { "type": "string", "format": "date-time" },
        }}));
        let names: Vec<&str> = found.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["d_caption", "c_picture", "b_sound", "a_document"]);
        assert_eq!(found[1].0, Kind::Image("image/png".into()));
        for schema in [json!({}), json!(true), json!({ "properties": [] }), json!({ "properties": { "a": true } })] {
            assert_eq!(of(&schema), [], "{schema}");
        }
    }
}
