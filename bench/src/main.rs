//! What rig adds to the work itself.
//!
//! In one run, on the same component and the same inputs: the echo tool as native code, bare wasmtime (a fresh instance, the same
//! settings), and rig's whole call pipeline in process. Then whole processes: `rig call` with a warm cache against `rig --version`;
//! the gateway over HTTP against a bare axum handler that runs the component, and beside guests in endless loops; MCP over stdio against
//! a Node server on the official SDK; MCP over HTTP against rig's own API; packs for Python and Node in their processes; memory; installing ten packs from loopback against `curl` and `sha256sum` ([`install`] says how compiling
//! is left out).
//! Only ratios and differences within the run are judged; the exit code is 1 when one is beyond its bound.
//!
//! `--only pipeline|start|cold|gateway|mcp|beside|stdio|install|runners|memory` runs one part, `--json FILE` writes the figures for programs.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints its findings")]

mod bare;
mod bare_http;
mod beside;
mod cold;
mod figures;
mod files;
mod gateway;
mod inputs;
mod install;
mod load;
mod mcp_http;
mod measure;
mod memory;
mod process;
mod rig;
mod runners;
mod stdio;

use std::{error::Error, path::Path, process::ExitCode};

use figures::{Bound, Figure};
use measure::{Candidate, medians};
use process::Scratch;

/// The pipeline over bare wasmtime, by input.
const PIPELINE_BOUNDS: [(&str, f64); 2] = [("100 B", 2.0), ("10 KB", 1.2)];

/// What a warm `rig call` may take longer than `rig --version`, in milliseconds.
const COLD_START_BOUND: f64 = 40.0;

/// The parts of a run, in order.
const PARTS: [&str; 10] =
    ["pipeline", "start", "cold", "gateway", "mcp", "beside", "stdio", "install", "runners", "memory"];

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["load", load] => load::main(load).map(|()| true),
        ["files", dir] => files::main(dir).map(|()| true),
        ["once", file, args] => cold::main(file, args).map(|()| true),
        ["bare-http"] => bare_http::main().map(|()| true),
        _ => options(&words).and_then(|options| run(&options)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("a figure is beyond its bound");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
#[derive(Default)]
struct Options<'a> {
    only: Option<&'a str>,
    json: Option<&'a Path>,
}

impl Options<'_> {
    fn wants(&self, part: &str) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

fn options<'a>(words: &[&'a str]) -> Result<Options<'a>, Failure> {
    let (mut options, mut words) = (Options::default(), words.iter().copied());
    while let Some(word) = words.next() {
        match (word, words.next()) {
            ("--only", Some(part)) if PARTS.contains(&part) => options.only = Some(part),
            ("--json", Some(path)) => options.json = Some(Path::new(path)),
            _ => return Err(format!("`{word}`: usage: [--only {}] [--json FILE]", PARTS.join("|")).into()),
        }
    }
    Ok(options)
}

fn run(options: &Options<'_>) -> Result<bool, Failure> {
    let packs = rig::packs()?;
    let scratch = Scratch::new(&packs)?;
    let mut figures = Vec::new();
    if options.wants("pipeline") {
        figures.extend(pipeline(&packs)?);
    }
    if options.wants("start") {
        let start = process::start(&scratch)?;
        println!("\nrig --version {:.1} ms, rig call {:.1} ms", start.version_ms, start.call_ms);
        figures.push(Figure {
            name: "rig call - rig --version, warm cache".into(),
            value: start.call_ms - start.version_ms,
            unit: "ms",
            bound: Some(Bound::AtMost(COLD_START_BOUND)),
        });
    }
    let (_, small) = inputs::all().swap_remove(0);
    if options.wants("cold") {
        figures.extend(cold::measure(&packs, &scratch, &small)?);
    }
    if options.wants("gateway") {
        figures.extend(gateway::measure(&scratch, &small)?);
    }
    if options.wants("mcp") {
        figures.extend(mcp_http::measure(&scratch, &small)?);
    }
    if options.wants("beside") {
        figures.extend(beside::measure(&scratch, &small)?);
    }
    if options.wants("stdio") {
        figures.extend(stdio::measure(&scratch, &small)?);
    }
    if options.wants("install") {
        figures.extend(install::measure(&packs, &scratch)?);
    }
    if options.wants("runners") {
        figures.extend(runners::measure(&scratch, &small)?);
    }
    if options.wants("memory") {
        figures.extend(memory::measure(&packs, &small)?);
    }
    figures::show(&figures);
    if let Some(path) = options.json {
        figures::write(&figures, path)?;
    }
    Ok(figures.iter().all(Figure::holds))
}

/// The call pipeline in process against bare wasmtime and native code.
fn pipeline(packs: &rig::Packs) -> Result<Vec<Figure>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let pipeline = rig::Pipeline::new(packs)?;
    let bare = bare::Bare::new(pipeline.engine(), &packs.echo)?;
    let mut figures = Vec::new();
    println!("{:<8} {:>14} {:>14} {:>14} {:>12}", "input", "native µs", "bare µs", "pipeline µs", "ratio");
    for (name, args) in inputs::all() {
        check(&runtime, &bare, &pipeline, &args)?;
        let mut candidates = [
            Candidate { name: "native", work: Box::new(|| drop(rig::native(&args))) },
            Candidate { name: "bare", work: Box::new(|| drop(runtime.block_on(bare.call(&args)))) },
            Candidate { name: "pipeline", work: Box::new(|| drop(runtime.block_on(pipeline.call(&args)))) },
        ];
        let times = medians(&mut candidates);
        let ratio = times[2] / times[1];
        println!("{name:<8} {:>14.1} {:>14.1} {:>14.1} {ratio:>12.2}", times[0], times[1], times[2]);
        for (candidate, time) in candidates.iter().zip(&times) {
            figures.push(Figure::told(format!("{} {name}", candidate.name), *time, "µs"));
        }
        let bound = PIPELINE_BOUNDS.iter().find(|(input, _)| *input == name).map(|(_, bound)| Bound::AtMost(*bound));
        figures.push(Figure::ratio(format!("pipeline / bare wasmtime, {name}"), ratio, bound));
    }
    Ok(figures)
}

/// All three must give the same answer, or the comparison means nothing.
fn check(
    runtime: &tokio::runtime::Runtime,
    bare: &bare::Bare,
    pipeline: &rig::Pipeline,
    args: &String,
) -> Result<(), Failure> {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text);
    let native = value(&rig::native(args)?)?;
    let bare = value(&runtime.block_on(bare.call(args))?)?;
    let result = runtime.block_on(pipeline.call(args)).answer.into_result();
    let output =
        result.output.map(serde_json::Value::Object).ok_or_else(|| format!("the call failed: {:?}", result.error))?;
    if native == bare && bare == output { Ok(()) } else { Err("the candidates do not agree".into()) }
}
