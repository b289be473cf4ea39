//! `snapline check` and `snapline explore`: the models, from the command line.

use anyhow::{Context, Result};
use clap::Args;
use comfy_table::{Table, presets};
use indicatif::{HumanCount, HumanDuration, ProgressBar};
use snapline_model::check::{self, FaultReport, ModelName, Progress, Promise, Report, ScopeName};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

/// Options of `snapline check`.
#[derive(Args)]
pub struct CheckArgs {
    /// The model: end-to-end, alignment, outputs, commit, shared, publish, coordinator or ttl; all of them if none is named.
    model: Option<ModelName>,
    /// How much is checked: small (seconds), medium (minutes) or large (up to an hour).
    #[arg(long, default_value = "small")]
    scope: ScopeName,
    /// Plant known bugs, one at a time, and look for each.
    #[arg(long, conflicts_with_all = ["model", "scope"])]
    faults: bool,
}

/// Options of `snapline explore`.
#[derive(Args)]
pub struct ExploreArgs {
    /// The model: end-to-end, alignment, outputs, commit, shared, publish, coordinator or ttl.
    #[arg(default_value = "end-to-end")]
    model: ModelName,
    /// How much there is to explore.
    #[arg(long, default_value = "small")]
    scope: ScopeName,
    /// Where the page is served.
    #[arg(long, default_value = "127.0.0.1:3000")]
    addr: SocketAddr,
}

/// Checks models, or looks for planted bugs. Fails if a property does not hold or a bug is not found.
pub fn check(args: &CheckArgs) -> Result<ExitCode> {
    let spinner = ProgressBar::new_spinner();
    let mut progress = |progress: Progress| {
        let (unique, elapsed) = (HumanCount(progress.unique_states as u64), HumanDuration(progress.elapsed));
        spinner.set_message(format!("{}: {unique} unique states, {elapsed}", progress.task));
        spinner.tick();
    };
    if args.faults {
        let reports = check::faults(&mut progress);
        spinner.finish_and_clear();
        println!("{}", faults_table(&reports));
        return Ok(exit_code(reports.iter().all(|report| report.property.is_some())));
    }
    let models = args.model.map_or_else(|| ModelName::ALL.to_vec(), |model| vec![model]);
    let reports: Vec<Report> =
        models.into_iter().map(|model| check::check(model, args.scope, &mut progress)).collect();
    spinner.finish_and_clear();
    println!("{}", models_table(&reports));
    println!("{}", properties_table(&reports));
    for report in &reports {
        print_failures(report);
    }
    Ok(exit_code(reports.iter().all(Report::holds)))
}

/// Serves the Explorer until the process is interrupted.
pub fn explore(args: &ExploreArgs) -> Result<ExitCode> {
    drop(TcpListener::bind(args.addr).with_context(|| format!("cannot listen on {}", args.addr))?);
    println!("step through {} at http://{}; interrupt to stop", args.model, args.addr);
    check::explore(args.model, args.scope, args.addr);
    Ok(ExitCode::SUCCESS)
}

fn exit_code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(header);
    table
}

fn models_table(reports: &[Report]) -> Table {
    let mut table = table(&["model", "scope", "states", "unique states", "depth", "time", "properties"]);
    for report in reports {
        let held = report.properties.iter().filter(|property| property.holds).count();
        table.add_row([
            report.model.to_string(),
            report.scope.to_string(),
            HumanCount(report.states as u64).to_string(),
            HumanCount(report.unique_states as u64).to_string(),
            report.depth.to_string(),
            format!("{:.1} s", report.duration.as_secs_f64()),
            format!("{held} of {} hold", report.properties.len()),
        ]);
    }
    table
}

fn properties_table(reports: &[Report]) -> Table {
    let mut table = table(&["model", "", "property", "verdict"]);
    for report in reports {
        for property in &report.properties {
            let verdict = match (property.expectation, property.holds) {
                (_, true) => "ok",
                (Promise::Always, false) => "VIOLATED",
                (Promise::Sometimes, false) => "NEVER SEEN",
            };
            let promise = property.expectation.to_string();
            table.add_row([report.model.to_string(), promise, property.name.to_owned(), verdict.to_owned()]);
        }
    }
    table
}

fn faults_table(reports: &[FaultReport]) -> Table {
    let mut table = table(&["model", "planted bug", "happened in", "found by", "states", "steps"]);
    for report in reports {
        table.add_row([
            report.model.to_string(),
            report.fault.clone(),
            report.source.to_owned(),
            report.property.unwrap_or("NOT FOUND").to_owned(),
            HumanCount(report.states_until_found as u64).to_string(),
            report.steps.to_string(),
        ]);
    }
    table
}

fn print_failures(report: &Report) {
    for property in report.properties.iter().filter(|property| !property.holds) {
        println!("\n{}: \"{}\" does not hold", report.model, property.name);
        for (number, step) in property.path.iter().flatten().enumerate() {
            println!("{:4}  {step}", number + 1);
        }
    }
}
