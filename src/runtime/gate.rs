use super::channel::Element;
use super::error::TaskError;
use super::task::Control;
use crate::base::Channel;
use crossbeam_channel::{Receiver, Select, TryRecvError};

/// What a task gets next.
pub(super) enum Event<T> {
    Control(Control),
    Element(Channel, Element<T>),
}

/// The input channels of a subtask.
pub(super) struct Gate<T> {
    inputs: Vec<Receiver<Element<T>>>,
    /// Where the search for input begins, so that no channel starves.
    next: usize,
}

impl<T> Gate<T> {
    pub(super) fn new(inputs: Vec<Receiver<Element<T>>>) -> Self {
        Gate { inputs, next: 0 }
    }

    pub(super) fn channels(&self) -> u16 {
        self.inputs.len() as u16
    }

    /// What is there without waiting; control first. Channels for which `closed` holds are not read.
    pub(super) fn poll(
        &mut self,
        control: &Receiver<Control>,
        closed: impl Fn(Channel) -> bool,
    ) -> Result<Option<Event<T>>, TaskError> {
        if let Some(message) = try_receive(control)? {
            return Ok(Some(Event::Control(message)));
        }
        for offset in 0..self.inputs.len() {
            let index = (self.next + offset) % self.inputs.len();
            let channel = Channel(index as u16);
            if closed(channel) {
                continue;
            }
            if let Some(element) = try_receive(&self.inputs[index])? {
                self.next = index + 1;
                return Ok(Some(Event::Element(channel, element)));
            }
        }
        Ok(None)
    }

    /// Waits until [`poll`](Self::poll) would find something, or a channel has closed.
    pub(super) fn wait(&self, control: &Receiver<Control>, closed: impl Fn(Channel) -> bool) {
        let mut select = Select::new();
        select.recv(control);
        for (index, input) in self.inputs.iter().enumerate() {
            if !closed(Channel(index as u16)) {
                select.recv(input);
            }
        }
        select.ready();
    }
}

/// A channel that has closed belongs to someone who is gone: so is this attempt.
fn try_receive<M>(receiver: &Receiver<M>) -> Result<Option<M>, TaskError> {
    match receiver.try_recv() {
        Ok(message) => Ok(Some(message)),
        Err(TryRecvError::Empty) => Ok(None),
        Err(TryRecvError::Disconnected) => Err(TaskError::Cancelled),
    }
}
