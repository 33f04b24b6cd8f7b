//! What Slack's errors mean. Slack names them by a code in the body, with status 200; only rate limits and outages have a status
//! of their own.

use rig_sdk::{Error, ErrorKind, http::Response, json::Value};

/// How much of Slack's own words is quoted: whole sentences, but not a page.
const QUOTED: usize = 600;

/// Slack counts calls by the minute, so this is long enough when it does not say how long to wait.
const RATE_LIMIT_WAIT: &str = "60";

/// The error that a response stands for.
pub(crate) fn of(response: &Response) -> Error {
    // A proxy's page or an empty body explains nothing; the status still does.
    let body: Value = response.json().unwrap_or_default();
    let Some(code) = body["error"].as_str() else {
        let message = format!("Slack answered with status {} and no explanation", response.status());
        return if response.status() == 429 {
            rate_limited(response, message, "429")
        } else {
            response.failure(message)
        };
    };
    let code = &cut(code.to_owned());
    let message = message(code, &body);
    let Some((kind, hint)) = meaning(code) else {
        // Below 400 the status stands for nothing, and an unknown code is Slack's affair.
        return response.failure(message).upstream_code(code);
    };
    if kind == ErrorKind::RateLimited || response.status() == 429 {
        return rate_limited(response, message, code);
    }
    let mut error = Error::new(kind, message).upstream_code(code);
    if kind == ErrorKind::UpstreamError {
        error = error.retryable();
    }
    if let Some(needed) = body["needed"].as_str() {
        let app = "in the settings of the app at https://api.slack.com/apps";
        error =
            error.hint(cut(format!("the token lacks the scope {needed}: add it {app}, then install the app again")));
    }
    if hint.is_empty() { error } else { error.hint(hint) }
}

/// Kind and remedy of the codes that the methods of this pack answer.
fn meaning(code: &str) -> Option<(ErrorKind, &'static str)> {
    use ErrorKind::{
        AuthError, Conflict, NotFound, PermissionError, RateLimited, Transient, UpstreamError, ValidationError,
    };
    Some(match code {
        "not_authed" | "invalid_auth" | "token_expired" | "token_revoked" | "account_inactive" => {
            (AuthError, "set SLACK_BOT_TOKEN to the bot token (xoxb-…) of an app that is installed in the workspace")
        }
        "not_allowed_token_type" => (PermissionError, "set SLACK_BOT_TOKEN to a bot token (xoxb-…)"),
        "not_in_channel" => (PermissionError, "invite the app to the channel"),
        "cant_update_message" => (PermissionError, "only messages that this app posted can be changed"),
        "edit_window_closed" => (PermissionError, "the message is too old to be changed: post a new one"),
        "missing_scope"
        | "no_permission"
        | "access_denied"
        | "ekm_access_denied"
        | "accesslimited"
        | "team_access_not_granted"
        | "enterprise_is_restricted"
        | "two_factor_setup_required"
        | "messages_tab_disabled"
        | "as_user_not_supported" => (PermissionError, ""),
        "channel_not_found" => (
            NotFound,
            "take the id from slack.channels.list; a private channel is found only when the app is a member of it",
        ),
        "users_not_found" | "user_not_found" => {
            (NotFound, "check the address: nobody in the workspace that the token can see has it")
        }
        "message_not_found" | "thread_not_found" => {
            (NotFound, "a message is named by the `channel` and the `ts` that slack.messages.post answered")
        }
        "team_not_found" => (NotFound, ""),
        "is_archived" => (Conflict, "unarchive the channel, or use another one"),
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => (RateLimited, ""),
        "service_unavailable" | "request_timeout" | "team_added_to_org" | "org_login_required" => (Transient, ""),
        "internal_error" | "fatal_error" => {
            (UpstreamError, "part of it may have happened all the same: look before you try again")
        }
        "no_text"
        | "msg_too_long"
        | "msg_blocks_too_long"
        | "too_many_attachments"
        | "cannot_reply_to_message"
        | "metadata_too_large"
        | "missing_argument"
        | "method_not_supported_for_channel_type" => (ValidationError, ""),
        _ if code.starts_with("invalid_") => (ValidationError, ""),
        _ if code.starts_with("restricted_action") => {
            (PermissionError, "a setting of the workspace or the channel forbids it")
        }
        _ => return None,
    })
}

/// The code, and what Slack says about the arguments that it did not like.
fn message(code: &str, body: &Value) -> String {
    let mut text = format!("Slack: {code}");
    let details = [&body["errors"], &body["response_metadata"]["messages"]];
    let details: Vec<&str> =
        details.into_iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect();
    if !details.is_empty() {
        text.push_str(" (");
        text.push_str(&details.join("; "));
        text.push(')');
    }
    cut(text)
}

fn rate_limited(response: &Response, message: String, code: &str) -> Error {
    let wait = response.header("retry-after").map(str::trim).filter(|wait| wait.parse::<u32>().is_ok());
    Error::rate_limited(message).upstream_code(code).hint(format!("retry after {} s", wait.unwrap_or(RATE_LIMIT_WAIT)))
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(QUOTED) {
        text.truncate(end);
        text.push('…');
    }
    text
}
