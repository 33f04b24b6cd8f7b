//! The checks by themselves, without a connection.

use super::*;

fn headers(of: &[(HeaderName, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in of {
        map.append(name, value.parse().unwrap());
    }
    map
}

fn server(hosts: &[&str], origins: &[&str]) -> config::Server {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    config::Server { allowed_hosts: owned(hosts), allowed_origins: owned(origins), ..config::Server::default() }
}

fn local_end(address: &str) -> Local {
    Local::new((address.parse::<IpAddr>().unwrap(), 8787).into())
}

const STRANGE: &str =
    "the gateway is not reached by this name; who runs it can add it to `server.allowed_hosts` in rig.yaml";
const FOREIGN: &str =
    "web pages of this origin may not call; who runs the gateway can add it to `server.allowed_origins` in rig.yaml";

#[test]
fn hosts() {
    let allowed = server(&["rig.corp.example", "::2"], &[]);
    let check = |host: &str, local: &str| {
        let uri = Uri::from_static("/v1/health");
        check_host(&uri, &headers(&[(HOST, host)]), &local_end(local), &allowed).map(drop)
    };
    for (host, local) in [
        ("127.0.0.1:8787", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("localhost:1", "127.0.0.1"),
        ("LocalHost", "::1"),
        ("[::1]:8787", "::1"),
        ("[::1]", "127.0.0.1"),
        ("10.0.0.5:80", "10.0.0.5"),
        ("[::ffff:10.0.0.5]", "10.0.0.5"),
        ("Rig.Corp.Example:443", "10.0.0.5"),
        ("rig.corp.example", "127.0.0.1"),
        ("[::2]", "10.0.0.5"),
    ] {
        assert_eq!(check(host, local), Ok(()), "{host} at {local}");
    }
    for (host, local) in [
        ("evil.example", "127.0.0.1"),
        ("localhost", "10.0.0.5"),
        ("127.0.0.1", "10.0.0.5"),
        ("10.0.0.6", "10.0.0.5"),
        ("localhost.evil.example", "127.0.0.1"),
        ("localhost.", "127.0.0.1"),
        ("rig.corp.example.evil.example", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
    ] {
        assert_eq!(check(host, local), Err(Problem::forbidden(STRANGE)), "{host} at {local}");
    }
    for host in ["", "user@127.0.0.1", "127.0.0.1:port:1", "a b", "http://127.0.0.1"] {
        let wrong = Problem::bad_request("the `Host` header is not a host and a port");
        assert_eq!(check(host, "127.0.0.1"), Err(wrong), "{host}");
    }
}

#[test]
fn one_host_and_the_target_agrees_with_it() {
    let (local, settings) = (local_end("127.0.0.1"), server(&[], &[]));
    let check = |uri: &'static str, of: &[(HeaderName, &str)]| {
        check_host(&Uri::from_static(uri), &headers(of), &local, &settings).map(drop)
    };
    let one = Problem::bad_request("a request needs one `Host` header");
    assert_eq!(check("/", &[]), Err(one.clone()));
    assert_eq!(check("/", &[(HOST, "localhost"), (HOST, "localhost")]), Err(one));
    assert_eq!(check("http://localhost/", &[(HOST, "localhost")]), Ok(()));
    assert_eq!(check("http://evil.example/", &[(HOST, "localhost")]), Err(Problem::forbidden(STRANGE)));
}

#[test]
fn origins() {
    let settings = server(&[], &["https://console.corp.example", "http://localhost:3000/"]);
    let check = |origins: &[&str], host: &'static str| {
        let origins: Vec<_> = origins.iter().map(|origin| (ORIGIN, *origin)).collect();
        check_origin(&headers(&origins), host, &settings)
    };
    let named = |origin: &'static str| Ok(Some(HeaderValue::from_static(origin)));
    assert_eq!(check(&[], "localhost:8787"), Ok(None));
    assert_eq!(check(&["http://localhost:8787"], "localhost:8787"), Ok(None));
    assert_eq!(check(&["http://localhost"], "localhost:80"), Ok(None));
    assert_eq!(check(&["https://console.corp.example"], "localhost:8787"), named("https://console.corp.example"));
    assert_eq!(check(&["http://localhost:3000"], "localhost:8787"), named("http://localhost:3000"));
    for origins in [
        &["null"][..],
        &["http://evil.example"],
        &["https://localhost:8787"],
        &["http://localhost:8788"],
        &["http://127.0.0.1:8787"],
        &["http://console.corp.example"],
        &["https://console.corp.example.evil.example"],
        &["http://localhost:8787", "http://evil.example"],
        &[""],
    ] {
        assert_eq!(check(origins, "localhost:8787"), Err(Problem::forbidden(FOREIGN)), "{origins:?}");
    }
}

#[test]
fn only_browsers_questions_are_preflights() {
    let asks = headers(&[(ACCESS_CONTROL_REQUEST_METHOD, "POST")]);
    let answer = preflight(&Method::OPTIONS, &asks).unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_METHODS], "GET, HEAD, POST, DELETE");
    assert!(preflight(&Method::POST, &asks).is_none());
    assert!(preflight(&Method::OPTIONS, &HeaderMap::new()).is_none());
}

fn tenants() -> Tenants {
    let tenant = |token: &str, approver: &str| config::Tenant {
        tokens: vec![crate::tenants::hash(token)],
        approvers: vec![crate::tenants::hash(approver)],
        ..config::Tenant::default()
    };
    let of = [("acme".to_owned(), tenant("a-1", "a-2")), ("beta".to_owned(), tenant("b-1", "b-2"))];
    Tenants::new(&config::Config { tenants: of.into(), ..config::Config::default() })
}

#[test]
fn without_tokens_everybody_is_who_they_say() {
    let given = headers(&[(TENANT_ID, "acme"), (ACTOR_ID, "zoe")]);
    let found = identify(&given, &Tenants::default(), false);
    let expected = Identity { tenant: Some("acme".into()), actor: Some("zoe".into()), approver: true, scope: None };
    assert_eq!(found, Ok(expected));
}

#[test]
fn tokens_say_whose_calls_they_are() {
    let check = |of: &[(HeaderName, &str)], open| identify(&headers(of), &tenants(), open);
    let acme = |approver| Identity { tenant: Some("acme".into()), actor: None, approver, scope: Some("acme".into()) };
    assert_eq!(check(&[(AUTHORIZATION, "Bearer a-1")], false), Ok(acme(false)));
    assert_eq!(check(&[(AUTHORIZATION, "bearer a-2"), (TENANT_ID, "acme")], false), Ok(acme(true)));
    let other = Problem::forbidden("the token belongs to another tenant than the request names");
    assert_eq!(check(&[(AUTHORIZATION, "Bearer a-1"), (TENANT_ID, "beta")], false), Err(other));

    let none = Problem::unauthorized("send the tenant's token as `Authorization: Bearer …`");
    assert_eq!(check(&[], false), Err(none));
    assert_eq!(check(&[], true), Ok(Identity::default()));
    for (value, why) in [
        ("Bearer x", "nobody has this token"),
        ("Bearer ", "nobody has this token"),
        ("Basic YTox", "the `Authorization` header is not `Bearer` and a token"),
        ("a-1", "the `Authorization` header is not `Bearer` and a token"),
    ] {
        assert_eq!(check(&[(AUTHORIZATION, value)], false), Err(Problem::unauthorized(why)), "{value}");
    }
    let twice = [(AUTHORIZATION, "Bearer a-1"), (AUTHORIZATION, "Bearer b-1")];
    let why = "the `Authorization` header is not `Bearer` and a token";
    assert_eq!(check(&twice, false), Err(Problem::unauthorized(why)));
}

#[test]
fn another_tenant_is_refused_wherever_it_is_named() {
    let mine = Identity { tenant: Some("acme".into()), scope: Some("acme".into()), ..Identity::default() };
    assert_eq!(mine.tenant_of(None), Ok(Some("acme".into())));
    assert_eq!(mine.tenant_of(Some("acme".into())), Ok(Some("acme".into())));
    let other = Problem::forbidden("the token belongs to another tenant than the request names");
    assert_eq!(mine.tenant_of(Some("beta".into())), Err(other));
    let open = Identity { tenant: Some("header".into()), ..Identity::default() };
    assert_eq!(open.tenant_of(Some("body".into())), Ok(Some("body".into())), "the body wins");
}

#[test]
fn names_are_short_and_visible() {
    let long = "a".repeat(MAX_NAME + 1);
    let wrong = Problem::bad_request("`x-rig-actor-id` is sent once, with at most 200 visible ASCII characters");
    for of in [
        &[(ACTOR_ID, long.as_str())][..],
        &[(ACTOR_ID, "é")],
        &[(ACTOR_ID, "a\tb")],
        &[(ACTOR_ID, "a"), (ACTOR_ID, "b")],
    ] {
        assert_eq!(name(&headers(of), &ACTOR_ID), Err(wrong.clone()), "{of:?}");
    }
    assert_eq!(name(&headers(&[(ACTOR_ID, "Zoe Doe")]), &ACTOR_ID), Ok(Some("Zoe Doe".into())));
    assert_eq!(name(&headers(&[(ACTOR_ID, "")]), &ACTOR_ID), Ok(None));
}
