use super::{Narrow, Observed, Wide, in_files, narrow, restored, store, wide};
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

/// W9: also where elements of an earlier serializer become longer.
#[test]
fn lists_are_refused_beyond_their_limit_when_their_elements_have_changed() {
    let (first, second) = (Observed::default(), Observed::default());
    let mut old = store(&first, &[]);
    let list = old.open(&ListStateDescriptor::new("list").with_serializer(narrow())).unwrap();
    for key in [1, 2] {
        old.set_current_key(key).unwrap();
        (0..10).for_each(|_| list.add(&mut old, Narrow(1)).unwrap());
    }
    let (image, files) = in_files(&mut old);
    let mut new = restored(&second, &[], vec![image], Some(&files));
    // An element and the length of its record have 2 bytes before and 3 to 4 now.
    let descriptor = ListStateDescriptor::new("list").with_serializer(wide());
    let list = new.open(&descriptor.with_max_list_bytes(30)).unwrap();
    new.set_current_key(1).unwrap();
    let told = list.add(&mut new, Wide(1, true)).unwrap_err().to_string();
    assert!(told.contains("of 33 bytes is more than the 30"), "{told}");
    assert_eq!(list.get(&new).unwrap().count(), 10);
    assert_eq!(second.entries_of_families("list").iter().sum::<usize>(), 2);
    list.clear(&mut new).unwrap();
    assert_eq!(second.entries("list"), 1);
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
        let [family] = &observed.families("list")[..] else { panic!("one version") };
        let bytes = observed.database().bytes_of_values(family).unwrap();
        assert!(bytes >= all && bytes < 10_000_000, "{bytes}");
    }
}
