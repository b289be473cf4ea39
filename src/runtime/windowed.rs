//! Windows over a keyed stream.

use super::error::TaskError;
use super::function::{Collector, Record, UserError};
use super::process::{Backends, KeyOf, KeyedFunction};
use crate::base::{EventTime, TimeDomain};
use crate::operator::{WindowContents, WindowOperator, WindowOptions};
use crate::state::{OperatorStateBackend, StateError, StateKey, StateValue};
use crate::window::TimeWindow;

/// Keeps the records of each key in windows and emits what comes out of them.
pub trait WindowFunction: Send {
    /// The key; a part of the record.
    type Key: StateKey + StateValue;
    /// What it takes in.
    type In: Record;
    /// The descriptor of what is kept of the records in a window: a list of them, or an aggregate.
    type Contents: WindowContents<Self::Key, In = Self::In> + Send;
    /// What it emits.
    type Out: Record;

    /// Which windows there are, when they fire, and for how long they wait.
    fn options(&self) -> WindowOptions;

    /// The state that the windows are kept in. It must be the same as before when the job is restored.
    fn contents(&self) -> Self::Contents;

    /// When the record happened. It is not asked in processing time.
    fn event_time(&self, record: &Self::In) -> EventTime;

    /// A window fires.
    fn fire(
        &mut self,
        key: &Self::Key,
        window: TimeWindow,
        content: <Self::Contents as WindowContents<Self::Key>>::Out,
        out: &mut dyn Collector<Self::Out>,
    );

    /// A record comes too late for all of its windows: it is dropped, unless something else is done with it here.
    fn late(&mut self, record: Self::In, out: &mut dyn Collector<Self::Out>) {
        let _ = (record, out);
    }
}

/// A function with its windows, once they are open.
pub(super) struct Windowed<F: WindowFunction> {
    pub(super) function: F,
    pub(super) key: KeyOf<F::In, F::Key>,
    pub(super) windows: Option<WindowOperator<F::Key, F::Contents>>,
}

impl<F: WindowFunction> KeyedFunction for Windowed<F> {
    type Key = F::Key;
    type In = F::In;
    type Out = F::Out;

    fn key_of<'a>(&'a self, record: &'a F::In) -> Option<&'a F::Key> {
        Some((self.key)(record))
    }

    fn initialize_state(&mut self, _: &mut OperatorStateBackend) -> Result<(), UserError> {
        Ok(())
    }

    fn open(&mut self, Backends { keyed, times, .. }: &mut Backends<F::Key>) -> Result<(), StateError> {
        let (options, contents) = (self.function.options(), self.function.contents());
        let windows = WindowOperator::open(keyed, "windows", options, &contents, times.watermark.0)?;
        self.windows = Some(windows);
        Ok(())
    }

    fn process(
        &mut self,
        record: F::In,
        Backends { keyed, times, .. }: &mut Backends<F::Key>,
        out: &mut dyn Collector<F::Out>,
    ) -> Result<(), TaskError> {
        let Windowed { function, key, windows: Some(windows) } = self else { return Ok(()) };
        keyed.set_current_key_from(key(&record))?;
        let time = match windows.domain() {
            TimeDomain::EventTime => function.event_time(&record).0,
            TimeDomain::ProcessingTime => i64::try_from(times.processing.now().0).unwrap_or(i64::MAX),
        };
        let emit = |key: &F::Key, window, content| function.fire(key, window, content, out);
        if let Some(late) = windows.process(keyed, time, record, emit)? {
            function.late(late, out);
        }
        Ok(())
    }

    fn fire(
        &mut self,
        domain: TimeDomain,
        time: i64,
        Backends { keyed, .. }: &mut Backends<F::Key>,
        out: &mut dyn Collector<F::Out>,
    ) -> Result<bool, TaskError> {
        let Windowed { function, windows: Some(windows), .. } = self else { return Ok(false) };
        let emit = |key: &F::Key, window, content| function.fire(key, window, content, out);
        Ok(windows.advance(keyed, domain, time, emit)?)
    }

    fn deadline(&self, _: &Backends<F::Key>) -> Option<i64> {
        self.windows.as_ref().and_then(WindowOperator::deadline)
    }

    fn finish(&mut self, _: &mut Backends<F::Key>, _: &mut dyn Collector<F::Out>) -> Result<(), UserError> {
        Ok(())
    }

    fn snapshot_state(&mut self, _: &mut OperatorStateBackend) -> Result<(), UserError> {
        Ok(())
    }
}
