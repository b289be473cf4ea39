//! Puts operators together into a job.

use super::broadcast::{KeyedBroadcastProcessFunction, Side, TwoInputs};
use super::channel::{ChannelReceiver, Converted, Edge, Input, Partitioner};
use super::error::{JobError, TaskError};
use super::function::{KeyedProcessFunction, Record, SourceFunction, SubtaskContext, TransactionalSink};
use super::gate::Gate;
use super::key_groups::OperatorKeyGroups;
use super::output::Outputs;
use super::process::{self, KeyOf, KeyedFunction, OneInput};
use super::task::Environment;
use super::windowed::{WindowFunction, Windowed};
use super::{sink, source};
use crate::base::{JobId, SubtaskId};
use crate::codec::OperatorMetadata;
use crate::coordinator::{Edge as JobEdge, EdgePattern};
use crate::keygroup::{KeyGroupError, KeyHash, MaxParallelism};
use crate::rescale::{Distribution, adopt_max_parallelism};
use crate::state::serializer::StateSerializer;
use crate::store::JobDescription;
use std::any::type_name;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// What a subtask's thread runs.
pub(super) type TaskBody = Box<dyn FnOnce(Environment) -> Result<(), TaskError> + Send>;

/// Takes the room of each channel, and which subtasks have finished.
type OpenOutputs = Box<dyn Fn(usize, &dyn Fn(u16) -> bool) + Send>;

/// One operator of a job.
pub(super) struct OperatorSpec {
    pub(super) metadata: OperatorMetadata,
    pub(super) kind: OperatorKind,
    /// Its key groups, if it has keyed state.
    pub(super) key_groups: Option<OperatorKeyGroups>,
    /// Opens the channels out of this operator for a new attempt, in which some of its subtasks have finished before.
    pub(super) open_outputs: OpenOutputs,
    /// Whether its output goes anywhere.
    is_connected: Box<dyn Fn() -> bool + Send>,
    pub(super) body: Box<dyn Fn(SubtaskContext) -> TaskBody + Send>,
}

/// What an operator reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OperatorKind {
    Source,
    Keyed,
    KeyedAndBroadcast,
    Sink,
}

impl OperatorKind {
    pub(super) fn is_keyed(self) -> bool {
        matches!(self, OperatorKind::Keyed | OperatorKind::KeyedAndBroadcast)
    }

    /// How the records of its inputs are distributed, in the order of its gate.
    pub(super) fn inputs(self) -> &'static [Distribution] {
        match self {
            OperatorKind::Source => &[],
            OperatorKind::Keyed => &[Distribution::ByKey],
            OperatorKind::KeyedAndBroadcast => &[Distribution::ByKey, Distribution::ToAll],
            OperatorKind::Sink => &[Distribution::OneToOne],
        }
    }
}

/// Builds a job, operator by operator, from the sources to the sinks.
///
/// An operator's uid maps its state to it when the job is restored, so it must stay the same.
#[derive(Default)]
pub struct JobBuilder {
    operators: Vec<OperatorSpec>,
    edges: Vec<JobEdge>,
    problems: Vec<String>,
}

/// The records that an operator emits.
pub struct Stream<T> {
    /// The number of the operator that emits them.
    operator: u16,
    parallelism: u16,
    /// By what name the type of the records is known, if it has one of its own.
    record_type: Option<Arc<str>>,
    edge: Arc<OnceLock<Edge<T>>>,
}

/// The records that an operator emits, partitioned by a key that is a part of them.
pub struct KeyedStream<T, K> {
    stream: Stream<T>,
    key: KeyOf<T, K>,
    key_serializer: Option<KeySerializer<K>>,
}

type KeySerializer<K> = Arc<dyn StateSerializer<K>>;

/// The records that an operator emits, all of which go to every subtask behind it.
pub struct BroadcastStream<T> {
    stream: Stream<T>,
}

/// A keyed stream, together with one that goes to every subtask.
pub struct BroadcastConnectedStream<T, K, B> {
    keyed: KeyedStream<T, K>,
    broadcast: BroadcastStream<B>,
}

impl<T, K> KeyedStream<T, K> {
    /// Lets the keyed state behind this stream be written with another serializer of the keys. By default their type is known
    /// by the name that Rust gives to it; with [`SerdeSerializer::with_id`](crate::state::serializer::SerdeSerializer::with_id)
    /// it may be renamed or moved and a checkpoint still be restored. How keys are divided into key groups does not depend on it.
    ///
    /// A restored key whose serializer would have to migrate it is refused.
    #[must_use]
    pub fn with_key_serializer(self, serializer: impl StateSerializer<K> + 'static) -> Self {
        KeyedStream { key_serializer: Some(Arc::new(serializer)), ..self }
    }

    /// Puts this stream together with one that goes to every subtask.
    #[must_use]
    pub fn connect<B>(self, broadcast: BroadcastStream<B>) -> BroadcastConnectedStream<T, K, B> {
        BroadcastConnectedStream { keyed: self, broadcast }
    }
}

impl<T> Stream<T> {
    /// Gives the type of the records an id of its own, under which those are found again that were on their way in an unaligned
    /// checkpoint when it has been renamed or moved. By default it is the name that Rust gives to the type.
    #[must_use]
    pub fn with_type_id(self, type_id: &str) -> Self {
        Stream { record_type: Some(type_id.into()), ..self }
    }

    /// Lets all records go to every subtask of the operator behind it, each as a copy: for streams of few records.
    #[must_use]
    pub fn broadcast(self) -> BroadcastStream<T> {
        BroadcastStream { stream: self }
    }

    /// Partitions the stream: all records of one key go to one subtask.
    pub fn key_by<K>(self, key: impl Fn(&T) -> &K + Send + Sync + 'static) -> KeyedStream<T, K> {
        KeyedStream { stream: self, key: Arc::new(key), key_serializer: None }
    }
}

/// A job that is ready to run.
pub struct Job {
    pub(super) operators: Vec<OperatorSpec>,
    pub(super) edges: Vec<JobEdge>,
    pub(super) description: JobDescription,
}

impl JobBuilder {
    /// A job without operators.
    #[must_use]
    pub fn new() -> Self {
        JobBuilder::default()
    }

    /// Adds a source with `parallelism` instances, each made by `function` once per attempt.
    pub fn source<S: SourceFunction + 'static>(
        &mut self,
        uid: &str,
        parallelism: u16,
        function: impl Fn(SubtaskContext) -> S + Send + Sync + 'static,
    ) -> Stream<S::Out> {
        let (stream, outputs) = self.output(parallelism);
        let function = Arc::new(function);
        let edge = Arc::clone(&stream.edge);
        let body = move |context: SubtaskContext| -> TaskBody {
            let (function, edge) = (Arc::clone(&function), Arc::clone(&edge));
            Box::new(move |environment| {
                let emitted = Arc::clone(&environment.meters.records_read);
                let outputs = open(&edge, &environment, emitted);
                source::run(environment, function(context), outputs)
            })
        };
        self.add(
            uid,
            parallelism,
            MaxParallelism::default_for(parallelism).ok(),
            OperatorKind::Source,
            outputs,
            Box::new(body),
        );
        stream
    }

    /// Adds a keyed function behind `input`. `max_parallelism` bounds all future rescaling; `None` takes
    /// that of the checkpoint from which the job starts, or else Flink's default for the parallelism.
    pub fn process<F, K>(
        &mut self,
        input: KeyedStream<F::In, K>,
        uid: &str,
        parallelism: u16,
        max_parallelism: Option<MaxParallelism>,
        function: impl Fn(SubtaskContext) -> F + Send + Sync + 'static,
    ) -> Stream<F::Out>
    where
        F: KeyedProcessFunction<Key = K> + 'static,
        K: KeyHash + 'static,
    {
        let with_key = move |context, key| OneInput { function: function(context), key };
        self.add_one_input(input, uid, parallelism, max_parallelism, with_key)
    }

    /// Adds a keyed function that also gets every record of a second stream. `max_parallelism` is that of
    /// [`process`](Self::process).
    pub fn process_broadcast<F, K>(
        &mut self,
        input: BroadcastConnectedStream<F::In, K, F::Broadcast>,
        uid: &str,
        parallelism: u16,
        max_parallelism: Option<MaxParallelism>,
        function: impl Fn(SubtaskContext) -> F + Send + Sync + 'static,
    ) -> Stream<F::Out>
    where
        F: KeyedBroadcastProcessFunction<Key = K> + 'static,
        K: KeyHash + 'static,
    {
        let BroadcastConnectedStream { keyed, broadcast: BroadcastStream { stream } } = input;
        let Some(key_groups) = self.key_groups(uid, parallelism, max_parallelism) else {
            return self.output(parallelism).0;
        };
        let key_serializer = keyed.key_serializer.clone();
        let (keyed, key) = self.connect_keyed(keyed, key_groups.clone());
        let Stream { operator, parallelism: upstream, record_type, edge: broadcast } = stream;
        let copy = F::Broadcast::clone;
        let _ = broadcast.set(Edge::new(upstream, parallelism, Partitioner::Broadcast { copy }, record_type));
        self.connect(operator, EdgePattern::AllToAll);
        let gate = move |context| {
            let inputs = converted(&keyed, context, Side::Keyed);
            let inputs = inputs.chain(converted(&broadcast, context, Side::Broadcast));
            Gate::new(inputs.collect()).with_record_type(either_type(&keyed, &broadcast))
        };
        let function = move |context| TwoInputs { function: function(context), key: Arc::clone(&key) };
        self.add_keyed(uid, OperatorKind::KeyedAndBroadcast, key_groups, key_serializer, gate, function)
    }

    /// Adds windows over a keyed stream. `max_parallelism` is that of [`process`](Self::process).
    pub fn window<F, K>(
        &mut self,
        input: KeyedStream<F::In, K>,
        uid: &str,
        parallelism: u16,
        max_parallelism: Option<MaxParallelism>,
        function: impl Fn(SubtaskContext) -> F + Send + Sync + 'static,
    ) -> Stream<F::Out>
    where
        F: WindowFunction<Key = K> + 'static,
        K: KeyHash + 'static,
    {
        let with_key = move |context, key| Windowed { function: function(context), key, windows: None };
        self.add_one_input(input, uid, parallelism, max_parallelism, with_key)
    }

    /// Adds an operator behind a keyed stream; `function` is given the key of its records.
    fn add_one_input<F: KeyedFunction + 'static>(
        &mut self,
        input: KeyedStream<F::In, F::Key>,
        uid: &str,
        parallelism: u16,
        max_parallelism: Option<MaxParallelism>,
        function: impl Fn(SubtaskContext, KeyOf<F::In, F::Key>) -> F + Send + Sync + 'static,
    ) -> Stream<F::Out> {
        let Some(key_groups) = self.key_groups(uid, parallelism, max_parallelism) else {
            return self.output(parallelism).0;
        };
        let key_serializer = input.key_serializer.clone();
        let (input, key) = self.connect_keyed(input, key_groups.clone());
        let gate = move |context| one_gate(&input, context);
        let function = move |context| function(context, Arc::clone(&key));
        self.add_keyed(uid, OperatorKind::Keyed, key_groups, key_serializer, gate, function)
    }

    /// The key groups of each subtask; a problem is noted if there is none.
    fn key_groups(
        &mut self,
        uid: &str,
        parallelism: u16,
        max_parallelism: Option<MaxParallelism>,
    ) -> Option<OperatorKeyGroups> {
        let key_groups = OperatorKeyGroups::new(max_parallelism, parallelism);
        key_groups.map_err(|error| self.problems.push(format!("operator `{uid}`: {error}"))).ok()
    }

    /// Connects a keyed stream with the operator that is added next.
    fn connect_keyed<T: 'static, K: KeyHash + 'static>(
        &mut self,
        KeyedStream { stream, key, .. }: KeyedStream<T, K>,
        key_groups: OperatorKeyGroups,
    ) -> (Arc<OnceLock<Edge<T>>>, KeyOf<T, K>) {
        let Stream { operator, parallelism, record_type, edge } = stream;
        let key_hash = {
            let key = Arc::clone(&key);
            Arc::new(move |record: &T| key(record).key_hash())
        };
        let assignment = key_groups.assignment();
        let partitioner = Partitioner::KeyGroups { key_hash, assignment };
        let connected = Edge::new(parallelism, assignment.parallelism(), partitioner, record_type);
        let _ = edge.set(connected.with_key_groups(key_groups));
        self.connect(operator, EdgePattern::AllToAll);
        (edge, key)
    }

    fn add_keyed<F: KeyedFunction + 'static>(
        &mut self,
        uid: &str,
        kind: OperatorKind,
        key_groups: OperatorKeyGroups,
        key_serializer: Option<KeySerializer<F::Key>>,
        gate: impl Fn(SubtaskContext) -> Gate<F::In> + Send + Sync + 'static,
        function: impl Fn(SubtaskContext) -> F + Send + Sync + 'static,
    ) -> Stream<F::Out> {
        let assignment = key_groups.assignment();
        let (stream, outputs) = self.output(assignment.parallelism());
        let parts = Arc::new((gate, function, key_serializer));
        let (output, groups) = (Arc::clone(&stream.edge), key_groups.clone());
        let body = move |context: SubtaskContext| -> TaskBody {
            let (parts, output) = (Arc::clone(&parts), Arc::clone(&output));
            let assignment = groups.assignment();
            Box::new(move |environment| {
                let (gate, function, keys) = &*parts;
                let emitted = Arc::clone(&environment.meters.records_between);
                let outputs = open(&output, &environment, emitted);
                let (function, gate) = (function(context), gate(context));
                process::run(environment, function, assignment, keys.as_ref(), gate, outputs)
            })
        };
        let max_parallelism = Some(assignment.max_parallelism());
        self.add(uid, assignment.parallelism(), max_parallelism, kind, outputs, Box::new(body));
        if let Some(added) = self.operators.last_mut() {
            added.key_groups = Some(key_groups);
        }
        stream
    }

    /// Adds a transactional sink behind `input`, with as many instances as its upstream operator.
    pub fn sink<S: TransactionalSink + 'static>(
        &mut self,
        input: Stream<S::In>,
        uid: &str,
        function: impl Fn(SubtaskContext) -> S + Send + Sync + 'static,
    ) {
        let Stream { operator, parallelism, record_type, edge: input } = input;
        let _ = input.set(Edge::new(parallelism, parallelism, Partitioner::Forward, record_type));
        self.connect(operator, EdgePattern::OneToOne);
        let function = Arc::new(function);
        let body = move |context: SubtaskContext| -> TaskBody {
            let (function, input) = (Arc::clone(&function), Arc::clone(&input));
            Box::new(move |environment| {
                let gate = one_gate(&input, context);
                sink::run(environment, function(context), gate)
            })
        };
        let none: OutputControl = (Box::new(|_, _| {}), Box::new(|| true));
        self.add(
            uid,
            parallelism,
            MaxParallelism::default_for(parallelism).ok(),
            OperatorKind::Sink,
            none,
            Box::new(body),
        );
    }

    /// The job, under the id that its checkpoints carry.
    ///
    /// # Errors
    /// An operator has an impossible parallelism, no consumer, or another one's uid, or there is no source.
    pub fn build(mut self, job: JobId) -> Result<Job, JobError> {
        let mut uids = BTreeSet::new();
        for OperatorSpec { metadata, is_connected, .. } in &self.operators {
            if !uids.insert(&metadata.uid) {
                self.problems.push(format!("two operators have the uid `{}`", metadata.uid));
            }
            if metadata.uid.is_empty() || metadata.uid.contains(char::is_control) {
                self.problems.push(format!("{:?} cannot be the uid of an operator", metadata.uid));
            }
            if !is_connected() {
                self.problems.push(format!("nothing reads what operator `{}` emits", metadata.uid));
            }
        }
        if !self.operators.iter().any(|operator| operator.kind == OperatorKind::Source) {
            self.problems.push("there is no source".into());
        }
        if !self.problems.is_empty() {
            return Err(JobError::Invalid(self.problems.join("; ")));
        }
        let operators = self.operators.iter().map(|operator| operator.metadata.clone()).collect();
        Ok(Job {
            operators: self.operators,
            edges: self.edges,
            description: JobDescription { job, operators },
        })
    }

    fn output<T: Send + 'static>(&self, parallelism: u16) -> (Stream<T>, OutputControl) {
        let edge = Arc::new(OnceLock::<Edge<T>>::new());
        let (opened, connected) = (Arc::clone(&edge), Arc::clone(&edge));
        let open = move |capacity: usize, finished: &dyn Fn(u16) -> bool| {
            if let Some(edge) = opened.get() {
                edge.open(capacity, finished);
            }
        };
        let is_connected = move || connected.get().is_some();
        let operator = self.operators.len() as u16;
        (Stream { operator, parallelism, record_type: None, edge }, (Box::new(open), Box::new(is_connected)))
    }

    /// Connects an operator with the one that is added next.
    fn connect(&mut self, from: u16, pattern: EdgePattern) {
        self.edges.push(JobEdge { from, to: self.operators.len() as u16, pattern });
    }

    fn add(
        &mut self,
        uid: &str,
        parallelism: u16,
        max_parallelism: Option<MaxParallelism>,
        kind: OperatorKind,
        (open_outputs, is_connected): OutputControl,
        body: Box<dyn Fn(SubtaskContext) -> TaskBody + Send>,
    ) {
        let max_parallelism = max_parallelism.map_or(0, MaxParallelism::get);
        if parallelism == 0 || max_parallelism == 0 {
            self.problems.push(format!("operator `{uid}` cannot have a parallelism of {parallelism}"));
        }
        let (uid, name) = (uid.to_owned(), uid.to_owned());
        let metadata = OperatorMetadata { uid, name, parallelism, max_parallelism };
        self.operators.push(OperatorSpec {
            metadata,
            kind,
            key_groups: None,
            open_outputs,
            is_connected,
            body,
        });
    }
}

type OutputControl = (OpenOutputs, Box<dyn Fn() -> bool + Send>);

impl Job {
    /// The operators as they go on from a checkpoint of `before`.
    pub(super) fn operators_after(&self, before: &[OperatorMetadata]) -> Vec<OperatorMetadata> {
        let adopting = |spec: &OperatorSpec| match &spec.key_groups {
            Some(key_groups) if !key_groups.is_explicit => adopt_max_parallelism(&spec.metadata, before),
            _ => spec.metadata.clone(),
        };
        self.operators.iter().map(adopting).collect()
    }

    /// Goes on with these.
    ///
    /// # Errors
    /// There are fewer key groups than subtasks, which [`operators_after`](Self::operators_after) never says.
    pub(super) fn adopt(&mut self, operators: &[OperatorMetadata]) -> Result<(), KeyGroupError> {
        for (spec, operator) in self.operators.iter_mut().zip(operators) {
            if let Some(key_groups) = &spec.key_groups {
                key_groups.adopt(operator.max_parallelism)?;
            }
            spec.metadata = operator.clone();
        }
        self.description.operators = operators.to_vec();
        Ok(())
    }

    /// All subtasks, in topological order.
    pub(super) fn subtasks(&self) -> impl Iterator<Item = (SubtaskId, &OperatorSpec)> {
        self.operators.iter().enumerate().flat_map(|(number, operator)| {
            let indices = 0..operator.metadata.parallelism;
            indices.map(move |index| (SubtaskId::new(number as u16, index), operator))
        })
    }
}

fn receivers<T>(
    edge: &OnceLock<Edge<T>>,
    context: SubtaskContext,
) -> impl Iterator<Item = ChannelReceiver<T>> + use<T> {
    edge.get().map(|edge| edge.receivers(context.subtask.index)).unwrap_or_default().into_iter()
}

/// The gate of an operator with one input.
fn one_gate<T: Record>(edge: &OnceLock<Edge<T>>, context: SubtaskContext) -> Gate<T> {
    let inputs = receivers(edge, context).map(|receiver| Box::new(receiver) as Box<dyn Input<T>>);
    Gate::new(inputs.collect()).with_record_type(edge.get().and_then(Edge::record_type))
}

/// The name of what is of either of two types, if one of them has a name of its own.
fn either_type<A, B>(keyed: &OnceLock<Edge<A>>, broadcast: &OnceLock<Edge<B>>) -> Option<Arc<str>> {
    let names = (keyed.get().and_then(Edge::record_type), broadcast.get().and_then(Edge::record_type));
    if names == (None, None) {
        return None;
    }
    let keyed = names.0.unwrap_or_else(|| type_name::<A>().into());
    let broadcast = names.1.unwrap_or_else(|| type_name::<B>().into());
    Some(format!("{keyed} or {broadcast}").into())
}

/// The same, for an operator whose gate takes another type.
fn converted<A: Record, T: 'static>(
    edge: &OnceLock<Edge<A>>,
    context: SubtaskContext,
    convert: fn(A) -> T,
) -> impl Iterator<Item = Box<dyn Input<T>>> + use<A, T> {
    receivers(edge, context)
        .map(move |receiver| Box::new(Converted { receiver, convert }) as Box<dyn Input<T>>)
}

fn open<T>(
    edge: &OnceLock<Edge<T>>,
    environment: &Environment,
    emitted: Arc<std::sync::atomic::AtomicU64>,
) -> Outputs<T> {
    let (senders, partitioner) = match edge.get() {
        Some(edge) => (edge.senders(environment.context.subtask.index), edge.partitioner()),
        None => (Vec::new(), Partitioner::Forward),
    };
    let outputs = Outputs::new(senders, partitioner, environment.batch_records, emitted);
    outputs.with_record_type(edge.get().and_then(Edge::record_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge<T>(record_type: Option<&str>) -> OnceLock<Edge<T>> {
        OnceLock::from(Edge::new(1, 1, Partitioner::Forward, record_type.map(Into::into)))
    }

    #[test]
    fn builder_names_what_is_of_either_type_if_one_of_them_has_a_name() {
        let name = |keyed, broadcast| either_type(&edge::<u8>(keyed), &edge::<u16>(broadcast));
        assert_eq!(name(None, None), None);
        assert_eq!(name(Some("payment"), None).as_deref(), Some("payment or u16"));
        assert_eq!(name(None, Some("rule")).as_deref(), Some("u8 or rule"));
        assert_eq!(name(Some("payment"), Some("rule")).as_deref(), Some("payment or rule"));
    }
}
