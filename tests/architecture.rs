//! Who may import whom, and what the pure modules must not touch.
//!
//! ```text
//! base  <-  keygroup codec align shared ttl watermark window configuration  <-  subtask publish rescale commit
//!       <-  coordinator  <-  backend  <-  state store  <-  backend::rocksdb  <-  operator inspection  <-  runtime  <-  rest testkit
//! ```
//!
//! A module imports only from the left of itself. The model imports the pure machines only.

#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Each layer imports only those above it in this list.
const LAYERS: &[&[&str]] = &[
    &["base"],
    &["keygroup", "codec", "align", "shared", "ttl", "watermark", "window", "configuration"],
    &["subtask", "publish", "rescale", "commit"],
    &["coordinator"],
    &["backend"],
    &["state", "store"],
    &["rocksdb"],
    &["operator", "inspection"],
    &["runtime"],
    &["rest", "testkit"],
];

/// Modules that see the outside world only through their inputs.
const PURE: &[&str] = &[
    "base",
    "keygroup",
    "codec",
    "align",
    "shared",
    "ttl",
    "watermark",
    "window",
    "subtask",
    "publish",
    "rescale",
    "commit",
    "coordinator",
];

/// What the model may use of the library.
const FOR_THE_MODEL: &[&str] =
    &["base", "align", "subtask", "coordinator", "publish", "commit", "keygroup", "shared", "ttl"];

/// Words that bring in files, threads, clocks, chance, unordered maps, floats or waiting.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "Instant",
    "SystemTime",
    "rand",
    "HashMap",
    "HashSet",
    "f32",
    "f64",
    "async",
];

fn is_part_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `text` contains `word`, not merely as part of a longer one.
fn mentions(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        !before.is_some_and(is_part_of_word) && !after.is_some_and(is_part_of_word)
    })
}

/// The code of a file that is shipped: without comments, and without its tests, which stand at the end.
fn shipped(source: &str) -> String {
    let lines = source.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    lines.map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The modules that follow `root` (`crate::` or `snapline::`) in paths, groups in braces included.
fn imported(code: &str, root: &str) -> BTreeSet<String> {
    let first_word =
        |path: &str| path.trim_start().chars().take_while(|c| is_part_of_word(*c)).collect::<String>();
    let mut found = BTreeSet::new();
    // What a macro names from where it is used is no import of its own.
    for (at, _) in code.match_indices(root).filter(|(at, _)| !code[..*at].ends_with('$')) {
        let path = &code[at + root.len()..];
        match path.strip_prefix('{') {
            // Macros stand in the root, wherever they were written.
            None if path[first_word(path).len()..].starts_with('!') => {}
            None => found.extend([first_word(path)]),
            Some(group) => {
                let mut depth = 0;
                let end = group.find(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth < 0
                });
                let mut nested = 0;
                let items = group[..end.unwrap_or(group.len())].split(|c| {
                    nested += i32::from(c == '{') - i32::from(c == '}');
                    c == ',' && nested == 0
                });
                found.extend(items.map(first_word).filter(|word| !word.is_empty()));
            }
        }
    }
    found
}

/// The module in the table of layers to which a file belongs.
fn module_of(path: &str) -> &str {
    if path.starts_with("backend/rocksdb") {
        return "rocksdb";
    }
    path.split(['/', '.']).next().expect("a path has a start")
}

/// What is wrong with `code` as part of the library's module `module`.
fn problems(module: &str, code: &str) -> Vec<String> {
    let layer_of = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let Some(layer) = layer_of(module) else {
        return vec![format!("{module} has no place in the table of layers")];
    };
    let mut found: Vec<String> = imported(code, "crate::")
        .into_iter()
        .filter(|other| other != module && layer_of(other).is_none_or(|other| other >= layer))
        .map(|other| format!("{module} must not import {other}"))
        .collect();
    if PURE.contains(&module) {
        let impure = IMPURE.iter().filter(|word| mentions(code, word));
        found.extend(impure.map(|word| format!("{module} is pure and must not mention {word}")));
    }
    found
}

/// Path and text of every source file below `folder`, files of tests left out.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            let name = path.strip_prefix(&root).expect("it is below the root").display().to_string();
            if path.is_dir() && !name.ends_with("tests") {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                found.push((name, fs::read_to_string(&path).expect("the file is text")));
            }
        }
    }
    found
}

#[test]
fn architecture_modules_import_only_what_is_below_them_and_the_pure_stay_pure() {
    let sources = sources("src");
    assert!(sources.len() > 20, "the sources were not found");
    let mut found = Vec::new();
    for (path, source) in sources {
        let module = module_of(&path);
        if module != "lib" {
            found.extend(
                problems(module, &shipped(&source)).into_iter().map(|problem| format!("{path}: {problem}")),
            );
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn architecture_model_imports_only_pure_machines() {
    for (path, source) in sources("model/src") {
        for module in imported(&shipped(&source), "snapline::") {
            assert!(FOR_THE_MODEL.contains(&module.as_str()), "{path} must not import {module}");
        }
    }
}

#[test]
fn architecture_check_finds_what_is_forbidden() {
    assert_eq!(problems("align", "use crate::base::Channel;"), Vec::<String>::new());
    assert_eq!(problems("align", "crate::codec::decode()"), ["align must not import codec"]);
    let group = "use crate::{base::{Channel, Millis}, store, align};";
    assert_eq!(problems("subtask", group), ["subtask must not import store"]);
    assert_eq!(problems("newcomer", ""), ["newcomer has no place in the table of layers"]);
    assert_eq!(problems("ttl", "let t: f64 = 0.0;"), ["ttl is pure and must not mention f64"]);
    assert_eq!(problems("ttl", "enum Phase { Asynchronous }"), Vec::<String>::new());
    assert_eq!(problems("store", "use std::fs;"), Vec::<String>::new());
    assert_eq!(shipped("a // std::fs\n#[cfg(test)]\nmod tests;"), "a ");
}
