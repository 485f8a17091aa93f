import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { attempt, HERE, project, run, SDK } from './support.ts';

const MISTAKES = {
  // One overload is for events, the other for the notifications of a policy.
  4: /TS2769[^]*"meter-limt"/,
  5: /TS2339.*overage_price/,
  6: /TS2551.*alow/,
  7: /TS2345.*Amount/,
  8: /TS2322.*null/,
  9: /TS2345.*"xml"/,
  10: /TS(2345|2739).*Store/,
};

// The compiler that this repository uses, and the newest.
for (const tools of [SDK, HERE]) {
  const typescript = join(tools, 'node_modules/typescript');
  const tsc = join(typescript, 'bin/tsc');
  const { version } = JSON.parse(readFileSync(join(typescript, 'package.json'), 'utf8'));

  for (const resolution of ['nodenext', 'bundler']) {
    test(`TypeScript ${version}, ${resolution}: a strict program compiles, mistakes do not`, async () => {
      const folder = await project('types');
      const flags = ['-p', `tsconfig.${resolution}.json`];
      await run('node', [tsc, ...flags], { cwd: folder });
      const found = await mistakes(tsc, resolution, folder);
      assert.deepEqual(found.map(({ line }) => line), Object.keys(MISTAKES).map(Number));
      for (const { line, text } of found) assert.match(text, MISTAKES[line as keyof typeof MISTAKES]);
    });
  }
}

test('these tests are well typed', async () => {
  await run('node', [join(HERE, 'node_modules/typescript/bin/tsc'), '-p', HERE]);
});

async function mistakes(tsc: string, resolution: string, folder: string): Promise<{ line: number; text: string }[]> {
  const module = resolution === 'bundler' ? 'esnext' : resolution;
  const flags = ['--strict', '--noEmit', '--target', 'es2022', '--module', module, '--moduleResolution', resolution];
  const { code, stdout } = await attempt('node', [tsc, ...flags, '--pretty', 'false', 'mistakes.ts'], { cwd: folder });
  assert.notEqual(code, 0);
  const errors = [...stdout.matchAll(/^mistakes\.ts\((\d+),\d+\): (.*(?:\n .*)*)$/gm)];
  return errors.map(([, line, text]) => ({ line: Number(line), text: text ?? '' }));
}
