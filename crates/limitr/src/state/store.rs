//! Where customers live: sharded by id, one lock each.
//!
//! Lock order, which is what keeps calls free of deadlock: the alternate ids, then a shard, then customers in the order of
//! their addresses. A call on a customer without refs holds its shard for reading and its own lock; a call that reaches
//! others lets go of the shards first and then locks all of them.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;

use super::customer::Customer;
use super::names::{FixedMap, Name};

#[derive(Debug)]
pub(crate) struct Store {
    shards: Box<[Shard]>,
    alts: RwLock<FixedMap<Name, Name>>,
    /// Seeded per engine: ids come from outside and must not be able to aim at one bucket.
    hasher: foldhash::fast::RandomState,
}

/// Padded, so that two threads on two shards do not share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(RwLock<HashTable<Arc<Cell>>>);

#[derive(Debug)]
struct Cell {
    id: Name,
    state: Mutex<Customer>,
}

const SHARDS: usize = 128;

/// The customers one call can touch: the caller first, then those its refs reach, breadth first.
pub(crate) struct Locked<'a, 'b> {
    people: &'a mut [&'b mut Customer],
    /// For each of `people`, the positions its refs lead to.
    edges: &'a [Vec<usize>],
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
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            alts: RwLock::default(),
            hasher: foldhash::fast::RandomState::default(),
        }
    }

    /// Runs `work` on one customer, found by id or alternate id, alone.
    pub(crate) fn with<R>(&self, id: &str, work: impl FnOnce(&mut Customer) -> R) -> Option<R> {
        let cell = self.resolve(id)?;
        let mut customer = lock(&cell.state);
        Some(work(&mut customer))
    }

    /// Runs `work` on a customer and everyone its refs reach, all locked.
    pub(crate) fn enter<R>(&self, id: &str, work: impl FnOnce(&mut Locked<'_, '_>) -> R) -> Option<R> {
        let hash = self.hasher.hash_one(id);
        {
            let shard = read(&self.shard(hash)?.0);
            if let Some(cell) = shard.find(hash, |cell| *cell.id == *id) {
                let mut customer = lock(&cell.state);
                if customer.refs.is_empty() {
                    return Some(work(&mut Locked { people: &mut [&mut customer], edges: &[] }));
                }
            }
        }
        self.enter_reaching(self.resolve(id)?, work)
    }

    fn enter_reaching<R>(&self, caller: Arc<Cell>, work: impl FnOnce(&mut Locked<'_, '_>) -> R) -> Option<R> {
        let (cells, edges) = self.reach(caller);
        let mut order: Vec<usize> = (0..cells.len()).collect();
        order.sort_by_key(|position| cells.get(*position).map(Arc::as_ptr));
        let mut guards: Vec<Option<MutexGuard<'_, Customer>>> = cells.iter().map(|_| None).collect();
        for position in order {
            if let (Some(cell), Some(guard)) = (cells.get(position), guards.get_mut(position)) {
                *guard = Some(lock(&cell.state));
            }
        }
        let mut people: Vec<&mut Customer> = guards.iter_mut().flatten().map(|guard| &mut **guard).collect();
        Some(work(&mut Locked { people: &mut people, edges: &edges }))
    }

    /// Everyone reachable from `caller`, breadth first, and who refers to whom. A ref to nobody leads nowhere.
    fn reach(&self, caller: Arc<Cell>) -> (Vec<Arc<Cell>>, Vec<Vec<usize>>) {
        let mut cells = vec![caller];
        let mut edges: Vec<Vec<usize>> = Vec::new();
        let mut positions: FixedMap<Name, usize> = FixedMap::default();
        positions.extend(cells.first().map(|cell| (cell.id.clone(), 0)));
        let mut queue = VecDeque::from([0]);
        while let Some(at) = queue.pop_front() {
            let refs = cells.get(at).map(|cell| lock(&cell.state).refs.clone()).unwrap_or_default();
            let mut targets = Vec::with_capacity(refs.len());
            for name in refs {
                let Some(cell) = self.resolve(&name) else { continue };
                let next = cells.len();
                let position = *positions.entry(cell.id.clone()).or_insert(next);
                if position == next {
                    cells.push(cell);
                    queue.push_back(next);
                }
                targets.push(position);
            }
            edges.push(targets);
        }
        (cells, edges)
    }

    /// Adds a customer unless its id is taken.
    pub(crate) fn insert(&self, customer: Customer) -> bool {
        let id = customer.id.clone();
        let hash = self.hasher.hash_one(&*id);
        let Some(shard) = self.shard(hash) else { return false };
        let mut shard = write(&shard.0);
        if shard.find(hash, |cell| cell.id == id).is_some() {
            return false;
        }
        let cell = Arc::new(Cell { id, state: Mutex::new(customer) });
        shard.insert_unique(hash, cell, |cell| self.hasher.hash_one(&*cell.id));
        true
    }

    /// Removes a customer and the alternate ids it goes by.
    pub(crate) fn remove(&self, id: &str) -> Option<Customer> {
        let mut alts = write(&self.alts);
        let id = alts.get(id).filter(|_| self.find(id).is_none()).map_or_else(|| id.into(), Name::clone);
        let hash = self.hasher.hash_one(&*id);
        let mut shard = write(&self.shard(hash)?.0);
        let entry = shard.find_entry(hash, |cell| cell.id == id).ok()?;
        let (cell, _) = entry.remove();
        let customer = lock(&cell.state).clone();
        for alt in &customer.alt_ids {
            alts.remove(alt);
        }
        Some(customer)
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
        if let Some(cell) = self.find(id) {
            let mut customer = lock(&cell.state);
            for alt in &customer.alt_ids {
                alts.remove(alt);
            }
            customer.alt_ids = wanted.to_vec();
        }
        for alt in wanted {
            alts.insert(alt.clone(), id.clone());
        }
        Ok(())
    }

    /// Takes back a claim: the customer goes by `alts` again, which were its own before.
    pub(crate) fn release(&self, id: &Name, alts: &[Name]) {
        let mut map = write(&self.alts);
        map.retain(|_, owner| owner != id);
        map.extend(alts.iter().map(|alt| (alt.clone(), id.clone())));
        if let Some(cell) = self.find(id) {
            lock(&cell.state).alt_ids = alts.to_vec();
        }
    }

    /// Whether `id` is somebody's alternate id.
    pub(crate) fn is_alt(&self, id: &str) -> bool {
        read(&self.alts).contains_key(id)
    }

    /// Whether a customer has this id or alternate id.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.resolve(id).is_some()
    }

    /// Runs `visit` on every customer, one at a time, in no order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&mut Customer)) {
        for shard in &self.shards {
            let cells: Vec<Arc<Cell>> = read(&shard.0).iter().cloned().collect();
            for cell in cells {
                visit(&mut lock(&cell.state));
            }
        }
    }

    fn resolve(&self, id: &str) -> Option<Arc<Cell>> {
        self.find(id).or_else(|| {
            let id = read(&self.alts).get(id).cloned()?;
            self.find(&id)
        })
    }

    fn find(&self, id: &str) -> Option<Arc<Cell>> {
        let hash = self.hasher.hash_one(id);
        read(&self.shard(hash)?.0).find(hash, |cell| *cell.id == *id).cloned()
    }

    /// The table uses the hash's low and top bits, the shard the ones between.
    #[allow(clippy::cast_possible_truncation)]
    fn shard(&self, hash: u64) -> Option<&Shard> {
        self.shards.get((hash >> 40) as usize % SHARDS)
    }
}

// A panic while a lock is held cannot come from this crate (I8), and a caller's closure never runs under one: a poisoned
// lock still guards a consistent value.
fn lock(mutex: &Mutex<Customer>) -> MutexGuard<'_, Customer> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
