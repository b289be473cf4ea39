use super::super::everything::{Content, LargestAndCount, Scope};
use super::{Answer, Operation, Step};
use crate::state::AggregateFunction;
use crate::ttl::{CellMerge, CellRead, ListRead, Stamped, StateTtlConfig};
use std::collections::BTreeMap;

/// What becomes of values with time: what [`crate::ttl`] decides, or nothing.
#[derive(Clone, Copy)]
struct Rule(Option<StateTtlConfig>);

impl Rule {
    fn shows(self, updated: i64, now: i64) -> bool {
        self.0.is_none_or(|ttl| ttl.is_visible(updated, now))
    }

    fn builds_on(self, updated: i64, now: i64) -> bool {
        self.0.is_none_or(|ttl| ttl.builds_on(updated, now))
    }

    fn has_expired(self, updated: i64, now: i64) -> bool {
        self.0.is_some_and(|ttl| ttl.ttl().is_expired(updated, now))
    }

    fn read_cell(self, updated: i64, now: i64) -> CellRead {
        self.0.map_or(CellRead::Keep, |ttl| ttl.read_cell(updated, now))
    }

    fn read_list(self, updated: impl Iterator<Item = i64>, now: i64) -> ListRead {
        self.0.map_or(ListRead::Keep, |ttl| ttl.read_list(updated, now))
    }

    fn merge_cell(self, there: Option<i64>, moved: i64, now: i64) -> CellMerge {
        match self.0 {
            Some(ttl) => ttl.merge_cell(there, moved, now),
            None => there.map_or(CellMerge::Move, |_| CellMerge::Combine),
        }
    }
}

/// What states of all kinds must hold, written down as simply as can be, each value with the time of its update.
#[derive(Clone)]
pub(super) struct Reference {
    rule: Rule,
    values: BTreeMap<Scope, Stamped<u64>>,
    lists: BTreeMap<Scope, Vec<Stamped<String>>>,
    maps: BTreeMap<Scope, BTreeMap<u8, Stamped<String>>>,
    reduced: BTreeMap<Scope, Stamped<String>>,
    accumulators: BTreeMap<Scope, Stamped<(u64, u32)>>,
}

impl Reference {
    /// Of states without anything, which expire as `ttl` says, or never.
    pub(super) fn new(ttl: Option<StateTtlConfig>) -> Self {
        Reference {
            rule: Rule(ttl),
            values: BTreeMap::new(),
            lists: BTreeMap::new(),
            maps: BTreeMap::new(),
            reduced: BTreeMap::new(),
            accumulators: BTreeMap::new(),
        }
    }

    pub(super) fn perform(&mut self, step: Step, now: i64) -> Answer {
        match step.operation.reading() {
            Operation::ReadValue => self.perform_on_value(step, now),
            Operation::ReadList => self.perform_on_list(step, now),
            Operation::ReadMap => self.perform_on_map(step, now),
            Operation::ReadReduced => self.perform_on_reduced(step, now),
            Operation::ReadAggregated => self.perform_on_aggregated(step, now),
            _ => Answer::Nothing,
        }
    }

    fn perform_on_value(&mut self, step: Step, now: i64) -> Answer {
        let Reference { rule, values, .. } = self;
        let (scope, number) = (scope_of(step), u64::from(step.argument));
        let value = match step.operation {
            Operation::ReadValue => return Answer::Number(read(*rule, values, &scope, now)),
            Operation::UpdateValue => Some(number),
            Operation::ModifyValue => step.modified(take_to_build_on(*rule, values, &scope, now)),
            Operation::ChangeValue => {
                Some(take_to_build_on(*rule, values, &scope, now).unwrap_or(number) + 1)
            }
            _ => None,
        };
        match value {
            Some(value) => values.insert(scope, Stamped { updated: now, value }),
            None => values.remove(&scope),
        };
        Answer::Nothing
    }

    fn perform_on_list(&mut self, step: Step, now: i64) -> Answer {
        let (rule, scope) = (self.rule, scope_of(step));
        let stamped = |value| Stamped { updated: now, value };
        let list = self.lists.entry(scope).or_default();
        match step.operation {
            Operation::ReadList => {
                let seen = list.iter().filter(|element| rule.shows(element.updated, now));
                let seen = seen.map(|element| element.value.clone()).collect();
                match rule.read_list(list.iter().map(|element| element.updated), now) {
                    ListRead::Keep => {}
                    ListRead::Refresh => {
                        list.retain(|element| !rule.has_expired(element.updated, now));
                        list.iter_mut().for_each(|element| element.updated = now);
                    }
                    ListRead::Remove => list.clear(),
                }
                return Answer::Texts(seen);
            }
            Operation::AddToList => list.push(stamped(step.text())),
            Operation::AddAllToList => list.extend(step.texts().into_iter().map(stamped)),
            Operation::UpdateList => *list = step.texts().into_iter().map(stamped).collect(),
            Operation::MergeLists => {
                for source in sources_of(step) {
                    let moved = self.lists.remove(&source).unwrap_or_default();
                    self.lists.entry(scope).or_default().extend(moved);
                }
            }
            _ => list.clear(),
        }
        Answer::Nothing
    }

    fn perform_on_map(&mut self, step: Step, now: i64) -> Answer {
        let (rule, key) = (self.rule, step.map_key());
        let stamped = |value| Stamped { updated: now, value };
        let map = self.maps.entry(scope_of(step)).or_default();
        match step.operation {
            Operation::ReadMap => {
                let keys: Vec<u8> = map.keys().copied().collect();
                let seen = keys.into_iter().filter_map(|key| Some((key, read(rule, map, &key, now)?)));
                return Answer::Entries(seen.collect());
            }
            Operation::ReadEntry => return Answer::Text(read(rule, map, &key, now)),
            Operation::RemoveFromMap => {
                let removed = map.remove(&key).filter(|cell| rule.shows(cell.updated, now));
                return Answer::Text(removed.map(|cell| cell.value));
            }
            Operation::PutToMap => drop(map.insert(key, stamped(step.text()))),
            Operation::PutAllToMap => map.extend((0..).zip(step.texts().into_iter().map(stamped))),
            Operation::ChangeInMap => {
                let text = take_to_build_on(rule, map, &key, now).unwrap_or_else(|| step.text());
                map.insert(key, stamped(text + "+"));
            }
            Operation::RetainInMap => {
                map.retain(|key, cell| rule.shows(cell.updated, now) && step.retains(*key, &mut cell.value));
            }
            _ => map.clear(),
        }
        Answer::Nothing
    }

    fn perform_on_reduced(&mut self, step: Step, now: i64) -> Answer {
        let Reference { rule, reduced, .. } = self;
        let scope = scope_of(step);
        match step.operation {
            Operation::ReadReduced => return Answer::Text(read(*rule, reduced, &scope, now)),
            Operation::Reduce => {
                let value = take_to_build_on(*rule, reduced, &scope, now).unwrap_or_default() + &step.text();
                reduced.insert(scope, Stamped { updated: now, value });
            }
            Operation::MergeReduced => merge(*rule, reduced, step, now, |old, moved| old.push_str(&moved)),
            _ => drop(reduced.remove(&scope)),
        }
        Answer::Nothing
    }

    fn perform_on_aggregated(&mut self, step: Step, now: i64) -> Answer {
        let Reference { rule, accumulators, .. } = self;
        let scope = scope_of(step);
        match step.operation {
            Operation::ReadAggregated => {
                let accumulator = read(*rule, accumulators, &scope, now);
                return Answer::Text(accumulator.map(|accumulator| LargestAndCount.result(&accumulator)));
            }
            Operation::Aggregate => {
                let mut value = take_to_build_on(*rule, accumulators, &scope, now).unwrap_or_default();
                LargestAndCount.add(step.argument.into(), &mut value);
                accumulators.insert(scope, Stamped { updated: now, value });
            }
            Operation::MergeAggregated => {
                merge(*rule, accumulators, step, now, |old, moved| LargestAndCount.merge(old, moved));
            }
            _ => drop(accumulators.remove(&scope)),
        }
        Answer::Nothing
    }

    /// All that is there.
    pub(super) fn content(&self) -> Content {
        fn values<V: Clone>(cells: &BTreeMap<Scope, Stamped<V>>) -> BTreeMap<Scope, V> {
            cells.iter().map(|(scope, cell)| (*scope, cell.value.clone())).collect()
        }
        let lists = self.lists.iter().filter(|(_, list)| !list.is_empty());
        let texts = |list: &Vec<Stamped<String>>| list.iter().map(|element| element.value.clone()).collect();
        let maps = self.maps.iter().filter(|(_, map)| !map.is_empty());
        let entries = |map: &BTreeMap<u8, Stamped<String>>| {
            map.iter().map(|(key, cell)| (*key, cell.value.clone())).collect()
        };
        let results = self.accumulators.iter();
        Content {
            values: values(&self.values),
            lists: lists.map(|(scope, list)| (*scope, texts(list))).collect(),
            maps: maps.map(|(scope, map)| (*scope, entries(map))).collect(),
            reduced: values(&self.reduced),
            aggregated: results.map(|(scope, cell)| (*scope, LargestAndCount.result(&cell.value))).collect(),
        }
    }
}

fn scope_of(step: Step) -> Scope {
    (step.key, step.namespace)
}

fn sources_of(step: Step) -> impl Iterator<Item = Scope> {
    let sources = step.sources().into_iter().filter(move |source| *source != step.namespace);
    sources.map(move |source| (step.key, source))
}

/// Reads a single value, or an entry of a map.
fn read<Q: Ord, V: Clone>(rule: Rule, cells: &mut BTreeMap<Q, Stamped<V>>, at: &Q, now: i64) -> Option<V> {
    let cell = cells.get_mut(at)?;
    match rule.read_cell(cell.updated, now) {
        CellRead::Keep => {}
        CellRead::Refresh => cell.updated = now,
        CellRead::LastTime => return cells.remove(at).map(|cell| cell.value),
        CellRead::Remove => {
            cells.remove(at);
            return None;
        }
    }
    Some(cell.value.clone())
}

/// Takes away what is there, and gives it if a change may build on it.
fn take_to_build_on<Q: Ord, V>(
    rule: Rule,
    cells: &mut BTreeMap<Q, Stamped<V>>,
    at: &Q,
    now: i64,
) -> Option<V> {
    cells.remove(at).filter(|cell| rule.builds_on(cell.updated, now)).map(|cell| cell.value)
}

fn merge<V>(
    rule: Rule,
    cells: &mut BTreeMap<Scope, Stamped<V>>,
    step: Step,
    now: i64,
    combine: impl Fn(&mut V, V),
) {
    let target = scope_of(step);
    for source in sources_of(step) {
        let Some(moved) = cells.remove(&source) else { continue };
        let there = cells.get_mut(&target);
        match (rule.merge_cell(there.as_ref().map(|there| there.updated), moved.updated, now), there) {
            (CellMerge::Drop, _) => {}
            (CellMerge::Combine, Some(there)) => {
                combine(&mut there.value, moved.value);
                there.updated = now;
            }
            (CellMerge::Move | CellMerge::Combine, _) => drop(cells.insert(target, moved)),
        }
    }
}
