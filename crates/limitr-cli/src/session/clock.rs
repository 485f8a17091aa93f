//! The session's clock: the system's until a step sets or advances it, then simulated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use limitr::policy::parse_duration;
use limitr::{Clock, ManualClock, SystemClock};
use serde_json::Value;

use super::{StepError, shown};

/// Shows the system's time until it is set or advanced, from then on only what it is set to. Clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct SessionClock {
    simulated: Arc<AtomicBool>,
    manual: ManualClock,
}

impl Clock for SessionClock {
    fn now(&self) -> i64 {
        if self.simulated.load(Ordering::Relaxed) { self.manual.now() } else { SystemClock.now() }
    }
}

impl SessionClock {
    /// A clock that shows the system's time.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A simulated clock that shows `now`.
    #[must_use]
    pub fn at(now: i64) -> Self {
        let clock = Self::default();
        clock.simulate(now);
        clock
    }

    fn simulate(&self, now: i64) {
        self.manual.set(now);
        self.simulated.store(true, Ordering::Relaxed);
    }

    /// Moves on by a duration and returns the time it is then.
    pub(super) fn advance(&self, duration: &Value) -> Result<i64, StepError> {
        let bad = |why: String| StepError::bad_step(why).hint("a duration is text such as \"1day\", or a number of ms");
        let ms = match duration {
            Value::String(text) => parse_duration(text).map_err(|error| bad(error.to_string()))?,
            Value::Number(number) => {
                whole(number).ok_or_else(|| bad(format!("`{number}` is no whole number of ms")))?
            }
            _ => return Err(bad("`advance` takes a duration".to_owned())),
        };
        if ms < 0 {
            return Err(StepError::bad_step(format!("cannot advance by `{ms}` ms")).hint("`now` sets an earlier time"));
        }
        let now = Clock::now(self).checked_add(ms).ok_or_else(|| bad(format!("`{ms}` ms go past the end of time")))?;
        self.simulate(now);
        Ok(now)
    }

    /// Sets the time and returns it.
    pub(super) fn set(&self, time: &Value) -> Result<i64, StepError> {
        let now = parse_time(time)?;
        self.simulate(now);
        Ok(now)
    }
}

/// A time as ms since 1970: a number of ms, or text such as `2026-01-15T00:00:00Z`.
///
/// # Errors
/// `bad_step` when it is neither.
pub fn parse_time(time: &Value) -> Result<i64, StepError> {
    let bad = |why: String| {
        StepError::bad_step(why).hint("a time is text such as \"2026-01-15T00:00:00Z\", or ms since 1970")
    };
    match time {
        Value::Number(number) => whole(number).ok_or_else(|| bad(format!("`{number}` is no whole number of ms"))),
        Value::String(text) => {
            let parsed: Result<jiff::Timestamp, _> = text.trim().parse();
            parsed.map(jiff::Timestamp::as_millisecond).map_err(|_| bad(format!("`{}` is no time", shown(text))))
        }
        _ => Err(bad("a time is expected".to_owned())),
    }
}

/// Whole numbers, also those that other languages write with a decimal point.
fn whole(number: &serde_json::Number) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.as_i64().or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT)?;
        // Below 2^53 every whole double is a whole i64.
        #[allow(clippy::cast_possible_truncation)]
        Some(float as i64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times() {
        for (time, expected) in [
            (json!("2026-01-15T00:00:00Z"), Some(1_768_435_200_000)),
            (json!("2026-01-15T01:00:00.001+01:00"), Some(1_768_435_200_001)),
            (json!(1_768_435_200_000_i64), Some(1_768_435_200_000)),
            (json!(1_768_435_200_000.0), Some(1_768_435_200_000)),
            (json!(-5), Some(-5)),
            (json!(0.5), None),
            (json!(1e300), None),
            (json!("2026-01-15"), None),
            (json!("soon"), None),
            (json!(null), None),
        ] {
            assert_eq!(parse_time(&time).ok(), expected, "{time}");
        }
    }

    #[test]
    fn advancing() {
        let clock = SessionClock::at(1000);
        assert_eq!(clock.advance(&json!("1s")), Ok(2000));
        assert_eq!(clock.advance(&json!(5)), Ok(2005));
        assert_eq!(Clock::now(&clock.clone()), 2005);
        for bad in [json!("1kg"), json!(-1), json!(i64::MAX), json!(0.1), json!("later"), json!({})] {
            assert!(clock.advance(&bad).is_err(), "{bad}");
        }
        assert_eq!(clock.set(&json!(7)), Ok(7));
    }
}
