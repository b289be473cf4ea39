//! One gate, within bounds: every property holds, and the number of states is what it was.

use snapline_model::check::{ModelName, ScopeName, check};

fn assert_scope(scope: ScopeName, unique_states: usize) {
    let report = check(ModelName::Alignment, scope, &mut |_| {});
    let broken: Vec<_> = report.properties.iter().filter(|property| !property.holds).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(report.unique_states, unique_states);
}

#[test]
fn alignment_small_holds() {
    assert_scope(ScopeName::Small, 168_628);
}

#[test]
fn alignment_medium_holds() {
    assert_scope(ScopeName::Medium, 7_641_952);
}
