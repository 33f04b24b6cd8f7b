//! What is done beside the answering of calls, on one thread that is started when there is something to do: checkpoints, summaries,
//! another try after a failure, retention. It ends with the last handle of the log, after what is due is done.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rustix::{process::setpriority_process, thread::gettid};

use super::{
    AuditError, left,
    log::Log,
    queue::{Lead, Shared},
    retention, summary, writer,
};

/// Pages (of 4 KiB) that the write-ahead log grows between two checkpoints: 8 MiB, which a disk writes in some milliseconds.
const CHECKPOINT: u64 = 2048;
/// Pages at which it is made to begin anew although callers wait for it: 64 MiB. Reading it after a crash takes about 0.1 s.
const RESTART: u64 = 16_384;
/// Pages after which the last handle shortens the write-ahead log: 1 MiB. The next process, if it is alone, reads it all before its
/// first row, in about 1 ms.
const LEFT_BEHIND: u64 = 256;
/// How long the last handle waits for others to let it do that.
const LAST_PATIENCE: Duration = Duration::from_millis(100);
/// Rows after which somebody looks whether a summary is due.
const LOOK: u64 = summary::ROWS / 4;
/// Summaries that are made before the other jobs have their turn.
const SUMMARIES: u32 = 8;
/// How often rows move from the journal into the chain: rarely enough that many share a transaction, and soon enough that nobody who
/// looks into the file misses them.
const TAKE_IN: Duration = Duration::from_millis(20);
/// How often that is done with nothing to move before the thread sleeps: waking it would cost a call more than its row does.
const PATIENT: u32 = 50;
/// How far the thread stands back (the usual 0, the most 19): on busy cores it still gets a tenth of one, and the journal, which holds
/// thousands of rows, sees to the rest.
const NICE: i32 = 10;
/// How often rows that could not be written are tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often old rows are removed.
const RETENTION: Duration = Duration::from_hours(1);

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    /// Write what waits for nobody.
    Lead,
    /// Move rows from the journal into the chain, until none come.
    TakeIn,
    /// Move rows that other processes left into the chain.
    TakeInLeft,
    /// Write what could not be written.
    Retry,
    /// Make the summaries that are due.
    Summarise,
    /// Shorten the write-ahead log.
    Checkpoint,
    /// Remove old rows, now and from now on.
    Retain,
}

/// The thread and what it is asked to do.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether the thread looks into the journal by itself.
    taking_in: AtomicBool,
    /// The size of the write-ahead log after the last checkpoint.
    checkpointed: AtomicU64,
    /// The last row at which somebody looked for summaries.
    looked: AtomicU64,
    /// The size of the write-ahead log as this process found it, in steps of [`LEFT_BEHIND`], and one: 0 is not known yet.
    found: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    thread: Option<JoinHandle<()>>,
    jobs: std::collections::BTreeSet<Job>,
    closed: bool,
}

impl Upkeep {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether there is something to do after a commit. Costs nothing worth counting when there is not.
    pub(super) fn look(&self, shared: &Arc<Shared>) {
        let pages = shared.status.wal_pages.load(Ordering::Relaxed);
        let before = self.checkpointed.load(Ordering::Relaxed);
        if pages < before {
            // It began anew.
            self.checkpointed.store(0, Ordering::Relaxed);
        } else if pages >= before + CHECKPOINT {
            self.checkpointed.store(pages, Ordering::Relaxed);
            self.ask(shared, Job::Checkpoint);
        }
        if self.found.load(Ordering::Relaxed) == 0 {
            // A first row changes two pages at most.
            self.found.store(pages.saturating_sub(2) / LEFT_BEHIND + 1, Ordering::Relaxed);
        }
        let head = shared.status.head.load(Ordering::Relaxed);
        if head / LOOK != self.looked.load(Ordering::Relaxed) / LOOK {
            // The first row of a process is no reason to look, but a process that writes one row must not never look.
            if self.looked.swap(head, Ordering::Relaxed) != 0 || head.is_multiple_of(LOOK) {
                self.ask(shared, Job::Summarise);
            }
        }
        if shared.status.waits.load(Ordering::Relaxed) {
            self.ask(shared, Job::Retry);
        }
    }

    /// Has rows of the journal moved soon.
    pub(super) fn take_in(&self, shared: &Arc<Shared>) {
        if !self.taking_in.load(Ordering::Acquire) && !self.taking_in.swap(true, Ordering::AcqRel) {
            self.ask(shared, Job::TakeIn);
        }
    }

    /// Has something done soon.
    pub(super) fn ask(&self, shared: &Arc<Shared>, job: Job) {
        let mut state = self.state();
        if !state.jobs.insert(job) {
            return;
        }
        if state.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            let shared = Arc::clone(shared);
            let thread = std::thread::Builder::new().name("rig-audit".into());
            match thread.spawn(move || run(&shared)) {
                Ok(thread) => state.thread = Some(thread),
                // The next who asks tries again.
                Err(error) => {
                    tracing::warn!(%error, "the audit log has no thread for its upkeep");
                    state.jobs.remove(&job);
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Ends the thread when it has done what is due.
    pub(super) fn close(&self, shared: &Shared) {
        let thread = {
            let mut state = self.state();
            state.closed = true;
            state.thread.take()
        };
        self.changed.notify_all();
        match thread {
            Some(thread) => drop(thread.join()),
            None => shared.finish(&mut None),
        }
    }
}

/// Lets those who answer calls go first: moving a batch takes milliseconds, which calls would otherwise wait for on a busy machine. Where
/// that is not possible it goes on as it is.
fn stand_back() {
    let _ = setpriority_process(Some(gettid()), NICE);
}

fn run(shared: &Arc<Shared>) {
    stand_back();
    let upkeep = &shared.upkeep;
    let mut log = None;
    let mut retain_at: Option<Instant> = None;
    let mut retry_at: Option<Instant> = None;
    let mut take_in_at: Option<Instant> = None;
    let mut idle = 0;
    loop {
        let (jobs, closed) = {
            let mut state = upkeep.state();
            loop {
                let next = [retain_at, retry_at, take_in_at].into_iter().flatten().min();
                let left = next.map(|at| at.saturating_duration_since(Instant::now()));
                if state.closed || !state.jobs.is_empty() || left.is_some_and(|left| left.is_zero()) {
                    break;
                }
                state = match left {
                    Some(left) => upkeep.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                    None => upkeep.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                };
            }
            (std::mem::take(&mut state.jobs), state.closed)
        };
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= Instant::now());
        if jobs.contains(&Job::Lead) {
            Lead::taken_over(shared).commit_all();
        }
        if jobs.contains(&Job::TakeIn) {
            (take_in_at, idle) = (Some(Instant::now() + TAKE_IN), 0);
        } else if is_due(take_in_at) {
            idle = if shared.writer().flush() == 0 { idle + 1 } else { 0 };
            upkeep.look(shared);
            take_in_at = Some(Instant::now() + TAKE_IN);
            if idle >= PATIENT {
                take_in_at = None;
                upkeep.taking_in.store(false, Ordering::Release);
                // A row that came just before that asked nobody.
                if shared.intake.waiting() > 0 {
                    upkeep.take_in(shared);
                }
            }
        }
        if jobs.contains(&Job::TakeInLeft)
            && let Err(error) = left::take_in(&shared.settings.path, &shared.settings.anchors)
        {
            tracing::warn!(%error, "rows that another process left are not in the audit log yet");
        }
        if jobs.contains(&Job::Retry) && retry_at.is_none() {
            retry_at = Some(Instant::now() + RETRY);
        } else if is_due(retry_at) {
            let mut writer = shared.writer();
            writer.flush();
            retry_at = writer.has_backlog().then(|| Instant::now() + RETRY);
        }
        // Before the summaries, which may not come to an end while callers write.
        if jobs.contains(&Job::Checkpoint) {
            shared.checkpoint(&mut log);
        }
        if jobs.contains(&Job::Summarise) {
            let mut made = 0;
            shared.with_log(&mut log, |log| {
                while (closed || made < SUMMARIES) && summary::make_next(log, || shared.writer())? {
                    made += 1;
                }
                Ok(())
            });
            if made == SUMMARIES {
                upkeep.ask(shared, Job::Summarise);
            }
        }
        if jobs.contains(&Job::Retain) || is_due(retain_at) {
            retain_at = Some(Instant::now() + RETENTION);
            if let Err(error) = shared.retain(Timestamp::now()) {
                tracing::warn!(%error, "old rows of the audit log cannot be removed");
            }
        }
        if closed {
            return shared.finish(&mut log);
        }
    }
}

impl Shared {
    /// Runs `work` on the upkeep's own connection. What fails is tried again when it is due the next time.
    fn with_log(&self, log: &mut Option<Log>, work: impl FnOnce(&mut Log) -> rusqlite::Result<()>) {
        if log.as_ref().is_none_or(|log| !log.is_current()) {
            *log = Log::open(&self.settings.path, &self.status.wal_pages).ok();
        }
        let Some(open) = log else { return };
        if let Err(error) = work(open) {
            tracing::warn!(%error, "the upkeep of the audit log failed");
            *log = None;
        }
    }

    fn checkpoint(&self, log: &mut Option<Log>) {
        self.with_log(log, |log| {
            writer::checkpoint(log)?;
            if self.status.wal_pages.load(Ordering::Relaxed) >= RESTART {
                // Most of it is done; what came meanwhile is little.
                return self.writer().restart_wal(log);
            }
            Ok(())
        });
    }

    /// The last things, when no handle is left: nobody waits any more.
    fn finish(self: &Shared, log: &mut Option<Log>) {
        {
            let mut writer = self.writer();
            writer.flush();
            writer.end_journal();
        }
        // Only by who took it over the step: beside a busy gateway not every short process must wait for the disk.
        let found = self.upkeep.found.load(Ordering::Relaxed);
        if found != 0 && self.status.wal_pages.load(Ordering::Relaxed) / LEFT_BEHIND + 1 > found {
            self.with_log(log, |log| {
                log.wait(LAST_PATIENCE)?;
                log.connection().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            });
        }
    }

    /// Removes the rows that are older than the project keeps them; how many.
    pub(super) fn retain(&self, now: Timestamp) -> Result<u64, AuditError> {
        let settings = &self.settings;
        match settings.retention_days {
            Some(days) if settings.path.exists() => {
                let mut log = Log::open(&settings.path, &self.status.wal_pages)?;
                retention::retain(&mut log, settings, now, days)
            }
            _ => Ok(0),
        }
    }
}
