//! The picture and the sentences that the Explorer shows.

use snapline_model::end_to_end::picture;
use snapline_model::end_to_end::scope::{Reductions, Scope, Stale};
use snapline_model::end_to_end::system::System;
use snapline_model::end_to_end::text;
use snapline_model::end_to_end::world::World;
use stateright::Model;

/// Each line is the beginning of the next step; the last line is the last step.
const ALIGNING: &str = "\
    coordinator -> store: List
    store -> coordinator: Listed
    coordinator -> store: put pointer 1
    store -> coordinator: Stored
    the coordinator's clock ticks
    source a emits
    coordinator -> source a: trigger
    source a emits
    source a -> count: record
    source a -> count: barrier
    source b emits
    source a -> store: write";

fn system() -> System {
    let reductions = Reductions { prompt: true, ..Reductions::NONE };
    System::new(Scope { capacity: 3, stale: Stale::ToAnyone, reductions, ..Scope::SMALL }, None)
}

fn follow(system: &System, steps: &str) -> Vec<World> {
    let mut worlds = system.init_states();
    for wanted in steps.lines().map(str::trim) {
        let world = worlds.last().expect("there is an initial state");
        let mut steps = Vec::new();
        system.actions(world, &mut steps);
        let names: Vec<String> = steps.iter().map(|step| system.format_action(step)).collect();
        let at = names.iter().position(|name| name.starts_with(wanted));
        let at = at.unwrap_or_else(|| panic!("`{wanted}` is not possible, only {names:#?}"));
        worlds.push(system.next_state(world, steps.swap_remove(at)).expect("the step is possible"));
    }
    worlds
}

#[test]
fn picture_while_aligning_shows_the_blocked_channel_and_the_queues() {
    let worlds = follow(&system(), ALIGNING);
    let svg = picture::draw(system().scope, worlds.last().expect("there is an initial state"));
    insta::assert_snapshot!(svg);
}

#[test]
fn text_of_each_step_says_what_changed() {
    let worlds = follow(&system(), ALIGNING);
    let steps = ALIGNING.lines().map(str::trim).zip(worlds.windows(2));
    let text: String =
        steps.map(|(step, pair)| format!("{step}\n{}\n", text::changes(&pair[0], &pair[1]))).collect();
    insta::assert_snapshot!(text);
}
