//! The Supabase pack against its SDK and against what a project answers.

use rig_tests::{
    Recorded, Reply,
    sdk::{Allowed, Part},
};
use serde_json::{Value, json};

use super::Service;

const HOST: &str = "abcdefghijklmnop.supabase.co";
const KEY: &str = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl";
const SETTINGS: [(&str, &str); 2] =
    [("SUPABASE_URL", "https://abcdefghijklmnop.supabase.co"), ("SUPABASE_SERVICE_ROLE_KEY", KEY)];

fn setup() -> Service {
    let service = Service::start("supabase", &SETTINGS);
    service.on(HOST, answer);
    service
}

fn answer(request: &Recorded) -> Reply {
    let row = json!({ "id": 7, "name": "Ada", "age": null, "tags": ["a"], "big": 12_345_678_901_234_567_u64 });
    match (request.method.as_str(), request.path()) {
        ("GET", path) if path.starts_with("/rest/v1/") => {
            Reply::json(200, json!([row])).header("Content-Range", "0-0/*")
        }
        ("POST", path) if path.starts_with("/rest/v1/") => Reply::json(201, json!([row])),
        ("PATCH", path) if path.starts_with("/rest/v1/") => Reply::json(200, json!([row, row])),
        ("POST", "/auth/v1/admin/users") => Reply::json(
            200,
            json!({
                "id": "11111111-1111-4111-8111-111111111111", "aud": "authenticated", "role": "authenticated",
                "email": "ada@example.com", "email_confirmed_at": "2026-11-01T10:00:00Z", "phone": "", "app_metadata": {},
                "user_metadata": { "name": "Ada" }, "identities": [], "created_at": "2026-11-01T10:00:00Z",
                "updated_at": "2026-11-01T10:00:00Z", "is_anonymous": false
            }),
        ),
        _ => Reply::json(404, json!({ "message": "no Route matched with those values" })),
    }
}

fn calls() -> [(&'static str, &'static [&'static str], Value); 4] {
    let filters = json!({
        "active": true, "age": { "gte": 18, "lt": 65.5 }, "city": ["Oslo", "a,b", "c\"d", "ü"], "deleted_at": null,
        "left": { "neq": null }, "name": { "ilike": "%a&b=c%" }, "quoted,name": "x y", "tags": { "cs": ["x", "y z"] },
        "meta": { "cs": { "k": [1] } }, "author.name": { "neq": "(x)" }, "seen": { "is": false }, "empty": ""
    });
    [
        (
            "supabase.table.select",
            &["table"],
            json!({ "table": "people", "columns": "id, name,author(name),\"a b\"", "filters": filters, "limit": 10 }),
        ),
        (
            "supabase.table.insert",
            &["table", "data"],
            json!({ "table": "people", "data": { "name": "Ada \u{1F600}", "age": null, "tags": ["a"] } }),
        ),
        (
            "supabase.table.update",
            &["table", "data", "filters"],
            json!({ "table": "people", "data": { "name": "Ada", "age": 1.5 }, "filters": filters }),
        ),
        (
            "supabase.auth.createUser",
            &["email"],
            json!({
                "email": "ada@example.com", "password": "correct horse", "email_confirm": false,
                "user_metadata": { "name": "Ada", "n": [1] }
            }),
        ),
    ]
}

#[test]
fn every_tool_sends_what_the_sdk_sends() {
    let service = setup();
    let allowed = [Allowed { part: Part::Header("x-client-info"), why: "each says its own name and version" }];
    let minimal = [
        ("supabase.table.select", json!({ "table": "people" })),
        ("supabase.table.select", json!({ "table": "a b/c", "filters": {} })),
        ("supabase.table.select", json!({ "table": "people", "limit": 1000, "filters": { "id": [] } })),
        ("supabase.table.insert", json!({ "table": "people", "data": [{ "na\"me": "Ada" }, { "na\"me": null }] })),
        ("supabase.table.insert", json!({ "table": "people", "data": {} })),
        ("supabase.table.update", json!({ "table": "people", "data": { "a": null }, "filters": { "id": 7 } })),
        ("supabase.auth.createUser", json!({ "email": "ada@example.com" })),
    ];
    let json = Allowed { part: Part::Query("meta"), why: "the same JSON, which the SDK writes with spaces" };
    for (tool, args) in calls().map(|(tool, _, args)| (tool, args)).into_iter().chain(minimal) {
        // The SDK leaves a slash in the name of a table as it is, which makes it another path.
        if args["table"] == "a b/c" {
            service.upstream.forget();
            service.output(tool, &args);
            assert_eq!(service.upstream.request().path(), "/rest/v1/a%20b%2Fc");
            continue;
        }
        let json: &[Allowed<'_>] = if args["filters"]["meta"].is_object() { &[json] } else { &[] };
        service.sends_what_the_sdk_sends(tool, &args, &[&allowed, json].concat());
    }
    service.upstream.forget();
    service.output("supabase.table.select", &json!({ "table": "people" }));
    let sent = service.upstream.request();
    assert_eq!(sent.header("apikey"), Some(KEY));
    assert_eq!(sent.header("authorization"), Some(&*format!("Bearer {KEY}")));
}

#[test]
fn answers_hold_what_is_in_the_database() {
    let service = setup();
    let [read, inserted, updated, user] = calls().map(|(tool, _, args)| service.output(tool, &args));
    let row = json!({ "id": 7, "name": "Ada", "age": null, "tags": ["a"], "big": 12_345_678_901_234_567_u64 });
    assert_eq!(read, json!({ "rows": [row], "count": 1 }));
    assert_eq!(inserted, json!({ "rows": [row], "count": 1 }));
    assert_eq!(updated, json!({ "rows": [row, row], "count": 2 }));
    assert_eq!(
        user,
        json!({
            "id": "11111111-1111-4111-8111-111111111111", "email": "ada@example.com",
            "email_confirmed_at": "2026-11-01T10:00:00Z", "created_at": "2026-11-01T10:00:00Z",
            "user_metadata": { "name": "Ada" }
        })
    );
}

#[test]
fn many_rows_are_read_in_several_requests() {
    let service = setup();
    service.on(HOST, |request| {
        let field =
            |name: &str| request.query().iter().find(|(n, _)| *n == name).map_or(0, |(_, v)| v.parse().unwrap());
        let (limit, offset): (usize, usize) = (field("limit"), field("offset"));
        let rows: Vec<Value> = (offset..2300.min(offset + limit.min(1000))).map(|n| json!({ "n": n })).collect();
        Reply::json(200, json!(rows))
    });
    let output = service.output("supabase.table.select", &json!({ "table": "t", "limit": 2200 }));
    assert_eq!((output["count"].as_u64(), &output["rows"][2199]), (Some(2200), &json!({ "n": 2199 })));
    let asked: Vec<String> = service.upstream.requests().iter().map(|request| request.target.clone()).collect();
    assert_eq!(
        asked,
        [
            "/rest/v1/t?select=%2A&limit=2200",
            "/rest/v1/t?select=%2A&limit=1200&offset=1000",
            "/rest/v1/t?select=%2A&limit=200&offset=2000"
        ]
    );
}

#[test]
fn refusals_of_supabase_are_told() {
    let service = setup();
    let error = |status: u16, code: &str| {
        Reply::json(status, json!({ "code": code, "message": "What is wrong", "details": null, "hint": null }))
    };
    let gateway =
        json!({ "message": "Invalid API key", "hint": "Double check your Supabase `anon` or `service_role` API key." });
    let calls = calls().map(|(tool, _, args)| (tool, args));
    service.answers_become_kinds(
        HOST,
        &calls,
        [
            (error(400, "42703"), "validation_error", "42703", false),
            (Reply::json(401, gateway), "auth_error", "401", false),
            (error(403, "42501"), "permission_error", "42501", false),
            (error(404, "PGRST205"), "not_found", "PGRST205", false),
            (error(409, "23505"), "conflict", "23505", false),
            (error(422, "weak_password"), "validation_error", "weak_password", false),
            (error(422, "email_exists"), "conflict", "email_exists", false),
            (
                error(429, "over_request_rate_limit").header("Retry-After", "17"),
                "rate_limited",
                "over_request_rate_limit",
                true,
            ),
            (error(500, "XX000"), "upstream_error", "XX000", true),
            (error(500, "57014"), "timeout", "57014", true),
            (Reply::html(503, "<h1>Unavailable</h1>"), "transient", "503", true),
        ],
    );
    service.upstream.reply(HOST, error(401, "PGRST301"));
    let error = service.error(calls[0].0, &calls[0].1, "auth_error");
    assert!(error["remediation_hints"].to_string().contains("SUPABASE_SERVICE_ROLE_KEY"), "{error}");
}

#[test]
fn nonsense_is_the_service_s_fault() {
    let service = setup();
    let calls = calls().map(|(tool, _, args)| (tool, args));
    // No rows are an answer too, but not when a user was to be created.
    service.nonsense_is_the_service_s_fault(HOST, &calls[3..]);
    for reply in [
        Reply::html(200, "<h1>Sign in</h1>"),
        Reply::new(200, ""),
        Reply::new(201, "[{"),
        Reply::json(200, json!(null)),
        Reply::json(200, json!({})),
        Reply::json(200, json!([1])),
        Reply::new(200, "[]".repeat(50)).cut_at(50),
        Reply::raw(""),
    ] {
        service.upstream.reply(HOST, reply);
        for (tool, args) in &calls[..3] {
            service.error(tool, args, "upstream_error");
        }
    }
}

#[test]
fn bad_arguments_are_not_sent() {
    let service = setup();
    for (tool, required, args) in calls() {
        service.bad_arguments_are_not_sent(tool, required, &args);
    }
    for (tool, args) in [
        ("supabase.table.update", json!({ "table": "t", "data": { "a": 1 }, "filters": {} })),
        ("supabase.table.update", json!({ "table": "t", "data": { "a": 1 }, "filters": { "id": {} } })),
        ("supabase.table.update", json!({ "table": "t", "data": {}, "filters": { "id": 1 } })),
        ("supabase.table.insert", json!({ "table": "t", "data": [] })),
        ("supabase.table.insert", json!({ "table": "", "data": {} })),
        ("supabase.table.select", json!({ "table": "t", "limit": 0 })),
        ("supabase.table.select", json!({ "table": "t", "filters": { "select": "x" } })),
        ("supabase.table.select", json!({ "table": "t", "filters": { "or": "(a.eq.1)" } })),
        ("supabase.table.select", json!({ "table": "t", "filters": { "a": { "drop": 1 } } })),
        ("supabase.table.select", json!({ "table": "t", "filters": { "a": vec!["x".repeat(300); 300] } })),
        ("supabase.auth.createUser", json!({ "email": "" })),
    ] {
        service.error(tool, &args, "validation_error");
        service.upstream.assert_untouched();
    }
}

#[test]
fn an_argument_cannot_change_the_request() {
    let service = setup();
    for (tool, _, args) in &calls()[..3] {
        service.path_keeps_its_shape(HOST, tool, args, "table");
    }
    // Names and values of filters stay one field of the query, whatever they hold.
    service.on(HOST, answer);
    for text in
        ["a&limit=1", "a=b", "a#b", "a?b", "a\r\nX: y", "*", "x),or=(id.gt.0", "\u{0}", "ünï \u{1F600}", "%26select=x"]
    {
        service.upstream.forget();
        let result = service.call("supabase.table.select", &json!({ "table": "t", "filters": { "c": text } }));
        let sent = service.upstream.requests();
        let query = sent[0].query();
        assert_eq!((query.len(), query[0].0, query[1].0), (2, "select", "c"), "{text:?}: {}", sent[0].line());
        assert_eq!(result["ok"], true, "{text:?}: {result}");
        service.upstream.forget();
        service.call("supabase.table.select", &json!({ "table": "t", "filters": { text: 1 } }));
        for sent in service.upstream.requests() {
            assert_eq!((sent.query().len(), sent.query()[0].0), (2, "select"), "{text:?}: {}", sent.line());
            assert!(sent.query()[1].1.starts_with("eq."), "{text:?}: {}", sent.line());
        }
    }
}

#[test]
fn the_project_is_a_setting_and_nothing_else_is_reached() {
    for url in [
        "abcdefghijklmnop.supabase.co",
        "https://abcdefghijklmnop.supabase.co/",
        " https://ABCDEFGHIJKLMNOP.supabase.co",
    ] {
        let service = Service::start("supabase", &[("SUPABASE_URL", url), SETTINGS[1]]);
        service.on(HOST, answer);
        service.output("supabase.table.select", &json!({ "table": "t" }));
        assert_eq!(service.upstream.connects(), [format!("{HOST}:443")]);
    }
    for url in [
        "https://*.supabase.co",
        "https://user:pw@abcdefghijklmnop.supabase.co",
        "https://abcdefghijklmnop.supabase.co@evil.test",
        "https://evil.test\\@abcdefghijklmnop.supabase.co",
        "http://abcdefghijklmnop.supabase.co",
        "https://abcdefghijklmnop.supabase.co/rest/v1",
        "https://abcdefghijklmnop.supabase.co#x",
        "",
    ] {
        let service = Service::start("supabase", &[("SUPABASE_URL", url), SETTINGS[1]]);
        service.on(HOST, answer).on("evil.test", answer);
        let result = service.call("supabase.table.select", &json!({ "table": "t" }));
        let error = &result["error"];
        assert!(
            ["auth_error", "internal_error"].contains(&error["type"].as_str().unwrap_or_default()),
            "{url}: {result}"
        );
        let text = error.to_string();
        assert!(text.contains("SUPABASE_URL") && !text.contains("pw@"), "{url}: {error}");
        service.upstream.assert_untouched();
    }
}
