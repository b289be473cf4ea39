use snapline::runtime::file::LineAt;
use snapline::runtime::{Collector, Unrecoverable, UserError};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::str::FromStr;
use std::time::UNIX_EPOCH;

/// Emits what stands in a line. Empty lines and those that begin with `#` are passed over.
pub fn parse<T: FromStr<Err = String>>(
    line: &[u8],
    at: LineAt<'_>,
    out: &mut dyn Collector<T>,
) -> Result<(), UserError> {
    let wrong = |what| Unrecoverable(format!("{}: {what}", place(at)));
    let text = std::str::from_utf8(line).map_err(|error| wrong(error.to_string()))?.trim();
    if !text.is_empty() && !text.starts_with('#') {
        out.collect(text.parse().map_err(wrong)?);
    }
    Ok(())
}

/// The file and the number of the line.
fn place(at: LineAt<'_>) -> String {
    let path = at.path.display();
    match line_number(at) {
        Ok(number) => format!("{path}:{number}"),
        Err(_) => format!("{path} at byte {}", at.offset),
    }
}

/// A source knows at which byte it is, and counts lines only for those who want to know.
fn line_number(at: LineAt<'_>) -> io::Result<u64> {
    let before = BufReader::new(File::open(at.path)?.take(at.offset));
    before.split(b'\n').try_fold(1, |number, line| line.map(|_| number + 1))
}

/// Reads a time: milliseconds since the epoch, or one like `2026-01-01T12:00:00Z`.
pub fn timestamp(text: &str) -> Result<i64, String> {
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    let wrong =
        || format!("`{text}` is no time: write milliseconds since 1970, or a time like 2026-01-01T12:00:00Z");
    let time = humantime::parse_rfc3339(text).map_err(|_| wrong())?;
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| wrong())?;
    i64::try_from(since.as_millis()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    struct Seen(Vec<i64>);

    struct Number(i64);

    impl FromStr for Number {
        type Err = String;

        fn from_str(text: &str) -> Result<Self, String> {
            text.parse().map(Number).map_err(|_| format!("`{text}` is no number"))
        }
    }

    impl Collector<Number> for Seen {
        fn collect(&mut self, Number(number): Number) {
            self.0.push(number);
        }
    }

    fn read(path: &Path, content: &[u8]) -> Result<Vec<i64>, String> {
        std::fs::write(path, content).unwrap();
        let (mut seen, mut offset) = (Seen(Vec::new()), 0);
        for line in content.split(|byte| *byte == b'\n') {
            parse::<Number>(line, LineAt { path, offset }, &mut seen).map_err(|error| error.to_string())?;
            offset += line.len() as u64 + 1;
        }
        Ok(seen.0)
    }

    #[test]
    fn lines_that_are_empty_or_begin_with_a_hash_say_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers");
        assert_eq!(read(&path, b"# numbers\n1\n\n  \n #2\n 3\r\n"), Ok(vec![1, 3]));
    }

    #[test]
    fn lines_that_cannot_be_read_are_named_with_their_file_and_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers");
        let named = |number: u32, what: &str| Err(format!("{}:{number}: {what}", path.display()));
        assert_eq!(read(&path, b"one\n2"), named(1, "`one` is no number"));
        assert_eq!(read(&path, b"1\n\n3\nfour\n"), named(4, "`four` is no number"));
        let problem = read(&path, b"1\n\xff\n").unwrap_err();
        assert!(problem.contains("numbers:2: invalid utf-8"), "{problem}");
    }

    #[test]
    fn lines_of_a_file_that_has_gone_are_named_with_their_byte() {
        let at = LineAt { path: Path::new("no/such/file"), offset: 7 };
        let problem = parse::<Number>(b"one", at, &mut Seen(Vec::new())).unwrap_err();
        assert_eq!(problem.to_string(), "no/such/file at byte 7: `one` is no number");
    }

    #[test]
    fn timestamps_are_read_in_either_form() {
        assert_eq!(timestamp("2026-01-01T12:00:00.250Z"), Ok(1_767_268_800_250));
        assert_eq!((timestamp("1767268800250"), timestamp("-5")), (Ok(1_767_268_800_250), Ok(-5)));
        for time in ["yesterday", "1.5", "99999999999999999999", "2026-13-01T00:00:00Z"] {
            assert!(timestamp(time).unwrap_err().contains(time), "{time}");
        }
    }
}
