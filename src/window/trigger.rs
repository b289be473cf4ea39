use super::{TimeWindow, WindowAssigner};
use crate::base::TimeDomain;
use std::num::NonZeroU64;

/// When the content of a window is emitted (Flink: `Trigger`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    condition: Condition,
    purging: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// When a time passes the end of the window.
    End(TimeDomain),
    /// After each so many elements.
    Count(NonZeroU64),
}

/// What happens to a window now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerResult {
    /// Nothing.
    Continue,
    /// Its content is emitted, and kept for late elements.
    Fire,
    /// Its content is emitted, and later elements start from nothing.
    FireAndPurge,
}

/// What a new element brings about in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnElement {
    /// What happens now.
    pub result: TriggerResult,
    /// When [`Trigger::on_timer`] must be called.
    pub timer: Option<(TimeDomain, i64)>,
}

impl Trigger {
    /// Fires when the watermark passes the end of the window, and for each late element after that.
    #[must_use]
    pub const fn event_time() -> Self {
        Trigger { condition: Condition::End(TimeDomain::EventTime), purging: false }
    }

    /// Fires when the clock passes the end of the window.
    #[must_use]
    pub const fn processing_time() -> Self {
        Trigger { condition: Condition::End(TimeDomain::ProcessingTime), purging: false }
    }

    /// Fires after each `elements` elements, and not at the end of the window.
    #[must_use]
    pub const fn count(elements: NonZeroU64) -> Self {
        Trigger { condition: Condition::Count(elements), purging: false }
    }

    /// What windows of `assigner` do unless they are told otherwise: they fire at their end.
    #[must_use]
    pub fn default_for(assigner: WindowAssigner) -> Self {
        Trigger { condition: Condition::End(assigner.domain()), purging: false }
    }

    /// The same, forgetting the content of a window whenever it fires.
    #[must_use]
    pub const fn purging(self) -> Self {
        Trigger { purging: true, ..self }
    }

    /// Whether it counts the elements of a window. Only then the count that is given to it means anything, and belongs
    /// into the state of the window; those of merged windows are added.
    #[must_use]
    pub const fn is_counting(self) -> bool {
        matches!(self.condition, Condition::Count(_))
    }

    /// An element was added to `window`, whose elements since it last fired are `count`.
    pub fn on_element(self, window: TimeWindow, watermark: i64, count: &mut u64) -> OnElement {
        match self.condition {
            //= spec/window.md#window-5-a-late-element-fires-its-window-again
            //# An element for a window whose end the watermark has passed MUST fire that window at once unless it has gone.
            Condition::End(TimeDomain::EventTime) if window.max_timestamp() <= watermark => {
                OnElement { result: self.fire(), timer: None }
            }
            Condition::End(domain) => {
                OnElement { result: TriggerResult::Continue, timer: Some((domain, window.max_timestamp())) }
            }
            Condition::Count(elements) => {
                *count += 1;
                let result = if *count >= elements.get() {
                    *count = 0;
                    self.fire()
                } else {
                    TriggerResult::Continue
                };
                OnElement { result, timer: None }
            }
        }
    }

    /// A timer of `window` has fired.
    #[must_use]
    pub fn on_timer(self, window: TimeWindow, domain: TimeDomain, time: i64) -> TriggerResult {
        match self.timer(window) {
            Some(timer) if timer == (domain, time) => self.fire(),
            _ => TriggerResult::Continue,
        }
    }

    /// The timer that `window` may have: it is deleted with the window.
    #[must_use]
    pub fn timer(self, window: TimeWindow) -> Option<(TimeDomain, i64)> {
        match self.condition {
            Condition::End(domain) => Some((domain, window.max_timestamp())),
            Condition::Count(_) => None,
        }
    }

    const fn fire(self) -> TriggerResult {
        if self.purging { TriggerResult::FireAndPurge } else { TriggerResult::Fire }
    }
}

impl TriggerResult {
    /// Whether the content is emitted.
    #[must_use]
    pub const fn is_fire(self) -> bool {
        matches!(self, TriggerResult::Fire | TriggerResult::FireAndPurge)
    }

    /// Whether the content is forgotten.
    #[must_use]
    pub const fn is_purge(self) -> bool {
        matches!(self, TriggerResult::FireAndPurge)
    }
}
