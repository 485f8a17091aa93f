//! A program's engine against a server that is made of the hub, a store in memory and real sockets.

#![allow(unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod closing;
mod connecting;
mod customers;
mod server;
mod usage;

#[path = "../../../limitr-sync/tests/simulator/store.rs"]
mod store;

use std::time::{Duration, Instant};

use limitr_client::{Cloud, CloudOptions};
use server::{StandIn, TOKEN};

/// A policy with a limit on `chat` and on `seats`.
fn policy(limit: u32) -> String {
    format!(
        "
policy:
  credits: {{token: {{}}, seat: {{}}}}
  plans:
    free:
      default: true
      entitlements:
        chat: {{limit: {{credit: token, value: {limit}}}}}
        seats: {{limit: {{credit: seat, value: 3, increment: 1}}}}
"
    )
}

fn options(server: &StandIn) -> CloudOptions {
    CloudOptions::new(TOKEN).ws_address(format!("ws://{}", server.addr))
}

async fn connect(server: &StandIn) -> Cloud {
    Cloud::connect(options(server)).await.unwrap()
}

/// Waits until it is so, for at most so long.
#[track_caller]
fn within(most: Duration, so: impl Fn() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        while !so() {
            assert!(start.elapsed() < most, "not within {most:?} at {place}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Waits until it is so.
#[track_caller]
fn until(so: impl Fn() -> bool) -> impl Future<Output = ()> {
    within(Duration::from_secs(10), so)
}
