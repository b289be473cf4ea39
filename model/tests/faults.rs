//! The models find every bug that is planted in them, and `spec/faults.md` says so.

use snapline_model::check::{FaultReport, faults};
use std::collections::BTreeSet;
use std::path::Path;

/// What `spec/faults.md` says: each planted bug, and the property that finds it.
fn documented() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/faults.md");
    #[expect(clippy::disallowed_methods, reason = "the test reads a document")]
    let text = String::from_utf8(std::fs::read(path).expect("it is there")).expect("it is text");
    let rows = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("| `")?;
        let (planted, found_by) = rest.split_once("` | ")?;
        Some((planted.to_owned(), found_by.trim_end_matches(" |").to_owned()))
    });
    rows.collect()
}

fn measured(report: &FaultReport) -> (String, String) {
    let property = report.property.unwrap_or("NOT FOUND");
    (format!("{} {}", report.model, report.fault), property.to_owned())
}

#[test]
fn faults_each_planted_one_is_found_and_documented() {
    let reports = faults(&mut |_| {});
    let found: String = reports
        .iter()
        .map(|report| {
            let (planted, property) = measured(report);
            format!("{planted} ({}): {property}, {} steps\n", report.source, report.steps)
        })
        .collect();
    insta::assert_snapshot!(found);
    assert!(reports.iter().all(|report| report.property.is_some()));
    let late = reports.iter().find(|report| report.fault == "PointerOverwritten").expect("it is planted");
    insta::assert_snapshot!(late.path.join("\n"));
    let documented = documented();
    assert_eq!(documented.len(), reports.len(), "each stands in the tables once");
    let planted: BTreeSet<_> = reports.iter().map(measured).collect();
    assert_eq!(documented.into_iter().collect::<BTreeSet<_>>(), planted);
}
