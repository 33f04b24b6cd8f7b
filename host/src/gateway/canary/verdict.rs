//! Whether what is on trial is worse than what holds. Both run beside each other on the same calls at the same time, so that a service
//! that is slow or down today does not count against either.

use std::time::Duration;

/// Calls of the candidate before anything is said of it, and of the others.
const MIN_CALLS: u64 = 20;
/// Failures above what was to be expected: one or two may be chance, however few the others have.
const MIN_EXCESS: f64 = 3.0;
/// Standard errors between the two shares of failures. By chance alone that is one look in seven hundred.
const SIGNIFICANT: f64 = 3.0;
/// Calls of each before their times are compared: the 95th percentile of fewer is a matter of one call.
const MIN_TIMED: u64 = 100;
/// How much slower the 95th percentile may be.
const SLOWER: f64 = 1.5;
/// And by how much at least: what callers do not feel is no reason.
const FELT: Duration = Duration::from_millis(10);

/// Steps of the times in one doubling, as a power of two: an error of at most an eighth.
const STEP_BITS: u32 = 3;
/// Up to 2^32 microseconds, which is above an hour.
const TIMES: usize = 32 << STEP_BITS;

/// The calls of one side.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) calls: u64,
    pub(super) failed: u64,
    times: Box<[u32; TIMES]>,
}

impl Default for Side {
    fn default() -> Self {
        Self { calls: 0, failed: 0, times: Box::new([0; TIMES]) }
    }
}

impl Side {
    pub(super) fn add(&mut self, failed: bool, took: Duration) {
        self.calls += 1;
        self.failed += u64::from(failed);
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        // The doubling, and the bits after its first one.
        let doubling = micros.ilog2();
        let within = (u64::from(micros) << STEP_BITS >> doubling) - (1 << STEP_BITS);
        let step = usize::try_from((u64::from(doubling) << STEP_BITS) + within).unwrap_or(TIMES - 1);
        let bucket = &mut self.times[step.min(TIMES - 1)];
        *bucket = bucket.saturating_add(1);
    }

    fn failing(&self) -> f64 {
        self.failed as f64 / self.calls.max(1) as f64
    }

    /// The time that 95 of 100 calls stay below.
    pub(super) fn p95(&self) -> Duration {
        let wanted = (self.calls * 95).div_ceil(100);
        let mut seen = 0;
        for (step, count) in (0_u64..).zip(self.times.iter()) {
            seen += u64::from(*count);
            if seen >= wanted {
                let (doubling, within) = (step >> STEP_BITS, step % (1 << STEP_BITS));
                return Duration::from_micros((((1 << STEP_BITS) + within + 1) << doubling) >> STEP_BITS);
            }
        }
        Duration::MAX
    }

    fn failures(&self) -> String {
        format!("{} of {} calls ({:.1} %)", self.failed, self.calls, self.failing() * 100.0)
    }
}

/// Why the candidate must not go on, if it must not.
pub(super) fn verdict(present: &Side, candidate: &Side) -> Option<String> {
    if candidate.calls < MIN_CALLS || present.calls < MIN_CALLS {
        return None;
    }
    let (few, many) = (candidate.calls as f64, present.calls as f64);
    let excess = candidate.failed as f64 - few * present.failing();
    let pooled = (candidate.failed + present.failed) as f64 / (few + many);
    let error = (pooled * (1.0 - pooled) * (1.0 / few + 1.0 / many)).sqrt();
    let difference = candidate.failing() - present.failing();
    if excess >= MIN_EXCESS && difference > SIGNIFICANT * error {
        return Some(format!("{} failed, against {} of the present version", candidate.failures(), present.failures()));
    }
    if candidate.calls >= MIN_TIMED && present.calls >= MIN_TIMED {
        let (slow, usual) = (candidate.p95(), present.p95());
        if slow.as_secs_f64() > usual.as_secs_f64() * SLOWER && slow.saturating_sub(usual) > FELT {
            let millis = |time: Duration| time.as_secs_f64() * 1e3;
            return Some(format!(
                "95 of 100 calls took up to {:.1} ms, against {:.1} ms of the present version",
                millis(slow),
                millis(usual)
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(calls: u64, failed: u64, millis: u64) -> Side {
        let mut side = Side::default();
        (0..calls).for_each(|n| side.add(n < failed, Duration::from_millis(millis)));
        side
    }

    #[test]
    fn what_is_worse_is_told_from_chance() {
        for (present, candidate, worse) in [
            (side(360, 1, 5), side(40, 6, 5), true),
            (side(180, 0, 5), side(20, 3, 5), true),
            (side(180, 0, 5), side(20, 2, 5), false),
            (side(180, 0, 5), side(19, 19, 5), false),
            (side(19, 0, 5), side(20, 20, 5), false),
            // A service that is down is down for both.
            (side(180, 180, 5), side(20, 20, 5), false),
            (side(1000, 100, 5), side(100, 14, 5), false),
            (side(1000, 100, 5), side(100, 25, 5), true),
            (side(900, 0, 20), side(100, 0, 45), true),
            (side(900, 0, 20), side(99, 0, 45), false),
            (side(900, 0, 20), side(100, 0, 24), false),
            // Three times as slow, and nobody feels it.
            (side(900, 0, 2), side(100, 0, 6), false),
            (side(900, 0, 50), side(100, 0, 5), false),
        ] {
            let said = verdict(&present, &candidate);
            assert_eq!(said.is_some(), worse, "{} {} {said:?}", present.failures(), candidate.failures());
        }
        let said = verdict(&side(360, 1, 5), &side(40, 6, 5)).unwrap();
        assert_eq!(said, "6 of 40 calls (15.0 %) failed, against 1 of 360 calls (0.3 %) of the present version");
    }

    /// Two that are the same: looked at after every call, one of a hundred trials at most is ended for nothing.
    #[test]
    fn equals_stay() {
        let mut seed = 7_u64;
        let mut fails = |percent: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % 100 < percent
        };
        let ended = (0..300).filter(|_| {
            let (mut present, mut candidate) = (Side::default(), Side::default());
            (0..2000).any(|n| {
                let side = if n % 10 == 0 { &mut candidate } else { &mut present };
                side.add(fails(2), Duration::from_millis(5));
                verdict(&present, &candidate).is_some()
            })
        });
        let ended = ended.count();
        assert!(ended <= 12, "{ended} of 300");
    }

    #[test]
    fn percentiles() {
        let mut side = Side::default();
        (1..=100).for_each(|n| side.add(false, Duration::from_millis(n)));
        let p95 = side.p95().as_secs_f64() * 1e3;
        assert!((95.0..107.0).contains(&p95), "{p95}");
    }
}
