//! The Notion pack against notion-client, and when Notion says no.

use rig_tests::{Recorded, Reply};
use serde_json::{Value, json};

use super::{
    Service,
    unhappy::{self, Call, Refusal},
};

const HOST: &str = "api.notion.com";
const TOKEN: &str = "ntn_123456789012AbCdEfGhIjKlMnOpQrStUvWxYz0123456789";

const PAGE: &str = "59833787-2cf9-4fdf-8782-e53db20768a5";
const DATABASE: &str = "d9824bdc-8445-4327-be8b-5b47500af6ce";
const SOURCE: &str = "897e5a76-ae52-4b48-9fdf-e71f5945d1af";

fn service() -> Service {
    Service::start("notion", &[("NOTION_TOKEN", TOKEN)])
}

/// One good call of each tool, with nothing but what is required.
fn calls() -> [Call; 4] {
    [
        ("notion.pages.create", json!({ "parent": { "page_id": PAGE } })),
        ("notion.pages.update", json!({ "page_id": PAGE })),
        ("notion.databases.query", json!({ "database_id": DATABASE })),
        ("notion.search", json!({ "query": "" })),
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
    let properties = json!({
        "Name": { "title": [{ "text": { "content": "Grüße \u{1F44B} \"\\\n" } }] }, "Price": { "number": 2.5 }, "Due": { "date": null },
        "Tags": { "multi_select": [] }
    });
    let paragraph = json!({ "object": "block", "type": "paragraph", "paragraph": { "rich_text": [{ "text": { "content": "…" } }] } });
    let full = [
        (
            "notion.pages.create",
            json!({ "parent": { "type": "data_source_id", "data_source_id": SOURCE }, "properties": properties,
                "children": [paragraph, { "divider": {} }] }),
        ),
        ("notion.pages.create", json!({ "parent": {}, "properties": {}, "children": [] })),
        ("notion.pages.update", json!({ "page_id": PAGE.replace('-', ""), "properties": properties })),
        ("notion.pages.update", json!({ "page_id": "a b", "properties": {} })),
        (
            "notion.databases.query",
            json!({
                "database_id": DATABASE,
                "filter": { "and": [{ "property": "Done", "checkbox": { "equals": true } }, { "or": [] }] },
                "sorts": [{ "property": "Name", "direction": "ascending" }, { "timestamp": "created_time", "direction": "descending" }]
            }),
        ),
        ("notion.databases.query", json!({ "database_id": DATABASE, "filter": {}, "sorts": [] })),
        ("notion.search", json!({ "query": "Grüße?", "filter": { "property": "object", "value": "data_source" } })),
    ];
    for (tool, args) in calls().into_iter().chain(full) {
        service.sends_what_the_sdk_sends(tool, &args, &[]);
    }
}

#[test]
fn what_is_null_is_left_out() {
    let service = service();
    service.on(HOST, answer);
    for ((tool, args), names, body) in [
        (&calls()[0], &["properties", "children"][..], json!({ "parent": { "page_id": PAGE } })),
        (&calls()[1], &["properties"], json!({})),
        (&calls()[2], &["filter", "sorts"], json!({})),
        (&calls()[3], &["filter"], json!({ "query": "" })),
    ] {
        let mut args = args.clone();
        for name in names {
            args[*name] = json!(null);
        }
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
    let [create, update, query, search] = calls().map(|(tool, args)| service.output(tool, &args));
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
    let error = unhappy::error(&service, &("notion.databases.query", json!({ "database_id": DATABASE })));
    assert_eq!((&error["type"], &error["upstream_code"]), (&json!("not_found"), &json!("object_not_found")));
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
    let refusal = |reply, kind, code, retryable, hint| Refusal { reply, kind, code, retryable, hint };
    let refusals = [
        refusal(said(400, "validation_error", "body failed"), "validation_error", "validation_error", false, ""),
        refusal(
            said(401, "unauthorized", "API token is invalid."),
            "auth_error",
            "unauthorized",
            false,
            "NOTION_TOKEN",
        ),
        refusal(
            said(403, "restricted_resource", "Insufficient permissions."),
            "permission_error",
            "restricted_resource",
            false,
            "capability",
        ),
        refusal(
            said(404, "object_not_found", "Could not find page with ID: …"),
            "not_found",
            "object_not_found",
            false,
            "share the page or database with the integration",
        ),
        refusal(said(409, "conflict_error", "Conflict occurred."), "conflict", "conflict_error", true, "repeat"),
        refusal(said(422, "validation_error", "no"), "validation_error", "validation_error", false, ""),
        refusal(
            said(429, "rate_limited", "You have been rate limited.").header("Retry-After", "17"),
            "rate_limited",
            "rate_limited",
            true,
            "retry after 17 s",
        ),
        refusal(Reply::html(429, "<h1>Slow</h1>"), "rate_limited", "429", true, "retry after 1 s"),
        refusal(
            said(500, "internal_server_error", "Unexpected error occurred."),
            "upstream_error",
            "internal_server_error",
            true,
            "",
        ),
        refusal(said(503, "service_unavailable", "Notion is down."), "transient", "service_unavailable", true, ""),
        refusal(Reply::html(504, "<h1>Gateway</h1>"), "transient", "504", true, ""),
    ];
    unhappy::refusals_are_told(&service, HOST, &calls(), &refusals);

    service.on(HOST, move |_| said(400, "validation_error", "Name is not a property that exists."));
    for call in calls() {
        let error = unhappy::error(&service, &call);
        assert_eq!(error["message"], "Notion: Name is not a property that exists.");
    }
}

#[test]
fn nonsense_is_notions_fault() {
    let service = service();
    unhappy::nonsense_is_survived(&service, HOST, &calls());
}

#[test]
fn bad_arguments_are_not_sent() {
    let service = service();
    let [create, update, query, search] = calls();
    let with = |(tool, args): &Call, name: &str, value: Value| {
        let mut args = args.clone();
        args[name] = value;
        (*tool, args)
    };
    let more = [
        with(&create, "parent", json!(PAGE)),
        with(&create, "properties", json!([])),
        with(&create, "properties", json!("{}")),
        with(&create, "children", json!({ "type": "divider" })),
        with(&create, "children", json!(["text"])),
        with(&update, "properties", json!("Done")),
        with(&query, "filter", json!([])),
        with(&query, "filter", json!("Status = Open")),
        with(&query, "sorts", json!({ "property": "Name" })),
        with(&query, "sorts", json!(["Name"])),
        with(&search, "filter", json!("page")),
        with(&search, "page_size", json!(1)),
    ];
    let required: [(Call, &[&str]); 4] =
        [(create, &["parent"]), (update, &["page_id"]), (query, &["database_id"]), (search, &["query"])];
    unhappy::bad_arguments_are_not_sent(&service, HOST, &required, &more);
}

#[test]
fn ids_stay_in_their_segment() {
    let service = service();
    service.on(HOST, answer);
    let update = |id: &str| ("notion.pages.update", json!({ "page_id": id }));
    unhappy::a_text_stays_in_its_segment(&service, HOST, update, &["/v1/pages/{}"]);
    let query = |id: &str| ("notion.databases.query", json!({ "database_id": id }));
    let looked_up = format!("/v1/data_sources/{SOURCE}/query");
    unhappy::a_text_stays_in_its_segment(&service, HOST, query, &["/v1/databases/{}", &looked_up]);
    // What is not the id of a database is tried as that of a data source, and stays in its segment there as well.
    service.on(HOST, |request| match request.path() {
        path if path.starts_with("/v1/databases/") => {
            Reply::json(404, json!({ "code": "object_not_found", "message": "No." }))
        }
        _ => answer(request),
    });
    unhappy::a_text_stays_in_its_segment(&service, HOST, query, &["/v1/databases/{}", "/v1/data_sources/{}/query"]);
}
