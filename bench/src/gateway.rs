//! The whole gateway over HTTP (validation, policy, sandbox, audit committed) against a bare handler that runs the same component,
//! in turn on the same cores, under the same load.

use crate::{
    Failure,
    figures::{Bound, Figure},
    load::{Found, Load},
    measure::median,
    process::{Scratch, Server},
};

/// What the gateway must at least reach of the bare handler's rate, by connections.
const BOUNDS: [(usize, Option<Bound>); 3] =
    [(1, None), (8, Some(Bound::AtLeast(0.7))), (64, Some(Bound::AtLeast(0.7)))];

/// How often the two take turns, and how long each turn is.
const ROUNDS: usize = 7;
const MILLIS: u64 = 1_500;

/// Measures both at each number of connections.
pub(crate) fn measure(scratch: &Scratch, args: &str) -> Result<Vec<Figure>, Failure> {
    let bare = Server::bare()?;
    let gateway = Server::rig(scratch, &["serve", "--port", "0"])?;
    let loads = |connections| {
        let bare = Load {
            address: bare.address,
            path: "/call".into(),
            headers: Vec::new(),
            body: args.into(),
            expect: r#""message":"hello""#.into(),
            connections,
            millis: MILLIS,
        };
        let gateway = Load {
            address: gateway.address,
            path: "/v1/tools/echo.message.send:call".into(),
            body: format!(r#"{{"args":{args}}}"#),
            expect: r#""ok":true"#.into(),
            ..bare.clone()
        };
        (bare, gateway)
    };
    println!(
        "\n{:<12} {:>10} {:>8} {:>8}   {:>10} {:>8} {:>8}   {:>6}",
        "connections", "bare /s", "p50 µs", "p99 µs", "gateway /s", "p50 µs", "p99 µs", "ratio"
    );
    let mut figures = Vec::new();
    for (connections, bound) in BOUNDS {
        let (bare, gateway) = loads(connections);
        let mut rounds: [Vec<Found>; 2] = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            // Each goes first as often as the other, nearly.
            for which in [round % 2, 1 - round % 2] {
                rounds[which].push([&bare, &gateway][which].run()?);
            }
        }
        let ratio = median(rounds[1].iter().zip(&rounds[0]).map(|(gateway, bare)| gateway.rate / bare.rate).collect());
        print!("{connections:<12}");
        for (name, found) in ["bare axum handler", "gateway"].into_iter().zip(&rounds) {
            let middle = |of: fn(&Found) -> f64| median(found.iter().map(of).collect());
            let (rate, p50, p99) = (middle(|found| found.rate), middle(|found| found.p50), middle(|found| found.p99));
            print!(" {rate:>10.0} {p50:>8.0} {p99:>8.0}  ");
            for (what, value, unit) in [("rate", rate, "/s"), ("p50", p50, "µs"), ("p99", p99, "µs")] {
                figures.push(Figure::told(format!("{name}, {connections} connections, {what}"), value, unit));
            }
        }
        println!(" {ratio:>6.2}");
        let name = format!("gateway / bare axum handler, rate at {connections} connections");
        figures.push(Figure::ratio(name, ratio, bound));
    }
    Ok(figures)
}
