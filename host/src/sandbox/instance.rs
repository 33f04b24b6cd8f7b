//! One call in one fresh instance: the store's data, the deadline, the cancel, and how it ended.

use std::{
    future::poll_fn,
    ops::AsyncFnOnce,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use wasmtime::{Store, UpdateDeadline, component::Instance};

use super::{
    CallReach, Failure, Outcome, Stop, ToolError,
    engine::{MAX_MEMORY, RunningEngine},
    exports::Exports,
    imports::{
        client::{Changes, Said},
        log::CallLog,
        log::Logged,
        wasi::WasiState,
    },
    limits::{CallLimits, Limiter},
    trap,
    watch::Watch,
};

/// The data of a store: made for one call, dropped after it.
pub(super) struct State {
    pub(super) limiter: Limiter,
    pub(super) reach: CallReach,
    pub(super) log: CallLog,
    /// Only components that import WASI ever touch it.
    pub(super) wasi: Option<Box<WasiState>>,
    pub(super) started: Instant,
    pub(super) watch: Arc<Watch>,
    /// By `rig:pack`; what goes through WASI is in `wasi`.
    pub(super) changes: Changes,
    pub(super) said: Said,
}

impl State {
    /// What the call did that may have changed something outside of it.
    pub(super) fn changed(&self) -> Option<&'static str> {
        self.changes.first().or_else(|| self.wasi.as_ref()?.changes().first())
    }
}

/// How an export's call ended.
pub(super) struct Ended<R> {
    pub(super) result: Result<R, Stop>,
    log: Logged,
    output_limit: usize,
}

impl Ended<Result<String, ToolError>> {
    pub(super) fn into_outcome(self) -> Outcome {
        let limit = self.output_limit;
        let result = match self.result {
            Ok(Ok(output)) if output.len() > limit => {
                Err(Failure::Stopped(Stop::OutputTooLarge { size: output.len(), limit }))
            }
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(Failure::Tool(error)),
            Err(stop) => Err(Failure::Stopped(stop)),
        };
        Outcome { result, log: self.log }
    }
}

/// The turn of a guest that computes for long. It is held while the guest runs and given back whenever the guest waits, for the next
/// turn or in a host function, so that a guest which waits for a service keeps nobody from computing.
#[derive(Clone)]
struct Lane {
    lanes: Arc<Semaphore>,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Lane {
    fn new(lanes: &Arc<Semaphore>) -> Self {
        Self { lanes: Arc::clone(lanes), held: Arc::default() }
    }

    fn set(&self, permit: Option<OwnedSemaphorePermit>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = permit;
    }

    /// Lets the executor see to other things, then waits for a turn; those who wait get theirs in order.
    fn turn(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let lane = self.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            let permit = Arc::clone(&lane.lanes).acquire_owned().await;
            lane.set(permit.ok());
        })
    }

    /// The same work, giving the turn back each time that it waits.
    async fn around<R>(&self, work: impl Future<Output = R>) -> R {
        let mut work = pin!(work);
        poll_fn(|context| {
            let polled = work.as_mut().poll(context);
            if polled.is_pending() {
                self.set(None);
            }
            polled
        })
        .await
    }
}

/// Instantiates, calls, and drops the instance.
pub(super) async fn run<R>(
    engine: &RunningEngine,
    exports: &Exports,
    reach: CallReach,
    limits: &CallLimits,
    deadline: Instant,
    cancel: CancellationToken,
    call: impl AsyncFnOnce(&Instance, &mut Store<State>) -> wasmtime::Result<R>,
) -> Ended<R> {
    let _ticking = engine.ticking();
    let log = CallLog::default();
    let watch = Watch::new(cancel, deadline);
    let state = State {
        limiter: Limiter::new(limits.memory.min(MAX_MEMORY)),
        reach,
        log: log.clone(),
        wasi: None,
        started: Instant::now(),
        watch: Arc::clone(&watch),
        changes: Changes::default(),
        said: Said::default(),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits.copy);
    store.set_epoch_deadline(1);
    let lane = Lane::new(engine.lanes());
    let turns = lane.clone();
    let mut ticks = 0u64;
    let watched = Arc::clone(&watch);
    // Runs at every tick while guest code runs. Looking at the clock here, and not only in the timer below, keeps the promise
    // when the executor is too busy to fire timers.
    store.epoch_deadline_callback(move |_| {
        if let Some(interrupted) = watched.interrupted() {
            return Err(interrupted.into());
        }
        ticks += 1;
        // A short call may meet one tick by chance; it is not made to wait for that.
        Ok(if ticks == 1 { UpdateDeadline::Yield(1) } else { UpdateDeadline::YieldCustom(1, turns.turn()) })
    });

    let ended = {
        let work = async {
            let pack = exports.instantiate(&mut store).await?;
            call(&pack, &mut store).await
        };
        // The timer and the cancel are for guests that wait in a host function: dropping the work drops the wait.
        tokio::select! {
            biased;
            ended = lane.around(work) => ended,
            interrupted = watch.interrupt() => Err(interrupted.into()),
        }
    };
    let limiter = &store.data().limiter;
    let result = match ended {
        Ok(value) => Ok(value),
        Err(error) => Err(trap::classify(&error, limiter.refused, limiter.limit())),
    };
    drop(store);
    Ended { result, log: log.finish(), output_limit: limits.output }
}
