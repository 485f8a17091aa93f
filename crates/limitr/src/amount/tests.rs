use super::*;

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

#[test]
fn unbounded_is_1e15() {
    assert_eq!(Amount::UNBOUNDED, amount("1000000000000000"));
    assert_eq!(Amount::EPSILON, amount("0.000000001"));
}

#[test]
fn doubles_keep_their_shortest_digits() {
    for text in ["0.1", "54545.454545454544", "1e-9", "123456789.12345679", "-2.5", "0"] {
        let double: f64 = text.parse().unwrap();
        assert_eq!(Amount::from_f64(double), Some(amount(text)), "{text}");
        assert!((amount(text).to_f64() - double).abs() == 0.0, "{text}");
    }
    for double in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e29, f64::MAX] {
        assert_eq!(Amount::from_f64(double), None, "{double}");
    }
    assert_eq!(Amount::from_f64(-0.0), Some(Amount::ZERO));
}

#[test]
fn digits_found_by_arithmetic_are_those_of_the_text() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200_000 {
        let (mantissa, places) = (random.i64(-1_000_000_000_000_000..1_000_000_000_000_000), random.u32(0..16));
        let short = format!("{}e-{places}", mantissa / 10_i64.pow(random.u32(0..15)));
        for double in [short.parse::<f64>().unwrap(), random.f64(), random.f64() * 1e-6, random.f64() * 1e9] {
            let text: Decimal = double.to_string().parse().unwrap();
            assert_eq!(Amount::from_f64(double), Some(text.normalize().into()), "{double}");
        }
    }
}

#[test]
fn json_loses_no_digit() {
    for (text, json) in [
        ("5", "5"),
        ("5.0", "5"),
        ("0.3", "0.3"),
        ("9007199254740993", "\"9007199254740993\""),
        ("0.3333333333333333333333333333", "\"0.3333333333333333333333333333\""),
    ] {
        assert_eq!(serde_json::to_string(&amount(text)).unwrap(), json);
        assert_eq!(serde_json::from_str::<Amount>(json).unwrap(), amount(text));
    }
}

#[test]
fn the_short_way_and_the_long_way_agree() {
    let texts = [
        "0",
        "1",
        "-1",
        "0.1",
        "-0.000003",
        "123456.789",
        "4611686018427387903",
        "4611686018427387904",
        "-4611686018427387903",
        "9223372036854775807",
        "0.0000000000000000000000000001",
        "7922816251426433759354395033",
    ];
    for one in texts.map(amount) {
        for two in texts.map(amount) {
            assert_eq!(
                one.checked_add(two),
                one.decimal().checked_add(two.decimal()).map(Amount::from),
                "{one} + {two}"
            );
            assert_eq!(
                one.checked_sub(two),
                one.decimal().checked_sub(two.decimal()).map(Amount::from),
                "{one} - {two}"
            );
            assert_eq!(
                one.checked_mul(two),
                one.decimal().checked_mul(two.decimal()).map(Amount::from),
                "{one} x {two}"
            );
            assert_eq!(one.cmp(&two), one.decimal().cmp(&two.decimal()), "{one} <=> {two}");
        }
    }
}

#[test]
fn comparisons_decide_at_a_billionth() {
    assert!(amount("1.000000001").at_most(amount("1")));
    assert!(!amount("1.0000000011").at_most(amount("1")));
    assert!(!amount("0.9999999999").below(amount("1")));
    assert!(amount("0.99").below(amount("1")));
}

#[test]
fn a_mantissa_of_64_bits_has_no_sign_bit() {
    let large = amount("18446744073709551615");
    assert!(large > Amount::ZERO);
    assert_eq!(large.checked_add(Amount::ONE), Some(amount("18446744073709551616")));
    assert_eq!(amount("1.4000000000000000001").checked_mul(2.into()), Some(amount("2.8000000000000000002")));
}

#[test]
fn results_round_half_to_even_at_nine_decimals() {
    assert_eq!(amount("0.0000000005").rounded(), Amount::ZERO);
    assert_eq!(amount("0.0000000015").rounded(), amount("0.000000002"));
}
