//! Notifications and functions of the policy: events that follow from events.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value;

use super::{Limitr, announce};
use crate::decide::plan_of;
use crate::events::{Event, FunctionEvent, Notice, NotificationEvent, Payload};
use crate::logic::{Alert, Argument, Handler};
use crate::policy::{Compiled, Once};
use crate::state::{CALLER, Cap, Customer, Name};

impl Limitr {
    /// The events, each followed by those of the notifications that match it and of the functions that are for it. Nothing
    /// is locked.
    pub(super) fn with_alerts(&self, events: Vec<Event>) -> Vec<Event> {
        let policy = self.current_policy();
        let now = self.clock.now();
        let mut all = Vec::with_capacity(events.len() + 1);
        for event in events {
            let mut following = Vec::new();
            let plan = OnceCell::new();
            for alert in policy.alerts.iter().filter(|alert| alert.looks_at(event.name())) {
                let plan = plan.get_or_init(|| self.plan_of(&policy, &event)).as_deref();
                match alert.matches(&event, plan, now) {
                    Ok(true) => self.fire(alert, &event, plan, now, &mut following),
                    Ok(false) => {}
                    Err(error) => {
                        following.push(announce::logic_error(&error, event.payload().customer().cloned(), None))
                    }
                }
            }
            for handler in policy.handlers.iter().filter(|handler| handler.event == event.name()) {
                handle(handler, &event, now, &mut following);
            }
            all.push(event);
            all.append(&mut following);
        }
        all
    }

    /// The plan of the customer an event is about, its own or one it inherits.
    fn plan_of(&self, policy: &Compiled, event: &Event) -> Option<Name> {
        let customer = event.payload().customer()?;
        match &customer.plan {
            Some(plan) => Some(plan.clone()),
            None => self.store.enter(&customer.id, |_, people| Some(plan_of(policy, people, CALLER)?.name.clone()))?,
        }
    }

    fn fire(&self, alert: &Alert, event: &Event, plan: Option<&str>, now: i64, events: &mut Vec<Event>) {
        let customer = event.payload().customer();
        let result = match alert.fire(event, now) {
            // What it did not want to send was not sent, and is news still.
            Ok(Some(Value::Null)) => return,
            Ok(result) => result,
            Err(error) => {
                events.extend(error.map(|error| announce::logic_error(&error, customer.cloned(), None)));
                None
            }
        };
        if !self.is_news(alert, event, now) {
            return;
        }
        let (message, errors) = alert.message(event, plan, now);
        events.extend(errors.iter().map(|error| announce::logic_error(error, customer.cloned(), None)));
        let notification =
            Notice { name: alert.name.clone(), severity: alert.severity, message, event: event.name().into(), result };
        let payload = NotificationEvent { notification, payload: event.payload().clone() };
        events.push(Event::new(&alert.name, Payload::Notification(Box::new(payload))));
    }

    /// Whether the alert has not been sent of this already; it counts as sent then.
    fn is_news(&self, alert: &Alert, event: &Event, now: i64) -> bool {
        let Some(customer) = event.payload().customer().filter(|_| alert.once != Once::None) else { return true };
        let (subject, period) = subject(event.payload(), customer);
        let period = if alert.once == Once::Period { period } else { now };
        let news = self.store.with(&customer.id, |customer| {
            let sent = customer.notified.get_or_insert_default();
            let known = sent.get(&alert.name).and_then(|sent| sent.get(&subject));
            if known.is_some_and(|known| alert.once == Once::Ever || *known == period) {
                return false;
            }
            if let Some(sent) = sent.get_or_insert_with(&alert.name, Default::default) {
                sent.insert(subject.as_ref().into(), period);
            }
            true
        });
        // A customer that has gone in the meantime can be told nothing twice.
        news.unwrap_or(true)
    }
}

/// What an alert is sent of once, and the start of the period it is sent once in: an entitlement's meter, or a cap.
fn subject<'e>(payload: &'e Payload, customer: &Customer) -> (Cow<'e, str>, i64) {
    let of_cap = |entitlement: Option<&Name>, cap: &Cap| {
        let subject = format!("{}/{}", entitlement.map_or("", |name| name), cap.id);
        (Cow::Owned(subject), cap.last_reset.unwrap_or(cap.started))
    };
    match payload {
        Payload::Meter(event) => match &event.cap {
            Some(cap) => of_cap(Some(&event.entitlement), cap),
            None => {
                let period = customer.meters.get(&event.entitlement).map_or(0, |meter| meter.started);
                (Cow::Borrowed(&*event.entitlement), period)
            }
        },
        Payload::Cap(event) => of_cap(event.entitlement.as_ref(), &event.cap),
        _ => (Cow::Borrowed(""), 0),
    }
}

/// Calls a function with the payload of an event. Text or a map that it returns is an event of its own.
fn handle(handler: &Handler, event: &Event, now: i64, events: &mut Vec<Event>) {
    match handler.function.call(&[Argument::Data(&event.to_json())]) {
        Ok(result @ (Value::String(_) | Value::Object(_))) => {
            let payload = FunctionEvent { result, event: event.payload().clone() };
            events.push(Event::new(&handler.name, Payload::Function(Box::new(payload))));
        }
        Ok(_) => {}
        Err(error) if handler.function.is_due(now) => {
            events.push(announce::logic_error(&error, event.payload().customer().cloned(), None));
        }
        Err(_) => {}
    }
}
