import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium, type Page } from 'playwright-core';
import { build, createServer, preview } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));
const screenshots = fileURLToPath(new URL('../screenshots/', import.meta.url));
const quiet = ['quic', 'background-networking', 'component-update', 'sync', 'gpu'].map((what) => `--disable-${what}`);

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--no-first-run', ...quiet],
});
test.after(() => browser.close());

test('the built page shows the plans, and what usage costs on each', async (t) => {
  await build({ root, logLevel: 'silent' });
  const server = await preview({ root, logLevel: 'silent', preview: { port: 0, host: '127.0.0.1' } });
  t.after(() => server.close());
  const [page, problems] = await open(server.resolvedUrls!.local[0]!);

  assert.deepEqual(await page.locator('h2').allTextContents(), ['Free', 'Pro', 'Scale']);
  assert.deepEqual(await page.locator('.price').allTextContents(), ['$0 / month', '$29 / month', '$199 / month']);
  assert.deepEqual(await features(page, 'free'), [
    ['10,000 API calls a month', 'and no more'],
    ['1 GB Storage', 'and no more'],
    ['1 Seat', 'and no more'],
  ]);
  assert.deepEqual((await features(page, 'pro')).slice(0, 2), [
    ['100,000 API calls a month', 'then $2 per 1,000 calls'],
    ['50 GB Storage', 'then $0.08 per GB'],
  ]);
  const [calls, , , , sso] = await features(page, 'scale');
  assert.deepEqual(calls, [
    '1,000,000 API calls a month',
    'then $1 per 1,000 calls for the next 1,000,000, $0.40 per 1,000 calls after that',
  ]);
  assert.deepEqual(sso, ['Single sign-on', '']);

  assert.deepEqual(await bills(page, 4), ['free', '$0', '$29', '$199']);
  await page.screenshot({ path: `${screenshots}few-calls.png` });
  // 150,000 calls: 50,000 past the included ones, $2 per 1,000.
  assert.deepEqual(await bills(page, 5.2), ['pro', 'Stops before that', '$149', '$199']);
  // 4 million calls: on Scale the first million of 3 past the included ones at $1 per 1,000, the others at $0.40.
  assert.deepEqual(await bills(page, 6.6), ['scale', 'Stops before that', '$7,829', '$1,999']);
  await page.screenshot({ path: `${screenshots}many-calls.png` });
  await page.setViewportSize({ width: 400, height: 1200 });
  await page.screenshot({ path: `${screenshots}narrow.png` });
  assert.deepEqual(problems, []);
});

test('the dev server shows the same page without configuration', async (t) => {
  const server = await createServer({ root, logLevel: 'silent', server: { port: 0, host: '127.0.0.1' } });
  await server.listen();
  t.after(() => server.close());
  const [page, problems] = await open(server.resolvedUrls!.local[0]!);
  assert.deepEqual(await bills(page, 4), ['free', '$0', '$29', '$199']);
  assert.deepEqual(problems, []);
});

async function open(url: string): Promise<[page: Page, problems: string[]]> {
  await mkdir(screenshots, { recursive: true });
  const page = await browser.newPage({ viewport: { width: 1040, height: 860 } });
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  await page.goto(url);
  await page.locator('.plan.best').waitFor();
  return [page, problems];
}

/** What a plan's list says: name, and what comes after it. */
async function features(page: Page, plan: string): Promise<string[][]> {
  const items = await page.locator(`[data-plan=${plan}] li`).all();
  return Promise.all(items.map((item) => item.locator('strong, small').allTextContents()));
}

/** Moves the slider to 10^position calls; the plan marked as cheapest, then every plan's bill. */
async function bills(page: Page, position: number): Promise<(string | null)[]> {
  await page.getByLabel('Calls a month').fill(String(position));
  const amount = Number((10 ** position).toPrecision(2)).toLocaleString('en-US');
  await page.locator('#amount', { hasText: new RegExp(`^${amount}$`) }).waitFor();
  const best = await page.locator('.best').getAttribute('data-plan');
  const texts = await page.locator('.bill').allTextContents();
  return [best, ...texts.map((text) => text.replace(' with this usage', ''))];
}
