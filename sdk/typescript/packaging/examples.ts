/** Runs the examples' own tests, on the packed package. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { install } from './prepare.ts';
import { run, SDK, TARBALL } from './support.ts';

const examples = join(SDK, '../../examples');
const installed = join(examples, 'node_modules/limitr');

await install(examples);
rmSync(installed, { recursive: true, force: true });
mkdirSync(installed);
await run('tar', ['xzf', TARBALL, '-C', installed, '--strip-components=1']);

const { status } = spawnSync('npm', ['test'], { cwd: examples, stdio: 'inherit' });
process.exitCode = status ?? 1;
