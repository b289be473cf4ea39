use super::Click;
use crate::input::timestamp;
use std::str::FromStr;

impl FromStr for Click {
    type Err = String;

    /// Reads a line of a log file: time, user and action, with white space between them. The time is in milliseconds since
    /// the epoch, or like `2026-01-01T12:00:00Z`.
    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [time, user, action] = words[..] else {
            return Err(format!("a line has a time, a user and an action, not {} words", words.len()));
        };
        Ok(Click { timestamp: timestamp(time)?, user: user.into(), action: action.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::ClickGenerator;
    use super::*;
    use crate::input::{Crowd, Generator};

    #[test]
    fn clicks_are_read_as_they_are_written() {
        for number in 0..100 {
            let click = ClickGenerator::new(Crowd::new(1, 50, 100)).event(number);
            assert_eq!(click.to_string().parse(), Ok(click));
        }
    }

    #[test]
    fn clicks_are_read_with_either_form_of_time() {
        let expected = Click { timestamp: 1_767_268_800_250, user: "a".into(), action: "view".into() };
        assert_eq!("2026-01-01T12:00:00.250Z a  view".parse(), Ok(expected.clone()));
        assert_eq!("1767268800250\ta\tview\r".parse(), Ok(expected));
    }

    #[test]
    fn clicks_that_cannot_be_read_say_why() {
        let problem = |line: &str| line.parse::<Click>().expect_err(line);
        assert!(problem("").contains("not 0 words"));
        assert!(problem("1 a").contains("not 2 words"));
        assert!(problem("1 a view more").contains("not 4 words"));
        assert!(problem("yesterday a view").contains("`yesterday` is no time"));
    }
}
