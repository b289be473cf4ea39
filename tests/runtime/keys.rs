//! The type of the keys, over a restart of the job.

use crate::common::keys::{Click, job_by_user};
use crate::common::{World, expected, memory, options, wait_until};
use serde::{Deserialize, Serialize};
use snapline::coordinator::StopMode;
use snapline::keygroup::KeyHash;
use snapline::runtime::{JobError, KeyedStream};
use snapline::state::serializer::SerdeSerializer;
use std::sync::Arc;
use std::sync::atomic::Ordering;

macro_rules! user {
    ($name:ident) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        struct $name(u64);

        impl KeyHash for $name {
            fn key_hash(&self) -> i32 {
                self.0.key_hash()
            }
        }
    };
}
user!(User);
user!(Customer);

/// The job runs until its savepoint with `User` and goes on with `Customer`, its keys' name from then on.
fn renamed(type_id: Option<&'static str>) -> Result<(), JobError> {
    fn named<T, K: Serialize + for<'a> Deserialize<'a> + 'static>(
        stream: KeyedStream<T, K>,
        type_id: Option<&str>,
    ) -> KeyedStream<T, K> {
        match type_id {
            Some(type_id) => stream.with_key_serializer(SerdeSerializer::with_id(type_id)),
            None => stream,
        }
    }
    let (world, storage) = (World::new(), memory());
    let users = |stream: KeyedStream<Click<User>, User>| named(stream, type_id);
    let before = job_by_user(&world, User, |user| user.0, users);
    let handle = before.start(options(0), Arc::clone(&storage))?;
    // So that there are counts of keys in the savepoint.
    wait_until(&handle, || world.completed.load(Ordering::SeqCst) > 0);
    drop(handle.control().stop_with_savepoint(StopMode::Suspend));
    handle.wait()?;
    let customers = |stream: KeyedStream<Click<Customer>, Customer>| named(stream, type_id);
    let after = job_by_user(&world, Customer, |customer| customer.0, customers);
    let summary = after.start(options(0), storage)?.wait()?;
    assert!(summary.progress.restored_from.is_some());
    let mut counts = expected(2);
    counts.retain(|(_, count)| *count < u64::MAX);
    assert_eq!(world.committed(), counts);
    Ok(())
}

#[test]
fn keys_whose_type_has_an_id_are_restored_under_another_name() {
    renamed(Some("user")).unwrap();
}

#[test]
fn keys_whose_type_has_no_id_are_refused_under_another_name() {
    let refused = renamed(None).unwrap_err().to_string();
    assert!(refused.contains("User") && refused.contains("Customer"), "{refused}");
}
