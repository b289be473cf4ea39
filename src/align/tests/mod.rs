//! Scripts of one line for each input, and what the machine answers.

mod aligned;
mod at_least_once;
mod invariants;
mod random;
mod reference;
mod switching;
mod tables;
mod unaligned;

use super::*;
use crate::base::{Alignment, CheckpointKind, CheckpointOptions};

/// A gate, and what its barriers ask for when the script does not say.
#[derive(Clone, Copy, Debug)]
struct Setting {
    mode: CheckpointingMode,
    alignment: Alignment,
}

/// No channel.
const NONE: [u16; 0] = [];
const ALIGNED: Setting = exactly_once(Alignment::Aligned);
const UNALIGNED: Setting = exactly_once(Alignment::Unaligned);
/// Aligned until time 10.
const UNTIL_10: Setting = exactly_once(Alignment::AlignedUntil(Millis(10)));
const AT_LEAST_ONCE: Setting =
    Setting { mode: CheckpointingMode::AtLeastOnce, alignment: Alignment::Aligned };

const fn exactly_once(alignment: Alignment) -> Setting {
    Setting { mode: CheckpointingMode::ExactlyOnce, alignment }
}

/// Reads `b2@0` (the barrier of checkpoint 2 is read from channel 0), `a2@0` (it is announced), `bu2@0` and `au2@0`
/// (the same for a barrier that overtakes), `bs2@0` and `as2@0` (for one that must not), `c2@0` (a cancellation
/// marker), `end@0`, `abort2` and `tick`.
fn input(setting: Setting, text: &str) -> Input {
    let (what, channel) = text.split_once('@').unwrap_or((text, "0"));
    let channel = Channel(channel.parse().expect("a channel"));
    let split = what.find(|letter: char| letter.is_ascii_digit()).unwrap_or(what.len());
    let (what, digits) = what.split_at(split);
    let checkpoint = CheckpointId(digits.parse().unwrap_or(0));
    let alignment = match &what[1..] {
        "u" => Alignment::Unaligned,
        "s" => Alignment::Aligned,
        _ => setting.alignment,
    };
    let options = CheckpointOptions::new(CheckpointKind::Periodic, alignment);
    match what {
        "b" | "bu" | "bs" => Input::BarrierArrived { channel, checkpoint, options },
        "a" | "au" | "as" => Input::BarrierAnnounced { channel, checkpoint, options },
        "c" => Input::CancellationArrived { channel, checkpoint },
        "end" => Input::ChannelEnded { channel },
        "abort" => Input::CheckpointAborted { checkpoint },
        "tick" => Input::Tick,
        _ => panic!("`{text}` is no event"),
    }
}

fn text(outputs: &[Output]) -> String {
    let one = |output: &Output| match output {
        Output::BlockChannel(channel) => format!("block {channel}"),
        Output::ResumeChannel(channel) => format!("resume {channel}"),
        Output::Aligned { checkpoint, .. } => format!("take {checkpoint}"),
        Output::StartUnaligned { checkpoint, .. } => format!("start {checkpoint}"),
        Output::CaptureQueued { checkpoint, channel } => format!("capture {checkpoint}@{channel}"),
        Output::CaptureFinished { checkpoint, .. } => format!("finish {checkpoint}"),
        Output::Aborted { checkpoint, reason } => format!("give up {checkpoint} {reason:?}"),
    };
    outputs.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What one input does; a misuse must change nothing.
fn step(aligner: &mut Aligner, setting: Setting, now: Millis, event: &str) -> String {
    let (before, mut out) = (aligner.clone(), Vec::new());
    match aligner.on(now, input(setting, event), &mut out) {
        Ok(()) => {
            aligner.check().unwrap_or_else(|violation| panic!("{event}: {violation}"));
            text(&out)
        }
        Err(_) => {
            assert_eq!((&before, 0), (&*aligner, out.len()), "{event} is misuse and changed something");
            "misuse".into()
        }
    }
}

/// Plays events at a new gate and compares what each one did. `12: b1@0` happens at time 12; what follows, too.
fn play(setting: Setting, channels: u16, script: &[(&str, &str)]) -> Aligner {
    let mut aligner = Aligner::new(channels, setting.mode);
    let mut now = Millis(0);
    for (line, (event, expected)) in script.iter().enumerate() {
        let (at, event) = event.split_once(": ").map_or((None, *event), |(at, event)| (Some(at), event));
        now = at.map_or(now, |at| Millis(at.parse().expect("a time")));
        assert_eq!(step(&mut aligner, setting, now, event), *expected, "{event}, line {line}");
    }
    aligner
}

/// Which channels are captured.
fn captured(aligner: &Aligner) -> Vec<u16> {
    (0..aligner.channels()).filter(|channel| aligner.capturing(Channel(*channel)).is_some()).collect()
}

/// Which channels are blocked.
fn blocked(aligner: &Aligner) -> Vec<u16> {
    (0..aligner.channels()).filter(|channel| aligner.is_blocked(Channel(*channel))).collect()
}
