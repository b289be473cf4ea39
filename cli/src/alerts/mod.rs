//! `snapline run alerts`: payments to alerts, by rules that come and go while the job runs.

mod alert;
mod generator;
mod history;
mod judge;
mod payment;
mod rule;

use crate::input::{Crowd, Input};
use crate::run::{self, Directories, Parallelism, RunArgs, Settings};
use alert::Alert;
use anyhow::Result;
use clap::Args;
use generator::{PaymentGenerator, RuleGenerator};
use judge::Judge;
use payment::Payment;
use rule::LONGEST_SPAN;
use snapline::base::{JobId, Millis, TimeDomain};
use snapline::runtime::file::FileSink;
use snapline::runtime::{Job, JobBuilder, JobError};
use snapline::ttl::StateTtlConfig;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Every judge gets all rules. One source keeps them in the order in which they are written.
const RULE_SOURCES: u16 = 1;

/// Options of the alerts.
#[derive(Args, Clone, Debug)]
pub struct AlertsArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Files of rules, or folders of them; without any, rules are generated.
    #[arg(long, num_args = 1.., value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// By how much a payment may come after a later one, and a rule after a later rule. In files, all of one folder taken as
    /// one in the order of names. What is later than that may come when its time has been judged: then a payment is dropped,
    /// and a rule ends the job.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = run::duration)]
    disorder: Millis,
    /// How many payments are generated when no files of them are named. A rule changes every 500 payments, unless rules
    /// are named.
    #[arg(long, value_name = "N", default_value_t = 100_000, conflicts_with = "input")]
    payments: u64,
    /// From how many accounts.
    #[arg(long, value_name = "N", default_value_t = 1_000, conflicts_with = "input")]
    accounts: u64,
    /// The same seed gives the same payments and rules.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "input")]
    seed: u64,
}

/// Runs the job.
pub fn run(args: AlertsArgs) -> Result<ExitCode> {
    let without_rules = !args.run.input.is_empty() && args.rules.is_empty();
    if without_rules {
        return Ok(run::misused("--input needs --rules to judge it by"));
    }
    let settings = match Settings::of(&args.run, "alerts") {
        Ok(settings) => settings,
        Err(what) => return Ok(run::misused(&what)),
    };
    let generator = PaymentGenerator::new(Crowd::new(args.seed, args.accounts, args.disorder.0));
    let payments = Input::new(&args.run.input, args.disorder, generator, args.payments)?;
    let changes = RuleGenerator::changes_among(args.payments);
    let rules = Input::new(&args.rules, args.disorder, RuleGenerator::new(args.seed), changes)?;
    let ttl = StateTtlConfig::new(LONGEST_SPAN)?.with_time_domain(TimeDomain::EventTime);
    let ttl = ttl.cleanup_full_snapshot();
    let directories = Directories::prepare(&args.run, &settings, "alerts")?;
    let parallelism = settings.parallelism;
    run::run(&args.run, settings, &directories, |job| {
        build(parallelism, job, payments, rules, ttl, &directories.output)
    })
}

fn build(
    (parallelism, max_parallelism): Parallelism,
    id: JobId,
    payments: Input<PaymentGenerator>,
    rules: Input<RuleGenerator>,
    ttl: StateTtlConfig,
    output: &Path,
) -> Result<Job, JobError> {
    let mut job = JobBuilder::new();
    let payments = payments.source(&mut job, "payments", parallelism);
    let rules = rules.source(&mut job, "rules", RULE_SOURCES);
    let by_account = payments.key_by(|payment: &Payment| &payment.account).connect(rules.broadcast());
    let alerts =
        job.process_broadcast(by_account, "judge", parallelism, max_parallelism, move |_| Judge::new(ttl));
    let output = output.to_owned();
    job.sink(alerts, "files", move |context| {
        FileSink::new(context, &output, |alert: &Alert, line: &mut Vec<u8>| alert.write_to(line))
    });
    job.build(id)
}
