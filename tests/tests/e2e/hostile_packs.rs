//! Hostile packs for Python and Node, called through a gateway that serves others meanwhile. Each attack is one function of one file,
//! which is run as a program too, where it must succeed: else its failure in a pack would prove nothing.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, UdpSocket},
    os::unix::net::UnixListener,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rig_tests::{
    Gateway, Project,
    wheels::{Wheel, pack_code},
};
use serde_json::{Value, json};

const ATTACKS: &str = include_str!("hostile_packs/attacks.py");
const SECRET: &str = "a-secret-of-somebody-else";

/// A project with a hostile pack, another pack beside it, a component, and things worth stealing.
struct World {
    project: Project,
    gateway: Arc<Gateway>,
    calling: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    others: Option<thread::JoinHandle<()>>,
}

impl World {
    fn new() -> Self {
        let project = Project::with(&["echo"]);
        let dir = project.dir();
        project.configure("python: { find_links: [wheels] }\n");
        let hostile = pack_code("hostile", "1.0.0", &[("'hostile.attack.run'", CALL)]);
        Wheel::pack("rig-pack-hostile", "1.0.0", &hostile).file("attacks.py", ATTACKS).write(&dir.join("wheels"));
        let other = pack_code("other", "1.0.0", &[("'other.a.x'", "return {'x': 1}")]);
        Wheel::pack("rig-pack-other", "1.0.0", &other)
            .file("other_secret.py", &format!("TOKEN = '{SECRET}'\n"))
            .write(&dir.join("wheels"));
        for name in ["rig-pack-other", "rig-pack-hostile"] {
            let granted = ["--allow-host", "api.example.com"];
            project.rig(&[&["install", name, "--runtime", "python", "--yes", "--offline"], &granted[..]].concat()).ok();
        }
        let user = project.root().join("user");
        for path in [user.join(".ssh/id_ed25519"), dir.join(".env"), dir.join("private.txt")] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("OTHER_KEY={SECRET}\n")).unwrap();
        }
        let gateway = Arc::new(Gateway::start(&project));
        let (calling, answered) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let others = thread::spawn({
            let (gateway, calling, answered) = (Arc::clone(&gateway), Arc::clone(&calling), Arc::clone(&answered));
            move || {
                while calling.load(Ordering::Relaxed) {
                    let answer = gateway.call("echo.message.send", json!({ "message": "x" }));
                    assert_eq!(answer["ok"], true, "another pack's call: {answer}");
                    let answer = gateway.call("other.a.x", json!({}));
                    assert_eq!(answer["ok"], true, "another pack's call: {answer}");
                    answered.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(20));
                }
            }
        });
        Self { project, gateway, calling, answered, others: Some(others) }
    }

    /// The attack from the pack.
    fn attack(&self, name: &str, given: &Value) -> Value {
        let before = self.answered.load(Ordering::Relaxed);
        let answer = self.gateway.call("hostile.attack.run", json!({ "name": name, "given": given }));
        while self.answered.load(Ordering::Relaxed) < before + 2 {
            assert!(!self.others.as_ref().unwrap().is_finished(), "others are answered throughout");
            thread::sleep(Duration::from_millis(5));
        }
        answer
    }

    /// The attack from a program of the same user outside of any cell.
    fn control(&self, name: &str, given: &Value) -> Value {
        let file = self.project.root().join("attacks.py");
        fs::write(&file, ATTACKS).unwrap();
        let output = Command::new("python3").arg(file).args([name, &given.to_string()]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "control of {name}: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn end(mut self) {
        self.calling.store(false, Ordering::Relaxed);
        self.others.take().unwrap().join().unwrap();
        assert!(self.answered.load(Ordering::Relaxed) > 0);
    }
}

const CALL: &str = "import attacks\nreturn {'got': attacks.attempt(args['name'], args['given'])}";

/// A process of the machine, as rig's own or another program's.
struct Victim(Child);

impl Victim {
    fn new() -> Self {
        let mut command = Command::new("sleep");
        Self(command.arg("600").env("OF_THE_VICTIM", SECRET).stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Refused with the error of the pack, or answered with nothing.
#[track_caller]
fn got_nothing(answer: &Value) {
    let text = answer.to_string();
    assert!(!text.contains(SECRET), "{text}");
    let nothing = [json!(""), json!([])].contains(&answer["output"]["got"]);
    assert!(nothing || answer["error"]["type"] == "internal_error", "{text}");
}

#[test]
fn files_of_others_are_neither_read_nor_written() {
    let world = World::new();
    let (root, dir) = (world.project.root().to_path_buf(), world.project.dir());
    let path = |path: &str| root.join(path).to_str().unwrap().to_owned();
    let victim = Victim::new();
    let packages = fs::read_dir(dir.join(".venv/lib")).unwrap().next().unwrap().unwrap().path().join("site-packages");
    let other = packages.join("other_secret.py").to_str().unwrap().to_owned();
    for paths in [
        vec![path("user/.ssh/*"), "~/.ssh/*".into()],
        vec![dir.join(".env").to_str().unwrap().to_owned(), dir.join("private.txt").to_str().unwrap().into()],
        vec![other.clone()],
        vec!["/proc/*/environ".into(), format!("/proc/{}/environ", victim.0.id())],
        vec![path("user/.ssh/../.ssh/id_ed25519"), format!("/proc/self/root{}", path("user/.ssh/id_ed25519"))],
        vec![
            format!("/proc/1/root{}", path("user/.ssh/id_ed25519")),
            format!("/proc/1/cwd{}", path("user/.ssh/id_ed25519")),
        ],
    ] {
        let given = json!({ "paths": paths });
        let has = world.control("read", &given).to_string().contains(SECRET);
        assert!(has || paths[0].starts_with("/proc/1/"), "{paths:?}");
        // Its own environment it may read: there is nothing in it.
        let answer = world.attack("read", &given).to_string();
        assert!(!answer.contains(SECRET), "{answer}");
    }
    // What is in /etc/passwd of the machine is not what the pack sees.
    let given = json!({ "paths": ["/etc/passwd"] });
    let own = fs::read_to_string("/etc/passwd").unwrap();
    assert_eq!(world.control("read", &given), json!(own));
    assert_eq!(world.attack("read", &given)["output"]["got"].as_str().unwrap().lines().count(), 1);
    // The names of the project's files, rig's home with its keys, and the packages of others.
    for folder in [dir.to_str().unwrap(), world.project.home().to_str().unwrap(), packages.to_str().unwrap()] {
        let given = json!({ "path": folder });
        let control = world.control("names", &given).as_str().unwrap().lines().count();
        let names = world.attack("names", &given)["output"]["got"].as_str().unwrap().to_owned();
        assert!(names.lines().count() < control, "{folder}: {names}");
        for not in ["rig.lock", ".env", "private.txt", "other_secret.py", "audit.sqlite", ".wasm"] {
            assert!(!names.lines().any(|name| name.ends_with(not)), "{folder}: {names}");
        }
    }

    let own = packages.join("attacks.py").to_str().unwrap().to_owned();
    let places = [
        path("user/.ssh/authorized_keys"),
        path("user/.bashrc"),
        dir.join("rig.yaml").to_str().unwrap().into(),
        dir.join("rig.lock").to_str().unwrap().into(),
        "/etc/rig-test-hostile".into(),
        "/tmp/rig-test-hostile".into(),
        own,
        other,
    ];
    let before: Vec<Option<Vec<u8>>> = places.iter().map(|place| fs::read(place).ok()).collect();
    let lock = world.project.read("rig.lock");
    let _ = world.attack("write", &json!({ "paths": places }));
    let after: Vec<Option<Vec<u8>>> = places.iter().map(|place| fs::read(place).ok()).collect();
    assert!(before == after && lock == world.project.read("rig.lock"));
    let in_reach = json!({ "paths": [places[0], places[1]] });
    assert_eq!(world.control("write", &in_reach), in_reach["paths"]);
    world.end();
}

#[test]
fn nothing_is_reached_that_is_not_granted() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let path = world.project.root().join("socket");
    let unix = UnixListener::bind(&path).unwrap();
    let reached = Arc::new(AtomicUsize::new(0));
    let serve = |mut answer: Box<dyn FnMut() + Send>| {
        let reached = Arc::clone(&reached);
        thread::spawn(move || {
            loop {
                answer();
                reached.fetch_add(1, Ordering::Relaxed);
            }
        });
    };
    let port = listener.local_addr().unwrap().port();
    let udp_port = datagrams.local_addr().unwrap().port();
    serve(Box::new(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut said = [0; 5];
        if stream.read_exact(&mut said).is_ok() {
            let _ = stream.write_all(if &said == b"hello" {
                b"there"
            } else {
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere"
            });
        }
    }));
    serve(Box::new(move || {
        let (_, from) = datagrams.recv_from(&mut [0; 5]).unwrap();
        datagrams.send_to(b"there", from).unwrap();
    }));
    serve(Box::new(move || unix.accept().unwrap().0.write_all(b"there").unwrap()));

    let here = |port: u16| json!({ "host": "127.0.0.1", "port": port });
    let by_name = json!({ "host": "localhost", "port": port });
    let url = json!({ "url": format!("http://127.0.0.1:{port}/") });
    let attacks = [
        ("connect", here(port)),
        ("connect", by_name),
        ("proxy", url),
        ("udp", here(udp_port)),
        ("unix", json!({ "path": path })),
    ];
    for (name, given) in &attacks {
        assert_eq!(world.control(name, given), "there", "{name}");
    }
    let controls = attacks.len();
    for (name, given) in &attacks {
        let answer = world.attack(name, given);
        got_nothing(&answer);
        assert_eq!(answer["ok"], false, "{name}: {answer}");
    }
    assert_eq!(reached.load(Ordering::Relaxed), controls, "only the controls came through");

    // A metadata service and hosts that are not granted: nothing on this machine would answer, so the refusal is what counts.
    for host in ["169.254.169.254", "evil.example", "10.0.0.1", "[::1]"] {
        let answer = world.attack("proxy", &json!({ "url": format!("http://{host}/") }));
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("403"), "{host}: {answer}");
    }
    let rows = world.project.rig(&["audit", "query", "--json", "--tool", "hostile.attack.run"]).json();
    assert!(rows.to_string().contains("169.254.169.254"), "what was tried stands in the audit log: {rows}");
    world.end();
}

#[test]
fn processes_of_others_are_neither_traced_nor_signalled() {
    let world = World::new();
    let victim = Victim::new();
    let given = |pid: u32| json!({ "pid": pid });
    for (name, got) in [("trace", "traced"), ("stop", "signalled")] {
        assert_eq!(world.control(name, &given(victim.0.id())), got);
        for pid in [victim.0.id(), world.gateway.id(), std::process::id()] {
            let answer = world.attack(name, &given(pid));
            assert_eq!(answer["ok"], false, "{name} {pid}: {answer}");
        }
    }
    // The one above it in its cell is all that it sees, and cannot be ended.
    let answer = world.attack("parent", &json!({}));
    assert_eq!(answer["output"]["got"], "alive, with parent 1", "{answer}");
    // Programs of the machine are not there to be started.
    let shell = json!({ "args": ["/bin/sh", "-c", "echo out"] });
    assert_eq!(world.control("run", &shell), "out\n");
    assert_eq!(world.attack("run", &shell)["ok"], false);
    world.end();
}

#[test]
fn what_is_used_up_is_the_packs_own() {
    let world = World::new();
    let most = json!({ "most": 2000 });
    assert_eq!(world.control("fork", &most), 2000);
    // Refused by the limit on processes, or ended for the memory that they take.
    assert_eq!(world.attack("fork", &most)["ok"], false);
    let mib = json!({ "mib": 1300 });
    assert_eq!(world.control("take", &mib), 1300);
    let answer = world.attack("take", &mib);
    assert_eq!(answer["ok"], false, "{answer}");
    // The pack is there again for the next call.
    let answer = world.attack("write", &json!({ "paths": [] }));
    assert_eq!(answer["ok"], true, "{answer}");
    world.end();
}
