//! Uploads of checkpoints that are given up.

use super::*;

//= spec/subtask.md#subtask-10-an-abort-stops-the-upload
//= type=test
//# The abort of a checkpoint in its asynchronous part MUST cancel the upload.
//= spec/subtask.md#subtask-11-a-cancelled-upload-leaves-nothing
//= type=test
//# The state of a cancelled upload that finishes all the same MUST be discarded and not acknowledged.
#[test]
fn subtask_abort_during_the_async_part_cancels_it_and_leaves_no_state() {
    let mut source = subtask(0);
    on(&mut source, trigger(1));
    on(&mut source, taken(1));
    assert_eq!(on(&mut source, abort(1)), [Output::CancelUpload { checkpoint: id(1) }, notifies_abort(1)]);
    assert!(!source.parts.is_empty());
    assert_eq!(on(&mut source, uploaded(1)), [Output::DiscardState(handle(1).file)]);
    assert!(source.parts.is_empty());
}

#[test]
fn subtask_cancelled_upload_that_fails_is_not_declined() {
    let mut source = subtask(0);
    for input in [trigger(1), taken(1), abort(1)] {
        on(&mut source, input);
    }
    assert_eq!(on(&mut source, Input::UploadFailed { checkpoint: id(1) }), []);
}

#[test]
fn subtask_cancelled_upload_of_inline_state_has_no_file_to_discard() {
    let mut source = subtask(0);
    for input in [trigger(1), taken(1), abort(1)] {
        on(&mut source, input);
    }
    let inline = StateHandle { inline: Some(vec![7].into()), ..handle(1) };
    let uploaded = Input::UploadFinished { checkpoint: id(1), handle: Some(inline) };
    assert_eq!(on(&mut source, uploaded), []);
}
