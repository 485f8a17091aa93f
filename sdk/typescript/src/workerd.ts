/** The package in Cloudflare's runtime, which takes WebAssembly only as an import. */
// @ts-ignore The runtime makes a module of it.
import module from './generated/limitr_wasm_bg.wasm';

import { setModuleSource } from './wasm.js';

setModuleSource(async () => module as WebAssembly.Module);

export * from './index.js';
export { fileStore } from './stores/none.js';
