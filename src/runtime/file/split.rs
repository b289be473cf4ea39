use crate::runtime::UserError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// A range of a file: the lines that begin in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileSplit {
    /// The file.
    pub path: PathBuf,
    /// The first byte of the range.
    pub start: u64,
    /// The byte after the range.
    pub end: u64,
    /// The length of the whole file when the split was made.
    pub file_bytes: u64,
}

/// The splits, of about `split_bytes` each, of all files named or found below a folder that is named. The same
/// inputs give the same splits in the same order. Hidden files and folders are left out.
///
/// # Errors
/// An input does not exist or cannot be read; the error names it.
pub fn splits_of(inputs: &[PathBuf], split_bytes: u64) -> Result<Vec<FileSplit>, UserError> {
    let mut files = Vec::new();
    for input in inputs {
        find_files(input, &mut files)?;
    }
    files.sort();
    files.dedup();
    let split_bytes = split_bytes.max(1);
    let mut splits = Vec::new();
    for path in files {
        let file_bytes = file_length(&path)?;
        let mut start = 0;
        while start < file_bytes {
            let end = file_bytes.min(start + split_bytes);
            splits.push(FileSplit { path: path.clone(), start, end, file_bytes });
            start = end;
        }
    }
    Ok(splits)
}

/// The length of a file that can be opened for reading.
pub(super) fn file_length(path: &Path) -> Result<u64, UserError> {
    let open = fs::File::open(path).and_then(|file| file.metadata());
    open.map(|metadata| metadata.len()).map_err(|error| cannot_read(path, error))
}

pub(super) fn cannot_read(path: &Path, error: std::io::Error) -> UserError {
    format!("cannot read {}: {error}", path.display()).into()
}

fn find_files(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), UserError> {
    let metadata = fs::metadata(path).map_err(|error| cannot_read(path, error))?;
    if !metadata.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(|error| cannot_read(path, error))? {
        let entry = entry.map_err(|error| cannot_read(path, error))?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if !is_hidden && !is_link {
            find_files(&entry.path(), files)?;
        }
    }
    Ok(())
}
