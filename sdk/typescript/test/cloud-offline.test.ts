/** `Limitr.cloud` while there is no connection, and over a restart of the program. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { type Limitr, type LimitrError, memoryStore, type Store } from '../dist/node.js';
import { customer, StandIn, until } from './support/stand-in.js';

const open: Limitr[] = [];
const connected = async (server: StandIn, more = {}): Promise<Limitr> => {
  const policy = await server.connect(more);
  open.push(policy);
  return policy;
};
afterEach(() => open.splice(0).forEach((policy) => policy.free()));

/** A server that has lost its engines, and what one of them told of it. */
async function lost(more = {}): Promise<{ server: StandIn; policy: Limitr; told: string[] }> {
  const server = await StandIn.start();
  server.customers.set('ann', customer('ann', 40));
  const policy = await connected(server, more);
  const told: string[] = [];
  policy.addHandler('cloud', (event) => event.startsWith('cloud-') && told.push(event));
  await policy.ensureCustomer('ann');
  await policy.allow('ann', 'chat', 1);
  await until(() => server.units('ann') === 1);
  await server.stop();
  await until(() => !policy.connected);
  return { server, policy, told };
}

describe('without a connection', () => {
  test('calls that use something are denied, with a reason', async () => {
    const { policy } = await lost();
    assert.equal(await policy.allow('ann', 'chat', 1), false);
    assert.equal(await policy.allow('ann', 'chat', '1'), false);
    assert.equal(await policy.allow('ann', 'door'), false);
    assert.equal(await policy.check('ann', 'chat', 1), false);
    assert.equal(await policy.increment('ann', 'chat'), false);
    assert.equal(await policy.increment('ann', 'chat', { event: false }), false);
    assert.equal(await policy.checkIncrement('ann', 'chat'), false);
    assert.equal(await policy.set('ann', 'chat', 50), false);
    assert.equal(await policy.reserve('ann', 'chat', { value: 1 }), null);
    assert.equal(policy.sync.allow('ann', 'chat', 1), false);
    const { allowed, reason, steps } = await policy.explain('ann', 'chat', 1);
    assert.deepEqual([allowed, reason, steps.length], [false, 'disconnected', 1]);
    await assert.rejects(policy.allow('ann', 'chat', Number.NaN), { code: 'invalid_value' });
    assert.equal(await policy.value('ann', 'chat'), 41);
  });

  test('what has happened already is recorded, and what is given back', async () => {
    const { server, policy } = await lost();
    assert.equal(await policy.allow('ann', 'chat', 5, { force: true }), true);
    assert.equal(await policy.settle('ann', 'chat', null, 4), true);
    assert.equal(await policy.decrement('ann', 'chat'), true);
    assert.equal(await policy.value('ann', 'chat'), 49);
    await server.listen();
    await until(() => server.units('ann') === 9);
  });

  test('ensureCustomer creates nobody', async () => {
    const { policy } = await lost();
    assert.equal(await policy.ensureCustomer('bob'), false);
    assert.equal(await policy.customer('bob'), undefined);
    assert.equal(await policy.allow('bob', 'chat', 1), false);
    assert.equal(await policy.ensureCustomer('ann'), false);
  });

  test('denyUnconnected: false decides here, and sends it later', async () => {
    const { server, policy, told } = await lost({ denyUnconnected: false });
    assert.equal(await policy.allow('ann', 'chat', 9), true);
    assert.equal(await policy.allow('ann', 'chat', 60), false);
    assert.equal(await policy.ensureCustomer('bob', 'growth'), true);
    assert.equal(await policy.allow('bob', 'chat', 500), true);
    assert.equal((await policy.explain('cleo', 'chat', 1)).reason, 'unknown_customer');
    assert.equal(server.units('ann'), 1);
    await server.listen();
    await until(() => server.units('ann') === 10 && server.units('bob') === 500);
    assert.equal(server.operations('ensure_customer').length, 1);
    assert.equal(policy.connected, true);
    // It may have been tried before there was a server again.
    assert.deepEqual(told.filter((event) => event !== 'cloud-error'), ['cloud-disconnected', 'cloud-connected']);
  });

  test('it is made again by itself; customers are asked for again', async () => {
    const { server, policy } = await lost();
    server.customers.set('ann', customer('ann', 77));
    await server.listen();
    await until(() => policy.connected && policy.sync.remaining('ann', 'chat') === 23);
    assert.equal(await policy.allow('ann', 'chat', 1), true);
  });

  test('who waits for a customer does not wait for the next connection', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    server.ignored.add('fetch');
    const waiting = policy.allow('ann', 'chat', 1);
    await until(() => server.of('fetch').length === 1);
    server.drop();
    assert.equal(await waiting, false);
  });

  test('a token that is refused later is told of once, and tried again', async () => {
    const server = await StandIn.start();
    const errors: LimitrError[] = [];
    const policy = await connected(server, { onError: (error: LimitrError) => errors.push(error) });
    const events: unknown[] = [];
    policy.on('cloud-error', (event) => events.push(event));
    const down = new Promise((resolve) => policy.on('cloud-disconnected', resolve));
    server.refusal = { status: 401, body: { code: 'invalid_token', detail: 'the token is revoked' } };
    const before = server.urls.length;
    server.send({ type: 'error', code: 'token_revoked', message: 'the token was revoked' });
    server.drop();
    assert.deepEqual(await down, { reason: 'the token was revoked' });
    await until(() => server.urls.length >= before + 3);
    assert.deepEqual(errors.map(({ code }) => code), ['token_revoked', 'invalid_token']);
    assert.deepEqual(events[1], { code: 'invalid_token', message: 'the token is revoked', hint: 'make a token of scope `engine`' });
    server.refusal = undefined;
    await until(() => policy.connected);
  });

  test('an error of a handler or of onError ends nothing', async () => {
    const server = await StandIn.start();
    const fail = (): never => {
      throw new Error('of the application');
    };
    const policy = await connected(server, { onError: fail });
    const reported: unknown[] = [];
    policy.onHandlerError = (error) => reported.push(error);
    policy.addHandler('fails', fail);
    server.send({ type: 'error', code: 'busy', message: 'busy' });
    await until(() => reported.length >= 2);
    await until(() => policy.connected);
  });

  test('handlers may call the engine, close it and free it', async () => {
    const server = await StandIn.start();
    const closed = await connected(server);
    await closed.createCustomer('ann');
    closed.on('cloud-disconnected', () => closed.sync.allow('ann', 'chat', 1, { force: true }));
    let answer: boolean | undefined;
    closed.on('cloud-connected', async () => (answer = await closed.close()));
    const freed = await connected(server);
    freed.on('cloud-connected', () => freed.free());
    await until(() => server.stored.length === 1);
    server.drop();
    await until(() => answer !== undefined && freed.sync.closed);
    assert.equal(answer, true);
    assert.equal(server.units('ann'), 1);
  });
});

describe('with a store', () => {
  /** A store that can be seen into, and fail. */
  function visible(): { store: Store; ids: () => Promise<string[]>; fail: { on: boolean } } {
    const inner = memoryStore();
    const fail = { on: false };
    const store: Store = {
      load: () => inner.load(),
      save: async (records) => (fail.on ? Promise.reject(new Error('disk full')) : inner.save(records)),
      remove: (ids) => inner.remove(ids),
    };
    return { store, fail, ids: async () => (await inner.load()).map(({ id }) => id) };
  }

  test('what was not sent is sent after a restart, once', async () => {
    const { store, ids } = visible();
    const { server, policy } = await lost({ denyUnconnected: false, store });
    await policy.ensureCustomer('bob');
    for (let call = 0; call < 20; call += 1) await policy.allow('bob', 'chat', 1);
    await sleep(300);
    assert.equal((await ids()).length, 1);
    // The program ends without a word.
    policy.free();
    await server.listen();
    const again = await connected(server, { store });
    assert.equal(server.units('bob'), 20);
    assert.deepEqual(await ids(), []);
    assert.equal(await again.allow('ann', 'chat', 1), true);
    assert.equal(await again.close(), true);
    assert.equal(server.units('bob'), 20);
    assert.equal(server.units('ann'), 2);
  });

  test('what was sent meanwhile, and kept all the same, counts once', async () => {
    const { store, ids } = visible();
    const { server, policy } = await lost({ denyUnconnected: false, store });
    for (let call = 0; call < 5; call += 1) await policy.allow('ann', 'chat', 1);
    await sleep(300);
    const [kept] = await store.load();
    await server.listen();
    await until(() => server.units('ann') === 6);
    await policy.allow('ann', 'chat', 1);
    await until(() => server.units('ann') === 7);
    await until(async () => (await ids()).length === 0);
    policy.free();
    await store.save([kept!]);
    const again = await connected(server, { store });
    assert.deepEqual(await ids(), []);
    assert.equal(server.units('ann'), 7);
    assert.equal(again.connected, true);
  });

  test('close() keeps what it could not send', async () => {
    const { store, ids } = visible();
    const { policy } = await lost({ denyUnconnected: false, store, connectTimeout: 100 });
    await policy.allow('ann', 'chat', 1);
    assert.equal(await policy.close(), false);
    assert.equal((await ids()).length, 1);
  });

  test('nothing is kept of what the server has stored', async () => {
    const { store, ids } = visible();
    const server = await StandIn.start();
    const policy = await connected(server, { store });
    await policy.createCustomer('ann');
    for (let call = 0; call < 50; call += 1) {
      await policy.allow('ann', 'chat', 1);
      await sleep(5);
    }
    assert.equal(await policy.close(), true);
    assert.deepEqual(await ids(), []);
  });

  test('a store that fails is told of, and tried again', async () => {
    const { store, ids, fail } = visible();
    fail.on = true;
    const errors: LimitrError[] = [];
    const { policy } = await lost({ denyUnconnected: false, store, onError: (error: LimitrError) => errors.push(error) });
    await policy.allow('ann', 'chat', 1);
    await until(() => errors.some(({ code, message }) => code === 'not_saved' && message.includes('disk full')));
    fail.on = false;
    await until(async () => (await ids()).length === 1);
    store.load = () => Promise.reject(new Error('disk gone'));
    await assert.rejects(StandIn.start().then((server) => server.connect({ store })), /disk gone/);
  });

  test('what cannot be read is left where it is, and told of', async () => {
    const store = memoryStore();
    await store.save([{ id: 'eng_1', engine: 'eng_1', acknowledged: 0, entries: [{ odd: true }] } as never]);
    const errors: LimitrError[] = [];
    const server = await StandIn.start();
    await connected(server, { store, onError: (error: LimitrError) => errors.push(error) });
    assert.deepEqual(errors.map(({ code }) => code), ['invalid_unsent']);
    assert.equal((await store.load()).length, 1);
  });
});
