//! `snapline run sessions`, as a person would run it.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::Chance;
use common::job::{JobFolder, survives_kills};

#[test]
fn sessions_of_log_files_have_their_users_times_and_clicks() {
    let job = JobFolder::new("sessions");
    let log = "0 ann view\n\
               1000 bob login\n\
               21000 ann view\n\
               11000 ann cart\n\
               1970-01-01T00:00:11.001Z bob view\n\
               60000 ann view\n";
    job.write("clicks.log", log);
    let options = ["--input", "clicks.log", "--gap", "10s", "--disorder", "10s"];
    job.start(&options).end().succeeded();
    let expected = ["ann\t0\t0\t1", "ann\t11000\t21000\t2", "ann\t60000\t60000\t1"];
    let of_bob = ["bob\t1000\t1000\t1", "bob\t11001\t11001\t1"];
    assert_eq!(job.lines(), [&expected[..], &of_bob].concat());
}

#[test]
fn sessions_of_a_log_with_a_wrong_line_say_where_it_is() {
    let job = JobFolder::new("sessions");
    job.write("clicks.log", "0 ann view\nyesterday ann view\n");
    let outcome = job.start(&["--input", "clicks.log"]).end();
    outcome.failed(1, &["clicks.log:2: ", "`yesterday` is no time"]);
    JobFolder::new("sessions").start(&["--gap", "0ms"]).end().failed(1, &["at least 1ms"]);
}

#[test]
fn sessions_of_a_process_that_is_killed_are_those_of_one_that_is_not() {
    let clicks = ["--clicks", "200000", "--seed", "7", "--users", "300", "--interval", "20ms"];
    let whole = JobFolder::new("sessions");
    whole.start(&clicks).end().succeeded();
    let expected = whole.lines();
    let number = |line: &String| line.rsplit('\t').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(expected.iter().map(number).sum::<u64>(), 200_000, "no click is late");
    survives_kills(|| JobFolder::new("sessions"), &clicks, &expected, &mut Chance(3));
}
