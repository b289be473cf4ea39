use super::TimeWindow;
use crate::base::{Millis, TimeDomain};
use std::iter::successors;

/// Which windows an element belongs to (Flink: `WindowAssigner`).
///
/// Times are those of the elements, unless [`in_processing_time`](Self::in_processing_time) says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowAssigner {
    domain: TimeDomain,
    /// The length of a window; of a session, how long it stays open.
    size: i64,
    grid: Option<Grid>,
}

/// Where windows start that do not start with their elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    /// The time from one start to the next.
    slide: i64,
    /// A start, from 0 to before `slide`.
    offset: i64,
}

/// The most windows that an element may belong to. Each is state of its own to which the element is added: where there are so
/// many, a single one takes a tenth of a second. A day that slides by a second is below it.
pub const MAX_WINDOWS_OF_ELEMENT: u64 = 100_000;

/// Windows that cannot exist. The author of the job must change their lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// A length of zero, or one beyond the ends of time.
    #[error("the {what} of a window must be between 1 and {} milliseconds, not {}", i64::MAX, .length.0)]
    Length {
        /// Which length: size, slide or gap.
        what: &'static str,
        /// The length that was asked for.
        length: Millis,
    },
    /// A slide so short beside the size that each element would belong to absurdly many windows.
    #[error(
        "windows of {} ms that slide by {} ms give each element more than {MAX_WINDOWS_OF_ELEMENT} windows; let them slide \
         by {} ms or more", .size.0, .slide.0, shortest_slide(*.size)
    )]
    TooMany {
        /// The length of a window.
        size: Millis,
        /// The time from the start of a window to that of the next.
        slide: Millis,
    },
    /// An offset that reaches the next window.
    #[error("an offset of {offset} ms must be shorter than the {slide} ms between two windows")]
    Offset {
        /// The offset that was asked for.
        offset: i64,
        /// The time from the start of a window to that of the next.
        slide: i64,
    },
}

impl WindowAssigner {
    /// Windows of `size` that follow each other without gap, one of them starting at 0.
    ///
    /// # Errors
    /// [`WindowError::Length`] when the size is 0 or beyond the ends of time.
    pub fn tumbling(size: Millis) -> Result<Self, WindowError> {
        Self::sliding(size, size)
    }

    /// Windows of `size`, of which one starts after each `slide`, one of them at 0. An element belongs to several of
    /// them, and to none where they leave gaps.
    ///
    /// # Errors
    /// [`WindowError::Length`] when the size or the slide is 0 or beyond the ends of time, and [`WindowError::TooMany`] when
    /// an element would belong to more than [`MAX_WINDOWS_OF_ELEMENT`] windows.
    pub fn sliding(size: Millis, slide: Millis) -> Result<Self, WindowError> {
        if slide.0 > 0 && size.0.div_ceil(slide.0) > MAX_WINDOWS_OF_ELEMENT {
            return Err(WindowError::TooMany { size, slide });
        }
        let (size, slide) = (length("size", size)?, length("slide", slide)?);
        Ok(WindowAssigner { domain: TimeDomain::EventTime, size, grid: Some(Grid { slide, offset: 0 }) })
    }

    /// Windows that an element opens and that end when nothing came for `gap`.
    ///
    /// # Errors
    /// [`WindowError::Length`] when the gap is 0 or beyond the ends of time.
    pub fn session(gap: Millis) -> Result<Self, WindowError> {
        Ok(WindowAssigner { domain: TimeDomain::EventTime, size: length("gap", gap)?, grid: None })
    }

    /// The same with all windows moved by `offset`, such as -8 hours for days in China. Sessions stay where they are.
    ///
    /// # Errors
    /// [`WindowError::Offset`] unless the offset is shorter, in both directions, than the time between two windows.
    pub fn with_offset(mut self, offset: i64) -> Result<Self, WindowError> {
        if let Some(grid) = &mut self.grid {
            if offset.unsigned_abs() >= grid.slide.unsigned_abs() {
                return Err(WindowError::Offset { offset, slide: grid.slide });
            }
            grid.offset = offset.rem_euclid(grid.slide);
        }
        Ok(self)
    }

    /// The same by the time at which an element is processed.
    #[must_use]
    pub fn in_processing_time(self) -> Self {
        WindowAssigner { domain: TimeDomain::ProcessingTime, ..self }
    }

    /// Which time its windows are windows of.
    #[must_use]
    pub fn domain(self) -> TimeDomain {
        self.domain
    }

    /// Whether its windows become one when they touch: they are sessions.
    #[must_use]
    pub fn is_merging(self) -> bool {
        self.grid.is_none()
    }

    /// The windows of an element at `timestamp`, the latest first; of a session, the one that this element alone would
    /// open. The last instant of all belongs to no window and counts to those of the one before.
    pub fn assign(self, timestamp: i64) -> impl Iterator<Item = TimeWindow> + use<> {
        let timestamp = timestamp.min(i64::MAX - 1);
        let WindowAssigner { size, grid, .. } = self;
        let slide = grid.map_or(size, |grid| grid.slide);
        // Windows are found by how long before the element they start, which cannot overflow.
        //= spec/window.md#window-2-an-element-belongs-to-the-windows-that-contain-it
        //# An element MUST be assigned to exactly those windows of the grid that contain its timestamp.
        let nearest = grid.map_or(0, |grid| grid.since_start(timestamp));
        let distances = successors(Some(nearest), move |distance| distance.checked_add(slide));
        distances.take_while(move |distance| *distance < size).map(move |distance| TimeWindow {
            start: timestamp.saturating_sub(distance),
            end: timestamp.saturating_add(size - distance),
        })
    }
}

impl Grid {
    /// How long before `timestamp` the last window started (Flink: `getWindowStartWithOffset`).
    fn since_start(self, timestamp: i64) -> i64 {
        //= spec/window.md#window-1-windows-lie-on-a-grid
        //# The starts of tumbling and sliding windows MUST differ from the offset by multiples of the slide, also before 1970.
        let since = timestamp.rem_euclid(self.slide) - self.offset;
        if since < 0 { since + self.slide } else { since }
    }
}

fn shortest_slide(size: Millis) -> u64 {
    size.0.div_ceil(MAX_WINDOWS_OF_ELEMENT)
}

fn length(what: &'static str, length: Millis) -> Result<i64, WindowError> {
    match i64::try_from(length.0) {
        Ok(1..) => Ok(length.0 as i64),
        _ => Err(WindowError::Length { what, length }),
    }
}
