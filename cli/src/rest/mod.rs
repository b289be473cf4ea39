//! A running job over HTTP: `snapline run --rest` serves it, the other commands here are clients.

#![allow(clippy::disallowed_methods)]

mod client;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use client::Client;
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use snapline::base::JobId;
use snapline::rest::{RestOptions, RestServer};
use snapline::runtime::{Disposal, JobHandle, dispose_savepoint};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where a job is served, and which one it is.
#[derive(Args)]
pub struct Target {
    /// Where the job is served, such as 127.0.0.1:8081.
    #[arg(value_name = "URL")]
    url: String,
    /// The job, if there are several.
    #[arg(value_name = "JOBID")]
    job: Option<JobId>,
}

#[derive(Args)]
pub struct ListArgs {
    /// Where jobs are served, such as 127.0.0.1:8081.
    #[arg(value_name = "URL")]
    url: String,
    /// Print the jobs as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct SavepointArgs {
    /// Where the job is served, such as 127.0.0.1:8081.
    #[arg(value_name = "URL", required_unless_present = "dispose")]
    url: Option<String>,
    /// The job, if there are several.
    #[arg(value_name = "JOBID")]
    job: Option<JobId>,
    /// Delete this savepoint instead; no job is asked.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["url", "job", "type", "target_directory"])]
    dispose: Option<PathBuf>,
    /// Where the savepoint is to lie: an absolute path of the machine of the job, or a URL of the store in which its checkpoints
    /// are. Without it, where the job puts its savepoints.
    #[arg(long, value_name = "DIR")]
    target_directory: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// In which format a savepoint is.
#[derive(Args)]
pub struct FormatArgs {
    /// The format of keyed state: `canonical`, the default, is read by every backend; `native` is copies of
    /// the backend's own files.
    #[arg(id = "type", long = "type", value_name = "FORMAT")]
    format: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Canonical,
    Native,
}

impl FormatArgs {
    fn in_json(&self) -> &'static str {
        match self.format {
            None | Some(Format::Canonical) => "CANONICAL",
            Some(Format::Native) => "NATIVE",
        }
    }
}

#[derive(Args)]
pub struct StopArgs {
    #[command(flatten)]
    target: Target,
    /// Where a copy of the savepoint is to lie: an absolute path of the machine of the job, or a URL of the store in which its
    /// checkpoints are. The job itself goes on from its last checkpoint.
    #[arg(long, value_name = "DIR")]
    target_directory: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
    /// End the data of the sources first, so that everything that is held back is emitted.
    #[arg(long)]
    drain: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct CancelArgs {
    #[command(flatten)]
    target: Target,
    /// Take a savepoint first; without one the job goes on.
    #[arg(long, required_if_eq_any = [("type", "canonical"), ("type", "native")])]
    with_savepoint: bool,
    /// Where the savepoint is to lie: an absolute path of the machine of the job, or a URL of the store in which its checkpoints
    /// are. Without it, where the job puts its savepoints.
    #[arg(long, value_name = "DIR", requires = "with_savepoint")]
    target_directory: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Serves a job, and says where.
pub fn serve(job: &JobHandle, listener: TcpListener, job_name: &str) -> Result<RestServer> {
    let options = RestOptions { job_name: job_name.to_owned(), ..RestOptions::default() };
    let server = RestServer::serve(job, listener, options)?;
    eprintln!("job {} is served at http://{}", job.watch().job(), server.address());
    Ok(server)
}

pub fn list(args: &ListArgs) -> Result<ExitCode> {
    let overview = Client::new(&args.url)?.get("/jobs/overview")?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&overview)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["job", "name", "status"]);
    for job in overview["jobs"].as_array().into_iter().flatten() {
        let text = |field: &str| job[field].as_str().unwrap_or_default().to_owned();
        table.add_row([text("jid"), text("name"), text("state")]);
    }
    println!("{table}");
    Ok(ExitCode::SUCCESS)
}

pub fn savepoint(args: &SavepointArgs) -> Result<ExitCode> {
    let Some(path) = &args.dispose else {
        let url = args.url.clone().unwrap_or_default();
        let body = json!({ "formatType": args.format.in_json(), "target-directory": args.target_directory });
        return take(&Target { url, job: args.job }, "savepoints", &body, args.json);
    };
    let disposal = dispose_savepoint(path)?;
    let what = if disposal == Disposal::Deleted { "deleted" } else { "not there any more" };
    let path = path.display().to_string();
    print(args.json, json!({ "savepoint": path, "disposal": what }), &format!("{path} is {what}"))
}

pub fn stop(args: &StopArgs) -> Result<ExitCode> {
    let body = json!({
        "drain": args.drain,
        "formatType": args.format.in_json(),
        "targetDirectory": args.target_directory,
    });
    take(&args.target, "stop", &body, args.json)
}

pub fn cancel(args: &CancelArgs) -> Result<ExitCode> {
    if args.with_savepoint {
        let body = json!({
            "cancel-job": true,
            "formatType": args.format.in_json(),
            "target-directory": args.target_directory,
        });
        return take(&args.target, "savepoints", &body, args.json);
    }
    let client = Client::new(&args.target.url)?;
    let job = client.job(args.target.job)?;
    client.cancel(job)?;
    print(args.json, json!({ "job": job.to_string() }), &format!("job {job} is being cancelled"))
}

/// Triggers a savepoint and waits for it.
fn take(target: &Target, trigger: &str, body: &Value, as_json: bool) -> Result<ExitCode> {
    let client = Client::new(&target.url)?;
    let job = client.job(target.job)?;
    let result = client.savepoint(job, trigger, body)?;
    let location = result["location"].as_str().context("the server has not said where the savepoint is")?;
    let told = json!({ "job": job.to_string(), "location": location });
    print(as_json, told, &format!("the savepoint is complete: {location}"))
}

fn print(as_json: bool, json: Value, text: &str) -> Result<ExitCode> {
    match as_json {
        true => println!("{}", serde_json::to_string_pretty(&json)?),
        false => println!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}
