//! The machines in a foreign event loop: the example runs, on a clock that jumps from timer to timer.

#[path = "../examples/foreign_event_loop.rs"]
mod foreign_event_loop;

#[test]
fn embedding_in_a_foreign_event_loop_counts_exactly_in_spite_of_a_crash() {
    foreign_event_loop::main().expect("the job runs to its end");
}
