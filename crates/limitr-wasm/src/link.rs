//! The connection of an engine to its server: what the SDK's socket, timers and stores are told to do.

use limitr::Entry;
use limitr_sync::{Action, LinkOptions, Unsent};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use crate::{Engine, json, set, unreadable};

/// In [`Link::state`]: the server has greeted this engine.
const UP: u32 = 1;
/// Everything that happened is stored at the server.
const SETTLED: u32 = 2;
/// So much waits to be sent that nothing should be added.
const FULL: u32 = 4;

/// An engine's half of a connection. The engine's log stays in here: no call is heard of outside.
///
/// What is to be done comes as text, a line with a name and a line with its data for each: `connect`, `send` with a frame,
/// `disconnect`, and as JSON `policy`, `answered`, `refused` and `trouble`. `even` is any clock that runs evenly, in ms, and
/// `now` the time of day.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Link(limitr_sync::Link);

#[wasm_bindgen]
impl Link {
    /// A link of an engine that begins without a policy. It goes by `id` and follows the version `policy`, or the one in
    /// force where that is empty. With what [`Link::unsent`] gave it goes on from there, under the id in that.
    ///
    /// # Errors
    /// `invalid_unsent`, or the error of the entry that cannot be read.
    #[wasm_bindgen(constructor)]
    pub fn new(
        engine: &Engine,
        id: &str,
        policy: &str,
        sdk: &str,
        seed: f64,
        even: f64,
        unsent: Option<String>,
    ) -> Result<Link, String> {
        engine.limitr.keep_log();
        let options = LinkOptions {
            engine: id.to_owned(),
            policy: (!policy.is_empty()).then(|| policy.to_owned()),
            sdk: sdk.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: seed.to_bits(),
            ..LinkOptions::default()
        };
        let unsent = unsent.as_deref().map(read_unsent).transpose()?.unwrap_or_default();
        Ok(Self(limitr_sync::Link::resume(options, unsent, ms(even))))
    }

    /// What is due. With `flush` what waits does not wait for company.
    pub fn poll(&mut self, engine: &Engine, flush: bool, even: f64, now: f64) -> String {
        if flush {
            self.0.flush();
        }
        self.act(engine, Vec::new(), even, now)
    }

    /// A connection is there.
    pub fn opened(&mut self, engine: &Engine, even: f64, now: f64) -> String {
        let actions = self.0.opened(ms(even));
        self.act(engine, actions, even, now)
    }

    /// The connection is gone, or could not be made.
    pub fn closed(&mut self, engine: &Engine, even: f64, now: f64) -> String {
        self.0.closed(ms(even));
        self.act(engine, Vec::new(), even, now)
    }

    /// A frame came.
    pub fn received(&mut self, engine: &Engine, text: &str, even: f64, now: f64) -> String {
        set(&engine.clock, now);
        let actions = self.0.received(&engine.limitr, text, ms(even));
        self.act(engine, actions, even, now)
    }

    /// Asks for a customer.
    pub fn fetch(&mut self, customer: &str) {
        self.0.fetch(customer);
    }

    /// Nobody waits for it any longer.
    pub fn give_up(&mut self, customer: &str) {
        self.0.give_up(customer);
    }

    /// How it stands: [`UP`], [`SETTLED`] and [`FULL`], added.
    pub fn state(&self) -> u32 {
        let flag = |on: bool, value: u32| if on { value } else { 0 };
        flag(self.0.is_up(), UP) + flag(self.0.is_settled(), SETTLED) + flag(self.0.is_full(), FULL)
    }

    /// When something is due, if nothing happens before.
    #[allow(clippy::cast_precision_loss)]
    pub fn wake_at(&self) -> f64 {
        self.0.wake_at() as f64
    }

    /// What the server has not stored yet, as JSON to be kept.
    pub fn unsent(&self) -> String {
        self.0.unsent().to_json().to_string()
    }

    fn act(&mut self, engine: &Engine, mut actions: Vec<Action>, even: f64, now: f64) -> String {
        set(&engine.clock, now);
        actions.extend(self.0.poll(&engine.limitr, ms(even)));
        let mut text = String::new();
        for action in actions {
            let (name, data) = lines(action);
            for line in [name, &data] {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

fn lines(action: Action) -> (&'static str, String) {
    match action {
        Action::Connect => ("connect", String::new()),
        Action::Send(frame) => ("send", frame),
        Action::Disconnect => ("disconnect", String::new()),
        Action::Policy(version) => ("policy", json!({"id": version.id, "number": version.number}).to_string()),
        Action::Answered { customer, found } => ("answered", json!({"customer": customer, "found": found}).to_string()),
        Action::Refused(refused) => {
            let refused =
                refused.iter().map(|one| json!({"entry": one.entry, "code": one.code, "message": one.message}));
            ("refused", refused.collect::<Value>().to_string())
        }
        Action::Trouble(error) => {
            ("trouble", json!({"code": error.code, "message": error.message, "hint": error.hint}).to_string())
        }
    }
}

fn read_unsent(text: &str) -> Result<Unsent, String> {
    let unsent: Value = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    let engine = unsent.get("engine").and_then(Value::as_str);
    let acknowledged = unsent.get("acknowledged").and_then(Value::as_u64);
    let (Some(engine), Some(acknowledged), Some(Value::Array(entries))) = (engine, acknowledged, unsent.get("entries"))
    else {
        return Err(
            json!({"code": "invalid_unsent", "message": "this is nothing that an engine has not sent"}).to_string()
        );
    };
    let entries: Result<Vec<Entry>, _> = entries.iter().map(Entry::from_json).collect();
    let unnumbered = unsent.get("unnumbered").and_then(Value::as_u64).unwrap_or_default();
    Ok(Unsent {
        engine: engine.to_owned(),
        acknowledged,
        entries: entries.map_err(|error| json(&error))?,
        unnumbered: usize::try_from(unnumbered).unwrap_or(usize::MAX),
    })
}

/// Any clock's ms: far from where digits are lost.
#[allow(clippy::cast_possible_truncation)]
const fn ms(even: f64) -> i64 {
    even as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = r#"{"policy":{}}"#;
    const POLICY: &str = "policy: {credits: {c: {}}, plans: {p: {default: true, \
                          entitlements: {api: {limit: {credit: c, value: 10}}}}}}";

    fn engine_without_a_policy() -> Engine {
        Engine::new(EMPTY, "json", true, 0.0, None).unwrap()
    }

    fn link_of(engine: &Engine, unsent: Option<String>) -> Link {
        Link::new(engine, "eng_1", "", "test", 1.0, 0.0, unsent).unwrap()
    }

    /// A link that the server has greeted.
    fn connected(engine: &Engine, link: &mut Link) {
        assert_eq!(link.poll(engine, false, 0.0, 0.0), "connect\n\n");
        let hello = link.opened(engine, 1.0, 0.0);
        assert!(hello.starts_with("send\n{\"type\":\"hello\",") && hello.ends_with("}\n"), "{hello}");
        assert_eq!(link.received(engine, r#"{"type":"welcome","protocol":1,"through":0}"#, 2.0, 0.0), "");
        let frame = json!({"type": "policy", "id": "pol_1", "number": 1, "format": "yaml", "document": POLICY});
        let told = link.received(engine, &frame.to_string(), 3.0, 0.0);
        assert_eq!(told, "policy\n{\"id\":\"pol_1\",\"number\":1}\n");
    }

    #[test]
    fn what_is_to_be_done_comes_as_lines() {
        let engine = engine_without_a_policy();
        let mut link = link_of(&engine, None);
        connected(&engine, &mut link);
        assert_eq!(link.state(), UP + SETTLED);
        link.fetch("ann");
        let asked = "send\n{\"type\":\"fetch\",\"customers\":[\"ann\"]}\n";
        assert_eq!(link.poll(&engine, false, 4.0, 0.0), asked);
        let missing = link.received(&engine, r#"{"type":"customer_missing","customer":"ann"}"#, 5.0, 0.0);
        assert_eq!(missing, "answered\n{\"customer\":\"ann\",\"found\":false}\n");
        let error = link.received(&engine, r#"{"type":"error","code":"busy","message":"later"}"#, 6.0, 0.0);
        assert_eq!(error, "trouble\n{\"code\":\"busy\",\"message\":\"later\",\"hint\":null}\ndisconnect\n\n");
        assert_eq!(link.state(), SETTLED);
        assert!(link.wake_at() > 6.0);
    }

    #[test]
    fn what_happens_is_sent_and_kept_until_it_is_stored() {
        let engine = engine_without_a_policy();
        let mut link = link_of(&engine, None);
        connected(&engine, &mut link);
        engine.call(r#"{"create_customer": {"id": "ann"}}"#, 0.0).unwrap();
        assert_eq!(engine.allow("ann", "api", 3.0, 0.0), 1);
        let sent = link.poll(&engine, true, 4.0, 0.0);
        assert!(sent.starts_with("send\n{\"type\":\"batch\",\"first\":1,") && sent.contains("\"units\":3"), "{sent}");
        assert_eq!(link.state(), UP);
        let refused = r#"{"type":"ack","through":1,"refused":[{"entry":1,"code":"no","message":"not"}]}"#;
        let told = link.received(&engine, refused, 5.0, 0.0);
        assert_eq!(told, "refused\n[{\"entry\":1,\"code\":\"no\",\"message\":\"not\"}]\n");

        let again = engine_without_a_policy();
        let resumed = link_of(&again, Some(link.unsent()));
        assert_eq!((resumed.unsent(), resumed.state()), (link.unsent(), 0));
        assert!(link.unsent().starts_with(r#"{"engine":"eng_1","acknowledged":1,"entries":[{"at":0,"#));
        link.received(&engine, r#"{"type":"ack","through":2}"#, 6.0, 0.0);
        assert_eq!(link.state(), UP + SETTLED);
    }

    #[test]
    fn what_cannot_be_resumed_is_refused() {
        let engine = engine_without_a_policy();
        let code = |unsent: &str| {
            let error = Link::new(&engine, "eng_1", "", "test", 1.0, 0.0, Some(unsent.to_owned())).unwrap_err();
            serde_json::from_str::<Value>(&error).unwrap()["code"].as_str().unwrap().to_owned()
        };
        assert_eq!(code("{"), "bad_operation");
        assert_eq!(code("{}"), "invalid_unsent");
        assert_eq!(code(r#"{"engine": "e", "acknowledged": 0, "entries": [{}]}"#), "invalid_effect");
    }
}
