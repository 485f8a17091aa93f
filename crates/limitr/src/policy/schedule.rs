//! Calendar schedules: when a period begins, at UTC midnight.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::Offset;
use serde::{Serialize, Serializer};

/// A calendar schedule. Days past the end of a month mean its last day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Schedule {
    /// `monthly:N`: on this day of every month.
    Monthly {
        /// 1 to 31.
        day: i8,
    },
    /// `monthly:last`: on the last day of every month.
    MonthlyLast,
    /// `weekly:mon`: on this day of every week.
    Weekly {
        /// The day.
        weekday: Weekday,
    },
    /// `nth_weekday:N:mon`: on the Nth such weekday of every month.
    NthWeekday {
        /// 1 to 4.
        nth: i8,
        /// The day.
        weekday: Weekday,
    },
    /// `yearly:M-D`: on this date of every year.
    Yearly {
        /// 1 to 12.
        month: i8,
        /// 1 to 31.
        day: i8,
    },
    /// `quarterly:D`: on this day of January, April, July and October.
    Quarterly {
        /// 1 to 31.
        day: i8,
    },
}

/// Text that is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a schedule; a schedule is {FORMS}")]
pub struct ScheduleError(pub(crate) String);

/// What can be written, for messages.
pub(crate) const FORMS: &str = "`monthly:N` (1 to 31), `monthly:last`, `weekly:mon`, `nth_weekday:N:mon` (1 to 4), \
                                `yearly:M-D` or `quarterly:D`";

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl Schedule {
    /// The latest boundary at or before `now_ms` (Unix milliseconds): the start of the period that holds it.
    ///
    /// None outside the calendar's range, years -9999 to 9999.
    #[must_use]
    pub fn period_start(self, now_ms: i64) -> Option<i64> {
        let date = date(now_ms)?;
        let cycle = self.cycle(date);
        let this = self.boundary(cycle, date)?;
        if this <= date { midnight(this) } else { midnight(self.boundary(cycle - 1, date)?) }
    }

    /// The first boundary after `now_ms` (Unix milliseconds): the end of the period that holds it.
    ///
    /// None outside the calendar's range, years -9999 to 9999.
    #[must_use]
    pub fn next_boundary(self, now_ms: i64) -> Option<i64> {
        let date = date(now_ms)?;
        let cycle = self.cycle(date);
        let this = self.boundary(cycle, date)?;
        if this > date { midnight(this) } else { midnight(self.boundary(cycle + 1, date)?) }
    }

    /// The number of the calendar cycle (month, quarter, year) that `date` lies in. Weeks are counted from `date` itself.
    fn cycle(self, date: Date) -> i32 {
        let (year, month) = (i32::from(date.year()), i32::from(date.month()) - 1);
        match self {
            Self::Monthly { .. } | Self::MonthlyLast | Self::NthWeekday { .. } => year * 12 + month,
            Self::Quarterly { .. } => year * 4 + month / 3,
            Self::Yearly { .. } => year,
            Self::Weekly { .. } => 0,
        }
    }

    /// The one boundary in cycle number `cycle`.
    fn boundary(self, cycle: i32, date: Date) -> Option<Date> {
        match self {
            Self::Monthly { day } => clamped(cycle, day),
            Self::MonthlyLast => clamped(cycle, 31),
            Self::NthWeekday { nth, weekday } => clamped(cycle, 1)?.nth_weekday_of_month(nth, weekday).ok(),
            Self::Quarterly { day } => clamped(cycle * 3, day),
            Self::Yearly { month, day } => clamped(cycle * 12 + i32::from(month) - 1, day),
            Self::Weekly { weekday } => {
                let since = i64::from(date.weekday().since(weekday));
                date.checked_add(jiff::SignedDuration::from_hours((i64::from(cycle) * 7 - since) * 24)).ok()
            }
        }
    }
}

/// Day `day`, or the last one, of the month that is `months` after January of year 0.
fn clamped(months: i32, day: i8) -> Option<Date> {
    let year = i16::try_from(months.div_euclid(12)).ok()?;
    let month = i8::try_from(months.rem_euclid(12) + 1).ok()?;
    let first = Date::new(year, month, 1).ok()?;
    if day == 1 { Some(first) } else { Date::new(year, month, day.min(first.days_in_month())).ok() }
}

fn date(now_ms: i64) -> Option<Date> {
    Timestamp::from_millisecond(now_ms).ok().map(|now| Offset::UTC.to_datetime(now).date())
}

fn midnight(date: Date) -> Option<i64> {
    Offset::UTC.to_timestamp(date.to_datetime(Time::midnight())).ok().map(Timestamp::as_millisecond)
}

fn day_name(weekday: Weekday) -> &'static str {
    WEEKDAYS.iter().find(|(_, known)| *known == weekday).map_or("mon", |(name, _)| name)
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        parse(text.trim()).ok_or_else(|| ScheduleError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Schedule> {
    let (kind, rest) = text.split_once(':')?;
    let weekday = |text: &str| WEEKDAYS.iter().find(|(name, _)| *name == text).map(|(_, weekday)| *weekday);
    Some(match kind {
        "monthly" if rest == "last" => Schedule::MonthlyLast,
        "monthly" => Schedule::Monthly { day: number(rest, 31)? },
        "weekly" => Schedule::Weekly { weekday: weekday(rest)? },
        "nth_weekday" => {
            let (nth, day) = rest.split_once(':')?;
            Schedule::NthWeekday { nth: number(nth, 4)?, weekday: weekday(day)? }
        }
        "yearly" => {
            let (month, day) = rest.split_once('-')?;
            let month = number(month, 12)?;
            // A date that no year has (2-30, 4-31) is a mistake; 2-29 is not, and means the 28th in common years.
            let longest = clamped(2000 * 12 + i32::from(month) - 1, 31)?.day();
            Schedule::Yearly { month, day: number(day, longest)? }
        }
        "quarterly" => Schedule::Quarterly { day: number(rest, 31)? },
        _ => return None,
    })
}

/// A number of 1 to `most`, digits only.
fn number(text: &str, most: i8) -> Option<i8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && (1..=most).contains(number))
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Monthly { day } => write!(f, "monthly:{day}"),
            Self::MonthlyLast => f.write_str("monthly:last"),
            Self::Weekly { weekday } => write!(f, "weekly:{}", day_name(*weekday)),
            Self::NthWeekday { nth, weekday } => write!(f, "nth_weekday:{nth}:{}", day_name(*weekday)),
            Self::Yearly { month, day } => write!(f, "yearly:{month}-{day}"),
            Self::Quarterly { day } => write!(f, "quarterly:{day}"),
        }
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn every_form_reads_back() {
        for text in [
            "monthly:1",
            "monthly:31",
            "monthly:last",
            "weekly:sun",
            "nth_weekday:4:fri",
            "yearly:2-29",
            "yearly:12-31",
            "quarterly:15",
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "monthly",
            "monthly:",
            "monthly:0",
            "monthly:32",
            "monthly:+1",
            "monthly:1.5",
            "monthly:99999999999",
            "weekly:funday",
            "weekly:monday",
            "nth_weekday:5:mon",
            "nth_weekday:1",
            "yearly:13-1",
            "yearly:2-30",
            "yearly:4-31",
            "yearly:1",
            "quarterly:0",
            "hourly:1",
        ] {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not a schedule; a schedule is `monthly:N`")), "{error}");
        }
    }

    #[test]
    fn known_boundaries() {
        for (schedule, now, start, next) in [
            ("monthly:1", "2025-03-01T00:00:00Z", "2025-03-01T00:00:00Z", "2025-04-01T00:00:00Z"),
            ("monthly:1", "2025-02-28T23:59:59.999Z", "2025-02-01T00:00:00Z", "2025-03-01T00:00:00Z"),
            ("monthly:31", "2025-02-28T00:00:00Z", "2025-02-28T00:00:00Z", "2025-03-31T00:00:00Z"),
            ("monthly:30", "2024-02-28T12:00:00Z", "2024-01-30T00:00:00Z", "2024-02-29T00:00:00Z"),
            ("monthly:last", "2025-04-29T12:00:00Z", "2025-03-31T00:00:00Z", "2025-04-30T00:00:00Z"),
            ("weekly:mon", "2025-06-01T12:00:00Z", "2025-05-26T00:00:00Z", "2025-06-02T00:00:00Z"),
            ("weekly:sun", "2025-06-01T00:00:00Z", "2025-06-01T00:00:00Z", "2025-06-08T00:00:00Z"),
            ("nth_weekday:2:tue", "2025-07-08T00:00:00Z", "2025-07-08T00:00:00Z", "2025-08-12T00:00:00Z"),
            ("nth_weekday:2:tue", "2025-07-07T00:00:00Z", "2025-06-10T00:00:00Z", "2025-07-08T00:00:00Z"),
            ("yearly:2-29", "2025-03-01T00:00:00Z", "2025-02-28T00:00:00Z", "2026-02-28T00:00:00Z"),
            ("yearly:2-29", "2024-02-28T12:00:00Z", "2023-02-28T00:00:00Z", "2024-02-29T00:00:00Z"),
            ("quarterly:31", "2025-04-30T00:00:00Z", "2025-04-30T00:00:00Z", "2025-07-31T00:00:00Z"),
            ("quarterly:15", "2025-01-14T00:00:00Z", "2024-10-15T00:00:00Z", "2025-01-15T00:00:00Z"),
            ("monthly:15", "1969-12-31T23:59:59.999Z", "1969-12-15T00:00:00Z", "1970-01-15T00:00:00Z"),
        ] {
            let parsed: Schedule = schedule.parse().unwrap();
            assert_eq!(parsed.period_start(ms(now)), Some(ms(start)), "{schedule} start at {now}");
            assert_eq!(parsed.next_boundary(ms(now)), Some(ms(next)), "{schedule} next after {now}");
        }
    }

    #[test]
    fn outside_the_calendar_there_is_none() {
        let schedule: Schedule = "yearly:12-31".parse().unwrap();
        for now in [i64::MIN, i64::MAX, -400_000_000_000_000, 400_000_000_000_000] {
            assert_eq!(schedule.period_start(now), None);
            assert_eq!(schedule.next_boundary(now), None);
        }
    }

    fn schedules() -> impl Strategy<Value = Schedule> {
        let weekday = || (0..7usize).prop_map(|index| WEEKDAYS[index].1);
        prop_oneof![
            (1i8..=31).prop_map(|day| Schedule::Monthly { day }),
            Just(Schedule::MonthlyLast),
            weekday().prop_map(|weekday| Schedule::Weekly { weekday }),
            (1i8..=4, weekday()).prop_map(|(nth, weekday)| Schedule::NthWeekday { nth, weekday }),
            (1i8..=12, 1i8..=31).prop_map(|(month, day)| Schedule::Yearly { month, day }),
            (1i8..=31).prop_map(|day| Schedule::Quarterly { day }),
        ]
    }

    proptest! {
        #[test]
        fn the_period_holds_now(schedule in schedules(), now in -60_000_000_000_000i64..250_000_000_000_000) {
            let start = schedule.period_start(now).unwrap();
            let next = schedule.next_boundary(now).unwrap();
            prop_assert!(start <= now && now < next);
            prop_assert_eq!(start.rem_euclid(86_400_000), 0);
            prop_assert_eq!(schedule.period_start(next), Some(next));
            prop_assert_eq!(schedule.next_boundary(next - 1), Some(next));
            prop_assert_eq!(schedule.next_boundary(start), Some(next));
            prop_assert_eq!(schedule.period_start(next - 1), Some(start));
        }

        #[test]
        fn any_instant_is_answered(schedule in schedules(), now: i64) {
            let _ = (schedule.period_start(now), schedule.next_boundary(now));
        }

        #[test]
        fn any_text_is_answered(text in ".*") {
            let _ = text.parse::<Schedule>();
        }
    }
}
