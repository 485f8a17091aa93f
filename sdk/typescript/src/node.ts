// For whoever compiles without the newest library: `using` is declared here.
/// <reference lib="esnext.disposable" preserve="true" />

/** The package in Node, Bun and Deno: the module is a file beside this one. */
import { readFile } from 'node:fs/promises';

import { setOpener } from './cloud/socket.js';
import { LimitrError } from './errors.js';
import { setModuleSource } from './wasm.js';

setModuleSource(async () => {
  const url = new URL('./generated/limitr_wasm_bg.wasm', import.meta.url);
  const bytes = await readFile(url).catch((cause: unknown) => {
    throw new LimitrError(`the engine is not at \`${url.pathname}\``, {
      code: 'no_engine',
      hint: 'leave `limitr` out of the bundle (`external`), or copy `limitr_wasm_bg.wasm` there',
      cause,
    });
  });
  return WebAssembly.compile(bytes);
});

// Bun and Deno say that they are Node, and have sockets of their own.
if (!('Bun' in globalThis || 'Deno' in globalThis)) setOpener(async () => (await import('./cloud/ws.js')).open);

export * from './index.js';
export { fileStore } from './stores/file.js';
