//! Timing on a noisy machine: everything that is compared runs in turn, round by round, and medians are compared.

use std::time::{Duration, Instant};

/// How long one round of one candidate takes at least.
const ROUND: Duration = Duration::from_millis(40);

/// How many rounds.
const ROUNDS: usize = 15;

/// One thing to be measured.
pub(crate) struct Candidate<'a> {
    /// Its name in the report.
    pub(crate) name: &'static str,
    /// Does the work once.
    pub(crate) work: Box<dyn FnMut() + 'a>,
}

/// The median time of one piece of work of each candidate, in microseconds, in order.
pub(crate) fn medians(candidates: &mut [Candidate<'_>]) -> Vec<f64> {
    let repeats: Vec<u32> = candidates.iter_mut().map(calibrate).collect();
    let mut times = vec![Vec::with_capacity(ROUNDS); candidates.len()];
    for _ in 0..ROUNDS {
        for ((candidate, repeats), times) in candidates.iter_mut().zip(&repeats).zip(&mut times) {
            times.push(once(candidate, *repeats));
        }
    }
    times.into_iter().map(median).collect()
}

fn calibrate(candidate: &mut Candidate<'_>) -> u32 {
    once(candidate, 3);
    let mut repeats: u32 = 1;
    loop {
        let round = Duration::from_secs_f64(once(candidate, repeats) * f64::from(repeats) / 1e6);
        if round >= ROUND || repeats >= 1 << 20 {
            return repeats;
        }
        repeats *= 2;
    }
}

fn once(candidate: &mut Candidate<'_>, repeats: u32) -> f64 {
    let started = Instant::now();
    for _ in 0..repeats {
        (candidate.work)();
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(repeats)
}

/// The middle of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
