//! Numbers, units, durations and schedules: what is read is what is written, and the arithmetic of each holds.

use limitr::Amount;
use limitr::policy::{Measure, Schedule, Unit, parse_duration};

use super::bytes::Bytes;
use super::hostile;

pub(super) fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    while !bytes.is_empty() {
        match bytes.below(4) {
            0 => {
                let text = bytes.text(64);
                number(&text);
                duration(&text);
            }
            1 => {
                let value = hostile::measure(&mut bytes);
                number(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
            2 => schedule(&mut bytes),
            _ => arithmetic(&mut bytes),
        }
    }
}

fn number(text: &str) {
    let measure: Result<Measure, _> = text.parse();
    if let Err(error) = &measure {
        assert!(!error.to_string().is_empty());
    }
    let Ok(measure) = measure else { return };
    amount(measure.amount);
    assert_eq!(measure.to_string().parse::<Measure>().as_ref(), Ok(&measure), "{text:?}");
    let json = serde_json::to_string(&measure).expect("a measure is data");
    let back: Measure = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
    assert_eq!(back, measure, "{text:?} as {json}");
    for unit in Unit::all() {
        let Ok(converted) = measure.in_unit(unit) else { continue };
        amount(converted);
        if let Some(own) = measure.unit
            && own.dimension() == unit.dimension()
        {
            there_and_back(measure.amount, own, unit, converted);
        }
    }
}

/// Into a finer unit and back is where it was, as far as the digits of an amount go.
fn there_and_back(amount: Amount, from: Unit, to: Unit, converted: Amount) {
    let worth = |value| Unit::convert(value, from, to).ok();
    let (Some(zero), Some(one)) = (worth(Amount::ZERO), worth(Amount::ONE)) else { return };
    let finer = one.checked_sub(zero).is_some_and(|factor| factor >= Amount::ONE);
    if !finer {
        return;
    }
    let back = Unit::convert(converted, to, from)
        .unwrap_or_else(|error| panic!("{amount}{from} is {converted}{to}, but back: {error}"));
    let off = (back.to_f64() - amount.to_f64()).abs();
    assert!(off <= 1e-9 * amount.to_f64().abs().max(1.0), "{amount}{from} is {converted}{to} is {back}{from}");
}

fn amount(amount: Amount) {
    assert_eq!(amount.to_string().parse().as_ref(), Ok(&amount));
    let json = serde_json::to_string(&amount).expect("an amount is data");
    let back: Amount = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
    assert_eq!(back, amount, "as {json}");
    let value = serde_json::to_value(amount).expect("an amount is data");
    assert_eq!(serde_json::from_value::<Amount>(value).expect("reads back"), amount);
    let rounded = amount.rounded();
    assert_eq!(rounded.rounded(), rounded);
    assert!(rounded.at_most(amount) && amount.at_most(rounded), "{amount} rounded is {rounded}");
    assert!(amount.truncated().to_f64().abs() <= amount.to_f64().abs());
    assert_eq!(amount.is_negative(), amount < Amount::ZERO);
    assert_eq!(amount.is_positive(), amount > Amount::ZERO);
    assert!(!amount.or_zero().is_negative());
    if let Some(near) = Amount::from_f64(amount.to_f64()) {
        let off = (near.to_f64() - amount.to_f64()).abs();
        assert!(off <= 1e-12 * amount.to_f64().abs(), "{amount} as a double is {near}");
    }
}

fn duration(text: &str) {
    let Ok(ms) = parse_duration(text) else { return };
    let measure: Measure = text.parse().expect("a duration is a measure");
    let exact = measure.in_unit(Unit::MS).expect("in ms");
    assert_eq!(exact.truncated(), Amount::from(ms), "{text:?}");
}

fn schedule(bytes: &mut Bytes<'_>) {
    let text =
        if bytes.one_in(2) { bytes.text(24) } else { hostile::schedule(bytes).as_str().unwrap_or_default().to_owned() };
    let now = match bytes.below(3) {
        0 => bytes.whole(),
        1 => bytes.whole() % 300_000_000_000_000,
        _ => bytes.whole() % 20_000 * 86_400_000 - i64::from(bytes.byte() & 1),
    };
    let schedule: Schedule = match text.parse() {
        Ok(schedule) => schedule,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(schedule.to_string().parse().as_ref(), Ok(&schedule), "{text:?}");
    let (start, next) = (schedule.period_start(now), schedule.next_boundary(now));
    if let Some(start) = start {
        assert!(start <= now, "{schedule} at {now}: starts {start}");
        assert_eq!(start.rem_euclid(86_400_000), 0);
        assert_eq!(schedule.period_start(start), Some(start), "{schedule} at {now}");
        assert_eq!(schedule.next_boundary(start), next, "{schedule} at {now}");
    }
    if let Some(next) = next {
        assert!(now < next, "{schedule} at {now}: ends {next}");
        assert_eq!(next.rem_euclid(86_400_000), 0);
        assert_eq!(schedule.period_start(next), Some(next), "{schedule} at {now}");
        assert_eq!(schedule.period_start(next - 1), start, "{schedule} at {now}");
        let longest = 367 * 86_400_000;
        assert!(start.is_none_or(|start| next - start <= longest), "{schedule} at {now}: {start:?} to {next}");
    }
}

fn arithmetic(bytes: &mut Bytes<'_>) {
    let mut given = || {
        let value = hostile::number(bytes);
        serde_json::from_value::<Amount>(value).ok()
    };
    let (Some(a), Some(b)) = (given(), given()) else { return };
    amount(a);
    amount(b);
    exactly(a, b);
    assert_eq!(a.checked_add(b), b.checked_add(a), "{a} + {b}");
    assert_eq!(a.checked_mul(b), b.checked_mul(a), "{a} x {b}");
    assert_eq!(a.at_most(b), !b.below(a), "{a} at most {b}");
    if let Some(sum) = a.checked_add(b) {
        assert_eq!(a.saturating_add(b), sum, "{a} + {b}");
        amount(sum);
    }
    if let Some(difference) = a.checked_sub(b) {
        assert_eq!(a.saturating_sub(b), difference, "{a} - {b}");
        assert_eq!(difference.is_negative(), a < b, "{a} - {b}");
    }
    if let Some(product) = a.checked_mul(b) {
        assert_eq!(a.saturating_mul(b), product, "{a} x {b}");
        amount(product);
    }
    if let Some(quotient) = a.checked_div(b) {
        amount(quotient);
    }
    if let Some(double) = Amount::from_f64(a.to_f64() / b.to_f64()) {
        amount(double);
    }
}

/// Where the digits of a result fit, it is the exact one. Judged on integers.
fn exactly(a: Amount, b: Amount) {
    let ((one, scale), (two, other_scale)) = (digits(a), digits(b));
    if let Some((one, two)) = aligned(one, scale, two, other_scale) {
        assert_eq!(a.cmp(&b), one.cmp(&two), "{a} against {b}");
        let both = scale.max(other_scale);
        for (result, exact, sign) in [(a.checked_add(b), one + two, '+'), (a.checked_sub(b), one - two, '-')] {
            assert!(!fits(exact) || result.is_some_and(|sum| is(sum, exact, both)), "{a} {sign} {b} is {result:?}");
        }
    }
    if let Some(product) = one.checked_mul(two).filter(|product| fits(*product) && scale + other_scale <= 28) {
        let result = a.checked_mul(b);
        assert!(result.is_some_and(|result| is(result, product, scale + other_scale)), "{a} x {b} is {result:?}");
    }
}

fn fits(mantissa: i128) -> bool {
    mantissa.unsigned_abs() < 1 << 96
}

/// An amount's digits and how many of them are decimals.
fn digits(amount: Amount) -> (i128, u32) {
    let text = amount.to_string();
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let digits = text.replace('.', "").parse().expect("digits");
    (digits, u32::try_from(decimals).expect("a few"))
}

/// Both with as many decimals as the longer has, where there is room to add them.
fn aligned(one: i128, scale: u32, two: i128, other_scale: u32) -> Option<(i128, i128)> {
    let grown = |digits: i128, by: u32| {
        digits.checked_mul(10_i128.checked_pow(by)?).filter(|digits| digits.unsigned_abs() < 1 << 126)
    };
    let both = scale.max(other_scale);
    Some((grown(one, both - scale)?, grown(two, both - other_scale)?))
}

fn is(amount: Amount, mantissa: i128, scale: u32) -> bool {
    let (digits, decimals) = digits(amount);
    aligned(digits, decimals, mantissa, scale).is_some_and(|(digits, mantissa)| digits == mantissa)
}
