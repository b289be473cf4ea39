//! Entries that come in their order are written as tables, which an instance takes in as they are: that is faster than to write
//! each entry to it, and leaves less to be compacted.

#![allow(clippy::disallowed_methods)]

use super::database::Database;
use super::error::RocksDbError;
use rocksdb::{BoundColumnFamily, IngestExternalFileOptions, Options, SstFileWriter};
use std::path::PathBuf;
use std::sync::Arc;

/// Writes tables for one family.
pub(super) struct Ingestion<'a> {
    database: &'a Database,
    options: &'a Options,
    target_bytes: u64,
    /// What is being written.
    writer: Option<SstFileWriter<'a>>,
    /// Where, and what was written before.
    files: Vec<PathBuf>,
}

impl<'a> Ingestion<'a> {
    /// Nothing, to be written with the options of the family, in tables of about `target_bytes`.
    pub(super) fn new(database: &'a Database, options: &'a Options, target_bytes: u64) -> Self {
        Ingestion { database, options, target_bytes, writer: None, files: Vec::new() }
    }

    /// Adds an entry behind all others.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), RocksDbError> {
        let failed = self.database.failed("write a table");
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let file = self.database.directory.path().join(format!("table-{}", self.files.len()));
                let writer = SstFileWriter::create(self.options);
                writer.open(&file).map_err(&failed)?;
                self.files.push(file);
                self.writer.insert(writer)
            }
        };
        writer.put(key, value).map_err(&failed)?;
        if writer.file_size() >= self.target_bytes {
            self.finish_table()?;
        }
        Ok(())
    }

    fn finish_table(&mut self) -> Result<(), RocksDbError> {
        match self.writer.take() {
            Some(mut writer) => writer.finish().map_err(self.database.failed("write a table")),
            None => Ok(()),
        }
    }

    /// Makes all that was added part of the family, which has none of it yet.
    pub(super) fn finish(mut self, family: &Arc<BoundColumnFamily<'_>>) -> Result<(), RocksDbError> {
        self.finish_table()?;
        if self.files.is_empty() {
            return Ok(());
        }
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        let ingested = self.database.db.ingest_external_file_cf_opts(family, &options, self.files);
        ingested.map_err(self.database.failed("take in tables"))
    }
}
