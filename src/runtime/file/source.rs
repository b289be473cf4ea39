use super::split::{FileSplit, cannot_read, file_length};
use crate::runtime::{
    Collector, Record, SourceCollector, SourceFunction, SourceStatus, SubtaskContext, Unrecoverable,
    UserError,
};
use crate::state::{ListStateDescriptor, OperatorListState, OperatorStateBackend};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::marker::PhantomData;
use std::path::Path;

/// How many bytes of lines one poll reads, about.
const POLL_BYTES: u64 = 32 * 1024;
/// The longest line that is accepted.
const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// A split and how far it has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    split: FileSplit,
    /// The first byte of the next line; `None` before the first one was looked for.
    next: Option<u64>,
}

/// The positions of the splits. The id of their type stays when its module is renamed.
fn positions() -> ListStateDescriptor<Position> {
    ListStateDescriptor::new("positions").with_type_id("FileSource::Position")
}

struct Open {
    reader: BufReader<File>,
    position: Position,
}

/// Reads text files line by line. Its position, to the byte, is operator state.
///
/// Split `n` of all splits is read by subtask `n % parallelism`, one after the other. With another parallelism than before, what is
/// left of the splits is divided anew: where event time goes on from file to file, records may come behind the watermark then.
pub struct FileSource<T, P> {
    assigned: Vec<FileSplit>,
    parse: P,
    state: Option<OperatorListState<Position>>,
    waiting: VecDeque<Position>,
    open: Option<Open>,
    line: Vec<u8>,
    records: PhantomData<fn() -> T>,
}

/// Where a line stands, for error messages.
#[derive(Clone, Copy, Debug)]
pub struct LineAt<'a> {
    /// The file.
    pub path: &'a Path,
    /// The line's first byte.
    pub offset: u64,
}

impl<T, P> FileSource<T, P>
where
    P: FnMut(&[u8], LineAt<'_>, &mut dyn Collector<T>) -> Result<(), UserError> + Send,
{
    /// The instance of `context` of a source over `splits`; `parse` turns a line, without its end, into records.
    pub fn new(context: SubtaskContext, splits: &[FileSplit], parse: P) -> Self {
        let (index, parallelism) = (usize::from(context.subtask.index), usize::from(context.parallelism));
        let assigned = splits.iter().skip(index).step_by(parallelism.max(1)).cloned().collect();
        FileSource {
            assigned,
            parse,
            state: None,
            waiting: VecDeque::new(),
            open: None,
            line: Vec::new(),
            records: PhantomData,
        }
    }
}

/// Opens the split at its position; `None` when no line begins in what is left of it.
fn open(mut position: Position) -> Result<Option<Open>, UserError> {
    let FileSplit { path, start, file_bytes, .. } = &position.split;
    let found = file_length(path)?;
    if found < *file_bytes {
        let what = format!(
            "{} has {found} bytes, but had {file_bytes} when the job began; put the original file back",
            path.display()
        );
        return Err(Unrecoverable(what).into());
    }
    let error = |error| cannot_read(path, error);
    let mut reader = BufReader::with_capacity(256 * 1024, File::open(path).map_err(error)?);
    let next = match position.next {
        Some(next) => next,
        None if *start == 0 => 0,
        // A line begins here only if the byte before ends one.
        None => {
            reader.seek(SeekFrom::Start(start - 1)).map_err(error)?;
            start - 1 + skip_line(&mut reader).map_err(error)?
        }
    };
    reader.seek(SeekFrom::Start(next)).map_err(error)?;
    position.next = Some(next);
    Ok((next < position.split.end).then_some(Open { reader, position }))
}

/// Skips to the end of the line, and says over how many bytes.
fn skip_line(reader: &mut impl BufRead) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(skipped);
        }
        let (length, found) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), false),
        };
        reader.consume(length);
        skipped += length as u64;
        if found {
            return Ok(skipped);
        }
    }
}

impl<T, P> SourceFunction for FileSource<T, P>
where
    T: Record,
    P: FnMut(&[u8], LineAt<'_>, &mut dyn Collector<T>) -> Result<(), UserError> + Send,
{
    type Out = T;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let positions = state.list_state(&positions())?;
        self.waiting = match state.is_restored() {
            true => {
                // As they would have been dealt out at the beginning, whoever had them.
                let mut restored = positions.get(state)?.to_vec();
                restored.sort_by(|one, other| one.split.cmp(&other.split));
                restored.into()
            }
            false => self.assigned.drain(..).map(|split| Position { split, next: None }).collect(),
        };
        self.state = Some(positions);
        Ok(())
    }

    fn poll(&mut self, out: &mut dyn SourceCollector<T>) -> Result<SourceStatus, UserError> {
        let Some(current) = &mut self.open else {
            return match self.waiting.pop_front() {
                Some(position) => {
                    self.open = open(position)?;
                    Ok(SourceStatus::MoreAvailable)
                }
                None => Ok(SourceStatus::EndOfInput),
            };
        };
        let Open { reader, position } = current;
        let path = &position.split.path;
        let mut next = position.next.unwrap_or(position.split.start);
        let enough = next + POLL_BYTES;
        while next < position.split.end.min(enough) {
            self.line.clear();
            let mut limited = reader.by_ref().take(MAX_LINE_BYTES);
            let read =
                limited.read_until(b'\n', &mut self.line).map_err(|error| cannot_read(path, error))? as u64;
            if read == MAX_LINE_BYTES {
                let what = format!("{} has a line of over {read} bytes at byte {next}", path.display());
                return Err(Unrecoverable(what).into());
            }
            if read == 0 {
                let end = position.split.end;
                let what = format!(
                    "{} ends at byte {next} and had data up to byte {end} when the job began; put the \
                     original file back",
                    path.display()
                );
                return Err(Unrecoverable(what).into());
            }
            let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
            (self.parse)(line, LineAt { path, offset: next }, out)?;
            next += read;
        }
        position.next = Some(next);
        if next >= position.split.end {
            self.open = None;
        }
        Ok(SourceStatus::MoreAvailable)
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let open = self.open.iter().map(|open| &open.position);
        let positions = open.chain(&self.waiting).cloned().collect();
        if let Some(handle) = self.state {
            handle.update(state, positions)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn file_source_positions_are_found_again_wherever_their_type_is_defined() {
        assert_eq!(super::positions().serializer().snapshot().id, "FileSource::Position");
    }
}
