//! `snapline export`.

use anyhow::{Context, Result};
use clap::Args;
use snapline::inspection::{ExportError, ExportOptions, Location, export};
use snapline::state::backend::StateBackends;
use std::io::{BufWriter, ErrorKind, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct ExportArgs {
    /// A checkpoint or savepoint, or the directory of a job, whose newest checkpoint is meant.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The only state whose entries are printed.
    #[arg(long, value_name = "NAME")]
    state: Option<String>,
    /// Read values that were recorded as NAME as if they were of TYPE, for instance `my_job::Word=String`. Other types of
    /// jobs are printed as bytes.
    #[arg(long = "type", value_name = "NAME=TYPE", value_parser = name_and_type)]
    types: Vec<(String, String)>,
}

fn name_and_type(text: &str) -> Result<(String, String), String> {
    let (name, value_type) = text.split_once('=').ok_or("what is expected is NAME=TYPE")?;
    Ok((name.trim().to_owned(), value_type.trim().to_owned()))
}

/// The backends whose files can be read.
fn backends() -> StateBackends {
    let backends = StateBackends::new();
    #[cfg(feature = "rocksdb")]
    let backends = backends.with(snapline::backend::rocksdb::RocksDbStateBackendFactory);
    backends
}

/// Prints each entry as a line of JSON.
pub fn run(args: &ExportArgs) -> Result<ExitCode> {
    let location = Location::of(&args.directory)?;
    let types = args.types.iter().cloned().collect();
    let options = ExportOptions { state: args.state.clone(), types, backends: backends() };
    let mut out = BufWriter::new(stdout().lock());
    let exported = export(&location, &options, &mut |entry| {
        serde_json::to_writer(&mut out, entry)?;
        out.write_all(b"\n")
    });
    match exported {
        // Whoever reads has seen enough.
        Err(ExportError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
            return Ok(ExitCode::SUCCESS);
        }
        exported => exported?,
    }
    match out.flush() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("the entries cannot be written")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
