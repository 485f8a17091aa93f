/** `Limitr.cloud` against a server that follows a script: connecting, customers, what is sent, publications, closing. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';

import { Limitr, LimitrError, LimitrValueError, memoryStore } from '../dist/node.js';
import { METHODS } from './support/methods.js';
import { customer, POLICY, StandIn, TOKEN, until } from './support/stand-in.js';

const open: Limitr[] = [];
const connected = async (server: StandIn, more = {}): Promise<Limitr> => {
  const policy = await server.connect(more);
  open.push(policy);
  return policy;
};
afterEach(() => open.splice(0).forEach((policy) => policy.free()));

const coded =
  (code: string, path?: string) =>
  (error: unknown): boolean =>
    error instanceof LimitrError && error.code === code && (path === undefined || error.path === path);

/** Why there is no connection. */
async function refused(server: StandIn, more = {}): Promise<LimitrError> {
  const told: LimitrError[] = [];
  assert.equal(await Limitr.cloud({ ...server.options(more), onError: (error) => told.push(error) }), undefined);
  assert.equal(told.length, 1, String(told));
  return told[0]!;
}

describe('connecting', () => {
  test('a ticket for the token, a greeting, the policy in force', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    assert.equal(policy.connected, true);
    assert.deepEqual(policy.doc.record().policy.plans, (await Limitr.new({ policy: POLICY })).doc.record().policy.plans);
    const [hello] = server.frames;
    assert.match(String(hello?.['engine']), /^eng_[0-9a-f]{32}$/);
    assert.deepEqual({ ...hello, engine: '' }, { type: 'hello', protocol: 1, engine: '', first: 1, sdk: 'limitr-typescript', version: hello?.['version'] });
    assert.deepEqual(server.urls, ['/wss/ticket', '/wss?ticket=ticket%201']);
  });

  test('a version to stay on', async () => {
    const server = await StandIn.start();
    server.publish({ ...POLICY, hold_ttl: 60_000 });
    const pinned = await connected(server, { policy: 'pol_1' });
    assert.equal(server.frames[0]?.['policy'], 'pol_1');
    assert.equal(pinned.doc.record().policy.hold_ttl, undefined);
    const active = await connected(server, { policy: 'active' });
    assert.equal(active.doc.record().policy.hold_ttl, 60_000);
  });

  test('undefined, at once, for what would fail again; onError is told why', async () => {
    const server = await StandIn.start();
    const since = performance.now();
    for (const token of ['', undefined]) assert.equal((await refused(server, { token })).code, 'invalid_token');
    const wrong = await refused(server, { token: 'limitr_wrong' });
    assert.equal(wrong.code, 'invalid_token');
    assert.doesNotMatch(`${wrong.message} ${wrong.hint} ${wrong.stack}`, /limitr_wrong/);
    assert.equal((await refused(server, { policy: 'pol_9' })).code, 'unknown_version');
    server.versions = [];
    assert.equal((await refused(server)).code, 'no_policy');
    assert.ok(performance.now() - since < 4000, 'nobody waits for what will not come');
  });

  test('undefined when there is no connection in time', async () => {
    const server = await StandIn.start();
    server.ignored.add('hello');
    assert.equal((await refused(server, { connectTimeout: 50 })).code, 'connect_timeout');
    server.refusal = { status: 503, body: 'busy' };
    const busy = await refused(server, { connectTimeout: 300 });
    assert.equal(busy.code, 'cannot_connect');
    assert.match(busy.message, /^cannot connect to http:\/\/127\.0\.0\.1:\d+: it answered 503/);
    await server.stop();
    const gone = await refused(server, { connectTimeout: 500 });
    assert.match(gone.message, /ECONNREFUSED/);
  });

  test('what passes is tried again until then', async () => {
    const server = await StandIn.start();
    server.refusal = { status: 429, body: {} };
    setTimeout(() => (server.refusal = undefined), 50);
    assert.equal((await connected(server)).connected, true);
  });

  test('a redirect is not followed: nobody else is sent the token', async () => {
    const server = await StandIn.start();
    server.refusal = { status: 307, body: {} };
    assert.equal((await refused(server, { connectTimeout: 50 })).code, 'cannot_connect');
    assert.ok(!server.urls.includes('/elsewhere'));
  });

  test('a policy that this engine cannot use', async () => {
    const server = await StandIn.start();
    server.versions = [{ id: 'pol_1', number: 1, format: 'yaml', document: 'policy: {planz: {}}' }];
    assert.equal((await refused(server)).code, 'policy_refused');
  });

  test('options that cannot be used throw, and quote no address', async () => {
    const server = await StandIn.start();
    for (const [path, more] of [
      ['wsAddress', { wsAddress: 'https://a' }],
      ['wsAddress', { wsAddress: 'wss://ann:s3cret@a' }],
      ['wsAddress', { wsAddress: 'wss://' }],
      ['ticketAddress', { ticketAddress: 'localhost:7070' }],
      ['ticketAddress', { ticketAddress: 'http://a?b=c' }],
      ['connectTimeout', { connectTimeout: Number.NaN }],
      ['connectTimeout', { connectTimeout: -1 }],
      ['denyUnconnected', { denyUnconnected: 'no' }],
      ['validate', { validate: 1 }],
      ['policy', { policy: 7 }],
      ['token', { token: 7 }],
      ['onError', { onError: 'log' }],
    ] as const) {
      await assert.rejects(Limitr.cloud({ ...server.options(), ...more } as never), (error) => {
        assert.ok(error instanceof LimitrValueError && error.path === path, `${path}: ${error}`);
        return !String(error).includes('s3cret');
      });
    }
    await assert.rejects(Limitr.cloud(undefined as never), LimitrValueError);
  });

  test('addresses come from the environment, and one stands for both', async () => {
    const server = await StandIn.start();
    const { wsAddress, ticketAddress } = server.options();
    for (const [name, address] of Object.entries({ LIMITR_WS_ADDRESS: wsAddress, LIMITR_TICKET_ADDRESS: ticketAddress })) {
      process.env[name] = `${address}/`;
      try {
        const policy = await Limitr.cloud({ token: TOKEN });
        assert.equal(policy?.connected, true, name);
        policy?.free();
      } finally {
        delete process.env[name];
      }
    }
  });
});

describe('customers', () => {
  test('the first use fetches one, once however many wait', async () => {
    const server = await StandIn.start();
    server.customers.set('ann', customer('ann', 40));
    const policy = await connected(server);
    const answers = await Promise.all([
      policy.allow('ann', 'chat', 1),
      policy.value('ann', 'chat'),
      policy.customer('ann').then((found) => found?.plan),
      policy.explain('ann', 'chat', 60).then(({ reason }) => reason),
    ]);
    assert.deepEqual(answers, [true, 41, 'starter', 'limit']);
    assert.deepEqual(server.fetched, ['ann']);
    assert.equal(await policy.allow('ann', 'chat', 59), true);
    assert.equal(await policy.allow('ann', 'chat', 1), false);
    assert.deepEqual(server.fetched, ['ann']);
  });

  test('by whatever operation', async () => {
    const nobody = new Set(['creditExchange', 'credit', 'plan', 'defaultPlan', 'planPeriod', 'planTrialPeriod', 'customers']);
    const others = ['createCustomer', 'setCustomer', 'loadCustomers', 'marginSnapshot', 'valid', 'difference', 'capability'];
    const refused = ['setPlan', 'deletePlan', 'setNotifications', 'setCapabilities'];
    const server = await StandIn.start();
    const policy = await connected(server);
    let expected = 0;
    for (const [method, ...parameters] of METHODS) {
      if (nobody.has(method) || others.includes(method) || refused.includes(method)) continue;
      const id = `customer of ${method}`;
      const given = parameters.map(([name, kind, good]) => {
        if (kind === 'record' && name === 'customer') return customer(id);
        if (name === 'id' || name === 'customer') return id;
        if (name === 'entitlement') return 'chat';
        return good;
      });
      await (policy as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>)[method]!(...given).catch(
        (error: LimitrError) => assert.equal(error instanceof LimitrError, true, `${method}: ${error}`),
      );
      expected += 1;
      assert.ok(server.fetched.includes(id), method);
    }
    assert.equal(server.fetched.length, expected, 'and once each');
  });

  test('many at once are few frames', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    const ids = Array.from({ length: 1200 }, (_, index) => `user ${index}`);
    const created = await Promise.all(ids.map((id) => policy.ensureCustomer(id)));
    assert.ok(created.every((answer) => answer));
    assert.deepEqual(server.of('fetch').map(({ customers }) => (customers as string[]).length), [500, 500, 200]);
    await until(() => server.operations('ensure_customer').length === 1200);
  });

  test('ensureCustomer: here, fetched, created', async () => {
    const server = await StandIn.start();
    server.customers.set('ann', customer('ann', 40));
    const policy = await connected(server);
    assert.equal(await policy.ensureCustomer('ann', 'growth'), false);
    assert.equal(await policy.limit('ann', 'chat'), 100);
    assert.equal(await policy.ensureCustomer('ann', 'growth'), false);
    assert.deepEqual(await Promise.all([policy.ensureCustomer('bob', 'growth'), policy.ensureCustomer('bob')]), [true, false]);
    assert.equal(await policy.limit('bob', 'chat'), 1000);
    assert.deepEqual(server.fetched, ['ann', 'bob']);
    await until(() => server.operations('ensure_customer').length > 0);
    assert.equal(server.operations('ensure_customer')[0]?.['id'], 'bob');
    await assert.rejects(policy.ensureCustomer('cleo', 7 as never), LimitrValueError);
    await assert.rejects(policy.ensureCustomer('cleo', 'gold'), coded('unknown_plan'));
    assert.deepEqual(server.fetched, ['ann', 'bob', 'cleo']);
  });

  test('those that it refers to come with it', async () => {
    const server = await StandIn.start();
    server.customers.set('org', customer('org', 0, { type: 'org', plan: 'team' }));
    const policy = await connected(server);
    assert.equal(await policy.ensureCustomer('ann', '', 'user', 'User', ['org']), true);
    assert.deepEqual([...server.fetched].sort(), ['ann', 'org']);
    assert.equal((await policy.plan('ann'))?.id, 'team');
    assert.equal(await policy.allow('ann', 'shared', 3), true);
    assert.equal(await policy.remaining('org', 'shared'), 7);
  });

  test('createCustomer asks nobody', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    assert.equal((await policy.createCustomer('ann', 'growth')).plan, 'growth');
    await until(() => server.operations('create_customer').length === 1);
    assert.deepEqual(server.fetched, []);
  });

  test('names of plans are no customers; what no server takes is not asked for', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    assert.equal(await policy.limit('growth', 'chat'), 1000);
    assert.equal((await policy.plan('growth'))?.id, 'growth');
    assert.equal(await policy.planPeriod('growth'), 'monthly');
    for (const id of ['', 'x'.repeat(1025), '€'.repeat(400)]) assert.equal(await policy.allow(id, 'chat', 1), false);
    await assert.rejects(policy.value('\ud800', 'chat'), LimitrValueError);
    assert.deepEqual(server.fetched, []);
    assert.equal(await policy.allow('x'.repeat(1024), 'chat', 1), false);
    assert.equal(server.fetched.length, 1);
  });

  test('without promises nobody waits: unknown at first, fetched behind', async () => {
    const server = await StandIn.start();
    server.customers.set('ann', customer('ann', 40));
    const { sync } = await connected(server);
    assert.equal(sync.allow('ann', 'chat', 1), false);
    assert.equal(sync.explain('ann', 'chat', 1).reason, 'unknown_customer');
    await until(() => sync.allow('ann', 'chat', 1));
    assert.deepEqual(server.fetched, ['ann']);
    assert.equal(sync.remaining('bob', 'chat'), null);
    assert.equal(sync.plan('cleo'), undefined);
    assert.equal(sync.ensureCustomer('dan', 'growth'), false);
    await until(() => sync.customer('dan')?.plan === 'growth');
    assert.deepEqual(server.fetched, ['ann', 'bob', 'cleo', 'dan']);
  });

  test('what is wrong with a customer made behind is told', async () => {
    const server = await StandIn.start();
    const told: LimitrError[] = [];
    const { sync } = await connected(server, { onError: (error: LimitrError) => told.push(error) });
    assert.equal(sync.ensureCustomer('dan', 'gold'), false);
    await until(() => told.length > 0);
    assert.equal(told[0]?.code, 'unknown_plan');
  });

  test('a server that does not answer is not waited for longer than connectTimeout', async () => {
    const server = await StandIn.start();
    server.ignored.add('fetch');
    const policy = await connected(server, { connectTimeout: 100 });
    assert.equal(await policy.allow('ann', 'chat', 1), false);
    assert.equal((await policy.explain('ann', 'chat', 1)).reason, 'disconnected');
    assert.equal(await policy.ensureCustomer('ann'), false);
    assert.equal(await policy.customer('ann'), undefined);
    server.ignored.clear();
    server.customers.set('ann', customer('ann'));
    assert.equal(await policy.allow('ann', 'chat', 1), true);
  });

  test('the server changes and removes them', async () => {
    const server = await StandIn.start();
    server.customers.set('ann', customer('ann', 40));
    const policy = await connected(server);
    assert.equal(await policy.remaining('ann', 'chat'), 60);
    server.send({ type: 'customer', through: 0, record: customer('ann', 95) });
    await until(() => policy.sync.remaining('ann', 'chat') === 5);
    server.customers.delete('ann');
    server.send({ type: 'customer_removed', customer: 'ann' });
    await until(() => policy.sync.customer('ann') === undefined);
    assert.equal(await policy.remaining('ann', 'chat'), null);
  });
});

describe('what happens', () => {
  test('is sent, in order and at once enough', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    await policy.ensureCustomer('ann', 'growth');
    for (let call = 0; call < 100; call += 1) await policy.allow('ann', 'chat', 2);
    const since = performance.now();
    await until(() => server.units('ann') === 200);
    assert.ok(performance.now() - since < 1000);
    assert.deepEqual(server.stored.map(({ number }) => number), [...server.stored.keys()].map((index) => index + 1));
    assert.equal(await policy.value('ann', 'chat'), 200);
  });

  test('is what is refused told of', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    const refused = new Promise((resolve) => policy.on('cloud-refused', resolve));
    server.refused.add('ann');
    await policy.ensureCustomer('ann');
    await policy.allow('ann', 'chat', 2);
    assert.deepEqual(await refused, { refused: [{ entry: 2, code: 'unknown_customer', message: 'no' }] });
  });

  test('a publication is in force at once, and told of', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    await policy.ensureCustomer('ann');
    const told = new Promise((resolve) => policy.on('policy-updated', ({ changes }) => resolve(changes)));
    const { starter } = POLICY.plans;
    const plans = { ...POLICY.plans, starter: { ...starter, entitlements: { chat: { limit: { credit: 'token', value: 7 } } } } };
    server.publish({ ...POLICY, plans });
    assert.ok(Array.isArray(await told));
    assert.equal(await policy.limit('ann', 'chat'), 7);
  });

  test('a publication that cannot be used leaves the one before it in force', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    const told = new Promise((resolve) => policy.on('cloud-error', ({ code }) => resolve(code)));
    server.publish({ planz: {} });
    assert.equal(await told, 'policy_refused');
    assert.equal(await policy.limit('growth', 'chat'), 1000);
  });

  test('the policy cannot be changed here, nor customers kept', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    await assert.rejects(policy.setPlan('new', {}), coded('kept_by_server'));
    await assert.rejects(policy.deletePlan('starter'), coded('kept_by_server'));
    await assert.rejects(policy.setNotifications({}), coded('kept_by_server'));
    await assert.rejects(policy.setCapabilities({}), coded('kept_by_server'));
    await assert.rejects(policy.persist(memoryStore()), coded('kept_by_server'));
    assert.throws(() => policy.sync.operation('replace', { policy: {} }), coded('kept_by_server'));
    assert.deepEqual(await policy.difference(POLICY as never), []);
    assert.deepEqual(await policy.valid(), [true, '']);
  });

  test('what is newer than this engine is passed over', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    server.send({ type: 'weather', sunny: true });
    server.send({ type: 'ping' });
    await until(() => server.of('pong').length === 1);
    assert.equal(policy.connected, true);
  });
});

describe('closing', () => {
  test('sends what is left and waits until it is stored', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    await policy.createCustomer('ann');
    for (let call = 0; call < 10; call += 1) await policy.allow('ann', 'chat', 1);
    assert.equal(server.stored.length, 0);
    assert.equal(await policy.close(), true);
    assert.equal(server.units('ann'), 10);
    await until(() => server.connections === 0);
    await assert.rejects(policy.allow('ann', 'chat', 1), coded('closed'));
    assert.throws(() => policy.sync.remaining('ann', 'chat'), coded('closed'));
    await assert.rejects(policy.ensureCustomer('bob'), coded('closed'));
    assert.equal(policy.connected, false);
  });

  test('says so when it was not stored in time; calls are denied meanwhile', async () => {
    const server = await StandIn.start();
    const policy = await connected(server, { connectTimeout: 200 });
    server.ignored.add('batch');
    await policy.createCustomer('ann');
    const closing = policy.close();
    assert.equal(policy.sync.allow('ann', 'chat', 1), false);
    assert.equal(policy.sync.explain('ann', 'chat', 1).reason, 'disconnected');
    assert.equal(await closing, false);
    assert.equal(policy.sync.closed, true);
  });

  test('again and at once is the same', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    await policy.createCustomer('ann');
    assert.deepEqual(await Promise.all([policy.close(), policy.close()]), [true, true]);
    assert.equal(await policy.close(), true);
    assert.equal(server.stored.length, 1);
  });

  test('what is settled while it closes is sent too', async () => {
    const server = await StandIn.start();
    const policy = await connected(server);
    await policy.createCustomer('ann', 'growth');
    const hold = await policy.reserve('ann', 'chat', { value: 10 });
    const closing = policy.close();
    assert.equal(policy.sync.settle('ann', 'chat', hold, 7), true);
    assert.equal(await closing, true);
    assert.equal(server.units('ann'), 7);
  });

  test('freed, it is gone at once', async () => {
    const server = await StandIn.start();
    {
      using policy = await server.connect();
      server.ignored.add('fetch');
      const waiting = policy.allow('ann', 'chat', 1);
      policy.free();
      await assert.rejects(waiting.then(() => policy.allow('ann', 'chat', 1)), coded('closed'));
    }
    await until(() => server.connections === 0);
  });
});
