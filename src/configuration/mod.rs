//! Settings under Flink's keys, from a file, the command line and code, and where each of them was written.
//!
//! A [`Configuration`] is a flat map of texts. Which keys there are is data: [`options`]. A [`Reader`] turns texts into values
//! and keeps everything that is wrong with them, so that all of it is told at once; `runtime::JobSettings` reads a whole job.
//!
//! `docs/CONFIGURATION.md` is the table of all keys.

mod entries;
mod option;
pub mod options;
mod origin;
mod problem;
mod reader;
pub mod unsupported;
pub(crate) mod value;
mod warning;
#[cfg(feature = "yaml")]
mod yaml;

pub use entries::{Configuration, Entry};
pub use option::{ConfigOption, Kind};
pub use origin::Origin;
pub use problem::{ConfigurationError, Problem, WrongOption};
pub use reader::Reader;
pub use warning::{Reason, Warning, nearest};
#[cfg(feature = "yaml")]
pub use yaml::FileError;
