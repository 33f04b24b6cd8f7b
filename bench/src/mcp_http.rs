//! MCP over HTTP against rig's own API, on the same gateway: what the protocol costs beside the call.

use crate::{
    Failure,
    figures::Figure,
    load::Load,
    measure::median,
    process::{Scratch, Server},
};

/// How often the two take turns, and how long each turn is.
const ROUNDS: usize = 5;
const MILLIS: u64 = 1_500;

/// The revision without sessions: each request stands for itself, as each call of rig's API does.
const REVISION: &str = "2026-07-28";

/// Measures both.
pub(crate) fn measure(scratch: &Scratch, args: &str) -> Result<Vec<Figure>, Failure> {
    let gateway = Server::rig(scratch, &["serve", "--port", "0"])?;
    println!("\n{:<12} {:>10} {:>10} {:>8}", "connections", "RGP /s", "MCP /s", "ratio");
    let mut figures = Vec::new();
    for connections in [8, 64] {
        let rgp = Load {
            address: gateway.address,
            path: "/v1/tools/echo.message.send:call".into(),
            headers: Vec::new(),
            body: format!(r#"{{"args":{args}}}"#),
            expect: r#""ok":true"#.into(),
            connections,
            millis: MILLIS,
        };
        let meta = format!(
            r#""io.modelcontextprotocol/protocolVersion":"{REVISION}","io.modelcontextprotocol/clientInfo":{{"name":"rig-bench","version":"1.0.0"}},"io.modelcontextprotocol/clientCapabilities":{{}}"#
        );
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mcp = Load {
            path: "/mcp".into(),
            headers: vec![
                header("Accept", "application/json, text/event-stream"),
                header("MCP-Protocol-Version", REVISION),
                header("Mcp-Method", "tools/call"),
                header("Mcp-Name", "echo_message_send"),
            ],
            body: format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo_message_send","arguments":{args},"_meta":{{{meta}}}}}}}"#
            ),
            expect: r#""isError":false"#.into(),
            ..rgp.clone()
        };
        let mut rates: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            for which in [round % 2, 1 - round % 2] {
                rates[which].push([&rgp, &mcp][which].run()?.rate);
            }
        }
        let ratio = median(rates[1].iter().zip(&rates[0]).map(|(mcp, rgp)| mcp / rgp).collect());
        let [rgp, mcp] = rates.map(median);
        println!("{connections:<12} {rgp:>10.0} {mcp:>10.0} {ratio:>8.2}");
        figures.push(Figure::told(format!("MCP over HTTP, {connections} connections"), mcp, "/s"));
        figures.push(Figure::ratio(format!("MCP over HTTP / RGP, rate at {connections} connections"), ratio, None));
    }
    Ok(figures)
}
