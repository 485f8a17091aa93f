//! What one side of a connection cannot make the other do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use limitr::{Limitr, ManualClock, NewCustomer, SequentialIds};
use limitr_sync::{
    Action, Commit, EngineRow, FromEngine, FromServer, Hub, HubOptions, Link, LinkOptions, MAX_BATCH, MAX_FRAME,
    MAX_NAMES, Out, PolicyVersion, SILENCE, SyncError,
};
use serde_json::{Map, Value, json};

fn code(frame: &str) -> String {
    FromEngine::read(frame).map_or_else(|error| error.code, |_| "none".to_owned())
}

#[test]
fn frames_are_bounded() {
    let names = |count: usize, length: usize| {
        let names = vec!["n".repeat(length); count];
        json!({"type": "fetch", "customers": names}).to_string()
    };
    assert_eq!(code(&names(MAX_NAMES, 10)), "none");
    assert_eq!(code(&names(MAX_NAMES + 1, 10)), "bad_frame");
    assert_eq!(code(&names(1, 1024)), "none");
    assert_eq!(code(&names(1, 1025)), "bad_frame");
    let batch = |count: usize| json!({"type": "batch", "first": 1, "entries": vec![json!({}); count]}).to_string();
    assert_eq!(code(&batch(MAX_BATCH)), "none");
    assert_eq!(code(&batch(MAX_BATCH + 1)), "bad_frame");
    assert_eq!(code(&" ".repeat(MAX_FRAME + 1)), "frame_too_long");
    assert_eq!(FromServer::read(&" ".repeat(MAX_FRAME + 1)).unwrap_err().code, "frame_too_long");
    // Nested more deeply than anybody reads.
    assert_eq!(
        code(&format!(r#"{{"type":"batch","first":1,"entries":{}1{}}}"#, "[".repeat(9000), "]".repeat(9000))),
        "bad_frame"
    );
}

fn hub(options: HubOptions) -> Hub {
    let mut hub = Hub::new(options, SequentialIds::default()).unwrap();
    let document = r#"{"policy": {"credits": {"c": {}}, "plans": {"p": {"default": true, "entitlements": {}}}}}"#;
    hub.set_policy(PolicyVersion { id: "pol_1".into(), number: 1, format: "json".into(), document: document.into() })
        .unwrap();
    hub
}

/// An engine that keeps its log.
fn engine() -> Limitr {
    let policy = json!({"credits": {"c": {}}, "plans": {"p": {"default": true, "entitlements":
        {"api": {"limit": {"credit": "c", "value": 100}}}}}});
    let limitr =
        Limitr::builder().clock(ManualClock::new(1)).ids(SequentialIds::default()).policy_value(&policy).unwrap();
    limitr.keep_log();
    limitr
}

/// Does everything that waits, with nothing stored before.
fn work(hub: &mut Hub) -> Vec<Out> {
    work_on(hub, &mut BTreeMap::new())
}

/// Does everything that waits, with nothing stored before but these engines.
fn work_on(hub: &mut Hub, stored: &mut BTreeMap<String, EngineRow>) -> Vec<Out> {
    let mut outs = Vec::new();
    while let Some(mut work) = hub.next_work(100) {
        let engines: Vec<String> = work.engines().map(str::to_owned).collect();
        for engine in engines {
            work.set_engine(stored.get(&engine).cloned().unwrap_or_else(|| EngineRow::new(&engine)));
        }
        loop {
            let names = hub.wants(&mut work);
            if names.is_empty() {
                break;
            }
            assert!(hub.found(&mut work, &names, &[]).is_empty());
        }
        let commit: Commit = hub.apply(&mut work, 1);
        stored.extend(commit.engines.iter().map(|row| (row.engine.clone(), row.clone())));
        outs.extend(hub.committed(commit));
    }
    outs
}

fn say(hub: &mut Hub, session: u64, frame: &str, now: i64) -> Vec<Out> {
    hub.received(session, FromEngine::read(frame), frame.len(), now)
}

/// The code of the error that ends a connection.
fn ended(outs: &[Out]) -> Option<String> {
    let closed = outs.iter().any(|out| matches!(out, Out::Close(_)));
    let said = outs.iter().find_map(|out| match out {
        Out::Send(_, text) => {
            let frame: Value = serde_json::from_str(text).unwrap();
            (frame["type"] == "error").then(|| frame["code"].as_str().unwrap().to_owned())
        }
        _ => None,
    });
    said.filter(|_| closed)
}

#[test]
fn an_engine_holds_so_many_customers() {
    let mut hub = hub(HubOptions { held: 3, ..HubOptions::default() });
    hub.open(1, 0);
    assert_eq!(ended(&say(&mut hub, 1, r#"{"type":"hello","protocol":1,"engine":"e"}"#, 0)), None);
    work(&mut hub);
    assert_eq!(ended(&say(&mut hub, 1, r#"{"type":"fetch","customers":["a","b","c"]}"#, 0)), None);
    let outs = say(&mut hub, 1, r#"{"type":"fetch","customers":["a","b","c","d"]}"#, 0);
    assert_eq!(ended(&outs).as_deref(), Some("too_many_customers"));
    // Those that it makes count as well.
    hub.open(2, 0);
    say(&mut hub, 2, r#"{"type":"hello","protocol":1,"engine":"f"}"#, 0);
    let mut stored = BTreeMap::new();
    work_on(&mut hub, &mut stored);
    let make = |number: i32| {
        let operation = json!({"create_customer": {"id": format!("c{number}")}});
        let entry = json!({"at": 1, "ids": [], "operation": operation});
        json!({"type": "batch", "first": number, "entries": [entry]}).to_string()
    };
    for number in 1..=3 {
        say(&mut hub, 2, &make(number), 0);
    }
    assert_eq!(ended(&work_on(&mut hub, &mut stored)), None);
    say(&mut hub, 2, &make(4), 0);
    assert_eq!(ended(&work_on(&mut hub, &mut stored)).as_deref(), Some("too_many_customers"));
}

#[test]
fn an_engine_lets_go_of_those_used_longest_ago() {
    let limitr = engine();
    let mut link = Link::new(LinkOptions { engine: "e".into(), held: 10, ..LinkOptions::default() }, 0);
    link.poll(&limitr, 0);
    link.opened(0);
    let told = |link: &mut Link, record: Value| {
        link.received(&limitr, &json!({"type": "customer", "through": 2, "record": record}).to_string(), 0);
        link.poll(&limitr, 0)
    };
    link.received(&limitr, r#"{"type":"welcome","protocol":1,"through":0}"#, 0);
    told(&mut link, json!({"id": "c0"}));
    told(&mut link, json!({"id": "c1"}));
    told(&mut link, json!({"id": "c2"}));
    told(&mut link, json!({"id": "c3"}));
    let reserved = limitr.reserve(limitr::Reserve::new("c0", "api").value(1));
    assert!(reserved.is_some());
    let keyed = limitr::Call::new("c1", "api").value(1).idempotency_key("once");
    assert!(limitr.allow_with(keyed).unwrap().allowed && limitr.allow("c3", "api", 1).allowed);
    link.poll(&limitr, 50);
    link.received(&limitr, r#"{"type":"ack","through":2}"#, 50);
    for number in 4..10 {
        let actions = told(&mut link, json!({"id": format!("c{number}"), "refs": ["c2"]}));
        assert_eq!(actions, [], "there is room");
    }
    // Not the one that is referred to, nor the one that is reserved for; those with keys after the others.
    let actions = told(&mut link, json!({"id": "c10", "refs": ["c2"]}));
    assert_eq!(actions, [Action::Send(r#"{"type":"release","customers":["c3","c4"]}"#.into())]);
    assert!(limitr.has_customer("c1") && !limitr.has_customer("c3") && !limitr.has_customer("c4"));
    // What was on its way is out of date by the time that the server has let go, what comes later is not.
    told(&mut link, json!({"id": "c3"}));
    assert!(!limitr.has_customer("c3"));
    link.received(&limitr, r#"{"type":"released","customers":["c3","c4"]}"#, 60);
    told(&mut link, json!({"id": "c3"}));
    assert!(limitr.has_customer("c3"));
}

/// One that the store does not take is left out, and its sender told, so that the others come to their turn.
#[test]
fn what_cannot_be_stored_holds_up_nobody() {
    let mut hub = hub(HubOptions::default());
    for session in [1, 2] {
        hub.open(session, 0);
        say(&mut hub, session, &format!(r#"{{"type":"hello","protocol":1,"engine":"e{session}"}}"#), 0);
    }
    let mut stored = BTreeMap::new();
    work_on(&mut hub, &mut stored);
    say(&mut hub, 1, r#"{"type":"batch","first":1,"entries":[{}]}"#, 0);
    hub.call(7, json!({"remaining": {"customer": "ann", "entitlement": "api"}}));
    say(&mut hub, 2, r#"{"type":"batch","first":1,"entries":[{}]}"#, 0);
    let mut first = hub.next_work(1).unwrap();
    assert_eq!(first.jobs(), 1);
    first.set_engine(stored["e1"].clone());
    let commit = hub.apply(&mut first, 1);
    hub.failed(first, commit);
    assert_eq!(ended(&hub.skip(SyncError::new("not_stored", "no"))).as_deref(), Some("not_stored"));
    assert!(matches!(hub.skip(SyncError::new("not_stored", "no")).as_slice(), [Out::Unanswered(7)]));
    let outs = work_on(&mut hub, &mut stored);
    assert!(outs.iter().any(|out| matches!(out, Out::Send(2, text) if text.contains(r#""type":"ack""#))), "{outs:?}");
    assert_eq!((hub.connected(), hub.is_idle()), (1, true));
}

#[test]
fn the_silent_are_asked_then_let_go() {
    let mut hub = hub(HubOptions::default());
    hub.open(1, 0);
    hub.open(2, 0);
    say(&mut hub, 1, r#"{"type":"hello","protocol":1,"engine":"e"}"#, 0);
    work(&mut hub);
    assert_eq!(ended(&hub.tick(9_999)), None);
    assert_eq!(ended(&hub.tick(10_000)).as_deref(), Some("silent"), "one that never says hello");
    assert_eq!(hub.connected(), 1);
    let asked = hub.tick(20_000);
    assert!(matches!(asked.as_slice(), [Out::Send(1, text)] if text.contains("ping")), "{asked:?}");
    assert_eq!(ended(&hub.tick(SILENCE - 1)), None);
    assert_eq!(ended(&hub.tick(SILENCE)).as_deref(), Some("silent"));
}

#[test]
fn an_engine_is_so_far_ahead_of_its_server_at_most() {
    let limitr = engine();
    limitr.create_customer(NewCustomer::new("ann")).unwrap();
    let mut link = Link::new(LinkOptions { engine: "e".into(), unsent: 1000, ..LinkOptions::default() }, 0);
    let mut made: u64 = 0;
    while !link.is_full() {
        assert!(limitr.allow("ann", "api", 1).allowed);
        link.poll(&limitr, 0);
        made += 1;
    }
    assert!((4..20).contains(&made), "{made} entries of some hundred bytes");
    link.opened(0);
    link.received(&limitr, &format!(r#"{{"type":"welcome","protocol":1,"through":{}}}"#, made - 1), 0);
    assert!(!link.is_full() && !link.is_settled());
}

/// Data that does not fit is left out of the entry, which counts all the same; an operation that does not fit is refused.
#[test]
fn what_does_not_fit_into_a_frame_does_not_stop_the_rest() {
    let limitr = engine();
    let mut link = Link::new(LinkOptions { engine: "e".into(), ..LinkOptions::default() }, 0);
    link.poll(&limitr, 0);
    link.opened(0);
    link.received(&limitr, r#"{"type":"welcome","protocol":1,"through":0}"#, 0);
    limitr.create_customer(NewCustomer::new("ann")).unwrap();
    let data = json!({"text": "x".repeat(MAX_FRAME)});
    assert!(limitr.allow_with(limitr::Call::new("ann", "api").value(2).event(data.clone())).unwrap().allowed);
    let metadata: Map<String, Value> = data.as_object().unwrap().clone();
    limitr.create_customer(NewCustomer::new("big").metadata(metadata)).unwrap();
    assert!(limitr.allow("ann", "api", 3).allowed);
    let mut frames = Vec::new();
    let mut refused = Vec::new();
    for now in [0, 50, 100] {
        for action in link.poll(&limitr, now) {
            match action {
                Action::Send(text) => frames.push(text),
                Action::Refused(refusals) => refused.extend(refusals),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(refused.iter().map(|refusal| refusal.code.as_str()).collect::<Vec<_>>(), ["frame_too_long"]);
    assert!(frames.iter().all(|frame| frame.len() <= MAX_FRAME));
    let entries: Vec<Value> = frames
        .iter()
        .map(|frame| serde_json::from_str::<Value>(frame).unwrap())
        .filter(|frame| frame["type"] == "batch")
        .flat_map(|frame| frame["entries"].as_array().unwrap().clone())
        .collect();
    assert_eq!(
        entries.iter().map(|entry| entry["units"].clone()).collect::<Vec<_>>(),
        [json!(null), json!(2), json!(3)]
    );
    assert!(entries[1]["data"]["omitted_bytes"].as_u64().unwrap() > MAX_FRAME as u64);
}
