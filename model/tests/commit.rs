//! Two-phase commit, within bounds: every property holds, and the number of states is what it was.

use snapline_model::check::{ModelName, ScopeName, check};

fn assert_scope(scope: ScopeName, unique_states: usize) {
    let report = check(ModelName::Commit, scope, &mut |_| {});
    let broken: Vec<_> = report.properties.iter().filter(|property| !property.holds).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(report.unique_states, unique_states);
}

#[test]
fn commit_small_holds() {
    assert_scope(ScopeName::Small, 226_518);
}

#[test]
fn commit_medium_holds() {
    assert_scope(ScopeName::Medium, 1_642_541);
}
