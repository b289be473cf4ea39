use crate::base::EventTime;
use crate::state::{ListStateDescriptor, OperatorListState, OperatorStateBackend, StateError};

/// How far event time had come in a subtask, in its operator state: the last watermark that it has emitted, or is about to
/// emit once all timers have been fired.
///
/// Names that begin with `_runtime/` are not for the user's code.
pub(super) struct WatermarkState(OperatorListState<i64>);

impl WatermarkState {
    /// Opens it, and says what was restored: of several, the lowest.
    pub(super) fn open(state: &mut OperatorStateBackend) -> Result<(Self, EventTime), StateError> {
        let list = state.list_state(&ListStateDescriptor::new("_runtime/watermark"))?;
        let restored = list.get(state)?.iter().min().copied();
        Ok((WatermarkState(list), restored.map_or(EventTime::MIN, EventTime)))
    }

    /// A subtask without event time keeps nothing.
    pub(super) fn update(
        &self,
        state: &mut OperatorStateBackend,
        watermark: EventTime,
    ) -> Result<(), StateError> {
        let items = if watermark == EventTime::MIN { Vec::new() } else { vec![watermark.0] };
        self.0.update(state, items)
    }
}
