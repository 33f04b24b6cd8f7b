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

mod proxy;
mod redirects;
mod token;

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
    // Rebinding needs a second look-up between check and connection; there is none.
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
    let call = Arc::new(call);
    let running = Arc::clone(&call);
    let url = silent.url("/");
    let task = tokio::spawn(async move { running.send(request("GET", &url)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
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
