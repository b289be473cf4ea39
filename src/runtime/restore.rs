//! What a subtask starts from.

use super::SubtaskContext;
use super::builder::Job;
use super::error::TaskError;
use super::incremental::IncrementalUploads;
use super::subtask_state::SubtaskState;
use super::task::Environment;
use crate::base::{Channel, SharedObject, StateHandle, SubtaskId};
use crate::coordinator::{Edge, Restore};
use crate::inspection::StoredFiles;
use crate::keygroup::KeyGroupRange;
use crate::rescale::{
    Distribution, NewNeighbours, OperatorAssignment, StateAssignment, StateMisfit, SubtaskProgress,
    check_all_took_in_the_same,
};
use crate::shared::incremental::{Config, Restored};
use crate::state::backend::BackendFile;
use crate::state::{
    CapturedRecords, ChannelSide, ChannelState, KeyedImage, OperatorImage, OperatorStateBackend,
    SnapshotImage, StateError,
};
use crate::store::CheckpointStorage;
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

/// From which files a subtask is restored, and where they lie.
#[derive(Clone)]
pub(super) struct RestoredFrom {
    storage: Arc<dyn CheckpointStorage>,
    /// Whether there is a checkpoint that has this operator.
    is_restored: bool,
    /// Whether the operator had another number of subtasks.
    is_rescaled: bool,
    /// The state files of all subtasks that the operator had, by their index.
    states: Vec<Option<StateHandle>>,
    /// Which of them had not finished.
    unfinished: BTreeSet<u16>,
    /// Which of them had key groups of this one.
    keyed_sources: Vec<u16>,
    /// The shared files of those.
    shared: BTreeSet<SharedObject>,
    inputs: Vec<RestoredInput>,
    /// Whether the receivers get what this subtask had not sent.
    outputs_are_handed_out: bool,
    new_neighbours: NewNeighbours,
    /// Whether the job's own checkpoints may refer to the shared files.
    is_shared_with_job: bool,
}

/// The records that were on their way over one input of the operator, in the order of its gate.
#[derive(Clone)]
struct RestoredInput {
    /// Whether either end has another parallelism, so that the receivers get everything.
    is_rescaled: bool,
    /// The old subtasks whose records this one takes over.
    receivers: Vec<u16>,
    /// Old subtasks that must have had as many records ahead of them as those.
    must_agree: Vec<u16>,
    /// The state files of those who sent, by their index.
    senders: Vec<Option<StateHandle>>,
    /// Whether each sent to the receiver of the same index alone.
    is_one_to_one: bool,
    /// The channels that each receiver has now.
    channels: u16,
}

impl RestoredInput {
    /// What was on its way to an old subtask, channel by channel, whose first one was `before` and is `now`.
    fn ahead_of(
        &self,
        receiver: u16,
        arrived: &ChannelState,
        senders: &[ChannelState],
        before: u16,
        now: u16,
    ) -> Vec<HandedOut> {
        let (sending, output) = match self.is_one_to_one {
            true => (receiver..receiver + 1, Channel(0)),
            false => (0..self.senders.len() as u16, Channel(receiver)),
        };
        let channel = |(place, sender): (u16, u16)| {
            let unsent = senders.get(usize::from(sender)).map(|sender| sender.channels(ChannelSide::Output));
            HandedOut {
                // Any of the new channels will do, if they are others than before.
                channel: Channel(now + if self.is_rescaled { 0 } else { place }),
                received: arrived.channels(ChannelSide::Input).get(&Channel(before + place)).cloned(),
                unsent: unsent.and_then(|unsent| unsent.get(&output)).cloned(),
            }
        };
        (0..).zip(sending).map(channel).collect()
    }
}

/// Records that were on their way to an old subtask, over one channel.
pub(super) struct HandedOut {
    /// The channel in which they come now.
    pub(super) channel: Channel,
    /// Those that had arrived.
    pub(super) received: Option<CapturedRecords>,
    /// Those that the sender still had.
    pub(super) unsent: Option<CapturedRecords>,
}

impl HandedOut {
    fn count(&self) -> u64 {
        self.received.iter().chain(&self.unsent).map(CapturedRecords::count).sum()
    }
}

impl RestoredFrom {
    /// Nothing at all.
    pub(super) fn nothing(storage: Arc<dyn CheckpointStorage>) -> Self {
        RestoredFrom {
            storage,
            is_restored: false,
            is_rescaled: false,
            states: Vec::new(),
            unfinished: BTreeSet::new(),
            keyed_sources: Vec::new(),
            shared: BTreeSet::new(),
            inputs: Vec::new(),
            outputs_are_handed_out: false,
            new_neighbours: NewNeighbours::default(),
            is_shared_with_job: true,
        }
    }

    /// The same from a checkpoint that was given, of which the coordinator was told this.
    pub(super) fn of_another_job(self, told: &Restore) -> Self {
        RestoredFrom { is_shared_with_job: !told.checkpoint.shared.is_empty(), ..self }
    }

    /// What a subtask gets of a checkpoint.
    pub(super) fn assign(mut self, assignment: &StateAssignment, job: &Job, subtask: SubtaskId) -> Self {
        let operator = |number: u16| assignment.operators.get(usize::from(number));
        let spec = job.operators.get(usize::from(subtask.operator));
        let (Some(assigned), Some(spec)) = (operator(subtask.operator), spec) else { return self };
        let is_rescaled = |number| operator(number).is_some_and(OperatorAssignment::is_rescaled);
        let inputs = job.edges.iter().filter(|edge| edge.to == subtask.operator).zip(spec.kind.inputs());
        let restored_input = |(edge, distribution): (&Edge, &Distribution)| {
            let sender = operator(edge.from);
            let states =
                sender.and_then(|sender| sender.restored.as_ref()).map(|sender| sender.states.clone());
            let is_one_to_one = *distribution == Distribution::OneToOne;
            RestoredInput {
                is_rescaled: is_rescaled(edge.from) || assigned.is_rescaled(),
                receivers: assigned.receivers_before(subtask.index, *distribution),
                must_agree: assigned.must_agree(subtask.index, *distribution, is_rescaled(edge.from)),
                senders: states.unwrap_or_default(),
                is_one_to_one,
                channels: match sender {
                    Some(sender) if !is_one_to_one => sender.operator.parallelism,
                    _ => 1,
                },
            }
        };
        self.inputs = inputs.map(restored_input).collect();
        let mut outputs = job.edges.iter().filter(|edge| edge.from == subtask.operator);
        self.outputs_are_handed_out = assigned.is_rescaled() || outputs.any(|edge| is_rescaled(edge.to));
        let edges: Vec<_> = job.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        self.new_neighbours = assignment.new_neighbours(subtask.operator, &edges);
        self.is_rescaled = assigned.is_rescaled();
        self.keyed_sources = assigned.keyed_sources(subtask.index);
        self.shared = assigned.shared_objects(subtask.index);
        if let Some(restored) = &assigned.restored {
            self.is_restored = true;
            self.states.clone_from(&restored.states);
            self.unfinished.clone_from(&restored.unfinished);
        }
        self
    }

    fn state_of(&self, index: u16) -> Option<&StateHandle> {
        self.states.get(usize::from(index))?.as_ref()
    }
}

/// What was restored of a subtask, its own or its share.
pub(super) struct RestoredState {
    /// The keyed state of those who had key groups of this subtask.
    pub(super) keyed: Vec<KeyedImage>,
    pub(super) operator: OperatorStateBackend,
    /// The records that were on their way from and to this subtask.
    pub(super) channels: ChannelState,
    /// Those that were on their way to others, or by other channels.
    pub(super) handed_out: Vec<HandedOut>,
    /// How far the subtask had come.
    pub(super) subtask: SubtaskState,
}

impl Environment {
    /// Reads the state from which this subtask is restored: its own, or its share of what all had. Of keyed state it keeps the
    /// key groups in `range`.
    pub(super) fn restore(&self, range: Option<KeyGroupRange>) -> Result<RestoredState, TaskError> {
        let from = &self.restored;
        let mut restored = if from.is_rescaled { self.share(range)? } else { self.own()? };
        restored.operator = restored.operator.with_restored(from.is_restored);
        self.refuse_records_between_others()?;
        if from.inputs.iter().any(|input| input.is_rescaled) {
            restored.handed_out = self.handed_out()?;
            restored.channels = restored.channels.of(ChannelSide::Output);
        }
        if from.outputs_are_handed_out {
            restored.channels = restored.channels.of(ChannelSide::Input);
        }
        Ok(restored)
    }

    /// Refuses records that were on their way between this operator and one that is not there any more.
    fn refuse_records_between_others(&self) -> Result<(), TaskError> {
        let from = &self.restored;
        if !from.new_neighbours.are_any() {
            return Ok(());
        }
        // Each old subtask is looked at by one new one.
        let SubtaskContext { subtask, parallelism, .. } = self.context;
        let all = 0..from.states.len() as u16;
        for old in all.filter(|old| old.checked_rem(parallelism) == Some(subtask.index)) {
            let channels = self.in_flight(from.state_of(old))?;
            let count = |side| channels.channels(side).values().map(CapturedRecords::count).sum();
            from.new_neighbours.check(count(ChannelSide::Input), count(ChannelSide::Output))?;
        }
        Ok(())
    }

    /// The records that were on their way over all inputs, of which one at least is not what it was.
    fn handed_out(&self) -> Result<Vec<HandedOut>, TaskError> {
        let (mut handed_out, mut before, mut now) = (Vec::new(), 0, 0);
        for input in &self.restored.inputs {
            self.handed_out_over(input, before, now, &mut handed_out)?;
            before += if input.is_one_to_one { 1 } else { input.senders.len() as u16 };
            now += input.channels;
        }
        Ok(handed_out)
    }

    /// The same over one input, whose first channel was `before` and is `now`.
    fn handed_out_over(
        &self,
        input: &RestoredInput,
        before: u16,
        now: u16,
        handed_out: &mut Vec<HandedOut>,
    ) -> Result<(), TaskError> {
        // Where nothing has changed, the senders send what they had themselves.
        let senders =
            input.senders.iter().filter(|_| input.is_rescaled).map(|handle| self.in_flight(handle.as_ref()));
        let senders: Vec<ChannelState> = senders.collect::<Result<_, _>>()?;
        let mut ahead = Vec::new();
        let others = input.must_agree.iter().filter(|other| !input.receivers.contains(other));
        for receiver in input.receivers.iter().chain(others) {
            let arrived = self.in_flight(self.restored.state_of(*receiver))?;
            let channels = input.ahead_of(*receiver, &arrived, &senders, before, now);
            ahead.push(channels.iter().map(HandedOut::count).collect());
            if input.receivers.contains(receiver) {
                handed_out.extend(channels.into_iter().filter(|channel| channel.count() > 0));
            }
        }
        if !input.must_agree.is_empty() {
            check_all_took_in_the_same(&ahead)?;
        }
        Ok(())
    }

    fn in_flight(&self, handle: Option<&StateHandle>) -> Result<ChannelState, TaskError> {
        match handle {
            Some(handle) => self.read(handle, ChannelState::read_from_file),
            None => Ok(ChannelState::default()),
        }
    }

    fn own(&self) -> Result<RestoredState, TaskError> {
        let mut image = match self.restored.state_of(self.context.subtask.index) {
            Some(handle) => self.read(handle, |reader| SnapshotImage::read_from(reader, None))?,
            None => SnapshotImage::default(),
        };
        if !image.operator.is_split() || self.own_file().is_none() {
            image.operator = self.redistributed(image.operator)?;
        }
        let mut operator = OperatorStateBackend::restore(image.operator);
        let subtask = SubtaskState::open(&mut operator).map_err(|error| self.open_error(error))?;
        let keyed = image.keyed.into_iter().collect();
        Ok(RestoredState { keyed, operator, channels: image.channels, handed_out: Vec::new(), subtask })
    }

    /// The same at another parallelism.
    fn share(&self, range: Option<KeyGroupRange>) -> Result<RestoredState, TaskError> {
        let from = &self.restored;
        let (mut keyed, mut operators, mut subtasks) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..from.states.len() as u16 {
            let mut operator = OperatorImage::default();
            if let Some(handle) = from.state_of(index) {
                if range.is_some() && from.keyed_sources.contains(&index) {
                    let image = self.read(handle, |reader| SnapshotImage::read_from(reader, range))?;
                    operator = image.operator;
                    keyed.extend(image.keyed);
                } else {
                    operator = self.read(handle, OperatorImage::read_from)?;
                }
            }
            if from.unfinished.contains(&index) {
                let mut backend = OperatorStateBackend::restore(operator.clone());
                let old = SubtaskState::open(&mut backend).map_err(|error| self.open_error(error))?;
                subtasks.push(old.progress);
            }
            operators.push(operator);
        }
        let SubtaskContext { subtask, parallelism, .. } = self.context;
        let operator = OperatorImage::redistributed(&operators, parallelism, subtask.index);
        let mut operator = OperatorStateBackend::restore(operator.map_err(|error| self.open_error(error))?);
        let mut subtask = SubtaskState::open(&mut operator).map_err(|error| self.open_error(error))?;
        subtask.progress = SubtaskProgress::of_any(&subtasks)?;
        Ok(RestoredState {
            keyed,
            operator,
            channels: ChannelState::default(),
            handed_out: Vec::new(),
            subtask,
        })
    }

    /// Remembers the checksums of the files that hold the keyed state, for checkpoints that refer to them.
    pub(super) fn remember_checksums(&mut self, keyed: &[KeyedImage]) {
        let files = keyed.iter().filter_map(|keyed| keyed.files.as_ref()).flat_map(|files| &files.files);
        self.restored_checksums = files.filter_map(BackendFile::shared).collect();
    }

    /// The shared files from which this subtask is restored.
    pub(super) fn stored_files(&self) -> StoredFiles {
        let RestoredFrom { storage, shared, .. } = &self.restored;
        let objects = shared.iter().map(|object| (object.file.content, *object)).collect();
        StoredFiles { storage: Arc::clone(storage), objects }
    }

    /// The incremental snapshots that follow what this subtask is restored from.
    pub(super) fn incremental_uploads(&self) -> IncrementalUploads {
        let SubtaskContext { subtask, attempt, .. } = self.context;
        let shared = self.restored.shared.iter().filter(|_| self.restored.is_shared_with_job);
        let files = shared.map(|object| object.file).collect();
        let restored = Restored { files, ownership: self.ownership };
        let config = Config { job: self.job, subtask, attempt };
        IncrementalUploads::new(config, restored, self.restored_checksums.clone())
    }

    fn own_file(&self) -> Option<&StateHandle> {
        self.restored.state_of(self.context.subtask.index).filter(|_| !self.restored.is_rescaled)
    }

    /// What this subtask gets of the operator state of all subtasks, of which it has its own.
    fn redistributed(&self, own: OperatorImage) -> Result<OperatorImage, TaskError> {
        let SubtaskContext { subtask, parallelism, .. } = self.context;
        let mut old = vec![own; self.restored.states.len()];
        for (index, handle) in self.restored.states.iter().enumerate() {
            if index == usize::from(subtask.index) {
                continue;
            }
            old[index] = match handle {
                Some(handle) => self.read(handle, OperatorImage::read_from)?,
                None => OperatorImage::default(),
            };
        }
        if old.is_empty() {
            return Ok(OperatorImage::default());
        }
        OperatorImage::redistributed(&old, parallelism, subtask.index).map_err(|error| self.open_error(error))
    }

    fn read<T>(
        &self,
        handle: &StateHandle,
        read: impl FnOnce(Box<dyn Read + Send>) -> Result<T, StateError>,
    ) -> Result<T, TaskError> {
        read(self.restored.storage.read_state(handle)?).map_err(|error| self.restore_error(handle, error))
    }

    /// Names the file in an error that was found while its content was taken in.
    pub(super) fn restore_error(&self, handle: &StateHandle, error: StateError) -> TaskError {
        let object = self.restored.storage.handle_name(handle);
        TaskError::Restore { object, cause: error }
    }

    /// The same for an error found when restored state is opened.
    pub(super) fn open_error(&self, error: StateError) -> TaskError {
        match self.own_file() {
            Some(handle) => self.restore_error(handle, error),
            None => TaskError::State(error),
        }
    }
}

impl From<StateMisfit> for TaskError {
    fn from(misfit: StateMisfit) -> Self {
        TaskError::State(StateError::Incompatible(misfit.to_string()))
    }
}
