use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn read(text: &str) -> Result<Vec<(String, String, u64)>, String> {
    let configuration = Configuration::from_yaml(text, "config.yaml").map_err(|error| error.to_string())?;
    let entries = configuration.iter();
    Ok(entries.map(|(key, entry)| (key.to_owned(), entry.value.clone(), line_of(entry))).collect())
}

fn entry(key: &str, value: &str, line: u64) -> (String, String, u64) {
    (key.to_owned(), value.to_owned(), line)
}

#[test]
fn file_with_nested_and_with_flat_keys_says_the_same() {
    let nested = "# comment\nexecution:\n  checkpointing:\n    interval: 10 s\n    num-retained: 3\n";
    let flat = "execution.checkpointing.interval: 10 s\n\n\nexecution.checkpointing.num-retained: 3\n";
    let both = "execution.checkpointing:\n  interval: 10 s\n\nexecution: {checkpointing.num-retained: 3}\n";
    for (text, lines) in [(nested, [4, 5]), (flat, [1, 4]), (both, [2, 4])] {
        let expected = [
            entry("execution.checkpointing.interval", "10 s", lines[0]),
            entry("execution.checkpointing.num-retained", "3", lines[1]),
        ];
        assert_eq!(read(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn file_has_texts_whatever_yaml_takes_them_for() {
    let text = "a: true\nb: 7\nc: 0.5\nd: off\ne: '10'\nf: [x, 2, true]\ng:\n- NONE\n- LZ4\nh: -1\n\
        i: 12345678901234567890123\nj: 1e10 # a name\nk: 0x10\nl: {m: 1.10}\nm: &n 007\no: *n\n";
    let values: Vec<String> = read(text).unwrap().into_iter().map(|(_, value, _)| value).collect();
    let expected = [
        "true",
        "7",
        "0.5",
        "off",
        "10",
        "x;2;true",
        "NONE;LZ4",
        "-1",
        "12345678901234567890123",
        "1e10",
        "0x10",
        "1.10",
        "007",
        "007",
    ];
    assert_eq!(values, expected);
    for nothing in ["", "# only a comment\n", "---\n"] {
        assert_eq!(read(nothing), Ok(Vec::new()), "{nothing:?}");
    }
}

#[test]
fn file_of_old_names_has_keys_that_are_values_and_prefixes() {
    let text = "state.backend: rocksdb\nstate.backend.rocksdb.thread.num: 4\nrestart-strategy: fixed-delay\n\
        restart-strategy.fixed-delay.attempts: 2\nhigh-availability: NONE\nhigh-availability.storageDir: /x\n";
    assert_eq!(read(text).unwrap().len(), 6);
}

#[test]
fn file_that_is_wrong_is_told_with_its_key_and_line() {
    for (text, told) in [
        ("a:\n  b: 1\na.b: 2\n", "config.yaml, line 3: `a.b` is there twice, first in line 2"),
        ("a.b: 1\n\na: 2\n", "config.yaml, line 3: `a` has a value, and is the beginning of `a.b`"),
        ("a:\n  b:\n", "config.yaml, line 2: `a.b` has no value"),
        ("a: {}\n", "config.yaml, line 1: `a` has no value"),
        ("a: ~\n", "config.yaml, line 1: `a` has no value"),
        ("a: []\n", "config.yaml, line 1: `a` is a list of something else than texts"),
        ("x: 1\na:\n- b: 1\n", "config.yaml, line 2: `a` is a list of something else than texts"),
        ("a..b: 1\n", "config.yaml, line 1: `a..b` is no key: a name in it is empty"),
        ("just words\n", "the configuration config.yaml is not a mapping in YAML: there are no keys in it"),
        ("- a\n", "the configuration config.yaml is not a mapping in YAML: there are no keys in it"),
    ] {
        assert_eq!(read(text).unwrap_err(), told, "{text:?}");
    }
    for (text, parts) in [
        ("a: 1\nb: 2\na: 3\n", ["`config.yaml`", "a", "line 3"]),
        ("a: [1\n", ["config.yaml", "not a mapping", "line"]),
        ("a: 1\n---\nb: 2\n", ["config.yaml", "multiple", "line"]),
    ] {
        let told = read(text).unwrap_err();
        assert!(parts.iter().all(|part| told.contains(part.trim_matches('`'))), "{told}");
    }
}

#[test]
fn file_that_cannot_be_read_is_named() {
    let told = Configuration::load("no/such/config.yaml").unwrap_err().to_string();
    assert!(told.starts_with("cannot read the configuration no/such/config.yaml: "), "{told}");
}

const LINES: &[&str] = &[
    "a:",
    "b.c: 1",
    "  b: 2",
    "  b: &x text",
    "  c: *x",
    "  <<: *x",
    "- d",
    "  - e",
    "- [1, {f: g}]",
    "a.b: {}",
    "  h: [1, [2]]",
    "? i",
    "[j]: k",
    "l: |",
    "'m': \"n\"",
    "---",
    "\t",
    "# o",
    "7: .nan",
    "~: ~",
    "'",
    "",
];

/// Lines that are YAML together, or almost.
fn text() -> impl Strategy<Value = String> {
    let lines = vec(select(LINES), 0..8).prop_map(|lines| lines.join("\n"));
    prop_oneof![lines, "[ a-c.:\\-\\[\\]{}#&*!|>'\"\n0-9~]{0,80}"]
}

proptest! {
    #[test]
    fn file_of_any_text_is_read_or_refused_without_a_panic(text in text()) {
        match read(&text) {
            Ok(entries) => prop_assert!(entries.iter().all(|(key, _, line)| !key.is_empty() && *line > 0)),
            Err(told) => prop_assert!(told.contains("config.yaml")),
        }
    }
}
