//! The checked system: what can happen next, and what follows from it.

use super::faults::Fault;
use super::history::History;
use super::process::{Life, Process};
use super::properties::properties;
use super::scope::{Budgets, Scope};
use super::storage::{How, Storage};
use serde::Serialize;
use snapline::publish::{
    Answer, Input, OnCorruption, Operation, Output, PointerKind, PointerSequence, Skipped,
};
use stateright::{Model, Path, Property};
use std::fmt::Write;

/// One state of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct World {
    /// What a recovery does when the newest checkpoint cannot be read.
    pub on_corruption: OnCorruption,
    /// What may still happen.
    pub budgets: Budgets,
    /// How often each coordinator was started.
    starts: [u64; 2],
    /// Whether anything has rotted.
    pub damaged: bool,
    /// The coordinators.
    pub processes: [Process; 2],
    /// What is durable.
    pub storage: Storage,
    /// What an observer has seen.
    pub history: History,
}

/// What happens next. Coordinators are numbered 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The second coordinator is started.
    Start,
    /// The storage answers a coordinator.
    Answer(usize, How),
    /// A coordinator's pause is over.
    Tick(usize),
    /// A coordinator publishes its next checkpoint.
    Publish(usize),
    /// A coordinator begins another attempt.
    Restart(usize),
    /// A coordinator is killed and starts again; what it has asked for may still arrive.
    Crash(usize, bool),
    /// A put arrives late.
    Late(usize),
    /// A pointer is deleted.
    Delete(PointerSequence),
    /// The newest pointer rots.
    DamagePointer,
    /// The metadata of the newest checkpoint rots.
    DamageMetadata,
}

/// Two coordinators and their storage.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The bounds.
    pub scope: Scope,
    /// The planted bug.
    pub fault: Option<Fault>,
}

impl Publication {
    /// The system within `scope`.
    pub fn new(scope: Scope, fault: Option<Fault>) -> Self {
        Publication { scope, fault }
    }

    fn plants(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn start(&self, world: &mut World, who: usize) {
        world.starts[who] += 1;
        // Odd for the first coordinator, even for the second: no process ever has the number of another.
        let incarnation = 2 * world.starts[who] - 1 + who as u64;
        let (process, outputs) = Process::started(incarnation, world.on_corruption);
        world.processes[who] = process;
        self.carry_out(world, who, outputs);
    }

    fn answer(&self, world: &mut World, who: usize, how: How) {
        let Some((ticket, operation)) = world.processes[who].asked.take() else { return };
        let answer = self.store(world, &operation, how);
        let answer = match answer {
            Answer::Unknown if self.plants(Fault::LostTakenForFailed) => Answer::Failed,
            Answer::Unknown if self.plants(Fault::LostTakenForStored) => Answer::Stored,
            Answer::Corrupt if self.plants(Fault::DamageTakenForOutage) => Answer::Failed,
            answer => answer,
        };
        let told_by_reading = matches!(answer, Answer::Pointer(_));
        let outputs = world.processes[who].drive(Input::Answered { ticket, answer });
        world.history.seen.settled |=
            told_by_reading && outputs.iter().any(|o| matches!(o, Output::Published(_)));
        self.carry_out(world, who, outputs);
    }

    /// What the storage does with an operation; the observer sees what becomes durable.
    fn store(&self, world: &mut World, operation: &Operation, how: How) -> Answer {
        let storage = &mut world.storage;
        let highest = storage.pointers.keys().last().copied();
        match operation {
            Operation::PutMetadata(_) if how == How::Truly && self.plants(Fault::MetadataNotDurable) => {
                return Answer::Stored;
            }
            Operation::PutMetadata(checkpoint) if self.plants(Fault::IdsBeginAgain) => {
                storage.metadata.remove(&checkpoint.id);
            }
            Operation::PutPointer(_, pointer)
                if pointer.kind == PointerKind::Claim && self.plants(Fault::ClaimNotWritten) =>
            {
                return Answer::Stored;
            }
            Operation::PutPointer(number, _) if self.plants(Fault::PointerOverwritten) => {
                storage.pointers.remove(number);
            }
            _ => {}
        }
        let answer = storage.answer(operation, how);
        if let (Operation::PutPointer(number, pointer), Answer::Stored) = (operation, &answer) {
            world.history.written(*number, pointer, highest);
        }
        answer
    }

    fn carry_out(&self, world: &mut World, who: usize, outputs: Vec<Output>) {
        for output in outputs {
            let process = &mut world.processes[who];
            match output {
                Output::Perform { ticket, operation } => {
                    if let Operation::PutPointer(_, pointer) = &operation
                        && pointer.kind == PointerKind::Publication
                        && self.plants(Fault::ToldBeforeDurable)
                    {
                        pointer.newest.iter().for_each(|id| world.history.told(*id));
                    }
                    process.asked = Some((ticket, operation));
                }
                Output::Skipping(Skipped::Older(_)) => {}
                Output::Skipping(Skipped::Pointer(_) | Skipped::Newest(_)) => {
                    if !self.plants(Fault::SkippedInSilence) {
                        world.history.said_that_it_goes_back(process.incarnation);
                    }
                }
                Output::Recovered(recovered) => {
                    process.begin(&recovered);
                    if self.plants(Fault::IdsBeginAgain) {
                        process.forget_ids();
                    }
                }
                Output::RecoveryFailed(failure) => process.life = Life::Failed(failure),
                Output::RetirementEnded { .. } => unreachable!("no job of this model retires"),
                Output::Published(id) => {
                    process.published(id);
                    world.history.told(id);
                    self.plant_deletions(&mut world.storage);
                }
                Output::PublicationFailed { checkpoint: id, .. } => {
                    let attempt = process.attempt.expect("it publishes in an attempt");
                    let visible = world.history.published.get(&id) == Some(&attempt);
                    world.history.reported_as_failed(id, attempt, visible);
                }
                Output::Fenced => {
                    process.life = Life::Fenced;
                    if self.plants(Fault::FencedCleansUp) {
                        world.storage.metadata.clear();
                    }
                }
                Output::DeletePointer(number) => {
                    world.storage.deleting.insert(number);
                }
            }
        }
    }

    /// Deletes what must stay.
    fn plant_deletions(&self, storage: &mut Storage) {
        let Some(highest) = storage.pointers.keys().last().copied() else { return };
        let doomed = |(number, kind): &(PointerSequence, PointerKind)| match kind {
            PointerKind::Publication => self.plants(Fault::GapInTheNewestSegment) && *number < highest,
            PointerKind::Claim => {
                self.plants(Fault::ClaimsDeleted) && *number < highest.segment(super::scope::SEGMENT)
            }
        };
        let all = storage.pointers.iter().map(|(number, object)| (*number, object.content.kind));
        for (number, _) in all.filter(doomed).collect::<Vec<_>>() {
            storage.delete(number);
        }
    }

    /// A put arrives whose sender does not wait for it any more.
    fn late(&self, world: &mut World, index: usize) {
        let Some(operation) = world.storage.late.iter().nth(index).cloned() else { return };
        world.storage.late.remove(&operation);
        let answer = self.store(world, &operation, How::Truly);
        if self.plants(Fault::LateAnswerObeyed) {
            for who in 0..world.processes.len() {
                if let Some((ticket, _)) = world.processes[who].asked.take() {
                    let outputs =
                        world.processes[who].drive(Input::Answered { ticket, answer: answer.clone() });
                    self.carry_out(world, who, outputs);
                }
            }
        }
    }

    /// What can happen to one coordinator.
    fn steps_of(&self, world: &World, who: usize, steps: &mut Vec<Step>) {
        let (process, budgets) = (&world.processes[who], &world.budgets);
        if process.life != Life::Running {
            return;
        }
        if let Some((_, operation)) = &process.asked {
            let is_put = matches!(operation, Operation::PutMetadata(_) | Operation::PutPointer(..));
            steps.push(Step::Answer(who, How::Truly));
            if budgets.refusals > 0 {
                steps.push(Step::Answer(who, How::Refused));
            }
            if budgets.losses > 0 && is_put {
                steps.push(Step::Answer(who, How::Lost));
            }
            if budgets.lies > 0 {
                steps.extend(world.storage.lies(operation).into_iter().map(|how| Step::Answer(who, how)));
            }
            if budgets.crashes > 0 && is_put {
                steps.push(Step::Crash(who, true));
            }
        }
        if process.publisher.deadline().is_some() {
            steps.push(Step::Tick(who));
        }
        if process.is_ready() && budgets.checkpoints > 0 {
            steps.push(Step::Publish(who));
        }
        if process.is_ready() && budgets.restarts > 0 {
            steps.push(Step::Restart(who));
        }
        if budgets.crashes > 0 {
            steps.push(Step::Crash(who, false));
        }
    }

    fn spend(budgets: &mut Budgets, step: Step) {
        match step {
            Step::Start => budgets.coordinators -= 1,
            Step::Answer(_, How::Refused) => budgets.refusals -= 1,
            Step::Answer(_, How::Lost) => budgets.losses -= 1,
            Step::Answer(_, How::Absent | How::Deleted | How::Behind(..)) => budgets.lies -= 1,
            Step::Publish(_) => budgets.checkpoints -= 1,
            Step::Restart(_) => budgets.restarts -= 1,
            Step::Crash(..) => budgets.crashes -= 1,
            Step::DamagePointer | Step::DamageMetadata => budgets.damages -= 1,
            Step::Answer(_, How::Truly) | Step::Tick(_) | Step::Late(_) | Step::Delete(_) => {}
        }
    }
}

impl World {
    /// Whether a coordinator has anything left to do.
    pub fn is_quiet(&self) -> bool {
        self.processes.iter().all(|process| {
            process.life != Life::Running || (process.is_ready() && self.budgets.checkpoints == 0)
        })
    }
}

impl Model for Publication {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let mut worlds = Vec::new();
        for (budgets, on_corruption) in
            self.scope.budgets.iter().flat_map(|b| [(*b, OnCorruption::Fail), (*b, OnCorruption::FallBack)])
        {
            // Without damage the two are the same.
            if on_corruption == OnCorruption::FallBack && budgets.damages == 0 {
                continue;
            }
            let absent = Process::absent(on_corruption);
            let mut world = World {
                on_corruption,
                budgets,
                starts: [0, 0],
                damaged: false,
                processes: [absent.clone(), absent],
                storage: Storage::default(),
                history: History::default(),
            };
            self.start(&mut world, 0);
            worlds.push(world);
        }
        worlds
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for who in 0..world.processes.len() {
            self.steps_of(world, who, steps);
        }
        if world.budgets.coordinators > 0 {
            steps.push(Step::Start);
        }
        steps.extend((0..world.storage.late.len()).map(Step::Late));
        let there = |number: &&PointerSequence| world.storage.pointers.contains_key(number);
        steps.extend(world.storage.deleting.iter().filter(there).copied().map(Step::Delete));
        if world.budgets.damages > 0 && world.history.newest.is_some() {
            steps.extend([Step::DamagePointer, Step::DamageMetadata]);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut world = world.clone();
        Self::spend(&mut world.budgets, step);
        world.damaged |= matches!(step, Step::DamagePointer | Step::DamageMetadata);
        match step {
            Step::Start => self.start(&mut world, 1),
            Step::Answer(who, how) => self.answer(&mut world, who, how),
            Step::Tick(who) => {
                let outputs = world.processes[who].drive(Input::Tick);
                self.carry_out(&mut world, who, outputs);
            }
            Step::Publish(who) => {
                let attempt = world.processes[who].attempt.expect("it is ready");
                let outputs = world.processes[who].publish(attempt);
                self.carry_out(&mut world, who, outputs);
            }
            Step::Restart(who) => {
                let outputs = world.processes[who].recover();
                self.carry_out(&mut world, who, outputs);
            }
            Step::Crash(who, survives) => {
                let left = world.processes[who].asked.take().map(|(_, operation)| operation);
                world.storage.late.extend(left.filter(|_| survives));
                self.start(&mut world, who);
            }
            Step::Late(index) => self.late(&mut world, index),
            Step::Delete(number) => world.storage.delete(number),
            Step::DamagePointer => {
                let newest = world.storage.pointers.values_mut().next_back();
                newest.into_iter().for_each(|object| object.damaged = true);
            }
            Step::DamageMetadata => {
                let newest = world.history.newest.and_then(|id| world.storage.metadata.get_mut(&id));
                newest.into_iter().for_each(|object| object.damaged = true);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }

    fn format_action(&self, step: &Step) -> String {
        match step {
            Step::Start => "the second coordinator starts".into(),
            Step::Answer(who, how) => format!("the storage answers coordinator {who}: {how:?}"),
            Step::Tick(who) => format!("coordinator {who} tries again"),
            Step::Publish(who) => format!("coordinator {who} publishes"),
            Step::Restart(who) => format!("coordinator {who} begins another attempt"),
            Step::Crash(who, false) => format!("coordinator {who} is killed and starts again"),
            Step::Crash(who, true) => {
                format!("coordinator {who} is killed and starts again; its put is on its way")
            }
            Step::Late(_) => "a put arrives late".into(),
            Step::Delete(number) => format!("pointer {number} is deleted"),
            Step::DamagePointer => "the newest pointer rots".into(),
            Step::DamageMetadata => "the newest metadata rots".into(),
        }
    }

    fn format_step(&self, world: &World, step: Step) -> Option<String> {
        self.next_state(world, step).map(|next| describe(&next))
    }

    fn as_svg(&self, path: Path<World, Step>) -> Option<String> {
        Some(format!("<pre>{}</pre>", describe(path.last_state())))
    }
}

/// A state in words.
fn describe(world: &World) -> String {
    let mut text = String::new();
    for (who, process) in world.processes.iter().enumerate() {
        let asked = process.asked.as_ref().map(|(_, operation)| format!(", waits for {operation:?}"));
        let (life, attempt) = (process.life, process.attempt);
        writeln!(text, "coordinator {who}: {life:?}, {attempt:?}{}", asked.unwrap_or_default())
            .expect("text can be written");
    }
    for (number, object) in &world.storage.pointers {
        let damaged = if object.damaged { ", damaged" } else { "" };
        writeln!(text, "pointer {number}: {:?}{damaged}", object.content).expect("text can be written");
    }
    for (id, object) in &world.storage.metadata {
        let damaged = if object.damaged { ", damaged" } else { "" };
        writeln!(text, "metadata {id}: attempt {}{damaged}", object.content.attempt)
            .expect("text can be written");
    }
    for operation in &world.storage.late {
        writeln!(text, "on its way: {operation:?}").expect("text can be written");
    }
    text
}
