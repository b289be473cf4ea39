use super::queue::TimerQueue;
use crate::base::TimeDomain;
use crate::state::{KeyedStateStore, Namespace, Namespaced, StateError, StateKey, ValueStateDescriptor};
use std::any::type_name;
use std::fmt;

/// Before the names of the two states of a timer service, as in Flink.
const EVENT_TIMERS: &str = "_timer_state/event_";
const PROCESSING_TIMERS: &str = "_timer_state/processing_";

/// The timers of one operator (Flink: `InternalTimerService`).
///
/// A timer belongs to a key, a namespace, a time in milliseconds since the epoch and a time domain, and is there at most
/// once. Timers are keyed state, so they are part of every snapshot and go where their keys go. What is beside the state
/// is only their order: there must be one service for timers of one name, as a second one would not learn of what is
/// registered with the first. Where a function fails, no timer has come or gone.
pub struct TimerService<K, N> {
    event: Timers<K, N>,
    processing: Timers<K, N>,
    watermark: i64,
}

/// A timer that has fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer<K, N> {
    /// What its time is a time of.
    pub domain: TimeDomain,
    /// Its time, in milliseconds since the epoch. It is not later than what made it fire, and perhaps much earlier.
    pub time: i64,
    /// Its key.
    pub key: K,
    /// Its namespace.
    pub namespace: N,
}

/// The timers of one domain.
struct Timers<K, N> {
    /// A timer is a namespace, of time and its own one, in which its key has a value.
    state: Namespaced<ValueStateDescriptor<()>, (i64, N)>,
    queue: TimerQueue<K, N>,
}

impl<K: StateKey, N: Namespace> TimerService<K, N> {
    /// Opens the timers called `name`, restored or none. Event time goes on at `watermark`: that of the snapshot, or
    /// `i64::MIN` where there is none. Nothing fires yet.
    ///
    /// # Errors
    /// The name is in use for timers with other namespaces, or what was restored does not fit.
    pub fn open(store: &mut KeyedStateStore<K>, name: &str, watermark: i64) -> Result<Self, StateError> {
        TimerService::open_with_type_id(store, name, type_name::<N>(), watermark)
    }

    /// As [`open`](Self::open), with an id of its own for the type of the namespaces, under which it is found again when it
    /// has been renamed or moved.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_type_id(
        store: &mut KeyedStateStore<K>,
        name: &str,
        type_id: &str,
        watermark: i64,
    ) -> Result<Self, StateError> {
        Ok(TimerService {
            event: Timers::open(store, format!("{EVENT_TIMERS}{name}"), type_id)?,
            processing: Timers::open(store, format!("{PROCESSING_TIMERS}{name}"), type_id)?,
            watermark,
        })
    }

    /// Makes the current key get a timer, also if its time has come already: it fires with the next advance. `false` if
    /// it has that timer.
    ///
    /// # Errors
    /// There is no current key, or the timers were opened by another store.
    pub fn register(
        &mut self,
        store: &mut KeyedStateStore<K>,
        domain: TimeDomain,
        namespace: &N,
        time: i64,
    ) -> Result<bool, StateError> {
        self.timers(domain).register(store, namespace, time)
    }

    /// Takes a timer from the current key; `false` if it had none like this.
    ///
    /// # Errors
    /// There is no current key, or the timers were opened by another store.
    pub fn delete(
        &mut self,
        store: &mut KeyedStateStore<K>,
        domain: TimeDomain,
        namespace: &N,
        time: i64,
    ) -> Result<bool, StateError> {
        self.timers(domain).delete(store, namespace, time)
    }

    /// Lets the watermark, or the clock, come to `time`, and takes out the next timer that is due by then. Its key is the
    /// current one after that.
    ///
    /// Must be called until there is none: timers that are registered in between may be due as well. The watermark never
    /// goes back. Snapshots may be taken in between; they hold the timers that are still there.
    ///
    /// # Errors
    /// The timers were opened by another store.
    pub fn advance(
        &mut self,
        store: &mut KeyedStateStore<K>,
        domain: TimeDomain,
        time: i64,
    ) -> Result<Option<Timer<K, N>>, StateError> {
        let now = match domain {
            TimeDomain::EventTime => {
                self.watermark = self.watermark.max(time);
                self.watermark
            }
            TimeDomain::ProcessingTime => time,
        };
        self.timers(domain).pop_due(store, domain, now)
    }

    /// How far event time has come.
    #[must_use]
    pub fn current_watermark(&self) -> i64 {
        self.watermark
    }

    /// When the next timer of processing time is due: until then nobody needs to wake up.
    #[must_use]
    pub fn deadline(&self) -> Option<i64> {
        self.processing.queue.first_time()
    }

    /// The number of timers of a domain.
    #[must_use]
    pub fn count(&self, domain: TimeDomain) -> usize {
        match domain {
            TimeDomain::EventTime => self.event.queue.len(),
            TimeDomain::ProcessingTime => self.processing.queue.len(),
        }
    }

    fn timers(&mut self, domain: TimeDomain) -> &mut Timers<K, N> {
        match domain {
            TimeDomain::EventTime => &mut self.event,
            TimeDomain::ProcessingTime => &mut self.processing,
        }
    }
}

impl<K: StateKey, N: Namespace> Timers<K, N> {
    fn open(store: &mut KeyedStateStore<K>, name: String, type_id: &str) -> Result<Self, StateError> {
        let (state, type_id) = (ValueStateDescriptor::new(name), format!("(i64, {type_id})"));
        let state = store.open_namespaced_with_type_id::<(i64, N), _>(&state, type_id)?;
        let mut queue = TimerQueue::<K, N>::default();
        //= spec/timers.md#timer-6-timers-are-state
        //# A restored subtask MUST have exactly the timers that the snapshots hold for its keys.
        for (key, timer) in store.keys_and_namespaces::<(i64, N), _>(&state)? {
            let (time, namespace) = &*timer;
            queue.insert(*time, &key, namespace);
        }
        Ok(Timers { state, queue })
    }

    fn register(
        &mut self,
        store: &mut KeyedStateStore<K>,
        namespace: &N,
        time: i64,
    ) -> Result<bool, StateError> {
        let key = store.current_key().ok_or(StateError::NoCurrentKey)?;
        //= spec/timers.md#timer-1-a-timer-is-there-once
        //# A timer that is registered again before it has fired MUST fire once.
        if !self.queue.insert(time, key, namespace) {
            return Ok(false);
        }
        let kept = self.state.of((time, namespace.clone())).update(store, ());
        if let (Err(_), Some(key)) = (&kept, store.current_key()) {
            self.queue.remove(time, key, namespace);
        }
        kept.map(|()| true)
    }

    fn delete(
        &mut self,
        store: &mut KeyedStateStore<K>,
        namespace: &N,
        time: i64,
    ) -> Result<bool, StateError> {
        let key = store.current_key().ok_or(StateError::NoCurrentKey)?;
        //= spec/timers.md#timer-4-a-deleted-timer-does-not-fire
        //# A timer that was deleted MUST NOT fire.
        if !self.queue.remove(time, key, namespace) {
            return Ok(false);
        }
        let removed = self.state.of((time, namespace.clone())).clear(store);
        if let (Err(_), Some(key)) = (&removed, store.current_key()) {
            self.queue.insert(time, key, namespace);
        }
        removed.map(|()| true)
    }

    fn pop_due(
        &mut self,
        store: &mut KeyedStateStore<K>,
        domain: TimeDomain,
        now: i64,
    ) -> Result<Option<Timer<K, N>>, StateError> {
        //= spec/timers.md#timer-2-timers-fire-in-the-order-of-time
        //# Of the timers that are due the one with the earliest time MUST fire first.
        //= spec/timers.md#timer-3-no-timer-fires-early
        //# A timer MUST NOT fire before the watermark, or the clock, has come to its time.
        let Some((time, key, namespace)) = self.queue.pop_due(now) else { return Ok(None) };
        //= spec/timers.md#timer-5-a-timer-fires-for-its-key
        //# A timer MUST fire with its own key as the current one and its own namespace.
        let is_current = store.set_current_key_from(&key);
        let removed = is_current.and_then(|()| self.state.of((time, namespace.clone())).clear(store));
        if removed.is_err() {
            self.queue.insert(time, &key, &namespace);
        }
        removed.map(|()| Some(Timer { domain, time, key, namespace }))
    }
}

impl<K, N> fmt::Debug for TimerService<K, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerService")
            .field("watermark", &self.watermark)
            .field("event_time", &self.event.queue.len())
            .field("processing_time", &self.processing.queue.len())
            .finish()
    }
}
