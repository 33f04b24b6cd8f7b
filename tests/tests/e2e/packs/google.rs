//! The Google pack against its SDK, against what Google answers, and its way to tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rig_tests::{
    Recorded, Reply,
    sdk::{Allowed, Part},
};
use serde_json::{Value, json};

use super::Service;

const SHEETS: &str = "sheets.googleapis.com";
const DRIVE: &str = "www.googleapis.com";
const TOKENS: &str = "oauth2.googleapis.com";
const SHEET: &str = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms";
const TOKEN: &str = "ya29.c.0123456789-the-token-of-the-tests";

/// The key of a service account, as the console writes it.
fn key() -> Value {
    let pem = include_str!("../../../keys/service-account.pem");
    json!({
        "type": "service_account", "project_id": "tests", "private_key_id": "0123456789abcdef0123456789abcdef01234567",
        "private_key": &pem[pem.find("-----BEGIN").unwrap()..], "client_email": "robot@tests.iam.gserviceaccount.com",
        "client_id": "123456789012345678901", "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs", "universe_domain": "googleapis.com"
    })
}

fn with_key(key: &Value) -> Service {
    let service = Service::start("google", &[("GOOGLE_CREDENTIALS_JSON", &key.to_string())]);
    service.on(SHEETS, answer).on(DRIVE, answer).on(TOKENS, |_| token());
    service
}

/// A gateway that has a token already, so that what follows is the service's requests alone.
pub(super) fn setup() -> Service {
    let service = with_key(&key());
    service.output("google.drive.files.list", &json!({}));
    service.upstream.forget();
    service
}

fn token() -> Reply {
    Reply::json(200, json!({ "access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer" }))
}

fn answer(request: &Recorded) -> Reply {
    match (request.method.as_str(), request.path()) {
        ("GET", "/drive/v3/files") => Reply::json(
            200,
            json!({
                "kind": "drive#fileList", "incompleteSearch": false,
                "files": [{ "kind": "drive#file", "mimeType": "application/vnd.google-apps.spreadsheet", "id": SHEET, "name": "Budget" }]
            }),
        ),
        ("GET", path) if path.starts_with("/v4/spreadsheets/") => Reply::json(
            200,
            json!({ "range": "'Class Data'!A1:B3", "majorDimension": "ROWS", "values": [["Name", "Age"], [], ["Ada", "36"]] }),
        ),
        ("PUT", path) if path.starts_with("/v4/spreadsheets/") => Reply::json(
            200,
            json!({
                "spreadsheetId": SHEET, "updatedRange": "Sheet1!A1:B2", "updatedRows": 2, "updatedColumns": 2, "updatedCells": 4
            }),
        ),
        _ => Reply::json(404, json!({ "error": { "code": 404, "message": "Not found.", "status": "NOT_FOUND" } })),
    }
}

pub(super) fn calls() -> [(&'static str, &'static [&'static str], Value); 3] {
    [
        (
            "google.sheets.values.get",
            &["spreadsheet_id", "range"],
            json!({ "spreadsheet_id": SHEET, "range": "'Q1 (draft) + ü?'!A1:B3" }),
        ),
        (
            "google.sheets.values.update",
            &["spreadsheet_id", "range", "values"],
            json!({
                "spreadsheet_id": SHEET, "range": "Sheet1!A1:B2",
                "values": [["=SUM(A2:A9)", 3.5], [true, null], [], ["\u{1F600} \"q\"\n", -1]]
            }),
        ),
        (
            "google.drive.files.list",
            &[],
            json!({ "query": "name contains 'bud&get' and trashed = false", "page_size": 10 }),
        ),
    ]
}

#[test]
fn every_tool_sends_what_the_sdk_sends() {
    let service = setup();
    let common = [
        Allowed { part: Part::Request("POST /token"), why: "rig keeps its token; each run of the SDK gets one" },
        Allowed { part: Part::Header("x-goog-api-client"), why: "the SDK tells Google its name and version" },
    ];
    let size = Allowed { part: Part::Query("pageSize"), why: "without it Google may answer with all files there are" };
    for (tool, _, args) in calls() {
        service.sends_what_the_sdk_sends(tool, &args, &common);
    }
    let plain = json!({ "spreadsheet_id": SHEET, "range": "Sheet1" });
    service.sends_what_the_sdk_sends("google.sheets.values.get", &plain, &common);
    service.sends_what_the_sdk_sends("google.drive.files.list", &json!({}), &[&common[..], &[size]].concat());
    // The range is encoded whole, as the SDK does it.
    service.upstream.forget();
    service.output("google.sheets.values.get", &json!({ "spreadsheet_id": SHEET, "range": "'a b'!A1:B2" }));
    let target = format!("/v4/spreadsheets/{SHEET}/values/%27a%20b%27%21A1%3AB2?alt=json");
    assert_eq!(service.upstream.request().target, target);
}

/// What was signed to get a token: the parts of the assertion that are read, and the form around it.
fn signed(request: &Recorded) -> (Value, Value, Vec<(String, String)>) {
    let fields: Vec<(String, String)> = url_fields(&request.body);
    let assertion = &fields.iter().find(|(name, _)| name == "assertion").unwrap().1;
    let part = |n: usize| {
        let bytes = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(n).unwrap()).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    let rest = fields.iter().filter(|(name, _)| name != "assertion").cloned().collect();
    (part(0), part(1), rest)
}

fn url_fields(body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    text.split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

#[test]
fn a_token_is_asked_for_as_the_sdk_does() {
    let service = with_key(&key());
    service.output("google.drive.files.list", &json!({}));
    let ours = service.upstream.requests();
    assert_eq!(ours.iter().map(Recorded::line).collect::<Vec<_>>()[0], "POST https://oauth2.googleapis.com/token");
    assert_eq!(ours[1].header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    let (header, mut claims, form) = signed(&ours[0]);
    assert_eq!(form, [("grant_type".to_owned(), "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned())]);
    let Some(sdk) = &service.sdk else { return };
    let theirs = sdk.drive(&service.upstream, "google.drive.files.list", &json!({}));
    assert_eq!(theirs[0].line(), ours[0].line());
    assert_eq!(theirs[0].header("content-type"), ours[0].header("content-type"));
    let (their_header, mut their_claims, their_form) = signed(&theirs[0]);
    assert_eq!((header, form), (their_header, their_form));
    // Signed at another second, for as long.
    for claims in [&mut claims, &mut their_claims] {
        claims["exp"] = json!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap());
        claims["iat"] = json!(0);
    }
    assert_eq!(claims, their_claims);
}

#[test]
fn a_token_is_shared_replaced_once_and_in_the_audit_log() {
    let service = setup();
    for (tool, _, args) in calls() {
        service.output(tool, &args);
    }
    let hosts = |service: &Service| service.upstream.requests().iter().map(|r| r.host.clone()).collect::<Vec<_>>();
    assert_eq!(hosts(&service), [SHEETS, SHEETS, DRIVE], "the token of the first call serves them all");
    // Google ends the token before its time.
    service.upstream.forget();
    service.on(TOKENS, |_| Reply::json(200, json!({ "access_token": "ya29.new-token-1", "expires_in": 3599 })));
    service.on(DRIVE, |request| {
        let old = request.header("authorization") == Some(&*format!("Bearer {TOKEN}"));
        if old { Reply::json(401, json!({ "error": { "status": "UNAUTHENTICATED" } })) } else { answer(request) }
    });
    service.output("google.drive.files.list", &json!({}));
    assert_eq!(hosts(&service), [DRIVE, TOKENS, DRIVE]);
    let query = json!({ "tool_name": "google.drive.files.list", "limit": 1 });
    let page = service.gateway.post("/v1/audit/query", query).json();
    let sent: Vec<(&str, u64)> = page["entries"][0]["egress"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sent| (sent["host"].as_str().unwrap(), sent["status"].as_u64().unwrap()))
        .collect();
    assert_eq!(sent, [(DRIVE, 401), (TOKENS, 200), (DRIVE, 200)]);
    // A new one that is refused as well is not the reason.
    service.upstream.forget();
    service
        .upstream
        .reply(DRIVE, Reply::json(401, json!({ "error": { "message": "no", "status": "UNAUTHENTICATED" } })));
    let error = service.error("google.drive.files.list", &json!({}), "auth_error");
    assert_eq!(error["upstream_code"], "UNAUTHENTICATED");
    assert_eq!(hosts(&service), [DRIVE, TOKENS, DRIVE]);
    service.upstream.forget();
    service.error("google.drive.files.list", &json!({}), "auth_error");
    assert_eq!(hosts(&service), [DRIVE]);
}

/// A change of the key, what is said of it, and what to do.
type Case = (fn(&mut Value), &'static str, &'static str);

#[test]
fn a_key_that_cannot_be_used_is_told() {
    let with = |change: fn(&mut Value)| {
        let mut key = key();
        change(&mut key);
        with_key(&key)
    };
    let cases: [Case; 5] = [
        (|key| *key = json!("key.json"), "it is not a JSON object", "$(cat key.json)"),
        (|key| key["type"] = json!("authorized_user"), "of type `authorized_user`", "make a key for a service account"),
        (|key| key["private_key"] = json!("-----BEGIN PRIVATE KEY-----\ncanary"), "`private_key` is not", "make a key"),
        (|key| key["token_uri"] = json!("https://evil.test/token"), "its `token_uri` is not", "make a new key"),
        (
            |key| key["token_uri"] = json!("https://oauth2.googleapis.com@evil.test/token"),
            "its `token_uri` is not",
            "new key",
        ),
    ];
    for (change, why, hint) in cases {
        let service = with(change);
        service.on("evil.test", |_| token());
        let error = service.error("google.drive.files.list", &json!({}), "auth_error");
        assert!(error["message"].as_str().unwrap().contains(why), "{error}");
        assert!(error["remediation_hints"].to_string().contains(hint), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
        service.upstream.assert_untouched();
    }
    // The control: the key as it was made works.
    with(|_| ()).output("google.drive.files.list", &json!({}));
}

#[test]
fn what_the_token_endpoint_says_is_told() {
    let service = with_key(&key());
    let refuse = |error: &str, why: &str| Reply::json(400, json!({ "error": error, "error_description": why }));
    let pem = key()["private_key"].as_str().unwrap().to_owned();
    for (reply, kind, code, retryable, hint) in [
        (
            refuse("invalid_grant", "Invalid JWT Signature."),
            "auth_error",
            json!("invalid_grant"),
            false,
            "make a new key",
        ),
        (
            refuse("invalid_grant", "Invalid JWT: Token must be a short-lived token and in a reasonable timeframe."),
            "auth_error",
            json!("invalid_grant"),
            false,
            "set the clock of this machine",
        ),
        (refuse("invalid_grant", &pem), "auth_error", json!("invalid_grant"), false, ""),
        (Reply::html(503, "<h1>no</h1>"), "transient", json!("503"), true, ""),
        (Reply::json(429, json!({})).header("Retry-After", "7"), "rate_limited", json!("429"), true, "retry after 7 s"),
        (Reply::html(200, "<h1>Sign in</h1>"), "upstream_error", json!("200"), true, ""),
        (Reply::raw(""), "transient", Value::Null, true, ""),
    ] {
        service.upstream.forget();
        let shown = format!("{reply:?}");
        service.upstream.reply(TOKENS, reply);
        let (tool, _, args) = &calls()[1];
        let error = service.error(tool, args, kind);
        assert_eq!((&error["upstream_code"], &error["retryable"]), (&code, &json!(retryable)), "{shown}: {error}");
        assert!(error["remediation_hints"].to_string().contains(hint), "{shown}: {error}");
        assert!(!error.to_string().contains("PRIVATE KEY") && !error.to_string().contains("<h1>"), "{error}");
        assert!(service.upstream.requests().iter().all(|request| request.host == TOKENS), "{shown}");
    }
}

#[test]
fn neither_key_nor_token_comes_back() {
    let service = setup();
    service.on(SHEETS, |request| {
        let sent = request.header("authorization").unwrap();
        Reply::json(200, json!({ "range": sent, "values": [[key()["private_key"], key().to_string(), TOKEN]] }))
    });
    let (tool, _, args) = &calls()[0];
    let text = service.output(tool, args).to_string();
    assert!(
        text.contains("[redacted:GOOGLE_CREDENTIALS_JSON]") && !text.contains("ya29") && !text.contains("PRIVATE"),
        "{text}"
    );
}

#[test]
fn answers_hold_what_a_caller_acts_on() {
    let service = setup();
    let [read, written, files] = calls().map(|(tool, _, args)| service.output(tool, &args));
    assert_eq!(read, json!({ "range": "'Class Data'!A1:B3", "values": [["Name", "Age"], [], ["Ada", "36"]] }));
    assert_eq!(
        written,
        json!({
            "spreadsheet_id": SHEET, "updated_range": "Sheet1!A1:B2", "updated_cells": 4, "updated_rows": 2, "updated_columns": 2
        })
    );
    let file = json!({ "id": SHEET, "name": "Budget", "mime_type": "application/vnd.google-apps.spreadsheet" });
    assert_eq!(files, json!({ "files": [file], "has_more": false, "incomplete_search": false }));
}

#[test]
fn files_are_listed_over_pages() {
    let service = setup();
    service.on(DRIVE, |request| {
        let page = request
            .query()
            .iter()
            .find(|(name, _)| *name == "pageToken")
            .map_or(0, |(_, token)| token.parse().unwrap());
        let files: Vec<Value> = (0..[2, 0, 3][page]).map(|n| json!({ "id": format!("{page}-{n}") })).collect();
        let mut body = json!({ "files": files });
        if page < 2 {
            body["nextPageToken"] = json!((page + 1).to_string());
        }
        Reply::json(200, body)
    });
    let output = service.output("google.drive.files.list", &json!({ "page_size": 4 }));
    assert_eq!((output["files"].as_array().unwrap().len(), &output["has_more"]), (4, &json!(true)));
    let targets: Vec<String> = service.upstream.requests().iter().map(|request| request.target.clone()).collect();
    assert_eq!(
        targets,
        [
            "/drive/v3/files?alt=json&pageSize=4",
            "/drive/v3/files?alt=json&pageSize=2&pageToken=1",
            "/drive/v3/files?alt=json&pageSize=2&pageToken=2"
        ]
    );
}

#[test]
fn refusals_of_google_are_told() {
    let service = setup();
    let error = |status: u16, code: &str| {
        Reply::json(status, json!({ "error": { "code": status, "message": "What is wrong", "status": code } }))
    };
    let usage = json!({ "error": { "code": 403, "message": "m", "errors": [{ "reason": "userRateLimitExceeded" }] } });
    let answers = || {
        [
            (error(400, "INVALID_ARGUMENT"), "validation_error", "INVALID_ARGUMENT", false),
            (error(403, "PERMISSION_DENIED"), "permission_error", "PERMISSION_DENIED", false),
            (Reply::json(403, usage.clone()), "rate_limited", "userRateLimitExceeded", true),
            (error(404, "NOT_FOUND"), "not_found", "NOT_FOUND", false),
            (error(409, "ABORTED"), "conflict", "ABORTED", false),
            (error(422, "X"), "validation_error", "X", false),
            (error(429, "RESOURCE_EXHAUSTED").header("Retry-After", "17"), "rate_limited", "RESOURCE_EXHAUSTED", true),
            (error(500, "INTERNAL"), "upstream_error", "INTERNAL", true),
            (Reply::html(503, "<h1>Unavailable</h1>"), "transient", "503", true),
        ]
    };
    let calls = calls().map(|(tool, _, args)| (tool, args));
    service.answers_become_kinds(SHEETS, &calls[..2], answers());
    service.answers_become_kinds(DRIVE, &calls[2..], answers());
    service.upstream.reply(SHEETS, error(403, "PERMISSION_DENIED"));
    let error = service.error(calls[0].0, &calls[0].1, "permission_error");
    assert!(error["remediation_hints"].to_string().contains("share the spreadsheet"), "{error}");
}

#[test]
fn nonsense_is_the_service_s_fault() {
    let service = setup();
    let calls = calls().map(|(tool, _, args)| (tool, args));
    service.nonsense_is_the_service_s_fault(SHEETS, &calls[..2]);
    service.nonsense_is_the_service_s_fault(DRIVE, &calls[2..]);
}

#[test]
fn bad_arguments_are_not_sent() {
    let service = setup();
    for (tool, required, args) in calls() {
        service.bad_arguments_are_not_sent(tool, required, &args);
    }
    for (tool, args) in [
        ("google.sheets.values.get", json!({ "spreadsheet_id": "", "range": "A1" })),
        ("google.sheets.values.get", json!({ "spreadsheet_id": SHEET, "range": "" })),
        ("google.sheets.values.get", json!({ "spreadsheet_id": SHEET, "range": ".." })),
        ("google.sheets.values.update", json!({ "spreadsheet_id": SHEET, "range": "A1", "values": [] })),
        ("google.sheets.values.update", json!({ "spreadsheet_id": SHEET, "range": "A1", "values": ["x"] })),
        ("google.sheets.values.update", json!({ "spreadsheet_id": SHEET, "range": "A1", "values": [[{}]] })),
        ("google.drive.files.list", json!({ "page_size": 0 })),
        ("google.drive.files.list", json!({ "query": "x".repeat(2001) })),
    ] {
        service.error(tool, &args, "validation_error");
        service.upstream.assert_untouched();
    }
}

#[test]
fn an_id_or_a_range_cannot_change_the_request() {
    let service = setup();
    for (tool, _, args) in &calls()[..2] {
        for name in ["spreadsheet_id", "range"] {
            let mut args = args.clone();
            args["range"] = json!("Sheet1");
            service.path_keeps_its_shape(SHEETS, tool, &args, name);
        }
    }
}
