//! Group commit. A caller that finds nobody committing becomes the leader: it commits every row that waits, its own among them, on
//! its own thread. Who comes meanwhile waits in the queue; when the leader is done, it answers its batch and hands the lead to the
//! first who waits, so that nobody's answer is held up by rows that came later.
//!
//! A caller may go away at any point. Its row stays in the queue and is written; the lead, which is a value, passes itself on when it
//! is dropped. What would block, the blocking threads of the runtime do.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{
    AuditError, Row, Settings,
    chain::Stored,
    intake::{Intake, Taken},
    log,
    upkeep::{Job, Upkeep},
    writer::{Attempt, Entry, Status, Writer},
};

/// Rows that are committed on a thread of the executor: about a millisecond. More are left to a thread that may block.
const MAX_INLINE: usize = 128;

/// What all handles of a log share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    pub(super) status: Arc<Status>,
    /// The faster way, for those who have a journal.
    pub(super) intake: Arc<Intake>,
    queue: Mutex<Queue>,
    /// The rows of the last batch.
    crowd: AtomicUsize,
    /// Under a lock that is fair in the long run: callers that write row by row must not keep the upkeep from it for ever.
    writer: parking_lot::Mutex<Writer>,
    pub(super) upkeep: Upkeep,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Whether somebody leads.
    led: bool,
}

#[derive(Debug)]
struct Waiting {
    entry: Entry,
    /// None for the row of the leader itself, and of a caller that went away.
    answer: Option<oneshot::Sender<Turn>>,
}

/// What a caller that waits is told.
#[derive(Debug)]
enum Turn {
    Done(Result<(), AuditError>),
    Lead(Lead),
}

/// The duty to commit what waits. Passes itself on when it is dropped.
#[derive(Debug)]
pub(super) struct Lead(Option<Arc<Shared>>);

/// A batch on its way to another thread. Goes back to the queue when that thread never runs it.
struct Work {
    batch: Vec<Waiting>,
    lead: Lead,
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(shared) = self.lead.0.as_ref().filter(|_| !self.batch.is_empty()) {
            shared.queue().waiting.splice(..0, self.batch.drain(..));
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.pass_on();
        }
    }
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Arc<Self> {
        let (settings, status, intake) = (Arc::new(settings), Arc::<Status>::default(), Arc::<Intake>::default());
        let writer =
            parking_lot::Mutex::new(Writer::new(Arc::clone(&settings), Arc::clone(&status), Arc::clone(&intake)));
        Arc::new(Self {
            settings,
            status,
            intake,
            queue: Mutex::default(),
            crowd: AtomicUsize::new(0),
            writer,
            upkeep: Upkeep::default(),
        })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn writer(&self) -> parking_lot::MutexGuard<'_, Writer> {
        self.writer.lock()
    }

    /// Writes a row: to the journal, if there is one, or else to the chain. `keep` says whether it is kept for later when it cannot
    /// be written. Answers its place in the journal.
    pub(super) async fn record(self: &Arc<Self>, row: Row, keep: bool) -> Result<Option<Taken>, AuditError> {
        let row = Stored::new(row, Timestamp::UNIX_EPOCH);
        if self.intake.is_open()
            && let Some(taken) = self.intake.offer(&row)
        {
            self.upkeep.take_in(self);
            return Ok(Some(taken));
        }
        self.commit(row, keep).await.map(|()| None)
    }

    async fn commit(self: &Arc<Self>, mut row: Stored, keep: bool) -> Result<(), AuditError> {
        let (lead, turn) = {
            let mut queue = self.queue();
            // The time is taken where the order is made, so that both agree.
            row.at = Timestamp::now().as_microsecond();
            let entry = Entry { row, keep };
            if queue.led {
                let (sender, receiver) = oneshot::channel();
                queue.waiting.push(Waiting { entry, answer: Some(sender) });
                (None, Some(receiver))
            } else {
                queue.led = true;
                queue.waiting.push(Waiting { entry, answer: None });
                (Some(Lead(Some(Arc::clone(self)))), None)
            }
        };
        match (lead, turn) {
            (Some(lead), _) => lead.commit().await,
            (None, Some(turn)) => match turn.await {
                Ok(Turn::Done(result)) => result,
                Ok(Turn::Lead(lead)) => lead.commit().await,
                Err(_) => Err(AuditError::write(&self.settings.path, "its writer ended early")),
            },
            (None, None) => Ok(()),
        }
    }

    /// Puts a row on the disk, on a thread that may block: the one at that place in the journal, or the last in the chain.
    pub(super) async fn sync(self: &Arc<Self>, taken: Option<Taken>) -> Result<(), AuditError> {
        let row = self.status.head.load(Ordering::Acquire);
        let shared = Arc::clone(self);
        let sync = move || match taken {
            Some(taken) => shared.intake.sync(&shared.settings.path, &taken),
            None => shared.status.sync(&shared.settings.path, row),
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let done = runtime.spawn_blocking(sync).await;
                done.unwrap_or_else(|_| Err(AuditError::write(&self.settings.path, "the process is ending")))
            }
            Err(_) => sync(),
        }
    }

    /// Gives the lead to somebody who waits, or to the thread for upkeep when rows wait that nobody waits for.
    fn pass_on(self: &Arc<Self>) {
        let mut queue = self.queue();
        loop {
            if queue.waiting.is_empty() {
                queue.led = false;
                return;
            }
            let Some(next) = queue.waiting.iter_mut().find_map(|waiting| waiting.answer.take()) else {
                drop(queue);
                return self.upkeep.ask(self, Job::Lead);
            };
            match next.send(Turn::Lead(Lead(Some(Arc::clone(self))))) {
                // That caller went away: ask the next. This is still the lead, so the value must not pass itself on.
                Err(Turn::Lead(mut lead)) => lead.0 = None,
                _ => return,
            }
        }
    }

    /// Writes a batch and answers those who wait for it; gives back the answer of the row that nobody else waits for.
    fn run(batch: &mut Vec<Waiting>, writer: &mut Writer, patience: Duration) -> Option<Result<(), AuditError>> {
        let (mut entries, mut answers): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|waiting| (waiting.entry, waiting.answer)).unzip();
        let result = match writer.commit(&mut entries, patience) {
            Attempt::Committed => Ok(()),
            Attempt::Failed(error) => Err(error),
            Attempt::Busy => {
                let waiting = entries.into_iter().zip(answers);
                batch.extend(waiting.map(|(entry, answer)| Waiting { entry, answer }));
                return None;
            }
        };
        for answer in answers.iter_mut().filter_map(Option::take) {
            // Who went away needs no answer.
            let _ = answer.send(Turn::Done(result.clone()));
        }
        Some(result)
    }
}

impl Lead {
    /// Commits what waits. The answer is that of the leader's own row: a batch is committed as a whole.
    async fn commit(self) -> Result<(), AuditError> {
        let Some(shared) = self.0.clone() else { return Ok(()) };
        if shared.crowd.load(Ordering::Relaxed) > 1 {
            // Others call at the same time. Whoever of them is ready gets its row in, and shares the cost of the commit.
            tokio::task::yield_now().await;
        }
        let mut batch = std::mem::take(&mut shared.queue().waiting);
        shared.crowd.store(batch.len(), Ordering::Relaxed);
        if let Some(result) = shared.commit_inline(&mut batch) {
            // After the answers, so that the next leader is the one that the executor runs next.
            drop(self);
            shared.upkeep.look(&shared);
            return result;
        }
        let work = Work { batch, lead: self };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let path = shared.settings.path.clone();
                let done = runtime.spawn_blocking(move || work.run());
                done.await.unwrap_or_else(|_| Err(AuditError::write(&path, "the process is ending")))
            }
            Err(_) => work.run(),
        }
    }

    /// Takes on what waits until nothing does. For a thread that may block.
    pub(super) fn commit_all(self) {
        let Some(shared) = self.0.clone() else { return };
        loop {
            let batch = std::mem::take(&mut shared.queue().waiting);
            if batch.is_empty() {
                return;
            }
            let _ = Work { batch, lead: Lead(None) }.write(&shared);
        }
    }

    /// The lead that [`Shared::pass_on`] asked the upkeep to take.
    pub(super) fn taken_over(shared: &Arc<Shared>) -> Self {
        Self(Some(Arc::clone(shared)))
    }
}

impl Shared {
    /// None when it would block. The batch is untouched then.
    fn commit_inline(&self, batch: &mut Vec<Waiting>) -> Option<Result<(), AuditError>> {
        if batch.len() > MAX_INLINE {
            return None;
        }
        let mut writer = self.writer.try_lock()?;
        if !writer.is_ready() {
            return None;
        }
        Self::run(batch, &mut writer, Duration::ZERO)
    }
}

impl Work {
    fn run(mut self) -> Result<(), AuditError> {
        let Some(shared) = self.lead.0.clone() else { return Ok(()) };
        let result = self.write(&shared);
        drop(self);
        shared.upkeep.look(&shared);
        result
    }

    fn write(&mut self, shared: &Shared) -> Result<(), AuditError> {
        let mut writer = shared.writer();
        let result = Shared::run(&mut self.batch, &mut writer, log::PATIENCE);
        // With patience nothing is ever put off.
        result.unwrap_or(Ok(()))
    }
}
