/** The package in browsers: bundlers find the module by its URL and serve it with the application. */
import { LimitrError } from './errors.js';
import { setModuleSource } from './wasm.js';

setModuleSource(async () => {
  const url = new URL('./generated/limitr_wasm_bg.wasm', import.meta.url);
  const bytes = (await fetchModule(url)) ?? (await fetchModule(besideViteCache()));
  if (bytes === undefined) {
    throw new LimitrError(`the engine is not served at \`${url.href}\``, {
      code: 'no_engine',
      hint: "copy `limitr_wasm_bg.wasm` there; with Vite before 8 set `optimizeDeps: { exclude: ['limitr'] }`",
    });
  }
  // Not compileStreaming: it needs a content type that not every server sends.
  return WebAssembly.compile(bytes);
});

/** The bytes at a URL; undefined when they are no module: servers of applications answer with a page instead. */
async function fetchModule(url: URL | undefined): Promise<ArrayBuffer | undefined> {
  if (url === undefined) return undefined;
  const response = await fetch(url);
  const bytes = await response.arrayBuffer();
  const [zero, a, s, m] = new Uint8Array(bytes);
  return response.ok && zero === 0 && a === 0x61 && s === 0x73 && m === 0x6d ? bytes : undefined;
}

/** Vite before 8 serves code of packages from a cache among them, without the files that the code names. */
function besideViteCache(): URL | undefined {
  const [, packages, name] = /^(.*\/)\.vite\/deps\/([^/]+)\.js(?:\?|$)/.exec(import.meta.url) ?? [];
  if (packages === undefined || name === undefined) return undefined;
  const installed = name.startsWith('@') ? name.replace('_', '/').replace(/_stof$/, '') : 'limitr';
  const entry = name.endsWith('_stof') ? 'dist/stof' : 'dist';
  return new URL(`${packages}${installed}/${entry}/generated/limitr_wasm_bg.wasm`);
}

export * from './index.js';
export { fileStore } from './stores/none.js';
