use super::options::RunArgs;
use anyhow::{Context, Result, bail};
use snapline::base::JobId;
use snapline::store::FileSystemCheckpointStorage;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where everything goes when nothing is said.
const DEFAULT_ROOT: &str = "snapline-data";
/// Names the job to which an output directory belongs.
const OWNER: &str = "_snapline_job";

/// The job of a run, and its directories.
#[derive(Clone, Debug)]
pub struct Directories {
    /// The job.
    pub job: JobId,
    /// Where its output appears.
    pub output: PathBuf,
    /// Where its checkpoints are kept.
    pub checkpoints: PathBuf,
}

impl Directories {
    /// The directories of a new job, or of the one that is resumed.
    pub fn prepare(args: &RunArgs, name: &str) -> Result<Self> {
        let root = Path::new(DEFAULT_ROOT).join(name);
        let output = args.output.clone();
        let checkpoints = args.checkpoint_dir.clone().unwrap_or_else(|| root.join("checkpoints"));
        if args.resume {
            let output = output.map_or_else(|| latest_default(&root), Ok)?;
            return resume(output, checkpoints);
        }
        let job = JobId(uuid::Uuid::new_v4().as_u128());
        let output = match output {
            Some(output) => output,
            None => {
                let output = root.join(format!("output-{job}"));
                create(&root)?;
                write_durably(&root.join("latest"), &output.display().to_string())?;
                output
            }
        };
        claim(&output, job)?;
        Ok(Directories { job, output, checkpoints })
    }
}

fn latest_default(root: &Path) -> Result<PathBuf> {
    let latest = root.join("latest");
    let path = fs::read_to_string(&latest)
        .with_context(|| format!("there is nothing to resume: {} cannot be read", latest.display()))?;
    Ok(PathBuf::from(path))
}

fn resume(output: PathBuf, checkpoints: PathBuf) -> Result<Directories> {
    let Some(job) = owner(&output)? else {
        bail!(
            "there is nothing to resume: {} belongs to no job; run once without --resume",
            output.display()
        );
    };
    let known = checkpoints.is_dir() && FileSystemCheckpointStorage::jobs(&checkpoints)?.contains(&job);
    if !known && has_parts(&output)? {
        bail!(
            "{} holds output of job {job}, but {} holds no checkpoints of it; name the right --checkpoint-dir",
            output.display(),
            checkpoints.display()
        );
    }
    Ok(Directories { job, output, checkpoints })
}

/// Makes the directory this job's, unless it is another one's.
fn claim(output: &Path, job: JobId) -> Result<()> {
    create(output)?;
    if let Some(owner) = owner(output)? {
        bail!(
            "{} belongs to job {owner}; add --resume to go on with it, or name another --output",
            output.display()
        );
    }
    let mut entries = fs::read_dir(output).with_context(|| format!("cannot read {}", output.display()))?;
    if entries.next().is_some() {
        bail!("{} is not empty and belongs to no job; name another --output", output.display());
    }
    write_durably(&output.join(OWNER), &job.to_string())
}

fn owner(output: &Path) -> Result<Option<JobId>> {
    let path = output.join(OWNER);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let job = text.trim().parse().with_context(|| format!("{} names no job", path.display()))?;
    Ok(Some(job))
}

fn has_parts(output: &Path) -> Result<bool> {
    let entries = fs::read_dir(output).with_context(|| format!("cannot read {}", output.display()))?;
    let is_part = |entry: fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b"part-");
    Ok(entries.flatten().any(is_part))
}

fn create(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))
}

/// A crash leaves the old content or the new one.
fn write_durably(path: &Path, text: &str) -> Result<()> {
    let write = || {
        let temporary = path.with_extension("tmp");
        fs::write(&temporary, text)?;
        fs::File::open(&temporary)?.sync_all()?;
        fs::rename(&temporary, path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
