import { LimitrError } from './errors.js';
import { type Engine, initSync, Engine as WasmEngine } from './generated/limitr_wasm.js';

export { Link } from './generated/limitr_wasm.js';
export type { Engine } from './generated/limitr_wasm.js';

/** Where a runtime finds the module that is inside the package. */
export type ModuleSource = () => Promise<WebAssembly.Module>;

let source: ModuleSource | undefined;
let ready: Promise<void> | undefined;

/** Set once by the entry of each runtime. */
export function setModuleSource(of: ModuleSource): void {
  source ??= of;
}

async function load(): Promise<void> {
  if (source === undefined) throw new LimitrError('this build of limitr has no engine in it', { code: 'no_engine' });
  const exported = initSync({ module: await source() }) as { __wasm_call_ctors?: () => void };
  // Of the module with the Stof runtime; see `build.rs` of the crate.
  exported.__wasm_call_ctors?.();
}

/** A new engine, compiling the module the first time. */
export async function newEngine(text: string, format: string, validate: boolean): Promise<Engine> {
  ready ??= load().catch((error: unknown) => {
    ready = undefined;
    throw error;
  });
  await ready;
  return new WasmEngine(text, format, validate, Date.now(), seed());
}

/** A new engine without a policy: one that follows a server. */
export function emptyEngine(validate: boolean): Promise<Engine> {
  return newEngine('{"policy":{}}', 'json', validate);
}

let testing = false;

/** Ids `id1`, `id2`, .. in every engine made from now on: for tests and replays. */
export function sequentialIds(): void {
  testing = true;
}

/** Where an engine's ids start: drawn from the runtime's randomness. */
function seed(): BigUint64Array | undefined {
  return testing ? undefined : crypto.getRandomValues(new BigUint64Array(2));
}
