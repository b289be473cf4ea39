//! Every model, within bounds: each property holds, and the number of states is what it was.
//!
//! A count that changes says that the machines or the model behave differently. Look at why before it is written down
//! anew. All models are one test program, so that as many are checked at once as there are processors.

mod end_to_end;
mod reductions;

use snapline_model::check::{ModelName, ScopeName, check};

fn assert_scope(model: ModelName, scope: ScopeName, unique_states: usize) {
    let report = check(model, scope, &mut |_| {});
    let broken: Vec<_> = report.properties.iter().filter(|property| !property.holds).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(report.unique_states, unique_states);
}

#[test]
fn alignment_small_holds() {
    assert_scope(ModelName::Alignment, ScopeName::Small, 168_628);
}

#[test]
fn alignment_medium_holds() {
    assert_scope(ModelName::Alignment, ScopeName::Medium, 7_641_952);
}

#[test]
fn commit_small_holds() {
    assert_scope(ModelName::Commit, ScopeName::Small, 226_518);
}

#[test]
fn commit_medium_holds() {
    assert_scope(ModelName::Commit, ScopeName::Medium, 1_642_541);
}

#[test]
fn coordinator_small_holds() {
    assert_scope(ModelName::Coordinator, ScopeName::Small, 231_090);
}

#[test]
fn coordinator_medium_holds() {
    assert_scope(ModelName::Coordinator, ScopeName::Medium, 2_247_635);
}

#[test]
fn outputs_small_holds() {
    assert_scope(ModelName::Outputs, ScopeName::Small, 21_492);
}

#[test]
fn outputs_medium_holds() {
    assert_scope(ModelName::Outputs, ScopeName::Medium, 398_800);
}

#[test]
fn publish_small_holds() {
    assert_scope(ModelName::Publish, ScopeName::Small, 191_858);
}

#[test]
fn publish_medium_holds() {
    assert_scope(ModelName::Publish, ScopeName::Medium, 3_027_396);
}

#[test]
fn shared_small_holds() {
    assert_scope(ModelName::Shared, ScopeName::Small, 525_869);
}

#[test]
fn shared_medium_holds() {
    assert_scope(ModelName::Shared, ScopeName::Medium, 2_598_228);
}

#[test]
fn ttl_small_holds() {
    assert_scope(ModelName::Ttl, ScopeName::Small, 579_944);
}

#[test]
fn ttl_medium_holds() {
    assert_scope(ModelName::Ttl, ScopeName::Medium, 2_321_691);
}
