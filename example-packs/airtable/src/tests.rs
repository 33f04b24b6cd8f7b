//! The tools against a stand-in for Airtable.

use rig_sdk::{
    Error, Tool,
    json::{Value, json},
    mock::{self, HttpError, Response},
};

use super::*;

const BASE: &str = "appLkNDICXNqxSDhG";

fn call<T: Tool>(args: &str) -> Result<Value> {
    T::call(args, &mock::context()).map(|output| output.parse().unwrap())
}

fn list(formula: Option<&str>, max_records: Option<u32>) -> Result<Records> {
    list_records(BASE.into(), "Tasks".into(), formula.map(str::to_owned), max_records)
}

/// The error of a call that was answered with this.
fn failing(response: Response) -> Error {
    let _mock = mock::http(move |_| Ok(response.clone()));
    list(None, None).unwrap_err()
}

fn kind(error: &Error) -> String {
    error.to_string().split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn a_record_is_created() {
    let record = r#"{"id": "rec1", "createdTime": "2026-01-01T00:00:00.000Z", "fields": {"Name": "A", "Hours": 2.50}}"#;
    let mock = mock::http(move |_| Ok(Response::new(200).body(record)));
    let args = r#"{"base_id": "app1", "table_name": "To do/ä", "fields": {"Name": "A", "Hours": 2.50}}"#;
    let answer = create_record::call(args, &mock::context()).unwrap();
    assert_eq!(
        answer,
        r#"{"id":"rec1","created_time":"2026-01-01T00:00:00.000Z","fields":{"Name": "A", "Hours": 2.50}}"#
    );
    let sent = &mock.requests()[0];
    assert_eq!(
        (sent.method.as_str(), sent.url.as_str()),
        ("POST", "https://api.airtable.com/v0/app1/To%20do%2F%C3%A4")
    );
    assert_eq!(
        sent.text(),
        r#"{"fields":{"Name": "A", "Hours": 2.50},"typecast":false,"returnFieldsByFieldId":false}"#
    );
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(sent.header("authorization"), None);
}

#[test]
fn a_record_is_changed() {
    let mock = mock::http(|_| Ok(Response::json(200, &json!({ "id": "rec1" }))));
    let args = r#"{"base_id": "app1", "table_name": "tbl1", "record_id": "rec1", "fields": {}}"#;
    let answer = call::<update_record>(args).unwrap();
    assert_eq!(answer, json!({ "id": "rec1", "created_time": null, "fields": null }), "a success without details");
    let sent = &mock.requests()[0];
    assert_eq!((sent.method.as_str(), sent.path()), ("PATCH", "/v0/app1/tbl1/rec1"));
    assert_eq!(sent.text(), r#"{"fields":{},"typecast":false,"returnFieldsByFieldId":false}"#);
}

#[test]
fn records_are_listed_over_pages() {
    // How many are wanted, how many there are; the queries, how many are listed, whether there are more.
    let cases = [
        (None, 3, vec![""], 3, Some(false)),
        (None, 300, vec![""], 100, Some(true)),
        (Some(2), 3, vec!["maxRecords=2"], 2, None),
        (Some(20), 3, vec!["maxRecords=20"], 3, Some(false)),
        (
            Some(250),
            400,
            vec!["maxRecords=250", "maxRecords=250&offset=itr%2F100", "maxRecords=250&offset=itr%2F200"],
            250,
            None,
        ),
        (Some(250), 120, vec!["maxRecords=250", "maxRecords=250&offset=itr%2F100"], 120, Some(false)),
    ];
    for (max, total, queries, listed, more) in cases {
        let mock = mock::http(move |request| {
            let field = |name: &str| {
                let field = request.query().split('&').find_map(|field| field.strip_prefix(name));
                field.map(|value| value.trim_start_matches("itr%2F").parse::<usize>().unwrap())
            };
            let total = total.min(field("maxRecords=").unwrap_or(total));
            let start = field("offset=").unwrap_or(0);
            let end = total.min(start + 100);
            let records: Vec<_> = (start..end).map(|n| json!({ "id": format!("rec{n}"), "fields": {} })).collect();
            let mut page = json!({ "records": records });
            if end < total {
                page["offset"] = format!("itr/{end}").into();
            }
            Ok(Response::json(200, &page))
        });
        let answer = list(None, max).unwrap();
        let asked: Vec<String> = mock.requests().iter().map(|request| request.query().to_owned()).collect();
        assert_eq!(asked, queries, "{max:?} of {total}");
        assert_eq!((answer.records.len(), answer.has_more), (listed, more), "{max:?} of {total}");
    }
}

#[test]
fn a_list_that_never_ends_is_ended() {
    let mock = mock::http(|_| Ok(Response::json(200, &json!({ "records": [], "offset": "o" }))));
    let answer = list(None, Some(7)).unwrap();
    assert_eq!((answer.records.len(), answer.has_more, mock.requests().len()), (0, Some(true), 20));
}

#[test]
fn a_long_formula_goes_into_a_body() {
    let mock = mock::http(|_| Ok(Response::json(200, &json!({ "records": [{ "id": "rec1" }] }))));
    let fixed = "https://api.airtable.com/v0/appLkNDICXNqxSDhG/Tasks?filterByFormula=&maxRecords=5".len();
    // `=` takes three characters in a URL, a space and a letter one.
    for (formula, by_body) in [
        ("{Status} = 'ä'".to_owned(), false),
        ("a ".repeat((15_999 - fixed) / 2), false),
        ("a ".repeat((16_000 - fixed).div_ceil(2)), true),
        ("=".repeat((15_999 - fixed) / 3), false),
        ("=".repeat((16_000 - fixed).div_ceil(3)), true),
    ] {
        list(Some(&formula), Some(5)).unwrap();
        let sent = mock.requests().pop().unwrap();
        assert!(sent.url.len() < 16_000, "{}", sent.url.len());
        if by_body {
            assert_eq!((sent.method.as_str(), sent.path()), ("POST", "/v0/appLkNDICXNqxSDhG/Tasks/listRecords"));
            assert_eq!(sent.json::<Value>().unwrap(), json!({ "filterByFormula": formula, "maxRecords": 5 }));
        } else {
            assert_eq!(
                (sent.method.as_str(), sent.path(), sent.text().as_str()),
                ("GET", "/v0/appLkNDICXNqxSDhG/Tasks", "")
            );
            assert!(sent.query().starts_with("filterByFormula="), "{}", sent.query());
            assert!(sent.query().ends_with("&maxRecords=5"), "{}", sent.query());
        }
    }
}

#[test]
fn an_error_is_read_in_each_of_its_shapes() {
    for (body, message, code) in [
        (
            json!({ "error": { "type": "INVALID_REQUEST_UNKNOWN", "message": "Why" } }),
            "Airtable: Why",
            "INVALID_REQUEST_UNKNOWN",
        ),
        (
            json!({ "error": { "type": "INVALID_REQUEST_UNKNOWN" } }),
            "Airtable: INVALID_REQUEST_UNKNOWN",
            "INVALID_REQUEST_UNKNOWN",
        ),
        (json!({ "error": "INVALID" }), "Airtable: INVALID", "INVALID"),
        (json!({ "errors": [{ "error": "INVALID", "message": "Why" }] }), "Airtable: Why", "INVALID"),
        (json!({ "error": 7, "errors": [] }), "Airtable answered with status 422 and no explanation", "422"),
    ] {
        let error = failing(Response::json(422, &body));
        assert_eq!((kind(&error).as_str(), error.message(), error.code()), ("validation_error", message, Some(code)));
    }
}

#[test]
fn an_error_becomes_a_kind() {
    let cases = [
        (401, "AUTHENTICATION_REQUIRED", "auth_error", false, "AIRTABLE_API_KEY"),
        (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", "permission_error", false, "scope"),
        (404, "NOT_FOUND", "not_found", false, "case-sensitive"),
        (404, "TABLE_NOT_FOUND", "not_found", false, "case-sensitive"),
        (422, "ROW_DOES_NOT_EXIST", "not_found", false, "case-sensitive"),
        (409, "CONFLICT", "conflict", false, ""),
        (413, "REQUEST_TOO_LARGE", "validation_error", false, ""),
        (422, "UNKNOWN_FIELD_NAME", "validation_error", false, "airtable.records.list"),
        (422, "INVALID_FILTER_BY_FORMULA", "validation_error", false, "{Its name}"),
        (422, "INVALID_MULTIPLE_CHOICE_OPTIONS", "validation_error", false, "spelling"),
        (422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "transient", true, "from the start"),
        (429, "RATE_LIMIT_REACHED", "rate_limited", true, "retry after 30 s"),
        (429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "rate_limited", false, "plan"),
        (500, "SERVER_ERROR", "upstream_error", true, ""),
        (503, "SERVICE_UNAVAILABLE", "transient", true, ""),
    ];
    for (status, code, expected, retryable, hint) in cases {
        let error = failing(Response::json(status, &json!({ "error": { "type": code, "message": "Why" } })));
        assert_eq!(
            (kind(&error).as_str(), error.is_retryable(), error.code()),
            (expected, retryable, Some(code)),
            "{code}"
        );
        assert!(error.hints().concat().contains(hint), "{code}: {:?}", error.hints());
    }
    let error = failing(Response::json(429, &json!({ "errors": [] })).header("retry-after", "17"));
    assert_eq!(error.hints(), ["retry after 17 s"]);
}

#[test]
fn bodies_that_explain_nothing_are_survived() {
    for body in ["", "<html>bad gateway</html>", "[]", "null", "{}"] {
        let error = failing(Response::new(502).body(body));
        assert_eq!(error.to_string(), "transient: Airtable answered with status 502 and no explanation", "{body}");
    }
    for body in ["", "<html>", "[]", "{}", r#"{"records": [{}]}"#, r#"{"records": [{"id": "rec1", "fields": []}]}"#] {
        let error = failing(Response::new(200).body(body));
        assert_eq!((kind(&error).as_str(), error.is_retryable()), ("upstream_error", false), "{body}");
    }
    let error = failing(Response::json(400, &json!({ "error": "ä".repeat(5000) })));
    assert_eq!(error.message().chars().count(), "Airtable: ".len() + 601);
}

#[test]
fn no_response_keeps_its_kind() {
    let _mock = mock::http(|_| Err(HttpError::Denied("api.airtable.com is not granted".into())));
    assert_eq!(list(None, None).unwrap_err().to_string(), "permission_error: api.airtable.com is not granted");
}

#[test]
fn nothing_is_sent_for_what_is_no_base() {
    let mock = mock::http(|_| Ok(Response::new(200)));
    for (base, table) in
        [("meta", "bases"), ("bases", "x"), ("", "x"), ("..", "x"), ("app1", ""), ("app1", ".."), ("app1", ".")]
    {
        let error = list_records(base.into(), table.into(), None, None).unwrap_err();
        assert_eq!(kind(&error), "validation_error", "{base}/{table}");
    }
    assert!(mock.requests().is_empty());
}
