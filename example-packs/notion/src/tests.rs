//! The tools against a stand-in for Notion.

use rig_sdk::{
    Error, Tool,
    json::{Value, json},
    mock::{self, HttpError, Response},
};

use super::*;

/// A page as Notion sends it.
fn page() -> Value {
    json!({
        "object": "page", "id": "p1", "url": "https://www.notion.so/p1", "created_time": "c", "last_edited_time": "e",
        "in_trash": false, "archived": false, "icon": null, "parent": { "type": "page_id", "page_id": "p0" },
        "properties": {
            "Done": { "id": "a", "type": "checkbox", "checkbox": true },
            "Name": { "id": "title", "type": "title", "title": [{ "plain_text": "A " }, { "plain_text": "page" }, {}] }
        }
    })
}

/// What the tools make of it.
fn entry() -> Value {
    let mut entry = page();
    for dropped in ["archived", "icon"] {
        entry.as_object_mut().unwrap().remove(dropped);
    }
    entry["title"] = "A page".into();
    entry
}

fn call<T: Tool>(args: &str) -> Result<Value> {
    T::call(args, &mock::context()).map(|output| output.parse().unwrap())
}

/// The error of a call that was answered with this.
fn failing(response: Response) -> Error {
    let _mock = mock::http(move |_| Ok(response.clone()));
    update_page("p1".into(), None).unwrap_err()
}

fn kind(error: &Error) -> String {
    error.to_string().split(':').next().unwrap_or_default().to_owned()
}

fn refused(status: u16, code: &str) -> Response {
    Response::json(status, &json!({ "object": "error", "status": status, "code": code, "message": "Why" }))
}

#[test]
fn a_page_is_created() {
    let mock = mock::http(|_| Ok(Response::json(200, &page())));
    let args =
        r#"{"parent": {"page_id": "p0"}, "properties": {"title": {"title": []}}, "children": [{"divider": {}}]}"#;
    assert_eq!(call::<create_page>(args).unwrap(), entry());
    call::<create_page>(r#"{"parent": {"page_id": "p0"}}"#).unwrap();
    let sent = mock.requests();
    assert_eq!((sent[0].method.as_str(), sent[0].url.as_str()), ("POST", "https://api.notion.com/v1/pages"));
    assert_eq!(sent[0].header("notion-version"), Some("2025-09-03"));
    assert_eq!(sent[0].header("content-type"), Some("application/json"));
    assert_eq!(sent[0].header("authorization"), None);
    assert_eq!(
        sent[0].text(),
        r#"{"parent":{"page_id": "p0"},"properties":{"title": {"title": []}},"children":[{"divider": {}}]}"#
    );
    assert_eq!(sent[1].text(), r#"{"parent":{"page_id": "p0"}}"#, "what was not given is not sent");
}

#[test]
fn a_page_is_changed() {
    let odd = json!({ "id": "p1", "url": 7, "title": {}, "properties": [] });
    let mock = mock::http(move |_| Ok(Response::json(200, &odd)));
    let answer = call::<update_page>(r#"{"page_id": "p/1", "properties": {"Done": {"checkbox": true}}}"#).unwrap();
    assert_eq!((&answer["id"], &answer["title"], &answer["properties"]), (&json!("p1"), &json!(null), &json!(null)));
    update_page("p1".into(), None).unwrap();
    let sent = mock.requests();
    assert_eq!((sent[0].method.as_str(), sent[0].path()), ("PATCH", "/v1/pages/p%2F1"));
    assert_eq!(sent[0].text(), r#"{"properties":{"Done": {"checkbox": true}}}"#);
    assert_eq!(sent[1].text(), "{}");
}

#[test]
fn a_database_is_queried_by_its_first_data_source() {
    let mock = mock::http(|request| {
        Ok(match request.path() {
            "/v1/databases/d1" => Response::json(
                200,
                &json!({ "object": "database", "data_sources": [{ "id": "s1", "name": "Tasks" }, { "id": "s2" }] }),
            ),
            "/v1/data_sources/s1/query" => {
                Response::json(200, &json!({ "results": [page()], "has_more": true, "next_cursor": "n" }))
            }
            _ => Response::new(404),
        })
    });
    let args = r#"{"database_id": "d1", "filter": {"property": "Done"}, "sorts": [{"property": "Name"}]}"#;
    assert_eq!(
        call::<query_database>(args).unwrap(),
        json!({
            "results": [entry()], "has_more": true, "next_cursor": "n", "data_source_id": "s1",
            "data_sources": [{ "id": "s1", "name": "Tasks" }, { "id": "s2", "name": null }]
        })
    );
    query_database("d1".into(), None, None).unwrap();
    let sent = mock.requests();
    assert_eq!((sent[0].method.as_str(), sent[0].text().as_str()), ("GET", ""));
    assert_eq!(sent[1].method, "POST");
    assert_eq!(sent[1].text(), r#"{"filter":{"property": "Done"},"sorts":[{"property": "Name"}]}"#);
    assert_eq!(sent[3].text(), "{}", "absent filters are left out");
}

#[test]
fn the_id_of_a_data_source_is_as_good_as_that_of_a_database() {
    let mock = mock::http(|request| {
        Ok(match request.path() {
            "/v1/data_sources/s1/query" => Response::json(200, &json!({ "results": [] })),
            "/v1/data_sources/s2/query" => refused(400, "validation_error"),
            path if path.starts_with("/v1/databases/") => refused(404, "object_not_found"),
            _ => Response::json(404, &json!({ "message": "Other", "code": "object_not_found" })),
        })
    });
    let answer = query_database("s1".into(), None, None).unwrap();
    assert_eq!((answer.data_source_id.as_str(), answer.has_more, answer.data_sources.len()), ("s1", false, 1));
    let error = query_database("s2".into(), None, None).unwrap_err();
    assert_eq!(kind(&error), "validation_error");
    let error = query_database("s3".into(), None, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not_found: Notion: Why",
        "what is neither is reported as the database that was asked for"
    );
    assert_eq!(mock.requests().len(), 6);
}

#[test]
fn a_database_that_cannot_be_read_is_not_queried() {
    for (answer, expected) in [
        (refused(403, "restricted_resource"), "permission_error: Notion: Why"),
        (refused(500, "internal_server_error"), "upstream_error: Notion: Why"),
        (
            Response::json(200, &json!({ "object": "database", "data_sources": [] })),
            "not_found: the database has no data source that the integration can see",
        ),
    ] {
        let mock = mock::http(move |_| Ok(answer.clone()));
        let error = query_database("d1".into(), None, None).unwrap_err();
        assert_eq!((error.to_string().as_str(), mock.requests().len()), (expected, 1));
    }
}

#[test]
fn titles_are_found_where_they_stand() {
    let results = json!([
        page(),
        { "object": "data_source", "id": "s1", "title": [{ "plain_text": "Tasks" }],
          "properties": { "Name": { "id": "title", "type": "title", "title": {} } } },
        { "object": "page", "id": "p2", "properties": { "Name": { "title": [] } } },
        { "object": "page", "id": "p3" },
    ]);
    let mock = mock::http(move |_| {
        Ok(Response::json(200, &json!({ "results": results, "has_more": false, "next_cursor": null })))
    });
    let answer = search("Tasks".into(), None).unwrap();
    let titles: Vec<Option<&str>> = answer.results.iter().map(|entry| entry.title.as_deref()).collect();
    assert_eq!(titles, [Some("A page"), Some("Tasks"), Some(""), None]);
    assert_eq!((answer.has_more, answer.next_cursor), (false, None));
    call::<search>(r#"{"query": "", "filter": {"property": "object", "value": "page"}}"#).unwrap();
    let sent = mock.requests();
    assert_eq!((sent[0].method.as_str(), sent[0].path()), ("POST", "/v1/search"));
    assert_eq!(sent[0].text(), r#"{"query":"Tasks"}"#);
    assert_eq!(sent[1].text(), r#"{"query":"","filter":{"property": "object", "value": "page"}}"#);
}

#[test]
fn an_error_keeps_notions_code() {
    let cases = [
        (400, "validation_error", "validation_error", false),
        (400, "invalid_json", "validation_error", false),
        (400, "invalid_request_url", "validation_error", false),
        (401, "unauthorized", "auth_error", false),
        (403, "restricted_resource", "permission_error", false),
        (404, "object_not_found", "not_found", false),
        (409, "conflict_error", "conflict", true),
        (422, "validation_error", "validation_error", false),
        (429, "rate_limited", "rate_limited", true),
        (500, "internal_server_error", "upstream_error", true),
        (503, "service_unavailable", "transient", true),
        (504, "gateway_timeout", "transient", true),
    ];
    for (status, code, expected, retryable) in cases {
        let error = failing(refused(status, code));
        assert_eq!(
            (kind(&error).as_str(), error.is_retryable(), error.code()),
            (expected, retryable, Some(code)),
            "{status}"
        );
        assert_eq!(error.message(), "Notion: Why");
        let remedy = matches!(status, 401..=429) && status != 422;
        assert_eq!(error.hints().len(), usize::from(remedy), "{status}: {:?}", error.hints());
    }
    assert_eq!(failing(refused(429, "rate_limited").header("retry-after", "17")).hints(), ["retry after 17 s"]);
}

#[test]
fn bodies_that_explain_nothing_are_survived() {
    for body in ["", "<html>bad gateway</html>", "[]", "null", r#"{"message": 7}"#, "{}"] {
        let error = failing(Response::new(502).body(body));
        assert_eq!(error.to_string(), "transient: Notion answered with status 502 and no explanation", "{body}");
        assert_eq!(error.code(), Some("502"));
    }
    for body in ["", "<html>", "[]", "{}", r#"{"id": 7}"#] {
        let error = failing(Response::new(200).body(body));
        assert_eq!((kind(&error).as_str(), error.is_retryable()), ("upstream_error", false), "{body}");
    }
    let error = failing(Response::json(400, &json!({ "message": "ä".repeat(5000) })));
    assert_eq!(error.message().chars().count(), "Notion: ".len() + 1001);
}

#[test]
fn no_response_keeps_its_kind() {
    let _mock = mock::http(|_| Err(HttpError::Denied("api.notion.com is not granted".into())));
    let error = search("x".into(), None).unwrap_err();
    assert_eq!(error.to_string(), "permission_error: api.notion.com is not granted");
}

#[test]
fn nothing_is_sent_for_an_id_that_vanishes_from_the_path() {
    let mock = mock::http(|_| Ok(Response::new(200)));
    for id in ["", ".", ".."] {
        assert_eq!(kind(&update_page(id.into(), None).unwrap_err()), "validation_error", "{id}");
        assert_eq!(kind(&query_database(id.into(), None, None).unwrap_err()), "validation_error", "{id}");
    }
    assert!(mock.requests().is_empty());
}
