/** What the package weighs. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompressSync, gzipSync } from 'node:zlib';

/** As in `packaging/tarball.test.ts`. */
const TARGET = 400_000;
const PACKAGE = fileURLToPath(new URL('../../sdk/typescript', import.meta.url));

export async function measureSize(table) {
  table.group('package');
  const pack = ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'];
  const { stdout } = await promisify(execFile)('npm', pack, { cwd: PACKAGE, maxBuffer: 1e8 });
  const answer = JSON.parse(stdout);
  // A list of packages, or since npm 11 perhaps an object of them.
  const [{ size, unpackedSize }] = Array.isArray(answer) ? answer : Object.values(answer);
  table.figure('npm pack, compressed', size, 'bytes', TARGET);
  table.figure('unpacked', unpackedSize, 'bytes');
  const module = await readFile(`${PACKAGE}/dist/generated/limitr_wasm_bg.wasm`);
  table.figure('WebAssembly module', module.length, 'bytes');
  table.figure('WebAssembly module, gzip', gzipSync(module, { level: 9 }).length, 'bytes');
  table.figure('WebAssembly module, brotli', brotliCompressSync(module).length, 'bytes');
}
