//! Redirects, followed and handed back.

use super::*;

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
