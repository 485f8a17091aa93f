//! Checks of plans: entitlements, limits and topups against the credits they name.

use super::Check;
use crate::Amount;
use crate::policy::model::{Entitlement, Governor, Limit, Mode, Plan, Reset, Topup};
use crate::policy::units::{Measure, Unit, UnitError};

impl<'p> Check<'p> {
    pub(super) fn plans(&mut self) {
        let mut default: Option<&str> = None;
        self.inside("plans", |this| {
            this.each(&this.policy.plans, |this, name, plan| {
                if plan.default {
                    if let Some(first) = default {
                        let message = format!("`{first}` and `{name}` are both the default plan");
                        let hint = Some("keep `default` on the plan that new customers get".to_owned());
                        this.report("two_defaults", "default", message, hint);
                    }
                    default = default.or(Some(name));
                }
                this.plan(plan);
            });
        });
    }

    fn plan(&mut self, plan: &'p Plan) {
        if let Some(ms) = plan.trial_period.filter(|ms| *ms < 0) {
            self.report(
                "bad_duration",
                "trial_period",
                format!("`trial_period` is `{ms}` ms, but cannot be negative"),
                None,
            );
        }
        self.inside("entitlements", |this| {
            this.each(&plan.entitlements, |this, _, entitlement| this.entitlement(entitlement));
        });
        self.inside("topups", |this| this.each(&plan.topups, |this, _, topup| this.topup(topup)));
    }

    fn entitlement(&mut self, entitlement: &Entitlement) {
        self.not_empty("scope", entitlement.scope.as_ref());
        self.not_empty("estimate_basis", entitlement.estimate_basis.as_ref());
        self.not_empty("estimate_segment", entitlement.estimate_segment.as_ref());
        if let Some(limit) = &entitlement.limit {
            self.inside("limit", |this| {
                this.limit(limit);
                if limit.override_expires_on.is_some() {
                    let message = "`override_expires_on` belongs to customers' overrides, not to a plan".to_owned();
                    this.report("override_only", "override_expires_on", message, None);
                }
            });
        }
    }

    pub(super) fn limit(&mut self, limit: &Limit) {
        self.credit_exists(&limit.credit);
        self.period(limit.reset_inc, limit.reset_sch.is_some());
        let hard = limit.mode == Mode::Hard;
        if limit.hard_trailing && !hard {
            let hint = Some("leave it out, or set `mode` to `hard`".to_owned());
            self.report("trailing_not_hard", "hard_trailing", "only a hard limit can be trailing".to_owned(), hint);
        }
        self.fraction("ewma_alpha", limit.ewma_alpha);
        self.in_unit(&limit.credit, "value", Some(limit.value));
        self.in_unit(&limit.credit, "increment", Some(limit.increment));
        self.in_unit(&limit.credit, "minimum", limit.minimum);
        if let Some(governor) = &limit.governor {
            self.governor(&limit.credit, governor);
        }
    }

    fn governor(&mut self, credit: &str, governor: &Governor) {
        let capacity = self.in_unit(credit, "governor_capacity", governor.capacity);
        let rate = governor.refill_rate;
        for (field, given, value) in [
            ("governor_capacity", governor.capacity.is_some(), capacity),
            ("governor_refill_rate", rate.is_some(), rate),
        ] {
            if !given && governor.enabled {
                self.report("missing_field", field, format!("a governor needs `{field}`"), None);
            }
            if let Some(value) = value.filter(|value| *value <= Amount::ZERO) {
                self.report("bad_governor", field, format!("`{field}` is `{value}`, but must be above 0"), None);
            }
        }
    }

    fn topup(&mut self, topup: &Topup) {
        self.credit_exists(&topup.credit);
        let value = self.in_unit(&topup.credit, "value", Some(topup.value));
        if let Some(value) = value.filter(|value| *value <= Amount::ZERO) {
            self.report("bad_topup_value", "value", format!("`value` is `{value}`, but must be above 0"), None);
        }
        if let Some(price) = &topup.price {
            self.inside("price", |this| this.not_negative("negative_price", "amount", price.amount));
        }
        self.positive_duration("expires_after", topup.expires_after);
        for (index, scope) in topup.included_scopes.iter().enumerate() {
            if scope.trim().is_empty() {
                let hint = Some("name a customer type; an empty list means all of them".to_owned());
                self.report("empty_field", &format!("included_scopes[{index}]"), "a scope is empty".to_owned(), hint);
            }
        }
        self.reset(&topup.credit, &topup.reset);
    }

    fn reset(&mut self, credit: &str, reset: &Reset) {
        self.period(reset.every, reset.schedule.is_some());
        self.not_negative("negative_rollover", "rollover_pct", reset.rollover_pct);
        let least = self.in_unit(credit, "rollover_min", reset.rollover_min);
        let most = self.in_unit(credit, "rollover_max", reset.rollover_max);
        if let (Some(least), Some(most)) = (least, most)
            && least > most
        {
            let message = format!("`rollover_min` is `{least}`, above `rollover_max`, which is `{most}`");
            self.report("rollover_bounds", "rollover_min", message, None);
        }
        if let Some(balance) = self.in_unit(credit, "max_balance", reset.max_balance) {
            self.not_negative("negative_balance", "max_balance", balance);
        }
    }

    fn period(&mut self, every: Option<i64>, scheduled: bool) {
        if let Some(ms) = every {
            if scheduled {
                let hint = Some("keep one of the two".to_owned());
                self.report(
                    "two_periods",
                    "reset_sch",
                    "a period has `reset_inc` or `reset_sch`, not both".to_owned(),
                    hint,
                );
            }
            if ms <= 0 {
                let message = format!("`reset_inc` is `{ms}` ms, but must be longer than 0");
                self.report("bad_duration", "reset_inc", message, None);
            }
        }
    }

    /// The measure in the credit's unit, reporting when it has none there. Unknown credits are someone else's report.
    fn in_unit(&mut self, credit: &str, field: &str, measure: Option<Measure>) -> Option<Amount> {
        let measure = measure?;
        let unit: Unit = self.policy.credits.get(credit)?.stof_units;
        match measure.in_unit(unit) {
            Ok(amount) => Some(amount),
            Err(error) => {
                let code = if matches!(error, UnitError::Range { .. }) { "number_out_of_range" } else { "bad_unit" };
                let hint = Some(format!("the credit `{credit}` keeps `{unit}`"));
                self.report(code, field, error.to_string(), hint);
                None
            }
        }
    }
}
