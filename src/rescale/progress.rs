//! How far the subtasks had come that others go on for.

use super::StateMisfit;
use crate::base::EventTime;

/// How far a subtask had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubtaskProgress {
    /// The last watermark that it had emitted, or was about to emit once all timers had been fired.
    pub watermark: EventTime,
    /// Whether it had finished its input: what it still held is emitted.
    pub input_finished: bool,
}

impl SubtaskProgress {
    /// Where a subtask goes on that may have to go on for any of those. They are the ones that had not finished.
    ///
    /// # Errors
    /// Some had finished their input and some had not: what those held is emitted and what these hold is not, and nobody
    /// knows any more which is which.
    //= spec/rescale.md#rescale-11-event-time-is-that-of-the-slowest
    //# With another parallelism, a subtask MUST go on at the lowest watermark of all old subtasks that had not finished.
    //= spec/rescale.md#rescale-12-all-or-none-had-emitted-their-last
    //# With another parallelism, old subtasks of which some had finished their input and some had not MUST be refused.
    pub fn of_any(old: &[SubtaskProgress]) -> Result<SubtaskProgress, StateMisfit> {
        let watermark = old.iter().map(|old| old.watermark).min().unwrap_or(EventTime::MIN);
        let input_finished = old.first().is_some_and(|old| old.input_finished);
        if old.iter().any(|old| old.input_finished != input_finished) {
            return Err(StateMisfit::SomeHadFinished);
        }
        Ok(SubtaskProgress { watermark, input_finished })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(watermark: i64, input_finished: bool) -> SubtaskProgress {
        SubtaskProgress { watermark: EventTime(watermark), input_finished }
    }

    //= spec/rescale.md#rescale-11-event-time-is-that-of-the-slowest
    //= type=test
    //# With another parallelism, a subtask MUST go on at the lowest watermark of all old subtasks that had not finished.
    #[test]
    fn rescaled_subtask_has_the_lowest_watermark() {
        let watermark = |old: &[SubtaskProgress]| SubtaskProgress::of_any(old).unwrap().watermark;
        assert_eq!(watermark(&[progress(7, false), progress(5, false), progress(6, false)]), EventTime(5));
        assert_eq!(watermark(&[progress(7, false), progress(i64::MIN, false)]), EventTime::MIN);
        assert_eq!(watermark(&[]), EventTime::MIN);
    }

    //= spec/rescale.md#rescale-12-all-or-none-had-emitted-their-last
    //= type=test
    //# With another parallelism, old subtasks of which some had finished their input and some had not MUST be refused.
    #[test]
    fn rescaled_subtask_has_finished_its_input_if_all_had() {
        let finished = |old: &[SubtaskProgress]| SubtaskProgress::of_any(old).map(|old| old.input_finished);
        assert_eq!(finished(&[progress(0, true), progress(0, true)]), Ok(true));
        assert_eq!(finished(&[progress(0, false), progress(0, false)]), Ok(false));
        let mixed = finished(&[progress(0, false), progress(0, true)]);
        assert_eq!(mixed, Err(StateMisfit::SomeHadFinished));
    }
}
