//! The entries of states, one after the other.

use super::CHECKPOINT_1;
use super::folder::Folder;
use super::operators::{Operator, operator, put};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snapline::base::Millis;
use snapline::inspection::*;
use snapline::state::{
    ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor, ValueStateDescriptor,
};
use snapline::ttl::StateTtlConfig;
use snapline::window::TimeWindow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn exported(path: &Path, options: &ExportOptions) -> Result<Vec<Value>, ExportError> {
    let mut entries = Vec::new();
    export(&Location::of(path).expect("holds checkpoints"), options, &mut |entry| {
        entries.push(serde_json::to_value(entry)?);
        Ok(())
    })?;
    Ok(entries)
}

fn only(state: &str) -> ExportOptions {
    ExportOptions { state: Some(state.to_owned()), ..ExportOptions::default() }
}

/// The entries of a state of an operator.
fn of(state: &str, operator: Operator<'_>) -> Vec<Value> {
    let folder = Folder::new();
    put(&folder, 1, vec![operator]);
    let mut entries = exported(&folder.place(CHECKPOINT_1), &only(state)).expect("is whole");
    entries.sort_by_key(|entry| entry["key"].as_u64());
    entries
}

/// These fields of an entry.
fn fields<const N: usize>(entry: &Value, names: [&str; N]) -> [Value; N] {
    names.map(|name| entry[name].clone())
}

#[test]
fn export_shows_values_with_all_that_tells_them_apart() {
    let [one, two] = &of("v", operator("count", 8).with_values("v", [(1, 300_u64), (2, 5)]))[..] else {
        panic!("there are two");
    };
    let expected = json!({
        "operator_uid": "count", "subtask": 0, "state": "v", "kind": "value", "key_group": one["key_group"],
        "key": 1, "namespace": null, "map_key": null, "value": 300, "updated_milliseconds": null,
    });
    assert_eq!((one, &two["value"]), (&expected, &json!(5)));
    assert!(one["key_group"].as_u64().is_some_and(|group| group < 8));
}

#[test]
fn export_shows_every_kind_of_keyed_state() {
    let mut operator = operator("all", 8);
    let store = &mut operator.store;
    let list = store.open(&ListStateDescriptor::<String>::new("list")).expect("opens");
    let map = store.open(&MapStateDescriptor::<String, i32>::new("map")).expect("opens");
    let sum = ReducingStateDescriptor::new("sum", |a: i64, b| a + b);
    let sum = store.open_namespaced_with_type_id::<TimeWindow, _>(&sum, "TimeWindow").expect("opens");
    store.set_current_key(7).expect("owns");
    list.add_all(store, ["a".to_owned(), "b".to_owned()]).expect("adds");
    map.put(store, "x".to_owned(), -1).expect("puts");
    sum.of(TimeWindow { start: -5, end: 10 }).add(store, -70_000).expect("adds");
    let folder = Folder::new();
    put(&folder, 1, vec![operator]);
    let entries = exported(&folder.place(CHECKPOINT_1), &ExportOptions::default()).expect("is whole");
    let mut shown: Vec<_> = entries
        .iter()
        .map(|entry| fields(entry, ["state", "kind", "key", "namespace", "map_key", "value"]))
        .collect();
    shown.sort_by_key(|fields| fields[0].to_string());
    let window = json!({ "start": -5, "end": 10 });
    assert_eq!(
        shown,
        [
            [json!("list"), json!("list"), json!(7), json!(null), json!(null), json!(["a", "b"])],
            [json!("map"), json!("map"), json!(7), json!(null), json!("x"), json!(-1)],
            [json!("sum"), json!("reducing"), json!(7), window, json!(null), json!(-70_000)],
        ]
    );
}

#[test]
fn export_shows_operator_state() {
    let mut operator = operator("source", 8).with_list(&[3, 4]);
    let state = &mut operator.operator;
    let union = state.union_list_state(&ListStateDescriptor::<(u32, String)>::new("union")).expect("opens");
    union.add(state, (1, "a".to_owned())).expect("adds");
    let rules =
        state.broadcast_state(&MapStateDescriptor::<String, Option<u64>>::new("rules")).expect("opens");
    rules.put(state, "limit".to_owned(), Some(9)).expect("puts");
    let folder = Folder::new();
    put(&folder, 1, vec![operator]);
    let entries = exported(&folder.place(CHECKPOINT_1), &ExportOptions::default()).expect("is whole");
    let mut shown: Vec<_> = entries
        .iter()
        .map(|entry| fields(entry, ["state", "kind", "key_group", "map_key", "value"]))
        .collect();
    shown.sort_by_key(|fields| fields[0].to_string());
    let of_list = |value: u64| [json!("list"), json!("split"), json!(null), json!(null), json!(value)];
    let of_rules = [json!("rules"), json!("broadcast"), json!(null), json!("limit"), json!(9)];
    let of_union = [json!("union"), json!("union"), json!(null), json!(null), json!([1, "a"])];
    assert_eq!(shown, [of_list(3), of_list(4), of_rules, of_union]);
}

#[test]
fn export_shows_the_times_of_state_that_expires_in_a_field_of_their_own() {
    let ttl = StateTtlConfig::new(Millis(1000)).expect("valid");
    let mut operator = operator("ttl", 8);
    let store = &mut operator.store;
    let value = store.open(&ValueStateDescriptor::<u64>::new("value").with_ttl(ttl)).expect("opens");
    let list = store.open(&ListStateDescriptor::<u64>::new("list").with_ttl(ttl)).expect("opens");
    store.set_current_key(1).expect("owns");
    store.set_processing_time(Millis(50));
    value.update(store, 5).expect("updates");
    list.add(store, 6).expect("adds");
    store.set_processing_time(Millis(60));
    list.add(store, 7).expect("adds");
    let folder = Folder::new();
    put(&folder, 1, vec![operator]);
    let shown = |state| {
        let entries = exported(&folder.place(CHECKPOINT_1), &only(state)).expect("is whole");
        fields(&entries[0], ["value", "updated_milliseconds"])
    };
    assert_eq!(shown("value"), [json!(5), json!(50)]);
    assert_eq!(shown("list"), [json!([6, 7]), json!([50, 60])]);
}

/// Types of jobs are unknown, unless somebody says what they are.
#[test]
fn export_shows_types_that_nobody_knows_as_bytes() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Word(String);
    let folder = Folder::new();
    put(&folder, 1, vec![operator("words", 8).with_values("v", [(1, vec![Some(Word("ab".to_owned()))])])]);
    let shown = |options: &ExportOptions| {
        let entries = exported(&folder.place(CHECKPOINT_1), options).expect("is whole");
        entries[0]["value"].clone()
    };
    let name = std::any::type_name::<Word>();
    let whole = std::any::type_name::<Vec<Option<Word>>>();
    assert_eq!(shown(&only("v")), json!({ "serializer": whole, "hex": "0101026162" }));
    let types = BTreeMap::from([(name.to_owned(), "String".to_owned())]);
    assert_eq!(shown(&ExportOptions { types, ..only("v") }), json!(["ab"]));
    // Bytes that are no such values stay bytes, and a name that means itself means nothing.
    for wrong in ["u64", "(String, String)", "bool", "[u8; 9]", name, "Vec<", "(", "Nobody"] {
        let types = BTreeMap::from([(name.to_owned(), wrong.to_owned())]);
        assert!(shown(&ExportOptions { types, ..only("v") })["hex"].is_string(), "{wrong}");
    }
}

#[test]
fn export_knows_types_by_the_names_that_rust_gives_them() {
    type Everything = (
        (bool, char, u8, i8, u16, i16, u32, i32),
        (u64, i64, u128, i128, f32, f64),
        ([u16; 2], Vec<(u8,)>, BTreeMap<String, Vec<u8>>, Box<Option<()>>, Option<String>),
        std::collections::VecDeque<std::collections::BTreeSet<i64>>,
    );
    let everything: Everything = (
        (true, 'ä', 1, -1, 300, -300, 70_000, -70_000),
        (u64::MAX, i64::MIN, u128::MAX, i128::MIN, 0.5, f64::NAN),
        ([1, 2], vec![(3,)], BTreeMap::from([("a".to_owned(), vec![1])]), Box::new(Some(())), None),
        [[-1, 5].into()].into(),
    );
    let expected = json!([
        [true, "ä", 1, -1, 300, -300, 70_000, -70_000],
        [u64::MAX, i64::MIN, u128::MAX.to_string(), i128::MIN.to_string(), 0.5, "NaN"],
        [[1, 2], [[3]], [["a", [1]]], null, null],
        [[-1, 5]],
    ]);
    let operator = operator("all", 8).with_values("v", [(1, everything)]);
    assert_eq!(of("v", operator)[0]["value"], expected);
}

/// Also where entries begin in one piece of what is compressed and end in another.
#[test]
fn export_of_compressed_state_shows_the_same() {
    let long = |key: u64| {
        (0..40_000 + key * 17_000).map(|at| char::from(b'a' + (at % 23) as u8)).collect::<String>()
    };
    let values = || (0..9).map(|key| (key, long(key)));
    let [plain, compressed] = [false, true].map(|is_compressed| {
        let with_values = operator("long", 8).with_values("v", values());
        of("v", Operator { is_compressed, ..with_values })
    });
    assert!(plain == compressed && plain.len() == 9);
    assert!(
        plain
            .iter()
            .zip(values())
            .all(|(entry, (key, value))| entry["key"] == key && entry["value"] == value)
    );
}

#[test]
fn export_of_what_cannot_be_shown_says_why() {
    let folder = Folder::with_checkpoints();
    let error = |path: &Path, options: &ExportOptions| {
        exported(path, options).expect_err("cannot be shown").to_string()
    };
    let newest = folder.storage.directory();
    let known = "there is no state `nothing`; there are `count`, `positions`";
    assert_eq!(error(newest, &only("nothing")), known);
    assert_eq!(exported(newest, &only("positions")).expect("is whole").len(), 3);
    let state = folder.place(super::CHECKPOINT_2).join("1-1-1.state");
    let mut bytes = fs::read(&state).expect("reads");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&state, bytes).expect("writes");
    let damaged = error(newest, &only("count"));
    assert!(damaged.starts_with(&format!("{} at byte ", state.display())), "{damaged}");
    fs::remove_file(folder.place(CHECKPOINT_1).join("_metadata")).expect("deletes");
    let missing = error(&folder.place(CHECKPOINT_1), &ExportOptions::default());
    assert!(missing.ends_with("_metadata: the file is missing"), "{missing}");
    // Whoever takes in no more ends it.
    let mut shown = 0;
    let location = Location::of(folder.place(super::SAVEPOINT)).expect("is one");
    let stopped = export(&location, &ExportOptions::default(), &mut |_| {
        shown += 1;
        Err(std::io::Error::other("full"))
    });
    assert!(matches!(stopped, Err(ExportError::Output(_))) && shown == 1);
}
