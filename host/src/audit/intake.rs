//! The intake: rows that are committed in this process's journal and wait to be moved into the chain. The way that calls of a gateway
//! take; processes that write a row or two go to the chain at once ([`super::queue`]).
//!
//! It is open only while rows can reach the chain. When the log cannot be written, or too many wait, rows take the other way, where
//! whoever calls is told.

use std::{
    collections::VecDeque,
    fs::File,
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
    journal::{Journal, Place},
    log,
};

/// Rows that may wait: a second of a busy gateway, about 10 MB.
const MAX_WAITING: usize = 20_000;
/// Bytes after which a new journal is begun, so that none grows for ever.
const MAX_JOURNAL: u64 = 32 << 20;

/// A row on its way into the chain, and the place in the journal that it ends at.
pub(super) type Waiting = (Place, Box<Stored>);

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
    waiting: VecDeque<Waiting>,
    /// How much of the journal this process knows to be in the chain.
    moved: Place,
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
    file: Arc<File>,
    rows: u64,
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

    /// Commits a row to the journal, with the time; gives it back when that is not possible now.
    pub(super) fn offer(&self, mut row: Box<Stored>) -> Result<Taken, Box<Stored>> {
        let mut state = lock(&self.state);
        if state.waiting.len() >= MAX_WAITING {
            return Err(row);
        }
        let Some(journal) = &mut state.journal else { return Err(row) };
        // The time is taken where the order is made, so that both agree.
        row.at = Timestamp::now().as_microsecond();
        if let Err(error) = journal.append(&row) {
            tracing::warn!(%error, "the journal of the audit log cannot be written");
            self.close();
            return Err(row);
        }
        let end = journal.end();
        let taken = Taken { id: Arc::clone(&journal.id), file: journal.file(), rows: end.rows };
        state.waiting.push_back((end, row));
        Ok(taken)
    }

    pub(super) fn waiting(&self) -> usize {
        lock(&self.state).waiting.len()
    }

    /// Takes rows out, oldest first, with the id of their journal. Only who has the writer does that.
    pub(super) fn take(&self, most: usize) -> Option<(Arc<str>, Vec<Waiting>)> {
        let mut state = lock(&self.state);
        let id = Arc::clone(&state.journal.as_ref()?.id);
        let count = state.waiting.len().min(most);
        let rows: Vec<Waiting> = state.waiting.drain(..count).collect();
        (!rows.is_empty()).then_some((id, rows))
    }

    /// Puts rows back that did not get into the chain.
    pub(super) fn give_back(&self, rows: Vec<Waiting>) {
        let mut state = lock(&self.state);
        for row in rows.into_iter().rev() {
            state.waiting.push_front(row);
        }
    }

    /// Notes how much of the journal is in the chain.
    pub(super) fn moved(&self, place: Place) {
        lock(&self.state).moved = place;
    }

    /// The journal that is in use and how much of it is in the chain.
    pub(super) fn begun(&self) -> Option<(Arc<str>, Place)> {
        let state = lock(&self.state);
        Some((Arc::clone(&state.journal.as_ref()?.id), state.moved))
    }

    /// Whether there is a journal, at its path, and not too long.
    pub(super) fn is_fit(&self) -> bool {
        let state = lock(&self.state);
        state.journal.as_ref().is_some_and(|journal| journal.end().bytes <= MAX_JOURNAL && journal.is_current())
    }

    /// Puts another journal in the place of the present one, if nothing waits. `ready` makes it known to the log, while nobody writes
    /// to either. Answers the old one, which has no row any more that is not in the chain.
    pub(super) fn replace<E>(
        &self,
        journal: Option<Journal>,
        ready: impl FnOnce(Option<&Journal>, Option<&Journal>) -> Result<(), E>,
    ) -> Result<Option<Journal>, E> {
        let mut state = lock(&self.state);
        if !state.waiting.is_empty() {
            return Ok(journal);
        }
        ready(state.journal.as_ref(), journal.as_ref())?;
        self.open.store(journal.is_some(), Ordering::Release);
        state.moved = Place::START;
        Ok(std::mem::replace(&mut state.journal, journal))
    }

    /// What a kill leaves: the file, and nobody who has it open.
    #[cfg(test)]
    pub(super) fn abandon(&self) {
        let mut state = lock(&self.state);
        self.wanted.store(false, Ordering::Relaxed);
        self.close();
        (state.journal, state.waiting) = (None, VecDeque::new());
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
            let end = lock(&self.state).journal.as_ref().filter(|journal| journal.id == taken.id).map(Journal::end);
            taken.file.sync_data().map_err(failed)?;
            synced.rows = end.map_or(taken.rows, |end| end.rows);
        }
        Ok(())
    }
}
