//! The coordinator, within bounds: every property holds, and the number of states is what it was.

use snapline_model::check::{ModelName, ScopeName, check};

fn assert_scope(scope: ScopeName, unique_states: usize) {
    let report = check(ModelName::Coordinator, scope, &mut |_| {});
    let broken: Vec<_> = report.properties.iter().filter(|property| !property.holds).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(report.unique_states, unique_states);
}

#[test]
fn coordinator_small_holds() {
    assert_scope(ScopeName::Small, 142_217);
}

#[test]
fn coordinator_medium_holds() {
    assert_scope(ScopeName::Medium, 2_204_415);
}
