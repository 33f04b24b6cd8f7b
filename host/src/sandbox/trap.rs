//! Why the sandbox stopped a call, in words for people and models.

use rig_specs::ByteSize;
use wasmtime::Trap;

use super::watch::Interrupted;

/// Why the sandbox stopped a call.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The deadline passed.
    #[error("the call did not finish in time")]
    Timeout,
    /// The caller gave up.
    #[error("the call was cancelled")]
    Cancelled,
    /// The guest wanted more memory than it may have. Sizes in bytes.
    #[error("the pack needs more memory than it may use: it asked for {} MiB in total, the limit is {} MiB", mib(*.wanted), mib(*.limit))]
    Memory {
        /// The total that was refused.
        wanted: usize,
        /// What is allowed.
        limit: usize,
    },
    /// More bytes were passed between guest and host than one call may copy.
    #[error("the pack passes more data in one step than a call may copy")]
    CopyLimit,
    /// The output is larger than allowed. Sizes in bytes.
    #[error("the output is {size} bytes long, the limit is {}", ByteSize(*.limit as u64))]
    OutputTooLarge {
        /// The size of the output.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The guest broke off.
    #[error("the pack crashed: {0}")]
    Trap(String),
    /// All instances are in use.
    #[error("too many calls run at once")]
    Busy,
    /// The host failed.
    #[error("the sandbox failed: {0:#}")]
    Host(wasmtime::Error),
}

impl Stop {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Timeout => "ask for less, or raise `policy.timeout_seconds` in rig.yaml",
            Self::Cancelled => "call again when you still need the answer",
            Self::Memory { .. } => {
                "ask for less, or raise `limits.memory` in rig.yaml; a pack that always needs more says so in its manifest"
            }
            Self::CopyLimit => "pass less data at once",
            Self::OutputTooLarge { .. } => "ask for less, or raise `limits.output` in rig.yaml",
            Self::Trap(_) => "the pack's log says more: `rig call --verbose`; report it to the pack's author",
            Self::Busy => "call again in a moment",
            Self::Host(_) => "run `rig doctor`; if it finds nothing, report this",
        }
    }
}

fn mib(bytes: usize) -> usize {
    bytes.div_ceil(1 << 20)
}

/// Classifies an error of instantiation or of a call. `refused` and `limit` are what the limiter saw, in bytes.
pub(super) fn classify(error: &wasmtime::Error, refused: Option<usize>, limit: usize) -> Stop {
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        return match interrupted {
            Interrupted::Deadline => Stop::Timeout,
            Interrupted::Cancelled => Stop::Cancelled,
        };
    }
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return Stop::Busy;
    }
    // A refused growth does not stop the guest; what stops it is what its allocator does next.
    if let Some(wanted) = refused {
        return Stop::Memory { wanted, limit };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Stop::Timeout,
        Some(Trap::StackOverflow) => Stop::Trap("its stack is full, most likely by endless recursion".into()),
        Some(Trap::UnreachableCodeReached) => {
            Stop::Trap("it panicked or ran into code that must not be reached".into())
        }
        Some(trap) => Stop::Trap(trap.to_string()),
        None if format!("{error:#}").contains("hostcall fuel") => Stop::CopyLimit,
        None => Stop::Trap(format!("{error:#}")),
    }
}
