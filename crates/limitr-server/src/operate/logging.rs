//! Logs and traces. What may be in them is decided where requests are seen, see `http/observe.rs`: other crates are held to
//! warnings, for what they log at finer levels can be the bytes of a request.

use std::io::IsTerminal as _;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::config::{Config, LogFormat, LogLevel};
use crate::error::Error;

/// Sends spans until it is stopped.
pub(crate) struct Traces(SdkTracerProvider);

/// Logs go to standard error from now on, unless the process has a subscriber already.
pub(crate) fn start(config: &Config) -> Result<Option<Traces>, Error> {
    let traces = config.otlp_endpoint.as_deref().map(traces).transpose()?;
    let spans = traces.as_ref().map(|Traces(provider)| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer("limitr")).with_location(false).with_threads(false)
    });
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match config.log_format {
        LogFormat::Pretty => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A process has one subscriber: a program that embeds the server may have set its own.
    let _ = tracing_subscriber::registry().with(filter(config.log_level)).with(lines).with(spans).try_init();
    Ok(traces)
}

fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "warn,limitr=info,limitr_server=info",
        LogLevel::Debug => "warn,limitr=debug,limitr_server=debug",
        LogLevel::Trace => "warn,limitr=trace,limitr_server=trace",
    })
}

fn traces(endpoint: &str) -> Result<Traces, Error> {
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build().map_err(|error| {
        Error::new("invalid_config", format!("traces cannot be sent to `{endpoint}`: {error}"))
            .at("otlp_endpoint")
            .hint_at("name an OTLP receiver over HTTP: http://localhost:4318/v1/traces")
    })?;
    let resource = Resource::builder().with_service_name("limitr").build();
    Ok(Traces(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()))
}

impl Traces {
    /// Sends what is left.
    pub(crate) async fn stop(self) {
        let stopped = tokio::task::spawn_blocking(move || self.0.shutdown()).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}
