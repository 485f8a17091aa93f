//! Random ids from a seed that the host drew.

use std::sync::{Mutex, PoisonError};

use limitr::IdSource;

/// Ids of 128 bits, in hexadecimal. No two of one engine are equal; those of different engines start from different seeds.
pub(crate) struct SeededIds(Mutex<[u64; 2]>);

impl SeededIds {
    pub(crate) const fn new(one: u64, two: u64) -> Self {
        Self(Mutex::new([one, two]))
    }
}

impl IdSource for SeededIds {
    fn id(&self) -> String {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [one, two] = &mut *state;
        format!("{:016x}{:016x}", splitmix(one), splitmix(two))
    }
}

/// `SplitMix64` (Steele, Lea, Flood 2014): a bijection of a counter. These ids name things, they protect nothing.
const fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_repeat_with_the_seed() {
        let (one, two) = (SeededIds::new(1, 2), SeededIds::new(1, 2));
        let first = one.id();
        assert_eq!(first.len(), 32);
        assert_eq!(first, two.id());
        assert_ne!(first, one.id());
    }
}
