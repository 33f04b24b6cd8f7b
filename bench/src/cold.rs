//! One call in a new process: `rig call` with a warm cache against the least program that does it with wasmtime, which takes the compiled
//! component from a file, calls it once and prints the answer: `rig-bench once FILE ARGS`, a process of its own.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use wasmtime::{Config, Engine, component::Component};

use crate::{Failure, bare::Bare, figures::Figure, measure::median, process::Scratch, rig::Packs};

/// How often each is run.
const RUNS: usize = 25;

/// The settings that shape the compiled code: those of rig.
fn engine() -> Result<Engine, Failure> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    Ok(Engine::new(&config)?)
}

/// The least program.
pub(crate) fn main(file: &str, args: &str) -> Result<(), Failure> {
    let engine = engine()?;
    // SAFETY: the file was written by this very program a moment ago, in a folder of its own.
    #[allow(unsafe_code, reason = "the only way to load compiled code")]
    let component = unsafe { Component::deserialize_file(&engine, file) }?;
    let bare = Bare::of(&engine, &component)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    println!("{}", runtime.block_on(bare.call(&args.to_owned()))?);
    Ok(())
}

/// Measures both in turn.
pub(crate) fn measure(packs: &Packs, scratch: &Scratch, args: &str) -> Result<Vec<Figure>, Failure> {
    let file = scratch.folder().join("echo.compiled");
    std::fs::write(&file, engine()?.precompile_component(&packs.echo)?)?;
    let least = || {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("once").arg(&file).arg(args);
        timed(command)
    };
    let rig = || timed(scratch.rig(&["call", "echo.message.send", args]));
    least()?;
    rig()?;
    let (mut floor, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        floor.push(least()?);
        calls.push(rig()?);
    }
    let ratio = median(calls.iter().zip(&floor).map(|(call, least)| call / least).collect());
    let (floor, call) = (median(floor), median(calls));
    println!("\nthe least program with wasmtime {floor:.1} ms, rig call {call:.1} ms");
    Ok(vec![
        Figure::told("the least program with wasmtime", floor, "ms"),
        Figure::ratio("rig call, warm cache / the least program", ratio, None),
    ])
}

/// The milliseconds that a program takes that must succeed.
fn timed(mut command: Command) -> Result<f64, Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status()?;
    let elapsed = started.elapsed().as_secs_f64() * 1e3;
    let program = Path::new(command.get_program()).display();
    if status.success() { Ok(elapsed) } else { Err(format!("{program} ended with {status}").into()) }
}
