//! Tools that cannot work without something the client must have: their input schema names it in `x-mcp-client-capabilities`, in the
//! form in which clients declare it, for example `{"elicitation": {}}`. A client that lacks it is told before anything runs.

use rmcp::{ErrorData, model::ClientCapabilities};
use serde_json::{Map, Value, json};

/// The keyword in the root of an input schema.
const KEYWORD: &str = "x-mcp-client-capabilities";

/// Refuses a call that the client cannot support.
pub(super) fn check(input_schema: &Value, client: Option<&ClientCapabilities>) -> Result<(), ErrorData> {
    let Some(needed) = input_schema.get(KEYWORD).and_then(Value::as_object) else { return Ok(()) };
    let has = client.map_or(Value::Null, |client| json!(client));
    let missing: Map<String, Value> = needed
        .iter()
        .filter(|(name, _)| has.get(name.as_str()).is_none())
        .map(|(name, form)| (name.clone(), form.clone()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.keys().map(String::as_str).collect();
    let message = format!("this tool needs a client with the capability {}", names.join(" and "));
    let data = json!({ "requiredCapabilities": missing });
    Err(ErrorData::new(rmcp::model::ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY, message, Some(data)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_named() {
        let schema = json!({ "type": "object", "x-mcp-client-capabilities": { "elicitation": {}, "sampling": {} } });
        let client: ClientCapabilities = serde_json::from_value(json!({ "elicitation": {} })).unwrap();
        let error = check(&schema, Some(&client)).unwrap_err();
        assert_eq!(error.code.0, -32021);
        assert_eq!(error.data, Some(json!({ "requiredCapabilities": { "sampling": {} } })));
        assert!(error.message.ends_with("the capability sampling"), "{}", error.message);
        let error = check(&schema, None).unwrap_err();
        assert_eq!(error.data, Some(json!({ "requiredCapabilities": { "elicitation": {}, "sampling": {} } })));

        let both = serde_json::from_value(json!({ "elicitation": {}, "sampling": {} })).unwrap();
        assert_eq!(check(&schema, Some(&both)), Ok(()));
        assert_eq!(check(&json!({ "type": "object" }), None), Ok(()));
        assert_eq!(check(&json!({ "x-mcp-client-capabilities": ["sampling"] }), None), Ok(()), "not the form");
    }
}
