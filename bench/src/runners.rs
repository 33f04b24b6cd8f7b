//! Packs for Python and Node under a gateway: one call after another to a warm process, and the first call of all, for which the process
//! is started. With the gateway's own share in it: the component's echo is measured beside them.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Instant,
};

use rig_tests::{
    IndexServer,
    npm::{self, Package},
    wheels::{Wheel, pack_code},
};

use crate::{
    Failure,
    figures::{Bound, Figure},
    load::Load,
    process::{Scratch, Server},
};

/// How long each is measured.
const MILLIS: u64 = 3_000;

/// What an answer may take at the median, in microseconds, and the first answer in milliseconds.
const BOUNDS: [(&str, f64); 2] = [("python", 1_000.0), ("node", 500.0)];
const FIRST: f64 = 1_000.0;

/// Echoes, as packs are written for Node.
const NODE: &str = "
exports.rigPack = () => ({ name: 'bench-node', version: '1.0.0' });
exports.rigTools = () => [{ name: 'bench-node.message.echo', description: 'Echoes.' }];
exports.rigInvoke = (name, args) => ({ message: args.message });
";

/// Measures medians and first answers.
pub(crate) fn measure(scratch: &Scratch, args: &str) -> Result<Vec<Figure>, Failure> {
    install(scratch)?;
    let tools = [
        ("component", "echo.message.send"),
        ("python", "bench-python.message.echo"),
        ("node", "bench-node.message.echo"),
    ];
    println!("\n{:<10} {:>10} {:>10} {:>12}", "runtime", "p50 µs", "p99 µs", "first ms");
    let mut figures = Vec::new();
    for (name, tool) in tools {
        // A server of its own, so that the first call finds nothing that is warm.
        let gateway = Server::rig(scratch, &["serve", "--port", "0"])?;
        let load = Load {
            address: gateway.address,
            path: format!("/v1/tools/{tool}:call"),
            headers: Vec::new(),
            body: format!(r#"{{"args":{args}}}"#),
            expect: r#""ok":true"#.into(),
            connections: 1,
            millis: MILLIS,
        };
        let first = first(&load)?;
        let found = load.run()?;
        println!("{name:<10} {:>10.0} {:>10.0} {first:>12.0}", found.p50, found.p99);
        let bound = BOUNDS.iter().find(|(runtime, _)| *runtime == name).map(|(_, bound)| Bound::AtMost(*bound));
        figures
            .push(Figure { name: format!("warm call, {name}, p50 with HTTP"), value: found.p50, unit: "µs", bound });
        if bound.is_some() {
            let bound = Some(Bound::AtMost(FIRST));
            figures.push(Figure { name: format!("first call, {name}"), value: first, unit: "ms", bound });
        }
    }
    Ok(figures)
}

/// One call; the milliseconds that it took.
fn first(load: &Load) -> Result<f64, Failure> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(load.address)?;
    let Load { path, body, .. } = load;
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n");
    stream.write_all(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let elapsed = begun.elapsed().as_secs_f64() * 1e3;
    if answer.contains(&load.expect) { Ok(elapsed) } else { Err(format!("the first call failed: {answer}").into()) }
}

/// Makes an echo for each and installs it.
fn install(scratch: &Scratch) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let code =
        pack_code("bench-python", "1.0.0", &[("'bench-python.message.echo'", "return {'message': args['message']}")]);
    Wheel::pack("rig-pack-bench-python", "1.0.0", &code).write(&folder.path().join("wheels"));
    let server = IndexServer::start(folder.path());
    let package = Package::new("rig-pack-bench-node", "1.0.0").file("index.js", NODE);
    for (path, reply) in npm::registry(|path| server.url(path), &[package]) {
        server.set(&path, reply);
    }
    let wheels = folder.path().join("wheels");
    let settings =
        format!("python: {{ find_links: ['{}'] }}\nnode: {{ registry: '{}' }}\n", wheels.display(), server.url(""));
    let mut config = std::fs::OpenOptions::new().append(true).open(scratch.folder().join("rig.yaml"))?;
    config.write_all(settings.as_bytes())?;
    scratch.run(&["install", "rig-pack-bench-python", "--runtime", "python", "--yes"])?;
    scratch.run(&["install", "rig-pack-bench-node", "--runtime", "node", "--yes"])?;
    Ok(())
}
