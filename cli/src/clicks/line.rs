use super::{Click, User};
use std::str::FromStr;
use std::time::UNIX_EPOCH;

impl FromStr for Click {
    type Err = String;

    /// Reads a line of a log file: time, user and action, with white space between them. The time is in milliseconds since
    /// the epoch, or like `2026-01-01T12:00:00Z`.
    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [time, user, action] = words[..] else {
            return Err(format!("a line has a time, a user and an action, not {} words", words.len()));
        };
        Ok(Click { timestamp: timestamp(time)?, user: User(user.into()), action: action.into() })
    }
}

fn timestamp(text: &str) -> Result<i64, String> {
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
    use super::super::ClickGenerator;
    use super::*;

    #[test]
    fn clicks_are_read_as_they_are_written() {
        for number in 0..100 {
            let click = ClickGenerator::new(1, 50, 100).click(number);
            assert_eq!(click.to_string().parse(), Ok(click));
        }
    }

    #[test]
    fn clicks_are_read_with_either_form_of_time() {
        let expected = Click { timestamp: 1_767_268_800_250, user: User("a".into()), action: "view".into() };
        assert_eq!("2026-01-01T12:00:00.250Z a  view".parse(), Ok(expected.clone()));
        assert_eq!("1767268800250\ta\tview\r".parse(), Ok(expected));
        assert_eq!("-5 a view".parse::<Click>().map(|click| click.timestamp), Ok(-5));
    }

    #[test]
    fn clicks_that_cannot_be_read_say_why() {
        let problem = |line: &str| line.parse::<Click>().expect_err(line);
        assert!(problem("").contains("not 0 words"));
        assert!(problem("1 a").contains("not 2 words"));
        assert!(problem("1 a view more").contains("not 4 words"));
        for time in ["yesterday", "1.5", "99999999999999999999", "2026-13-01T00:00:00Z"] {
            assert!(problem(&format!("{time} a view")).contains(time), "{time}");
        }
    }
}
