//! What happened, in order, for whoever passes it on: the effects of calls, and the operations on customers.
//!
//! An operation stands in the log before everything that can follow from it, so it takes its place before it runs.
//! Nothing behind it is handed out until it is known whether it did anything.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::effects::Effect;
use super::{IdSource, Limitr};
use crate::fields::Fields;
use crate::state::Customer;
use crate::{Error, Event};

/// One thing that happened: a call, or an operation on a customer.
///
/// Applied in order to an engine with the same policy, the entries of a log give the state they were logged from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Entry {
    /// What a call did.
    Effect(Box<Effect>),
    /// An operation on a customer.
    Operation(Operation),
}

/// An operation on a customer, with what it needs to be run again elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Operation {
    /// When, ms.
    pub at: i64,
    /// The ids it made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// The operation, as [`crate::call`] takes it.
    pub operation: Value,
}

impl Entry {
    /// When it happened, ms.
    #[must_use]
    pub const fn at(&self) -> i64 {
        match self {
            Self::Effect(effect) => effect.at,
            Self::Operation(operation) => operation.at,
        }
    }

    /// Reads an entry as it is serialised.
    ///
    /// # Errors
    /// `invalid_effect`, naming the field.
    pub fn from_json(entry: &Value) -> Result<Self, Error> {
        if entry.get("operation").is_some() {
            Operation::from_json(entry).map(Self::Operation)
        } else {
            Effect::from_json(entry).map(Box::new).map(Self::Effect)
        }
    }
}

impl Operation {
    /// Operations that a log can hold: those that change customers.
    const NAMES: [&str; 19] = [
        "create_customer",
        "ensure_customer",
        "set_customer",
        "load_customers",
        "delete_customer",
        "set_customer_plan",
        "set_customer_refs",
        "add_alt_id",
        "remove_alt_id",
        "create_customer_override",
        "remove_customer_override",
        "ensure_plan_subscription",
        "ensure_included_topups",
        "apply_customer_topup",
        "add_customer_cap",
        "reset_customer_cap",
        "remove_customer_cap",
        "start_margin_measurement",
        "capture_margin_measurement",
    ];

    /// Its name, such as `set_customer_plan`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.part().map(|(name, _)| name.as_str()).unwrap_or_default()
    }

    /// The customer it is about; none for `load_customers`, which is about many.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        let (_, arguments) = self.part()?;
        let record = arguments.get("record").and_then(|record| record.get("id"));
        record.or_else(|| arguments.get("customer")).or_else(|| arguments.get("id"))?.as_str()
    }

    fn part(&self) -> Option<(&String, &Value)> {
        self.operation.as_object()?.iter().next()
    }

    fn from_json(entry: &Value) -> Result<Self, Error> {
        let code = "invalid_effect";
        let mut fields = Fields::new(entry, "operation".to_owned(), code)?;
        let at = fields.required("at").whole().unwrap_or_default();
        let ids = fields.given("ids").texts().unwrap_or_default().into_iter().map(str::to_owned).collect();
        let operation = Self { at, ids, operation: fields.required("operation").json().cloned().unwrap_or_default() };
        fields.finish()?;
        if operation.operation.as_object().is_none_or(|object| object.len() != 1)
            || !Self::NAMES.contains(&operation.name())
        {
            let message = format!("`{}` is no operation on a customer", operation.name());
            return Err(Error::argument(code, message).at("operation"));
        }
        Ok(operation)
    }
}

/// Entries waiting to be taken.
#[derive(Debug, Default)]
pub(super) struct Log {
    on: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    slots: VecDeque<Slot>,
    opened: u64,
}

/// A place in the log.
#[derive(Debug)]
enum Slot {
    Filled(Entry),
    /// An operation under way.
    Open(u64),
}

impl Log {
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// Logs what a call did. Within an operation it is part of that.
    pub(super) fn push(&self, effect: Option<Box<Effect>>) {
        let Some(effect) = effect else { return };
        let own = SCOPE.with_borrow_mut(|scope| match scope {
            None => Some(effect),
            Some(scope) => {
                scope.effects.push(*effect);
                None
            }
        });
        if let Some(effect) = own {
            self.lock().slots.push_back(Slot::Filled(Entry::Effect(effect)));
        }
    }

    fn open(&self) -> Opened<'_> {
        let mut waiting = self.lock();
        waiting.opened += 1;
        let id = waiting.opened;
        waiting.slots.push_back(Slot::Open(id));
        Opened { log: self, id, entry: None }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Everything in front of the first operation that is under way.
    fn take(&mut self) -> Vec<Entry> {
        let end = self.slots.iter().position(|slot| matches!(slot, Slot::Open(_))).unwrap_or(self.slots.len());
        let taken = self.slots.drain(..end).filter_map(|slot| match slot {
            Slot::Filled(entry) => Some(entry),
            Slot::Open(_) => None,
        });
        taken.collect()
    }
}

/// The place of an operation under way; closed, with its entry if there is one, when this is dropped.
struct Opened<'a> {
    log: &'a Log,
    id: u64,
    entry: Option<Entry>,
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        let mut waiting = self.log.lock();
        let open = |slot: &Slot| matches!(slot, Slot::Open(id) if *id == self.id);
        let Some(at) = waiting.slots.iter().position(open) else { return };
        match (self.entry.take(), waiting.slots.get_mut(at)) {
            (Some(entry), Some(slot)) => *slot = Slot::Filled(entry),
            _ => drop(waiting.slots.remove(at)),
        }
    }
}

thread_local! {
    static SCOPE: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// The operation this thread is in.
#[derive(Debug, Default)]
struct Scope {
    /// When it happens, for all of it.
    at: i64,
    /// Ids it is to use, when it has happened elsewhere.
    given: VecDeque<String>,
    /// Ids it made.
    made: Vec<String>,
    /// What it has to tell, once it is over: nothing foreign runs inside.
    events: Vec<Event>,
    /// What the calls in it did.
    effects: Vec<Effect>,
}

impl Scope {
    /// Runs with this scope around it.
    fn around<R>(self, run: impl FnOnce() -> R) -> (R, Self) {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                SCOPE.take();
            }
        }
        SCOPE.set(Some(self));
        let leave = Leave;
        let result = run();
        let scope = SCOPE.take().unwrap_or_default();
        drop(leave);
        (result, scope)
    }
}

/// Keeps events for later when this thread is in an operation; gives them back when they can be told now.
pub(super) fn hold_back(events: Vec<Event>) -> Option<Vec<Event>> {
    SCOPE.with_borrow_mut(|scope| match scope {
        None => Some(events),
        Some(scope) => {
            scope.events.extend(events);
            None
        }
    })
}

/// Ids of operations: those given when it happened elsewhere, else new ones.
pub(super) struct Ids(pub(super) Box<dyn IdSource>);

impl IdSource for Ids {
    fn id(&self) -> String {
        let given = SCOPE.with_borrow_mut(|scope| scope.as_mut().and_then(|scope| scope.given.pop_front()));
        let id = given.unwrap_or_else(|| self.0.id());
        SCOPE.with_borrow_mut(|scope| scope.iter_mut().for_each(|scope| scope.made.push(id.clone())));
        id
    }
}

/// Whether an operation did anything.
pub(super) trait Outcome {
    fn happened(&self) -> bool;
}

impl Outcome for bool {
    fn happened(&self) -> bool {
        *self
    }
}

impl Outcome for () {
    fn happened(&self) -> bool {
        true
    }
}

impl<T> Outcome for Option<T> {
    fn happened(&self) -> bool {
        self.is_some()
    }
}

impl<T: Outcome> Outcome for Result<T, Error> {
    fn happened(&self) -> bool {
        self.as_ref().is_ok_and(Outcome::happened)
    }
}

impl Outcome for Customer {
    fn happened(&self) -> bool {
        true
    }
}

impl Limitr {
    /// From now on keeps what happens, for [`Limitr::take_log`]. Who turns it on takes it: nothing else empties the log.
    pub fn keep_log(&self) {
        self.log.on.store(true, Ordering::Release);
    }

    /// What happened since the last time. What happened to one customer is in its order; an operation that other threads
    /// are in the middle of waits, and what came after it.
    #[must_use]
    pub fn take_log(&self) -> Vec<Entry> {
        self.log.lock().take()
    }

    /// Applies what happened elsewhere, or earlier. Nothing is denied, told or logged. Returns what calls did as part of an
    /// operation, known only while this engine keeps its log.
    ///
    /// # Errors
    /// `unknown_customer` for a call of a customer that is not here, else the operation's own; nothing is changed then.
    pub fn apply(&self, entry: &Entry) -> Result<Vec<Effect>, Error> {
        match entry {
            Entry::Effect(effect) if self.apply_effect(effect) => Ok(Vec::new()),
            Entry::Effect(effect) => {
                Err(Error::argument("unknown_customer", format!("unknown customer `{}`", effect.customer)))
            }
            Entry::Operation(Operation { at, ids, operation }) => {
                let scope = Scope { at: *at, given: ids.iter().cloned().collect(), ..Scope::default() };
                let (result, scope) = scope.around(|| crate::call(self, operation));
                result.map(|_| scope.effects)
            }
        }
    }

    /// Puts in place a record that was made where this engine's log goes, with what it has not seen yet added.
    ///
    /// `unseen` is given what waits in the log, and says which of this engine's effects are not in the record; or none,
    /// when the record is of no use. What is held, learned and remembered for retries stays: it is this engine's own. No
    /// events. False, and nothing changed, when the record was of no use, or an operation is just under way and the
    /// question must be asked again.
    ///
    /// # Errors
    /// `invalid_record`, `alt_id_taken`.
    pub fn merge_customer(
        &self,
        record: Customer,
        unseen: impl FnOnce(Vec<Entry>) -> Option<Vec<Effect>>,
    ) -> Result<bool, Error> {
        let id = record.id.clone();
        if !self.has_customer(&id) {
            let Some(unseen) = self.unseen(unseen) else { return Ok(false) };
            let record = self.admit(record)?;
            self.put(vec![record])?;
            for effect in &unseen {
                self.apply_effect(effect);
            }
            return Ok(true);
        }
        let record = self.admit(record)?;
        let merged = self.store.enter(&id, |policy, people| {
            // What calls log, they log while they have the customer: from here on, and until it is done, nothing is added.
            let unseen = self.unseen(unseen)?;
            let customer = people.get_mut(crate::state::CALLER)?;
            let own = std::mem::replace(customer, record);
            customer.take_over(own);
            unseen.iter().for_each(|effect| effect.add_to(policy, people));
            Some(())
        });
        Ok(merged.flatten().is_some())
    }

    /// Puts a record in place, from where this engine's log goes: nothing is told and nothing logged.
    ///
    /// # Errors
    /// `invalid_record`, `alt_id_taken`.
    pub fn restore_customer(&self, record: Customer) -> Result<(), Error> {
        self.put(vec![record])
    }

    /// Drops a customer from this engine alone: nothing is told and nothing logged. False when it is not here.
    pub fn forget_customer(&self, id: &str) -> bool {
        self.store.remove(id).is_some()
    }

    /// Whether a customer has live reservations, which no other engine knows of: to forget it would lose what they are
    /// settled with.
    #[must_use]
    pub fn has_reservations(&self, customer: &str) -> bool {
        let now = self.clock.now();
        let live = |customer: &Customer| customer.meters.values().any(|meter| meter.holds(now).next().is_some());
        self.store.look(customer, live) == Some(true)
    }

    /// Whether calls of a customer were counted under keys that still hold ([`Call::idempotency_key`](crate::Call::idempotency_key)), which no
    /// other engine knows of: to forget it would count a retry again.
    #[must_use]
    pub fn has_keys(&self, customer: &str) -> bool {
        let now = self.clock.now();
        let live = |customer: &Customer| customer.replays.as_ref().is_some_and(|replays| replays.any(now));
        self.store.look(customer, live) == Some(true)
    }

    fn unseen(&self, unseen: impl FnOnce(Vec<Entry>) -> Option<Vec<Effect>>) -> Option<Vec<Effect>> {
        let taken = {
            let mut waiting = self.log.lock();
            let taken = waiting.take();
            if !waiting.slots.is_empty() {
                // Back to the front: what waits behind the operation would be missing.
                taken.into_iter().rev().for_each(|entry| waiting.slots.push_front(Slot::Filled(entry)));
                return None;
            }
            taken
        };
        unseen(taken)
    }

    /// Runs an operation on customers and logs it, if it did anything.
    pub(super) fn logged<R: Outcome>(&self, operation: impl FnOnce() -> Value, run: impl FnOnce() -> R) -> R {
        if !self.log.is_on() || SCOPE.with_borrow(Option::is_some) {
            return run();
        }
        let mut place = self.log.open();
        let at = self.clock.now();
        let (result, scope) = Scope { at, ..Scope::default() }.around(run);
        place.entry =
            result.happened().then(|| Entry::Operation(Operation { at, ids: scope.made, operation: operation() }));
        drop(place);
        self.tell(scope.events);
        result
    }

    /// The time of the operation this thread is in, else the clock's.
    pub(super) fn time(&self) -> i64 {
        SCOPE.with_borrow(|scope| scope.as_ref().map(|scope| scope.at)).unwrap_or_else(|| self.clock.now())
    }
}
