//! The models find every bug that is planted in them.

use snapline_model::check::faults;

#[test]
fn faults_each_planted_one_is_found() {
    let reports = faults(&mut |_| {});
    let found: String = reports
        .iter()
        .map(|report| {
            let property = report.property.unwrap_or("NOT FOUND");
            format!(
                "{} {} ({}): {property}, {} steps\n",
                report.model, report.fault, report.source, report.steps
            )
        })
        .collect();
    insta::assert_snapshot!(found);
    assert!(reports.iter().all(|report| report.property.is_some()));
    let late = reports.iter().find(|report| report.fault == "PointerOverwritten").expect("it is planted");
    insta::assert_snapshot!(late.path.join("\n"));
}
