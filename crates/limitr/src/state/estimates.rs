//! Learned usage: recency-weighted mean and deviation per entitlement and segment. Statistics, so in floating point.

use std::sync::{Mutex, PoisonError};

use super::names::{FixedMap, Name, NameMap};
use crate::Error;
use crate::fields::Fields;
use crate::policy::{ESTIMATE_ALPHA, Estimate, Map};

/// Segment used when none is declared.
pub(crate) const ALL: &str = "all";
/// What [`Estimate::source`] says of usage learned here.
const LOCAL: &str = "local";
/// Most segments learned per entitlement: segments come from event data and must not grow without bound.
const MAX_SEGMENTS: usize = 1_000;

/// One finished call to learn from, already per unit of basis.
#[derive(Debug, Clone)]
pub(crate) struct Sample<'a> {
    pub(crate) value: f64,
    pub(crate) overhead: f64,
    pub(crate) segment: &'a str,
    /// The basis field it is per unit of.
    pub(crate) basis: Option<&'a str>,
    pub(crate) at: i64,
}

impl Estimate {
    /// Reads what a meter of a snapshot has learned.
    pub(super) fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let estimate = Self {
            samples: fields.required("samples").count().unwrap_or_default(),
            alpha: fields.given("alpha").double().unwrap_or(ESTIMATE_ALPHA),
            value_mean: fields.given("value_mean").double().unwrap_or_default(),
            value_var: fields.given("value_var").double().unwrap_or_default(),
            overhead_mean: fields.given("overhead_mean").double().unwrap_or_default(),
            overhead_var: fields.given("overhead_var").double().unwrap_or_default(),
            source: fields.given("source").text().unwrap_or(LOCAL).to_owned(),
            updated: fields.given("updated").whole().unwrap_or_default(),
            basis: fields.optional("basis").text().map(str::to_owned),
        };
        fields.finish().map(|()| estimate)
    }

    /// Whether what was learned is per unit of the basis now declared. What the policy ships is taken at its word.
    pub(crate) fn fits(&self, basis: Option<&str>) -> bool {
        self.basis.as_deref() == basis || (self.basis.is_none() && self.source != LOCAL)
    }

    fn learn(&mut self, sample: &Sample<'_>) {
        if !self.fits(sample.basis) || self.samples == 0 {
            *self = Self {
                samples: 0,
                alpha: self.alpha,
                value_mean: 0.0,
                value_var: 0.0,
                overhead_mean: 0.0,
                overhead_var: 0.0,
                source: LOCAL.to_owned(),
                updated: 0,
                basis: sample.basis.map(str::to_owned),
            };
        }
        self.samples = self.samples.saturating_add(1);
        // A plain average at first, then recent calls count more.
        #[allow(clippy::cast_precision_loss)]
        let weight = self.alpha.max(1.0 / self.samples as f64);
        smooth(&mut self.value_mean, &mut self.value_var, sample.value, weight);
        smooth(&mut self.overhead_mean, &mut self.overhead_var, sample.overhead, weight);
        self.updated = sample.at;
    }
}

fn smooth(mean: &mut f64, variance: &mut f64, value: f64, weight: f64) {
    let difference = value - *mean;
    let spread = (1.0 - weight) * (*variance + weight * difference * difference);
    // Numbers too large to square teach nothing: an infinity in a record could not be read back.
    if spread.is_finite() {
        *mean += weight * difference;
        *variance = spread;
    }
}

/// Learns into a set of segments; false when it is full of others.
pub(crate) fn learn(estimates: &mut NameMap<Estimate>, sample: &Sample<'_>) -> bool {
    if estimates.len() >= MAX_SEGMENTS && !estimates.contains(sample.segment) {
        return false;
    }
    let fresh = || Estimate {
        samples: 0,
        alpha: ESTIMATE_ALPHA,
        value_mean: 0.0,
        value_var: 0.0,
        overhead_mean: 0.0,
        overhead_var: 0.0,
        source: LOCAL.to_owned(),
        updated: 0,
        basis: None,
    };
    if let Some(estimate) = estimates.get_or_insert_with(&Name::from(sample.segment), fresh) {
        estimate.learn(sample);
    }
    true
}

/// What all customers of the policy together have taught.
#[derive(Debug, Default)]
pub(crate) struct Learned(Mutex<FixedMap<Name, NameMap<Estimate>>>);

impl Learned {
    /// Takes over what a policy document ships; what was learned here stays where the document has nothing.
    pub(crate) fn seed(&self, shipped: &Map<Map<Estimate>>) {
        let mut learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (entitlement, segments) in shipped {
            let known = learned.entry(entitlement.as_str().into()).or_default();
            for (segment, estimate) in segments {
                known.insert(segment.as_str().into(), estimate.clone());
            }
        }
    }

    pub(crate) fn learn(&self, entitlement: &Name, sample: &Sample<'_>) {
        let mut learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learn(learned.entry(entitlement.clone()).or_default(), sample);
    }

    pub(crate) fn get(&self, entitlement: &str, segment: &str) -> Option<Estimate> {
        let learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learned.get(entitlement)?.get(segment).cloned()
    }

    /// Everything learned, for writing it into a document.
    pub(crate) fn all(&self) -> Map<Map<Estimate>> {
        let learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = learned
            .iter()
            .map(|(entitlement, segments)| {
                let segments = segments.iter().map(|(segment, estimate)| (segment.to_owned(), estimate.clone()));
                (entitlement.to_string(), segments.collect())
            })
            .collect();
        all.sort_by(|(one, _): &(String, Map<Estimate>), (two, _)| one.cmp(two));
        all.into_iter().collect()
    }
}

/// The standard normal quantile by P. J. Acklam's rational approximation (relative error below 1.15e-9), with `quantile`
/// held inside (0, 1). `libm` keeps it the same on every platform.
pub(crate) fn quantile_z(quantile: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    const LOW: f64 = 0.02425;
    let horner = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let p = if quantile.is_nan() { 0.5 } else { quantile.clamp(1e-12, 1.0 - 1e-12) };
    if p < LOW {
        let q = libm::sqrt(-2.0 * libm::log(p));
        horner(&C, q) / (horner(&D, q) * q + 1.0)
    } else if p > 1.0 - LOW {
        let q = libm::sqrt(-2.0 * libm::log(1.0 - p));
        -horner(&C, q) / (horner(&D, q) * q + 1.0)
    } else {
        let q = p - 0.5;
        let r = q * q;
        horner(&A, r) * q / (horner(&B, r) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_match_the_tables() {
        for (quantile, z) in
            [(0.5, 0.0), (0.9, 1.281_551_565_5), (0.99, 2.326_347_874), (0.01, -2.326_347_874), (0.999, 3.090_232_306)]
        {
            assert!((quantile_z(quantile) - z).abs() < 1e-8, "{quantile}: {}", quantile_z(quantile));
        }
        for odd in [0.0, 1.0, -5.0, 7.0, f64::NAN, f64::INFINITY] {
            assert!(quantile_z(odd).is_finite());
        }
    }

    #[test]
    fn a_plain_average_until_ten_samples() {
        let mut estimates = NameMap::new();
        for value in 1..=10 {
            let sample = Sample { value: f64::from(value), overhead: 0.0, segment: ALL, basis: None, at: 0 };
            assert!(learn(&mut estimates, &sample));
        }
        let learned = estimates.get(ALL).unwrap();
        assert!((learned.value_mean - 5.5).abs() < 1e-12);
        assert!((learned.value_var - 8.25).abs() < 1e-12);
    }
}
