//! `Limitr`: the facade that ties policy, state and events together.

mod alerts;
mod announce;
mod balances;
mod capabilities;
mod customers;
mod effects;
mod enforce;
mod log;
mod margin;
mod overrides;
mod policies;
mod reads;
mod reservations;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub(crate) use balances::CapChange;
pub use balances::{CallCap, NewCap};
pub use customers::NewCustomer;
pub use effects::{CapCount, Effect, GrantDraw};
pub use enforce::{Call, Explanation};
pub use log::{Entry, Operation};
pub use margin::{CustomerMargin, EntitlementMargin, Measurement, PlanUsage, UsageItem};
pub(crate) use reservations::Basis;
pub use reservations::{EstimateQuery, Observation, Prediction, Reserve, Settle};

use crate::policy::{Compiled, Document, Format, parse_document, read_document_value};
use crate::state::{Customer, Learned, Name, Store};
use crate::{Clock, Error, Event, IdSource};

/// The engine: one validated policy, the customers' state, and the decisions over both.
///
/// It is `Send + Sync` and every method takes `&self`; share it in an `Arc` or a `static`. A call locks only the customers
/// it touches. Listeners run after a call's effects are complete, with nothing locked.
///
/// ```
/// use limitr::{Limitr, NewCustomer};
///
/// let limitr = Limitr::from_yaml(
///     "
/// policy:
///   credits: {token: {price: {amount: 0.00002}}}
///   plans:
///     free:
///       default: true
///       entitlements:
///         chat: {limit: {credit: token, value: 1000, resets: true, reset_inc: 1day}}
/// ",
/// )?;
/// limitr.create_customer(NewCustomer::new("c1"))?;
/// assert!(limitr.allow("c1", "chat", 400).allowed);
/// assert_eq!(limitr.remaining("c1", "chat"), Some(600.into()));
/// assert!(!limitr.check("c1", "chat", 601).allowed);
/// # Ok::<(), limitr::Error>(())
/// ```
pub struct Limitr {
    policy: RwLock<Arc<Compiled>>,
    store: Store,
    learned: Learned,
    listeners: RwLock<Arc<Vec<Listener>>>,
    /// Whether anybody listens, for a look that costs nothing.
    heard: AtomicBool,
    /// Whether events of the policy can follow from others.
    alerted: AtomicBool,
    next_listener: AtomicU64,
    clock: Box<dyn Clock>,
    ids: log::Ids,
    /// The type and label most customers share, kept once.
    common_names: (Name, Name),
    log: log::Log,
    /// Policies are changed one at a time.
    editing: Mutex<()>,
}

#[derive(Clone)]
struct Listener {
    id: ListenerId,
    hear: Arc<dyn Fn(&Event) + Send + Sync>,
}

/// Names a listener, to remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// Sets up a [`Limitr`].
#[must_use]
pub struct Builder {
    clock: Option<Box<dyn Clock>>,
    ids: Option<Box<dyn IdSource>>,
    validate: bool,
}

/// What the engine does not know by itself.
type Environment = (Box<dyn Clock>, Box<dyn IdSource>);

impl Builder {
    /// Tells the time. Without the `system` feature this must be given.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }

    /// Makes ids. Without the `system` feature this must be given.
    pub fn ids(mut self, ids: impl IdSource + 'static) -> Self {
        self.ids = Some(Box::new(ids));
        self
    }

    /// Whether the policy is validated; default true.
    pub fn validate(mut self, validate: bool) -> Self {
        self.validate = validate;
        self
    }

    /// An engine on the policy in `text`.
    ///
    /// # Errors
    /// Kind `Policy`, listing every problem, when the text cannot be read or does not validate.
    pub fn policy(self, text: &str, format: Format) -> Result<Limitr, Error> {
        let document = parse_document(text, format, self.validate)?;
        self.document(document)
    }

    /// An engine on a policy given as JSON data: the contents of the document's `policy` key.
    ///
    /// # Errors
    /// As [`Builder::policy`].
    pub fn policy_value(self, policy: &serde_json::Value) -> Result<Limitr, Error> {
        let document = read_document_value(policy, self.validate)?;
        self.document(document)
    }

    fn document(self, document: Document) -> Result<Limitr, Error> {
        let (clock, ids) = self.environment()?;
        let policy = Arc::new(Compiled::new(document.policy));
        let limitr = Limitr {
            learned: Learned::default(),
            store: Store::new(&policy),
            alerted: AtomicBool::new(policy.is_alert()),
            policy: RwLock::new(policy),
            listeners: RwLock::default(),
            heard: AtomicBool::new(false),
            next_listener: AtomicU64::new(0),
            clock,
            ids: log::Ids(ids),
            common_names: customers::common_names(),
            log: log::Log::default(),
            editing: Mutex::new(()),
        };
        limitr.learned.seed(&limitr.current_policy().source.estimates);
        limitr.load_customers(Customer::list_from_json(&document.customers.into())?)?;
        Ok(limitr)
    }

    #[cfg(feature = "system")]
    fn environment(self) -> Result<Environment, Error> {
        let clock = self.clock.unwrap_or_else(|| Box::new(crate::SystemClock));
        let ids = self.ids.unwrap_or_else(|| Box::new(crate::RandomIds));
        Ok((clock, ids))
    }

    #[cfg(not(feature = "system"))]
    fn environment(self) -> Result<Environment, Error> {
        let missing = |what: &str| {
            Error::argument("missing_environment", format!("no {what} given"))
                .hint_at("give the builder a clock and an id source, or enable the `system` feature")
        };
        Ok((self.clock.ok_or_else(|| missing("clock"))?, self.ids.ok_or_else(|| missing("id source"))?))
    }
}

impl Limitr {
    /// Starts setting up an engine.
    pub fn builder() -> Builder {
        Builder { clock: None, ids: None, validate: true }
    }

    /// An engine on a YAML policy, with the system's clock and random ids.
    ///
    /// # Errors
    /// Kind `Policy`, listing every problem.
    #[cfg(feature = "system")]
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        Self::builder().policy(text, Format::Yaml)
    }

    /// An engine on a JSON policy, with the system's clock and random ids.
    ///
    /// # Errors
    /// Kind `Policy`, listing every problem.
    #[cfg(feature = "system")]
    pub fn from_json(text: &str) -> Result<Self, Error> {
        Self::builder().policy(text, Format::Json)
    }

    /// An engine on a TOML policy, with the system's clock and random ids.
    ///
    /// # Errors
    /// Kind `Policy`, listing every problem.
    #[cfg(feature = "system")]
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        Self::builder().policy(text, Format::Toml)
    }

    /// Calls `listener` with every event, in the order of calls on this thread, after the call's effects are complete.
    ///
    /// A listener may call the engine. One that panics is reported by the panic hook and otherwise ignored: what was
    /// decided stays decided.
    pub fn on(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> ListenerId {
        let id = ListenerId(self.next_listener.fetch_add(1, Ordering::Relaxed));
        let listener = Listener { id, hear: Arc::new(listener) };
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut listeners).push(listener);
        self.heard.store(true, Ordering::Release);
        id
    }

    /// Removes a listener; false when it is not there.
    pub fn off(&self, id: ListenerId) -> bool {
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        let before = listeners.len();
        Arc::make_mut(&mut listeners).retain(|listener| listener.id != id);
        self.heard.store(!listeners.is_empty(), Ordering::Release);
        listeners.len() < before
    }

    /// The time by the engine's clock, ms since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    fn heard(&self) -> bool {
        self.heard.load(Ordering::Acquire)
    }

    /// Tells the listeners. Never called while anything is locked.
    #[inline]
    fn tell(&self, events: Vec<Event>) {
        if !events.is_empty() {
            self.tell_listeners(events);
        }
    }

    fn tell_listeners(&self, events: Vec<Event>) {
        let Some(events) = log::hold_back(events) else { return };
        let events = if self.alerted.load(Ordering::Acquire) { self.with_alerts(events) } else { events };
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner).clone();
        for event in &events {
            for listener in listeners.iter() {
                // The hook has reported the panic; the call it happened after is complete.
                drop(catch_unwind(AssertUnwindSafe(|| (listener.hear)(event))));
            }
        }
    }

    /// Changes the policy, one change at a time.
    fn edit<R>(&self, change: impl FnOnce(&Compiled) -> Result<(Compiled, R), Error>) -> Result<R, Error> {
        let _editing = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
        let (policy, result) = change(&self.current_policy())?;
        let policy = Arc::new(policy);
        self.store.set_policy(&policy);
        self.alerted.store(policy.is_alert(), Ordering::Release);
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
        Ok(result)
    }

    fn current_policy(&self) -> Arc<Compiled> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Limitr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limitr").field("policy", &self.current_policy().source).finish_non_exhaustive()
    }
}
