//! What ends a guest from outside: its deadline and the caller's cancel. The deadline is put off while a person is asked, because
//! the time that people take is not the tool's.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What ended a guest from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Interrupted {
    #[error("the deadline passed")]
    Deadline,
    #[error("the call was cancelled")]
    Cancelled,
}

/// The deadline and the cancel of one call.
#[derive(Debug)]
pub(super) struct Watch {
    cancel: CancellationToken,
    deadline: Mutex<Instant>,
    /// Wakes the timer when the deadline has moved.
    moved: Notify,
}

impl Watch {
    pub(super) fn new(cancel: CancellationToken, deadline: Instant) -> Arc<Self> {
        Arc::new(Self { cancel, deadline: Mutex::new(deadline), moved: Notify::new() })
    }

    /// When the call is stopped, as things stand.
    pub(super) fn deadline(&self) -> Instant {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the guest must stop now, if it must.
    pub(super) fn interrupted(&self) -> Option<Interrupted> {
        if self.cancel.is_cancelled() {
            Some(Interrupted::Cancelled)
        } else if Instant::now() >= self.deadline() {
            Some(Interrupted::Deadline)
        } else {
            None
        }
    }

    /// Waits until the guest must stop.
    pub(super) async fn interrupt(&self) -> Interrupted {
        loop {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Interrupted::Cancelled,
                () = self.moved.notified() => {}
                () = tokio::time::sleep_until(self.deadline().into()) => {
                    if Instant::now() >= self.deadline() {
                        return Interrupted::Deadline;
                    }
                }
            }
        }
    }

    /// Stops the clock until the pause is dropped, for as long as `most`.
    pub(super) fn pause(self: &Arc<Self>, most: Duration) -> Pause {
        self.change(|deadline| *deadline += most);
        Pause { watch: Arc::clone(self), since: Instant::now(), most }
    }

    fn change(&self, change: impl FnOnce(&mut Instant)) {
        change(&mut self.deadline.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.notify_one();
    }
}

/// A stopped clock.
#[must_use = "the clock runs on when this is dropped"]
#[derive(Debug)]
pub(super) struct Pause {
    watch: Arc<Watch>,
    since: Instant,
    most: Duration,
}

impl Drop for Pause {
    fn drop(&mut self) {
        let unused = self.most.saturating_sub(self.since.elapsed());
        self.watch.change(|deadline| *deadline -= unused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(after: Duration) -> (Arc<Watch>, CancellationToken) {
        let cancel = CancellationToken::new();
        (Watch::new(cancel.clone(), Instant::now() + after), cancel)
    }

    const SHORT: Duration = Duration::from_millis(40);
    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_pause_puts_the_deadline_off_by_its_own_length() {
        let (watch, _) = watch(SHORT);
        let pause = watch.pause(LONG);
        let still_runs = tokio::time::timeout(SHORT * 3, watch.interrupt()).await;
        assert!(still_runs.is_err(), "the clock stands still: {still_runs:?}");
        drop(pause);
        // What was left of the time is there again, and no more: the timer does not sleep until the pause could have ended.
        assert_eq!(watch.interrupted(), None);
        let ended = tokio::time::timeout(LONG / 2, watch.interrupt()).await;
        assert_eq!(ended, Ok(Interrupted::Deadline));
    }

    #[tokio::test]
    async fn a_pause_has_an_end() {
        let (watch, _) = watch(SHORT);
        let _pause = watch.pause(SHORT);
        assert_eq!(tokio::time::timeout(LONG, watch.interrupt()).await, Ok(Interrupted::Deadline));
        assert_eq!(watch.interrupted(), Some(Interrupted::Deadline));
    }

    #[tokio::test]
    async fn a_cancel_ends_a_pause() {
        let (watch, cancel) = watch(LONG);
        let _pause = watch.pause(LONG);
        cancel.cancel();
        assert_eq!(watch.interrupt().await, Interrupted::Cancelled);
        assert_eq!(watch.interrupted(), Some(Interrupted::Cancelled));
    }
}
