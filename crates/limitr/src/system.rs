//! The operating system's clock and randomness, for programs that want the usual.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Clock, IdSource};

/// The system clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Seconds and ms apart: dividing 128 bits costs more than the clock.
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        seconds.saturating_mul(1000).saturating_add(i64::from(since.subsec_millis()))
    }
}

/// Random ids of 128 bits, in hexadecimal.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn id(&self) -> String {
        // Every RandomState is keyed anew from the operating system's randomness (advanced per call); hashing nothing
        // with it draws a number from that key. These ids name things, they protect nothing.
        let draw = |salt: u8| RandomState::new().hash_one(salt);
        format!("{:016x}{:016x}", draw(0), draw(1))
    }
}
