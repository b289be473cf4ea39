use super::options::RunArgs;
use super::settings::{DEFAULT_ROOT, Settings};
use anyhow::{Context, Result, bail};
use snapline::base::JobId;
use snapline::runtime::GivenCheckpoint;
use snapline::store::{CheckpointStorageChoice, FileSystemCheckpointStorage};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

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
    /// Whether it has published any.
    pub has_checkpoint: bool,
}

impl Directories {
    /// The directories of a new job, or of the one that is resumed.
    pub fn prepare(args: &RunArgs, settings: &Settings, name: &str) -> Result<Self> {
        let root = Path::new(DEFAULT_ROOT).join(name);
        let output = args.output.clone();
        let checkpoints = settings.checkpoints.clone();
        if args.resume {
            let output = output.map_or_else(|| latest_default(&root), Ok)?;
            return resume(output, settings);
        }
        let job = JobId(uuid::Uuid::new_v4().as_u128());
        if args.plan {
            let output = output.unwrap_or_else(|| root.join(format!("output-{job}")));
            return Ok(Directories { job, output, checkpoints, has_checkpoint: false });
        }
        let output = match output {
            Some(output) => output,
            None => {
                let output = root.join(format!("output-{job}"));
                create(&root)?;
                let latest = root.join("latest");
                let path = output.display().to_string();
                write_durably(&latest, &path, |temporary| fs::rename(temporary, &latest))?;
                output
            }
        };
        let given = settings.job.restore.as_ref().and_then(GivenCheckpoint::path);
        claim(&output, job, given)?;
        Ok(Directories { job, output, checkpoints, has_checkpoint: false })
    }
}

fn latest_default(root: &Path) -> Result<PathBuf> {
    let latest = root.join("latest");
    let path = fs::read_to_string(&latest)
        .with_context(|| format!("there is nothing to resume: {} cannot be read", latest.display()))?;
    Ok(PathBuf::from(path))
}

fn resume(output: PathBuf, settings: &Settings) -> Result<Directories> {
    let Some(Owner { job, given }) = owner(&output)? else {
        bail!(
            "there is nothing to resume: {} belongs to no job; run once without --resume",
            output.display()
        );
    };
    remove_unfinished_claims(&output)?;
    // Output appears after the checkpoint that covers it, so it must be looked at first.
    let checkpoints = settings.checkpoints.clone();
    let has_checkpoint = has_checkpoint(settings, job)?;
    let named = settings.job.restore.as_ref().and_then(GivenCheckpoint::path);
    let named = named.map(std::path::absolute).transpose()?;
    match (&given, &named) {
        (Some(given), None) if !has_checkpoint => bail!(
            "job {job} was started from {given} and has no checkpoint of its own yet; add --from {given}"
        ),
        (Some(given), Some(named)) if named != Path::new(given) => {
            bail!("job {job} was started from {given} and cannot go on from {}", named.display())
        }
        (None, Some(named)) => bail!(
            "job {job} was not started from a checkpoint of another one and cannot go on from {}; name another \
             --output, without --resume",
            named.display()
        ),
        _ => {}
    }
    if has_parts(&output)? && !has_checkpoint && named.is_none() {
        let log = match settings.storage {
            CheckpointStorageChoice::HighlyAvailable { .. } => {
                "the store that high-availability.type names".to_owned()
            }
            _ => checkpoints.join(job.to_string()).join("pointers").display().to_string(),
        };
        bail!(
            "{} holds output of job {job}, but nothing in {log} points to a checkpoint of it; name the right \
             --checkpoint-dir, or put the pointers back from a copy",
            output.display(),
        );
    }
    Ok(Directories { job, output, checkpoints, has_checkpoint })
}

/// Whether the job's newest pointer names a checkpoint, or is something that the recovery has to explain.
fn has_checkpoint(settings: &Settings, job: JobId) -> Result<bool> {
    if let CheckpointStorageChoice::FileSystem { directory, .. } = settings.storage.files()
        && (!directory.is_dir() || !FileSystemCheckpointStorage::jobs(directory)?.contains(&job))
    {
        return Ok(false);
    }
    let storage = settings.storage.open(job)?;
    let Some(newest) = storage.list()?.pointers.pop_last() else { return Ok(false) };
    Ok(!matches!(storage.read_pointer(newest), Ok(Some(pointer)) if pointer.newest.is_none()))
}

/// Makes the directory this job's, which starts from `given`, unless it is another one's.
fn claim(output: &Path, job: JobId, given: Option<&Path>) -> Result<()> {
    create(output)?;
    if let Some(Owner { job, .. }) = owner(output)? {
        bail!(
            "{} belongs to job {job}; add --resume to go on with it, or name another --output",
            output.display()
        );
    }
    let entries = fs::read_dir(output).with_context(|| format!("cannot read {}", output.display()))?;
    if entries.flatten().any(|entry| !is_unfinished_claim(&entry)) {
        bail!("{} is not empty and belongs to no job; name another --output", output.display());
    }
    let path = output.join(OWNER);
    // Of two processes that claim the directory at once, one fails here.
    let text = match given {
        Some(given) => format!("{job}\n{}", std::path::absolute(given)?.display()),
        None => job.to_string(),
    };
    write_durably(&path, &text, |temporary| fs::hard_link(temporary, &path))?;
    remove_unfinished_claims(output)
}

/// Whether it was left by someone who was killed while claiming the directory.
fn is_unfinished_claim(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let rest = name.to_str().and_then(|name| name.strip_prefix(OWNER));
    rest.is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".tmp"))
}

/// Whoever is still claiming the directory, which has an owner now, fails in any case.
fn remove_unfinished_claims(output: &Path) -> Result<()> {
    let entries = fs::read_dir(output).with_context(|| format!("cannot read {}", output.display()))?;
    for left_over in entries.flatten().filter(is_unfinished_claim) {
        let _ = fs::remove_file(left_over.path());
    }
    Ok(())
}

/// To which job an output directory belongs.
struct Owner {
    job: JobId,
    /// What it was started from.
    given: Option<String>,
}

fn owner(output: &Path) -> Result<Option<Owner>> {
    let path = output.join(OWNER);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut lines = text.lines();
    let job = lines.next().unwrap_or_default().trim().parse();
    let job = job.with_context(|| format!("{} names no job", path.display()))?;
    Ok(Some(Owner { job, given: lines.next().map(str::to_owned) }))
}

fn has_parts(output: &Path) -> Result<bool> {
    let entries = fs::read_dir(output).with_context(|| format!("cannot read {}", output.display()))?;
    let is_part = |entry: fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b"part-");
    Ok(entries.flatten().any(is_part))
}

fn create(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))
}

/// A crash leaves what was there, or the whole text: `appear` gives the finished file its name.
fn write_durably(path: &Path, text: &str, appear: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let write = || {
        let temporary = path.with_extension(format!("{}.tmp", uuid::Uuid::new_v4().simple()));
        fs::write(&temporary, text)?;
        let appeared =
            fs::File::open(&temporary).and_then(|file| file.sync_all()).and_then(|()| appear(&temporary));
        let _ = fs::remove_file(&temporary);
        appeared?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
