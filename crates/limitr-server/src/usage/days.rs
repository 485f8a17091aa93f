//! Days in UTC, as the database counts them and as people write them.

use jiff::civil::{Date, date};
use jiff::{ToSpan as _, Unit};

use crate::http::problem::Problem;

const FIRST: Date = date(1970, 1, 1);

/// Days since 1970 of a day written as `2026-01-31`.
pub(super) fn number(parameter: &'static str, text: &str) -> Result<i64, Problem> {
    let day = text.parse::<Date>().ok().filter(|day| day.to_string() == text);
    let days = day.and_then(|day| FIRST.until((Unit::Day, day)).ok());
    days.map(|span| i64::from(span.get_days())).ok_or_else(|| {
        Problem::new(axum::http::StatusCode::BAD_REQUEST, "invalid_parameter", format!("`{text}` is no day"))
            .at(parameter)
            .hint("write it as `2026-01-31`")
    })
}

/// The day with this number of days since 1970; none where the calendar ends.
pub(super) fn text(number: i64) -> Option<String> {
    let span = 0.days().try_days(number).ok()?;
    FIRST.checked_add(span).ok().map(|day| day.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_and_read() {
        for (days, written) in [(0, "1970-01-01"), (20_468, "2026-01-15"), (-1, "1969-12-31"), (19_782, "2024-02-29")] {
            assert_eq!(text(days).unwrap(), written);
            assert_eq!(number("from", written).unwrap(), days);
        }
        assert_eq!(text(i64::MAX), None);
        for wrong in ["", "2026-1-5", "2026-02-30", "2026-01-15T00:00:00", "yesterday"] {
            assert!(number("from", wrong).is_err(), "{wrong}");
        }
    }
}
