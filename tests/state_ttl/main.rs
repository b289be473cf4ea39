//! State with a time to live, of every shape on every backend, beside a reference in plain arithmetic.
#![cfg(feature = "testkit")]

mod compaction;
mod handles;
mod metrics;
mod reference;
mod subject;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use reference::{Reference, Rules, SHAPES, Shape};
use snapline::base::TimeDomain;
use snapline::state::backend::StateBackend;
use subject::{Subject, bytes, heap, is_heap};

/// What removes expired state beside reads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum CleanUp {
    None,
    InSnapshots,
    Incremental,
}

/// When a state that was written at `written` is read, and with what time to live.
const SITUATIONS: [(&str, u64, i64, i64); 7] = [
    ("one millisecond before", 100, 1_000, 1_099),
    ("at the expiry", 100, 1_000, 1_100),
    ("one millisecond after", 100, 1_000, 1_101),
    ("past the end of time", i64::MAX as u64, 1_000, i64::MAX - 1),
    ("at the end of time", i64::MAX as u64, 1_000, i64::MAX),
    ("after the clock went back", 100, 1_000, 500),
    ("after a long downtime", 100, 1_000, 1_000_000_000),
];

/// The matrix: shapes, updates, visibilities, clean-ups, situations, backends.
#[test]
fn ttl_of_every_shape_in_every_situation() {
    let mut cases = 0;
    for shape in SHAPES {
        for (refresh, lenient) in [(false, false), (false, true), (true, false), (true, true)] {
            for clean_up in [CleanUp::None, CleanUp::InSnapshots, CleanUp::Incremental] {
                for (situation, ttl, written, read) in SITUATIONS {
                    for backend in [heap(), bytes()] {
                        for domain in [TimeDomain::ProcessingTime, TimeDomain::EventTime] {
                            let in_snapshots = clean_up == CleanUp::InSnapshots;
                            let rules = Rules { ttl, refresh, lenient, in_snapshots, domain };
                            let what = format!("{shape:?} {rules:?} {clean_up:?} {situation} {backend:?}");
                            run_case(shape, rules, clean_up, (written, read), &backend, &what);
                            cases += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(cases, 7 * 4 * 3 * 7 * 2 * 2);
}

fn run_case(
    shape: Shape,
    rules: Rules,
    clean_up: CleanUp,
    (written, read): (i64, i64),
    backend: &StateBackend,
    what: &str,
) {
    let mut subject = Subject::new(backend, shape, rules, Vec::new(), written);
    let mut reference = Reference::new(shape, rules);
    for (key, value) in [(1, 5), (2, 0), (1, 7)] {
        subject.write(key, value);
        reference.write(written, key, value);
    }
    subject.set_time(read);
    match clean_up {
        CleanUp::None => {}
        CleanUp::InSnapshots => {
            // The snapshot shrinks, the working state does not.
            let before = subject.keys();
            subject.snapshot();
            assert_eq!(subject.keys(), before, "{what}");
            assert_eq!(subject.expired(), reference.expired(read), "{what}");
            // The first one has left out what the second does.
            reference.removed.left_out_of_snapshots = reference.expired(read).values;
            subject.restore(backend, rules);
            reference.restore(read);
            assert_eq!(subject.keys(), usize::from(!reference.cells.is_empty()) * before, "{what}");
        }
        CleanUp::Incremental => {
            subject.clean_up();
            if is_heap(backend) {
                reference.clean_up(read);
                assert_eq!(subject.keys(), usize::from(!reference.cells.is_empty()), "{what}");
            }
        }
    }
    // The second read sees what the first has done, and so does one that comes later.
    for now in [read, read, read.saturating_add(1), read.saturating_add(99), read.saturating_add(100)] {
        subject.set_time(now);
        assert_eq!(subject.expired(), reference.expired(now), "{what}, looked at at {now}");
        assert_eq!(subject.read(), reference.read(now), "{what}, read at {now}");
        assert_eq!(subject.removed(), reference.removed, "{what}, read at {now}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(u8, u64),
    Change(u8, u64),
    Replace(Vec<u64>),
    Clear,
    Read,
    ReadEntry(u8),
    Contains(u8),
    ReadHalves(bool),
    Remove(u8),
    RetainOthers(u8),
    Pass(u8),
    Back(u8),
    Sleep,
    CleanUp,
    /// On the other backend, with this time to live.
    Restore(bool, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3u8, 0..50u64).prop_map(|(key, value)| Step::Write(key, value)),
        2 => (0..3u8, 0..50u64).prop_map(|(key, value)| Step::Change(key, value)),
        1 => proptest::collection::vec(0..50u64, 0..3).prop_map(Step::Replace),
        1 => Just(Step::Clear),
        4 => Just(Step::Read),
        2 => (0..3u8).prop_map(Step::ReadEntry),
        1 => (0..3u8).prop_map(Step::Contains),
        1 => any::<bool>().prop_map(Step::ReadHalves),
        1 => (0..3u8).prop_map(Step::Remove),
        1 => (0..3u8).prop_map(Step::RetainOthers),
        6 => (1..40u8).prop_map(Step::Pass),
        1 => (1..40u8).prop_map(Step::Back),
        1 => Just(Step::Sleep),
        1 => Just(Step::CleanUp),
        1 => (any::<bool>(), 1..100u8).prop_map(|(other, ttl)| Step::Restore(other, ttl)),
    ]
}

/// Does a step to both, and compares what they answer.
fn take(step: Step, subject: &mut Subject, reference: &mut Reference, now: &mut i64) -> TestCaseResult {
    let is_map = reference.shape.is_map();
    match step {
        Step::Write(key, value) => {
            subject.write(key, value);
            reference.write(*now, key, value);
        }
        Step::Change(key, value) => {
            subject.change(key, value);
            reference.change(*now, key, value);
        }
        Step::Replace(values) => {
            subject.replace(&values);
            reference.replace(*now, &values);
        }
        Step::Clear => {
            subject.clear();
            reference.cells.clear();
        }
        Step::Read => prop_assert_eq!(subject.read(), reference.read(*now)),
        Step::ReadEntry(key) if is_map => {
            prop_assert_eq!(subject.read_entry(key), reference.read_entry(*now, key));
        }
        Step::Contains(key) if is_map => {
            prop_assert_eq!(subject.contains(key), reference.read_entry(*now, key).is_some());
        }
        Step::ReadHalves(keys) if is_map => {
            let seen = reference.read(*now).into_iter();
            let mut seen: Vec<_> =
                seen.map(|(key, value)| if keys { u64::from(key) } else { value }).collect();
            seen.sort_unstable();
            prop_assert_eq!(subject.read_halves(keys), seen);
        }
        Step::Remove(key) if is_map => prop_assert_eq!(subject.remove(key), reference.remove(*now, key)),
        Step::RetainOthers(key) if is_map => {
            subject.retain_others(key);
            reference.retain_others(*now, key);
        }
        Step::ReadEntry(_)
        | Step::Contains(_)
        | Step::ReadHalves(_)
        | Step::Remove(_)
        | Step::RetainOthers(_) => {}
        Step::Pass(millis) => *now += i64::from(millis),
        Step::Back(millis) => *now = (*now - i64::from(millis)).max(0),
        Step::Sleep => *now += 10_000,
        Step::CleanUp => {
            subject.clean_up();
            if is_heap(&subject.backend) {
                reference.clean_up(*now);
            }
        }
        Step::Restore(other, ttl) => {
            reference.restore(*now);
            reference.rules.ttl = u64::from(ttl);
            let backend = if other == is_heap(&subject.backend) { bytes() } else { heap() };
            subject.restore(&backend, reference.rules);
        }
    }
    subject.set_time(*now);
    prop_assert_eq!(subject.expired(), reference.expired(*now));
    prop_assert_eq!(subject.removed(), reference.removed);
    if let Some(is_empty) = subject.is_empty() {
        prop_assert_eq!(is_empty, reference.is_empty(*now));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// With clocks that go back, long downtimes, and times to live that change over restores.
    #[test]
    fn ttl_states_agree_with_a_reference(
        shape in 0..SHAPES.len(),
        rules in (1..100u64, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let (ttl, refresh, lenient, in_snapshots, event) = rules;
        let domain = if event { TimeDomain::EventTime } else { TimeDomain::ProcessingTime };
        let rules = Rules { ttl, refresh, lenient, in_snapshots, domain };
        let shape = SHAPES[shape];
        let mut now = 1_000;
        let mut subject = Subject::new(&heap(), shape, rules, Vec::new(), now);
        let mut reference = Reference::new(shape, rules);
        for step in steps {
            take(step, &mut subject, &mut reference, &mut now)?;
        }
        prop_assert_eq!(subject.read(), reference.read(now));
    }
}
