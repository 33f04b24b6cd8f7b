//! Text messages and phone calls over Twilio's core API (version 2010-04-01), and verification codes over Verify (version 2).
//!
//! The pack sees no auth token: the host adds it, with the account's SID, to the requests to Twilio.

mod api;
mod failure;
mod model;

use rig_sdk::{Error, Result, config, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use model::{Call, Message, Verification};

/// Sends a text message. It is paid for by the part, and it is on its way when Twilio has answered: there is no taking it back.
#[tool(
    name = "twilio.sms.send",
    title = "Send a text message",
    risk = "write",
    tags = ["sms"],
    slots = ["TWILIO_AUTH_TOKEN"],
    example(
        description = "From a number of the account",
        args = r#"{"to": "+15558675310", "from_": "+15017122661", "body": "Your order is on its way."}"#
    )
)]
pub fn send_sms(
    /// The recipient's number with its country, `+15558675310`; `whatsapp:` stands before one on WhatsApp.
    #[schemars(length(min = 1))]
    to: String,
    /// The sender: a number, short code or name of the account. Without it, the messaging service in TWILIO_MESSAGING_SERVICE_SID.
    #[schemars(length(min = 1))]
    from_: Option<String>,
    /// The text, up to 1600 characters.
    #[schemars(length(min = 1))]
    body: String,
) -> Result<Message> {
    let service = if from_.is_none() { config::get("TWILIO_MESSAGING_SERVICE_SID") } else { None };
    let fields = [
        ("To", Some(&*to)),
        ("From", from_.as_deref()),
        ("MessagingServiceSid", service.as_deref()),
        ("Body", Some(&*body)),
    ];
    Ok(Message::read(&api::post(api::of_account("POST", &["Messages.json"])?, &fields)?))
}

/// Calls a number and says or plays what TwiML tells. It rings when Twilio has answered; ask `twilio.calls.status` what became of it.
#[tool(
    name = "twilio.calls.create",
    title = "Call a number",
    risk = "write",
    tags = ["voice"],
    slots = ["TWILIO_AUTH_TOKEN"],
    example(
        description = "Say a sentence",
        args = r#"{"to": "+15558675310", "from_": "+15017122661", "twiml": "<Response><Say>Hello.</Say></Response>"}"#
    ),
    example(
        description = "Do what a page says",
        args = r#"{"to": "+15558675310", "from_": "+15017122661", "url": "https://example.com/hello.xml"}"#
    )
)]
pub fn create_call(
    /// The number to call, with its country, `+15558675310`; also a SIP address or `client:NAME`.
    #[schemars(length(min = 1))]
    to: String,
    /// The number that calls: one of the account, or a verified one. Twilio calls nobody without it.
    #[schemars(length(min = 1))]
    from_: Option<String>,
    /// The address of a page that answers TwiML. Either this or `twiml`; with both, Twilio follows `url`.
    #[schemars(length(min = 1))]
    url: Option<String>,
    /// TwiML, what to say and do in the call: `<Response><Say>…</Say></Response>`.
    #[schemars(length(min = 1))]
    twiml: Option<String>,
) -> Result<Call> {
    if from_.is_none() {
        return Err(Error::validation("give `from_`: Twilio calls from a number of the account"));
    }
    if url.is_none() && twiml.is_none() {
        return Err(Error::validation("give `twiml` or `url`: they say what happens in the call"));
    }
    let fields = [("To", Some(&*to)), ("From", from_.as_deref()), ("Url", url.as_deref()), ("Twiml", twiml.as_deref())];
    Ok(Call::read(&api::post(api::of_account("POST", &["Calls.json"])?, &fields)?))
}

/// Tells what became of a call: whether it rings, was answered or is over, how long it lasted and what it cost.
#[tool(
    name = "twilio.calls.status",
    title = "State of a call",
    risk = "read",
    tags = ["voice"],
    slots = ["TWILIO_AUTH_TOKEN"],
    idempotent,
    example(description = "By its SID", args = r#"{"call_sid": "CA3f8bb6a1f4b2c9a1b2c3d4e5f6a7b8c9"}"#)
)]
pub fn call_status(
    /// The SID of the call, `CA…`.
    #[schemars(length(min = 1))]
    call_sid: String,
) -> Result<Call> {
    let file = [&*call_sid, ".json"].concat();
    Ok(Call::read(&api::send(api::of_account("GET", &["Calls", &file])?)?))
}

/// Sends a code to an address, to find out whether somebody has it. The code is good for ten minutes: check it with
/// `twilio.verify.check`.
#[tool(
    name = "twilio.verify.start",
    title = "Send a verification code",
    risk = "write",
    tags = ["verification"],
    slots = ["TWILIO_AUTH_TOKEN"],
    example(
        description = "By text message",
        args = r#"{"service_sid": "VA0123456789abcdef0123456789abcdef", "to": "+15558675310"}"#
    )
)]
pub fn start_verification(
    /// The SID of the Verify service, `VA…`.
    #[schemars(length(min = 1))]
    service_sid: String,
    /// The number with its country, `+15558675310`, or the address for the channel `email`.
    #[schemars(length(min = 1))]
    to: String,
    /// How to send the code.
    #[tool(default = Channel::Sms)]
    channel: Channel,
) -> Result<Verification> {
    let fields = [("To", Some(&*to)), ("Channel", Some(channel.as_str()))];
    Ok(Verification::read(&api::post(api::of_service(&service_sid, "Verifications"), &fields)?))
}

/// Checks a code that was sent to an address. `approved` means that the code is right; `pending` that it is not, and may be tried
/// again.
#[tool(
    name = "twilio.verify.check",
    title = "Check a verification code",
    risk = "write",
    tags = ["verification"],
    slots = ["TWILIO_AUTH_TOKEN"],
    example(
        description = "The code that came by text message",
        args = r#"{"service_sid": "VA0123456789abcdef0123456789abcdef", "to": "+15558675310", "code": "123456"}"#
    )
)]
pub fn check_verification(
    /// The SID of the Verify service, `VA…`.
    #[schemars(length(min = 1))]
    service_sid: String,
    /// The number or address that the code was sent to, written as it was there.
    #[schemars(length(min = 1))]
    to: String,
    /// The code, 4 to 10 characters.
    #[schemars(length(min = 1))]
    code: String,
) -> Result<Verification> {
    let fields = [("Code", Some(&*code)), ("To", Some(&*to))];
    Ok(Verification::read(&api::post(api::of_service(&service_sid, "VerificationCheck"), &fields)?))
}

/// How a code is sent. Its variants have no comments, so that its schema is a plain list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the variants are Twilio's own words")]
pub enum Channel {
    Sms,
    Call,
    Email,
    Whatsapp,
    Sna,
}

impl Channel {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Call => "call",
            Self::Email => "email",
            Self::Whatsapp => "whatsapp",
            Self::Sna => "sna",
        }
    }
}

rig_sdk::export!(send_sms, create_call, call_status, start_verification, check_verification);

#[cfg(test)]
mod tests;
