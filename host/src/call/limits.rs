//! How many calls: the limits of `policy.rate_limits`, and the counts that calls are checked against.
//!
//! [`Limits`] are the rules of one rig.yaml. A [`Limiter`] holds the counts for as long as the process lives, so that reloading
//! rig.yaml gives nobody a fresh allowance: counts belong to a rule as it is written and go on while it stays the same.
//!
//! A rate is a promise about every stretch of time: however calls are spread, no stretch as long as the rule's time holds more than
//! the rule's number. A bucket that refills would let almost twice as many through when a rest is followed by a burst. Nothing here
//! waits or queues: a call enters or is refused with the time after which to come back. Who calls is taken as given.

mod counts;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use rig_specs::{
    Sha256,
    config::{Each, Per, RateLimit},
};

use super::policy::matches;
use counts::Counts;

/// When to come back after too many calls at once. Nobody knows when one of them ends; most do within this.
const RETRY_AT_ONCE: Duration = Duration::from_secs(1);

/// Names of tenants come from callers: a longer one is counted under its digest, so that a count has a bounded size.
const MAX_TENANT: usize = 64;

/// The rules of `policy.rate_limits`, ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    rules: Vec<Rule>,
}

impl Limits {
    /// From `policy.rate_limits` in rig.yaml, which has been checked.
    #[must_use]
    pub fn new(config: &BTreeMap<String, RateLimit>) -> Self {
        let mut rules = Vec::new();
        for (pattern, limit) in config {
            let each: BTreeSet<Each> = limit.each.iter().copied().collect();
            // Rate and concurrency are counted apart, so that changing one keeps the counts of the other.
            if let Some(calls) = limit.calls {
                rules.push(Rule::new(pattern, &each, Most::Calls { calls, per: limit.per }));
            }
            if let Some(most) = limit.concurrent {
                rules.push(Rule::new(pattern, &each, Most::AtOnce(most)));
            }
        }
        Self { rules }
    }
}

/// What a rule bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Most {
    Calls { calls: u32, per: Per },
    AtOnce(u32),
}

/// One bound on the tools that match a pattern.
#[derive(Debug, Clone)]
struct Rule {
    pattern: String,
    each: BTreeSet<Each>,
    most: Most,
    /// What the counts are kept under: equal for rules that count the same.
    id: Arc<str>,
}

impl Rule {
    fn new(pattern: &str, each: &BTreeSet<Each>, most: Most) -> Self {
        let id = match most {
            Most::Calls { calls, per } => format!("{pattern} {calls} {} {each:?}", word(per)),
            // Without the number: what runs goes on running when the number changes.
            Most::AtOnce(_) => format!("{pattern} at once {each:?}"),
        };
        Self { pattern: pattern.to_owned(), each: each.clone(), most, id: id.into() }
    }

    /// How long a call is counted after it was made.
    fn period(&self) -> Duration {
        match self.most {
            Most::Calls { per, .. } => period(per),
            Most::AtOnce(_) => Duration::ZERO,
        }
    }

    /// What this rule counts separately, of one call.
    fn key<'a>(&self, tool: &'a str, pack: &'a str, tenant: &'a str) -> Cow<'a, str> {
        let part = |each: &Each| match each {
            Each::Tool => Cow::Borrowed(tool),
            Each::Pack => Cow::Borrowed(pack),
            Each::Tenant if tenant.len() > MAX_TENANT => Cow::Owned(Sha256::of(tenant.as_bytes()).to_string()),
            Each::Tenant => Cow::Borrowed(tenant),
        };
        let mut parts = self.each.iter().map(part);
        let first = parts.next().unwrap_or_default();
        // The tenant, the only part that may hold anything, is the last: the set is sorted.
        parts.fold(first, |key, part| Cow::Owned(format!("{key}\n{part}")))
    }
}

/// The rule as its author would say it.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |number: u32| if number == 1 { "" } else { "s" };
        write!(f, "`policy.rate_limits` in rig.yaml allows ")?;
        match self.most {
            Most::Calls { calls, per } => {
                write!(f, "{calls} call{} of `{}` per {}", plural(calls), self.pattern, word(per))?;
            }
            Most::AtOnce(most) => write!(f, "{most} call{} of `{}` at once", plural(most), self.pattern)?,
        }
        for (position, each) in self.each.iter().enumerate() {
            let each = match each {
                Each::Tool => "tool",
                Each::Pack => "pack",
                Each::Tenant => "tenant",
            };
            write!(f, "{}{each}", if position == 0 { " for each " } else { " and " })?;
        }
        Ok(())
    }
}

const fn period(per: Per) -> Duration {
    Duration::from_secs(match per {
        Per::Second => 1,
        Per::Minute => 60,
        Per::Hour => 3_600,
        Per::Day => 86_400,
    })
}

const fn word(per: Per) -> &'static str {
    match per {
        Per::Second => "second",
        Per::Minute => "minute",
        Per::Hour => "hour",
        Per::Day => "day",
    }
}

/// Why a call may not run now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("too many calls: {why}")]
pub struct Limited {
    /// The rule, with its numbers.
    pub why: String,
    /// When there is room again if nobody else calls; for a limit on calls at once, when it is worth asking.
    pub retry_after: Duration,
}

impl Limited {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        let millis = self.retry_after.as_micros().div_ceil(1_000);
        let wait = if millis < 1_000 { format!("{millis} ms") } else { format!("{} s", millis.div_ceil(1_000)) };
        format!("call again in {wait}")
    }
}

/// A call that was let in. Dropping it makes room for the next where calls at once are limited.
#[derive(Debug, Default)]
#[must_use = "the call no longer counts as running once this is dropped"]
pub struct Permit {
    running: Vec<Arc<AtomicU32>>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        for running in &self.running {
            running.fetch_sub(1, Ordering::Release);
        }
    }
}

/// The counts of one process, shared by everything that makes calls in it.
#[derive(Debug)]
pub struct Limiter {
    started: Instant,
    counts: Mutex<Counts>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Limiter {
    /// One that has seen no calls.
    #[must_use]
    pub fn new() -> Self {
        Self { started: Instant::now(), counts: Mutex::default() }
    }

    /// Lets a call in when every rule that matches its tool has room, and counts it; else counts nothing. Where no rule matches,
    /// this neither locks nor allocates.
    ///
    /// # Errors
    /// The rule that takes longest to have room again.
    pub fn enter(&self, limits: &Limits, tool: &str, pack: &str, tenant: &str) -> Result<Permit, Limited> {
        let matching = limits.rules.iter().filter(|rule| matches(&rule.pattern, tool));
        let counted: Vec<_> = matching.map(|rule| (rule, rule.key(tool, pack, tenant))).collect();
        if counted.is_empty() {
            return Ok(Permit::default());
        }
        // A thread that panicked under the lock left counts that are at most one call too high.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that the counts see time go forward.
        let now = self.started.elapsed();
        counts.enter(&counted, now)
    }
}
