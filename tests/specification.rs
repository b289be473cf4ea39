//! Every requirement of `spec/` is kept by code and checked by a test, and says what both of them quote.
//!
//! This reads the citations that duvet reads, without needing duvet; `spec/README.md` shows their form.

#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// One document or source file: its path within the repository, and its text.
type File = (String, String);

/// The sentence of each requirement by its citation target, `spec/<document>.md#<section>`.
fn requirements(documents: &[File]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, text) in documents {
        for section in text.split("\n### ").skip(1) {
            let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
            let kept = heading.to_lowercase();
            let slug = kept.chars().filter(|c| c.is_ascii_alphanumeric() || " -".contains(*c));
            let target = format!("{path}#{}", slug.collect::<String>().replace(' ', "-"));
            let sentence = body.trim_start().split("\n\n").next().unwrap_or_default();
            found.insert(target, joined(sentence));
        }
    }
    found
}

fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[derive(PartialEq)]
struct Citation {
    target: String,
    is_test: bool,
    quote: String,
}

/// The citations of one file, whose path decides what they are unless they say so.
fn citations((path, text): &File) -> Vec<Citation> {
    let mut found: Vec<Citation> = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if let Some(meta) = line.strip_prefix("//= ") {
            match (meta.strip_prefix("type="), found.last_mut()) {
                (Some(kind), Some(citation)) => citation.is_test = kind.trim() == "test",
                _ => found.push(Citation {
                    target: meta.trim().into(),
                    is_test: !path.starts_with("src/"),
                    quote: String::new(),
                }),
            }
        } else if let (Some(quoted), Some(citation)) = (line.strip_prefix("//# "), found.last_mut()) {
            citation.quote = joined(&format!("{} {quoted}", citation.quote));
        }
    }
    found
}

/// Everything that is wrong between the documents and the sources, as sentences.
fn problems(documents: &[File], sources: &[File]) -> Vec<String> {
    let requirements = requirements(documents);
    let (mut kept, mut tested, mut problems) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for source in sources {
        for Citation { target, is_test, quote } in citations(source) {
            match requirements.get(&target) {
                None => problems.push(format!("{} cites {target}, which does not exist", source.0)),
                Some(sentence) if *sentence != quote => {
                    problems.push(format!("{} quotes `{quote}`, but {target} says `{sentence}`", source.0));
                }
                Some(_) => {
                    if is_test { &mut tested } else { &mut kept }.insert(target);
                }
            }
        }
    }
    for (target, sentence) in &requirements {
        if sentence.matches("MUST").count() != 1 || sentence.matches(". ").count() > 0 {
            problems.push(format!("{target} is not one sentence with one MUST: `{sentence}`"));
        }
        if !kept.contains(target) {
            problems.push(format!("no code keeps {target}"));
        }
        if !tested.contains(target) {
            problems.push(format!("no test checks {target}"));
        }
    }
    problems
}

/// All files under `folder` whose names end with `suffix`.
fn files(folder: &str, suffix: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            let name = path.strip_prefix(root).expect("it is below the root").display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(suffix) {
                found.push((name, fs::read_to_string(&path).expect("the file is text")));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn specification_requirements_are_kept_and_tested_as_they_are_written() {
    let documents = files("spec", ".md");
    assert!(requirements(&documents).len() > 80, "the requirements were not found");
    let sources: Vec<File> =
        ["src", "model/src", "tests"].iter().flat_map(|folder| files(folder, ".rs")).collect();
    let problems = problems(&documents, &sources);
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn specification_ids_belong_to_one_requirement_each() {
    let mut ids = BTreeSet::new();
    for target in requirements(&files("spec", ".md")).keys() {
        let (_, section) = target.split_once('#').expect("a target has a section");
        let id: Vec<&str> = section.split('-').take(2).collect();
        assert!(id.len() == 2 && id[1].parse::<u32>().is_ok(), "{target} has no id");
        assert!(ids.insert(id.join("-")), "{target} has the id of another requirement");
    }
}

#[test]
fn specification_conformance_names_tests_that_exist() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/conformance.md"))
        .expect("it is there");
    let sources: Vec<File> =
        ["src", "tests", "model/tests"].iter().flat_map(|folder| files(folder, ".rs")).collect();
    let named: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    assert!(named.len() > 50, "the table was not found");
    for test in named {
        let definition = format!("fn {test}(");
        assert!(sources.iter().any(|(_, source)| source.contains(&definition)), "there is no test {test}");
    }
}

/// An example in which `%` stands for the comment's slashes, so that it is no citation of this file.
fn example(path: &str, text: &str) -> File {
    (path.into(), text.replace('%', "//"))
}

const DOCUMENT: &str = "# A\n\n### A-1 Be good\n\nIt MUST be\ngood.\n\nWhy not?\n";
const CODE: &str = "%= spec/a.md#a-1-be-good\n%# It MUST\n%# be good.\n";
const TEST: &str = "%= spec/a.md#a-1-be-good\n%= type=test\n%# It MUST be good.\n";

fn problems_of(code: &str, test: &str) -> Vec<String> {
    problems(&[example("spec/a.md", DOCUMENT)], &[example("src/a.rs", code), example("src/b.rs", test)])
}

#[test]
fn specification_check_accepts_what_is_complete_and_finds_what_is_missing() {
    assert_eq!(problems_of(CODE, TEST), Vec::<String>::new());
    assert_eq!(problems_of(CODE, ""), ["no test checks spec/a.md#a-1-be-good"]);
    assert_eq!(problems_of("", TEST), ["no code keeps spec/a.md#a-1-be-good"]);
}

#[test]
fn specification_check_finds_wrong_quotes_and_targets() {
    let misquoted = problems_of(&CODE.replace("good.", "bad."), TEST);
    assert!(misquoted[0].contains("quotes `It MUST be bad.`"), "{misquoted:?}");
    let unknown = problems_of(&format!("{CODE}%= spec/a.md#a-2\n%# No.\n"), TEST);
    assert_eq!(unknown, ["src/a.rs cites spec/a.md#a-2, which does not exist"]);
}

#[test]
fn specification_check_takes_a_citation_outside_the_sources_for_a_test() {
    let found = problems(
        &[example("spec/a.md", DOCUMENT)],
        &[example("src/a.rs", CODE), example("model/src/a.rs", CODE)],
    );
    assert!(found.is_empty(), "{found:?}");
}
