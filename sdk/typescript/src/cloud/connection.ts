import { LimitrError } from '../errors.js';
import type { Refusal } from '../records.js';
import { later, type Timer } from '../timers.js';
import type { Engine, Link } from '../wasm.js';
import type { Settings } from './options.js';
import { opener, type Socket } from './socket.js';
import { Failed, ticket, unreachable } from './ticket.js';

/** This library's name to the server; the module adds its version. */
export const SDK = 'limitr-typescript';

/** In {@link Link.state}. */
const UP = 1;
const SETTLED = 2;
const FULL = 4;

/** How long what happened may wait for company before it is sent, ms. */
const GATHER = 20;
/** After so many calls it is sent all the same, where a program never pauses. */
const MOST = 1024;

/** What the server says of this program, not of the moment: connecting again would not help. */
const LASTING = new Set(['no_policy', 'policy_refused', 'unknown_protocol', 'unknown_version']);

/** Told of what happens to a connection. */
export interface Reports {
  /** {@link Connection.up}, {@link Connection.settled} or {@link Connection.full} may be others now. */
  changed(): void;
  /** A version of the policy is in force. */
  policy(): void;
  /** A customer that was asked for is here, or is not to be had. */
  answered(customer: string, found: boolean): void;
  /** The server did not take some entries. */
  refused(refused: Refusal[]): void;
  /** Something is wrong; `lasting` when connecting again would not help. */
  trouble(error: LimitrError, lasting: boolean): void;
}

/** Does what a link wants done: the socket, the timers. */
export class Connection {
  /** Whether the server has greeted this engine. */
  up = false;
  /** Whether everything that happened is stored at the server. */
  settled = true;
  /** Whether so much waits to be sent that nothing should be added. */
  full = false;
  /** Counts what may have changed {@link Connection.unsent}. */
  changes = 0;
  /** Why the connection is gone. */
  why = '';
  readonly #engine: Engine;
  readonly #link: Link;
  readonly #settings: Settings;
  readonly #reports: Reports;
  #attempt = new AbortController();
  #socket: Socket | undefined;
  #wake: Timer | undefined;
  #gathering: Timer | undefined;
  #soon = false;
  #awaited = false;
  /** What is to be done, while something is being done: what is told of it may ask for more. */
  #queue: string[] | undefined;
  #ended = false;

  constructor(engine: Engine, link: Link, settings: Settings, reports: Reports) {
    this.#engine = engine;
    this.#link = link;
    this.#settings = settings;
    this.#reports = reports;
  }

  /** Whether it was ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Connects, and from then on whenever the connection is lost. */
  start(): void {
    this.#look(false);
  }

  /** Something may have happened that is to be sent. On the path of every call. */
  touched(): void {
    this.changes += 1;
    if (this.changes % MOST === 0) this.flush();
    else if (this.#gathering === undefined && !this.#ended) {
      this.#gathering = setTimeout(() => this.flush(), GATHER);
    }
  }

  /** Sends what waits. */
  flush(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    this.#look(true);
  }

  /** Asks for a customer, with others that are asked for now. */
  fetch(customer: string): void {
    this.#link.fetch(customer);
    if (this.#soon) return;
    this.#soon = true;
    queueMicrotask(() => {
      this.#soon = false;
      this.#look(false);
    });
  }

  /** Whether somebody waits for an answer of the server. */
  await(awaited: boolean): void {
    this.#awaited = awaited;
    this.#hold();
  }

  /** Nobody waits for a customer any longer. */
  giveUp(customer: string): void {
    if (!this.#ended) this.#link.give_up(customer);
  }

  /** What the server has not stored yet, as JSON; undefined when that is nothing. */
  unsent(): string | undefined {
    this.#look(false);
    return this.settled || this.#ended ? undefined : this.#link.unsent();
  }

  /** Disconnects for good. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.up = false;
    this.#drop();
    clearTimeout(this.#wake);
    clearTimeout(this.#gathering);
    this.#link.free();
  }

  /** What is due. */
  #look(flush: boolean): void {
    if (!this.#ended) this.#act(this.#link.poll(this.#engine, flush, even(), Date.now()));
  }

  /** Does what is to be done, a line with a name and a line with its data for each. */
  #act(actions: string): void {
    if (this.#queue !== undefined) return void this.#queue.push(actions);
    const queue = (this.#queue = [actions]);
    for (const some of queue) {
      const lines = some.split('\n');
      for (let at = 0; at + 1 < lines.length && !this.#ended; at += 2) this.#do(lines[at] as string, lines[at + 1] as string);
      if (!this.#ended) this.#note();
    }
    this.#queue = undefined;
  }

  #do(action: string, data: string): void {
    switch (action) {
      case 'connect':
        return void this.#connect();
      case 'send':
        return this.#socket?.send(data);
      case 'disconnect':
        return this.#drop();
      case 'policy':
        // With what it stands for: a connection that is up.
        this.#note();
        return this.#ended ? undefined : this.#reports.policy();
      case 'answered': {
        const { customer, found } = JSON.parse(data) as { customer: string; found: boolean };
        return this.#reports.answered(customer, found);
      }
      case 'refused':
        return this.#reports.refused(JSON.parse(data) as Refusal[]);
      case 'trouble': {
        const { code, message, hint } = JSON.parse(data) as { code: string; message: string; hint: string | null };
        const error = new LimitrError(message, { code, hint: hint ?? undefined });
        this.why = message;
        return this.#reports.trouble(error, LASTING.has(code));
      }
    }
  }

  /** Notes how the link stands, and sets the timer to when it has something to do. */
  #note(): void {
    const state = this.#link.state();
    this.up = (state & UP) !== 0;
    this.settled = (state & SETTLED) !== 0;
    this.full = (state & FULL) !== 0;
    this.#reports.changed();
    if (this.#ended) return;
    this.#hold();
    clearTimeout(this.#wake);
    this.#wake = later(Math.max(0, Math.ceil(this.#link.wake_at() - even())), () => this.#look(false));
  }

  /** A program ends by itself once nothing is on its way any more. */
  #hold(): void {
    this.#socket?.hold?.(!this.settled || this.#awaited || !this.up);
  }

  async #connect(): Promise<void> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    const { ticketUrl, wsUrl, token } = this.#settings;
    const gone = ({ error, lasting }: Failed): void => {
      if (attempt.signal.aborted) return;
      this.#drop();
      const actions = this.#link.closed(this.#engine, even(), Date.now());
      this.why = error.message;
      // That a connection ends is told as that.
      if (!this.up) this.#reports.trouble(error, lasting);
      if (!this.#ended) this.#act(actions);
    };
    try {
      const [open, ticketed] = await Promise.all([opener(), ticket(ticketUrl, token, attempt.signal)]);
      if (attempt.signal.aborted) return;
      const told = (why: string): Failed => new Failed(unreachable(wsUrl, why.replaceAll(ticketed, '...')));
      this.#socket = open(`${wsUrl}?ticket=${encodeURIComponent(ticketed)}`, {
        opened: () => this.#act(this.#link.opened(this.#engine, even(), Date.now())),
        received: (text) => {
          this.changes += 1;
          this.#act(this.#link.received(this.#engine, text, even(), Date.now()));
        },
        closed: (why) => gone(told(why)),
      });
    } catch (thrown) {
      gone(thrown instanceof Failed ? thrown : new Failed(unreachable(wsUrl, String(thrown))));
    }
  }

  #drop(): void {
    this.#attempt.abort();
    this.#socket?.close();
    this.#socket = undefined;
  }
}

/** A clock that runs evenly, whatever is done to the time of day. */
function even(): number {
  return performance.now();
}
