/**
 * Before the packaging tests and the examples: installs their tools and packs the package.
 *
 * It must run before any of the tools is there. Packs a copy, so that `dist` may be in use meanwhile.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { CHROMIUM, HERE, OUT, run, SDK, TARBALL } from './support.ts';

/** `npm ci` in a folder, unless it has happened since its lock file changed. */
export async function install(folder: string): Promise<void> {
  const installed = join(folder, 'node_modules/.package-lock.json');
  const lock = join(folder, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  console.log(`installing ${folder}`);
  // Binaries are taken from the packages of their platform: nothing needs a script.
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: folder });
}

async function installChromium(): Promise<void> {
  if (existsSync(CHROMIUM)) return;
  console.log('installing chromium');
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-qq'], { env });
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium', 'fonts-dejavu-core'], { env });
}

async function pack(): Promise<void> {
  const copy = join(OUT, 'package');
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  const needed = /^(src|package\.json|README\.md|LICENSE|tsconfig.*\.json)$/;
  for (const file of readdirSync(SDK).filter((name) => needed.test(name))) {
    cpSync(join(SDK, file), join(copy, file), { recursive: true });
  }
  symlinkSync(join(SDK, 'node_modules'), join(copy, 'node_modules'));
  const packed = JSON.parse(await run('npm', ['pack', '--json', '--silent', '--pack-destination', OUT], { cwd: copy }));
  renameSync(join(OUT, packed[0].filename), TARBALL);
  rmSync(copy, { recursive: true });
}

await Promise.all([install(HERE), installChromium()]);
await pack();
