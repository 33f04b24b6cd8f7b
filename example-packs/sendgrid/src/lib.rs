//! Email and its templates by SendGrid, over version 3 of its API.
//!
//! The pack sees no key: the host adds it to the requests to `api.sendgrid.com`.

mod address;
mod failure;

use rig_sdk::{
    Error, Result,
    http::{self, Request, Response},
    json::Value,
    tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use address::Address;

const BASE: &str = "https://api.sendgrid.com/v3";

/// An email that SendGrid has taken.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Sent {
    /// Always true: SendGrid has the email in its queue. Whether it arrives is known later.
    pub accepted: bool,
    /// The id that SendGrid's events and logs begin with; null when SendGrid sends none.
    pub message_id: Option<String>,
}

/// The account's templates.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Templates {
    /// The templates.
    pub templates: Vec<Template>,
}

/// A template.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Template {
    /// SendGrid's id: `d-…` when it is dynamic.
    pub id: String,
    /// The name; null when SendGrid sends none.
    pub name: Option<String>,
    /// `legacy` or `dynamic`; null when SendGrid sends none.
    pub generation: Option<String>,
    /// When it last changed, as SendGrid writes it; null when SendGrid sends none.
    pub updated_at: Option<String>,
    /// Its versions.
    pub versions: Vec<Version>,
}

/// One version of a template.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Version {
    /// SendGrid's id.
    pub id: String,
    /// The name; null when SendGrid sends none.
    pub name: Option<String>,
    /// The subject; null when SendGrid sends none.
    pub subject: Option<String>,
    /// Whether it is the version that is sent.
    pub active: bool,
}

/// Sends an email to one recipient, as text, as HTML, or as both. There is no taking it back.
#[tool(
    name = "sendgrid.email.send",
    title = "Send an email",
    risk = "write",
    tags = ["email"],
    slots = ["SENDGRID_API_KEY"],
    example(
        description = "A text",
        args = r#"{"to": "ada@example.com", "from_email": "Shop <shop@example.com>", "subject": "Your order", "text_content": "It is on its way."}"#
    )
)]
pub fn send_email(
    /// The recipient's address; a name may stand before it: `Ada Lovelace <ada@example.com>`.
    #[schemars(length(min = 1))]
    to: String,
    /// The sender's address, which must be verified on SendGrid; a name may stand before it.
    #[schemars(length(min = 1))]
    from_email: String,
    /// The subject.
    #[schemars(length(min = 1))]
    subject: String,
    /// The email as HTML. Give this, `text_content` or both.
    html_content: Option<String>,
    /// The email as plain text. Give this, `html_content` or both.
    text_content: Option<String>,
) -> Result<Sent> {
    #[derive(Serialize)]
    struct Mail {
        from: Address,
        subject: String,
        personalizations: [Recipients; 1],
        content: Vec<Content>,
    }
    #[derive(Serialize)]
    struct Recipients {
        to: [Address; 1],
    }
    #[derive(Serialize)]
    struct Content {
        r#type: &'static str,
        value: String,
    }
    let (to, from) = (Address::parse("to", &to)?, Address::parse("from_email", &from_email)?);
    // Text before HTML: SendGrid refuses the other order.
    let parts = [("text/plain", text_content), ("text/html", html_content)];
    let content: Vec<Content> =
        parts.into_iter().filter_map(|(r#type, value)| Some(Content { r#type, value: value? })).collect();
    if content.is_empty() {
        return Err(Error::validation("give `text_content` or `html_content`: SendGrid sends no empty email"));
    }
    let mail = Mail { from, subject, personalizations: [Recipients { to: [to] }], content };
    let response = answer(http::post(BASE).path(&["mail", "send"]).json(&mail)).map_err(failure::of_sending)?;
    // The answer has no body.
    Ok(Sent { accepted: true, message_id: response.header("x-message-id").map(str::to_owned) })
}

/// Lists the templates of the account with their versions, for example to find the id of one.
#[tool(
    name = "sendgrid.templates.list",
    title = "List templates",
    risk = "read",
    tags = ["email", "templates"],
    slots = ["SENDGRID_API_KEY"],
    idempotent,
    example(description = "The templates in use today", args = r#"{"generations": "dynamic"}"#)
)]
pub fn list_templates(
    /// Which templates to list. `dynamic` ones are what SendGrid offers today; without this, it lists the `legacy` ones alone.
    generations: Option<Generations>,
) -> Result<Templates> {
    let request = http::get(BASE).path(&["templates"]).query_opt("generations", generations.map(Generations::as_str));
    let body: Value = answer(request)?.json()?;
    // The second is how SendGrid names a page of the list.
    let found = body["templates"].as_array().or(body["result"].as_array());
    let found = found.ok_or_else(|| Error::upstream("SendGrid answered with JSON that has no list of templates"))?;
    Ok(Templates { templates: found.iter().map(Template::read).collect::<Result<_>>()? })
}

/// Which templates to list. Its variants have no comments, so that its schema is a plain list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the variants are SendGrid's own words")]
pub enum Generations {
    Legacy,
    Dynamic,
    #[serde(rename = "legacy,dynamic")]
    Both,
}

impl Generations {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Dynamic => "dynamic",
            Self::Both => "legacy,dynamic",
        }
    }
}

impl Template {
    fn read(body: &Value) -> Result<Self> {
        let versions = body["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Self {
            id: id(body)?,
            name: text(body, "name"),
            generation: text(body, "generation"),
            updated_at: text(body, "updated_at"),
            versions: versions.iter().map(Version::read).collect::<Result<_>>()?,
        })
    }
}

impl Version {
    fn read(body: &Value) -> Result<Self> {
        Ok(Self {
            id: id(body)?,
            name: text(body, "name"),
            subject: text(body, "subject"),
            // A number, 1 or 0.
            active: body["active"] == 1,
        })
    }
}

/// Sends a request; a response that is not a success becomes the error that it stands for.
fn answer(request: Request) -> Result<Response> {
    let response = request.header("accept", "application/json").send()?;
    if response.is_success() { Ok(response) } else { Err(failure::of(&response)) }
}

fn id(body: &Value) -> Result<String> {
    text(body, "id").ok_or_else(|| Error::upstream("SendGrid answered with a template that has no `id`"))
}

fn text(body: &Value, name: &str) -> Option<String> {
    body[name].as_str().map(str::to_owned)
}

rig_sdk::export!(send_email, list_templates);

#[cfg(test)]
mod tests;
