use super::alert::Alert;
use super::history::History;
use super::payment::Payment;
use super::rule::{Rule, RuleChange};
use crate::input::{Event, Name};
use serde::{Deserialize, Serialize};
use snapline::base::{EventTime, TimeDomain};
use snapline::runtime::{
    BroadcastContext, Collector, KeyedBroadcastProcessFunction, ReadOnlyContext, UserError,
};
use snapline::state::{
    BroadcastState, KeyedStateStore, ListStateDescriptor, MapStateDescriptor, Namespaced,
    OperatorStateBackend, StateError, Timer, TtlMapState,
};
use snapline::ttl::StateTtlConfig;

/// Judges the payments of each account by the rules that hold when they are made.
///
/// A payment waits until event time has come to it. Then all payments and all changes of rules up to its time are there, so
/// the alerts follow from the two streams alone, and not from which of them was faster.
pub struct Judge {
    /// For how long counted payments are kept.
    ttl: StateTtlConfig,
    rules: Option<BroadcastState<Name, History>>,
    accounts: Option<Accounts>,
}

impl Judge {
    /// A judge for whom accounts expire by `ttl`.
    pub fn new(ttl: StateTtlConfig) -> Self {
        Judge { ttl, rules: None, accounts: None }
    }
}

/// What is kept of each account.
struct Accounts {
    /// The amounts of payments that wait, by their time.
    waiting: Namespaced<ListStateDescriptor<u64>, i64>,
    /// The payments that each rule still counts. What nobody asks for any more expires: no rule counts for longer.
    counted: TtlMapState<Name, Counted>,
}

/// Payments that did not come to an alert yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    /// Since when there was the rule that they were judged by.
    since: i64,
    /// Until when each counts, and its amount.
    payments: Vec<(i64, u64)>,
}

impl KeyedBroadcastProcessFunction for Judge {
    type Key = Name;
    type In = Payment;
    type Broadcast = RuleChange;
    type Out = Alert;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.rules = Some(state.broadcast_state(&MapStateDescriptor::new("rules"))?);
        Ok(())
    }

    fn open(&mut self, state: &mut KeyedStateStore<Name>) -> Result<(), StateError> {
        let waiting = state.open_namespaced(&ListStateDescriptor::new("waiting"))?;
        let counted = state.open(&MapStateDescriptor::new("counted").with_ttl(self.ttl))?;
        self.accounts = Some(Accounts { waiting, counted });
        Ok(())
    }

    fn process(
        &mut self,
        payment: Payment,
        context: &mut ReadOnlyContext<'_, Name>,
        _: &mut dyn Collector<Alert>,
    ) -> Result<(), UserError> {
        let accounts = self.accounts.as_ref().ok_or("the function was not opened")?;
        if payment.event_time() <= context.current_watermark() {
            tracing::warn!(%payment, "a payment comes after its time and is dropped");
            return Ok(());
        }
        accounts.waiting.of(payment.timestamp).add(context.state(), payment.amount)?;
        Ok(context.register_timer(TimeDomain::EventTime, payment.timestamp)?)
    }

    fn process_broadcast(
        &mut self,
        change: RuleChange,
        context: &mut BroadcastContext<'_, Name>,
        _: &mut dyn Collector<Alert>,
    ) -> Result<(), UserError> {
        let rules = self.rules.ok_or("the function was not initialized")?;
        let watermark = context.current_watermark();
        let mut history = rules.get(context.broadcast_state(), &change.name)?.cloned().unwrap_or_default();
        history.change(&change, watermark)?;
        rules.put(context.broadcast_state(), change.name, history)?;
        Ok(())
    }

    /// Payments were made at this time.
    fn on_timer(
        &mut self,
        timer: Timer<Name, ()>,
        context: &mut ReadOnlyContext<'_, Name>,
        out: &mut dyn Collector<Alert>,
    ) -> Result<(), UserError> {
        let accounts = self.accounts.as_ref().ok_or("the function was not opened")?;
        let rules = self.rules.ok_or("the function was not initialized")?.read(context.broadcast_state())?;
        let Timer { time, key: account, .. } = timer;
        for amount in accounts.take(time, context.state())? {
            for (name, history) in rules.entries() {
                let Some((since, rule)) = history.at(time) else { continue };
                let measured = match rule.within() {
                    None => rule.matched([amount].into_iter()),
                    Some(within) => {
                        let until = EventTime(time).saturating_add(within).0;
                        accounts.count(name, since, rule, (until, amount), context.state())?
                    }
                };
                if let Some(measured) = measured {
                    let (account, name) = (account.clone(), name.clone());
                    out.collect(Alert { timestamp: time, account, name, rule, measured });
                }
            }
        }
        Ok(())
    }
}

impl Accounts {
    /// The payments of the current account that were made at `time`, in an order that does not depend on when they came.
    /// What is not counted any more is forgotten.
    fn take(&self, time: i64, state: &mut KeyedStateStore<Name>) -> Result<Vec<u64>, StateError> {
        self.counted.retain(state, |_, counted| {
            counted.payments.retain(|(until, _)| *until > time);
            !counted.payments.is_empty()
        })?;
        let waiting = self.waiting.of(time);
        let mut amounts: Vec<u64> = waiting.get(state)?.map(|amount| *amount).collect();
        waiting.clear(state)?;
        amounts.sort_unstable();
        Ok(amounts)
    }

    /// Counts a payment of the current account. Those that came to an alert, or were judged by what the rule was before,
    /// are not counted again.
    fn count(
        &self,
        name: &Name,
        since: i64,
        rule: Rule,
        payment: (i64, u64),
        state: &mut KeyedStateStore<Name>,
    ) -> Result<Option<u64>, StateError> {
        let before = self.counted.remove(state, name)?.filter(|counted| counted.since == since);
        let mut payments = before.map_or_else(Vec::new, |counted| counted.payments);
        payments.push(payment);
        let measured = rule.matched(payments.iter().map(|(_, amount)| *amount));
        if measured.is_none() {
            self.counted.put(state, name.clone(), Counted { since, payments })?;
        }
        Ok(measured)
    }
}
