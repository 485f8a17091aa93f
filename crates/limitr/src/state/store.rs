//! Where customers live: sharded by id, one lock a shard.
//!
//! Lock order, which is what keeps calls free of deadlock: the alternate ids, then shards in the order of their index. A
//! call on a customer without refs holds one shard. One that reaches others first walks the refs, a shard at a time, then
//! locks all their shards in order.

use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;

use super::customer::Customer;
use super::names::{FixedMap, Name};
use crate::policy::Compiled;

#[derive(Debug)]
pub(crate) struct Store {
    shards: Box<[Shard]>,
    alts: RwLock<FixedMap<Name, Name>>,
    /// Seeded per engine: ids come from outside and must not be able to aim at one bucket.
    hasher: foldhash::fast::RandomState,
}

/// A cache line each: two threads on two shards do not share one.
#[derive(Debug)]
#[repr(align(64))]
struct Shard(Mutex<Contents>);

#[derive(Debug)]
struct Contents {
    customers: HashTable<Box<Customer>>,
    /// The policy in force, kept where the lock already is: a call needs no other synchronisation.
    policy: Arc<Compiled>,
    /// Ids of customers that may have changed since the last look, when somebody looks.
    #[expect(clippy::box_collection, reason = "a shard is to fit one cache line")]
    changed: Option<Box<HashSet<Name>>>,
}

impl Contents {
    #[inline]
    fn note(&mut self, id: &Name) {
        if let Some(changed) = &mut self.changed {
            note(changed, id);
        }
    }
}

fn note(changed: &mut HashSet<Name>, id: &Name) {
    if !changed.contains(id) {
        changed.insert(id.clone());
    }
}

/// Many, so that two threads seldom want the same one: with 1,000 busy customers on 1,024 shards a third of two threads'
/// calls waited for a line to move between their caches. 512 KiB in all.
const SHARDS: usize = if cfg!(target_family = "wasm") { 1 } else { 8192 };

/// The customers one call can touch: the caller first, then those its refs reach, breadth first.
pub(crate) struct Locked<'a, 'b> {
    people: &'a mut [&'b mut Customer],
    /// For each of `people`, the positions its refs lead to.
    edges: &'a [Vec<usize>],
    /// Whether any of `people` was handed out to be changed.
    touched: bool,
}

/// Position of the caller in [`Locked`].
pub(crate) const CALLER: usize = 0;

impl Locked<'_, '_> {
    pub(crate) fn caller(&self) -> Option<&Customer> {
        self.get(CALLER)
    }

    pub(crate) fn get(&self, position: usize) -> Option<&Customer> {
        self.people.get(position).map(|customer| &**customer)
    }

    pub(crate) fn get_mut(&mut self, position: usize) -> Option<&mut Customer> {
        self.touched = true;
        self.people.get_mut(position).map(|customer| &mut **customer)
    }

    pub(crate) fn refs(&self, position: usize) -> &[usize] {
        self.edges.get(position).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.people.len()
    }
}

impl Store {
    pub(crate) fn new(policy: &Arc<Compiled>) -> Self {
        let shard =
            |_| Shard(Mutex::new(Contents { customers: HashTable::new(), policy: policy.clone(), changed: None }));
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            alts: RwLock::default(),
            hasher: foldhash::fast::RandomState::default(),
        }
    }

    /// Puts another policy in force, shard by shard: a call sees either.
    pub(crate) fn set_policy(&self, policy: &Arc<Compiled>) {
        self.shards.iter().for_each(|shard| lock(shard).policy = policy.clone());
    }

    /// From now on remembers who changed.
    pub(crate) fn track_changes(&self) {
        self.shards.iter().for_each(|shard| {
            lock(shard).changed.get_or_insert_default();
        });
    }

    /// Who changed since the last look: its id and, unless it is gone, its record.
    pub(crate) fn take_changes(&self) -> Vec<(Name, Option<Customer>)> {
        let mut changes = Vec::new();
        for shard in &self.shards {
            let Contents { customers, changed, .. } = &mut *lock(shard);
            for id in changed.iter_mut().flat_map(|changed| changed.drain()) {
                let customer = customers.find(self.hash(&id), |customer| customer.id == id);
                let record = customer.map(|customer| Customer::clone(customer));
                changes.push((id, record));
            }
        }
        changes
    }

    /// Runs `look` on one customer, found by id or alternate id.
    pub(crate) fn look<R>(&self, id: &str, look: impl FnOnce(&Customer) -> R) -> Option<R> {
        let id = self.resolve(id)?;
        let hash = self.hash(&id);
        let contents = lock(self.shard(hash)?);
        contents.customers.find(hash, |customer| customer.id == id).map(|customer| look(customer))
    }

    /// Runs `work`, which changes it, on one customer, found by id or alternate id, alone.
    pub(crate) fn with<R>(&self, id: &str, work: impl FnOnce(&mut Customer) -> R) -> Option<R> {
        let id = self.resolve(id)?;
        let hash = self.hash(&id);
        let mut contents = lock(self.shard(hash)?);
        contents.note(&id);
        contents.customers.find_mut(hash, |customer| customer.id == id).map(|customer| work(customer))
    }

    /// Runs `work` on a customer and everyone its refs reach, all locked, under the policy in force.
    pub(crate) fn enter<R>(&self, id: &str, work: impl FnOnce(&Compiled, &mut Locked<'_, '_>) -> R) -> Option<R> {
        let hash = self.hash(id);
        {
            let mut contents = lock(self.shard(hash)?);
            let Contents { customers, policy, changed } = &mut *contents;
            if let Some(customer) = customers.find_mut(hash, |customer| *customer.id == *id)
                && customer.refs.is_empty()
            {
                let people = &mut [&mut **customer];
                let mut locked = Locked { people, edges: &[], touched: false };
                let result = work(policy, &mut locked);
                if let (true, Some(changed)) = (locked.touched, changed) {
                    note(changed, &customer.id);
                }
                return Some(result);
            }
        }
        let (ids, edges) = self.reach(self.resolve(id)?);
        let mut taken = Taken::take(self, &ids);
        let policy = taken.guards.first().map(|(_, contents)| contents.policy.clone())?;
        if !taken.people.first().is_some_and(|caller| caller.real) {
            return None;
        }
        let mut people: Vec<&mut Customer> = taken.people.iter_mut().map(|person| &mut *person.customer).collect();
        let mut locked = Locked { people: &mut people, edges: &edges, touched: false };
        let result = work(&policy, &mut locked);
        if locked.touched {
            taken.note(&ids);
        }
        Some(result)
    }

    /// The ids of everyone reachable from `caller`, breadth first, and who refers to whom. A ref to nobody leads nowhere.
    fn reach(&self, caller: Name) -> (Vec<Name>, Vec<Vec<usize>>) {
        let mut positions: FixedMap<Name, usize> = FixedMap::default();
        positions.insert(caller.clone(), 0);
        let mut ids = vec![caller];
        let mut edges: Vec<Vec<usize>> = Vec::new();
        let mut queue = VecDeque::from([0]);
        while let Some(at) = queue.pop_front() {
            let refs = ids.get(at).and_then(|id| self.refs(id)).unwrap_or_default();
            let mut targets = Vec::with_capacity(refs.len());
            for name in refs {
                let Some(id) = self.resolve(&name) else { continue };
                let next = ids.len();
                let position = *positions.entry(id.clone()).or_insert(next);
                if position == next {
                    ids.push(id);
                    queue.push_back(next);
                }
                targets.push(position);
            }
            edges.push(targets);
        }
        (ids, edges)
    }

    fn refs(&self, id: &Name) -> Option<Vec<Name>> {
        let hash = self.hash(id);
        let contents = lock(self.shard(hash)?);
        contents.customers.find(hash, |customer| customer.id == *id).map(|customer| customer.refs.clone())
    }

    /// Adds a customer unless its id is taken.
    pub(crate) fn insert(&self, customer: Customer) -> bool {
        let hash = self.hash(&customer.id);
        let Some(shard) = self.shard(hash) else { return false };
        let mut contents = lock(shard);
        if contents.customers.find(hash, |known| known.id == customer.id).is_some() {
            return false;
        }
        contents.note(&customer.id);
        contents.customers.insert_unique(hash, Box::new(customer), |customer| self.hash(&customer.id));
        true
    }

    /// Removes a customer and the alternate ids it goes by.
    pub(crate) fn remove(&self, id: &str) -> Option<Customer> {
        let mut alts = write(&self.alts);
        let id = alts.get(id).filter(|_| self.find(id).is_none()).map_or_else(|| id.into(), Name::clone);
        let hash = self.hash(&id);
        let mut contents = lock(self.shard(hash)?);
        contents.note(&id);
        let (customer, _) = contents.customers.find_entry(hash, |customer| customer.id == id).ok()?.remove();
        for alt in &customer.alt_ids {
            alts.remove(alt);
        }
        Some(*customer)
    }

    /// Gives the customer `id` the alternate ids `wanted` and no others. Fails, changing nothing, with the first that
    /// belongs to somebody else.
    pub(crate) fn claim(&self, id: &Name, wanted: &[Name]) -> Result<(), Name> {
        if wanted.is_empty() && read(&self.alts).is_empty() {
            return Ok(());
        }
        let mut alts = write(&self.alts);
        for alt in wanted {
            let taken = alts.get(alt).is_some_and(|owner| owner != id) || (alt != id && self.find(alt).is_some());
            if taken {
                return Err(alt.clone());
            }
        }
        // Only its own: walking everybody's would make loading many customers quadratic.
        for alt in self.set_alts(id, wanted) {
            alts.remove(&alt);
        }
        alts.extend(wanted.iter().map(|alt| (alt.clone(), id.clone())));
        Ok(())
    }

    /// Takes back a claim: the customer goes by `alts` again, which were its own before.
    pub(crate) fn release(&self, id: &Name, alts: &[Name]) {
        let mut map = write(&self.alts);
        map.retain(|_, owner| owner != id);
        map.extend(alts.iter().map(|alt| (alt.clone(), id.clone())));
        self.set_alts(id, alts);
    }

    /// Writes the alternate ids into the customer, when it is there, and returns those it had.
    fn set_alts(&self, id: &Name, alts: &[Name]) -> Vec<Name> {
        let hash = self.hash(id);
        let Some(shard) = self.shard(hash) else { return Vec::new() };
        let mut contents = lock(shard);
        contents.note(id);
        let customer = contents.customers.find_mut(hash, |customer| customer.id == *id);
        customer.map(|customer| std::mem::replace(&mut customer.alt_ids, alts.to_vec())).unwrap_or_default()
    }

    /// Whether `id` is somebody's alternate id.
    pub(crate) fn is_alt(&self, id: &str) -> bool {
        read(&self.alts).contains_key(id)
    }

    /// Whether a customer has this id or alternate id.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.resolve(id).is_some()
    }

    /// Runs `visit` on every customer, a shard at a time, in no order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Customer)) {
        for shard in &self.shards {
            lock(shard).customers.iter().for_each(|customer| visit(customer));
        }
    }

    /// The id behind an id or alternate id.
    fn resolve(&self, id: &str) -> Option<Name> {
        self.find(id).or_else(|| {
            let id = read(&self.alts).get(id).cloned()?;
            self.find(&id)
        })
    }

    fn find(&self, id: &str) -> Option<Name> {
        let hash = self.hash(id);
        let contents = lock(self.shard(hash)?);
        contents.customers.find(hash, |customer| *customer.id == *id).map(|customer| customer.id.clone())
    }

    #[inline]
    fn hash(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }

    #[inline]
    fn shard(&self, hash: u64) -> Option<&Shard> {
        self.shards.get(shard_of(hash))
    }
}

/// The table uses the hash's low and top bits, the shard the ones between.
#[inline]
#[allow(clippy::cast_possible_truncation)]
fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

/// Customers taken out of their locked shards, to be had all at once; they go back when this is dropped.
struct Taken<'a> {
    store: &'a Store,
    guards: Vec<(usize, MutexGuard<'a, Contents>)>,
    people: Vec<Person>,
}

struct Person {
    shard: usize,
    hash: u64,
    customer: Box<Customer>,
    /// Whether it was there; one removed meanwhile is stood in for by nobody.
    real: bool,
}

impl<'a> Taken<'a> {
    fn take(store: &'a Store, ids: &[Name]) -> Self {
        let hashes: Vec<u64> = ids.iter().map(|id| store.hash(id)).collect();
        let mut shards: Vec<usize> = hashes.iter().map(|hash| shard_of(*hash)).collect();
        shards.sort_unstable();
        shards.dedup();
        let lock_shard = |at: usize| store.shards.get(at).map(|shard| (at, lock(shard)));
        let guards = shards.into_iter().filter_map(lock_shard).collect();
        let mut taken = Self { store, guards, people: Vec::with_capacity(ids.len()) };
        for (id, hash) in ids.iter().zip(hashes) {
            let shard = shard_of(hash);
            let found = taken.contents(shard).and_then(|contents| {
                let entry = contents.customers.find_entry(hash, |customer| customer.id == *id).ok()?;
                Some(entry.remove().0)
            });
            let real = found.is_some();
            let nobody = || Box::new(Customer::new(id.clone(), Name::default(), Name::default()));
            taken.people.push(Person { shard, hash, customer: found.unwrap_or_else(nobody), real });
        }
        taken
    }

    fn note(&mut self, ids: &[Name]) {
        for id in ids {
            let shard = shard_of(self.store.hash(id));
            if let Some(contents) = self.contents(shard) {
                contents.note(id);
            }
        }
    }

    fn contents(&mut self, shard: usize) -> Option<&mut Contents> {
        let at = self.guards.binary_search_by_key(&shard, |(shard, _)| *shard).ok()?;
        self.guards.get_mut(at).map(|(_, contents)| &mut **contents)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let store = self.store;
        for person in std::mem::take(&mut self.people).into_iter().filter(|person| person.real) {
            if let Some(contents) = self.contents(person.shard) {
                contents.customers.insert_unique(person.hash, person.customer, |customer| store.hash(&customer.id));
            }
        }
    }
}

// A panic while a lock is held can only come from the caller's clock or id source, between whole steps: a poisoned lock
// still guards consistent customers.
#[inline]
fn lock(shard: &Shard) -> MutexGuard<'_, Contents> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
