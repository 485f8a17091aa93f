//! Names, and maps by name.

use std::fmt;
use std::sync::Arc;

use serde::ser::{Serialize, Serializer};

/// A name shared by everything that mentions it.
pub(crate) type Name = Arc<str>;

/// A hash map by name whose order never shows.
pub(crate) type FixedMap<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;

/// A small map by name, kept sorted: what a customer has a handful of.
#[derive(Clone, PartialEq)]
pub struct NameMap<T>(Vec<(Name, T)>);

impl<T> NameMap<T> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(key, _)| (**key).cmp(name))
    }

    /// Where `name` is. Names handed out by the policy are the very ones that are stored, so a look at addresses comes first.
    #[inline]
    fn find_name(&self, name: &Name) -> Result<usize, usize> {
        let same = |(key, _): &(Name, T)| Arc::ptr_eq(key, name);
        match self.0.iter().take(16).position(same) {
            Some(at) => Ok(at),
            None => self.find(name),
        }
    }

    pub(crate) fn get_name(&self, name: &Name) -> Option<&T> {
        self.0.get(self.find_name(name).ok()?).map(|(_, value)| value)
    }

    /// The entry under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.get(self.find(name).ok()?).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        let at = self.find(name).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    pub(crate) fn get_or_insert_with(&mut self, name: &Name, make: impl FnOnce() -> T) -> Option<&mut T> {
        let at = match self.find_name(name) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (name.clone(), make()));
                at
            }
        };
        self.0.get_mut(at).map(|(_, value)| value)
    }

    pub(crate) fn insert(&mut self, name: Name, value: T) -> Option<T> {
        match self.find(&name) {
            Ok(at) => self.0.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                self.0.insert(at, (name, value));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<T> {
        let at = self.find(name).ok()?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &mut T) -> bool) {
        self.0.retain_mut(|(name, value)| keep(name, value));
    }

    /// Whether there is an entry under `name`.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries in order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    pub(crate) fn into_entries(self) -> Vec<(Name, T)> {
        self.0
    }

    pub(crate) fn entries(&self) -> &[(Name, T)] {
        &self.0
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// The values in order of their names.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }
}

impl<T> Default for NameMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for NameMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<T> IntoIterator for NameMap<T> {
    type Item = T;
    type IntoIter = std::iter::Map<std::vec::IntoIter<(Name, T)>, fn((Name, T)) -> T>;

    /// The values in order of their names.
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(_, value)| value)
    }
}

impl<T> FromIterator<(Name, T)> for NameMap<T> {
    fn from_iter<I: IntoIterator<Item = (Name, T)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_by(|(one, _), (two, _)| one.cmp(two));
        // Later entries win, as in a map.
        entries.reverse();
        entries.dedup_by(|(one, _), (two, _)| one == two);
        entries.reverse();
        Self(entries)
    }
}

impl<T: Serialize> Serialize for NameMap<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_sorted_and_the_last_duplicate_wins() {
        let map: NameMap<i32> =
            [("b", 1), ("a", 2), ("b", 3)].map(|(name, value)| (Name::from(name), value)).into_iter().collect();
        assert_eq!(map.iter().collect::<Vec<_>>(), [("a", &2), ("b", &3)]);
    }
}
