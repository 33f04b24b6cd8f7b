//! What must survive: answered calls have their row and waiting approvals still wait, whatever happens to the process or the disk.

use std::{
    io::{BufReader, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rig_tests::{Answer, Gateway, Project};
use serde_json::{Value, json};

const SEND: &str = "echo.message.send";

fn write_call(stream: &mut TcpStream, address: SocketAddr, id: &str) -> std::io::Result<()> {
    let body = json!({ "args": { "message": "x" }, "context": { "request_id": id } }).to_string();
    write!(
        stream,
        "POST /v1/tools/{SEND}:call HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// All rows of calls, by as many pages as it takes.
fn recorded(project: &Project) -> Vec<String> {
    let output = project.rig(&["audit", "export", "--format", "jsonl"]);
    let lines = output.ok().stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|row| row["event"] == "call").map(|row| row["run_id"].as_str().unwrap().to_owned()).collect()
}

/// A thousand connections, each with a call in flight at every moment, when the process is killed.
#[test]
fn every_answered_call_has_its_row_after_a_kill() {
    const CALLS: usize = 1000;
    let project = Project::with(&["echo"]);
    project.configure("limits:\n  concurrency: 1024\npolicy:\n  raise_risk: { 'echo.*': money }\n");
    let _ = project.call(SEND, json!({ "message": "waits" })).error("approval_required");
    project.write("rig.yaml", project.read("rig.yaml").replace("'echo.*': money", "'echo.*': write"));
    let gateway = Gateway::start(&project);
    let address = gateway.address();
    let answered = Arc::new(AtomicUsize::new(0));
    let ready = Arc::new(Barrier::new(CALLS + 1));
    let clients: Vec<_> = (0..CALLS)
        .map(|client| {
            let (answered, ready) = (Arc::clone(&answered), Arc::clone(&ready));
            let mut stream = gateway.connect();
            thread::Builder::new()
                .stack_size(128 << 10)
                .spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut ids = Vec::new();
                    ready.wait();
                    for round in 0.. {
                        let id = format!("{client}-{round}");
                        // The kill ends the connection in the middle of anything.
                        if write_call(&mut stream, address, &id).is_err() {
                            break;
                        }
                        let answer =
                            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Answer::read(&mut reader)));
                        let Ok(answer) = answer else { break };
                        // More calls at once than the pool holds are refused, and recorded as well.
                        assert_eq!(answer.status, 200);
                        ids.push(id);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    ids
                })
                .unwrap()
        })
        .collect();
    ready.wait();
    while answered.load(Ordering::Relaxed) < 2 * CALLS {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(gateway.kill(), "it was still running");
    let answered: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert!(answered.len() >= 2 * CALLS, "{}", answered.len());

    let rows: std::collections::BTreeSet<String> = recorded(&project).into_iter().collect();
    let lost: Vec<&String> = answered.iter().filter(|id| !rows.contains(*id)).collect();
    assert!(lost.is_empty(), "{} answered calls have no row: {:?}", lost.len(), &lost[..lost.len().min(5)]);
    project.rig(&["audit", "verify"]).ok();
    let waiting = project.rig(&["approvals", "--json"]).ok().json();
    assert_eq!(waiting.as_array().unwrap().len(), 1, "{waiting}");
}

/// A file system of its own for the project's `.rig`, as small as that. None where this process may not mount.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output().ok()?;
        mounted.status.success().then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}

#[test]
fn a_full_disk_refuses_risky_calls_and_nothing_else() {
    let project = Project::with(&["echo"]);
    project.configure("policy:\n  require_approval_for: []\n");
    let state = project.dir().join(".rig");
    let Some(_disk) = SmallDisk::mount(&state, "1m") else {
        println!("skipped: this user may not mount a small file system");
        return;
    };
    let gateway = Gateway::start(&project);
    assert_eq!(gateway.call(SEND, json!({ "message": "x" }))["ok"], true);
    let ballast = state.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);

    // Rows are kept in memory while the disk is full: calls that change nothing risky are answered.
    let ids: Vec<String> = (0..50)
        .map(|_| {
            let result = gateway.call(SEND, json!({ "message": "x".repeat(100) }));
            assert_eq!(result["ok"], true, "{result}");
            result["correlation_id"].as_str().unwrap().to_owned()
        })
        .collect();
    project.configure("  raise_risk: { 'echo.*': money }\n");
    let refused =
        (0..500).map(|_| gateway.call(SEND, json!({ "message": "pay" }))).find(|result| result["ok"] == false);
    let error = refused.expect("risky calls are refused")["error"].clone();
    assert_eq!(error["type"], "internal_error", "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("was not run, because the audit log") && message.contains("full"), "{message}");
    assert_eq!(gateway.get("/v1/health").json()["status"], "ok");
    assert!(gateway.log().contains("audit"), "the log says why: {}", gateway.log());

    // With space again, the rows are written and risky calls run.
    std::fs::remove_file(&ballast).unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while gateway.call(SEND, json!({ "message": "pay" }))["ok"] != true {
        assert!(std::time::Instant::now() < end, "risky calls are still refused");
        thread::sleep(Duration::from_millis(100));
    }
    let rows = recorded(&project);
    assert!(ids.iter().all(|id| rows.contains(id)), "rows of the time when the disk was full are missing");
    project.rig(&["audit", "verify"]).ok();
}
