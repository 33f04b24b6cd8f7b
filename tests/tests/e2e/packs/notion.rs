//! The Notion pack against notion-client, and when Notion says no.

use rig_tests::{Recorded, Reply};
use serde_json::{Value, json};

use super::Service;

const HOST: &str = "api.notion.com";
const TOKEN: &str = "ntn_123456789012AbCdEfGhIjKlMnOpQrStUvWxYz0123456789";

const PAGE: &str = "59833787-2cf9-4fdf-8782-e53db20768a5";
const DATABASE: &str = "d9824bdc-8445-4327-be8b-5b47500af6ce";
const SOURCE: &str = "897e5a76-ae52-4b48-9fdf-e71f5945d1af";

fn service() -> Service {
    Service::start("notion", &[("NOTION_TOKEN", TOKEN)])
}

/// A gateway, and Notion where everything that is asked for exists.
pub(super) fn setup() -> Service {
    let service = service();
    service.on(HOST, answer);
    service
}

/// Every tool with what it requires, and all of its arguments.
pub(super) fn calls() -> [(&'static str, &'static [&'static str], Value); 4] {
    let properties = json!({
        "Name": { "title": [{ "text": { "content": "Grüße \u{1F44B} \"\\\n" } }] }, "Price": { "number": 2.5 },
        "Due": { "date": null }, "Tags": { "multi_select": [] }
    });
    let paragraph = json!({ "type": "paragraph", "paragraph": { "rich_text": [{ "text": { "content": "…" } }] } });
    [
        (
            "notion.pages.create",
            &["parent"],
            json!({ "parent": { "type": "data_source_id", "data_source_id": SOURCE }, "properties": properties,
                "children": [paragraph, { "divider": {} }] }),
        ),
        ("notion.pages.update", &["page_id"], json!({ "page_id": PAGE, "properties": properties })),
        (
            "notion.databases.query",
            &["database_id"],
            json!({
                "database_id": DATABASE,
                "filter": { "and": [{ "property": "Done", "checkbox": { "equals": true } }, { "or": [] }] },
                "sorts": [{ "property": "Name", "direction": "ascending" },
                    { "timestamp": "created_time", "direction": "descending" }]
            }),
        ),
        (
            "notion.search",
            &["query"],
            json!({ "query": "Grüße?", "filter": { "property": "object", "value": "data_source" } }),
        ),
    ]
}

fn text(content: &str) -> Value {
    json!([{
        "type": "text", "text": { "content": content, "link": null }, "plain_text": content, "href": null,
        "annotations": { "bold": false, "italic": false, "strikethrough": false, "underline": false, "code": false, "color": "default" }
    }])
}

/// A page as Notion shows it, shortened.
fn page() -> Value {
    json!({
        "object": "page", "id": PAGE, "created_time": "2026-03-01T19:05:00.000Z", "last_edited_time": "2026-07-06T19:41:00.000Z",
        "created_by": { "object": "user", "id": "ee5f0f84-409a-440f-983a-a5315961c6e4" },
        "cover": null, "icon": { "type": "emoji", "emoji": "🥬" }, "archived": false, "in_trash": false, "is_locked": false,
        "parent": { "type": "data_source_id", "data_source_id": SOURCE, "database_id": DATABASE },
        "properties": {
            "Name": { "id": "title", "type": "title", "title": text("Tuscan kale") },
            "Price": { "id": "BJXS", "type": "number", "number": 2.5 },
            "Last ordered": { "id": "Jsfb", "type": "date", "date": null }
        },
        "url": "https://www.notion.so/Tuscan-kale-598337872cf94fdf8782e53db20768a5", "public_url": null,
        "request_id": "be907abe-510e-4116-a3d1-7ea71018c06f"
    })
}

fn source() -> Value {
    json!({
        "object": "data_source", "id": SOURCE, "created_time": "2026-03-01T19:05:00.000Z",
        "last_edited_time": "2026-07-06T19:41:00.000Z", "title": text("Groceries"), "description": [], "in_trash": false,
        "parent": { "type": "database_id", "database_id": DATABASE },
        "properties": { "Name": { "id": "title", "name": "Name", "type": "title", "title": {} } },
        "url": "https://www.notion.so/897e5a76ae524b489fdfe71f5945d1af"
    })
}

fn list(results: &[Value], next: Option<&str>) -> Reply {
    let list = json!({
        "object": "list", "results": results, "next_cursor": next, "has_more": next.is_some(), "type": "page_or_data_source",
        "request_id": "9a671389-0000-4000-8000-000000000000"
    });
    Reply::json(200, list)
}

/// Notion, where everything that is asked for exists.
fn answer(request: &Recorded) -> Reply {
    let path = request.path();
    match request.method.as_str() {
        "POST" if path == "/v1/pages" => Reply::json(200, page()),
        "PATCH" if path.starts_with("/v1/pages/") => Reply::json(200, page()),
        "GET" if path.starts_with("/v1/databases/") => Reply::json(
            200,
            json!({
                "object": "database", "id": DATABASE, "title": text("Groceries"), "is_inline": false, "in_trash": false,
                "data_sources": [{ "id": SOURCE, "name": "Groceries" }, { "id": PAGE, "name": "Archive" }]
            }),
        ),
        "POST" if path.starts_with("/v1/data_sources/") && path.ends_with("/query") => {
            list(&[page()], Some("fe2cc560"))
        }
        "POST" if path == "/v1/search" => list(&[source(), page()], None),
        _ => Reply::json(
            400,
            json!({ "object": "error", "status": 400, "code": "invalid_request_url", "message": "Invalid request URL." }),
        ),
    }
}

#[test]
fn every_tool_sends_what_the_sdk_sends() {
    let service = service();
    service.on(HOST, answer);
    let more = [
        ("notion.pages.create", json!({ "parent": { "page_id": PAGE } })),
        ("notion.pages.create", json!({ "parent": { "page_id": PAGE }, "properties": {}, "children": [] })),
        ("notion.pages.update", json!({ "page_id": PAGE.replace('-', "") })),
        ("notion.pages.update", json!({ "page_id": "a b", "properties": {} })),
        ("notion.databases.query", json!({ "database_id": DATABASE })),
        ("notion.databases.query", json!({ "database_id": DATABASE, "filter": {}, "sorts": [] })),
        ("notion.search", json!({ "query": "" })),
    ];
    for (tool, args) in calls().map(|(tool, _, args)| (tool, args)).into_iter().chain(more) {
        service.sends_what_the_sdk_sends(tool, &args, &[]);
    }
}

#[test]
fn what_is_null_is_left_out() {
    let service = service();
    service.on(HOST, answer);
    for (tool, args, body) in [
        (
            "notion.pages.create",
            json!({ "parent": { "page_id": PAGE }, "properties": null, "children": null }),
            json!({ "parent": { "page_id": PAGE } }),
        ),
        ("notion.pages.update", json!({ "page_id": PAGE, "properties": null }), json!({})),
        ("notion.databases.query", json!({ "database_id": DATABASE, "filter": null, "sorts": null }), json!({})),
        ("notion.search", json!({ "query": "", "filter": null }), json!({ "query": "" })),
    ] {
        service.upstream.forget();
        let _ = service.output(tool, &args);
        assert_eq!(service.upstream.requests().last().unwrap().json(), body, "{tool}");
    }
}

#[test]
fn answers_hold_what_a_caller_acts_on() {
    let service = service();
    service.on(HOST, answer);
    let told = |object: &Value, title: &str| {
        let mut told = json!({ "title": title });
        for name in ["object", "id", "url", "parent", "properties", "created_time", "last_edited_time", "in_trash"] {
            told[name] = object[name].clone();
        }
        told
    };
    let row = told(&page(), "Tuscan kale");
    let [create, update, query, search] = calls().map(|(tool, _, args)| service.output(tool, &args));
    assert_eq!((&create, &update), (&row, &row));
    assert_eq!(
        query,
        json!({
            "results": [row], "has_more": true, "next_cursor": "fe2cc560", "data_source_id": SOURCE,
            "data_sources": [{ "id": SOURCE, "name": "Groceries" }, { "id": PAGE, "name": "Archive" }]
        })
    );
    assert_eq!(
        search,
        json!({ "results": [told(&source(), "Groceries"), row], "has_more": false, "next_cursor": null })
    );
}

#[test]
fn rows_may_be_large() {
    let service = service();
    let mut row = page();
    let pieces: Vec<Value> = (0..150).map(|_| text("A piece of text, formatted by itself")[0].clone()).collect();
    row["properties"]["Notes"] = json!({ "id": "x", "type": "rich_text", "rich_text": pieces });
    let rows = vec![row; 100];
    assert!(json!(rows).to_string().len() > 3 << 20);
    service.on(HOST, move |request| if request.path() == "/v1/search" { list(&rows, None) } else { answer(request) });
    let output = service.output("notion.search", &json!({ "query": "" }));
    assert_eq!(output["results"].as_array().unwrap().len(), 100);
    assert_eq!(output["results"][99]["properties"]["Notes"]["rich_text"].as_array().unwrap().len(), 150);
}

#[test]
fn the_id_of_a_data_source_is_taken_for_a_databases() {
    let service = service();
    let unknown = || {
        Reply::json(
            404,
            json!({ "object": "error", "status": 404, "code": "object_not_found", "message": "Could not find it." }),
        )
    };
    service.on(HOST, move |request| match request.path() {
        path if path.starts_with("/v1/databases/") => unknown(),
        path if path == format!("/v1/data_sources/{SOURCE}/query") => answer(request),
        _ => unknown(),
    });
    let output = service.output("notion.databases.query", &json!({ "database_id": SOURCE }));
    assert_eq!((&output["data_source_id"], &output["results"][0]["id"]), (&json!(SOURCE), &json!(PAGE)));
    let error = service.error("notion.databases.query", &json!({ "database_id": DATABASE }), "not_found");
    assert_eq!((&error["upstream_code"], &error["retryable"]), (&json!("object_not_found"), &json!(false)));
}

#[test]
fn what_notion_refuses_is_told() {
    let service = service();
    let said = |status, code: &str, message: &str| {
        Reply::json(
            status,
            json!({ "object": "error", "status": status, "code": code, "message": message, "request_id": "be907abe" }),
        )
    };
    let calls = calls().map(|(tool, _, args)| (tool, args));
    let missing = || said(404, "object_not_found", "Could not find page with ID: …");
    let limited = || said(429, "rate_limited", "You have been rate limited.");
    let answers = [
        (said(400, "validation_error", "body failed"), "validation_error", "validation_error", false),
        (said(401, "unauthorized", "API token is invalid."), "auth_error", "unauthorized", false),
        (said(403, "restricted_resource", "Insufficient."), "permission_error", "restricted_resource", false),
        (said(409, "conflict_error", "Conflict occurred."), "conflict", "conflict_error", true),
        (said(422, "validation_error", "no"), "validation_error", "validation_error", false),
        (limited().header("Retry-After", "17"), "rate_limited", "rate_limited", true),
        (Reply::html(429, "<h1>Slow</h1>"), "rate_limited", "429", true),
        (said(500, "internal_server_error", "Unexpected."), "upstream_error", "internal_server_error", true),
        (said(503, "service_unavailable", "Notion is down."), "transient", "service_unavailable", true),
        (Reply::html(504, "<h1>Gateway</h1>"), "transient", "504", true),
    ];
    service.answers_become_kinds(HOST, &calls, answers);
    // The query makes a second request then: see above.
    let others = [&calls[..2], &calls[3..]].concat();
    service.answers_become_kinds(HOST, &others, [(missing(), "not_found", "object_not_found", false)]);
    for (reply, hint) in [
        (said(401, "unauthorized", "API token is invalid."), "NOTION_TOKEN"),
        (said(403, "restricted_resource", "Insufficient."), "capability"),
        (missing(), "share the page or database with the integration"),
        (said(409, "conflict_error", "Conflict occurred."), "repeat"),
        (limited().header("Retry-After", "17"), "retry after 17 s"),
        (limited(), "retry after 1 s"),
    ] {
        service.on(HOST, move |_| reply.clone());
        let error = service.call(calls[0].0, &calls[0].1)["error"].clone();
        assert!(error["remediation_hints"][0].as_str().is_some_and(|first| first.contains(hint)), "{hint}: {error}");
    }
    service.on(HOST, move |_| said(400, "validation_error", "Name is not a property that exists."));
    for (tool, args) in calls {
        let error = service.error(tool, &args, "validation_error");
        assert_eq!(error["message"], "Notion: Name is not a property that exists.");
    }
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
    let [create, update, query, _] = calls();
    let long = "x".repeat(256);
    for ((tool, _, args), name, value) in [
        (&create, "children", json!(["text"])),
        (&create, "children", json!({ "type": "divider" })),
        (&update, "page_id", json!("")),
        (&update, "page_id", json!(long)),
        (&query, "database_id", json!("")),
        (&query, "sorts", json!(["Name"])),
    ] {
        let mut args = args.clone();
        args[name] = value;
        service.error(tool, &args, "validation_error");
        service.upstream.assert_untouched();
    }
}

#[test]
fn an_id_cannot_change_the_request() {
    let service = service();
    let [_, update, query, _] = calls();
    service.path_keeps_its_shape(HOST, update.0, &update.2, "page_id");
    // Nothing exists, so that the id is tried as that of a data source as well.
    service.path_keeps_its_shape(HOST, query.0, &query.2, "database_id");
    assert_eq!(service.upstream.requests(), [], "what is too long was not sent");
    service.error(query.0, &query.2, "not_found");
    assert_eq!(service.upstream.requests().len(), 2);
}
