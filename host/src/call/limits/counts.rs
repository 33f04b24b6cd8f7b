//! The counts behind the limits: who called how often and how much runs, with a bound on the memory that this takes.
//!
//! Time is a parameter, counted from any fixed moment; it never goes backwards. Locking is the caller's.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::{Limited, Most, Permit, RETRY_AT_ONCE, Rule};

/// How many keys one rule counts apart. Names of tenants come from callers, so somebody could invent them without end; what comes
/// on top is counted together. One key takes some hundred bytes, at most 4 KiB.
pub(super) const MAX_KEYS: usize = 10_000;

/// How often keys without calls are dropped. Going through all of them takes about a millisecond.
const SWEEP: Duration = Duration::from_secs(1);

/// Into how many parts a rule's time is divided: calls within one part are remembered as one entry, with the time of its last call.
/// So a call may be counted up to a 64th of the time longer than it must be, never shorter, and the entries of a key are few.
const PARTS: u32 = 64;

/// All counts, by rule.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<Arc<str>, Keys>);

impl Counts {
    /// Checks all rules, then counts the call in all of them or in none.
    pub(super) fn enter(&mut self, call: &[(&Rule, Cow<str>)], now: Duration) -> Result<Permit, Limited> {
        let mut refused: Option<(Duration, &Rule)> = None;
        for (rule, key) in call {
            let wait = self.keys(rule, now).counter(key, now).and_then(|counter| counter.wait(rule, now));
            if let Some(wait) = wait
                && refused.is_none_or(|(longest, _)| wait > longest)
            {
                refused = Some((wait, rule));
            }
        }
        if let Some((retry_after, rule)) = refused {
            return Err(Limited { why: rule.to_string(), retry_after });
        }
        let mut permit = Permit::default();
        for (rule, key) in call {
            let counter = self.keys(rule, now).counter_mut(key, now);
            match rule.most {
                Most::Calls { .. } => counter.recent.add(rule.period(), now),
                Most::AtOnce(_) => {
                    counter.running.fetch_add(1, Ordering::Relaxed);
                    permit.running.push(Arc::clone(&counter.running));
                }
            }
        }
        Ok(permit)
    }

    fn keys(&mut self, rule: &Rule, now: Duration) -> &mut Keys {
        if !self.0.contains_key(&rule.id) {
            // A rule that is new here came with a new rig.yaml: time to forget those that it no longer has.
            self.0.retain(|_, keys| {
                keys.sweep(now);
                !keys.is_idle(now)
            });
        }
        let keys = self.0.entry(Arc::clone(&rule.id)).or_insert_with(|| Keys::new(rule.period(), now));
        if now >= keys.swept + SWEEP {
            keys.sweep(now);
        }
        keys
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> Vec<usize> {
        self.0.values().map(|keys| keys.counters.len()).collect()
    }
}

/// The counts of one rule, by what it counts apart.
#[derive(Debug)]
struct Keys {
    counters: BTreeMap<String, Counter>,
    /// All keys for which there was no room.
    rest: Counter,
    period: Duration,
    swept: Duration,
}

impl Keys {
    fn new(period: Duration, now: Duration) -> Self {
        Self { counters: BTreeMap::new(), rest: Counter::default(), period, swept: now }
    }

    /// Whether a new key is counted with the rest. While the rest has calls that count, new keys stay with it: one that moved
    /// away would leave its calls behind and start afresh.
    fn is_full(&self, now: Duration) -> bool {
        self.counters.len() >= MAX_KEYS || !self.rest.is_idle(self.period, now)
    }

    /// The counter of a key; none when it has no calls yet.
    fn counter(&self, key: &str, now: Duration) -> Option<&Counter> {
        self.counters.get(key).or_else(|| self.is_full(now).then_some(&self.rest))
    }

    /// The counter that a call of this key goes to.
    fn counter_mut(&mut self, key: &str, now: Duration) -> &mut Counter {
        if !self.counters.contains_key(key) {
            if self.is_full(now) {
                return &mut self.rest;
            }
            self.counters.insert(key.to_owned(), Counter::default());
        }
        self.counters.get_mut(key).unwrap_or(&mut self.rest)
    }

    fn sweep(&mut self, now: Duration) {
        self.counters.retain(|_, counter| !counter.is_idle(self.period, now));
        self.swept = now;
    }

    fn is_idle(&self, now: Duration) -> bool {
        self.counters.is_empty() && self.rest.is_idle(self.period, now)
    }
}

/// The calls of one key.
#[derive(Debug, Default)]
struct Counter {
    recent: Recent,
    /// Shared with the permits, which count down without the lock. It is counted up only under the lock, so room that was seen
    /// there stays there.
    running: Arc<AtomicU32>,
}

impl Counter {
    /// How long until there is room for one more call; none when there is.
    fn wait(&self, rule: &Rule, now: Duration) -> Option<Duration> {
        match rule.most {
            Most::Calls { calls, .. } => self.recent.wait(calls, rule.period(), now),
            Most::AtOnce(most) => (self.running.load(Ordering::Acquire) >= most).then_some(RETRY_AT_ONCE),
        }
    }

    fn is_idle(&self, period: Duration, now: Duration) -> bool {
        self.recent.live(period, now).next().is_none() && self.running.load(Ordering::Acquire) == 0
    }
}

/// The calls within the last period, oldest first.
#[derive(Debug, Default)]
struct Recent(VecDeque<Run>);

/// Calls that were made shortly after another.
#[derive(Debug)]
struct Run {
    first: Duration,
    last: Duration,
    calls: u32,
}

impl Recent {
    fn live(&self, period: Duration, now: Duration) -> impl Iterator<Item = &Run> {
        self.0.iter().skip_while(move |run| now >= run.last + period)
    }

    fn wait(&self, calls: u32, period: Duration, now: Duration) -> Option<Duration> {
        let made = self.live(period, now).fold(0, |sum: u32, run| sum.saturating_add(run.calls));
        let oldest = self.live(period, now).next()?;
        (made >= calls).then(|| (oldest.last + period).saturating_sub(now))
    }

    fn add(&mut self, period: Duration, now: Duration) {
        while self.0.front().is_some_and(|run| now >= run.last + period) {
            self.0.pop_front();
        }
        match self.0.back_mut() {
            Some(run) if now < run.first + period / PARTS => {
                run.last = now;
                run.calls = run.calls.saturating_add(1);
            }
            _ => self.0.push_back(Run { first: now, last: now, calls: 1 }),
        }
    }
}
