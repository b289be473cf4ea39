//! A job whose state has changed since its snapshot was taken.
//!
//! `cargo run --example versioned_state` plays three releases of one job. The first keeps a number for each customer, the
//! second a number and a name, the third a currency too. The third opens what the first has written: each value goes
//! through both upgrades when the state is opened, and the next snapshot is in the newest version. The first release then
//! refuses that snapshot, and says why.

use serde::{Deserialize, Serialize};
use snapline::keygroup::MaxParallelism;
use snapline::state::serializer::{FirstVersion, VersionedSerializer, VersionedState};
use snapline::state::{
    KeyedStateStore, SnapshotImage, StateError, StateValue, TaskSnapshot, ValueStateDescriptor,
};
use std::error::Error;

/// The first release had a number and knew nothing of versions. That is version 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct AccountV0(i64);

impl VersionedState for AccountV0 {
    const VERSION: u32 = 0;
    type Previous = FirstVersion;

    fn upgrade(previous: FirstVersion) -> Self {
        match previous {}
    }
}

/// The second release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct AccountV1 {
    euros: i64,
    name: Option<String>,
}

impl VersionedState for AccountV1 {
    const VERSION: u32 = 1;
    type Previous = AccountV0;

    fn upgrade(AccountV0(euros): AccountV0) -> Self {
        AccountV1 { euros, name: None }
    }
}

/// The third release, which is the present one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Account {
    cents: i64,
    currency: String,
    name: Option<String>,
}

impl VersionedState for Account {
    const VERSION: u32 = 2;
    type Previous = AccountV1;

    fn upgrade(AccountV1 { euros, name }: AccountV1) -> Self {
        Account { cents: euros * 100, currency: "EUR".to_owned(), name }
    }
}

/// The state of the first release: its type has an id, so that it may be renamed.
fn first_release() -> ValueStateDescriptor<AccountV0> {
    ValueStateDescriptor::new("accounts").with_type_id("account")
}

/// The state of the third.
fn third_release() -> ValueStateDescriptor<Account> {
    ValueStateDescriptor::new("accounts").with_serializer(VersionedSerializer::with_id("account"))
}

/// Plays the three releases.
pub fn main() -> Result<(), Box<dyn Error>> {
    let mut store = empty()?;
    let accounts = store.open(&first_release())?;
    for (customer, euros) in [(1, 20), (2, -5)] {
        store.set_current_key(customer)?;
        accounts.update(&mut store, AccountV0(euros))?;
    }
    let written = file(&mut store)?;
    println!("The first release has written {} bytes.", written.len());

    let mut store = restored(&written)?;
    let accounts = store.open(&third_release())?;
    store.set_current_key(1)?;
    let account = accounts.get(&store)?.map(|account| account.into_owned());
    println!("The third release reads {account:?}.");
    assert_eq!(account, Some(Account { cents: 2_000, currency: "EUR".to_owned(), name: None }));

    let written = file(&mut store)?;
    let refused = open_error(restored(&written)?, &first_release());
    println!("The first release does not go on from there: {refused}.");
    assert!(refused.ends_with("account, version 2 was written, the job has account"), "{refused}");
    Ok(())
}

fn empty() -> Result<KeyedStateStore<u64>, Box<dyn Error>> {
    let max_parallelism = MaxParallelism::new(128)?;
    Ok(KeyedStateStore::new(max_parallelism, max_parallelism.all_groups())?)
}

fn restored(file: &[u8]) -> Result<KeyedStateStore<u64>, Box<dyn Error>> {
    let max_parallelism = MaxParallelism::new(128)?;
    let keyed = SnapshotImage::read_from(file, None)?.keyed.into_iter().collect();
    Ok(KeyedStateStore::restore(max_parallelism, max_parallelism.all_groups(), keyed)?)
}

/// The state file of a subtask.
fn file(store: &mut KeyedStateStore<u64>) -> Result<Vec<u8>, StateError> {
    let mut file = Vec::new();
    TaskSnapshot::new(Some(Box::new(store.snapshot()?)), Default::default()).write_to(&mut file)?;
    Ok(file)
}

fn open_error<T: StateValue>(
    mut store: KeyedStateStore<u64>,
    descriptor: &ValueStateDescriptor<T>,
) -> String {
    store.open(descriptor).err().map_or_else(String::new, |error| error.to_string())
}
