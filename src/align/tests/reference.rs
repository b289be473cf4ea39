//! Every sequence of four events on up to three channels, compared with what its history says at a glance.

use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Barrier(u64),
    Cancellation(u64),
    End,
}

/// What was read from which channel, in order.
type History = Vec<(u16, What)>;

/// Where in its history a checkpoint is complete: its barrier was read from every channel, or that has ended, and
/// nothing has ended it before.
fn completed_at(history: &History, channels: u16, mode: CheckpointingMode, id: u64) -> Option<usize> {
    let id_of = |what: &What| match what {
        What::Barrier(id) | What::Cancellation(id) => *id,
        What::End => 0,
    };
    let start = history.iter().position(|(_, what)| id_of(what) >= id)?;
    if history[start].1 != What::Barrier(id) {
        return None;
    }
    let is_over = |(_, what): &(u16, What)| match what {
        What::Barrier(newer) => mode == CheckpointingMode::ExactlyOnce && *newer > id,
        What::Cancellation(newer) => *newer >= id,
        What::End => false,
    };
    let is_there = |until: usize, channel: u16| {
        let mut events = history[..=until].iter().enumerate();
        events.any(|(at, event)| {
            *event == (channel, What::End) || (at >= start && *event == (channel, What::Barrier(id)))
        })
    };
    let complete = (start..history.len()).find(|at| (0..channels).all(|channel| is_there(*at, channel)))?;
    let is_subsumed = mode == CheckpointingMode::AtLeastOnce
        && completed_at(history, channels, mode, id + 1).is_some_and(|newer| newer <= complete);
    (!is_subsumed && !history[start..=complete].iter().any(is_over)).then_some(complete)
}

struct Explorer {
    setting: Setting,
    channels: u16,
    histories: usize,
    completed: usize,
}

impl Explorer {
    /// Reads everything that can follow, and compares what is complete after each step.
    fn explore(&mut self, aligner: &Aligner, history: &mut History, left: usize) {
        self.histories += 1;
        if left == 0 {
            return;
        }
        let ids =
            [What::Barrier(1), What::Barrier(2), What::Cancellation(1), What::Cancellation(2), What::End];
        for (channel, what) in (0..self.channels).flat_map(|channel| ids.map(|what| (channel, what))) {
            let event = match what {
                What::Barrier(id) => format!("b{id}@{channel}"),
                What::Cancellation(id) => format!("c{id}@{channel}"),
                What::End => format!("end@{channel}"),
            };
            let mut next = aligner.clone();
            let done = step(&mut next, self.setting, Millis(0), &event);
            if done == "misuse" {
                continue;
            }
            history.push((channel, what));
            for id in [1, 2] {
                let is_complete =
                    [format!("take {id}"), format!("finish {id}")].iter().any(|text| done.contains(text));
                let at = completed_at(history, self.channels, self.setting.mode, id);
                assert_eq!(
                    is_complete,
                    at == Some(history.len() - 1),
                    "{id} {done} {:?} {history:?}",
                    self.setting
                );
                self.completed += usize::from(is_complete);
            }
            self.explore(&next, history, left - 1);
            history.pop();
        }
    }
}

#[test]
fn align_every_sequence_of_four_events_completes_what_its_history_says() {
    for setting in [ALIGNED, UNALIGNED, AT_LEAST_ONCE] {
        let (mut histories, mut completed) = (0, 0);
        for channels in 1..=3 {
            let mut explorer = Explorer { setting, channels, histories: 0, completed: 0 };
            explorer.explore(&Aligner::new(channels, setting.mode), &mut Vec::new(), 4);
            histories += explorer.histories;
            completed += explorer.completed;
        }
        assert!(histories > 20_000 && completed > 500, "{histories} histories, {completed} completed");
    }
}
