//! What the tests of tables share: a table is text, and is compared with a committed file.

use std::fmt::Write;

/// Describes one step: what is done, and the next state if it is another one.
pub(crate) fn cell(done: &[String], misused: bool, state: &str, next: &str) -> String {
    assert!(!misused || done.is_empty() && next == state, "misuse changes nothing");
    let done = match (misused, done) {
        (true, _) => "misuse".to_owned(),
        (false, []) => "-".to_owned(),
        (false, done) => done.join("; "),
    };
    if next == state { done } else { format!("{done} [{next}]") }
}

/// Appends a paragraph about one situation, in which inputs that have the same effect share a line.
pub(crate) fn paragraph(
    text: &mut String,
    situation: &str,
    state: &str,
    cells: impl IntoIterator<Item = (String, String)>,
) {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for (input, effect) in cells {
        match lines.iter_mut().find(|(known, _)| *known == effect) {
            Some((_, inputs)) => inputs.push(input),
            None => lines.push((effect, vec![input])),
        }
    }
    writeln!(text, "\n{situation} [{state}]").expect("text can be written");
    for (effect, inputs) in lines {
        writeln!(text, "  {}: {effect}", inputs.join(", ")).expect("text can be written");
    }
}

/// Compares `found` with the file, whose path is relative to the repository; `SNAPLINE_BLESS=1` rewrites it instead.
#[allow(clippy::disallowed_methods)]
pub(crate) fn assert_committed(file: &str, found: &str) {
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("SNAPLINE_BLESS").is_some() {
        std::fs::write(path, found).expect("the table can be written");
    } else {
        let committed = std::fs::read_to_string(path).expect("the table is there");
        assert_eq!(found, committed, "SNAPLINE_BLESS=1 rewrites {file}");
    }
}
