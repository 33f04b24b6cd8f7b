//! The smallest useful pack: a tool that reads its arguments into values, as tools do, and answers them. It needs nothing of the
//! host, so a call measures what calling a pack costs.

use rig_sdk::{
    Result,
    json::{Map, Value},
    tool,
};
use schemars::JsonSchema;
use serde::Serialize;

/// What was sent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Echo {
    /// The message, unchanged.
    pub message: String,
    /// The data, unchanged. Absent when none was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
}

/// Sends a message, and any data with it, and answers both unchanged. Use it to check that tools can be called at all.
#[tool(
    name = "echo.message.send",
    title = "Echo a message",
    risk = "read",
    tags = ["test"],
    idempotent,
    example(description = "A message alone", args = r#"{"message": "hello"}"#, output = r#"{"message": "hello"}"#),
    example(
        description = "A message with data",
        args = r#"{"message": "hello", "data": {"n": [1, 2]}}"#,
        output = r#"{"message": "hello", "data": {"n": [1, 2]}}"#
    )
)]
pub fn send(
    /// The message to send back.
    message: String,
    /// Any JSON object to send back with it.
    data: Option<Map<String, Value>>,
) -> Result<Echo> {
    Ok(Echo { message, data })
}

rig_sdk::export!(send);

#[cfg(test)]
mod tests {
    use rig_sdk::{ErrorKind, Tool, mock};

    use super::*;

    fn call(args: &str) -> Result<String> {
        send::call(args, &mock::context())
    }

    #[test]
    fn what_was_sent_comes_back() {
        assert_eq!(send("hi".into(), None).unwrap().message, "hi");
        let cases = [
            (r#"{"message": "hi"}"#, r#"{"message":"hi"}"#),
            (r#"{"message": "hi", "data": null}"#, r#"{"message":"hi"}"#),
            (r#"{"data": {"b": 1.50, "a": []}, "message": ""}"#, r#"{"message":"","data":{"a":[],"b":1.5}}"#),
            (r#"{"message": "\u00e9\n\"", "data": {}}"#, r#"{"message":"é\n\"","data":{}}"#),
        ];
        for (args, output) in cases {
            assert_eq!(call(args).unwrap(), output);
        }
    }

    #[test]
    fn only_an_object_is_data() {
        let error = call(r#"{"message": "hi", "data": [1]}"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValidationError);
        assert!(error.message().starts_with("the arguments do not fit: invalid type: sequence"), "{error}");
    }
}
