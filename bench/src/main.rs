//! What rig adds to the work itself.
//!
//! In one run, on the same component and the same inputs: the echo tool as native code, bare wasmtime (a fresh instance, the same
//! settings), and rig's whole call pipeline in process. Then whole processes: `rig call` with a warm cache against `rig --version`.
//! Only ratios and differences within the run are judged; the exit code is 1 when one is beyond its bound.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints its findings")]

mod bare;
mod inputs;
mod measure;
mod process;
mod rig;

use std::{error::Error, process::ExitCode};

use measure::{Candidate, medians};
use serde_json::json;

/// The pipeline over bare wasmtime, by input.
const PIPELINE_BOUNDS: [(&str, f64); 2] = [("100 B", 2.0), ("10 KB", 1.2)];

/// What a warm `rig call` may take longer than `rig --version`, in milliseconds.
const COLD_START_BOUND: f64 = 40.0;

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    match run() {
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

/// One judged figure.
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    bound: Option<f64>,
}

impl Figure {
    fn holds(&self) -> bool {
        self.bound.is_none_or(|bound| self.value <= bound)
    }
}

fn run() -> Result<bool, Failure> {
    let packs = rig::packs()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let pipeline = rig::Pipeline::new(&packs)?;
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
            figures.push(Figure { name: format!("{} {name}", candidate.name), value: *time, unit: "µs", bound: None });
        }
        let bound = PIPELINE_BOUNDS.iter().find(|(input, _)| *input == name).map(|(_, bound)| *bound);
        figures.push(Figure { name: format!("pipeline / bare wasmtime, {name}"), value: ratio, unit: "×", bound });
    }
    let start = process::start(&packs)?;
    println!("\nrig --version {:.1} ms, rig call {:.1} ms", start.version_ms, start.call_ms);
    figures.push(Figure {
        name: "rig call - rig --version, warm cache".into(),
        value: start.call_ms - start.version_ms,
        unit: "ms",
        bound: Some(COLD_START_BOUND),
    });
    report(&figures);
    Ok(figures.iter().all(Figure::holds))
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

fn report(figures: &[Figure]) {
    println!();
    for figure in figures.iter().filter(|figure| figure.bound.is_some()) {
        let (verdict, bound) = (if figure.holds() { "pass" } else { "FAIL" }, figure.bound.unwrap_or_default());
        println!("{verdict}  {:<40} {:.2} {} (bound {bound} {})", figure.name, figure.value, figure.unit, figure.unit);
    }
    let rows: Vec<_> = figures
        .iter()
        .map(|figure| {
            json!({
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "bound": figure.bound,
                "pass": figure.holds(),
            })
        })
        .collect();
    if let Some(path) = std::env::args_os().skip_while(|arg| arg != "--json").nth(1)
        && let Err(error) = std::fs::write(&path, format!("{:#}\n", json!({ "figures": rows })))
    {
        eprintln!("{} cannot be written: {error}", path.display());
    }
}
