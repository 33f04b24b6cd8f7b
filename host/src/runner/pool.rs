//! The warm processes: one a pack, started when it is first called, kept while it is used, started again when it has died.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::egress::Gate;

use super::{
    Program, RunnerError,
    process::{Process, Reply},
};

/// How long a process is kept that nobody calls.
const IDLE: Duration = Duration::from_mins(5);
/// How often idle processes are looked after.
const LOOK: Duration = Duration::from_secs(15);
/// How long an idle process may take to answer a ping. It has nothing else to do.
const PING: Duration = Duration::from_secs(5);
/// The pause before a process is started again that died young; it doubles from time to time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A process that lived longer than that did not die of its start.
const YOUNG: Duration = Duration::from_secs(10);

/// All processes of packs of one rig.
#[derive(Default)]
pub struct Runners {
    /// By what is run.
    slots: Mutex<BTreeMap<String, Arc<Slot>>>,
}

/// The place of one process.
#[derive(Default)]
struct Slot {
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    /// With the way out that it was started with.
    process: Option<(Arc<Process>, Arc<Gate>)>,
    /// How often in a row it died young.
    failures: u32,
    /// When it may be started again.
    not_before: Option<Instant>,
}

impl Runners {
    /// The process of a program that takes calls: the warm one, or a new one.
    pub(super) async fn process(&self, program: &Program, gate: &Arc<Gate>) -> Result<Arc<Process>, RunnerError> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(program.identity.clone()).or_default())
        };
        slot.open(program, gate).await
    }
}

impl Slot {
    async fn open(self: &Arc<Self>, program: &Program, gate: &Arc<Gate>) -> Result<Arc<Process>, RunnerError> {
        let mut state = self.state.lock().await;
        if let Some((process, way)) = state.process.as_ref().filter(|(process, _)| process.is_open()) {
            if Arc::ptr_eq(way, gate) || way.is_like(gate) {
                return Ok(Arc::clone(process));
            }
            // The project's network settings have changed. Calls that still run keep the old process until they end.
            state.process = None;
        }
        if let Some((old, _)) = state.process.take() {
            // One that was given up has not failed by itself; what is left of its calls goes on.
            state.died(old.started);
        }
        if let Some(wait) = state.not_before.map(|at| at.saturating_duration_since(Instant::now())) {
            tokio::time::sleep(wait).await;
        }
        let started = Instant::now();
        match program.launch(gate).await {
            Ok(process) => {
                let process = Arc::new(process);
                tracing::debug!(
                    pack = %program.pack, ms = started.elapsed().as_millis(), isolation = process.level.as_str(),
                    "started the process of a pack"
                );
                state.process = Some((Arc::clone(&process), Arc::clone(gate)));
                tokio::spawn(look_after(Arc::downgrade(self), Arc::downgrade(&process)));
                Ok(process)
            }
            Err(error) => {
                state.died(started);
                Err(error)
            }
        }
    }
}

impl State {
    fn died(&mut self, started: Instant) {
        if started.elapsed() > YOUNG {
            self.failures = 0;
            self.not_before = None;
            return;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures += 1;
        self.not_before = Some(Instant::now() + pause);
    }
}

/// Ends a process that is not used, and one that does not answer.
async fn look_after(slot: Weak<Slot>, process: Weak<Process>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let (Some(slot), Some(process)) = (slot.upgrade(), process.upgrade()) else { return };
        if !process.is_open() {
            return;
        }
        // While a call runs, its own deadline is what counts: code that holds the interpreter answers no ping.
        let Some(idle) = process.idle() else { continue };
        if idle > IDLE {
            let mut state = slot.state.lock().await;
            if process.idle().is_some_and(|idle| idle > IDLE) {
                state.process = None;
                process.end("it was not used for a while");
                return;
            }
            continue;
        }
        let ping = async {
            let mut sent = process.send("ping", serde_json::json!({})).await.ok()?;
            matches!(sent.answer().await, Reply::Result(_)).then_some(())
        };
        if !matches!(tokio::time::timeout(PING, ping).await, Ok(Some(()))) {
            process.end("it did not answer a ping");
            return;
        }
    }
}

/// Waits for something no longer than until a moment, and no longer than it is wanted.
pub(super) async fn within<T>(
    deadline: Instant,
    cancel: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, crate::sandbox::Stop> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = cancel.cancelled() => Err(crate::sandbox::Stop::Cancelled),
        () = tokio::time::sleep_until(deadline.into()) => Err(crate::sandbox::Stop::Timeout),
    }
}
