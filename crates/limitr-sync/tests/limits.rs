//! What one side of a connection cannot make the other do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use limitr::{Limitr, ManualClock, NewCustomer, SequentialIds};
use limitr_sync::{
    Action, Commit, EngineRow, FromEngine, FromServer, Hub, HubOptions, Link, LinkOptions, MAX_BATCH, MAX_FRAME,
    MAX_NAMES, Out, PolicyVersion, SILENCE,
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

/// Does everything that waits, with nothing stored before.
fn work(hub: &mut Hub) -> Vec<Out> {
    let mut outs = Vec::new();
    while let Some(mut work) = hub.next_work(100) {
        let engines: Vec<String> = work.engines().map(str::to_owned).collect();
        engines.iter().for_each(|engine| work.set_engine(EngineRow::new(engine)));
        loop {
            let names = hub.wants(&mut work);
            if names.is_empty() {
                break;
            }
            assert!(hub.found(&mut work, &names, &[]).is_empty());
        }
        let commit: Commit = hub.apply(&mut work, 1);
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

/// Data that does not fit is left out of the entry, which counts all the same; an operation that does not fit is refused.
#[test]
fn what_does_not_fit_into_a_frame_does_not_stop_the_rest() {
    let policy = json!({"credits": {"c": {}}, "plans": {"p": {"default": true, "entitlements":
        {"api": {"limit": {"credit": "c", "value": 100}}}}}});
    let limitr =
        Limitr::builder().clock(ManualClock::new(1)).ids(SequentialIds::default()).policy_value(&policy).unwrap();
    limitr.keep_log();
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
