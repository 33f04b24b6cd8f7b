//! The intake: rows that are committed in this process's journal and wait to be moved into the chain. The way that calls of a gateway
//! take; processes that write a row or two go to the chain at once ([`super::queue`]).
//!
//! It is open only while rows can reach the chain. When the log cannot be written, or no room is left in the journal, rows take the
//! other way, where whoever calls is told.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;

use super::{
    AuditError,
    chain::Stored,
    journal::{Encoded, Journal, Left, Place, Refused},
    log,
};

#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Whether this process lives long enough for a journal.
    wanted: AtomicBool,
    open: AtomicBool,
    state: Mutex<State>,
    synced: Mutex<Synced>,
}

#[derive(Debug, Default)]
struct State {
    journal: Option<Journal>,
    /// How much of the journal this process knows to be in the chain: what is before it may be written over.
    moved: Place,
    /// Somebody changed the journal under our hands: what it holds cannot be moved.
    broken: bool,
}

/// What is known to be on the disk.
#[derive(Debug, Default)]
struct Synced {
    /// The journal that it is about.
    id: Option<Arc<str>>,
    rows: u64,
}

/// A row in the journal that can be put on the disk.
#[derive(Debug)]
pub(super) struct Taken {
    id: Arc<str>,
    rows: u64,
}

/// Rows that wait in the journal.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) left: Left,
    /// The place after the last of them.
    pub(super) end: Place,
    /// How much is known to be in the chain.
    pub(super) moved: Place,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Intake {
    /// Asks for a journal from the next commit on.
    pub(super) fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Whether rows may be offered.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Lets rows in again, when there is a journal.
    pub(super) fn open(&self) {
        self.open.store(self.has_journal(), Ordering::Release);
    }

    pub(super) fn has_journal(&self) -> bool {
        lock(&self.state).journal.is_some()
    }

    /// Sends rows the other way, until the next commit succeeds.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// Commits a row to the journal, with the time; none when that is not possible now.
    pub(super) fn offer(&self, row: &Stored) -> Option<Taken> {
        let mut row = Encoded::new(row);
        let state = &mut *lock(&self.state);
        let journal = state.journal.as_mut()?;
        // The time is taken where the order is made, so that both agree.
        match journal.append(&mut row, Timestamp::now().as_microsecond(), state.moved) {
            Ok(()) => Some(Taken { id: Arc::clone(journal.id()), rows: journal.end().rows }),
            Err(Refused::Full) => None,
            Err(Refused::Failed(error)) => {
                tracing::warn!(%error, "the journal of the audit log cannot be written");
                self.close();
                None
            }
        }
    }

    /// How many rows wait.
    pub(super) fn waiting(&self) -> u64 {
        let state = lock(&self.state);
        state.journal.as_ref().filter(|_| !state.broken).map_or(0, |journal| journal.end().rows - state.moved.rows)
    }

    /// What waits, if anything does. Only who has the writer moves it.
    pub(super) fn rest(&self) -> Option<Waiting> {
        let state = lock(&self.state);
        let journal = state.journal.as_ref().filter(|_| !state.broken)?;
        let (end, moved) = (journal.end(), state.moved);
        (end != moved).then(|| Waiting { left: journal.left(), end, moved })
    }

    /// Notes how much of the journal is in the chain, as the log says. Answers false when that cannot be: it is more than was written,
    /// or less than before.
    pub(super) fn moved(&self, place: Place) -> bool {
        let mut state = lock(&self.state);
        let Some(end) = state.journal.as_ref().map(Journal::end) else { return false };
        let before = state.moved;
        let within = |from: u64, at: u64, to: u64| from <= at && at <= to;
        let can_be = within(before.rows, place.rows, end.rows) && within(before.bytes, place.bytes, end.bytes);
        if can_be {
            state.moved = place;
        }
        can_be
    }

    /// Gives the journal up: it is not what this process wrote any more.
    pub(super) fn give_up(&self) {
        self.close();
        lock(&self.state).broken = true;
    }

    /// The journal that is in use and how much of it is in the chain.
    pub(super) fn begun(&self) -> Option<(Arc<str>, Place)> {
        let state = lock(&self.state);
        Some((Arc::clone(state.journal.as_ref()?.id()), state.moved))
    }

    /// Whether there is a journal, at its path, as this process wrote it.
    pub(super) fn is_fit(&self) -> bool {
        let state = lock(&self.state);
        let journal = state.journal.as_ref().filter(|_| !state.broken);
        journal.is_some_and(Journal::is_current)
    }

    /// Puts another journal in the place of the present one, if nothing waits. `ready` makes it known to the log, while nobody writes
    /// to either. Answers the old one, which has no row any more that is not in the chain; one that was given up stays where it is, for
    /// others to look at.
    pub(super) fn replace<E>(
        &self,
        journal: Option<Journal>,
        ready: impl FnOnce(Option<&Journal>, Option<&Journal>) -> Result<(), E>,
    ) -> Result<Option<Journal>, E> {
        let mut state = lock(&self.state);
        let broken = state.broken;
        if !broken && state.journal.as_ref().is_some_and(|journal| journal.end() != state.moved) {
            return Ok(journal);
        }
        ready(state.journal.as_ref().filter(|_| !broken), journal.as_ref())?;
        self.open.store(journal.is_some(), Ordering::Release);
        (state.moved, state.broken) = (Place::default(), false);
        Ok(std::mem::replace(&mut state.journal, journal).filter(|_| !broken))
    }

    /// What a kill leaves: the file, and nobody who has it open.
    #[cfg(test)]
    pub(super) fn abandon(&self) {
        let mut state = lock(&self.state);
        self.wanted.store(false, Ordering::Relaxed);
        self.close();
        state.journal = None;
    }

    /// Puts a row on the disk, with all before it. Whoever comes while another does that finds its own row there as well.
    pub(super) fn sync(&self, log: &Path, taken: &Taken) -> Result<(), AuditError> {
        let failed = |error| AuditError::write(log, error);
        let mut synced = lock(&self.synced);
        if synced.id.as_ref() != Some(&taken.id) {
            // The first of this journal: that the log knows the journal must be on the disk as well, and its name in the folder.
            log::sync(log).map_err(failed)?;
            *synced = Synced { id: Some(Arc::clone(&taken.id)), rows: 0 };
        }
        if synced.rows < taken.rows {
            let present = {
                let state = lock(&self.state);
                let journal = state.journal.as_ref().filter(|journal| *journal.id() == taken.id);
                journal.map(|journal| (journal.left(), journal.end().rows))
            };
            match present {
                Some((journal, rows)) => {
                    journal.sync().map_err(failed)?;
                    synced.rows = rows;
                }
                // Another journal took its place, after all of it was in the chain.
                None => log::sync(log).map_err(failed)?,
            }
        }
        Ok(())
    }
}
