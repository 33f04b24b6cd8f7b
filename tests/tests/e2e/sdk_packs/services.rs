//! The services that the packs call, as far as the calls of these tests go. Every host of theirs answers, those too that no pack is
//! granted: that nothing arrives there is the cell's doing.

use rig_tests::{Recorded, Reply, Upstream};
use serde_json::{Value, json};

/// The account and the token.
pub(super) const TWILIO: (&str, &str) = ("AC00112233445566778899aabbccddeeff", "8f14e45fceea167a5a36dedd4bea2543");
pub(super) const STRIPE: &str = "sk_test_4eC39HqLyjWDarjtT1zdp7dc9wQ0";
pub(super) const SLACK: &str = "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx";
pub(super) const GITHUB: &str = "ghp_aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789";
pub(super) const NOTION: &str = "ntn_b0123456789AbCdEfGhIjKlMnOpQrStUvWxYz0123";

type Service = fn(&Recorded) -> Reply;

/// All of them.
pub(super) fn start() -> Upstream {
    let upstream = Upstream::start();
    let services: [(&str, Service); 9] = [
        ("api.stripe.com", stripe),
        ("files.stripe.com", |_| Reply::json(200, json!({ "id": "file_1", "object": "file" }))),
        ("slack.com", slack),
        ("files.slack.com", |_| Reply::new(200, "OK - 7")),
        ("api.github.com", github),
        ("uploads.github.com", |_| Reply::json(201, json!({ "id": 1, "name": "a.txt" }))),
        ("api.twilio.com", twilio),
        ("verify.twilio.com", |_| Reply::json(201, json!({ "sid": "VE1", "status": "approved" }))),
        ("api.notion.com", notion),
    ];
    for (host, answer) in services {
        upstream.on(host, answer);
    }
    upstream
}

fn stripe(request: &Recorded) -> Reply {
    let customer = |id: &str| json!({ "id": id, "object": "customer", "email": "ann@example.com", "name": null });
    let page = |ids: &[&str], more: bool| {
        let data: Vec<Value> = ids.iter().map(|id| customer(id)).collect();
        Reply::json(200, json!({ "object": "list", "url": "/v1/customers", "data": data, "has_more": more }))
    };
    match (request.method.as_str(), request.path()) {
        ("GET", "/v1/customers") if request.target.contains("starting_after=cus_2") => page(&["cus_3"], false),
        ("GET", "/v1/customers") => page(&["cus_1", "cus_2"], true),
        ("POST", "/v1/customers") => Reply::json(200, customer("cus_new")),
        _ => {
            let message = "No such customer: 'cus_none'";
            let error = json!({ "type": "invalid_request_error", "code": "resource_missing", "message": message, "param": "id" });
            Reply::json(404, json!({ "error": error }))
        }
    }
}

fn slack(request: &Recorded) -> Reply {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let channels = |names: &[&str], next: &str| {
        let channels: Vec<Value> = names.iter().map(|name| json!({ "id": "C1", "name": name })).collect();
        json!({ "ok": true, "channels": channels, "response_metadata": { "next_cursor": next } })
    };
    let answer = match request.path() {
        "/api/chat.postMessage" if body.contains("C404") => json!({ "ok": false, "error": "channel_not_found" }),
        "/api/chat.postMessage" => json!({ "ok": true, "channel": "C1", "ts": "1503435956.000247" }),
        "/api/conversations.list" if body.contains("cursor=more") => channels(&["random"], ""),
        "/api/conversations.list" => channels(&["general", "dev"], "more"),
        "/api/files.getUploadURLExternal" => {
            json!({ "ok": true, "upload_url": "https://files.slack.com/upload/v1/CwABAAAA", "file_id": "F1" })
        }
        "/api/files.completeUploadExternal" => json!({ "ok": true, "files": [{ "id": "F1" }] }),
        _ => json!({ "ok": false, "error": "unknown_method" }),
    };
    Reply::json(200, answer)
}

fn github(request: &Recorded) -> Reply {
    let url = |path: &str| format!("https://api.github.com{path}");
    let titles = |titles: &[&str]| titles.iter().map(|title| json!({ "number": 1, "title": title })).collect::<Value>();
    match (request.method.as_str(), request.path()) {
        ("GET", "/repos/acme/app") => {
            Reply::json(200, json!({ "id": 1, "name": "app", "full_name": "acme/app", "url": url("/repos/acme/app") }))
        }
        ("GET", "/repos/acme/app/issues") if request.query().contains(&("page", "2")) => {
            Reply::json(200, titles(&["Third"]))
        }
        ("GET", "/repos/acme/app/issues") => {
            let next = format!("<{}>; rel=\"next\"", url("/repos/acme/app/issues?page=2&state=open"));
            Reply::json(200, titles(&["First", "Second"])).header("Link", &next)
        }
        ("POST", "/repos/acme/app/issues") => {
            Reply::json(201, json!({ "number": 7, "html_url": "https://github.com/acme/app/issues/7" }))
        }
        ("GET", "/repos/acme/app/releases/1") => {
            let assets = "https://uploads.github.com/repos/acme/app/releases/1/assets{?name,label}";
            Reply::json(200, json!({ "id": 1, "url": url(request.path()), "upload_url": assets }))
        }
        _ => Reply::json(404, json!({ "message": "Not Found", "status": "404" })),
    }
}

fn twilio(request: &Recorded) -> Reply {
    let message = json!({
        "sid": "SM1", "status": "queued", "body": "Hi", "date_sent": "Thu, 24 Aug 2023 05:01:45 +0000", "price": "-0.0075"
    });
    match (request.method.as_str(), request.path().rsplit('/').next()) {
        ("POST", Some("Messages.json")) => Reply::json(201, message),
        ("GET", Some("SM1.json")) => Reply::json(200, message),
        _ => Reply::json(
            404,
            json!({ "code": 20404, "message": "The requested resource was not found", "more_info": "", "status": 404 }),
        ),
    }
}

fn notion(request: &Recorded) -> Reply {
    let page = |id: &str| {
        let title = json!({ "title": { "title": [{ "plain_text": format!("Page {id}") }] } });
        json!({ "object": "page", "id": id, "url": format!("https://www.notion.so/{id}"), "properties": title })
    };
    match (request.method.as_str(), request.path()) {
        ("POST", "/v1/pages") => Reply::json(200, page("new")),
        ("GET", "/v1/pages/one") => Reply::json(200, page("one")),
        ("GET", "/v1/pages/two") => Reply::json(200, page("two")),
        _ => {
            let message = "Could not find page with ID: none.";
            Reply::json(
                404,
                json!({ "object": "error", "status": 404, "code": "object_not_found", "message": message }),
            )
        }
    }
}
