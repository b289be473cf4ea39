//! Files are compressed as the options say.

use super::*;
use crate::state::ValueStateDescriptor;

/// The bytes of the tables that hold the same values.
fn table_bytes(compression: &str) -> usize {
    let observed = Observed::default();
    let mut store = store(&observed, &[("compression.per.level", compression)]);
    let state = store.open(&ValueStateDescriptor::<String>::new("text")).unwrap();
    for key in 0..1_000 {
        store.set_current_key(key).unwrap();
        state.update(&mut store, "the same again ".repeat(20)).unwrap();
    }
    let (image, files) = in_files(&mut store);
    let bytes = files.0.iter().filter(|(name, _)| name.ends_with(".sst")).map(|(_, file)| file.len()).sum();
    // What was compressed is read by whoever has other options.
    let mut restored = restored(&observed, &[], vec![image], Some(&files));
    let state = restored.open(&ValueStateDescriptor::<String>::new("text")).unwrap();
    restored.set_current_key(500).unwrap();
    assert_eq!(state.get(&restored).unwrap().map(|text| text.len()), Some(300));
    bytes
}

#[test]
fn compression_of_every_kind_is_linked_and_makes_files_smaller() {
    let plain = table_bytes("NO_COMPRESSION");
    for compression in ["SNAPPY_COMPRESSION", "LZ4_COMPRESSION", "ZSTD_COMPRESSION"] {
        let bytes = table_bytes(compression);
        assert!(bytes * 4 < plain, "{compression}: {bytes} of {plain}");
    }
}
