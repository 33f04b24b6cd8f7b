//! Questions to the person behind the client: one, several in a row, and every kind of field that a form can have.

use rig_sdk::{
    Result,
    client::{self, Answer, AskError},
    json::{Map, Value, json},
    tool,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Text;

/// What a person did, in the words of the protocol.
fn told(answer: Answer<Map<String, Value>>) -> String {
    let (action, content) = match answer {
        Answer::Accepted(content) => ("accept", content),
        Answer::Declined => ("decline", Map::new()),
        Answer::Cancelled => ("cancel", Map::new()),
    };
    format!("action={action}, content={}", Value::Object(content))
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Name {
    /// Any name will do.
    name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Colour {
    /// Any colour will do.
    color: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Confirmed {
    /// Whether to go on.
    ok: bool,
}

fn confirm() -> Result<Answer<Confirmed>, AskError> {
    client::ask("confirm", "Please confirm")
}

/// Asks for a user name and an e-mail address.
#[tool(name = "conformance.test.elicitation", risk = "read", tags = ["questions"])]
pub fn elicitation(
    /// What to ask.
    message: String,
) -> Result<Text> {
    let form = json!({
        "type": "object",
        "properties": {
            "username": { "type": "string", "description": "User's response" },
            "email": { "type": "string", "description": "User's email address" },
        },
        "required": ["username", "email"],
    });
    Ok(Text::of(format!("User response: {}", told(client::ask_json("user", &message, &form)?))))
}

/// Asks with a default for every field.
#[tool(name = "conformance.test.elicitation_sep1034_defaults", risk = "read", tags = ["questions"])]
pub fn elicitation_sep1034_defaults() -> Result<Text> {
    let form = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
            "verified": { "type": "boolean", "default": true },
        },
    });
    let answer = client::ask_json("details", "Please check the details", &form)?;
    Ok(Text::of(format!("Elicitation completed: {}", told(answer))))
}

/// Asks for every kind of choice.
#[tool(name = "conformance.test.elicitation_sep1330_enums", risk = "read", tags = ["questions"])]
pub fn elicitation_sep1330_enums() -> Result<Text> {
    let titled = |place: &str| -> Vec<Value> {
        let ordinals = ["First", "Second", "Third"].iter().zip(1..);
        ordinals
            .map(|(ordinal, n)| json!({ "const": format!("value{n}"), "title": format!("{ordinal} {place}") }))
            .collect()
    };
    let form = json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": ["option1", "option2", "option3"] },
            "titledSingle": { "type": "string", "oneOf": titled("Option") },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": { "type": "array", "items": { "type": "string", "enum": ["option1", "option2", "option3"] } },
            "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
        },
    });
    let answer = client::ask_json("choices", "Please choose", &form)?;
    Ok(Text::of(format!("Elicitation completed: {}", told(answer))))
}

/// Reports progress and asks: both reach the client before the answer does.
#[tool(name = "conformance.test.streaming_elicitation", risk = "read", tags = ["questions"])]
pub fn streaming_elicitation() -> Result<Text> {
    client::progress(1.0, Some(2.0), Some("Asking"));
    confirm()?.accepted()?;
    client::progress(2.0, Some(2.0), Some("Answered"));
    Ok(Text::of("The question was answered."))
}

/// Asks for a name and greets.
#[tool(name = "conformance.test.input_required_result_elicitation", risk = "read", tags = ["questions"])]
pub fn input_required_result_elicitation() -> Result<Text> {
    let Name { name } = client::ask("user_name", "What is your name?")?.accepted()?;
    Ok(Text::of(format!("Hello, {name}!")))
}

/// Asks for confirmation; that there is an answer shows that the server kept, or was given back, the state of the call.
#[tool(name = "conformance.test.input_required_result_request_state", risk = "read", tags = ["questions"])]
pub fn input_required_result_request_state() -> Result<Text> {
    let Confirmed { ok } = confirm()?.accepted()?;
    Ok(Text::of(format!("state-ok, confirmed: {ok}")))
}

/// Asks for a name, then for a colour.
#[tool(name = "conformance.test.input_required_result_multi_round", risk = "read", tags = ["questions"])]
pub fn input_required_result_multi_round() -> Result<Text> {
    let Name { name } = client::ask("step1", "Step 1: What is your name?")?.accepted()?;
    let Colour { color } = client::ask("step2", "Step 2: What is your favorite color?")?.accepted()?;
    Ok(Text::of(format!("{name} likes {color}.")))
}

/// Asks for confirmation. The state of the call must not be accepted when somebody changed it.
#[tool(name = "conformance.test.input_required_result_tampered_state", risk = "read", tags = ["questions"])]
pub fn input_required_result_tampered_state() -> Result<Text> {
    let Confirmed { ok } = confirm()?.accepted()?;
    Ok(Text::of(format!("Confirmed: {ok}")))
}

/// Asks for confirmation when the client can ask, and goes on without when it cannot.
#[tool(name = "conformance.test.input_required_result_capabilities", risk = "read", tags = ["questions"])]
pub fn input_required_result_capabilities() -> Result<Text> {
    match confirm() {
        Ok(answer) => Ok(Text::of(format!("Confirmed: {}", answer.accepted()?.ok))),
        Err(AskError::Unavailable(_)) => Ok(Text::of("The client cannot ask, and was not asked.")),
        Err(error) => Err(error.into()),
    }
}
