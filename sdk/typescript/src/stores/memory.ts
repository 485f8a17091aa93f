import type { Store } from '../persist.js';
import type { Customer } from '../records.js';

/** Keeps customers in this process: for tests. Records are copied in and out. */
export function memoryStore(): Store {
  const kept = new Map<string, string>();
  return {
    async load() {
      return [...kept.values()].map((record): Customer => JSON.parse(record));
    },
    async save(customers) {
      for (const customer of customers) kept.set(customer.id, JSON.stringify(customer));
    },
    async remove(ids) {
      for (const id of ids) kept.delete(id);
    },
  };
}
