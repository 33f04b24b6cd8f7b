//! Settings of the gate, and downloads.

use futures_util::TryStreamExt;

use super::{
    super::testing::{Authority, Server, answer, connect_proxy, gate, own},
    *,
};

#[test]
fn settings_that_cannot_be_used() {
    for (proxy, why) in [
        ("proxy.corp", "network.proxy is not a URL"),
        ("proxy.corp:3128", "network.proxy is not an http:// or https:// URL of a proxy"),
        ("socks5://proxy.corp:1080", "network.proxy is not an http:// or https:// URL of a proxy"),
        ("http://proxy.corp/path", "network.proxy has a path; a proxy is only a host and a port"),
    ] {
        let settings = Settings { proxy: Some(proxy.into()), ..Settings::default() };
        let error = Gate::new(&settings).unwrap_err();
        assert_eq!(error.to_string(), why, "{proxy}");
        assert_eq!(error.hint(), Some("write it as http://host:port in rig.yaml"));
    }
    let error = Gate::new(&own(&["good.example", "10.0.0.0/8"])).unwrap_err();
    assert!(matches!(&error, Error::AllowPrivate(why) if why.starts_with("`10.0.0.0/8` is not a host")), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, content: Option<&str>| {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        path
    };
    for (path, expected) in [
        (path("none", None), "No such file"),
        (path("empty", Some("")), "the file holds no certificate"),
        (path("text", Some("not a certificate")), "the file holds no certificate"),
        (path("broken", Some("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n")), "the file is not PEM"),
        (
            path("other", Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
            "a certificate cannot be read",
        ),
    ] {
        let gate = Gate::new(&Settings { extra_ca: vec![path.clone()], ..Settings::default() }).unwrap();
        match gate.check().unwrap_err() {
            Error::ExtraCa { path: named, why } => assert!(named == path && why.contains(expected), "{why}"),
            other => panic!("{other}"),
        }
    }
    let gate = Gate::new(&Settings { extra_ca: vec![Authority::new().pem], ..Settings::default() }).unwrap();
    assert!(gate.check().is_err(), "the file is gone");
    assert!(Gate::new(&Settings::default()).unwrap().check().is_ok());
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[tokio::test]
async fn downloads_from_this_machine() {
    let server = Server::http(|seen| match seen.uri.as_str() {
        "/moved" => answer(302, &[("Location", "/file")], ""),
        "/file" => answer(200, &[("Content-Type", "application/wasm")], vec![7_u8; 100_000]),
        _ => answer(404, &[], "no"),
    })
    .await;
    let gate = Gate::new(&Settings::default()).unwrap();
    let download = gate.download(&url(&server.url("/moved")), None).await.unwrap();
    assert_eq!((download.status, download.length), (200, Some(100_000)));
    assert_eq!(download.content_type.as_deref(), Some("application/wasm"));
    assert_eq!(download.url.path(), "/file");
    let pieces: Vec<Bytes> = download.into_stream().try_collect().await.unwrap();
    assert_eq!(pieces.concat(), vec![7; 100_000]);
    let missing = gate.download(&url(&format!("http://localhost:{}/none", server.port())), None).await.unwrap();
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn downloads_that_are_refused() {
    let loops = Server::http(|_| answer(302, &[("Location", "/")], "")).await;
    let away = Server::http(|seen| answer(302, &[("Location", &seen.uri[1..])], "")).await;
    let cut = Server::raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec(), true).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (gate, asked) = gate(&Settings::default(), &["93.184.216.34"]);
    for (from, why) in [
        (
            "http://example.com/a?key=canary".to_owned(),
            "http://example.com/a is not downloaded: http is used on this machine only",
        ),
        ("http://10.0.0.1/".into(), "http://10.0.0.1/ is not downloaded: http is used on this machine only"),
        ("http://127.0.0.1.example.com/".into(), "http is used on this machine only"),
        ("https://u:canary@example.com/".into(), "https://example.com/ is not downloaded: it holds a user name"),
        ("ftp://example.com/".into(), "ftp://example.com/ is not downloaded: it is neither https nor http"),
        (loops.url("/"), "more than 5 redirects"),
        (away.url("/http://example.com/"), "http is used on this machine only"),
        (away.url("/file:///etc/passwd"), "it is neither https nor http"),
        (format!("http://localhost:{}/", loops.port()), "localhost is not this machine here"),
        (format!("http://{closed}/?key=canary"), "no connection to 127.0.0.1: Connection refused"),
    ] {
        let error = gate.download(&url(&from), None).await.unwrap_err();
        assert!(error.to_string().contains(why), "{from}: {error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    assert_eq!(loops.seen().len(), limits::DOWNLOAD_REDIRECTS + 1);
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1, "only localhost was looked up");

    let mut download = gate.download(&url(&cut.url("/")), None).await.unwrap();
    let error = loop {
        match download.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a cut body is not whole"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("broke off"), "{error}");
}

#[tokio::test]
async fn downloads_take_the_proxy_and_the_authorities() {
    let ca = Authority::new();
    let upstream = Server::https(&ca, "packs.example.com", |seen| match seen.uri.as_str() {
        "/down" => answer(302, &[("Location", "http://localhost/")], ""),
        _ => answer(200, &[], "pack"),
    })
    .await;
    let (proxy, asked) = connect_proxy(upstream.address).await;
    let settings =
        Settings { proxy: Some(format!("http://{proxy}")), extra_ca: vec![ca.pem.clone()], ..Settings::default() };
    let (gate, lookups) = gate(&settings, &[]);
    let mut download = gate.download(&url("https://packs.example.com/p.wasm"), None).await.unwrap();
    assert_eq!(download.chunk().await.unwrap(), Some(Bytes::from("pack")));
    assert_eq!(asked.lock().unwrap()[0].uri, "packs.example.com:443");
    assert_eq!(lookups.load(std::sync::atomic::Ordering::SeqCst), 0);
    let error = gate.download(&url("https://packs.example.com/down"), None).await.unwrap_err();
    let why = "http://localhost/ is not downloaded: https://packs.example.com/down redirects to it, from https to http";
    assert_eq!(error.to_string(), why);
}

#[tokio::test]
async fn downloads_may_come_from_private_addresses_and_packs_may_not() {
    let ca = Authority::new();
    let server = Server::https(&ca, "registry.corp.example", |_| answer(200, &[], "pack")).await;
    let settings = Settings { extra_ca: vec![ca.pem.clone()], ..Settings::default() };
    let (gate, _) = gate(&settings, &["127.0.0.1"]);
    let from = format!("https://registry.corp.example:{}/", server.port());
    assert_eq!(gate.download(&url(&from), None).await.unwrap().status, 200);
    let target = Target::parse(&from).unwrap();
    let error = gate.exchange(Method::GET, &target, HeaderMap::new(), None).await.unwrap_err();
    assert_eq!(error.kind(), "dns");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn the_peer_is_checked_again() {
    let target = Target::parse("https://public.example/").unwrap();
    let peer = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
    let gate = |settings: &Settings| Gate::new(settings).unwrap();
    let plain = gate(&Settings::default());
    assert_eq!(plain.check_peer(&target, peer("93.184.216.34:443")), Ok(()));
    assert_eq!(plain.check_peer(&target, None), Ok(()));
    for address in ["127.0.0.1:443", "[::1]:443", "[::ffff:10.0.0.1]:443"] {
        assert_eq!(plain.check_peer(&target, peer(address)).unwrap_err().kind(), "dns");
        assert_eq!(gate(&own(&["public.example"])).check_peer(&target, peer(address)), Ok(()));
        // The peer is the proxy.
        let proxied = Settings { proxy: Some("http://proxy.corp:3128".into()), ..Settings::default() };
        assert_eq!(gate(&proxied).check_peer(&target, peer(address)), Ok(()));
    }
}
