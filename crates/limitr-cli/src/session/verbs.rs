//! The verbs a step can have.

/// Every verb: those of the clock, and the engine's operations under all their names.
pub fn verbs() -> impl Iterator<Item = &'static str> {
    ["advance", "now"].into_iter().chain(limitr::operations())
}
