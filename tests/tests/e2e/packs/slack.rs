//! The Slack pack against slack_sdk, and when Slack says no.

use rig_tests::{Recorded, Reply};
use serde_json::{Value, json};

use super::Service;

const HOST: &str = "slack.com";
const TOKEN: &str = "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx";

fn service() -> Service {
    Service::start("slack", &[("SLACK_BOT_TOKEN", TOKEN)])
}

/// Every tool with what it requires, and all of its arguments.
fn calls() -> [(&'static str, &'static [&'static str], Value); 4] {
    let block = json!({ "type": "section", "text": { "type": "mrkdwn", "text": "A *bold* \u{1F44B} word" } });
    [
        (
            "slack.messages.post",
            &["channel", "text"],
            json!({ "channel": "C123ABC456", "text": "a&b=c <@U1> \"\\\n", "blocks": [block, { "type": "divider" }],
                "thread_ts": "1503435956.000247" }),
        ),
        (
            "slack.messages.update",
            &["channel", "ts", "text"],
            json!({ "channel": "C123ABC456", "ts": "1503435956.000247", "text": "New \u{1F44B}" }),
        ),
        ("slack.channels.list", &[], json!({ "types": "public_channel,private_channel,im", "limit": 20 })),
        ("slack.users.lookupByEmail", &["email"], json!({ "email": "spengler+a@ghostbusters.example.com" })),
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
    let more = [
        ("slack.messages.post", json!({ "channel": "#ünï", "text": "t" })),
        ("slack.messages.post", json!({ "channel": "C1", "text": "t", "blocks": [] })),
        ("slack.channels.list", json!({})),
        ("slack.channels.list", json!({ "limit": 230 })),
        ("slack.channels.list", json!({ "types": "im", "limit": 999 })),
        ("slack.users.lookupByEmail", json!({ "email": "a+b c@ünï.example?&=#%" })),
    ];
    for (tool, args) in calls().map(|(tool, _, args)| (tool, args)).into_iter().chain(more) {
        service.sends_what_the_sdk_sends(tool, &args, &[]);
    }
}

#[test]
fn answers_hold_what_a_caller_acts_on() {
    let service = service();
    service.on(HOST, answer);
    let [post, update, list, lookup] = calls().map(|(tool, _, args)| service.output(tool, &args));
    assert_eq!(post, json!({ "channel": "C123ABC456", "ts": "1503435956.000247", "text": "a&b=c <@U1> \"\\\n" }));
    assert_eq!(update, json!({ "channel": "C123ABC456", "ts": "1503435956.000247", "text": "New \u{1F44B}" }));
    assert_eq!((list["channels"].as_array().unwrap().len(), &list["has_more"]), (20, &json!(true)));
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
    let output = service.output("slack.channels.list", &json!({}));
    assert_eq!((output["channels"].as_array().unwrap().len(), &output["has_more"]), (100, &json!(true)), "a page");
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
    let scope = json!({ "ok": false, "error": "missing_scope", "needed": "chat:write", "provided": "users:read" });
    let missing_scope = || Reply::json(200, scope.clone());
    let calls = calls().map(|(tool, _, args)| (tool, args));
    let answers = [
        (said(200, "invalid_auth"), "auth_error", "invalid_auth", false),
        (said(401, "token_expired"), "auth_error", "token_expired", false),
        (missing_scope(), "permission_error", "missing_scope", false),
        (said(403, "team_access_not_granted"), "permission_error", "team_access_not_granted", false),
        (said(200, "channel_not_found"), "not_found", "channel_not_found", false),
        (said(200, "users_not_found"), "not_found", "users_not_found", false),
        (said(404, "unknown_method"), "not_found", "unknown_method", false),
        (said(200, "is_archived"), "conflict", "is_archived", false),
        (said(409, "some_conflict"), "conflict", "some_conflict", false),
        (said(200, "msg_too_long"), "validation_error", "msg_too_long", false),
        (said(422, "invalid_arguments"), "validation_error", "invalid_arguments", false),
        (said(429, "ratelimited").header("Retry-After", "17"), "rate_limited", "ratelimited", true),
        (Reply::html(429, "<h1>Slow</h1>"), "rate_limited", "429", true),
        (said(200, "internal_error"), "upstream_error", "internal_error", true),
        (said(500, "fatal_error"), "upstream_error", "fatal_error", true),
        (Reply::html(500, "<h1>Oh no</h1>"), "upstream_error", "500", true),
        (said(503, "service_unavailable"), "transient", "service_unavailable", true),
        (said(200, "brand_new_code"), "upstream_error", "brand_new_code", false),
        (Reply::json(200, json!({ "ok": false })), "upstream_error", "200", false),
    ];
    service.answers_become_kinds(HOST, &calls, answers);
    for (reply, hint) in [
        (said(200, "invalid_auth"), "SLACK_BOT_TOKEN"),
        (missing_scope(), "chat:write"),
        (said(200, "not_in_channel"), "invite the app"),
        (said(200, "channel_not_found"), "slack.channels.list"),
        (said(200, "users_not_found"), "address"),
        (said(200, "is_archived"), "unarchive"),
        (said(429, "ratelimited").header("Retry-After", "17"), "retry after 17 s"),
        (Reply::html(429, "<h1>Slow</h1>").header("Retry-After", "3"), "retry after 3 s"),
    ] {
        service.on(HOST, move |_| reply.clone());
        let error = service.call(calls[0].0, &calls[0].1)["error"].clone();
        assert!(error["remediation_hints"][0].as_str().is_some_and(|first| first.contains(hint)), "{hint}: {error}");
    }
    let details = json!({ "messages": ["[ERROR] missing `type`"] });
    let refused = json!({ "ok": false, "error": "invalid_blocks", "response_metadata": details });
    service.on(HOST, move |_| Reply::json(200, refused.clone()));
    let error = service.error(calls[0].0, &calls[0].1, "validation_error");
    assert_eq!(error["message"], "Slack: invalid_blocks ([ERROR] missing `type`)");
}

#[test]
fn nonsense_is_the_service_s_fault() {
    service().nonsense_is_the_service_s_fault(HOST, &calls().map(|(tool, _, args)| (tool, args)));
}

#[test]
fn bad_arguments_are_not_sent() {
    let service = service();
    for (tool, required, args) in calls() {
        service.bad_arguments_are_not_sent(tool, required, &args);
    }
    let [post, update, list, lookup] = calls();
    for ((tool, _, args), name, value) in [
        (&post, "channel", json!("")),
        (&post, "text", json!("")),
        (&post, "blocks", json!(["divider"])),
        (&post, "thread_ts", json!("")),
        (&update, "ts", json!(1_503_435_956.25)),
        (&list, "limit", json!(0)),
        (&list, "limit", json!(1001)),
        (&list, "limit", json!("20")),
        (&list, "types", json!("channels")),
        (&list, "types", json!("im&limit=5")),
        (&lookup, "email", json!("")),
    ] {
        let mut args = args.clone();
        args[name] = value;
        service.error(tool, &args, "validation_error");
        service.upstream.assert_untouched();
    }
}

#[test]
fn odd_texts_stay_values() {
    let service = service();
    service.on(HOST, answer);
    let long = "\u{1F44B}/".repeat(5000);
    for text in ["/../x", "a&b=c", "?x=1#y", "%2e%2e", "a\r\nX-Evil: 1", "a\0b", "ünï 漢字", "@evil.test", "+ +", &long]
    {
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
