//! UTC calendar schedules, walked day by day.

const DAY: i64 = 86_400_000;

/// Year, month 1..12, day 1..31 and weekday (0 = Monday) of a day counted from 1970-01-01.
struct Date {
    year: i64,
    month: i64,
    day: i64,
    weekday: i64,
}

fn leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn date(days: i64) -> Date {
    let (mut year, mut rest) = (1970, days);
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if rest < 0 {
            year -= 1;
            rest += if leap(year) { 366 } else { 365 };
        } else if rest >= length {
            rest -= length;
            year += 1;
        } else {
            break;
        }
    }
    let mut month = 1;
    while rest >= month_length(year, month) {
        rest -= month_length(year, month);
        month += 1;
    }
    // 1970-01-01 was a Thursday.
    Date { year, month, day: rest + 1, weekday: (days + 3).rem_euclid(7) }
}

fn weekday(name: &str) -> Option<i64> {
    let prefix: String = name.to_lowercase().chars().take(3).collect();
    ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().position(|known| *known == prefix).map(|at| at as i64)
}

/// Does a period of the schedule begin at midnight of this day?
fn begins(schedule: &str, days: i64) -> bool {
    let date = date(days);
    let length = month_length(date.year, date.month);
    let parts: Vec<&str> = schedule.split(':').collect();
    let day_number = |text: &str| text.parse::<i64>().ok().map(|n| n.min(length));
    match parts.as_slice() {
        ["monthly", "last"] => date.day == length,
        ["monthly", day] => day_number(day) == Some(date.day),
        ["weekly", name] => weekday(name) == Some(date.weekday),
        ["nth_weekday", nth, name] => weekday(name) == Some(date.weekday) && nth.parse() == Ok((date.day - 1) / 7 + 1),
        ["quarterly", day] => date.month % 3 == 1 && day_number(day) == Some(date.day),
        ["yearly", month_day] => match month_day.split_once('-') {
            Some((month, day)) => month.parse() == Ok(date.month) && day_number(day) == Some(date.day),
            None => false,
        },
        _ => false,
    }
}

/// Start of the calendar period that holds `now`.
pub fn period_start(schedule: &str, now: i64) -> i64 {
    let mut days = now.div_euclid(DAY);
    for _ in 0..800 {
        if begins(schedule, days) {
            break;
        }
        days -= 1;
    }
    days * DAY
}

/// Start of the calendar period after the one that holds `now`.
pub fn next_start(schedule: &str, now: i64) -> i64 {
    let mut days = now.div_euclid(DAY) + 1;
    for _ in 0..800 {
        if begins(schedule, days) {
            break;
        }
        days += 1;
    }
    days * DAY
}
