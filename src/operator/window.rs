use super::WindowContents;
use crate::base::{Millis, TimeDomain};
use crate::state::serializer::SerdeSerializer;
use crate::state::{
    KeyedStateStore, MapState, MapStateDescriptor, Namespaced, StateError, StateKey, Timer, TimerService,
    ValueStateDescriptor,
};
use crate::window::{Lateness, MergingWindowSet, TimeWindow, Trigger, TriggerResult, WindowAssigner};
use std::borrow::Cow;
use std::fmt;

/// Which windows there are, when they fire, and for how long they wait for late elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowOptions {
    assigner: WindowAssigner,
    trigger: Trigger,
    allowed_lateness: Millis,
}

impl WindowOptions {
    /// Windows that fire at their end and do not wait.
    #[must_use]
    pub fn new(assigner: WindowAssigner) -> Self {
        WindowOptions { assigner, trigger: Trigger::default_for(assigner), allowed_lateness: Millis(0) }
    }

    /// The same with another trigger.
    #[must_use]
    pub fn with_trigger(self, trigger: Trigger) -> Self {
        WindowOptions { trigger, ..self }
    }

    /// The same waiting for late elements, of which each lets its window fire again. It means nothing in processing time.
    #[must_use]
    pub fn with_allowed_lateness(self, allowed_lateness: Millis) -> Self {
        WindowOptions { allowed_lateness, ..self }
    }
}

/// What windows are called in snapshots, wherever their type is defined.
const WINDOW_TYPE_ID: &str = "TimeWindow";

/// Keeps elements in the windows of their key, and emits what is in a window when that fires (Flink: `WindowOperator`).
///
/// `D` describes what is kept: see [`WindowContents`]. Everything is keyed state of the store that is given to each
/// function, so it is in every snapshot; the operator itself can be opened anew at any time. What is emitted goes to
/// `out`, with its key and window.
///
/// # Errors
/// Of all functions: the operator was opened with another store.
pub struct WindowOperator<K, D> {
    options: WindowOptions,
    lateness: Lateness,
    /// By state window: the window itself, unless windows are sessions.
    contents: Namespaced<D, TimeWindow>,
    /// Which sessions the key has, with their state windows.
    sessions: MapState<TimeWindow, TimeWindow>,
    /// By window: the elements since it last fired, if the trigger counts them.
    counts: Namespaced<ValueStateDescriptor<u64>, TimeWindow>,
    timers: TimerService<K, TimeWindow>,
    late: u64,
    /// The windows of the element at hand; kept for its memory.
    assigned: Vec<TimeWindow>,
}

impl<K: StateKey, D: WindowContents<K>> WindowOperator<K, D> {
    /// Opens the windows called `name`, restored or none. They must be given the same descriptor again. Event time goes on
    /// at `watermark`: that of the snapshot, or `i64::MIN` where there is none.
    ///
    /// # Errors
    /// The name of the operator, or of the descriptor, is in use otherwise, or what was restored does not fit.
    pub fn open(
        store: &mut KeyedStateStore<K>,
        name: &str,
        options: WindowOptions,
        contents: &D,
        watermark: i64,
    ) -> Result<Self, StateError> {
        let windows = || SerdeSerializer::with_id(WINDOW_TYPE_ID);
        let sessions = MapStateDescriptor::new(format!("{name}/sessions"));
        let counts = ValueStateDescriptor::new(format!("{name}/counts"));
        Ok(WindowOperator {
            options,
            lateness: Lateness::new(options.assigner.domain(), options.allowed_lateness),
            contents: store.open_namespaced_with_type_id(contents, WINDOW_TYPE_ID)?,
            sessions: store
                .open(&sessions.with_key_serializer(windows()).with_value_serializer(windows()))?,
            counts: store.open_namespaced_with_type_id(&counts, WINDOW_TYPE_ID)?,
            timers: TimerService::open_with_type_id(store, name, WINDOW_TYPE_ID, watermark)?,
            late: 0,
            assigned: Vec::new(),
        })
    }

    /// Adds an element of the current key to its windows. `time` is its timestamp, or the present in processing time. An
    /// element that comes too late for all of them is given back, to be dropped or to go where late ones go.
    ///
    /// # Errors
    /// There is no current key, or the operator was opened with another store.
    pub fn process(
        &mut self,
        store: &mut KeyedStateStore<K>,
        time: i64,
        element: D::In,
        mut out: impl FnMut(&K, TimeWindow, D::Out),
    ) -> Result<Option<D::In>, StateError> {
        let (watermark, lateness) = (self.timers.current_watermark(), self.lateness);
        if self.options.assigner.is_merging() {
            let Some((session, state_window)) = self.merge(store, time)? else {
                return Ok(self.too_late(time, element));
            };
            self.add(store, session, state_window, element, &mut out)?;
            return Ok(None);
        }
        let mut assigned = std::mem::take(&mut self.assigned);
        assigned.clear();
        //= spec/window.md#window-7-what-is-too-late-is-given-back
        //# An element MUST be added to all of its windows that have not gone, and given back if all of them have gone.
        assigned.extend(
            self.options.assigner.assign(time).filter(|window| !lateness.is_window_late(*window, watermark)),
        );
        let added = self.add_to_all(store, &assigned, element, &mut out);
        self.assigned = assigned;
        Ok(added?.and_then(|element| self.too_late(time, element)))
    }

    /// Lets the watermark, or the clock, come to `time`, and fires the next timer that is due by then; `false` if there is
    /// none. Must be called until then, and snapshots may be taken in between.
    ///
    /// # Errors
    /// The operator was opened with another store.
    pub fn advance(
        &mut self,
        store: &mut KeyedStateStore<K>,
        domain: TimeDomain,
        time: i64,
        mut out: impl FnMut(&K, TimeWindow, D::Out),
    ) -> Result<bool, StateError> {
        let Some(timer) = self.timers.advance(store, domain, time)? else { return Ok(false) };
        self.on_timer(store, &timer, &mut out)?;
        Ok(true)
    }

    /// Which time its windows are windows of.
    #[must_use]
    pub fn domain(&self) -> TimeDomain {
        self.options.assigner.domain()
    }

    /// When processing time must be advanced next.
    #[must_use]
    pub fn deadline(&self) -> Option<i64> {
        self.timers.deadline()
    }

    /// How many elements came too late since the operator was opened (Flink: `numLateRecordsDropped`).
    #[must_use]
    pub fn late_elements(&self) -> u64 {
        self.late
    }

    /// Counts an element that is too late and gives it back. One that no window contains, as these leave gaps, is not late.
    fn too_late(&mut self, time: i64, element: D::In) -> Option<D::In> {
        let is_late = self.lateness.is_element_late(time, self.timers.current_watermark());
        self.late += u64::from(is_late);
        is_late.then_some(element)
    }

    /// Adds an element to windows, or gives it back if there are none.
    fn add_to_all(
        &mut self,
        store: &mut KeyedStateStore<K>,
        windows: &[TimeWindow],
        element: D::In,
        out: &mut impl FnMut(&K, TimeWindow, D::Out),
    ) -> Result<Option<D::In>, StateError> {
        let Some((last, others)) = windows.split_last() else { return Ok(Some(element)) };
        for window in others {
            self.add(store, *window, *window, element.clone(), out)?;
        }
        self.add(store, *last, *last, element, out)?;
        Ok(None)
    }

    fn add(
        &mut self,
        store: &mut KeyedStateStore<K>,
        window: TimeWindow,
        state_window: TimeWindow,
        element: D::In,
        out: &mut impl FnMut(&K, TimeWindow, D::Out),
    ) -> Result<(), StateError> {
        D::add(&self.contents, store, state_window, element)?;
        let (trigger, watermark) = (self.options.trigger, self.timers.current_watermark());
        let decided = if trigger.is_counting() {
            let mut decided = None;
            self.counts.of(window).modify(store, |count| {
                let mut count = count.unwrap_or(0);
                decided = Some(trigger.on_element(window, watermark, &mut count));
                (count > 0).then_some(count)
            })?;
            decided
        } else {
            Some(trigger.on_element(window, watermark, &mut 0))
        };
        if let Some(decided) = decided {
            if let Some((domain, time)) = decided.timer {
                self.timers.register(store, domain, &window, time)?;
            }
            self.act(store, decided.result, window, state_window, out)?;
        }
        let cleanup = self.lateness.cleanup_time(window);
        // At the end of time nobody needs the memory.
        if cleanup < i64::MAX {
            self.timers.register(store, self.options.assigner.domain(), &window, cleanup)?;
        }
        Ok(())
    }

    /// The session of an element at `time` and its state window, after all sessions were merged that it connects; `None`
    /// if that session has gone.
    fn merge(
        &mut self,
        store: &mut KeyedStateStore<K>,
        time: i64,
    ) -> Result<Option<(TimeWindow, TimeWindow)>, StateError> {
        let Some(window) = self.options.assigner.assign(time).next() else { return Ok(None) };
        let mut sessions = self.sessions(store)?;
        let added = sessions.add(window);
        if self.lateness.is_window_late(added.session, self.timers.current_watermark()) {
            return Ok(None);
        }
        let mut count = 0;
        for replaced in &added.replaced {
            self.sessions.remove(store, replaced)?;
            self.forget_timers(store, *replaced)?;
            if self.options.trigger.is_counting() {
                let counts = self.counts.of(*replaced);
                count += counts.get(store)?.map_or(0, Cow::into_owned);
                counts.clear(store)?;
            }
        }
        if count > 0 {
            self.counts.of(added.session).update(store, count)?;
        }
        if added.is_new {
            self.sessions.put(store, added.session, added.state_window)?;
        }
        D::merge(&self.contents, store, added.state_window, added.merged)?;
        Ok(Some((added.session, added.state_window)))
    }

    fn sessions(&self, store: &KeyedStateStore<K>) -> Result<MergingWindowSet, StateError> {
        let entries = self.sessions.entries(store)?;
        Ok(entries.map(|(session, state)| (session.into_owned(), state.into_owned())).collect())
    }

    fn on_timer(
        &mut self,
        store: &mut KeyedStateStore<K>,
        timer: &Timer<K, TimeWindow>,
        out: &mut impl FnMut(&K, TimeWindow, D::Out),
    ) -> Result<(), StateError> {
        let window = timer.namespace;
        let state_window = match self.options.assigner.is_merging() {
            true => self.sessions.get(store, &window)?.map(Cow::into_owned),
            false => Some(window),
        };
        let Some(state_window) = state_window else { return Ok(()) };
        let result = self.options.trigger.on_timer(window, timer.domain, timer.time);
        self.act(store, result, window, state_window, out)?;
        let is_cleanup = timer.time == self.lateness.cleanup_time(window);
        if is_cleanup && timer.domain == self.options.assigner.domain() {
            self.clean_up(store, window, state_window)?;
        }
        Ok(())
    }

    /// Does what the trigger has decided.
    fn act(
        &mut self,
        store: &mut KeyedStateStore<K>,
        result: TriggerResult,
        window: TimeWindow,
        state_window: TimeWindow,
        out: &mut impl FnMut(&K, TimeWindow, D::Out),
    ) -> Result<(), StateError> {
        if result.is_fire()
            && let Some(content) = D::get(&self.contents, store, state_window)?
            && let Some(key) = store.current_key()
        {
            out(key, window, content);
        }
        if result.is_purge() {
            D::clear(&self.contents, store, state_window)?;
        }
        Ok(())
    }

    /// Removes everything of a window.
    fn clean_up(
        &mut self,
        store: &mut KeyedStateStore<K>,
        window: TimeWindow,
        state_window: TimeWindow,
    ) -> Result<(), StateError> {
        //= spec/window.md#window-8-what-has-gone-leaves-nothing
        //# A window that has gone MUST leave neither state nor timers.
        D::clear(&self.contents, store, state_window)?;
        if self.options.trigger.is_counting() {
            self.counts.of(window).clear(store)?;
        }
        self.sessions.remove(store, &window)?;
        self.forget_timers(store, window)
    }

    fn forget_timers(
        &mut self,
        store: &mut KeyedStateStore<K>,
        window: TimeWindow,
    ) -> Result<(), StateError> {
        if let Some((domain, time)) = self.options.trigger.timer(window) {
            self.timers.delete(store, domain, &window, time)?;
        }
        let cleanup = self.lateness.cleanup_time(window);
        self.timers.delete(store, self.options.assigner.domain(), &window, cleanup)?;
        Ok(())
    }
}

impl<K, D> fmt::Debug for WindowOperator<K, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowOperator")
            .field("options", &self.options)
            .field("timers", &self.timers)
            .field("late", &self.late)
            .finish_non_exhaustive()
    }
}
