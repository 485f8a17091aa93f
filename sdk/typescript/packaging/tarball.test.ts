import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { test } from 'node:test';

import { project, run, TARBALL } from './support.ts';

/**
 * What a user downloads, in bytes. Without expressions and their pattern matching it was 400,000, without the connection to
 * a server 470,000.
 */
const COMPRESSED_LIMIT = 535_000;

/** The same with the Stof runtime in it, in bytes. */
const STOF_LIMIT = 2_130_000;

const listing = (await run('tar', ['tzf', TARBALL])).trim().split('\n');
const files = listing.map((file) => file.replace(/^package\//, ''));

test(`the package has at most ${COMPRESSED_LIMIT} bytes without Stof, ${STOF_LIMIT} with it`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'limitr-'));
  t.after(() => rmSync(folder, { recursive: true }));
  await run('tar', ['xzf', TARBALL, '-C', folder]);
  rmSync(join(folder, 'package/dist/stof'), { recursive: true });
  await run('tar', ['czf', 'limitr.tgz', 'package'], { cwd: folder, env: { GZIP: '-9' } });
  const { size } = statSync(join(folder, 'limitr.tgz'));
  const { size: whole } = statSync(TARBALL);
  t.diagnostic(`limitr.tgz: ${size} bytes compressed without Stof, ${whole} with it, ${files.length} files`);
  assert.ok(size <= COMPRESSED_LIMIT, `it has ${size}, which is ${size - COMPRESSED_LIMIT} too many`);
  assert.ok(whole <= STOF_LIMIT, `it has ${whole}, which is ${whole - STOF_LIMIT} too many`);
});

test('the tarball holds the build, the README and nothing else', () => {
  const roots = new Set(files.map((file) => file.replace(/\/.*/, '/')));
  // npm adds it where there is one.
  roots.delete('LICENSE');
  assert.deepEqual([...roots].sort(), ['README.md', 'dist/', 'package.json']);
});

test('there is one copy of each engine, and it is a file', () => {
  const modules = ['dist/generated/limitr_wasm_bg.wasm', 'dist/stof/generated/limitr_wasm_bg.wasm'];
  assert.deepEqual(files.filter((file) => file.endsWith('.wasm')).sort(), modules);
});

test('what the files name is there: entries, imports, source maps', async () => {
  const root = join(await project('program'), 'node_modules/limitr');
  const read = (file: string): string => readFileSync(join(root, file), 'utf8');
  const { exports, types, dependencies } = JSON.parse(read('package.json'));
  assert.deepEqual(Object.keys(dependencies), ['ws']);
  const entries = [types, ...Object.values(exports['.'])].map((path: string) => posix.normalize(path));
  const named = files
    .filter((file) => /\.(js|ts)$/.test(file))
    .flatMap((file) => {
      const code = read(file);
      const imports = code.matchAll(/(?:from|import|new URL\()\s*['"](\.[^'"]+)['"]/g);
      const relative = [...imports].map(([, path]) => path);
      const map = /^\/\/# sourceMappingURL=(\S+)$/m.exec(code)?.[1];
      return [...relative, map].flatMap((path) => (path === undefined ? [] : posix.join(posix.dirname(file), path)));
    });
  const missing = [...entries, ...named].filter((file) => !files.includes(file));
  assert.deepEqual(missing, []);
});
