//! `docs/CONFIGURATION.md` says what the table of options says.

use snapline::configuration::{options, unsupported};
use std::fs;
use std::path::Path;

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIGURATION.md");
    fs::read_to_string(path).expect("the document is there")
}

/// The lines of the table that follows `heading`.
fn table_below<'a>(document: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, rest) = document.split_once(&format!("\n{heading}\n")).expect("the heading is there");
    let lines = rest.lines().skip_while(|line| !line.starts_with('|'));
    lines.take_while(|line| line.starts_with('|')).collect()
}

fn code(text: &str) -> String {
    if text.is_empty() { "none".to_owned() } else { format!("`{text}`") }
}

#[test]
fn document_has_the_table_of_options() {
    let mut expected =
        vec!["| key | value | default | what it says |".to_owned(), "| --- | --- | --- | --- |".to_owned()];
    for option in options::ALL {
        let old: Vec<_> = option.deprecated_keys.iter().map(|key| code(key)).collect();
        let formerly = if old.is_empty() { String::new() } else { format!(" Formerly {}.", old.join(", ")) };
        let (key, default) = (code(option.key), code(option.default));
        expected.push(format!("| {key} | {} | {default} | {}{formerly} |", option.kind, option.description));
    }
    let document = document();
    let table = table_below(&document, "## Options");
    assert!(table == expected, "the table should be:\n{}", expected.join("\n"));
}

#[test]
fn document_has_the_table_of_what_is_not_supported() {
    let mut expected =
        vec!["| key | fine | otherwise | because |".to_owned(), "| --- | --- | --- | --- |".to_owned()];
    for option in unsupported::ALL {
        let key = if option.key.ends_with('.') { format!("{}*", option.key) } else { option.key.to_owned() };
        let fine = option.fine.map_or(String::new(), code);
        let otherwise = if option.is_refused { "error" } else { "warning" };
        expected.push(format!("| `{key}` | {fine} | {otherwise} | {} |", option.why));
    }
    let document = document();
    let table = table_below(&document, "## What Flink has and Snapline does not");
    assert!(table == expected, "the table should be:\n{}", expected.join("\n"));
}
