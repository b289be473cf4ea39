//! Every input in every state of small gates, and every pair of inputs, as committed tables.
//! `SNAPLINE_BLESS=1` rewrites them.

use super::super::exactly_once::ChannelState;
use super::*;
use crate::table_tests::assert_committed;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

const SETTINGS: [(&str, Setting); 4] = [
    ("aligned", ALIGNED),
    ("unaligned", UNALIGNED),
    ("aligned_until", UNTIL_10),
    ("at_least_once", AT_LEAST_ONCE),
];

/// The state without times.
fn name(aligner: &Aligner) -> String {
    let id = |id: Option<CheckpointId>| id.map_or("-".into(), |id| id.to_string());
    match &aligner.0 {
        Mode::ExactlyOnce(gate) => {
            let channels = gate.states.iter().map(|state| match state {
                ChannelState::Open => 'o',
                ChannelState::Announced => 'a',
                ChannelState::Blocked => 'B',
                ChannelState::Overtaken => 'x',
                ChannelState::Ended => '.',
            });
            let pending = id(gate.pending.map(|pending| pending.checkpoint));
            let unaligned =
                if gate.pending.is_some_and(|pending| pending.is_unaligned) { " unaligned" } else { "" };
            format!("{} seen {} pending {pending}{unaligned}", channels.collect::<String>(), id(gate.newest))
        }
        Mode::AtLeastOnce(tracker) => {
            let is_ended = |channel| tracker.ended.contains(&Channel(channel));
            let channels = (0..aligner.channels()).map(|channel| if is_ended(channel) { '.' } else { 'o' });
            let mut text = format!("{} seen {}", channels.collect::<String>(), id(tracker.newest));
            for (checkpoint, tracked) in &tracker.tracked {
                let delivered: Vec<u16> = tracked.delivered.iter().map(|channel| channel.0).collect();
                let aborted = if tracked.aborted { " aborted" } else { "" };
                write!(text, " pending {checkpoint} from {delivered:?}{aborted}").unwrap();
            }
            text
        }
    }
}

/// Everything that can be reported to a gate. What changes nothing by its rule is left out.
fn events(setting: Setting, channels: u16, ids: u64) -> Vec<String> {
    let barriers: &[&str] = match setting.alignment {
        Alignment::Aligned => &["b"],
        Alignment::AlignedUntil(_) => &["a", "b", "au", "bu"],
        Alignment::Unaligned => &["a", "b"],
    };
    let on_channel = |channel: u16| {
        let of_id =
            move |id: u64| barriers.iter().chain(&["c"]).map(move |what| format!("{what}{id}@{channel}"));
        (1..=ids).flat_map(of_id).chain([format!("end@{channel}")])
    };
    let tick = setting.alignment == UNTIL_10.alignment;
    let aborts = (1..=ids).map(|id| format!("abort{id}"));
    (0..channels).flat_map(on_channel).chain(aborts).chain(tick.then(|| "tick".to_owned())).collect()
}

/// What an event does in a state, and the state after it.
struct Cell {
    event: String,
    done: String,
    next: String,
}

impl Cell {
    fn is_misuse(&self) -> bool {
        self.done == "misuse"
    }
}

/// Every reachable state with what each event does there; each step is checked.
fn table(setting: Setting, channels: u16, ids: u64) -> BTreeMap<String, Vec<Cell>> {
    let mut rows = BTreeMap::new();
    let mut queue = VecDeque::from([Aligner::new(channels, setting.mode)]);
    while let Some(state) = queue.pop_front() {
        if rows.contains_key(&name(&state)) {
            continue;
        }
        let mut row = Vec::new();
        for event in events(setting, channels, ids) {
            let mut next = state.clone();
            let now = if event == "tick" { Millis(10) } else { Millis(0) };
            let done = step(&mut next, setting, now, &event);
            row.push(Cell { event, done, next: name(&next) });
            queue.push_back(next);
        }
        rows.insert(name(&state), row);
    }
    rows
}

/// One paragraph for each state: what does something, then what does nothing, then what is misuse.
fn paragraphs(setting: Setting) -> String {
    let mut text = String::from("state\n  event     what is done (next state)\n");
    for (state, row) in table(setting, 2, 2) {
        writeln!(text, "\n{state}").unwrap();
        let all_of =
            |channel: &str| row.iter().filter(|cell| cell.event.ends_with(channel)).all(Cell::is_misuse);
        let closed: Vec<&str> = ["@0", "@1"].into_iter().filter(|channel| all_of(channel)).collect();
        let (mut nothing, mut misuse) = (Vec::new(), Vec::new());
        misuse.extend(closed.iter().map(|channel| format!("everything{channel}")));
        for Cell { event, done, next } in row {
            match (done.as_str(), next == state) {
                ("", true) => nothing.push(event),
                ("misuse", _) if closed.iter().any(|channel| event.ends_with(channel)) => {}
                ("misuse", _) => misuse.push(event),
                ("", false) => writeln!(text, "  {event:<9} - ({next})").unwrap(),
                (done, true) => writeln!(text, "  {event:<9} {done}").unwrap(),
                (done, false) => writeln!(text, "  {event:<9} {done} ({next})").unwrap(),
            }
        }
        for (what, events) in [("nothing", nothing), ("misuse", misuse)] {
            if !events.is_empty() {
                writeln!(text, "  {what}: {}", events.join(" ")).unwrap();
            }
        }
    }
    text
}

#[test]
fn align_two_channels_and_two_checkpoints_behave_as_in_the_committed_tables() {
    for (file, setting) in SETTINGS {
        assert_committed(&format!("src/align/tables/{file}.txt"), &paragraphs(setting));
    }
}

//= spec/alignment.md#align-5-the-pending-checkpoint-is-the-newest-seen
//= type=test
//# Where exactly once is promised, the pending checkpoint MUST be the newest that was started or cancelled at
//# the gate.
#[test]
fn align_every_event_in_every_state_keeps_the_invariants() {
    let states = SETTINGS.map(|(_, setting)| table(setting, 3, 3).len());
    // Aligned: four values of the newest id over eight sets of ended channels; three pending ids over twelve gates.
    assert_eq!(states, [4 * 8 + 3 * 12, 86, 251, 7_244]);
}

fn or_dash(done: &str) -> &str {
    if done.is_empty() { "-" } else { done }
}

/// Conformance 4.1 in full: one and two channels, one and two events, three ways.
#[test]
fn align_every_pair_of_events_behaves_as_in_the_committed_table() {
    let mut found = String::from("channels  events: what is done; what is done\n");
    let mut rows = 0;
    for (title, setting) in SETTINGS.into_iter().filter(|(title, _)| *title != "aligned_until") {
        writeln!(found, "\n{title}").unwrap();
        for channels in [1, 2] {
            let aborts = |event: &String| event.starts_with("abort") || event.starts_with('a');
            let events: Vec<String> =
                events(setting, channels, 2).into_iter().filter(|event| !aborts(event)).collect();
            for first in &events {
                let mut aligner = Aligner::new(channels, setting.mode);
                let done = step(&mut aligner, setting, Millis(0), first);
                writeln!(found, "  {channels}  {first}: {}", or_dash(&done)).unwrap();
                for second in &events {
                    let then = step(&mut aligner.clone(), setting, Millis(0), second);
                    writeln!(found, "  {channels}  {first} {second}: {}; {}", or_dash(&done), or_dash(&then))
                        .unwrap();
                }
                rows += 1 + events.len();
            }
        }
    }
    assert_eq!(rows, 420);
    assert_committed("src/align/tables/pairs.txt", &found);
}
