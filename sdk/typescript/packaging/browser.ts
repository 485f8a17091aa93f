import type { TestContext } from 'node:test';

import { type Browser, chromium } from 'playwright-core';

import { CHROMIUM } from './support.ts';

/** A headless Chromium that asks nobody but the page's server. */
export async function browser(t: TestContext): Promise<Browser> {
  const quiet = ['quic', 'background-networking', 'component-update', 'sync', 'gpu'].map((what) => `--disable-${what}`);
  const args = ['--no-sandbox', '--no-first-run', ...quiet];
  const launched = await chromium.launch({ executablePath: CHROMIUM, args });
  t.after(() => launched.close());
  return launched;
}
