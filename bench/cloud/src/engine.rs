//! An engine that counts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use limitr::{Limitr, NewCustomer};
use limitr_sync::{Action, Link, LinkOptions};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::server::Server;

pub type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Entries that are not acknowledged, beyond which an engine that is as fast as it can be waits.
const AHEAD: u64 = 12_000;

/// How often it looks at what is to be sent and what came.
const TURN: Duration = Duration::from_millis(10);

pub struct Engine {
    limitr: Limitr,
    link: Link,
    socket: Socket,
    begun: Instant,
    customers: Vec<String>,
    next: usize,
    /// Entries made, and acknowledged.
    made: u64,
    acked: u64,
    /// When which entries were made.
    when: VecDeque<(u64, Instant)>,
    /// How long entries took to be acknowledged, and how many did.
    pub waits: Vec<(Duration, u64)>,
    missing: bool,
    ready: bool,
}

pub async fn socket(server: &Server, node: usize) -> Socket {
    let address = format!("ws://{}/wss?ticket={}", server.addresses[node], server.ticket(node).await);
    tokio_tungstenite::connect_async(address).await.expect("a connection").0
}

impl Engine {
    pub async fn connect(server: &Server, node: usize, name: &str) -> Self {
        let limitr = Limitr::builder().policy_value(&serde_json::json!({})).expect("an engine");
        limitr.keep_log();
        let id = format!(
            "{name}-{}",
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos()
        );
        let link = Link::new(LinkOptions { engine: id, ..LinkOptions::default() }, 0);
        let mut engine = Self {
            limitr,
            link,
            socket: socket(server, node).await,
            begun: Instant::now(),
            customers: Vec::new(),
            next: 0,
            made: 0,
            acked: 0,
            when: VecDeque::new(),
            waits: Vec::new(),
            missing: false,
            ready: false,
        };
        let hello = engine.link.opened(0);
        engine.act(hello).await;
        while !engine.ready {
            engine.turn().await;
        }
        engine
    }

    /// Makes customers of its own, and waits until they are stored.
    pub async fn settle_in(&mut self, name: &str, customers: usize) {
        self.customers = (0..customers).map(|at| format!("{name}-{at}")).collect();
        for customer in self.customers.clone() {
            self.limitr.ensure_customer(NewCustomer::new(customer)).expect("a customer");
            self.made += 1;
        }
        while !self.link.is_settled() || self.acked < self.made {
            self.turn().await;
        }
    }

    /// Counts until the time is over: as fast as it can, or so many a second. Returns how many were acknowledged by then.
    pub async fn count(&mut self, until: Instant, rate: Option<f64>) -> u64 {
        let (begun, before) = (Instant::now(), self.acked);
        let mut counted = 0;
        while Instant::now() < until {
            let due = match rate {
                Some(rate) => ((begun.elapsed().as_secs_f64() * rate) as u64).saturating_sub(counted),
                None => AHEAD.saturating_sub(self.made - self.acked).min(4_000),
            };
            for _ in 0..due {
                let customer = &self.customers[self.next % self.customers.len()];
                self.next += 1;
                assert!(self.limitr.allow(customer, "chat", 1).allowed);
            }
            if due > 0 {
                counted += due;
                self.made += due;
                self.when.push_back((self.made, Instant::now()));
            }
            self.turn().await;
        }
        self.acked - before
    }

    /// Waits until everything is acknowledged.
    pub async fn finish(&mut self) {
        while self.acked < self.made {
            self.turn().await;
        }
    }

    /// How long a customer takes to arrive.
    pub async fn fetch(&mut self, customer: &str) -> Duration {
        let begun = Instant::now();
        self.link.fetch(customer);
        self.missing = false;
        while !self.limitr.has_customer(customer) {
            assert!(!self.missing, "{customer} is not there");
            let now = self.now();
            let actions = self.link.poll(&self.limitr, now);
            self.act(actions).await;
            let message = self.socket.next().await.expect("a connection").expect("a frame");
            self.take(message).await;
        }
        begun.elapsed()
    }

    fn now(&self) -> i64 {
        self.begun.elapsed().as_millis() as i64
    }

    async fn turn(&mut self) {
        let now = self.now();
        if self.link.is_up() {
            let actions = self.link.poll(&self.limitr, now);
            self.act(actions).await;
        }
        let pause = tokio::time::sleep(TURN);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                biased;
                () = &mut pause => return,
                message = self.socket.next() => {
                    let message = message.expect("a connection").expect("a frame");
                    self.take(message).await;
                }
            }
        }
    }

    async fn take(&mut self, message: Message) {
        let Message::Text(text) = message else { return };
        if let Some(through) = text.strip_prefix(r#"{"type":"ack","through":"#) {
            self.acked = through.trim_end_matches('}').parse().expect("nothing is refused");
            while let Some((last, when)) = self.when.front().filter(|(last, _)| *last <= self.acked) {
                self.waits.push((when.elapsed(), *last));
                self.when.pop_front();
            }
        }
        let actions = self.link.received(&self.limitr, &text, self.now());
        self.act(actions).await;
    }

    async fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(text) => self.socket.send(Message::text(text)).await.expect("a connection"),
                Action::Policy(_) => self.ready = true,
                Action::Answered { found, .. } => self.missing = !found,
                Action::Refused(refused) => panic!("{refused:?}"),
                Action::Trouble(error) => panic!("{error}"),
                Action::Connect | Action::Disconnect => {}
            }
        }
    }
}
