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
    ///
    /// A receiver that is gone keeps nothing from the others: when a job ends, some finish before others, and a
    /// channel that closes without its end would look like a failure.
    pub(super) fn broadcast(&mut self, element: impl Fn() -> Element<T>) -> Result<(), TaskError> {
        let mut end = self.flush();
        for sender in &self.senders {
            if sender.send(element()).is_err() {
                end = Err(TaskError::Cancelled);
            }
        }
        end
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

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;

    #[test]
    fn output_receiver_that_is_gone_keeps_nothing_from_the_others() {
        let (senders, mut receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| bounded(1)).unzip();
        let mut outputs = Outputs::<u8>::new(senders, Partitioner::Forward, 1, Arc::default());
        drop(receivers.remove(0));
        assert!(outputs.broadcast(|| Element::ChannelEnd).is_err());
        for receiver in receivers {
            assert!(matches!(receiver.try_recv(), Ok(Element::ChannelEnd)));
        }
    }
}
