//! Registries that lie, break off, never end or say no. Each answer is changed in one thing; the control is the same registry unchanged.

use std::fs;

use rig_specs::Sha256;
use rig_tests::{Artifact, IMAGE_INDEX, MANIFEST, Project, Recorded, Reply, Upstream, packs};
use serde_json::json;

const HOST: &str = "registry.example.com";
const AT: &str = "oci://registry.example.com/tools/echo:0.1.0";

fn project(upstream: &Upstream) -> Project {
    let project = Project::empty();
    project.rig(&["init"]).ok();
    project.configure(&upstream.yaml());
    project
}

/// Answers as a registry with that artifact does, unless `change` has something else.
fn registry(
    upstream: &Upstream,
    artifact: Artifact,
    change: impl Fn(&Recorded) -> Option<Reply> + Send + Sync + 'static,
) {
    upstream.on(HOST, move |request| {
        let name = request.path().rsplit('/').next().unwrap_or_default();
        if let Some(reply) = change(request) {
            return reply;
        }
        if request.path().contains("/manifests/") {
            return Reply::new(200, artifact.manifest.clone())
                .header("Content-Type", &artifact.kind)
                .header("Docker-Content-Digest", &artifact.digest());
        }
        let blob = artifact.blobs.iter().find(|blob| Sha256::of(blob).to_string() == name);
        blob.map_or_else(|| Reply::json(404, json!({})), |blob| Reply::new(200, blob.clone()))
    });
}

fn echo() -> Artifact {
    Artifact::by_wkg(&packs::built("echo"))
}

/// Answers a path that holds this with that.
fn at(part: &'static str, reply: Reply) -> impl Fn(&Recorded) -> Option<Reply> {
    move |request| request.path().contains(part).then(|| reply.clone())
}

#[track_caller]
fn refused(what: &str, change: impl Fn(&Recorded) -> Option<Reply> + Send + Sync + 'static, texts: &[&str]) {
    let upstream = Upstream::start();
    registry(&upstream, echo(), change);
    let project = project(&upstream);
    let output = project.rig(&["install", "--yes", AT]);
    assert_eq!(output.code, Some(1), "{what}: {output}");
    output.explains(texts);
    assert!(!project.has("rig.lock"), "{what}");
    assert!(project.state().keys().all(|path| path.ends_with("rig.yaml")), "{what}: nothing is kept");
}

#[test]
fn the_control() {
    let upstream = Upstream::start();
    registry(&upstream, echo(), |_| None);
    let project = project(&upstream);
    project.rig(&["install", "--yes", AT]).ok();
    let lines: Vec<String> = upstream.requests().iter().map(Recorded::line).collect();
    let of = |rest: &str| format!("GET https://{HOST}/v2/tools/echo/{rest}");
    let (manifest, blob) = (of(&format!("manifests/{}", echo().digest())), Sha256::of(&packs::built("echo")));
    assert_eq!(lines, [of("manifests/0.1.0"), manifest, of(&format!("blobs/{blob}"))]);
}

#[test]
fn bytes_that_are_not_what_the_manifest_says() {
    let component = packs::built("echo");
    let sha256 = Sha256::of(&component).to_string();
    let mut swapped = component.clone();
    *swapped.last_mut().unwrap() ^= 1;
    let found = Sha256::of(&swapped).to_string();
    refused("swapped", at("/blobs/", Reply::new(200, swapped)), &["is not what it should be", &sha256, &found]);
    let longer = [component.as_slice(), b"x"].concat();
    let size = component.len();
    let says = format!("its manifest says that the component has {size} bytes, and {} come", size + 1);
    refused("longer", at("/blobs/", Reply::new(200, longer)), &[&says]);
    refused("shorter", at("/blobs/", Reply::new(200, &component[..size - 1])), &["its manifest says"]);
    refused(
        "cut",
        at("/blobs/", Reply::new(200, component.clone()).cut_at(1000)),
        &["cannot fetch oci://registry.example.com/tools/echo:0.1.0@sha256:", "broke off"],
    );
    refused(
        "endless",
        at("/blobs/", Reply::endless()),
        &["is not what it should be", &format!("and {size} bytes, but has")],
    );
    refused("gone", at("/blobs/", Reply::json(404, json!({}))), &["there is no such thing"]);
    refused("huge", at("/blobs/", Reply::zeros(1 << 40)), &["its manifest says"]);
}

#[test]
fn manifests_that_are_not_what_they_should_be() {
    let manifest = echo().manifest;
    let with = |bytes: Vec<u8>| Reply::new(200, bytes).header("Content-Type", MANIFEST);
    let changed = |change: fn(&mut serde_json::Value)| with(echo().changed(change).manifest);
    let promise = |reply: Reply| reply.header("Docker-Content-Digest", &echo().digest());
    let cases = [
        ("endless", Reply::endless(), "the manifest is larger than 4096 KiB"),
        ("huge", Reply::zeros(5 << 20), "the manifest is larger than 4096 KiB"),
        ("cut", with(manifest.clone()).cut_at(100), "broke off"),
        ("html", Reply::html(200, "<h1>hello</h1>"), "what the registry answered is not a manifest"),
        ("empty", with(Vec::new()), "what the registry answered is not a manifest"),
        ("other bytes than promised", promise(changed(|it| it["x"] = json!(1))), "the manifest should have"),
        ("old", changed(|it| it["schemaVersion"] = json!(1)), "has a version that rig does not know"),
        ("no layer", changed(|it| it["layers"] = json!([])), "it is an artifact of another kind"),
        (
            "two",
            changed(|it| {
                let one = it["layers"][0].clone();
                it["layers"] = json!([one, one]);
            }),
            "it holds 2 WebAssembly files",
        ),
        (
            "too large",
            changed(|it| it["layers"][0]["size"] = json!(1_u64 << 40)),
            "more than the 256 MiB that rig installs",
        ),
        (
            "another hash",
            changed(|it| it["layers"][0]["digest"] = json!("sha512:00")),
            "`sha512:00`, which is not a sha256 digest",
        ),
        (
            "a path",
            changed(|it| it["layers"][0]["digest"] = json!("../../x")),
            "`../../x`, which is not a sha256 digest",
        ),
        ("both", changed(|it| it["manifests"] = json!([])), "is ambiguous: it names both layers and manifests"),
        ("other type", changed(|it| it["mediaType"] = json!(IMAGE_INDEX)), "is ambiguous: it calls itself"),
        (
            "unknown type",
            changed(|it| it["mediaType"] = json!("application/x")),
            "is ambiguous: it calls itself `application/x`",
        ),
        (
            "nothing",
            Reply::json(200, json!({ "schemaVersion": 2 })),
            "it is no artifact that rig knows (`no media type`)",
        ),
        ("deep", with(format!("{}1", "[".repeat(200)).into_bytes()), "what the registry answered is not a manifest"),
        (
            "twice",
            with(String::from_utf8(manifest.clone()).unwrap().replacen('{', "{\"layers\":[],", 1).into_bytes()),
            "duplicate field `layers`",
        ),
    ];
    for (what, reply, message) in cases {
        refused(what, at("/manifests/0.1.0", reply), &[message]);
    }
    // By its digest it is that manifest or none, even when the tag was honest.
    let other = echo().changed(|it| it["x"] = json!(1));
    let (expected, found) = (echo().digest(), other.digest());
    refused(
        "by digest",
        at("/manifests/sha256:", with(other.manifest)),
        &["the manifest should have", &expected, &found],
    );
}

#[test]
fn answers_that_are_no() {
    let said = |status, code: &str| Reply::json(status, json!({ "errors": [{ "code": code, "message": "m" }] }));
    let cases = [
        (said(403, "DENIED"), "the registry does not let you do that (it says: DENIED: m)", "check the name"),
        (said(404, "NAME_UNKNOWN"), "there is no such thing (it says: NAME_UNKNOWN: m)", "check the name and the tag"),
        (
            said(429, "TOOMANYREQUESTS").header("Retry-After", "17"),
            "the registry takes no more requests for now",
            "try again in 17 seconds",
        ),
        (Reply::new(429, ""), "the registry takes no more requests for now", "try again later"),
        (Reply::html(503, "<h1>down</h1>"), "the registry answered with status 503", "try again later"),
        (Reply::html(418, "x"), "the registry answered with status 418", "an OCI registry"),
        (Reply::json(401, json!({})), "the registry wants to know who you are", "docker login registry.example.com"),
        (Reply::raw(""), "broke off", "check"),
    ];
    for (reply, message, hint) in cases {
        refused(message, at("/v2/", reply), &[&format!("error: cannot pull {AT}: "), message, hint]);
    }
    // Errors that never end are not read to the end.
    refused("endless error", |_| Some(Reply::raw(endless_error())), &["the registry answered with status 500"]);
}

/// 500 and a body that goes on for as long as anybody reads.
fn endless_error() -> Vec<u8> {
    [b"HTTP/1.1 500 x\r\nConnection: close\r\n\r\n".as_slice(), &vec![b'x'; 4 << 20]].concat()
}

#[test]
fn redirects_stay_within_bounds() {
    let to = |place: &str| at("/blobs/", Reply::new(307, "").header("Location", place));
    refused("loop", to("/v2/blobs/"), &["more than 5 redirects"]);
    refused("downgrade", to("http://cdn.example.com/x"), &["from https to http"]);
    refused("to this machine", to("https://127.0.0.1:1/x"), &["from elsewhere to this machine"]);
    refused("to this machine by name", to("https://localhost:1/x"), &["from elsewhere to this machine"]);
    refused("to nowhere", to("https://[/x"), &["redirects to something that is not a URL"]);
    refused("to a file", to("file:///etc/passwd"), &["from https to file"]);
    refused("with a password", to("https://u:p@cdn.example.com/x"), &["it holds a user name or a password"]);

    // The control: to another host, whose bytes are checked as any.
    for honest in [true, false] {
        let upstream = Upstream::start();
        registry(&upstream, echo(), |request| {
            let to = format!("https://cdn.example.com{}", request.path());
            request.path().contains("/blobs/").then(|| Reply::new(302, "").header("Location", &to))
        });
        let mut bytes = packs::built("echo");
        if !honest {
            *bytes.last_mut().unwrap() ^= 1;
        }
        upstream.reply("cdn.example.com", Reply::new(200, bytes));
        let output = project(&upstream).rig(&["install", "--yes", AT]);
        if honest {
            output.ok()
        } else {
            output.fails_with(1).explains(&["is not what it should be"])
        };
    }
}

#[test]
fn lists_of_tags() {
    let pages = |first: Reply, second: Reply| {
        let upstream = Upstream::start();
        registry(&upstream, echo(), move |request| {
            let is_list = request.path().ends_with("/tags/list");
            is_list.then(|| if request.target.contains("last=") { second.clone() } else { first.clone() })
        });
        let output = project(&upstream).rig(&["install", "--yes", "oci://registry.example.com/tools/echo"]);
        (output, upstream)
    };
    let list = |tags: &[&str]| Reply::json(200, json!({ "name": "tools/echo", "tags": tags }));
    let next = |place: &str| list(&["0.0.9"]).header("Link", &format!("<{place}>; rel=\"next\""));
    let (output, _) = pages(next("/v2/tools/echo/tags/list?last=0.0.9&n=1000"), list(&["0.1.0", "x", "0.2.0-rc.1"]));
    output.ok().says("tools/echo:0.1.0@sha256:");
    // A page elsewhere is not asked for.
    let (output, upstream) = pages(next("https://evil.example.com/?last=1"), list(&[]));
    output.says("tools/echo:0.0.9");
    assert!(!upstream.connects().iter().any(|host| host.starts_with("evil.")));
    let (output, _) = pages(list(&[]), list(&[]));
    output.ok().says("tools/echo:latest@sha256:");
    for (reply, message) in [
        (Reply::endless(), "the list is larger than 1024 KiB"),
        (Reply::html(200, "x"), "is not a list of tags"),
        (Reply::json(404, json!({})), "there is no such thing"),
        (next("/v2/tools/echo/tags/list?n=1000&x=1"), "the list has more than 100 pages"),
    ] {
        // A list that goes round and round ends too.
        let turning = reply.clone();
        let upstream = Upstream::start();
        let count = std::sync::atomic::AtomicUsize::new(0);
        upstream.on(HOST, move |_| {
            let turn = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if message.contains("pages") {
                return list(&["0.0.9"]).header("Link", &format!("</v2/tools/echo/tags/list?x={turn}>; rel=next"));
            }
            turning.clone()
        });
        let output = project(&upstream).rig(&["install", "--yes", "oci://registry.example.com/tools/echo"]);
        output.fails_with(1).explains(&["cannot list the tags of oci://registry.example.com/tools/echo", message]);
    }
}

#[test]
fn what_is_no_name_is_not_asked_for() {
    let upstream = Upstream::start();
    let project = project(&upstream);
    for (text, message) in [
        ("oci:registry.example.com/a", "it does not begin with `oci://`"),
        ("oci://registry.example.com", "it names no repository"),
        ("oci://registry.example.com/A", "the repository is not"),
        ("oci://registry.example.com/a/../b", "the repository is not"),
        ("oci://ann:secret@registry.example.com/a", "it holds a user name or password"),
        ("oci://registry.example.com/a@sha256:00", "is not `sha256:` and 64 lower-case hex digits"),
        ("oci://2130706433/a", "is not the name of a registry"),
    ] {
        for command in [&["install", "--yes"][..], &["inspect"]] {
            let output = project.rig(&[command, &[text]].concat());
            output.fails_with(2).explains(&["is not the name of an artifact in a registry", message]);
            output.lacks("secret");
        }
    }
    project.rig(&["install", "--yes", "--offline", AT]).fails_with(1).explains(&["`--offline` was given"]);
    let index = ["install", "--yes", "echo", "--index-url", "oci://registry.example.com/a"];
    project.rig(&index).fails_with(1).explains(&["an index is a file of a web server"]);
    upstream.assert_untouched();
}

/// An index from elsewhere must not send rig to a registry of this machine, where services trust their neighbours.
#[test]
fn an_index_from_elsewhere_names_no_registry_here() {
    let upstream = Upstream::start();
    let project = Project::new();
    let dir = project.index_dir();
    for (url, allowed) in [("oci://127.0.0.1:1/tools/echo:0.1.0", false), (AT, true)] {
        let mut index = packs::index_of(&dir, &[packs::built("echo")]);
        let releases = index.packs.get_mut(&"echo".parse().unwrap()).unwrap().wasm.as_mut().unwrap();
        releases.versions.values_mut().for_each(|release| release.urls = vec![url.into()]);
        let bytes = fs::read(packs::write_index(&dir, &index)).unwrap();
        upstream.reply("index.example.com", Reply::new(200, bytes));
        registry(&upstream, echo(), |_| None);
        project.set_index("https://index.example.com/index.json").configure(&upstream.yaml());
        let output = project.rig(&["install", "--yes", "--allow-unsigned", "--refresh", "echo"]);
        if allowed {
            output.ok();
        } else {
            output.fails_with(1).explains(&["may not send rig to a `oci:` URL"]);
        }
    }
}

#[test]
fn registries_that_do_not_take_a_push() {
    let cases = [
        (
            "POST",
            Reply::json(403, json!({ "errors": [{ "code": "DENIED", "message": "m" }] })),
            "the registry does not let you do that (it says: DENIED: m)",
        ),
        ("POST", Reply::json(404, json!({})), "the registry has no such repository, and makes none"),
        ("POST", Reply::new(202, ""), "the registry does not say where to upload to"),
        ("POST", Reply::new(202, "").header("Location", "http://cdn.example.com/x"), "from https to http"),
        ("POST", Reply::new(202, "").header("Location", "https://127.0.0.1:1/x"), "from elsewhere to this machine"),
        ("POST", Reply::new(307, "").header("Location", "/elsewhere"), "the registry answered with status 307"),
        ("PUT", Reply::json(400, json!({ "errors": [{ "code": "DIGEST_INVALID" }] })), "(it says: DIGEST_INVALID)"),
        (
            "PUT",
            Reply::new(201, "").header("Docker-Content-Digest", &format!("sha256:{}", "0".repeat(64))),
            "the manifest should have",
        ),
        ("HEAD", Reply::new(500, ""), "the registry answered with status 500"),
        ("GET", Reply::new(500, ""), "the registry answered with status 500"),
    ];
    for (method, reply, message) in cases {
        let upstream = Upstream::start();
        upstream.on(HOST, move |request| match request.method.as_str() {
            asked if asked == method => reply.clone(),
            "POST" => Reply::new(202, "").header("Location", "/upload?state=1"),
            "PUT" => Reply::new(201, ""),
            _ => Reply::json(404, json!({})),
        });
        let project = project(&upstream);
        project.write("echo.wasm", packs::built("echo"));
        let output = project.rig(&["publish", "echo.wasm", "--to", "oci://registry.example.com/tools/echo"]);
        output.fails_with(1).explains(&[message]);
        let tagged = upstream.requests().iter().any(|it| it.method == "PUT" && it.path().contains("/manifests/"));
        assert!(!tagged || message.contains("manifest should"), "{message}: no tag names what is not there");
    }
    // The control, in its order: what is there, the blobs, the manifest last.
    let upstream = Upstream::start();
    upstream.on(HOST, |request| match request.method.as_str() {
        "POST" => Reply::new(202, "").header("Location", "/upload?state=1"),
        "PUT" => Reply::new(201, ""),
        _ => Reply::json(404, json!({})),
    });
    let project = project(&upstream);
    project.write("echo.wasm", packs::built("echo"));
    project.rig(&["publish", "echo.wasm", "--to", "oci://registry.example.com/tools/echo"]).ok();
    let methods: Vec<String> = upstream.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods.join(" "), "GET HEAD POST PUT HEAD POST PUT PUT");
    let requests = upstream.requests();
    assert_eq!(Sha256::of(&requests[3].body), Sha256::of(&packs::built("echo")));
    let expected = format!("/upload?state=1&digest=sha256%3A{}", Sha256::of(&packs::built("echo")).hex());
    assert_eq!(requests[3].target, expected);
}
