//! Limits against a clock that the test turns.

use std::thread;

use super::*;
use rig_specs::config::RateLimit;

const SECOND: Duration = Duration::from_secs(1);

fn limits(rules: &[(&str, RateLimit)]) -> Limits {
    Limits::new(&rules.iter().map(|(pattern, limit)| ((*pattern).to_owned(), limit.clone())).collect())
}

fn rate(calls: u32, per: Per, each: &[Each]) -> RateLimit {
    RateLimit { calls: Some(calls), per, concurrent: None, each: each.to_vec() }
}

fn at_once(most: u32, each: &[Each]) -> RateLimit {
    RateLimit { calls: None, per: Per::Minute, concurrent: Some(most), each: each.to_vec() }
}

/// As the limiter does it, at a given time.
fn enter(counts: &mut Counts, limits: &Limits, tool: &str, tenant: &str, now: Duration) -> Result<Permit, Limited> {
    let pack = tool.split('.').next().unwrap();
    let matching = limits.rules.iter().filter(|rule| matches(&rule.pattern, tool));
    let counted: Vec<_> = matching.map(|rule| (rule, rule.key(tool, pack, tenant))).collect();
    counts.enter(&counted, now)
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn no_stretch_of_time_holds_more_than_the_rule_allows() {
    for (seed, calls, per) in [
        (1, 1, Per::Second),
        (2, 3, Per::Second),
        (3, 60, Per::Minute),
        (4, 1_000, Per::Minute),
        (5, 7, Per::Hour),
        (6, 100, Per::Day),
    ] {
        let limits = limits(&[("*", rate(calls, per, &[]))]);
        let (mut counts, mut numbers) = (Counts::default(), Numbers(seed));
        let period = period(per);
        // From far below to far above what is allowed, in bursts and rests.
        let step = u64::try_from(period.as_nanos()).unwrap() / u64::from(calls);
        let (mut now, mut entered, mut asked) = (Duration::ZERO, Vec::new(), 0_u32);
        for _ in 0..20_000 {
            now += Duration::from_nanos(match numbers.below(200) {
                0 => numbers.below(step * u64::from(calls) * 2),
                1..100 => 0,
                _ => numbers.below(step),
            });
            asked += 1;
            match enter(&mut counts, &limits, "a.b", "t", now) {
                Ok(_) => entered.push(now),
                Err(limited) => {
                    assert!(limited.retry_after > Duration::ZERO && limited.retry_after <= period);
                    // Who waits as told is let in.
                    if numbers.below(50) == 0 {
                        now += limited.retry_after;
                        drop(enter(&mut counts, &limits, "a.b", "t", now).expect("room after the wait"));
                        entered.push(now);
                    }
                }
            }
        }
        let many = calls as usize;
        assert!(entered.len() > many && entered.len() < asked as usize, "both happened: {} of {asked}", entered.len());
        for window in entered.windows(many + 1) {
            assert!(window[many] >= window[0] + period, "{calls} per {per:?}: {:?}", (window[0], window[many]));
        }
    }
}

#[test]
fn calls_that_are_spread_are_counted_exactly() {
    let limits = limits(&[("*", rate(2, Per::Minute, &[]))]);
    let mut counts = Counts::default();
    let mut at = |seconds: u64| enter(&mut counts, &limits, "a.b", "", SECOND * u32::try_from(seconds).unwrap());
    let wait = |result: Result<Permit, Limited>| result.map(|_| ()).map_err(|limited| limited.retry_after.as_secs());
    for (seconds, expected) in [
        (0, Ok(())),
        (30, Ok(())),
        (59, Err(1)),
        (60, Ok(())),
        (61, Err(29)),
        (89, Err(1)),
        (90, Ok(())),
        (1000, Ok(())),
        (1000, Ok(())),
        (1000, Err(60)),
    ] {
        assert_eq!(wait(at(seconds)), expected, "at {seconds} s");
    }
}

#[test]
fn each_decides_what_is_counted_together() {
    use Each::{Pack, Tenant, Tool};
    // In order: which calls of (tool, tenant) are let in when one per minute is.
    let calls = [("a.x", "t"), ("a.y", "t"), ("b.x", "t"), ("a.x", "u"), ("a.x", "t")];
    for (each, expected) in [
        (&[][..], [true, false, false, false, false]),
        (&[Tool], [true, true, true, false, false]),
        (&[Pack], [true, false, true, false, false]),
        (&[Tenant], [true, false, false, true, false]),
        (&[Tenant, Tool], [true, true, true, true, false]),
        (&[Tenant, Pack], [true, false, true, true, false]),
    ] {
        for rule in [rate(1, Per::Minute, each), at_once(1, each)] {
            let limits = limits(&[("*", rule)]);
            let mut counts = Counts::default();
            let results = calls.map(|(tool, tenant)| enter(&mut counts, &limits, tool, tenant, SECOND));
            assert_eq!(results.each_ref().map(Result::is_ok), expected, "{each:?}");
        }
    }
}

#[test]
fn refusals_name_the_rule_and_its_numbers() {
    use Each::{Pack, Tenant, Tool};
    for (pattern, rule, why, hint) in [
        (
            "stripe.*",
            rate(1, Per::Minute, &[]),
            "`policy.rate_limits` in rig.yaml allows 1 call of `stripe.*` per minute",
            "call again in 60 s",
        ),
        (
            "*",
            at_once(1, &[Tool]),
            "`policy.rate_limits` in rig.yaml allows 1 call of `*` at once for each tool",
            "call again in 1 s",
        ),
        (
            "*.list",
            rate(0, Per::Day, &[Tenant, Pack]),
            "`policy.rate_limits` in rig.yaml allows 0 calls of `*.list` per day for each pack and tenant",
            "",
        ),
    ] {
        let limits = limits(&[(pattern, rule)]);
        let mut counts = Counts::default();
        assert_eq!(limits.rules[0].to_string(), why);
        if hint.is_empty() {
            continue;
        }
        let _running = enter(&mut counts, &limits, "stripe.refunds.list", "t", SECOND).unwrap();
        let limited = enter(&mut counts, &limits, "stripe.refunds.list", "t", SECOND).unwrap_err();
        assert_eq!(limited.to_string(), format!("too many calls: {why}"));
        assert_eq!(limited.hint(), hint);
    }
    let soon = Limited { why: String::new(), retry_after: Duration::from_micros(1_500) };
    assert_eq!(soon.hint(), "call again in 2 ms");
}

#[test]
fn a_call_that_one_rule_refuses_is_counted_by_none() {
    let limits =
        limits(&[("*", rate(2, Per::Hour, &[])), ("a.*", rate(1, Per::Minute, &[])), ("a.b", at_once(5, &[]))]);
    let mut counts = Counts::default();
    let _first = enter(&mut counts, &limits, "a.b", "", SECOND).unwrap();
    for _ in 0..10 {
        let limited = enter(&mut counts, &limits, "a.b", "", SECOND).unwrap_err();
        assert!(limited.why.ends_with("1 call of `a.*` per minute"), "{}", limited.why);
    }
    // The refused calls took nothing of the two per hour, nor of the five at once.
    let second = enter(&mut counts, &limits, "a.b", "", SECOND * 61).unwrap();
    assert_eq!(second.running[0].load(Ordering::Relaxed), 2);
    // Both rules refuse now; the longer wait is the one that helps.
    let limited = enter(&mut counts, &limits, "a.b", "", SECOND * 62).unwrap_err();
    assert!(limited.why.ends_with("2 calls of `*` per hour"), "{}", limited.why);
    assert_eq!(limited.retry_after, SECOND * 3_539);
}

#[test]
fn a_permit_makes_room_when_it_is_dropped() {
    let limits = limits(&[("*", at_once(2, &[]))]);
    let limiter = Limiter::new();
    let enter = || limiter.enter(&limits, "a.b", "a", "t");
    let (first, second) = (enter().unwrap(), enter().unwrap());
    assert_eq!(enter().unwrap_err().retry_after, SECOND);
    drop(first);
    let third = enter().unwrap();
    enter().unwrap_err();
    drop((second, third));
    let _both = (enter().unwrap(), enter().unwrap());
    enter().unwrap_err();
}

#[test]
fn no_more_run_at_once_than_allowed_whatever_the_threads_do() {
    let limits = limits(&[("*", at_once(3, &[Each::Tenant]))]);
    let limiter = Limiter::new();
    let (inside, most, entered) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let Ok(permit) = limiter.enter(&limits, "a.b", "a", "t") else {
                        thread::yield_now();
                        continue;
                    };
                    let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    entered.fetch_add(1, Ordering::SeqCst);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
            });
        }
    });
    assert!(entered.into_inner() > 100);
    assert!((1..=3).contains(&most.into_inner()));
}

#[test]
fn counts_outlive_a_reload_unless_the_rule_changed() {
    let mut counts = Counts::default();
    let minute = |calls| limits(&[("a.*", rate(calls, Per::Minute, &[]))]);
    let running = |most| limits(&[("a.*", at_once(most, &[]))]);
    drop(enter(&mut counts, &minute(1), "a.b", "", SECOND).unwrap());
    enter(&mut counts, &minute(1), "a.b", "", SECOND * 2).unwrap_err();
    drop(enter(&mut counts, &minute(2), "a.b", "", SECOND * 2).unwrap());
    // Back again: what was counted under the old rule still is.
    enter(&mut counts, &minute(1), "a.b", "", SECOND * 2).unwrap_err();

    // What runs is counted whatever the number was when it started.
    let _held =
        (enter(&mut counts, &running(3), "a.b", "", SECOND), enter(&mut counts, &running(3), "a.b", "", SECOND));
    enter(&mut counts, &running(2), "a.b", "", SECOND * 2).unwrap_err();
    drop(enter(&mut counts, &running(3), "a.b", "", SECOND * 2).unwrap());

    // Rules that are gone are forgotten once their calls no longer count.
    assert_eq!(counts.sizes().len(), 3);
    let other = limits(&[("b.*", rate(1, Per::Day, &[]))]);
    drop(enter(&mut counts, &other, "b.b", "", SECOND * 200).unwrap());
    assert_eq!(counts.sizes().len(), 2, "what still runs, and the new rule");
}

#[test]
fn invented_tenants_take_bounded_memory_and_get_nothing_for_it() {
    let limits = limits(&[("*", rate(2, Per::Day, &[Each::Tenant]))]);
    let mut counts = Counts::default();
    let own = enter(&mut counts, &limits, "a.b", "own", SECOND);
    assert!(own.is_ok());
    let flood = 3 * counts::MAX_KEYS;
    let entered =
        (0..flood).filter(|i| enter(&mut counts, &limits, "a.b", &format!("t{i}"), SECOND * 2).is_ok()).count();
    assert_eq!(counts.sizes(), [counts::MAX_KEYS]);
    assert_eq!(entered, counts::MAX_KEYS - 1 + 2, "those with a count of their own, and the two that the rest shares");
    // Who was there before is not touched.
    drop(enter(&mut counts, &limits, "a.b", "own", SECOND * 3).unwrap());
    enter(&mut counts, &limits, "a.b", "own", SECOND * 3).unwrap_err();
    // A day later all of it is forgotten.
    drop(enter(&mut counts, &limits, "a.b", "new", SECOND * 90_000).unwrap());
    assert_eq!(counts.sizes(), [1]);
}

#[test]
fn long_names_of_tenants_are_counted_by_their_digest() {
    let limits = limits(&[("*", rate(1, Per::Day, &[Each::Tenant]))]);
    let mut counts = Counts::default();
    let (one, other) = ("x".repeat(1_000_000), "x".repeat(1_000_001));
    assert_eq!(limits.rules[0].key("a.b", "a", &one).len(), "sha256:".len() + 64);
    drop(enter(&mut counts, &limits, "a.b", &one, SECOND).unwrap());
    enter(&mut counts, &limits, "a.b", &one, SECOND).unwrap_err();
    drop(enter(&mut counts, &limits, "a.b", &other, SECOND).unwrap());
}

#[test]
fn without_a_matching_rule_nothing_is_counted() {
    let limiter = Limiter::new();
    for limits in [Limits::default(), limits(&[("b.*", rate(1, Per::Day, &[]))])] {
        for _ in 0..3 {
            let permit = limiter.enter(&limits, "a.b", "a", "t").unwrap();
            assert_eq!(permit.running.capacity(), 0);
        }
    }
    assert_eq!(limiter.counts.lock().unwrap().sizes(), [0_usize; 0]);
}
