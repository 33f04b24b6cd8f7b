//! Everything that must hold before a change is merged, in one command, with the time that each step took.

use std::{
    fmt, fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    checkout::{Checkout, Profile},
    clients, deny,
    fail::Fail,
    packs, run,
};

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It found nothing.
    Passed,
    /// It found something, or could not be run.
    Failed,
    /// It was left out, for the reason.
    Skipped(String),
}

/// What the steps came to.
#[derive(Default)]
struct Report {
    steps: Vec<(&'static str, Outcome, Duration)>,
}

impl Report {
    /// Runs a step in front of the user; what it made, if it passed.
    fn step<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T, Fail>) -> Option<T> {
        self.checked(name, || step().map(|made| (Outcome::Passed, Some(made)))).flatten()
    }

    /// As [`Report::step`], for one that may decide to be left out.
    fn checked<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<(Outcome, T), Fail>) -> Option<T> {
        println!("\n=== {name}");
        let started = Instant::now();
        let (outcome, made) = match step() {
            Ok((outcome, made)) => (outcome, Some(made)),
            Err(fail) => {
                println!("{fail}");
                (Outcome::Failed, None)
            }
        };
        let took = started.elapsed();
        println!("=== {name}: {} ({:.1} s)", describe(&outcome), took.as_secs_f32());
        self.steps.push((name, outcome, took));
        made
    }

    fn skip(&mut self, name: &'static str, reason: &str) {
        println!("\n=== {name}: skipped: {reason}");
        self.steps.push((name, Outcome::Skipped(reason.to_owned()), Duration::ZERO));
    }

    fn names(&self, wanted: impl Fn(&Outcome) -> bool) -> Vec<&'static str> {
        self.steps.iter().filter(|(_, outcome, _)| wanted(outcome)).map(|(name, ..)| *name).collect()
    }

    fn result(&self) -> Result<(), Fail> {
        let failed = self.names(|outcome| *outcome == Outcome::Failed);
        if failed.is_empty() { Ok(()) } else { Err(Fail::new(format!("failed: {}", failed.join(", ")))) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: Duration = self.steps.iter().map(|(_, _, took)| *took).sum();
        for (name, outcome, took) in &self.steps {
            writeln!(f, "{name:<10} {:>7.1} s  {}", took.as_secs_f32(), describe(outcome))?;
        }
        let skipped = self.names(|outcome| matches!(outcome, Outcome::Skipped(_)));
        let verdict = match (self.result().is_ok(), skipped.is_empty()) {
            (false, _) => "FAILED".to_owned(),
            (true, true) => "all passed".to_owned(),
            (true, false) => format!("passed, without {}", skipped.join(", ")),
        };
        write!(f, "{:<10} {:>7.1} s  {verdict}", "total", total.as_secs_f32())
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => "ok".into(),
        Outcome::Failed => "FAILED".into(),
        Outcome::Skipped(reason) => format!("skipped: {reason}"),
    }
}

/// Runs the steps. With filters, only what the tests need and the tests whose names contain one of them.
pub(crate) fn run(checkout: &Checkout, filters: &[String]) -> Result<(), Fail> {
    let mut report = Report::default();
    let toolchain = report.step("toolchain", || crate::toolchain(checkout));
    if filters.is_empty() {
        report.step("format", || run::ok(&mut checkout.cargo(&["fmt", "--all", "--check"])));
        report.step("clippy", || {
            let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
            run::ok(&mut checkout.cargo(&lints))
        });
    }
    let otlp = if filters.is_empty() { report.step("otlp", || otlp(checkout)) } else { None };
    let rig = report.step("build", || checkout.build_rig());
    let packs = match (&rig, &toolchain) {
        (Some(rig), Some(toolchain)) => report.step("packs", || {
            packs::build_for_tests(checkout, rig, toolchain)?;
            packs::build_examples(checkout, rig, toolchain)
        }),
        _ => None,
    };
    if let (Some(rig), Some(toolchain)) = (&rig, &toolchain) {
        report.checked("languages", || packs::build_languages(checkout, rig, toolchain).map(|outcome| (outcome, ())));
    }
    report.checked("clients", || clients::check(checkout).map(|outcome| (outcome, ())));
    if packs.is_some() {
        report.step("tests", || tests(checkout, filters, checkout.program(Profile::Dev, "rig"), otlp));
    } else {
        report.skip("tests", "they need the packs");
    }
    if filters.is_empty() {
        report.checked("deny", || deny::check(checkout).map(|outcome| (outcome, ())));
    }
    println!("\n{report}");
    report.result()
}

/// Checks and builds the program that exports spans, and puts it aside: the next build takes its place.
fn otlp(checkout: &Checkout) -> Result<PathBuf, Fail> {
    let feature = ["--workspace", "--features", "rig-host/otlp"];
    // Only rig-host differs with it: everything else is checked already.
    run::ok(checkout.cargo(&["clippy"]).args(feature).args(["--", "-D", "warnings"]))?;
    run::ok(checkout.cargo(&["build"]).args(feature).args(["--bin", "rig"]))?;
    let built = checkout.program(Profile::Dev, "rig");
    let aside = built.with_file_name("rig-otlp");
    match fs::copy(&built, &aside) {
        Ok(_) => Ok(aside),
        Err(error) => Err(Fail::new(format!("cannot copy {}: {error}", built.display()))),
    }
}

fn tests(checkout: &Checkout, filters: &[String], rig: PathBuf, otlp: Option<PathBuf>) -> Result<(), Fail> {
    let mut command = checkout.cargo(&["test", "--workspace", "--no-fail-fast"]);
    if !filters.is_empty() {
        command.arg("--").args(filters);
    }
    command.env("RIG_TEST_PACKS", checkout.packs()).env("RIG_TEST_BIN", rig);
    if let Some(otlp) = otlp {
        command.env("RIG_TEST_OTLP_BIN", otlp);
    }
    run::ok(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_in_the_summary_and_does_not_stop_the_rest() {
        let mut report = Report::default();
        assert_eq!(report.step("one", || Ok(1)), Some(1));
        assert_eq!(report.step("two", || Err::<u8, _>(Fail::new("it broke"))), None);
        report.skip("three", "it needs two");
        assert_eq!(report.result().unwrap_err().to_string(), "error: failed: two");
        let text = report.to_string();
        let verdicts: Vec<_> = text.lines().map(|line| line.split(" s  ").nth(1).unwrap()).collect();
        assert_eq!(verdicts, ["ok", "FAILED", "skipped: it needs two", "FAILED"]);
    }

    #[test]
    fn what_was_left_out_is_said_when_all_else_passed() {
        let mut report = Report::default();
        report.step("one", || Ok(()));
        assert!(report.to_string().ends_with("s  all passed"));
        report.skip("deny", "no network");
        assert!(report.to_string().ends_with("s  passed, without deny"));
        assert!(report.result().is_ok());
    }
}
