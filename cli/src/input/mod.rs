//! What jobs over event time read: lines of files, or what a generator makes of a seed.

mod chance;
mod crowd;
mod lines;
mod name;
mod replay;

pub use chance::Chance;
pub use crowd::{Crowd, Deed, in_order};
pub use lines::timestamp;
pub use name::Name;
pub use replay::Generator;

use anyhow::{Result, anyhow};
use replay::Replay;
use snapline::base::{EventTime, Millis};
use snapline::runtime::file::{FileSource, FileSplit, splits_of};
use snapline::runtime::{JobBuilder, Record, SourceFunction, Stream};
use snapline::watermark::WatermarkStrategy;
use std::path::PathBuf;
use std::str::FromStr;

/// How much of a file one source reads before it takes the next piece: the sources stay close to each other in time.
const SPLIT_BYTES: u64 = 1024 * 1024;

/// What happened at some time. It is read from a line, and the error says what is wrong with that.
pub trait Event: Record + FromStr<Err = String> {
    /// When it happened.
    fn event_time(&self) -> EventTime;
}

/// Where the events of one stream come from.
pub enum Input<G> {
    /// Lines of files, each of which comes at most so much after a later one.
    Files(Vec<FileSplit>, Millis),
    /// So many events of a generator.
    Generated(G, u64),
}

impl<G: Generator> Input<G> {
    /// The files that are named, or found in folders that are; if none is, the first `count` events of `generator`.
    pub fn new(paths: &[PathBuf], disorder: Millis, generator: G, count: u64) -> Result<Self> {
        if paths.is_empty() {
            return Ok(Input::Generated(generator, count));
        }
        let splits = splits_of(paths, SPLIT_BYTES).map_err(|error| anyhow!(error))?;
        Ok(Input::Files(splits, disorder))
    }

    /// Adds the source of these events to a job.
    pub fn source(self, job: &mut JobBuilder, uid: &str, parallelism: u16) -> Stream<G::Out> {
        match self {
            Input::Files(splits, disorder) => {
                let strategy = WatermarkStrategy::for_bounded_out_of_orderness(disorder);
                job.source(uid, parallelism, move |context| {
                    FileSource::new(context, &splits, lines::parse::<G::Out>)
                        .with_watermarks(strategy, G::Out::event_time)
                })
            }
            Input::Generated(generator, count) => {
                job.source(uid, parallelism, move |context| Replay::new(context, generator.clone(), count))
            }
        }
    }
}
