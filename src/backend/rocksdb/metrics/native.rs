//! Which metrics there are, and which are wanted (Flink: `RocksDBNativeMetricOptions`).

use super::super::database::Db;
use crate::configuration::value::truth;
use rocksdb::statistics::Ticker;
use rocksdb::{AsColumnFamilyRef, properties};
use std::collections::BTreeSet;

/// Where a metric comes from.
pub(in super::super) enum Source {
    /// A property of a family that is a number.
    Property(&'static properties::PropName),
    /// A property of each level of a family.
    FilesAtLevels,
    /// A counter of the whole instance, which RocksDB keeps only if it is asked to.
    Ticker(Ticker),
}

use Source::{FilesAtLevels, Property, Ticker as Counter};

impl Source {
    /// What it says about a family, with names. Of what cannot be found out it says nothing.
    pub(super) fn values_of(
        &self,
        name: &'static str,
        db: &Db,
        family: &impl AsColumnFamilyRef,
    ) -> impl Iterator<Item = (&'static str, u64)> {
        let number = match self {
            Property(property) => db.property_int_value_cf(family, *property).ok().flatten(),
            FilesAtLevels | Counter(_) => None,
        };
        let levels = match self {
            FilesAtLevels => FILES_AT_LEVELS,
            Property(_) | Counter(_) => &[],
        };
        let files = levels.iter().enumerate().filter_map(|(level, name)| {
            let files = db.property_value_cf(family, properties::num_files_at_level(level));
            Some((*name, files.ok()??.parse().ok()?))
        });
        number.map(|number| (name, number)).into_iter().chain(files)
    }
}

/// Those that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct NativeMetrics {
    /// Their numbers in the table of all.
    wanted: BTreeSet<usize>,
    /// Whether the state is told by a label and not by a part of the name.
    pub(super) state_is_label: bool,
}

impl NativeMetrics {
    /// Sets an option, which is the last part of its name.
    pub(in super::super) fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let is_wanted = truth(value)?;
        if key == "column-family-as-variable" {
            self.state_is_label = is_wanted;
            return Ok(());
        }
        let found = ALL.iter().position(|(name, _)| name.strip_prefix(PREFIX) == Some(key));
        let number = found.ok_or("there is no such metric")?;
        if is_wanted {
            self.wanted.insert(number);
        } else {
            self.wanted.remove(&number);
        }
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'static (&'static str, Source)> {
        self.wanted.iter().map(|number| &ALL[*number])
    }

    pub(super) fn has_properties(&self) -> bool {
        self.iter().any(|(_, source)| !matches!(source, Counter(_)))
    }

    /// Whether RocksDB must count.
    pub(in super::super) fn has_tickers(&self) -> bool {
        self.iter().any(|(_, source)| matches!(source, Counter(_)))
    }
}

/// With this begin the names of all.
pub(super) const PREFIX: &str = "rocksdb.";

const FILES_AT_LEVELS: &[&str] = &[
    "rocksdb.num-files-at-level0",
    "rocksdb.num-files-at-level1",
    "rocksdb.num-files-at-level2",
    "rocksdb.num-files-at-level3",
    "rocksdb.num-files-at-level4",
    "rocksdb.num-files-at-level5",
    "rocksdb.num-files-at-level6",
];

/// Flink's, in the order of their names.
pub(super) const ALL: &[(&str, Source)] = &[
    ("rocksdb.actual-delayed-write-rate", Property(properties::ACTUAL_DELAYED_WRITE_RATE)),
    ("rocksdb.background-errors", Property(properties::BACKGROUND_ERRORS)),
    ("rocksdb.block-cache-capacity", Property(properties::BLOCK_CACHE_CAPACITY)),
    ("rocksdb.block-cache-hit", Counter(Ticker::BlockCacheHit)),
    ("rocksdb.block-cache-miss", Counter(Ticker::BlockCacheMiss)),
    ("rocksdb.block-cache-pinned-usage", Property(properties::BLOCK_CACHE_PINNED_USAGE)),
    ("rocksdb.block-cache-usage", Property(properties::BLOCK_CACHE_USAGE)),
    ("rocksdb.bloom-filter-full-positive", Counter(Ticker::BloomFilterFullPositive)),
    ("rocksdb.bloom-filter-full-true-positive", Counter(Ticker::BloomFilterFullTruePositive)),
    ("rocksdb.bloom-filter-useful", Counter(Ticker::BloomFilterUseful)),
    ("rocksdb.bytes-read", Counter(Ticker::BytesRead)),
    ("rocksdb.bytes-written", Counter(Ticker::BytesWritten)),
    ("rocksdb.compaction-pending", Property(properties::COMPACTION_PENDING)),
    ("rocksdb.compaction-read-bytes", Counter(Ticker::CompactReadBytes)),
    ("rocksdb.compaction-write-bytes", Counter(Ticker::CompactWriteBytes)),
    ("rocksdb.cur-size-active-mem-table", Property(properties::CUR_SIZE_ACTIVE_MEM_TABLE)),
    ("rocksdb.cur-size-all-mem-tables", Property(properties::CUR_SIZE_ALL_MEM_TABLES)),
    ("rocksdb.estimate-live-data-size", Property(properties::ESTIMATE_LIVE_DATA_SIZE)),
    ("rocksdb.estimate-num-keys", Property(properties::ESTIMATE_NUM_KEYS)),
    ("rocksdb.estimate-pending-compaction-bytes", Property(properties::ESTIMATE_PENDING_COMPACTION_BYTES)),
    ("rocksdb.estimate-table-readers-mem", Property(properties::ESTIMATE_TABLE_READERS_MEM)),
    ("rocksdb.is-write-stopped", Property(properties::IS_WRITE_STOPPED)),
    ("rocksdb.iter-bytes-read", Counter(Ticker::IterBytesRead)),
    ("rocksdb.live-sst-files-size", Property(properties::LIVE_SST_FILES_SIZE)),
    ("rocksdb.mem-table-flush-pending", Property(properties::MEM_TABLE_FLUSH_PENDING)),
    ("rocksdb.num-deletes-active-mem-table", Property(properties::NUM_DELETES_ACTIVE_MEM_TABLE)),
    ("rocksdb.num-deletes-imm-mem-tables", Property(properties::NUM_DELETES_IMM_MEM_TABLES)),
    ("rocksdb.num-entries-active-mem-table", Property(properties::NUM_ENTRIES_ACTIVE_MEM_TABLE)),
    ("rocksdb.num-entries-imm-mem-tables", Property(properties::NUM_ENTRIES_IMM_MEM_TABLES)),
    ("rocksdb.num-files-at-level", FilesAtLevels),
    ("rocksdb.num-immutable-mem-table", Property(properties::NUM_IMMUTABLE_MEM_TABLE)),
    ("rocksdb.num-live-versions", Property(properties::NUM_LIVE_VERSIONS)),
    ("rocksdb.num-running-compactions", Property(properties::NUM_RUNNING_COMPACTIONS)),
    ("rocksdb.num-running-flushes", Property(properties::NUM_RUNNING_FLUSHES)),
    ("rocksdb.num-snapshots", Property(properties::NUM_SNAPSHOTS)),
    ("rocksdb.size-all-mem-tables", Property(properties::SIZE_ALL_MEM_TABLES)),
    ("rocksdb.stall-micros", Counter(Ticker::StallMicros)),
    ("rocksdb.total-sst-files-size", Property(properties::TOTAL_SST_FILES_SIZE)),
];
