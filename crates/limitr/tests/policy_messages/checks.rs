//! Documents that can be read but do not make a valid policy.

use limitr::policy::Format;

use super::problems;

#[test]
fn units() {
    let text = "policy:
  hold_ttl: 5MB
  credits:
    disk: {stof_units: mb}
    net: {stof_units: MB}
    time: {stof_units: seconds}
  plans:
    pro:
      entitlements:
        net: {limit: {credit: net, value: 5s, increment: 1gb, minimum: 1 Megabyte}}
        time: {limit: {credit: time, value: 1hour, governor_enabled: true, governor_capacity: 1GB, governor_refill_rate: 1}}
      topups:
        pack: {credit: net, value: 1kg, rollover_max: 1C}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    2:13 bad_unit policy.hold_ttl
        expected a duration such as `10min` or a number of milliseconds, found `5MB`
    4:24 bad_unit policy.credits.disk.stof_units
        unknown unit `mb`
          did you mean `MB`?
    10:43 bad_unit policy.plans.pro.entitlements.net.limit.value
        cannot convert `5s` to `MB`
          the credit `net` keeps `MB`
    10:58 bad_unit policy.plans.pro.entitlements.net.limit.increment
        unknown unit `gb` in `1gb`
          did you mean `GB`?
    11:95 bad_unit policy.plans.pro.entitlements.time.limit.governor_capacity
        cannot convert `1GB` to `s`
          the credit `time` keeps `s`
    13:36 bad_unit policy.plans.pro.topups.pack.value
        cannot convert `1kg` to `MB`
          the credit `net` keeps `MB`
    13:55 bad_unit policy.plans.pro.topups.pack.rollover_max
        cannot convert `1C` to `MB`
          the credit `net` keeps `MB`
    ");
}

#[test]
fn governors() {
    let text = "policy:
  credits: {token: {}}
  plans:
    pro:
      entitlements:
        a: {limit: {credit: token, governor_enabled: true}}
        b: {limit: {credit: token, governor_enabled: true, governor_capacity: 0, governor_refill_rate: -1}}
        c: {limit: {credit: token, mode: soft, governor_enabled: true, governor_capacity: 1, governor_refill_rate: 1}}
        d: {limit: {credit: token, governor_enabled: true, governor_capcity: 1, governor_refill_rate: 1}}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    6:20 missing_field policy.plans.pro.entitlements.a.limit.governor_capacity
        a governor needs `governor_capacity`
    6:20 missing_field policy.plans.pro.entitlements.a.limit.governor_refill_rate
        a governor needs `governor_refill_rate`
    7:79 bad_governor policy.plans.pro.entitlements.b.limit.governor_capacity
        `governor_capacity` is `0`, but must be above 0
    7:104 bad_governor policy.plans.pro.entitlements.b.limit.governor_refill_rate
        `governor_refill_rate` is `-1`, but must be above 0
    9:60 unknown_field policy.plans.pro.entitlements.d.limit.governor_capcity
        unknown field `governor_capcity`
          did you mean `governor_capacity`?
    ");
}

#[test]
fn modes_and_periods() {
    let text = r#"policy:
  credits: {token: {}}
  plans:
    pro:
      trial_period: -1day
      entitlements:
        a: {limit: {credit: token, mode: observe, hard_trailing: true}}
        b: {limit: {credit: token, resets: true, reset_inc: 1day, reset_sch: "monthly:1"}}
        c: {limit: {credit: token, resets: true, reset_inc: 0, ewma_alpha: 1.5}}
        d: {limit: {credit: token, override_expires_on: 5}}
        e: {scope: "", estimate_basis: "", estimate_segment: " "}
"#;
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    5:21 bad_duration policy.plans.pro.trial_period
        `trial_period` is `-86400000` ms, but cannot be negative
    7:66 trailing_not_hard policy.plans.pro.entitlements.a.limit.hard_trailing
        only a hard limit can be trailing
          leave it out, or set `mode` to `hard`
    8:78 two_periods policy.plans.pro.entitlements.b.limit.reset_sch
        a period has `reset_inc` or `reset_sch`, not both
          keep one of the two
    9:61 bad_duration policy.plans.pro.entitlements.c.limit.reset_inc
        `reset_inc` is `0` ms, but must be longer than 0
    9:76 bad_fraction policy.plans.pro.entitlements.c.limit.ewma_alpha
        `ewma_alpha` is `1.5`, but lies between 0 and 1
    10:57 override_only policy.plans.pro.entitlements.d.limit.override_expires_on
        `override_expires_on` belongs to customers' overrides, not to a plan
    11:20 empty_field policy.plans.pro.entitlements.e.scope
        `scope` is empty
          name something, or leave it out
    11:40 empty_field policy.plans.pro.entitlements.e.estimate_basis
        `estimate_basis` is empty
          name something, or leave it out
    11:62 empty_field policy.plans.pro.entitlements.e.estimate_segment
        `estimate_segment` is empty
          name something, or leave it out
    ");
}

#[test]
fn credits() {
    let text = "policy:
  credits:
    usd: {}
    a: {overhead_cost: -1, price: {amount: -0.5}}
    b: {pricing_model: volume}
    c: {pricing_model: tiered, price: {amount: 1}, tiers: [{price: {amount: 1}}]}
    d: {tiers: [{price: {amount: 1}}]}
    e: {pricing_model: steps}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    3:10 reserved_name policy.credits.usd
        `usd` is a built-in currency, not a credit
          rename the credit; what it is worth goes into `policy.exchange`
    4:24 negative_overhead policy.credits.a.overhead_cost
        `overhead_cost` is `-1`, but cannot be negative
    4:44 negative_price policy.credits.a.price.amount
        `amount` is `-0.5`, but cannot be negative
    5:8 missing_tiers policy.credits.b.tiers
        a credit priced `volume` needs tiers
          list them as `{up_to, price: {amount}}`, the last without `up_to`
    6:39 price_with_tiers policy.credits.c.price
        a credit priced `tiered` has no `price` of its own
          put prices into `tiers`, or set `pricing_model` to `flat`
    7:16 tiers_with_flat policy.credits.d.tiers
        a credit priced `flat` has no tiers
          set `pricing_model` to `tiered`, `volume` or `stairstep`
    8:24 unknown_value policy.credits.e.pricing_model
        unknown pricing model `steps`
          it is one of `flat`, `tiered`, `volume`, `stairstep`
    ");
}

#[test]
fn tiers() {
    let text = "policy:
  credits:
    a: {pricing_model: tiered, tiers: [{up_to: 20, price: {amount: 1}}, {up_to: 10, price: {amount: -2}}]}
    b: {pricing_model: tiered, tiers: [{price: {amount: 1}}, {up_to: 10, price: {amount: 1}}, {price: {amount: 2}}]}
    c: {pricing_model: stairstep, tiers: [{up_to: 10, price: {amount: 1}}, {up_to: 10.0, price: {amount: 2}}, {price: {amount: 2}}]}
    d: {pricing_model: volume, tiers: [{up_to: 0, price: {amount: 1}}, {upto: 5, price: {amount: 1}}, {price: {}}, 7]}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    3:39 open_tier policy.credits.a.tiers
        no tier is without `up_to`, so the largest quantities have no price
          leave `up_to` out of the last one
    3:101 negative_price policy.credits.a.tiers[1].price.amount
        `amount` is `-2`, but cannot be negative
    4:95 open_tier policy.credits.b.tiers[2]
        a second tier without `up_to`
          only the last one has none
    5:84 equal_tiers policy.credits.c.tiers[1].up_to
        two tiers end at `10`
    6:48 tier_bound policy.credits.d.tiers[0].up_to
        `up_to` is `0`, but must be above 0
    6:73 unknown_field policy.credits.d.tiers[1].upto
        unknown field `upto`
          did you mean `up_to`?
    6:111 missing_field policy.credits.d.tiers[2].price.amount
        the field `amount` is missing
    6:116 wrong_type policy.credits.d.tiers[3]
        expected a map, found `7`
    ");
}

#[test]
fn exchange() {
    let text = "policy:
  credits: {token: {}, gem: {price: {amount: 1}}}
  exchange:
    grant_strategy: cheapest
    token: {value: 0, currency: gem}
    eur: {value: 1.1, currency: usdd}
    a: {value: 1, currency: b}
    b: {value: 1, currency: c}
    c: {value: 1, currency: a}
    d: {value: 1, currency: a}
    e: {value: -2, currency: token}
    f: {currency: rune}
    g: 5
    rune: {value: 100, currency: cents}
    cents2: {value: 2, currency: cents}
    self: {value: 1, currency: self}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    4:21 unknown_value policy.exchange.grant_strategy
        unknown grant strategy `cheapest`
          did you mean `cheapest_first`? it is one of `expires_first`, `cheapest_first`, `valuable_first`
    5:20 bad_pair_value policy.exchange.token.value
        `value` is `0`, but must be above 0
    6:33 not_convertible policy.exchange.eur.currency
        `eur` never reaches runes: unknown currency `usdd`
          did you mean `usd`?
    7:29 pair_cycle policy.exchange.a.currency
        `a` never reaches runes: it leads in a circle over `a`, `b`, `c`
          give one of them a `currency` of `rune` or `usd`
    11:16 bad_pair_value policy.exchange.e.value
        `value` is `-2`, but must be above 0
    12:8 missing_field policy.exchange.f.value
        the field `value` is missing
    13:8 wrong_type policy.exchange.g
        expected a map, found `5`
    16:32 pair_cycle policy.exchange.self.currency
        `self` never reaches runes: it leads in a circle over `self`
          give one of them a `currency` of `rune` or `usd`
    ");
}

#[test]
fn a_pair_to_an_abstract_credit() {
    let text = "policy:
  credits: {gold: {}, silver: {}}
  exchange: {gold: {value: 2, currency: silver}}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    3:41 not_convertible policy.exchange.gold.currency
        `gold` never reaches runes: the credit `silver` has no price and no pair
          give `silver` a price, or a pair of its own
    ");
}

#[test]
fn topups() {
    let text = r#"policy:
  credits: {token: {}}
  plans:
    pro:
      topups:
        a: {credit: toke, value: 1}
        b: {credit: token, value: 0, price: {amount: -1}}
        c: {credit: token, value: 1, rollover_pct: -0.1, rollover_min: 5, rollover_max: 3, max_balance: -1}
        d: {credit: token}
        e: {value: 1, expires_after: 0, included_scopes: ["", 5], reset_catchup_cap: -1, priority: 1.5}
        f: {credit: token, value: 1, reset_mode: roll, reset_inc: 1day, reset_sch: "weekly:monday"}
"#;
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    6:21 unknown_credit policy.plans.pro.topups.a.credit
        unknown credit `toke`
          did you mean `token`?
    7:35 bad_topup_value policy.plans.pro.topups.b.value
        `value` is `0`, but must be above 0
    7:54 negative_price policy.plans.pro.topups.b.price.amount
        `amount` is `-1`, but cannot be negative
    8:52 negative_rollover policy.plans.pro.topups.c.rollover_pct
        `rollover_pct` is `-0.1`, but cannot be negative
    8:72 rollover_bounds policy.plans.pro.topups.c.rollover_min
        `rollover_min` is `5`, above `rollover_max`, which is `3`
    8:105 negative_balance policy.plans.pro.topups.c.max_balance
        `max_balance` is `-1`, but cannot be negative
    9:12 missing_field policy.plans.pro.topups.d.value
        the field `value` is missing
    10:12 missing_field policy.plans.pro.topups.e.credit
        the field `credit` is missing
    10:38 bad_duration policy.plans.pro.topups.e.expires_after
        `expires_after` is `0` ms, but must be longer than 0
    10:59 empty_field policy.plans.pro.topups.e.included_scopes[0]
        a scope is empty
          name a customer type; an empty list means all of them
    10:63 wrong_type policy.plans.pro.topups.e.included_scopes[1]
        expected text, found `5`
          put it in quotes
    10:86 number_out_of_range policy.plans.pro.topups.e.reset_catchup_cap
        `-1` is out of range
    10:100 wrong_type policy.plans.pro.topups.e.priority
        expected a whole number, found `1.5`
    11:50 unknown_value policy.plans.pro.topups.f.reset_mode
        unknown reset mode `roll`
          did you mean `rollover`? it is one of `hard`, `add`, `rollover`
    11:84 bad_schedule policy.plans.pro.topups.f.reset_sch
        `weekly:monday` is not a schedule
          a schedule is `monthly:N` (1 to 31), `monthly:last`, `weekly:mon`, `nth_weekday:N:mon` (1 to 4), `yearly:M-D` or `quarterly:D`
    ");
}

#[test]
fn two_default_plans() {
    let text = "policy:
  plans:
    free: {default: true}
    pro: {default: true}
    max: {default: true, period: monthy}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    4:20 two_defaults policy.plans.pro.default
        `free` and `pro` are both the default plan
          keep `default` on the plan that new customers get
    5:20 two_defaults policy.plans.max.default
        `free` and `max` are both the default plan
          keep `default` on the plan that new customers get
    5:34 unknown_value policy.plans.max.period
        unknown period `monthy`
          did you mean `monthly`? it is one of `yearly`, `monthly`, `weekly`, `daily`
    ");
}

#[test]
fn credits_unreadable_blames_no_reference() {
    let text = "policy:
  credits: [token]
  plans:
    pro: {entitlements: {chat: {limit: {credit: token}}}}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    2:12 wrong_type policy.credits
        expected a map, found a list
    ");
}

#[test]
fn no_credits() {
    let text = r#"policy:
  plans:
    pro: {entitlements: {chat: {limit: {credit: token}}, b: {limit: {value: 5}}, c: {limit: {credit: ""}}}}
"#;
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    3:49 unknown_credit policy.plans.pro.entitlements.chat.limit.credit
        unknown credit `token`
          the policy has no credits
    3:69 missing_field policy.plans.pro.entitlements.b.limit.credit
        the field `credit` is missing
    3:102 missing_field policy.plans.pro.entitlements.c.limit.credit
        the credit is not named
    ");
}

#[test]
fn estimates() {
    let text = r#"policy:
  estimates:
    chat:
      "": {samples: 3, alpha: 2, value_mean: x}
      gpt: {sample: 3}
"#;
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    4:31 bad_fraction policy.estimates.chat..alpha
        `alpha` is `2`, but lies between 0 and 1
    4:46 wrong_type policy.estimates.chat..value_mean
        expected a number, found `x`
    5:13 unknown_field policy.estimates.chat.gpt.sample
        unknown field `sample`
          did you mean `samples`?
    ");
}
