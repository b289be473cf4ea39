//! Column families: one for each state.

use super::expiry::{Expiry, ExpiryFactory, LiveSnapshots};
use super::memory::{SharedMemory, arena_block_bytes};
use super::metrics::NativeMetrics;
use super::options::{Compaction, RocksDbOptions};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, MergeOperands,
    Options,
};
use std::sync::Arc;

/// With this begin the names of families that hold states; there is always one of the name `default`.
const PREFIX: &str = "state ";

/// The family of a state. Names of families cannot hold everything that names of states can.
pub(super) fn family_of(state: &str) -> String {
    format!("{PREFIX}{}", state.escape_default())
}

/// The state of a family, as it stands in its name.
pub(super) fn state_of(family: &str) -> &str {
    family.strip_prefix(PREFIX).unwrap_or(family)
}

/// Whether a family holds a state.
pub(super) fn is_of_state(family: &str) -> bool {
    family.starts_with(PREFIX)
}

/// What all families are made with.
pub(super) struct Families {
    options: RocksDbOptions,
    pub(super) memory: Option<Arc<SharedMemory>>,
    pub(super) snapshots: LiveSnapshots,
}

impl Families {
    pub(super) fn new(options: &RocksDbOptions, memory: Option<Arc<SharedMemory>>) -> Self {
        Families { options: options.clone(), memory, snapshots: LiveSnapshots::default() }
    }

    /// The options of a family, of whose values some may expire.
    pub(super) fn options(&self, expiry: &Expiry) -> Options {
        let chosen = &self.options;
        let mut options = Options::default();
        options.set_write_buffer_size(chosen.write_buffer_bytes);
        options.set_max_write_buffer_number(chosen.write_buffers);
        options.set_min_write_buffer_number_to_merge(chosen.write_buffers_to_merge);
        options.set_arena_block_size(arena_block_bytes(chosen.memory, chosen.write_buffer_bytes));
        match chosen.compression[..] {
            [of_all] => options.set_compression_type(of_all.into()),
            ref levels => {
                let levels: Vec<DBCompressionType> = levels.iter().map(|level| (*level).into()).collect();
                options.set_compression_per_level(&levels);
            }
        }
        options.set_compaction_style(chosen.compaction.style());
        options.set_disable_auto_compactions(chosen.compaction == Compaction::None);
        options.set_level_compaction_dynamic_level_bytes(chosen.dynamic_level_size);
        options.set_target_file_size_base(chosen.target_file_bytes);
        options.set_max_bytes_for_level_base(chosen.level_base_bytes);
        options.set_block_based_table_factory(&self.table());
        options.set_merge_operator("snapline.append", append_to, append);
        let snapshots = Arc::clone(&self.snapshots);
        options.set_compaction_filter_factory(ExpiryFactory { expiry: Arc::clone(expiry), snapshots });
        options
            .set_periodic_compaction_seconds(expiry.get().map_or(0, |_| self.periodic_compaction_seconds()));
        // Files are rewritten by their age only where that removes something.
        options.set_ttl(0);
        options
    }

    pub(super) fn native_metrics(&self) -> &NativeMetrics {
        &self.options.native_metrics
    }

    /// After so many seconds a file is rewritten if values in it may have expired. 0 turns it off.
    pub(super) fn periodic_compaction_seconds(&self) -> u64 {
        self.options.periodic_compaction_millis.div_ceil(1_000)
    }

    pub(super) fn descriptor(&self, family: &str, expiry: &Expiry) -> ColumnFamilyDescriptor {
        ColumnFamilyDescriptor::new(family, self.options(expiry))
    }

    fn table(&self) -> BlockBasedOptions {
        let chosen = &self.options;
        let mut table = BlockBasedOptions::default();
        table.set_block_size(chosen.block_bytes);
        table.set_metadata_block_size(chosen.metadata_block_bytes);
        if chosen.use_bloom_filter {
            table.set_bloom_filter(chosen.bloom_filter_bits, false);
        }
        match &self.memory {
            Some(memory) => {
                table.set_block_cache(&memory.cache);
                // What is outside of the cache is in no budget.
                table.set_cache_index_and_filter_blocks(true);
                table.set_cache_index_and_filter_blocks_with_high_priority(true);
                table.set_pin_l0_filter_and_index_blocks_in_cache(true);
                if chosen.memory.partitioned_index_filters {
                    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
                    table.set_partition_filters(true);
                    table.set_pin_top_level_index_and_filter(true);
                }
            }
            None => table.set_block_cache(&Cache::new_lru_cache(chosen.block_cache_bytes)),
        }
        table
    }
}

/// A value behind which others are appended.
fn append_to(_: &[u8], value: Option<&[u8]>, appended: &MergeOperands) -> Option<Vec<u8>> {
    Some(concatenated(value, appended))
}

/// Several that are appended, as one.
fn append(_: &[u8], _: Option<&[u8]>, appended: &MergeOperands) -> Option<Vec<u8>> {
    Some(concatenated(None, appended))
}

fn concatenated(value: Option<&[u8]>, appended: &MergeOperands) -> Vec<u8> {
    let bytes = value.map_or(0, <[u8]>::len) + appended.iter().map(<[u8]>::len).sum::<usize>();
    let mut all = Vec::with_capacity(bytes);
    value.into_iter().chain(appended.iter()).for_each(|part| all.extend_from_slice(part));
    all
}

/// The bytes that follow all which begin with `prefix`, if any do.
pub(super) fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_of_different_states_have_different_names_without_null() {
        let states = ["default", "", "a\0b", "a\\u{0}b", "ü", "\\u{fc}", "a b", "state a"];
        let families: std::collections::BTreeSet<_> = states.iter().map(|state| family_of(state)).collect();
        assert_eq!(families.len(), states.len());
        assert!(families.iter().all(|family| is_of_state(family) && !family.contains('\0')));
        assert!(!is_of_state("default"));
    }

    #[test]
    fn end_of_a_prefix_is_the_first_that_is_behind_all_that_begin_so() {
        assert_eq!(end_of(&[1, 2]).as_deref(), Some(&[1, 3][..]));
        assert_eq!(end_of(&[1, 255, 255]).as_deref(), Some(&[2][..]));
        assert_eq!(end_of(&[255, 255]), None);
        assert_eq!(end_of(&[]), None);
    }
}
