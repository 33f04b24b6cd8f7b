//! The wasmtime engine: its settings, and the clock that interrupts guests.

use std::{
    num::NonZero,
    ops::Deref,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::Semaphore;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, RegallocAlgorithm};

/// How often running guests are interrupted to look at their deadline. A call must stop within 20 ms of its deadline or of a
/// cancel; a quarter of that leaves room for a busy machine.
const TICK: Duration = Duration::from_millis(5);

/// The address space a memory reserves. With 4 GiB every 32-bit address lies inside, so that no bounds check is compiled.
const MEMORY_RESERVATION: u64 = 4 << 30;

/// The most linear memory that any grant can give. Far above what language runtimes need, far below the machine.
pub(super) const MAX_MEMORY: usize = 1 << 30;

/// Linear memory kept mapped between calls and cleared by copying: larger than what ordinary packs touch, so that a call changes
/// no page tables.
const KEEP_MEMORY: usize = 2 << 20;

/// The same for a table: 2,048 entries of eight bytes.
const KEEP_TABLE: usize = 16 << 10;

/// The guest's own stack. Deep recursion ends in a trap, not in the host's stack.
const GUEST_STACK: usize = 512 << 10;

/// The stack that a call runs on: the guest's and what host functions need above it.
const FIBER_STACK: usize = 1 << 20;

/// The core instances, memories and tables that one component may bring. Language runtimes use up to five instances and two
/// memories; adapters add some.
const INSTANCES_PER_COMPONENT: u32 = 32;
const MEMORIES_PER_COMPONENT: u32 = 8;
const TABLES_PER_COMPONENT: u32 = 16;

/// The entries of one table: large C programs with many function pointers stay below.
const TABLE_ELEMENTS: usize = 65_536;

/// How many calls the pool has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize(pub u32);

impl PoolSize {
    /// For one call at a time, with room for calls that it makes itself.
    pub const SINGLE: Self = Self(16);
}

/// Why no engine could be started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The settings do not work on this machine.
    #[error("the WebAssembly engine does not start on this machine: {0:#}")]
    Start(wasmtime::Error),
    /// A fault of rig: the imports contradict each other.
    #[error("the host functions of the sandbox cannot be linked: {0:#}")]
    Link(wasmtime::Error),
}

impl EngineError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Start(_) => {
                "the pool reserves much address space: look at `ulimit -v` and at the container's limits, then run `rig doctor`"
            }
            Self::Link(_) => "this is a fault of rig: please report it",
        }
    }
}

/// An engine whose epoch advances while calls run.
pub(super) struct RunningEngine {
    engine: Engine,
    ticker: Arc<Ticker>,
    /// One fewer than there are cores. A guest that computes for longer than a tick needs one to go on, so that any number of such
    /// guests leave a thread of the executor to short calls.
    lanes: Arc<Semaphore>,
}

impl Deref for RunningEngine {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl RunningEngine {
    pub(super) fn start(pool: PoolSize) -> Result<Self, EngineError> {
        let engine = Engine::new(&config(pool, Enabled::Auto)).map_err(EngineError::Start)?;
        let ticker = Arc::new(Ticker::default());
        let (clock, shared) = (engine.weak(), Arc::clone(&ticker));
        let spawned = thread::Builder::new().name("rig-epoch".into()).stack_size(64 << 10).spawn(move || {
            while shared.wait_for_calls() {
                thread::sleep(TICK);
                let Some(engine) = clock.upgrade() else { return };
                engine.increment_epoch();
            }
        });
        spawned.map_err(|error| EngineError::Start(error.into()))?;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self { engine, ticker, lanes: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))) })
    }

    /// What guests that compute for long take turns with.
    pub(super) fn lanes(&self) -> &Arc<Semaphore> {
        &self.lanes
    }

    /// Keeps the epoch advancing until the guard is dropped.
    pub(super) fn ticking(&self) -> TickGuard {
        self.ticker.enter();
        TickGuard(Arc::clone(&self.ticker))
    }
}

impl Drop for RunningEngine {
    fn drop(&mut self) {
        self.ticker.stop();
    }
}

fn config(pool: PoolSize, pagemap_scan: Enabled) -> Config {
    let calls = pool.0;
    let mut pooling = PoolingAllocationConfig::new();
    pooling
        .total_component_instances(calls)
        .total_stacks(calls)
        .total_core_instances(calls.saturating_mul(4))
        .total_memories(calls.saturating_mul(2))
        .total_tables(calls.saturating_mul(4))
        .max_core_instances_per_component(INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(MAX_MEMORY)
        .linear_memory_keep_resident(KEEP_MEMORY)
        .table_keep_resident(KEEP_TABLE)
        .max_unused_warm_slots(64)
        .pagemap_scan(pagemap_scan);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pooling))
        .memory_init_cow(true)
        .memory_reservation(MEMORY_RESERVATION)
        .memory_may_move(false)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(FIBER_STACK)
        .concurrency_support(false)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .parallel_compilation(true);
    config
}

/// Ticks without a call after which the clock stops: waking it costs a call several microseconds.
const IDLE_TICKS: u32 = 100;

/// Counts running calls and wakes the clock for the first of them, so that an idle process never wakes up.
#[derive(Default)]
struct Ticker {
    state: Mutex<TickerState>,
    changed: Condvar,
    stopped: AtomicBool,
}

#[derive(Default)]
struct TickerState {
    running: usize,
    /// Calls that began since the last tick.
    begun: bool,
    idle_ticks: u32,
    /// The clock waits for a call. Waking it is a system call, so that is only done when it helps.
    parked: bool,
}

impl Ticker {
    fn enter(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running += 1;
        state.begun = true;
        if state.parked {
            self.changed.notify_one();
        }
    }

    fn leave(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).running -= 1;
    }

    fn stop(&self) {
        let _state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.stopped.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Waits until a call runs, if none did for long. Answers false when the engine is gone.
    fn wait_for_calls(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = !std::mem::take(&mut state.begun) && state.running == 0;
        state.idle_ticks = if idle { state.idle_ticks + 1 } else { 0 };
        while state.running == 0 && state.idle_ticks > IDLE_TICKS && !self.stopped.load(Ordering::Relaxed) {
            state.parked = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.parked = false;
        }
        !self.stopped.load(Ordering::Relaxed)
    }
}

/// Marks one call as running.
pub(super) struct TickGuard(Arc<Ticker>);

impl Drop for TickGuard {
    fn drop(&mut self) {
        self.0.leave();
    }
}
