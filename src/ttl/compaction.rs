//! What a compaction does to values as they were written: the times stand in front of them, so nothing is decoded.
//!
//! The heap leaves expired values out of its snapshots by other means, and so does a filter of compactions; both ask here
//! what is left of bytes.

use super::{StateTtlConfig, split_time};
use std::borrow::Cow;
use std::num::NonZeroUsize;

/// What clean-up leaves of the bytes of a value or of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted<'a> {
    /// How many values have expired. If none has, the bytes stay as they are.
    pub expired: usize,
    /// The bytes without those, `None` if the entry is to be removed. Those of a list are copied only if an element has
    /// expired behind one that lives.
    pub left: Option<Cow<'a, [u8]>>,
}

impl<'a> Compacted<'a> {
    /// Nothing of `bytes` has expired.
    #[must_use]
    pub fn kept(bytes: &'a [u8]) -> Self {
        Compacted { expired: 0, left: Some(Cow::Borrowed(bytes)) }
    }
}

impl StateTtlConfig {
    /// What clean-up at `now` leaves of a value that was written with its time: a single value, an accumulator, or the
    /// value of a map's entry. What is too short for a time stays, so that whoever reads it finds the damage.
    #[must_use]
    pub fn compact_value<'a>(&self, value: &'a [u8], now: i64) -> Compacted<'a> {
        //= spec/ttl.md#ttl-18-compaction-of-a-value
        //# A compaction MUST remove a value exactly if clean-up would.
        match self.have_bytes_expired(value, now) {
            true => Compacted { expired: 1, left: None },
            false => Compacted::kept(value),
        }
    }

    /// What clean-up at `now` leaves of a list, or of a part of one that stands for itself as the operand of a merge:
    /// elements that were written with their times. `take` takes the first element off, and gives nothing where none
    /// begins (Flink: `ListElementFilter`). What cannot be taken apart to its end stays.
    #[must_use]
    pub fn compact_list<'a>(
        &self,
        list: &'a [u8],
        now: i64,
        mut take: impl FnMut(&mut &'a [u8]) -> Option<&'a [u8]>,
    ) -> Compacted<'a> {
        //= spec/ttl.md#ttl-19-compaction-of-a-list
        //# A compaction MUST leave those elements of a list, in their order, that clean-up would not remove.
        let (mut rest, mut expired, mut live) = (list, 0, Live { list, start: 0, end: 0, copied: None });
        while !rest.is_empty() {
            let from = list.len() - rest.len();
            let Some(element) = take(&mut rest) else { return Compacted::kept(list) };
            match self.have_bytes_expired(element, now) {
                true => expired += 1,
                false => live.add(from, list.len() - rest.len()),
            }
        }
        match expired {
            0 => Compacted::kept(list),
            _ => Compacted { expired, left: live.bytes() },
        }
    }

    fn have_bytes_expired(&self, value: &[u8], now: i64) -> bool {
        split_time(value).is_some_and(|(updated, _)| self.is_cleaned_up(updated, now))
    }
}

/// The elements of a list that live: one piece of it, until there is another.
struct Live<'a> {
    list: &'a [u8],
    start: usize,
    end: usize,
    copied: Option<Vec<u8>>,
}

impl<'a> Live<'a> {
    fn add(&mut self, from: usize, to: usize) {
        let Live { list, start, end, copied } = self;
        match copied {
            Some(copied) => copied.extend_from_slice(&list[from..to]),
            None if start == end => (*start, *end) = (from, to),
            None if *end == from => *end = to,
            None => *copied = Some([&list[*start..*end], &list[from..to]].concat()),
        }
    }

    fn bytes(self) -> Option<Cow<'a, [u8]>> {
        let Live { list, start, end, copied } = self;
        copied.map(Cow::Owned).or((start < end).then(|| Cow::Borrowed(&list[start..end])))
    }
}

/// The present as a compaction sees it: to ask for the time costs more than to look at a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CompactionClock {
    query_after: NonZeroUsize,
    /// For how many values the time is good.
    left: usize,
    now: i64,
}

impl CompactionClock {
    /// For one compaction of a state, unless its configuration says that none removes anything.
    #[must_use]
    pub fn new(config: &StateTtlConfig) -> Option<Self> {
        let query_after = config.cleanup().compaction_query_after_entries?;
        Some(CompactionClock { query_after, left: 0, now: i64::MIN })
    }

    /// The present for the next entry, which is asked of `clock` if that has to be.
    pub fn now(&mut self, clock: impl FnOnce() -> i64) -> i64 {
        //= spec/ttl.md#ttl-20-the-present-of-a-compaction
        //# A compaction MUST ask for the present before its first entry, and again after as many as its state says.
        if self.left == 0 {
            (self.left, self.now) = (self.query_after.get(), clock());
        }
        self.left -= 1;
        self.now
    }
}
