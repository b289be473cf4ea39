use crate::base::EventTime;
use crate::state::{ListStateDescriptor, OperatorListState, OperatorStateBackend, StateError};

/// How far a subtask has come, in its operator state.
///
/// Names that begin with `_runtime/` are not for the user's code.
#[derive(Clone, Copy)]
pub(super) struct SubtaskState {
    watermarks: OperatorListState<i64>,
    ends: OperatorListState<bool>,
    /// The last watermark that the subtask had emitted, or was about to emit once all timers had been fired.
    pub(super) watermark: EventTime,
    /// Whether it had finished its input: what it still held is emitted.
    pub(super) input_finished: bool,
}

impl SubtaskState {
    /// Opens it, and says what was restored.
    pub(super) fn open(state: &mut OperatorStateBackend) -> Result<Self, StateError> {
        let watermarks = state.list_state(&ListStateDescriptor::new("_runtime/watermark"))?;
        let ends = state.list_state(&ListStateDescriptor::new("_runtime/finished"))?;
        let watermark = watermarks.get(state)?.iter().min().copied().map_or(EventTime::MIN, EventTime);
        let input_finished = ends.get(state)?.contains(&true);
        Ok(SubtaskState { watermarks, ends, watermark, input_finished })
    }

    /// The same for a subtask that goes on where any of those may have been whose state is handed out.
    ///
    /// # Errors
    /// Some had finished their input and some had not: what those held is emitted and what these hold is not, and nobody
    /// knows any more which is which.
    //= spec/rescale.md#rescale-11-event-time-is-that-of-the-slowest
    //# With another parallelism, a subtask MUST go on at the lowest watermark of all old subtasks that had not finished.
    //= spec/rescale.md#rescale-12-all-or-none-had-emitted-their-last
    //# With another parallelism, old subtasks of which some had finished their input and some had not MUST be refused.
    pub(super) fn instead_of(self, old: &[SubtaskState]) -> Result<Self, StateError> {
        let watermark = old.iter().map(|old| old.watermark).min().unwrap_or(EventTime::MIN);
        let input_finished = old.first().is_some_and(|old| old.input_finished);
        if old.iter().any(|old| old.input_finished != input_finished) {
            let what = "some of its subtasks had finished their input and others had not: it can only go on with the \
                        same parallelism";
            return Err(StateError::Incompatible(what.to_owned()));
        }
        Ok(SubtaskState { watermark, input_finished, ..self })
    }

    /// Puts it into the state. A subtask without event time that has not finished keeps nothing.
    pub(super) fn store(
        &self,
        state: &mut OperatorStateBackend,
        watermark: EventTime,
        input_finished: bool,
    ) -> Result<(), StateError> {
        let items = if watermark == EventTime::MIN { Vec::new() } else { vec![watermark.0] };
        self.watermarks.update(state, items)?;
        let items = if input_finished { vec![true] } else { Vec::new() };
        self.ends.update(state, items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(watermark: i64, input_finished: bool) -> SubtaskState {
        let opened = SubtaskState::open(&mut OperatorStateBackend::new()).unwrap();
        SubtaskState { watermark: EventTime(watermark), input_finished, ..opened }
    }

    //= spec/rescale.md#rescale-11-event-time-is-that-of-the-slowest
    //= type=test
    //# With another parallelism, a subtask MUST go on at the lowest watermark of all old subtasks that had not finished.
    #[test]
    fn rescaled_subtask_has_the_lowest_watermark() {
        let watermark = |old: &[SubtaskState]| state(9, false).instead_of(old).unwrap().watermark;
        assert_eq!(watermark(&[state(7, false), state(5, false), state(6, false)]), EventTime(5));
        assert_eq!(watermark(&[state(7, false), state(i64::MIN, false)]), EventTime::MIN);
        assert_eq!(watermark(&[]), EventTime::MIN);
    }

    //= spec/rescale.md#rescale-12-all-or-none-had-emitted-their-last
    //= type=test
    //# With another parallelism, old subtasks of which some had finished their input and some had not MUST be refused.
    #[test]
    fn rescaled_subtask_has_finished_its_input_if_all_had() {
        let finished =
            |old: &[SubtaskState]| state(0, false).instead_of(old).map(|state| state.input_finished);
        assert!(finished(&[state(0, true), state(0, true)]).unwrap());
        assert!(!finished(&[state(0, false), state(0, false)]).unwrap());
        let mixed = finished(&[state(0, false), state(0, true)]).unwrap_err().to_string();
        assert!(mixed.contains("others had not"), "{mixed}");
    }
}
