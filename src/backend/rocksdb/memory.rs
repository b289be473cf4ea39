//! The memory that all instances of a process have together: one cache for blocks, to which write buffers are charged too.

use super::instances::Instances;
use super::options::Memory;
use rocksdb::{Cache, WriteBufferManager};
use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A cache and the manager of write buffers that takes its memory from it.
pub(super) struct SharedMemory {
    pub(super) cache: Cache,
    pub(super) write_buffers: WriteBufferManager,
    of: Memory,
    /// How much write buffers had when nothing more could be flushed: to look again is of no use before there is more.
    kept_by_readers: AtomicUsize,
}

impl SharedMemory {
    /// That of the budget: the one that others use already, if there is one. Nothing if the memory is not managed.
    pub(super) fn of(memory: Memory) -> Option<Arc<SharedMemory>> {
        static IN_USE: Mutex<Vec<Weak<SharedMemory>>> = Mutex::new(Vec::new());
        if !memory.managed {
            return None;
        }
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|one| one.strong_count() > 0);
        if let Some(found) = in_use.iter().filter_map(Weak::upgrade).find(|one| one.of == memory) {
            return Some(found);
        }
        let cache = Cache::new_lru_cache(cache_bytes(memory));
        let buffers = write_buffer_bytes(memory);
        let write_buffers =
            WriteBufferManager::new_write_buffer_manager_with_cache(buffers, false, cache.clone());
        let made =
            Arc::new(SharedMemory { cache, write_buffers, of: memory, kept_by_readers: AtomicUsize::new(0) });
        in_use.push(Arc::downgrade(&made));
        Some(made)
    }

    /// Returns when a write may add to the write buffers, of which those that are larger are flushed first, of whichever
    /// instance they are. Nobody is waited for but flushes, so that writers cannot wait for each other.
    #[inline]
    pub(super) fn wait_for_room(&self) {
        let (usage, kept) = (self.write_buffers.get_usage(), self.kept_by_readers.load(Ordering::Relaxed));
        if usage > most_of_write_buffers(self.of).max(kept + least_to_flush(self.of)) {
            self.make_room();
        } else if kept > 0 && usage < kept {
            self.kept_by_readers.store(usage, Ordering::Relaxed);
        }
    }

    #[cold]
    fn make_room(&self) {
        let instances = Instances::of_the_process();
        // Someone else may have made room in the meantime.
        if self.write_buffers.get_usage() > most_of_write_buffers(self.of) {
            self.flush_largest(&instances, write_buffer_bytes(self.of));
        }
        let usage = self.write_buffers.get_usage();
        let kept = if usage > most_of_write_buffers(self.of) { usage } else { 0 };
        self.kept_by_readers.store(kept, Ordering::Relaxed);
    }

    /// Flushes what is largest until no more than so many bytes are left, or nothing more that is worth a file: what readers
    /// still see stays in memory until they have ended.
    pub(super) fn flush_largest(&self, instances: &Instances, bytes_left: usize) {
        let mut buffers = Vec::new();
        for database in instances.iter().filter(|one| one.shares(self)) {
            for name in database.names() {
                let bytes = database.bytes_in_write_buffers(&name);
                buffers.push((bytes, Arc::clone(&database), name));
            }
        }
        let all: u64 = buffers.iter().map(|(bytes, ..)| bytes).sum();
        if all < least_to_flush(self.of) as u64 {
            return;
        }
        buffers.sort_by_key(|(bytes, ..)| Reverse(*bytes));
        for (_, database, name) in buffers {
            if self.write_buffers.get_usage() <= bytes_left {
                return;
            }
            if let Err(error) = database.flush(&name) {
                // Whoever writes there is told.
                tracing::warn!(%error, "a write buffer could not be flushed");
            }
        }
    }
}

/// The capacity of the cache (Flink: `calculateActualCacheCapacity`). Write buffers may take half as much again as their
/// manager allows, which is why it is less than the budget.
fn cache_bytes(memory: Memory) -> usize {
    ((3.0 - memory.write_buffer_ratio) * memory.bytes as f64 / 3.0) as usize
}

/// What the manager of write buffers allows (Flink: `calculateWriteBufferManagerCapacity`).
fn write_buffer_bytes(memory: Memory) -> usize {
    (2.0 * memory.bytes as f64 * memory.write_buffer_ratio / 3.0) as usize
}

/// Less than this is worth no files.
fn least_to_flush(memory: Memory) -> usize {
    write_buffer_bytes(memory) / 8
}

/// What write buffers have at most: with more, writers wait.
fn most_of_write_buffers(memory: Memory) -> usize {
    (memory.bytes as f64 * memory.write_buffer_ratio) as usize
}

/// The size of the pieces of which a write buffer consists (Flink: `calculateRocksDBDefaultArenaBlockSize`). Every write buffer
/// in use has one at least, and if they alone came to what the manager allows, all would be flushed all the time; so there is
/// room for many (Flink, `validateArenaBlockSize`, warns if there is not for one).
pub(super) fn arena_block_bytes(memory: Memory, write_buffer: usize) -> usize {
    const ALIGNMENT: usize = 4 << 10;
    const MANY: usize = 64;
    let default = (write_buffer / 8).clamp(1, 1 << 20).next_multiple_of(ALIGNMENT);
    let limit = write_buffer_bytes(memory) / 8 * 7 / MANY;
    if memory.managed { default.min((limit / ALIGNMENT * ALIGNMENT).max(ALIGNMENT)) } else { default }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(bytes: u64, write_buffer_ratio: f64) -> Memory {
        Memory { managed: true, bytes, write_buffer_ratio, partitioned_index_filters: false }
    }

    #[test]
    fn memory_of_one_budget_is_shared_and_another_budget_is_not() {
        let (one, same) = (SharedMemory::of(memory(7 << 20, 0.5)), SharedMemory::of(memory(7 << 20, 0.5)));
        let (one, same) = (one.unwrap(), same.unwrap());
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &SharedMemory::of(memory(8 << 20, 0.5)).unwrap()));
        assert!(SharedMemory::of(Memory { managed: false, ..memory(7 << 20, 0.5) }).is_none());
    }

    /// Flink: `RocksDBMemoryControllerUtilsTest`
    #[test]
    fn memory_is_divided_by_the_formulas_of_flink() {
        let budget = memory(300 << 20, 0.5);
        assert_eq!(cache_bytes(budget), 250 << 20);
        assert_eq!(write_buffer_bytes(budget), 100 << 20);
        let made = SharedMemory::of(budget).unwrap();
        assert_eq!(made.write_buffers.get_buffer_size(), 100 << 20);
        assert_eq!(arena_block_bytes(budget, 64 << 20), 1 << 20);
        assert_eq!(arena_block_bytes(budget, 4 << 20), 512 << 10);
        assert_eq!(
            arena_block_bytes(memory(30 << 20, 0.5), 64 << 20),
            140 << 10,
            "64 of them are 7/8 of 10 MiB"
        );
        assert_eq!(arena_block_bytes(memory(1, 0.5), 64 << 20), 4 << 10);
    }
}
