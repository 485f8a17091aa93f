import assert from 'node:assert/strict';
import { test } from 'node:test';

import { project } from './support.ts';
import { worker } from './worker.ts';

// The runtime as it is today, and as it was for workers that have not been touched for a while.
for (const compatibilityDate of ['2026-04-01', '2023-03-01']) {
  test(`a worker in workerd (${compatibilityDate}) enforces a limit over HTTP`, async (t) => {
    const folder = await project('worker');
    const { url, modules } = await worker(t, folder, { compatibilityDate });
    assert.equal(modules, 1);
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
