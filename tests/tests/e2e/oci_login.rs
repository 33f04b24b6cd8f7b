//! Who the user is at a registry: passwords, tokens and helpers of the docker configuration, sent only where they belong and never shown.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
};

use rig_specs::Sha256;
use rig_tests::{Artifact, Project, Recorded, Registry, Reply, USER, Upstream, packs};
use serde_json::{Value, json};

const HOST: &str = "registry.example.com";
const AT: &str = "oci://registry.example.com/tools/echo:0.1.0";
const PASSWORD: &str = "canary-password-7731";
const TOKEN: &str = "canary-access-token-8842";
const IDENTITY: &str = "canary-identity-token-9953";

fn base64(text: &str) -> String {
    // The harness has no such thing, and `base64` is on every machine that has a shell.
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let at = (bits >> (18 - 6 * digit)) & 63;
            out.push(if digit <= chunk.len() { char::from(DIGITS[at as usize]) } else { '=' });
        }
    }
    out
}

/// A project of somebody who has that docker configuration. Whatever is a secret in it fails the test where it shows.
fn project(config: &Value) -> Project {
    let mut project = Project::empty();
    project.rig(&["init"]).ok();
    fs::create_dir(project.root().join("user/.docker")).unwrap();
    project.write("../user/.docker/config.json", config.to_string());
    for secret in [PASSWORD, TOKEN, IDENTITY] {
        project.guard(secret).guard(&base64(&format!("ann:{secret}")));
    }
    project
}

fn password() -> Value {
    json!({ "auths": { HOST: { "auth": base64(&format!("ann:{PASSWORD}")) } } })
}

/// A registry of one artifact behind TLS. `guard` may answer in its place.
fn registry(upstream: &Upstream, guard: impl Fn(&Recorded) -> Option<Reply> + Send + Sync + 'static) {
    let echo = Artifact::by_wkg(&packs::built("echo"));
    upstream.on(HOST, move |request| guard(request).unwrap_or_else(|| answer(&echo, request)));
}

fn answer(artifact: &Artifact, request: &Recorded) -> Reply {
    let name = request.path().rsplit('/').next().unwrap_or_default();
    if request.path().contains("/manifests/") {
        return Reply::new(200, artifact.manifest.clone()).header("Content-Type", &artifact.kind);
    }
    let blob = artifact.blobs.iter().find(|blob| Sha256::of(blob).to_string() == name);
    blob.map_or_else(|| Reply::json(404, json!({})), |blob| Reply::new(200, blob.clone()))
}

fn unauthorized(challenge: &str) -> Reply {
    let errors = json!({ "errors": [{ "code": "UNAUTHORIZED", "message": "authentication required" }] });
    Reply::json(401, errors).header("WWW-Authenticate", challenge)
}

/// Lets in who shows that header.
fn only(header: &'static str, challenge: &'static str) -> impl Fn(&Recorded) -> Option<Reply> {
    move |request| (request.header("authorization") != Some(header)).then(|| unauthorized(challenge))
}

#[test]
fn a_real_registry_with_passwords() {
    let Some(registry) = Registry::with_password() else { return };
    let (user, secret) = USER;
    let path = packs::built("echo");
    let to = registry.oci("tools/echo");
    let with = |config: Value| {
        let project = project(&config);
        project.write("echo.wasm", &path);
        project
    };
    let publish = ["publish", "echo.wasm", "--to", to.as_str()];
    let login = format!("docker login {}", registry.address());
    let nobody = with(json!({}));
    nobody.rig(&publish).fails_with(1).explains(&["the registry wants to know who you are", &login]);
    let wrong = with(json!({ "auths": { registry.address(): { "auth": base64("ann:wrong-canary-1") } } }));
    wrong.rig(&publish).fails_with(1).explains(&["does not take what the docker configuration has for it", &login]);

    let right = with(json!({ "auths": { registry.address(): { "auth": base64(&format!("{user}:{secret}")) } } }));
    right.rig(&publish).ok();
    right.rig(&["install", "--yes", &to]).ok();
    fs::remove_dir_all(right.home().join("store")).unwrap();
    right.rig(&["install"]).ok();
    nobody.rig(&["install", "--yes", &format!("{to}:0.1.0")]).fails_with(1).explains(&["cannot pull", &login]);
    assert!(!right.read("rig.lock").contains("canary"));

    // Another folder, named by the variable.
    let mut elsewhere = with(json!({}));
    fs::create_dir(elsewhere.dir().join("docker")).unwrap();
    elsewhere.write("docker/config.json", right.read("../user/.docker/config.json"));
    let folder = elsewhere.dir().join("docker").display().to_string();
    elsewhere.set_env("DOCKER_CONFIG", &folder);
    elsewhere.rig(&["install", "--yes", &to]).ok();
}

#[test]
fn helpers_are_asked() {
    let upstream = Upstream::start();
    let header = Arc::new(format!("Basic {}", base64(&format!("ann:{PASSWORD}"))));
    registry(&upstream, move |request| {
        (request.header("authorization") != Some(header.as_str())).then(|| unauthorized("Basic realm=\"r\""))
    });
    for key in ["credHelpers", "credsStore"] {
        let config = if key == "credsStore" { json!({ key: "test" }) } else { json!({ key: { HOST: "test" } }) };
        let mut project = project(&config);
        project.configure(&upstream.yaml());
        let helper = project.dir().join("bin/docker-credential-test");
        fs::create_dir(helper.parent().unwrap()).unwrap();
        let script = format!(
            "#!/bin/sh\nread host\n[ \"$1 $host\" = 'get {HOST}' ] || exit 9\necho '{{\"Username\":\"ann\",\"Secret\":\"{PASSWORD}\"}}'\n"
        );
        project.write("bin/docker-credential-test", script);
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        project.rig(&["install", "--yes", AT]).fails_with(1).explains(&["`docker-credential-test` is not in PATH"]);
        let path = format!("{}:{}", helper.parent().unwrap().display(), project.env()["PATH"]);
        project.set_env("PATH", &path);
        project.rig(&["install", "--yes", AT]).ok();
        project.write("bin/docker-credential-test", format!("#!/bin/sh\necho {PASSWORD}; exit 1\n"));
        fs::remove_dir_all(project.home().join("store")).unwrap();
        project.rig(&["install"]).fails_with(1).explains(&["`docker-credential-test` failed with exit code 1"]);
    }
}

/// Nobody is told anything who does not ask.
#[test]
fn public_artifacts_need_no_configuration() {
    let upstream = Upstream::start();
    registry(&upstream, |_| None);
    let project = project(&password());
    project.configure(&upstream.yaml());
    project.rig(&["install", "--yes", AT]).ok();
    assert!(upstream.requests().iter().all(|request| request.count("authorization") == 0));
    // Nor is the configuration read: this one cannot be.
    project.write("../user/.docker/config.json", "canary");
    fs::remove_dir_all(project.home().join("store")).unwrap();
    project.rig(&["install"]).ok();
}

#[test]
fn tokens_are_traded_for_what_the_user_has() {
    const CHALLENGE: &str = r#"Bearer realm="https://auth.example.com/token",service="registry.example.com",scope="repository:tools/echo:pull""#;
    let basic = json!({ "auths": { HOST: { "auth": base64(&format!("ann:{PASSWORD}")) } } });
    let identity = json!({ "auths": { HOST: { "identitytoken": IDENTITY } } });
    let direct = json!({ "auths": { HOST: { "registrytoken": TOKEN } } });
    for (config, name) in [(basic, "password"), (identity, "identity"), (direct, "direct"), (json!({}), "nobody")] {
        let upstream = Upstream::start();
        registry(&upstream, only("Bearer canary-access-token-8842", CHALLENGE));
        upstream.reply("auth.example.com", Reply::json(200, json!({ "token": TOKEN, "expires_in": 300 })));
        let project = project(&config);
        project.configure(&upstream.yaml());
        project.rig(&["install", "--yes", AT]).ok();
        let asked: Vec<Recorded> =
            upstream.requests().into_iter().filter(|request| request.host == "auth.example.com").collect();
        let query = "?service=registry.example.com&scope=repository%3Atools%2Fecho%3Apull";
        match name {
            "direct" => assert_eq!(asked, []),
            "identity" => {
                let [asked] = asked.as_slice() else { panic!("{asked:?}") };
                assert_eq!(
                    (asked.line().as_str(), asked.count("authorization")),
                    ("POST https://auth.example.com/token", 0)
                );
                let body = String::from_utf8_lossy(&asked.body);
                assert_eq!(
                    body,
                    format!(
                        "grant_type=refresh_token&client_id=rig&service=registry.example.com&scope=repository%3Atools%2Fecho%3Apull&refresh_token={IDENTITY}"
                    )
                );
            }
            _ => {
                let [asked] = asked.as_slice() else { panic!("once for the whole command: {asked:?}") };
                assert_eq!(asked.line(), format!("GET https://auth.example.com/token{query}"));
                let expected = (name == "password").then(|| format!("Basic {}", base64(&format!("ann:{PASSWORD}"))));
                assert_eq!(asked.header("authorization"), expected.as_deref());
            }
        }
        let at_registry = upstream.requests().into_iter().filter(|request| request.host == HOST);
        for header in at_registry.filter_map(|request| request.header("authorization").map(str::to_owned)) {
            assert_eq!(header, format!("Bearer {TOKEN}"), "the password goes to the token server only");
        }
    }
}

#[test]
fn token_servers_that_do_not_do_their_part() {
    let token = |realm: &str| format!(r#"Bearer realm="{realm}",service="s""#);
    let elsewhere = "https://auth.example.com/token";
    let good = token(elsewhere);
    let cases = [
        (&good, Reply::json(200, json!({})), "its token server auth.example.com answered without a token"),
        (&good, Reply::new(200, TOKEN), "its token server auth.example.com answered without a token"),
        (
            &good,
            Reply::json(200, json!({ "token": "a\r\nX: y" })),
            "its token server auth.example.com answered without a token",
        ),
        (&good, Reply::endless(), "its token server auth.example.com answers without end"),
        (
            &good,
            Reply::json(401, json!({ "details": PASSWORD })),
            "its token server auth.example.com refuses what the docker configuration has for it",
        ),
        (&good, Reply::json(500, json!({})), "its token server auth.example.com answered with status 500"),
        (
            &good,
            Reply::new(307, "").header("Location", "https://evil.example.com/"),
            "its token server auth.example.com leads elsewhere (status 307), and credentials do not go there",
        ),
        (
            &good,
            Reply::json(200, json!({ "token": "another" })),
            "the registry does not take what the docker configuration has for it",
        ),
        (&token("http://auth.example.com/"), Reply::new(200, ""), "http is used on this machine only"),
        (&token("https://127.0.0.1/"), Reply::new(200, ""), "leads to it, from elsewhere to this machine"),
        (&token("http://127.0.0.1/"), Reply::new(200, ""), "leads to it, from https to http"),
        (&token("https://u:p@auth.example.com/"), Reply::new(200, ""), "it holds a user name or a password"),
        (&token("nonsense"), Reply::new(200, ""), "it names no token server that is a URL"),
        (&"Negotiate".to_owned(), Reply::new(200, ""), "the registry wants to know who you are"),
    ];
    for (challenge, reply, message) in cases {
        let upstream = Upstream::start();
        let challenge = challenge.clone();
        registry(&upstream, move |_| Some(unauthorized(&challenge)));
        upstream
            .reply("auth.example.com", reply)
            .reply("evil.example.com", Reply::json(200, json!({ "token": TOKEN })));
        let project = project(&password());
        project.configure(&upstream.yaml());
        let output = project.rig(&["install", "--yes", AT]);
        output.fails_with(1).explains(&[&format!("error: cannot pull {AT}: "), message]);
        assert!(!upstream.connects().iter().any(|host| host.starts_with("evil.")), "{message}");
    }
}

/// The attack: a registry sends a client that has shown its password on to a host of its choice. The control: at the registry itself
/// the password is shown, and the redirect is followed.
#[test]
fn redirects_carry_no_credentials_to_another_host() {
    let upstream = Upstream::start();
    let challenge = "Basic realm=\"r\"";
    let header = format!("Basic {}", base64(&format!("ann:{PASSWORD}")));
    let (expected, echo) = (header.clone(), Artifact::by_wkg(&packs::built("echo")));
    registry(&upstream, move |request| {
        if request.header("authorization") != Some(expected.as_str()) {
            return Some(unauthorized(challenge));
        }
        let to = request.path().contains("/blobs/").then(|| format!("https://cdn.example.com{}", request.path()));
        to.map(|to| Reply::new(307, "").header("Location", &to))
    });
    upstream.on("cdn.example.com", move |request| answer(&echo, request));
    let project = project(&password());
    project.configure(&upstream.yaml());
    project.rig(&["install", "--yes", AT]).ok();
    let requests = upstream.requests();
    let shown = |host: &str| -> Vec<Option<String>> {
        let of_host = requests.iter().filter(|request| request.host == host);
        of_host.map(|request| request.header("authorization").map(str::to_owned)).collect()
    };
    assert_eq!(shown("cdn.example.com"), [None]);
    assert!(shown(HOST).contains(&Some(header.clone())), "the control: the registry itself is told");

    // The control for the redirect: one that stays at the registry is sent the password as before.
    let (here, echo) = (header.clone(), Artifact::by_wkg(&packs::built("echo")));
    upstream.forget();
    let same = Upstream::start();
    same.on(HOST, move |request| match request.path() {
        _ if request.header("authorization") != Some(here.as_str()) => unauthorized(challenge),
        path if path.starts_with("/v2/") && path.contains("/blobs/") => {
            Reply::new(307, "").header("Location", &path.replace("/v2/", "/storage/"))
        }
        _ => answer(&echo, request),
    });
    let other = self::project(&password());
    other.configure(&same.yaml());
    other.rig(&["install", "--yes", AT]).ok();
    let stored = same.requests().into_iter().find(|request| request.path().starts_with("/storage/")).unwrap();
    assert_eq!(stored.header("authorization"), Some(header.as_str()));

    // Asked for it there, rig does not say it either, and says where that was.
    upstream.reply("cdn.example.com", unauthorized(challenge)).forget();
    fs::remove_dir_all(project.home().join("store")).unwrap();
    project.rig(&["install"]).fails_with(1).explains(&[
        "cdn.example.com, where the registry sent rig, answered with status 401",
        "rig sends no credentials there",
    ]);
    let requests = upstream.requests();
    assert!(requests.iter().all(|request| request.host != "cdn.example.com" || request.count("authorization") == 0));
}

/// The same with an upload: the registry says where the bytes go.
#[test]
fn an_upload_carries_no_credentials_to_another_host() {
    let upstream = Upstream::start();
    let header = format!("Basic {}", base64(&format!("ann:{PASSWORD}")));
    let (expected, put) = (header.clone(), Arc::new(Mutex::new(0)));
    let counted = Arc::clone(&put);
    upstream.on(HOST, move |request| {
        if request.header("authorization") != Some(expected.as_str()) {
            return unauthorized("Basic realm=\"r\"");
        }
        match request.method.as_str() {
            "POST" => Reply::new(202, "").header("Location", "https://cdn.example.com/upload?state=1"),
            "PUT" => Reply::new(201, ""),
            _ => Reply::json(404, json!({})),
        }
    });
    upstream.on("cdn.example.com", move |request| {
        *counted.lock().unwrap() += 1;
        Reply::new(if request.count("authorization") == 0 { 201 } else { 500 }, "")
    });
    let project = project(&password());
    project.configure(&upstream.yaml());
    project.write("echo.wasm", packs::built("echo"));
    project.rig(&["publish", "echo.wasm", "--to", "oci://registry.example.com/tools/echo"]).ok();
    assert_eq!(*put.lock().unwrap(), 2, "config and component");
    let told =
        upstream.requests().into_iter().any(|request| request.host == HOST && request.count("authorization") == 1);
    assert!(told, "the control: the registry itself is told");
}

/// What a registry says in an error is shown, without the password that it was sent.
#[test]
fn what_a_registry_echoes_is_cleared() {
    let upstream = Upstream::start();
    registry(&upstream, |request| {
        let said = request.header("authorization").unwrap_or("nothing").to_owned();
        if said == "nothing" {
            return Some(unauthorized("Basic realm=\"r\""));
        }
        let message = format!("you said {said} and your password is {PASSWORD}\u{1b}[2J");
        Some(Reply::json(403, json!({ "errors": [{ "code": "DENIED", "message": message }] })))
    });
    let project = project(&password());
    project.configure(&upstream.yaml());
    project.rig(&["install", "--yes", AT]).fails_with(1).explains(&[
        "the registry does not let you do that (it says: DENIED: you said",
        "and your password is [redacted:registry]\\u{1b}[2J)",
    ]);
}
