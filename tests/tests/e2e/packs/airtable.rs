//! The Airtable pack against pyairtable, and when Airtable says no.

use rig_tests::{Recorded, Reply};
use serde_json::{Value, json};

use super::Service;

const HOST: &str = "api.airtable.com";
const TOKEN: &str = "patAbCdEfGhIjKlMn.0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const BASE: &str = "appLkNDICXNqxSDhG";
const RECORD: &str = "rec560UJdUtocSouk";

fn service() -> Service {
    Service::start("airtable", &[("AIRTABLE_API_KEY", TOKEN)])
}

/// Every tool with what it requires, and all of its arguments.
fn calls() -> [(&'static str, &'static [&'static str], Value); 3] {
    let fields = json!({
        "Name": "Grüße \u{1F44B} \"\\\n", "Rent": 2.5, "Visited": true, "Tags": ["a", "b"], "Due": null,
        "Photos": [{ "url": "https://example.com/a.jpg?x=1&y=2" }]
    });
    [
        (
            "airtable.records.create",
            &["base_id", "table_name", "fields"],
            json!({ "base_id": BASE, "table_name": "Apartments", "fields": fields }),
        ),
        (
            "airtable.records.list",
            &["base_id", "table_name"],
            json!({ "base_id": BASE, "table_name": "Apartments", "max_records": 7,
                "formula": "AND({Größe} > 2, FIND('a&b=c+d', {Name}))" }),
        ),
        (
            "airtable.records.update",
            &["base_id", "table_name", "record_id", "fields"],
            json!({ "base_id": BASE, "table_name": "Apartments", "record_id": RECORD, "fields": fields }),
        ),
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
    let table = |name: &str| json!({ "base_id": BASE, "table_name": name });
    let with = |mut args: Value, name: &str, value: Value| {
        args[name] = value;
        args
    };
    let long = format!("OR({})", vec!["{Name} = 'ä'"; 900].join(", "));
    let more = [
        ("airtable.records.create", with(table("Wohnungen & Häuser / 2%"), "fields", json!({}))),
        ("airtable.records.list", table("tblAbCdEfGhIjKlMn")),
        ("airtable.records.list", with(table("To do?"), "formula", json!(""))),
        ("airtable.records.list", with(table("Apartments"), "max_records", json!(230))),
        ("airtable.records.list", with(table("Apartments"), "max_records", json!(1000))),
        ("airtable.records.list", with(with(table("#1"), "max_records", json!(150)), "formula", json!(long))),
        ("airtable.records.update", with(with(table("#1"), "record_id", json!(RECORD)), "fields", json!({}))),
    ];
    for (tool, args) in calls().map(|(tool, _, args)| (tool, args)).into_iter().chain(more) {
        service.sends_what_the_sdk_sends(tool, &args, &[]);
    }
}

#[test]
fn answers_hold_what_a_caller_acts_on() {
    let service = service();
    service.on(HOST, answer);
    let [create, list, update] = calls().map(|(tool, _, args)| service.output(tool, &args));
    let fields = &calls()[0].2["fields"];
    assert_eq!(create, json!({ "id": "recNEW", "created_time": "2022-09-12T21:03:48.000Z", "fields": fields }));
    assert_eq!(update, json!({ "id": RECORD, "created_time": "2022-09-12T21:03:48.000Z", "fields": fields }));
    assert_eq!((list["records"].as_array().unwrap().len(), &list["has_more"]), (7, &json!(null)));
    assert_eq!(
        list["records"][6],
        json!({
            "id": "rec00000000000006", "created_time": "2022-09-12T21:03:48.000Z",
            "fields": { "Name": "Flat 6", "Rent": 750.5 }
        })
    );
    let output = service.output("airtable.records.list", &json!({ "base_id": BASE, "table_name": "Apartments" }));
    assert_eq!((output["records"].as_array().unwrap().len(), &output["has_more"]), (100, &json!(true)), "a page");
    for (max, listed, more) in
        [(1, 1, json!(null)), (100, 100, json!(null)), (249, 249, json!(null)), (1000, 250, json!(false))]
    {
        let (tool, _, mut args) = calls()[1].clone();
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
    let calls = calls().map(|(tool, _, args)| (tool, args));
    let forbidden = "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND";
    let used_up = "PUBLIC_API_BILLING_LIMIT_EXCEEDED";
    let limit = |code: &str| Reply::json(429, json!({ "errors": [{ "error": code, "message": "Too much" }] }));
    let missing = || Reply::json(404, json!({ "error": "NOT_FOUND" }));
    let answers = [
        (said(401, "AUTHENTICATION_REQUIRED"), "auth_error", "AUTHENTICATION_REQUIRED", false),
        (said(403, forbidden), "permission_error", forbidden, false),
        (missing(), "not_found", "NOT_FOUND", false),
        (said(409, "CONFLICT"), "conflict", "CONFLICT", false),
        (said(422, "UNKNOWN_FIELD_NAME"), "validation_error", "UNKNOWN_FIELD_NAME", false),
        (said(422, "ROW_DOES_NOT_EXIST"), "not_found", "ROW_DOES_NOT_EXIST", false),
        (limit("RATE_LIMIT_REACHED").header("Retry-After", "17"), "rate_limited", "RATE_LIMIT_REACHED", true),
        (limit(used_up), "rate_limited", used_up, false),
        (said(500, "SERVER_ERROR"), "upstream_error", "SERVER_ERROR", true),
        (Reply::html(502, "<h1>Bad gateway</h1>"), "transient", "502", true),
        (Reply::json(503, json!({ "error": "SERVICE_UNAVAILABLE" })), "transient", "SERVICE_UNAVAILABLE", true),
    ];
    service.answers_become_kinds(HOST, &calls, answers);
    for (reply, hint) in [
        (said(401, "AUTHENTICATION_REQUIRED"), "AIRTABLE_API_KEY"),
        (said(403, forbidden), "scope"),
        (missing(), "case-sensitive"),
        (said(422, "UNKNOWN_FIELD_NAME"), "airtable.records.list"),
        (limit("RATE_LIMIT_REACHED").header("Retry-After", "17"), "retry after 17 s"),
        (limit("RATE_LIMIT_REACHED"), "retry after 30 s"),
        (limit(used_up), "plan"),
    ] {
        service.on(HOST, move |_| reply.clone());
        let error = service.call(calls[0].0, &calls[0].1)["error"].clone();
        assert!(error["remediation_hints"][0].as_str().is_some_and(|first| first.contains(hint)), "{hint}: {error}");
    }
    service.on(HOST, move |_| said(422, "INVALID_VALUE_FOR_COLUMN"));
    for (tool, args) in calls {
        assert_eq!(service.error(tool, &args, "validation_error")["message"], "Airtable: Why it was refused");
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
    let [create, list, update] = calls();
    let mut cases = vec![
        (&create, "table_name", String::new()),
        (&create, "table_name", "x".repeat(256)),
        (&list, "max_records", "7".to_owned()),
    ];
    // Other ids than those of bases and records would make other calls of these: `/v0/meta/bases` is one.
    for call in [&create, &list, &update] {
        for id in ["meta", "bases", "app", "app/x", "app?x", "appä", "app1\n", "APP1", RECORD] {
            cases.push((call, "base_id", id.to_owned()));
        }
    }
    for id in ["comments", "rec", "rec/comments", "rec1\n", BASE, &format!("rec{}", "x".repeat(62))] {
        cases.push((&update, "record_id", id.to_owned()));
    }
    for ((tool, _, args), name, text) in cases {
        let mut args = args.clone();
        args[name] = json!(text);
        service.error(tool, &args, "validation_error");
        service.upstream.assert_untouched();
    }
    for max in [0, 1001] {
        let mut args = list.2.clone();
        args["max_records"] = json!(max);
        service.error(list.0, &args, "validation_error");
        service.upstream.assert_untouched();
    }
}

#[test]
fn names_and_ids_cannot_change_the_request() {
    let service = service();
    for (tool, required, args) in calls() {
        for name in required.iter().filter(|name| **name != "fields") {
            service.path_keeps_its_shape(HOST, tool, &args, name);
        }
    }
}
