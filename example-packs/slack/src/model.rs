//! What the tools answer: the part of Slack's objects that a caller acts on.
//!
//! Only what names the object must be there. A message is posted when Slack answers, so an answer that lacks a detail is no failure:
//! the detail is null. So each is picked out of the answer by itself.

use rig_sdk::json::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// A message that was posted or changed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Message {
    /// The id of the channel.
    pub channel: String,
    /// The timestamp that names the message in its channel: what `slack.messages.update` takes as `ts`, and a reply as `thread_ts`.
    pub ts: String,
    /// The text as Slack keeps it, with links and mentions in angle brackets; null when Slack sends none.
    pub text: Option<String>,
}

/// A channel or a conversation.
#[derive(Debug, Serialize, JsonSchema)]
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
    pub topic: Option<String>,
    /// What the channel is for; null for direct messages.
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

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let answer = Value::deserialize(deserializer)?;
        Ok(Self {
            channel: named(&answer, "channel")?,
            ts: named(&answer, "ts")?,
            text: text(&answer["message"], "text"),
        })
    }
}

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let channel = &Value::deserialize(deserializer)?;
        Ok(Self {
            id: named(channel, "id")?,
            name: text(channel, "name"),
            is_private: flag(channel, "is_private"),
            is_archived: flag(channel, "is_archived"),
            is_member: flag(channel, "is_member"),
            is_im: flag(channel, "is_im"),
            is_mpim: flag(channel, "is_mpim"),
            user: text(channel, "user"),
            // Both come with who set them and when.
            topic: text(&channel["topic"], "value"),
            purpose: text(&channel["purpose"], "value"),
            num_members: channel["num_members"].as_u64(),
        })
    }
}

/// Slack keeps half of what is known about a person in a profile; a caller should not have to look in two places.
impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let user = &Value::deserialize(deserializer)?;
        let profile = &user["profile"];
        Ok(Self {
            id: named(user, "id")?,
            name: text(user, "name"),
            real_name: text(user, "real_name").or_else(|| text(profile, "real_name")),
            display_name: text(profile, "display_name"),
            email: text(profile, "email"),
            title: text(profile, "title"),
            tz: text(user, "tz"),
            team_id: text(user, "team_id"),
            is_bot: flag(user, "is_bot"),
            deleted: flag(user, "deleted"),
        })
    }
}

/// What names the object.
fn named<E: Error>(object: &Value, name: &'static str) -> Result<String, E> {
    text(object, name).ok_or_else(|| E::missing_field(name))
}

fn text(object: &Value, name: &str) -> Option<String> {
    object[name].as_str().map(str::to_owned)
}

fn flag(object: &Value, name: &str) -> Option<bool> {
    object[name].as_bool()
}
