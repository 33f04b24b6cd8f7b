//! Staying awake for a moment: a client that sends one call after the other gets its next answer sooner when the process has not gone
//! to sleep meanwhile. Waking costs as much as a call does; looking in vain costs a tenth of a millisecond, once an answer.

use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long after a message the process looks for the next. Programs answer within that; people and models do not.
const AWAKE: Duration = Duration::from_micros(100);

/// When the last message went through.
#[derive(Debug, Clone)]
pub(super) struct Alert {
    since: Instant,
    /// Nanoseconds after `since`, and one; 0 is never.
    last: Arc<AtomicU64>,
    /// On a single core, who looks keeps the client from running.
    wanted: bool,
}

impl Alert {
    pub(super) fn new() -> Self {
        let wanted = thread::available_parallelism().is_ok_and(|cores| cores > NonZero::<usize>::MIN);
        Self { since: Instant::now(), last: Arc::default(), wanted }
    }

    /// A message came or went.
    pub(super) fn beat(&self) {
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX - 1);
        self.last.store(nanos + 1, Ordering::Relaxed);
    }

    /// Whether the last message is so recent that the next may be about to come.
    pub(super) fn is_on(&self) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        self.wanted && last > 0 && self.since.elapsed() < Duration::from_nanos(last) + AWAKE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_by_itself() {
        let alert = Alert { wanted: true, ..Alert::new() };
        assert!(!alert.is_on(), "nothing came yet");
        // A busy machine may take longer than the moment lasts.
        assert!((0..1000).any(|_| {
            alert.beat();
            alert.is_on()
        }));
        thread::sleep(AWAKE);
        assert!(!alert.is_on());
        let alone = Alert { wanted: false, ..Alert::new() };
        alone.beat();
        assert!(!alone.is_on());
    }
}
