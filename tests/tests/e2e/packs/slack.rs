//! The Slack pack against slack_sdk, and when Slack says no.

use rig_tests::{Recorded, Reply};
use serde_json::{Value, json};

use super::{
    Service,
    unhappy::{self, Call, Refusal},
};

const HOST: &str = "slack.com";
const TOKEN: &str = "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx";

fn service() -> Service {
    Service::start("slack", &[("SLACK_BOT_TOKEN", TOKEN)])
}

/// One good call of each tool, with nothing but what is required.
fn calls() -> [Call; 4] {
    [
        ("slack.messages.post", json!({ "channel": "C123ABC456", "text": "Here's a message" })),
        ("slack.messages.update", json!({ "channel": "C123ABC456", "ts": "1503435956.000247", "text": "New" })),
        ("slack.channels.list", json!({})),
        ("slack.users.lookupByEmail", json!({ "email": "spengler@ghostbusters.example.com" })),
    ]
}

fn channel(number: usize) -> Value {
    json!({
        "id": format!("C{number:010}"), "name": format!("channel-{number}"), "is_channel": true, "is_group": false, "is_im": false,
        "created": 1_449_252_889, "creator": "U012A3CDE", "is_archived": false, "is_general": number == 0, "unlinked": 0,
        "name_normalized": format!("channel-{number}"), "is_shared": false, "is_ext_shared": false, "is_org_shared": false,
        "pending_shared": [], "is_pending_ext_shared": false, "is_member": true, "is_private": false, "is_mpim": false,
        "updated": 1_678_229_664_302_u64,
        "topic": { "value": "Company-wide announcements", "creator": "", "last_set": 0 },
        "purpose": { "value": "For all", "creator": "", "last_set": 0 }, "previous_names": [], "num_members": 4
    })
}

/// Slack, with 250 channels of which it puts at most 100 on a page.
fn answer(request: &Recorded) -> Reply {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let field = |name: &str| body.split('&').find_map(|field| field.strip_prefix(name)).map(str::to_owned);
    Reply::json(
        200,
        match request.path() {
            "/api/chat.postMessage" | "/api/chat.update" => {
                let sent = request.json();
                json!({
                    "ok": true, "channel": sent["channel"], "ts": "1503435956.000247", "text": sent["text"],
                    "message": { "text": sent["text"], "username": "ecto1", "bot_id": "B123ABC456", "type": "message",
                        "subtype": "bot_message", "ts": "1503435956.000247" }
                })
            }
            "/api/conversations.list" => {
                let size = field("limit=").map_or(100, |limit| limit.parse::<usize>().unwrap()).min(100);
                let start = field("cursor=").map_or(0, |cursor| cursor.trim_end_matches("%3D").parse().unwrap());
                let end = (start + size).min(250);
                let next = if end < 250 { format!("{end}=") } else { String::new() };
                let channels: Vec<Value> = (start..end).map(channel).collect();
                json!({ "ok": true, "channels": channels, "response_metadata": { "next_cursor": next } })
            }
            "/api/users.lookupByEmail" => json!({
                "ok": true,
                "user": {
                    "id": "W012A3CDE", "team_id": "T012AB3C4", "name": "spengler", "deleted": false, "color": "9f69e7",
                    "real_name": "Egon Spengler", "tz": "America/Los_Angeles", "tz_offset": -25200, "is_admin": true,
                    "profile": { "title": "", "real_name": "Egon Spengler", "display_name": "spengler",
                        "email": "spengler@ghostbusters.example.com", "team": "T012AB3C4", "status_text": "Print is dead" },
                    "is_bot": false, "updated": 1_502_138_686, "is_app_user": false
                }
            }),
            _ => json!({ "ok": false, "error": "unknown_method" }),
        },
    )
}

#[test]
fn every_tool_sends_what_the_sdk_sends() {
    let service = service();
    service.on(HOST, answer);
    let block = json!({ "type": "section", "text": { "type": "mrkdwn", "text": "A *bold* \u{1F44B} word" } });
    let full = [
        (
            "slack.messages.post",
            json!({ "channel": "#ünï", "text": "a&b=c <@U1> \"\\\n", "blocks": [block, { "type": "divider" }],
                "thread_ts": "1503435956.000247" }),
        ),
        ("slack.messages.post", json!({ "channel": "C1", "text": "t", "blocks": [] })),
        ("slack.channels.list", json!({ "types": "public_channel,private_channel,im", "limit": 20 })),
        ("slack.channels.list", json!({ "limit": 230 })),
        ("slack.channels.list", json!({ "types": "im", "limit": 999 })),
        ("slack.users.lookupByEmail", json!({ "email": "a+b c@ünï.example?&=#%" })),
    ];
    for (tool, args) in calls().into_iter().chain(full) {
        service.sends_what_the_sdk_sends(tool, &args, &[]);
    }
}

#[test]
fn answers_hold_what_a_caller_acts_on() {
    let service = service();
    service.on(HOST, answer);
    let [post, update, list, lookup] = calls().map(|(tool, args)| service.output(tool, &args));
    assert_eq!(post, json!({ "channel": "C123ABC456", "ts": "1503435956.000247", "text": "Here's a message" }));
    assert_eq!(update, json!({ "channel": "C123ABC456", "ts": "1503435956.000247", "text": "New" }));
    assert_eq!((list["channels"].as_array().unwrap().len(), &list["has_more"]), (100, &json!(true)));
    assert_eq!(
        list["channels"][1],
        json!({
            "id": "C0000000001", "name": "channel-1", "is_private": false, "is_archived": false, "is_member": true,
            "is_im": false, "is_mpim": false, "user": null, "topic": "Company-wide announcements", "purpose": "For all",
            "num_members": 4
        })
    );
    assert_eq!(
        lookup,
        json!({
            "id": "W012A3CDE", "team_id": "T012AB3C4", "name": "spengler", "real_name": "Egon Spengler",
            "display_name": "spengler", "email": "spengler@ghostbusters.example.com", "title": "",
            "tz": "America/Los_Angeles", "is_bot": false, "deleted": false
        })
    );
    for (limit, listed, more) in [(1, 1, true), (249, 249, true), (250, 250, false), (1000, 250, false)] {
        let output = service.output("slack.channels.list", &json!({ "limit": limit }));
        assert_eq!(
            (output["channels"].as_array().unwrap().len(), &output["has_more"]),
            (listed, &json!(more)),
            "{limit}"
        );
    }
}

#[test]
fn what_slack_refuses_is_told() {
    let service = service();
    let said = |status, code: &str| Reply::json(status, json!({ "ok": false, "error": code }));
    let refusal = |reply, kind, code, retryable, hint| Refusal { reply, kind, code, retryable, hint };
    let scope = json!({ "ok": false, "error": "missing_scope", "needed": "chat:write", "provided": "users:read" });
    let refusals = [
        refusal(said(200, "invalid_auth"), "auth_error", "invalid_auth", false, "SLACK_BOT_TOKEN"),
        refusal(said(401, "token_expired"), "auth_error", "token_expired", false, "SLACK_BOT_TOKEN"),
        refusal(Reply::json(200, scope), "permission_error", "missing_scope", false, "chat:write"),
        refusal(said(403, "team_access_not_granted"), "permission_error", "team_access_not_granted", false, ""),
        refusal(said(200, "not_in_channel"), "permission_error", "not_in_channel", false, "invite the app"),
        refusal(said(200, "channel_not_found"), "not_found", "channel_not_found", false, "slack.channels.list"),
        refusal(said(200, "users_not_found"), "not_found", "users_not_found", false, "address"),
        refusal(said(404, "unknown_method"), "not_found", "unknown_method", false, ""),
        refusal(said(200, "is_archived"), "conflict", "is_archived", false, "unarchive"),
        refusal(said(409, "some_conflict"), "conflict", "some_conflict", false, ""),
        refusal(said(200, "msg_too_long"), "validation_error", "msg_too_long", false, ""),
        refusal(said(422, "invalid_arguments"), "validation_error", "invalid_arguments", false, ""),
        refusal(
            said(429, "ratelimited").header("Retry-After", "17"),
            "rate_limited",
            "ratelimited",
            true,
            "retry after 17 s",
        ),
        refusal(Reply::html(429, "<h1>Slow</h1>").header("Retry-After", "3"), "rate_limited", "429", true, "3 s"),
        refusal(said(200, "internal_error"), "upstream_error", "internal_error", true, "look"),
        refusal(said(500, "fatal_error"), "upstream_error", "fatal_error", true, "look"),
        refusal(Reply::html(500, "<h1>Oh no</h1>"), "upstream_error", "500", true, ""),
        refusal(said(503, "service_unavailable"), "transient", "service_unavailable", true, ""),
        refusal(said(200, "brand_new_code"), "upstream_error", "brand_new_code", false, ""),
        refusal(Reply::json(200, json!({ "ok": false })), "upstream_error", "200", false, ""),
    ];
    unhappy::refusals_are_told(&service, HOST, &calls(), &refusals);

    let details = json!({ "ok": false, "error": "invalid_blocks", "response_metadata": { "messages": ["[ERROR] missing `type`"] } });
    service.on(HOST, move |_| Reply::json(200, details.clone()));
    let error = unhappy::error(&service, &calls()[0]);
    assert_eq!(error["message"], "Slack: invalid_blocks ([ERROR] missing `type`)");
}

#[test]
fn nonsense_is_slacks_fault() {
    let service = service();
    unhappy::nonsense_is_survived(&service, HOST, &calls());
}

#[test]
fn bad_arguments_are_not_sent() {
    let service = service();
    let [post, update, list, lookup] = calls();
    let with = |(tool, args): &Call, name: &str, value: Value| {
        let mut args = args.clone();
        args[name] = value;
        (*tool, args)
    };
    let more = [
        with(&post, "channel", json!("")),
        with(&post, "text", json!("")),
        with(&post, "blocks", json!({ "type": "divider" })),
        with(&post, "blocks", json!(["divider"])),
        with(&post, "blocks", json!("[]")),
        with(&post, "thread_ts", json!(1_503_435_956.25)),
        with(&update, "ts", json!(1_503_435_956.25)),
        with(&list, "limit", json!(0)),
        with(&list, "limit", json!(1001)),
        with(&list, "limit", json!("20")),
        with(&list, "types", json!("channels")),
        with(&list, "types", json!("im&limit=5")),
        with(&list, "types", json!(["im"])),
        with(&list, "cursor", json!("x")),
        with(&lookup, "email", json!("")),
    ];
    let required: [(Call, &[&str]); 4] =
        [(post, &["channel", "text"]), (update, &["channel", "ts", "text"]), (list, &[]), (lookup, &["email"])];
    unhappy::bad_arguments_are_not_sent(&service, HOST, &required, &more);
}

#[test]
fn odd_texts_stay_values() {
    let service = service();
    service.on(HOST, answer);
    let nearly_all = unhappy::no_names().into_iter().filter(|text| !text.is_empty());
    for text in unhappy::odd_texts().into_iter().chain(nearly_all) {
        service.upstream.forget();
        let _ = service.output("slack.messages.post", &json!({ "channel": text, "text": text }));
        let _ = service.output("slack.users.lookupByEmail", &json!({ "email": text }));
        let sent = service.upstream.requests();
        let lines: Vec<String> = sent.iter().map(Recorded::line).collect();
        assert_eq!(
            lines,
            ["POST https://slack.com/api/chat.postMessage", "POST https://slack.com/api/users.lookupByEmail"]
        );
        assert_eq!(sent[0].json(), json!({ "channel": text, "text": text }));
        let form = String::from_utf8(sent[1].body.clone()).unwrap();
        let value = form.strip_prefix("email=").unwrap().replace('+', " ");
        assert_eq!(percent_encoding::percent_decode_str(&value).decode_utf8().unwrap(), text);
        assert_eq!(sent.iter().map(|request| request.count("x-evil")).sum::<usize>(), 0);
    }
}
