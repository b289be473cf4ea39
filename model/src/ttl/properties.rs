//! What must hold, and what must be seen so that it means something.

use super::scope::Shape;
use super::store::Value;
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

    /// How a read of the first entry, or of the list, would differ between the copies.
    fn reads_differ(&self, model: &ExpiringState) -> bool {
        let (rules, shape, working) = (model.rules(self), self.run.shape, &self.working);
        let seen = working.store.clone().read(shape, &rules, 0);
        seen != working.untouched.clone().read(shape, &rules, 0)
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
        P::sometimes("an addition builds on what has expired", |model, world| {
            let is_sum = |value: &Value| value.writes.count_ones() > 1;
            !world.is_strict()
                && world.run.shape == Shape::Reduced
                && world.expired(model).any(|v| is_sum(&v))
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
            !world.is_strict() && !world.is_list() && world.expired(model).next().is_some()
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
        P::sometimes(
            "reads have let two elements that were added one after the other live on",
            |_, world| {
                let (values, writes) = (&world.working.store.0, world.run.budgets.writes - world.left.writes);
                let all_new = values.values().all(|value| value.updated == world.now);
                world.is_list() && world.refreshes() && values.len() == 2 && writes == 2 && all_new
            },
        ),
        P::sometimes("a value is from a time that the clock has gone back before", |_, world| {
            world.working.store.0.values().any(|value| value.updated > world.now)
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
        P::sometimes("a restored value lives, some time after the snapshot", |model, world| {
            let was_restored = world.left.restores < world.run.budgets.restores;
            let is_alive = world.expired(model).count() < world.working.store.0.len();
            was_restored && world.left.writes == world.run.budgets.writes - 1 && is_alive
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
