//! What one call may use, and the limiter that adds up all memories of a store.

use wasmtime::ResourceLimiter;

/// Core instances that one call may create: what a component brings, see the pool's settings, and nothing at run time.
const MAX_INSTANCES: usize = 64;
/// Memories and tables that one call may create.
const MAX_MEMORIES: usize = 8;
const MAX_TABLES: usize = 16;
/// Entries of all tables together.
const MAX_TABLE_ELEMENTS: usize = 131_072;

/// What one call may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Linear memory in bytes, over all memories of the component.
    pub memory: usize,
    /// The size of the output in bytes.
    pub output: usize,
    /// The bytes that one guest call or host call may copy between guest and host.
    pub copy: usize,
}

impl CallLimits {
    /// 64 MiB of memory and 16 MiB of output. Copies: an output or response of full size with its headers.
    pub const DEFAULT: Self = Self { memory: 64 << 20, output: 16 << 20, copy: 32 << 20 };
}

impl Default for CallLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Refuses growth beyond the limits and remembers that it did, so that the trap that follows can be explained.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: usize,
    memory: usize,
    table_elements: usize,
    /// The total that was refused, in bytes.
    pub(super) refused: Option<usize>,
}

impl Limiter {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, memory: 0, table_elements: 0, refused: None }
    }

    /// The limit in bytes.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > self.limit {
            self.refused = Some(total);
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > MAX_TABLE_ELEMENTS {
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_added_up() {
        const MIB: usize = 1 << 20;
        let mut limiter = Limiter::new(10 * MIB);
        assert!(limiter.memory_growing(0, 6 * MIB, None).unwrap());
        assert!(limiter.memory_growing(0, 4 * MIB, None).unwrap(), "a second memory fills what is left");
        assert!(!limiter.memory_growing(4 * MIB, 5 * MIB, None).unwrap());
        assert_eq!(limiter.refused, Some(11 * MIB));
        assert!(limiter.memory_growing(6 * MIB, 6 * MIB, None).unwrap(), "no growth is always fine");
    }
}
