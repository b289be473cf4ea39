//! Settings under Flink's keys: what they are read to, what goes before what, and what is told of those that are wrong.

#![allow(clippy::disallowed_methods, reason = "the tests read the documents")]

mod documents;
mod keys;
mod legacy;
mod options;
mod precedence;
mod recovery;
mod round_trip;
mod storages;

use snapline::base::{Incarnation, Millis};
use snapline::configuration::{Configuration, ConfigurationError, Origin};
use snapline::runtime::{JobOptions, JobSettings};
use snapline::state::backend::{SortedMapStateBackendFactory, StateBackends};
use snapline::store::CheckpointStorages;

/// A configuration with these texts, each on a line of its own of a file.
fn configuration(entries: &[(&str, &str)]) -> Configuration {
    let mut configuration = Configuration::new();
    for (line, (key, value)) in (1..).zip(entries) {
        configuration.set(*key, *value, Origin::File { path: "config.yaml".into(), line });
    }
    configuration
}

fn backends() -> StateBackends {
    StateBackends::new().with(SortedMapStateBackendFactory)
}

fn read(entries: &[(&str, &str)]) -> Result<JobSettings, ConfigurationError> {
    JobSettings::read(&configuration(entries), &backends(), &CheckpointStorages::new())
}

/// What is wrong, a sentence each.
fn problems(entries: &[(&str, &str)]) -> Vec<String> {
    match read(entries) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.iter().map(ToString::to_string).collect(),
    }
}

/// What is warned of, a sentence each.
fn warnings(entries: &[(&str, &str)]) -> Vec<String> {
    read(entries).unwrap().warnings.iter().map(ToString::to_string).collect()
}

/// The options without what tells one process from another.
fn anonymous(options: JobOptions) -> JobOptions {
    JobOptions { incarnation: Incarnation(0), ..options }
}

fn defaults() -> JobOptions {
    anonymous(JobOptions::default())
}

const SECOND: Millis = Millis(1_000);
