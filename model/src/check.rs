//! Runs the models: proves them within a scope, finds planted bugs, and serves stateright's Explorer.
//!
//! Proofs search depth first, which needs the least memory; bugs are looked for breadth first, so that the path
//! to them is the shortest one (`nearest.rs`). Both use one thread: a second one is worth little, and with one the
//! number of states is the same in every run.

#![expect(clippy::disallowed_methods, reason = "runs are watched and timed; no machine sees that clock")]

use crate::align::{self, Alignment};
use crate::commit::{self, Sinks};
use crate::coordinator::{self, Coordination};
use crate::end_to_end::faults::Fault;
use crate::end_to_end::scope::Scope;
use crate::end_to_end::system::System;
use crate::nearest::{Reached, nearest};
use crate::outputs::{self, OutputSystem};
use crate::publish::{self, system::Publication};
use crate::shared::{self, SharedFiles};
use crate::ttl::{self, ExpiringState};
use stateright::{Checker, CheckerBuilder, Expectation, Model, Property};
use std::fmt;
use std::hash::Hash;
use std::net::ToSocketAddrs;
use std::str::FromStr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How many states the search for a shorter counterexample may generate.
const SHORTEN_WITHIN: usize = 3_000_000;

const BETWEEN_REPORTS: Duration = Duration::from_secs(1);

/// One of the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ModelName {
    /// Sources, an operator, a sink, the coordinator and the storage.
    EndToEnd,
    /// One input gate.
    Alignment,
    /// Shared files of incremental checkpoints.
    Shared,
    /// Two publishers and their storage.
    Publish,
    /// The outputs of one subtask.
    Outputs,
    /// The subtasks of a sink.
    Commit,
    /// The coordinator, with its tasks and users left to chance.
    Coordinator,
    /// State that expires.
    Ttl,
}

/// How much of a model is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeName {
    /// Seconds.
    Small,
    /// A minute or two.
    Medium,
    /// Up to an hour.
    Large,
}

impl ModelName {
    /// Every model.
    pub const ALL: [ModelName; 8] = [
        ModelName::EndToEnd,
        ModelName::Alignment,
        ModelName::Outputs,
        ModelName::Commit,
        ModelName::Shared,
        ModelName::Publish,
        ModelName::Coordinator,
        ModelName::Ttl,
    ];
}

impl ScopeName {
    /// Every scope, the smallest first.
    pub const ALL: [ScopeName; 3] = [ScopeName::Small, ScopeName::Medium, ScopeName::Large];
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ModelName::EndToEnd => "end-to-end",
            ModelName::Alignment => "alignment",
            ModelName::Shared => "shared",
            ModelName::Publish => "publish",
            ModelName::Outputs => "outputs",
            ModelName::Commit => "commit",
            ModelName::Coordinator => "coordinator",
            ModelName::Ttl => "ttl",
        })
    }
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ScopeName::Small => "small",
            ScopeName::Medium => "medium",
            ScopeName::Large => "large",
        })
    }
}

/// There is no such model or scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    name: String,
    known: String,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is none of {}", self.name, self.known)
    }
}

impl std::error::Error for UnknownName {}

fn parse<T: Copy + fmt::Display>(all: &[T], name: &str) -> Result<T, UnknownName> {
    let known = || all.iter().map(T::to_string).collect::<Vec<_>>().join(", ");
    let found = all.iter().copied().find(|one| one.to_string() == name);
    found.ok_or_else(|| UnknownName { name: name.to_owned(), known: known() })
}

impl FromStr for ModelName {
    type Err = UnknownName;

    /// Reads what `Display` writes.
    ///
    /// # Errors
    /// There is no such model.
    fn from_str(name: &str) -> Result<Self, UnknownName> {
        parse(&Self::ALL, name)
    }
}

impl FromStr for ScopeName {
    type Err = UnknownName;

    /// Reads what `Display` writes.
    ///
    /// # Errors
    /// There is no such scope.
    fn from_str(name: &str) -> Result<Self, UnknownName> {
        parse(&Self::ALL, name)
    }
}

/// How far a run has come; reported about once a second.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What is being done.
    pub task: String,
    /// States generated so far, repetitions included.
    pub states: usize,
    /// Different states so far.
    pub unique_states: usize,
    /// The longest path so far.
    pub depth: usize,
    /// The time since the start of this run.
    pub elapsed: Duration,
}

/// What a property promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promise {
    /// It holds in every state.
    Always,
    /// It holds in some state: without that, the others would mean little.
    Sometimes,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Promise::Always => "always",
            Promise::Sometimes => "sometimes",
        })
    }
}

/// The verdict on one property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyReport {
    /// Its name, which begins with the requirement that it checks, if there is one.
    pub name: &'static str,
    /// What it promises.
    pub expectation: Promise,
    /// Whether it holds.
    pub holds: bool,
    /// The steps to a state that breaks an `always`.
    pub path: Option<Vec<String>>,
}

/// The verdict on a model within a scope. It is exhaustive: every state within the bounds was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The model.
    pub model: ModelName,
    /// The scope.
    pub scope: ScopeName,
    /// States generated, repetitions included.
    pub states: usize,
    /// Different states.
    pub unique_states: usize,
    /// The longest path.
    pub depth: usize,
    /// How long it took.
    pub duration: Duration,
    /// The verdict on each property.
    pub properties: Vec<PropertyReport>,
}

impl Report {
    /// Whether every property holds.
    pub fn holds(&self) -> bool {
        self.properties.iter().all(|property| property.holds)
    }
}

/// How a planted bug was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// The model in which it was planted.
    pub model: ModelName,
    /// The bug.
    pub fault: String,
    /// Where a bug of this kind happened.
    pub source: &'static str,
    /// The property that found it; `None` if none did.
    pub property: Option<&'static str>,
    /// How many different states were seen until then.
    pub states_until_found: usize,
    /// The length of the shortest path to it.
    pub steps: usize,
    /// That path.
    pub path: Vec<String>,
}

/// Checks every state of a model within a scope.
pub fn check(model: ModelName, scope: ScopeName, progress: &mut dyn FnMut(Progress)) -> Report {
    let task = format!("{model} {scope}");
    let outcome = match model {
        ModelName::EndToEnd => prove(&System::new(Scope::named(scope), None), &task, progress),
        ModelName::Alignment => prove(&Alignment::new(align::Scope::named(scope), None), &task, progress),
        ModelName::Shared => prove(&SharedFiles::new(shared::Scope::named(scope), None), &task, progress),
        ModelName::Publish => {
            prove(&Publication::new(publish::scope::Scope::named(scope), None), &task, progress)
        }
        ModelName::Outputs => prove(&OutputSystem::new(outputs::Scope::named(scope), None), &task, progress),
        ModelName::Commit => prove(&Sinks::new(commit::Scope::named(scope), None), &task, progress),
        ModelName::Coordinator => {
            prove(&Coordination::new(coordinator::Scope::named(scope), None), &task, progress)
        }
        ModelName::Ttl => prove(&ExpiringState::new(ttl::Scope::named(scope), None), &task, progress),
    };
    let Outcome { states, unique_states, depth, duration, properties } = outcome;
    Report { model, scope, states, unique_states, depth, duration, properties }
}

/// Plants every bug, each in the smallest scope that shows it, and looks for it.
pub fn faults(progress: &mut dyn FnMut(Progress)) -> Vec<FaultReport> {
    let mut reports = Vec::new();
    for fault in Fault::ALL {
        let system = System::new(Scope::to_find(fault), Some(fault));
        reports.push(find(&system, ModelName::EndToEnd, format!("{fault:?}"), fault.source(), progress));
    }
    for fault in align::Fault::ALL {
        let gate = Alignment::new(fault.scope(), Some(fault));
        reports.push(find(&gate, ModelName::Alignment, format!("{fault:?}"), fault.source(), progress));
    }
    for fault in shared::Fault::ALL {
        let files = SharedFiles::new(shared::Scope::to_find(fault), Some(fault));
        reports.push(find(&files, ModelName::Shared, format!("{fault:?}"), fault.source(), progress));
    }
    for fault in publish::faults::Fault::ALL {
        let publication = Publication::new(fault.scope(), Some(fault));
        let name = format!("{fault:?}");
        reports.push(find(&publication, ModelName::Publish, name, fault.source(), progress));
    }
    for fault in outputs::Fault::ALL {
        let system = OutputSystem::new(outputs::Scope::SMALL, Some(fault));
        reports.push(find(&system, ModelName::Outputs, format!("{fault:?}"), fault.source(), progress));
    }
    for fault in commit::Fault::ALL {
        let sinks = Sinks::new(commit::Scope::to_find(fault), Some(fault));
        reports.push(find(&sinks, ModelName::Commit, format!("{fault:?}"), fault.source(), progress));
    }
    for fault in coordinator::Fault::ALL {
        let job = Coordination::new(coordinator::Scope::to_find(fault), Some(fault));
        reports.push(find(&job, ModelName::Coordinator, format!("{fault:?}"), fault.source(), progress));
    }
    for fault in ttl::Fault::ALL {
        let state = ExpiringState::new(ttl::Scope::to_find(fault), Some(fault));
        reports.push(find(&state, ModelName::Ttl, format!("{fault:?}"), fault.source(), progress));
    }
    reports
}

/// Serves stateright's Explorer for a model, for ever.
///
/// # Panics
/// The address cannot be served.
pub fn explore(model: ModelName, scope: ScopeName, address: impl ToSocketAddrs) {
    match model {
        ModelName::EndToEnd => {
            System::new(Scope::named(scope), None).checker().serve(address);
        }
        ModelName::Alignment => {
            Alignment::new(align::Scope::named(scope), None).checker().serve(address);
        }
        ModelName::Shared => {
            SharedFiles::new(shared::Scope::named(scope), None).checker().serve(address);
        }
        ModelName::Publish => {
            Publication::new(publish::scope::Scope::named(scope), None).checker().serve(address);
        }
        ModelName::Outputs => {
            OutputSystem::new(outputs::Scope::named(scope), None).checker().serve(address);
        }
        ModelName::Commit => {
            Sinks::new(commit::Scope::named(scope), None).checker().serve(address);
        }
        ModelName::Coordinator => {
            Coordination::new(coordinator::Scope::named(scope), None).checker().serve(address);
        }
        ModelName::Ttl => {
            ExpiringState::new(ttl::Scope::named(scope), None).checker().serve(address);
        }
    }
}

struct Outcome {
    states: usize,
    unique_states: usize,
    depth: usize,
    duration: Duration,
    properties: Vec<PropertyReport>,
}

/// Every state of a model, depth first.
fn prove<M>(model: &M, task: &str, progress: &mut dyn FnMut(Progress)) -> Outcome
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + fmt::Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + fmt::Debug + PartialEq + Send + Sync,
{
    let start = Instant::now();
    let checker = watch(builder(model).spawn_dfs(), task, progress);
    let duration = start.elapsed();
    let mut properties = Vec::new();
    for property in model.properties() {
        let found = checker.discovery(property.name);
        let (expectation, holds) = match property.expectation {
            Expectation::Always => (Promise::Always, found.is_none()),
            Expectation::Sometimes => (Promise::Sometimes, found.is_some()),
            Expectation::Eventually => unreachable!("stateright cannot check `eventually`"),
        };
        let name = property.name;
        let path = found.filter(|_| !holds).map(|path| {
            let (shorter, _) =
                search(model, vec![property], SHORTEN_WITHIN, "shortest counterexample", progress);
            shorter.map_or_else(|| lines(model, path.into_actions()), |(_, path)| path)
        });
        properties.push(PropertyReport { name, expectation, holds, path });
    }
    let (states, unique_states) = (checker.state_count(), checker.unique_state_count());
    Outcome { states, unique_states, depth: checker.max_depth(), duration, properties }
}

/// The nearest violation.
fn find<M>(
    model: &M,
    name: ModelName,
    fault: String,
    source: &'static str,
    progress: &mut dyn FnMut(Progress),
) -> FaultReport
where
    M: Model,
    M::State: Hash,
    M::Action: Clone + fmt::Debug,
{
    let (found, reached) = search(model, model.properties(), usize::MAX, &fault, progress);
    let (property, path) = found.map_or((None, Vec::new()), |(name, path)| (Some(name), path));
    FaultReport {
        model: name,
        fault,
        source,
        property,
        states_until_found: reached.unique_states,
        steps: path.len(),
        path,
    }
}

/// The nearest violation of what must always hold: the property and the steps to it.
fn search<M>(
    model: &M,
    mut properties: Vec<Property<M>>,
    limit: usize,
    task: &str,
    progress: &mut dyn FnMut(Progress),
) -> (Option<(&'static str, Vec<String>)>, Reached)
where
    M: Model,
    M::State: Hash,
    M::Action: Clone + fmt::Debug,
{
    properties.retain(|property| property.expectation == Expectation::Always);
    let (start, mut last) = (Instant::now(), Duration::ZERO);
    let (found, reached) =
        nearest(model, &properties, limit, &mut |Reached { states, unique_states, depth }| {
            let elapsed = start.elapsed();
            if elapsed - last >= BETWEEN_REPORTS {
                last = elapsed;
                progress(Progress { task: task.to_owned(), states, unique_states, depth, elapsed });
            }
        });
    (found.map(|violation| (violation.property, lines(model, violation.actions))), reached)
}

fn builder<M>(model: &M) -> CheckerBuilder<M>
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Hash + Send + Sync,
{
    model.clone().checker().threads(1)
}

fn lines<M: Model>(model: &M, actions: Vec<M::Action>) -> Vec<String>
where
    M::Action: fmt::Debug,
{
    actions.iter().map(|action| model.format_action(action)).collect()
}

/// Waits for a run to end and passes on how far it has come.
///
/// stateright's own reporter would want to be called from another thread.
fn watch<M: Model, C: Checker<M>>(mut checker: C, task: &str, progress: &mut dyn FnMut(Progress)) -> C {
    let handles = checker.handles();
    let start = Instant::now();
    let (running, ended) = mpsc::channel::<()>();
    let joined = std::thread::spawn(move || {
        // The other end hears of the end of the run, however it ends.
        let _running = running;
        handles.into_iter().try_for_each(std::thread::JoinHandle::join)
    });
    while ended.recv_timeout(BETWEEN_REPORTS) == Err(RecvTimeoutError::Timeout) {
        progress(Progress {
            task: task.to_owned(),
            states: checker.state_count(),
            unique_states: checker.unique_state_count(),
            depth: checker.max_depth(),
            elapsed: start.elapsed(),
        });
    }
    joined.join().and_then(|end| end).expect("the checker does not panic");
    checker
}
