import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import { StandIn } from '../test/support/stand-in.js';
import { project, run, runtimes } from './support.ts';
import { worker } from './worker.ts';

/** What the program says wherever it runs. */
const EXPECTED = { connected: true, created: true, allowed: true, remaining: 960, stored: true };

for (const [runtime, program] of Object.entries(runtimes)) {
  test(`${runtime} follows a server, and ends`, async () => {
    const server = await StandIn.start();
    const folder = await project('follow');
    const { wsAddress = '' } = server.options();
    const env = { LIMITR_WS_ADDRESS: wsAddress, DENO_DIR: join(folder, '.deno'), DENO_NO_UPDATE_CHECK: '1' };
    const permissions = ['--no-prompt', '--no-remote', '--allow-read=.', '--allow-net=127.0.0.1'];
    const variables = '--allow-env=LIMITR_WS_ADDRESS,LIMITR_TICKET_ADDRESS';
    const args = runtime === 'Deno' ? ['run', ...permissions, variables] : runtime === 'Bun' ? ['run'] : [];
    assert.deepEqual(JSON.parse(await run(program(), [...args, 'main.js'], { cwd: folder, env })), EXPECTED);
    assert.equal(server.units('ada'), 40);
  });
}

test('a worker in workerd follows a server', async (t) => {
  const server = await StandIn.start();
  const folder = await project('follow');
  const bindings = { ADDRESS: server.options().wsAddress ?? '' };
  const { url } = await worker(t, folder, { compatibilityDate: '2026-04-01', bindings });
  for (const units of [40, 80]) {
    const response = await fetch(url);
    assert.deepEqual(await response.json(), EXPECTED);
    assert.equal(server.units('ada'), units);
  }
});
