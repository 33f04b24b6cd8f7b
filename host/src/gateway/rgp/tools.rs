//! `GET /v1/tools` and `GET /v1/tools/{name}`: what a caller may call, in rig's own form and in those of model APIs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, StatusCode,
    header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH},
};
use rig_specs::{Sha256, rtp::ToolDef};
use url::form_urlencoded;

use super::{
    super::{Gateway, Live, http::problem::Problem},
    Answer, identity, json, json_text,
};
use crate::export::{self, Format, offered};

/// The lists of one version of the project, made when they are first asked for: one a tenant of rig.yaml and format.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Rendered(Mutex<BTreeMap<(String, Option<Format>), List>>);

/// One list.
#[derive(Debug, Clone)]
struct List {
    text: Bytes,
    tag: HeaderValue,
}

pub(super) async fn list(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Answer {
    let format = format(request.uri().query())?;
    let identity = identity(&request);
    let list = gateway.live().list(identity.tenant.as_deref(), format)?;
    if matches(request.headers(), &list.tag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        revalidate(&mut response, list.tag);
        return Ok(response);
    }
    let mut response = json_text(list.text);
    revalidate(&mut response, list.tag);
    Ok(response)
}

/// Every caller may keep the list, and asks before it uses it again: tokens decide what is in it.
fn revalidate(response: &mut Response, tag: HeaderValue) {
    response.headers_mut().insert(ETAG, tag);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
}

pub(super) fn one(gateway: &Gateway, name: &str, request: &Request<Body>) -> Answer {
    let (live, tenant) = (gateway.live(), identity(request).tenant);
    let mut tools = live.offered(tenant.as_deref());
    if let Some(tool) = tools.find(|tool| tool.name == name) {
        return json(&tool);
    }
    let name: String = name.escape_debug().collect();
    Err(Problem::not_found(format!("there is no tool `{name}` here; GET /v1/tools lists those that there are")))
}

/// The format that a query asks for; none is rig's own.
fn format(query: Option<&str>) -> Result<Option<Format>, Problem> {
    let mut format = None;
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if key != "format" || format.is_some() {
            let key: String = key.escape_debug().take(64).collect();
            return Err(Problem::invalid(format!("`{key}` in the query: what is taken here is one `format`")));
        }
        let found = Format::parse(&value).ok_or_else(|| {
            let known = Format::ALL.map(Format::as_str).join(", ");
            Problem::invalid(format!("`format` in the query is one of {known}"))
        });
        format = Some(found?);
    }
    Ok(format)
}

impl Live {
    /// The tools that a tenant may call, with the risk class that counts here.
    fn offered<'a>(&'a self, tenant: Option<&'a str>) -> impl Iterator<Item = ToolDef> + 'a {
        let offered = offered(self.caller.snapshot(), self.caller.policy(), tenant);
        offered.map(|offered| ToolDef { risk_class: offered.risk, ..offered.tool.def.clone() })
    }

    fn list(&self, tenant: Option<&str>, format: Option<Format>) -> Result<List, Problem> {
        let known = &self.caller.config().tenants;
        let tenant = tenant.filter(|tenant| !tenant.is_empty() && !known.is_empty());
        // Names that are no tenant's are not remembered: anybody can think of more.
        let key = tenant.is_none_or(|tenant| known.contains_key(tenant));
        let key = key.then(|| (tenant.unwrap_or_default().to_owned(), format));
        let lists = || self.rendered.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = key.as_ref().and_then(|key| lists().get(key).cloned()) {
            return Ok(list);
        }
        let text = match format {
            None => serde_json::to_vec(&self.offered(tenant).collect::<Vec<_>>()),
            Some(format) => {
                let tools = offered(self.caller.snapshot(), self.caller.policy(), tenant);
                serde_json::to_vec(&export::tools(&self.names, tools, format))
            }
        };
        let text = text.map_err(|error| Problem::internal(error.to_string()))?;
        let tag = format!("\"{}\"", Sha256::of(&text).hex());
        let tag = HeaderValue::try_from(tag).map_err(|error| Problem::internal(error.to_string()))?;
        let list = List { text: text.into(), tag };
        if let Some(key) = key {
            lists().insert(key, list.clone());
        }
        Ok(list)
    }
}

/// Whether the caller has this version already.
fn matches(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let (mut given, tag) = (headers.get_all(IF_NONE_MATCH).iter(), tag.to_str().unwrap_or_default());
    given.any(|value| {
        let value = value.to_str().unwrap_or_default();
        value.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_name_one_known_format_or_none() {
        assert_eq!(format(None), Ok(None));
        assert_eq!(format(Some("")), Ok(None));
        assert_eq!(format(Some("format=openai")), Ok(Some(Format::Openai)));
        let unknown = Problem::invalid("`format` in the query is one of openai, anthropic, gemini, mcp");
        assert_eq!(format(Some("format=OpenAI")), Err(unknown.clone()));
        assert_eq!(format(Some("format=")), Err(unknown));
        for (query, key) in [("x=1", "x"), ("format=mcp&format=mcp", "format")] {
            let expected = format!("`{key}` in the query: what is taken here is one `format`");
            assert_eq!(format(Some(query)), Err(Problem::invalid(expected)));
        }
    }

    #[test]
    fn tags_match_as_a_list_weakly_and_by_star() {
        let tag = HeaderValue::from_static("\"abc\"");
        let check = |value: &'static str| {
            matches(&HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(value))]), &tag)
        };
        assert!(["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"].into_iter().all(check));
        assert!(!["\"x\"", "abc", ""].into_iter().any(check));
        assert!(!matches(&HeaderMap::new(), &tag));
    }
}
