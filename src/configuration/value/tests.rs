use super::*;
use proptest::prelude::*;

#[test]
fn values_with_units_are_what_flink_reads() {
    for (text, bytes) in [
        ("0", 0),
        ("7", 7),
        ("64mb", 64 << 20),
        ("64 MB", 64 << 20),
        (" 1 kb ", 1024),
        ("2g", 2 << 30),
        ("3 mebibytes", 3 << 20),
    ] {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
    for (text, expected) in [
        ("30 d", 30 * 86_400_000),
        ("0", 0),
        ("200", 200),
        ("10min", 600_000),
        ("10 minutes", 600_000),
        ("1 h", 3_600_000),
        ("5 s", 5_000),
        ("3ms", 3),
    ] {
        assert_eq!(millis(text), Ok(expected), "{text}");
    }
    for wrong in ["", "mb", "-1", "1.5mb", "1 parsec", "99999999999999999999", "99999999999tb", "5 µs"] {
        assert!(size(wrong).is_err() && millis(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn values_out_of_their_range_are_refused() {
    assert_eq!(at_least(1, "2"), Ok(2));
    assert!(at_least(1, "0").is_err() && at_least(1, "x").is_err() && at_least(1, "99999999999").is_err());
    assert_eq!(between(0_u64, u64::MAX, "18446744073709551615"), Ok(u64::MAX));
    assert_eq!(between(1_u64, 3, "4"), Err("it must be a whole number from 1 to 3".to_owned()));
    assert_eq!(ratio("0.5"), Ok(0.5));
    assert!(ratio("1.1").is_err() && ratio("NaN").is_err() && ratio("-0.1").is_err());
    assert_eq!((truth("true"), truth(" False ")), (Ok(true), Ok(false)));
    assert!(truth("yes").is_err());
}

#[test]
fn values_that_are_names_are_read_as_people_write_them() {
    let all = [("LEVEL", 1), ("EXACTLY_ONCE", 2)];
    assert_eq!((one_of(&all, "level"), one_of(&all, " exactly-once ")), (Ok(1), Ok(2)));
    assert_eq!(one_of(&all, "x"), Err("it must be one of LEVEL, EXACTLY_ONCE".to_owned()));
}

/// Texts that are numbers with a unit, or almost.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["-?[0-9]{0,21}[.]?[0-9]? ?[a-zA-Zµ]{0,4}", ".{0,24}"]
}

proptest! {
    #[test]
    fn values_of_any_text_are_read_or_refused_without_a_panic(text in text(), number: u64) {
        let is_number = text.trim().starts_with(|c: char| c.is_ascii_digit());
        prop_assert!(is_number || (size(&text).is_err() && millis(&text).is_err()));
        prop_assert!(ratio(&text).map_or(true, |ratio| (0.0..=1.0).contains(&ratio)));
        prop_assert!(between(3_u64, 900, &text).map_or(true, |number| (3..=900).contains(&number)));
        let is_truth = ["true", "false"].contains(&text.trim().to_ascii_lowercase().as_str());
        prop_assert_eq!(truth(&text).is_ok(), is_truth);
        prop_assert_eq!(millis(&format!("{number} ms")), Ok(number));
        prop_assert_eq!(size(&format!("{}kb", number >> 10)), Ok(number >> 10 << 10));
    }
}
