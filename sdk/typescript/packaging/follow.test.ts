import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { build } from 'esbuild';
import { Miniflare } from 'miniflare';

import { StandIn } from '../test/support/stand-in.js';
import { project, run, runtimes } from './support.ts';

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
  const output = join(folder, 'out');
  await build({
    entryPoints: [join(folder, 'worker.ts')],
    outdir: output,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    loader: { '.wasm': 'copy' },
    logLevel: 'silent',
  });
  const modules = readdirSync(output).filter((file) => file.endsWith('.wasm'));
  const miniflare = new Miniflare({
    compatibilityDate: '2026-04-01',
    cf: false,
    bindings: { ADDRESS: server.options().wsAddress ?? '' },
    modulesRoot: output,
    modules: [
      { type: 'ESModule', path: join(output, 'worker.js') },
      ...modules.map((file) => ({ type: 'CompiledWasm' as const, path: join(output, file) })),
    ],
  });
  t.after(() => miniflare.dispose());
  for (const units of [40, 80]) {
    const response = await fetch(await miniflare.ready);
    assert.deepEqual(await response.json(), EXPECTED);
    assert.equal(server.units('ada'), units);
  }
});
