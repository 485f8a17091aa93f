import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const temporary = await mkdtemp(join(tmpdir(), 'api-limits-'));
// Once all servers have ended.
after(() => rm(temporary, { recursive: true }));

test('a burst is throttled, and passes after Retry-After', async (t) => {
  const { get } = await start(t, await mkdtemp(join(temporary, 'state-')));
  const burst = await Promise.all(Array.from({ length: 15 }, () => get('/quotes/ACME')));
  const allowed = burst.filter(({ status }) => status === 200);
  const denied = burst.filter(({ status }) => status === 429);
  // The bucket holds 5, and gets one more every 100 ms.
  assert.ok(allowed.length >= 5 && allowed.length <= 10, `${allowed.length} of the burst passed`);
  assert.equal(allowed.length + denied.length, 15);
  const { headers, body } = denied.at(-1)!;
  assert.equal(body['reason'], 'governor');
  assert.equal(headers.get('retry-after'), '1');
  await sleep(Number(body['retry_after_ms']) + 5);
  assert.equal((await get('/quotes/ACME')).status, 200);
});

test('headers count down to the daily limit; then the wait is until it starts over', async (t) => {
  const { get } = await start(t, await mkdtemp(join(temporary, 'state-')));
  let last: Answer | undefined;
  for (let remaining = 19; remaining >= 0; ) {
    const answer = await get('/quotes/ACME');
    if (answer.status === 429) {
      await sleep(Number(answer.body['retry_after_ms']) + 5);
      continue;
    }
    assert.equal(answer.headers.get('ratelimit-limit'), '20');
    assert.equal(answer.headers.get('ratelimit-remaining'), String(remaining));
    remaining -= 1;
  }
  for (let tries = 0; tries < 10 && last?.body['reason'] !== 'limit'; tries += 1) {
    if (last !== undefined) await sleep(110);
    last = await get('/quotes/ACME');
  }
  assert.equal(last?.status, 429);
  assert.deepEqual([last?.body['reason'], last?.body['remaining']], ['limit', 0]);
  const wait = Number(last?.headers.get('retry-after'));
  assert.ok(wait > 86_000 && wait <= 86_400, `retry-after: ${wait}`);
});

test('what is not in the plan is 403, an unknown key 401, and plans differ', async (t) => {
  const { get } = await start(t, await mkdtemp(join(temporary, 'state-')));
  assert.equal((await get('/reports', 'key-ada', 'POST')).status, 403);
  const report = await get('/reports', 'key-corp', 'POST');
  assert.deepEqual([report.status, report.headers.get('ratelimit-remaining')], [200, '990']);
  const { status, headers } = await get('/usage', 'key-eve');
  assert.deepEqual([status, headers.get('ratelimit-limit')], [401, null]);
});

test('a restart remembers: SIGTERM saves and ends', async (t) => {
  const state = await mkdtemp(join(temporary, 'state-'));
  const before = await start(t, state);
  for (let call = 0; call < 3; call += 1) await before.get('/quotes/ACME', 'key-bob');
  assert.equal(await before.stop(), 0);
  const after = await start(t, state);
  assert.deepEqual((await after.get('/usage', 'key-bob')).body['quotes'], { used: 3, limit: 20 });
  assert.equal((await after.get('/quotes/ACME', 'key-bob')).headers.get('ratelimit-remaining'), '16');
});

interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

/** The program as a user starts it. */
async function start(t: TestContext, state: string) {
  const cwd = new URL('..', import.meta.url);
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    cwd,
    env: { ...process.env, PORT: '0', STATE: state },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const url = line.replace('listening on ', '');
  return {
    async get(path: string, key = 'key-ada', method = 'GET'): Promise<Answer> {
      const response = await fetch(url + path, { method, headers: { authorization: `Bearer ${key}` } });
      return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] };
    },
    async stop(): Promise<number> {
      child.kill('SIGTERM');
      return (await ended)[0] as number;
    },
  };
}
