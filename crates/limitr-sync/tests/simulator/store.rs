//! A database that loses nothing it has committed: what PostgreSQL is to the server.

use std::collections::{BTreeMap, HashSet};

use limitr_sync::{Commit, EngineRow, Found, LedgerLine, Loaded};

#[derive(Default)]
pub struct Store {
    pub customers: BTreeMap<String, (i64, String, Vec<String>)>,
    pub engines: BTreeMap<String, EngineRow>,
    pub ledger: Vec<LedgerLine>,
    /// Customers that were removed.
    pub removed: HashSet<String>,
}

impl Store {
    pub fn find(&self, names: &[String]) -> Vec<Found> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for name in names {
            let by_id = self.customers.get_key_value(name.as_str());
            let by_alt = || self.customers.iter().find(|(_, (_, _, alts))| alts.contains(name));
            if let Some((id, (version, ..))) = by_id.or_else(by_alt)
                && seen.insert(id.clone())
            {
                found.push(Found { id: id.clone(), version: *version });
            }
        }
        found
    }

    pub fn read(&self, ids: &[String]) -> Vec<Loaded> {
        let rows = ids.iter().filter_map(|id| self.customers.get_key_value(id.as_str()));
        rows.map(|(id, (version, record, _))| Loaded { id: id.clone(), version: *version, record: record.clone() })
            .collect()
    }

    pub fn engine(&self, engine: &str) -> EngineRow {
        self.engines.get(engine).cloned().unwrap_or_else(|| EngineRow::new(engine))
    }

    /// One transaction.
    pub fn commit(&mut self, commit: &Commit) {
        for write in &commit.customers {
            let before = self.customers.remove(&write.id);
            let Some(record) = &write.record else {
                self.removed.insert(write.id.clone());
                continue;
            };
            if let Some((version, ..)) = &before {
                assert_eq!(write.version, version + 1, "a version of {} was overwritten", write.id);
            }
            let alts = write.alt_ids.clone().or(before.map(|(.., alts)| alts)).unwrap_or_default();
            self.customers.insert(write.id.clone(), (write.version, record.get().to_owned(), alts));
        }
        let mut alts: Vec<&String> = self.customers.values().flat_map(|(.., alts)| alts).collect();
        let count = alts.len();
        alts.sort_unstable();
        alts.dedup();
        assert_eq!(alts.len(), count, "an alternate id belongs to two customers");
        for row in &commit.engines {
            let before = self.engine(&row.engine);
            assert!(before.through <= row.through && before.epoch <= row.epoch, "{before:?} became {row:?}");
            self.engines.insert(row.engine.clone(), row.clone());
        }
        self.ledger.extend(commit.ledger.iter().cloned());
    }
}
