//! Secrets that are traded for access tokens, against a service and a token endpoint behind a proxy that leads to one server.

use std::sync::atomic::{AtomicUsize, Ordering};

use rig_specs::{manifest::GOOGLE_TOKEN_URL, rtp::ErrorKind};
use serde_json::{Value, json};

use super::{
    super::super::testing::{Seen, service_account},
    *,
};

const GRANT: &str = r#"
    [[network]]
    host = "sheets.googleapis.com"
    methods = ["GET", "POST"]
    paths = ["/v4/*"]
    [secrets.KEY]
    hosts = ["sheets.googleapis.com"]
    inject = { type = "oauth2-service-account", scopes = ["a", "b"] }
"#;

const SHEET: &str = "https://sheets.googleapis.com/v4/x";

/// A gate whose every request ends at a server, which answers for the token endpoint and for the service.
struct World {
    gate: Arc<Gate>,
    server: Server,
    asked: Arc<Mutex<Vec<Seen>>>,
    _ca: Authority,
}

type Reply = http::Response<http_body_util::Full<Bytes>>;

impl World {
    async fn new(respond: impl Fn(&Seen, bool) -> Reply + Send + Sync + 'static) -> Self {
        let ca = Authority::new();
        let server = Server::https(&ca, "*.googleapis.com", move |seen| {
            let host = seen.header("host").unwrap_or_default();
            respond(seen, host == "oauth2.googleapis.com" || host == "tokens.googleapis.com")
        })
        .await;
        let (proxy, asked) = connect_proxy(server.address).await;
        let settings =
            Settings { proxy: Some(format!("http://{proxy}")), extra_ca: vec![ca.pem.clone()], ..Settings::default() };
        let (gate, _) = gate(&settings, &[]);
        Self { gate, server, asked, _ca: ca }
    }

    fn call(&self, key: &Value) -> CallEgress {
        call(&self.gate, GRANT, 443, &[("KEY", &key.to_string())])
    }

    /// The requests for tokens, and those to the service.
    fn seen(&self) -> (Vec<Seen>, Vec<Seen>) {
        self.server.seen().into_iter().partition(|seen| seen.header("host") == Some("oauth2.googleapis.com"))
    }
}

fn token(value: &str, seconds: u64) -> Reply {
    let body = json!({ "access_token": value, "expires_in": seconds, "token_type": "Bearer" });
    answer(200, &[("Content-Type", "application/json")], body.to_string())
}

#[tokio::test]
async fn a_token_is_minted_once_for_all_and_the_key_stays() {
    let world = World::new(|seen, is_token| {
        if is_token {
            return token("ya29.canary-token", 3599);
        }
        let sent = seen.header("authorization").unwrap_or("none");
        let key = service_account()["private_key"].as_str().unwrap().to_owned();
        answer(200, &[("X-Echo", sent)], format!("{sent} {} {} {key}", STANDARD.encode(sent), json!(key)))
    })
    .await;
    let key = service_account();
    let calls: Vec<CallEgress> = (0..8).map(|_| world.call(&key)).collect();
    let answers = futures_util::future::join_all(calls.iter().map(|call| call.send(request("GET", SHEET)))).await;
    for response in answers {
        let response = response.unwrap();
        let page = String::from_utf8(response.body.clone()).unwrap();
        assert!(page.starts_with("Bearer [redacted:KEY] "), "{page}");
        assert_eq!(page.matches("[redacted:KEY]").count(), 4, "{page}");
        assert!(!page.contains("canary") && !page.contains("PRIVATE KEY"), "{page}");
        assert_eq!(header(&response, "x-echo"), Some("Bearer [redacted:KEY]"));
    }
    let later = world.call(&key);
    later.send(request("POST", SHEET)).await.unwrap();
    assert!(later.redactor().finds(b"ya29.canary-token") && later.redactor().finds(key.to_string().as_bytes()));

    let (tokens, sheets) = world.seen();
    assert_eq!((tokens.len(), sheets.len()), (1, 9), "one token for all calls");
    assert!(sheets.iter().all(|seen| seen.header("authorization") == Some("Bearer ya29.canary-token")));
    assert_eq!((tokens[0].method.as_str(), tokens[0].uri.as_str()), ("POST", "/token"));
    assert_eq!(tokens[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(tokens[0].header("authorization"), None);
    assert!(tokens[0].body.starts_with("assertion=ey") && !tokens[0].body.contains("PRIVATE"), "{}", tokens[0].body);

    // The one that minted has two records, the others one.
    let mut hosts: Vec<String> =
        calls.iter().flat_map(CallEgress::records).map(|r| format!("{} {} {:?}", r.method, r.host, r.status)).collect();
    hosts.sort();
    assert_eq!(hosts.pop().as_deref(), Some("POST oauth2.googleapis.com Some(200)"));
    assert_eq!(hosts, vec!["GET sheets.googleapis.com Some(200)"; 8]);
    assert!(!format!("{later:?} {:?}", world.gate).contains("canary"));

    // Another key, and other scopes, have tokens of their own.
    let mut other = key.clone();
    other["client_email"] = json!("other@p.iam.gserviceaccount.com");
    world.call(&other).send(request("GET", SHEET)).await.unwrap();
    let narrow = call(&world.gate, &GRANT.replace(r#""a", "b""#, r#""a""#), 443, &[("KEY", &key.to_string())]);
    narrow.send(request("GET", SHEET)).await.unwrap();
    assert_eq!(world.seen().0.len(), 3);
}

#[tokio::test]
async fn a_key_cannot_send_what_it_signs_elsewhere() {
    let elsewhere = "https://tokens.googleapis.com/token";
    let world =
        World::new(|_, is_token| if is_token { token("t0123456789", 3599) } else { answer(200, &[], "") }).await;
    let mut key = service_account();
    for uri in [
        elsewhere,
        "https://evil.example/token",
        "http://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com/tokens",
    ] {
        key["token_uri"] = json!(uri);
        let call = world.call(&key);
        let error = call.send(request("GET", SHEET)).await.unwrap_err();
        assert_eq!(error.kind(), "denied", "{uri}");
        let why = format!("its `token_uri` is not {GOOGLE_TOKEN_URL}, and nothing that it signs is sent elsewhere");
        assert_eq!(error.to_string(), format!("the secret `KEY` cannot be used: {why}"));
        let failure = call.take_failure().unwrap();
        assert_eq!(
            (failure.kind, failure.retryable, failure.message),
            (ErrorKind::AuthError, false, error.to_string())
        );
        assert!(failure.hint.unwrap().contains("make a new key"));
        assert_eq!(call.take_failure(), None, "told once");
    }
    assert!(world.asked.lock().unwrap().is_empty() && world.server.seen().is_empty());

    // The control: where the manifest names that endpoint, which people are shown, the same key is traded there.
    key["token_uri"] = json!(elsewhere);
    let grant = GRANT.replace("\"b\"]", &format!("\"b\"], token-url = \"{elsewhere}\""));
    call(&world.gate, &grant, 443, &[("KEY", &key.to_string())]).send(request("GET", SHEET)).await.unwrap();
    assert_eq!(world.asked.lock().unwrap()[0].uri, "tokens.googleapis.com:443");
}

#[tokio::test]
async fn nothing_is_minted_for_what_may_not_be_sent() {
    let world = World::new(|_, _| token("t0123456789", 3599)).await;
    let key = service_account().to_string();
    let own = format!(
        "{GRANT}\n[[network]]\nhost = \"other.googleapis.com\"\n[[network]]\nhost = \"sheets.googleapis.com\"\nscheme = \"http\""
    );
    let forged = Request { headers: vec![("Authorization".into(), "Bearer x".into())], ..request("GET", SHEET) };
    for (secrets, asked, kind) in [
        (vec![("KEY", key.as_str())], request("GET", "https://sheets.googleapis.com/v3/x"), "denied"),
        (vec![("KEY", &key)], request("DELETE", SHEET), "denied"),
        (vec![("KEY", &key)], request("POST", GOOGLE_TOKEN_URL), "denied"),
        (vec![("KEY", &key)], forged, "invalid-request"),
        (vec![("KEY", &key)], request("GET", "http://sheets.googleapis.com/"), "denied"),
        (vec![("KEY", &key)], request("GET", "https://other.googleapis.com/"), "sent"),
        (vec![("OTHER", &key)], request("GET", SHEET), "sent"),
    ] {
        let shown = format!("{asked:?}");
        let sent = call(&world.gate, &own, 443, &secrets).send(asked).await;
        assert_eq!(sent.map_or_else(|error| error.kind(), |_| "sent"), kind, "{shown}");
    }
    let (tokens, sent) = world.seen();
    assert_eq!((tokens.len(), sent.len()), (0, 2));
    assert!(sent.iter().all(|seen| seen.header("authorization").is_none()));
    // The control: the request that is granted has one.
    call(&world.gate, &own, 443, &[("KEY", &key)]).send(request("GET", SHEET)).await.unwrap();
    assert_eq!(world.seen().0.len(), 1);
}

#[tokio::test]
async fn a_token_that_ended_is_replaced_once() {
    // The service takes the tokens up to a number, and what it takes changes.
    let (minted, valid) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(1)));
    let (count, taken) = (Arc::clone(&minted), Arc::clone(&valid));
    let world = World::new(move |seen, is_token| {
        if is_token {
            return token(&format!("token-number-{}", count.fetch_add(1, Ordering::SeqCst) + 1), 3599);
        }
        let wanted = format!("Bearer token-number-{}", taken.load(Ordering::SeqCst));
        answer(if seen.header("authorization") == Some(&wanted) { 200 } else { 401 }, &[], seen.body.clone())
    })
    .await;
    let key = service_account();
    let send = async || {
        let call = world.call(&key);
        let post = Request { body: Some(b"once".to_vec()), ..request("POST", SHEET) };
        let response = call.send(post).await.unwrap();
        (response.status, call.records().len(), minted.load(Ordering::SeqCst))
    };
    assert_eq!(send().await, (200, 2, 1), "minted");
    assert_eq!(send().await, (200, 1, 1), "kept");
    valid.store(2, Ordering::SeqCst);
    assert_eq!(send().await, (200, 3, 2), "refused, minted, sent again");
    assert_eq!(world.seen().1.last().unwrap().body, "once");
    valid.store(0, Ordering::SeqCst);
    assert_eq!(send().await, (401, 3, 3), "refused, minted, refused: that is the answer");
    assert_eq!(send().await, (401, 1, 3), "a token that never worked is not the reason, and is not replaced again");
    valid.store(3, Ordering::SeqCst);
    assert_eq!(send().await, (200, 1, 3));
}

#[tokio::test]
async fn a_token_that_is_about_to_expire_is_not_used() {
    for (seconds, minted) in [(3599, 1), (61, 1), (60, 3), (0, 3)] {
        let world =
            World::new(move |_, is_token| if is_token { token("t0123456789", seconds) } else { answer(200, &[], "") })
                .await;
        for _ in 0..3 {
            world.call(&service_account()).send(request("GET", SHEET)).await.unwrap();
        }
        assert_eq!(world.seen().0.len(), minted, "{seconds} s");
    }
}

/// An answer of the token endpoint, and what becomes of it: kind, whether it may pass, code, a part of the message and of the hint.
type Refusal = (Reply, ErrorKind, bool, &'static str, &'static str, &'static str);

fn refusals() -> [Refusal; 12] {
    let refuse = |status: u16, error: &str, why: &str| {
        answer(status, &[], json!({ "error": error, "error_description": why }).to_string())
    };
    let skewed = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and \
                  exp values in the JWT claim.";
    [
        (
            refuse(400, "invalid_grant", skewed),
            ErrorKind::AuthError,
            false,
            "invalid_grant",
            "oauth2.googleapis.com gave no access token for the secret `KEY`: invalid_grant (Invalid JWT",
            "set the clock of this machine",
        ),
        (
            refuse(400, "invalid_grant", "Invalid JWT Signature."),
            ErrorKind::AuthError,
            false,
            "invalid_grant",
            "invalid_grant (Invalid JWT Signature)",
            "make a new key for the service account and set KEY to it",
        ),
        (
            refuse(400, "invalid_scope", ""),
            ErrorKind::AuthError,
            false,
            "invalid_scope",
            "`KEY`: invalid_scope",
            "what the pack asks",
        ),
        (
            refuse(401, "invalid_client", "no"),
            ErrorKind::AuthError,
            false,
            "invalid_client",
            "(no)",
            "check the service account",
        ),
        (
            answer(403, &[], "<html>"),
            ErrorKind::AuthError,
            false,
            "403",
            "no reason given",
            "check the service account",
        ),
        (
            answer(429, &[("Retry-After", "7")], "{}"),
            ErrorKind::RateLimited,
            true,
            "429",
            "no reason",
            "retry after 7 s",
        ),
        (answer(500, &[], ""), ErrorKind::Transient, true, "500", "no reason given", ""),
        (
            answer(503, &[("Retry-After", "3")], ""),
            ErrorKind::Transient,
            true,
            "503",
            "no reason given",
            "retry after 3 s",
        ),
        (
            answer(302, &[("Location", "https://evil.example/")], ""),
            ErrorKind::UpstreamError,
            false,
            "302",
            "no reason",
            "",
        ),
        (answer(200, &[], "not JSON"), ErrorKind::UpstreamError, true, "200", "answered without one", ""),
        (
            answer(200, &[], r#"{"access_token": "a b"}"#),
            ErrorKind::UpstreamError,
            true,
            "200",
            "answered without one",
            "",
        ),
        (
            answer(200, &[], r#"{"access_token": "abcdefgh", "token_type": "mac"}"#),
            ErrorKind::UpstreamError,
            true,
            "200",
            "answered without one",
            "",
        ),
    ]
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    for (reply, kind, retryable, code, message, hint) in refusals() {
        let reply = Mutex::new(Some(reply));
        let world = World::new(move |_, is_token| {
            assert!(is_token, "the service is not asked without a token");
            reply.lock().unwrap().take().unwrap_or_else(|| answer(418, &[], ""))
        })
        .await;
        let call = world.call(&service_account());
        let error = call.send(request("GET", SHEET)).await.unwrap_err();
        let failure = call.take_failure().unwrap();
        assert_eq!((failure.kind, failure.retryable), (kind, retryable), "{failure:?}");
        assert_eq!(failure.upstream_code.as_deref(), Some(code));
        assert!(failure.message.contains(message), "{failure:?}");
        assert!(failure.hint.clone().unwrap_or_default().contains(hint), "{failure:?}");
        assert_eq!(error.to_string(), failure.message, "the guest is told the same");
        assert_eq!(world.seen().0.len(), 1, "nothing is tried twice");
        let records = call.records();
        assert_eq!((records[0].host.as_str(), records[1].bytes_sent, records.len()), ("oauth2.googleapis.com", 0, 2));
    }
}

#[tokio::test]
async fn an_endpoint_that_echoes_gives_nothing_away() {
    let world = World::new(|seen, _| {
        let assertion = seen.body.split(['=', '&']).nth(1).unwrap();
        answer(
            400,
            &[],
            json!({ "error": "invalid_grant", "error_description": format!("bad: {assertion}") }).to_string(),
        )
    })
    .await;
    let call = world.call(&service_account());
    let error = call.send(request("GET", SHEET)).await.unwrap_err().to_string();
    assert_eq!(error, "oauth2.googleapis.com gave no access token for the secret `KEY`: invalid_grant");
    let key = service_account()["private_key"].as_str().unwrap().to_owned();
    let world = World::new(move |_, _| {
        answer(400, &[], json!({ "error": "invalid_grant", "error_description": key }).to_string())
    })
    .await;
    let error = world.call(&service_account()).send(request("GET", SHEET)).await.unwrap_err().to_string();
    assert_eq!(error, "oauth2.googleapis.com gave no access token for the secret `KEY`: invalid_grant");
}

#[tokio::test]
async fn an_endpoint_that_is_not_reached_is_transient() {
    let ca = Authority::new();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let settings =
        Settings { proxy: Some(format!("http://{closed}")), extra_ca: vec![ca.pem.clone()], ..Settings::default() };
    let (gate, _) = gate(&settings, &[]);
    let call = call(&gate, GRANT, 443, &[("KEY", &service_account().to_string())]);
    let error = call.send(request("GET", SHEET)).await.unwrap_err();
    assert_eq!(error.kind(), "connect");
    let failure = call.take_failure().unwrap();
    assert_eq!((failure.kind, failure.retryable), (ErrorKind::Transient, true));
    assert!(
        failure.message.starts_with("no access token for the secret `KEY`: no connection to oauth2.googleapis.com"),
        "{failure}"
    );

    let world = World::new(|_, _| token("t0123456789", 3599)).await;
    let call = self::call(&world.gate, GRANT, 443, &[("KEY", "canary: not a key")]);
    let error = call.send(request("GET", SHEET)).await.unwrap_err().to_string();
    assert_eq!(error, "the secret `KEY` cannot be used: it is not a JSON object");
    assert!(world.server.seen().is_empty());
}
