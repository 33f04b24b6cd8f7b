//! The tools against a stand-in for a Supabase project.

use rig_sdk::{
    Error,
    json::{Value, json},
    mock::{self, Guard, HttpError, Request, Response},
};

use super::*;

fn project() -> Guard {
    mock::config("SUPABASE_URL", "https://abc.supabase.co/")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

fn read() -> Result<Rows> {
    select("t".into(), None, None, None)
}

fn write() -> Result<Rows> {
    insert("t".into(), NewRows::One(object(json!({ "a": 1 }))))
}

fn failing<T: std::fmt::Debug>(call: impl FnOnce() -> Result<T>, response: Response) -> Error {
    let _project = project();
    let _mock = mock::http(move |_| Ok(response.clone()));
    call().unwrap_err()
}

fn kind(error: &Error) -> String {
    error.to_string().split(':').next().unwrap_or_default().to_owned()
}

fn field(request: &Request, name: &str) -> Option<usize> {
    request.query().split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).map(|n| n.parse().unwrap())
}

#[test]
fn rows_are_read() {
    let _project = project();
    let mock = mock::http(|_| Ok(Response::new(200).body(r#"[{"b": 1.0, "a": 12345678901234567890}]"#)));
    let filters = object(json!({ "age": { "gte": 18 }, "name": "A&B" }));
    let answer = select("my table".into(), Some("id, \"a b\", author(name)".into()), Some(filters), Some(10)).unwrap();
    let sent = &mock.requests()[0];
    assert_eq!(
        (sent.method.as_str(), sent.url.as_str()),
        (
            "GET",
            "https://abc.supabase.co/rest/v1/my%20table?select=id%2C%22a+b%22%2Cauthor%28name%29&age=gte.18&name=eq.A%26B&limit=10"
        )
    );
    assert_eq!((sent.header("accept-profile"), sent.header("prefer")), (Some("public"), None));
    assert_eq!((sent.header("apikey"), sent.header("authorization")), (None, None));
    assert_eq!(json!(answer).to_string(), r#"{"count":1,"rows":[{"a":12345678901234567890,"b":1.0}]}"#);
    assert_eq!(answer.rows[0].get(), r#"{"b": 1.0, "a": 12345678901234567890}"#, "as the project wrote it");
    read().unwrap();
    assert_eq!(mock.requests()[1].query(), "select=%2A");
}

#[test]
fn more_rows_than_are_answered_at_once_take_several_requests() {
    // Asked for, what the table has, what is answered at once; the limits and offsets asked for.
    for (wanted, total, at_once, asked) in [
        (Some(5), 9_usize, 1000, vec![(5, 0)]),
        (Some(5), 3, 1000, vec![(5, 0)]),
        (Some(1000), 2000, 1000, vec![(1000, 0)]),
        (Some(2500), 9000, 1000, vec![(2500, 0), (1500, 1000), (500, 2000)]),
        (Some(2500), 1700, 1000, vec![(2500, 0), (1500, 1000), (800, 1700)]),
        (Some(1200), 9000, 5000, vec![(1200, 0)]),
        (Some(2000), 0, 1000, vec![(2000, 0)]),
        (None, 9000, 1000, vec![(0, 0)]),
    ] {
        let _project = project();
        let mock = mock::http(move |request| {
            let (limit, offset) =
                (field(request, "limit").unwrap_or(usize::MAX), field(request, "offset").unwrap_or(0));
            let count = total.saturating_sub(offset).min(limit).min(at_once);
            Ok(Response::json(200, &vec![json!({}); count]))
        });
        let answer = select("t".into(), None, None, wanted).unwrap();
        let sent = mock.requests();
        let sent: Vec<_> =
            sent.iter().map(|r| (field(r, "limit").unwrap_or(0), field(r, "offset").unwrap_or(0))).collect();
        assert_eq!(sent, asked, "{wanted:?} of {total}");
        assert_eq!(answer.rows.len(), total.min(wanted.map_or(at_once, |wanted| wanted as usize)));
        assert_eq!(answer.count, answer.rows.len());
    }
}

#[test]
fn rows_are_inserted() {
    let _project = project();
    let mock =
        mock::http(|request| Ok(Response::new(201).body(format!("[{}]", request.text().trim_matches(['[', ']'])))));
    let answer = write().unwrap();
    let many = vec![object(json!({ "a": 1, "b c": 2 })), object(json!({ "a": 1, "d\"": null }))];
    insert("t".into(), NewRows::Many(many)).unwrap();
    insert("t".into(), NewRows::Many(vec![object(json!({}))])).unwrap();
    let sent = mock.requests();
    assert_eq!((sent[0].method.as_str(), sent[0].url.as_str()), ("POST", "https://abc.supabase.co/rest/v1/t"));
    assert_eq!((sent[0].text().as_str(), sent[0].header("prefer")), (r#"{"a":1}"#, Some("return=representation")));
    assert_eq!(sent[0].header("content-profile"), Some("public"));
    assert_eq!(json!(answer), json!({ "rows": [{ "a": 1 }], "count": 1 }));
    assert_eq!(sent[1].query(), "columns=%22a%22%2C%22b+c%22%2C%22d%5C%22%22");
    assert_eq!(sent[1].text(), r#"[{"a":1,"b c":2},{"a":1,"d\"":null}]"#);
    assert_eq!((sent[2].query(), sent[2].text().as_str()), ("", "[{}]"));
    let error = insert("t".into(), NewRows::Many(vec![])).unwrap_err();
    assert_eq!(error.to_string(), "validation_error: `data` holds no row");
    assert_eq!(mock.requests().len(), 3);
}

#[test]
fn rows_are_updated_and_never_all_of_them_by_mistake() {
    let _project = project();
    let mock = mock::http(|_| Ok(Response::json(200, &json!([{ "id": 7 }]))));
    let change = |filters| update("t".into(), object(json!({ "a": null })), object(filters));
    change(json!({ "id": 7, "b": { "neq": null } })).unwrap();
    let sent = &mock.requests()[0];
    assert_eq!((sent.method.as_str(), sent.query()), ("PATCH", "b=not.is.null&id=eq.7"));
    assert_eq!((sent.text().as_str(), sent.header("prefer")), (r#"{"a":null}"#, Some("return=representation")));
    for (filters, why) in [
        (json!({}), "`filters` is empty, and an update without one would change every row of the table"),
        (json!({ "id": {} }), "the filter of `id` names no operator"),
        (json!({ "limit": 1 }), "`limit` is not a column that can be filtered by"),
    ] {
        assert_eq!(change(filters).unwrap_err().to_string(), format!("validation_error: {why}"));
    }
    let nothing = update("t".into(), Map::new(), object(json!({ "id": 7 }))).unwrap_err();
    assert_eq!(nothing.to_string(), "validation_error: `data` names no column to change");
    assert_eq!(mock.requests().len(), 1);
}

#[test]
fn a_user_is_created() {
    let _project = project();
    let mock = mock::http(|_| {
        Ok(Response::json(
            200,
            &json!({
                "id": "7b0c", "aud": "authenticated", "role": "authenticated", "email": "a@b.example", "phone": "",
                "app_metadata": { "provider": "email" }, "user_metadata": { "n": 1 }, "identities": null, "created_at": "c"
            }),
        ))
    });
    let metadata = Some(object(json!({ "n": 1 })));
    let user = create_user("a@b.example".into(), Some("p w".into()), Some(false), metadata).unwrap();
    create_user("a@b.example".into(), None, None, None).unwrap();
    let sent = mock.requests();
    assert_eq!(
        (sent[0].method.as_str(), sent[0].url.as_str()),
        ("POST", "https://abc.supabase.co/auth/v1/admin/users")
    );
    assert_eq!(sent[0].header("x-supabase-api-version"), Some("2024-01-01"));
    assert_eq!(
        sent[0].text(),
        r#"{"email":"a@b.example","password":"p w","email_confirm":false,"user_metadata":{"n":1}}"#
    );
    assert_eq!(sent[1].text(), r#"{"email":"a@b.example"}"#, "what was not given is not sent");
    assert_eq!(
        json!(user),
        json!({ "id": "7b0c", "email": "a@b.example", "email_confirmed_at": null, "created_at": "c", "user_metadata": { "n": 1 } })
    );
    let _mock = mock::http(|_| Ok(Response::json(200, &json!({ "id": "7b0c" }))));
    assert_eq!(create_user("a@b.example".into(), None, None, None).unwrap().email, None);
}

#[test]
fn a_status_becomes_a_kind() {
    for (status, expected, retryable) in [
        (301, "upstream_error", false),
        (400, "validation_error", false),
        (401, "auth_error", false),
        (403, "permission_error", false),
        (404, "not_found", false),
        (409, "conflict", false),
        (422, "validation_error", false),
        (429, "rate_limited", true),
        (500, "upstream_error", true),
        (503, "transient", true),
    ] {
        for body in [r#"{"message": "Why", "code": "X1", "details": "D", "hint": "H"}"#, "", "<html>", "[]", "{}"] {
            let error = failing(read, Response::new(status).body(body));
            assert_eq!((kind(&error).as_str(), error.is_retryable()), (expected, retryable), "{status} {body}");
            if body.contains("Why") {
                assert_eq!((error.message(), error.code()), ("Supabase: Why (D)", Some("X1")));
                assert_eq!(error.hints().last().map(String::as_str), Some("H"));
            } else {
                let why = format!("Supabase answered with status {status} and no explanation");
                assert_eq!((error.message(), error.code()), (why.as_str(), Some(status.to_string().as_str())));
            }
        }
    }
    let error = failing(read, Response::new(429).header("retry-after", "11"));
    assert_eq!(error.hints(), ["retry after 11 s"]);
}

#[test]
fn codes_of_the_database_and_of_auth_say_more_than_the_status() {
    for (status, body, expected, code) in [
        (404, json!({ "code": "PGRST205", "message": "no table" }), "not_found", "PGRST205"),
        (404, json!({ "code": "42P01", "message": "no table" }), "not_found", "42P01"),
        (400, json!({ "code": "42703", "message": "no column" }), "validation_error", "42703"),
        (409, json!({ "code": "23505", "message": "duplicate key" }), "conflict", "23505"),
        (409, json!({ "code": "23503", "message": "foreign key" }), "conflict", "23503"),
        (
            500,
            json!({ "code": "57014", "message": "canceling statement due to statement timeout" }),
            "timeout",
            "57014",
        ),
        (401, json!({ "message": "Invalid API key", "hint": "Double check your key." }), "auth_error", "401"),
        (422, json!({ "code": "email_exists", "message": "registered" }), "conflict", "email_exists"),
        (422, json!({ "code": 422, "error_code": "email_exists", "msg": "registered" }), "conflict", "email_exists"),
        (422, json!({ "code": "weak_password", "message": "weak" }), "validation_error", "weak_password"),
        (403, json!({ "code": "not_admin", "message": "User not allowed" }), "permission_error", "not_admin"),
    ] {
        let error = failing(read, Response::json(status, &body));
        assert_eq!((kind(&error).as_str(), error.code()), (expected, Some(code)), "{body}");
        assert!(error.message().starts_with("Supabase: "), "{error}");
    }
    let long = failing(read, Response::json(400, &json!({ "message": "ä".repeat(5000) })));
    assert_eq!(long.message().chars().count(), 601);
}

#[test]
fn a_write_without_a_clear_answer_may_have_happened() {
    for (response, unclear) in [
        (Response::new(500), true),
        (Response::new(503), true),
        (Response::new(201).body("<html>"), true),
        (Response::new(201).body("{}"), true),
        (Response::new(409), false),
        (Response::json(500, &json!({ "code": "57014" })), false),
    ] {
        let error = failing(write, response);
        assert_eq!(error.hints().iter().any(|hint| hint.contains("look whether it was done")), unclear, "{error}");
    }
    let _project = project();
    let _mock = mock::http(|_| Err(HttpError::Denied("not granted".into())));
    assert_eq!(write().unwrap_err().to_string(), "permission_error: not granted");
}

#[test]
fn what_would_change_the_path_is_not_sent() {
    let mock = mock::http(|_| Ok(Response::json(200, &json!([]))));
    assert_eq!(kind(&read().unwrap_err()), "auth_error", "the project is not set");
    let _project = project();
    for table in ["", ".", "..", "rpc/../x"] {
        assert_eq!(kind(&select(table.into(), None, None, None).unwrap_err()), "validation_error");
    }
    assert!(mock.requests().is_empty());
    select("rpc/x?y#z".into(), Some("*&limit=1".into()), None, None).unwrap();
    assert_eq!(mock.requests()[0].url, "https://abc.supabase.co/rest/v1/rpc%2Fx%3Fy%23z?select=%2A%26limit%3D1");
}
