//! What the answer of a call looks like to an MCP client: text and structured content, pictures, sounds and documents where the
//! output schema says so, and errors that a model can act on.

use rig_specs::rtp::ToolError;
use rmcp::model::{CallToolResult, ContentBlock, MetaObject, ResourceContents};
use serde_json::{Map, Value, json};

use crate::{
    call::Answer,
    export::media::{self, Kind},
};

/// The key under which a result says the id of its call, which the audit log has too.
const META_CALL: &str = "rig/correlation_id";
/// The key under which a failed result carries the error as the API has it.
const META_ERROR: &str = "rig/error";

/// The result of a call. `output_schema` is that of the tool.
pub(super) fn result(answer: Answer, output_schema: &Value) -> CallToolResult {
    let id = answer.correlation_id;
    let mut result = match answer.ended {
        Ok(text) => success(text, &media::of(output_schema)),
        Err(error) => failure(&error),
    };
    let meta = result.meta.get_or_insert_with(MetaObject::new);
    meta.insert(META_CALL.to_owned(), Value::String(id));
    result
}

fn success(text: String, media: &[(Kind, String)]) -> CallToolResult {
    // The text was checked to be one object; nothing else can come of it.
    let mut output = serde_json::from_str::<Map<String, Value>>(&text).unwrap_or_default();
    if media.is_empty() {
        let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
        result.structured_content = Some(Value::Object(output));
        return result;
    }
    let mut content = Vec::with_capacity(media.len() + 1);
    for (kind, name) in media {
        match output.remove(name) {
            None | Some(Value::Null) => {}
            Some(value) => match block(kind, value) {
                Ok(block) => content.push(block),
                // What it says it is, it is not: then it is data.
                Err(value) => drop(output.insert(name.clone(), value)),
            },
        }
    }
    if !output.is_empty() || content.is_empty() {
        content.push(ContentBlock::text(Value::Object(output).to_string()));
    }
    CallToolResult::success(content)
}

fn block(kind: &Kind, value: Value) -> Result<ContentBlock, Value> {
    match (kind, value) {
        (Kind::Text, Value::String(text)) => Ok(ContentBlock::text(text)),
        (Kind::Image(media), Value::String(data)) => Ok(ContentBlock::image(data, media.clone())),
        (Kind::Audio(media), Value::String(data)) => Ok(ContentBlock::audio(data, media.clone())),
        (Kind::Resource, Value::Object(document)) => resource(document),
        (_, value) => Err(value),
    }
}

fn resource(document: Map<String, Value>) -> Result<ContentBlock, Value> {
    let word = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
    let Some(uri) = word("uri") else { return Err(Value::Object(document)) };
    let contents = match (word("text"), word("blob")) {
        (Some(text), None) => ResourceContents::text(text, uri),
        (None, Some(blob)) => ResourceContents::blob(blob, uri),
        _ => return Err(Value::Object(document)),
    };
    Ok(ContentBlock::resource(match word("mimeType") {
        Some(media) => contents.with_mime_type(media),
        None => contents,
    }))
}

/// One sentence for the model, what to do next on lines of their own, and the whole for programs.
fn failure(error: &ToolError) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text(text(error))]);
    let meta = result.meta.get_or_insert_with(MetaObject::new);
    meta.insert(META_ERROR.to_owned(), json!(error));
    result
}

/// An error in words.
pub(super) fn text(error: &ToolError) -> String {
    let mut text = format!("{} ({})", error.message, error.kind.as_str());
    for hint in &error.remediation_hints {
        text.push_str("\n- ");
        text.push_str(hint);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rig_specs::rtp::ErrorKind;

    fn answer(ended: Result<String, ToolError>) -> Answer {
        Answer {
            ended,
            correlation_id: "id-1".into(),
            pack: "p".into(),
            pack_version: "1.0.0".into(),
            interface_hash: "".into(),
            pack_set_version: "".into(),
            waiting: None,
        }
    }

    fn shown(output: &Value, schema: &Value) -> Value {
        json!(result(answer(Ok(output.to_string())), schema))
    }

    #[test]
    fn data_is_text_and_structure() {
        let output = json!({ "a": [1, "ü"] });
        assert_eq!(
            shown(&output, &json!({ "type": "object" })),
            json!({
                "resultType": "complete",
                "content": [{ "type": "text", "text": output.to_string() }],
                "structuredContent": output,
                "isError": false,
                "_meta": { "rig/correlation_id": "id-1" },
            })
        );
    }

    #[test]
    fn media_are_blocks_in_a_fixed_order_and_what_is_left_is_text() {
        let base64 = |media: &str| json!({ "type": "string", "contentEncoding": "base64", "contentMediaType": media });
        let schema = json!({ "type": "object", "properties": {
            "doc": { "type": "object", "format": "mcp-resource" }, "blob": { "type": "object", "format": "mcp-resource" },
            "sound": base64("audio/wav"), "picture": base64("image/png"),
            "caption": { "type": "string", "format": "mcp-text" }, "count": { "type": "integer" },
        } });
        let output = json!({
            "doc": { "uri": "test://a", "mimeType": "text/plain", "text": "t" },
            "blob": { "uri": "test://b", "blob": "AAAA" },
            "sound": "c291bmQ=", "picture": "cGlj", "caption": "Look!", "count": 2,
        });
        let result = shown(&output, &schema);
        assert_eq!(
            result["content"],
            json!([
                { "type": "text", "text": "Look!" },
                { "type": "image", "data": "cGlj", "mimeType": "image/png" },
                { "type": "audio", "data": "c291bmQ=", "mimeType": "audio/wav" },
                { "type": "resource", "resource": { "uri": "test://b", "blob": "AAAA" } },
                { "type": "resource", "resource": { "uri": "test://a", "mimeType": "text/plain", "text": "t" } },
                { "type": "text", "text": r#"{"count":2}"# },
            ])
        );
        assert_eq!(result.get("structuredContent"), None);
        // What is absent or null is not shown, and what is not what it says is data.
        let result = shown(&json!({ "picture": null, "doc": { "text": "no uri" } }), &schema);
        assert_eq!(result["content"], json!([{ "type": "text", "text": r#"{"doc":{"text":"no uri"}}"# }]));
        assert_eq!(shown(&json!({}), &schema)["content"], json!([{ "type": "text", "text": "{}" }]));
    }

    #[test]
    fn errors_say_what_to_do() {
        let error = ToolError {
            kind: ErrorKind::NotFound,
            message: "no such order".into(),
            retryable: false,
            upstream_code: Some("E1".into()),
            remediation_hints: vec!["list the orders".into(), "check the id".into()],
            correlation_id: "id-1".into(),
        };
        let result = json!(result(answer(Err(error.clone())), &json!({})));
        assert_eq!(result["isError"], true);
        assert_eq!(result["content"][0]["text"], "no such order (not_found)\n- list the orders\n- check the id");
        assert_eq!(result["_meta"], json!({ "rig/correlation_id": "id-1", "rig/error": error }));
        assert_eq!(result.get("structuredContent"), None);
    }
}
