use crate::clicks::Click;
use crate::input::{Event, Name};
use serde::{Deserialize, Serialize};
use snapline::base::{EventTime, Millis};
use snapline::operator::WindowOptions;
use snapline::runtime::{Collector, WindowFunction};
use snapline::state::{AggregateFunction, AggregatingStateDescriptor};
use snapline::window::{TimeWindow, WindowAssigner};
use std::io::Write;

/// What a user did without a long pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    user: Name,
    clicks: Clicks,
}

/// The clicks of a session, as much of them as is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clicks {
    number: u64,
    first: i64,
    last: i64,
}

impl Session {
    /// Appends the user, the times of the first and the last click, and the number of clicks, with tabs between them.
    pub fn write_to(&self, line: &mut Vec<u8>) {
        let Clicks { number, first, last } = &self.clicks;
        // Writing into memory cannot fail.
        let _ = write!(line, "{}\t{first}\t{last}\t{number}", self.user);
    }
}

/// Counts clicks.
pub struct Counting;

impl AggregateFunction for Counting {
    type In = Click;
    type Accumulator = Clicks;
    type Out = Clicks;

    fn create_accumulator(&self) -> Clicks {
        Clicks { number: 0, first: i64::MAX, last: i64::MIN }
    }

    fn add(&self, click: Click, clicks: &mut Clicks) {
        self.merge(clicks, Clicks { number: 1, first: click.timestamp, last: click.timestamp });
    }

    fn result(&self, clicks: &Clicks) -> Clicks {
        clicks.clone()
    }

    fn merge(&self, clicks: &mut Clicks, other: Clicks) {
        clicks.number += other.number;
        clicks.first = clicks.first.min(other.first);
        clicks.last = clicks.last.max(other.last);
    }
}

/// Finds the sessions of each user.
#[derive(Clone, Copy, Debug)]
pub struct Sessions {
    assigner: WindowAssigner,
    allowed_lateness: Millis,
}

impl Sessions {
    pub fn new(assigner: WindowAssigner, allowed_lateness: Millis) -> Self {
        Sessions { assigner, allowed_lateness }
    }
}

impl WindowFunction for Sessions {
    type Key = Name;
    type In = Click;
    type Contents = AggregatingStateDescriptor<Counting>;
    type Out = Session;

    fn options(&self) -> WindowOptions {
        WindowOptions::new(self.assigner).with_allowed_lateness(self.allowed_lateness)
    }

    fn contents(&self) -> AggregatingStateDescriptor<Counting> {
        AggregatingStateDescriptor::new("clicks", Counting)
    }

    fn event_time(&self, click: &Click) -> EventTime {
        click.event_time()
    }

    fn fire(&mut self, user: &Name, _: TimeWindow, clicks: Clicks, out: &mut dyn Collector<Session>) {
        out.collect(Session { user: user.clone(), clicks });
    }

    fn late(&mut self, click: Click, _: &mut dyn Collector<Session>) {
        tracing::warn!(%click, "a click comes after its session and is dropped");
    }
}
