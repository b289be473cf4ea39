//! What must hold, and what must be seen so that it means something.

use super::compaction::Compaction;
use super::scope::{CleanUp, Shape};
use super::store::{Slot, Store, Value, Writes};
use super::system::ExpiringState;
use super::world::World;
use snapline::ttl::{OldestUpdate, StateVisibility, UpdateType};
use stateright::Property;

type P = Property<ExpiringState>;

pub(super) fn properties() -> Vec<P> {
    let mut all = visibility();
    all.extend(lives());
    all.extend(times());
    all.extend(cleanup());
    all.extend(passes());
    all.extend(compactions());
    all.extend(merges());
    all.extend(switches());
    all
}

impl World {
    fn is_strict(&self) -> bool {
        self.run.visibility == StateVisibility::NeverReturnExpired
    }

    /// Whether it was restored with a longer time to live than it had at first.
    fn is_longer(&self) -> bool {
        let ttl = |index: u8| self.run.ttls[usize::from(index)];
        ttl(0).zip(ttl(self.working.ttl)).is_some_and(|(first, ttl)| first < ttl)
    }

    fn refreshes(&self) -> bool {
        self.run.update == UpdateType::OnReadAndWrite
    }

    fn is_list(&self) -> bool {
        self.run.shape == Shape::List
    }

    /// What of the state has expired and is there all the same.
    fn expired(&self, model: &ExpiringState) -> impl Iterator<Item = Value> {
        let rules = model.rules(self);
        self.working.store.0.values().copied().filter(move |value| rules.is_expired(value))
    }

    /// What a read of the first entry, or of the list, would give now and leave behind.
    fn read(&self, model: &ExpiringState, store: &Store) -> (Writes, Store) {
        let mut store = store.clone();
        let seen = store.read(self.run.shape, &model.rules(self), 0);
        (seen, store)
    }

    /// Whether it would give something else without clean-up.
    fn reads_differ(&self, model: &ExpiringState) -> bool {
        let working = &self.working;
        self.read(model, &working.store).0 != self.read(model, &working.untouched).0
    }
}

/// Who sees what.
fn visibility() -> Vec<P> {
    vec![
        //= spec/ttl.md#ttl-3-the-instant-of-expiry
        //= type=test
        //# A value MUST be expired exactly when its time of expiry is not later than the present.
        //= spec/ttl.md#ttl-4-what-is-never-returned
        //= type=test
        //# Under `NeverReturnExpired` an expired value MUST NOT be visible.
        P::always("TTL-3, 4 what has expired is not seen where it must not be", |_, world: &World| {
            !world.wrong.expired_seen
        }),
        P::sometimes("what has expired is still there and must not be seen", |model, world| {
            world.is_strict() && world.expired(model).next().is_some()
        }),
        //= spec/ttl.md#ttl-2-the-time-of-expiry
        //= type=test
        //# The time of expiry MUST be the time of the last update plus the time to live, and the end of time if that would be later.
        P::always("TTL-2, 3 what has never been expired is seen", |_, world| !world.wrong.lost),
        P::sometimes("what would expire after the end of time is alive", |model, world| {
            let Some(config) = model.rules(world).config else { return false };
            let ends = |value: &Value| value.updated.checked_add_unsigned(config.ttl().length().0).is_none();
            world.now < i64::MAX && world.working.store.0.values().any(ends)
        }),
        P::sometimes("at the end of time what was just written has expired", |model, world| {
            world.expired(model).any(|value| value.updated == i64::MAX)
        }),
        P::sometimes("what has expired lives again with a clock that has gone back", |model, world| {
            let mut lives = world.working.history.0.values();
            let revived = lives.any(|life| life.least == 0 && life.most != 0);
            world.left.backs < world.run.budgets.backs
                && world.left.restores == world.run.budgets.restores
                && revived
                && world.expired(model).next().is_none()
        }),
        P::sometimes("what has expired lives again with a longer time to live", |model, world| {
            let mut lives = world.working.history.0.values();
            let revived = lives.any(|life| life.least == 0 && life.most != 0);
            world.is_longer()
                && world.left.backs == world.run.budgets.backs
                && revived
                && world.expired(model).next().is_none()
        }),
        //= spec/ttl.md#ttl-5-what-may-be-returned
        //= type=test
        //# Under `ReturnExpiredIfNotCleanedUp` an expired value that is still there MUST be visible.
        P::always("TTL-5, 10 what nothing has removed is seen where it may be", |_, world| {
            !world.wrong.hidden
        }),
        P::sometimes("an addition has built on what had expired", |_, world| {
            // Of what it consists of only the addition is certain.
            let built_on = |(slot, value): (&Slot, &Value)| {
                let life = world.working.history.0.get(slot);
                value.writes.count_ones() > 1 && life.is_some_and(|life| life.least.count_ones() == 1)
            };
            world.left.backs == world.run.budgets.backs && world.working.store.0.iter().any(built_on)
        }),
    ]
}

/// What is removed stays so.
fn lives() -> Vec<P> {
    vec![
        //= spec/ttl.md#ttl-6-a-read-removes-what-has-expired
        //= type=test
        //# A read of a cell that has expired MUST remove it.
        //= spec/ttl.md#ttl-8-a-list-without-a-live-element
        //= type=test
        //# A read of a list of which every element has expired MUST remove it.
        //= spec/ttl.md#ttl-10-an-addition-builds-on-what-is-visible
        //= type=test
        //# An addition MUST build on the value that is there exactly if that is visible.
        P::always(
            "TTL-6, 8, 9, 10 what was removed or given out for the last time is gone",
            |_, world: &World| !world.wrong.came_back,
        ),
        P::sometimes("what has expired can be given out for the last time", |model, world| {
            let (seen, left) = world.read(model, &world.working.store);
            seen != 0 && !left.0.contains_key(&0) && !world.is_list()
        }),
        P::sometimes("a list has nothing but dead elements", |model, world| {
            world.is_list()
                && world.working.store.0.len() > 1
                && world.expired(model).count() == world.working.store.0.len()
        }),
        P::sometimes("a list has live and dead elements", |model, world| {
            let dead = world.expired(model).count();
            world.is_list() && world.refreshes() && dead > 0 && dead < world.working.store.0.len()
        }),
        P::sometimes("a snapshot lacks what the state has got", |_, world| {
            let kept = |snapshot: &super::world::Working| snapshot.store.0.len();
            world.snapshot.as_ref().is_some_and(|snapshot| kept(snapshot) < world.working.store.0.len())
        }),
    ]
}

/// Which time a value has.
fn times() -> Vec<P> {
    vec![
        //= spec/ttl.md#ttl-7-a-read-that-refreshes
        //= type=test
        //# Under `OnReadAndWrite` a read of a cell that has not expired MUST make the present its time, even if the clock has gone back.
        //= spec/ttl.md#ttl-9-a-list-that-is-refreshed
        //= type=test
        //# Under `OnReadAndWrite` a read of a list with a live element MUST keep its live elements alone and make the present their time.
        P::always("TTL-7, 9 a read refreshes exactly what it must", |_, world: &World| {
            !world.wrong.refreshed
        }),
        P::sometimes("a read refreshes two elements", |model, world| {
            let (_, left) = world.read(model, &world.working.store);
            world.is_list() && left.0.len() == 2 && left != world.working.store
        }),
        P::sometimes("a read shortens a life", |model, world| {
            let (_, left) = world.read(model, &world.working.store);
            let time = |store: &Store| store.0.get(&0).map(|value| value.updated);
            time(&left).is_some() && time(&left) < time(&world.working.store)
        }),
        P::always("a write makes the present the time of what it writes, and of nothing else", |_, world| {
            !world.wrong.written
        }),
        P::sometimes("two values have different times", |_, world| {
            let mut times = world.working.store.0.values().map(|value| value.updated);
            let first = times.next();
            times.any(|time| Some(time) != first)
        }),
        P::always("times are the same after a restore", |_, world| !world.wrong.restored),
        P::sometimes("a restored value lives some time after it was written", |model, world| {
            let rules = model.rules(world);
            let lives = |value: &Value| value.updated < world.now && !rules.is_expired(value);
            world.left.restores < world.run.budgets.restores && world.working.store.0.values().any(lives)
        }),
    ]
}

/// Nobody sees it.
fn cleanup() -> Vec<P> {
    vec![
        //= spec/ttl.md#ttl-11-clean-up-removes-what-has-expired
        //= type=test
        //# Clean-up MUST remove a value that it looks at exactly if that has expired.
        P::always("TTL-11 clean-up removes what has expired, and nothing else", |_, world: &World| {
            !world.wrong.cleaned_up
        }),
        P::always("TTL-4, 11 where nothing lives again, clean-up is not seen", |_, world| {
            !world.wrong.cleanup_seen
        }),
        P::sometimes("clean-up has removed something, and nobody can tell", |model, world| {
            let working = &world.working;
            world.is_strict()
                && !working.may_revive
                && working.store != working.untouched
                && !world.reads_differ(model)
        }),
        P::sometimes("clean-up is seen where what has expired may be", |model, world| {
            !world.is_strict() && world.reads_differ(model)
        }),
        P::sometimes("clean-up is seen after the clock has gone back", |model, world| {
            world.is_strict() && world.left.backs < world.run.budgets.backs && world.reads_differ(model)
        }),
        P::sometimes("clean-up is seen after a restore with a longer time to live", |model, world| {
            let only_longer = world.is_longer() && world.left.backs == world.run.budgets.backs;
            world.is_strict() && only_longer && world.reads_differ(model)
        }),
    ]
}

/// Clean-up that goes in passes, and is left out.
fn passes() -> Vec<P> {
    vec![
        //= spec/ttl.md#ttl-23-clean-up-that-is-left-out
        //= type=test
        //# A pass of incremental clean-up MUST begin when it is due, unless no value can have expired.
        P::always("TTL-23 a pass that was left out would have removed nothing", |_, world: &World| {
            !world.wrong.left_out
        }),
        P::sometimes("a pass is left out although there are values", |model, world| {
            world.leaves_out_a_pass(model) && !world.working.store.0.is_empty()
        }),
        P::sometimes("a pass goes by times that the one before it has left", |model, world| {
            // What the user has written since does not count: nothing was.
            let mut oldest = world.working.oldest;
            world.run.cleanup == CleanUp::Passes
                && world.working.cursor == 0
                && oldest != OldestUpdate::unknown()
                && world.expired(model).next().is_some()
                && model.rules(world).goes_on(&mut oldest)
                && world.working.history.0.values().any(|life| life.most == 0)
        }),
        P::sometimes("a merge has moved a value to where the pass under way has been", |_, world| {
            let moved = |value: &Value| value.updated < world.now;
            world.run.shape == Shape::Windows
                && world.run.cleanup == CleanUp::Passes
                && world.working.cursor == 2
                && !world.working.store.0.contains_key(&1)
                && world.working.store.0.get(&0).is_some_and(moved)
        }),
        P::sometimes("a restored state has been cleaned up in a pass", |_, world| {
            world.run.cleanup == CleanUp::Passes
                && world.left.restores < world.run.budgets.restores
                && world.working.cursor > 0
        }),
    ]
}

/// What compactions do.
fn compactions() -> Vec<P> {
    vec![
        //= spec/ttl.md#ttl-18-compaction-of-a-value
        //= type=test
        //# A compaction MUST remove a value exactly if clean-up would.
        //= spec/ttl.md#ttl-19-compaction-of-a-list
        //= type=test
        //# A compaction MUST leave those elements of a list, in their order, that clean-up would not remove.
        P::always("TTL-18, 19 a compaction removes what has expired, and counts it", |_, world: &World| {
            !world.wrong.compacted
        }),
        P::sometimes("a compaction finds a value that has expired", |_, world| {
            !world.is_list() && world.compaction_finds(|dead, _| dead)
        }),
        P::sometimes("a compaction finds an element that has expired behind one that lives", |_, world| {
            world.is_list() && world.compaction_finds(|dead, lived| dead && lived)
        }),
        P::sometimes("a compaction has come by what was written since it began", |_, world| {
            let is_newer = |(slot, value): (&Slot, &Value)| {
                world.working.store.0.get(slot).is_some_and(|newer| newer.writes != value.writes)
            };
            let compaction = world.working.compaction.as_ref();
            compaction.is_some_and(|compaction| compaction.input.0.range(..compaction.cursor).any(is_newer))
        }),
        //= spec/ttl.md#ttl-20-the-present-of-a-compaction
        //= type=test
        //# A compaction MUST ask for the present before its first entry, and again after as many as its state says.
        P::always("TTL-20 a compaction asks for the present when it must", |_, world| !world.wrong.asked),
        P::sometimes("a compaction goes by a present that is behind, or asks anew", |_, world| {
            let is_behind = |compaction: &Compaction| {
                let next = compaction.next_entry(world.run.shape);
                compaction.entries > 0 && compaction.asked_at < world.now && !next.0.is_empty()
            };
            world.working.compaction.as_ref().is_some_and(is_behind)
        }),
    ]
}

/// What merges do.
fn merges() -> Vec<P> {
    vec![
        //= spec/ttl.md#ttl-15-merging
        //= type=test
        //# A merge MUST combine the values that are visible, and make the present the time of what several became.
        P::always(
            "TTL-15 a merge gives the present to what several became, and to nothing else",
            |_, world: &World| !world.wrong.merged,
        ),
        P::sometimes("a merge would combine two values of which one has expired", |model, world| {
            world.run.shape == Shape::Windows
                && !world.is_strict()
                && world.working.store.0.len() == 2
                && world.expired(model).count() == 1
        }),
        P::sometimes("a merge would leave out one of two values", |model, world| {
            world.run.shape == Shape::Windows
                && world.is_strict()
                && world.working.store.0.len() == 2
                && world.expired(model).count() == 1
        }),
    ]
}

/// State that begins or ends to expire at a restore.
fn switches() -> Vec<P> {
    vec![
        //= spec/ttl.md#ttl-13-time-to-live-that-is-switched-on
        //= type=test
        //# Values that were restored without times MUST count as updated at the time of the restore.
        P::always("TTL-13 what had no time begins to live at the restore", |_, world: &World| {
            !world.wrong.switched_on
        }),
        P::sometimes("what had no time has expired after the restore", |model, world| {
            world.run.ttls[0].is_none() && world.expired(model).next().is_some()
        }),
        //= spec/ttl.md#ttl-14-time-to-live-that-is-switched-off
        //= type=test
        //# Values that were restored with times by a state without a time to live MUST stay, expired or not.
        P::always("TTL-14 what had times stays without a time to live", |_, world| !world.wrong.switched_off),
        P::sometimes("what had expired lives for ever", |model, world| {
            let mut lives = world.working.history.0.iter();
            model.rules(world).config.is_none()
                && lives.any(|(slot, life)| life.least == 0 && world.working.store.0.contains_key(slot))
        }),
    ]
}

impl World {
    /// Whether clean-up would not begin a pass now.
    fn leaves_out_a_pass(&self, model: &ExpiringState) -> bool {
        let mut oldest = self.working.oldest;
        self.run.cleanup == CleanUp::Passes && !model.rules(self).goes_on(&mut oldest)
    }

    /// Whether a compaction that begins now would find a value that is as `is` says: whether it has expired, and whether one
    /// before it lives.
    fn compaction_finds(&self, is: impl Fn(bool, bool) -> bool) -> bool {
        let (present, mut lived) = (self.present(), false);
        let is_compacted = matches!(self.run.cleanup, CleanUp::Compaction { .. });
        is_compacted
            && self.working.compaction.is_none()
            && self.working.store.0.values().any(|value| {
                let dead = present.is_expired(value.updated);
                let found = is(dead, lived);
                lived |= !dead;
                found
            })
    }
}
