//! Where this is not the [standard](https://github.com/google/cel-spec), and why. The cases of its own suite that use only
//! what is here are answered as it says, but for these.

use super::{agree, hold};

/// Decimals are exact, so that costs add up.
#[test]
fn decimals_are_no_floats() {
    hold(&[
        // The standard: 0.30000000000000004.
        "0.1 + 0.2 == 0.3",
        // The standard rounds the whole number to a double first, and says false.
        "9007199254740993 > 9007199254740992.0",
        "int(9007199254740993.0) == 9007199254740993",
        // The standard has no remainder of doubles, for it would be off.
        "7.5 % 2 == 1.5",
        // And no keys, for the same reason.
        "{2.5: 'a', 4.0: 'b'}[4] == 'b'",
    ]);
    agree(&[
        // The standard has infinities and what is no number, which no price is.
        ("0.0 / 0.0", "fault at 4: division by zero"),
        ("1.0 / 0.0", "fault at 4: division by zero"),
        ("double('Infinity')", "fault at 0: this text is no number"),
        // The standard reaches 1.8e308.
        ("1e99", "mistake at 0: this number is out of range"),
        // The standard rounds what it cannot hold; here it is a decimal.
        ("9223372036854775808", "9223372036854775808.0"),
    ]);
}

/// Numbers from data are decimals, whole ones are written without a point: nobody should have to convert them.
#[test]
fn whole_numbers_and_decimals_mix() {
    agree(&[
        // The standard has no operator for these.
        ("1 + 0.5", "1.5"),
        ("2 * units", "5.0"),
        ("context.tokens * 2", "2400.0"),
        // The standard wants doubles.
        ("math.ceil(3)", "3.0"),
        ("math.round(dyn(3))", "3.0"),
        // As in the standard: whole numbers stay whole.
        ("7 / 2", "3"),
    ]);
}

/// A policy is checked when it loads, and nothing runs that was not.
#[test]
fn nothing_runs_unchecked() {
    agree(&[
        // Without a check the standard gets true of these, for the other side decides.
        ("true || 1", "mistake at 5: `||` does not work on a boolean and a number"),
        (
            "unknown || true",
            "mistake at 0: unknown variable `unknown` (there is `context`, `rates`, `units`, `customer`)",
        ),
        ("['a'] == [1]", "mistake at 6: `==` does not work on a list and a list"),
        // A mistake already, not a fault.
        ("{'a': 1, 'a': 2}", "mistake at 9: this key is there already"),
        // With a pattern that somebody sends anything could be matched for any time.
        ("'a'.matches(context.model)", "mistake at 4: `matches` takes a pattern written out as text"),
    ]);
}

/// What there is no use for.
#[test]
fn left_out() {
    agree(&[
        ("1u", "mistake at 1: numbers have no `u` here (leave the `u` out)"),
        ("b'a'", "mistake at 0: there are no bytes here (leave the `b` out)"),
        ("customer{}", "mistake at 8: messages cannot be made here (write a map alone)"),
        (".units", "mistake at 0: expected a value, found `.`"),
        ("context.?model", "mistake at 8: expected a field, found `?`"),
    ]);
    for name in ["timestamp", "duration", "bytes", "uint"] {
        let got = super::outcome(&format!("{name}('1')"));
        assert!(got.starts_with(&format!("mistake at 0: unknown function `{name}`")), "{got}");
    }
}
