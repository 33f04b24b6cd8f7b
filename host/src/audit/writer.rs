//! Writes batches: opens the file when it is needed, keeps rows that cannot be written until they can be, moves the anchor on.
//! Blocking. Who calls it, and on which thread, is decided in [`super::queue`].

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    AuditError, Settings,
    anchor::{self, Anchor},
    chain::Stored,
    intake::{Intake, Waiting},
    journal::{End, Journal},
    log::{self, Appended, Log},
};

/// Rows that are kept in memory while the file cannot be written: some seconds of a busy gateway, about 10 MB.
pub(super) const MAX_BACKLOG: usize = 10_000;
/// How long after a failure nobody tries again: a full disk must not cost every call an attempt.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// How long the file is taken to be still at its path. What is written in between is in the file that was moved away.
const LOOK_AFTER: Duration = Duration::from_millis(10);
/// Rows of the backlog or the journal in one transaction, so that other processes get their turn.
const BACKLOG_BATCH: usize = 1000;
const JOURNAL_BATCH: u64 = 1000;

/// What is known about the log without asking for the writer.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// Pages in the write-ahead log at the last commit.
    pub(super) wal_pages: Arc<AtomicU64>,
    /// The number of the last row that this process wrote.
    pub(super) head: AtomicU64,
    /// Whether rows wait in the backlog.
    pub(super) waits: AtomicBool,
    /// The last row that is known to be on the disk.
    synced: Mutex<u64>,
    /// Why rows cannot be written.
    problem: Mutex<Option<AuditError>>,
}

impl Status {
    pub(super) fn problem(&self) -> Option<AuditError> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts every row on the disk that is committed by now. Whoever comes while another syncs finds its own row synced as well.
    pub(super) fn sync(&self, path: &Path, row: u64) -> Result<(), AuditError> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced < row {
            let head = self.head.load(Ordering::Acquire);
            log::sync(path).map_err(|error| AuditError::write(path, error))?;
            *synced = head;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn synced(&self) -> u64 {
        *self.synced.lock().unwrap()
    }

    fn set(&self, problem: Option<AuditError>) {
        let mut present = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*present, &problem) {
            (None, Some(error)) => tracing::error!(%error, "the audit log cannot be written"),
            (Some(_), None) => tracing::info!("the audit log can be written again"),
            _ => {}
        }
        *present = problem;
    }
}

/// One row of a batch.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) row: Stored,
    /// Whether the row is kept for later when it cannot be written now.
    pub(super) keep: bool,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Attempt {
    /// Every row is committed.
    Committed,
    /// Another process or thread holds the file and there was no time to wait. Nothing happened.
    Busy,
    /// Nothing of the batch is committed. The rows that could be kept are in the backlog.
    Failed(AuditError),
}

/// The open file and the rows that wait for it.
#[derive(Debug)]
pub(super) struct Writer {
    settings: Arc<Settings>,
    status: Arc<Status>,
    intake: Arc<Intake>,
    log: Option<Log>,
    anchor: Option<Anchor>,
    backlog: VecDeque<Stored>,
    /// Rows that were neither written nor kept since the file could last be written.
    lost: u64,
    failing: bool,
    /// When the last attempt failed.
    failed_at: Option<Instant>,
    patience: Duration,
    /// When the file was last seen at its path.
    looked_at: Instant,
    /// When no journal could be made.
    no_journal_at: Option<Instant>,
}

impl Writer {
    pub(super) fn new(settings: Arc<Settings>, status: Arc<Status>, intake: Arc<Intake>) -> Self {
        Self {
            settings,
            status,
            intake,
            log: None,
            anchor: None,
            backlog: VecDeque::new(),
            lost: 0,
            failing: false,
            failed_at: None,
            patience: log::PATIENCE,
            looked_at: Instant::now(),
            no_journal_at: None,
        }
    }

    /// Whether a batch is a matter of microseconds: the file is open, and nothing waits from before.
    pub(super) fn is_ready(&self) -> bool {
        let has_journal = !self.intake.is_wanted() || self.intake.is_open();
        self.log.is_some() && self.backlog.is_empty() && has_journal && self.intake.waiting() == 0
    }

    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Writes what waits from before, then the batch. `patience` is how long another process may hold the file.
    ///
    /// The rows of a failed batch that are to be kept are moved to the backlog: they are in the chain, in this order, once the file
    /// can be written. `batch` is left empty unless the answer is `Busy`.
    pub(super) fn commit(&mut self, batch: &mut Vec<Entry>, patience: Duration) -> Attempt {
        let tried = match self.failed_at {
            Some(at) if at.elapsed() < RETRY_AFTER => match self.status.problem() {
                Some(problem) => Err(Refusal::Failed(problem)),
                None => self.write(batch, patience),
            },
            _ => self.write(batch, patience),
        };
        match tried {
            Ok(()) => {
                batch.clear();
                Attempt::Committed
            }
            Err(Refusal::Busy) => Attempt::Busy,
            Err(Refusal::Failed(error)) => {
                for entry in batch.drain(..).filter(|entry| entry.keep) {
                    if self.backlog.len() < MAX_BACKLOG {
                        self.backlog.push_back(entry.row);
                    } else {
                        self.lost += 1;
                    }
                }
                self.failing = true;
                self.intake.close();
                self.status.waits.store(self.has_backlog(), Ordering::Relaxed);
                let error = error.with_lost(self.lost);
                self.status.set(Some(error.clone()));
                Attempt::Failed(error)
            }
        }
    }

    /// Writes what waits from before, and what is in the journal; how many rows those were.
    pub(super) fn flush(&mut self) -> u64 {
        let count = self.backlog.len() as u64 + self.intake.waiting();
        if count > 0 {
            self.failed_at = None;
            self.commit(&mut Vec::new(), log::PATIENCE);
        }
        count
    }

    fn write(&mut self, batch: &mut [Entry], patience: Duration) -> Result<(), Refusal> {
        self.open()?;
        self.set_patience(patience)?;
        self.take_in()?;
        while !self.backlog.is_empty() {
            let count = self.backlog.len().min(BACKLOG_BATCH);
            let rows = &mut self.backlog.make_contiguous()[..count];
            let appended = append(self.log.as_mut(), rows).map_err(|error| self.failed(&error))?;
            self.backlog.drain(..count);
            self.moved_on(appended);
        }
        if !batch.is_empty() {
            let rows = batch.iter_mut().map(|entry| &mut entry.row);
            let appended = append(self.log.as_mut(), rows).map_err(|error| self.failed(&error))?;
            self.moved_on(appended);
        }
        if std::mem::take(&mut self.failing) {
            self.failed_at = None;
            self.status.set(None);
            self.status.waits.store(false, Ordering::Relaxed);
            self.lost = 0;
        }
        self.keep_journal();
        Ok(())
    }

    /// Moves what is in the journal into the chain.
    fn take_in(&mut self) -> Result<(), Refusal> {
        // What comes meanwhile is for the next time.
        let Some(first) = self.intake.rest() else { return Ok(()) };
        while let Some(Waiting { left, moved, .. }) = self.intake.rest().filter(|now| now.moved.rows < first.end.rows) {
            let log = self.log.as_mut().ok_or(rusqlite::Error::InvalidQuery);
            match log.and_then(|log| log.append_rest(&left, first.end.rows, JOURNAL_BATCH, false)) {
                Ok(Some((appended, place, end))) => {
                    let known = self.intake.moved(place);
                    self.moved_on(appended);
                    if end == End::Torn || !known {
                        let path = left.path.display();
                        tracing::error!(%path, "somebody changed the journal of the audit log: rows in it are lost");
                        self.intake.give_up();
                    }
                }
                // Somebody made the log forget the journal.
                Ok(None) => {
                    let log = self.log.as_mut().ok_or(rusqlite::Error::InvalidQuery);
                    let known = log.and_then(|log| log.know_journal(left.id(), moved));
                    known.map_err(|error| self.failed(&error))?;
                }
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Ok(())
    }

    /// Sees to it that there is a journal where one is wanted: a first one, or another when somebody removed or changed it.
    fn keep_journal(&mut self) {
        if !self.intake.is_wanted() || self.no_journal_at.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return;
        }
        if self.intake.is_fit() {
            return self.intake.open();
        }
        let path = &self.settings.path;
        let begun = anchor::key(&self.settings.anchors)
            .and_then(|key| Journal::create(path, key))
            .map_err(|error| error.to_string())
            .and_then(|journal| self.replace_journal(Some(journal)).map_err(|error| error.to_string()));
        self.no_journal_at = begun.as_ref().err().map(|_| Instant::now());
        if let Err(error) = begun {
            tracing::warn!(%error, "the audit log has no journal: each row waits for SQLite");
        }
    }

    fn replace_journal(&mut self, journal: Option<Journal>) -> Result<(), rusqlite::Error> {
        let log = self.log.as_mut().ok_or(rusqlite::Error::InvalidQuery)?;
        let replaced = self.intake.replace(journal, |old, new| log.change_journal(old, new))?;
        if let Some(old) = replaced {
            // What it promised to keep through a loss of power, the log must keep before it goes.
            if let Err(error) = log::sync(&self.settings.path) {
                tracing::warn!(%error, "the audit log cannot be put on the disk");
            }
            old.remove();
        }
        Ok(())
    }

    /// The journal has done its duty, if all of it is in the chain.
    pub(super) fn end_journal(&mut self) {
        if self.intake.has_journal()
            && self.log.is_some()
            && let Err(error) = self.replace_journal(None)
        {
            tracing::warn!(%error, "the journal of the audit log stays");
        }
    }

    fn open(&mut self) -> Result<(), Refusal> {
        if self.looked_at.elapsed() >= LOOK_AFTER {
            self.looked_at = Instant::now();
            if self.log.as_ref().is_some_and(|log| !log.is_current()) {
                // Moved away or replaced: what is at the path now is the log.
                (self.log, self.anchor) = (None, None);
            }
        }
        if self.log.is_some() {
            return Ok(());
        }
        let path = self.settings.path.clone();
        match Log::open(&path, &self.status.wal_pages) {
            Ok(mut log) => {
                // It may be another file than before, which does not know the journal.
                let known = self.intake.begun().map_or(Ok(()), |(id, place)| log.know_journal(&id, place));
                known.map_err(|error| self.failed(&error))?;
                self.log = Some(log);
            }
            Err(error) => {
                self.failed_at = Some(Instant::now());
                return Err(Refusal::Failed(error));
            }
        }
        // It may be another file than before.
        *self.status.synced.lock().unwrap_or_else(PoisonError::into_inner) = 0;
        self.patience = log::PATIENCE;
        self.anchor = match Anchor::open(&self.settings.anchors, &path) {
            Ok(anchor) => Some(anchor),
            Err(error) => {
                // The log itself is whole without it; verifying says that there is none.
                let folder = self.settings.anchors.display();
                tracing::warn!(%error, %folder, "the end of the audit log cannot be noted outside the project");
                None
            }
        };
        Ok(())
    }

    fn set_patience(&mut self, patience: Duration) -> Result<(), Refusal> {
        if patience != self.patience {
            if let Some(log) = &self.log {
                log.wait(patience).map_err(|error| self.failed(&error))?;
            }
            self.patience = patience;
        }
        Ok(())
    }

    fn moved_on(&mut self, Appended { before, head }: Appended) {
        self.status.head.store(head.seq, Ordering::Release);
        let (Some(anchor), Some(log)) = (&mut self.anchor, &self.log) else { return };
        if let Err(error) = anchor.advance(before, head, |seq| log.hash_of(seq).ok().flatten()) {
            tracing::warn!(%error, "the end of the audit log cannot be noted outside the project");
        }
    }

    fn failed(&mut self, error: &rusqlite::Error) -> Refusal {
        if log::is_busy(error) && self.patience.is_zero() {
            return Refusal::Busy;
        }
        self.failed_at = Some(Instant::now());
        // A connection that failed may be half broken. Opening is cheap next to a failure.
        (self.log, self.anchor) = (None, None);
        Refusal::Failed(AuditError::from_sqlite(&self.settings.path, error))
    }

    /// Lets the write-ahead log begin anew, so that it stops growing: moves what is left of it into the file, on another connection,
    /// and makes the first write, which waits for the disk. Nobody else in this process writes meanwhile.
    #[allow(clippy::unused_self, reason = "holding the writer is what keeps others from writing")]
    pub(super) fn restart_wal(&mut self, other: &mut Log) -> rusqlite::Result<()> {
        checkpoint(other)?;
        other.transaction(|connection, _| connection.execute("UPDATE origin SET only = 1 WHERE only = 1", []).map(drop))
    }

    #[cfg(test)]
    pub(super) fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    #[cfg(test)]
    pub(super) fn backlog(&self) -> usize {
        self.backlog.len()
    }
}

enum Refusal {
    Busy,
    Failed(AuditError),
}

fn append<'a>(log: Option<&mut Log>, rows: impl IntoIterator<Item = &'a mut Stored>) -> rusqlite::Result<Appended> {
    log.ok_or(rusqlite::Error::InvalidQuery)?.append(rows)
}

/// Moves what is committed from the write-ahead log into the file, without making anybody wait.
pub(super) fn checkpoint(log: &Log) -> rusqlite::Result<()> {
    log.connection().query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
