/** A server that says what the real one says and can be made to misbehave: frames as in `crates/limitr-sync/src/frame.rs`. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { type WebSocket, WebSocketServer } from 'ws';

import { Limitr } from '../../dist/node.js';
import type { CloudOptions } from '../../dist/index.js';

export const TOKEN = 'limitr_test';

/** A policy with what the tests need, as JSON. */
export const POLICY = {
  credits: { token: { price: { amount: 0.01 } } },
  plans: {
    starter: {
      default: true,
      entitlements: { chat: { limit: { credit: 'token', value: 100 } }, door: {} },
      topups: { pack: { credit: 'token', value: 50 } },
    },
    growth: { entitlements: { chat: { limit: { credit: 'token', value: 1000 } }, door: {} } },
    team: { entitlements: { shared: { scope: 'org', limit: { credit: 'token', value: 10 } } } },
  },
};

export interface Frame {
  type: string;
  [field: string]: unknown;
}

interface Entry {
  engine: string;
  number: number;
  /** An effect, or an operation. */
  entry: { units?: number; customer?: string; operation?: Record<string, Record<string, unknown>> };
}

export class StandIn {
  /** Versions of the policy; the last one is in force. */
  versions = [{ id: 'pol_1', number: 1, format: 'json', document: JSON.stringify({ policy: POLICY }) }];
  /** Records of customers. */
  readonly customers = new Map<string, object>();
  /** What was stored, each entry once. */
  readonly stored: Entry[] = [];
  /** Frames that came, of all connections. */
  readonly frames: Frame[] = [];
  /** What the server answers to the request for a ticket instead of one. */
  refusal: { status: number; body: unknown } | undefined;
  /** Types of frames that are not answered. */
  readonly ignored = new Set<string>();
  /** Entries that are refused, by customer. */
  readonly refused = new Set<string>();
  tickets = 0;
  /** Requests, with what they carried: nothing of it may hold the token but a body. */
  readonly urls: string[] = [];
  readonly #through = new Map<string, number>();
  readonly #open = new Map<string, string>();
  readonly #sockets = new Set<WebSocket>();
  #server: Server | undefined;
  #port = 0;

  /** A server that runs until the tests of the file are over. */
  static async start(): Promise<StandIn> {
    const server = new StandIn();
    await server.listen();
    after(() => server.stop());
    return server;
  }

  /** Listens, again on the same port. */
  async listen(): Promise<void> {
    const server = createServer((request, response) => {
      void this.#ticket(request).then(([status, body]) => {
        response.writeHead(status, { 'content-type': 'application/json', location: '/elsewhere' }).end(JSON.stringify(body));
      });
    });
    const sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => {
      this.urls.push(request.url ?? '');
      const ticket = new URL(request.url ?? '', 'http://server').searchParams.get('ticket') ?? '';
      if (!this.#open.delete(ticket)) return void socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
      sockets.handleUpgrade(request, socket, head, (connection) => this.#connected(connection));
    });
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    const address = server.address();
    this.#port = typeof address === 'object' && address !== null ? address.port : 0;
    this.#server = server;
  }

  /** Stops without a word, as a crash does. */
  async stop(): Promise<void> {
    this.drop();
    const server = this.#server;
    this.#server = undefined;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  }

  /** Loses every connection. */
  drop(): void {
    for (const socket of this.#sockets) socket.terminate();
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Options to connect here with. */
  options(more: Partial<CloudOptions> = {}): CloudOptions {
    const host = `127.0.0.1:${this.#port}`;
    return { token: TOKEN, wsAddress: `ws://${host}`, ticketAddress: `http://${host}`, connectTimeout: 2000, ...more };
  }

  /** An engine that is connected here, until the test is over. */
  async connect(more: Partial<CloudOptions> = {}): Promise<Limitr> {
    const why: unknown[] = [];
    const policy = await Limitr.cloud({ onError: (error) => why.push(error), ...this.options(more) });
    if (policy === undefined) throw new Error(`no connection: ${String(why)}`);
    return policy;
  }

  /** Puts another version in force. */
  publish(policy: object): void {
    const number = this.versions.length + 1;
    const version = { id: `pol_${number}`, number, format: 'json', document: JSON.stringify({ policy }) };
    this.versions.push(version);
    this.send({ type: 'policy', ...version });
  }

  /** Sends a frame to everybody. */
  send(frame: Frame): void {
    for (const socket of this.#sockets) socket.send(JSON.stringify(frame));
  }

  /** Frames of a type. */
  of(type: string): Frame[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  /** Names that were asked for. */
  get fetched(): string[] {
    return this.of('fetch').flatMap(({ customers }) => customers as string[]);
  }

  /** Units stored of a customer. */
  units(customer: string): number {
    return this.stored.reduce((sum, { entry }) => (entry.customer === customer ? sum + (entry.units ?? 0) : sum), 0);
  }

  /** Operations stored, by name. */
  operations(name: string): Record<string, unknown>[] {
    return this.stored.flatMap(({ entry }) => (entry.operation?.[name] === undefined ? [] : [entry.operation[name]]));
  }

  async #ticket(request: IncomingMessage): Promise<[status: number, body: unknown]> {
    this.urls.push(request.url ?? '');
    let text = '';
    for await (const chunk of request) text += chunk;
    if (this.refusal !== undefined) return [this.refusal.status, this.refusal.body];
    const { token } = JSON.parse(text);
    if (token !== TOKEN) return [401, { code: 'invalid_token', detail: 'the token is unknown, revoked or expired' }];
    const ticket = `ticket ${(this.tickets += 1)}`;
    this.#open.set(ticket, token);
    return [200, { ticket }];
  }

  #connected(socket: WebSocket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
    let engine = '';
    const say = (frame: Frame): void => socket.send(JSON.stringify(frame));
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as Frame;
      this.frames.push(frame);
      if (this.ignored.has(frame.type)) return;
      if (frame.type === 'hello') {
        engine = frame['engine'] as string;
        say({ type: 'welcome', protocol: 1, through: this.#through.get(engine) ?? 0 });
        const pinned = frame['policy'];
        const version = pinned === undefined ? this.versions.at(-1) : this.versions.find(({ id }) => id === pinned);
        if (version !== undefined) return say({ type: 'policy', ...version });
        const code = pinned === undefined ? 'no_policy' : 'unknown_version';
        say({ type: 'error', code, message: 'there is no such version' });
        socket.close();
      } else if (frame.type === 'fetch') {
        for (const name of frame['customers'] as string[]) {
          const record = this.customers.get(name);
          if (record === undefined) say({ type: 'customer_missing', customer: name });
          else say({ type: 'customer', through: this.#through.get(engine) ?? 0, asked: name, record });
        }
      } else if (frame.type === 'batch') {
        say({ type: 'ack', ...this.#store(engine, frame['first'] as number, frame['entries'] as Entry['entry'][]) });
      } else if (frame.type === 'ping') {
        say({ type: 'pong' });
      }
    });
  }

  #store(engine: string, first: number, entries: Entry['entry'][]): { through: number; refused: object[] } {
    const refused = [];
    for (const [at, entry] of entries.entries()) {
      const number = first + at;
      const through = this.#through.get(engine) ?? 0;
      if (number <= through) continue;
      if (number > through + 1) throw new Error(`entry ${through + 1} of ${engine} is missing`);
      this.#through.set(engine, number);
      if (this.refused.has(entry.customer ?? '')) refused.push({ entry: number, code: 'unknown_customer', message: 'no' });
      else this.stored.push({ engine, number, entry });
    }
    return { through: this.#through.get(engine) ?? 0, refused };
  }
}

/** A customer's record as a server has it. */
export function customer(id: string, used = 0, more: object = {}): object {
  const meters = used === 0 ? {} : { chat: { credit: 'token', started: Date.now() - 1000, value: used } };
  return { id, plan: 'starter', type: 'user', label: 'User', meters, grants: {}, ...more };
}

/** Waits until something is so. */
export async function until(what: () => unknown, ms = 5000): Promise<void> {
  for (const end = performance.now() + ms; !(await what()); await sleep(2)) {
    if (performance.now() > end) throw new Error(`it does not come to ${what}`);
  }
}
