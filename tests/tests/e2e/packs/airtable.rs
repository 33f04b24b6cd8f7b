//! The Airtable pack against pyairtable, and when Airtable says no.

use rig_tests::{Recorded, Reply};
use serde_json::{Value, json};

use super::{
    Service,
    unhappy::{self, Call, Refusal},
};

const HOST: &str = "api.airtable.com";
const TOKEN: &str = "patAbCdEfGhIjKlMn.0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const BASE: &str = "appLkNDICXNqxSDhG";
const RECORD: &str = "rec560UJdUtocSouk";

fn service() -> Service {
    Service::start("airtable", &[("AIRTABLE_API_KEY", TOKEN)])
}

/// One good call of each tool, with nothing but what is required.
fn calls() -> [Call; 3] {
    let table = |more: Value| {
        let mut args = json!({ "base_id": BASE, "table_name": "Apartments" });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        args
    };
    [
        ("airtable.records.create", table(json!({ "fields": {} }))),
        ("airtable.records.list", table(json!({}))),
        ("airtable.records.update", table(json!({ "record_id": RECORD, "fields": { "Visited": true } }))),
    ]
}

fn record(id: &str, fields: &Value) -> Value {
    json!({ "id": id, "createdTime": "2022-09-12T21:03:48.000Z", "fields": fields })
}

/// Airtable, with a table of 250 records of which it puts 100 on a page.
fn answer(request: &Recorded) -> Reply {
    let options: Value = match request.method.as_str() {
        "GET" => request.query().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect(),
        "POST" if request.path().ends_with("/listRecords") => request.json(),
        "POST" => return Reply::json(200, record("recNEW", &request.json()["fields"])),
        "PATCH" => return Reply::json(200, record(RECORD, &request.json()["fields"])),
        _ => return Reply::json(404, json!({ "error": "NOT_FOUND" })),
    };
    let number = |name: &str| {
        let value = &options[name];
        value.as_u64().or_else(|| value.as_str()?.trim_start_matches("itr%2F").trim_start_matches("itr/").parse().ok())
    };
    let total = number("maxRecords").unwrap_or(250).min(250);
    let start = number("offset").unwrap_or(0);
    let end = (start + 100).min(total);
    let records: Vec<Value> = (start..end)
        .map(|n| record(&format!("rec{n:014}"), &json!({ "Name": format!("Flat {n}"), "Rent": 750.5 })))
        .collect();
    let mut page = json!({ "records": records });
    if end < total {
        page["offset"] = json!(format!("itr/{end}"));
    }
    Reply::json(200, page)
}

#[test]
fn every_tool_sends_what_the_sdk_sends() {
    let service = service();
    service.on(HOST, answer);
    let fields = json!({
        "Name": "Grüße \u{1F44B} \"\\\n", "Rent": 2.5, "Visited": true, "Tags": ["a", "b"], "Due": null,
        "Photos": [{ "url": "https://example.com/a.jpg?x=1&y=2" }]
    });
    let mut long = json!({ "base_id": BASE, "table_name": "Apartments", "max_records": 150 });
    long["formula"] = json!(format!("OR({})", vec!["{Name} = 'ä'"; 900].join(", ")));
    let full = [
        (
            "airtable.records.create",
            json!({ "base_id": BASE, "table_name": "Wohnungen & Häuser / 2%", "fields": fields }),
        ),
        ("airtable.records.list", json!({ "base_id": BASE, "table_name": "tblAbCdEfGhIjKlMn", "formula": "" })),
        (
            "airtable.records.list",
            json!({ "base_id": BASE, "table_name": "To do?", "formula": "AND({Größe} > 2, FIND('a&b=c+d', {Name}))",
                "max_records": 7 }),
        ),
        ("airtable.records.list", json!({ "base_id": BASE, "table_name": "Apartments", "max_records": 230 })),
        ("airtable.records.list", json!({ "base_id": BASE, "table_name": "Apartments", "max_records": 1000 })),
        ("airtable.records.list", long),
        (
            "airtable.records.update",
            json!({ "base_id": BASE, "table_name": "#1", "record_id": RECORD, "fields": fields }),
        ),
    ];
    for (tool, args) in calls().into_iter().chain(full) {
        service.sends_what_the_sdk_sends(tool, &args, &[]);
    }
}

#[test]
fn answers_hold_what_a_caller_acts_on() {
    let service = service();
    service.on(HOST, answer);
    let [create, list, update] = calls().map(|(tool, args)| service.output(tool, &args));
    assert_eq!(create, json!({ "id": "recNEW", "created_time": "2022-09-12T21:03:48.000Z", "fields": {} }));
    assert_eq!(
        update,
        json!({ "id": RECORD, "created_time": "2022-09-12T21:03:48.000Z", "fields": { "Visited": true } })
    );
    assert_eq!((list["records"].as_array().unwrap().len(), &list["has_more"]), (100, &json!(true)));
    assert_eq!(
        list["records"][7],
        json!({
            "id": "rec00000000000007", "created_time": "2022-09-12T21:03:48.000Z", "fields": { "Name": "Flat 7", "Rent": 750.5 }
        })
    );
    for (max, listed, more) in
        [(1, 1, json!(null)), (100, 100, json!(null)), (249, 249, json!(null)), (1000, 250, json!(false))]
    {
        let (tool, mut args) = calls()[1].clone();
        args["max_records"] = json!(max);
        let output = service.output(tool, &args);
        assert_eq!((output["records"].as_array().unwrap().len(), &output["has_more"]), (listed, &more), "{max}");
    }
}

#[test]
fn what_airtable_refuses_is_told() {
    let service = service();
    let said =
        |status, code: &str| Reply::json(status, json!({ "error": { "type": code, "message": "Why it was refused" } }));
    let refusal = |reply, kind, code, retryable, hint| Refusal { reply, kind, code, retryable, hint };
    let forbidden = "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND";
    let limit = |code: &str| Reply::json(429, json!({ "errors": [{ "error": code, "message": "Too much" }] }));
    let refusals = [
        refusal(
            said(401, "AUTHENTICATION_REQUIRED"),
            "auth_error",
            "AUTHENTICATION_REQUIRED",
            false,
            "AIRTABLE_API_KEY",
        ),
        refusal(said(403, forbidden), "permission_error", forbidden, false, "scope"),
        refusal(Reply::json(404, json!({ "error": "NOT_FOUND" })), "not_found", "NOT_FOUND", false, "case-sensitive"),
        refusal(said(409, "CONFLICT"), "conflict", "CONFLICT", false, ""),
        refusal(
            said(422, "UNKNOWN_FIELD_NAME"),
            "validation_error",
            "UNKNOWN_FIELD_NAME",
            false,
            "airtable.records.list",
        ),
        refusal(said(422, "ROW_DOES_NOT_EXIST"), "not_found", "ROW_DOES_NOT_EXIST", false, "ids"),
        refusal(
            limit("RATE_LIMIT_REACHED").header("Retry-After", "17"),
            "rate_limited",
            "RATE_LIMIT_REACHED",
            true,
            "retry after 17 s",
        ),
        refusal(limit("RATE_LIMIT_REACHED"), "rate_limited", "RATE_LIMIT_REACHED", true, "retry after 30 s"),
        refusal(
            limit("PUBLIC_API_BILLING_LIMIT_EXCEEDED"),
            "rate_limited",
            "PUBLIC_API_BILLING_LIMIT_EXCEEDED",
            false,
            "plan",
        ),
        refusal(said(500, "SERVER_ERROR"), "upstream_error", "SERVER_ERROR", true, ""),
        refusal(Reply::html(502, "<h1>Bad gateway</h1>"), "transient", "502", true, ""),
        refusal(
            Reply::json(503, json!({ "error": "SERVICE_UNAVAILABLE" })),
            "transient",
            "SERVICE_UNAVAILABLE",
            true,
            "",
        ),
    ];
    unhappy::refusals_are_told(&service, HOST, &calls(), &refusals);

    service.on(HOST, move |_| said(422, "INVALID_VALUE_FOR_COLUMN"));
    for call in calls() {
        assert_eq!(unhappy::error(&service, &call)["message"], "Airtable: Why it was refused");
    }
}

#[test]
fn nonsense_is_airtables_fault() {
    let service = service();
    unhappy::nonsense_is_survived(&service, HOST, &calls());
}

#[test]
fn bad_arguments_are_not_sent() {
    let service = service();
    let [create, list, update] = calls();
    let with = |(tool, args): &Call, name: &str, value: Value| {
        let mut args = args.clone();
        args[name] = value;
        (*tool, args)
    };
    let mut more = vec![
        with(&create, "fields", json!("Name")),
        with(&create, "fields", json!([{ "Name": "A" }])),
        with(&create, "typecast", json!(true)),
        with(&list, "max_records", json!(0)),
        with(&list, "max_records", json!(1001)),
        with(&list, "max_records", json!("7")),
        with(&list, "formula", json!({})),
        with(&list, "view", json!("Grid")),
    ];
    // Other ids than those of bases and records would make other calls of these: `/v0/meta/bases` is one.
    for call in [&create, &list, &update] {
        for id in ["meta", "bases", "app", "app/x", "app?x", "appä", "APP1", "recAAAAAAAAAAAAAA", ".."] {
            more.push(with(call, "base_id", json!(id)));
        }
        more.extend(
            unhappy::odd_texts().into_iter().chain(unhappy::no_names()).map(|text| with(call, "base_id", json!(text))),
        );
    }
    for id in ["comments", "rec", "rec/comments", "app1", "..", &format!("rec{}", "x".repeat(62))] {
        more.push(with(&update, "record_id", json!(id)));
    }
    more.extend(
        unhappy::odd_texts().into_iter().chain(unhappy::no_names()).map(|text| with(&update, "record_id", json!(text))),
    );
    let required: [(Call, &[&str]); 3] = [
        (create, &["base_id", "table_name", "fields"]),
        (list, &["base_id", "table_name"]),
        (update, &["base_id", "table_name", "record_id", "fields"]),
    ];
    unhappy::bad_arguments_are_not_sent(&service, HOST, &required, &more);
}

#[test]
fn table_names_stay_in_their_segment() {
    let service = service();
    service.on(HOST, answer);
    for ((tool, args), path) in calls().into_iter().zip([
        format!("/v0/{BASE}/{{}}"),
        format!("/v0/{BASE}/{{}}"),
        format!("/v0/{BASE}/{{}}/{RECORD}"),
    ]) {
        let call = |name: &str| {
            let mut args = args.clone();
            args["table_name"] = json!(name);
            (tool, args)
        };
        unhappy::a_text_stays_in_its_segment(&service, HOST, call, &[&path]);
    }
}
