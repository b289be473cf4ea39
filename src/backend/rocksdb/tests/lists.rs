use super::{Observed, in_files, restored, store};
use crate::state::{KeyedStateStore, ListState, ListStateDescriptor};

const KEYS: u32 = 100;

/// Fills every list as far as it may be: 5 elements of 17 bytes.
fn fill(store: &mut KeyedStateStore<u32>, list: &ListState<[u8; 16]>) {
    for key in 0..KEYS {
        store.set_current_key(key).unwrap();
        (0..5).for_each(|_| list.add(store, [0; 16]).unwrap());
        let told = list.add(store, [0; 16]).unwrap_err().to_string();
        assert!(told.contains("of 102 bytes is more than the 100"), "{told}");
    }
}

/// W9: of lists that fall into one place, each alone has the limit; they are known to be short again when they are.
#[test]
fn lists_are_refused_beyond_their_limit_also_after_a_restore() {
    let descriptor = ListStateDescriptor::<[u8; 16]>::new("list").with_max_list_bytes(100);
    let (first, second) = (Observed::default(), Observed::default());
    let mut old = store(&first, &[]);
    let list = old.open(&descriptor).unwrap();
    fill(&mut old, &list);
    let (image, files) = in_files(&mut old);
    let mut new = restored(&second, &[], vec![image], Some(&files));
    let list = new.open(&descriptor).unwrap();
    for key in 0..KEYS {
        new.set_current_key(key).unwrap();
        list.add(&mut new, [0; 16]).unwrap_err();
        assert_eq!(list.get(&new).unwrap().count(), 5);
        list.clear(&mut new).unwrap();
    }
    fill(&mut new, &list);
}

/// W9: to append to what was restored nothing need be read while all of it together is far from the limit.
#[test]
fn lists_that_were_restored_have_at_most_the_bytes_that_there_are() {
    let descriptor = ListStateDescriptor::<[u8; 16]>::new("list");
    let (first, second) = (Observed::default(), Observed::default());
    let mut old = store(&first, &[]);
    let list = old.open(&descriptor).unwrap();
    for key in 0..KEYS {
        old.set_current_key(key).unwrap();
        list.add(&mut old, [0; 16]).unwrap();
    }
    let all = u64::from(KEYS) * 17;
    let (image, files) = in_files(&mut old);
    let _new = restored(&second, &[], vec![image], Some(&files));
    for observed in [first, second] {
        let bytes = observed.database().bytes_of_values("state list").unwrap();
        assert!(bytes >= all && bytes < 10_000_000, "{bytes}");
    }
}
