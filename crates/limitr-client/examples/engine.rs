//! One instance of a program: a Rust process with its own engine, connected to a Limitr server.
//!
//! ```sh
//! LIMITR_TOKEN=limitr_... LIMITR_WS_ADDRESS=ws://127.0.0.1:7070 LIMITR_TICKET_ADDRESS=http://127.0.0.1:7070 \
//!     cargo run -p limitr-client --example engine -- [SECONDS]
//! ```
#![expect(clippy::print_stdout, reason = "an example speaks through its output")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use limitr_client::{Cloud, CloudOptions, NewCustomer};

const CUSTOMERS: [&str; 3] = ["acme", "globex", "initech"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let cloud = Arc::new(Cloud::connect(CloudOptions::new(std::env::var("LIMITR_TOKEN")?)).await?);
    for customer in CUSTOMERS {
        cloud.ensure_customer(NewCustomer::new(customer).plan("growth")).await?;
    }
    println!("connected; acme may use {} tokens a day", limit(&cloud));
    let listening = Arc::downgrade(&cloud);
    cloud.engine().on(move |event| {
        if let Some(cloud) = listening.upgrade().filter(|_| event.name() == "policy-updated") {
            println!("the policy has changed: acme may use {} tokens a day", limit(&cloud));
        }
    });

    let (mut calls, mut tokens) = (0, 0);
    let end = Instant::now() + Duration::from_secs(seconds);
    for (customer, at) in CUSTOMERS.into_iter().cycle().zip(0_i64..) {
        if Instant::now() >= end {
            break;
        }
        let used = 500 + at * 7919 % 2500;
        if cloud.allow(customer, "ai-chat-input", used).allowed {
            calls += 1;
            tokens += used;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Sends what is left, and waits until it is stored.
    cloud.close().await;
    println!("{calls} calls allowed, {tokens} tokens");
    Ok(())
}

fn limit(cloud: &Cloud) -> String {
    cloud.engine().limit("acme", "ai-chat-input", false).map(|limit| limit.to_string()).unwrap_or_default()
}
