//! One instance of RocksDB in its working directory.

use super::directory::WorkingDirectory;
use super::error::RocksDbError;
use super::expiry::Expiry;
use super::family::Families;
use super::memory::SharedMemory;
use super::metrics::NativeMetrics;
use super::options::RocksDbOptions;
use crate::keygroup::KeyGroupRange;
use crate::state::backend::EachEntry;
use rocksdb::{
    BoundColumnFamily, ColumnFamilyDescriptor, DBRawIteratorWithThreadMode, DBWithThreadMode, MultiThreaded,
    Options, ReadOptions, WriteBatch, properties, statistics::StatsLevel,
};
use self_cell::self_cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The handle of RocksDB, to which families can be added while others use it.
pub(super) type Db = DBWithThreadMode<MultiThreaded>;

/// An instance. When nobody uses it any more, its directory goes.
pub(super) struct Database {
    // It is dropped before what it lies in.
    pub(super) db: Db,
    pub(super) directory: WorkingDirectory,
    pub(super) families: Families,
    pub(super) key_groups: KeyGroupRange,
    /// The options it was opened with, if RocksDB counts: what it has counted is read from them.
    pub(super) statistics: Option<Options>,
    /// The names of the families of states that there are.
    names: Mutex<BTreeSet<String>>,
}

impl Database {
    /// Opens what lies in the database's place in `directory`, or begins a new one, with those families.
    pub(super) fn open(
        directory: WorkingDirectory,
        options: &RocksDbOptions,
        key_groups: KeyGroupRange,
        expiries: &BTreeMap<String, Expiry>,
    ) -> Result<Self, RocksDbError> {
        let memory = SharedMemory::of(options.memory);
        let families = Families::new(options, memory.clone());
        let descriptors = expiries.iter().map(|(family, expiry)| families.descriptor(family, expiry));
        let mut of_database = database_options(options, memory.as_deref());
        let counts = options.native_metrics.has_tickers();
        if counts {
            of_database.enable_statistics();
            of_database.set_statistics_level(StatsLevel::ExceptHistogramOrTimers);
        }
        let db = open(&directory.database(), &mut of_database, descriptors.collect())?;
        let statistics = counts.then_some(of_database);
        let names = Mutex::new(expiries.keys().cloned().collect());
        Ok(Database { db, directory, families, key_groups, statistics, names })
    }

    pub(super) fn failed(&self, operation: &'static str) -> impl Fn(rocksdb::Error) -> RocksDbError {
        move |error| RocksDbError::new(operation, self.directory.path(), error)
    }

    pub(super) fn family(&self, name: &str) -> Result<Arc<BoundColumnFamily<'_>>, RocksDbError> {
        let missing = || RocksDbError::new("find a column family", self.directory.path(), name);
        self.db.cf_handle(name).ok_or_else(missing)
    }

    pub(super) fn create_family(&self, name: &str, expiry: &Expiry) -> Result<(), RocksDbError> {
        let created = self.db.create_cf(name, &self.families.options(expiry));
        created.map_err(self.failed("create a column family"))?;
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Ok(())
    }

    pub(super) fn drop_family(&self, name: &str) -> Result<(), RocksDbError> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.db.drop_cf(name).map_err(self.failed("drop a column family"))
    }

    /// The names of the families of states that there are.
    pub(super) fn names(&self) -> Vec<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn native_metrics(&self) -> &NativeMetrics {
        self.families.native_metrics()
    }

    /// Whether its write buffers are in that memory.
    pub(super) fn shares(&self, memory: &SharedMemory) -> bool {
        self.families.memory.as_deref().is_some_and(|mine| std::ptr::eq(mine, memory))
    }

    /// How much of a family is in memory and can be flushed. Of one that is gone it is nothing.
    pub(super) fn bytes_in_write_buffers(&self, name: &str) -> u64 {
        let family = self.db.cf_handle(name);
        let bytes =
            family.map(|family| self.db.property_int_value_cf(&family, properties::CUR_SIZE_ALL_MEM_TABLES));
        bytes.and_then(Result::ok).flatten().unwrap_or(0)
    }

    /// Writes what is in memory of a family to a file.
    pub(super) fn flush(&self, name: &str) -> Result<(), RocksDbError> {
        self.db.flush_cf(&self.family(name)?).map_err(self.failed("flush a write buffer"))
    }

    /// Waits until write buffers have room in the memory that they share.
    #[inline]
    pub(super) fn wait_for_room(&self) {
        if let Some(memory) = &self.families.memory {
            memory.wait_for_room();
        }
    }

    /// At most so many bytes have all values of a family together.
    pub(super) fn bytes_of_values(&self, family: &str) -> Result<u64, RocksDbError> {
        let family = self.family(family)?;
        let failed = self.failed("ask how much there is");
        // What is flushed in between counts twice.
        let buffers =
            self.db.property_int_value_cf(&family, properties::SIZE_ALL_MEM_TABLES).map_err(&failed)?;
        let tables =
            self.db.property_value_cf(&family, properties::AGGREGATED_TABLE_PROPERTIES).map_err(&failed)?;
        let tables = tables.as_deref().and_then(raw_value_bytes);
        Ok(buffers.zip(tables).map_or(u64::MAX, |(buffers, tables)| buffers.saturating_add(tables)))
    }

    /// Deletes the entries of a family whose key groups have the bytes from `from` on and before `to`. Snapshots still have
    /// them.
    pub(super) fn delete_range(
        &self,
        family: &Arc<BoundColumnFamily<'_>>,
        from: [u8; 2],
        to: [u8; 2],
    ) -> Result<(), RocksDbError> {
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(family, from, to);
        self.db.write_without_wal(batch).map_err(self.failed("delete key groups"))
    }

    /// The families of these names.
    pub(super) fn families<'a>(
        self: &'a Arc<Self>,
        names: &[String],
    ) -> Result<Vec<Arc<BoundColumnFamily<'a>>>, RocksDbError> {
        names.iter().map(|name| self.family(name)).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // What is only being compacted will be removed.
        self.db.cancel_all_background_work(true);
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// The bytes of all values in what RocksDB says about tables.
fn raw_value_bytes(properties: &str) -> Option<u64> {
    let value = properties.split(';').find_map(|one| one.trim().strip_prefix("raw value size="))?;
    value.trim().parse().ok()
}

/// Opens an instance.
fn open(
    path: &Path,
    options: &mut Options,
    descriptors: Vec<ColumnFamilyDescriptor>,
) -> Result<Db, RocksDbError> {
    options.create_if_missing(true);
    let descriptors = with_default(descriptors);
    Db::open_cf_descriptors(options, path, descriptors)
        .map_err(|error| RocksDbError::new("open its files", path, error))
}

/// Opens what another instance has left, to be read only.
pub(super) fn open_to_read(
    path: &Path,
    chosen: &RocksDbOptions,
    families: &Families,
    names: &[String],
) -> Result<Db, RocksDbError> {
    let expires_not = Expiry::default();
    let descriptors = names.iter().map(|name| families.descriptor(name, &expires_not)).collect();
    Db::open_cf_descriptors_read_only(&database_options(chosen, None), path, with_default(descriptors), false)
        .map_err(|error| RocksDbError::new("open the files of another instance", path, error))
}

/// The families that an instance has left.
pub(super) fn families_in(path: &Path) -> Result<Vec<String>, RocksDbError> {
    Db::list_cf(&Options::default(), path)
        .map_err(|error| RocksDbError::new("read which states its files hold", path, error))
}

/// Nothing is ever in the family that there always is: it needs no memory.
fn with_default(mut descriptors: Vec<ColumnFamilyDescriptor>) -> Vec<ColumnFamilyDescriptor> {
    let mut options = Options::default();
    options.set_write_buffer_size(64 << 10);
    options.set_arena_block_size(4 << 10);
    descriptors.push(ColumnFamilyDescriptor::new("default", options));
    descriptors
}

fn database_options(chosen: &RocksDbOptions, memory: Option<&SharedMemory>) -> Options {
    let mut options = Options::default();
    options.set_max_background_jobs(chosen.background_jobs);
    options.set_max_subcompactions(chosen.subcompactions);
    options.set_max_open_files(chosen.open_files);
    options.set_log_level(chosen.log_level.into());
    options.set_max_log_file_size(chosen.log_file_bytes);
    options.set_keep_log_file_num(chosen.log_files);
    // It goes with every checkpoint.
    options.set_max_manifest_file_size(1 << 20);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    // Nothing survives the process but what a checkpoint has elsewhere.
    options.set_use_fsync(false);
    if let Some(memory) = memory {
        options.set_write_buffer_manager(&memory.write_buffers);
    }
    options
}

type BoundFamilies<'a> = Vec<Arc<BoundColumnFamily<'a>>>;

self_cell!(
    /// The families of the states, by their numbers: to find them by name costs as much as an access.
    pub(super) struct StateFamilies {
        owner: Arc<Database>,
        #[covariant]
        dependent: BoundFamilies,
    }
);

impl StateFamilies {
    pub(super) fn of(database: &Arc<Database>, names: &[String]) -> Result<Self, RocksDbError> {
        StateFamilies::try_new(Arc::clone(database), |database| database.families(names))
    }
}

/// What begins with a prefix, in a family.
pub(super) fn range_of(prefix: &[u8]) -> ReadOptions {
    let mut options = ReadOptions::default();
    if !prefix.is_empty() {
        options.set_iterate_lower_bound(prefix);
    }
    if let Some(end) = super::family::end_of(prefix) {
        options.set_iterate_upper_bound(end);
    }
    options
}

/// Goes over all that the options leave, until `each` breaks off.
pub(super) fn visit(
    mut iterator: DBRawIteratorWithThreadMode<'_, Db>,
    each: &mut EachEntry<'_>,
) -> Result<(), rocksdb::Error> {
    iterator.seek_to_first();
    while let Some((key, value)) = iterator.item() {
        if each(key, value).is_break() {
            return Ok(());
        }
        iterator.next();
    }
    iterator.status()
}

/// The entries one by one.
pub(super) struct Scan<'a> {
    iterator: DBRawIteratorWithThreadMode<'a, Db>,
    directory: PathBuf,
    has_ended: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(mut iterator: DBRawIteratorWithThreadMode<'a, Db>, database: &Database) -> Self {
        iterator.seek_to_first();
        Scan { iterator, directory: database.directory.path().to_owned(), has_ended: false }
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<crate::state::backend::Entry, crate::state::backend::BackendError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        if let Some((key, value)) = self.iterator.item() {
            let entry = (key.to_vec(), value.to_vec());
            self.iterator.next();
            return Some(Ok(entry));
        }
        self.has_ended = true;
        let status = self.iterator.status();
        let failed = |error| RocksDbError::new("scan", &self.directory, error);
        status.err().map(|error| Err(failed(error).into()))
    }
}
