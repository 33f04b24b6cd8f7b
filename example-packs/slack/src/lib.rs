//! Messages, channels and people in Slack, over its Web API.
//!
//! The pack sees no token: the host adds it to the requests to `slack.com`.

mod api;
mod failure;
mod model;

use rig_sdk::{Result, json::Object, tool};
use serde::{Deserialize, Serialize};

pub use model::{Channel, Channels, Message, User};

/// The most channels that one call lists: what Slack itself calls the maximum of a page, rounded.
const LIST_LIMIT: u32 = 1000;

/// What Slack puts on one page at most.
const PAGE_LIMIT: u32 = 999;

/// Slack may answer fewer channels than were asked for, even none, and still have more. It allows about 20 such requests a
/// minute.
const PAGES: u32 = 20;

/// Posts a message in Slack: to a channel, to a person, or as a reply in a thread. It notifies people, and this pack cannot
/// delete it.
#[tool(
    name = "slack.messages.post",
    title = "Post a message",
    risk = "write",
    tags = ["messages"],
    slots = ["SLACK_BOT_TOKEN"],
    example(description = "A message", args = r#"{"channel": "C0123456789", "text": "Build *1.2* is out."}"#),
    example(
        description = "A reply in a thread, laid out with blocks",
        args = r#"{"channel": "C0123456789", "text": "All tests pass.", "thread_ts": "1732300000.000100",
            "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "All *tests* pass."}}]}"#
    )
)]
pub fn post_message(
    /// The id of the channel, as `slack.channels.list` answers it; the id of a user sends a direct message.
    #[schemars(length(min = 1))]
    channel: String,
    /// The text, in Slack's mrkdwn: `*bold*`, `_italic_`, `<https://example.com|link>`, `<@U0123456789>`. With `blocks` it is
    /// what notifications show.
    #[schemars(length(min = 1))]
    text: String,
    /// At most 50 Block Kit blocks, shown in place of the text. Each is an object with a `type`, for example
    /// `{"type": "section", "text": {"type": "mrkdwn", "text": "…"}}`.
    blocks: Option<Vec<Object>>,
    /// The `ts` of the message to reply to.
    #[schemars(length(min = 1))]
    thread_ts: Option<String>,
) -> Result<Message> {
    #[derive(Serialize)]
    struct NewMessage {
        channel: String,
        text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        blocks: Option<Vec<Object>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thread_ts: Option<String>,
    }
    api::json("chat.postMessage", &NewMessage { channel, text, blocks, thread_ts })?.json()
}

/// Replaces the text of a Slack message that this app posted before.
#[tool(
    name = "slack.messages.update",
    title = "Change a message",
    risk = "write",
    tags = ["messages"],
    slots = ["SLACK_BOT_TOKEN"],
    example(
        description = "A new text",
        args = r#"{"channel": "C0123456789", "ts": "1732300000.000100", "text": "Build *1.2.1* is out."}"#
    )
)]
pub fn update_message(
    /// The id of the channel, as `slack.messages.post` answered it. A name does not do.
    #[schemars(length(min = 1))]
    channel: String,
    /// The timestamp of the message, as `slack.messages.post` answered it: a text such as `1732300000.000100`.
    #[schemars(length(min = 1))]
    ts: String,
    /// The new text, in Slack's mrkdwn.
    #[schemars(length(min = 1))]
    text: String,
) -> Result<Message> {
    #[derive(Serialize)]
    struct Change {
        channel: String,
        ts: String,
        text: String,
    }
    api::json("chat.update", &Change { channel, ts, text })?.json()
}

/// Lists the channels of the Slack workspace, archived ones too: their ids, names, topics and whether the app is a member.
#[tool(
    name = "slack.channels.list",
    title = "List channels",
    risk = "read",
    tags = ["channels"],
    slots = ["SLACK_BOT_TOKEN"],
    idempotent,
    example(
        description = "Public and private channels",
        args = r#"{"types": "public_channel,private_channel", "limit": 200}"#
    )
)]
pub fn list_channels(
    /// Which kinds to list, with commas between them: `public_channel`, `private_channel`, `mpim`, `im`. Slack lists public
    /// channels when it is left out. The others need the scopes `groups:read`, `mpim:read` and `im:read`.
    #[schemars(regex(
        pattern = r"^(public_channel|private_channel|mpim|im)(,(public_channel|private_channel|mpim|im))*$"
    ))]
    types: Option<String>,
    /// How many to list at most. Without it, what Slack puts on one page: about 100.
    #[schemars(range(min = 1, max = LIST_LIMIT))]
    limit: Option<u32>,
) -> Result<Channels> {
    #[derive(Deserialize)]
    struct Page {
        channels: Vec<Channel>,
        #[serde(default)]
        response_metadata: Metadata,
    }
    #[derive(Default, Deserialize)]
    struct Metadata {
        next_cursor: Option<String>,
    }
    let size = limit.map(|limit| limit.min(PAGE_LIMIT).to_string());
    let wanted = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut channels: Vec<Channel> = Vec::new();
    let mut cursor = None;
    let mut pages = 0;
    loop {
        let fields = [("limit", size.as_deref()), ("types", types.as_deref()), ("cursor", cursor.as_deref())];
        let given: Vec<_> = fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let page: Page = api::form("conversations.list", &given)?.json()?;
        channels.extend(page.channels);
        cursor = page.response_metadata.next_cursor.filter(|cursor| !cursor.is_empty());
        pages += 1;
        // Without a limit, one page is what was asked for.
        let enough = wanted.is_none_or(|wanted| channels.len() >= wanted);
        if cursor.is_none() || enough || pages == PAGES {
            break;
        }
    }
    let wanted = wanted.unwrap_or(usize::MAX);
    let has_more = cursor.is_some() || channels.len() > wanted;
    channels.truncate(wanted);
    Ok(Channels { channels, has_more })
}

/// Finds a person in the Slack workspace by their email address, for example to mention them or to send them a direct message.
#[tool(
    name = "slack.users.lookupByEmail",
    title = "Find a person by email",
    risk = "read",
    tags = ["users"],
    slots = ["SLACK_BOT_TOKEN"],
    idempotent,
    example(description = "By address", args = r#"{"email": "ann@example.com"}"#)
)]
pub fn lookup_user(
    /// The email address.
    #[schemars(length(min = 1))]
    email: String,
) -> Result<User> {
    #[derive(Deserialize)]
    struct Found {
        user: User,
    }
    let found: Found = api::form("users.lookupByEmail", &[("email", &email)])?.json()?;
    Ok(found.user)
}

rig_sdk::export!(post_message, update_message, list_channels, lookup_user);

#[cfg(test)]
mod tests;
