//! Any script of registrations, deletions and advances of timers, and restores at other parallelisms and on other
//! backends, beside a plain set of all timers.

use super::super::Verdict;
use super::super::harness::groups;
use super::super::timers::{At, TimedOperator};
use super::{PARALLELISMS, random_scripts};
use crate::base::TimeDomain::{self, EventTime, ProcessingTime};
use crate::state::backend::StateBackend;
use std::collections::BTreeSet;

/// One step of a script. A timer is a key, a namespace and a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Step {
    Register(TimeDomain, (u32, char, i64)),
    Delete(TimeDomain, (u32, char, i64)),
    Advance(TimeDomain, i64),
    /// At one of some parallelisms, on one of the backends.
    Restore(usize, usize),
}

impl Step {
    /// The step that some random bytes stand for.
    #[must_use]
    pub fn of(bytes: [u8; 8]) -> Step {
        let domain = if bytes[1].is_multiple_of(2) { EventTime } else { ProcessingTime };
        let time = i64::from(bytes[2] % 100) - 20;
        let timer = (u32::from(bytes[3] % 30), if bytes[4].is_multiple_of(2) { 'a' } else { 'b' }, time);
        match bytes[0] % 14 {
            0..8 => Step::Register(domain, timer),
            8..11 => Step::Delete(domain, timer),
            11..13 => Step::Advance(domain, time),
            _ => Step::Restore(bytes[5].into(), bytes[6].into()),
        }
    }
}

/// Runs the steps, beginning with the first of `backends`, and panics as soon as other timers fire than are in the set.
///
/// # Errors
/// A backend failed.
//= spec/timers.md#timer-2-timers-fire-in-the-order-of-time
//= type=test
//# Of the timers that are due the one with the earliest time MUST fire first.
//= spec/timers.md#timer-3-no-timer-fires-early
//= type=test
//# A timer MUST NOT fire before the watermark, or the clock, has come to its time.
//= spec/timers.md#timer-6-timers-are-state
//= type=test
//# A restored subtask MUST have exactly the timers that the snapshots hold for its keys.
pub fn run(backends: &[StateBackend], steps: &[Step]) -> Verdict {
    let max_parallelism = groups(16);
    let mut operator = TimedOperator::restored(&backends[0], max_parallelism, PARALLELISMS[0], &[])?;
    let mut reference: BTreeSet<(TimeDomain, At)> = BTreeSet::new();
    let mut watermark = i64::MIN;
    for step in steps {
        match *step {
            Step::Register(domain, timer) => {
                let is_new = operator.of_key(timer.0).register(domain, timer)?;
                assert_eq!(is_new, reference.insert((domain, timer)), "{step:?}");
            }
            Step::Delete(domain, timer) => {
                let was_there = operator.of_key(timer.0).delete(domain, timer)?;
                assert_eq!(was_there, reference.remove(&(domain, timer)), "{step:?}");
            }
            Step::Advance(domain, time) => {
                let now = if domain == EventTime { watermark.max(time) } else { time };
                watermark = if domain == EventTime { now } else { watermark };
                let is_due = |(of, timer): &(TimeDomain, At)| *of == domain && timer.2 <= now;
                let (due, left) = reference.into_iter().partition::<BTreeSet<_>, _>(is_due);
                reference = left;
                let due = due.into_iter().map(|(_, timer)| timer).collect();
                assert_eq!(advance(&mut operator, domain, now)?, due, "{step:?}");
            }
            Step::Restore(parallelism, backend) => {
                let backend = &backends[backend % backends.len()];
                let parallelism = PARALLELISMS[parallelism % PARALLELISMS.len()];
                let files = operator.files()?;
                operator = TimedOperator::restored(backend, max_parallelism, parallelism, &files)?;
            }
        }
        let counts = operator.subtasks.iter().map(|timed| &timed.timers);
        let count: usize = counts.map(|timers| timers.count(EventTime) + timers.count(ProcessingTime)).sum();
        assert_eq!(count, reference.len(), "after {step:?}");
    }
    Ok(())
}

/// What fires in all subtasks, each for itself in the order of time.
fn advance(
    operator: &mut TimedOperator,
    domain: TimeDomain,
    now: i64,
) -> Result<BTreeSet<At>, crate::state::StateError> {
    let mut all = BTreeSet::new();
    for timed in &mut operator.subtasks {
        let fired = timed.fired(domain, now)?;
        assert!(fired.is_sorted_by_key(|(_, _, time)| *time), "{fired:?}");
        let is_early = |deadline: i64| domain == ProcessingTime && deadline <= now;
        assert!(
            !timed.timers.deadline().is_some_and(is_early),
            "a timer of processing time is left at {now}"
        );
        for timer in fired {
            assert!(all.insert(timer), "{timer:?} has fired twice");
        }
    }
    Ok(all)
}

/// Y01, Y02, Y10, Y11, Y13: random scripts, always the same ones. Whoever has proptest gives scripts of its making to [`run`].
pub fn timers_agree_with_a_set_over_random_scripts(backend: &StateBackend) -> Verdict {
    let backends = [backend.clone(), StateBackend::default()];
    random_scripts(Step::of).take(12).try_for_each(|steps| run(&backends, &steps))
}
