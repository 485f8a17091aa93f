import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Server } from '../../../sdk/typescript/test/support/server.ts';

test('calls are counted at the server, 503 while it is gone, and nothing is lost at the end', async (t) => {
  const server = await Server.start();
  const [one, two] = [await start(t, server), await start(t, server)];
  for (let call = 0; call < 10; call += 1) assert.equal(await one.ask('ada'), 200);
  await counted(server, 'ada', 10_000);
  for (let call = 0; call < 5; call += 1) assert.equal(await two.ask('ada'), 200);

  let allowed = 15;
  await server.kill();
  await eventually(async () => {
    const status = await one.ask('ada');
    // Until it hears that the server is gone, it decides as before.
    if (status === 200) allowed += 1;
    return status === 503;
  });
  assert.equal(await one.health(), 503);
  await server.listen();
  await eventually(async () => (await one.health()) === 200);
  assert.equal(await one.ask('ada'), 200);
  allowed += 1;

  assert.deepEqual(await Promise.all([one.stop(), two.stop()]), [0, 0]);
  await counted(server, 'ada', allowed * 1_000);
});

test('a wrong token is said, and the program ends', async (t) => {
  const server = await Server.start();
  server.engineToken = 'limitr_wrong';
  const { child } = run(t, server);
  const [code] = (await once(child, 'exit')) as [number];
  assert.equal(code, 1);
});

async function counted(server: Server, customer: string, units: number): Promise<void> {
  await eventually(async () => (await server.units(customer)) === units);
}

async function eventually(what: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await what()); await sleep(50)) {
    if (Date.now() > end) throw new Error(`it does not come to ${what}`);
  }
}

function run(t: TestContext, server: Server) {
  const cwd = new URL('..', import.meta.url);
  const env = { ...process.env, ...server.environment, PORT: '0' };
  const args = ['--import', 'tsx', 'src/main.ts'];
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  return { child };
}

/** The program as a user starts it. */
async function start(t: TestContext, server: Server) {
  const { child } = run(t, server);
  const ended = once(child, 'exit');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const url = line.replace('listening on ', '');
  return {
    async ask(user: string): Promise<number> {
      return (await fetch(`${url}/chat`, { method: 'POST', headers: { 'x-user': user } })).status;
    },
    async health(): Promise<number> {
      return (await fetch(`${url}/healthz`)).status;
    },
    async stop(): Promise<number> {
      child.kill('SIGTERM');
      return ((await ended) as [number])[0];
    },
  };
}
