//! Machines that lack layers: made here with the kernel's own switch, a user namespace in which no further one may be entered. The test
//! starts itself in it.

use std::process::Command;

use rig_host::runner::cell::{Error, Isolation, Layer, probe};

use crate::attack::Setup;

/// Set in the test that runs where namespaces are denied.
const INSIDE: &str = "RIG_TEST_WITHOUT_NAMESPACES";

/// Runs the named test of this program again on such a machine. Returns whether this is that one.
fn without_namespaces(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    println!("{said}");
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn full_isolation_refuses_and_reduced_goes_on() {
    if !without_namespaces("reduced::full_isolation_refuses_and_reduced_goes_on") {
        return;
    }
    let script = "
import os, socket, sys, tempfile, urllib.request
def attempt(name, what):
    try: print('did', name, what())
    except Exception as error: print('no', name, error)
attempt('a file of the machine', lambda: open('/etc/passwd').read())
attempt('a process of the machine', lambda: open('/proc/1/environ', 'rb').read())
attempt('a file outside', lambda: open('/tmp/rig-written', 'w').close())
attempt('a signal', lambda: os.kill(int(sys.argv[2]), 0))
attempt('a port', lambda: socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=5))
attempt('udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt('unix', lambda: socket.socket(socket.AF_UNIX))
attempt('scratch', lambda: open(tempfile.gettempdir() + '/mine', 'w').write('x'))
attempt('the proxy', lambda: urllib.request.urlopen('http://evil.example/').read())
";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut setup = Setup::python(script, &[&port, &std::process::id().to_string()]);

    let error = setup.cell.spawn().await.unwrap_err();
    assert!(matches!(error, Error::Missing { layer: Layer::Namespaces, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with("full isolation is not possible here: namespaces ("), "{text}");
    assert!(error.hint("x").unwrap().contains("set `isolation: {x: reduced}` in rig.yaml"));

    setup.cell.level = Isolation::Reduced;
    let running = setup.start().await;
    assert_eq!(running.held.layers().isolation(), Isolation::Reduced);
    assert!(!running.held.layers().has(Layer::Namespaces) && running.held.layers().has(Layer::Landlock));
    assert!(running.held.layers().has(Layer::Seccomp));
    let came = crate::attack::finish(running, b"").await;
    let did: Vec<&str> = came.stdout.lines().filter(|line| line.starts_with("did")).collect();
    assert_eq!(did, ["did scratch 1"], "{came:?}");
    assert!(came.stdout.contains("no the proxy HTTP Error 403"), "{came:?}");
    assert!(listener.set_nonblocking(true).is_ok() && listener.accept().is_err(), "somebody came");

    let control = setup.control();
    for did in ["did a file of the machine", "did a port", "did udp", "did unix"] {
        assert!(control.contains(did), "{did}: {control}");
    }

    let folder = tempfile::tempdir().unwrap();
    let states = probe(&rig_tests::rig_path(), folder.path()).unwrap();
    let lacks: Vec<Layer> = states.iter().filter(|state| state.lacks.is_some()).map(|state| state.layer).collect();
    assert!(lacks.starts_with(&[Layer::Namespaces, Layer::Root]), "{states:?}");
    assert!(!lacks.contains(&Layer::Landlock) && !lacks.contains(&Layer::Seccomp), "{states:?}");
}

/// What it leaves behind ends with it here too.
#[tokio::test(flavor = "multi_thread")]
async fn orphans_end_without_namespaces() {
    if !without_namespaces("reduced::orphans_end_without_namespaces") {
        return;
    }
    let script = "
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: os.write(1, f'{os.getpid()}\\n'.encode()); os.close(1); os.close(2); time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(0.5)
";
    let mut setup = Setup::python(script, &[]);
    setup.cell.level = Isolation::Reduced;
    let came = setup.run().await;
    let orphan: u32 = came.stdout.trim().parse().unwrap();
    let begun = std::time::Instant::now();
    while std::path::Path::new(&format!("/proc/{orphan}")).exists() {
        assert!(begun.elapsed() < crate::attack::PATIENCE, "{orphan} is still there");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
