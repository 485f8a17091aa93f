/** What the server has not stored yet, kept in a store over a restart. */
import { LimitrError } from '../errors.js';
import type { Store, Stored } from '../persist.js';
import { later, type Timer } from '../timers.js';
import { emptyEngine, Link } from '../wasm.js';
import { Connection, type Reports, SDK } from './connection.js';
import type { Settings } from './options.js';

/** How long changes may wait for company before they are saved, ms. */
const GATHER = 100;
/** Saving may take up to this part of the time: what waits is written whole. */
const SHARE = 0.05;

/** What an engine has not sent. Each start of a program is an engine of its own, so its id is the record's. */
export interface Unsent extends Stored {
  engine: string;
  acknowledged: number;
  entries: unknown[];
}

/** Keeps what an engine has not sent. */
export class UnsentSaver {
  readonly #store: Store<Stored>;
  readonly #connection: Connection;
  readonly #failed: (error: unknown) => void;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #pause = GATHER;
  /** {@link Connection.changes} of what was saved last. */
  #saved = 0;
  /** Under which id something is kept. */
  #kept: string | undefined;

  constructor(store: Store<Stored>, connection: Connection, failed: (error: unknown) => void) {
    this.#store = store;
    this.#connection = connection;
    this.#failed = failed;
  }

  /** Something may have happened, or was acknowledged. */
  changed(): void {
    const { changes, settled } = this.#connection;
    if (this.#timer !== undefined || changes === this.#saved || (settled && this.#kept === undefined)) return;
    this.#timer = later(this.#pause, () => {
      this.#running = this.#save()
        .catch(this.#failed)
        .finally(() => {
          this.#timer = undefined;
          this.changed();
        });
    });
  }

  /** Saves what is left. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#running;
    clearTimeout(this.#timer);
    await this.#save().catch(this.#failed);
  }

  async #save(): Promise<void> {
    const since = performance.now();
    const unsent = this.#connection.unsent();
    const { changes } = this.#connection;
    if (unsent !== undefined) {
      const parsed = JSON.parse(unsent) as Omit<Unsent, 'id'>;
      await this.#store.save([{ id: parsed.engine, ...parsed } satisfies Unsent]);
      this.#kept = parsed.engine;
    } else if (this.#kept !== undefined) {
      await this.#store.remove([this.#kept]);
      this.#kept = undefined;
    }
    this.#saved = changes;
    this.#pause = Math.max(GATHER, (performance.now() - since) / SHARE);
  }
}

/** What earlier starts of the program have left in a store. */
export async function leftovers(store: Store<Stored>): Promise<Unsent[]> {
  return (await store.load()).filter(isUnsent);
}

/** Who is told of what goes wrong with it. */
export type Told = Pick<Reports, 'refused' | 'trouble'>;

/** Sends it, each under its own engine's id. Resolves when the server has stored all of it, and with the signal. */
export async function sendLeftovers(
  left: Unsent[],
  store: Store<Stored>,
  settings: Settings,
  told: Told,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(left.map((unsent) => sendLeftover(unsent, store, settings, told, signal)));
}

function isUnsent(stored: Stored): stored is Unsent {
  return 'engine' in stored && 'acknowledged' in stored && 'entries' in stored;
}

async function sendLeftover(unsent: Unsent, store: Store<Stored>, settings: Settings, told: Told, signal: AbortSignal): Promise<void> {
  const engine = await emptyEngine(true);
  let connection: Connection | undefined;
  try {
    const link = new Link(engine, unsent.engine, '', SDK, Math.random(), performance.now(), JSON.stringify(unsent));
    const sent = await new Promise<boolean>((resolve) => {
      signal.addEventListener('abort', () => resolve(false), { once: true });
      connection = new Connection(engine, link, settings, {
        changed: () => connection?.settled && resolve(true),
        // The program that it is of still runs, and sends it by itself.
        trouble: (error, lasting) => (error.code === 'superseded' || lasting ? resolve(false) : told.trouble(error, false)),
        refused: told.refused,
        policy: () => undefined,
        answered: () => undefined,
      });
      connection.start();
      if (signal.aborted) resolve(false);
    });
    if (sent) await store.remove([unsent.id]);
  } catch (thrown) {
    const message = `what is kept under \`${unsent.id}\` cannot be sent: ${String(thrown)}`;
    told.trouble(new LimitrError(message, { code: 'invalid_unsent', cause: thrown }), false);
  } finally {
    connection?.end();
    engine.free();
  }
}
