//! What a person is shown.

use serde_json::json;

use rig_specs::lock::Standing;

use super::*;
use crate::install::{
    inspect::inspect,
    test_packs::{embedded, pack},
};

fn github(version: &str) -> EmbeddedPack {
    let mut pack = embedded("github", version);
    pack.manifest = serde_json::from_value(json!({
        "pack": { "id": "github", "version": version, "display-name": "GitHub", "description": "Issues.\nAnd more." },
        "network": [{ "host": "api.github.com", "methods": ["GET", "POST"], "paths": ["/repos/*"] }],
        "secrets": { "GITHUB_TOKEN": { "description": "A token.", "hosts": ["api.github.com"], "inject": { "type": "bearer" } } },
        "config": { "GITHUB_ORG": { "description": "The organisation.", "default": "acme" } },
        "storage": { "quota": "1 MiB" },
        "invoke": { "tools": ["echo.text.say"] },
        "ask": { "description": "Which\u{202e} repository." },
        "limits": { "memory": "128 MiB", "timeout": 60, "output": "1 MiB" },
        "dependencies": { "echo": "^1" },
    }))
    .unwrap();
    pack.tools[0].def.auth_slots = vec!["GITHUB_TOKEN".into()];
    pack
}

fn ask(pack: &EmbeddedPack, installed: Option<Installed<'_>>) -> ConsentRequest {
    let bytes = super::super::test_packs::pack(pack);
    let inspected = inspect(&bytes, &Version::new(0, 1, 0)).unwrap();
    let publisher = Publisher { name: "Acme\u{202e}".into(), homepage: None, key: None };
    let config = Config::default();
    let context = Context {
        origin: Some(&Origin { index: "https://h/i\u{202e}.json".into(), standing: Standing::Unsigned }),
        looks_like: vec!["`git-hub`, which is installed".into()],
        source: "https://h/x.wasm",
        publisher: Some(&publisher),
        publisher_is_new: true,
        config: &config,
        installed,
    };
    request(&inspected, &context)
}

#[test]
fn everything_that_is_asked_for_is_shown() {
    let shown = serde_json::to_value(ask(&github("1.0.0"), None)).unwrap();
    let digest = rig_specs::Sha256::of(&pack(&github("1.0.0"))).to_string();
    assert_eq!(
        shown,
        json!({
            "pack": "github", "version": "1.0.0", "display_name": "GitHub", "description": "Issues. And more.",
            "source": "https://h/x.wasm", "index": { "index": "https://h/i\\u{202e}.json", "standing": "unsigned" },
            "looks_like": ["`git-hub`, which is installed"], "integrity": digest, "size": pack(&github("1.0.0")).len(),
            "publisher": { "name": "Acme\\u{202e}", "homepage": null, "new_to_project": true },
            "network": [{ "origin": "https://api.github.com", "methods": ["GET", "POST"], "paths": ["/repos/*"], "follow": false }],
            "secrets": [{
                "slot": "GITHUB_TOKEN", "description": "A token.", "hosts": ["api.github.com"],
                "places": ["the header Authorization: Bearer"], "tools": ["github.thing.get"],
            }],
            "config": [{ "name": "GITHUB_ORG", "description": "The organisation.", "required": false, "default": "acme" }],
            "storage": 1 << 20,
            "invoke": ["echo.text.say"],
            "ask": "Which\\u{202e} repository.",
            // The output limit is lower than the project's, so there is nothing to agree to.
            "limits": [
                { "name": "memory", "asked": "128 MiB", "normal": "64 MiB" },
                { "name": "timeout", "asked": "60 s", "normal": "30 s" },
            ],
            "tools": [{ "name": "github.thing.get", "title": "", "description": "Gets it.", "risk": "read" }],
            "dependencies": ["echo ^1"],
            "changes": null,
        })
    );
}

#[test]
fn an_update_shows_what_is_new() {
    let (old, mut new) = (github("1.0.0"), github("1.1.0"));
    new.manifest.network[0].methods = vec!["GET".into(), "DELETE".into()];
    new.tools[0].def.risk_class = RiskClass::Destructive;
    let version = Version::new(1, 0, 0);
    let granted = old.manifest.capabilities();
    let installed =
        |pack| Some(Installed { version: &version, granted: &granted, pack, tools_text: true, moved_from: None });
    let changes = ask(&new, installed(Some(&old))).changes.unwrap();
    assert_eq!(
        changes.added,
        ["network: DELETE https://api.github.com/repos/*", "tool: github.thing.get (destructive)"]
    );
    assert_eq!(changes.removed, ["network: POST https://api.github.com/repos/*", "tool: github.thing.get (read)"]);
    // Without the old component its tools are unknown, and none is called new.
    let changes = ask(&new, installed(None)).changes.unwrap();
    assert_eq!(changes.added, ["network: DELETE https://api.github.com/repos/*"]);
}

#[test]
fn texts_cannot_deceive() {
    for (text, shown) in [
        ("plain é 日本 👩\u{fe0f}", "plain é 日本 👩\u{fe0f}"),
        ("a\nb\tc", "a b c"),
        ("\u{1b}[2J", "\\u{1b}[2J"),
        ("\u{7}\u{9b}", "\\u{7}\\u{9b}"),
        ("evil\u{202e}cod", "evil\\u{202e}cod"),
        ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
        ("x\u{e0041}", "x\\u{e0041}"),
    ] {
        assert_eq!(plain(text), shown);
    }
}

#[test]
fn what_rig_itself_sends_for_a_secret_is_shown() {
    let mut pack = github("1.0.0");
    let asked = pack.manifest.secrets.get_mut("GITHUB_TOKEN").unwrap();
    let inject = json!({ "type": "oauth2-service-account", "scopes": ["a", "b"], "token-url": "https://auth.example.com/v1/token" });
    asked.inject = vec![serde_json::from_value(inject).unwrap()];
    let shown = ask(&pack, None);
    let endpoint = HostAccess {
        origin: "https://auth.example.com".into(),
        methods: vec!["POST".into()],
        paths: vec!["/v1/token".into()],
        follow: false,
    };
    assert_eq!(shown.network.last(), Some(&endpoint));
    let place = "the header Authorization: Bearer, as a token from https://auth.example.com/v1/token for a b";
    assert_eq!(shown.secrets[0].places, [place]);
    // Another endpoint in a newer version is something new.
    let before = pack.manifest.capabilities();
    let version = Version::new(1, 0, 0);
    pack.manifest.secrets.get_mut("GITHUB_TOKEN").unwrap().inject =
        vec![serde_json::from_value(json!({ "type": "oauth2-service-account", "scopes": ["a", "b"] })).unwrap()];
    let installed = Installed { version: &version, granted: &before, pack: None, tools_text: false, moved_from: None };
    let added = ask(&pack, Some(installed)).changes.unwrap().added;
    assert!(added.contains(&"network: POST https://oauth2.googleapis.com/token".to_owned()), "{added:?}");
}
