//! How long things take. Measured on request, since the answer depends on the machine: nothing is asserted.
#![allow(clippy::print_stdout, reason = "the numbers are what these are run for")]

use std::time::Instant;

use super::*;

fn typical() -> Row {
    Row {
        decision: None,
        args: None,
        egress: Vec::new(),
        auth: Vec::new(),
        outcome: Some(Outcome::Ok),
        error_type: None,
        ..full_row()
    }
}

fn microseconds(all: &mut [Duration]) -> String {
    all.sort();
    let at = |share: usize| all[(all.len() - 1) * share / 100].as_secs_f64() * 1e6;
    let mean = all.iter().sum::<Duration>().as_secs_f64() * 1e6 / all.len() as f64;
    format!("mean {mean:.1} µs, p50 {:.1}, p90 {:.1}, p99 {:.1}, max {:.0}", at(50), at(90), at(99), at(100))
}

#[test]
#[ignore = "a measurement"]
fn writing() {
    for (journal, tasks) in [(false, 1), (false, 8), (false, 64), (true, 1), (true, 8), (true, 64)] {
        let place = Place::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let audit = if journal { place.long_lived() } else { place.audit() };
        runtime.block_on(audit.record(typical())).unwrap();
        let each = 100_000 / tasks;
        let (begun, cpu) = (Instant::now(), cpu_time());
        let mut times: Vec<Duration> = runtime.block_on(async {
            let mut running = tokio::task::JoinSet::new();
            for _ in 0..tasks {
                let (audit, row) = (audit.clone(), typical());
                running.spawn(async move {
                    let mut times = Vec::with_capacity(each);
                    for _ in 0..each {
                        let row = row.clone();
                        let begun = Instant::now();
                        audit.record(row).await.unwrap();
                        times.push(begun.elapsed());
                    }
                    times
                });
            }
            running.join_all().await.concat()
        });
        let (took, cpu) = (begun.elapsed(), cpu_time().saturating_sub(cpu));
        let rows = times.len() as f64;
        println!(
            "{tasks:3} at a time{}: {:.0} rows/s, {:.1} µs CPU a row; {}",
            if journal { ", with a journal" } else { "" },
            rows / took.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / rows,
            microseconds(&mut times)
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn one_row_of_a_new_process() {
    let place = Place::new();
    let mut times: Vec<Duration> = (0..300)
        .map(|_| {
            let begun = Instant::now();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let audit = place.audit();
            runtime.block_on(audit.record(typical())).unwrap();
            drop(audit);
            begun.elapsed()
        })
        .collect();
    println!("opened, one row, closed: {}", microseconds(&mut times));
}

#[test]
#[ignore = "a measurement"]
fn durable_rows() {
    let place = Place::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let audit = place.audit();
    let durable = || {
        let begun = Instant::now();
        runtime.block_on(audit.record_durably(typical())).unwrap();
        begun.elapsed()
    };
    let mut times: Vec<Duration> = (0..300).map(|_| durable()).collect();
    println!("on the disk: {}", microseconds(&mut times));
}

#[test]
#[ignore = "a measurement: writes a million rows, about 700 MB"]
fn a_million_rows() {
    let place = Place::new();
    let mut log = log::Log::open(&place.settings.path, &Arc::default()).unwrap();
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for thousand in 0..1000 {
        let stored = |n: u64| {
            let n = thousand * 1000 + n;
            let row = Row {
                tenant_id: format!("tenant {}", n % 20),
                actor: format!("user{}@example.com", n * 7919 % 50_000),
                tool: format!("pack.noun.verb{}", n % 300),
                outcome: Some(if n.is_multiple_of(10) { Outcome::Error } else { Outcome::Ok }),
                ..typical()
            };
            chain::Stored::new(row, start + Duration::from_millis(n * 50))
        };
        let mut rows: Vec<_> = (0..1000).map(stored).collect();
        log.append(rows.iter_mut()).unwrap();
    }
    let begun = Instant::now();
    while summary::make_next(&mut log, || ()).unwrap() {}
    println!("summaries: {:.2} µs a row", begun.elapsed().as_secs_f64());
    let any = AuditQuery::default;
    let text = |text: &str| Some(text.to_owned());
    for query in [
        any(),
        AuditQuery { tenant_id: text("tenant 3"), ..any() },
        AuditQuery { actor: text("user42@example.com"), ..any() },
        AuditQuery { tool_name: text("pack.noun.verb17"), ok: Some(false), limit: Some(1000), ..any() },
        AuditQuery { ok: Some(true), ..any() },
        AuditQuery { start_time: text("2026-01-01T03:00:00Z"), end_time: text("2026-01-01T09:00:00Z"), ..any() },
        AuditQuery { tenant_id: text("nobody"), ..any() },
    ] {
        let mut times = Vec::new();
        let mut total = 0;
        for _ in 0..5 {
            let begun = Instant::now();
            total = place.query(&query).total;
            times.push(begun.elapsed());
        }
        println!("{total} match: {}: {query:?}", microseconds(&mut times));
    }
    let begun = Instant::now();
    assert!(place.verify().ok);
    println!("verified in {:.1} s", begun.elapsed().as_secs_f64());
}

/// The CPU time of this process. What it wrote to the file is on its account too.
fn cpu_time() -> Duration {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let own: u64 = fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(own.max(text.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or_default()))
}
