import { newCustomer } from '../arguments.js';
import { LimitrError } from '../errors.js';
import { guarded, type Handlers } from '../events.js';
import type { EventPayloads, Refusal } from '../records.js';
import type { Named, Remote } from '../remote.js';
import type { Timer } from '../timers.js';
import { type Engine, Link } from '../wasm.js';
import { Connection, SDK } from './connection.js';
import { customerOf, missedBy, refsOf } from './customers.js';
import { denied, disconnected, refuseEdits } from './denied.js';
import { Fetches } from './fetches.js';
import type { Settings } from './options.js';
import { Start } from './start.js';
import { leftovers, sendLeftovers, UnsentSaver } from './unsent.js';

type CloudEvent = Extract<keyof EventPayloads, `cloud-${string}`>;

/** The server that an engine follows: its policy and its customers come from there, and there goes what happens. */
export class Cloud implements Remote {
  denies = true;
  full = false;
  readonly #engine: Engine;
  readonly #handlers: Handlers;
  readonly #settings: Settings;
  readonly #connection: Connection;
  readonly #fetches: Fetches;
  readonly #saver: UnsentSaver | undefined;
  readonly #start = new Start();
  /** Whether there was a first connection. */
  #started = false;
  /** Aborted at the end. */
  readonly #over = new AbortController();
  /** The engine's id at the server. */
  readonly #id = `eng_${hex(crypto.getRandomValues(new Uint8Array(16)))}`;
  #up = false;
  /** What was told of the attempts to connect: it is told once, however often it is tried again. */
  #told = '';
  /** A customer that the server does not have, while it is created. */
  #creating: string | undefined;
  /** Whether the server was asked for the customer of the operation that is run. */
  #answered = false;
  /** Whether nothing should be added to what is left. */
  #last = false;
  #closing: Promise<boolean> | undefined;
  /** Ends waiting for what is left to be stored. */
  #settled: (() => void) | undefined;

  constructor(engine: Engine, handlers: Handlers, settings: Settings) {
    this.#engine = engine;
    this.#handlers = handlers;
    this.#settings = settings;
    const link = new Link(engine, this.#id, settings.policy, SDK, Math.random(), performance.now());
    this.#connection = new Connection(engine, link, settings, {
      changed: () => this.#changed(),
      policy: () => this.#inForce(),
      answered: (customer, found) => this.#fetches.answered(customer, found),
      refused: (refused) => this.#refused(refused),
      trouble: (error, lasting) => this.#trouble(error, lasting),
    });
    this.#fetches = new Fetches(engine, this.#connection, settings.patience);
    const { store } = settings;
    this.#saver = store && new UnsentSaver(store, this.#connection, (cause) => this.#unsaved(cause));
  }

  /** Whether the server can be reached right now. */
  get connected(): boolean {
    return this.#up;
  }

  /**
   * Connects, and sends what earlier starts of the program have left, as long as there is time for it. False when there is
   * no connection in time.
   */
  async connect(): Promise<boolean> {
    const { token, patience, store } = this.#settings;
    if (token === '') {
      const hint = 'is the environment variable set that it is read from?';
      this.#report(new LimitrError('there is no token', { code: 'invalid_token', path: 'token', hint }));
      return false;
    }
    const left = store === undefined ? [] : await leftovers(store);
    const deadline = performance.now() + patience;
    const over = this.#start.wait(patience);
    this.#connection.start();
    const failed = await over;
    if (failed !== undefined) {
      this.#report(failed);
      return false;
    }
    this.#started = true;
    if (store === undefined || left.length === 0) return true;
    const told = { refused: this.#refused.bind(this), trouble: this.#trouble.bind(this) };
    const sent = sendLeftovers(left, store, this.#settings, told, this.#over.signal);
    let timer: Timer | undefined;
    await Promise.race([sent, new Promise((resolve) => (timer = setTimeout(resolve, deadline - performance.now())))]);
    clearTimeout(timer);
    return true;
  }

  /** An operation as a promise: its customers are fetched where they are not here. */
  async promised(method: string, given: unknown[], run: () => unknown): Promise<unknown> {
    if (this.#over.signal.aborted) return run();
    const refs = refsOf(method, given);
    if (method === 'ensureCustomer') {
      const [id, plan = '', type = '', label = '', ...others] = given;
      // Refuses what cannot be used before the server is asked.
      newCustomer(id, plan, type, label, others[0], others[1], others[2]);
      return this.#ensure(id as string, refs, () => this.#create(id as string, run));
    }
    const customer = customerOf(method, given);
    const names = customer === undefined ? refs : [customer, ...refs];
    const found = await Promise.all(names.map((name) => this.#fetches.find(name)));
    const unreachable = found[0] === 'unreachable' && this.#settings.denyUnconnected;
    return unreachable && method === 'explain' ? disconnected(false) : this.#asked(run);
  }

  /** What an operation answers that was {@link ASKED_FIRST} and found nothing: again, once its customer is here. */
  async again(customer: unknown, answer: unknown, run: () => unknown): Promise<unknown> {
    // Of a known one there is nothing to be found.
    if (this.#over.signal.aborted || typeof customer !== 'string' || this.#has(customer)) return answer;
    return (await this.#fetches.find(customer)) === 'here' ? this.#asked(run) : answer;
  }

  instead(verb: string, named: Named, run: () => unknown): { answer: unknown } | undefined {
    refuseEdits(verb);
    const answer = denied(verb, named, this);
    const id = named['id'];
    if (answer !== undefined || verb !== 'ensure_customer' || typeof id !== 'string') return answer;
    if (this.#creating === id || this.#has(id)) return undefined;
    // Nobody waits for what the server says: it is created when that has none.
    const refs = refsOf('ensureCustomer', [id, '', '', '', named['refs']]);
    this.#ensure(id, refs, () => this.#asked(run)).catch((error: unknown) => {
      if (error instanceof LimitrError) this.#trouble(error, false);
    });
    return { answer: false };
  }

  called(customer: string, allowed: boolean): void {
    this.#connection.touched();
    if (!allowed && !this.#answered) void this.#fetches.find(customer);
  }

  ran(verb: string, named: Named, answer: unknown): void {
    this.#connection.touched();
    const customer = missedBy(verb, named, answer);
    if (customer !== undefined && !this.#answered) void this.#fetches.find(customer);
  }

  /**
   * Sends what is left, waits until it is stored, and disconnects; whether all of it was stored. From now on calls that use
   * something are denied.
   */
  close(): Promise<boolean> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Disconnects at once. */
  end(): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.denies = true;
    this.full = true;
    this.#up = false;
    this.#fetches.lost();
    this.#connection.end();
    this.#settled?.();
  }

  async #close(): Promise<boolean> {
    if (this.#over.signal.aborted) return false;
    this.#last = true;
    this.#note();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#settled?.();
    }, this.#settings.patience);
    this.#connection.flush();
    while (!this.#connection.settled && !late && !this.#over.signal.aborted) {
      await new Promise<void>((resolve) => (this.#settled = resolve));
      // What came meanwhile: what has happened already is never denied.
      this.#connection.flush();
    }
    clearTimeout(timer);
    await this.#saver?.stop();
    const { settled } = this.#connection;
    this.end();
    return settled;
  }

  /** Makes sure that a customer is here: fetched, or created where the server has none; whether it was created. */
  async #ensure(id: string, refs: string[], create: () => unknown): Promise<unknown> {
    if (this.#has(id)) return false;
    const found = await this.#fetches.find(id);
    if (found === 'here' || (found === 'unreachable' && this.#settings.denyUnconnected) || this.full) return false;
    await Promise.all(refs.map((ref) => this.#fetches.find(ref)));
    return create();
  }

  #has(customer: string): boolean {
    return !this.#over.signal.aborted && this.#engine.has_customer(customer);
  }

  /** Runs what the server was asked for before. */
  #asked(run: () => unknown): unknown {
    this.#answered = true;
    try {
      return run();
    } finally {
      this.#answered = false;
    }
  }

  #create(id: string, create: () => unknown): unknown {
    this.#creating = id;
    try {
      return this.#asked(create);
    } finally {
      this.#creating = undefined;
    }
  }

  #changed(): void {
    this.#note();
    const { up, settled, why } = this.#connection;
    this.#saver?.changed();
    if (settled) this.#settled?.();
    if (up === this.#up) return;
    this.#up = up;
    if (up) {
      this.#told = '';
      if (this.#started) this.#tell('cloud-connected', { engine: this.#id });
    } else {
      this.#fetches.lost();
      if (this.#started) this.#tell('cloud-disconnected', { reason: why });
    }
  }

  #note(): void {
    const { up, full } = this.#connection;
    this.full = full || this.#last;
    this.denies = this.full || (this.#settings.denyUnconnected && !up);
  }

  #inForce(): void {
    this.#start.succeeded();
    this.#handlers.take(this.#engine);
  }

  #refused(refused: Refusal[]): void {
    this.#tell('cloud-refused', { refused });
  }

  #trouble(error: LimitrError, lasting: boolean): void {
    if (!this.#started) return this.#start.failed(error, lasting);
    const { code, message, path, hint } = error;
    const text = `${code} ${message}`;
    if (!this.#up && text === this.#told) return;
    this.#told = text;
    this.#tell('cloud-error', { code, message, path, hint });
    this.#report(error);
  }

  #report(error: LimitrError): void {
    const { onError } = this.#settings;
    guarded(
      () => onError?.(error),
      (thrown) => this.#handlers.onError(thrown, 'cloud-error', 'onError'),
    );
  }

  #unsaved(cause: unknown): void {
    const message = `what is not sent yet could not be saved: ${String(cause)}`;
    this.#trouble(new LimitrError(message, { code: 'not_saved', cause }), false);
  }

  #tell<E extends CloudEvent>(event: E, payload: EventPayloads[E]): void {
    if (this.#handlers.size > 0) this.#handlers.tell(`${event}\n${JSON.stringify(payload)}\n`);
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
