//! The machines in a foreign event loop: the example runs, on a clock that jumps from timer to timer.

#[path = "../examples/foreign_event_loop.rs"]
#[allow(dead_code, reason = "the test stands in for the example's main function")]
mod foreign_event_loop;

#[test]
fn embedding_in_a_foreign_event_loop_counts_exactly_in_spite_of_a_decline_and_a_crash() {
    foreign_event_loop::run(true).expect("the job runs to its end");
}
