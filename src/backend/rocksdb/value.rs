//! The values of options, as they stand in a configuration.

use std::str::FromStr;

/// What follows a number, and what it is worth.
type Units = &'static [(&'static str, u64)];

const SIZES: Units = &[
    ("", 1),
    ("b", 1),
    ("bytes", 1),
    ("k", 1 << 10),
    ("kb", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1 << 30),
    ("t", 1 << 40),
    ("tb", 1 << 40),
];

const DURATIONS: Units = &[
    ("", 1),
    ("ms", 1),
    ("s", 1_000),
    ("sec", 1_000),
    ("min", 60_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// A number of bytes, such as `64mb` (Flink: `MemorySize`).
pub(super) fn size(text: &str) -> Result<u64, String> {
    with_unit(text, SIZES).ok_or_else(|| "it must be a number of bytes, such as 64mb".to_owned())
}

/// A duration in milliseconds, such as `30 d` (Flink: `Duration`).
pub(super) fn millis(text: &str) -> Result<u64, String> {
    with_unit(text, DURATIONS).ok_or_else(|| "it must be a duration, such as 30 d".to_owned())
}

fn with_unit(text: &str, units: Units) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = text[digits..].trim().to_ascii_lowercase();
    let (_, worth) = units.iter().find(|(name, _)| *name == unit)?;
    text[..digits].parse::<u64>().ok()?.checked_mul(*worth)
}

/// A whole number from `least` on.
pub(super) fn at_least(least: i32, text: &str) -> Result<i32, String> {
    between(least, i32::MAX, text)
}

/// A whole number from `least` to `most`.
pub(super) fn between(least: i32, most: i32, text: &str) -> Result<i32, String> {
    let number = i32::from_str(text.trim()).ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("it must be a whole number from {least} to {most}"))
}

pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text.trim() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it must be true or false".to_owned()),
    }
}

/// A number from 0 to 1.
pub(super) fn ratio(text: &str) -> Result<f64, String> {
    let number = f64::from_str(text.trim()).ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "it must be a number from 0 to 1".to_owned())
}

/// One of several names.
pub(super) fn one_of<T: Copy>(all: &[(&str, T)], text: &str) -> Result<T, String> {
    let found = all.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim()));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        format!("it must be one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_units_are_what_flink_reads() {
        for (text, bytes) in
            [("0", 0), ("7", 7), ("64mb", 64 << 20), ("64 MB", 64 << 20), (" 1 kb ", 1024), ("2g", 2 << 30)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, expected) in
            [("30 d", 30 * 86_400_000), ("0", 0), ("10min", 600_000), ("5 s", 5_000), ("3ms", 3)]
        {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
        for wrong in ["", "mb", "-1", "1.5mb", "1 parsec", "99999999999999999999", "99999999999tb"] {
            assert!(size(wrong).is_err() && millis(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_out_of_their_range_are_refused() {
        assert_eq!(at_least(1, "2"), Ok(2));
        assert!(
            at_least(1, "0").is_err() && at_least(1, "x").is_err() && at_least(1, "99999999999").is_err()
        );
        assert_eq!(ratio("0.5"), Ok(0.5));
        assert!(ratio("1.1").is_err() && ratio("NaN").is_err() && ratio("-0.1").is_err());
        assert_eq!((truth("true"), truth(" false ")), (Ok(true), Ok(false)));
        assert!(truth("yes").is_err());
        let all = [("LEVEL", 1), ("NONE", 2)];
        assert_eq!(one_of(&all, "none"), Ok(2));
        assert_eq!(one_of(&all, "x"), Err("it must be one of LEVEL, NONE".to_owned()));
    }
}
