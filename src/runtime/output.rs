use super::channel::{Element, Partitioner};
use super::error::TaskError;
use super::function::Collector;
use crossbeam_channel::Sender;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The output channels of a subtask, with a batch of records for each.
pub(super) struct Outputs<T> {
    senders: Vec<Sender<Element<T>>>,
    batches: Vec<Vec<T>>,
    partitioner: Partitioner<T>,
    batch_records: usize,
    emitted: Arc<AtomicU64>,
    /// Set once a receiver is gone: the attempt is being cancelled.
    closed: bool,
}

impl<T> Outputs<T> {
    pub(super) fn new(
        senders: Vec<Sender<Element<T>>>,
        partitioner: Partitioner<T>,
        batch_records: usize,
        emitted: Arc<AtomicU64>,
    ) -> Self {
        let batches = senders.iter().map(|_| Vec::with_capacity(batch_records)).collect();
        Outputs { senders, batches, partitioner, batch_records, emitted, closed: false }
    }

    /// Sends every batch that holds anything; waits while a channel is full.
    pub(super) fn flush(&mut self) -> Result<(), TaskError> {
        for index in 0..self.senders.len() {
            self.send_batch(index);
        }
        if self.closed { Err(TaskError::Cancelled) } else { Ok(()) }
    }

    /// Sends every batch, and then to each channel what `element` makes.
    pub(super) fn broadcast(&mut self, element: impl Fn() -> Element<T>) -> Result<(), TaskError> {
        self.flush()?;
        for sender in &self.senders {
            sender.send(element()).map_err(|_| TaskError::Cancelled)?;
        }
        Ok(())
    }

    fn send_batch(&mut self, index: usize) {
        if self.batches[index].is_empty() || self.closed {
            return;
        }
        let batch = std::mem::replace(&mut self.batches[index], Vec::with_capacity(self.batch_records));
        self.emitted.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.closed = self.senders[index].send(Element::Records(batch)).is_err();
    }
}

impl<T> Collector<T> for Outputs<T> {
    fn collect(&mut self, record: T) {
        let index = self.partitioner.select(&record);
        self.batches[index].push(record);
        if self.batches[index].len() >= self.batch_records {
            self.send_batch(index);
        }
    }
}
