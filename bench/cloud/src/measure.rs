//! What is measured, and how it is shown.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::Plan;
use crate::engine::{Engine, socket};
use crate::server::Server;

/// How engines fared.
pub struct Load {
    per_second: f64,
    waits: Waits,
}

/// How long something took.
pub struct Waits(Vec<f64>);

impl Waits {
    fn new(mut ms: Vec<f64>) -> Self {
        ms.sort_by(f64::total_cmp);
        Self(ms)
    }

    fn at(&self, part: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get(((last as f64) * part).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Engines that count: as fast as they can, or so many a second in all.
pub async fn load(server: &Server, plan: &Plan, rate: Option<u64>) -> Load {
    let mut engines = Vec::new();
    for at in 0..plan.engines {
        let name = format!("load{at}-{}", rate.unwrap_or_default());
        let mut engine = Engine::connect(server, at % server.addresses.len(), &name).await;
        engine.settle_in(&name, plan.customers).await;
        engines.push(engine);
    }
    let share = rate.map(|rate| rate as f64 / plan.engines as f64);
    // What begins slowly is not what is measured.
    let warm = Instant::now() + Duration::from_secs(2);
    let begin = warm;
    let end = begin + Duration::from_secs(plan.seconds);
    let mut running = JoinSet::new();
    for mut engine in engines {
        running.spawn(async move {
            engine.count(warm, share).await;
            engine.waits.clear();
            let stored = engine.count(end, share).await;
            let waits = std::mem::take(&mut engine.waits);
            engine.finish().await;
            (stored, waits)
        });
    }
    let (mut stored, mut waits) = (0, Vec::new());
    while let Some(done) = running.join_next().await {
        let (count, times) = done.expect("an engine");
        stored += count;
        waits.extend(times.into_iter().map(|(wait, _)| wait.as_secs_f64() * 1000.0));
    }
    Load { per_second: stored as f64 / plan.seconds as f64, waits: Waits::new(waits) }
}

/// How long customers take that an engine has not seen.
pub async fn fetches(server: &Server, count: usize) -> Waits {
    let mut one = Engine::connect(server, 0, "maker").await;
    one.settle_in("fetched", count).await;
    let mut two = Engine::connect(server, 0, "fetcher").await;
    let mut waits = Vec::new();
    for at in 0..count {
        waits.push(two.fetch(&format!("fetched-{at}")).await.as_secs_f64() * 1000.0);
    }
    Waits::new(waits)
}

/// What connections cost that say nothing.
pub struct Idle {
    pub more: f64,
    pub all: f64,
    pub publication: Waits,
}

pub async fn idle(server: &Server, count: usize) -> Idle {
    let before = server.memory();
    let mut sockets = Vec::new();
    for at in 0..count {
        let mut socket = socket(server, 0).await;
        let hello = format!(r#"{{"type":"hello","protocol":1,"engine":"idle-{at}"}}"#);
        socket.send(Message::text(hello)).await.expect("a connection");
        sockets.push(socket);
    }
    let mut welcomed = JoinSet::new();
    for mut socket in sockets {
        welcomed.spawn(async move {
            wait_for_policy(&mut socket).await;
            socket
        });
    }
    let sockets = welcomed.join_all().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let all = server.memory();
    let begun = Instant::now();
    let mut told = JoinSet::new();
    for mut socket in sockets {
        told.spawn(async move {
            wait_for_policy(&mut socket).await;
            (begun.elapsed().as_secs_f64() * 1000.0, socket)
        });
    }
    server.publish_again().await;
    let told = told.join_all().await;
    Idle { more: all - before, all, publication: Waits::new(told.iter().map(|(ms, _)| *ms).collect()) }
}

async fn wait_for_policy(socket: &mut crate::engine::Socket) {
    loop {
        match socket.next().await.expect("a connection").expect("a frame") {
            Message::Text(text) if text.starts_with(r#"{"type":"policy""#) => return,
            _ => {}
        }
    }
}

/// The lines printed in the end.
#[derive(Default)]
pub struct Table(Vec<(String, String)>);

impl Table {
    pub fn say(&mut self, what: &str, found: &str) {
        eprintln!("{what}: {found}");
        self.0.push((what.to_owned(), found.to_owned()));
    }

    pub fn load(&mut self, what: &str, load: &Load) {
        let Load { per_second, waits } = load;
        let (half, most) = (waits.at(0.5), waits.at(0.99));
        self.say(
            what,
            &format!("{per_second:.0} effects/s stored; acknowledged after {half:.0} ms, 99% within {most:.0} ms"),
        );
    }

    pub fn add(&mut self, what: &str, waits: &Waits) {
        let (half, most, last) = (waits.at(0.5), waits.at(0.99), waits.at(1.0));
        self.say(what, &format!("{half:.2} ms, 99% within {most:.2} ms, all within {last:.1} ms"));
    }

    pub fn print(&self) {
        let width = self.0.iter().map(|(what, _)| what.len()).max().unwrap_or_default();
        println!();
        for (what, found) in &self.0 {
            println!("{what:width$}  {found}");
        }
    }
}
