use super::super::everything::{Content, LargestAndCount, Scope};
use super::{Operation, Step};
use crate::state::AggregateFunction;
use std::collections::BTreeMap;

/// What the states must hold, written down as simply as can be.
#[derive(Clone, Default)]
pub(super) struct Reference {
    content: Content,
    accumulators: BTreeMap<Scope, (u64, u32)>,
}

impl Reference {
    pub(super) fn apply(&mut self, step: &Step) {
        let scope = (step.key, step.namespace);
        let number = u64::from(step.argument);
        let Content { values, lists, maps, reduced, .. } = &mut self.content;
        match step.operation {
            Operation::UpdateValue => drop(values.insert(scope, number)),
            Operation::ModifyValue => {
                if let Some(value) = step.modified(values.remove(&scope)) {
                    values.insert(scope, value);
                }
            }
            Operation::ChangeValue => *values.entry(scope).or_insert(number) += 1,
            Operation::ClearValue => drop(values.remove(&scope)),
            Operation::AddToList => lists.entry(scope).or_default().push(step.text()),
            Operation::AddAllToList => lists.entry(scope).or_default().extend(step.texts()),
            Operation::UpdateList => drop(lists.insert(scope, step.texts())),
            Operation::ClearList => drop(lists.remove(&scope)),
            Operation::PutToMap => drop(maps.entry(scope).or_default().insert(step.map_key(), step.text())),
            Operation::PutAllToMap => maps.entry(scope).or_default().extend((0..).zip(step.texts())),
            Operation::RemoveFromMap => drop(maps.entry(scope).or_default().remove(&step.map_key())),
            Operation::RetainInMap => {
                maps.entry(scope).or_default().retain(|key, text| step.retains(*key, text));
            }
            Operation::ClearMap => drop(maps.remove(&scope)),
            Operation::Reduce => reduced.entry(scope).or_default().push_str(&step.text()),
            Operation::ClearReduced => drop(reduced.remove(&scope)),
            Operation::Aggregate => {
                LargestAndCount.add(number, self.accumulators.entry(scope).or_default());
            }
            Operation::ClearAggregated => drop(self.accumulators.remove(&scope)),
            Operation::MergeLists | Operation::MergeReduced | Operation::MergeAggregated => self.merge(step),
            Operation::Snapshot | Operation::Write | Operation::Restore => {}
        }
        self.content.lists.retain(|_, list| !list.is_empty());
        self.content.maps.retain(|_, map| !map.is_empty());
    }

    fn merge(&mut self, step: &Step) {
        let target = (step.key, step.namespace);
        for source in step.sources() {
            let source = (step.key, source);
            if source == target {
                continue;
            }
            match step.operation {
                Operation::MergeLists => {
                    let moved = self.content.lists.remove(&source).unwrap_or_default();
                    self.content.lists.entry(target).or_default().extend(moved);
                }
                Operation::MergeReduced => {
                    if let Some(moved) = self.content.reduced.remove(&source) {
                        self.content.reduced.entry(target).or_default().push_str(&moved);
                    }
                }
                _ => {
                    if let Some(moved) = self.accumulators.remove(&source) {
                        LargestAndCount.merge(self.accumulators.entry(target).or_default(), moved);
                    }
                }
            }
        }
    }

    /// All that the states must hold.
    pub(super) fn content(&self) -> Content {
        let results = self.accumulators.iter().map(|(scope, one)| (*scope, LargestAndCount.result(one)));
        Content { aggregated: results.collect(), ..self.content.clone() }
    }

    /// What they must hold for a key.
    pub(super) fn content_of(&self, key: u32) -> Content {
        let mut content = self.content();
        let is_of_key = |scope: &Scope| scope.0 == key;
        content.values.retain(|scope, _| is_of_key(scope));
        content.lists.retain(|scope, _| is_of_key(scope));
        content.maps.retain(|scope, _| is_of_key(scope));
        content.reduced.retain(|scope, _| is_of_key(scope));
        content.aggregated.retain(|scope, _| is_of_key(scope));
        content
    }
}
