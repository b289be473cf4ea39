//! What must hold, and what must be seen so that it means something.

use super::scope::Shape;
use super::store::{Slot, Store, Value, Writes};
use super::system::ExpiringState;
use super::world::World;
use snapline::ttl::{StateVisibility, UpdateType};
use stateright::Property;

type P = Property<ExpiringState>;

pub(super) fn properties() -> Vec<P> {
    let mut all = visibility();
    all.extend(lives());
    all.extend(times());
    all.extend(cleanup());
    all
}

impl World {
    fn is_strict(&self) -> bool {
        self.run.visibility == StateVisibility::NeverReturnExpired
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
            let ttl = model.rules(world).config.ttl().length().0;
            let ends = |value: &Value| value.updated.checked_add_unsigned(ttl).is_none();
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
            world.working.ttl == 1
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
            let only_longer = world.working.ttl == 1 && world.left.backs == world.run.budgets.backs;
            world.is_strict() && only_longer && world.reads_differ(model)
        }),
    ]
}
