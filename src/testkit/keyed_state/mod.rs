//! What keyed state, and what rests on it, does on every backend, one function for each behaviour.
//!
//! The author of a backend writes
//!
//! ```
//! # use snapline::state::backend::{SortedMapStateBackendFactory, StateBackend};
//! # use std::{collections::BTreeMap, sync::Arc};
//! snapline::keyed_state_conformance! {
//!     StateBackend::Custom(Arc::new(SortedMapStateBackendFactory), BTreeMap::new())
//! }
//! ```
//!
//! in a file of tests and gets a test of each by its name. Ids like `Q16` are those of the behaviours of Flink in
//! `spec/conformance.md`, of which these groups are shown:
//!
//! | group | behaviours | what is shown |
//! | --- | --- | --- |
//! | Q, keyed state | `keyed_…` | all that is adopted; `ttl_…` of values that expire (Q07), `timers_…` of the order of timers (Q40, Q41) |
//! | R, serializers that change | `keyed_…` | those of keyed state; `ttl_…` of a time to live that changes (R25–R27), `timers_…` of timers (R11) |
//! | S, operator state | `operator_…` | S05–S08, beside keyed state: in one snapshot, one file, one rescaling |
//! | T, inside of the heap | `keyed_…` | key groups (T15, T17–T19), compression (T20, T21), random operations (T03); `timers_…` of the queue (T12–T14) |
//! | V, values that expire | `ttl_…` | restores, merges, namespaces and maps (V08–V14); clean-up is the heap's |
//! | Y, timers | `timers_…` | all that is adopted |
//!
//! The other lines of these groups are about what no backend has in its hands, and are tested once, in this crate: serializers
//! by themselves (R15, R16, R28, R30–R34), operator state, which is in memory whatever the backend is (S01–S04, S10, R18–R24,
//! R36), the tables of the heap (T01, T02, T04–T07, T10, T11), ranges of key groups (T16), and the threads that write
//! snapshots (T22–T26).

mod aggregating;
mod checkpoint;
pub mod differential;
mod everything;
mod expiring;
mod harness;
mod keys;
mod limits;
mod lists;
mod maps;
mod migration;
mod namespaces;
mod opening;
mod operator;
mod reducing;
mod rescaling;
mod serializers;
mod snapshots;
mod timers;
mod values;

pub use aggregating::*;
pub use checkpoint::Checkpoint;
pub use differential::keyed_states_agree_with_a_reference_over_random_scripts;
pub use differential::timers::timers_agree_with_a_set_over_random_scripts;
pub use expiring::*;
pub use keys::*;
pub use limits::*;
pub use lists::*;
pub use maps::*;
pub use migration::*;
pub use namespaces::*;
pub use opening::*;
pub use operator::*;
pub use reducing::*;
pub use rescaling::*;
pub use serializers::*;
pub use snapshots::*;
pub use timers::*;
pub use values::*;

use crate::state::StateError;
use crate::state::backend::StateBackend;

/// How a behaviour ends: it panics if the backend does something else, and gives the error if it fails where it must not.
pub type Verdict = Result<(), StateError>;

/// A behaviour, to be seen on a backend.
pub type Behaviour = fn(&StateBackend) -> Verdict;

macro_rules! list {
    ($($name:ident)*) => {
        /// All behaviours with their names.
        pub const BEHAVIOURS: &[(&str, Behaviour)] = &[$((stringify!($name), $name)),*];
    };
}

crate::keyed_state_behaviours!(list);

/// Gives the names of all behaviours to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! keyed_state_behaviours {
    ($then:ident $($first:tt)*) => {
        $then! {
            $($first)*
            keyed_values_are_isolated_by_key
            keyed_values_of_each_snapshot_are_restored
            keyed_values_of_two_states_do_not_interfere
            keyed_value_that_was_never_set_is_none
            keyed_value_is_modified_made_and_removed
            keyed_value_is_changed_in_its_place
            keyed_value_of_no_bytes_is_a_value
            keyed_values_are_listed_with_their_keys
            keyed_values_of_keys_with_a_common_beginning_are_isolated
            keyed_lists_keep_the_order_of_additions
            keyed_list_that_is_cleared_begins_anew
            keyed_lists_are_restored_in_their_order
            keyed_list_updated_with_nothing_is_cleared
            keyed_list_to_which_nothing_is_added_stays_as_it_is
            keyed_list_that_was_never_added_to_yields_nothing
            keyed_list_elements_of_no_bytes_are_counted
            keyed_lists_of_many_and_long_elements_are_whole
            keyed_lists_are_merged_between_namespaces
            keyed_maps_hold_what_was_put
            keyed_map_that_is_cleared_begins_anew
            keyed_map_entries_are_found_by_borrowed_keys
            keyed_map_values_are_changed_in_their_place
            keyed_maps_are_restored
            keyed_map_is_empty_exactly_without_entries
            keyed_map_retains_and_changes_entries_in_one_pass
            keyed_map_entries_compare_by_content
            keyed_map_that_was_never_put_to_yields_nothing
            keyed_map_keys_with_a_common_beginning_are_kept_apart
            keyed_maps_are_listed_once_for_each_key_and_namespace
            keyed_reducing_states_reduce_what_is_added
            keyed_reducing_states_are_restored_and_go_on
            keyed_reducing_state_that_was_never_added_to_is_none
            keyed_reducing_states_are_merged_between_namespaces
            keyed_aggregating_states_take_in_what_is_added
            keyed_aggregating_states_with_immutable_accumulators_take_in_what_is_added
            keyed_aggregating_states_are_merged_between_namespaces
            keyed_aggregating_states_with_immutable_accumulators_are_merged_between_namespaces
            keyed_states_are_isolated_by_namespace
            keyed_states_of_keys_and_namespaces_that_look_alike_are_kept_apart
            keyed_states_of_all_kinds_are_restored_with_their_namespaces
            keyed_keys_are_listed_by_namespace
            keyed_keys_are_listed_by_key_group
            keyed_keys_and_namespaces_are_listed_once
            keyed_entries_are_counted_exactly
            keyed_states_may_change_while_all_keys_are_gone_through
            keyed_pass_over_all_keys_ends_with_an_error
            keyed_key_of_another_subtask_is_refused_and_changes_nothing
            keyed_range_beyond_the_key_groups_is_refused
            keyed_access_without_a_current_key_is_an_error
            keyed_state_opened_twice_is_one_state
            keyed_state_opened_as_something_else_is_refused
            keyed_handle_of_another_store_is_refused
            keyed_snapshot_of_nothing_is_empty
            keyed_state_never_opened_survives_the_next_snapshot
            keyed_snapshot_is_isolated_from_later_changes
            keyed_snapshot_is_isolated_from_removals_and_new_states
            keyed_snapshots_may_overlap
            keyed_snapshots_are_written_while_the_state_changes
            keyed_snapshot_that_is_given_up_leaves_the_state_as_it_is
            keyed_snapshot_outlives_its_store
            keyed_snapshot_is_restored_by_another_backend_and_back
            keyed_entries_in_files_are_shown_as_those_of_a_snapshot_are
            keyed_snapshots_round_trip_with_and_without_compression
            keyed_state_of_four_subtasks_is_restored_by_two
            keyed_state_of_two_subtasks_is_restored_by_four
            keyed_state_of_as_many_subtasks_as_before_stays_where_it_was
            keyed_state_is_shared_out_unevenly_among_more_subtasks
            keyed_state_is_shared_out_unevenly_among_fewer_subtasks
            keyed_restore_keeps_exactly_its_own_key_groups
            keyed_snapshot_stands_by_key_group
            keyed_restore_that_does_not_fit_the_job_is_refused
            keyed_restored_key_in_a_wrong_group_is_refused
            keyed_restore_with_another_key_serializer_is_refused
            keyed_restored_value_of_another_type_is_refused_and_kept
            keyed_restored_value_of_a_disguised_type_is_undecodable
            keyed_restored_list_of_another_type_is_refused_and_kept
            keyed_restored_reducing_state_of_another_type_is_refused_and_kept
            keyed_restored_map_of_other_types_is_refused_and_kept
            keyed_restored_state_with_other_namespaces_is_refused_and_kept
            keyed_restored_state_of_another_kind_is_refused_and_kept
            keyed_states_are_restored_in_any_order_of_opening
            keyed_values_migrate_to_a_new_version
            keyed_state_never_opened_migrates_when_it_is_opened
            keyed_list_elements_migrate_to_a_new_version
            keyed_map_entries_of_the_same_version_are_taken_as_they_are
            keyed_map_keys_and_values_migrate_to_a_new_version
            keyed_map_keys_that_fall_together_when_they_migrate_are_refused
            keyed_reducing_and_aggregating_states_migrate_to_a_new_version
            keyed_value_serializer_is_reconfigured_by_what_was_written
            keyed_list_serializer_is_reconfigured_by_what_was_written
            keyed_map_serializers_are_reconfigured_by_what_was_written
            keyed_keys_of_an_older_version_are_refused
            keyed_key_serializer_is_reconfigured_by_what_was_written
            keyed_values_beyond_the_limit_are_refused
            keyed_keys_beyond_the_limit_are_refused
            keyed_lists_beyond_the_limit_are_refused
            operator_values_beyond_the_limit_are_refused
            keyed_values_of_many_blocks_are_whole
            keyed_states_agree_with_a_reference_over_random_scripts
            ttl_value_is_there_until_it_expires
            ttl_switched_on_counts_from_the_restore
            ttl_switched_on_by_event_time_counts_from_the_event_time_of_the_restore
            ttl_switched_off_keeps_what_has_expired
            ttl_is_switched_on_and_off_while_values_migrate
            ttl_of_another_length_counts_from_the_stored_times
            ttl_of_a_state_that_is_opened_with_another_one_is_refused
            ttl_of_merged_namespaces_is_that_of_what_is_left
            ttl_of_a_single_value_that_is_merged_stays_as_it_was
            ttl_of_keys_and_namespaces_expires_independently
            ttl_of_a_map_that_is_looked_at_is_not_refreshed
            ttl_of_a_map_of_which_some_is_retained
            ttl_of_a_map_entry_that_is_changed_in_its_place
            operator_state_is_written_and_restored_beside_keyed_state
            operator_state_is_whole_without_keyed_state_and_the_other_way_round
            operator_state_is_redistributed_while_keyed_state_follows_its_key_groups
            operator_state_and_keyed_state_of_one_name_do_not_interfere
            timers_registered_again_are_there_once
            timers_of_keys_namespaces_and_domains_do_not_see_each_other
            timers_that_were_deleted_do_not_fire_and_others_do
            timers_have_one_deadline_which_is_that_of_the_earliest
            timers_registered_for_the_past_fire_with_the_next_advance
            timers_in_great_numbers_fire_in_the_order_of_time
            timers_without_a_current_key_are_refused
            timers_given_a_store_of_others_stay_as_they_are
            timers_of_other_namespaces_under_one_name_are_refused
            timers_survive_snapshot_and_restore
            timers_are_restored_by_another_backend_and_back
            timers_stand_in_the_key_group_of_their_key
            timers_follow_their_key_groups_when_the_parallelism_changes
            timers_restored_all_at_once_fire_in_the_order_of_those_registered_one_by_one
            timers_restored_with_an_incompatible_serializer_are_refused_and_kept
            timers_format_is_fixed
            timers_agree_with_a_set_over_random_scripts
        }
    };
}

/// A test of each behaviour on the backend that the expression gives.
#[macro_export]
macro_rules! keyed_state_conformance {
    (@tests $backend:block $($name:ident)*) => {
        $(
            #[test]
            fn $name() -> $crate::testkit::keyed_state::Verdict {
                $crate::testkit::keyed_state::$name(&$backend)
            }
        )*
    };
    ($backend:expr) => {
        use $crate::keyed_state_conformance as behaviours_of;
        $crate::keyed_state_behaviours!(behaviours_of @tests { $backend });
    };
}
