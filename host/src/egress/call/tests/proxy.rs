//! TLS and the proxy.

use super::*;

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
        offline: false,
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
    let with =
        |extra_ca| Settings { proxy: Some(format!("http://{proxy}")), extra_ca, offline: false, allow_private: vec![] };
    let other = Authority::new();
    for (extra_ca, kind) in
        [(vec![], Some("tls")), (vec![other.pem.clone()], Some("tls")), (vec![ca.pem.clone()], None)]
    {
        let (gate, _) = gate(&with(extra_ca), &[]);
        let outcome =
            call(&gate, HTTPS, 443, &[("TOKEN", TOKEN)]).send(request("GET", "https://api.example.com/")).await;
        match (outcome, kind) {
            (Err(error), Some(kind)) => {
                assert_eq!(error.kind(), kind);
                assert!(error.to_string().ends_with("can be named in network.extra_ca of rig.yaml"), "{error}");
            }
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
