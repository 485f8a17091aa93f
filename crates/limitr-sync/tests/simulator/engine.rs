//! An engine in a program, with calls going on.

use std::collections::BTreeMap;

use limitr::{Entry, Limitr, ManualClock, NewCap, NewCustomer, SequentialIds};
use limitr_sync::{Action, Link, LinkOptions, Unsent};

/// Ids that nobody else makes.
pub struct Ids(String, SequentialIds);

impl Ids {
    pub fn of(whom: &str) -> Self {
        Self(whom.to_owned(), SequentialIds::default())
    }
}

impl limitr::IdSource for Ids {
    fn id(&self) -> String {
        format!("{}-{}", self.0, self.1.id())
    }
}

pub struct Engine {
    pub id: String,
    pub limitr: Limitr,
    pub clock: ManualClock,
    pub link: Link,
    /// How far its clock is off.
    pub skew: i64,
    /// Most customers that it keeps.
    pub held: usize,
    pub up: bool,
    pub down_until: i64,
    /// Whether it keeps what it has not sent over a restart.
    pub keeps: bool,
    pub kept: Option<Unsent>,
    /// What it kept some time ago.
    pub early: Option<Unsent>,
    /// Until it is greeted after a restart with what it had kept: the last entry in that.
    pub kept_last: Option<u64>,
    /// What it did, by number: what the ledger must say.
    pub did: BTreeMap<u64, Entry>,
    pub incarnation: u64,
    pub answered: u64,
    pub refused: Vec<String>,
}

impl Engine {
    pub fn new(id: &str, skew: i64, keeps: bool, held: usize, even: i64) -> Self {
        let (limitr, clock) = start(id);
        let options = LinkOptions { engine: id.to_owned(), seed: skew as u64 ^ 77, held, ..LinkOptions::default() };
        Self {
            id: id.to_owned(),
            limitr,
            clock,
            link: Link::new(options, even),
            skew,
            up: true,
            down_until: 0,
            keeps,
            held,
            kept: None,
            early: None,
            kept_last: None,
            did: BTreeMap::new(),
            incarnation: 0,
            answered: 0,
            refused: Vec::new(),
        }
    }

    /// Notes what it has just done under the numbers that it will be sent by.
    pub fn note(&mut self) {
        let unsent = self.link.unsent();
        let numbered = unsent.entries.len() - unsent.unnumbered;
        for (entry, number) in unsent.entries.into_iter().take(numbered).zip(unsent.acknowledged + 1..) {
            self.did.insert(number, entry);
        }
    }

    /// The server says what it has of an engine that was started again with what it had kept: what it has not, and was not
    /// kept, is lost. Returns how much that is.
    pub fn greeted(&mut self, through: u64) -> usize {
        let Some(kept) = self.kept_last.take() else { return 0 };
        self.did.split_off(&(through.max(kept) + 1)).len()
    }

    /// The program ends without a word.
    pub fn crash(&mut self, until: i64, early: bool) {
        let kept = self.early.take().filter(|_| early).unwrap_or_else(|| self.link.unsent());
        self.kept = self.keeps.then_some(kept);
        self.up = false;
        self.down_until = until;
    }

    /// It starts again: with what it had kept, or under another id.
    pub fn restart(&mut self, even: i64) -> bool {
        self.up = true;
        let kept = self.kept.take();
        let same = kept.is_some();
        if !same {
            self.incarnation += 1;
            let base = self.id.split('.').next().unwrap_or_default().to_owned();
            self.id = format!("{base}.{}", self.incarnation);
            self.did.clear();
        }
        self.incarnation += u64::from(same);
        self.early = None;
        self.kept_last = kept.as_ref().map(|kept| kept.acknowledged + (kept.entries.len() - kept.unnumbered) as u64);
        (self.limitr, self.clock) = start(&format!("{}i{}", self.id, self.incarnation));
        let options =
            LinkOptions { engine: self.id.clone(), seed: self.incarnation, held: self.held, ..LinkOptions::default() };
        self.link = Link::resume(options, kept.unwrap_or_default(), even);
        same
    }

    pub fn frame(&mut self, text: &str, even: i64) -> Vec<Action> {
        let actions = self.link.received(&self.limitr, text, even);
        self.note();
        actions
    }

    pub fn poll(&mut self, even: i64) -> Vec<Action> {
        let actions = self.link.poll(&self.limitr, even);
        self.note();
        actions
    }

    /// Something a program does with a customer.
    pub fn act(&mut self, rng: &mut fastrand::Rng, customer: &str, calm: bool) {
        if !self.limitr.has_customer(customer) {
            // As `ensureCustomer` does: ask, and make it when the server has none, or cannot be asked.
            self.link.fetch(customer);
            if rng.u8(..) < 60 {
                let new = NewCustomer::new(customer).plan(["free", "pro"][rng.usize(..2)]);
                let new = match customer {
                    "org" => new.kind("org"),
                    _ if rng.bool() => new.refs(["org"]),
                    _ => new,
                };
                let _ = self.limitr.ensure_customer(new);
            }
            return;
        }
        match rng.u8(..) {
            0..150 => drop(self.limitr.allow(customer, "chat", rng.i64(1..9))),
            150..178 => drop(self.limitr.allow(customer, "images", rng.i64(1..4))),
            // Few names that often change hands.
            178..184 => drop(self.limitr.add_alt_id(customer, &format!("alt{}", rng.u8(..2)))),
            184..190 => drop(self.limitr.remove_alt_id(customer, &format!("alt{}", rng.u8(..2)))),
            190..200 => drop(self.limitr.allow(customer, "shared", rng.i64(1..4))),
            200..210 => drop(self.limitr.decrement(customer, "chat")),
            210..216 => {
                self.limitr.set_customer_plan(customer, ["free", "pro"][rng.usize(..2)], !calm && rng.bool());
            }
            216..222 => {
                self.limitr.apply_customer_topup(customer, "pack");
            }
            222..226 => drop(self.limitr.add_customer_cap(customer, NewCap::new(500).credit("token"))),
            226..230 => {
                let limit = serde_json::json!({"value": rng.i64(10..100)});
                drop(self.limitr.create_customer_override(customer, "chat", &limit));
            }
            230..233 => {
                self.limitr.remove_customer_override(customer, "chat");
            }
            233..236 => drop(self.limitr.add_alt_id(customer, &format!("alt{}", rng.u8(..6)))),
            236..238 => {
                self.limitr.remove_alt_id(customer, &format!("alt{}", rng.u8(..6)));
            }
            238..239 if !calm => {
                self.limitr.delete_customer(customer);
            }
            239..242 => {
                self.limitr.ensure_plan_subscription(customer);
            }
            242..244 => {
                self.limitr.ensure_included_topups(customer);
            }
            _ => self.link.fetch(&format!("alt{}", rng.u8(..6))),
        }
    }
}

fn start(id: &str) -> (Limitr, ManualClock) {
    let clock = ManualClock::new(0);
    let limitr = Limitr::builder().clock(clock.clone()).ids(Ids::of(id)).policy_value(&serde_json::json!({})).unwrap();
    limitr.keep_log();
    (limitr, clock)
}
