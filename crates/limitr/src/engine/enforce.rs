//! allow, check, explain and their kin: one decision, applied or dropped.

use serde::Serialize;
use serde_json::Value;

use super::balances::CallCap;
use super::effects::Effect;
use super::reservations::take_hold;
use super::{Limitr, announce};
use crate::decide::{self, Decided, Recorder, Request, Silent, Step, Trace, Wish};
use crate::policy::Compiled;
use crate::state::{CALLER, Cap, Hold, Locked, Replay, digest};
use crate::{Amount, Decision, Denial, Error, Event, Quantity};

/// A call with everything that can be said about it.
///
/// ```
/// # use limitr::{Call, Limitr, NewCustomer};
/// # let limitr = Limitr::from_yaml("policy: {credits: {token: {}}, plans: {free: {default: true, entitlements: {chat: {limit: {credit: token, value: 1000}}}}}}")?;
/// # limitr.create_customer(NewCustomer::new("c1"))?;
/// let call = Call::new("c1", "chat").value(120).event(serde_json::json!({"model": "m-1"})).idempotency_key("req-7");
/// assert!(limitr.allow_with(call.clone())?.allowed);
/// limitr.allow_with(call)?; // a retry: the same outcome, counted once
/// assert_eq!(limitr.value("c1", "chat"), Some(120.into()));
/// # Ok::<(), limitr::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Call<'a> {
    pub(super) customer: &'a str,
    pub(super) entitlement: &'a str,
    pub(super) wish: Wish<'a>,
    pub(super) silent: bool,
    pub(super) data: Option<Value>,
    pub(super) overhead: Option<Quantity<'a>>,
    pub(super) caps: Vec<CallCap<'a>>,
    pub(super) force: bool,
    pub(super) key: Option<&'a str>,
}

/// A decision and how it came about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The outcome: what `check` would say.
    #[serde(flatten)]
    pub decision: Decision,
    /// Every step with its numbers, in order.
    pub steps: Vec<Step>,
}

impl<'a> Call<'a> {
    /// An access check (value 0) by `customer` (id or alternate id) on `entitlement`.
    pub fn new(customer: &'a str, entitlement: &'a str) -> Self {
        Self {
            customer,
            entitlement,
            wish: Wish::Units(Quantity::ZERO),
            silent: false,
            data: None,
            overhead: None,
            caps: Vec::new(),
            force: false,
            key: None,
        }
    }

    /// How much, in the credit's unit or with a unit of its own; negative gives back.
    pub fn value(mut self, value: impl Into<Quantity<'a>>) -> Self {
        self.wish = Wish::Units(value.into());
        self
    }

    /// Data for listeners, and for what the policy's expressions compute from it, such as the call's cost.
    pub fn event(mut self, data: impl Into<Value>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// Sends no event.
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// What the call costs the provider, in runes, instead of the credit's rate.
    pub fn overhead(mut self, runes: impl Into<Quantity<'a>>) -> Self {
        self.overhead = Some(runes.into());
        self
    }

    /// A ceiling for this call alone, in `credit`.
    pub fn cap(mut self, cap: impl Into<CallCap<'a>>) -> Self {
        self.caps.push(cap.into());
        self
    }

    /// Records usage that has already happened: caps and governor do not deny, a hard limit bills like a soft one.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// Makes retries of the same call count once: within 24 hours an allowed call's outcome is returned again.
    pub fn idempotency_key(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    /// The limit's increment, as the amount.
    pub fn increment(mut self) -> Self {
        self.wish = Wish::Increment;
        self
    }

    /// Minus the limit's increment, as the amount.
    pub fn decrement(mut self) -> Self {
        self.wish = Wish::Decrement;
        self
    }

    /// Whatever brings the meter to `value`, as the amount.
    pub fn set_to(mut self, value: impl Into<Quantity<'a>>) -> Self {
        self.wish = Wish::To(value.into());
        self
    }

    /// The arguments in a form that equals for equal calls.
    fn fingerprint(&self) -> String {
        let wish = match &self.wish {
            Wish::Units(quantity) => quantity.canonical(),
            Wish::Increment => "increment".to_owned(),
            Wish::Decrement => "decrement".to_owned(),
            Wish::To(quantity) => format!("to {}", quantity.canonical()),
        };
        let overhead = self.overhead.as_ref().map(Quantity::canonical);
        let caps: Vec<Value> = self.caps.iter().map(CallCap::canonical).collect();
        digest(&serde_json::json!([self.entitlement, wish, self.data, overhead, caps, self.force]).to_string())
    }
}

/// What came of a call.
pub(super) struct Enforced {
    pub(super) decision: Decision,
    /// The hold that it dropped.
    pub(super) dropped: Option<Hold>,
    /// Whether the same call was counted before, under its key.
    pub(super) again: bool,
}

impl Limitr {
    /// Decides whether `customer` may consume `value` of `entitlement`, and meters it in the same operation.
    ///
    /// `value` is in the credit's unit, or text with a unit; 0 is an access check, negative gives back. Never fails: what
    /// cannot be decided is denied with a reason.
    pub fn allow<'a>(&self, customer: &str, entitlement: &str, value: impl Into<Quantity<'a>>) -> Decision {
        self.run(customer, entitlement, &Wish::Units(value.into()))
    }

    /// What [`Limitr::allow`] would say, changing nothing.
    pub fn check<'a>(&self, customer: &str, entitlement: &str, value: impl Into<Quantity<'a>>) -> Decision {
        self.ask(customer, entitlement, &Wish::Units(value.into()))
    }

    /// [`Limitr::allow`] of the limit's increment.
    pub fn increment(&self, customer: &str, entitlement: &str) -> Decision {
        self.run(customer, entitlement, &Wish::Increment)
    }

    /// [`Limitr::allow`] of minus the limit's increment.
    pub fn decrement(&self, customer: &str, entitlement: &str) -> Decision {
        self.run(customer, entitlement, &Wish::Decrement)
    }

    /// What [`Limitr::increment`] would say, changing nothing.
    pub fn check_increment(&self, customer: &str, entitlement: &str) -> Decision {
        self.ask(customer, entitlement, &Wish::Increment)
    }

    /// What [`Limitr::decrement`] would say, changing nothing.
    pub fn check_decrement(&self, customer: &str, entitlement: &str) -> Decision {
        self.ask(customer, entitlement, &Wish::Decrement)
    }

    /// [`Limitr::allow`] of whatever brings the meter to `value`.
    pub fn set<'a>(&self, customer: &str, entitlement: &str, value: impl Into<Quantity<'a>>) -> Decision {
        self.run(customer, entitlement, &Wish::To(value.into()))
    }

    /// [`Limitr::allow`] with options.
    ///
    /// # Errors
    /// `idempotency_mismatch` when the key was used for another call, `unknown_credit` or `refused_cap` for a cap of the
    /// call that cannot be used. Nothing is changed.
    pub fn allow_with(&self, call: Call<'_>) -> Result<Decision, Error> {
        self.enforce(&call, None).map(|enforced| enforced.decision)
    }

    /// Decides and counts, and drops a hold in the same step: its room goes to nobody in between.
    pub(super) fn enforce(&self, call: &Call<'_>, hold: Option<&str>) -> Result<Enforced, Error> {
        let now = self.clock.now();
        let caps = self.call_caps(&call.caps, now)?;
        let fingerprint = call.key.map(|_| call.fingerprint());
        let denied = |reason, dropped| Enforced { decision: Decision::denied(reason), dropped, again: false };
        let Some(request) = request(call, &caps) else {
            let dropped = hold.and_then(|hold| self.drop_hold(call.customer, call.entitlement, hold));
            return Ok(denied(Denial::InvalidValue, dropped));
        };
        let heard = self.heard();
        let mut events = Vec::new();
        let outcome = self.store.enter(call.customer, |policy, people| {
            if let (Some(key), Some(fingerprint)) = (call.key, &fingerprint) {
                let known = people.caller().and_then(|caller| caller.replays.as_ref()?.get(key, now));
                if let Some(replay) = known {
                    // A retry drops no other hold.
                    let decision = replay.decision.clone();
                    return match replay.call == *fingerprint {
                        true => Ok(Enforced { decision, dropped: None, again: true }),
                        false => Err(mismatch(key)),
                    };
                }
            }
            let dropped = hold.and_then(|hold| take_hold(policy, people, call.entitlement, hold));
            let heard = heard && !call.silent;
            let decision = self.commit(policy, people, &request, || now, heard, &mut events);
            if let (Some(key), Some(fingerprint), true) = (call.key, fingerprint, decision.allowed)
                && let Some(caller) = people.get_mut(CALLER)
            {
                let replay = Replay { at: now, call: fingerprint, decision: decision.clone() };
                caller.replays.get_or_insert_default().insert(key.into(), replay);
            }
            Ok(Enforced { decision, dropped, again: false })
        });
        self.tell(events);
        outcome.unwrap_or_else(|| Ok(denied(Denial::UnknownCustomer, None)))
    }

    /// [`Limitr::check`] with options; the idempotency key is not looked at.
    ///
    /// # Errors
    /// `unknown_credit` or `refused_cap` for a cap of the call that cannot be used.
    pub fn check_with(&self, call: Call<'_>) -> Result<Decision, Error> {
        self.consider(&call, &mut Silent)
    }

    /// What [`Limitr::check_with`] says, with every step and number that led to it.
    ///
    /// # Errors
    /// As [`Limitr::check_with`].
    pub fn explain(&self, call: Call<'_>) -> Result<Explanation, Error> {
        let mut recorder = Recorder::default();
        let decision = self.consider(&call, &mut recorder)?;
        Ok(Explanation { decision, steps: recorder.0 })
    }

    fn consider(&self, call: &Call<'_>, trace: &mut impl Trace) -> Result<Decision, Error> {
        let now = self.clock.now();
        let caps = self.call_caps(&call.caps, now)?;
        let Some(request) = request(call, &caps) else { return Ok(Decision::denied(Denial::InvalidValue)) };
        let decision = self.store.enter(call.customer, |policy, people| {
            let mut decided = Decided::nothing();
            decide::decide(&mut decided, policy, people, &request, || now, trace);
            summary(&decided, people)
        });
        Ok(decision.unwrap_or(Decision::denied(Denial::UnknownCustomer)))
    }

    /// The common call: no options, so nothing that can fail.
    fn run(&self, customer: &str, entitlement: &str, wish: &Wish<'_>) -> Decision {
        let request = Request { entitlement, wish, overhead: None, data: None, caps: &[], force: false };
        let heard = self.heard();
        let mut events = Vec::new();
        let mut decision = Decision::denied(Denial::UnknownCustomer);
        self.store.enter(customer, |policy, people| {
            decision = self.commit(policy, people, &request, || self.clock.now(), heard, &mut events);
        });
        self.tell(events);
        decision
    }

    /// Decides, applies, and prepares the events. Runs with the customers locked.
    #[inline]
    pub(super) fn commit(
        &self,
        policy: &Compiled,
        people: &mut Locked<'_, '_>,
        request: &Request<'_>,
        clock: impl FnOnce() -> i64,
        heard: bool,
        events: &mut Vec<Event>,
    ) -> Decision {
        let mut decided = Decided::nothing();
        decide::decide(&mut decided, policy, people, request, clock, &mut Silent);
        let change = decide::apply(&decided, people);
        if heard {
            *events = announce::call(policy, &decided, &change, people, request);
        }
        if self.log.is_on() {
            self.log.push(Effect::of(&decided, people, request).map(Box::new));
        }
        summary(&decided, people)
    }

    fn ask(&self, customer: &str, entitlement: &str, wish: &Wish<'_>) -> Decision {
        let request = Request { entitlement, wish, overhead: None, data: None, caps: &[], force: false };
        let mut decision = Decision::denied(Denial::UnknownCustomer);
        self.store.enter(customer, |policy, people| {
            let mut decided = Decided::nothing();
            decide::decide(&mut decided, policy, people, &request, || self.clock.now(), &mut Silent);
            decision = summary(&decided, people);
        });
        decision
    }
}

fn request<'a>(call: &'a Call<'a>, caps: &'a [Cap]) -> Option<Request<'a>> {
    let overhead = match &call.overhead {
        Some(overhead) => Some(overhead.in_unit(crate::policy::Unit::FLOAT)?),
        None => None,
    };
    Some(Request {
        entitlement: call.entitlement,
        wish: &call.wish,
        overhead,
        data: call.data.as_ref(),
        caps,
        force: call.force,
    })
}

/// What the caller is told.
#[inline(always)]
pub(super) fn summary(decided: &Decided<'_>, people: &Locked<'_, '_>) -> Decision {
    let now = decided.now;
    let allowed = decided.denied.is_none();
    let Some(metered) = &decided.metered else {
        return match decided.denied {
            Some(denial) => Decision::denied(denial),
            None => Decision { allowed: true, reason: None, ..Decision::denied(Denial::Limit) },
        };
    };
    let resets_at = metered.limit.period.and_then(|period| period.ends(metered.started, now));
    let retry_after = match decided.denied {
        None => None,
        Some(Denial::Governor) => refilled_in(metered),
        Some(Denial::Cap) => {
            let holder = metered.blocking.as_ref();
            let cap = holder.and_then(|holder| people.get(holder.position?)?.caps.get(&holder.id));
            cap.and_then(|cap| cap.resets_at(now)).map(|end| end.saturating_sub(now).max(0))
        }
        Some(_) => resets_at.map(|end| end.saturating_sub(now).max(0)),
    };
    let taken = |amount: Amount| if allowed { amount } else { Amount::ZERO };
    Decision {
        allowed,
        reason: decided.denied,
        remaining: metered.remaining(!allowed).map(Amount::rounded),
        resets_at,
        retry_after,
        metered: taken(metered.delta),
        overage: taken(metered.uncovered()),
        covered: taken(metered.covered()),
    }
}

/// In how many ms the bucket holds enough; none when it never does.
fn refilled_in(metered: &decide::Metered<'_>) -> Option<i64> {
    let bucket = metered.limit.governor.filter(|bucket| metered.delta <= bucket.capacity)?;
    let missing = metered.delta.checked_sub(metered.tokens?)?;
    let ms = missing.checked_div(bucket.refill_rate)?;
    let whole = ms.truncated();
    let ms = if whole == ms { whole } else { whole.checked_add(Amount::ONE)? };
    ms.to_i64()
}

fn mismatch(key: &str) -> Error {
    Error::conflict(
        "idempotency_mismatch",
        format!("the idempotency key `{key}` was used for a call with other arguments"),
    )
    .hint_at("use a new key for a new call, and the same arguments for a retry")
}
