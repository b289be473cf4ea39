use super::super::Verdict;
use super::super::harness::{
    AtKey, File, builder, file_of, group_of, groups, images, keys_of_groups, max_parallelism, restored,
    written,
};
use super::{At, DOMAINS, Timed, TimedOperator, sorted};
use crate::base::TimeDomain::{EventTime, ProcessingTime};
use crate::keygroup::{KeyGroupRange, KeyGroupRangeAssignment};
use crate::state::backend::StateBackend;
use crate::state::{KeyedStateStoreBuilder, StateError, TimerService};

/// Y10: a snapshot has the timers of its moment, whatever has come, gone and fired before and after it.
pub fn timers_survive_snapshot_and_restore(backend: &StateBackend) -> Verdict {
    for domain in DOMAINS {
        let mut timed = Timed::new(backend)?;
        for time in 0..10 {
            timed.register(domain, (1, 'a', time))?;
            timed.register(domain, (2, 'b', time))?;
        }
        timed.delete(domain, (2, 'b', 7))?;
        // Between two that are due.
        assert_eq!(timed.fired(domain, 4)?.len(), 10);
        let fifth = timed.next(domain, 5)?;
        let snapshot = timed.store.snapshot()?;
        timed.register(domain, (3, 'c', 6))?;
        timed.delete(domain, (1, 'a', 8))?;
        timed.fired(domain, 9)?;
        assert_eq!(timed.timers.count(domain), 0);

        let mut restored = Timed::restored(backend, &file_of(snapshot)?)?;
        let both = (5..10).flat_map(|time| [(1, 'a', time), (2, 'b', time)]);
        let left: Vec<At> = both.filter(|at| *at != (2, 'b', 7) && Some(*at) != fifth).collect();
        assert_eq!(restored.timers.count(domain), left.len());
        assert_eq!(sorted(restored.fired(domain, 100)?), sorted(left));
        assert_eq!(restored.all_fired()?, [[], []]);
    }
    Ok(())
}

/// Y13: timers that objects in memory wrote are restored by this backend, and the other way round.
pub fn timers_are_restored_by_another_backend_and_back(backend: &StateBackend) -> Verdict {
    let mut timed = Timed::new(&StateBackend::default())?;
    let timers: Vec<At> = (0..40).map(|number| (number % 8, 'a', 100 - i64::from(number))).collect();
    for timer in &timers {
        timed.register(EventTime, *timer)?;
        timed.register(ProcessingTime, *timer)?;
    }
    let mut timed = Timed::restored(backend, &timed.file()?)?;
    let mut back = Timed::restored(&StateBackend::default(), &timed.file()?)?;
    let in_order: Vec<At> = timers.into_iter().rev().collect();
    for timed in [&mut timed, &mut back] {
        assert_eq!(timed.all_fired()?, [&in_order[..], &in_order[..]]);
    }
    Ok(())
}

/// Y02: in a snapshot every timer stands in the key group of its key.
pub fn timers_stand_in_the_key_group_of_their_key(backend: &StateBackend) -> Verdict {
    let mut timed = Timed::new(backend)?;
    for key in 0..100 {
        for domain in DOMAINS {
            timed.register(domain, (key, 'a', 5))?;
        }
    }
    let image = images(&timed.file()?, None)?.pop().expect("keyed state");
    for name in ["_timer_state/event_test", "_timer_state/processing_test"] {
        assert_eq!(keys_of_groups(&image.states[name]), (0..100).collect::<Vec<_>>(), "{name}");
    }
    Ok(())
}

/// Y01, Y11: of an operator whose parallelism changes every subtask has the timers of its own key groups, wherever these begin.
pub fn timers_follow_their_key_groups_when_the_parallelism_changes(backend: &StateBackend) -> Verdict {
    let max = groups(10);
    let at = |key: u32| (key, 'a', i64::from(key % 7));
    let mut operator = TimedOperator::restored(backend, max, 3, &[])?;
    for key in 0..60 {
        for domain in DOMAINS {
            operator.of_key(key).register(domain, at(key))?;
        }
    }
    let mut last = -1;
    for (parallelism, now) in [(7, 1), (2, 3), (3, 6)] {
        let files = operator.files()?;
        operator = TimedOperator::restored(backend, max, parallelism, &files)?;
        let assignment = KeyGroupRangeAssignment::new(max, parallelism).expect("some subtasks");
        for (subtask, timed) in (0..).zip(&mut operator.subtasks) {
            let due = |key: &u32| (last + 1..=now).contains(&at(*key).2);
            let own = (0..60).filter(|key| assignment.owner_of_key(key) == subtask);
            let expected: Vec<At> = own.filter(due).map(at).collect();
            for domain in DOMAINS {
                assert_eq!(
                    sorted(timed.fired(domain, now)?),
                    expected,
                    "{subtask} of {parallelism}, {domain}"
                );
            }
        }
        last = now;
    }
    assert!(operator.subtasks.iter().all(|timed| timed.timers.count(EventTime) == 0));
    Ok(())
}

/// Timers of both domains of which many have the same time, in a file of their own for each half of the key groups, and
/// the order in which those of each half fire.
type Half = (KeyGroupRange, File, Vec<Vec<At>>);

fn halves(backend: &StateBackend) -> Result<Vec<Half>, StateError> {
    let max = max_parallelism();
    let mut operator = TimedOperator::restored(backend, max, 2, &[])?;
    // Neither keys nor times come in their order.
    for number in (0..3_000).map(|number| number * 7_919 % 3_000) {
        let (key, time) = (number % 50, i64::from(number * 31 % 37) - 20);
        let namespace = if number % 3 == 0 { 'a' } else { 'b' };
        let domain = if number % 7 < 4 { EventTime } else { ProcessingTime };
        operator.of_key(key).register(domain, (key, namespace, time))?;
    }
    let half = |timed: &mut Timed| {
        let (file, order) = (timed.file()?, timed.all_fired()?);
        assert!(order.iter().all(|order| order.len() > 100 && order.is_sorted_by_key(|timer| timer.2)));
        Ok((timed.store.range(), file, order))
    };
    operator.subtasks.iter_mut().map(half).collect()
}

/// Q40, Q41, T14: timers that come back all at once fire in the order of those that were registered one by one, also those
/// of one time, and also when the timers of others come back with them.
pub fn timers_restored_all_at_once_fire_in_the_order_of_those_registered_one_by_one(
    backend: &StateBackend,
) -> Verdict {
    let halves = halves(backend)?;
    let fired = |range, timers: &[&Half]| {
        let mut parts = Vec::new();
        for (_, file, _) in timers {
            parts.extend(images(file, Some(range))?);
        }
        let builder = KeyedStateStoreBuilder::new(max_parallelism(), range).with_backend(backend);
        Timed::of(builder.restore(parts)?)?.all_fired()
    };
    for half in &halves {
        assert_eq!(fired(half.0, &[half])?, half.2);
    }
    let [first, second] = &halves[..] else { panic!("two") };
    let all_groups = max_parallelism().all_groups();
    let together = fired(all_groups, &[first, second])?;
    assert_eq!(together, fired(all_groups, &[second, first])?);
    for (range, _, expected) in [first, second] {
        let of_half = |(key, _, _): &&At| range.contains(group_of(*key));
        let own: Vec<Vec<At>> =
            together.iter().map(|all| all.iter().filter(of_half).copied().collect()).collect();
        assert_eq!(own, *expected);
    }
    Ok(())
}

/// R11: timers whose namespaces or keys were written by another serializer are refused when they are restored, and are
/// still there for the right one.
pub fn timers_restored_with_an_incompatible_serializer_are_refused_and_kept(
    backend: &StateBackend,
) -> Verdict {
    let mut timed = Timed::new(backend)?;
    let timers: Vec<At> = (0..20).map(|key| (key, 'a', i64::from(key))).collect();
    for timer in &timers {
        timed.register(EventTime, *timer)?;
    }
    let file = timed.file()?;
    let mut store = restored::<u32>(backend, &file)?;
    let refused = TimerService::<u32, u64>::open(&mut store, "test", i64::MIN).expect_err("chars");
    assert_eq!(
        refused.to_string(),
        "state `_timer_state/event_test` cannot be opened with this serializer of its namespaces: \
         (i64, char) was written, the job has (i64, u64)"
    );
    assert_eq!(Timed::of(store)?.fired(EventTime, i64::MAX)?, timers);

    let refused = builder::<u64>(backend).restore(images(&file, None)?);
    assert_eq!(
        refused.expect_err("keys of u32").to_string(),
        "state `all keyed state` cannot be opened with this serializer of its keys: \
         u32 was written, the job has u64"
    );
    Ok(())
}

/// Y12: the names of the states, the types by which they are found again, and the bytes of a timer.
pub fn timers_format_is_fixed(backend: &StateBackend) -> Verdict {
    let Timed { mut store, mut timers } = Timed::new(backend)?;
    timers.register(store.at(7)?, EventTime, &'x', -2)?;
    timers.register(store.at(7)?, ProcessingTime, &'y', 300)?;
    let image = images(&written(&mut store)?, None)?.pop().expect("keyed state");
    let found: Vec<_> = image
        .states
        .iter()
        .map(|(name, state)| {
            let (_, group) = state.groups.first_key_value().expect("one timer");
            let entry = group.iter(state.header.kind).next().expect("one timer");
            let bytes = (entry.key.to_vec(), entry.namespace.to_vec(), entry.value.to_vec());
            (name.as_str(), state.header.namespace.id.as_str(), state.header.value.id.as_str(), bytes)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("_timer_state/event_test", "(i64, char)", "()", (vec![7], vec![3, 1, b'x'], vec![])),
            ("_timer_state/processing_test", "(i64, char)", "()", (vec![7], vec![0xd8, 4, 1, b'y'], vec![])),
        ]
    );
    Ok(())
}
