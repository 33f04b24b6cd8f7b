//! `POST /v1/audit/query`: the newest rows of the audit log that match. With tokens, those of the approver's own tenant.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use http::Request;
use jiff::Timestamp;
use rig_specs::rgp::{AuditPage, AuditQuery};
use serde_json::Value;

use super::{
    super::{
        Gateway,
        http::{body, problem::Problem},
    },
    Answer, envelope, identity, json,
};
use crate::audit::{
    AuditError,
    read::{self, Events},
};

/// A query is a handful of names and times.
const MAX_BODY: usize = 16 << 10;

pub(super) async fn query(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Answer {
    let identity = identity(&request);
    identity.must_approve()?;
    let text = body::text(request, MAX_BODY).await?;
    let mut query = if text.is_empty() { AuditQuery::default() } else { parsed(&text)? };
    if identity.scope.is_some() {
        query.tenant_id = identity.tenant_of(query.tenant_id)?;
    }
    if is_backwards(&query) {
        return json(&AuditPage { entries: Vec::new(), total: 0, has_more: false });
    }
    let (path, anchors) = (gateway.audit_path.clone(), gateway.home.anchors());
    // The file is read, on a thread that may wait for a disk.
    let found = tokio::task::spawn_blocking(move || read::query(&path, &anchors, &query, Events::Calls)).await;
    match found {
        Ok(Ok(page)) => json(&page),
        Ok(Err(AuditError::Query { why })) => Err(Problem::invalid(why)),
        Ok(Err(error)) => Err(Problem::unavailable(format!("{error}: {}", error.hint()))),
        Err(_) => Err(Problem::internal("reading the audit log failed; the log of the gateway says more")),
    }
}

/// Whether the query is for a time that ends before it begins. No row is in it; every part of the query is right all the same.
fn is_backwards(query: &AuditQuery) -> bool {
    let time = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<Timestamp>().ok());
    time(&query.start_time).zip(time(&query.end_time)).is_some_and(|(start, end)| start > end)
}

fn parsed(text: &str) -> Result<AuditQuery, Problem> {
    let mut object = envelope::object(text)?;
    // `10.0` is an integer to a schema, and some languages write no other.
    if let Some(limit) = object.get_mut("limit")
        && let Some(number) = limit.as_f64().filter(|number| number.fract() == 0.0)
        && let Ok(whole) = format!("{number}").parse::<u32>()
    {
        *limit = whole.into();
    }
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let (path, why) = (error.path().to_string(), error.inner().to_string());
        let place = if path == "." { String::new() } else { format!("`{}`: ", crate::words::plain(&path)) };
        Problem::invalid(format!("{place}{}", crate::words::plain(&why)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_strictly() {
        let query = parsed(r#"{"tool_name":"a.b.c","ok":false,"limit":5}"#).unwrap();
        let expected =
            AuditQuery { tool_name: Some("a.b.c".into()), ok: Some(false), limit: Some(5), ..AuditQuery::default() };
        assert_eq!(query, expected);
        assert_eq!(parsed(r#"{"limit":5.0}"#).unwrap().limit, Some(5));
        for (text, why) in [
            (r#"{"limit":5.5}"#, "`limit`: invalid type: floating point `5.5`, expected u32"),
            (r#"{"limit":-1}"#, "`limit`: invalid value: integer `-1`, expected u32"),
            (r#"{"ok":"yes"}"#, "`ok`: invalid type: string \"yes\", expected a boolean"),
            (
                r#"{"tool":"x"}"#,
                "`tool`: unknown field `tool`, expected one of `start_time`, `end_time`, `tenant_id`, `actor`, `tool_name`, `ok`, `limit`",
            ),
        ] {
            assert_eq!(parsed(text), Err(Problem::invalid(why)), "{text}");
        }
        assert_eq!(
            parsed(r#"{"ok":true,"ok":false}"#).map_err(|problem| problem.status().as_u16()),
            Err(400),
            "a key that stands twice"
        );
    }
}
