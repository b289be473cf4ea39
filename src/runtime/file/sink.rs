use super::split::cannot_read;
use super::written::WrittenDirectories;
use crate::base::{Attempt, SubtaskId};
use crate::commit::TransactionId;
use crate::runtime::{Durability, Record, SubtaskContext, TransactionalSink, Unrecoverable, UserError};
use crate::state::OperatorStateBackend;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

const IN_PROGRESS: &str = ".inprogress";

/// Writes records as lines into files that appear, whole, when the checkpoint that covers them completes.
///
/// A transaction is a hidden file, `.part-<subtask>-<attempt>-<number>.inprogress`; to commit it is to rename
/// it to `part-<subtask>-<attempt>-<number>`. Transactions of a checkpoint that was taken with another directory are committed
/// there, unless they were moved into the present one.
pub struct FileSink<T, F> {
    directory: PathBuf,
    written: WrittenDirectories,
    subtask: SubtaskId,
    format: F,
    open: Option<(PathBuf, BufWriter<File>)>,
    line: Vec<u8>,
    records: PhantomData<fn(T)>,
}

impl<T, F> FileSink<T, F>
where
    F: FnMut(&T, &mut Vec<u8>) + Send,
{
    /// The instance of `context` of a sink into `directory`, which must exist; `format` appends a record's
    /// text, without the end of the line.
    pub fn new(context: SubtaskContext, directory: impl Into<PathBuf>, format: F) -> Self {
        FileSink {
            directory: directory.into(),
            written: WrittenDirectories::default(),
            subtask: context.subtask,
            format,
            open: None,
            line: Vec::new(),
            records: PhantomData,
        }
    }

    /// The transaction of this sink that a file's name stands for, of whichever subtask.
    fn parse(&self, name: &str) -> Option<TransactionId> {
        let numbers = name.strip_prefix(".part-")?.strip_suffix(IN_PROGRESS)?;
        let mut numbers = numbers.split('-');
        let index: u16 = numbers.next()?.parse().ok()?;
        let attempt = Attempt(numbers.next()?.parse().ok()?);
        let sequence = numbers.next()?.parse().ok()?;
        let subtask = SubtaskId { index, ..self.subtask };
        numbers.next().is_none().then_some(TransactionId { subtask, attempt, sequence })
    }
}

fn in_progress(directory: &Path, transaction: TransactionId) -> PathBuf {
    directory.join(format!(".part-{transaction}{IN_PROGRESS}"))
}

/// Makes a transaction visible; `false` if it is not in this directory.
fn commit_in(directory: &Path, transaction: TransactionId) -> Result<bool, UserError> {
    let to = directory.join(format!("part-{transaction}"));
    match fs::rename(in_progress(directory, transaction), &to) {
        Ok(()) => sync_directory(directory).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound && !to.exists() => Ok(false),
        // Whoever has renamed it may have died before this.
        Err(error) if error.kind() == ErrorKind::NotFound => sync_directory(directory).map(|()| true),
        Err(error) => Err(cannot_write(&to, error)),
    }
}

fn cannot_write(path: &Path, error: std::io::Error) -> UserError {
    format!("cannot write {}: {error}", path.display()).into()
}

fn sync_directory(directory: &Path) -> Result<(), UserError> {
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(|error| cannot_write(directory, error))
}

impl<T, F> TransactionalSink for FileSink<T, F>
where
    T: Record,
    F: FnMut(&T, &mut Vec<u8>) + Send,
{
    type In = T;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.written = WrittenDirectories::restore(state, &self.directory)?;
        Ok(())
    }

    fn unfinished(&mut self) -> Result<BTreeSet<TransactionId>, UserError> {
        let entries = fs::read_dir(&self.directory).map_err(|error| cannot_read(&self.directory, error))?;
        let mut found = BTreeSet::new();
        for entry in entries {
            let entry = entry.map_err(|error| cannot_read(&self.directory, error))?;
            found.extend(entry.file_name().to_str().and_then(|name| self.parse(name)));
        }
        Ok(found)
    }

    fn begin(&mut self, transaction: TransactionId) -> Result<(), UserError> {
        let path = in_progress(&self.directory, transaction);
        let file = File::create_new(&path).map_err(|error| cannot_write(&path, error))?;
        self.open = Some((path, BufWriter::with_capacity(256 * 1024, file)));
        Ok(())
    }

    fn write(&mut self, record: T) -> Result<(), UserError> {
        let Some((path, open)) = &mut self.open else { return Err("no transaction is open".into()) };
        self.line.clear();
        (self.format)(&record, &mut self.line);
        self.line.push(b'\n');
        open.write_all(&self.line).map_err(|error| cannot_write(path, error))
    }

    fn pre_commit(&mut self, _: TransactionId) -> Result<Durability, UserError> {
        let Some((path, open)) = self.open.take() else { return Err("no transaction is open".into()) };
        let file = open.into_inner().map_err(|error| cannot_write(&path, error.into_error()))?;
        let directory = self.directory.clone();
        Ok(Box::new(move || {
            file.sync_all().map_err(|error| cannot_write(&path, error))?;
            sync_directory(&directory)
        }))
    }

    fn commit(&mut self, transaction: TransactionId) -> Result<(), UserError> {
        let directories =
            || std::iter::once(self.directory.clone()).chain(self.written.besides(&self.directory));
        for directory in directories() {
            if commit_in(&directory, transaction)? {
                return Ok(());
            }
        }
        let what = format!(
            "output is lost: the checkpoint refers to .part-{transaction}{IN_PROGRESS}, which is not in {}, nor is \
             part-{transaction}; put the file back, or start again with an empty output directory",
            directories().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" nor in ")
        );
        Err(Unrecoverable(what).into())
    }

    fn roll_back(&mut self, transaction: TransactionId) -> Result<(), UserError> {
        let path = in_progress(&self.directory, transaction);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot_write(&path, error)),
            _ => Ok(()),
        }
    }
}
