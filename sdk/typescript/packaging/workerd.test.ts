import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { build } from 'esbuild';
import { Miniflare } from 'miniflare';

import { project } from './support.ts';

// The runtime as it is today, and as it was for workers that have not been touched for a while.
for (const compatibilityDate of ['2026-04-01', '2023-03-01']) {
  test(`a worker in workerd (${compatibilityDate}) enforces a limit over HTTP`, async (t) => {
    const folder = await project('worker');
    const output = join(folder, 'out');
    // As Cloudflare's own tool bundles: the module stays a file that the worker imports.
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
    assert.equal(modules.length, 1);

    const miniflare = new Miniflare({
      compatibilityDate,
      cf: false,
      modulesRoot: output,
      modules: [
        { type: 'ESModule', path: join(output, 'worker.js') },
        ...modules.map((file) => ({ type: 'CompiledWasm' as const, path: join(output, file) })),
      ],
    });
    t.after(() => miniflare.dispose());
    const url = await miniflare.ready;
    const call = async (user: string): Promise<[status: number, body: unknown]> => {
      const response = await fetch(new URL(`/?user=${user}`, url));
      return [response.status, await response.json()];
    };

    assert.deepEqual(await call('ada'), [200, { remaining: 1 }]);
    assert.deepEqual(await call('ada'), [200, { remaining: 0 }]);
    const denied = await fetch(new URL('/?user=ada', url));
    assert.equal(denied.status, 429);
    const wait = Number(denied.headers.get('retry-after'));
    assert.ok(wait > 50 && wait <= 60, `retry-after: ${wait}`);
    assert.deepEqual(await denied.json(), { reason: 'limit' });
    assert.deepEqual(await call('bob'), [200, { remaining: 1 }]);
  });
}
