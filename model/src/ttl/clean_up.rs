//! Incremental clean-up: one value after the other, whenever it may be or in passes.

use super::faults::Fault;
use super::scope::CleanUp;
use super::store::Slot;
use super::system::ExpiringState;
use super::world::World;

impl ExpiringState {
    /// Clean-up looks at what is next.
    pub(super) fn clean_up(&self, world: &mut World) {
        match world.run.cleanup {
            CleanUp::Nothing => {}
            CleanUp::Values => self.look_at_next(world),
            CleanUp::Passes => self.go_on_with_pass(world),
            CleanUp::Compaction { query_after } => self.compact(world, query_after),
        }
    }

    fn look_at_next(&self, world: &mut World) {
        let (present, working) = (world.present(), &mut world.working);
        if let Some(found) = working.found.take() {
            let was_expired = working.history.is_expired(present, found);
            world.wrong.cleaned_up |= working.store.0.remove(&found).is_some() && !was_expired;
            return;
        }
        let Some(slot) = working.store.next_slot(working.cursor) else { return };
        self.look_at(world, slot);
        world.working.cursor = slot + 1;
    }

    /// As the heap does: a pass begins where a value may have expired, and hears of what it leaves.
    fn go_on_with_pass(&self, world: &mut World) {
        let (rules, present, working) = (self.rules(world), world.present(), &mut world.working);
        if !rules.goes_on(&mut working.oldest) {
            let is_expired = |slot: &Slot| working.history.is_expired(present, *slot);
            world.wrong.left_out |= working.store.0.keys().any(is_expired);
            return;
        }
        let next = working.store.0.range(working.cursor..).next().map(|(slot, _)| *slot);
        let ends_early = self.plants(Fault::PassEndedEarly) && working.cursor > 0;
        let Some(slot) = next.filter(|_| !ends_early) else {
            working.cursor = 0;
            working.oldest.passed();
            return;
        };
        self.look_at(world, slot);
        let working = &mut world.working;
        if let Some(value) = working.store.0.get(&slot).filter(|_| !self.plants(Fault::SurvivorsNotNoted)) {
            working.oldest.left(value.updated);
        }
        working.cursor = slot + 1;
    }

    fn look_at(&self, world: &mut World, slot: Slot) {
        let (rules, present, working) = (self.rules(world), world.present(), &mut world.working);
        let mut expected = working.store.clone();
        if working.history.is_expired(present, slot) {
            expected.0.remove(&slot);
        }
        working.found = working.store.clean_up(&rules, slot);
        working.history.cleaned_up(present, slot);
        world.wrong.cleaned_up |= working.found.is_none() && working.store != expected;
    }
}
