//! Metrics of this process. Anything counts with the macros of the crate `metrics`; names begin with `limitr_`.

use std::sync::{Mutex, PoisonError};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::error::Error;

/// From a millisecond to the timeout of a request.
const SECONDS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// The recorder, which a process has one of, however many servers run in it.
pub(crate) fn install() -> Result<PrometheusHandle, Error> {
    static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let failed = |error: &dyn std::fmt::Display| Error::new("internal", format!("no metrics: {error}"));
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    let handle = builder.map_err(|error| failed(&error))?.install_recorder().map_err(|error| failed(&error))?;
    describe();
    Ok(installed.insert(handle).clone())
}

fn describe() {
    metrics::describe_counter!("limitr_http_requests_total", "Requests answered, by method, route and status");
    metrics::describe_histogram!("limitr_http_request_seconds", metrics::Unit::Seconds, "Time to an answer");
    metrics::describe_gauge!("limitr_db_connections", "Connections to the database, by pool and state");
}
