//! Steps and states in words, for counterexamples and the Explorer.

use super::gate::{Element, Gate, Step};
use snapline::base::Alignment;
use std::fmt;

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Record(number) => write!(f, "record {number}"),
            Element::Barrier(id, options) => match options.alignment() {
                Alignment::Aligned => write!(f, "barrier {id}"),
                Alignment::AlignedUntil(deadline) => write!(f, "barrier {id}, aligned until {}", deadline.0),
                Alignment::Unaligned => write!(f, "overtaking barrier {id}"),
            },
            Element::Cancellation(id) => write!(f, "cancellation {id}"),
            Element::End => write!(f, "end"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Put(channel, element) => write!(f, "channel {channel} gets {element}"),
            Step::Read(channel) => write!(f, "the head of channel {channel} is read"),
            Step::Abort(id) => write!(f, "the coordinator aborts checkpoint {id}"),
            Step::Clock => write!(f, "time passes"),
            Step::Tick => write!(f, "the timer is served"),
        }
    }
}

/// One line for the checkpoint, then one for each channel.
impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.aligner.pending(), &self.observer.started, self.observer.newest_taken) {
            (_, Some((started, _)), _) => write!(f, "checkpoint {started} is unaligned and being captured")?,
            (Some(pending), None, _) => write!(f, "checkpoint {pending} is pending")?,
            (None, None, Some(taken)) => write!(f, "checkpoint {taken} was taken")?,
            (None, None, None) => write!(f, "nothing is pending")?,
        }
        writeln!(f, ", time {}", self.now.0)?;
        for (index, upstream) in self.upstreams.iter().enumerate() {
            write!(f, "channel {index}: {} read", upstream.read)?;
            for element in &upstream.queue {
                write!(f, ", {element}")?;
            }
            if let Some((_, contents)) = &self.observer.started {
                write!(f, ", captured {:?}", contents[index].captured)?;
            }
            writeln!(
                f,
                "{}{}",
                if upstream.waits { ", waits" } else { "" },
                if upstream.closed { ", closed" } else { "" }
            )?;
        }
        Ok(())
    }
}
