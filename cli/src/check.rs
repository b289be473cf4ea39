//! checks
use std::process::ExitCode;
/// a
#[derive(clap::Args)]
pub struct CheckArgs {}
/// b
#[derive(clap::Args)]
pub struct ExploreArgs {}
pub fn check(_: &CheckArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
pub fn explore(_: &ExploreArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
