use super::super::Verdict;
use super::super::harness::{AtKey, restored, store, written};
use super::{DOMAINS, Timed, sorted};
use crate::base::TimeDomain::{EventTime, ProcessingTime};
use crate::state::backend::StateBackend;
use crate::state::{StateError, TimerService, ValueStateDescriptor};

/// Two keys with two namespaces each, at one time.
const FOUR: [(u32, char, i64); 4] = [(1, 'a', 10), (1, 'b', 10), (2, 'a', 10), (2, 'b', 10)];

/// A timer is there once, however often it is registered, until it has fired or was deleted.
//= spec/timers.md#timer-1-a-timer-is-there-once
//= type=test
//# A timer that is registered again before it has fired MUST fire once.
pub fn timers_registered_again_are_there_once(backend: &StateBackend) -> Verdict {
    for domain in DOMAINS {
        let mut timed = Timed::new(backend)?;
        for timer in FOUR {
            assert!(timed.register(domain, timer)?, "{timer:?} is new");
        }
        // Also after a restore, one of which nobody has opened the timers.
        let mut store = restored::<u32>(backend, &timed.file()?)?;
        let mut timed = Timed::restored(backend, &written(&mut store)?)?;
        for timer in FOUR {
            assert!(!timed.register(domain, timer)?, "{timer:?} is there");
        }
        assert_eq!(timed.timers.count(domain), FOUR.len());
        assert_eq!(sorted(timed.fired(domain, 10)?), FOUR);
        assert!(timed.register(domain, FOUR[0])?, "it has fired");
        assert!(timed.delete(domain, FOUR[0])?);
        assert!(timed.register(domain, FOUR[0])?, "it was deleted");
        assert_eq!(timed.fired(domain, 10)?, [FOUR[0]]);
    }
    Ok(())
}

/// Y06, Y07: two keys and two namespaces in both domains, none of which takes another's timers.
pub fn timers_of_keys_namespaces_and_domains_do_not_see_each_other(backend: &StateBackend) -> Verdict {
    for (domain, other) in [(EventTime, ProcessingTime), (ProcessingTime, EventTime)] {
        let mut timed = Timed::new(backend)?;
        for timer in FOUR {
            timed.register(domain, timer)?;
        }
        assert!(timed.register(domain, (1, 'a', 11))?);
        let restored = Timed::restored(backend, &timed.file()?)?;
        for mut timed in [timed, restored] {
            assert_eq!((timed.timers.count(domain), timed.timers.count(other)), (5, 0));
            assert_eq!(timed.fired(domain, 9)?, []);
            assert_eq!(timed.fired(other, i64::MAX)?, []);
            assert_eq!(sorted(timed.fired(domain, 10)?), FOUR);
            let rest = Timed::restored(backend, &timed.file()?)?.fired(domain, 100)?;
            assert_eq!(rest, [(1, 'a', 11)], "what has fired is not in the state any more");
            assert_eq!(timed.fired(domain, 100)?, rest);
            assert_eq!(timed.timers.count(domain), 0);
            assert!(!timed.delete(domain, (1, 'a', 11))?, "it has fired");
        }
    }
    Ok(())
}

/// Y08, Y09: what was deleted does not fire, neither here nor after a restore, and nothing else is deleted with it.
pub fn timers_that_were_deleted_do_not_fire_and_others_do(backend: &StateBackend) -> Verdict {
    for domain in DOMAINS {
        let mut timed = Timed::new(backend)?;
        for timer in FOUR {
            timed.register(domain, timer)?;
        }
        assert!(timed.delete(domain, (1, 'a', 10))?);
        assert!(!timed.delete(domain, (1, 'a', 10))?, "there is none any more");
        assert!(!timed.delete(domain, (2, 'a', 11))?, "there was none");
        let mut restored = Timed::restored(backend, &timed.file()?)?;
        assert!(!restored.delete(domain, (1, 'a', 10))?);
        for mut timed in [timed, restored] {
            //= spec/timers.md#timer-4-a-deleted-timer-does-not-fire
            //= type=test
            //# A timer that was deleted MUST NOT fire.
            // One of those that are due deletes another one.
            let mut fired = Vec::new();
            while let Some((key, namespace, time)) = timed.next(domain, 10)? {
                if key == 2 {
                    let other = if namespace == 'a' { 'b' } else { 'a' };
                    timed.delete(domain, (key, other, time))?;
                }
                fired.push(key);
            }
            fired.sort_unstable();
            assert_eq!(fired, [1, 2]);
        }
    }
    Ok(())
}

/// Y03, Y04, Y05: there is one deadline, that of the earliest timer, whatever happens while timers fire.
pub fn timers_have_one_deadline_which_is_that_of_the_earliest(backend: &StateBackend) -> Verdict {
    let mut timed = Timed::new(backend)?;
    assert_eq!(timed.timers.deadline(), None);
    for (key, time) in [(1, 30), (2, 20), (2, 40), (1, 20)] {
        timed.register(ProcessingTime, (key, 'a', time))?;
        timed.register(EventTime, (key, 'a', 1))?;
    }
    assert_eq!(timed.timers.deadline(), Some(20));
    timed.register(ProcessingTime, (3, 'a', 10))?;
    assert_eq!(timed.timers.deadline(), Some(10));
    let mut timed = Timed::restored(backend, &timed.file()?)?;
    assert_eq!(timed.timers.deadline(), Some(10), "after a restore");

    // What a firing registers is due now, later than the others, or between them.
    let mut times = Vec::new();
    while let Some((key, _, time)) = timed.next(ProcessingTime, 30)? {
        times.push(time);
        if (key, time) == (3, 10) {
            for time in [5, 25, 35] {
                timed.register(ProcessingTime, (3, 'a', time))?;
            }
        }
    }
    assert_eq!(times, [10, 5, 20, 20, 25, 30]);
    assert_eq!(timed.timers.deadline(), Some(35));
    timed.delete(ProcessingTime, (3, 'a', 35))?;
    assert_eq!(timed.timers.deadline(), Some(40));
    Ok(())
}

/// A timer of any time may be registered, and fires with the next advance if its time has come already.
pub fn timers_registered_for_the_past_fire_with_the_next_advance(backend: &StateBackend) -> Verdict {
    let mut timed = Timed::new(backend)?;
    assert_eq!(timed.fired(EventTime, 100)?, []);
    assert_eq!(timed.timers.current_watermark(), 100);
    timed.register(EventTime, (1, 'a', 3))?;
    assert_eq!(timed.fired(EventTime, 50)?, [(1, 'a', 3)], "event time does not go back");
    assert_eq!(timed.timers.current_watermark(), 100);
    timed.register(EventTime, (1, 'a', i64::MAX))?;
    timed.register(EventTime, (1, 'a', i64::MIN))?;
    let mut timed = Timed::restored(backend, &timed.file()?)?;
    assert_eq!(timed.fired(EventTime, 101)?, [(1, 'a', i64::MIN)]);
    assert_eq!(timed.fired(EventTime, i64::MAX)?, [(1, 'a', i64::MAX)]);
    Ok(())
}

/// Thousands of timers, registered out of their order and at times that are far apart, each fire once, in the order of time.
pub fn timers_in_great_numbers_fire_in_the_order_of_time(backend: &StateBackend) -> Verdict {
    const TIMERS: u32 = 3_000;
    let timer = |number: u32| (number % 50, 'a', (i64::from(number) - 1_000) * 100_003);
    let mut timed = Timed::new(backend)?;
    for number in 0..TIMERS {
        assert!(timed.register(EventTime, timer(number * 7_919 % TIMERS))?);
    }
    for number in (0..TIMERS).step_by(3) {
        assert!(timed.delete(EventTime, timer(number))?);
    }
    let mut timed = Timed::restored(backend, &timed.file()?)?;
    let left: Vec<_> = (0..TIMERS).filter(|number| number % 3 != 0).map(timer).collect();
    assert_eq!(timed.timers.count(EventTime), left.len());
    for some in left.chunks(100) {
        let (_, _, latest) = some[some.len() - 1];
        assert_eq!(timed.fired(EventTime, latest)?, some);
    }
    assert_eq!(timed.timers.count(EventTime), 0);
    Ok(())
}

/// A timer is one of the current key, without which there is none.
pub fn timers_without_a_current_key_are_refused(backend: &StateBackend) -> Verdict {
    let Timed { mut store, mut timers } = Timed::new(backend)?;
    let refused = timers.register(&mut store, EventTime, &'a', 1);
    assert!(matches!(refused, Err(StateError::NoCurrentKey)), "{refused:?}");
    let refused = timers.delete(&mut store, EventTime, &'a', 1);
    assert!(matches!(refused, Err(StateError::NoCurrentKey)), "{refused:?}");
    assert_eq!(timers.count(EventTime), 0);
    Ok(())
}

/// Where a function fails, no timer has come or gone.
pub fn timers_given_a_store_of_others_stay_as_they_are(backend: &StateBackend) -> Verdict {
    for domain in DOMAINS {
        let mut timed = Timed::new(backend)?;
        let mut other = Timed::new(backend)?.store;
        timed.register(domain, (1, 'a', 10))?;
        let timers = &mut timed.timers;
        let advanced = timers.advance(other.at(1)?, domain, 20).expect_err("the store of others");
        let registered = timers.register(&mut other, domain, &'a', 11).expect_err("the store of others");
        let deleted = timers.delete(&mut other, domain, &'a', 10).expect_err("the store of others");
        for error in [advanced, registered, deleted] {
            assert!(matches!(error, StateError::ForeignHandle), "{error}");
        }
        assert_eq!(timed.fired(domain, 20)?, [(1, 'a', 10)]);
    }
    Ok(())
}

/// Timers of one name have one type of namespaces, and states of users have names of their own.
pub fn timers_of_other_namespaces_under_one_name_are_refused(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    TimerService::<u32, char>::open(&mut store, "test", i64::MIN)?;
    let refused = TimerService::<u32, u64>::open(&mut store, "test", i64::MIN).expect_err("chars");
    assert!(matches!(refused, StateError::TypeMismatch { .. }), "{refused}");
    store.open(&ValueStateDescriptor::<u64>::new("test")).map(drop)
}
