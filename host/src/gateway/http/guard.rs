//! Who may call: the one check that stands before every route.
//!
//! A gateway on loopback is in reach of every web page that its user looks at. What keeps pages out is `Host` (a name that an attacker
//! points at 127.0.0.1 is not one of ours) and `Origin` (a page of another site says so itself). Tokens keep people apart. What a
//! caller may then do with a tool is decided by the pipeline.

use std::net::{IpAddr, SocketAddr};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HOST,
        ORIGIN, VARY,
    },
    uri::Authority,
};
use rig_specs::config;

use super::problem::Problem;
use crate::tenants::Tenants;

/// The caller's own id of a call, echoed on every answer.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-rig-correlation-id");
/// The tenant that a call is made for.
pub const TENANT_ID: HeaderName = HeaderName::from_static("x-rig-tenant-id");
/// Who makes a call.
pub const ACTOR_ID: HeaderName = HeaderName::from_static("x-rig-actor-id");

/// The longest id or name of a caller: they stand in every row of the audit log.
pub const MAX_NAME: usize = 200;

/// What pages of an allowed origin may send, MCP's own headers included.
const CORS_REQUEST: &str = "authorization, content-type, if-none-match, last-event-id, mcp-method, mcp-name, \
mcp-protocol-version, mcp-session-id, x-rig-actor-id, x-rig-correlation-id, x-rig-tenant-id";
/// What they may read beside the body.
const CORS_RESPONSE: &str = "etag, mcp-session-id, www-authenticate, x-rig-correlation-id";
/// For how long a browser need not ask again, in seconds.
const CORS_AGE: &str = "600";
/// The header with which a page of the open web asks for a machine in a private network.
const PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Who calls, as far as the request says and the gateway believes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The tenant: the token's; without tokens what the request names.
    pub tenant: Option<String>,
    /// Who makes the call, in the request's own words.
    pub actor: Option<String>,
    /// Whether the caller may see and decide approvals, and read the audit log and the metrics.
    pub approver: bool,
    /// Whose calls, approvals and rows the caller is held to; none, when the gateway has no tokens, is everybody's.
    pub scope: Option<String>,
}

impl Identity {
    /// Refuses callers that may not see what others do.
    pub(in crate::gateway) fn must_approve(&self) -> Result<(), Problem> {
        if self.approver { Ok(()) } else { Err(Problem::forbidden("this takes a token of `approvers`")) }
    }

    /// The tenant of a call: what the request names, which must not be another than the token's.
    pub(in crate::gateway) fn tenant_of(&self, named: Option<String>) -> Result<Option<String>, Problem> {
        match (&self.scope, named) {
            (Some(own), Some(named)) if *own != named => {
                Err(Problem::forbidden("the token belongs to another tenant than the request names"))
            }
            (_, None) => Ok(self.tenant.clone()),
            (_, named) => Ok(named),
        }
    }
}

/// The end of a connection that is this gateway's.
#[derive(Debug, Clone)]
pub(super) struct Local {
    address: IpAddr,
    /// Address and port, as nearly every client writes them into `Host`.
    usual: String,
}

impl Local {
    pub(super) fn new(address: SocketAddr) -> Self {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self { address: address.ip(), usual: address.to_string() }
    }
}

/// Refuses requests that were sent to another name than one of this gateway's. Answers the name that the request has for it.
pub(super) fn check_host<'a>(
    uri: &Uri,
    headers: &'a HeaderMap,
    local: &Local,
    server: &config::Server,
) -> Result<&'a str, Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Problem::bad_request("a request needs one `Host` header"));
    };
    let text = host.to_str().ok();
    let target = uri.authority();
    if let Some(text) = text.filter(|text| target.is_none() && *text == local.usual) {
        return Ok(text);
    }
    let parsed = text.and_then(|text| Some((text, text.parse::<Authority>().ok().filter(plain)?)));
    let Some((text, host)) = parsed else {
        return Err(Problem::bad_request("the `Host` header is not a host and a port"));
    };
    for name in [Some(&host), target].into_iter().flatten() {
        if !plain(name) || !is_ours(name.host(), local.address, &server.allowed_hosts) {
            return Err(Problem::forbidden(
                "the gateway is not reached by this name; who runs it can add it to `server.allowed_hosts` in rig.yaml",
            ));
        }
    }
    Ok(text)
}

/// Without a user name, and with a host.
fn plain(authority: &Authority) -> bool {
    !authority.as_str().contains('@') && !authority.host().is_empty()
}

fn is_ours(host: &str, local: IpAddr, allowed: &[String]) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) if address.to_canonical() == local => return true,
        // A connection on loopback comes from this machine, whichever of its loopback addresses the client thinks it uses.
        Ok(address) if local.is_loopback() && is_usual_loopback(address) => return true,
        Err(_) if local.is_loopback() && host.eq_ignore_ascii_case("localhost") => return true,
        _ => {}
    }
    allowed.iter().any(|allowed| allowed.trim_matches(['[', ']']).eq_ignore_ascii_case(bare))
}

fn is_usual_loopback(address: IpAddr) -> bool {
    address == IpAddr::from([127, 0, 0, 1]) || address == IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16])
}

/// Refuses requests of web pages, but for pages of allowed origins. Answers the origin when the answer must name it.
pub(super) fn check_origin(
    headers: &HeaderMap,
    host: &str,
    server: &config::Server,
) -> Result<Option<HeaderValue>, Problem> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(None) };
    let refused = || {
        Problem::forbidden(
            "web pages of this origin may not call; who runs the gateway can add it to `server.allowed_origins` in rig.yaml",
        )
    };
    let text = origin.to_str().ok().filter(|_| origins.next().is_none()).ok_or_else(refused)?;
    if server.allowed_origins.iter().any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(text)) {
        return Ok(Some(origin.clone()));
    }
    let own = text.strip_prefix("http://").is_some_and(|rest| same(rest, host));
    if own { Ok(None) } else { Err(refused()) }
}

/// Whether two hosts with ports are one; 80 is what http means without a port.
fn same(a: &str, b: &str) -> bool {
    fn bare(text: &str) -> &str {
        text.strip_suffix(":80").unwrap_or(text)
    }
    bare(a).eq_ignore_ascii_case(bare(b))
}

/// The answer to a browser that asks whether a page may send a request, when it asks that.
pub(super) fn preflight(method: &Method, headers: &HeaderMap) -> Option<http::Response<axum::body::Body>> {
    if method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let mut response = http::Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, DELETE"));
    answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(CORS_REQUEST));
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(CORS_AGE));
    if headers.contains_key(PRIVATE_NETWORK) {
        answer.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    Some(response)
}

/// Lets a page of an allowed origin read the answer. Every answer varies by origin, so that no cache gives one page's to another.
pub(super) fn allow_origin(answer: &mut HeaderMap, origin: Option<HeaderValue>) {
    answer.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(CORS_RESPONSE));
    }
}

/// Finds out who calls. `open` routes need no token.
pub(super) fn identify(headers: &HeaderMap, tenants: &Tenants, open: bool) -> Result<Identity, Problem> {
    let tenant = name(headers, &TENANT_ID)?;
    let actor = name(headers, &ACTOR_ID)?;
    if tenants.is_empty() {
        return Ok(Identity { tenant, actor, approver: true, scope: None });
    }
    let login = match token(headers) {
        None if open => return Ok(Identity::default()),
        None => Err("send the tenant's token as `Authorization: Bearer …`"),
        Some(token) => token.and_then(|token| tenants.find(token).ok_or("nobody has this token")),
    };
    let login = match login {
        Ok(login) => login,
        Err(_) if open => return Ok(Identity::default()),
        Err(why) => return Err(Problem::unauthorized(why)),
    };
    let own = Some(login.tenant);
    let identity = Identity { tenant: own.clone(), actor, approver: login.approver, scope: own };
    identity.tenant_of(tenant)?;
    Ok(identity)
}

/// The token of a request, if it brings one.
fn token(headers: &HeaderMap) -> Option<Result<&str, &'static str>> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let first = given.next()?;
    let token = first.to_str().ok().filter(|_| given.next().is_none()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    Some(token.ok_or("the `Authorization` header is not `Bearer` and a token"))
}

/// The value of one of our own headers: visible ASCII and spaces. Empty is absent.
pub(super) fn name(headers: &HeaderMap, header: &HeaderName) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let wrong =
        || Problem::bad_request(format!("`{header}` is sent once, with at most {MAX_NAME} visible ASCII characters"));
    let text = value.to_str().map_err(|_| wrong())?;
    if values.next().is_some() || text.len() > MAX_NAME || text.contains('\t') {
        return Err(wrong());
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests;
