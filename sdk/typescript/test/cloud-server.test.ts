/** `Limitr.cloud` against the server: the guides' samples, a token revoked, a server that dies, totals to the unit. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { fileStore, Limitr, type LimitrError } from '../dist/node.js';
import { page, programs } from './support/cloud-guides.js';
import { start, temporaryFolder } from './support/folders.js';
import { Project, RUNTIMES } from './support/project.js';
import { Server } from './support/server.js';
import { until } from './support/stand-in.js';

const POLICY = {
  credits: { token: { price: { amount: 0.01 } } },
  plans: {
    starter: { default: true, entitlements: { chat_input: { limit: { credit: 'token', value: 10_000 } } } },
    growth: { entitlements: { chat_input: { limit: { credit: 'token', value: 1_000_000 } } } },
  },
};
const withStarter = (value: number): object => ({
  ...POLICY,
  plans: { ...POLICY.plans, starter: { default: true, entitlements: { chat_input: { limit: { credit: 'token', value } } } } },
});

const server = await Server.start();
const first = await server.publish(POLICY);

const open: Limitr[] = [];
afterEach(() => open.splice(0).forEach((policy) => policy.free()));

async function connected(more = {}): Promise<Limitr> {
  const why: unknown[] = [];
  const policy = await Limitr.cloud({ onError: (error) => why.push(error), ...server.options(more) });
  if (policy === undefined) throw new Error(`no connection: ${String(why)}`);
  open.push(policy);
  return policy;
}

/** Waits until the ledger has so many units, and does not get more. */
async function stored(customer: string, units: number): Promise<void> {
  for (const end = Date.now() + 10_000; (await server.units(customer)) < units && Date.now() < end; ) await sleep(20);
  await sleep(200);
  assert.equal(await server.units(customer), units);
}

describe('samples', async () => {
  const project = await Project.create();
  for (const [file, lines] of Object.entries(programs)) project.write(file, `${lines.join('\n')}\n`);
  project.environment = server.environment;
  const out = async (runtime: (typeof RUNTIMES)[number], file: string): Promise<string[]> =>
    (await project.prints(runtime, file)).trim().split('\n');

  test('every one is tried', () => assert.deepEqual(page.uncovered(), []));
  test('the types fit', () => project.checkTypes());

  test('Node: connect, and end when there is nothing left to do', async () => {
    assert.deepEqual(await out('node', 'connect.ts'), ['connected']);
    assert.deepEqual(await out('node', 'checked.ts'), ['10000']);
    assert.deepEqual(await out('node', 'denying.ts'), ['connected']);
    assert.deepEqual(await out('node', 'one-line.ts'), ['connected']);
    // There is no such version.
    assert.deepEqual(await out('node', 'pinned.ts'), ['not connected']);
  });

  test('Node: a wrong token, or none', async () => {
    for (const token of ['', 'limitr_wrong']) {
      project.environment = { ...server.environment, LIMITR_TOKEN: token };
      assert.deepEqual(await out('node', 'connect.ts'), ['not connected']);
    }
    project.environment = server.environment;
  });

  test('Node: from local to cloud, twice: the second start knows of the first', async () => {
    assert.deepEqual(await out('node', 'moved.ts'), ['true 5800']);
    await stored('user_abc', 4200);
    assert.deepEqual(await out('node', 'moved.ts'), ['true 1600']);
    await stored('user_abc', 8400);
    assert.deepEqual(await out('node', 'moved.ts'), ['false 1600']);
  });

  test('Node: start up, warm up', async () => {
    assert.deepEqual(await out('node', 'startup.ts'), ['listening on 3000']);
    for (let start = 0; start < 2; start += 1) {
      assert.deepEqual(await out('node', 'warming.ts'), ['listening on 3000', '1000 1000000']);
    }
  });

  for (const runtime of RUNTIMES) {
    test(`${runtime}: SIGTERM sends what is left`, async () => {
      const before = await server.units('user_term');
      const program = project.start(runtime, 'shutdown.ts');
      await program.said('serving');
      program.kill('SIGTERM');
      const { code, err } = await program.ended;
      assert.deepEqual({ code, err }, { code: 0, err: '' });
      assert.equal(await server.units('user_term'), before + 700);
    });
  }
});

describe('versions of the policy', () => {
  test('a publication reaches engines, but not one that is pinned', async () => {
    const [follows, pinned] = [await connected(), await connected({ policy: first })];
    await follows.ensureCustomer('reader');
    await pinned.ensureCustomer('reader');
    const since = performance.now();
    await server.publish(withStarter(77));
    await until(() => follows.sync.limit('reader', 'chat_input') === 77);
    assert.ok(performance.now() - since < 1000);
    assert.equal(pinned.sync.limit('reader', 'chat_input'), 10_000);
    assert.equal(await pinned.close(), true);
    await server.publish(POLICY);
    await until(() => follows.sync.limit('reader', 'chat_input') === 10_000);
  });
});

describe('several engines', () => {
  test('usage of two adds up, and both see it', async () => {
    const [one, two] = [await connected(), await connected()];
    assert.equal(await one.ensureCustomer('both', 'growth'), true);
    await until(() => server.api('GET', '/customers/both').then(() => true, () => false));
    assert.equal(await two.ensureCustomer('both', 'growth'), false);
    for (let call = 0; call < 500; call += 1) {
      assert.equal(await one.allow('both', 'chat_input', 3), true);
      assert.equal(await two.allow('both', 'chat_input', 4), true);
    }
    await stored('both', 3500);
    await until(() => one.sync.value('both', 'chat_input') === 3500 && two.sync.value('both', 'chat_input') === 3500);
    const { record } = await server.api<{ record?: { meters: Record<string, { value: number }> } }>('GET', '/customers/both');
    if (record !== undefined) assert.equal(record.meters['chat_input']?.value, 3500);
  });

  test('one that creates a customer while another does', async () => {
    const engines = await Promise.all([1, 2, 3, 4].map(() => connected()));
    await Promise.all(engines.map((engine) => engine.ensureCustomer('newcomer', 'growth')));
    await Promise.all(engines.map((engine) => engine.allow('newcomer', 'chat_input', 5)));
    await stored('newcomer', 20);
    await until(() => engines.every(({ sync }) => sync.value('newcomer', 'chat_input') === 20));
  });
});

describe('a connection that is lost', () => {
  test('a token that is revoked: denied from then on, and told why', async () => {
    const { token } = await server.api<{ token: string }>('POST', '/tokens', { name: 'short-lived', scope: 'engine' });
    const errors: LimitrError[] = [];
    const policy = await connected({ token, onError: (error: LimitrError) => errors.push(error) });
    await policy.ensureCustomer('revoked', 'growth');
    await policy.allow('revoked', 'chat_input', 1);
    await stored('revoked', 1);
    const { items } = await server.api<{ items: { id: string; name: string }[] }>('GET', '/tokens');
    await server.api('DELETE', `/tokens/${items.find(({ name }) => name === 'short-lived')?.id}`);
    await until(() => !policy.connected);
    assert.equal(await policy.allow('revoked', 'chat_input', 1), false);
    assert.equal((await policy.explain('revoked', 'chat_input', 1)).reason, 'disconnected');
    await until(() => errors.length >= 2);
    assert.deepEqual(errors.map(({ code }) => code), ['token_revoked', 'invalid_token']);
    assert.ok(errors.every(({ message }) => !message.includes(token)));
  });

  for (const denyUnconnected of [true, false]) {
    test(`a server that is killed while calls go on, denyUnconnected: ${denyUnconnected}`, async () => {
      const customer = `survivor ${denyUnconnected}`;
      const policy = await connected({ denyUnconnected });
      await policy.ensureCustomer(customer, 'growth');
      let [allowed, denied, over] = [0, 0, false];
      const calls = (async () => {
        while (!over) {
          if (await policy.allow(customer, 'chat_input', 2)) allowed += 2;
          else denied += 1;
          await sleep(1);
        }
      })();
      for (let round = 0; round < 2; round += 1) {
        await sleep(150);
        await server.kill();
        await until(() => !policy.connected);
        await sleep(150);
        await server.listen();
        await until(() => policy.connected, 20_000);
      }
      over = true;
      await calls;
      await until(() => policy.sync.value(customer, 'chat_input') === allowed);
      assert.equal(denied > 0, denyUnconnected, `${denied} denied`);
      assert.equal(await policy.close(), true);
      await stored(customer, allowed);
    });
  }
});

describe('an end', () => {
  test('close() sends what is left', async () => {
    const policy = await connected();
    await policy.ensureCustomer('closing', 'growth');
    for (let call = 0; call < 1000; call += 1) await policy.allow('closing', 'chat_input', 1);
    assert.equal(await policy.close(), true);
    assert.equal(await server.units('closing'), 1000);
  });

  test('two that share a store: what one has left the other sends, even while the one still runs', async () => {
    const store = fileStore(temporaryFolder());
    const one = await connected({ denyUnconnected: false, store });
    await one.ensureCustomer('shared store', 'growth');
    await server.kill();
    await until(() => !one.connected);
    for (let call = 0; call < 100; call += 1) assert.equal(await one.allow('shared store', 'chat_input', 2), true);
    await sleep(500);
    assert.equal((await store.load()).length, 1);
    await server.listen();
    const two = await connected({ denyUnconnected: false, store });
    for (let call = 0; call < 100; call += 1) {
      assert.equal(await one.allow('shared store', 'chat_input', 1), true);
      assert.equal(await two.allow('shared store', 'chat_input', 1), true);
      await sleep(2);
    }
    await stored('shared store', 400);
    assert.deepEqual([await one.close(), await two.close()], [true, true]);
    assert.deepEqual(await store.load(), []);
  });

  /** Uses some while there is a server, and more when there is none. */
  const OFFLINE = `
    import { fileStore, Limitr } from '${new URL('../dist/node.js', import.meta.url)}';
    // Or it would end when everything is stored.
    setInterval(() => undefined, 1000);
    const store = fileStore(process.argv[2]);
    const policy = await Limitr.cloud({ token: process.env.LIMITR_TOKEN, denyUnconnected: false, store });
    await policy.ensureCustomer('offline', 'growth');
    await policy.allow('offline', 'chat_input', 1);
    await new Promise((resolve) => policy.on('cloud-disconnected', resolve) && console.log('connected'));
    for (let call = 0; call < 250; call += 1) await policy.allow('offline', 'chat_input', 2);
    console.log(await policy.ensureCustomer('born offline', 'growth'), await policy.allow('born offline', 'chat_input', 9));
  `;

  test('a program with a file store that is killed while the server is down loses nothing', async () => {
    const folder = temporaryFolder();
    const file = join(temporaryFolder(), 'offline.mjs');
    writeFileSync(file, OFFLINE);
    const program = start(process.execPath, [file, folder], folder, 60, server.environment);
    await program.said('connected');
    await stored('offline', 1);
    await server.kill();
    await program.said('true true');
    await sleep(500);
    program.kill('SIGKILL');
    await program.ended;
    await server.listen();
    const again = await connected({ store: fileStore(folder) });
    await stored('offline', 501);
    await stored('born offline', 9);
    assert.equal(await again.value('offline', 'chat_input'), 501);
    assert.equal(await again.ensureCustomer('born offline'), false);
    assert.equal(await again.close(), true);
    assert.deepEqual(await fileStore(folder).load(), []);
  });
});
