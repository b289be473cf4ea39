//! The whole protocol, within bounds: every property holds, and the number of states is what it was.

use super::assert_scope;
use snapline_model::check::{ModelName, ScopeName};
use snapline_model::end_to_end::scope::{Scope, Stale};
use snapline_model::end_to_end::system::System;
use stateright::{Checker, Expectation, Model};

/// Other bounds than those with a name. What cannot happen within them is not asked for.
fn assert_focus(scope: Scope, unique_states: usize) {
    let system = System::new(scope, None);
    let checker = system.clone().checker().threads(1).spawn_dfs().join();
    for property in system.properties() {
        if property.expectation == Expectation::Always {
            checker.assert_no_discovery(property.name);
        }
    }
    checker.assert_any_discovery("the job ends after everything that can go wrong");
    assert_eq!(checker.unique_state_count(), unique_states);
}

#[test]
fn end_to_end_small_holds() {
    assert_scope(ModelName::EndToEnd, ScopeName::Small, 489_231);
}

#[test]
fn end_to_end_medium_holds() {
    assert_scope(ModelName::EndToEnd, ScopeName::Medium, 14_043_610);
}

#[test]
fn end_to_end_two_counters_and_two_crashes_hold() {
    assert_focus(Scope::TWO_COUNTERS, 2_282_203);
}

#[test]
fn end_to_end_two_counters_and_a_periodic_checkpoint_hold() {
    assert_focus(Scope { crashes: 1, ..Scope::LARGE }, 867_086);
}

#[test]
fn end_to_end_task_failure_holds() {
    let scope = Scope { records: 1, crashes: 0, task_failures: 1, stale: Stale::ToAnyone, ..Scope::SMALL };
    assert_focus(scope, 208_153);
}

#[test]
fn end_to_end_expired_checkpoint_holds() {
    let scope = Scope { records: 1, crashes: 0, expiries: 1, stale: Stale::Never, ..Scope::SMALL };
    assert_focus(scope, 24_804);
}

#[test]
fn end_to_end_task_failure_after_expiry_holds() {
    let scope = Scope {
        checkpoints: 0,
        crashes: 0,
        task_failures: 1,
        expiries: 1,
        stale: Stale::Never,
        ..Scope::SMALL
    };
    assert_focus(scope, 29_426);
}

#[test]
fn end_to_end_longer_queues_hold() {
    let scope = Scope { crashes: 0, store_faults: 1, capacity: 2, stale: Stale::Never, ..Scope::SMALL };
    assert_focus(scope, 130_644);
}
