//! Checks of credits: their costs, prices and tiers.

use std::collections::HashSet;

use super::Check;
use crate::Amount;
use crate::logic::Cost;
use crate::policy::model::{Credit, PricingModel, Tier};

impl<'p> Check<'p> {
    pub(super) fn credits(&mut self) {
        self.inside("credits", |this| {
            this.each(&this.policy.credits, |this, name, credit| this.credit(name, credit));
        });
    }

    fn credit(&mut self, name: &str, credit: &'p Credit) {
        if matches!(name, "rune" | "usd") {
            let hint = Some("rename the credit; what it is worth goes into `policy.exchange`".to_owned());
            self.report("reserved_name", "", format!("`{name}` is a built-in currency, not a credit"), hint);
        }
        self.not_negative("negative_overhead", "overhead_cost", credit.overhead_cost);
        if let (Some(text), Some(Err(mistake))) =
            (&credit.overhead, Cost::compile(name, credit, &self.policy.functions))
        {
            self.mistake("overhead", text, mistake);
        }
        if let Some(price) = &credit.price {
            self.inside("price", |this| this.not_negative("negative_price", "amount", price.amount));
        }
        let model = name_of(credit.pricing_model);
        if credit.pricing_model == PricingModel::Flat {
            if !credit.tiers.is_empty() {
                let hint = Some("set `pricing_model` to `tiered`, `volume` or `stairstep`".to_owned());
                self.report("tiers_with_flat", "tiers", "a credit priced `flat` has no tiers".to_owned(), hint);
            }
        } else {
            if credit.price.is_some() {
                let message = format!("a credit priced `{model}` has no `price` of its own");
                let hint = Some("put prices into `tiers`, or set `pricing_model` to `flat`".to_owned());
                self.report("price_with_tiers", "price", message, hint);
            }
            if credit.tiers.is_empty() {
                let hint = Some("list them as `{up_to, price: {amount}}`, the last without `up_to`".to_owned());
                self.report("missing_tiers", "tiers", format!("a credit priced `{model}` needs tiers"), hint);
            } else {
                self.open_tier(&credit.tiers);
            }
        }
        let mut ends = HashSet::new();
        self.inside("tiers", |this| {
            for (index, tier) in credit.tiers.iter().enumerate() {
                this.inside(&format!("[{index}]"), |this| this.tier(tier, &mut ends));
            }
        });
    }

    fn open_tier(&mut self, tiers: &[Tier]) {
        let mut open = tiers.iter().enumerate().filter(|(_, tier)| tier.up_to.is_none());
        if open.next().is_none() {
            let hint = Some("leave `up_to` out of the last one".to_owned());
            self.report(
                "open_tier",
                "tiers",
                "no tier is without `up_to`, so the largest quantities have no price".to_owned(),
                hint,
            );
        }
        for (index, _) in open {
            let message = "a second tier without `up_to`".to_owned();
            self.report(
                "open_tier",
                &format!("tiers[{index}]"),
                message,
                Some("only the last one has none".to_owned()),
            );
        }
    }

    fn tier(&mut self, tier: &Tier, ends: &mut HashSet<Amount>) {
        if let Some(up_to) = tier.up_to {
            if up_to <= Amount::ZERO {
                self.report("tier_bound", "up_to", format!("`up_to` is `{up_to}`, but must be above 0"), None);
            }
            if !ends.insert(up_to) {
                self.report("equal_tiers", "up_to", format!("two tiers end at `{up_to}`"), None);
            }
        }
        self.inside("price", |this| this.not_negative("negative_price", "amount", tier.price.amount));
    }
}

fn name_of(model: PricingModel) -> &'static str {
    match model {
        PricingModel::Flat => "flat",
        PricingModel::Tiered => "tiered",
        PricingModel::Volume => "volume",
        PricingModel::Stairstep => "stairstep",
    }
}
