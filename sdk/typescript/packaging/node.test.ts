import assert from 'node:assert/strict';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { attempt, project, run, runtimes } from './support.ts';

/** What `projects/program` prints wherever it runs. */
const EXPECTED = {
  decisions: [true, true, true, false],
  reason: 'limit',
  events: ['ada 3/3'],
  restored: 0,
  problems: ['unknown_field'],
  refused: true,
};

test('Node runs the package as an ES module', async () => {
  const folder = await project('program');
  assert.deepEqual(JSON.parse(await run('node', ['main.js'], { cwd: folder })), EXPECTED);
});

test('Node runs it under an alias, as `npm i @formata/limitr@npm:limitr` installs it', async () => {
  const folder = await project('program');
  mkdirSync(join(folder, 'node_modules/@formata'));
  renameSync(join(folder, 'node_modules/limitr'), join(folder, 'node_modules/@formata/limitr'));
  const program = "import('@formata/limitr').then((m) => m.Limitr.new('policy: {}')).then(() => console.log('ok'))";
  assert.equal(await run('node', ['-e', program], { cwd: folder }), 'ok\n');
});

/** A policy of each kind of logic, as functions. */
const STOF = `
policy: {
  credits: {
    token: {
      data: { rates: { small: 0.5, large: 2 } }
      fn overhead(units: float, context: obj) -> float { return units * self.data.rates.get(context.model); }
    }
  }
  plans: { free: { default: true, entitlements: { chat: { limit: { credit: 'token', value: 10 } } } } }
}`;

test('limitr/stof reads Stof documents; the main entry says where they are read', async () => {
  const folder = await project('program');
  const program = (entry: string): string => `
    import { Limitr } from '${entry}';
    const policy = await Limitr.new(${JSON.stringify(STOF)}, 'stof');
    await policy.createCustomer('ada');
    console.log(await policy.allow('ada', 'chat', 3, { event: { model: 'large' } }));
    console.log((await policy.meterObject('ada', 'chat')).overhead, await policy.remaining('ada', 'chat'));
    console.log(policy.doc.stringify('stof').includes('chat'));`;
  const args = (entry: string): string[] => ['--input-type=module', '-e', program(entry)];
  assert.equal(await run('node', args('limitr/stof'), { cwd: folder }), 'true\n6 7\ntrue\n');
  const { stderr } = await attempt('node', args('limitr'), { cwd: folder });
  assert.match(stderr, /limitr\/stof/);
});

test('require() gives the package, or where Node cannot do that, an error that says so', async () => {
  const folder = await project('program');
  const program = "require('limitr').Limitr.new('policy: {}').then(() => console.log('ok'))";
  const { stdout, stderr } = await attempt('node', ['-e', program], { cwd: folder });
  if (process.features.require_module) assert.equal(stdout, 'ok\n');
  else assert.match(stderr, /ERR_REQUIRE_ESM/);
});

test('Bun runs the same program', async () => {
  const folder = await project('program');
  assert.deepEqual(JSON.parse(await run(runtimes.Bun(), ['run', 'main.js'], { cwd: folder })), EXPECTED);
});

test('Deno runs the same program, with its files as the only permission', async () => {
  const folder = await project('program');
  const args = ['run', '--no-prompt', '--no-remote', '--allow-read=.', '--allow-write=state', 'main.js'];
  const env = { DENO_DIR: join(folder, '.deno'), DENO_NO_UPDATE_CHECK: '1' };
  assert.deepEqual(JSON.parse(await run(runtimes.Deno(), args, { cwd: folder, env })), EXPECTED);
});
