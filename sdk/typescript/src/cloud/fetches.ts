import type { Engine } from '../wasm.js';
import type { Timer } from '../timers.js';
import type { Connection } from './connection.js';

/** What came of fetching a customer: it is here, the server has none, or it could not be asked or did not answer. */
export type Found = 'here' | 'missing' | 'unreachable';

/** Longest id that the server takes, in bytes. */
const MAX_ID = 1024;
/** Most customers that are fetched at once. */
const MOST = 10_000;

interface Waiting {
  promise: Promise<Found>;
  resolve(found: Found): void;
  timer: Timer;
}

/** Customers that are being fetched. However many wait for one, the server is asked once. */
export class Fetches {
  readonly #engine: Engine;
  readonly #connection: Connection;
  /** How long the server may take, ms. */
  readonly #patience: number;
  readonly #waiting = new Map<string, Waiting>();

  constructor(engine: Engine, connection: Connection, patience: number) {
    this.#engine = engine;
    this.#connection = connection;
    this.#patience = patience;
  }

  /** Fetches a customer unless it is here, or without a connection. */
  find(customer: string): Promise<Found> {
    if (this.#connection.ended) return Promise.resolve('unreachable');
    if (this.#engine.has_customer(customer)) return Promise.resolve('here');
    if (!isId(customer)) return Promise.resolve('missing');
    const underway = this.#waiting.get(customer);
    if (underway !== undefined) return underway.promise;
    if (!this.#connection.up || this.#waiting.size >= MOST) return Promise.resolve('unreachable');
    let resolve = (_: Found): void => undefined;
    const promise = new Promise<Found>((done) => (resolve = done));
    const timer = setTimeout(() => this.#giveUp(customer), this.#patience);
    this.#waiting.set(customer, { promise, resolve, timer });
    this.#connection.await(true);
    this.#connection.fetch(customer);
    return promise;
  }

  /** The server has answered. */
  answered(customer: string, found: boolean): void {
    if (this.#engine.has_customer(customer)) this.#end(customer, 'here');
    // A record that is of no use here was told of.
    else this.#end(customer, found ? 'unreachable' : 'missing');
  }

  /** The server cannot answer any more. */
  lost(): void {
    for (const customer of [...this.#waiting.keys()]) this.#giveUp(customer);
  }

  #giveUp(customer: string): void {
    this.#connection.giveUp(customer);
    this.#end(customer, 'unreachable');
  }

  #end(customer: string, found: Found): void {
    const waiting = this.#waiting.get(customer);
    if (waiting === undefined) return;
    this.#waiting.delete(customer);
    clearTimeout(waiting.timer);
    waiting.resolve(found);
    this.#connection.await(this.#waiting.size > 0);
  }
}

/** Whether the server can be asked for it: it refuses others with everything that they are asked for with. */
function isId(customer: string): boolean {
  if (customer === '') return false;
  // No character takes more than three bytes for each of its units.
  return customer.length * 3 <= MAX_ID || new TextEncoder().encode(customer).length <= MAX_ID;
}
