use super::*;

type Change = fn(&mut RocksDbOptions);

fn of(options: &[(&str, &str)]) -> Result<RocksDbOptions, WrongOption> {
    let all = options.iter().map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned())).collect();
    RocksDbOptions::of(&all)
}

#[test]
fn options_are_the_defaults_of_flink_unless_something_is_said() {
    let options = of(&[]).unwrap();
    assert_eq!(options, RocksDbOptions::default());
    assert_eq!((options.background_jobs, options.open_files), (2, -1));
    assert_eq!(
        (options.write_buffer_bytes, options.write_buffers, options.write_buffers_to_merge),
        (64 << 20, 2, 1)
    );
    assert_eq!((options.target_file_bytes, options.level_base_bytes), (64 << 20, 256 << 20));
    assert_eq!(
        (options.block_bytes, options.metadata_block_bytes, options.block_cache_bytes),
        (4096, 4096, 8 << 20)
    );
    assert_eq!(options.periodic_compaction_millis, 30 * 86_400_000);
    assert_eq!(
        (options.transfer_threads, options.overlap_fraction, options.use_bloom_filter),
        (4, 0.0, false)
    );
    assert!(options.memory.managed);
    assert_eq!((options.compression, options.subcompactions), (vec![Compression::Snappy], 1));
}

#[test]
fn options_of_memory_are_a_fraction_or_a_number_of_bytes_which_goes_before() {
    let bytes = |options: &[(&str, &str)]| of(options).unwrap().memory.bytes;
    let whole = bytes(&[("memory.fraction", "1")]);
    assert!(whole > 64 << 20, "{whole}");
    assert_eq!(bytes(&[("memory.fraction", "0.25")]), whole / 4);
    assert_eq!(bytes(&[("memory.fraction", "0.25"), ("memory.fixed-per-tm", "5mb")]), 5 << 20);
    assert_eq!(fraction_of(1_000, "0.5"), Ok(500));
    assert!(fraction_of(0, "0.5").unwrap_err().contains("not known"));
}

#[test]
fn options_that_are_set_take_the_place_of_defaults() {
    let changes: &[(&str, &str, Change)] = &[
        ("localdir", "/a, /b", |o| o.local_directories = vec!["/a".into(), "/b".into()]),
        ("memory.managed", "false", |o| o.memory.managed = false),
        ("memory.fixed-per-tm", "1gb", |o| o.memory.bytes = 1 << 30),
        ("memory.write-buffer-ratio", "0.25", |o| o.memory.write_buffer_ratio = 0.25),
        ("memory.partitioned-index-filters", "true", |o| o.memory.partitioned_index_filters = true),
        ("thread.num", "7", |o| o.background_jobs = 7),
        ("thread.subcompactions", "3", |o| o.subcompactions = 3),
        ("files.open", "100", |o| o.open_files = 100),
        ("log.level", "ERROR_LEVEL", |o| o.log_level = Level::Error),
        ("log.max-file-size", "1mb", |o| o.log_file_bytes = 1 << 20),
        ("log.file-num", "2", |o| o.log_files = 2),
        ("compression.per.level", "NO_COMPRESSION;ZSTD_COMPRESSION", |o| {
            o.compression = vec![Compression::None, Compression::Zstd];
        }),
        ("compaction.style", "UNIVERSAL", |o| o.compaction = Compaction::Universal),
        ("compaction.level.use-dynamic-size", "true", |o| o.dynamic_level_size = true),
        ("compaction.level.target-file-size-base", "1mb", |o| o.target_file_bytes = 1 << 20),
        ("compaction.level.max-size-level-base", "1mb", |o| o.level_base_bytes = 1 << 20),
        ("compaction.filter.periodic-compaction-time", "1 h", |o| o.periodic_compaction_millis = 3_600_000),
        ("writebuffer.size", "1mb", |o| o.write_buffer_bytes = 1 << 20),
        ("writebuffer.count", "3", |o| o.write_buffers = 3),
        ("writebuffer.number-to-merge", "2", |o| o.write_buffers_to_merge = 2),
        ("block.blocksize", "8kb", |o| o.block_bytes = 8 << 10),
        ("block.metadata-blocksize", "8kb", |o| o.metadata_block_bytes = 8 << 10),
        ("block.cache-size", "1mb", |o| o.block_cache_bytes = 1 << 20),
        ("use-bloom-filter", "true", |o| o.use_bloom_filter = true),
        ("bloom-filter.bits-per-key", "5", |o| o.bloom_filter_bits = 5.0),
        ("checkpoint.transfer.thread.num", "2", |o| o.transfer_threads = 2),
        ("restore-overlap-fraction-threshold", "0.5", |o| o.overlap_fraction = 0.5),
        ("metrics.bytes-read", "true", |o| o.native_metrics.set("bytes-read", "true").unwrap()),
    ];
    for (key, value, change) in changes {
        let mut expected = RocksDbOptions::default();
        change(&mut expected);
        assert_ne!(expected, RocksDbOptions::default(), "{key}");
        assert_eq!(of(&[(key, value)]), Ok(expected), "{key}");
    }
}

#[test]
fn options_that_are_unknown_are_told_with_the_nearest_one() {
    let document = include_str!("../../../../docs/ROCKSDB.md");
    for name in NAMES {
        let told = of(&[(name, "?")]).map_or_else(|wrong| wrong.what, |_| String::new());
        assert!(!told.contains("there is no such option"), "{name}");
        assert!(document.contains(&format!("`{name}`")), "{name} is not in the document");
    }
    for (name, nearest) in
        [("thread.nums", Some("thread.num")), ("writebuffersize", Some("writebuffer.size")), ("speed", None)]
    {
        let told = of(&[(name, "1")]).unwrap_err().what;
        let expected = nearest.map(|nearest| format!("; did you mean `{PREFIX}{nearest}`?"));
        assert_eq!(told, format!("there is no such option{}", expected.unwrap_or_default()));
    }
}

#[test]
fn options_that_are_unknown_or_wrong_are_told_with_name_and_value() {
    let told = of(&[("writebufer.size", "1mb")]).unwrap_err().to_string();
    assert_eq!(
        told,
        "the option `state.backend.rocksdb.writebufer.size` cannot be `1mb`: there is no such option; did you mean \
         `state.backend.rocksdb.writebuffer.size`?"
    );
    for (key, value) in [
        ("writebuffer.size", "0"),
        ("writebuffer.count", "none"),
        ("thread.num", "0"),
        ("thread.subcompactions", "0"),
        ("memory.fraction", "0"),
        ("memory.fraction", "1.5"),
        ("compression.per.level", "BROTLI_COMPRESSION"),
        ("compaction.style", "FIFO"),
        ("memory.write-buffer-ratio", "0"),
        ("memory.write-buffer-ratio", "2"),
        ("localdir", " , "),
        ("bloom-filter.bits-per-key", "NaN"),
        ("predefined-options", "FAST"),
        ("metrics.bytes-red", "true"),
        ("metrics.bytes-read", "yes"),
    ] {
        let wrong = of(&[(key, value)]).unwrap_err();
        assert_eq!((wrong.key, wrong.value), (format!("{PREFIX}{key}"), value.to_owned()));
    }
    let others = BTreeMap::from([("state.backend.other".to_owned(), "1".to_owned())]);
    assert_eq!(RocksDbOptions::of(&others), Ok(RocksDbOptions::default()));
}

#[test]
fn options_that_are_predefined_give_way_to_those_that_are_set() {
    let high = of(&[("predefined-options", "SPINNING_DISK_OPTIMIZED_HIGH_MEM")]).unwrap();
    assert_eq!((high.background_jobs, high.write_buffers, high.write_buffers_to_merge), (4, 4, 3));
    assert_eq!(
        (high.block_bytes, high.block_cache_bytes, high.use_bloom_filter),
        (128 << 10, 256 << 20, true)
    );
    assert_eq!(
        (high.target_file_bytes, high.level_base_bytes, high.dynamic_level_size),
        (256 << 20, 1 << 30, true)
    );
    let spinning = of(&[("predefined-options", "SPINNING_DISK_OPTIMIZED")]).unwrap();
    assert_eq!((spinning.background_jobs, spinning.dynamic_level_size), (4, true));
    let flash = of(&[("predefined-options", "FLASH_SSD_OPTIMIZED")]).unwrap();
    assert_eq!((flash.background_jobs, flash.dynamic_level_size), (4, false));
    assert_eq!(of(&[("predefined-options", "DEFAULT")]), Ok(RocksDbOptions::default()));
    // `block.blocksize` comes before `predefined-options` in the order of names.
    let both = [
        ("predefined-options", "SPINNING_DISK_OPTIMIZED_HIGH_MEM"),
        ("block.blocksize", "4kb"),
        ("use-bloom-filter", "false"),
    ];
    let options = of(&both).unwrap();
    assert_eq!((options.block_bytes, options.use_bloom_filter, options.background_jobs), (4096, false, 4));
}
