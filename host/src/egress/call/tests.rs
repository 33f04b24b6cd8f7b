//! The gate against real servers on loopback. Where a defence is tested, the same attack is made with the defence off.

use std::{sync::atomic::Ordering, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    super::{
        Settings,
        testing::{Authority, Server, answer, call, connect_proxy, gate, own, request},
    },
    *,
};

/// One server on loopback with a bearer secret.
const LOCAL: &str = r#"
    [[network]]
    host = "127.0.0.1"
    scheme = "http"
    port = PORT
    methods = ["GET", "POST"]
    [secrets.TOKEN]
    hosts = ["127.0.0.1"]
    inject = { type = "bearer" }
"#;

const TOKEN: &str = "canary/token+0123456789";

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn a_request_goes_out_with_its_secret_and_comes_back_without() {
    let server = Server::http(|seen| {
        let sent = seen.header("authorization").unwrap_or("none");
        let page = format!("{sent} {} {}", STANDARD.encode(sent), hex::encode(TOKEN));
        answer(200, &[("X-Echo", sent), ("Content-Type", "text/plain")], page)
    })
    .await;
    let (gate, _) = gate(&own(&["127.0.0.1"]), &[]);
    let call = call(&gate, LOCAL, server.port(), &[("TOKEN", TOKEN)]);
    let response = call
        .send(Request {
            headers: vec![("X-Mine".into(), "1".into()), ("Accept-Encoding".into(), "gzip".into())],
            body: Some(b"hello".to_vec()),
            ..request("POST", &server.url("/a?b=c"))
        })
        .await
        .unwrap();

    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.uri.as_str(), seen.body.as_str()), ("POST", "/a?b=c", "hello"));
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(seen.header("host"), Some(server.address.to_string().as_str()));
    assert_eq!(seen.header("x-mine"), Some("1"));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert!(seen.header("user-agent").unwrap().starts_with("rig/"));

    let page = String::from_utf8(response.body.clone()).unwrap();
    assert!(page.starts_with("Bearer [redacted:TOKEN] "), "{page}");
    assert_eq!(page.matches("[redacted:TOKEN]").count(), 3, "{page}");
    assert!(!page.contains("canary") && !page.contains(&STANDARD.encode("Bearer canary")[..16]), "{page}");
    assert_eq!(header(&response, "x-echo"), Some("Bearer [redacted:TOKEN]"));
    assert_eq!(header(&response, "content-length"), Some(page.len().to_string().as_str()));
    let record = &call.records()[0];
    assert_eq!((record.host.as_str(), record.method.as_str(), record.status), ("127.0.0.1", "POST", Some(200)));
    assert_eq!((record.bytes_sent, record.error), (5, None));
    assert!(!format!("{call:?}").contains(TOKEN));
}

#[tokio::test]
async fn a_tool_without_the_slot_sends_nothing_of_it() {
    let server = Server::http(|_| answer(200, &[], "ok")).await;
    let (gate, _) = gate(&own(&["127.0.0.1"]), &[]);
    let call = call(&gate, LOCAL, server.port(), &[("OTHER", "canary-of-another-slot")]);
    call.send(request("GET", &server.url("/"))).await.unwrap();
    assert_eq!(server.seen()[0].header("authorization"), None);
    let forged =
        Request { headers: vec![("Authorization".into(), "Bearer x".into())], ..request("GET", &server.url("/")) };
    let error = call.send(forged).await.unwrap_err();
    assert_eq!(error.kind(), "invalid-request");
    assert_eq!(
        error.to_string(),
        "the header `authorization` carries the secret `TOKEN` to 127.0.0.1 and is set by rig; leave it out"
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn private_addresses_see_nothing_unless_named() {
    let canary = Server::http(|_| answer(200, &[], "reached")).await;
    let named = LOCAL.replace("127.0.0.1", "public.example");
    let url = format!("http://public.example:{}/", canary.port());
    // The address in the URL; a name that leads there; a name with one public address among others; forms that carry it.
    for (host, addresses, kind) in [
        (None, &[][..], "denied"),
        (Some("localhost"), &["127.0.0.1"], "dns"),
        (Some("public.example"), &["127.0.0.1"], "dns"),
        (Some("public.example"), &["93.184.216.34", "127.0.0.1"], "dns"),
        (Some("public.example"), &["::ffff:127.0.0.1"], "dns"),
        (Some("public.example"), &["64:ff9b::7f00:1"], "dns"),
        (Some("public.example"), &["0.0.0.0"], "dns"),
        (Some("public.example"), &["10.0.0.1"], "dns"),
    ] {
        let (gate, _) = gate(&own(&["other.example"]), addresses);
        let grant = LOCAL.replace("127.0.0.1", host.unwrap_or("127.0.0.1"));
        let url = format!("http://{}:{}/", host.unwrap_or("127.0.0.1"), canary.port());
        let error = call(&gate, &grant, canary.port(), &[]).send(request("GET", &url)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("name the host in network.allow_private of rig.yaml"), "{error}");
        assert!(!error.to_string().contains("10.0.0.1"), "{error}");
    }
    assert_eq!(canary.connections(), 0);

    // The control: named by the project, the same requests arrive.
    for (settings, grant, url, addresses) in [
        (own(&["127.0.0.1"]), LOCAL, canary.url("/"), &[][..]),
        (own(&["public.example"]), &named, url.clone(), &["127.0.0.1"]),
        (own(&["*.example"]), &named, url, &["::ffff:127.0.0.1", "127.0.0.1"]),
    ] {
        let (gate, _) = gate(&settings, addresses);
        let response = call(&gate, grant, canary.port(), &[]).send(request("GET", &url)).await.unwrap();
        assert_eq!(response.body, b"reached");
    }
    assert_eq!(canary.seen().len(), 3);
}

#[tokio::test]
async fn a_name_is_resolved_once_and_what_was_checked_is_used() {
    // A second look-up would get a private address of another kind: the check and the connection share one answer.
    let server = Server::http(|_| answer(200, &[], "ok")).await;
    let (gate, asked) = gate(&own(&["flip.example"]), &["127.0.0.1"]);
    let grant = LOCAL.replace("127.0.0.1", "flip.example");
    let url = format!("http://flip.example:{}/", server.port());
    for _ in 0..3 {
        // Calls share the connection.
        call(&gate, &grant, server.port(), &[]).send(request("GET", &url)).await.unwrap();
    }
    assert_eq!((asked.load(Ordering::SeqCst), server.connections(), server.seen().len()), (1, 1, 3));
}

#[tokio::test]
async fn what_is_not_granted_is_denied_before_anything_is_looked_up() {
    let (gate, asked) = gate(&Settings::default(), &["93.184.216.34"]);
    let call = call(&gate, LOCAL, 80, &[]);
    let error = call.send(request("GET", "https://example.com/v1")).await.unwrap_err();
    assert_eq!(error.kind(), "denied");
    assert!(
        error.to_string().starts_with("GET https://example.com/v1: example.com is not granted to this pack"),
        "{error}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let record = &call.records()[0];
    assert_eq!((record.host.as_str(), record.status, record.error), ("example.com", None, Some("denied")));
    for (method, url, why) in [
        ("get", "https://example.com/", "the method `get` cannot be used"),
        ("", "https://example.com/", "the method `` cannot be used"),
        ("CONNECT", "https://example.com/", "the method `CONNECT` cannot be used"),
        ("TRACE", "https://example.com/", "the method `TRACE` cannot be used"),
        ("GET\r\nX: y", "https://example.com/", "the method `GET\\r\\nX: y` cannot be used"),
        ("GET", "https://u:p@example.com/", "the URL `https://u:p@example.com/` is refused: it holds a user name"),
    ] {
        let error = call.send(request(method, url)).await.unwrap_err();
        assert_eq!(error.kind(), "invalid-request");
        assert!(error.to_string().starts_with(why), "{error}");
    }
}

#[tokio::test]
async fn sizes_are_capped() {
    let lines = |count: usize, value: &str| format!("X-A: {value}\r\n").repeat(count);
    let with = |head: &str| format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes();
    let announced = with("Content-Length: 17000000\r\n");
    let mut endless = with("Connection: close\r\n");
    endless.resize(endless.len() + limits::RESPONSE_BODY + 1, b'x');
    let full = &endless[..endless.len() - 1];
    for (bytes, expected) in [
        (announced, Err("the body of the response is larger than the 16 MiB that are allowed")),
        (full.to_vec(), Ok(limits::RESPONSE_BODY)),
        (endless, Err("the body of the response is larger than the 16 MiB that are allowed")),
        (with(&format!("{}Content-Length: 0\r\n", lines(99, "1"))), Ok(0)),
        (with(&lines(101, "1")), Err("the response has 101 headers; 100 are allowed")),
        (with(&lines(20, &"y".repeat(4000))), Err("the headers of the response take 80060 bytes; 64 KiB are allowed")),
    ] {
        let server = Server::raw(bytes, true).await;
        let (gate, _) = gate(&own(&["127.0.0.1"]), &[]);
        let call = call(&gate, LOCAL, server.port(), &[]);
        match (call.send(request("GET", &server.url("/"))).await, expected) {
            (Ok(response), Ok(length)) => assert_eq!(response.body.len(), length),
            (Err(HttpError::TooLarge(text)), Err(why)) => assert_eq!(text, why),
            (other, _) => panic!("{expected:?}: {:?}", other.map(|r| r.status)),
        }
    }
    let (gate, _) = gate(&own(&["127.0.0.1"]), &[]);
    let body = Some(vec![0; limits::REQUEST_BODY + 1]);
    let error = call(&gate, LOCAL, 1, &[]).send(Request { body, ..request("POST", "http://127.0.0.1:1/") }).await;
    assert_eq!(error, Err(HttpError::TooLarge("the body of the request has 8388609 bytes; 8 MiB are allowed".into())));
}

#[tokio::test]
async fn a_call_makes_so_many_requests_and_no_more() {
    let server = Server::http(|_| answer(200, &[], "ok")).await;
    let (gate, _) = gate(&own(&["127.0.0.1"]), &[]);
    let call = call(&gate, LOCAL, server.port(), &[]);
    // Refused ones count.
    call.send(request("GET", "nonsense")).await.unwrap_err();
    call.send(request("GET", "https://example.com/")).await.unwrap_err();
    for _ in 2..limits::REQUESTS {
        call.send(request("GET", &server.url("/"))).await.unwrap();
    }
    let error = call.send(request("GET", &server.url("/"))).await.unwrap_err();
    assert_eq!(error, HttpError::Denied("this call has made 64 requests, which is all it may".into()));
    assert_eq!((server.seen().len(), call.records().len()), (62, 63));
}

#[tokio::test]
async fn slow_broken_and_absent_servers() {
    let silent = Server::raw(Vec::new(), false).await;
    let stuck = Server::raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec(), false).await;
    let garbage = Server::raw(b"SSH-2.0-OpenSSH\r\n".to_vec(), true).await;
    let cut = Server::raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec(), true).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let grant = r#"
        [[network]]
        host = "127.0.0.1"
        scheme = "http"
        port = PORT
        [secrets.KEY]
        hosts = ["127.0.0.1"]
        inject = { type = "query", name = "key" }
    "#;
    for (port, kind, why) in [
        (silent.port(), "timeout", "127.0.0.1 did not answer within the time for the request"),
        (stuck.port(), "timeout", "127.0.0.1 did not answer within the time for the request"),
        (garbage.port(), "protocol", "127.0.0.1 broke off or did not answer in HTTP: "),
        (cut.port(), "protocol", "127.0.0.1 broke off or did not answer in HTTP: "),
        (closed, "connect", "no connection to 127.0.0.1: Connection refused"),
    ] {
        let (gate, _) = gate(&own(&["127.0.0.1"]), &[]);
        let call = call(&gate, grant, port, &[("KEY", TOKEN)]);
        let url = format!("http://127.0.0.1:{port}/");
        let request = Request { timeout: Some(Duration::from_millis(200)), ..request("GET", &url) };
        let error = call.send(request).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().starts_with(why), "{error}");
        assert!(!error.to_string().contains("canary") && !error.to_string().contains("key="), "{error}");
        assert_eq!(call.records()[0].error, Some(kind));
    }
    // A call that ends first leaves its record.
    let (gate, _) = gate(&own(&["127.0.0.1"]), &[]);
    let call = call(&gate, grant, silent.port(), &[]);
    let sent = tokio::time::timeout(Duration::from_millis(100), call.send(request("GET", &silent.url("/")))).await;
    assert!(sent.is_err());
    assert_eq!(call.records()[0].error, Some("cancelled"));
}

#[tokio::test]
async fn a_compressed_answer_cannot_smuggle_a_secret() {
    let server = Server::http(|_| answer(200, &[("Content-Encoding", "gzip")], "any bytes")).await;
    let (gate, _) = gate(&own(&["127.0.0.1"]), &[]);
    let error = call(&gate, LOCAL, server.port(), &[("TOKEN", TOKEN)]).send(request("GET", &server.url("/"))).await;
    match error {
        Err(HttpError::Protocol(text)) => assert!(text.starts_with("127.0.0.1 sent a compressed answer"), "{text}"),
        other => panic!("{other:?}"),
    }
    // Nothing was sent that could come back: the bytes are the guest's.
    let plain = call(&gate, LOCAL, server.port(), &[]).send(request("GET", &server.url("/"))).await.unwrap();
    assert_eq!(plain.body, b"any bytes");
}

/// Two hosts on one server that redirects as its path says: `/<status>/<to>`; the secret is bound to the first.
const REDIRECTS: &str = r#"
    [[network]]
    host = "a.example"
    scheme = "http"
    port = PORT
    methods = ["GET", "POST", "PUT"]
    follow = true
    [[network]]
    host = "b.example"
    scheme = "http"
    port = PORT
    methods = ["GET"]
    [secrets.TOKEN]
    hosts = ["a.example"]
    inject = { type = "header", name = "X-Token" }
    [secrets.KEY]
    hosts = ["a.example"]
    inject = { type = "query", name = "key" }
"#;

async fn redirecting() -> Server {
    Server::http(|seen| {
        let path = seen.uri.split('?').next().unwrap_or_default();
        let query = seen.uri.split_once('?').map_or("", |(_, query)| query);
        match path.trim_start_matches('/').split_once('/') {
            Some((status, to)) if status.parse::<u16>().is_ok() => {
                let to = percent_encoding::percent_decode_str(to).decode_utf8_lossy().replace("QUERY", query);
                answer(status.parse().unwrap(), &[("Location", &to)], "moved")
            }
            _ => answer(200, &[], "end"),
        }
    })
    .await
}

fn to(status: u16, location: &str) -> String {
    format!("/{status}/{}", percent_encoding::utf8_percent_encode(location, percent_encoding::NON_ALPHANUMERIC))
}

#[tokio::test]
async fn redirects_are_followed_where_granted() {
    let server = redirecting().await;
    let (gate, _) = gate(&own(&["*.example"]), &["127.0.0.1"]);
    let port = server.port();
    for (method, status, end) in [
        ("GET", 301, ("GET", "")),
        ("POST", 301, ("GET", "")),
        ("POST", 302, ("GET", "")),
        ("PUT", 302, ("PUT", "body")),
        ("PUT", 303, ("GET", "")),
        ("POST", 307, ("POST", "body")),
        ("POST", 308, ("POST", "body")),
    ] {
        let call = call(&gate, REDIRECTS, port, &[("TOKEN", TOKEN)]);
        let url = format!("http://a.example:{port}{}", to(status, "/end"));
        let body = (method != "GET").then(|| b"body".to_vec());
        let headers = vec![("Content-Type".into(), "text/plain".into())];
        let response = call.send(Request { headers, body, ..request(method, &url) }).await.unwrap();
        assert_eq!((response.status, response.body.as_slice()), (200, &b"end"[..]));
        let seen = server.seen().pop().unwrap();
        assert_eq!((seen.method.as_str(), seen.body.as_str()), end, "{method} {status}");
        assert_eq!(seen.header("content-type").is_some(), end.0 == method, "{method} {status}");
        assert_eq!(seen.header("x-token"), Some(TOKEN));
        let statuses: Vec<_> = call.records().iter().map(|record| record.status).collect();
        assert_eq!(statuses, [Some(status), Some(200)]);
    }
}

#[tokio::test]
async fn each_hop_is_under_the_same_rules() {
    let server = redirecting().await;
    let (gate, _) = gate(&own(&["*.example"]), &["127.0.0.1"]);
    let port = server.port();
    let secrets = [("TOKEN", TOKEN), ("KEY", "canary-key-0123")];
    let send = |url: String, headers: Vec<(String, String)>| {
        let call = call(&gate, REDIRECTS, port, &secrets);
        async move { call.send(Request { headers, ..request("GET", &url) }).await }
    };
    // Another host: without the secret, without the guest's own credentials, and its own redirects come back.
    let b = format!("http://b.example:{port}");
    let at_b = format!("{b}{}", to(302, "/again"));
    let guest =
        vec![("Cookie".into(), "a=b".into()), ("Authorization".into(), "guest".into()), ("X-Mine".into(), "1".into())];
    let response = send(format!("http://a.example:{port}{}", to(302, &at_b)), guest).await.unwrap();
    assert_eq!((response.status, header(&response, "location")), (302, Some("/again")));
    let seen = server.seen();
    let [first, second] = seen.as_slice() else { panic!("{}", seen.len()) };
    assert_eq!((first.header("x-token"), first.header("cookie")), (Some(TOKEN), Some("a=b")));
    for name in ["x-token", "cookie", "authorization"] {
        assert_eq!(second.header(name), None, "{name}");
    }
    assert_eq!(second.header("x-mine"), Some("1"));
    assert!(first.uri.ends_with("?key=canary-key-0123") && !second.uri.contains("canary"), "{}", second.uri);

    // The service copies the query, secret included: on its own host the field is put anew, to another it is not followed.
    send(format!("http://a.example:{port}{}", to(302, "/end?QUERY&x=1")), vec![]).await.unwrap();
    assert_eq!(server.seen().pop().unwrap().uri, "/end?x=1&key=canary-key-0123");
    let before = server.seen().len();
    let copied = send(format!("http://a.example:{port}{}", to(302, &format!("{b}/end?QUERY"))), vec![]).await;
    let why = "a.example redirects to a URL that holds a secret; it is not followed";
    assert_eq!(copied, Err(HttpError::Denied(why.into())));

    for (location, kind, why) in [
        ("http://c.example/".to_owned(), "denied", "c.example is not granted to this pack"),
        ("http://127.0.0.1/".into(), "denied", "127.0.0.1 is not granted to this pack"),
        (format!("https://a.example:{port}/"), "denied", "it asked for https"),
        ("http://u:p@a.example/".into(), "protocol", "it holds a user name"),
        ("ftp://a.example/".into(), "protocol", "it does not start with https:// or http://"),
    ] {
        let error = send(format!("http://a.example:{port}{}", to(302, &location)), vec![]).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{location}: {error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    // One request each: the second was never made.
    assert_eq!(server.seen().len(), before + 6);

    let loops = Server::http(|_| answer(302, &[("Location", "/")], "")).await;
    let call = call(&gate, REDIRECTS, loops.port(), &[]);
    let error = call.send(request("GET", &format!("http://a.example:{}/", loops.port()))).await.unwrap_err();
    assert_eq!(error, HttpError::Protocol("a.example redirects more than 10 times".into()));
    assert_eq!(loops.seen().len(), 11);
}

#[tokio::test]
async fn without_follow_the_pack_gets_the_redirect_redacted() {
    let server = Server::http(|seen| answer(302, &[("Location", &format!("/next{}", &seen.uri[1..]))], "")).await;
    let (gate, _) = gate(&own(&["127.0.0.1"]), &[]);
    let grant = LOCAL.replace(r#"{ type = "bearer" }"#, r#"{ type = "query", name = "key" }"#);
    let call = call(&gate, &grant, server.port(), &[("TOKEN", TOKEN)]);
    let response = call.send(request("GET", &server.url("/"))).await.unwrap();
    assert_eq!((response.status, header(&response, "location")), (302, Some("/next?key=[redacted:TOKEN]")));
    assert_eq!(server.seen().len(), 1);
}

const HTTPS: &str = r#"
    [[network]]
    host = "api.example.com"
    [[network]]
    host = "10.1.2.3"
    [secrets.TOKEN]
    hosts = ["api.example.com"]
    inject = { type = "basic", user = "me" }
"#;

#[tokio::test]
async fn through_a_proxy_with_its_own_authority() {
    let ca = Authority::new();
    let upstream = Server::https(&ca, "api.example.com", |seen| {
        let basic = seen.header("authorization").unwrap_or_default().to_owned();
        answer(200, &[], basic)
    })
    .await;
    let (proxy, asked) = connect_proxy(upstream.address).await;
    let settings = Settings {
        proxy: Some(format!("http://corp:proxy-password@{proxy}")),
        extra_ca: vec![ca.pem.clone()],
        allow_private: vec![],
    };
    let (gate, lookups) = gate(&settings, &["93.184.216.34"]);
    let call = call(&gate, HTTPS, 443, &[("TOKEN", TOKEN)]);
    let response = call.send(request("GET", "https://api.example.com/v1")).await.unwrap();
    let body = String::from_utf8(response.body).unwrap();
    assert!(body.starts_with("Basic bWU6") && body.contains("[redacted:TOKEN]"), "{body}");
    let sent = upstream.seen()[0].header("authorization").unwrap().to_owned();
    assert_eq!(sent, format!("Basic {}", STANDARD.encode(format!("me:{TOKEN}"))));
    let connect = asked.lock().unwrap()[0].clone();
    assert_eq!((connect.method.as_str(), connect.uri.as_str()), ("CONNECT", "api.example.com:443"));
    let credentials = format!("Basic {}", STANDARD.encode("corp:proxy-password"));
    assert_eq!(connect.header("proxy-authorization"), Some(credentials.as_str()));
    assert_eq!(connect.header("authorization"), None);
    assert_eq!(lookups.load(Ordering::SeqCst), 0, "the proxy resolves names, rig does not");

    // The rules hold as before: what is not granted, and private addresses, do not reach the proxy.
    for url in ["https://example.com/", "https://10.1.2.3/", "https://api.example.com:8443/"] {
        assert_eq!(call.send(request("GET", url)).await.unwrap_err().kind(), "denied");
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let ca = Authority::new();
    let upstream = Server::https(&ca, "api.example.com", |_| answer(200, &[], "")).await;
    let (proxy, _) = connect_proxy(upstream.address).await;
    let with = |extra_ca| Settings { proxy: Some(format!("http://{proxy}")), extra_ca, allow_private: vec![] };
    for (extra_ca, kind) in [(vec![], Some("tls")), (vec![Authority::new().pem], None), (vec![ca.pem.clone()], None)] {
        let (gate, _) = gate(&with(extra_ca), &[]);
        let outcome =
            call(&gate, HTTPS, 443, &[("TOKEN", TOKEN)]).send(request("GET", "https://api.example.com/")).await;
        match (outcome, kind) {
            (Err(error), Some(kind)) => {
                assert_eq!(error.kind(), kind);
                assert!(error.to_string().ends_with("can be named in network.extra_ca of rig.yaml"), "{error}");
            }
            // The second authority's folder is gone with it: the file cannot be read.
            (Err(HttpError::Connect(text)), None) => assert!(text.starts_with("network.extra_ca: "), "{text}"),
            (Ok(response), None) => assert_eq!(response.status, 200),
            (other, _) => panic!("{kind:?}: {other:?}"),
        }
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn this_machine_is_not_reached_through_the_proxy() {
    let server = Server::http(|_| answer(200, &[], "direct")).await;
    let (proxy, asked) = connect_proxy(server.address).await;
    let settings = Settings { proxy: Some(format!("http://{proxy}")), ..own(&["127.0.0.1", "localhost"]) };
    let (gate, _) = gate(&settings, &["127.0.0.1"]);
    for host in ["127.0.0.1", "localhost"] {
        let grant = LOCAL.replace("127.0.0.1", host);
        let url = format!("http://{host}:{}/", server.port());
        let response = call(&gate, &grant, server.port(), &[]).send(request("GET", &url)).await.unwrap();
        assert_eq!(response.body, b"direct");
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_proxy_that_is_down_is_named_without_its_password() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let settings = Settings { proxy: Some(format!("http://corp:proxy-password@{closed}")), ..Settings::default() };
    let (gate, _) = gate(&settings, &[]);
    let error = call(&gate, HTTPS, 443, &[]).send(request("GET", "https://api.example.com/")).await.unwrap_err();
    assert_eq!(error.kind(), "connect");
    assert!(
        error.to_string().starts_with(&format!("no connection to api.example.com through the proxy {closed}: ")),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("proxy-password"));
}
