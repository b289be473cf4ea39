use super::faults::Fault;
use super::history::Present;
use super::properties::properties;
use super::rules::Rules;
use super::scope::{CleanUp, DOWNTIME, Scope, Shape};
use super::store::{Slot, Store};
use super::world::{Step, Working, World};
use snapline::ttl::{OldestUpdate, StateVisibility};
use stateright::{Model, Property};

/// The checked system: the state of one key, its user, a clock, clean-up and snapshots.
#[derive(Clone, Debug)]
pub struct ExpiringState {
    /// Its bounds.
    pub scope: Scope,
    /// The planted bug.
    pub fault: Option<Fault>,
}

impl ExpiringState {
    /// A state within `scope`.
    pub fn new(scope: Scope, fault: Option<Fault>) -> Self {
        ExpiringState { scope, fault }
    }

    pub(super) fn plants(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(super) fn rules(&self, world: &World) -> Rules {
        let keeps_old = self.plants(Fault::OldTimeToLiveKept);
        let ttl = if keeps_old { 0 } else { world.working.ttl };
        Rules { config: world.run.config(ttl), now: world.now, fault: self.fault }
    }

    fn write(&self, world: &mut World, entry: Slot, adds: bool) {
        let (rules, present, run) = (self.rules(world), world.present(), world.run);
        let (number, shape, working) = (world.written, run.shape, &mut world.working);
        if !self.plants(Fault::WritesNotNoted) {
            working.accessed(&run, rules.now);
        }
        if adds {
            working.history.add(present, entry, number);
            working.store.add(shape, &rules, entry, number);
            working.untouched.add(shape, &rules, entry, number);
        } else {
            working.history.write(present, entry, number);
            working.store.write(shape, &rules, entry, number);
            working.untouched.write(shape, &rules, entry, number);
        }
        // At the end of time it has expired at once.
        working.history.clock_moved(present);
        world.wrong.written |= !working.times_agree();
        world.written += 1;
        world.left.writes -= 1;
    }

    fn read(&self, world: &mut World, entry: Slot) {
        let (rules, present, shape) = (self.rules(world), world.present(), world.run.shape);
        let (working, wrong) = (&mut world.working, &mut world.wrong);
        if !self.plants(Fault::RefreshNotNoted) {
            working.accessed(&world.run, rules.now);
        }
        let bounds = working.history.bounds(present, entry);
        let seen = working.store.read(shape, &rules, entry);
        let seen_untouched = working.untouched.read(shape, &rules, entry);
        let is_strict = world.run.visibility == StateVisibility::NeverReturnExpired;
        wrong.expired_seen |= is_strict && (seen | seen_untouched) & bounds.expired != 0;
        wrong.lost |= bounds.least & !(seen & seen_untouched) != 0;
        wrong.hidden |= bounds.visible & !seen_untouched != 0;
        wrong.came_back |= seen & !bounds.most != 0 || seen_untouched & !bounds.whole != 0;
        wrong.cleanup_seen |= is_strict && !working.may_revive && seen != seen_untouched;
        working.history.read(present, entry);
        wrong.refreshed |= !working.times_agree();
    }

    fn look(&self, world: &mut World) {
        let (rules, working) = (self.rules(world), &world.working);
        let is_empty = working.store.is_empty(&rules);
        let is_strict = world.run.visibility == StateVisibility::NeverReturnExpired;
        let differs = is_empty != working.untouched.is_empty(&rules);
        world.wrong.cleanup_seen |= is_strict && !working.may_revive && differs;
        world.wrong.lost |= is_empty && working.history.0.values().any(|life| life.least != 0);
    }

    fn remove(world: &mut World, entry: Slot) {
        let (run, now, working) = (world.run, world.now, &mut world.working);
        working.accessed(&run, now);
        working.store.remove(run.shape, entry);
        working.untouched.remove(run.shape, entry);
        working.history.remove(run.shape, entry);
    }

    fn merge(&self, world: &mut World) {
        let (rules, present, run) = (self.rules(world), world.present(), world.run);
        let working = &mut world.working;
        working.accessed(&run, rules.now);
        if run.cleanup == CleanUp::Passes && !self.plants(Fault::MergeNotNoted) {
            working.oldest.moved();
        }
        working.store.merge(&rules);
        working.untouched.merge(&rules);
        working.history.merge(present);
        world.wrong.merged |= !working.times_agree();
    }

    fn move_clock(world: &mut World, by: i64) {
        if by < 0 {
            world.working.may_revive = true;
            world.snapshot.iter_mut().for_each(|snapshot| snapshot.may_revive = true);
        }
        world.now = world.now.saturating_add(by);
        let present = world.present();
        world.working.history.clock_moved(present);
    }

    fn snapshot(&self, world: &mut World, cleans_up: bool) {
        let (rules, present) = (self.rules(world), world.present());
        let oldest = OldestUpdate::of_nothing();
        let mut snapshot = Working { cursor: 0, oldest, compaction: None, ..world.working.clone() };
        if cleans_up {
            let history = &mut snapshot.history;
            let slots: Vec<Slot> = snapshot.store.0.keys().copied().collect();
            let mut expected = snapshot.store.clone();
            expected.0.retain(|slot, _| !history.is_expired(present, *slot));
            slots.iter().for_each(|slot| history.cleaned_up(present, *slot));
            snapshot.store = snapshot.store.cleaned_up(&rules);
            world.wrong.cleaned_up |= snapshot.store != expected;
        }
        self.falsify_snapshot(world, &mut snapshot);
        world.snapshot = Some(snapshot);
        world.left.snapshots -= 1;
    }

    fn falsify_snapshot(&self, world: &World, snapshot: &mut Working) {
        if let Some(before) = world.snapshot.as_ref().filter(|_| self.plants(Fault::RemovalNotInSnapshot)) {
            let newer = std::mem::replace(&mut snapshot.store, before.store.clone());
            snapshot.store.0.extend(newer.0);
        }
        if self.plants(Fault::AgesStored) {
            shift_times(&mut snapshot.store, -world.now);
        }
    }

    fn restore(&self, world: &mut World, ttl: u8) {
        let Some(mut restored) = world.snapshot.clone() else { return };
        // For ever is the longest.
        let length = |index: u8| world.run.ttls[usize::from(index)].unwrap_or(u64::MAX);
        restored.may_revive |= length(ttl) > length(restored.ttl);
        let had_times = world.run.ttls[usize::from(restored.ttl)].is_some();
        restored.ttl = ttl;
        if world.run.cleanup == CleanUp::Passes && !self.plants(Fault::RestoredTakenForNothing) {
            restored.oldest = OldestUpdate::unknown();
        }
        if self.plants(Fault::AgesStored) {
            shift_times(&mut restored.store, world.now);
        }
        if self.plants(Fault::RestoreRefreshes) {
            restored.store.0.values_mut().for_each(|value| value.updated = world.now);
        }
        world.wrong.restored |= !restored.times_agree();
        world.working = restored;
        self.switch(world, had_times);
        let present = world.present();
        world.working.history.clock_moved(present);
        world.left.restores -= 1;
    }

    /// A state may begin or end to expire when it is restored.
    fn switch(&self, world: &mut World, had_times: bool) {
        let (rules, present, working) = (self.rules(world), world.present(), &mut world.working);
        if had_times && rules.config.is_none() {
            let before = working.store.0.len();
            if self.plants(Fault::SwitchedOffLeavesOut) {
                let written_with = Present { ttl: world.run.ttls[0], ..present };
                working.store.0.retain(|_, value| !written_with.is_expired(value.updated));
            }
            world.wrong.switched_off |= working.store.0.len() != before;
        }
        if !had_times && rules.config.is_some() {
            working.history.begin_to_expire(present);
            working.store.begin_to_expire(&rules);
            working.untouched.begin_to_expire(&rules);
            world.wrong.switched_on |= !working.times_agree();
        }
    }
}

fn shift_times(store: &mut Store, by: i64) {
    store.0.values_mut().for_each(|value| value.updated += by);
}

impl Model for ExpiringState {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        self.scope.runs.iter().map(|run| World::new(*run)).collect()
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        let (shape, left) = (world.run.shape, &world.left);
        for entry in shape.entries() {
            if left.writes > 0 && shape.can_add() {
                steps.push(Step::Add(*entry));
            }
            if left.writes > 0 && shape.can_write() {
                steps.push(Step::Write(*entry));
            }
            steps.extend([Step::Read(*entry), Step::Remove(*entry)]);
        }
        if shape == Shape::Map {
            steps.push(Step::Look);
        }
        if shape == Shape::Windows {
            steps.push(Step::Merge);
        }
        if world.now < i64::MAX {
            steps.extend((left.ticks > 0).then_some(Step::Tick));
            steps.extend((left.jumps > 0).then_some(Step::Jump));
        }
        steps.extend((left.backs > 0).then_some(Step::Back));
        steps.extend((world.run.cleanup != CleanUp::Nothing).then_some(Step::CleanUp));
        if left.snapshots > 0 {
            steps.extend([true, false].map(Step::Snapshot));
        }
        if world.snapshot.is_some() && left.restores > 0 {
            steps.extend((0..world.run.ttls.len() as u8).map(Step::Restore));
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut world = world.clone();
        match step {
            Step::Write(entry) => self.write(&mut world, entry, false),
            Step::Add(entry) => self.write(&mut world, entry, true),
            Step::Read(entry) => self.read(&mut world, entry),
            Step::Look => self.look(&mut world),
            Step::Remove(entry) => Self::remove(&mut world, entry),
            Step::Merge => self.merge(&mut world),
            Step::Tick => {
                world.left.ticks -= 1;
                Self::move_clock(&mut world, 1);
            }
            Step::Jump => {
                world.left.jumps -= 1;
                Self::move_clock(&mut world, DOWNTIME);
            }
            Step::Back => {
                world.left.backs -= 1;
                Self::move_clock(&mut world, -1);
            }
            Step::CleanUp => self.clean_up(&mut world),
            Step::Snapshot(cleans_up) => self.snapshot(&mut world, cleans_up),
            Step::Restore(ttl) => self.restore(&mut world, ttl),
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }

    fn format_action(&self, step: &Step) -> String {
        match step {
            Step::Write(entry) => format!("the user writes to {entry}"),
            Step::Add(entry) => format!("the user adds to {entry}"),
            Step::Read(entry) => format!("the user reads {entry}"),
            Step::Look => "the user looks whether the map is empty".to_owned(),
            Step::Remove(entry) => format!("the user removes {entry}"),
            Step::Merge => "the user merges 1 into 0".to_owned(),
            Step::Tick => "a millisecond passes".to_owned(),
            Step::Jump => format!("{DOWNTIME} ms pass at once"),
            Step::Back => "the clock goes back by a millisecond".to_owned(),
            Step::CleanUp => "clean-up goes on".to_owned(),
            Step::Snapshot(true) => "a snapshot is taken and leaves out what has expired".to_owned(),
            Step::Snapshot(false) => "a snapshot is taken".to_owned(),
            Step::Restore(0) => "the state is restored as it began".to_owned(),
            Step::Restore(ttl) => format!("the state is restored with time to live number {ttl}"),
        }
    }
}
