//! Stof documents: the same policy as in YAML decides the same, and what is hostile is stopped.

#![cfg(feature = "stof")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};

use limitr::policy::Format;
use limitr::{Limitr, ManualClock, SequentialIds};
use serde_json::Value;

#[path = "stof/hostile.rs"]
mod hostile;
#[path = "stof/page.rs"]
mod page;
#[path = "stof/places.rs"]
mod places;
#[path = "stof/same.rs"]
mod same;

/// The events of an engine, with their payloads.
type Heard = Arc<Mutex<Vec<(String, Value)>>>;

fn hear(limitr: &Limitr) -> Heard {
    let heard: Heard = Arc::default();
    let hears = heard.clone();
    limitr.on(move |event| hears.lock().unwrap().push((event.name().to_owned(), event.to_json())));
    heard
}

fn engine(text: &str, format: Format) -> (Limitr, Heard, ManualClock) {
    let clock = ManualClock::new(1_700_000_000_000);
    let builder = Limitr::builder().clock(clock.clone()).ids(SequentialIds::default());
    let limitr = builder.policy(text, format).unwrap_or_else(|error| panic!("{error}"));
    let heard = hear(&limitr);
    (limitr, heard, clock)
}
