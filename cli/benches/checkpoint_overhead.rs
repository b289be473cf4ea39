//! What checkpoints cost: the word count of 200 MB, with checkpoints off, every second and every 100 ms.
//!
//! Every round runs all three, one after the other, in the same binary; the table shows the median of the
//! rounds and the ratio to the run without checkpoints. `ROUNDS` and `MEGABYTES` change the size.

use comfy_table::{Table, presets};
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

const INTERVALS: [&str; 3] = ["off", "1s", "100ms"];
/// The words follow Zipf's law, as those of real text do.
const VOCABULARY: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --benches` passes this: there is nothing to measure then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let rounds = setting("ROUNDS", 3);
    let bytes = setting("MEGABYTES", 200) * 1_000_000;
    let directory = tempfile::tempdir()?;
    let text = directory.path().join("text.txt");
    write_text(&text, bytes)?;
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["output", "interval", "records/s", "ratio", "checkpoints", "last took"]);
    for emit in ["updates", "final"] {
        let mut runs = INTERVALS.map(|_| Vec::new());
        for _ in 0..rounds {
            for (interval, runs) in INTERVALS.iter().zip(&mut runs) {
                runs.push(run(directory.path(), &text, interval, emit)?);
            }
        }
        let medians = runs.map(median);
        for (interval, (rate, checkpoints, duration)) in INTERVALS.iter().zip(&medians) {
            let ratio = *rate as f64 / medians[0].0 as f64;
            table.add_row([
                emit.to_owned(),
                (*interval).to_owned(),
                rate.to_string(),
                format!("{ratio:.3}"),
                checkpoints.to_string(),
                format!("{duration} ms"),
            ]);
        }
    }
    println!("{table}");
    Ok(())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Records per second, completed checkpoints, and how many milliseconds the last one took.
type Run = (u64, u64, u64);

fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_unstable();
    runs[runs.len() / 2]
}

fn run(directory: &Path, text: &Path, interval: &str, emit: &str) -> Result<Run, Box<dyn Error>> {
    let (output, checkpoints) = (directory.join("output"), directory.join("checkpoints"));
    let run = Command::new(env!("CARGO_BIN_EXE_snapline"))
        .args(["run", "wordcount", "--json", "--interval", interval, "--emit", emit, "--input"])
        .arg(text)
        .arg("--output")
        .arg(&output)
        .arg("--checkpoint-dir")
        .arg(&checkpoints)
        .output()?;
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).into_owned().into());
    }
    let summary: serde_json::Value = serde_json::from_slice(&run.stdout)?;
    let number = |pointer: &str| summary.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0);
    std::fs::remove_dir_all(&output)?;
    std::fs::remove_dir_all(&checkpoints)?;
    Ok((
        number("/records_per_second"),
        number("/checkpoints_completed"),
        number("/last_checkpoint/duration_millis"),
    ))
}

fn write_text(path: &Path, bytes: u64) -> Result<(), Box<dyn Error>> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut words, mut state) = (0, 0_u64, 7_u64);
    while written < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // The inverse of Zipf's distribution function with exponent 1.
        let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = (VOCABULARY as f64).powf(uniform) as u64;
        words += 1;
        let word = format!("w{rank:x}{}", if words % 10 == 0 { '\n' } else { ' ' });
        file.write_all(word.as_bytes())?;
        written += word.len() as u64;
    }
    Ok(file.flush()?)
}
