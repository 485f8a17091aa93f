/** Stores: customers are restored, only those that changed are saved, and nothing is lost when saving fails. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Redis } from 'ioredis';
import pg from 'pg';

import {
  fileStore,
  Limitr,
  LimitrError,
  memoryStore,
  type PersistOptions,
  postgresStore,
  type RedisClient,
  redisStore,
  type Store,
} from '../dist/node.js';
import { PACKAGE, start, temporaryFolder } from './support/folders.js';
import { postgresServer, redisServer } from './support/services.js';
import { POLICY } from './support/shop.js';

const SCHEMA = `limitr_stores_${process.pid}`;
const EACH = { mode: 'each' } as const;
/** Nothing is saved before close. */
const LATER = { mode: 'interval', intervalMs: 1_000_000 } as const;
/** Ids that are hard to keep apart, or to keep at all. */
const IDS = [
  'ann',
  'Ann',
  'a/../b',
  '..',
  ' ',
  '"; DROP',
  'ünï',
  '💶',
  '__proto__',
  'constructor',
  'a\nb',
  'x'.repeat(1024),
];

let redis: Redis;
let pool: pg.Pool;
before(async () => {
  redis = new Redis(await redisServer());
  const server = await postgresServer();
  pool = new pg.Pool({ ...server, options: `-c search_path=${SCHEMA}` });
  await pool.query(`CREATE SCHEMA ${SCHEMA}`);
});
after(async () => {
  const keys = await redis.keys(`${SCHEMA}:*`);
  if (keys.length > 0) await redis.del(keys);
  redis.disconnect();
  await pool.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
  await pool.end();
});

let made = 0;
/** Each makes an empty store; `again` makes another one on the same data. */
const STORES: Record<string, () => { store: Store; again: Store }> = {
  memory() {
    const store = memoryStore();
    return { store, again: store };
  },
  file() {
    const folder = join(temporaryFolder(), 'customers');
    return { store: fileStore(folder), again: fileStore(folder) };
  },
  redis() {
    const key = `${SCHEMA}:${made++}`;
    return { store: redisStore(redis, key), again: redisStore(redis, key) };
  },
  'redis, as node-redis calls it'() {
    const client: RedisClient = {
      hGetAll: (key) => redis.hgetall(key),
      hSet: (key, fields) => redis.hset(key, fields),
      hDel: (key, fields) => redis.hdel(key, ...fields),
    };
    const key = `${SCHEMA}:${made++}`;
    return { store: redisStore(client, key), again: redisStore(client, key) };
  },
  postgres() {
    const table = `${SCHEMA}.customers_${made++}`;
    return { store: postgresStore(pool, table), again: postgresStore(pool, table) };
  },
};

for (const [name, create] of Object.entries(STORES)) {
  describe(`${name} store`, () => {
    test('keeps customers as they are, whatever their ids', async () => {
      const { store, again } = create();
      const policy = await engine(store, LATER);
      for (const id of IDS) {
        policy.sync.createCustomer(id, 'pro', 'user', 'User', undefined, undefined, { 'half a cent': 0.005, id });
        policy.sync.allow(id, 'tokens', 1 / 3);
      }
      const expected = await policy.customers();
      await policy.close();
      const next = await Limitr.new(POLICY);
      next.addHandler('all', (event) => assert.fail(`restoring sends ${event}`));
      await next.persist(again, LATER);
      assert.deepEqual(await next.customers(), expected);
      await next.close();
    });

    test('forgets who is removed', async () => {
      const { store, again } = create();
      const policy = await engine(store, EACH);
      for (const id of IDS) policy.sync.createCustomer(id);
      await saved();
      for (const id of IDS.slice(1)) policy.sync.removeCustomer(id);
      policy.sync.createCustomer('in between');
      policy.sync.removeCustomer('in between');
      await policy.close();
      assert.deepEqual(
        (await again.load()).map(({ id }) => id),
        [IDS[0]],
      );
      // Removing what is not there is fine.
      await again.remove(['nobody']);
    });
  });
}

describe('what is saved', () => {
  test('is only who changed', async () => {
    const { store, writes } = counting(memoryStore());
    const policy = await engine(store, EACH);
    for (let id = 0; id < 100; id++) policy.sync.createCustomer(`c${id}`);
    await saved();
    assert.equal(writes.flatMap(({ save }) => save).length, 100);
    writes.length = 0;

    policy.sync.allow('c1', 'tokens', 1);
    policy.sync.allow('c2', 'tokens', 1);
    policy.sync.allow('c2', 'tokens', 1);
    policy.sync.removeCustomer('c3');
    // Only read, or gone wrong: nothing changed.
    policy.sync.check('c4', 'tokens', 1);
    policy.sync.remaining('c4', 'tokens');
    assert.throws(() => policy.sync.addAltID('c4', 'c5'));
    await saved();
    assert.deepEqual(writes, [{ save: ['c1', 'c2'] }, { remove: ['c3'] }]);
    writes.length = 0;

    await saved();
    await policy.close();
    assert.deepEqual(writes, []);
  });

  test('is not what was just restored', async () => {
    const memory = memoryStore();
    const policy = await engine(memory, LATER);
    for (const id of IDS) policy.sync.createCustomer(id);
    await policy.close();
    const { store, writes } = counting(memory);
    await (await engine(store, EACH)).close();
    assert.deepEqual(writes, []);
  });

  test('is a burst of calls in one write', async () => {
    const { store, writes } = counting(memoryStore());
    const policy = await engine(store, EACH);
    policy.sync.createCustomer('ann');
    for (let call = 0; call < 50; call++) policy.sync.allow('ann', 'tokens', 1);
    await policy.close();
    assert.deepEqual(writes, [{ save: ['ann'] }]);
  });

  test('is saved every interval', async () => {
    const { store, writes } = counting(memoryStore());
    const policy = await engine(store, { intervalMs: 20 });
    policy.sync.createCustomer('ann');
    for (let waited = 0; writes.length === 0 && waited < 5000; waited += 10) await sleep(10);
    policy.sync.allow('ann', 'tokens', 1);
    for (let waited = 0; writes.length === 1 && waited < 5000; waited += 10) await sleep(10);
    assert.deepEqual(writes, [{ save: ['ann'] }, { save: ['ann'] }]);
    await policy.close();
  });
});

describe('a store that fails', () => {
  test('loses nothing: the next save has it, and what changed since', async () => {
    const memory = memoryStore();
    const failing = sometimes(memory);
    const errors: unknown[] = [];
    const policy = await engine(failing.store, { ...EACH, onError: (error) => errors.push(error) });
    failing.down = true;
    policy.sync.createCustomer('ann');
    policy.sync.createCustomer('ben');
    policy.sync.allow('ann', 'tokens', 1);
    await saved();
    assert.ok(errors.length > 0);
    policy.sync.allow('ann', 'tokens', 1);
    policy.sync.removeCustomer('ben');
    await saved();
    assert.deepEqual(await memory.load(), []);
    failing.down = false;
    await saved();
    assert.deepEqual(
      (await memory.load()).map(({ id, meters }) => [id, meters['tokens']?.value]),
      [['ann', 2]],
    );
    await policy.close();
  });

  test('when closing: close throws, nothing is freed, and closing again saves', async () => {
    const memory = memoryStore();
    const failing = sometimes(memory);
    const policy = await engine(failing.store, LATER);
    policy.sync.createCustomer('ann');
    failing.down = true;
    await assert.rejects(policy.close(), /the store is down/);
    assert.equal(await policy.allow('ann', 'tokens', 3), true);
    failing.down = false;
    await policy.close();
    assert.equal((await memory.load())[0]?.meters['tokens']?.value, 3);
    assert.throws(() => policy.sync.customers(), closed);
  });

  test('when loading: persist throws, and can be tried again', async () => {
    const failing = sometimes(memoryStore());
    failing.down = true;
    const policy = await Limitr.new(POLICY);
    await assert.rejects(policy.persist(failing.store), /the store is down/);
    failing.down = false;
    await policy.persist(failing.store);
    await policy.close();
  });

  test('with an onError that throws goes on being tried', async (t) => {
    const said = t.mock.method(console, 'error', () => {});
    const failing = sometimes(memoryStore());
    const policy = await engine(failing.store, { ...EACH, onError: () => assert.fail('onError') });
    failing.down = true;
    policy.sync.createCustomer('ann');
    await saved();
    failing.down = false;
    await saved();
    assert.ok(said.mock.callCount() > 0);
    await policy.close();
    assert.equal((await failing.store.load()).length, 1);
  });

  test('with records that cannot be restored leaves the engine as it was', async () => {
    const store = { ...memoryStore(), load: async () => [{ id: 'ann' }, { id: 5 }] as never };
    const policy = await Limitr.new(POLICY);
    await assert.rejects(policy.persist(store), LimitrError);
    assert.deepEqual(await policy.customers(), {});
    policy.free();
  });
});

describe('an engine', () => {
  test('has one store', async () => {
    const policy = await engine(memoryStore(), LATER);
    await assert.rejects(policy.persist(memoryStore()), (error) => (error as LimitrError).code === 'already_persisted');
    await policy.close();
  });

  test('freed without closing stops saving quietly', async () => {
    const { store, writes } = counting(memoryStore());
    const policy = await engine(store, { ...EACH, onError: (error) => assert.fail(`${error}`) });
    policy.sync.createCustomer('ann');
    policy.free();
    await saved();
    assert.deepEqual(writes, []);
  });

  test('is not saved in a mode that there is not', async () => {
    const policy = await Limitr.new(POLICY);
    for (const options of [{ mode: 'always' }, { intervalMs: NaN }, { intervalMs: '5s' }]) {
      await assert.rejects(policy.persist(memoryStore(), options as PersistOptions), LimitrError);
    }
    policy.free();
  });

  test('that saves does not keep its program from ending', async () => {
    const folder = temporaryFolder();
    const program = `
      import { fileStore, Limitr } from '${new URL('../dist/node.js', import.meta.url)}';
      const policy = await Limitr.new(${JSON.stringify(POLICY)});
      await policy.persist(fileStore(${JSON.stringify(folder)}), { intervalMs: 50 });
      console.log('done');`;
    const { code, out } = await start(process.execPath, ['--input-type=module', '--eval', program], PACKAGE, 20).ended;
    assert.deepEqual({ code, out }, { code: 0, out: 'done\n' });
  });
});

describe('files', () => {
  test('are whole at every moment, also when the program is killed', async () => {
    const folder = temporaryFolder();
    const program = `
      import { fileStore, Limitr } from '${new URL('../dist/node.js', import.meta.url)}';
      const policy = await Limitr.new(${JSON.stringify(POLICY)});
      await policy.persist(fileStore(${JSON.stringify(folder)}), { mode: 'each' });
      const filler = 'x'.repeat(300_000);
      for (const id of ['a', 'b', 'c']) {
        policy.sync.ensureCustomer(id, 'pro', 'user', 'User', undefined, undefined, { filler, end: true });
      }
      console.log('serving');
      for (;;) {
        for (const id of ['a', 'b', 'c']) policy.sync.allow(id, 'tokens', 1);
        await new Promise(setImmediate);
      }`;
    let used = 0;
    for (let life = 0; life < 4; life++) {
      const server = start(process.execPath, ['--input-type=module', '--eval', program], PACKAGE, 20);
      await server.said('serving');
      for (const end = Date.now() + 250; Date.now() < end; await sleep(1)) everyFileIsWhole(folder);
      server.kill('SIGKILL');
      await server.ended;
      const restored = await fileStore(folder).load();
      assert.equal(restored.length, 3);
      const now = Number(restored.find(({ id }) => id === 'a')?.meters['tokens']?.value);
      assert.ok(now > used, `life ${life} went on from ${used} to ${now}`);
      used = now;
    }
  });

  test('that were left half written are passed over', async () => {
    const folder = temporaryFolder();
    const policy = await engine(fileStore(folder), LATER);
    policy.sync.createCustomer('ann');
    await policy.close();
    const [file] = readdirSync(folder);
    writeFileSync(join(folder, `${file}.tmp`), '{"id": "an');
    assert.deepEqual(
      (await fileStore(folder).load()).map(({ id }) => id),
      ['ann'],
    );
  });

  test('need no folder to begin with', async () => {
    const folder = join(temporaryFolder(), 'not', 'there');
    assert.deepEqual(await fileStore(folder).load(), []);
    mkdirSync(folder, { recursive: true });
  });
});

test('a table has a plain name', () => {
  for (const table of ['', 'a b', 'a;b', 'a.b.c', '"a"', '1a', "a'"])
    assert.throws(() => postgresStore(pool, table), TypeError);
});

async function engine(store: Store, options: PersistOptions): Promise<Limitr> {
  const policy = await Limitr.new(POLICY);
  await policy.persist(store, options);
  return policy;
}

/** Long enough for mode `each` to have saved into memory. */
const saved = (): Promise<void> => sleep(30);

type Write = { save: string[] } | { remove: string[] };

function counting(store: Store): { store: Store; writes: { save?: string[]; remove?: string[] }[] } {
  const writes: Write[] = [];
  return {
    writes,
    store: {
      load: () => store.load(),
      async save(customers) {
        writes.push({ save: customers.map(({ id }) => id).sort() });
        await store.save(customers);
      },
      async remove(ids) {
        writes.push({ remove: ids });
        await store.remove(ids);
      },
    },
  };
}

function sometimes(store: Store): { store: Store; down: boolean } {
  const state = { down: false, store };
  const up = async (): Promise<void> => {
    await sleep(1);
    if (state.down) throw new Error('the store is down');
  };
  state.store = {
    load: () => up().then(() => store.load()),
    save: (customers) => up().then(() => store.save(customers)),
    remove: (ids) => up().then(() => store.remove(ids)),
  };
  return state;
}

function everyFileIsWhole(folder: string): void {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
    const { metadata } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    assert.equal(metadata.end, true);
  }
}

function closed(error: unknown): boolean {
  return error instanceof LimitrError && error.code === 'closed';
}
