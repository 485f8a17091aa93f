//! The whole of it under one seed, and what must hold in the end.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;

use fastrand::Rng;
use limitr::{Amount, Entry};
use limitr_sync::{Action, Out, PolicyVersion, SessionId};
use serde_json::{Value, json};

use super::engine::Engine;
use super::node::Node;
use super::store::Store;

pub const INVARIANTS: [&str; 9] = [
    "the ledger has every use that was acknowledged, and every use that its engine kept over a restart",
    "it has none of them twice, none that never happened, and each exactly as it happened",
    "meters say what the ledger adds up to",
    "all engines show a customer as the store has it",
    "every outbox is empty once all are connected, and nothing honest was refused",
    "an acknowledgement is never given before the commit, nor taken back",
    "no version of a customer is overwritten without having been read",
    "no customer is gone that nobody has removed",
    "what was asked of a node is counted once when it was granted, and at most once when nobody heard of that",
];

const POLICY: &str = r#"
policy:
  credits:
    token: {price: {amount: 0.02}, overhead_cost: 0.01}
    image: {price: {amount: 1.5}}
    sub: {price: {amount: 10}}
  plans:
    free:
      default: true
      entitlements:
        chat: {limit: {credit: token, value: 60, mode: soft}}
        images: {limit: {credit: image, value: 10}}
        shared: {scope: org, limit: {credit: token, value: 100, resets: true, reset_inc: 1h, mode: observe}}
        subscription: {limit: {credit: sub, value: 0, mode: observe}}
      topups:
        welcome: {credit: image, value: 5, included: true}
        pack: {credit: image, value: 20, priority: 1}
    pro:
      entitlements:
        chat: {limit: {credit: token, value: 600, mode: soft}}
        images: {limit: {credit: image, value: 40}}
        shared: {scope: org, limit: {credit: token, value: 100, resets: true, reset_inc: 1h, mode: observe}}
        subscription: {limit: {credit: sub, value: 0, mode: observe}}
      topups:
        pack: {credit: image, value: 20}
        monthly: {credit: token, value: 50, resets: true, reset_inc: 3h}
"#;

/// 2026-01-15T00:00:00Z.
const START: i64 = 1_768_435_200_000;
const HOUR: i64 = 3_600_000;

/// How often what happened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    pub calls: u64,
    pub lines: u64,
    pub cuts: u64,
    pub crashes: u64,
    pub failed: u64,
    pub unknown: u64,
    pub lost: u64,
    pub merges: u64,
    pub refused: u64,
    pub released: u64,
    pub asked: u64,
    pub unheard: u64,
}

impl Told {
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.lines += other.lines;
        self.cuts += other.cuts;
        self.crashes += other.crashes;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.lost += other.lost;
        self.merges += other.merges;
        self.refused += other.refused;
        self.released += other.released;
        self.asked += other.asked;
        self.unheard += other.unheard;
    }

    pub fn is_lively(&self) -> bool {
        let faults = [self.cuts, self.crashes, self.failed, self.unknown, self.lost, self.released];
        let work = [self.calls, self.lines, self.asked];
        work.iter().chain(&faults).all(|count| *count > 10) && self.merges > 100
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} entries, {} ledger lines, {} connections cut, {} crashes, ",
            self.calls, self.lines, self.cuts, self.crashes
        )?;
        write!(f, "{} failed commits ({} stored all the same), ", self.failed, self.unknown)?;
        write!(
            f,
            "{} entries lost with engines that did not keep them, {} records merged, {} refused, {} releases, ",
            self.lost, self.merges, self.refused, self.released
        )?;
        write!(f, "{} calls of nodes granted, {} never answered", self.asked, self.unheard)
    }
}

/// A call that was asked of a node, and what it answered.
struct Asked {
    life: u64,
    allowed: Option<bool>,
}

/// A connection: two ends, which need not agree that it is there.
struct Pipe {
    engine: usize,
    node: usize,
    session: SessionId,
    /// Frames on their way, and when they arrive.
    up: VecDeque<(i64, String)>,
    down: VecDeque<(i64, Option<String>)>,
    /// When an end notices that it is cut.
    engine_notices: Option<i64>,
    node_notices: Option<i64>,
}

pub struct World {
    rng: Rng,
    even: i64,
    engines: Vec<Engine>,
    nodes: Vec<Node>,
    store: Store,
    pipes: Vec<Pipe>,
    next_session: SessionId,
    /// How often nodes were started.
    lives: u64,
    /// What was asked of nodes, by ticket from 1 on; that is part of the amount too, by which it is found again.
    asked: Vec<Asked>,
    /// Engines that are no more: what they did, and how much of it was acknowledged.
    past: Vec<(String, BTreeMap<u64, Entry>, u64)>,
    acknowledged: HashMap<String, u64>,
    told: Told,
    talk: bool,
    /// Nothing is deleted or started over in calm worlds: sums can be checked.
    calm: bool,
    policy: PolicyVersion,
}

impl World {
    pub fn new(seed: u64, talk: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let policy =
            PolicyVersion { id: "pol_1".into(), number: 1, format: "yaml".into(), document: POLICY.to_owned() };
        let nodes = rng.u64(1..=3);
        let engines = rng.usize(1..=5);
        let engines = (0..engines).map(|at| {
            let skew = if rng.u8(..) < 80 { rng.i64(-HOUR..HOUR) } else { rng.i64(-50..50) };
            let held = if rng.u8(..) < 100 { rng.usize(1..5) } else { 0 };
            Engine::new(&format!("e{at}"), skew, rng.bool(), held, 0)
        });
        let engines = engines.collect();
        Self {
            even: 0,
            engines,
            nodes: (1..=nodes).map(|life| Node::new(&policy, life)).collect(),
            lives: nodes,
            asked: Vec::new(),
            store: Store::default(),
            pipes: Vec::new(),
            next_session: 0,
            past: Vec::new(),
            acknowledged: HashMap::new(),
            told: Told::default(),
            talk,
            calm: rng.bool(),
            rng,
            policy,
        }
    }

    pub fn run(mut self) -> Told {
        let steps = self.rng.usize(200..800);
        for _ in 0..steps {
            self.step(true);
        }
        self.heal();
        self.check();
        self.told
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.talk {
            println!("{:>8} {}", self.even, what());
        }
    }

    fn step(&mut self, faults: bool) {
        self.even += match self.rng.u8(..) {
            0 if faults => self.rng.i64(0..HOUR),
            1..=6 if faults => self.rng.i64(0..60_000),
            _ if faults => self.rng.i64(0..60),
            _ => self.rng.i64(0..200),
        };
        for engine in &self.engines {
            engine.clock.set(START + self.even + engine.skew);
        }
        if faults {
            self.misfortune();
        }
        for at in 0..self.engines.len() {
            if !self.engines[at].up {
                if !faults || self.engines[at].down_until <= self.even {
                    self.restart_engine(at);
                }
                continue;
            }
            if faults && self.rng.u8(..) < 120 {
                let customer = ["ann", "bob", "org", "eve"][self.rng.usize(..4)];
                let calm = self.calm;
                self.engines[at].act(&mut self.rng, customer, calm);
            }
            let actions = self.engines[at].poll(self.even);
            self.told.merges += u64::from(!actions.is_empty());
            self.act(at, actions);
        }
        for at in 0..self.nodes.len() {
            if !self.nodes[at].up {
                if !faults || self.nodes[at].down_until <= self.even {
                    self.lives += 1;
                    self.nodes[at] = Node::new(&self.policy, self.lives);
                    self.say(|| format!("node {at} is back"));
                }
                continue;
            }
            if faults && self.rng.u8(..) < 25 {
                self.ask(at);
            }
            let day = START + self.even;
            let turn = self.nodes[at].turn(&mut self.store, &mut self.rng, self.even, day, faults);
            self.told.failed += turn.failed;
            self.told.unknown += turn.unknown;
            if !turn.changed.is_empty() {
                for other in (0..self.nodes.len()).filter(|other| *other != at) {
                    let late = self.even + self.rng.i64(0..300);
                    self.nodes[other].notices.push((late, turn.changed.clone()));
                }
            }
            self.out(at, turn.outs);
        }
        self.deliver(faults);
    }

    /// As a program does that asks over REST.
    fn ask(&mut self, at: usize) {
        let ticket = self.asked.len() + 1;
        let customer = ["ann", "bob", "org", "eve"][self.rng.usize(..4)];
        let entitlement = ["chat", "images"][self.rng.usize(..2)];
        let value = asked_units(ticket);
        let call = json!({"allow": {"customer": customer, "entitlement": entitlement, "value": value}});
        self.say(|| format!("node {at} is asked {call}"));
        let Node { hub, life, .. } = &mut self.nodes[at];
        hub.call(ticket as u64, call);
        self.asked.push(Asked { life: *life, allowed: None });
    }

    fn misfortune(&mut self) {
        match self.rng.u16(..2000) {
            0..20 if !self.pipes.is_empty() => {
                let at = self.rng.usize(..self.pipes.len());
                self.cut(at);
            }
            20..26 => {
                let at = self.rng.usize(..self.engines.len());
                if self.engines[at].up {
                    let until = self.even + self.rng.i64(0..5_000);
                    self.say(|| format!("engine {at} crashes"));
                    self.told.crashes += 1;
                    self.engines[at].note();
                    let early = self.rng.bool();
                    self.engines[at].crash(until, early);
                    for pipe in self.pipes.iter_mut().filter(|pipe| pipe.engine == at) {
                        pipe.engine_notices = Some(i64::MIN);
                        pipe.node_notices.get_or_insert(self.even + self.rng.i64(0..50_000));
                    }
                }
            }
            32..40 => {
                let at = self.rng.usize(..self.engines.len());
                if self.engines[at].up {
                    self.engines[at].early = Some(self.engines[at].link.unsent());
                }
            }
            26..32 => {
                let at = self.rng.usize(..self.nodes.len());
                if self.nodes[at].up {
                    self.say(|| format!("node {at} crashes"));
                    self.told.crashes += 1;
                    self.nodes[at].up = false;
                    self.nodes[at].down_until = self.even + self.rng.i64(0..5_000);
                    for pipe in self.pipes.iter_mut().filter(|pipe| pipe.node == at) {
                        pipe.node_notices = Some(i64::MIN);
                        pipe.up.clear();
                        pipe.engine_notices.get_or_insert(self.even + self.rng.i64(0..50_000));
                    }
                }
            }
            _ => {}
        }
    }

    /// Either end notices some time; what is on its way may still arrive, or not.
    fn cut(&mut self, at: usize) {
        self.told.cuts += 1;
        let (soon, late) = (self.even + self.rng.i64(0..100), self.even + self.rng.i64(0..50_000));
        let engine_first = self.rng.bool();
        let keep = (self.rng.usize(..4), self.rng.usize(..4));
        let pipe = &mut self.pipes[at];
        let (engine, node) = if engine_first { (soon, late) } else { (late, soon) };
        pipe.engine_notices.get_or_insert(engine);
        pipe.node_notices.get_or_insert(node);
        pipe.up.truncate(keep.0);
        pipe.down.truncate(keep.1);
    }

    fn restart_engine(&mut self, at: usize) {
        let (id, did) = (self.engines[at].id.clone(), self.engines[at].did.clone());
        if !self.engines[at].restart(self.even) {
            let acknowledged = self.acknowledged.get(&id).copied().unwrap_or_default();
            self.past.push((id, did, acknowledged));
        }
        let engine = &self.engines[at];
        engine.clock.set(START + self.even + engine.skew);
        self.say(|| format!("engine {at} is back as {}", engine.id));
    }

    fn act(&mut self, at: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Connect => {
                    let node = self.rng.usize(..self.nodes.len());
                    if !self.nodes[node].up {
                        self.engines[at].link.closed(self.even);
                        continue;
                    }
                    self.next_session += 1;
                    let session = self.next_session;
                    self.nodes[node].hub.open(session, self.even);
                    let (up, down) = (VecDeque::new(), VecDeque::new());
                    let pipe = Pipe { engine: at, node, session, up, down, engine_notices: None, node_notices: None };
                    self.pipes.push(pipe);
                    self.say(|| format!("engine {at} connects to node {node} as session {session}"));
                    let actions = self.engines[at].link.opened(self.even);
                    self.act(at, actions);
                }
                Action::Send(text) => {
                    let late = self.even + self.rng.i64(1..40);
                    self.say(|| format!("engine {at} sends {text}"));
                    self.told.released += u64::from(text.starts_with(r#"{"type":"release""#));
                    let open = self.pipes.iter_mut().rev().find(|pipe| pipe.engine == at);
                    // Into a connection that is cut goes nothing any more.
                    if let Some(pipe) = open.filter(|pipe| pipe.engine_notices.is_none()) {
                        let late = pipe.up.back().map_or(late, |(before, _)| late.max(*before));
                        pipe.up.push_back((late, text));
                    }
                }
                Action::Disconnect => {
                    for pipe in self.pipes.iter_mut().filter(|pipe| pipe.engine == at) {
                        pipe.engine_notices = Some(i64::MIN);
                        pipe.node_notices.get_or_insert(self.even + 50);
                    }
                }
                Action::Answered { .. } => self.engines[at].answered += 1,
                Action::Refused(refused) => {
                    self.told.refused += refused.len() as u64;
                    self.engines[at].refused.extend(refused.into_iter().map(|refusal| refusal.code));
                }
                Action::Policy(_) => {}
                Action::Trouble(error) => {
                    let known = ["superseded", "entries_missing", "silent", "alt_id_taken"];
                    assert!(known.contains(&error.code.as_str()), "{error:?}");
                }
            }
        }
    }

    fn out(&mut self, node: usize, outs: Vec<Out>) {
        for out in outs {
            match out {
                Out::Send(session, text) => {
                    self.say(|| format!("node {node} to session {session}: {text}"));
                    let late = self.even + self.rng.i64(1..40);
                    let pipe = self.pipes.iter_mut().find(|pipe| pipe.session == session);
                    if let Some(pipe) = pipe.filter(|pipe| pipe.node_notices.is_none()) {
                        let late = pipe.down.back().map_or(late, |(before, _)| late.max(*before));
                        pipe.down.push_back((late, Some(text.to_string())));
                    }
                }
                Out::Close(session) => {
                    if let Some(pipe) = self.pipes.iter_mut().find(|pipe| pipe.session == session) {
                        let late = pipe.down.back().map_or(self.even, |(before, _)| *before);
                        pipe.down.push_back((late, None));
                        pipe.node_notices = Some(i64::MIN);
                    }
                }
                Out::Dealt(..) => {}
                Out::Answered(ticket, answer) => {
                    let asked = &mut self.asked[ticket as usize - 1];
                    assert!(asked.life == self.nodes[node].life && asked.allowed.is_none(), "{ticket} is answered");
                    asked.allowed = answer.unwrap().as_bool();
                    assert!(asked.allowed.is_some());
                }
                Out::Pinned(..) | Out::Unanswered(..) => panic!("nobody asked"),
            }
        }
    }

    fn deliver(&mut self, faults: bool) {
        for at in 0..self.pipes.len() {
            while let Some((late, _)) = self.pipes[at].up.front()
                && *late <= self.even
            {
                let Some((_, text)) = self.pipes[at].up.pop_front() else { break };
                let (node, session) = (self.pipes[at].node, self.pipes[at].session);
                if self.nodes[node].up {
                    let outs = self.nodes[node].receive(session, &text, self.even);
                    if faults && self.rng.u8(..) < 3 && text.contains("\"batch\"") {
                        // The same again: what a proxy that retries would do.
                        let again = self.nodes[node].receive(session, &text, self.even);
                        self.out(node, again);
                    }
                    self.out(node, outs);
                }
            }
            while let Some((late, _)) = self.pipes[at].down.front()
                && *late <= self.even
            {
                let Some((_, text)) = self.pipes[at].down.pop_front() else { break };
                let engine = self.pipes[at].engine;
                if self.pipes[at].engine_notices.is_some_and(|when| when <= self.even) || !self.engines[engine].up {
                    continue;
                }
                match text {
                    Some(text) => {
                        self.observe_ack(engine, &text);
                        let actions = self.engines[engine].frame(&text, self.even);
                        self.act(engine, actions);
                    }
                    None => self.pipes[at].engine_notices = Some(self.even),
                }
            }
        }
        for at in (0..self.pipes.len()).rev() {
            let pipe = &mut self.pipes[at];
            let (engine, node, session) = (pipe.engine, pipe.node, pipe.session);
            let mut gone = 0;
            if let Some(when) = pipe.engine_notices
                && when <= self.even
            {
                if when != i64::MIN {
                    pipe.engine_notices = Some(i64::MIN);
                    if self.engines[engine].up {
                        self.engines[engine].link.closed(self.even);
                    }
                }
                gone += 1;
            }
            let pipe = &mut self.pipes[at];
            if let Some(when) = pipe.node_notices
                && when <= self.even
                && pipe.up.is_empty()
            {
                if when != i64::MIN {
                    pipe.node_notices = Some(i64::MIN);
                    self.nodes[node].hub.close(session);
                }
                gone += 1;
            }
            if gone == 2 {
                self.pipes.remove(at);
            }
        }
    }

    /// What is acknowledged must be stored by then.
    fn observe_ack(&mut self, engine: usize, text: &str) {
        let frame: Value = serde_json::from_str(text).unwrap();
        if let ("ack" | "welcome", Some(through)) = (frame["type"].as_str().unwrap(), frame["through"].as_u64()) {
            let id = &self.engines[engine].id;
            let stored = self.store.engine(id).through;
            if frame["type"] == "welcome" {
                self.told.lost += self.engines[engine].greeted(through) as u64;
            }
            let id = &self.engines[engine].id;
            assert!(through <= stored, "{id} was told {through} when {stored} was stored");
            let known = self.acknowledged.entry(id.clone()).or_default();
            *known = (*known).max(through);
        }
    }

    fn heal(&mut self) {
        self.say(|| "healed".to_owned());
        let mut quiet = 0;
        for _ in 0..100_000 {
            self.step(false);
            let settled =
                self.engines.iter().all(|engine| engine.up && engine.link.is_up() && engine.link.is_settled());
            let idle =
                self.nodes.iter().all(|node| node.notices.is_empty() && !node.hub.has_news() && node.hub.is_idle());
            let empty = self.pipes.iter().all(|pipe| {
                pipe.up.iter().all(|(_, text)| is_ping(text))
                    && pipe.down.iter().all(|(_, text)| text.as_deref().is_some_and(is_ping))
            });
            // Long enough that connections cut on one side alone are noticed.
            quiet = if settled && idle && empty { quiet + 1 } else { 0 };
            if quiet > 800 {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn check(&mut self) {
        let mut lives: Vec<(String, BTreeMap<u64, Entry>, u64)> = std::mem::take(&mut self.past);
        for engine in &self.engines {
            let last = engine.did.last_key_value().map_or(0, |(number, _)| *number);
            lives.push((engine.id.clone(), engine.did.clone(), last));
        }
        let mut lines: HashMap<(String, u64), Vec<&limitr_sync::LedgerLine>> = HashMap::new();
        let mut asked: HashMap<Amount, u64> = HashMap::new();
        for line in &self.store.ledger {
            match &line.engine {
                Some(engine) => lines.entry((engine.clone(), line.entry)).or_default().push(line),
                None => *asked.entry(line.effect.units).or_default() += 1,
            }
        }
        for (ticket, Asked { allowed, life }) in (1..).zip(&self.asked) {
            let units = Amount::from_f64(asked_units(ticket)).unwrap();
            let counted = asked.remove(&units).unwrap_or_default();
            match allowed {
                Some(allowed) => assert_eq!(counted, u64::from(*allowed), "call {ticket} is counted"),
                None => {
                    assert!(self.nodes.iter().all(|node| node.life != *life), "call {ticket} was forgotten");
                    assert!(counted <= 1, "call {ticket} is counted {counted} times");
                }
            }
            self.told.asked += u64::from(*allowed == Some(true));
            self.told.unheard += u64::from(allowed.is_none());
        }
        assert!(asked.is_empty(), "nobody asked for {asked:?}");
        for (id, did, due) in &lives {
            let through = self.store.engine(id).through;
            assert!(through >= *due, "{id}: {due} are due, {through} are stored");
            for (number, entry) in did {
                self.told.calls += 1;
                let found = lines.remove(&(id.clone(), *number)).unwrap_or_default();
                self.told.lines += found.len() as u64;
                if *number > through {
                    assert!(found.is_empty(), "{id} {number} was never stored");
                    self.told.lost += 1;
                    continue;
                }
                match entry {
                    Entry::Effect(effect) if effect.is_use() => {
                        assert_eq!(found.len(), 1, "{id} {number}: {effect:?}");
                        assert_eq!(found[0].effect, **effect);
                    }
                    Entry::Effect(_) => assert!(found.is_empty(), "{id} {number}: nothing was used"),
                    Entry::Operation(operation) => {
                        let uses = usize::from(operation.name() == "ensure_plan_subscription");
                        assert!(found.len() <= uses, "{id} {number}: {}", operation.operation);
                    }
                }
            }
        }
        assert!(lines.is_empty(), "lines of what never happened: {:?}", lines.keys().collect::<Vec<_>>());
        if self.calm {
            assert!(self.store.removed.is_empty(), "gone, and nobody removed them: {:?}", self.store.removed);
            self.check_sums();
        }
        self.check_copies();
        for engine in &self.engines {
            for code in &engine.refused {
                let honest = ["alt_id_taken", "unknown_customer", "unknown_plan"];
                assert!(honest.contains(&code.as_str()) && !(self.calm && code == "unknown_customer"), "{code}");
            }
        }
    }

    fn check_sums(&self) {
        let mut sums: HashMap<(String, String), Amount> = HashMap::new();
        for line in &self.store.ledger {
            let place = (line.effect.customer.to_string(), line.effect.entitlement.to_string());
            let sum = sums.entry(place).or_default();
            *sum = sum.checked_add(line.effect.units).unwrap();
        }
        for (id, (_, record, _)) in &self.store.customers {
            let record: Value = serde_json::from_str(record).unwrap();
            for entitlement in ["chat", "images"] {
                let sum = sums.remove(&(id.clone(), entitlement.to_owned())).unwrap_or_default();
                let meter = &record["meters"][entitlement]["value"];
                let value = if meter.is_null() { serde_json::json!(0) } else { meter.clone() };
                assert_eq!(serde_json::json!(sum), value, "{id} {entitlement}");
            }
        }
    }

    fn check_copies(&self) {
        for engine in &self.engines {
            let mut names = HashSet::new();
            for (id, customer) in engine.limitr.customers().iter() {
                names.insert(id.to_owned());
                let (_, record, _) =
                    self.store.customers.get(id).unwrap_or_else(|| panic!("{} alone has {id}", engine.id));
                let stored = plain(serde_json::from_str(record).unwrap());
                let shown = plain(serde_json::to_value(customer).unwrap());
                let mut differences = Vec::new();
                compare(&shown, &stored, "", &mut differences);
                assert!(differences.is_empty(), "{id} at {}: {}", engine.id, differences.join("; "));
            }
        }
    }
}

/// So much is asked for, and by nobody else.
fn asked_units(ticket: usize) -> f64 {
    1.0 + ticket as f64 / 1e6
}

fn compare(shown: &Value, stored: &Value, path: &str, differences: &mut Vec<String>) {
    if let (Value::Object(left), Value::Object(right)) = (shown, stored) {
        for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(*key))) {
            compare(&shown[key], &stored[key], &format!("{path}/{key}"), differences);
        }
    } else if shown != stored {
        differences.push(format!("{path} shows {shown}, stored is {stored}"));
    }
}

fn is_ping(text: &str) -> bool {
    text.contains(r#""type":"p"#) && text.len() < 20
}

/// A record without what depends on the order in which calls became known.
fn plain(mut record: Value) -> Value {
    for meter in record["meters"].as_object_mut().into_iter().flat_map(|meters| meters.values_mut()) {
        let meter = meter.as_object_mut().unwrap();
        for statistic in ["history", "ewma_rate"] {
            meter.remove(statistic);
        }
    }
    record
}
