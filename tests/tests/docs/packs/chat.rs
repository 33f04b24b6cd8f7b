//! The pack of the page about Rust: its code and its test stand there.

use rig_sdk::{Context, Result, http, json::json, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A message that was posted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Its id, by which it is answered.
    pub id: String,
}

/// Sends a message to a channel. The channel's members are notified.
#[tool(name = "chat.messages.post", title = "Post a message", risk = "write", slots = ["CHAT_TOKEN"], tags = ["chat"])]
pub fn post(
    ctx: &Context,
    /// The name of the channel, without `#`.
    #[schemars(length(min = 1, max = 80))]
    channel: String,
    /// The text, in Markdown.
    text: String,
    /// Whether links are shown with a preview.
    #[tool(default = true)]
    preview: bool,
    /// The message to answer; a new one when absent.
    thread: Option<String>,
) -> Result<Message> {
    let response = http::post("https://api.chat.example/v1")
        .path(&["channels", &channel, "messages"])
        .header("Idempotency-Key", &ctx.idempotency_key)
        .json(&json!({ "text": text, "preview": preview, "thread": thread }))
        .send()?;
    if !response.is_success() {
        return Err(response.failure(format!("the chat service answered {}", response.status())));
    }
    response.json()
}

rig_sdk::export!(post);

/// The errors of the page about them.
pub fn busy() -> Result<Message> {
    use rig_sdk::Error;
    Err(Error::rate_limited("Slack allows 50 messages a minute").upstream_code("ratelimited").hint("retry after 12 s"))
}

#[test]
fn a_message_is_posted() -> Result<()> {
    use rig_sdk::mock;

    let mock = mock::http(|_| Ok(mock::Response::json(200, &json!({ "id": "m1" }))));
    assert_eq!(post(&mock::context(), "general".into(), "hello".into(), true, None)?.id, "m1");
    assert_eq!(mock.requests()[0].path(), "/v1/channels/general/messages");
    assert_eq!(busy().unwrap_err().code(), Some("ratelimited"));
    Ok(())
}
