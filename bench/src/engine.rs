//! What is measured of the engine, each row beside governor doing its one thing under the same conditions.

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use limitr::{Call, Event, Limitr, NewCap, NewCustomer};

use crate::{
    alloc,
    keys::{self, Keys},
    measure::{Effort, Spread, measure, measure_together},
    peers,
    table::Table,
};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Enough that no call of a benchmark reaches it.
const PLENTY: &str = "1000000000000000";

/// How many customers the calls go round when their number is not what is measured.
const HOT: usize = 1_000;

/// Plans `plan-0`, `plan-1`, .. with three metered entitlements and a feature flag, and one plan for each special case.
fn policy(plans: usize) -> String {
    let limit = |mode: &str, value: &str| {
        format!("{{limit: {{credit: message, mode: {mode}, value: {value}, resets: true, reset_inc: 30days}}}}")
    };
    let (metered, spent, overage) = (limit("hard", PLENTY), limit("hard", "0"), limit("soft", "0"));
    let plain: String = (0..plans)
        .map(|number| {
            format!(
                "    plan-{number}:\n      entitlements: {{chat: {metered}, images: {metered}, search: {metered}, beta: {{}}}}\n"
            )
        })
        .collect();
    format!(
        "policy:
  credits:
    message: {{unit: message, overhead_cost: 0.001, price: {{amount: 0.002}}}}
  plans:
{plain}
    spent:
      entitlements: {{chat: {spent}}}
    overage:
      entitlements: {{chat: {overage}}}
      topups: {{pack: {{credit: message, value: {PLENTY}}}}}
    pooled:
      entitlements: {{chat: {{scope: org, limit: {{credit: message, value: {PLENTY}}}}}}}
"
    )
}

/// An engine with one plain plan and these customers on `plan`.
fn engine(plan: &str, customers: usize) -> Outcome<Limitr> {
    let limitr = Limitr::from_yaml(&policy(1))?;
    for number in 0..customers {
        limitr.create_customer(NewCustomer::new(keys::id(number)).plan(plan))?;
    }
    Ok(limitr)
}

/// Times `allow` of one unit of `chat`, having made sure that it answers `allowed`.
fn allow(effort: Effort, limitr: &Limitr, mut keys: Keys, allowed: bool) -> Outcome<Spread> {
    for key in keys.all() {
        let decision = limitr.allow(key, "chat", 1);
        if decision.allowed != allowed {
            return Err(format!("`{key}` was answered {decision:?}").into());
        }
    }
    Ok(measure(effort, || {
        let _ = black_box(limitr.allow(keys.next(), "chat", 1));
    }))
}

/// Times `allow` with what a server is told of it: the log, taken as often as a link takes it under load.
fn logged(effort: Effort, limitr: &Limitr, mut keys: Keys) -> Spread {
    const TAKEN_AFTER: u32 = 1_000;
    let mut calls = 0;
    measure(effort, || {
        let _ = black_box(limitr.allow(keys.next(), "chat", 1));
        calls += 1;
        if calls % TAKEN_AFTER == 0 {
            let _ = black_box(limitr.take_log());
        }
    })
}

pub(crate) fn measure_all(table: &mut Table, effort: Effort, quick: bool) -> Outcome {
    one_call(table, effort)?;
    logic(table, effort)?;
    threads(table, effort)?;
    let many = if quick { 100_000 } else { 1_000_000 };
    for customers in [10, 10_000, many] {
        scale(table, effort, customers)?;
    }
    plans(table, effort)?;
    snapshot(table, if quick { 10_000 } else { 100_000 })?;
    memory(table)
}

/// One call in its variants, with the peers' nearest equivalents.
fn one_call(table: &mut Table, effort: Effort) -> Outcome {
    table.group(format!("one call, {HOT} customers"));
    let keys = Keys::new(HOT, HOT);
    table.reference("governor, keyed", peers::governor_allow(effort, &peers::governor(&keys), keys.clone()));

    let limitr = engine("plan-0", HOT)?;
    table.time("limitr allow, within the limit", allow(effort, &limitr, keys.clone(), true)?);
    let mut round = keys.clone();
    let check = measure(effort, || {
        let _ = black_box(limitr.check(round.next(), "chat", 1));
    });
    table.time("limitr check", check);
    let flag = measure(effort, || {
        let _ = black_box(limitr.allow(round.next(), "beta", 0));
    });
    table.time("limitr feature flag", flag);
    let call = measure(effort, || {
        let _ = black_box(limitr.allow_with(Call::new(round.next(), "chat").value(1)));
    });
    table.time("limitr allow_with", call);

    table.time("limitr allow, denied", allow(effort, &engine("spent", HOT)?, keys.clone(), false)?);
    for grants in [1, 10] {
        let limitr = engine("overage", HOT)?;
        for key in keys.all() {
            for _ in 0..grants {
                if !limitr.apply_customer_topup(key, "pack") {
                    return Err(format!("`{key}` was not granted a pack").into());
                }
            }
        }
        let name = format!("limitr soft overage, grants: {grants}");
        table.time(&name, allow(effort, &limitr, keys.clone(), true)?);
    }
    table.time("limitr scoped meter and shared cap", allow(effort, &pooled()?, keys.clone(), true)?);
    let following = engine("plan-0", HOT)?;
    following.keep_log();
    table.time("limitr allow, its log kept and taken for a server", logged(effort, &following, keys.clone()));

    limitr.on(|event: &Event| {
        black_box(event.payload());
    });
    table.time("limitr allow, a listener reads the event", allow(effort, &limitr, keys.clone(), true)?);

    table.time_or_why("limitador in memory, contexts ready-made", peers::limitador(effort, &keys));
    table.time_or_why("cedar, one policy, nothing counted", peers::cedar(effort));
    table.time_or_why("redis INCR, loopback", peers::redis(effort, keys));
    Ok(())
}

/// The same calls under a policy with logic: what a cost expression adds, and a notification.
fn logic(table: &mut Table, effort: Effort) -> Outcome {
    const LOGIC: &str = "
    priced: {overhead: \"context.input * data.rates[context.model].input + context.output * data.rates[context.model].output\",
             data: {rates: {small: {input: 0.00000025, output: 0.000002}, large: {input: 0.000003, output: 0.000015}}}}
  notifications:
    eighty_percent: {when: crossed(0.8), message: \"{customer.label} used 80% of {entitlement}\"}
  plans:
    priced: {entitlements: {chat: {limit: {credit: priced, value: PLENTY}}}}";
    let text = policy(1).replace("\n  plans:", &LOGIC.replace("PLENTY", PLENTY));
    let plain = engine("plan-0", HOT)?;
    let limitr = Limitr::from_yaml(&text)?;
    let mut keys = Keys::new(HOT, HOT);
    for key in keys.all() {
        limitr.create_customer(NewCustomer::new(key).plan("plan-0"))?;
    }
    table.group(format!("logic in the policy, {HOT} customers"));
    table.reference("limitr allow, a policy without", allow(effort, &plain, keys.clone(), true)?);
    table
        .time("limitr allow, a policy with logic that is not this call's", allow(effort, &limitr, keys.clone(), true)?);

    let data = serde_json::json!({"model": "large", "input": 1200, "output": 350});
    let with_data = |limitr: &Limitr, keys: &mut Keys| {
        measure(effort, || {
            let _ = black_box(limitr.allow_with(Call::new(keys.next(), "chat").value(1).event(data.clone())));
        })
    };
    table.time("limitr allow_with event data, cost by rate", with_data(&limitr, &mut keys));
    for key in keys.all() {
        let _ = limitr.set_customer_plan(key, "priced", true);
    }
    table.time("limitr allow_with event data, cost by expression", with_data(&limitr, &mut keys));

    for engine in [&plain, &limitr] {
        engine.on(|event: &Event| {
            black_box(event.payload());
        });
    }
    for key in keys.all() {
        let _ = limitr.set_customer_plan(key, "plan-0", true);
    }
    table.time("limitr allow, a listener, no notification", allow(effort, &plain, keys.clone(), true)?);
    table.time("limitr allow, a listener, a notification that does not match", allow(effort, &limitr, keys, true)?);
    Ok(())
}

/// Users of ten organisations, which own the meters and a cap over all their users.
fn pooled() -> Outcome<Limitr> {
    const ORGANISATIONS: usize = 10;
    let organisation = |number: usize| format!("org-{}", number % ORGANISATIONS);
    let limitr = Limitr::from_yaml(&policy(1))?;
    for number in 0..ORGANISATIONS {
        let id = organisation(number);
        limitr.create_customer(NewCustomer::new(&id).plan("pooled").kind("org"))?;
        limitr.add_customer_cap(&id, NewCap::new(PLENTY).shared()).ok_or("the cap was refused")?;
    }
    for number in 0..HOT {
        limitr.create_customer(NewCustomer::new(keys::id(number)).refs([organisation(number)]))?;
    }
    Ok(limitr)
}

/// The same work on one thread and on two, each with customers of its own.
fn threads(table: &mut Table, effort: Effort) -> Outcome {
    table.group("two threads, different customers (all calls together)");
    let keys = Keys::new(HOT, HOT);
    let halves = || keys.clone().halves().to_vec();
    let governor = peers::governor(&keys);
    table.reference("governor, keyed", peers::governor_together(effort, &governor, halves()));

    let limitr = engine("plan-0", HOT)?;
    let together = |keys: Vec<Keys>| {
        let calls = keys.into_iter().map(|mut keys| {
            let limitr = &limitr;
            move || {
                let _ = black_box(limitr.allow(keys.next(), "chat", 1));
            }
        });
        measure_together(effort, calls.collect())
    };
    let (one, two) = (together(halves().into_iter().take(1).collect()), together(halves()));
    let governor_one = peers::governor_together(effort, &governor, halves().into_iter().take(1).collect());
    table.time("limitr, two threads", two);
    table.time("limitr, one thread", one);
    table.figure("limitr, speed-up", one.median / two.median, "times");
    if let Some(governor_two) = table.reference_median() {
        table.figure("governor, speed-up", governor_one.median / governor_two, "times");
    }
    Ok(())
}

/// The same call among few and many customers, asked for at random and a thousand over and over.
fn scale(table: &mut Table, effort: Effort, customers: usize) -> Outcome {
    let all = Keys::new(customers, customers);
    let governor = peers::governor(&all);
    let limitr = engine("plan-0", customers)?;
    table.group(format!("{customers} customers, all in turn at random"));
    table.reference("governor, keyed", peers::governor_allow(effort, &governor, all.clone()));
    table.time("limitr allow", allow(effort, &limitr, all, true)?);
    if customers > HOT {
        let hot = Keys::new(customers, HOT);
        table.group(format!("{customers} customers, {HOT} of them hot"));
        table.reference("governor, keyed", peers::governor_allow(effort, &governor, hot.clone()));
        table.time("limitr allow", allow(effort, &limitr, hot, true)?);
    }
    Ok(())
}

/// The same call with every customer on the only plan, and with each on a plan of its own.
fn plans(table: &mut Table, effort: Effort) -> Outcome {
    table.group(format!("plans, {HOT} customers"));
    let keys = Keys::new(HOT, HOT);
    table.reference("governor, keyed", peers::governor_allow(effort, &peers::governor(&keys), keys.clone()));
    for plans in [1, HOT] {
        let limitr = Limitr::from_yaml(&policy(plans))?;
        for number in 0..HOT {
            let plan = format!("plan-{}", number % plans);
            limitr.create_customer(NewCustomer::new(keys::id(number)).plan(plan))?;
        }
        table.time(&format!("limitr allow, plans: {plans}"), allow(effort, &limitr, keys.clone(), true)?);
    }
    Ok(())
}

/// Taking all customers' records out and putting them into a new engine.
fn snapshot(table: &mut Table, customers: usize) -> Outcome {
    table.group(format!("snapshot, {customers} customers"));
    let limitr = engine("plan-0", customers)?;
    for number in 0..customers {
        let _ = limitr.allow(&keys::id(number), "chat", 1);
    }
    let (mut out, mut back) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let start = Instant::now();
        let records = limitr.customers();
        out.push(start.elapsed());
        let records: Vec<_> = records.values().cloned().collect();
        let restored = Limitr::from_yaml(&policy(1))?;
        let start = Instant::now();
        restored.load_customers(records)?;
        back.push(start.elapsed());
    }
    table.figure("limitr snapshot", middle(out), "s");
    table.figure("limitr restore", middle(back), "s");
    Ok(())
}

fn middle(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}

/// What a call allocates and what a customer takes.
fn memory(table: &mut Table) -> Outcome {
    const CALLS: u64 = 10_000;
    const CUSTOMERS: usize = 100_000;
    table.group("memory");

    let limitr = engine("plan-0", HOT)?;
    let mut keys = Keys::new(HOT, HOT);
    // Each customer's first calls may still grow what it keeps: that is not the common call.
    for _ in 0..5 * HOT {
        let _ = limitr.allow(keys.next(), "chat", 1);
    }
    let before = alloc::allocations();
    for _ in 0..CALLS {
        let _ = black_box(limitr.allow(keys.next(), "chat", 1));
    }
    let allocations = alloc::allocations() - before;
    table.figure("limitr allow, within the limit", allocations as f64 / CALLS as f64, "allocations per call");

    let before = alloc::live_bytes();
    let limitr = engine("plan-0", CUSTOMERS)?;
    for number in 0..CUSTOMERS {
        for entitlement in ["chat", "images", "search"] {
            let _ = limitr.allow(&keys::id(number), entitlement, 1);
        }
    }
    let bytes = alloc::live_bytes() - before;
    drop(limitr);
    table.figure("limitr customer with three meters", bytes as f64 / CUSTOMERS as f64, "bytes");
    Ok(())
}
