//! What can happen next.

use super::faults::Fault;
use super::properties::properties;
use super::scope::{GIVEN, Run, SOURCE};
use super::store::{How, Store};
use super::system::{Coordination, is_put};
use super::text;
use super::world::{Life, Step, Stray, World};
use snapline::base::{DeclineReason, Millis};
use stateright::{Model, Path, Property};
use std::sync::Arc;

impl Coordination {
    fn storage_steps(world: &World, who: usize, steps: &mut Vec<Step>) {
        let (process, left) = (&world.processes[who], &world.left);
        if let Some((_, operation)) = &process.asked {
            steps.push(Step::Answer(who, How::Truly));
            if left.refusals > 0 {
                steps.push(Step::Answer(who, How::Refused));
            }
            if left.losses > 0 && is_put(operation) {
                steps.push(Step::Answer(who, How::Lost));
            }
        }
        for checkpoint in &process.cleaning {
            steps.push(Step::Delete(who, *checkpoint));
            if left.refusals > 0 {
                steps.push(Step::DeletionFails(who, *checkpoint));
            }
        }
    }

    fn part_steps(world: &World, who: usize, steps: &mut Vec<Step>) {
        let (process, left) = (&world.processes[who], &world.left);
        for part in process.owed.iter().copied() {
            let is_awaited = process.awaits(part);
            if is_awaited || left.late > 0 {
                steps.push(Step::Acknowledge(who, part));
            }
            if is_awaited && left.repetitions > 0 {
                steps.push(Step::AcknowledgeTwice(who, part));
            }
            if (is_awaited && left.declines > 0) || (!is_awaited && left.late > 0) {
                steps.push(Step::Decline(who, part, DeclineReason::AsyncPartFailed));
            }
            if is_awaited && left.declines > 0 {
                steps.push(Step::Decline(who, part, DeclineReason::OnCancellationBarrier));
            }
        }
        steps.extend(process.again.iter().map(|part| Step::Again(who, *part)));
    }

    fn task_steps(world: &World, who: usize, steps: &mut Vec<Step>) {
        let (tasks, left) = (&world.processes[who].tasks, &world.left);
        match tasks.life {
            Life::Absent => return,
            Life::Starting => steps.push(Step::Running(who)),
            Life::Stopping => {
                steps.push(Step::Stopped(who));
                return;
            }
            Life::Running => {}
        }
        if left.task_failures > 0 {
            let fail = |task| [Step::Fail(who, task, false), Step::Fail(who, task, true)];
            steps.extend(tasks.alive().flat_map(fail));
        }
        if tasks.life == Life::Starting {
            return;
        }
        for task in tasks.alive() {
            if left.finishes > 0 || tasks.dismissed.contains(&task) {
                steps.push(Step::Finish(who, task));
            }
        }
        if tasks.source_has_data() && (left.ends > 0 || tasks.draining) {
            steps.push(Step::EndOfData(who));
        }
        if !tasks.finished.contains(&SOURCE) && left.backlogs > 0 {
            steps.push(Step::Backlog(who));
        }
    }

    fn user_steps(&self, world: &World, who: usize, steps: &mut Vec<Step>) {
        let left = &world.left;
        if left.requests > 0 {
            steps.extend(self.run(world).requests.iter().map(|kind| Step::Request(who, *kind)));
        }
        if left.endings > 0 {
            steps.extend([Step::Cancel(who), Step::Suspend(who)]);
        }
        if left.switches > 0 {
            steps.extend([Step::Switch(who, false), Step::Switch(who, true)]);
        }
        if left.strays > 0 {
            let strays = [Stray::UnknownTask, Stray::UnknownCheckpoint, Stray::OldFailure, Stray::OldEnd];
            steps.extend(strays.map(|stray| Step::Stray(who, stray)));
        }
    }

    fn may_tick(&self, world: &World, who: usize) -> bool {
        let process = &world.processes[who];
        let is_forgotten = self.plants(Fault::TimerNotArmedAgain) && process.watch.attempts.len() > 1;
        let deadline = process.coordinator.deadline().filter(|_| !is_forgotten);
        deadline.is_some_and(|deadline| deadline <= world.now || world.left.jumps > 0)
    }
}

impl Model for Coordination {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let run_of = |(run, bounds): (usize, &Run)| {
            let mut world = World {
                run,
                left: bounds.left,
                now: Millis(0),
                requests: 0,
                processes: Vec::new(),
                store: Arc::new(Store { given: bounds.given.map(|_| GIVEN), ..Store::default() }),
            };
            self.start(&mut world);
            world
        };
        self.scope.runs.iter().enumerate().map(run_of).collect()
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for who in 0..world.processes.len() {
            Self::storage_steps(world, who, steps);
            if !world.processes[who].lives() {
                continue;
            }
            Self::part_steps(world, who, steps);
            Self::task_steps(world, who, steps);
            self.user_steps(world, who, steps);
            if self.may_tick(world, who) {
                steps.push(Step::Tick(who));
            }
        }
        steps.extend((0..world.store.late.len()).map(Step::Late));
        if world.left.coordinators > 0 {
            steps.push(Step::Start);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut world = world.clone();
        Self::spend(&mut world, step);
        self.apply(&mut world, step);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }

    fn format_action(&self, step: &Step) -> String {
        text::step(*step)
    }

    fn format_step(&self, world: &World, step: Step) -> Option<String> {
        self.next_state(world, step).map(|next| text::world(&next))
    }

    fn as_svg(&self, path: Path<World, Step>) -> Option<String> {
        Some(format!("<pre>{}</pre>", text::world(path.last_state())))
    }
}
