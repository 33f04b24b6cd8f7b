//! The tools against a stand-in for Google.

use rig_sdk::{
    Error,
    json::{Value, json},
    mock::{self, HttpError, Response},
};

use super::*;

const ID: &str = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms";

fn get() -> Result<Values> {
    get_values(ID.into(), "A1:B2".into())
}

fn update() -> Result<Updated> {
    update_values(ID.into(), "A1".into(), vec![vec![Cell(json!(1))]])
}

fn failing<T: std::fmt::Debug>(call: fn() -> Result<T>, response: Response) -> Error {
    let _mock = mock::http(move |_| Ok(response.clone()));
    call().unwrap_err()
}

fn kind(error: &Error) -> String {
    error.to_string().split(':').next().unwrap_or_default().to_owned()
}

fn refusal(code: u16, status: &str, message: &str, more: &Value) -> Response {
    let mut error = json!({ "code": code, "message": message, "status": status });
    error.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Response::json(code, &json!({ "error": error }))
}

#[test]
fn a_range_is_read_and_encoded_whole() {
    let mock = mock::http(|_| {
        Ok(Response::json(
            200,
            &json!({ "range": "'Q1 (draft)'!A1:B2", "majorDimension": "ROWS", "values": [["a", "1"], []] }),
        ))
    });
    let answer = get_values(ID.into(), "'Q1 (draft)'!A1:B2".into()).unwrap();
    let sent = &mock.requests()[0];
    assert_eq!(
        (sent.method.as_str(), sent.url.as_str()),
        (
            "GET",
            "https://sheets.googleapis.com/v4/spreadsheets/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/values/\
             %27Q1%20%28draft%29%27%21A1%3AB2?alt=json"
        )
    );
    assert_eq!((sent.header("authorization"), sent.header("accept")), (None, Some("application/json")));
    assert_eq!(json!(answer), json!({ "range": "'Q1 (draft)'!A1:B2", "values": [["a", "1"], []] }));
    // Google leaves the values out when there are none.
    let _mock = mock::http(|_| Ok(Response::json(200, &json!({ "range": "A1", "majorDimension": "ROWS" }))));
    assert_eq!(json!(get().unwrap()), json!({ "range": "A1", "values": [] }));
}

#[test]
fn cells_are_written_as_they_are() {
    let mock = mock::http(|_| {
        Ok(Response::json(
            200,
            &json!({ "spreadsheetId": ID, "updatedRange": "S!A1:E1", "updatedRows": 1, "updatedColumns": 5, "updatedCells": 5 }),
        ))
    });
    let row = [json!("=A1"), json!(1), json!(2.5), json!(true), Value::Null];
    let answer = update_values(ID.into(), "S!A1".into(), vec![row.iter().cloned().map(Cell).collect()]).unwrap();
    let sent = &mock.requests()[0];
    assert_eq!((sent.method.as_str(), sent.query()), ("PUT", "alt=json&valueInputOption=USER_ENTERED"));
    assert_eq!(sent.text(), r#"{"values":[["=A1",1,2.5,true,null]]}"#);
    assert_eq!(
        json!(answer),
        json!({ "spreadsheet_id": ID, "updated_range": "S!A1:E1", "updated_cells": 5, "updated_rows": 1, "updated_columns": 5 })
    );
    let _mock = mock::http(|_| Ok(Response::json(200, &json!({ "spreadsheetId": ID }))));
    assert_eq!(update().unwrap().updated_cells, None);
}

/// How many files are asked for, the sizes of Google's pages; the page sizes asked for, how many are listed, whether there are more.
type Listing = (u32, &'static [usize], &'static [&'static str], usize, bool);

#[test]
fn files_are_listed_over_pages() {
    let cases: [Listing; 7] = [
        (100, &[3], &["100"], 3, false),
        (2, &[2], &["2"], 2, false),
        (2, &[2, 1], &["2"], 2, true),
        (5, &[2, 0, 3], &["5", "3", "3"], 5, false),
        (5, &[2, 2, 1, 1], &["5", "3", "1"], 5, true),
        (1500, &[1000, 500], &["1000", "500"], 1500, false),
        (3, &[5], &["3"], 3, true),
    ];
    for (wanted, pages, asked, listed, more) in cases {
        let pages = pages.to_vec();
        let count = pages.len();
        let mock = mock::http(move |request| {
            let field =
                |name: &str| request.query().split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            let page: usize = field("pageToken").map_or(0, |token| token.trim_start_matches("t%2B").parse().unwrap());
            let files: Vec<Value> = (0..pages[page])
                .map(|n| json!({ "kind": "drive#file", "id": format!("{page}-{n}"), "name": "N", "mimeType": "M" }))
                .collect();
            let mut body = json!({ "kind": "drive#fileList", "incompleteSearch": page == 1, "files": files });
            if page + 1 < pages.len() {
                body["nextPageToken"] = json!(format!("t+{}", page + 1));
            }
            Ok(Response::json(200, &body))
        });
        let answer = list_files(Some("name = 'a b'".into()), wanted).unwrap();
        let sizes: Vec<String> = mock
            .requests()
            .iter()
            .map(|request| {
                assert!(request.query().starts_with("alt=json&q=name+%3D+%27a+b%27&pageSize="), "{}", request.url);
                request.query().split("pageSize=").nth(1).unwrap().split('&').next().unwrap().to_owned()
            })
            .collect();
        assert_eq!(sizes, asked, "{wanted}");
        assert_eq!((answer.files.len(), answer.has_more), (listed, more), "{wanted}");
        assert_eq!(answer.incomplete_search, count > 1 && asked.len() > 1);
    }
    // Pages without an end do not go on for ever.
    let mock = mock::http(|_| Ok(Response::json(200, &json!({ "files": [], "nextPageToken": "t" }))));
    let answer = list_files(None, 1).unwrap();
    assert_eq!((answer.files.len(), answer.has_more, mock.requests().len()), (0, true, 20));
    assert_eq!(mock.requests()[0].url, "https://www.googleapis.com/drive/v3/files?alt=json&pageSize=1");
}

#[test]
fn a_status_becomes_a_kind() {
    for (status, expected, retryable) in [
        (302, "upstream_error", false),
        (400, "validation_error", false),
        (401, "auth_error", false),
        (403, "permission_error", false),
        (404, "not_found", false),
        (409, "conflict", false),
        (422, "validation_error", false),
        (429, "rate_limited", true),
        (500, "upstream_error", true),
        (502, "transient", true),
        (503, "transient", true),
    ] {
        for body in [r#"{"error": {"message": "Why", "status": "THE_CODE"}}"#, "", "<html>", "[]", r#"{"error": "x"}"#]
        {
            let error = failing(get, Response::new(status).body(body));
            assert_eq!((kind(&error).as_str(), error.is_retryable()), (expected, retryable), "{status} {body}");
            if body.contains("Why") {
                assert_eq!((error.message(), error.code()), ("Google: Why", Some("THE_CODE")));
            } else {
                let why = format!("Google answered with status {status} and no explanation");
                assert_eq!((error.message(), error.code()), (why.as_str(), Some(status.to_string().as_str())));
            }
        }
    }
}

#[test]
fn refusals_say_what_to_do() {
    let reason = |reason: &str| json!({ "details": [{ "@type": "x" }, { "@type": "ErrorInfo", "reason": reason }] });
    let older = |reason: &str| json!({ "errors": [{ "domain": "usageLimits", "reason": reason }] });
    let none = json!({});
    let cases = [
        (
            refusal(403, "PERMISSION_DENIED", "no", &none),
            "permission_error",
            "share the spreadsheet",
            "PERMISSION_DENIED",
        ),
        (
            refusal(403, "PERMISSION_DENIED", "no", &reason("SERVICE_DISABLED")),
            "permission_error",
            "enable this API",
            "PERMISSION_DENIED",
        ),
        (
            Response::json(403, &json!({ "error": older("accessNotConfigured") })),
            "permission_error",
            "enable this API",
            "accessNotConfigured",
        ),
        (
            Response::json(403, &json!({ "error": older("userRateLimitExceeded") })),
            "rate_limited",
            "retry after 60 s",
            "userRateLimitExceeded",
        ),
        (
            refusal(429, "RESOURCE_EXHAUSTED", "slow", &none).header("retry-after", "9"),
            "rate_limited",
            "retry after 9 s",
            "RESOURCE_EXHAUSTED",
        ),
        (refusal(404, "NOT_FOUND", "gone", &none), "not_found", "must be shared", "NOT_FOUND"),
        (
            refusal(400, "INVALID_ARGUMENT", "Unable to parse range: X!", &none),
            "validation_error",
            "Sheet1!A1:C10",
            "INVALID_ARGUMENT",
        ),
        (refusal(401, "UNAUTHENTICATED", "no", &none), "auth_error", "GOOGLE_CREDENTIALS_JSON", "UNAUTHENTICATED"),
    ];
    for (response, expected, hint, code) in cases {
        let error = failing(get, response);
        assert_eq!((kind(&error).as_str(), error.code()), (expected, Some(code)));
        assert!(error.hints()[0].contains(hint), "{:?}", error.hints());
    }
    let drive = failing(|| list_files(None, 1), refusal(403, "PERMISSION_DENIED", "no", &none));
    assert!(drive.hints()[0].contains("their folder"), "{:?}", drive.hints());
    let long = failing(get, refusal(400, "INVALID_ARGUMENT", &"ä".repeat(5000), &none));
    assert_eq!(long.message().chars().count(), 601);
}

#[test]
fn a_write_without_a_clear_answer_may_have_happened() {
    for (response, unclear) in [
        (Response::new(500), true),
        (Response::new(503), true),
        (Response::new(200).body("<html>"), true),
        (Response::new(200).body("{}"), true),
        (Response::new(400), false),
        (Response::new(429), false),
    ] {
        let error = failing(update, response);
        assert_eq!(error.hints().iter().any(|hint| hint.contains("may have been carried out")), unclear, "{error}");
    }
    let _mock = mock::http(|_| Err(HttpError::Connect("no connection".into())));
    assert_eq!(update().unwrap_err().to_string(), "transient: no connection");
}

#[test]
fn what_would_change_the_path_is_not_sent() {
    let mock = mock::http(|_| Ok(Response::json(200, &json!({ "range": "x" }))));
    for id in ["", ".", "..", "a/../b"] {
        assert_eq!(kind(&get_values(id.into(), "A1".into()).unwrap_err()), "validation_error");
        assert_eq!(kind(&get_values("x".into(), id.into()).unwrap_err()), "validation_error");
    }
    assert!(mock.requests().is_empty());
    get_values("a/b?c#d".into(), "é/%2e%2e".into()).unwrap();
    assert_eq!(
        mock.requests()[0].url,
        "https://sheets.googleapis.com/v4/spreadsheets/a%2Fb%3Fc%23d/values/%C3%A9%2F%252e%252e?alt=json"
    );
}
