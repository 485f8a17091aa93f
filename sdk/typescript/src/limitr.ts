import { Cloud } from './cloud/cloud.js';
import { ASKED_FIRST } from './cloud/customers.js';
import { type CloudOptions, settings } from './cloud/options.js';
import { fromEngine, LimitrError, LimitrValueError } from './errors.js';
import { type Handler, type HandlerErrorReporter, Handlers } from './events.js';
import type { Format } from './options.js';
import { keepSaved, type PersistOptions, type Saver, type Store } from './persist.js';
import type { EventPayloads, LimitrEvent, NotificationPayload, PolicyDocument } from './records.js';
import { SyncLimitr } from './sync.js';
import { flag, isRecord, json, text } from './values.js';
import { emptyEngine, type Engine, newEngine } from './wasm.js';

/** Everything {@link SyncLimitr} does, as promises. */
export type Operations = {
  // With `as`, not over `Exclude` of the keys: so each method keeps its comment.
  [K in keyof SyncLimitr as Exclude<K, 'free' | 'engine' | 'closed' | 'operation' | 'record' | 'stringify'>]:
    SyncLimitr[K] extends (...given: infer A) => infer R ? (...given: A) => Promise<R> : never;
};

/** The policy document of an engine. */
export interface PolicyDoc {
  /** The document as data, for pricing tables and the like. */
  record(): { policy: PolicyDocument };
  /** The document as text. */
  stringify(format: Format): string;
}

/** The name of a notification: any that is not like an event's, so that a misspelt event is not taken for one. */
export type NotificationName<N extends string> =
  N extends `${'cap' | 'cloud' | 'customer' | 'logic' | 'meter' | 'plan' | 'policy'}-${string}` ? never : N;

// The class gets the methods of the interface below, each made from its synchronous twin.
export interface Limitr extends Operations {}

/**
 * An engine that runs one policy document in this process: decides, meters and prices without a network.
 *
 * ```ts
 * const policy = await Limitr.new(readFileSync('policy.yaml', 'utf8'));
 * await policy.ensureCustomer('user_1', 'starter');
 * if (await policy.allow('user_1', 'ai_tokens', 1200)) {
 *   // go ahead: it is counted
 * }
 * ```
 */
export class Limitr {
  /** The same engine without promises, for hot paths. */
  readonly sync: SyncLimitr;
  /** The policy document. */
  readonly doc: PolicyDoc;
  /** @internal The server that it follows. */
  readonly cloud: Cloud | undefined;
  readonly #handlers: Handlers;
  #saver: Promise<Saver> | undefined;

  private constructor(engine: Engine, handlers = new Handlers(), cloud?: Cloud) {
    this.sync = new SyncLimitr(engine, handlers, cloud);
    this.cloud = cloud;
    this.#handlers = handlers;
    this.doc = {
      record: () => this.sync.record(),
      stringify: (format) => this.sync.stringify(format),
    };
  }

  /**
   * An engine on a policy document: text, UTF-8 bytes, or data.
   *
   * @param document - Text or bytes in `format`; an object is taken as it is, with or without its `policy` key.
   * @param format - `yaml`, `json` or `toml`; with `limitr/stof` also `stof`.
   * @param validate - Whether to refuse a policy with problems; default true.
   * @throws {@link LimitrPolicyError} listing every problem.
   */
  static async new(
    document: string | Uint8Array | ArrayBuffer | object,
    format: Format = 'yaml',
    validate = true,
  ): Promise<Limitr> {
    const [source, as] = sourceText(document, text(format, 'format'));
    const checked = flag(validate, 'validate');
    try {
      return new Limitr(await newEngine(source, as, checked));
    } catch (thrown) {
      throw fromEngine(thrown);
    }
  }

  /**
   * An engine that follows a server: the policy comes from there and changes with every publication, customers are fetched
   * when they are needed first, and what happens is sent in the background. Calls are decided in this process all the same.
   *
   * ```ts
   * const policy = await Limitr.cloud({ token: process.env.LIMITR_TOKEN });
   * if (!policy) throw new Error('no connection to the server');
   * await policy.ensureCustomer('user_1', 'starter');
   * ```
   *
   * Undefined when the token is refused or the server cannot be reached in time; `onError` is told why. A connection that
   * is lost later is made again by itself.
   *
   * {@link Limitr.sync} does not wait for the server: a customer that is not here yet is unknown to it, and fetched in the
   * background. What belongs to the server is refused with `kept_by_server`: {@link Limitr.persist}, and changes of the
   * policy.
   *
   * @throws {@link LimitrValueError} for options that cannot be used. What a `store` fails with is thrown too.
   */
  static async cloud(options: CloudOptions): Promise<Limitr | undefined> {
    const checked = settings(options);
    const engine = await emptyEngine(checked.validate);
    const handlers = new Handlers();
    const cloud = new Cloud(engine, handlers, checked);
    let connected = false;
    try {
      connected = await cloud.connect();
      return connected ? new Limitr(engine, handlers, cloud) : undefined;
    } finally {
      if (!connected) {
        cloud.end();
        engine.free();
      }
    }
  }

  /** Whether the server can be reached right now; false for an engine that follows none. */
  get connected(): boolean {
    return this.cloud?.connected ?? false;
  }

  /**
   * Calls `handler` with the name of every event and its payload as JSON text, after the call's effects are complete, in
   * the order the handlers were added. One with the same name is replaced.
   */
  addHandler(name: string, handler: Handler): void {
    this.#listen(() => this.#handlers.add(text(name, 'name'), callable(handler)));
  }

  /** Calls `handler` with the payload of every `event`. Returns what stops that. */
  on<E extends LimitrEvent>(event: E, handler: (payload: EventPayloads[E]) => unknown): () => void;
  /** Calls `handler` whenever the policy's `notification` of that name is sent. Returns what stops that. */
  on<N extends string>(notification: NotificationName<N>, handler: (payload: NotificationPayload) => unknown): () => void;
  on(event: string, handler: (payload: never) => unknown): () => void {
    let key: symbol | undefined;
    this.#listen(() => (key = this.#handlers.on(text(event, 'event'), callable(handler))));
    return () => {
      // Whoever cleans up need not know whether the engine is there still.
      if (!this.sync.closed) this.#listen(() => key !== undefined && this.#handlers.remove(key));
    };
  }

  /** Removes a handler; false when it is not there. */
  removeHandler(name: string): boolean {
    let removed = false;
    this.#listen(() => (removed = this.#handlers.remove(name)));
    return removed;
  }

  /** Removes all handlers. */
  clearHandlers(): void {
    this.#listen(() => this.#handlers.clear());
  }

  /** Told of what a handler threw or was rejected with; default `console.error`. It never changes a call's result. */
  get onHandlerError(): HandlerErrorReporter {
    return this.#handlers.onError;
  }

  set onHandlerError(report: HandlerErrorReporter) {
    this.#handlers.onError = callable(report);
  }

  /**
   * Restores customers from a store, then saves those that change: at once (`each`) or every `intervalMs` (`interval`,
   * the default, 10 s), and what is left on {@link Limitr.close}. Restoring sends no events. An engine has one store.
   *
   * @throws {@link LimitrError} `kept_by_server` for an engine that follows a server.
   */
  async persist(store: Store, options: PersistOptions = {}): Promise<void> {
    if (this.cloud !== undefined) {
      const hint = 'give the store to `Limitr.cloud`: it keeps what is not sent yet';
      throw new LimitrError('customers are kept by the server', { code: 'kept_by_server', hint });
    }
    if (this.#saver !== undefined) {
      throw new LimitrError('the engine is kept in a store already', { code: 'already_persisted' });
    }
    this.#saver = keepSaved(this.sync, store, options);
    try {
      await this.#saver;
    } catch (error) {
      this.#saver = undefined;
      throw error;
    }
  }

  /**
   * Saves what is left to save, then frees the engine. When saving fails nothing is freed, so that nothing is lost:
   * close again, or take {@link Limitr.customers} and free.
   *
   * Of an engine that follows a server it sends what is left, and waits until that is stored. Whether all of it was stored
   * in time; what was not is in the `store` that was given to {@link Limitr.cloud}, or lost.
   */
  async close(): Promise<boolean> {
    const stored = this.cloud?.close();
    const saver = await this.#saver?.catch(() => undefined);
    await saver?.stop();
    const all = (await stored) ?? true;
    this.free();
    return all;
  }

  /**
   * Frees the engine at once; every later call throws `closed`. A forgotten engine is freed with its last reference, unless
   * it follows a server.
   */
  free(): void {
    this.cloud?.end();
    this.sync.free();
  }

  /** {@link Limitr.free}, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }

  /** The engine keeps events only while somebody hears them. */
  #listen(change: () => unknown): void {
    const { engine } = this.sync;
    const before = this.#handlers.size > 0;
    change();
    const now = this.#handlers.size > 0;
    if (before !== now) engine.listen(now);
  }
}

for (const method of Object.getOwnPropertyNames(SyncLimitr.prototype)) {
  if (method in Limitr.prototype || ['operation', 'record', 'stringify', 'engine', 'closed'].includes(method)) continue;
  const first = ASKED_FIRST.has(method);
  const promised = {
    // Without spread arguments: this is on the path of every call.
    async [method](this: Limitr, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown, g?: unknown) {
      const sync = this.sync as unknown as Record<string, (...given: unknown[]) => unknown>;
      if (this.cloud === undefined) return sync[method]!(a, b, c, d, e, f, g);
      if (!first) return this.cloud.promised(method, [a, b, c, d, e, f, g], () => sync[method]!(a, b, c, d, e, f, g));
      const answer = sync[method]!(a, b, c, d, e, f, g);
      return answer || this.cloud.again(a, answer, () => sync[method]!(a, b, c, d, e, f, g));
    },
  };
  Object.defineProperty(Limitr.prototype, method, { value: promised[method], writable: true, configurable: true });
}

function sourceText(document: unknown, format: string): [source: string, format: string] {
  if (typeof document === 'string') return [text(document, 'document'), format];
  if (document instanceof ArrayBuffer || ArrayBuffer.isView(document)) {
    try {
      return [new TextDecoder('utf-8', { fatal: true }).decode(document), format];
    } catch (cause) {
      throw new LimitrValueError('`document` is not UTF-8', { code: 'invalid_argument', path: 'document', cause });
    }
  }
  if (isRecord(document)) return [json('policy' in document ? document : { policy: document }, 'document'), 'json'];
  throw new LimitrValueError('`document` must be text, bytes or an object', { code: 'invalid_argument', path: 'document' });
}

function callable<F>(handler: F): F {
  if (typeof handler === 'function') return handler;
  throw new LimitrError('a handler must be a function', { code: 'invalid_argument', path: 'handler' });
}
