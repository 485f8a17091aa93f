//! A program's engine and its connection.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use limitr::{Call, Decision, Denial, IdSource as _, Limitr, NewCustomer, Quantity, RandomIds, Reserve};
use limitr_sync::{Link, LinkOptions};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::Error;
use crate::event::ConnectionEvent;
use crate::options::CloudOptions;
use crate::shared::{Command, Found, Shared};
use crate::socket::Server;
use crate::task::{Progress, Task};
use crate::unsent::Unsent;

/// An engine whose policy and customers are kept by a server.
///
/// Dropped, it is disconnected and what was not sent is lost: [`Cloud::close`] sends it first.
pub struct Cloud {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    progress: watch::Receiver<Progress>,
    patience: Duration,
}

impl Cloud {
    /// Connects: returns once there is a policy to decide by. From then on the connection is made again whenever it is lost.
    ///
    /// To be called on a runtime of tokio, which then keeps the connection; calls can come from anywhere.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), limitr_client::Error> {
    /// use limitr_client::{Cloud, CloudOptions};
    /// let cloud = Cloud::connect(CloudOptions::new("limitr_...").ws_address("ws://127.0.0.1:7070")).await?;
    /// assert!(cloud.is_connected());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `invalid_address`; what the server says of the token, such as `invalid_token` or `forbidden`, or of the policy, such
    /// as `no_policy` or `unknown_version`; `cannot_connect` or `connect_timeout` when it could not be reached in time.
    pub async fn connect(options: CloudOptions) -> Result<Self, Error> {
        if options.token.is_empty() {
            return Err(Error::new("invalid_token", "the token is empty")
                .at("token")
                .hint_at("is the environment variable set that it is read from?"));
        }
        let server = Arc::new(Server::new(&options)?);
        // Without a policy nothing is allowed; the server sends one.
        let engine = Limitr::builder().policy_value(&json!({}))?;
        engine.keep_log();
        let (commands, received) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(engine, options.deny_unconnected, commands));
        let link_options = LinkOptions {
            engine: format!("eng_{}", RandomIds.id()),
            policy: options.policy,
            sdk: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: RandomState::new().hash_one(0_u8),
            ..LinkOptions::default()
        };
        let link = Link::resume(link_options, options.unsent.0, 0);
        let patience = options.connect_timeout;
        let (progress, seen) = watch::channel(Progress::Connecting(None));
        let task = Task::new(Arc::clone(&shared), server, link, received, progress, patience);
        let task = tokio::spawn(task.run());
        let cloud = Self { shared, task, progress: seen, patience };
        cloud.connected().await.map(|()| cloud)
    }

    async fn connected(&self) -> Result<(), Error> {
        let mut progress = self.progress.clone();
        let moved = progress.wait_for(|progress| !matches!(progress, Progress::Connecting(_)));
        let reached = match timeout(self.patience, moved).await {
            Ok(reached) => reached.map_or(Progress::Ended(false), |reached| reached.clone()),
            Err(_) => self.progress.borrow().clone(),
        };
        match reached {
            Progress::Ready => Ok(()),
            Progress::Failed(error) | Progress::Connecting(Some(error)) => Err(error),
            Progress::Connecting(None) => {
                let message = format!("the server did not answer within {} ms", self.patience.as_millis());
                Err(Error::new("connect_timeout", message).hint_at("`connect_timeout` says how long it may take"))
            }
            Progress::Ended(_) => Err(Error::closed()),
        }
    }

    /// Whether the server can be reached right now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.is_up()
    }

    /// The engine: for everything that has no method here. What is done to customers through it is sent as well.
    ///
    /// It knows nothing of the connection: a call that must not go ahead without one goes through the methods of `Cloud`,
    /// while usage that has happened already ([`Call::force`], [`Limitr::settle`]) is recorded here, connected or not.
    /// Customers that were not fetched are unknown to it. The policy is the server's: another one that is put in place here
    /// lasts until the next publication.
    ///
    /// ```no_run
    /// # async fn run(cloud: limitr_client::Cloud) -> Result<(), limitr_client::Error> {
    /// if cloud.fetch("ann").await? {
    ///     cloud.engine().apply_customer_topup("ann", "tokens-small");
    ///     println!("{:?} left", cloud.engine().remaining("ann", "chat"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn engine(&self) -> &Limitr {
        &self.shared.engine
    }

    /// [`Limitr::allow`], decided here and now.
    ///
    /// Denied with [`Denial::Disconnected`] while there is no connection, unless the program has chosen otherwise, and with
    /// [`Denial::UnknownCustomer`] for a customer that is not here: it is then fetched in the background.
    pub fn allow<'a>(&self, customer: &str, entitlement: &str, value: impl Into<Quantity<'a>>) -> Decision {
        self.run(self.shared.may_use(), customer, |engine| engine.allow(customer, entitlement, value))
    }

    /// What [`Cloud::allow`] would say, changing nothing.
    pub fn check<'a>(&self, customer: &str, entitlement: &str, value: impl Into<Quantity<'a>>) -> Decision {
        self.ask(self.shared.may_use(), customer, |engine| engine.check(customer, entitlement, value))
    }

    /// [`Cloud::allow`] of the limit's increment.
    pub fn increment(&self, customer: &str, entitlement: &str) -> Decision {
        self.run(self.shared.may_use(), customer, |engine| engine.increment(customer, entitlement))
    }

    /// [`Limitr::decrement`]. It gives back, so it is not denied for want of a connection: it is sent later.
    pub fn decrement(&self, customer: &str, entitlement: &str) -> Decision {
        self.run(self.shared.has_room(), customer, |engine| engine.decrement(customer, entitlement))
    }

    /// [`Cloud::allow`] with options. The customer of the call is not fetched: [`Cloud::fetch`] does that.
    ///
    /// # Errors
    /// As [`Limitr::allow_with`].
    pub fn allow_with(&self, call: Call<'_>) -> Result<Decision, Error> {
        if !self.shared.may_use() {
            return Ok(Decision::denied(Denial::Disconnected));
        }
        let decision = self.shared.engine.allow_with(call)?;
        self.shared.stir();
        Ok(decision)
    }

    /// [`Limitr::reserve`], to be settled on the engine. Without a connection there is no room, unless the program has chosen
    /// otherwise. The customer is not fetched.
    pub fn reserve(&self, reserve: Reserve<'_>) -> Option<String> {
        let hold = self.shared.may_use().then(|| self.shared.engine.reserve(reserve)).flatten();
        self.shared.stir();
        hold
    }

    /// [`Cloud::allow`], after the customer was fetched where it is not here.
    pub async fn allow_async<'a>(
        &self,
        customer: &str,
        entitlement: &str,
        value: impl Into<Quantity<'a>> + Send,
    ) -> Decision {
        let value = value.into();
        self.fetched(customer, || self.allow(customer, entitlement, value.clone())).await
    }

    /// [`Cloud::check`], after the customer was fetched where it is not here.
    pub async fn check_async<'a>(
        &self,
        customer: &str,
        entitlement: &str,
        value: impl Into<Quantity<'a>> + Send,
    ) -> Decision {
        let value = value.into();
        self.fetched(customer, || self.check(customer, entitlement, value.clone())).await
    }

    /// [`Cloud::increment`], after the customer was fetched where it is not here.
    pub async fn increment_async(&self, customer: &str, entitlement: &str) -> Decision {
        self.fetched(customer, || self.increment(customer, entitlement)).await
    }

    /// [`Cloud::decrement`], after the customer was fetched where it is not here.
    pub async fn decrement_async(&self, customer: &str, entitlement: &str) -> Decision {
        self.fetched(customer, || self.decrement(customer, entitlement)).await
    }

    fn run(&self, may: bool, customer: &str, call: impl FnOnce(&Limitr) -> Decision) -> Decision {
        let decision = self.ask(may, customer, call);
        self.shared.stir();
        decision
    }

    fn ask(&self, may: bool, customer: &str, call: impl FnOnce(&Limitr) -> Decision) -> Decision {
        if !may {
            return Decision::denied(Denial::Disconnected);
        }
        let decision = call(&self.shared.engine);
        if decision.reason == Some(Denial::UnknownCustomer) {
            self.shared.fetch(customer);
        }
        decision
    }

    /// Runs a call, and again once its customer is here.
    async fn fetched(&self, customer: &str, call: impl Fn() -> Decision) -> Decision {
        let decision = call();
        if decision.reason != Some(Denial::UnknownCustomer) {
            return decision;
        }
        match self.bring(customer).await {
            Found::Here => call(),
            Found::Unreachable if self.shared.denies_unconnected() => Decision::denied(Denial::Disconnected),
            Found::Missing | Found::Unreachable => decision,
        }
    }

    /// Makes sure that a customer is here: one that the server has is fetched, one that it does not have is created, here
    /// and there. Returns whether it was created.
    ///
    /// Without a connection nothing is created, and the answer is false; with [`CloudOptions::deny_unconnected`] set to false
    /// it is created here, and what the server has of it is added when there is a connection again.
    ///
    /// # Errors
    /// As [`Limitr::create_customer`]; `closed` after [`Cloud::close`].
    pub async fn ensure_customer(&self, new: NewCustomer) -> Result<bool, Error> {
        let (id, refs) = names(&new);
        if self.shared.engine.has_customer(&id) {
            return Ok(false);
        }
        match self.bring(&id).await {
            Found::Here => return Ok(false),
            Found::Missing => {}
            Found::Unreachable if self.is_closed() => return Err(Error::closed()),
            Found::Unreachable if self.shared.denies_unconnected() => return Ok(false),
            Found::Unreachable => {}
        }
        if !self.shared.has_room() {
            return Ok(false);
        }
        // Its plan can be theirs.
        let absent = refs.iter().filter(|name| !self.shared.engine.has_customer(name));
        join_all(absent.map(|name| self.bring(name))).await;
        let created = self.shared.engine.ensure_customer(new)?;
        self.shared.stir();
        Ok(created)
    }

    /// Fetches a customer, unless it is here. Returns whether it is here now: false when the server does not have it. However
    /// many wait for the same customer, the server is asked once.
    ///
    /// # Errors
    /// `disconnected` when the server cannot be asked or does not answer in time; `closed` after [`Cloud::close`].
    pub async fn fetch(&self, customer: &str) -> Result<bool, Error> {
        if self.shared.engine.has_customer(customer) {
            return Ok(true);
        }
        match self.bring(customer).await {
            Found::Here => Ok(true),
            Found::Missing => Ok(false),
            Found::Unreachable if self.is_closed() => Err(Error::closed()),
            Found::Unreachable => Err(Error::disconnected()),
        }
    }

    async fn bring(&self, customer: &str) -> Found {
        let answer = match self.shared.await_customer(customer) {
            Ok(answer) => answer,
            Err(found) => return found,
        };
        match timeout(self.patience, answer).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => Found::Unreachable,
        }
    }

    /// Calls `listener` with everything that happens to the connection. It runs on the task that keeps the connection: it
    /// must not block.
    ///
    /// ```no_run
    /// # fn run(cloud: limitr_client::Cloud) {
    /// use limitr_client::ConnectionEvent;
    /// cloud.on(|event| {
    ///     if let ConnectionEvent::Trouble(error) = event {
    ///         eprintln!("limitr: {error}");
    ///     }
    /// });
    /// # }
    /// ```
    pub fn on(&self, listener: impl Fn(&ConnectionEvent) + Send + Sync + 'static) {
        self.shared.on(Arc::new(listener));
    }

    /// What the server has not stored yet. A program that keeps it loses nothing over a restart: see
    /// [`CloudOptions::resume`]. After [`Cloud::close`], what was left then.
    pub async fn unsent(&self) -> Unsent {
        let (asker, answer) = oneshot::channel();
        if self.shared.command(Command::Unsent(asker))
            && let Ok(unsent) = answer.await
        {
            return unsent;
        }
        self.shared.left().clone()
    }

    /// Sends what is left, waits until it is stored, and disconnects. Returns whether all of it was stored: false when the
    /// server could not be reached within [`CloudOptions::connect_timeout`]. What was not is in [`Cloud::unsent`].
    ///
    /// From now on every call is denied. Closing again gives the same answer.
    pub async fn close(&self) -> bool {
        self.shared.command(Command::Close);
        let mut progress = self.progress.clone();
        let ended = progress.wait_for(|progress| matches!(progress, Progress::Ended(_))).await;
        ended.is_ok_and(|progress| matches!(*progress, Progress::Ended(true)))
    }

    fn is_closed(&self) -> bool {
        matches!(*self.progress.borrow(), Progress::Ended(_))
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").field("connected", &self.is_connected()).finish_non_exhaustive()
    }
}

/// The id of a customer to be created, and those of whom it refers to.
fn names(new: &NewCustomer) -> (String, Vec<String>) {
    let new = json!(new);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let refs = new.get("refs").and_then(Value::as_array).into_iter().flatten();
    (new.get("id").and_then(text).unwrap_or_default(), refs.filter_map(text).collect())
}
