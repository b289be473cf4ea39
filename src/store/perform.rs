use super::{CheckpointStorage, Put, StorageError};
use crate::base::{CompletedCheckpoint, JobId};
use crate::codec::{CheckpointMetadata, OperatorMetadata};
use crate::publish::{Answer, Operation};
use crate::rescale::StateAssignment;

/// The part of every checkpoint's metadata that stays the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDescription {
    /// The job.
    pub job: JobId,
    /// Its operators; the number of an operator is its place here.
    pub operators: Vec<OperatorMetadata>,
}

impl JobDescription {
    /// The metadata of `checkpoint`.
    #[must_use]
    pub fn metadata(&self, checkpoint: CompletedCheckpoint) -> CheckpointMetadata {
        CheckpointMetadata { job: self.job, operators: self.operators.clone(), checkpoint }
    }

    /// The checkpoint as if this job had taken it, which may have other operators, or as many subtasks, than it had then.
    #[must_use]
    pub fn in_terms_of_job(&self, metadata: CheckpointMetadata) -> CompletedCheckpoint {
        match metadata.operators == self.operators {
            true => metadata.checkpoint,
            false => StateAssignment::new(&metadata, &self.operators).for_job(),
        }
    }
}

/// Carries out one operation of the publish machine; the error, if there was one, is for people.
pub fn perform(
    storage: &dyn CheckpointStorage,
    job: &JobDescription,
    operation: Operation,
) -> (Answer, Option<StorageError>) {
    let put = |put| match put {
        Put::Stored => Answer::Stored,
        Put::Exists => Answer::Exists,
    };
    let result = match operation {
        Operation::List => storage.list().map(Answer::Listed),
        Operation::ReadPointer(sequence) => storage.read_pointer(sequence).map(Answer::Pointer),
        Operation::ReadMetadata(checkpoint) => storage
            .read_metadata(checkpoint)
            .map(|metadata| Answer::Metadata(metadata.map(|metadata| job.in_terms_of_job(metadata)))),
        Operation::PutMetadata(checkpoint) => storage.put_metadata(&job.metadata(checkpoint)).map(put),
        Operation::PutPointer(sequence, pointer) => storage.put_pointer(sequence, &pointer).map(put),
    };
    result.map_or_else(|error| (answer_to(&error), Some(error)), |answer| (answer, None))
}

/// What the machine learns of an error.
fn answer_to(error: &StorageError) -> Answer {
    match error {
        StorageError::Unavailable { .. }
        | StorageError::TooLarge { .. }
        | StorageError::Full { .. }
        | StorageError::Elsewhere { .. } => Answer::Failed,
        StorageError::Uncertain { .. } => Answer::Unknown,
        StorageError::Corrupt { .. } => Answer::Corrupt,
    }
}
