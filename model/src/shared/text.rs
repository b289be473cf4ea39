//! Steps and states in words.

use super::world::{Complete, Message, Step, World};
use snapline::base::{SharedObject, Sharing};
use std::fmt::Write;

fn object(object: &SharedObject) -> String {
    let SharedObject { file, upload, savepoint } = object;
    let place = if savepoint.is_some() { "savepoint's " } else { "" };
    format!("{place}content {} (attempt {}, upload {upload})", file.content.digest, file.attempt)
}

fn message(message: &Message) -> String {
    match message {
        Message::Acknowledge(attempt, id, subtask, state) => format!(
            "acknowledgement of {id} by {subtask} of attempt {attempt}: {} new, {} referred to",
            state.uploaded.len(),
            state.reused.len()
        ),
        Message::Completed(id, subtask) => format!("completion of {id} to {subtask}"),
        Message::Aborted(id, subtask) => format!("abort of {id} to {subtask}"),
    }
}

pub(super) fn step(step: &Step) -> String {
    match step {
        Step::Trigger(Sharing::NoSharing) => "a savepoint begins".to_owned(),
        Step::Trigger(_) => "a checkpoint begins".to_owned(),
        Step::Snapshot(subtask, id, false) => format!("{subtask} takes snapshot {id}"),
        Step::Snapshot(subtask, id, true) => format!("{subtask} compacts and takes snapshot {id}"),
        Step::Upload(_, uploaded) => format!("uploaded: {}", object(uploaded)),
        Step::UploadFails(_, failed) => format!("half uploaded: {}", object(failed)),
        Step::OrphanedUpload(orphan) => format!("uploaded by a dead attempt: {}", object(orphan)),
        Step::Deliver(delivered) => format!("arrives: {}", message(delivered)),
        Step::DeliverTwice(delivered) => format!("arrives for the first time: {}", message(delivered)),
        Step::Publish(id) => format!("checkpoint {id} is published"),
        Step::Abort(id) => format!("checkpoint {id} is aborted"),
        Step::Delete(deleted) => format!("deleted: {}", object(deleted)),
        Step::DeleteTwice(deleted) => format!("deleted for the first time: {}", object(deleted)),
        Step::DeletionFails(kept) => format!("deletion fails: {}", object(kept)),
        Step::Tick => "failed deletions are repeated".to_owned(),
        Step::FailTasks => "the tasks fail and restart".to_owned(),
        Step::Crash => "the process dies and another one recovers".to_owned(),
        Step::List => "the storage is listed".to_owned(),
        Step::OwnerDeletes => "the owner deletes a savepoint".to_owned(),
    }
}

/// A state, one line for each thing.
pub(super) fn world(world: &World) -> String {
    let mut text = format!("attempt {}\n", world.attempt);
    let mut line = |text_of: String| writeln!(text, "{text_of}").expect("text can be written");
    for (subtask, task) in &world.tasks {
        let base: Vec<_> = task.machine.base().map(|file| file.content.digest).collect();
        let files: Vec<_> = task.local.values().collect();
        line(format!("task {subtask}: files {files:?}, base {base:?}, {} uploads", task.uploads.len()));
    }
    for (id, pending) in &world.pending {
        line(format!("pending {id}: {} acknowledged", pending.acknowledged.len()));
    }
    let complete = |what: &str, id: &dyn std::fmt::Display, complete: &Complete| {
        let objects: Vec<_> = complete.objects().map(object).collect();
        format!("{what} {id}: {}", objects.join(", "))
    };
    for (id, published) in &world.published {
        line(complete("published", id, published));
    }
    for (id, savepoint) in &world.savepoints {
        line(complete("savepoint", id, savepoint));
    }
    world.messages.iter().for_each(|under_way| line(format!("under way: {}", message(under_way))));
    world.store.keys().for_each(|stored| line(format!("stored: {}", object(stored))));
    world.deletions.iter().for_each(|deleted| line(format!("to be deleted: {}", object(deleted))));
    text
}
