/** A worker in workerd, Cloudflare's runtime. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

import { build } from 'esbuild';
import { Miniflare } from 'miniflare';

interface Worker {
  /** Where it answers. */
  url: URL;
  /** How many WebAssembly modules it brings along. */
  modules: number;
}

/** Runs `worker.ts` of a folder in workerd, bundled as Cloudflare's own tool does: a module stays a file that is imported. */
export async function worker(
  t: TestContext,
  folder: string,
  options: { compatibilityDate: string; bindings?: Record<string, string> },
): Promise<Worker> {
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
    ...options,
    cf: false,
    modulesRoot: output,
    modules: [
      { type: 'ESModule', path: join(output, 'worker.js') },
      ...modules.map((file) => ({ type: 'CompiledWasm' as const, path: join(output, file) })),
    ],
  });
  t.after(() => miniflare.dispose());
  return { url: await miniflare.ready, modules: modules.length };
}
