//! `snapline diff`.

use anyhow::Result;
use clap::Args;
use indicatif::{HumanBytes, HumanCount};
use snapline::inspection::{
    Change, ComparedCheckpoint, Difference, Location, OperatorDifference, Sides, StateDifference, diff,
};
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct DiffArgs {
    /// A checkpoint or savepoint, or the directory of a job, whose newest checkpoint is meant.
    #[arg(value_name = "LEFT")]
    left: PathBuf,
    /// What it is compared with.
    #[arg(value_name = "RIGHT")]
    right: PathBuf,
    /// Print the differences as JSON.
    #[arg(long)]
    json: bool,
}

/// Prints how two checkpoints differ: 0 if they do not, 1 if they do, and 2 if nobody can say.
pub fn run(args: &DiffArgs) -> ExitCode {
    match compare(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn compare(args: &DiffArgs) -> Result<bool> {
    let difference = diff(&Location::of(&args.left)?, &Location::of(&args.right)?)?;
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&difference)?),
        false => print(&difference),
    }
    Ok(difference.is_same)
}

fn print(difference: &Difference) {
    println!("--- {}", checkpoint(&difference.left));
    println!("+++ {}", checkpoint(&difference.right));
    difference.operators.iter().for_each(print_operator);
    let shared = &difference.shared_files;
    let amount = |files, bytes| format!("{} ({})", HumanCount(files), HumanBytes(bytes));
    println!(
        "shared files: {} in common, {} only left, {} only right",
        amount(shared.common_files, shared.common_bytes),
        amount(shared.left_only_files, shared.left_only_bytes),
        amount(shared.right_only_files, shared.right_only_bytes)
    );
    println!("{}", if difference.is_same { "both hold the same" } else { "they differ" });
}

fn checkpoint(checkpoint: &ComparedCheckpoint) -> String {
    let ComparedCheckpoint { directory, kind, attempt, private_bytes, shared_bytes, .. } = checkpoint;
    let (private, shared) = (HumanBytes(*private_bytes), HumanBytes(*shared_bytes));
    format!("{directory}: {kind}, attempt {attempt}, {private} of its own, {shared} shared")
}

fn print_operator(operator: &OperatorDifference) {
    let OperatorDifference { uid, change, name, parallelism, max_parallelism, .. } = operator;
    println!("{} operator `{uid}`", sign(*change));
    print_sides("name", name);
    print_sides("parallelism", parallelism);
    print_sides("maximum parallelism", max_parallelism);
    print_sides("finished subtasks", &operator.finished_subtasks);
    print_sides("records on their way", &operator.captured_records);
    if *change == Change::Changed {
        println!("    subtasks with other bytes: {}", operator.subtasks_that_differ);
    }
    operator.states.iter().for_each(print_state);
}

fn print_state(state: &StateDifference) {
    let kind = if state.is_keyed { "state" } else { "operator state" };
    println!("  {} {kind} `{}`", sign(state.change), state.name);
    let joined = |types: &Option<Vec<String>>| types.as_ref().map(|types| types.join(", or "));
    print_sides("  what", &Sides { left: joined(&state.types.left), right: joined(&state.types.right) });
    print_sides("  entries", &state.entries);
    print_sides("  bytes", &state.entry_bytes);
}

fn sign(change: Change) -> char {
    match change {
        Change::Added => '+',
        Change::Removed => '-',
        Change::Changed => '~',
    }
}

/// Nothing if both are the same.
fn print_sides<T: Display + PartialEq>(what: &str, sides: &Sides<T>) {
    match sides {
        Sides { left, right } if left == right => {}
        Sides { left: Some(left), right: Some(right) } => println!("    {what}: {left} -> {right}"),
        Sides { left: Some(one), right: None } | Sides { left: None, right: Some(one) } => {
            println!("    {what}: {one}");
        }
        Sides { left: None, right: None } => {}
    }
}
