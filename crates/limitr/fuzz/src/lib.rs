//! What each fuzz target does with its input. `tests/fuzz_regressions.rs` includes this file and replays kept inputs, so
//! nothing here may need a fuzzing crate.

mod bytes;
mod calls;
mod conversions;
mod documents;
mod engine;
mod expressions;
#[cfg(feature = "stof")]
mod functions;
mod generate;
mod hostile;
mod record;

use limitr::policy::Format;

/// A document as JSON text.
pub fn json(input: &[u8]) {
    documents::read(input, Format::Json);
}

/// A document as YAML text.
pub fn yaml(input: &[u8]) {
    documents::read(input, Format::Yaml);
}

/// A document as TOML text.
pub fn toml(input: &[u8]) {
    documents::read(input, Format::Toml);
}

/// A document as Stof text, and the text as a function of one: read here as the `stof` crate reads it, and run within bounds.
#[cfg(feature = "stof")]
pub fn stof(input: &[u8]) {
    documents::read(input, Format::Stof);
    functions::read(input);
}

/// Text as the expressions of a policy.
pub fn expressions(input: &[u8]) {
    expressions::run(input);
}

/// A policy made of the document's own fields with plausible and hostile values.
pub fn validate(input: &[u8]) {
    documents::generated(input);
}

/// Customer records, as text and made of the record's own fields, then every read on them.
pub fn record(input: &[u8]) {
    record::run(input);
}

/// A sequence of operations on one of a few rich policies, with the clock jumping both ways.
pub fn calls(input: &[u8]) {
    calls::run(input);
}

/// Numbers, units, durations and schedules.
pub fn conversions(input: &[u8]) {
    conversions::run(input);
}
