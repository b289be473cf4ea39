//! What can be chosen, by Flink's names (`RocksDBOptions`, `RocksDBConfigurableOptions`). `docs/ROCKSDB.md` is the table.

use super::metrics::NativeMetrics;
use crate::configuration::value::{at_least, between, millis, one_of, ratio, size, truth};
use crate::configuration::{WrongOption, nearest};
use rocksdb::{DBCompactionStyle, DBCompressionType, LogLevel};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// With this begin the names of all options.
const PREFIX: &str = "state.backend.rocksdb.";

/// What was chosen, or is the default.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RocksDbOptions {
    pub(super) local_directories: Vec<PathBuf>,
    pub(super) memory: Memory,
    pub(super) background_jobs: i32,
    pub(super) subcompactions: u32,
    pub(super) open_files: i32,
    pub(super) log_level: Level,
    pub(super) log_file_bytes: usize,
    pub(super) log_files: usize,
    pub(super) compression: Vec<Compression>,
    pub(super) compaction: Compaction,
    pub(super) dynamic_level_size: bool,
    pub(super) target_file_bytes: u64,
    pub(super) level_base_bytes: u64,
    pub(super) write_buffer_bytes: usize,
    pub(super) write_buffers: i32,
    pub(super) write_buffers_to_merge: i32,
    pub(super) block_bytes: usize,
    pub(super) metadata_block_bytes: usize,
    pub(super) block_cache_bytes: usize,
    pub(super) use_bloom_filter: bool,
    pub(super) bloom_filter_bits: f64,
    pub(super) transfer_threads: usize,
    pub(super) overlap_fraction: f64,
    pub(super) periodic_compaction_millis: u64,
    pub(super) native_metrics: NativeMetrics,
}

/// How the memory of caches and write buffers is bounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Memory {
    /// Whether all instances of the process have one budget.
    pub(super) managed: bool,
    pub(super) bytes: u64,
    pub(super) write_buffer_ratio: f64,
    pub(super) partitioned_index_filters: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Snappy,
    Lz4,
    Zstd,
}

impl From<Compression> for DBCompressionType {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => DBCompressionType::None,
            Compression::Snappy => DBCompressionType::Snappy,
            Compression::Lz4 => DBCompressionType::Lz4,
            Compression::Zstd => DBCompressionType::Zstd,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compaction {
    Level,
    Universal,
    /// No file is ever compacted, and so nothing expires in the background.
    None,
}

impl Compaction {
    pub(super) fn style(self) -> DBCompactionStyle {
        match self {
            Compaction::Level | Compaction::None => DBCompactionStyle::Level,
            Compaction::Universal => DBCompactionStyle::Universal,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
    Header,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
            Level::Fatal => LogLevel::Fatal,
            Level::Header => LogLevel::Header,
        }
    }
}

impl Default for RocksDbOptions {
    fn default() -> Self {
        RocksDbOptions {
            local_directories: vec![std::env::temp_dir()],
            memory: Memory {
                managed: true,
                bytes: 256 << 20,
                write_buffer_ratio: 0.5,
                partitioned_index_filters: false,
            },
            background_jobs: 2,
            subcompactions: 1,
            open_files: -1,
            log_level: Level::Info,
            log_file_bytes: 25 << 20,
            log_files: 4,
            compression: vec![Compression::Snappy],
            compaction: Compaction::Level,
            dynamic_level_size: false,
            target_file_bytes: 64 << 20,
            level_base_bytes: 256 << 20,
            write_buffer_bytes: 64 << 20,
            write_buffers: 2,
            write_buffers_to_merge: 1,
            block_bytes: 4 << 10,
            metadata_block_bytes: 4 << 10,
            block_cache_bytes: 8 << 20,
            use_bloom_filter: false,
            bloom_filter_bits: 10.0,
            transfer_threads: 4,
            overlap_fraction: 0.0,
            periodic_compaction_millis: 30 * 86_400_000,
            native_metrics: NativeMetrics::default(),
        }
    }
}

/// The settings of Flink's `PredefinedOptions`.
#[derive(Clone, Copy)]
enum Predefined {
    Default,
    SpinningDiskOptimized,
    SpinningDiskOptimizedHighMemory,
    FlashSsdOptimized,
}

impl RocksDbOptions {
    /// Those of a configuration: what it says itself goes before what a predefined set says, and a number of bytes before a
    /// fraction. Options of other backends are passed over.
    pub(super) fn of(configuration: &BTreeMap<String, String>) -> Result<Self, WrongOption> {
        let (options, wrong) = RocksDbOptions::read(configuration);
        wrong.into_iter().next().map_or(Ok(options), Err)
    }

    /// The same, with defaults for those that are wrong, and all that is wrong.
    pub(super) fn read(configuration: &BTreeMap<String, String>) -> (Self, Vec<WrongOption>) {
        let (mut options, mut wrong) = (RocksDbOptions::default(), Vec::new());
        let mine =
            || configuration.iter().filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
        let (general, special): (Vec<_>, Vec<_>) =
            mine().partition(|(key, _)| matches!(*key, "predefined-options" | "memory.fraction"));
        for (key, value) in general.into_iter().chain(special) {
            if let Err(what) = options.set(key, value) {
                wrong.push(WrongOption { key: format!("{PREFIX}{key}"), value: value.clone(), what });
            }
        }
        (options, wrong)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let bytes = |text| {
            size(text).and_then(|bytes| usize::try_from(bytes).map_err(|_| "it is too large".to_owned()))
        };
        let some_bytes = |text| match bytes(text)? {
            0 => Err("it must be one byte at least".to_owned()),
            some => Ok(some),
        };
        match key {
            "predefined-options" => self.predefine(one_of(PREDEFINED, value)?),
            "localdir" => {
                let parts = value.split([',', ';']).map(str::trim).filter(|part| !part.is_empty());
                self.local_directories = parts.map(PathBuf::from).collect();
                if self.local_directories.is_empty() {
                    return Err("it must name a directory".to_owned());
                }
            }
            "memory.managed" => self.memory.managed = truth(value)?,
            "memory.fixed-per-tm" => {
                self.memory.bytes = some_bytes(value)? as u64;
                self.memory.managed = true;
            }
            "memory.fraction" => {
                self.memory.bytes = fraction_of(memory_bytes(), value)?;
                self.memory.managed = true;
            }
            "memory.write-buffer-ratio" => {
                self.memory.write_buffer_ratio = ratio(value)?;
                if self.memory.write_buffer_ratio == 0.0 {
                    return Err("it must be more than 0".to_owned());
                }
            }
            "memory.partitioned-index-filters" => self.memory.partitioned_index_filters = truth(value)?,
            "thread.num" => self.background_jobs = between(1, MAX_BACKGROUND_JOBS, value)?,
            "thread.subcompactions" => {
                self.subcompactions = between(1, MAX_BACKGROUND_JOBS, value)?.unsigned_abs();
            }
            "files.open" => self.open_files = at_least(-1, value)?,
            "log.level" => self.log_level = one_of(LEVELS, value)?,
            "log.max-file-size" => self.log_file_bytes = bytes(value)?,
            "log.file-num" => self.log_files = at_least(1, value)? as usize,
            "compression.per.level" => {
                let levels = value.split([',', ';']).map(compression).collect::<Result<Vec<_>, _>>()?;
                self.compression = levels;
            }
            "compaction.style" => self.compaction = one_of(COMPACTIONS, value)?,
            "compaction.level.use-dynamic-size" => self.dynamic_level_size = truth(value)?,
            "compaction.level.target-file-size-base" => self.target_file_bytes = some_bytes(value)? as u64,
            "compaction.level.max-size-level-base" => self.level_base_bytes = some_bytes(value)? as u64,
            "compaction.filter.periodic-compaction-time" => self.periodic_compaction_millis = millis(value)?,
            "writebuffer.size" => self.write_buffer_bytes = some_bytes(value)?,
            "writebuffer.count" => self.write_buffers = at_least(1, value)?,
            "writebuffer.number-to-merge" => self.write_buffers_to_merge = at_least(1, value)?,
            "block.blocksize" => self.block_bytes = some_bytes(value)?,
            "block.metadata-blocksize" => self.metadata_block_bytes = some_bytes(value)?,
            "block.cache-size" => self.block_cache_bytes = some_bytes(value)?,
            "use-bloom-filter" => self.use_bloom_filter = truth(value)?,
            "bloom-filter.bits-per-key" => {
                let bits = value.trim().parse::<f64>().ok().filter(|bits| (1.0..=64.0).contains(bits));
                self.bloom_filter_bits = bits.ok_or("it must be a number from 1 to 64")?;
            }
            "checkpoint.transfer.thread.num" => self.transfer_threads = at_least(1, value)? as usize,
            "restore-overlap-fraction-threshold" => self.overlap_fraction = ratio(value)?,
            _ => {
                let metric = key.strip_prefix("metrics.").ok_or_else(|| unknown(key))?;
                self.native_metrics.set(metric, value)?;
            }
        }
        Ok(())
    }

    fn predefine(&mut self, predefined: Predefined) {
        match predefined {
            Predefined::Default => {}
            Predefined::FlashSsdOptimized => self.background_jobs = 4,
            Predefined::SpinningDiskOptimized => {
                self.background_jobs = 4;
                self.dynamic_level_size = true;
            }
            Predefined::SpinningDiskOptimizedHighMemory => {
                self.background_jobs = 4;
                self.dynamic_level_size = true;
                self.target_file_bytes = 256 << 20;
                self.level_base_bytes = 1 << 30;
                self.write_buffers = 4;
                self.write_buffers_to_merge = 3;
                self.block_cache_bytes = 256 << 20;
                self.block_bytes = 128 << 10;
                self.use_bloom_filter = true;
            }
        }
    }
}

/// All options but those of metrics, without what they begin with.
const NAMES: &[&str] = &[
    "localdir",
    "predefined-options",
    "memory.managed",
    "memory.fixed-per-tm",
    "memory.fraction",
    "memory.write-buffer-ratio",
    "memory.partitioned-index-filters",
    "thread.num",
    "thread.subcompactions",
    "files.open",
    "log.level",
    "log.max-file-size",
    "log.file-num",
    "compression.per.level",
    "compaction.style",
    "compaction.level.use-dynamic-size",
    "compaction.level.target-file-size-base",
    "compaction.level.max-size-level-base",
    "compaction.filter.periodic-compaction-time",
    "writebuffer.size",
    "writebuffer.count",
    "writebuffer.number-to-merge",
    "block.blocksize",
    "block.metadata-blocksize",
    "block.cache-size",
    "use-bloom-filter",
    "bloom-filter.bits-per-key",
    "checkpoint.transfer.thread.num",
    "restore-overlap-fraction-threshold",
];

fn unknown(name: &str) -> String {
    match nearest(name, NAMES.iter().copied()) {
        Some(nearest) => format!("there is no such option; did you mean `{PREFIX}{nearest}`?"),
        None => "there is no such option".to_owned(),
    }
}

/// The most background jobs: RocksDB starts a thread for each, and a thread that cannot be started ends the process.
const MAX_BACKGROUND_JOBS: i32 = 1_024;

const PREDEFINED: &[(&str, Predefined)] = &[
    ("DEFAULT", Predefined::Default),
    ("SPINNING_DISK_OPTIMIZED", Predefined::SpinningDiskOptimized),
    ("SPINNING_DISK_OPTIMIZED_HIGH_MEM", Predefined::SpinningDiskOptimizedHighMemory),
    ("FLASH_SSD_OPTIMIZED", Predefined::FlashSsdOptimized),
];

const LEVELS: &[(&str, Level)] = &[
    ("DEBUG_LEVEL", Level::Debug),
    ("INFO_LEVEL", Level::Info),
    ("WARN_LEVEL", Level::Warn),
    ("ERROR_LEVEL", Level::Error),
    ("FATAL_LEVEL", Level::Fatal),
    ("HEADER_LEVEL", Level::Header),
];

const COMPACTIONS: &[(&str, Compaction)] =
    &[("LEVEL", Compaction::Level), ("UNIVERSAL", Compaction::Universal), ("NONE", Compaction::None)];

fn compression(name: &str) -> Result<Compression, String> {
    let all = [
        ("NO_COMPRESSION", Compression::None),
        ("SNAPPY_COMPRESSION", Compression::Snappy),
        ("LZ4_COMPRESSION", Compression::Lz4),
        ("ZSTD_COMPRESSION", Compression::Zstd),
    ];
    one_of(&all, name)
}

/// The memory that the process may take, in bytes: that of the machine, or of its control group if that has less.
fn memory_bytes() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    system.cgroup_limits().map_or(system.total_memory(), |limits| limits.total_memory)
}

fn fraction_of(bytes: u64, value: &str) -> Result<u64, String> {
    match (bytes as f64 * ratio(value)?) as u64 {
        0 if bytes == 0 => Err("the memory of this machine is not known".to_owned()),
        0 => Err("it must be more than 0".to_owned()),
        some => Ok(some),
    }
}

#[cfg(test)]
mod tests;
