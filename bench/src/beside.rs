//! What a guest in an endless loop costs its neighbours: the longest answer of one connection beside as many loops as there are lanes
//! and beside many more. And how long such a guest runs on when its caller goes away.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    figures::{Bound, Figure},
    load::Load,
    measure::median,
    process::{Scratch, Server},
};

/// How many loops run beside the calls that are measured.
const LOOPS: [usize; 3] = [0, 1, 8];

/// What a loop may delay another call by, in milliseconds.
const DELAY: f64 = 20.0;

/// How long each is measured: shorter than the time limit of the loops' pack, so that they outlive it.
const MILLIS: u64 = 3_500;

/// Within how many milliseconds a guest stops whose caller went away, and how often that is tried.
const STOP: f64 = 50.0;
const TRIES: usize = 50;

/// Measures the longest answers.
pub(crate) fn measure(scratch: &Scratch, args: &str) -> Result<Vec<Figure>, Failure> {
    scratch.install_probe()?;
    println!("\n{:<12} {:>10} {:>10} {:>10}", "loops", "p50 µs", "p99 µs", "longest ms");
    let mut figures = Vec::new();
    for count in LOOPS {
        // A server of its own, which takes its loops with it.
        let gateway = Server::rig(scratch, &["serve", "--port", "0"])?;
        let load = Load {
            address: gateway.address,
            path: "/v1/tools/echo.message.send:call".into(),
            headers: Vec::new(),
            body: format!(r#"{{"args":{args}}}"#),
            expect: r#""ok":true"#.into(),
            connections: 1,
            millis: MILLIS,
        };
        let mut loops = (0..count).map(|_| begin_loop(&gateway)).collect::<Result<Vec<_>, _>>()?;
        let found = load.run()?;
        for connection in &mut loops {
            still_runs(connection)?;
        }
        let longest = found.longest / 1e3;
        println!("{count:<12} {:>10.0} {:>10.0} {longest:>10.1}", found.p50, found.p99);
        let name = format!("longest answer beside {count} endless loops");
        let bound = (count > 0).then_some(Bound::AtMost(DELAY));
        figures.push(Figure { name, value: longest, unit: "ms", bound });
    }
    figures.extend(stopping(scratch)?);
    Ok(figures)
}

/// How long a guest in an endless loop runs on when its caller goes away, as the gateway's own count of calls in flight shows it. The
/// time to ask for that count is in it.
fn stopping(scratch: &Scratch) -> Result<[Figure; 2], Failure> {
    let gateway = Server::rig(scratch, &["serve", "--port", "0"])?;
    let mut times = Vec::with_capacity(TRIES);
    for _ in 0..TRIES {
        let caller = begin_loop(&gateway)?;
        while in_flight(&gateway)? == 0 {}
        let gone = Instant::now();
        drop(caller);
        while in_flight(&gateway)? > 0 {}
        times.push(gone.elapsed().as_secs_f64() * 1e3);
    }
    let longest = times.iter().copied().fold(0.0, f64::max);
    let middle = median(times);
    println!("a guest whose caller went away stops after {middle:.1} ms, at most {longest:.1} ms");
    let longest = Figure {
        name: "a guest whose caller went away runs on".into(),
        value: longest,
        unit: "ms",
        bound: Some(Bound::AtMost(STOP)),
    };
    Ok([Figure::told("a guest whose caller went away runs on, middle", middle, "ms"), longest])
}

/// The calls that run, by the gateway's own count.
fn in_flight(gateway: &Server) -> Result<u64, Failure> {
    let mut connection = TcpStream::connect(gateway.address)?;
    write!(connection, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", gateway.address)?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let count = answer.lines().find_map(|line| line.strip_prefix("rig_calls_in_flight ")?.trim().parse().ok());
    count.ok_or_else(|| format!("no count of calls: {answer}").into())
}

fn begin_loop(gateway: &Server) -> Result<TcpStream, Failure> {
    let mut connection = TcpStream::connect(gateway.address)?;
    let body = r#"{"args":{}}"#;
    write!(
        connection,
        "POST /v1/tools/probe.crash.loop:call HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        gateway.address,
        body.len()
    )?;
    Ok(connection)
}

/// A loop that was answered did not run beside the calls, and nothing was measured.
fn still_runs(connection: &mut TcpStream) -> Result<(), Failure> {
    connection.set_read_timeout(Some(Duration::from_millis(1)))?;
    let mut answer = [0; 512];
    match connection.read(&mut answer) {
        Err(_) => Ok(()),
        Ok(count) => Err(format!("a loop ended early: {}", String::from_utf8_lossy(&answer[..count])).into()),
    }
}
