//! What can be reached from a cell: what is granted, through the proxy or by name, and nothing else.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, UdpSocket},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rig_host::egress::{Gate, Settings, Traffic};
use rig_tests::{Reply, Upstream};

use crate::attack::{Setup, finish};

/// Python's own client, as `requests`, `httpx` and `urllib3` do it: through the proxy of the environment.
const PYTHON: &str = "
import sys, urllib.request, urllib.error
for url in sys.argv[1:]:
    try:
        data = b'a body' if 'post' in url else None
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=60) as answer:
            print(url, answer.status, answer.read().decode())
    except urllib.error.HTTPError as error: print(url, error.code, error.read().decode().strip())
    except OSError as error: print(url, 'failed', error)
";

/// Node's two clients, which do not look for a proxy: by name.
const NODE: &str = "
(async () => {
  for (const url of process.argv.slice(1)) {
    const lib = require(url.startsWith('https') ? 'https' : 'http');
    const body = url.includes('post') ? 'a body' : undefined;
    await new Promise(done => {
      const request = lib.request(url, { method: body ? 'POST' : 'GET' }, answer => {
        let text = ''; answer.on('data', part => text += part);
        answer.on('end', () => { console.log(url, answer.statusCode, text); done(); });
      });
      request.on('error', error => { console.log(url, 'failed', error.code); done(); });
      request.end(body);
    });
    try {
      const answer = await fetch(url, body ? { method: 'POST', body } : {});
      console.log('fetch', url, answer.status, await answer.text());
    } catch (error) { console.log('fetch', url, 'failed', error.cause?.code); }
  }
})()";

/// A cell whose gate leads to a stand-in of the services, and which trusts its authority.
fn to(upstream: &Upstream, setup: Setup, grants: &[&str]) -> Setup {
    let mut setup = setup.granted(grants, &[]);
    let settings = Settings { proxy: Some(upstream.proxy_url()), ..Settings::default() };
    setup.cell.gate = Arc::new(Gate::new(&settings).unwrap());
    setup.cell.read_only.push(upstream.ca_path().to_path_buf());
    for name in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
        setup.cell.env.push((name.into(), upstream.ca_path().into()));
    }
    setup
}

#[tokio::test(flavor = "multi_thread")]
async fn granted_hosts_are_reached_and_others_are_not() {
    let upstream = Upstream::start();
    let said = |request: &rig_tests::Recorded| {
        Reply::new(200, format!("{} {}", request.line(), String::from_utf8_lossy(&request.body)))
    };
    for host in ["api.example.com", "plain.example.com", "a.wide.example", "evil.example"] {
        upstream.on(host, said);
    }
    let grants = ["https://api.example.com:443", "http://plain.example.com:80", "https://*.wide.example:443"];
    let urls = [
        "https://api.example.com/v1/x?y=1",
        "https://api.example.com/post",
        "http://plain.example.com/p",
        "http://plain.example.com/post",
        "https://a.wide.example/w",
        "https://evil.example/secrets",
        "https://api.example.com:8443/",
        "http://api.example.com/",
    ];
    for (setup, name) in [(Setup::python(PYTHON, &urls), "python"), (Setup::node(NODE, &urls), "node")] {
        upstream.forget();
        let running = to(&upstream, setup, &grants).start().await;
        let came = finish(running, b"").await;
        for reached in [
            "https://api.example.com/v1/x?y=1 200 GET https://api.example.com/v1/x?y=1",
            "https://api.example.com/post 200 POST https://api.example.com/post a body",
            "http://plain.example.com/p 200 GET",
            "http://plain.example.com/post 200 POST",
            "https://a.wide.example/w 200 GET",
        ] {
            let times = if name == "node" { 2 } else { 1 };
            assert_eq!(came.stdout.matches(reached).count(), times, "{name} {reached}: {came:?}");
        }
        for line in came.stdout.lines().filter(|line| line.contains("evil") || line.contains(":8443")) {
            assert!(line.contains("failed"), "{name}: {line}");
        }
        let connects = upstream.connects();
        assert!(!connects.iter().any(|to| to.contains("evil") || to.contains("8443")), "{connects:?}");
        assert!(!upstream.requests().iter().any(|request| request.line().contains("evil")));
    }
}

/// What it says, so that who reads the pack's log knows what to do; and what is counted for the audit.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_why_and_is_counted() {
    let script = "
import os, socket, sys
port = int(os.environ['HTTPS_PROXY'].rsplit(':', 1)[1])
for line in sys.argv[1:]:
    with socket.create_connection(('127.0.0.1', port), timeout=60) as proxy:
        proxy.sendall(line.encode().decode('unicode_escape').encode('latin-1'))
        answer = b''
        while part := proxy.recv(65536):
            answer += part
            if b'rig:' in answer or not answer.startswith(b'HTTP/1.1 4'): break
        print(answer.split(b'\\r\\n')[0].decode(), '|', answer.split(b'\\r\\n\\r\\n')[-1].decode().strip())
";
    let end = r"\r\nHost: x\r\n\r\n";
    let lines = [
        format!("CONNECT evil.example:443 HTTP/1.1{end}"),
        format!("CONNECT api.example.com:22 HTTP/1.1{end}"),
        format!("CONNECT 169.254.169.254:80 HTTP/1.1{end}"),
        format!("CONNECT localhost:443 HTTP/1.1{end}"),
        format!("CONNECT api.example.com HTTP/1.1{end}"),
        format!("CONNECT 0x7f.1:443 HTTP/1.1{end}"),
        format!("GET http://evil.example/ HTTP/1.1{end}"),
        format!("GET https://api.example.com/ HTTP/1.1{end}"),
        format!("GET / HTTP/1.1{end}"),
        r"CONNECT\n\n".to_owned(),
        format!(r"GET http://evil.example/ HTTP/1.1\r\n{}\r\n", r"a: b\r\n".repeat(200)),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let granted = ["https://api.example.com:443", "https://localhost:443"];
    let running = Setup::python(script, &lines).granted(&granted, &[]).start().await;
    let (came, traffic) = watched(running).await;
    let answers: Vec<(&str, &str)> = came.stdout.lines().filter_map(|line| line.split_once(" | ")).collect();
    for ((status, text), (expected, why)) in answers.iter().zip([
        ("403", "evil.example is not granted to this pack; granted: api.example.com, localhost"),
        ("403", "api.example.com is granted to this pack on port 443 only; it asked for port 22"),
        ("403", "169.254.169.254 is not granted to this pack"),
        ("403", "localhost is at a loopback address, which packs do not reach"),
        ("400", "CONNECT needs a host and a port"),
        ("400", "not a host and a port"),
        ("403", "evil.example is not granted to this pack"),
        ("400", "this is rig's proxy"),
        ("400", "this is rig's proxy"),
        ("400", ""),
        ("431", ""),
    ]) {
        assert!(status.contains(expected) && text.contains(why), "{status} {text}: {came:?}");
    }
    assert_eq!(answers.len(), lines.len(), "{came:?}");
    let refused = |host: &str| traffic.iter().find(|one| one.host == host).map(|one| (one.refused, one.connections));
    assert_eq!(refused("evil.example"), Some((2, 0)), "{traffic:?}");
    assert_eq!(refused("169.254.169.254"), Some((1, 0)), "{traffic:?}");
}

async fn watched(mut running: rig_host::runner::cell::Running) -> (crate::attack::Came, Vec<Traffic>) {
    use tokio::io::AsyncReadExt as _;
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let read = async {
        let (a, b) =
            tokio::join!(running.stdout.read_to_string(&mut stdout), running.stderr.read_to_string(&mut stderr));
        a.and(b).unwrap();
    };
    tokio::time::timeout(crate::attack::PATIENCE, read).await.unwrap();
    let ended = running.held.ended().await;
    // Connections end a moment after the program does.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let traffic = running.held.meter().take();
    (crate::attack::Came { stdout, stderr, ended }, traffic)
}

/// A service of this machine that the project named: over the proxy, and by its name with a port of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_private_host_is_reached_when_it_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..length]);
            assert!(!request.to_ascii_lowercase().contains("proxy-"), "{request}");
            let first = request.lines().next().unwrap().to_owned();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{first}", first.len())
                .unwrap();
        }
    });
    let (url, grant) = (format!("http://localhost:{port}/a?b=c"), format!("http://localhost:{port}"));
    for setup in [Setup::python(PYTHON, &[&url]), Setup::node(NODE, &[&url])] {
        let named = setup.granted(&[&grant], &["localhost"]);
        let (came, traffic) = watched(named.start().await).await;
        assert!(came.stdout.contains("200 GET /a?b=c HTTP/1.1"), "{came:?}");
        assert_eq!((traffic.len(), traffic[0].host.as_str(), traffic[0].refused), (1, "localhost", 0), "{traffic:?}");
        assert!(traffic[0].bytes_sent > 50 && traffic[0].bytes_received > 50, "{traffic:?}");
        let (came, traffic) = watched(named.granted(&[&grant], &[]).start().await).await;
        assert!(!came.stdout.contains(" 200 "), "{came:?}");
        assert!(traffic[0].refused > 0 && traffic[0].connections == 0, "{traffic:?}");
    }
}

/// Counts who comes.
struct Canary(Arc<AtomicUsize>);

impl Canary {
    fn new() -> (Self, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        (Self(Arc::clone(&count)), count)
    }

    fn sing(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The machine's own network is not there: not its ports, not over UDP, not over Unix sockets by path or by abstract name.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_machine_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let name = format!("rig-canary-{}", std::process::id());
    let (tcp, udp) = (TcpListener::bind("0.0.0.0:0").unwrap(), UdpSocket::bind("0.0.0.0:0").unwrap());
    let ports = [tcp.local_addr().unwrap().port().to_string(), udp.local_addr().unwrap().port().to_string()];
    let by_path = UnixListener::bind(&path).unwrap();
    let by_name = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();

    let (canary, count) = Canary::new();
    let canary = Arc::new(canary);
    let watch = |wait: Box<dyn Fn() -> bool + Send>| {
        let canary = Arc::clone(&canary);
        std::thread::spawn(move || {
            while wait() {
                canary.sing();
            }
        });
    };
    watch(Box::new(move || tcp.accept().is_ok()));
    watch(Box::new(move || udp.recv(&mut [0; 64]).is_ok()));
    watch(Box::new(move || by_path.accept().is_ok()));
    watch(Box::new(move || by_name.accept().is_ok()));

    let script = "
import socket, sys
tcp, udp, path, name = sys.argv[1:]
def attempt(label, family, kind, address):
    try:
        with socket.socket(family, kind) as one:
            one.settimeout(5)
            one.connect(address)
            # Whoever answers may have hung up again: the connection was made.
            try: one.send(b'canary')
            except (BrokenPipeError, ConnectionResetError): pass
            print('sent', label)
    except OSError as error: print('no', label, error.strerror or error)
STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
for host in ('127.0.0.1', '127.0.0.2', socket.gethostname()):
    attempt('tcp', socket.AF_INET, STREAM, (host, int(tcp)))
    attempt('udp', socket.AF_INET, DATAGRAM, (host, int(udp)))
attempt('tcp6', socket.AF_INET6, STREAM, ('::ffff:127.0.0.1', int(tcp)))
attempt('path', socket.AF_UNIX, STREAM, path)
attempt('abstract', socket.AF_UNIX, STREAM, '\\0' + name)
";
    let arguments = [ports[0].as_str(), ports[1].as_str(), path.to_str().unwrap(), name.as_str()];
    let mut setup = Setup::python(script, &arguments).granted(&["https://api.example.com:443"], &[]);
    // Even where the socket's folder is shown.
    setup.cell.read_only.push(folder.path().to_path_buf());
    let came = setup.run().await;
    assert_eq!(count.load(Ordering::SeqCst), 0, "{came:?}");
    assert!(!came.stdout.contains("sent tcp") && !came.stdout.contains("sent path"), "{came:?}");
    assert!(came.stdout.contains("no path Operation not permitted"), "{came:?}");

    // Addresses outside: there is no way there at all. Not tried without a cell, where they might answer.
    let away = "
import socket
for address in ('169.254.169.254', '10.0.0.1', '8.8.8.8', '192.0.2.1'):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            with socket.socket(socket.AF_INET, kind) as one: one.settimeout(5); one.connect((address, 53)); print('reached', address)
        except OSError as error: print(error.strerror)
print(socket.if_nameindex())
try: socket.getaddrinfo('metadata.google.internal', 80)
except OSError as error: print(error.strerror)
";
    let came = Setup::python(away, &[]).run().await;
    assert_eq!(came.stdout.matches("Network is unreachable").count(), 8, "{came:?}");
    assert!(came.stdout.contains("[(1, 'lo')]") && came.stdout.contains("Name or service not known"), "{came:?}");

    let control = setup.control();
    for sent in ["sent tcp", "sent udp", "sent tcp6", "sent path", "sent abstract"] {
        assert!(control.contains(sent), "{sent}: {control}");
    }
    let begun = std::time::Instant::now();
    while count.load(Ordering::SeqCst) < 5 {
        assert!(begun.elapsed() < crate::attack::PATIENCE, "the canaries are heard without a cell");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// A pack that opens connections without end, and holds them, holds its own up and nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_limited() {
    let script = "
import os, socket
port, held = int(os.environ['HTTPS_PROXY'].rsplit(':', 1)[1]), []
try:
    for _ in range(2000):
        one = socket.socket(); one.settimeout(2); one.connect(('127.0.0.1', port)); held.append(one)
except OSError as error: print(error)
print('held', len(held) > 200)
";
    let came = Setup::python(script, &[]).limits(|limits| limits.open_files = 600).run().await;
    assert!(came.stdout.ends_with("held True\n"), "{came:?}");
    // Another cell's proxy answers as before.
    let other = Setup::python(PYTHON, &["http://evil.example/"]).run().await;
    assert!(other.stdout.contains("403 rig: evil.example is not granted"), "{other:?}");
}
