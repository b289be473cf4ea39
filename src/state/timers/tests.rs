use super::*;
use crate::base::TimeDomain::{EventTime, ProcessingTime};
use crate::keygroup::MaxParallelism;
use crate::state::KeyedStateStore;

#[test]
fn timers_in_debug_output_are_counted() {
    let max = MaxParallelism::new(16).expect("valid");
    let mut store = KeyedStateStore::<u32>::new(max, max.all_groups()).expect("valid");
    let mut timers = TimerService::<u32, char>::open(&mut store, "test", 5).expect("opens");
    store.set_current_key(1).expect("its own key");
    for (domain, time) in [(EventTime, 10), (EventTime, 11), (ProcessingTime, 10)] {
        timers.register(&mut store, domain, &'a', time).expect("a key");
    }
    assert_eq!(format!("{timers:?}"), "TimerService { watermark: 5, event_time: 2, processing_time: 1 }");
}
