//! Files as a replayable source and as a transactional sink.

mod sink;
mod source;
mod split;
mod written;

pub use sink::FileSink;
pub use source::{FileSource, LineAt};
pub use split::{FileSplit, splits_of};
