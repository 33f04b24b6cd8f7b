//! Downloads that break off, stand still, lie, and go on: what is asked of the servers, what is said, and what is installed in the end.

use std::{
    fs::{self, File},
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use rig_specs::Sha256;
use rig_tests::{IndexServer, Project, Recorded, Reply, SignedIndex, guest::Guest, packs};
use serde_json::json;
use tokio::sync::Barrier;

const MARK: &str = "\"one\"";
/// How often staging is looked at.
const TICK: Duration = Duration::from_millis(5);
/// Longer than any wait of rig's own.
const PATIENCE: Duration = Duration::from_mins(5);

/// Where the file of the echo pack is in its index.
fn file() -> String {
    format!("echo-{}.wasm", packs::embedded(&packs::built("echo")).manifest.pack.version)
}

/// A project whose index is served over loopback HTTP.
fn served() -> (Project, IndexServer) {
    let project = Project::new();
    let server = IndexServer::start(&project.index_dir());
    project.set_index(&server.url(packs::INDEX));
    (project, server)
}

/// The same, with the echo pack in several places.
fn mirrored(count: usize) -> (Project, Vec<IndexServer>) {
    let project = Project::empty();
    let mut index = packs::index_of(&project.index_dir(), &[packs::built("echo")]);
    let servers: Vec<IndexServer> = (0..count).map(|_| IndexServer::start(&project.index_dir())).collect();
    for pack in index.packs.values_mut() {
        for release in pack.wasm.as_mut().unwrap().versions.values_mut() {
            release.urls = servers.iter().map(|server| server.url(&release.urls[0])).collect();
        }
    }
    packs::write_index(&project.index_dir(), &index);
    project.set_index(&servers[0].url(packs::INDEX));
    (project, servers)
}

/// What was asked of a server about the echo pack: the bytes, and of which version.
fn asked(server: &IndexServer) -> Vec<(Option<String>, Option<String>)> {
    let header = |request: &Recorded, name: &str| request.header(name).map(str::to_owned);
    let requests = server.requests().into_iter().filter(|request| request.path() == format!("/{}", file()));
    requests.map(|request| (header(&request, "range"), header(&request, "if-range"))).collect()
}

fn from(byte: usize, mark: Option<&str>) -> (Option<String>, Option<String>) {
    (Some(format!("bytes={byte}-")), mark.map(str::to_owned))
}

/// The files in staging.
fn staging(project: &Project) -> Vec<PathBuf> {
    let entries = fs::read_dir(project.home().join("store/staging")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn part(project: &Project) -> PathBuf {
    project.home().join("store/staging").join(format!("part-{}", Sha256::of(&packs::built("echo")).hex()))
}

fn is_installed(project: &Project) {
    assert_eq!(fs::read(project.stored("echo")).unwrap(), packs::built("echo"));
    assert_eq!(staging(project), [] as [PathBuf; 0]);
    let _ = project.call("echo.message.send", json!({ "message": "x" })).output();
}

#[test]
fn a_connection_that_breaks_is_gone_on_with_in_the_same_command() {
    let half = packs::built("echo").len() / 2;
    let (project, server) = served();
    server.answer(&file(), move |request, bytes| {
        let reply = Reply::file(request, &bytes, MARK);
        if request.header("range").is_none() { reply.cut_at(half) } else { reply }
    });
    project.install(&["echo"]);
    assert_eq!(asked(&server), [(None, None), from(half, Some(MARK))]);
    is_installed(&project);

    // A server that knows no ranges, one that has another version by now, one that mixes them up.
    for (name, second) in [
        ("ranges are ignored", Reply::new(200, packs::built("echo"))),
        ("another part", Reply::new(206, vec![7; half]).header("Content-Range", "bytes 7-8/9")),
        ("other bytes", {
            let size = packs::built("echo").len();
            let range = format!("bytes {half}-{}/{size}", size - 1);
            Reply::new(206, vec![7; size - half]).header("Content-Range", &range)
        }),
        ("no such part", Reply::new(416, "")),
    ] {
        let (project, server) = served();
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        server.answer(&file(), move |_, bytes| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Reply::new(200, bytes).cut_at(half),
            1 => second.clone(),
            _ => Reply::new(200, bytes),
        });
        project.install(&["echo"]);
        let requests = asked(&server);
        assert_eq!(requests[..2], [(None, None), from(half, None)], "{name}");
        assert_eq!(requests.len(), if name == "ranges are ignored" { 2 } else { 3 }, "{name}");
        is_installed(&project);
    }
}

/// Runs an install until half of the pack is here, and ends it so.
fn interrupted(project: &Project, server: &IndexServer, signal: &str) -> usize {
    let half = packs::built("echo").len() / 2;
    server.answer(&file(), move |request, bytes| Reply::file(request, &bytes, MARK).stall_at(half));
    let before = project.state();
    let child = project.run(["install", "echo", "--yes"]).timeout(PATIENCE).spawn();
    while fs::metadata(part(project)).map_or(0, |part| part.len()) < half as u64 {
        thread::sleep(TICK);
    }
    if signal == "KILL" {
        assert!(child.kill());
    } else {
        child.signal(signal);
        assert_ne!(child.wait().code, Some(0));
    }
    assert_eq!(project.state(), before, "{signal}");
    server.answer(&file(), |request, bytes| Reply::file(request, &bytes, MARK));
    half
}

#[test]
fn the_next_command_goes_on_after_a_kill_and_after_ctrl_c() {
    for signal in ["INT", "TERM", "KILL"] {
        let (project, server) = served();
        let half = interrupted(&project, &server, signal);
        project
            .run(["install", "echo", "--yes", "--verbose"])
            .output()
            .ok()
            .says(&format!("echo: going on after {half} bytes"));
        assert_eq!(asked(&server), [(None, None), from(half, Some(MARK))], "{signal}");
        is_installed(&project);

        // The control: without the part all of it is fetched.
        let (project, server) = served();
        interrupted(&project, &server, signal);
        fs::remove_file(part(&project)).unwrap();
        project.install(&["echo"]);
        assert_eq!(asked(&server), [(None, None), (None, None)], "{signal}");
        is_installed(&project);
    }
}

#[test]
fn what_somebody_put_in_the_place_of_a_part_is_found_out() {
    let (project, server) = served();
    let half = interrupted(&project, &server, "KILL");
    fs::write(part(&project), vec![7; half]).unwrap();
    project.install(&["echo"]);
    assert_eq!(asked(&server), [(None, None), from(half, Some(MARK)), (None, None)]);
    is_installed(&project);

    // A whole file of the right size is asked nobody about, and is found out too.
    let (project, server) = served();
    interrupted(&project, &server, "KILL");
    fs::write(part(&project), vec![7; packs::built("echo").len()]).unwrap();
    project.install(&["echo"]);
    assert_eq!(asked(&server), [(None, None), (None, None)]);
    is_installed(&project);
}

#[test]
fn parts_that_nobody_came_back_for_are_swept() {
    let (project, server) = served();
    interrupted(&project, &server, "KILL");
    project.install(&["github"]);
    assert!(part(&project).exists(), "the next command may still want it");
    let old = SystemTime::now() - Duration::from_hours(8 * 24);
    File::open(part(&project)).unwrap().set_modified(old).unwrap();
    fs::remove_dir_all(project.home().join("store/sha256")).unwrap();
    project.install(&[]);
    assert_eq!(staging(&project), [] as [PathBuf; 0]);
}

#[test]
fn a_mirror_that_fails_is_followed_by_the_next() {
    let size = packs::built("echo").len();
    let (wanted, other) = (Sha256::of(&packs::built("echo")), Sha256::of(&vec![7; size]));
    let status = "cannot fetch [URL]: the server answered with status";
    let cases: Vec<(Reply, String)> = vec![
        (Reply::html(404, "no"), format!("{status} 404")),
        (Reply::html(503, "no"), format!("{status} 503")),
        (Reply::html(429, "no"), format!("{status} 429")),
        (Reply::raw(""), "cannot fetch [URL]: 127.0.0.1 broke off".into()),
        (
            Reply::new(200, vec![7; size]),
            format!("[URL] is not what it should be: it should have {wanted}, but has {other}"),
        ),
        (
            Reply::new(200, vec![7; size + 1]),
            format!(
                "[URL] is not what it should be: it should have {wanted} and {size} bytes, but has {} bytes",
                size + 1
            ),
        ),
        (
            Reply::zeros(1 << 40),
            format!(
                "[URL] is not what it should be: it should have {wanted} and {size} bytes, but has {} bytes",
                1_u64 << 40
            ),
        ),
        (
            Reply::endless(),
            format!("[URL] is not what it should be: it should have {wanted} and {size} bytes, but has "),
        ),
        (
            Reply::new(302, "").header("Location", "http://example.com/echo.wasm"),
            "cannot fetch [URL]: http is used on this machine only".into(),
        ),
        (
            Reply::new(302, "").header("Location", "ftp://127.0.0.1/"),
            "cannot fetch [URL]: it is neither https nor http".into(),
        ),
    ];
    for (reply, why) in cases {
        let (project, servers) = mirrored(2);
        let (first, second) = (servers[0].url(&file()), servers[1].url(&file()));
        servers[0].set(&file(), reply);
        let output = project.install(&["echo"]);
        output.says(&format!("warning: echo: {}", why.replace("[URL]", &first)));
        output.says(&format!("; trying {second}"));
        assert_eq!(project.locked("echo").source, Some(second));
        is_installed(&project);
    }
}

/// Takes as long as rig waits: half a minute.
#[test]
fn a_mirror_that_stands_still_or_drips_is_followed_by_the_next() {
    type Slow = fn(Reply) -> Reply;
    let cases: [(Slow, &str); 3] = [
        (|reply| reply.stall_at(1000), "is too slow: nothing came for 20 seconds"),
        (|reply| reply.trickle(100, Duration::from_secs(1)), "is too slow: only "),
        (|_| Reply::silent(), "nothing came for 30 seconds"),
    ];
    thread::scope(|scope| {
        for (slow, why) in cases {
            scope.spawn(move || {
                let (project, servers) = mirrored(2);
                servers[0].change(&file(), move |bytes| slow(Reply::new(200, bytes)));
                let output = project.run(["install", "echo", "--yes"]).timeout(PATIENCE).output();
                output.ok().says(why).says(&format!("; trying {}", servers[1].url(&file())));
                is_installed(&project);
            });
        }
    });
}

#[test]
fn when_every_mirror_fails_one_error_names_each_with_its_reason() {
    let (project, servers) = mirrored(3);
    servers[0].set(&file(), Reply::html(503, "no"));
    servers[1].set(&file(), Reply::new(200, packs::hollow_component()));
    servers[2].set(&file(), Reply::raw(""));
    let before = project.state();
    let output = project.rig(&["install", "echo", "--yes"]);
    output.fails_with(1).says("`echo`: none of its 3 places has it:").explains(&["tell the publisher"]);
    for (server, why) in
        servers.iter().zip(["the server answered with status 503", "is not what it should be", "broke off"])
    {
        let url = server.url(&file());
        assert!(
            output.stderr.lines().any(|line| line.starts_with("  ") && line.contains(&url) && line.contains(why)),
            "{output}"
        );
    }
    assert_eq!((project.state(), staging(&project)), (before, Vec::new()));
}

#[test]
fn all_downloads_of_a_command_run_beside_each_other() {
    let ids = ["one", "two", "three", "four"];
    let releases = |version: &str| ids.map(|id| packs::released(&Guest::new(id).build(), version)).to_vec();
    let project = Project::empty();
    packs::index_of(&project.index_dir(), &releases("1.0.0"));
    let server = IndexServer::start(&project.index_dir());
    project.set_index(&server.url(packs::INDEX));
    // Nobody gets an answer before all four have asked.
    let hold = |version: &str| {
        let barrier = Arc::new(Barrier::new(ids.len()));
        for id in ids {
            let barrier = Arc::clone(&barrier);
            server.change(&format!("{id}-{version}.wasm"), move |bytes| Reply::new(200, bytes).together(&barrier));
        }
    };
    hold("1.0.0");
    project.install(&ids);
    fs::remove_dir_all(project.home().join("store")).unwrap();
    project.install(&[]);
    packs::index_of(&project.index_dir(), &[releases("1.0.0"), releases("1.1.0")].concat());
    hold("1.1.0");
    project.rig(&["update", "--all", "--yes"]).ok();
    assert!(project.lock().packs.values().all(|pack| pack.version.to_string() == "1.1.0"));
    fs::remove_dir_all(project.home().join("store")).unwrap();
    project.rig(&["rollback", "--yes"]).ok();
    assert!(project.lock().packs.values().all(|pack| pack.version.to_string() == "1.0.0"));
    let urls = ids.map(|id| {
        let digest = Sha256::of(&packs::released(&Guest::new(id).build(), "1.0.0")).hex();
        format!("{}#sha256={digest}", server.url(&format!("{id}-1.0.0.wasm")))
    });
    let other = Project::empty();
    other.rig(&["init"]).ok();
    other.install(&urls.each_ref().map(String::as_str));
    assert_eq!(other.lock().packs.len(), ids.len());
}

#[test]
fn a_signed_index_is_as_strict_about_pieces() {
    let half = packs::built("echo").len() / 2;
    let project = Project::empty();
    let index = SignedIndex::new(&project, "signed");
    index.add(&project, &packs::built("echo"), "Acme");
    project.write("rig.yaml", format!("index:\n  url: {}\n  trusted_keys: [\"{}\"]\n", index.url(), index.root_key));
    // The end is somebody else's: the server says that it is the same version, and it is not.
    index.server.answer(&file(), move |request, bytes| {
        let evil = [&bytes[..half], &vec![7; bytes.len() - half]].concat();
        let reply = Reply::file(request, &evil, MARK);
        if request.header("range").is_none() { reply.cut_at(half) } else { reply }
    });
    project.rig(&["install", "echo", "--yes"]).fails_with(1).explains(&["is not what it should be"]);
    assert!(!project.has("rig.lock"));
    index.server.answer(&file(), move |request, bytes| {
        let reply = Reply::file(request, &bytes, MARK);
        if request.header("range").is_none() { reply.cut_at(half) } else { reply }
    });
    project.install(&["echo"]);
    is_installed(&project);
}

#[test]
fn progress_is_shown_on_a_terminal_and_nowhere_else() {
    let project = Project::new();
    let server = IndexServer::start(&project.index_dir());
    project.set_index(&server.url(packs::INDEX));
    let names: Vec<String> = ["echo", "github"]
        .map(|id| format!("{id}-{}.wasm", packs::embedded(&packs::built(id)).manifest.pack.version))
        .to_vec();
    for name in &names {
        server.change(name, |bytes| {
            let piece = bytes.len() / 20;
            Reply::new(200, bytes).trickle(piece, Duration::from_millis(20))
        });
    }
    let piped = project.install(&["echo", "github"]);
    assert!(!piped.stderr.contains("KiB/") && !piped.stderr.contains('\r'), "{piped}");

    // `script` runs a command on a terminal of its own, and writes what it shows.
    let script = PathBuf::from("/usr/bin/script");
    if !script.is_file() {
        println!("SKIPPED: there is no {} to run rig on a terminal", script.display());
        return;
    }
    let on_a_terminal = |flag: &str| {
        drop(fs::remove_dir_all(project.home().join("store")));
        let command = format!("stty rows 24 cols 100; {} install {flag}", rig_tests::rig_path().display());
        project
            .run_other(&script)
            .env("TERM", "xterm")
            .args(["-qec", &command, "/dev/null"])
            .output()
            .ok()
            .stdout
            .clone()
    };
    let shown = on_a_terminal("");
    for text in ["echo", "github", "KiB/", "of 2 packs"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(!shown.contains("\u{1b}[3"), "NO_COLOR is set: {shown:?}");
    let quiet = on_a_terminal("--quiet");
    assert!(!quiet.contains("KiB/"), "{quiet}");
}
