import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import type { Page } from 'playwright-core';

import { browser } from './browser.ts';
import { freePort, HERE, OUT, project, run, serve } from './support.ts';

// Vite 8, and the last one that serves packages from a cache without their files.
const VITES = { 8: 'vite', 7: 'vite7' };

for (const [version, name] of Object.entries(VITES)) {
  const vite = join(HERE, 'node_modules', name, 'bin/vite.js');

  test(`Vite ${version}, production build: the page enforces a limit in Chromium`, async (t) => {
    const folder = await project('vite');
    await run('node', [vite, 'build', '--base', './'], { cwd: folder });
    const assets = readdirSync(join(folder, 'dist/assets'));
    assert.equal(assets.filter((file) => file.endsWith('.wasm')).length, 1, assets.join());
    const scripts = assets.filter((file) => file.endsWith('.js')).map((file) => readFileSync(join(folder, 'dist/assets', file), 'utf8'));
    assert.ok(!scripts.join('').toLowerCase().includes('sec-websocket'), 'browsers have sockets of their own');
    await enforces(t, `vite-${version}-build`, folder, [vite, 'preview']);
  });

  test(`Vite ${version}, dev server without configuration: the page enforces a limit in Chromium`, async (t) => {
    const folder = await project('vite');
    await enforces(t, `vite-${version}-dev`, folder, [vite, 'dev']);
    assert.ok(existsSync(join(folder, 'node_modules/.vite/deps/limitr.js')), 'the dependency optimizer took part');
  });
}

/** Opens the page of a Vite server, uses up the limit and checks what the page shows. */
async function enforces(t: TestContext, name: string, folder: string, server: string[]): Promise<void> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  await serve(t, url, [...server, '--host', '127.0.0.1', '--port', String(port), '--strictPort'], folder);
  const page = await (await browser(t)).newPage({ viewport: { width: 720, height: 620 } });
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  await page.goto(url);
  const button = page.getByRole('button', { name: 'Generate an image' });
  await button.and(page.locator(':enabled')).waitFor();
  assert.deepEqual(await usage(page), { label: '0 of 5 used', filled: 0 });

  for (const used of [1, 2, 3, 4, 5]) {
    await button.click();
    assert.equal(await page.getByRole('status').textContent(), `Allowed: ${5 - used} left`);
    assert.deepEqual(await usage(page), { label: `${used} of 5 used`, filled: used * 20 });
  }
  await button.click();
  assert.match((await page.getByRole('status').textContent()) ?? '', /^Denied: limit reached, again in 24 hours$/);
  assert.deepEqual(await usage(page), { label: '5 of 5 used', filled: 100 });
  assert.equal(await page.getByRole('list').getByRole('listitem').count(), 6);
  assert.deepEqual(problems, []);

  mkdirSync(join(OUT, 'screenshots'), { recursive: true });
  await page.screenshot({ path: join(OUT, 'screenshots', `${name}.png`) });
}

/** The usage that the page shows: its words, and how much of the bar is filled, in percent. */
async function usage(page: Page): Promise<{ label: string | null; filled: number }> {
  const bar = page.getByRole('progressbar');
  // The bar moves to its place.
  await bar.evaluate((track) => Promise.all(track.getAnimations({ subtree: true }).map(({ finished }) => finished)));
  const filled = await bar.evaluate((track) => {
    const fill = track.firstElementChild as HTMLElement;
    return (100 * fill.getBoundingClientRect().width) / track.getBoundingClientRect().width;
  });
  return { label: await bar.getAttribute('aria-valuetext'), filled: Math.round(filled) };
}
