use super::TimeWindow;
use std::collections::BTreeMap;

/// The sessions of one key, no two of which touch (Flink: `MergingWindowSet`).
///
/// A session that grows is another window, but its state does not move: it stays under its *state window*, the window
/// of the session when the state was first written. Of sessions that become one, the earliest keeps its state window,
/// and the state of the others is merged into that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergingWindowSet {
    /// Session to state window, which lies within its session.
    sessions: BTreeMap<TimeWindow, TimeWindow>,
}

/// What has become of a window that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The session it belongs to now.
    pub session: TimeWindow,
    /// Where the state of the session is.
    pub state_window: TimeWindow,
    /// Whether the set did not have the session before.
    pub is_new: bool,
    /// The sessions that are no more: the new one has taken their place.
    pub replaced: Vec<TimeWindow>,
    /// The state windows whose state must be merged into `state_window`.
    pub merged: Vec<TimeWindow>,
}

impl MergingWindowSet {
    /// Adds the window of one element, and merges the sessions that it connects.
    pub fn add(&mut self, window: TimeWindow) -> Added {
        //= spec/window.md#window-3-sessions-that-touch-are-one
        //# Session windows of one key that overlap or touch MUST be merged into the window that covers them.
        let mut connected = self.connected(window);
        let session = connected.iter().fold(window, |cover, (session, _)| cover.cover(*session));
        if connected.is_empty() {
            self.sessions.insert(session, window);
            let (replaced, merged) = (Vec::new(), Vec::new());
            return Added { session, state_window: window, is_new: true, replaced, merged };
        }
        //= spec/window.md#window-4-the-state-of-a-session-stays-where-it-was-first-written
        //# A session that grows MUST keep the state window of the earliest session that it is made of.
        let (_, state_window) = connected[0];
        let is_new = connected[0].0 != session;
        if !is_new {
            connected.clear();
        }
        for (replaced, _) in &connected {
            self.sessions.remove(replaced);
        }
        self.sessions.insert(session, state_window);
        Added {
            session,
            state_window,
            is_new,
            replaced: connected.iter().map(|(replaced, _)| *replaced).collect(),
            merged: connected.iter().skip(1).map(|(_, state_window)| *state_window).collect(),
        }
    }

    /// The sessions that `window` touches, with their state windows, in order of time. As no two touch each other,
    /// the cover of all these touches no further one.
    fn connected(&self, window: TimeWindow) -> Vec<(TimeWindow, TimeWindow)> {
        let last = TimeWindow { start: window.end, end: i64::MAX };
        let up_to_last = self.sessions.range(..=last).rev();
        let touching = up_to_last.take_while(|(session, _)| session.touches(window));
        let mut connected: Vec<_> = touching.map(|(session, state)| (*session, *state)).collect();
        connected.reverse();
        connected
    }

    /// Where the state of `session` is; `None` when there is no such session any more.
    #[must_use]
    pub fn state_window(&self, session: TimeWindow) -> Option<TimeWindow> {
        self.sessions.get(&session).copied()
    }

    /// Forgets `session` and returns its state window, if it was there.
    pub fn retire(&mut self, session: TimeWindow) -> Option<TimeWindow> {
        self.sessions.remove(&session)
    }

    /// The sessions and their state windows, in order of time.
    pub fn iter(&self) -> impl Iterator<Item = (TimeWindow, TimeWindow)> {
        self.sessions.iter().map(|(session, state)| (*session, *state))
    }
}

impl FromIterator<(TimeWindow, TimeWindow)> for MergingWindowSet {
    /// The set as [`iter`](MergingWindowSet::iter) gave it.
    fn from_iter<I: IntoIterator<Item = (TimeWindow, TimeWindow)>>(sessions: I) -> Self {
        MergingWindowSet { sessions: sessions.into_iter().collect() }
    }
}
