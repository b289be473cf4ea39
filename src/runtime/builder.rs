//! Puts operators together into a job.

use super::channel::{ChannelReceiver, Edge, Partitioner};
use super::error::{JobError, TaskError};
use super::function::{KeyedProcessFunction, SourceFunction, SubtaskContext, TransactionalSink};
use super::gate::Gate;
use super::output::Outputs;
use super::task::Environment;
use super::{process, sink, source};
use crate::base::{JobId, SubtaskId};
use crate::codec::OperatorMetadata;
use crate::coordinator::{Edge as JobEdge, EdgePattern};
use crate::keygroup::{KeyGroupRangeAssignment, KeyHash, MaxParallelism};
use crate::store::JobDescription;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// What a subtask's thread runs.
pub(super) type TaskBody = Box<dyn FnOnce(Environment) -> Result<(), TaskError> + Send>;

/// Takes the room of each channel, and which subtasks have finished.
type OpenOutputs = Box<dyn Fn(usize, &dyn Fn(u16) -> bool) + Send>;

/// One operator of a job.
pub(super) struct OperatorSpec {
    pub(super) metadata: OperatorMetadata,
    pub(super) is_source: bool,
    /// Opens the channels out of this operator for a new attempt, in which some of its subtasks have finished before.
    pub(super) open_outputs: OpenOutputs,
    /// Whether its output goes anywhere.
    is_connected: Box<dyn Fn() -> bool + Send>,
    pub(super) body: Box<dyn Fn(SubtaskContext) -> TaskBody + Send>,
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
    edge: Arc<OnceLock<Edge<T>>>,
}

type KeyOf<T, K> = Arc<dyn Fn(&T) -> &K + Send + Sync>;

/// The records that an operator emits, partitioned by a key that is a part of them.
pub struct KeyedStream<T, K> {
    stream: Stream<T>,
    key: KeyOf<T, K>,
}

impl<T> Stream<T> {
    /// Partitions the stream: all records of one key go to one subtask.
    pub fn key_by<K>(self, key: impl Fn(&T) -> &K + Send + Sync + 'static) -> KeyedStream<T, K> {
        KeyedStream { stream: self, key: Arc::new(key) }
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
            true,
            outputs,
            Box::new(body),
        );
        stream
    }

    /// Adds a keyed function behind `input`. `max_parallelism` bounds all future rescaling; `None` takes
    /// Flink's default for the parallelism.
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
        let KeyedStream { stream: Stream { operator, parallelism: upstream, edge: input }, key } = input;
        let (stream, outputs) = self.output(parallelism);
        let max = max_parallelism.map_or_else(|| MaxParallelism::default_for(parallelism), Ok);
        let assignment = match max.and_then(|max| KeyGroupRangeAssignment::new(max, parallelism)) {
            Ok(assignment) => assignment,
            Err(error) => {
                self.problems.push(format!("operator `{uid}`: {error}"));
                return stream;
            }
        };
        let key_hash = {
            let key = Arc::clone(&key);
            Arc::new(move |record: &F::In| key(record).key_hash())
        };
        let _ = input.set(Edge::new(upstream, parallelism, Partitioner::KeyGroups { key_hash, assignment }));
        self.connect(operator, EdgePattern::AllToAll);
        let function = Arc::new(function);
        let output = Arc::clone(&stream.edge);
        let body = move |context: SubtaskContext| -> TaskBody {
            let (function, key) = (Arc::clone(&function), Arc::clone(&key));
            let (input, output) = (Arc::clone(&input), Arc::clone(&output));
            Box::new(move |environment| {
                let gate = Gate::new(receivers(&input, context));
                let emitted = Arc::clone(&environment.meters.records_between);
                let outputs = open(&output, &environment, emitted);
                process::run(environment, function(context), &*key, assignment, gate, outputs)
            })
        };
        self.add(uid, parallelism, Some(assignment.max_parallelism()), false, outputs, Box::new(body));
        stream
    }

    /// Adds a transactional sink behind `input`, with as many instances as its upstream operator.
    pub fn sink<S: TransactionalSink + 'static>(
        &mut self,
        input: Stream<S::In>,
        uid: &str,
        function: impl Fn(SubtaskContext) -> S + Send + Sync + 'static,
    ) {
        let Stream { operator, parallelism, edge: input } = input;
        let _ = input.set(Edge::new(parallelism, parallelism, Partitioner::Forward));
        self.connect(operator, EdgePattern::OneToOne);
        let function = Arc::new(function);
        let body = move |context: SubtaskContext| -> TaskBody {
            let (function, input) = (Arc::clone(&function), Arc::clone(&input));
            Box::new(move |environment| {
                let gate = Gate::new(receivers(&input, context));
                sink::run(environment, function(context), gate)
            })
        };
        let none: OutputControl = (Box::new(|_, _| {}), Box::new(|| true));
        self.add(
            uid,
            parallelism,
            MaxParallelism::default_for(parallelism).ok(),
            false,
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
        if !self.operators.iter().any(|operator| operator.is_source) {
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
        (Stream { operator, parallelism, edge }, (Box::new(open), Box::new(is_connected)))
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
        is_source: bool,
        (open_outputs, is_connected): OutputControl,
        body: Box<dyn Fn(SubtaskContext) -> TaskBody + Send>,
    ) {
        let max_parallelism = max_parallelism.map_or(0, MaxParallelism::get);
        if parallelism == 0 || max_parallelism == 0 {
            self.problems.push(format!("operator `{uid}` cannot have a parallelism of {parallelism}"));
        }
        let (uid, name) = (uid.to_owned(), uid.to_owned());
        let metadata = OperatorMetadata { uid, name, parallelism, max_parallelism };
        self.operators.push(OperatorSpec { metadata, is_source, open_outputs, is_connected, body });
    }
}

type OutputControl = (OpenOutputs, Box<dyn Fn() -> bool + Send>);

impl Job {
    /// All subtasks, in topological order.
    pub(super) fn subtasks(&self) -> impl Iterator<Item = (SubtaskId, &OperatorSpec)> {
        self.operators.iter().enumerate().flat_map(|(number, operator)| {
            let indices = 0..operator.metadata.parallelism;
            indices.map(move |index| (SubtaskId::new(number as u16, index), operator))
        })
    }
}

fn receivers<T>(edge: &OnceLock<Edge<T>>, context: SubtaskContext) -> Vec<ChannelReceiver<T>> {
    edge.get().map(|edge| edge.receivers(context.subtask.index)).unwrap_or_default()
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
    Outputs::new(senders, partitioner, environment.batch_records, emitted)
}
