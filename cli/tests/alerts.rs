//! `snapline run alerts`, as a person would run it.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::Chance;
use common::job::{JobFolder, survives_kills};
use std::collections::BTreeMap;
use std::fmt::Write;

const DISORDER: &str = "400ms";
const DISORDER_MILLIS: u64 = 400;
/// A poll of a file reads less than this.
const PADDING: usize = 40_000;

/// A time, an account and an amount.
type Payment = (i64, String, u64);

/// A change of a rule: what is measured, from where on it is an alert, and within how many milliseconds.
#[derive(Clone)]
struct Change {
    timestamp: i64,
    name: String,
    rule: Option<(&'static str, u64, i64)>,
}

/// Payments of 50 accounts, ten milliseconds apart and somewhat out of order. Many have the same time.
fn payments(chance: &mut Chance, count: u64) -> Vec<Payment> {
    let payment = |number: u64| {
        let timestamp = number as i64 * 10 - chance.below(DISORDER_MILLIS / 10) as i64 * 10;
        (timestamp, format!("account-{}", chance.below(50)), 1 + chance.below(1_000))
    };
    (0..count).map(payment).collect()
}

/// Changes of six rules over the time of so many payments, somewhat out of order.
fn changes(chance: &mut Chance, payments: u64) -> Vec<Change> {
    let change = |number: u64| {
        let timestamp = number as i64 * 2_000 - chance.below(DISORDER_MILLIS) as i64;
        let measure = ["amount", "count", "sum"][chance.below(3) as usize];
        let (at_least, within) = match measure {
            "amount" => (980 + chance.below(20), 0),
            "count" => (3 + chance.below(3), 200 + chance.below(2_000) as i64),
            _ => (2_000 + chance.below(1_000), 200 + chance.below(2_000) as i64),
        };
        let is_removed = chance.below(4) == 0;
        let rule = (!is_removed).then_some((measure, at_least, within));
        Change { timestamp, name: format!("rule-{}", chance.below(6)), rule }
    };
    (0..payments / 200).map(change).collect()
}

/// Writes both streams into files of the job. Behind each rule stand so many bytes that say nothing.
fn write(job: &JobFolder, payments: &[Payment], changes: &[Change], padding: usize) {
    let mut text = String::new();
    for (timestamp, account, amount) in payments {
        writeln!(text, "{timestamp} {account} {amount}").unwrap();
    }
    job.write("payments.txt", &text);
    text.clear();
    for Change { timestamp, name, rule } in changes {
        write!(text, "{timestamp} {name} ").unwrap();
        match rule {
            None => writeln!(text, "remove").unwrap(),
            Some(("amount", at_least, _)) => writeln!(text, "amount {at_least}").unwrap(),
            Some((measure, at_least, within)) => {
                writeln!(text, "{measure} {at_least} within {within}ms").unwrap();
            }
        }
        writeln!(text, "#{}", "-".repeat(padding)).unwrap();
    }
    job.write("rules.txt", &text);
}

const FILES: [&str; 6] = ["--input", "payments.txt", "--rules", "rules.txt", "--disorder", DISORDER];

/// The alerts, by plain code: all payments in order, each judged by the newest change of each rule up to its time.
fn expected(payments: &[Payment], changes: &[Change]) -> Vec<String> {
    let mut payments = payments.to_vec();
    payments.sort();
    let mut histories: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        histories.entry(&change.name).or_default().push(change);
    }
    let mut counted: BTreeMap<(&str, *const Change), Vec<(i64, u64)>> = BTreeMap::new();
    let mut lines = Vec::new();
    for (timestamp, account, amount) in &payments {
        for (name, history) in &histories {
            let held = history.iter().filter(|change| change.timestamp <= *timestamp);
            let Some(change) = held.max_by_key(|change| change.timestamp) else { continue };
            let Some((measure, at_least, within)) = change.rule else { continue };
            let counted = counted.entry((account, std::ptr::from_ref(*change))).or_default();
            counted.push((*timestamp, *amount));
            counted.retain(|(earlier, _)| *earlier > timestamp - within);
            let measured = match measure {
                "amount" => *amount,
                "count" => counted.len() as u64,
                _ => counted.iter().map(|(_, amount)| amount).sum(),
            };
            if measured >= at_least {
                lines.push(format!("{timestamp}\t{account}\t{name}\t{measure} {measured}"));
                counted.clear();
            }
        }
    }
    lines.sort();
    lines
}

#[test]
fn alerts_of_files_follow_the_rules_at_the_time_of_each_payment() {
    let job = JobFolder::new("alerts");
    job.write(
        "rules.txt",
        "# when  name   what\n\
         0       big    amount 900\n\
         0       often  count 3 within 10s\n\
         0       much   sum 1000 within 10s\n\
         \n\
         20000   big    amount 500\n\
         1970-01-01T00:00:30Z  often  remove\n",
    );
    job.write(
        "payments.txt",
        "1000   ann 899\n\
         1000   bob 1\n\
         19999  bob 600\n\
         20000  bob 500\n\
         2000   ann 101\n\
         11000  ann 1\n\
         11500  ann 1\n\
         11999  ann 1\n\
         30000  ann 1\n\
         30001  ann 1\n\
         30002  ann 1\n",
    );
    let options = ["--input", "payments.txt", "--rules", "rules.txt", "--disorder", "20s"];
    job.start(&options).end().succeeded();
    // The payments of ann at 1000 and 2000 have come to an alert of `much`, but not of `often`, which does not count the
    // first of them any more at 11000. That of bob at 19999 is below what `big` asks until 20000.
    let expected = [
        "11500\tann\toften\tcount 3",
        "2000\tann\tmuch\tsum 1000",
        "20000\tbob\tbig\tamount 500",
        "20000\tbob\tmuch\tsum 1100",
    ];
    assert_eq!(job.lines(), expected);
}

#[test]
fn alerts_of_generated_streams_are_those_of_their_seed() {
    let alerts = |options: &[&str]| {
        let job = JobFolder::new("alerts");
        job.start(&[&["--payments", "30000", "--accounts", "200"], options].concat()).end().succeeded();
        job.lines()
    };
    let one = alerts(&[]);
    for measure in ["amount", "count", "sum"] {
        assert!(one.iter().any(|line| line.contains(&format!("\t{measure} "))), "{measure}");
    }
    assert!(alerts(&["--parallelism", "3", "--seed", "1"]) == one);
    assert!(alerts(&["--seed", "2"]) != one);
}

#[test]
fn alerts_of_generated_payments_can_follow_rules_of_files() {
    let alerts = |seed| {
        let job = JobFolder::new("alerts");
        job.write("rules.txt", "2026-01-01T00:01:00Z high amount 990\n");
        job.start(&["--rules", "rules.txt", "--payments", "20000", "--seed", seed]).end().succeeded();
        job.lines()
    };
    let one = alerts("1");
    let first = one.first().and_then(|line| line.split('\t').next()).unwrap();
    assert!(first.parse::<u64>().unwrap() >= 1_767_225_660_000, "{first}");
    assert!(one.iter().all(|line| line.contains("\thigh\tamount 99")));
    assert!(alerts("2") != one);
}

#[test]
fn alerts_do_not_depend_on_which_stream_is_faster() {
    let mut chance = Chance(5);
    let (payments, changes) = (payments(&mut chance, 20_000), changes(&mut chance, 20_000));
    let expected = expected(&payments, &changes);
    assert!(expected.len() > 1_000, "{}", expected.len());
    for padding in [0, PADDING] {
        let job = JobFolder::new("alerts");
        write(&job, &payments, &changes, padding);
        job.start(&FILES).end().succeeded();
        assert!(job.lines() == expected, "the alerts differ with {padding} bytes behind each rule");
    }
}

#[test]
fn alerts_leave_no_state_of_accounts_that_pay_no_more() {
    let job = JobFolder::new("alerts");
    job.write("rules.txt", "0 often count 2 within 1s\n");
    let payments: String = (0..5_000).map(|number| format!("{number} account-{number} 1\n")).collect();
    job.write("payments.txt", payments);
    let outcome = job.start(&[&FILES[..], &["--json"]].concat()).end().succeeded();
    let summary: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!((&summary["records_read"], &summary["records_written"]), (&5_001.into(), &0.into()));
    let bytes = summary["last_checkpoint"]["bytes"].as_u64().unwrap();
    assert!(bytes < 10_000, "the last checkpoint has {bytes} bytes");
    assert_eq!(summary["expired_values_removed"], 0);
}

#[test]
fn alerts_of_accounts_that_pay_again_much_later_find_that_their_payments_have_expired() {
    const DAY_MILLIS: u64 = 24 * 3_600 * 1_000;
    let job = JobFolder::new("alerts");
    job.write("rules.txt", "0 often count 2 within 30d\n");
    let on =
        |day: u64| (0..5).map(move |number| format!("{} account-{number} 1\n", day * DAY_MILLIS + number));
    job.write("payments.txt", on(0).chain(on(40)).collect::<String>());
    let outcome = job.start(&[&FILES[..], &["--json", "--interval", "off"]].concat()).end().succeeded();
    let summary: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!((&summary["records_written"], &summary["expired_values_removed"]), (&0.into(), &5.into()));
    let expected = serde_json::json!({
        "accesses": 5,
        "cleanup_with_accesses": 0,
        "cleanup_with_records": 0,
        "cleanup_while_idle": 0,
        "cleanup_on_request": 0,
        "compactions": 0,
    });
    assert_eq!(summary["expired_values_removed_by"], expected);
    // The only snapshot is that of the end, behind all event time.
    assert_eq!(summary["expired_values_left_out_of_snapshots"], 5);
    assert_eq!(summary["expired_but_present"], serde_json::json!({ "values": 5, "bytes": 80 }));

    let again = JobFolder::new("alerts");
    again.write("rules.txt", "0 often count 2 within 30d\n");
    again.write("payments.txt", on(0).chain(on(40)).collect::<String>());
    let outcome = again.start(&[&FILES[..], &["--interval", "off"]].concat()).end().succeeded();
    for (name, expected) in [
        ("expired values removed", "5 by accesses"),
        ("left out of snapshots", "5 expired values"),
        ("expired but present", "5 values, 80 B"),
    ] {
        let line = outcome.out.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains(expected)), "{name}: {}", outcome.out);
    }
}

#[test]
fn alerts_of_a_process_that_is_killed_are_those_of_plain_code() {
    for (seed, mode) in [(7, None), (8, Some("--unaligned"))] {
        let mut chance = Chance(seed);
        let (payments, changes) = (payments(&mut chance, 40_000), changes(&mut chance, 40_000));
        let expected = expected(&payments, &changes);
        let options: Vec<_> = FILES.into_iter().chain(["--interval", "20ms"]).chain(mode).collect();
        let job = || {
            let job = JobFolder::new("alerts");
            write(&job, &payments, &changes, 1_000);
            job
        };
        survives_kills(job, &options, &expected, &mut chance);
    }
}

#[test]
fn alerts_of_files_with_a_wrong_line_say_where_it_is() {
    let job = JobFolder::new("alerts");
    job.write("payments.txt", "0 ann 1\n0 ann much\n");
    job.write("rules.txt", "0 big amount 1\n");
    job.start(&FILES).end().failed(1, &["payments.txt:2: `much` is no amount"]);
    let job = JobFolder::new("alerts");
    job.write("payments.txt", "0 ann 1\n");
    job.write("rules.txt", "# rules\n\n0 big above 1\n");
    job.start(&FILES).end().failed(1, &["rules.txt:3: `above 1` is no rule"]);
    let job = JobFolder::new("alerts");
    job.write("payments.txt", "0 ann 1\n");
    job.write("rules.txt", "0 big amount 1\n0 big amount 2\n");
    job.start(&FILES).end().failed(1, &["rule `big` is changed twice at 0"]);
}

#[test]
fn alerts_of_payments_without_rules_are_a_usage_error() {
    let job = JobFolder::new("alerts");
    job.write("payments.txt", "0 ann 1\n");
    job.start(&["--input", "payments.txt"]).end().failed(2, &["--rules"]);
    assert!(!job.path("output").exists());
}
