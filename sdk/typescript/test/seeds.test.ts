/** The samples of the public guides run unchanged, in Node and in Bun, and print what the guides say they print. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';

import { Redis } from 'ioredis';
import pg from 'pg';

import { Limitr } from '../dist/node.js';
import { pages, policyJson, printed, programs } from './support/guides.js';
import { Project, type Runtime, RUNTIMES } from './support/project.js';
import { postgresServer, redisServer } from './support/services.js';

const project = await Project.create();
const policyYaml = readFileSync(new URL('data/guide.yaml', import.meta.url), 'utf8');
project.write('policy.json', policyJson);
project.write('policy.yaml', policyYaml);
for (const [file, lines] of Object.entries(programs)) project.write(file, `${lines.join('\n')}\n`);

for (const [name, page] of Object.entries(pages)) {
  test(`every sample of ${name} is tried`, () => assert.deepEqual(page.uncovered(), []));
}

test('the types fit the samples', () => project.checkTypes());

for (const runtime of RUNTIMES) {
  describe(`quick start in ${runtime}`, () => {
    for (const sample of ['load', 'enforce', 'event', 'grant'] as const) {
      test(sample, async () => {
        const came = lines(await project.prints(runtime, `${sample}.ts`));
        const expected = lines(printed[sample].join('\n'));
        // Node's console shows objects in another way than Bun's, which the guide shows.
        const plain = runtime === 'bun' ? (shown: string[]) => shown : objectsAsJson;
        assert.deepEqual(plain(came), plain(expected));
      });
    }

    test('customer state', async () => {
      const out = await project.prints(runtime, 'state.ts');
      const record = out.slice(out.indexOf('{\n'), out.indexOf('\n}\n') + 2);
      const { id, plan, meters } = JSON.parse(record);
      assert.deepEqual([id, plan, meters['ai-chat-input'].value], ['user_starter', 'starter', 455_000]);
      assert.equal(out.trimEnd().split('\n').at(-1), 'Usage: 91% of daily token budget');
    });

    test('policy document', async () => {
      const out = await project.prints(runtime, 'render.ts');
      const { obj, json, yaml, toml } = JSON.parse(out.slice(out.indexOf('rendered') + 8));
      assert.deepEqual(JSON.parse(json), obj);
      for (const [format, text] of Object.entries({ json, yaml, toml })) {
        using policy = await Limitr.new(text, format as 'json' | 'yaml' | 'toml');
        assert.deepEqual(policy.doc.record(), obj, format);
        assert.deepEqual(await policy.difference(JSON.parse(policyJson).policy), [], format);
      }
    });
  });

  describe(`customer state guide in ${runtime}`, () => guide(runtime));
}

function guide(runtime: Runtime): void {
  const key = 'limitr:customers';
  const schema = `limitr_seeds_${process.pid}`;
  let redis: Redis;
  let db: pg.Client;
  let redisAt: string;
  let postgresAt: string;

  before(async () => {
    const [redisOptions, postgresOptions] = [await redisServer(), await postgresServer()];
    redis = new Redis(redisOptions);
    db = new pg.Client({ ...postgresOptions, options: `-c search_path=${schema}` });
    await db.connect();
    await db.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await db.query(`CREATE SCHEMA ${schema}`);
    await db.query('CREATE TABLE limitr_state (key text PRIMARY KEY, value jsonb NOT NULL)');
    redisAt = JSON.stringify(redisOptions);
    postgresAt = JSON.stringify({ ...postgresOptions, options: `-c search_path=${schema}` });
  });
  beforeEach(() => redis.del(key));
  after(async () => {
    await redis.del(key);
    await db.query(`DROP SCHEMA ${schema} CASCADE`);
    redis.disconnect();
    await db.end();
  });

  const restored = (used: number): string[] => ['Customer state restored', 'listening on 3000', `used ${used}`];
  const restoresFromRedis = async (used: number): Promise<void> => {
    const snapshot = JSON.parse((await redis.get(key)) ?? '');
    assert.equal(snapshot.user_1.meters.ai_tokens.value, used);
    assert.deepEqual(lines(await project.prints(runtime, 'restore.ts', redisAt)), restored(used));
  };

  test('ensureCustomer says who is new; what is for new customers is done once', async () => {
    const [news, customers] = lines(await project.prints(runtime, 'ensure.ts'));
    assert.equal(news, 'false true false');
    const { user_1, user_2 } = JSON.parse(customers ?? '');
    const topups = (customer: { grants: object }): unknown[] =>
      Object.values(customer.grants).map(({ topup, value }) => [topup, value]);
    assert.deepEqual(topups(user_1), [['welcome', 50]]);
    assert.deepEqual(topups(user_2), [['welcome', 50]]);
    // user_1 was no new customer any more when it signed up.
    assert.equal(user_1.meters.subscription.value, 0);
    assert.equal(user_2.meters.subscription.value, 1);
  });

  test('nothing stored, nothing restored', async () => {
    assert.deepEqual(lines(await project.prints(runtime, 'restore.ts', redisAt)), ['listening on 3000', 'used null']);
  });

  test('a snapshot on every event is in Redis, and a new process goes on from there', async () => {
    await project.prints(runtime, 'on-events.ts', redisAt);
    await restoresFromRedis(400);
  });

  test('a snapshot every ten seconds', async () => {
    assert.deepEqual(lines(await project.prints(runtime, 'periodic.ts', redisAt)), ['every 10000 ms']);
    await restoresFromRedis(300);
  });

  test('a snapshot on SIGTERM, then exit 0', async () => {
    const server = project.start(runtime, 'shutdown.ts', redisAt);
    await server.said('serving');
    assert.equal(await redis.get(key), null);
    server.kill('SIGTERM');
    const { code, err } = await server.ended;
    assert.deepEqual({ code, err }, { code: 0, err: '' });
    await restoresFromRedis(200);
  });

  test('a snapshot in Redis', async () => {
    await project.prints(runtime, 'redis.ts', redisAt);
    await restoresFromRedis(100);
  });

  test('a snapshot in PostgreSQL', async () => {
    await project.prints(runtime, 'postgres.ts', postgresAt);
    const { rows } = await db.query('SELECT key, value FROM limitr_state');
    assert.equal(rows[0].value.user_1.meters.ai_tokens.value, 50);
    assert.deepEqual(lines(await project.prints(runtime, 'restore-postgres.ts', postgresAt)), restored(50));
  });
}

/** Lines to compare: the page lost indentation and spaces beside others, and times are those of the day. */
function lines(text: string): string[] {
  return text
    .trim()
    .split('\n')
    .map((line) =>
      line
        .trim()
        .replaceAll(/ {2,}/g, ' ')
        .replace(/^started: \d{13}(,?)$/, 'started: <time>$1'),
    );
}

/** The same lines with every object, from a line `{` to a line `}`, as one line of JSON. */
function objectsAsJson(shown: string[]): string[] {
  const from = shown.indexOf('{');
  if (from < 0) return shown;
  const to = shown.findIndex((line, at) => at > from && line === '}' && balanced(shown.slice(from, at + 1)));
  const source = shown
    .slice(from, to + 1)
    .join('\n')
    .replaceAll('<time>', '"<time>"');
  const object: unknown = new Function(`return (${source});`)();
  return [...shown.slice(0, from), JSON.stringify(object), ...shown.slice(to + 1)];
}

function balanced(shown: string[]): boolean {
  const text = shown.join('');
  return text.split('{').length === text.split('}').length;
}
