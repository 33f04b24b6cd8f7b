//! What a gateway holds in memory: idle with ten packs, for each of a thousand calls that wait in a host function, and whether it grows
//! over a million calls.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    figures::{Bound, Figure},
    load::Load,
    process::{Scratch, Server},
    rig::Packs,
};

/// Of an idle gateway with ten packs, in megabytes.
const IDLE: Bound = Bound::AtMost(40.0);
/// How much more there may be after the calls than before.
const GROWTH: Bound = Bound::AtMost(1.05);

/// How many calls wait at once.
const CALLS: usize = 1_000;
/// How many calls a gateway answers until it is looked at for growth, and how many before the first look.
const MANY: f64 = 1_000_000.0;
const FIRST: f64 = 100_000.0;
/// How long each stretch of load is.
const MILLIS: u64 = 5_000;

/// Measures all three.
pub(crate) fn measure(packs: &Packs, args: &str) -> Result<Vec<Figure>, Failure> {
    let scratch = Scratch::new(packs)?;
    scratch.run(&[&["install"], &crate::install::TEN[..], &["--yes"]].concat())?;
    let gateway = Server::rig(&scratch, &["serve", "--port", "0"])?;
    // It has told where it listens; what is done behind that is soon over.
    thread::sleep(Duration::from_secs(1));
    let idle = resident(&gateway)? / 1e6;
    println!("\nidle with ten packs and echo: {idle:.1} MB");
    let growth = growth(&gateway, args)?;
    drop(gateway);
    let parked = parked(&scratch)? / 1e3;
    println!("a call that waits in a host function: {parked:.0} kB");
    Ok(vec![
        Figure { name: "gateway, idle with ten packs".into(), value: idle, unit: "MB", bound: Some(IDLE) },
        Figure::told("a call that waits in a host function", parked, "kB"),
        Figure::ratio("memory after a million calls / before", growth, Some(GROWTH)),
    ])
}

/// The resident memory of a server, in bytes.
fn resident(server: &Server) -> Result<f64, Failure> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0)
}

fn growth(gateway: &Server, args: &str) -> Result<f64, Failure> {
    let load = Load {
        address: gateway.address,
        path: "/v1/tools/echo.message.send:call".into(),
        headers: Vec::new(),
        body: format!(r#"{{"args":{args}}}"#),
        expect: r#""ok":true"#.into(),
        connections: 64,
        millis: MILLIS,
    };
    let seconds = MILLIS as f64 / 1e3;
    let run = |least: f64| -> Result<f64, Failure> {
        let mut calls = 0.0;
        while calls < least {
            calls += load.run()?.rate * seconds;
        }
        // What the log still has to move into its database is not growth.
        thread::sleep(Duration::from_secs(2));
        Ok(calls)
    };
    run(FIRST)?;
    let before = resident(gateway)?;
    let calls = run(MANY)?;
    let after = resident(gateway)?;
    println!("after {:.0} calls {:.1} MB, after {calls:.0} more {:.1} MB", FIRST, before / 1e6, after / 1e6);
    Ok(after / before)
}

/// Bytes for each of the calls that wait for an answer from upstream: the project's proxy takes their connections and says nothing.
fn parked(scratch: &Scratch) -> Result<f64, Failure> {
    let proxy = TcpListener::bind("127.0.0.1:0")?;
    let settings =
        format!("network: {{ proxy: 'http://{}' }}\nlimits: {{ concurrency: {} }}\n", proxy.local_addr()?, CALLS * 2);
    scratch.install_probe()?;
    let path = scratch.folder().join("rig.yaml");
    fs::write(&path, fs::read_to_string(&path)? + &settings)?;
    let taken = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&taken);
    thread::spawn(move || {
        for stream in proxy.incoming().flatten() {
            kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(stream);
        }
    });
    let waiting = || taken.lock().map(|taken| taken.len()).unwrap_or_default();
    let gateway = Server::rig(scratch, &["serve", "--port", "0"])?;
    // The first call compiles and opens what all others share.
    let mut calls = vec![call(&gateway)?];
    until(|| waiting() == 1)?;
    let before = resident(&gateway)?;
    for _ in 0..CALLS {
        calls.push(call(&gateway)?);
    }
    until(|| waiting() > CALLS)?;
    let each = (resident(&gateway)? - before) / CALLS as f64;
    // None of them was answered: they all still wait.
    for stream in &mut calls {
        stream.set_nonblocking(true)?;
        if stream.read(&mut [0; 16]).is_ok() {
            return Err("a call that should wait was answered".into());
        }
    }
    Ok(each)
}

/// Begins a call that waits.
fn call(gateway: &Server) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(gateway.address)?;
    let body = r#"{"args":{"url":"https://probe.example.com/granted/x"}}"#;
    let head =
        "POST /v1/tools/probe.page.fetchPlain:call HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    Ok(stream)
}

/// Waits shorter than the calls do.
fn until(holds: impl Fn() -> bool) -> Result<(), Failure> {
    let end = Instant::now() + Duration::from_secs(4);
    while !holds() {
        if Instant::now() > end {
            return Err("the calls did not come to wait at the proxy".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
