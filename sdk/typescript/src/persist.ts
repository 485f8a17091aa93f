import { LimitrValueError } from './errors.js';
import { guarded } from './events.js';
import type { Customer } from './records.js';
import type { SyncLimitr } from './sync.js';
import { later, type Timer } from './timers.js';
import { finite } from './values.js';

/** What a store keeps under its id: a customer's record, or what a connected engine could not send yet. */
export interface Stored {
  id: string;
}

/** Where customers are kept, or other records: any key-value database. */
export interface Store<R extends Stored = Customer> {
  /** Every record. */
  load(): Promise<R[]>;
  /** Writes records, each in the place of the one with its id. */
  save(records: R[]): Promise<void>;
  /** Removes records; an id that is not there is passed over. */
  remove(ids: string[]): Promise<void>;
}

/** When changed customers are saved. */
export interface PersistOptions {
  /** `each`: as soon as the store is done with what changed before. `interval`: every `intervalMs`. */
  mode?: 'each' | 'interval';
  /** Default 10,000. */
  intervalMs?: number;
  /** Told when saving fails; what failed is saved again with what changes next. Default `console.error`. */
  onError?: (error: unknown) => void;
}

/** Saves until stopped. */
export interface Saver {
  stop(): Promise<void>;
}

/** How soon `each` looks for changes: a burst of calls is one write, and looking costs next to nothing. */
const AT_ONCE_MS = 10;

const unsaid = (error: unknown): void => console.error('limitr: saving customers failed:', error);

/** Restores the store's customers into an engine, then saves those that change. */
export async function keepSaved(sync: SyncLimitr, store: Store, options: PersistOptions): Promise<Saver> {
  const { mode = 'interval', intervalMs = 10_000, onError = unsaid } = options;
  if (mode !== 'each' && mode !== 'interval') {
    throw new LimitrValueError('`mode` must be `each` or `interval`', { code: 'invalid_argument', path: 'mode' });
  }
  const interval = mode === 'each' ? AT_ONCE_MS : finite(intervalMs, 'intervalMs');
  const report = (error: unknown): void => guarded(() => onError(error), unsaid);
  sync.loadCustomers(await store.load());
  sync.engine.track_changes();
  // What could not be written yet: newer changes of the same customers take its place.
  const unsaved = new Map<string, Customer | null>();
  let stopped = false;
  let timer: Timer | undefined;

  const flush = async (): Promise<void> => {
    const changes: Record<string, Customer | null> = JSON.parse(sync.engine.take_changes());
    for (const [id, customer] of Object.entries(changes)) unsaved.set(id, customer);
    if (unsaved.size === 0) return;
    const writing = new Map(unsaved);
    unsaved.clear();
    try {
      const changed = [...writing.values()].filter((customer) => customer !== null);
      if (changed.length > 0) await store.save(changed);
      const removed = [...writing.keys()].filter((id) => writing.get(id) === null);
      if (removed.length > 0) await store.remove(removed);
    } catch (error) {
      for (const [id, customer] of writing) if (!unsaved.has(id)) unsaved.set(id, customer);
      throw error;
    }
  };
  let running: Promise<void> = Promise.resolve();
  const again = (): void => {
    if (stopped) return;
    timer = later(interval, () => {
      // Freed without closing: what was not saved is not wanted.
      if (sync.closed) return;
      running = flush().catch(report).finally(again);
    });
  };
  again();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
      await flush();
    },
  };
}
