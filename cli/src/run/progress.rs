use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use snapline::runtime::JobHandle;
use std::fmt::Write;
use std::time::{Duration, Instant};

const REFRESH: Duration = Duration::from_millis(100);

/// Shows how the job goes on, on stderr and only if that is a terminal, until it ends.
pub fn watch(handle: &JobHandle) {
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}")
            .unwrap_or(ProgressStyle::default_spinner()),
    );
    let start = Instant::now();
    while !handle.wait_timeout(REFRESH) {
        bar.set_message(line(handle, start.elapsed()));
        bar.tick();
    }
    bar.finish_and_clear();
}

fn line(handle: &JobHandle, elapsed: Duration) -> String {
    let progress = handle.progress();
    let rate = progress.records_read as f64 / elapsed.as_secs_f64().max(0.001);
    let mut line = format!("{} records, {}/s", HumanCount(progress.records_read), HumanCount(rate as u64));
    if let Some(last) = progress.last {
        let _ = write!(
            line,
            "; checkpoint {} took {}, {}; {} completed, {} failed",
            last.id,
            last.duration,
            HumanBytes(last.bytes),
            progress.completed,
            progress.aborted
        );
    }
    if progress.restarts > 0 {
        let _ = write!(line, "; {} restarts", progress.restarts);
    }
    if let Some(trouble) = handle.watch().storage_trouble() {
        let _ = write!(line, "; trouble with the storage: {}", trouble.error);
    }
    line
}
