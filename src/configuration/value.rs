//! The values of options, as they stand in a configuration.

use std::str::FromStr;

/// What follows a number, and what it is worth.
type Units = &'static [(&'static [&'static str], u64)];

const SIZES: Units = &[
    (&["", "b", "bytes"], 1),
    (&["k", "kb", "kibibytes"], 1 << 10),
    (&["m", "mb", "mebibytes"], 1 << 20),
    (&["g", "gb", "gibibytes"], 1 << 30),
    (&["t", "tb", "tebibytes"], 1 << 40),
];

const DURATIONS: Units = &[
    (&["", "ms", "milli", "millis", "millisecond", "milliseconds"], 1),
    (&["s", "sec", "secs", "second", "seconds"], 1_000),
    (&["m", "min", "minute", "minutes"], 60_000),
    (&["h", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
];

/// A number of bytes, such as `64mb` (Flink: `MemorySize`).
pub(crate) fn size(text: &str) -> Result<u64, String> {
    with_unit(text, SIZES).ok_or_else(|| "it must be a number of bytes, such as 64mb".to_owned())
}

/// A duration in milliseconds, such as `30 d` (Flink: `Duration`).
pub(crate) fn millis(text: &str) -> Result<u64, String> {
    with_unit(text, DURATIONS)
        .ok_or_else(|| "it must be a duration in whole milliseconds, such as 200ms or 30 d".to_owned())
}

fn with_unit(text: &str, units: Units) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = text[digits..].trim().to_ascii_lowercase();
    let (_, worth) = units.iter().find(|(names, _)| names.contains(&unit.as_str()))?;
    text[..digits].parse::<u64>().ok()?.checked_mul(*worth)
}

/// A whole number from `least` on.
#[cfg(any(feature = "rocksdb", test))]
pub(crate) fn at_least(least: i32, text: &str) -> Result<i32, String> {
    between(least, i32::MAX, text)
}

/// A whole number from `least` to `most`.
pub(crate) fn between<N>(least: N, most: N, text: &str) -> Result<N, String>
where
    N: FromStr + PartialOrd + std::fmt::Display,
{
    let number = N::from_str(text.trim()).ok().filter(|number| (&least..=&most).contains(&number));
    number.ok_or_else(|| format!("it must be a whole number from {least} to {most}"))
}

pub(crate) fn truth(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it must be true or false".to_owned()),
    }
}

/// A number from 0 to 1.
#[cfg(any(feature = "rocksdb", test))]
pub(crate) fn ratio(text: &str) -> Result<f64, String> {
    let number = f64::from_str(text.trim()).ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "it must be a number from 0 to 1".to_owned())
}

/// One of several names. `-` is taken for `_`, and small letters for large ones.
pub(crate) fn one_of<T: Copy>(all: &[(&str, T)], text: &str) -> Result<T, String> {
    let found = all.iter().find(|(name, _)| is_same_name(name, text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        format!("it must be one of {}", names.join(", "))
    })
}

/// Whether `text` is how somebody writes `name`.
pub(crate) fn is_same_name(name: &str, text: &str) -> bool {
    let plain = |name: &str| name.trim().replace('-', "_").to_ascii_lowercase();
    plain(name) == plain(text)
}

#[cfg(test)]
mod tests;
