/** The server of this repository, with a database of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { after } from 'node:test';

import type { CloudOptions } from '../../dist/index.js';
import { ROOT, run, temporaryFolder } from './folders.js';
import { freePort } from './services.js';

/** The program, built where `LIMITR_BIN` does not name one. */
async function program(): Promise<string> {
  const { LIMITR_BIN } = process.env;
  if (LIMITR_BIN !== undefined) return LIMITR_BIN;
  // As for the scenarios: what is built once serves all tests.
  const build = ['build', '--quiet', '--profile', 'test', '--bin', 'limitr', '--message-format=json'];
  const messages = (await run('cargo', build, ROOT, 1800)).split('\n').filter((line) => line !== '');
  const made = messages.map((line): { executable?: string; target?: { name: string } } => JSON.parse(line));
  const found = made.find(({ executable, target }) => executable && target?.name === 'limitr')?.executable;
  if (found === undefined) throw new Error('cargo built no `limitr`');
  return found;
}


export class Server {
  readonly #program: string;
  readonly #folder = temporaryFolder();
  readonly #port: number;
  #child: ChildProcess | undefined;
  /** What it has written since it was started last. */
  #said = '';
  engineToken = '';
  #adminToken = '';

  private constructor(program: string, port: number) {
    this.#program = program;
    this.#port = port;
  }

  /** A server that runs until the tests of the file are over. */
  static async start(): Promise<Server> {
    const server = new Server(await program(), await freePort());
    after(() => server.kill());
    await server.listen();
    server.engineToken = /engine token +(limitr_\S+)/.exec(server.#said)?.[1] ?? '';
    server.#adminToken = /admin token +(limitr_\S+)/.exec(server.#said)?.[1] ?? '';
    if (server.engineToken === '' || server.#adminToken === '') throw new Error(`no tokens in\n${server.#said}`);
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts it, again with the same database and on the same port. */
  async listen(): Promise<void> {
    this.#said = '';
    const args = ['serve', '--dev', '--listen', `127.0.0.1:${this.#port}`, '--data-dir', this.#folder, '--log-level', 'warn'];
    // Of the environment it must hear nothing: `LIMITR_*` are its settings.
    const env = { PATH: process.env['PATH'] };
    const child = spawn(this.#program, [...args, '--ticket-attempts', '100000'], { cwd: this.#folder, env });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      const hear = (text: string): void => {
        this.#said += text;
        if (this.#said.includes('Ctrl-C')) resolve();
      };
      child.stdout.setEncoding('utf8').on('data', hear);
      child.stderr.setEncoding('utf8').on('data', hear);
      child.on('error', reject).on('close', (code) => reject(new Error(`limitr serve ends with ${code}\n${this.#said}`)));
    });
  }

  /** Ends it without a word. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    await new Promise((resolve) => child.once('close', resolve) && child.kill(signal));
  }

  /** Options to connect here with. */
  options(more: Partial<CloudOptions> = {}): CloudOptions {
    return { token: this.engineToken, wsAddress: this.url.replace('http', 'ws'), ticketAddress: this.url, ...more };
  }

  /** The environment of a program that connects here. */
  get environment(): Record<string, string> {
    return {
      LIMITR_TOKEN: this.engineToken,
      LIMITR_WS_ADDRESS: this.url.replace('http', 'ws'),
      LIMITR_TICKET_ADDRESS: this.url,
    };
  }

  /** Asks the REST API, as an administrator. */
  async api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers = { authorization: `Bearer ${this.#adminToken}`, 'content-type': 'application/json' };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await fetch(`${this.url}/api/v1${path}`, { method, headers, ...sent });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** Publishes a policy; the version's id. */
  async publish(policy: object): Promise<string> {
    const body = { format: 'json', document: JSON.stringify({ policy }), force: true };
    return (await this.api<{ id: string }>('POST', '/policies/publish', body)).id;
  }

  /** Units that the ledger has of a customer, line by line. */
  async units(customer: string): Promise<number> {
    let sum = 0;
    for (let cursor = ''; ; ) {
      const query = new URLSearchParams({ customer, limit: '200', ...(cursor === '' ? {} : { cursor }) });
      interface Page {
        items: { effect: { units?: number } }[];
        next?: string;
      }
      const page = await this.api<Page>('GET', `/usage/ledger?${query}`);
      for (const { effect } of page.items) sum += effect.units ?? 0;
      if (page.next === undefined || page.next === null) return sum;
      cursor = page.next;
    }
  }
}
