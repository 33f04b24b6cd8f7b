//! What the tools answer: the part of Slack's objects that a caller acts on.
//!
//! Only what names the object must be there. A message is posted when Slack answers, so an answer that lacks a detail is no failure:
//! the detail is null.

use rig_sdk::json::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// A message that was posted or changed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// The id of the channel.
    pub channel: String,
    /// The timestamp that names the message in its channel: what `slack.messages.update` takes as `ts`, and a reply as `thread_ts`.
    pub ts: String,
    /// The text as Slack keeps it, with links and mentions in angle brackets; null when Slack sends none.
    #[serde(default, rename(deserialize = "message"), deserialize_with = "text")]
    pub text: Option<String>,
}

/// A channel or a conversation.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Channel {
    /// The id, which other tools take as `channel`.
    pub id: String,
    /// The name without `#`; null for direct messages.
    pub name: Option<String>,
    /// Whether only members can see it; null when Slack does not say.
    pub is_private: Option<bool>,
    /// Whether it is archived: nobody can post to it; null when Slack does not say.
    pub is_archived: Option<bool>,
    /// Whether the app is a member; null when Slack does not say.
    pub is_member: Option<bool>,
    /// Whether it is a direct message between two; null when Slack does not say.
    pub is_im: Option<bool>,
    /// Whether it is a direct message between several; null when Slack does not say.
    pub is_mpim: Option<bool>,
    /// The id of the other person of a direct message; null for all others.
    pub user: Option<String>,
    /// What is being talked about; null for direct messages.
    #[serde(default, deserialize_with = "value")]
    pub topic: Option<String>,
    /// What the channel is for; null for direct messages.
    #[serde(default, deserialize_with = "value")]
    pub purpose: Option<String>,
    /// How many members it has; null when Slack does not say.
    pub num_members: Option<u64>,
}

/// Channels of a workspace.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Channels {
    /// The channels, in Slack's order.
    pub channels: Vec<Channel>,
    /// Whether the workspace has more than were listed.
    pub has_more: bool,
}

/// A person or a bot.
#[derive(Debug, Serialize, JsonSchema)]
pub struct User {
    /// The id; `<@ID>` in a text mentions the person.
    pub id: String,
    /// The short name; null when Slack sends none.
    pub name: Option<String>,
    /// The full name; null when Slack sends none.
    pub real_name: Option<String>,
    /// The name that is shown, which may be empty; null when Slack sends none.
    pub display_name: Option<String>,
    /// The email address; null when Slack sends none.
    pub email: Option<String>,
    /// What the person does, which may be empty; null when Slack sends none.
    pub title: Option<String>,
    /// The time zone, for example `Europe/Berlin`; null when Slack sends none.
    pub tz: Option<String>,
    /// The id of the workspace; null when Slack sends none.
    pub team_id: Option<String>,
    /// Whether it is a bot; null when Slack does not say.
    pub is_bot: Option<bool>,
    /// Whether the account is deactivated; null when Slack does not say.
    pub deleted: Option<bool>,
}

/// Slack keeps half of what is known about a person in a profile; a caller should not have to look in two places.
impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            id: String,
            name: Option<String>,
            real_name: Option<String>,
            tz: Option<String>,
            team_id: Option<String>,
            is_bot: Option<bool>,
            deleted: Option<bool>,
            #[serde(default)]
            profile: Value,
        }
        let Raw { id, name, real_name, tz, team_id, is_bot, deleted, profile } = Raw::deserialize(deserializer)?;
        let known = |field: &str| profile[field].as_str().map(str::to_owned);
        let real_name = real_name.or_else(|| known("real_name"));
        let (display_name, email, title) = (known("display_name"), known("email"), known("title"));
        Ok(Self { id, name, real_name, display_name, email, title, tz, team_id, is_bot, deleted })
    }
}

/// A topic or purpose, which Slack sends with who set it and when, as its text.
fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    field(deserializer, "value")
}

/// A message as Slack sends it back, as its text.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    field(deserializer, "text")
}

fn field<'de, D: Deserializer<'de>>(deserializer: D, name: &str) -> Result<Option<String>, D::Error> {
    Ok(Value::deserialize(deserializer)?[name].as_str().map(str::to_owned))
}
