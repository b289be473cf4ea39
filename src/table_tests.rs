//! Texts that tests compare with a committed file: the tables of the machines.

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
